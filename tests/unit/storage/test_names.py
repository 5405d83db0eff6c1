"""The database is the file that was named, whatever characters its name has."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from common.errors import UsageError
from common.settings import as_environment, load_settings
from storage.database import Database
from storage.schema_version import check_schema, ensure_schema

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [
    *("Who is this?/labels.db", "a#b.db", "a%41.db", "a b.db", "file:x.db", "./a://b.db", "a&mode=ro.db", "a;b.db"),
    *("./:memory:", "-x.db", "'o\"brien'.db", "labels.db\n", "\n.db", "a\\b.db", "été/犬.db", "./~x.db", "$HOME.db"),
    *("a@b:c@d/labels.db", "x=password.db", "./host=nas password=x.db", "[a](b)*{c}.db", "Z:.db", "`id`.db", " .db "),
    *("x?vfs=unix-none", "\x1b[31m.db", "sub/../labels.db", "./postgresql:x@y.db", "%s%d{}.db", "link/../beyond.db"),
    *(os.fsdecode(b"\xff\xfe.db"), os.fsdecode(b"caf\xe9?#/%ff.db")),
]


def files_in(folder: Path) -> set[str]:
    return {
        os.path.relpath(os.path.join(where, name), folder)
        for where, _, names in os.walk(folder)
        for name in names
        if not name.endswith(("-wal", "-shm"))
    }


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder, with a link in it that leads elsewhere."""
    home = tmp_path / "home"
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    home.mkdir()
    (home / "link").symlink_to(tmp_path / "elsewhere" / "deep")
    monkeypatch.chdir(home)
    return home


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_database_is_exactly_the_file_that_was_named(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    file = os.path.relpath(os.path.realpath(name), tmp_path)
    settings = load_settings(database_url=name)
    with closing(Database(settings.database_url)) as database:
        assert database.is_missing
        ensure_schema(database)
    assert files_in(tmp_path) == {file}

    for variable, value in as_environment(settings).items():  # as the workers get it
        monkeypatch.setenv(variable, value)
    with closing(Database(load_settings().database_url)) as database:
        check_schema(database)
    assert files_in(tmp_path) == {file}


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_database_is_shown_by_the_name_that_was_typed(home: Path, name: str) -> None:
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    with closing(Database(load_settings(database_url=name).database_url)) as database:
        assert database.shown == os.fsencode(name).decode(errors="backslashreplace")


@pytest.mark.parametrize("name", [*NAMES, "/tmp/x.db", "~/x.db"], ids=ascii)  # noqa: S108 - nothing is made there
def test_a_shell_gives_sqlite3_the_same_file(home: Path, name: str) -> None:
    os.makedirs(os.path.dirname(os.path.expanduser(name)) or ".", exist_ok=True)
    with closing(Database(load_settings(database_url=name).database_url)) as database:
        word = database.shell_word
    given = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True).stdout
    assert os.path.abspath(os.fsdecode(given)) == os.path.abspath(os.path.expanduser(name))
    assert not given.startswith((b"-", b"file:", b":")), "sqlite3 takes these for an option, a URL, or no file"


@pytest.mark.parametrize(
    "name",
    [
        *("", ":memory:", ".", "..", "labels.db/", "nowhere://labels.db", "~nobody-has-this/x.db", "sqlite://", "~"),
        *("host=nas user=anna", " dbname = photos", "postgresql:/anna@nas/photos", "anna:x@nas/photos", "a\0b.db"),
    ],
)
def test_a_name_that_is_no_file_is_refused_by_the_name_of_its_setting(home: Path, name: str) -> None:
    with pytest.raises(UsageError, match="NIGHTLABEL_DATABASE_URL"):
        load_settings(database_url=name)


@pytest.mark.parametrize("text", ["host=nas password={}", "anna:{}@nas/photos", "postgresql:/anna:{}@nas/photos"])
def test_a_server_that_is_not_named_by_a_url_is_told_how_without_its_password(home: Path, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(database_url=text.format("s3cr3t"))
    assert "postgresql://USER@HOST/NAME" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_a_relative_url_is_a_file_in_the_current_folder(home: Path) -> None:
    with closing(Database(load_settings(database_url="sqlite:///sub%3F.db").database_url)) as database:
        ensure_schema(database)
    assert files_in(home) == {"sub?.db"}


def test_a_whole_path_needs_no_current_folder_and_a_name_without_one_is_said_to_be_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    with closing(Database(load_settings(database_url=str(tmp_path / "night.db")).database_url)) as database:
        ensure_schema(database)
    with pytest.raises(UsageError, match=r"^The current folder is no more, so night\.db is nowhere\. "):
        Database(load_settings(database_url="night.db").database_url)
