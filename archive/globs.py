"""Which images a person asks for: `--include` and `--exclude`."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Globs:
    """Globs that hold in any case of letters.

    One with a slash is matched against a name below the root, where `*` crosses slashes; one without, against the last
    part of that name.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        self._of_names = _compiled([glob for glob in globs if "/" not in glob])
        self._of_paths = _compiled([glob.strip("/") for glob in globs if "/" in glob])

    def match(self, name: str) -> bool:
        if self._of_names and self._of_names.match(name[name.rfind("/") + 1 :]):
            return True
        return bool(self._of_paths and self._of_paths.match(name))


class NameFilter:
    """Tells by its name below the root (`2024/a.jpg`) whether something is to be listed."""

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = _Globs(include) if include else None
        self._exclude = _Globs(exclude)
        self.takes_all = not include and not exclude  #: whatever it is called

    def excludes(self, name: str) -> bool:
        """Tell whether an image, or a folder with all that lies in it, is left out."""
        return self._exclude.match(name)

    def includes(self, name: str) -> bool:
        """Tell whether an image is asked for."""
        return self._include is None or self._include.match(name)


def _compiled(globs: Sequence[str]) -> re.Pattern[str] | None:
    joined = "|".join(fnmatch.translate(glob) for glob in globs)
    return re.compile(joined, re.IGNORECASE) if joined else None
