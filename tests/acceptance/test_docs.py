"""The documentation is true: every command, setting, status and query in it is held against the program."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer.main

from archive.failures import FailureKind
from common import errors
from common.errors import (
    INTERRUPTED_EXIT_STATUS,
    STOPPED_EXIT_STATUS,
    TRY_AGAIN_EXIT_STATUS,
    NightlabelError,
)
from common.settings import Settings
from nightlabel.cli import app
from report.run.figures import run_figures
from report.run.json_report import as_json
from storage.chunk_claims import claim
from storage.documented_queries import DOCUMENTED_QUERIES
from storage.identity import database_identity
from storage.manifest import add_images, mark_published
from storage.records import ImageRef, Model, Outcome, Preprocessing, WorkerSample
from storage.runs import open_run
from tests.conftest import ROOT
from tests.unit.storage.nights import store_with_sample

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from storage.database import Database

COMMANDS = (ROOT / "docs" / "commands.md").read_text()
README = (ROOT / "README.md").read_text()
QUERY_PAGE = (ROOT / "docs" / "sql.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

MODEL = Model(
    architecture="resnet18",
    recipe="IMAGENET1K_V1",
    weights="0" * 64,
    precision="fp32",
    preprocessing=Preprocessing(
        resize_size=256, crop_size=224, interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)
    ),
)


def _commands() -> list[str]:
    """Return every command as it is typed: `run`, `models`, `models prepare`, …"""
    found = []

    def collect(command: object, path: str) -> None:
        inner = getattr(command, "commands", {})
        if path and (not inner or getattr(command, "invoke_without_command", False)):
            found.append(path)
        for name, other in inner.items():
            collect(other, f"{path} {name}".strip())

    collect(typer.main.get_command(app), "")
    return found


@pytest.mark.parametrize("command", _commands())
def test_every_command_is_documented_and_has_an_example(command: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "nightlabel", *command.split(), "--help"], capture_output=True, text=True, check=True
    )

    assert f"`nightlabel {command}" in COMMANDS
    assert re.search(rf"Example:.*nightlabel {command}", shown.stdout)


def test_every_command_in_the_documentation_exists() -> None:
    documented = {match[1] for match in re.finditer(r"^\| `nightlabel ((?:[a-z]+ ?)+)", COMMANDS, re.MULTILINE)}

    assert {name.strip() for name in documented} == set(_commands())


def test_the_settings_in_the_documentation_are_the_programs() -> None:
    documented = set(re.findall(r"^\| `NIGHTLABEL_(\w+)` \|", COMMANDS, re.MULTILINE))

    assert documented == {name.upper() for name in Settings.model_fields}


def test_every_option_in_the_settings_table_exists() -> None:
    table = re.findall(r"^\| `NIGHTLABEL_\w+` \| (.*?) \|", COMMANDS, re.MULTILINE)
    documented = {option for cell in table for option in re.findall(r"`(--[\w-]+)`", cell)}
    group = typer.main.get_command(app)
    known = {
        option
        for command in group.commands.values()  # type: ignore[attr-defined]  # a group has them
        for parameter in command.params
        for option in parameter.opts
    }

    assert documented <= known


def test_every_exit_status_is_documented() -> None:
    used = {
        error.exit_status
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, NightlabelError)
    }

    documented = {int(status) for status in re.findall(r"^\| (\d+) \|", COMMANDS, re.MULTILINE)}

    assert documented == used | {0, INTERRUPTED_EXIT_STATUS, STOPPED_EXIT_STATUS, TRY_AGAIN_EXIT_STATUS}


def test_every_kind_of_failure_is_documented() -> None:
    formats = (ROOT / "docs" / "formats.md").read_text()
    kinds = formats[formats.index("## Why an image fails") :]
    documented = re.findall(r"^\| `(\w+)` \|", kinds, re.MULTILINE)

    assert documented == list(FailureKind)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text())

    for path, anchor in links:
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in _anchors(target), f"{path}#{anchor}"


def _anchors(page: Path) -> set[str]:
    """Return what links to the headings of a page end with, as GitHub makes it of them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_file_in_the_glossary_exists() -> None:
    rows = re.findall(r"^\| .+ \| `([^`|]+)` \|$", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)

    assert rows
    assert not [path for path in rows if not (ROOT / path).exists()]


def test_every_test_that_the_documentation_names_exists() -> None:
    named = {name for page in PAGES for name in re.findall(r"`(test_\w+)`", page.read_text())}

    assert named <= {path.stem for path in (ROOT / "tests").rglob("test_*.py")}


#: Of the first three images of the database in these tests.
LABELS = (
    (("golden retriever", 0.7), ("tabby", 0.25), ("tiger cat", 0.05)),
    (("golden retriever", 0.9), ("tabby", 0.06), ("tiger cat", 0.01)),
    (("tabby", 0.6), ("Egyptian cat", 0.15), ("lynx", 0.1)),
)
THINGS = ((("dog", 0.7), ("cat", 0.3)), (("dog", 0.92), ("cat", 0.08)), (("cat", 0.8), ("lynx", 0.1)))


