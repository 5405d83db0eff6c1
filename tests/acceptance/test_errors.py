"""What is wrong is said at once: one sentence, the command's own exit status, no traceback, nothing enqueued."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.conftest import missing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from common.settings import Settings
    from tests.command import Nightlabel


def _is_one_sentence(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not done.stdout


def test_a_missing_folder_is_named(nightlabel: Nightlabel) -> None:
    _is_one_sentence(nightlabel("run", "/no/such/folder"), 6, "/no/such/folder", "No such file")


def test_an_unset_variable_is_not_taken_for_the_current_folder(nightlabel: Nightlabel) -> None:
    _is_one_sentence(nightlabel("run", ""), 6, "'' cannot be read", "No such file")


def test_a_folder_without_images_is_named_with_what_it_holds(nightlabel: Nightlabel, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("Dear Ada")

    _is_one_sentence(nightlabel("run", tmp_path / "letters"), 6, "letters", "1 file there is no image.")


def test_missing_weights_are_said_with_what_to_put_where(
    nightlabel: Nightlabel, archive: Callable[[int], Path], tmp_path: Path
) -> None:
    done = nightlabel(
        "run", archive(1), NIGHTLABEL_WEIGHTS_DIR=str(tmp_path), TORCH_HOME=str(tmp_path), http_proxy="", https_proxy=""
    )

    _is_one_sentence(done, 3, f"Put a state_dict at {tmp_path / 'resnet18.pth'}", "--weights FILE")
    assert not nightlabel.database.exists()


def test_damaged_weights_are_refused_before_anything_is_enqueued(
    nightlabel: Nightlabel, archive: Callable[[int], Path], settings: Settings, tmp_path: Path
) -> None:
    assert settings.weights_dir
    damaged = tmp_path / "damaged.pth"
    whole = bytearray((settings.weights_dir / "resnet18.pth").read_bytes())
    whole[len(whole) // 2] ^= 1
    damaged.write_bytes(whole)

    done = nightlabel("run", archive(1), "--weights", damaged)

    _is_one_sentence(done, 3, str(damaged), "damaged")
    assert not nightlabel.database.exists()


def test_weights_of_another_model_are_refused(
    nightlabel: Nightlabel, archive: Callable[[int], Path], settings: Settings
) -> None:
    assert settings.weights_dir
    done = nightlabel("run", archive(1), "--weights", settings.weights_dir / "mobilenet_v2.pth")

    _is_one_sentence(done, 3, "mobilenet_v2.pth", "does not fit resnet18")


def test_an_unknown_model_is_refused_with_near_ones(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> None:
    _is_one_sentence(nightlabel("run", archive(1), "--model", "resnet19"), 3, "resnet19", "Did you mean resnet1")


@pytest.mark.parametrize(
    ("variable", "value", "status"),
    [
        ("NIGHTLABEL_BROKER_URL", "amqp://localhost", 2),
        ("NIGHTLABEL_BROKER_URL", "redis://:secret@localhost:1/0", 4),
        ("NIGHTLABEL_DATABASE_URL", "mysql://localhost/photos", 2),
        ("NIGHTLABEL_DATABASE_URL", "postgresql://ada:secret@localhost:1/photos", 5),
        ("NIGHTLABEL_DATABASE_URL", "/no/such/folder/night.db", 5),
        ("NIGHTLABEL_WORKERS", "many", 2),
        ("NIGHTLABEL_PRECISION", "fp64", 2),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_without_its_password(
    nightlabel: Nightlabel, archive: Callable[[int], Path], variable: str, value: str, status: int
) -> None:
    done = nightlabel("run", archive(1), **{variable: value})

    _is_one_sentence(done, status)
    assert variable in done.stderr
    assert "secret" not in done.stderr


def test_a_database_of_a_newer_version_is_refused(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> None:
    nightlabel("run", archive(1))
    connection = sqlite3.connect(nightlabel.database)
    connection.execute("update alembic_version set version_num = '9999'")
    connection.commit()
    connection.close()

    for command in (("run", archive(1)), ("report",), ("db", "upgrade")):
        _is_one_sentence(nightlabel(*command), 5, "newer nightlabel", "9999")


def test_a_report_of_a_database_that_is_not_there_makes_none(nightlabel: Nightlabel) -> None:
    _is_one_sentence(nightlabel("report", "--db", "nigthlabel.db"), 5, "no database nigthlabel.db")
    assert not (nightlabel.folder / "nigthlabel.db").exists()


def test_a_file_that_is_no_database_is_named(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> None:
    nightlabel.database.write_text("This is not a database. " * 100)

    _is_one_sentence(nightlabel("run", archive(1)), 5, "nightlabel.db", "not a database")


def test_a_full_disk_ends_the_run_and_loses_nothing(
    nightlabel: Nightlabel, archive: Callable[[int], Path], tmp_path: Path
) -> None:
    """A disk with no room left ends the run with a sentence; with room again, the same command goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or _mount("-t", "tmpfs", "-o", "size=1m", "none", disk):
        missing("only root can mount a small disk")
    try:
        (disk / "filler").write_bytes(bytes(400_000))
        folder = archive(300)
        done = nightlabel("run", folder, "--db", disk / "night.db")

        _is_one_sentence(done, 5, "night.db", "Free some space")

        (disk / "filler").unlink()
        _mount("-o", "remount,size=64m", disk)
        again = nightlabel("run", folder, "--db", disk / "night.db")

        assert again.returncode == 0, again.stderr
        nightlabel.database = disk / "night.db"
        assert nightlabel.sql("select count(*), count(distinct path) from results") == [(300, 300)]
    finally:
        subprocess.run(["umount", disk], check=True)


def _mount(*arguments: object) -> int:
    return subprocess.run(["mount", *map(str, arguments)], check=False, stderr=subprocess.DEVNULL).returncode


def test_no_workers_and_no_broker_is_refused(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> None:
    done = nightlabel("run", archive(1), "--workers", 0)

    assert done.returncode == 2
    assert "NIGHTLABEL_BROKER_URL" in done.stderr


def test_a_cache_that_cannot_be_written_to_is_named(
    nightlabel: Nightlabel, archive: Callable[[int], Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")

    done = nightlabel("run", archive(1), NIGHTLABEL_CACHE_DIR=str(tmp_path / "file" / "cache"))

    assert done.returncode == 3
    assert "NIGHTLABEL_CACHE_DIR" in done.stderr or str(tmp_path / "file") in done.stderr
    assert "Traceback" not in done.stderr
