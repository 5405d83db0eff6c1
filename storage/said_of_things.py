"""What corrections say of kinds and classes, in SQL: what shows them, and what denies them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from storage.correction_tables import corrections
from storage.vocabulary_tables import class_kinds, kind_parents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Select


def labels_of(kinds: Sequence[str]) -> Select[tuple[str]]:
    """Select the classes of these kinds, and of all kinds below them."""
    return (
        select(class_kinds.c.label)
        .join(kind_parents, kind_parents.c.kind == class_kinds.c.kind)
        .where(kind_parents.c.thing.in_(kinds))
    )


def denies_kind(kind: str) -> ColumnElement[bool]:
    """Say that a correction denies a kind: that kind, or one above it."""
    above = select(kind_parents.c.thing).where(kind_parents.c.kind == kind)
    return corrections.c.not_thing.in_(above)


def denies_label(label: ColumnElement[str]) -> ColumnElement[bool]:
    """Say that a correction denies a class: the class itself, its kind, or one above that."""
    above = (
        select(kind_parents.c.thing)
        .join(class_kinds, class_kinds.c.kind == kind_parents.c.kind)
        .where(class_kinds.c.label == label)
    )
    return or_(corrections.c.not_label == label, corrections.c.not_thing.in_(above))
