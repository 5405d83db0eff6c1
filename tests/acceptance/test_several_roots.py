"""Several archives and files in one command: each image once, in whatever order they are named."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.command import LONG_S, wait_until
from tests.faults.farm import Farm, wait_to_say

if TYPE_CHECKING:
    from pathlib import Path

    from broker.private_redis import PrivateRedis
    from tests.command import Nightlabel


@dataclass(frozen=True)
class Roots:
    """Folders and a file, and which photo lies where."""

    folder: Path
    file: Path
    other: Path
    labels: dict[str, str]  #: what ResNet-18 says of each image that is asked for, by its path

    def in_turn(self) -> tuple[Path, ...]:
        return self.folder, self.file, self.other

    def the_other_way_round(self) -> tuple[Path, ...]:
        return self.other, self.file, self.folder


#: Photos that ResNet-18 is right about, by where they are put. The last one is asked for by nobody.
PLACES = {
    "a/goldfinch.jpg": ("n01531178_goldfinch.jpg", "goldfinch"),
    "a/deeper/goose.jpg": ("n01855672_goose.jpg", "goose"),
    "b/c.jpg": ("n01491361_tiger_shark.jpg", "tiger shark"),
    "d/goldfinch.jpg": ("n01531178_goldfinch.jpg", "goldfinch"),
    "b/not-asked-for.jpg": ("n01855672_goose.jpg", "goose"),
}


@pytest.fixture
def roots(tmp_path: Path, photos: Path) -> Roots:
    for place, (photo, _) in PLACES.items():
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photos / photo, path)
    labels = {str(tmp_path / place): label for place, (_, label) in list(PLACES.items())[:-1]}
    return Roots(tmp_path / "a", tmp_path / "b" / "c.jpg", tmp_path / "d", labels)


@pytest.fixture(params=["sqlite", "postgres"])
def farm(request: pytest.FixtureRequest, nightlabel: Nightlabel, redis: PrivateRedis, tmp_path: Path) -> Farm:
    """The parts of a farm, on SQLite and on Postgres."""
    if request.param == "sqlite":
        return Farm(nightlabel, f"sqlite:///{tmp_path / 'night.db'}", redis.url)
    return Farm(nightlabel, request.getfixturevalue("postgres_url"), redis.url)


def labels_of(farm: Farm) -> list[tuple[str, ...]]:
    return sorted(farm.ask("select path, label_1 from results"))


def named(paths: tuple[Path, ...]) -> str:
    return ", ".join(map(str, paths))


def test_a_run_over_folders_and_a_file_labels_each_image_and_names_them_all(
    nightlabel: Nightlabel, roots: Roots
) -> None:
    done = nightlabel("run", *roots.in_turn())

    assert done.returncode == 0, done.stderr
    assert sorted(nightlabel.sql("select path, label_1 from results")) == sorted(roots.labels.items())
    assert "4: 4 labelled, 0 failed" in done.stdout
    report = json.loads(nightlabel("report", "--json").stdout)
    assert (report["images"]["total"], report["images"]["ok"]) == (4, 4)
    assert report["run"]["roots"] == [str(root) for root in roots.in_turn()]
    assert f"Run 1, finished: {named(roots.in_turn())}\n" in nightlabel("status").stdout

    again = nightlabel("run", *roots.the_other_way_round())

    assert again.returncode == 0, again.stderr
    assert "4 more had their labels already" in again.stdout
    assert nightlabel.sql("select count(*), min(run_id), max(run_id) from results") == [(4, 1, 1)]


def test_a_run_that_was_interrupted_goes_on_when_its_archives_are_named_in_another_order(
    farm: Farm, roots: Roots
) -> None:
    first = farm.nightlabel.start("run", *roots.in_turn(), "--workers", "0")  # so that nothing is labelled yet
    farm.wait_for(4, "manifest join chunks c on c.id = manifest.chunk_id where c.published_at is not null")
    assert f"Run 1, labelling: {named(roots.in_turn())}\n" in farm.nightlabel("status").stdout
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=LONG_S)
    assert first.returncode == 130
    assert farm.count() == 0

    again = farm.nightlabel("run", *roots.the_other_way_round())

    assert again.returncode == 0, again.stderr
    assert again.stderr.startswith("Resuming ")
    assert farm.count("runs") == 1
    assert labels_of(farm) == sorted(roots.labels.items())
    farm.assert_whole(4)
    assert f"Run 1, finished: {named(roots.in_turn())}\n" in farm.nightlabel("status").stdout


def test_what_is_enqueued_in_one_order_is_gone_on_with_in_another_and_labelled_once(farm: Farm, roots: Roots) -> None:
    enqueued = farm.enqueue(*roots.in_turn())
    assert enqueued.returncode == 0, enqueued.stderr
    assert "4 images in" in enqueued.stdout
    status = farm.nightlabel("status").stdout
    assert "0 of 4 images" in status
    assert f"nightlabel enqueue --wait {' '.join(map(str, roots.in_turn()))}`" in status

    following = farm.follow(*roots.the_other_way_round())
    wait_to_say(following, "Resuming")  # a worker that starts sooner may have finished the run by then
    worker = farm.start_worker()
    report, errors = following.communicate(timeout=LONG_S)

    assert following.returncode == 0, errors
    assert "4: 4 labelled, 0 failed" in report
    assert worker.process.poll() is None
    assert farm.count("runs") == 1
    assert labels_of(farm) == sorted(roots.labels.items())
    farm.assert_whole(4)


def test_archives_that_lie_in_each_other_are_labelled_once(farm: Farm, roots: Roots) -> None:
    """One within another, the same one twice, a file of a folder that is named too, and a name with dots."""
    deeper = roots.folder / "deeper"
    asked = (deeper, roots.folder, roots.file, roots.folder / "goldfinch.jpg", roots.other, roots.other / ".." / "d")

    done = farm.nightlabel("run", *asked)

    assert done.returncode == 0, done.stderr
    assert labels_of(farm) == sorted(roots.labels.items())
    farm.assert_whole(4)
    assert f"Run 1, finished: {named(roots.in_turn())}\n" in farm.nightlabel("status").stdout

    part = farm.nightlabel("run", deeper, roots.file)  # another run, over what has its labels

    assert part.returncode == 0, part.stderr
    assert "2 more had their labels already" in part.stdout
    assert farm.count("outcomes") == 4


def test_two_unfinished_runs_over_archives_that_overlap_both_end_and_label_each_image_for_each(
    farm: Farm, roots: Roots
) -> None:
    """What both have in their manifests is an image of each; what one has labelled, the other takes over."""
    assert farm.enqueue(*roots.in_turn()).returncode == 0
    assert farm.enqueue(roots.folder).returncode == 0

    farm.start_worker()
    followed = [farm.follow(*roots.in_turn()), farm.follow(roots.folder)]
    for process in followed:
        _, errors = process.communicate(timeout=LONG_S)
        assert process.returncode == 0, errors

    assert farm.ask("select run_id, count(*) from manifest group by run_id order by run_id") == [(1, 4), (2, 2)]
    assert farm.count("chunks where done_at is null") == 0
    assert sorted(set(labels_of(farm))) == sorted(roots.labels.items())
    wait_until(lambda: farm.count("runs r where r.follower is not null") == 0 or None)
