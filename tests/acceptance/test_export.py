"""`nightlabel export`: other programs read what the tables hold, whole or not at all; and it is never all in memory."""

from __future__ import annotations

import csv
import json
import os
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text

from storage.database import Database
from storage.export import COLUMNS
from storage.records import ImageRef
from storage.schema_version import ensure_schema
from storage.tables import images, outcomes
from tests.conftest import missing
from tests.unit.report.long_night import Faults, plant_long
from tests.unit.storage.nights import add, begin_run, label_all, published_chunk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.command import Nightlabel

NAMES = (
    'a, "b" and c.jpg',
    "two\nlines.jpg",
    "carriage\rreturn.jpg",
    "line\u2028separator.jpg",
    "caf\udce9.jpg",  # in Latin 1
    "снимок 📷.jpg",
)
#: Columns that outcomes have under the same name.
OF_OUTCOMES = (
    *("status", "label_1", "score_1", "label_2", "score_2", "error_kind", "error", "width", "height", "content"),
    *("queue_ms", "read_ms", "decode_ms", "infer_ms", "total_ms", "worker", "run_id", "labelled_at"),
)
#: Holds for every row up to one near the end, of which the database can make nothing. On SQLite and Postgres.
FAILS_LATE = (
    "abs(case when path like '%/24000.jpg' and status = 'ok' and model = 'resnet18'"
    " then cast('-9223372036854775808' as bigint) else 1 end) = 1"
)
PLANT = """
WITH RECURSIVE n(i) AS (SELECT CAST(1001 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < :last)
INSERT INTO images (id, path, path_hex, size, mtime_ns)
SELECT i, '/rows/' || i || '.jpg', '', 3000000, 1700000000000000000 FROM n;

WITH RECURSIVE n(i) AS (SELECT CAST(1001 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < :last)
INSERT INTO outcomes (image_id, model_id, run_id, chunk_id, status,
                      label_1, score_1, label_2, score_2, label_3, score_3, width, height, size, mtime_ns, content,
                      queue_ms, read_ms, decode_ms, infer_ms, total_ms, worker, labelled_at)
SELECT i, :model, :run, :chunk, 'ok', 'label ' || (i % 1000), (i % 997) / 997.0, 'label ' || (i % 7), 0.1,
       'label ' || (i % 3), 0.05, i, 3000, 3000000, 1700000000000000000, '0123456789abcdef0123456789abcdef',
       1000.0, 1.0, 3.0, 5.0, 9.0, 'host-1/1', '2025-01-01 22:00:00.000000' FROM n
"""
#: Runs a command and prints the most memory that it held. A child begins with its parent's peak, which is small here.
MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.fixture
def night(database: Database) -> Database:
    """A database with a night in which a folder failed, and with names that no format has an easy time with."""
    plant_night(database)
    return database


