"""An archive that is labelled: real files, and outcomes of the bytes that they hold."""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from typing import TYPE_CHECKING

from sqlalchemy import select

from common.settings import load_settings
from storage.database import Database
from storage.manifest import add_images, path_of
from storage.outcomes import Stored
from storage.records import ImageRef
from storage.schema_version import ensure_schema
from storage.tables import images
from tests.unit.storage.nights import MODEL, begin, begin_run, failure, sample, store_with_sample, success, take

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from storage.records import Model


def content_of(data: bytes) -> str:
    """Return what `outcomes.content` holds of a file's bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def label_files(
    database_url: str,
    root: Path,
    files: Iterable[Path],
    *,
    model: Model = MODEL,
    failing: Iterable[Path] = (),
    has_content: bool = True,
) -> None:
    """Store an outcome for each of these files, as it is now; those that fail are not read."""
    with closing(Database(load_settings(database_url=database_url).database_url)) as database:
        ensure_schema(database)
        run = begin_run(database, model, root=str(root))
        refs = [_ref(file) for file in files]
        failed = {str(file) for file in failing}
        add_images(database, run, refs, chunk_size=64, relabel=True)
        for chunk in take(database, run):
            claimed = begin(database, chunk)
            results = []
            for image in claimed.images:
                if image.path in failed:
                    results.append(failure(image.image_id, "unreadable", size=None, mtime_ns=None))
                    continue
                ref = _ref(image.path)
                with open(image.path, "rb") as file:
                    content = content_of(file.read()) if has_content else None
                results.append(success(image.image_id, size=ref.size, mtime_ns=ref.mtime_ns, content=content))
            assert store_with_sample(database, claimed, results, sample()) is Stored.DONE


def list_files(database_url: str, root: Path, files: Iterable[Path]) -> None:
    """Have these files wait to be labelled."""
    with closing(Database(load_settings(database_url=database_url).database_url)) as database:
        ensure_schema(database)
        run = begin_run(database, root=str(root))
        add_images(database, run, [_ref(file) for file in files], chunk_size=64, relabel=False)


def image_ids(database_url: str) -> dict[str, int]:
    """Return the id of each path, as `os` has it."""
    with closing(Database(load_settings(database_url=database_url).database_url)) as database, database.read() as read:
        return {path_of(row.path, row.path_hex): row.id for row in read.execute(select(images))}


def _ref(file: Path | str) -> ImageRef:
    status = os.stat(file)
    return ImageRef(str(file), status.st_size, status.st_mtime_ns)
