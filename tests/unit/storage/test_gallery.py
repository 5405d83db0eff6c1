"""The gallery shows one row per image, of what the filters leave, in each order, page by page, in both directions."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import storage.gallery.narrowing
import storage.gallery.paging
from common.errors import QueryTimeoutError, UsageError
from storage.gallery.filters import Cursor, Filters, Sort
from storage.gallery.paging import Page, default_sort, neighbours, page, selection
from tests.conftest import open_empty
from tests.unit.storage import gallery_archive as archive
from tests.unit.storage.nights import change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.database import Database


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def night(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """An archive that two models labelled, and people corrected. It is only read."""
    with open_empty(request, tmp_path_factory.mktemp("gallery")) as database:
        archive.plant(database)
        archive.correct(database)
        yield database


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let queries take their time on a machine that is busy with other tests."""
    monkeypatch.setattr(storage.gallery.paging, "TIME_LIMIT_S", 60.0)


@pytest.fixture(params=["few", "many"])
def narrowed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have each filter leave few images, which are sorted, or many, which are met in the order's index."""
    monkeypatch.setattr(storage.gallery.narrowing, "FEW", 10_000 if request.param == "few" else 0)
    return str(request.param)


def pages(database: Database, filters: Filters, sort: Sort, limit: int) -> list[Page]:
    """Read all pages, each by the address that the one before it gives."""
    found = [page(database, filters, sort, None, limit)]
    while found[-1].next is not None:
        found.append(page(database, filters, sort, Cursor.parse(str(found[-1].next)), limit))
    return found


@pytest.mark.parametrize("name", archive.FILTERS)
def test_each_filter_in_each_order_page_by_page(night: Database, narrowed: str, name: str) -> None:
    filters = archive.FILTERS[name]
    for sort in Sort:
        if sort is Sort.SCORE and not filters.things:
            continue
        wanted = [row["image_id"] for row in archive.expected(night, filters, sort)]
        read = pages(night, filters, sort, 15)
        assert [image.image_id for one in read for image in one.images] == wanted, sort
        assert all(len(one.images) == 15 for one in read[:-1])

        back: list[int] = []
        cursor = read[-1].previous
        while cursor is not None:
            one = page(night, filters, sort, Cursor.parse(str(cursor)), 15)
            back[:0] = [image.image_id for image in one.images]
            cursor = one.previous
        assert back == wanted[: len(wanted) - len(read[-1].images)], sort


@pytest.mark.parametrize("name", ["all", "several things", "called", "folder"])
def test_neighbours_are_those_of_the_pages(night: Database, narrowed: str, name: str) -> None:
    filters = archive.FILTERS[name]
    sort = default_sort(filters)
    wanted = [row["image_id"] for row in archive.expected(night, filters, sort)]
    found = [neighbours(night, filters, sort, image_id) for image_id in wanted]
    assert [one.previous for one in found] == [None, *wanted[:-1]]
    assert [one.next for one in found] == [*wanted[1:], None]


def test_an_image_that_the_filters_leave_out_has_no_neighbours(night: Database) -> None:
    with pytest.raises(UsageError, match="is not among those"):
        neighbours(night, Filters(folder="/c"), Sort.LABELLED, 1)


def test_a_row_is_what_stands_of_an_image(night: Database) -> None:
    read = {image.image_id: image for one in selection(night, Filters(), Sort.PATH) for image in one}
    wanted = {row["image_id"]: row for row in archive.expected(night, Filters(), Sort.PATH)}
    assert read.keys() == wanted.keys()
    for number, image in read.items():
        row = wanted[number]
        assert image.path == archive.path(number)
        assert image.kind == archive.kind_of(row), number
        assert (image.model, image.status, image.error_kind) == (row["architecture"], row["status"], row["error_kind"])
        assert (image.has_warning, image.content) == (row["warning"] is not None, row["content"])
        assert (image.mtime_ns, image.size, image.width) == (row["modified_ns"], row["size"], row["width"])
    assert (read[1].label, read[1].label_source, read[1].score) == ("tabby", "person", 1.0)
    assert (read[2].label, read[2].label_source, read[2].score) == (None, "person", None)
    assert (read[9].label, read[9].label_source) == ("tabby", "person")  # the same bytes as image 8
    assert (read[5].label_source, read[5].score) == ("model", wanted[5]["score_1"])
    assert (read[22].label, read[22].label_source, read[22].width) == (None, None, None)