@pytest.fixture
def own_night(nightlabel: Nightlabel) -> Nightlabel:
    """The same in the database that the command takes by itself."""
    database = Database(f"sqlite:///{nightlabel.database}")
    ensure_schema(database)
    plant_night(database)
    database.close()
    return nightlabel


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds nothing but what is exported."""
    path = tmp_path / "exported"
    path.mkdir()
    return path


def plant_night(database: Database) -> None:
    run = begin_run(database, root="/names")
    add(database, run, [ImageRef(f"/names/{name}", 1000, 1_700_000_000_123_456_789) for name in NAMES])
    label_all(database, run, failing={f"/names/{NAMES[1]}"})
    plant_long(database, hours=0.01, faults=Faults(failing_folder=True))


def plant_rows(database: Database, rows: int) -> None:
    """Plant so many labelled images, as far as `results` shows them. Their width is their number, from 1001 on."""
    run = begin_run(database, root="/rows")
    chunk = published_chunk(database, run, 1)
    values = {"last": 1000 + rows, "run": run.id, "model": run.model_id, "chunk": chunk.id}
    with database.write() as connection:
        if not database.is_sqlite:  # each row's foreign keys cost more than the row
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in PLANT.split(";"):
            named = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement), named)


def stored(database: Database) -> dict[str, dict[str, Any]]:
    """Return what the tables hold of each image, by its path."""
    columns = (images.c.path, *(outcomes.c[name] for name in OF_OUTCOMES))
    query = select(*columns).join_from(outcomes, images, images.c.id == outcomes.c.image_id)
    with database.read() as connection:
        return {row.path: dict(row._mapping) for row in connection.execute(query)}


def exported(file: Path, form: str) -> list[dict[str, Any]]:
    """Read a file as another program would."""
    return {"csv": _from_csv, "jsonl": _from_jsonl, "parquet": _from_parquet}[form](file)


def _from_csv(file: Path) -> list[dict[str, Any]]:
    read: dict[type, Callable[[str], Any]] = {str: str, int: int, float: float, datetime: datetime.fromisoformat}
    with file.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines, strict=True)
        assert rows.fieldnames == list(COLUMNS)
        return [{name: read[COLUMNS[name]](value) if value else None for name, value in row.items()} for row in rows]


def _from_jsonl(file: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in file.read_bytes().splitlines()]
    for row in rows:
        assert list(row) == list(COLUMNS)
        for name, kind in COLUMNS.items():
            if kind is datetime and row[name] is not None:
                row[name] = datetime.fromisoformat(row[name])
    return rows


def _from_parquet(file: Path) -> list[dict[str, Any]]:
    from pyarrow import parquet

    table = parquet.read_table(file)
    assert table.column_names == list(COLUMNS)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_file_holds_what_the_tables_hold(
    nightlabel: Nightlabel, night: Database, database_url: str, folder: Path, form: str
) -> None:
    """Every row once, with every type, whatever is in a name; and instants in UTC."""
    if form == "parquet" and find_spec("pyarrow") is None:
        missing("no pyarrow")
    done = nightlabel("export", "--db", database_url, "--format", form, "--output", folder / "night")
    assert done.returncode == 0, done.stderr

    rows = exported(folder / "night", form)
    expected = stored(night)

    assert done.stderr == f"{len(expected):,} rows.\n"
    assert len(rows) == len(expected)
    assert {row["path"]: {name: row[name] for name in ("path", *OF_OUTCOMES)} for row in rows} == expected
    assert {row["status"] for row in rows} == {"ok", "failed"}
    for row in rows:
        assert all(value is None or type(value) is COLUMNS[name] for name, value in row.items())
        assert all(row[name].utcoffset() == timedelta(0) for name in ("labelled_at", "modified_at"))
    assert {row["modified_at"].replace(microsecond=0) for row in rows} == {datetime.fromtimestamp(1_700_000_000, UTC)}


def test_standard_output_is_the_same_as_a_file(own_night: Nightlabel, folder: Path) -> None:
    done = own_night("export", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    assert own_night("export", "--format", "jsonl", "--output", folder / "night.jsonl").returncode == 0

    assert done.stdout == (folder / "night.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("where", "chosen"),
    [
        ("status = 'failed' and error_kind = 'damaged'", lambda row: row["status"] == "failed"),
        ("path like '%/2/%' or score_1 = 0.75", lambda row: "/2/" in row["path"] or row["score_1"] == 0.75),
        ("1 = 0", lambda _: False),
    ],
)
def test_a_condition_chooses_rows(
    nightlabel: Nightlabel, night: Database, database_url: str, folder: Path, where: str, chosen: Any
) -> None:
    done = nightlabel("export", "--db", database_url, "--where", where, "--output", folder / "night.csv")
    assert done.returncode == 0, done.stderr

    expected = {path for path, row in stored(night).items() if chosen(row)}
    assert {row["path"] for row in exported(folder / "night.csv", "csv")} == expected
    assert done.stderr == f"{len(expected):,} rows.\n"


@pytest.mark.parametrize(
    ("where", "words"),
    [("lable_1 = 'tabby'", "lable_1"), ("status =", "syntax error"), ("status = '\udce9'", "it is not UTF-8")],
)
def test_a_condition_that_makes_no_sense_is_refused_before_anything_is_written(
    nightlabel: Nightlabel, night: Database, database_url: str, where: str, words: str
) -> None:
    done = nightlabel("export", "--db", database_url, "--where", where)

    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"nightlabel: The condition {where!r} cannot be used: ")
    assert words in done.stderr
    assert "The columns are: path, model, " in done.stderr
    assert not done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "xml"], "There is no format 'xml': choose one of csv, jsonl, parquet."),
        (["--format", "parquet"], "Parquet is no text: name a file with --output."),
        (["--output", "/missing/night.csv"], "/missing/night.csv cannot be written: No such file or directory."),
        (["--output", "."], ". cannot be written: Is a directory."),
    ],
)
def test_what_makes_no_sense_is_said(own_night: Nightlabel, arguments: list[str], words: str) -> None:
    done = own_night("export", *arguments)

    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"nightlabel: {words}\n")


def test_a_full_disk_behind_standard_output_is_said(own_night: Nightlabel) -> None:
    done = _in_a_shell(own_night, "{} > /dev/full")

    assert done.returncode == 2
    assert done.stderr == "nightlabel: Standard output cannot be written: No space left on device.\n"


def test_a_failure_in_mid_stream_leaves_the_older_file_alone(
    nightlabel: Nightlabel, database: Database, database_url: str, folder: Path
) -> None:
    plant_rows(database, 25_000)
    (folder / "night.csv").write_text("older")
    command = ("export", "--db", database_url, "--where", FAILS_LATE)

    broken = nightlabel(*command)
    done = nightlabel(*command, "--output", folder / "night.csv")

    assert broken.stdout.count("\n") > 10_000  # so it had begun to write
    assert done.returncode == broken.returncode == 2, done.stderr
    assert "out of range" in done.stderr or "overflow" in done.stderr
    assert (folder / "night.csv").read_text() == "older"
    assert os.listdir(folder) == ["night.csv"]


@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_reader_that_has_had_enough_is_no_failure(
    nightlabel: Nightlabel, database: Database, database_url: str, reader: str
) -> None:
    """Neither in mid-stream nor with what is left at the end; and nothing is said of it."""
    plant_rows(database, 5000)

    done = _in_a_shell(nightlabel, f"set -o pipefail; {{}} | {reader}", "--db", database_url)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("" if reader == "true" else ",".join(COLUMNS) + "\n")


def test_a_reader_that_has_had_enough_of_what_is_said_is_no_failure(own_night: Nightlabel) -> None:
    done = _in_a_shell(own_night, "set -o pipefail; {} 2>&1 | true", "--output", "night.csv")

    assert (done.returncode, done.stderr) == (0, "")


def test_six_times_the_rows_take_no_more_memory(
    nightlabel: Nightlabel, database: Database, database_url: str, folder: Path
) -> None:
    """Two pages of rows or twelve; a hundred thousand rows at once would be far above a hundred megabytes."""
    plant_rows(database, 120_000)

    few = _peak_mb(nightlabel, "--db", database_url, "--where", "width <= 21000", "--output", str(folder / "few.csv"))
    many = _peak_mb(nightlabel, "--db", database_url, "--output", str(folder / "many.csv"))

    assert [_lines(folder / name) for name in ("few.csv", "many.csv")] == [20_001, 120_001]
    assert many - few < 40


def _in_a_shell(nightlabel: Nightlabel, line: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which {} stands for the export."""
    return subprocess.run(
        ["bash", "-c", line.format(shlex.join(_command(*options)))],
        cwd=nightlabel.folder,
        env=nightlabel.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _peak_mb(nightlabel: Nightlabel, *options: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *_command(*options)],
        cwd=nightlabel.folder,
        env=nightlabel.environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024) / 1e6


def _command(*options: str) -> list[str]:
    return [sys.executable, "-P", "-m", "nightlabel", "export", *options]


def _lines(file: Path) -> int:
    with file.open("rb") as lines:
        return sum(1 for _ in lines)
