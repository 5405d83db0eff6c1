"""Which bytes have labels already: an image that has the same ones takes them, and need not be computed.

A chunk asks once, before it reads, by the sizes of its files; what it then reads tells whether the bytes are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, func, select

from storage.column_types import LARGEST_ID
from storage.records import Outcome
from storage.tables import image_things, images, manifest, outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, FromClause, Row, Select

    from storage.chunk_claims import Claim
    from storage.database import Database

#: Images of one size that are looked at. Hundreds of thousands have one where pictures are not compressed, and each
#: chunk would read them all.
MOST_OF_A_SIZE = 100

_LABELS = tuple(f"{part}_{rank}" for rank in (1, 2, 3) for part in ("label", "score"))
#: What depends on nothing but the bytes and the model.
_SHARED = ("kind", "kind_score", "warning", "width", "height", "computed_in")


def known_contents(database: Database, claimed: Claim) -> dict[str, int]:
    """Return the contents that images of a chunk may have and that have labels, each with the image that has them.

    Labels are those of the chunk's model, and computed for that image, not taken from another one. Of a run that labels
    again, only its own count; of one that measures, none. Of images that share a size, only the `MOST_OF_A_SIZE` oldest
    are looked at: whose content is none of theirs is labelled as any other.
    """
    reuse = claimed.run.reuse
    if reuse == "never":
        return {}
    asked = {"chunk": claimed.chunk_id, "model": claimed.run.model_id}
    query = _KNOWN
    if reuse == "own":
        # Not by the run's index: with that, each chunk would look at all that the run has labelled.
        query = query.where(outcomes.c.run_id + 0 == claimed.run.id)
    with database.read() as connection:
        return {row.content: row.source for row in connection.execute(query, asked)}


def labels_of(database: Database, claimed: Claim, contents: Mapping[int, str]) -> dict[int, Outcome]:
    """Return what the chunk's model says of these images, by their ids: labels, kinds, things, size in pixels, warning.

    Args:
        database: where.
        claimed: the chunk that asks.
        contents: of the images, by their ids. One that has another one by now, or labels that are not its own, is left
            out.

    """
    asked = {"ids": list(contents), "model": claimed.run.model_id}
    found: dict[int, tuple[Row[Any], list[tuple[str, float]]]] = {}
    with database.read() as connection:
        for row in connection.execute(_OF_IMAGES, asked):
            if row.content == contents[row.image_id]:
                _, things = found.setdefault(row.image_id, (row, []))
                if row.thing is not None:
                    things.append((row.thing, row.thing_score))
    return {image_id: _outcome(row, things) for image_id, (row, things) in found.items()}


def _outcome(row: Row[Any], things: list[tuple[str, float]]) -> Outcome:
    pairs = ((getattr(row, f"label_{rank}"), getattr(row, f"score_{rank}")) for rank in (1, 2, 3))
    return Outcome(
        image_id=row.image_id,
        labels=tuple((label, score) for label, score in pairs if label is not None),
        things=tuple(things),
        content=row.content,
        **{name: getattr(row, name) for name in _SHARED},
    )


def _has_its_own(table: FromClause) -> ColumnElement[bool]:
    """Say of an outcome what the index `outcomes_by_size` is of, and that the model is the chunk's."""
    return and_(
        table.c.model_id == bindparam("model"),
        table.c.label_1.is_not(None),
        table.c.content.is_not(None),
        table.c.copied_from.is_(None),
    )


# Built once: that takes longer than asking.
_sizes = (
    select(images.c.size)
    .join(manifest, manifest.c.image_id == images.c.id)
    .where(manifest.c.chunk_id == bindparam("chunk"))
    .distinct()
    .subquery("sizes")
)
_same_size = outcomes.alias("same_size")
#: The last image of a size that is looked at.
_last = (
    select(_same_size.c.image_id)
    .where(_same_size.c.size == _sizes.c.size, _has_its_own(_same_size))
    .order_by(_same_size.c.image_id)
    .offset(MOST_OF_A_SIZE - 1)
    .limit(1)
    .scalar_subquery()
)
_KNOWN = (
    select(outcomes.c.content, func.min(outcomes.c.image_id).label("source"))
    .join(_sizes, outcomes.c.size == _sizes.c.size)
    .where(_has_its_own(outcomes), outcomes.c.image_id <= func.coalesce(_last, LARGEST_ID))
    .group_by(outcomes.c.content)
)
_OF_IMAGES: Select[Any] = (
    select(
        *(outcomes.c[name] for name in ("image_id", "content", *_LABELS, *_SHARED)),
        image_things.c.thing,
        image_things.c.score.label("thing_score"),
    )
    .outerjoin(
        image_things,
        and_(image_things.c.image_id == outcomes.c.image_id, image_things.c.model_id == outcomes.c.model_id),
    )
    .where(outcomes.c.image_id.in_(bindparam("ids", expanding=True)), _has_its_own(outcomes))
)
