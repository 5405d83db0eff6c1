"""Failures by kind, by folder and page by page, held against plain Python; and what monitoring asks of the tables."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from common.errors import QueryTimeoutError
from common.settings import load_settings
from storage.database import Database
from storage.failures import FailedImage, FailureFilter, failing_folders, failure_page, failure_sums
from storage.measures import measure
from storage.outcomes import Stored
from storage.records import ImageRef, shown
from storage.runs import mark_scanned
from storage.schema_version import ensure_schema
from tests.conftest import open_empty
from tests.unit.storage.nights import (
    MODEL,
    add,
    ask,
    begin,
    begin_run,
    failure,
    photos,
    sample,
    store_with_sample,
    success,
    take,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from storage.records import Model

OTHER = replace(MODEL, architecture="mobilenet_v2")
#: A folder whose name is no UTF-8, as `os` gives it.
LATIN = os.fsdecode(b"/a/caf\xe9")
#: Of each path, why it fails; None: it does not.
FIRST = {
    "/a/1.jpg": "damaged",
    "/a/2.jpg": None,
    "/a/b/3.jpg": "truncated",
    "/a/b/4.jpg": "truncated",
    "/a/b/c/5.jpg": "unreadable",
    "/a/bc/6.jpg": "truncated",
    "/a/b%/7.jpg": "damaged",
    f"{LATIN}/8.jpg": "truncated",
    "/a/x.zip!/9.jpg": "not_an_image",
    "/a/repaired.jpg": "unreadable",
}
SECOND = {"/a/1.jpg": "damaged", "/a/b/3.jpg": "poison", "/a/b/4.jpg": None, f"{LATIN}/8.jpg": "truncated"}
ALL_S = 60.0


def label(database: Database, night: Mapping[str, str | None], model: Model = MODEL) -> int:
    """Have a run label these images, of which some fail; return its id."""
    run = begin_run(database, model, root="/a")
    add(database, run, [ImageRef(path, 1000, 1) for path in night], relabel=True)
    for chunk in take(database, run):
        claimed = begin(database, chunk)
        results = [
            failure(image.image_id, kind, size=1000, mtime_ns=1)
            if (kind := night[image.path])
            else success(image.image_id, size=1000, mtime_ns=1)
            for image in claimed.images
        ]
        assert store_with_sample(database, claimed, results, sample()) is Stored.DONE
    mark_scanned(database, run.id, skipped=0, ignored=0)
    return run.id


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def night(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """What two models could not label; the third run repaired an image of the first. It is only read."""
    with open_empty(request, tmp_path_factory.mktemp("failures")) as database:
        assert (label(database, FIRST), label(database, SECOND, OTHER)) == (1, 2)
        assert label(database, {"/a/repaired.jpg": None}) == 3
        yield database


def brute_force(database: Database, chosen: FailureFilter) -> list[FailedImage]:
    rows = ask(
        database,
        "select image_id, model_id, path, error_kind, error, architecture, run_id from outcomes"
        " join images on images.id = image_id join models on models.id = model_id"
        " where status = 'failed' order by image_id, model_id",
    )
    folder = shown(chosen.folder).rstrip("/") + "/" if chosen.folder is not None else ""
    return [
        one
        for one in map(FailedImage._make, rows)
        if chosen.kind in (None, one.kind)
        and chosen.run_id in (None, one.run_id)
        and chosen.model in (None, one.model)
        and one.path.startswith(folder)
    ]


CHOSEN = [
    FailureFilter(),
    FailureFilter(kind="truncated"),
    FailureFilter(run_id=1),
    FailureFilter(run_id=3),
    FailureFilter(folder="/a/b"),
    FailureFilter(folder="/a/b%/"),
    FailureFilter(folder=LATIN),
    FailureFilter(folder="/a/x.zip!"),
    FailureFilter(folder="/"),
    FailureFilter(model="mobilenet_v2"),
    FailureFilter(kind="damaged", run_id=1, folder="/a", model="resnet18"),
    FailureFilter(kind="timeout"),
]


@pytest.mark.parametrize("chosen", CHOSEN)
def test_kinds_are_counted_with_the_first_image_of_each(night: Database, chosen: FailureFilter) -> None:
    failed = brute_force(night, chosen)
    counts = Counter(one.kind for one in failed)
    first = {one.kind: one for one in reversed(failed)}
    assert failure_sums(night, chosen, time_limit_s=ALL_S) == [
        (kind, images, first[kind].image_id, first[kind].path, first[kind].error)
        for kind, images in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    ]


@pytest.mark.parametrize("chosen", CHOSEN)
def test_folders_are_counted_by_themselves_and_not_with_those_below(night: Database, chosen: FailureFilter) -> None:
    counts = Counter(posixpath.dirname(one.path) for one in brute_force(night, chosen))
    wanted = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    assert failing_folders(night, chosen, 100, time_limit_s=ALL_S) == wanted
    assert failing_folders(night, chosen, 2) == wanted[:2]


@pytest.mark.parametrize("chosen", CHOSEN)
def test_pages_hold_each_failure_once_also_where_two_models_failed(night: Database, chosen: FailureFilter) -> None:
    wanted = brute_force(night, chosen)
    for size in (1, 2, 100):
        found, after = [], None
        while page := failure_page(night, chosen, size, after, time_limit_s=ALL_S):
            assert len(page) <= size
            found += page
            after = page[-1].image_id, page[-1].model_id
        assert found == wanted


def test_what_a_later_run_repaired_is_no_failure_any_more(night: Database) -> None:
    assert "/a/repaired.jpg" not in {one.path for one in failure_page(night, FailureFilter(), 100)}


def test_a_query_that_takes_too_long_is_stopped(night: Database) -> None:
    for count in (failure_sums, partial(failing_folders, count=10), partial(failure_page, count=10)):
        with pytest.raises(QueryTimeoutError):
            count(night, FailureFilter(), time_limit_s=-1.0)


def test_measures_are_those_of_the_unfinished_runs_and_of_the_newest(database: Database) -> None:
    waiting = begin_run(database, OTHER, root="/b")
    add(database, waiting, photos(3))
    label(database, FIRST)

    found = measure(database, timedelta(minutes=1), timedelta(minutes=10), time_limit_s=ALL_S)
    assert found.unfinished == 1
    assert [(one.run.id, one.progress.images, one.progress.ok, one.pace.images) for one in found.runs] == [
        (1, 3, 0, 0),
        (2, len(FIRST), 1, len(FIRST)),
    ]
    assert found.failures == Counter(kind for kind in FIRST.values() if kind)
    assert found.newest_outcome_at
    assert abs(found.now - found.newest_outcome_at) < timedelta(minutes=1)
    assert [one.name for one in found.workers] == ["host-1/1"]


def test_measuring_goes_through_no_table_of_images(tmp_path_factory: pytest.TempPathFactory) -> None:
    """As SQLite plans it: chunks of a run, and indexes that are small or are looked at from one end."""
    url = load_settings(database_url=str(tmp_path_factory.mktemp("plans") / "night.db")).database_url
    with closing(Database(url)) as database:
        ensure_schema(database)
        label(database, FIRST)
        statements = []
        with database.read() as connection:
            engine = connection.engine

        def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
            statements.append((statement, parameters))

        event.listen(engine, "before_cursor_execute", note)
        measure(database, timedelta(minutes=1), timedelta(minutes=10), time_limit_s=ALL_S)
        event.remove(engine, "before_cursor_execute", note)
        with database.read() as connection:
            plan = [
                row[-1]
                for statement, parameters in statements
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]
    walked = [step for step in plan if step.startswith("SCAN") and " INDEX " not in step]
    assert {step.split()[1] for step in walked} <= {"runs", "workers", "models"}
    assert any("outcomes_failed" in step for step in plan)
    assert any("SEARCH outcomes USING COVERING INDEX outcomes_by_time" in step for step in plan)
