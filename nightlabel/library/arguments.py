"""What the library's functions are given."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from common.settings import Settings

#: A file or folder, as `open` takes it.
AnyPath: TypeAlias = str | os.PathLike[str]


def loaded(settings: Settings | None) -> Settings:
    """Return the settings, or the environment's.

    Raises:
        UsageError: a setting makes no sense.

    """
    from common.settings import load_settings
    from models.engines import check_names
    from vocabulary.languages import chosen_language

    settings = settings or load_settings()
    check_names(settings)
    chosen_language(settings.language)
    return settings


def names_of(paths: AnyPath | Iterable[AnyPath]) -> list[str]:
    """Return one path, or several, as a list of texts."""
    if isinstance(paths, str | os.PathLike):
        return [os.fspath(paths)]
    return [os.fspath(path) for path in paths]
