"""Which file an image is, and which bytes of it were labelled: for who shows it beside its labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import false, null, select, true

from storage.column_types import LARGEST_ID
from storage.manifest import path_of
from storage.tables import OK, images, manifest, outcomes, runs

if TYPE_CHECKING:
    from storage.database import Database


@dataclass(frozen=True, kw_only=True)
class LabelledFile:
    """An image's file, and the version of it that has an outcome."""

    path: str  #: bytes that are not UTF-8 as surrogate escapes, as `os` takes them
    roots: tuple[str, ...]  #: of its run: it is read below these alone
    size: int | None  #: bytes of the file that was read, as are `mtime_ns` and `content`; None: none was, or not yet
    mtime_ns: int | None
    content: str | None  #: None also: labelled before contents were noted
    has_labels: bool


def labelled_file(database: Database, image_id: int, content: str = "") -> LabelledFile | None:
    """Return an image's file as its newest outcome knows it, or as the newest run, before it has an outcome.

    Args:
        database: where it was labelled.
        image_id: its id.
        content: what the labelled bytes' `content` must begin with. Models that labelled a file before and after it
            changed each have an outcome of their own.

    Returns:
        None: there is no such image, or none whose outcome is of this content.

    """
    if image_id > LARGEST_ID:
        return None
    file = select(images.c.path, images.c.path_hex, runs.c.roots).where(images.c.id == image_id)
    labelled = (
        file.add_columns(outcomes.c.size, outcomes.c.mtime_ns, outcomes.c.content, outcomes.c.status == OK)
        .join(outcomes, outcomes.c.image_id == images.c.id)
        .join(runs, runs.c.id == outcomes.c.run_id)
        .where(outcomes.c.content.startswith(content, autoescape=True) if content else true())
        .order_by(outcomes.c.labelled_at.desc())
    )
    listed = (
        file.add_columns(null(), null(), null(), false())
        .join(manifest, manifest.c.image_id == images.c.id)
        .join(runs, runs.c.id == manifest.c.run_id)
        .order_by(runs.c.id.desc())
    )
    with database.read() as connection:
        row = connection.execute(labelled.limit(1)).first()
        if row is None and not content:
            row = connection.execute(listed.limit(1)).first()
    if row is None:
        return None
    path, path_hex, roots, size, mtime_ns, found, has_labels = row
    return LabelledFile(
        path=path_of(path, path_hex),
        roots=tuple(roots),
        size=size,
        mtime_ns=mtime_ns,
        content=found,
        has_labels=bool(has_labels),
    )
