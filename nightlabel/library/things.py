"""Look for pictures by what they show."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nightlabel.library.arguments import AnyPath, loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from common.settings import Settings
    from storage.things import FoundImage

_LACKING = (
    "Some pictures were labelled before there were kinds, and are not found. `nightlabel db kinds` gives them theirs."
)


def find(
    words: str,
    min_score: float = 0.5,
    folder: AnyPath | None = None,
    since: str | None = None,
    settings: Settings | None = None,
    limit: int | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Iterator[FoundImage]:
    """Yield the pictures that show a thing, each once: what people said first, then the highest scores.

    Example:
        for found in nightlabel.find("Hund", min_score=0.8, settings=settings):
            print(found.score, found.path)

    Args:
        words: a kind (`dog`), one above it (`animal`) or a class (`tabby`), by any of its names in any language.
        min_score: the least score, 0…1: of a kind, the sum of all of its classes.
        folder: only pictures below this folder.
        since: only files that were modified since a day, a time as in `2026-11-24T22:00` (not UTC), or `12h` ago.
        settings: what can be set.
        limit: how many at most; None: all.
        note: told, in a sentence, why pictures may be missing.

    Raises:
        UsageError: nothing is called so, which names what is written much like it; or the time makes no sense.
        DatabaseError: there is no such database, or it cannot be read.

    """
    from contextlib import closing

    from common.times import parse_instant
    from storage.missing_kinds import lacks_kinds
    from storage.schema_version import existing_database
    from storage.things import find_images, things_in

    instant = None if since is None else parse_instant(since, "--since")
    below = None if folder is None else os.path.abspath(folder)
    with closing(existing_database(loaded(settings).database_url)) as database:
        things = things_in(database, words)
        if any(thing.is_kind for thing in things) and lacks_kinds(database):
            note(_LACKING)
        yield from find_images(database, things, min_score, below, instant, limit)
