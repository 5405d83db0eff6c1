"""Locations: where an image lies, as text. What can be told of one without asking any disk or network.

`/photos/a.jpg` lies in a folder; what begins with a scheme and `://` lies elsewhere. Whatever the kind of place, an
image's location is that of its root, a `/`, and its name below the root, in which `/` parts folders.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Source: RFC 3986, 3.1
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def scheme_of(location: str) -> str | None:
    """Return `s3` for `s3://bucket/key`, in lower case; None for a path."""
    found = _SCHEME.match(location)
    return found[1].lower() if found else None


def lies_below(location: str, root: str) -> bool:
    """Tell whether a location is one below a root; the root itself is not. Both are taken as they are written."""
    return bool(root) and location.startswith(_with_slash(root))


def lies_in(location: str, roots: Iterable[str]) -> bool:
    """Tell whether a location is one of these roots or lies below one, once `.` and `..` in it are followed."""
    plain = posixpath.normpath(location)
    return any(plain == root or lies_below(plain, root) for root in map(posixpath.normpath, roots))


def name_below(location: str, root: str) -> str:
    """Return what an image is called below a root: `2024/a.jpg`; the location, where it does not lie below it."""
    return location[len(_with_slash(root)) :] if lies_below(location, root) else location


def _with_slash(root: str) -> str:
    return root.rstrip("/") + "/"
