"""In a real control group, as a container is: as many workers as it allows, and nobody is ended for lack of memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tests.cgroups import limited
from tests.conftest import missing
from tests.faults.farm import PLANTED, plant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cgroups import Group
    from tests.command import Nightlabel

#: Megabytes: of the container, and those that a labelling process may hold in it.
MEMORY_MB, EACH_MB = 2000, 1500
#: 98 megapixels, two below the default limit.
SIZE = 11440, 8576


@pytest.fixture
def container() -> Iterator[Group]:
    """A group of one CPU and 2 GB."""
    with limited(1, MEMORY_MB * 1_000_000) as group:
        if group is None:
            missing("no right to make control groups here")
        assert group
        yield group


def run_in(container: Group, nightlabel: Nightlabel, folder: Path) -> str:
    """Run with the defaults; return what was said."""
    del nightlabel.environment["NIGHTLABEL_WORKERS"]
    process = nightlabel.start("run", folder)
    container.add(process.pid)
    _, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors
    return errors


def test_a_container_with_one_cpu_gets_one_worker_and_is_told_so(
    container: Group, nightlabel: Nightlabel, archive: Callable[[int], Path]
) -> None:
    said = run_in(container, nightlabel, archive(100))

    assert "1 of 2 CPUs: the quota of this container" in said
    assert f"the limit of this container, {EACH_MB / 1000} GB for each of 1 worker" in said
    assert len(nightlabel.sql("select distinct worker from results")) == 1
    assert nightlabel.sql("select status, count(*) from results group by status") == [("ok", 100)]


def test_an_image_that_the_kernel_ends_its_worker_for_is_too_large_and_no_poison(
    container: Group, nightlabel: Nightlabel, archive: Callable[[int], Path]
) -> None:
    """With no limit set: the kernel counts whom it ends, and is believed."""
    folder = archive(20)
    plant(folder / "000" / "00007.jpg", "memory")
    nightlabel.environment |= {"PYTHONPATH": str(PLANTED), "NIGHTLABEL_MEMORY_LIMIT_MB": "0"}

    run_in(container, nightlabel, folder)

    assert container.oom_kills() > 2  # once with others in work, and twice alone
    assert nightlabel.sql("select status, count(*) from results group by status") == [("failed", 1), ("ok", 19)]
    ((path, kind, error),) = nightlabel.sql("select path, error_kind, error from results where status = 'failed'")
    assert path.endswith("00007.jpg")
    assert kind == "too_large"
    assert "while it labelled this image alone, the last time by the kernel" in error
    assert "out of memory" in error


def test_with_the_default_limit_the_kernel_ends_nobody(
    container: Group, nightlabel: Nightlabel, archive: Callable[[int], Path]
) -> None:
    """The same image: it is refused memory, and its decoder does not heed that."""
    folder = archive(20)
    plant(folder / "000" / "00007.jpg", "memory")
    nightlabel.environment |= {"PYTHONPATH": str(PLANTED)}

    run_in(container, nightlabel, folder)

    assert container.oom_kills() == 0
    assert nightlabel.sql("select coalesce(error_kind, status), count(*) from results group by 1 order by 1") == [
        ("ok", 19),
        ("poison", 1),
    ]


def write_large(folder: Path, photo: Path) -> None:
    """Write eight pictures of 98 megapixels that show a goose."""
    folder.mkdir()
    with Image.open(photo) as opened:
        goose = opened.convert("RGB").resize(SIZE, Image.Resampling.BICUBIC)
    grey = np.asarray(goose.convert("L"))
    goose.putalpha(255)
    files: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "rgba.png": (goose, {"compress_level": 1}),
        "rgba.tif": (goose, {"compression": "tiff_adobe_deflate"}),
        "rgba.webp": (goose, {"quality": 50, "method": 0}),
        "grey16.png": (Image.fromarray(grey.astype(np.uint16) * 257), {"compress_level": 1}),
        "grey16.tif": (Image.fromarray(grey.astype(np.uint16) * 257), {"compression": "tiff_lzw"}),
        "integers.tif": (Image.fromarray(grey.astype(np.int32) * 1000), {"compression": "tiff_lzw"}),
        "floats.tif": (Image.fromarray(grey.astype(np.float32)), {"compression": "tiff_lzw"}),
        "inks.jpg": (goose.convert("RGB").convert("CMYK"), {"quality": 80}),
    }
    for name, (picture, options) in files.items():
        picture.save(folder / name, **options)


@pytest.mark.long
def test_pictures_of_98_megapixels_are_labelled_in_a_container_of_2_gb(
    container: Group, nightlabel: Nightlabel, photos: Path, tmp_path: Path
) -> None:
    """Whatever a picture costs, the kernel ends nobody, and what does not fit says so."""
    folder = tmp_path / "large"
    write_large(folder, photos / "n01855672_goose.jpg")

    said = run_in(container, nightlabel, folder)

    rows = nightlabel.sql(
        "select replace(path, rtrim(path, replace(path, '/', '')), ''), coalesce(label_1, error_kind), error,"
        " round(decode_ms) from results order by path"
    )
    (peak_bytes,) = nightlabel.sql("select max(peak_rss_bytes) from workers")[0]
    print(said, json.dumps(rows, indent=1))
    print(f"the process that labels: {peak_bytes / 1e6:.0f} MB; the group: {container.most_held_bytes() / 1e6:.0f} MB")
    assert container.oom_kills() == 0
    assert len(rows) == 8
    assert {kind for _, kind, _, _ in rows} <= {"goose", "too_large"}
    assert sum(kind == "goose" for _, kind, _, _ in rows) >= 7