def test_the_score_is_of_what_was_looked_for(night: Database) -> None:
    filters = archive.FILTERS["several things"]
    for sort in (Sort.SCORE, Sort.PATH):
        found = {image.image_id: image.score for image in page(night, filters, sort).images}
        rows = archive.expected(night, filters, sort)
        assert found == {row["image_id"]: min(1.0, archive.score_of(row, filters.things)) for row in rows}


def test_images_of_one_model_are_shown_as_those_of_several_are(database: Database, narrowed: str) -> None:
    archive.plant(database)
    for statement in ("delete from image_things where model_id = 2", "delete from outcomes where model_id = 2"):
        change(database, statement)
    for statement in (
        "categories where model_id = 2",
        "chunks where id = 2",
        "runs where id = 2",
        "models where id = 2",
    ):
        change(database, f"delete from {statement}")
    for name in ("all", "kind", "class", "called", "failed"):
        filters = archive.FILTERS[name]
        wanted = [row["image_id"] for row in archive.expected(database, filters, default_sort(filters))]
        assert [image.image_id for image in page(database, filters, default_sort(filters)).images] == wanted


def test_what_is_labelled_between_two_pages_neither_hides_nor_repeats_an_image(database: Database) -> None:
    archive.plant(database)
    first = page(database, Filters(model_id=1), Sort.LABELLED, None, 10)
    seen = [image.image_id for image in first.images]
    change(database, f"update outcomes set labelled_at = '2026-12-01 00:00:00.000000' where image_id = {seen[3]}")
    rest = [
        image.image_id
        for one in pages_from(database, Filters(model_id=1), Sort.LABELLED, first.next)
        for image in one.images
    ]
    assert sorted(seen + rest) == list(range(1, archive.IMAGES + 1))


def pages_from(database: Database, filters: Filters, sort: Sort, cursor: Cursor | None) -> Iterator[Page]:
    while cursor is not None:
        found = page(database, filters, sort, cursor, 10)
        yield found
        cursor = found.next


def test_a_selection_is_read_whole_and_in_order(night: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.gallery.paging, "_BULK_IMAGES", 5)
    read = list(selection(night, Filters(), Sort.NEWEST))
    wanted = [row["image_id"] for row in archive.expected(night, Filters(), Sort.NEWEST)]
    assert [image.image_id for one in read for image in one] == wanted
    assert max(map(len, read)) == 5


def forged(*values: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "é", "!!!!", "A" * 10_000, "WzEs", base64.urlsafe_b64encode(b"[" * 140).decode()),
        *(forged("path", None, 2**64, False), forged("path", None, "1", False), forged("path", None, True, False)),
        *(forged("labelled", 5, 1, False), forged("labelled", "yesterday", 1, False), forged("path", "/a", 1, False)),
        *(forged("score", "1", 1, False), forged("score", float("nan"), 1, False), forged("newest", 2**70, 1, False)),
        *(forged("size", 1, 1, False), forged("path", None, 1), forged("path", None, 1, "yes"), forged(), forged(None)),
        forged("labelled", "0001-01-01T00:00:00+14:00", 1, False),
    ],
)
def test_a_cursor_that_nobody_gave_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="its address was cut or changed"):
        Cursor.parse(text)


def test_a_cursor_of_another_order_and_one_past_the_end_are_told(night: Database) -> None:
    of_paths = Cursor(Sort.PATH, None, 1)
    with pytest.raises(UsageError, match="sorted by path, not by labelled"):
        page(night, Filters(), Sort.LABELLED, of_paths)
    with pytest.raises(UsageError, match="names an image that is not there"):
        page(night, Filters(), Sort.PATH, of_paths._replace(image_id=10**9))
    past = Cursor(Sort.LABELLED, datetime(1, 1, 1, tzinfo=UTC), 1)
    end = page(night, Filters(), Sort.LABELLED, past, 5)
    assert (end.images, end.next) == ([], None)
    assert end.previous
    last = [row["image_id"] for row in archive.expected(night, Filters(), Sort.LABELLED)][-5:]
    assert [image.image_id for image in page(night, Filters(), Sort.LABELLED, end.previous, 5).images] == last


def test_scores_of_nothing_are_no_order(night: Database) -> None:
    with pytest.raises(UsageError, match="only what is looked for can be sorted"):
        page(night, Filters(), Sort.SCORE)


def test_what_takes_too_long_says_how_to_narrow_it(night: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.gallery.paging, "TIME_LIMIT_S", -1.0)
    monkeypatch.setattr(storage.gallery.paging, "prefer_short", lambda _: None)
    with pytest.raises(QueryTimeoutError, match=r"Narrow it down: a folder, a day, a run"):
        page(night, replace(Filters(), orientation="square"), Sort.PATH)
