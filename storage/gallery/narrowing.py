"""Where a query of the gallery begins: at the few images that a filter leaves, or at the first ones of the order."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, literal, select, union_all

from storage.correction_tables import corrections
from storage.gallery.conditions import below, indexed_path, nanoseconds, said_to_show
from storage.tables import image_things, images, outcomes, runs
from storage.vocabulary_tables import class_kinds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Select

    from storage.gallery.conditions import Circumstances
    from storage.gallery.filters import Filters

#: So many images are looked at and sorted in about 50 ms. Of more, enough for a page are soon met on the way.
FEW = 10_000


class Group(NamedTuple):
    """Images that an index finds."""

    image_id: Column[int]
    conditions: Sequence[ColumnElement[bool]]

    def select(self) -> Select[Any]:
        return select(self.image_id).where(*self.conditions)

    def counted(self, most: int | None = None) -> Select[Any]:
        """Count them, as far as `most`: no ids are asked for, and most of these indexes need no look at the table."""
        these = select(literal(1).label("one")).select_from(self.image_id.table).where(*self.conditions)
        return select(func.count()).select_from(these.limit(most).subquery())


def few_images(connection: Connection, filters: Filters, known: Circumstances) -> Select[Any] | None:
    """Select the ids of few images, among which are all that the filters leave; None: each filter leaves many."""
    smallest, count = None, FEW + 1
    for groups in _narrowing(filters, known):
        found = 0
        for group in groups:
            if found < count:
                found += connection.execute(group.counted(count - found)).scalar_one()
        if found < count:
            smallest, count = groups, found
    if smallest is None:
        return None
    ids = [group.select() for group in smallest]
    return ids[0] if len(ids) == 1 else select(union_all(*ids).subquery().c[0])


def counted_by_index(filters: Filters, known: Circumstances) -> list[Group] | None:
    """Return groups of all that the filters leave, each image in one of them; None: no index has just these."""
    given = {field.name for field in fields(filters) if getattr(filters, field.name) not in (None, ())}
    if len(known.model_ids) > 1 or len(filters.things) > 1:
        return None
    if known.has_corrections and given & {"things", "kind", "min_score"}:
        return None
    if not given:
        return [Group(outcomes.c.image_id, [])]
    is_one = len(given) == 1 or given in ({"things", "min_score"}, {"labelled_from", "labelled_until"})
    # An image may have no outcome yet: images themselves are not counted.
    groups = [] if given & {"folder", "modified_from", "modified_until"} else list(_narrowing(filters, known))
    return groups[0] if is_one and len(groups) == 1 else None


def _narrowing(filters: Filters, known: Circumstances) -> Iterator[list[Group]]:
    """Yield, of each filter that an index answers, the groups of images that together are all that it leaves."""
    of_outcome = _simple(filters)
    yield from ([Group(outcomes.c.image_id, [condition])] for condition in of_outcome)
    if filters.things:
        yield [*_things(filters), *_said(said_to_show(filters.things), known)]
    if filters.kind is not None:
        of_kind = select(class_kinds.c.label).where(class_kinds.c.kind == filters.kind)
        said = select(corrections.c.content).where(corrections.c.label.in_(of_kind), corrections.c.ended_at.is_(None))
        yield [Group(outcomes.c.image_id, [outcomes.c.kind == filters.kind]), *_said(said, known)]
    if filters.corrected:
        yield _said(select(corrections.c.content).where(corrections.c.ended_at.is_(None)), known) or [_NONE]
    if filters.folder is not None:
        yield [Group(images.c.id, [below(filters.folder, indexed_path(known))])]
    modified = [
        *([images.c.mtime_ns >= nanoseconds(filters.modified_from)] if filters.modified_from else []),
        *([images.c.mtime_ns < nanoseconds(filters.modified_until)] if filters.modified_until else []),
    ]
    if modified:
        yield [Group(images.c.id, modified)]


def _simple(filters: Filters) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions on outcomes that an index answers by itself."""
    if filters.run_id is not None:
        yield outcomes.c.run_id == filters.run_id
    elif filters.model_id is not None:
        yield outcomes.c.run_id.in_(select(runs.c.id).where(runs.c.model_id == filters.model_id))
    if filters.error_kind is not None:
        yield outcomes.c.error_kind == filters.error_kind
    elif filters.status == "failed":
        yield outcomes.c.error_kind.is_not(None)
    if filters.has_warning:
        yield outcomes.c.warning.is_not(None)
    labelled = [
        *([outcomes.c.labelled_at >= filters.labelled_from] if filters.labelled_from else []),
        *([outcomes.c.labelled_at < filters.labelled_until] if filters.labelled_until else []),
    ]
    if labelled:
        yield and_(*labelled)


#: No image: nobody said anything.
_NONE = Group(outcomes.c.image_id, [outcomes.c.image_id < 0])


def _things(filters: Filters) -> Iterator[Group]:
    least = filters.min_score or 0.0
    for thing in filters.things:
        if thing.is_kind:
            yield Group(image_things.c.image_id, [image_things.c.thing == thing.key, image_things.c.score >= least])
        else:
            for rank in (1, 2, 3):
                label, score = outcomes.c[f"label_{rank}"], outcomes.c[f"score_{rank}"]
                yield Group(outcomes.c.image_id, [label == thing.key, score >= least])


def _said(contents: Select[Any], known: Circumstances) -> list[Group]:
    return [Group(outcomes.c.image_id, [outcomes.c.content.in_(contents)])] if known.has_corrections else []
