"""The wheel alone, away from the repository, has all that every command needs: data files, templates, migrations."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
import typer

from common.settings import ENV_PREFIX
from tests.command import QUICK
from tests.conftest import ROOT

if TYPE_CHECKING:
    from common.settings import Settings


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the wheel's content, and the libraries that it depends on; nothing of the repository."""
    home = tmp_path_factory.mktemp("elsewhere")
    installed = home / "installed"
    with zipfile.ZipFile(wheel) as content:
        content.extractall(installed)
    venv.create(home / "venv", symlinks=True)
    (packages,) = (home / "venv" / "lib").glob("python*/site-packages")
    # Folders that a .pth file names are searched; .pth files in them, like that of this repository, are not read.
    (packages / "wheel.pth").write_text(f"{installed}\n{Path(typer.__file__).parents[1]}\n")
    return home / "venv" / "bin" / "python"


@pytest.fixture
def home(tmp_path: Path, photos: Path) -> Path:
    folder = tmp_path / "home"
    (folder / "photos").mkdir(parents=True)
    for photo in sorted(photos.glob("*.jpg"))[:4]:
        (folder / "photos" / photo.name).write_bytes(photo.read_bytes())
    return folder


def run(python: Path, home: Path, settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, *arguments],
        cwd=home,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def environment(settings: Settings) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith((ENV_PREFIX, "PYTHON"))}
    return inherited | {
        "NIGHTLABEL_WEIGHTS_DIR": str(settings.weights_dir),
        "NIGHTLABEL_CACHE_DIR": str(settings.cache_dir),
        "NIGHTLABEL_WORKERS": "1",
        "COLUMNS": "120",
    }


def test_every_command_runs_from_the_wheel(python: Path, home: Path, settings: Settings) -> None:
    first = next((home / "photos").glob("*.jpg"))
    for command in (
        ["run", "photos"],
        ["report"],
        ["report", "--json"],
        ["report", "--html", "night.html"],
        ["status"],
        ["retry"],
        ["export", "--output", "labels.csv"],
        ["classify", str(first)],
        ["models"],
        ["models", "prepare", "resnet18"],
        ["compare", "photos", "--models", "resnet18", "--precision", "fp32", "--html", "models.html"],
        ["bench", "photos"],
        ["db", "upgrade"],
    ):
        how = ("-c", QUICK) if command[0] in ("bench", "compare") else ("-m", "nightlabel")
        done = run(python, home, settings, *how, *command)
        assert done.returncode == 0, f"{command}: {done.stderr}"

    assert (home / "labels.csv").read_text().count("\n") == 5
    assert "<svg" in (home / "night.html").read_text() or "plotly" in (home / "night.html").read_text()


def test_the_page_is_served_from_the_wheel(python: Path, home: Path, settings: Settings) -> None:
    """Its templates, its texts in other languages, its scripts and styles."""
    command = [str(python), "-u", "-m", "nightlabel", "web", "--port", "0"]
    with subprocess.Popen(command, cwd=home, env=environment(settings), stdout=subprocess.PIPE, text=True) as page:
        try:
            assert page.stdout
            address = page.stdout.readline().split()[-1].rstrip("/")
            shown = fetch(f"{address}/try?lang=de")
            assert "Sprache" in shown
            for file in re.findall(r'"(/static/[^"]+)"', shown):
                assert fetch(address + file)
            page.terminate()
            assert page.wait(60) == 0
        finally:
            page.kill()


def fetch(address: str) -> str:
    with urlopen(address) as answer:  # noqa: S310 - our own
        return str(answer.read().decode())


def test_the_code_is_the_wheels(python: Path, home: Path, settings: Settings, wheel: Path) -> None:
    where = "import nightlabel, storage.tables as tables; print(nightlabel.__file__, tables.__file__)"
    done = run(python, home, settings, "-c", where)

    assert str(ROOT) not in done.stdout
    with zipfile.ZipFile(wheel) as content:
        packages = {name.partition("/")[0] for name in content.namelist()}
    assert {package for package in packages if package in ("tests", "benchmarks", "docs")} == set()


def test_the_version_is_the_packages(python: Path, home: Path, settings: Settings) -> None:
    done = run(python, home, settings, "-m", "nightlabel", "--version")

    assert done.stdout == "nightlabel 0.2.0\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_its_completion(
    python: Path, home: Path, settings: Settings, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")  # by what started the tests, as Typer does
    done = run(python, home, settings, "-m", "nightlabel", "--show-completion", shell)

    assert "_NIGHTLABEL_COMPLETE" in done.stdout, done.stderr
