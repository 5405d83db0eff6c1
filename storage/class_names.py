"""Which of a model's classes a person means by a word in any language, and what by what a picture does not show."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from sqlalchemy import select

from common.errors import UsageError
from storage.corrections import Word
from storage.tables import categories
from storage.things import did_you_mean, things_in
from vocabulary.kinds import things_of_labels
from vocabulary.names import labels_called, nearest_names, things_called

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.database import Database

#: Of the classes of a kind, so many are named.
_EXAMPLES = 5


def class_called(database: Database, model_id: int, words: str) -> str:
    """Return the label of the one class of a model that is called so.

    Raises:
        UsageError: none is, several are, or it is the name of a kind; with names that would do.

    """
    with database.read() as connection:
        query = select(categories.c.label).where(categories.c.model_id == model_id).order_by(categories.c.class_index)
        labels = list(connection.execute(query).scalars())
    exact = [label for label in labels if label.casefold() == words.casefold()]
    called = exact or [label for label in labels_called(words) if label in labels]
    if not called:
        called = _classes_of_kinds(words, labels)
        if len(called) > 1:
            some = ", ".join(called[:_EXAMPLES])
            more = ", …" if len(called) > _EXAMPLES else ""
            raise UsageError(f"{words!r} is a kind: say which class of it, as {some}{more}.")
    if len(called) > 1:
        raise UsageError(f"{words!r} may be each of these: {', '.join(called)}. Say which.")
    if not called:
        own = [label for label in labels if label not in things_of_labels()]
        near = [*difflib.get_close_matches(words, own), *nearest_names(words)]
        raise UsageError(f"The model has no class that is called {words!r}.{did_you_mean(near)}")
    return called[0]


def denials(database: Database, words: str) -> tuple[Word, ...]:
    """Return what is said by «it is not this»: a word for each kind or class that is called so.

    Raises:
        UsageError: nothing is called so; with what is written much like it.

    """
    return tuple(
        Word("not", **{"not_thing" if one.is_kind else "not_label": one.key}) for one in things_in(database, words)
    )


def _classes_of_kinds(words: str, labels: Sequence[str]) -> list[str]:
    kinds = {thing.key for thing in things_called(words) if thing.is_kind}
    return [label for label in labels if kinds.intersection(things_of_labels().get(label, ()))]