@pytest.fixture
def night(database: Database) -> Database:
    """A database with the labels of three images, and one that failed, on SQLite and on Postgres."""
    run, _ = open_run(database, MODEL, engine="openvino", roots=["/photos"], filters={})
    refs = [ImageRef(f"/photos/{number}.jpg", 1, 1) for number in range(4)]
    add_images(database, run, refs, chunk_size=64, relabel=False)
    (chunk,) = mark_published(database, run.id, 1)
    claimed = claim(database, database_identity(database), chunk.id, chunk.attempt, "host-1/1")
    assert claimed
    *labelled, failed = claimed.images
    outcomes = [
        Outcome(image_id=image.image_id, labels=labels, kind=things[0][0], things=things, read_ms=1.0)
        for image, labels, things in zip(labelled, LABELS, THINGS, strict=True)
    ]
    outcomes.append(Outcome(image_id=failed.image_id, error_kind="truncated", error="it is truncated"))
    now: datetime = claimed.started_at
    sample = WorkerSample(name="host-1/1", host="host", pid=1, started_at=now, rss_bytes=1, peak_rss_bytes=1)
    store_with_sample(database, claimed, outcomes, sample)
    return database


#: What the queries in the README answer on that database, by the comment above each.
ANSWERS = {
    "every golden retriever, best score first": [("/photos/1.jpg", 0.9), ("/photos/0.jpg", 0.7)],
    "what is in the archive": [("golden retriever", 2), ("tabby", 1)],
    "every cat, of whatever breed": [("/photos/2.jpg", 0.8)],
    "what there is, in German": [("Golden Retriever", 2), ("Getigerte Katze", 1)],
}
QUERIES = dict(re.findall(r"^-- (.+?)\n(select .*?;)", README, re.MULTILINE | re.DOTALL))


def test_every_query_in_the_readme_is_asked_here() -> None:
    assert list(QUERIES.values()) == re.findall(r"^select .*?;", README, re.MULTILINE | re.DOTALL)
    assert set(QUERIES) == set(ANSWERS)


def test_the_page_offers_the_documented_queries_word_for_word() -> None:
    of_topic = re.split(r"^## ", QUERY_PAGE, flags=re.MULTILINE)[1:]
    documented = [("To begin with", f"{title[0].upper()}{title[1:]}", sql) for title, sql in QUERIES.items()]
    for section in of_topic:
        found = re.findall(r"^(\S[^\n]*):\n\n```sql\n(.*?)\n```", section, re.MULTILINE | re.DOTALL)
        documented += [(section.partition("\n")[0], title, sql) for title, sql in found]
    offered = [(topic, query.title, query.sql) for topic, queries in DOCUMENTED_QUERIES.items() for query in queries]
    assert offered == documented
    assert len(documented) == QUERY_PAGE.count("```sql") + len(QUERIES)


@pytest.mark.parametrize("question", ANSWERS)
def test_the_queries_in_the_readme_answer_what_they_are_said_to(night: Database, question: str) -> None:
    with night.read() as connection:
        found = [tuple(row) for row in connection.exec_driver_sql(QUERIES[question])]
    assert (found if "order by" in QUERIES[question] else sorted(found)) == ANSWERS[question]


def test_the_columns_in_the_readme_are_there(night: Database) -> None:
    sentence = README[README.index("`results` has one row") : README.index("`labels` has one row")]
    named = set(re.findall(r"`(\w+)`", sentence)) - {"results"}

    with night.read() as connection:
        columns = set(connection.exec_driver_sql("select * from results").keys())

    assert named <= columns


def test_the_keys_of_the_json_report_are_documented(night: Database) -> None:
    from storage.runs import newest_run

    run = newest_run(night)
    assert run
    documented = set(re.findall(r"^\| `(\w+)` \|", COMMANDS[COMMANDS.index("## The report as JSON") :], re.MULTILINE))

    assert documented == set(as_json(run_figures(night, run)))


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_file_that_developers_are_sent_to_exists(page: str) -> None:
    named = re.findall(r"`((?:\w+/)+(?:\w+\.\w+)?)`", (ROOT / page).read_text())
    from_root = [name for name in named if (ROOT / name.partition("/")[0]).is_dir()]
    assert from_root
    assert [name for name in from_root if not (ROOT / name).exists()] == []


def test_every_step_of_the_journey_is_a_function_that_exists() -> None:
    """Each name behind a file in the table is defined in one of the row's files."""
    steps = re.findall(r"^\| \d+ \| .*? \| (.*) \|$", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    assert len(steps) > 10
    for step in steps:
        files = [ROOT / name for name in re.findall(r"`([\w/]+\.py)`", step)]
        defined = "\n".join(file.read_text() for file in files)
        for name in re.findall(r"`([A-Za-z_.]+)`", re.sub(r"`[\w/]+\.py`", "", step)):
            *owner, function = name.split(".")
            assert re.search(rf"(?:def|class) {function}\b", defined), name
            assert not owner or f"class {owner[0]}" in defined
