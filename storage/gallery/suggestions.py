"""What a person may mean who has begun to type: names of classes and kinds in any language, the most frequent first."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from common.errors import QueryTimeoutError
from storage.records import storable
from storage.tables import categories, image_things, outcomes
from vocabulary.kinds import things_of_labels
from vocabulary.names import Thing, names_with

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from storage.database import Database

#: How many are of use below a line of text, and how many are counted to choose them.
SUGGESTIONS, _CANDIDATES = 8, 40
#: How long counting them may take; where it takes longer, they come as the words match.
_LIMIT_S = 0.1


class Suggestion(NamedTuple):
    """A thing that may be meant."""

    thing: Thing
    matched: str  #: the name that was begun, in whatever language
    images: int | None  #: results that have it: a kind anywhere, a class as the best label. None: not counted in time


def suggestions(database: Database, typed: str, limit: int = SUGGESTIONS) -> list[Suggestion]:
    """Return the things of which a name begins with what was typed, or has a word that does, or holds it.

    Args:
        database: of which the most frequent things come first, of names that match as well.
        typed: some of a name, in any language.
        limit: how many at most.

    """
    typed = storable(typed)
    matches = names_with(typed, _CANDIDATES)
    with database.read() as connection:
        own = _own_labels(connection, typed) if len(matches) < limit else []
    known = [
        *((match.thing, match.name) for match in matches),
        *((Thing(label, is_kind=False), label) for label in own),
    ]
    images: dict[Thing, int] = {}
    with suppress(QueryTimeoutError), database.read(time_limit_s=_LIMIT_S) as connection:
        images = _counts(connection, [thing for thing, _ in known])
    found = [Suggestion(thing, name, images.get(thing, 0) if images else None) for thing, name in known]
    place = {match.thing: match.place for match in matches}
    # What nothing shows comes last: it is no help to look for it.
    found.sort(key=lambda one: (one.images == 0, place.get(one.thing, 0), -(one.images or 0), one.matched))
    return list({one.matched: one for one in reversed(found)}.values())[::-1][:limit]  # a kind may be called as a class


def _own_labels(connection: Connection, typed: str) -> Sequence[str]:
    """Return labels of models that know other classes than ImageNet's."""
    holds = func.lower(categories.c.label).contains(typed.lower(), autoescape=True)
    labels = connection.execute(select(categories.c.label).where(holds).distinct().limit(_CANDIDATES)).scalars()
    return [label for label in labels if typed.strip() and label not in things_of_labels()]


def _counts(connection: Connection, things: Sequence[Thing]) -> dict[Thing, int]:
    """Count what shows each thing, by what models say."""
    found = dict.fromkeys(things, 0)
    for column, is_kind in ((image_things.c.thing, True), (outcomes.c.label_1, False)):
        keys = [thing.key for thing in things if thing.is_kind == is_kind]
        query = select(column, func.count()).where(column.in_(keys)).group_by(column)
        found |= {Thing(key, is_kind): count for key, count in connection.execute(query)}
    return found
