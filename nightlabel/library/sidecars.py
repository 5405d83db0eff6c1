"""What pictures show, for programs that read keywords."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from common.errors import UsageError
from nightlabel.library.arguments import AnyPath, loaded

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from common.settings import Settings
    from export.sidecars import Change, Done


def sidecars(
    into: AnyPath | None = None,
    min_score: float = 0.5,
    *,
    remove: bool = False,
    dry_run: bool = False,
    tell: Callable[[Done], None] = lambda _: None,
    settings: Settings | None = None,
) -> Counter[Change]:
    """Write what each picture shows into an XMP sidecar beside it, `a.jpg.xmp`; return how many changed in which way.

    A sidecar that is there is merged, and what others wrote stays. Nothing else ever writes into an archive.

    Example:
        counts = nightlabel.sidecars(into="keywords", min_score=0.8, settings=settings)
        print(counts["created"], counts["left_alone"])

    Args:
        into: a folder for a tree of their own, in which each lies below it under its picture's absolute path.
        min_score: what a kind or a label must have, 0…1; what people said counts always.
        remove: take out what earlier calls wrote instead.
        dry_run: only say what would change.
        tell: called after each sidecar.
        settings: what can be set; `language` is that of the keywords.

    Raises:
        UsageError: the least score makes no sense.
        ArchiveError: the archive is not there, or no sidecar can be written to it.
        DatabaseError: there is no such database, or it cannot be read.

    """
    from contextlib import closing

    from export.sidecars import Sidecars, write_sidecars
    from storage.schema_version import existing_database
    from vocabulary.languages import chosen_language

    if not 0 <= min_score <= 1:
        raise UsageError(f"A score lies between 0 and 1: {min_score} is none.")
    settings = loaded(settings)
    wanted = Sidecars(
        language=chosen_language(settings.language),
        min_score=min_score,
        into=None if into is None else os.fspath(into),
        remove=remove,
        dry_run=dry_run,
        tell=tell,
    )
    with closing(existing_database(settings.database_url)) as database:
        return write_sidecars(database, wanted)
