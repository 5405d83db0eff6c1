"""All that is known of one image: what every model said of it, what people said, and where else the same file lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from storage.column_types import LARGEST_ID
from storage.correction_tables import corrections
from storage.corrections import Word
from storage.gallery.conditions import circumstances
from storage.gallery.filters import Filters
from storage.gallery.rows import GalleryImage, read_rows
from storage.manifest import path_of
from storage.tables import images, models, outcomes, runs

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from storage.database import Database

#: Of files with the same bytes, so many are named: an archive may hold thousands of an empty frame.
MOST_COPIES = 50
_STAGES = ("queue_ms", "read_ms", "decode_ms", "infer_ms", "total_ms")
_PLAIN = (
    *(
        "model_id",
        "run_id",
        "status",
        "error_kind",
        "error",
        "kind",
        "kind_score",
        "warning",
        "width",
        "height",
        "size",
    ),
    *("mtime_ns", "content", "worker", "labelled_at", *_STAGES),
)


class Copy(NamedTuple):
    """Another image of the same bytes."""

    image_id: int
    path: str  #: bytes that are not UTF-8 as surrogate escapes, as `os` takes them


@dataclass(frozen=True, kw_only=True)
class ModelOutcome:
    """What a model said of an image when it labelled it last."""

    model_id: int
    model: str  #: its architecture
    precision: str
    run_id: int
    status: str  #: `ok` or `failed`
    labels: tuple[tuple[str, float], ...]  #: up to three, the best first; scores 0…1
    kind: str | None
    kind_score: float | None
    error_kind: str | None
    error: str | None
    warning: str | None
    width: int | None  #: pixels, after EXIF orientation
    height: int | None
    size: int | None  #: bytes of the file that was labelled, as are the two below
    mtime_ns: int | None
    content: str | None
    queue_ms: float | None
    read_ms: float | None
    decode_ms: float | None
    infer_ms: float | None
    total_ms: float | None
    worker: str
    labelled_at: datetime
    source: Copy | None  #: the image of the same bytes whose labels it took; None: they were computed


class Said(NamedTuple):
    """What a person said of a file's bytes."""

    word: Word
    made_at: datetime
    ended_at: datetime | None  #: None: it stands
    image_id: int  #: the image that the person saw
    in_review: bool


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image that was labelled, or failed."""

    newest: GalleryImage  #: as the gallery shows it without filters
    size: int  #: bytes, as the newest scan saw it
    outcomes: tuple[ModelOutcome, ...]  #: by model, the newest first
    said: tuple[Said, ...]  #: of the newest outcome's bytes, the oldest first
    copies: tuple[Copy, ...]  #: other images of which a model labelled the same bytes, up to `MOST_COPIES`
    roots: tuple[str, ...]  #: of the newest outcome's run: below them, the archive's rules let it be read


def read_picture(database: Database, image_id: int) -> Picture | None:
    """Return what is known of an image; None: no model has labelled it, or there is none of this id."""
    if image_id > LARGEST_ID:
        return None
    with database.read() as connection:
        found = _outcomes(connection, image_id)
        if not found:
            return None
        key = image_id, found[0].model_id
        (newest,) = read_rows(connection, [key], Filters(), circumstances(connection))
        return Picture(
            newest=newest,
            size=connection.execute(select(images.c.size).where(images.c.id == image_id)).scalar_one(),
            outcomes=tuple(found),
            said=_said(connection, newest.content),
            copies=_copies(connection, newest),
            roots=tuple(connection.execute(select(runs.c.roots).where(runs.c.id == newest.run_id)).scalar_one()),
        )


def _outcomes(connection: Connection, image_id: int) -> list[ModelOutcome]:
    ranked = (outcomes.c[f"{part}_{rank}"] for rank in (1, 2, 3) for part in ("label", "score"))
    source = images.alias("source")
    of_source = (source.c[name].label(f"source_{name}") for name in ("id", "path", "path_hex"))
    query = (
        select(*(outcomes.c[name] for name in _PLAIN), *ranked, models.c.architecture, models.c.precision, *of_source)
        .join(models, models.c.id == outcomes.c.model_id)
        .outerjoin(source, source.c.id == outcomes.c.copied_from)
        .where(outcomes.c.image_id == image_id)
        .order_by(outcomes.c.labelled_at.desc(), outcomes.c.model_id.desc())
    )
    return [_outcome(row) for row in connection.execute(query).mappings()]


def _outcome(row: Any) -> ModelOutcome:  # noqa: ANN401 - of a query
    labels = ((row[f"label_{rank}"], row[f"score_{rank}"]) for rank in (1, 2, 3))
    return ModelOutcome(
        **{name: row[name] for name in _PLAIN},
        model=row["architecture"],
        precision=row["precision"],
        labels=tuple((label, score) for label, score in labels if label is not None),
        source=Copy(row["source_id"], path_of(row["source_path"], row["source_path_hex"]))
        if row["source_id"]
        else None,
    )


def _said(connection: Connection, content: str | None) -> tuple[Said, ...]:
    names = (*Word._fields, "made_at", "ended_at", "image_id", "review_id")
    query = select(*(corrections.c[name] for name in names)).where(corrections.c.content == content)
    rows = connection.execute(query.order_by(corrections.c.id)).all()
    return tuple(
        Said(Word(*word), made_at, ended_at, image_id, review_id is not None)
        for *word, made_at, ended_at, image_id, review_id in rows
    )


def _copies(connection: Connection, newest: GalleryImage) -> tuple[Copy, ...]:
    same = outcomes.c.content == newest.content, outcomes.c.image_id != newest.image_id
    some = select(outcomes.c.image_id).where(*same).distinct().order_by(outcomes.c.image_id).limit(MOST_COPIES)
    query = select(images.c.id, images.c.path, images.c.path_hex).where(images.c.id.in_(some)).order_by(images.c.id)
    return tuple(Copy(image_id, path_of(path, path_hex)) for image_id, path, path_hex in connection.execute(query))
