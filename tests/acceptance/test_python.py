"""The library: every function's example and every program of `docs/python.md` runs, on real photos and weights."""

from __future__ import annotations

import inspect
import re
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

import nightlabel
from nightlabel import library
from tests.command import wait_until
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from broker.private_redis import PrivateRedis
    from tests.command import Nightlabel

PYTHON = (ROOT / "docs" / "python.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PYTHON, re.MULTILINE | re.DOTALL)
FUNCTIONS = [name for name in nightlabel.__all__ if inspect.isfunction(getattr(library, name, None))]
#: What a function's example finds: a finished run over the photos, and settings.
PRELUDE = """
from pathlib import Path
import nightlabel
from nightlabel.bench_display import BenchLines
if __name__ != "__main__":
    raise SystemExit  # imported anew by a child
settings = nightlabel.load_settings()
display = BenchLines(is_aside=True)
"""


def example_of(name: str) -> str:
    """Return the code behind `Example:` in a function's docstring."""
    found = re.search(r"^Example:\n((?:    .*\n)+)", inspect.getdoc(getattr(library, name)) or "", re.MULTILINE)
    assert found, f"{name} has no example"
    return textwrap.dedent(found[1])


@pytest.fixture
def home(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> Path:
    """A folder with nine photos and a file that is none."""
    folder = nightlabel.folder / "photos"
    folder.mkdir()
    for place, photo in enumerate(sorted(archive(8).rglob("*.jpg"))):
        photo.rename(folder / f"{place:05}.jpg")
    (folder / "goldfinch.jpg").write_bytes((folder / "00000.jpg").read_bytes())
    (folder / "broken.jpg").write_bytes(b"no image")
    nightlabel.environment |= {"NIGHTLABEL_DATABASE_URL": "labels.db", "NIGHTLABEL_WORKERS": "1"}
    return nightlabel.folder


def run_python(nightlabel: Nightlabel, program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = nightlabel.folder / "program.py"
    script.write_text(program)
    return subprocess.run(
        [sys.executable, script],
        cwd=nightlabel.folder,
        env=nightlabel.environment | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.usefixtures("home")
def test_the_examples_run_one_after_the_other(nightlabel: Nightlabel) -> None:
    """The first labels the photos, and the others find that run."""
    others = [name for name in FUNCTIONS if name not in ("label", "enqueue", "work", "compare", "bench", "web")]
    examples = (f"print({name!r})\n{example_of(name)}" for name in ["label", *others])
    done = run_python(nightlabel, PRELUDE + "".join(examples))

    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if line in FUNCTIONS] == ["label", *others]
    assert "9 labelled, 1 failed" in done.stdout


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("name", ["compare", "bench"])
def test_the_example_of_a_measurement_runs(nightlabel: Nightlabel, name: str) -> None:
    """For moments, in one precision: what it measures is not at stake here."""
    quick = """
import runner.bench, runner.compare
from worker.measure import Assignment
runner.bench.DECODING_S = runner.bench.INFERENCE_S = 0.2
runner.bench.SYSTEM_S = 1.0
runner.compare.USUAL = Assignment(latency_requests=4, throughput_s=0.1)
"""
    done = run_python(nightlabel, f"{PRELUDE}{quick}{example_of(name)}", NIGHTLABEL_PRECISION="fp32")

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.usefixtures("home")
def test_the_examples_of_a_producer_and_a_worker_run(nightlabel: Nightlabel, redis: PrivateRedis) -> None:
    enqueued = run_python(nightlabel, PRELUDE + example_of("enqueue"), NIGHTLABEL_BROKER_URL=redis.url)
    assert enqueued.stdout == "10 images in 2 chunks\n", enqueued.stderr

    script = nightlabel.folder / "labelling_host.py"  # not `worker.py`: a script stands in for a package of its name
    script.write_text(PRELUDE + example_of("work"))
    environment = nightlabel.environment | {"PYTHONPATH": str(ROOT), "NIGHTLABEL_BROKER_URL": redis.url}
    with subprocess.Popen([sys.executable, script], cwd=nightlabel.folder, env=environment) as worker:
        nightlabel.database = nightlabel.folder / "labels.db"
        wait_until(lambda: nightlabel.sql("select count(*) from outcomes") == [(10,)] or None, 120)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0


@pytest.mark.usefixtures("home")
def test_the_example_of_the_page_runs(nightlabel: Nightlabel) -> None:
    script = nightlabel.folder / "page.py"
    script.write_text(PRELUDE + example_of("web"))
    own = {"PYTHONPATH": str(ROOT), "NIGHTLABEL_WEB_PORT": "0", "PYTHONUNBUFFERED": "1"}
    environment = nightlabel.environment | own
    with subprocess.Popen(
        [sys.executable, script], cwd=nightlabel.folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as page:
        try:
            assert page.stdout
            address = page.stdout.readline().split()[-1]
            with urlopen(f"{address}healthz") as answer:  # noqa: S310 - our own
                assert answer.status == 200
            page.send_signal(signal.SIGINT)
            assert page.wait(60) == 0
        finally:
            page.kill()


@pytest.mark.usefixtures("home")
def test_the_programs_of_the_documentation_run(nightlabel: Nightlabel) -> None:
    assert len(PROGRAMS) == 3
    said = []
    for program in PROGRAMS:
        done = run_python(nightlabel, program)
        assert (done.returncode, done.stderr) == (0, ""), program
        said.append(done.stdout)

    assert said[0].startswith("9 labelled, 1 failed\n")
    assert "photos/00000.jpg ('" in said[1]
    assert said[2].endswith("100%\n")


def test_every_function_is_in_the_documentation() -> None:
    assert {name for name in FUNCTIONS if f"`{name}(" not in PYTHON} == set()


def test_the_library_names_nothing_that_is_not_there() -> None:
    assert [name for name in nightlabel.__all__ if not hasattr(nightlabel, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'lable'"):
        nightlabel.lable  # noqa: B018 - looked up on purpose
