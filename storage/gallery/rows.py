"""Images of the gallery as they are shown: what a model says of each, and what people say of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from sqlalchemy import select

from storage.correction_tables import corrections
from storage.corrections import Word
from storage.gallery.conditions import score_of
from storage.manifest import path_of
from storage.tables import OK, images, models, outcomes
from storage.things import CERTAIN
from vocabulary.kinds import parents, things_of_labels, with_parents

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, RowMapping

    from storage.gallery.conditions import Circumstances
    from storage.gallery.filters import Filters

#: Columns of an outcome that are shown as they are.
_OF_OUTCOME = ("status", "error_kind", "width", "height", "labelled_at", "model_id", "run_id", "content")


@dataclass(frozen=True, kw_only=True)
class GalleryImage:
    """An image with what is said of it: one row per image."""

    image_id: int
    path: str  #: bytes that are not UTF-8 as surrogate escapes, as `os` takes them
    label: str | None  #: a person's, or the model's; None: it failed, or a person said that it is not that
    score: float | None  #: of what was looked for, else of the label, 0…1; `CERTAIN` where a person said so
    kind: str | None  #: what people call it; None: not known, or denied
    kind_score: float | None
    label_source: Literal["person", "model"] | None  #: None: it failed
    status: Literal["ok", "failed"]
    error_kind: str | None
    width: int | None  #: pixels, after EXIF orientation
    height: int | None
    size: int | None  #: bytes of the file that was labelled; of one that could not be read, as the scan saw it
    mtime_ns: int  #: nanoseconds since the epoch, as the newest scan saw it
    labelled_at: datetime
    model_id: int
    model: str  #: its architecture
    run_id: int
    has_warning: bool
    content: str | None  #: blake2b of the file's bytes, 128 bits in hexadecimal; None: not known

    @property
    def modified_at(self) -> datetime:
        """The file's mtime, to the microsecond."""
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.mtime_ns // 1_000)


def read_rows(
    connection: Connection, keys: Sequence[tuple[int, int]], filters: Filters, known: Circumstances
) -> list[GalleryImage]:
    """Return the images of these outcomes, by image and model, in the same order."""
    scores = [score_of(thing, known).label(f"score_of_{place}") for place, thing in enumerate(filters.things)]
    query = (
        select(
            *(outcomes.c[name] for name in (*_OF_OUTCOME, "image_id", "label_1", "score_1", "kind", "kind_score")),
            outcomes.c.warning.is_not(None).label("has_warning"),
            outcomes.c.size.label("labelled_size"),
            *(images.c[name] for name in ("path", "path_hex", "mtime_ns", "size")),
            models.c.architecture.label("model"),
            *scores,
        )
        .join(images, images.c.id == outcomes.c.image_id)
        .join(models, models.c.id == outcomes.c.model_id)
        .where(outcomes.c.image_id.in_([image_id for image_id, _ in keys]))
    )
    found = {(row["image_id"], row["model_id"]): row for row in connection.execute(query).mappings()}
    words = standing_words(connection, {row["content"] for row in found.values()}, known)
    rows = (found[key] for key in keys if key in found)
    return [_row(row, words.get(row["content"], ()), len(scores)) for row in rows]


def standing_words(
    connection: Connection, contents: set[str | None], known: Circumstances
) -> Mapping[str | None, Sequence[Word]]:
    """Return what people said of files and nothing has ended, by their bytes."""
    found: dict[str | None, list[Word]] = defaultdict(list)
    if known.has_corrections:
        query = select(corrections.c.content, *(corrections.c[name] for name in Word._fields)).where(
            corrections.c.content.in_([content for content in contents if content]), corrections.c.ended_at.is_(None)
        )
        for content, *word in connection.execute(query.order_by(corrections.c.id)):
            found[content].append(Word(*word))
    return found


def what_stands(
    label: str | None, kind: str | None, words: Sequence[Word]
) -> tuple[str | None, str | None, Literal["person", "model"] | None]:
    """Return label, kind and the label's source, as the view `results` and `GalleryImage` have them."""
    if label is None:
        return None, None, None
    said = next((word.label for word in words if word.label), None)
    if said:
        return said, next(iter(things_of_labels().get(said, ())), None), "person"
    above = with_parents(kind) if kind is not None and kind in parents() else (kind,)
    left = None if any(word.not_thing in above for word in words if word.not_thing) else kind
    if any(word.denies(label) for word in words):
        return None, left, "person"
    return label, left, "model"


def _row(row: RowMapping, words: Sequence[Word], scores: int) -> GalleryImage:
    label, kind, source = what_stands(row["label_1"], row["kind"], words)
    is_said = any(word.label for word in words) and row["status"] == OK
    of_things = [score for place in range(scores) if (score := row[f"score_of_{place}"]) is not None]
    by_model = max(of_things, default=None) if scores else row["score_1"] if label else None
    return GalleryImage(
        **{name: row[name] for name in _OF_OUTCOME},
        image_id=row["image_id"],
        path=path_of(row["path"], row["path_hex"]),
        label=label,
        score=CERTAIN if is_said else by_model,
        kind=kind,
        kind_score=CERTAIN if is_said and kind else row["kind_score"] if kind else None,
        label_source=source,
        size=row["size"] if row["labelled_size"] is None else row["labelled_size"],
        mtime_ns=row["mtime_ns"],
        model=row["model"],
        has_warning=bool(row["has_warning"]),
    )
