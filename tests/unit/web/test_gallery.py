"""A gallery's address says what is shown, and back; counts are kept while they hold; a selection unpacks harmlessly."""

from __future__ import annotations

import csv
import io
import os
import stat
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest

import web.gallery.counted
from common.errors import UsageError
from storage.gallery.facets import EACH_S, Facets
from storage.gallery.filters import Filters, Sort
from storage.gallery.rows import GalleryImage
from tests.unit.storage import gallery_archive as archive
from tests.unit.storage.nights import change
from vocabulary.names import Thing
from web.gallery.counted import Counted
from web.gallery.downloads import as_csv, as_list, as_zip
from web.gallery.query import read_query

if TYPE_CHECKING:
    from storage.database import Database

IMAGE = GalleryImage(
    image_id=1,
    path="/photos/a.jpg",
    label="pug",
    score=0.5,
    kind="dog",
    kind_score=0.75,
    label_source="model",
    status="ok",
    error_kind=None,
    width=640,
    height=480,
    size=1000,
    mtime_ns=10**18,
    labelled_at=datetime(2026, 11, 22, tzinfo=UTC),
    model_id=1,
    model="resnet18",
    run_id=1,
    has_warning=False,
    content="c" * 32,
)
BYTES = os.fsdecode(b"/photos/caf\xe9.jpg")
ALL = {
    "q": "Hund",
    "min": "0.5",
    "kind": "dog",
    "folder": "/photos/a b",
    "from": "2024-02-28",
    "until": "2024-02-29",
    "day": "2026-11-22",
    "model": "2",
    "run": "3",
    "status": "ok",
    "error": "damaged",
    "warning": "no",
    "corrected": "yes",
    "orientation": "square",
    "sort": "path",
}


def test_an_address_says_all_that_is_filtered_and_nothing_else(database: Database) -> None:
    query = read_query(database, {**ALL, "after": "x", "other": "y"})
    assert query.sort is Sort.PATH
    assert query.filters == Filters(
        things=(Thing("dog", is_kind=True),),
        min_score=0.5,
        kind="dog",
        folder="/photos/a b",
        modified_from=datetime(2024, 2, 28).astimezone(),
        modified_until=datetime(2024, 3, 1).astimezone(),
        labelled_from=datetime(2026, 11, 22).astimezone(),
        labelled_until=datetime(2026, 11, 23).astimezone(),
        model_id=2,
        run_id=3,
        status="ok",
        error_kind="damaged",
        has_warning=False,
        corrected=True,
        orientation="square",
    )
    assert dict(parse_qsl(urlsplit(query.address()).query)) == ALL
    changed = dict(parse_qsl(urlsplit(query.address(kind=None, corrected=False)).query))
    assert changed == {**{name: value for name, value in ALL.items() if name != "kind"}, "corrected": "no"}


def test_empty_fields_of_a_form_are_no_filters(database: Database) -> None:
    query = read_query(database, {**dict.fromkeys(ALL, " "), "sort": "score"})
    assert (query.filters, query.sort, query.address()) == (Filters(), Sort.LABELLED, "/gallery")


def test_words_that_nothing_is_called_by_are_told_and_no_error(database: Database) -> None:
    assert "Did you mean" in (read_query(database, {"q": "golden retreiver"}).unknown or "")
    with pytest.raises(UsageError):
        read_query(database, {"q": "a\0b"})


def test_counts_are_kept_until_something_changes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.plant(database)
    asked = []

    def count(*given: object) -> Facets:
        asked.append(given)
        return Facets(total=1, values={"kind": None if given[2] == EACH_S else ()})

    monkeypatch.setattr(web.gallery.counted, "facets", count)
    counted = Counted()
    for _ in range(2):
        counted.counts(database, Filters())
    assert len(asked) == 1
    for _ in range(2):  # what was not counted in time is counted at leisure, once
        assert counted.counts(database, Filters(), at_leisure=True).is_complete
    assert len(asked) == 2
    archive.correct(database)
    counted.counts(database, Filters())
    change(database, "update outcomes set labelled_at = '2027-01-01 00:00:00.000000' where image_id = 1")
    counted.counts(database, Filters())
    assert len(asked) == 4


def test_paths_are_those_on_the_disk() -> None:
    assert b"".join(as_list([[IMAGE], [replace(IMAGE, path=BYTES)]])) == b"/photos/a.jpg\n/photos/caf\xe9.jpg\n"


def test_no_cell_of_a_table_is_a_formula() -> None:
    odd = replace(IMAGE, label='=HYPERLINK("x")', path=BYTES)
    (row,) = csv.DictReader(io.StringIO(b"".join(as_csv([[odd]])).decode("utf-8-sig")))
    assert (row["label"], row["path"], row["score"]) == ('\'=HYPERLINK("x")', "/photos/caf\\xe9.jpg", "0.5")


def test_names_in_a_zip_lead_nowhere_else_and_links_to_the_originals() -> None:
    paths = ["/a/..", "/a/.hidden.jpg", "/a/x.zip!/b:c?.jpg", "/a/" + "n" * 250 + ".jpg", BYTES, "/a/b\\..\\c.jpg"]
    made = b"".join(as_zip([[replace(IMAGE, path=path)] for path in paths]))
    with zipfile.ZipFile(io.BytesIO(made)) as links:
        assert links.testzip() is None
        found = links.infolist()
        assert [os.fsdecode(links.read(one)) for one in found] == paths
    assert all(stat.S_ISLNK(one.external_attr >> 16) for one in found)
    names = [one.filename for one in found]
    assert names[:3] == ["000001-", "000002-hidden.jpg", "000003-b_c_.jpg"]
    assert len(names[3]) < 150
    assert names[3].endswith(".jpg")
    assert not any(sign in name for name in names for sign in "/\\:")


def test_a_zip_is_made_page_by_page() -> None:
    pages = iter([[IMAGE], [IMAGE], [IMAGE]])
    assert next(as_zip(pages)).startswith(b"PK")
    assert len(list(pages)) == 2
