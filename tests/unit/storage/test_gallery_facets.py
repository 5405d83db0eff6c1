"""A facet counts what the gallery would show with each of its values; what cannot be counted in time is not known."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import storage.gallery.counts
import storage.gallery.counts_of_all
import storage.gallery.narrowing
from storage.gallery.facets import FACETS, facets
from storage.gallery.filters import Filters, Sort
from tests.conftest import open_empty
from tests.unit.storage import gallery_archive as archive
from tests.unit.storage.nights import change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.database import Database

#: Long enough for all of them, on any machine.
ENOUGH = 60.0


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def night(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with open_empty(request, tmp_path_factory.mktemp("facets")) as database:
        archive.plant(database)
        archive.correct(database)
        yield database


def counted(database: Database, filters: Filters, name: str) -> dict[Any, int] | None:
    values = facets(database, filters, ENOUGH, ENOUGH, [name]).values[name]
    return None if values is None else dict(values)


def shown(database: Database, filters: Filters) -> int:
    return len(archive.expected(database, filters, Sort.PATH))


def with_value(filters: Filters, name: str, value: Any) -> Filters:
    """Return the filters with a facet's value in place of the own one."""
    match name:
        case "model" | "run":
            return replace(filters, **{f"{name}_id": value})
        case "warning":
            return replace(filters, has_warning=value)
        case "modified":
            span = datetime(int(value), 1, 1).astimezone(), datetime(int(value) + 1, 1, 1).astimezone()
            return replace(filters, modified_from=span[0], modified_until=span[1])
        case "labelled":
            start = datetime.strptime(value, "%Y-%m-%d").astimezone()
            return replace(filters, labelled_from=start, labelled_until=start.replace(hour=23, minute=59, second=59))
    return replace(filters, **{name: value})


def possible(database: Database, name: str) -> set[Any]:
    """Return all values that images have."""
    rows = archive.rows(database)
    values: dict[str, Any] = {
        "kind": archive.kind_of,
        "model": lambda row: row["model_id"],
        "run": lambda row: row["run_id"],
        "status": lambda row: row["status"],
        "error_kind": lambda row: row["error_kind"],
        "warning": lambda row: row["warning"] is not None,
        "corrected": lambda row: bool(row["words"]),
        "orientation": archive.orientation_of,
        "modified": lambda row: f"{datetime.fromtimestamp(row['modified_ns'] // 10**9, UTC).astimezone():%Y}",
        "labelled": lambda row: f"{row['labelled_at'].astimezone():%Y-%m-%d}",
    }
    return {values[name](row) for row in rows} - {None}


NAMES = (
    "all",
    "kind",
    "called",
    "folder",
    "model",
    "failed",
    "corrected",
    "portrait",
    "modified",
    "run of another model",
)


@pytest.mark.parametrize("few", [0, 10_000])
@pytest.mark.parametrize("name", NAMES)
def test_a_value_counts_what_choosing_it_shows(
    night: Database, monkeypatch: pytest.MonkeyPatch, name: str, few: int
) -> None:
    monkeypatch.setattr(storage.gallery.narrowing, "FEW", few)
    filters = archive.FILTERS[name]
    found = facets(night, filters, ENOUGH, ENOUGH)
    assert found.total == shown(night, filters)
    for facet in FACETS:
        if facet == "folder":
            continue
        wanted = {value: shown(night, with_value(filters, facet, value)) for value in possible(night, facet)}
        values = found.values[facet]
        assert values is not None
        assert dict(values) == {value: count for value, count in wanted.items() if count}, facet


def test_folders_are_those_right_below_the_filtered_one(night: Database) -> None:
    below_a = {f"/a/{name}": shown(night, Filters(folder=f"/a/{name}")) for name in ("b", "b%", "b_", "bc", "B")}
    assert counted(night, Filters(folder="/a"), "folder") == below_a
    assert counted(night, Filters(folder="/a/bc/"), "folder") == {"/a/bc/d": below_a["/a/bc"]}
    assert counted(night, Filters(folder="/a/bc/d"), "folder") == {}
    both = {folder: shown(night, Filters(folder=folder)) for folder in ("/a", "/c")}
    assert counted(night, Filters(), "folder") == both


@pytest.fixture
def of_one_model(database: Database) -> Database:
    """An archive that one model labelled, of which indexes know the counts; and no image among the folders."""
    archive.plant(database)
    for table, condition in {
        **dict.fromkeys(("image_things", "outcomes", "categories"), "model_id = 2"),
        "chunks": "id = 2",
        "runs": "id = 2",
        "models": "id = 2",
    }.items():
        change(database, f"delete from {table} where {condition}")
    return database


@pytest.mark.parametrize("corrected", [False, True])
def test_counts_of_a_whole_archive_are_those_of_its_images(
    of_one_model: Database, monkeypatch: pytest.MonkeyPatch, corrected: bool
) -> None:
    if corrected:
        archive.correct(of_one_model)
    monkeypatch.setattr(storage.gallery.counts, "spread", None)  # all of these are to be counted by indexes
    found = facets(of_one_model, Filters(), ENOUGH, ENOUGH, [name for name in FACETS if name != "folder"])
    assert found.total == archive.IMAGES
    for facet, values in found.values.items():
        wanted = {
            value: shown(of_one_model, with_value(Filters(), facet, value)) for value in possible(of_one_model, facet)
        }
        assert values is not None
        assert dict(values) == wanted, facet
    (bc,) = facets(of_one_model, Filters(folder="/a/bc"), ENOUGH, ENOUGH, ["folder"]).values["folder"] or [None]
    assert bc == ("/a/bc/d", shown(of_one_model, Filters(folder="/a/bc")))


@pytest.mark.parametrize("name", ["all", "kind", "class", "called", "failed", "warning", "run", "labelled", "folder"])
def test_totals_are_those_of_the_pages(of_one_model: Database, name: str) -> None:
    filters = archive.FILTERS[name]
    assert facets(of_one_model, filters, ENOUGH, ENOUGH, []).total == shown(of_one_model, filters)


def test_images_without_an_outcome_count_nowhere(of_one_model: Database) -> None:
    change(of_one_model, "delete from image_things where image_id = 5")
    change(of_one_model, "delete from outcomes where image_id = 5")
    for name in ("modified", "folder"):
        values = counted(of_one_model, Filters(), name)
        assert values is not None
        assert sum(values.values()) == archive.IMAGES - 1


def test_what_is_not_counted_in_time_is_not_known(night: Database) -> None:
    found = facets(night, Filters(), ENOUGH, 0.0)
    assert found.total is None
    assert set(found.values.values()) == {None}


def test_more_than_is_told_apart_in_time_is_not_known(night: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.gallery.counts, "_MOST_ROWS", archive.IMAGES - 1)
    assert counted(night, Filters(), "modified") is None
    assert counted(night, Filters(model_id=2), "modified") is not None


def test_the_most_frequent_come_first_and_the_newest_of_dates(night: Database) -> None:
    found = facets(night, Filters(), ENOUGH, ENOUGH).values
    kinds, days = found["kind"] or (), found["labelled"] or ()
    assert [value.images for value in kinds] == sorted((value.images for value in kinds), reverse=True)
    assert [value.value for value in days] == sorted((value.value for value in days), reverse=True)
    assert not Counter(value.value for value in kinds).most_common(1)[0][1] > 1
