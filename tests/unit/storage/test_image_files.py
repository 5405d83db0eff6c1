"""Which file an image is, and which of its bytes were labelled."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from storage.image_files import LabelledFile, labelled_file
from storage.manifest import add_images
from storage.outcomes import Stored
from storage.records import ImageRef
from tests.unit.storage.nights import (
    MODEL,
    begin,
    begin_run,
    change,
    failure,
    number,
    sample,
    store_with_sample,
    success,
    take,
)

if TYPE_CHECKING:
    from storage.database import Database
    from storage.records import Model

LATIN = os.fsdecode(b"/photos/b\xe4r.jpg")
OLD, NEW = "a" * 32, "b" * 32


def label_one(database: Database, content: str | None, model: Model = MODEL, *, fails: bool = False) -> int:
    """Label a file with this content, and return its id."""
    run = begin_run(database, model)
    add_images(database, run, [ImageRef(LATIN, 7, 8)], chunk_size=64, relabel=True)
    (chunk,) = take(database, run)
    claimed = begin(database, chunk)
    (image,) = claimed.images
    version = {"size": 7, "mtime_ns": 8, "content": content}
    result = failure(image.image_id, size=None) if fails else success(image.image_id, **version)
    assert store_with_sample(database, claimed, [result], sample()) is Stored.DONE
    return image.image_id


def test_a_labelled_file_is_known_with_its_name_its_roots_and_its_version(database: Database) -> None:
    image_id = label_one(database, OLD)
    assert labelled_file(database, image_id) == LabelledFile(
        path=LATIN, roots=("/photos",), size=7, mtime_ns=8, content=OLD, has_labels=True
    )


def test_of_two_models_the_newer_ones_version_counts_or_the_one_that_is_asked_for(database: Database) -> None:
    image_id = label_one(database, OLD)
    label_one(database, NEW, replace(MODEL, architecture="mobilenet_v2"))
    change(database, f"UPDATE outcomes SET labelled_at = '2020-01-01 00:00:00' WHERE content = '{OLD}'")
    found = [labelled_file(database, image_id, content) for content in ("", OLD[:8], NEW, "c")]
    assert [file and file.content for file in found] == [NEW, OLD, NEW, None]


def test_one_that_failed_has_no_labels(database: Database) -> None:
    file = labelled_file(database, label_one(database, None, fails=True))
    assert file
    assert (file.size, file.content, file.has_labels) == (None, None, False)


def test_one_that_waits_is_known_by_its_newest_run(database: Database) -> None:
    run = begin_run(database, root="/photos")
    add_images(database, run, [ImageRef(LATIN, 7, 8)], chunk_size=64, relabel=False)
    image_id = number(database, "SELECT id FROM images")
    assert labelled_file(database, image_id) == LabelledFile(
        path=LATIN, roots=("/photos",), size=None, mtime_ns=None, content=None, has_labels=False
    )
    assert labelled_file(database, image_id, OLD) is None


def test_what_is_no_image_is_none(database: Database) -> None:
    assert [labelled_file(database, image_id) for image_id in (1, 2**63 - 1, 2**63, 10**18)] == [None] * 4
