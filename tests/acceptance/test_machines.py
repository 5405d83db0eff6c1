"""Machines as containers are: no home, no name for the user, nothing to write to, process 1; it works, or says why."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.command import LONG_S
from tests.conftest import missing

if TYPE_CHECKING:
    from pathlib import Path

    from common.settings import Settings

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become a user without a name")

#: A user of whom the system knows nothing but the number; it may look at everything, for wherever Python is, and write
#: where anybody may.
_NOBODY = (
    *("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)


@pytest.fixture
def photos_of_nobody(short_folder: Path, photos: Path) -> Path:
    """A few photos, and beside them a folder called `open` that anybody may write to."""
    folder = short_folder / uuid.uuid4().hex[:8]
    (folder / "photos").mkdir(parents=True)
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    for photo in sorted(photos.glob("*.jpg"))[:4]:
        shutil.copyfile(photo, folder / "photos" / photo.name)
    return folder


def ran(
    settings: Settings, folder: Path, *arguments: object, before: tuple[str, ...] = _NOBODY, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command with nothing in its environment but this."""
    known = {"PATH": os.environ["PATH"], "NIGHTLABEL_WEIGHTS_DIR": str(settings.weights_dir)} | environment
    command = [sys.executable, "-P", "-m", "nightlabel", *map(str, arguments)]
    return subprocess.run(
        [*before, "env", "-i", *(f"{name}={value}" for name, value in known.items()), *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )


@pytest.mark.parametrize("command", ["run", "classify", "models"])
def test_a_user_without_home_and_name_is_told_what_to_name(
    settings: Settings, photos_of_nobody: Path, command: str
) -> None:
    named = {"run": ["../photos"], "classify": ["../photos/none.jpg"], "models": []}[command]
    done = ran(settings, photos_of_nobody / "open", command, *named)

    assert done.returncode == 3, done.stderr
    assert done.stderr.endswith("no home folder to keep prepared models in. Set NIGHTLABEL_CACHE_DIR to a folder.\n")
    assert done.stderr.count("\n") == 1


def test_a_user_without_home_and_name_labels_with_a_cache_named_and_needs_none_to_look(
    settings: Settings, photos_of_nobody: Path, own_cache: Path
) -> None:
    folder = photos_of_nobody / "open"
    shutil.copytree(own_cache, folder / "cache")
    subprocess.run(["chmod", "-R", "a+rwX", folder / "cache"], check=True)
    done = ran(settings, folder, "run", "../photos", NIGHTLABEL_CACHE_DIR=str(folder / "cache"))
    assert done.returncode == 0, done.stderr
    assert "4: 4 labelled, 0 failed" in done.stdout

    for command in ("report", "status", "export"):
        looked = ran(settings, folder, command)
        assert (looked.returncode, "Traceback" in looked.stderr) == (0, False), looked.stderr


@pytest.mark.parametrize("setting", ["database", "cache", "temporary folder"])
def test_a_folder_that_cannot_be_written_is_named_with_its_setting(
    settings: Settings, photos_of_nobody: Path, own_cache: Path, setting: str
) -> None:
    closed, folder = str(photos_of_nobody / "photos"), str(photos_of_nobody / "open")
    where = {"database": folder, "cache": folder, "temporary folder": folder} | {setting: closed}
    copied = shutil.copytree(own_cache, f"{where['cache']}/cache") if setting != "cache" else f"{closed}/cache"
    if setting != "cache":
        subprocess.run(["chmod", "-R", "a+rwX", copied], check=True)
    done = ran(
        settings,
        photos_of_nobody / "open",
        *("run", "../photos", "--precision", "fp32", "--db", f"{where['database']}/night.db"),
        NIGHTLABEL_CACHE_DIR=str(copied),
        TMPDIR=where["temporary folder"],
        HOME="/",
    )

    if setting == "temporary folder":  # /tmp is there in its stead
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == {"database": 5, "cache": 3}[setting], done.stderr
    assert {"database": "NIGHTLABEL_DATABASE_URL or --db", "cache": "NIGHTLABEL_CACHE_DIR"}[setting] in done.stderr
    assert closed in done.stderr
    assert "Traceback" not in done.stderr


def _in_namespaces(script: str, *options: str) -> tuple[str, ...]:
    """Run a shell script, and then the command, as a container's first process is run."""
    return ("unshare", "--mount", *options, "sh", "-e", "-c", f'{script}; exec "$@"', "sh")


def _read_only(cache_dir: Path) -> tuple[str, ...]:
    """Do as `docker run --read-only --tmpfs /mnt` does, with prepared models there."""
    return _in_namespaces(
        f"mount -t tmpfs -o mode=1777 none /mnt; cp -r {cache_dir} /mnt/cache; mount -o remount,bind,ro /"
    )


def _require_namespaces() -> None:
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False).returncode:
        missing("this machine allows no namespaces of its own")


def test_as_process_1_of_a_container_a_run_labels_all_and_leaves_no_process(
    settings: Settings, photos_of_nobody: Path, cache_dir: Path
) -> None:
    _require_namespaces()
    first = _in_namespaces("true", "--pid", "--fork", "--mount-proc", "--kill-child")
    done = ran(
        settings,
        photos_of_nobody / "open",
        *("run", "../photos", "--precision", "fp32"),
        before=first,
        NIGHTLABEL_CACHE_DIR=str(cache_dir),
    )

    assert done.returncode == 0, done.stderr
    assert "4: 4 labelled, 0 failed" in done.stdout


def test_on_a_read_only_root_a_run_works_with_its_folders_named(
    settings: Settings, photos_of_nobody: Path, own_cache: Path
) -> None:
    _require_namespaces()
    done = ran(
        settings,
        photos_of_nobody / "open",
        *("run", "../photos", "--precision", "fp32", "--db", "/mnt/night.db"),
        before=_read_only(own_cache),
        NIGHTLABEL_CACHE_DIR="/mnt/cache",
        TMPDIR="/mnt",
    )

    assert done.returncode == 0, done.stderr
    assert "4: 4 labelled, 0 failed" in done.stdout


def test_with_nowhere_to_put_a_temporary_file_the_variable_is_named(
    settings: Settings, photos_of_nobody: Path, own_cache: Path
) -> None:
    _require_namespaces()
    done = ran(
        settings,
        photos_of_nobody / "open",
        *("run", "../photos", "--precision", "fp32", "--db", "/mnt/night.db"),
        before=_read_only(own_cache),
        NIGHTLABEL_CACHE_DIR="/mnt/cache",
    )

    assert done.returncode == 4, done.stderr
    assert "Let TMPDIR name a folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_shared_memory_the_folder_is_named_at_once(
    settings: Settings, photos_of_nobody: Path, cache_dir: Path
) -> None:
    _require_namespaces()
    done = ran(
        settings,
        photos_of_nobody / "open",
        *("run", "../photos", "--precision", "fp32"),
        before=_in_namespaces("mount -t tmpfs -o ro none /dev/shm"),
        NIGHTLABEL_CACHE_DIR=str(cache_dir),
    )

    assert done.returncode == 7, done.stderr
    assert "which Linux keeps in /dev/shm: Read-only file system. Mount a tmpfs there" in done.stderr
    assert "Traceback" not in done.stderr
