"""The kinds of places that are known here. A new one is a file in this folder and its entry in `PLACES`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive.location import scheme_of
from archive.places.contract import Version
from archive.places.folder import LocalFolder
from common.errors import ArchiveError
from storage.records import shown

if TYPE_CHECKING:
    from archive.places.contract import Place

__all__ = ["PLACES", "Version", "place_of", "why_gone"]

#: The first that knows a location is asked about it.
PLACES: tuple[Place, ...] = (LocalFolder(),)


def place_of(location: str) -> Place:
    """Return the kind of place that a location is of, by its text alone.

    Raises:
        ArchiveError: none that is known here.

    """
    for place in PLACES:
        if place.knows(location):
            return place
    raise ArchiveError(f"{shown(location)} cannot be read: {scheme_of(location)}:// is not supported here.")


def why_gone(root: str) -> str | None:
    """Return, in a few words, why no image can be read from a root; None: it looks well, or is a single image.

    Where such an image is gone, it is that image's concern. A dead share may never answer: see `archive.blocking`.
    """
    place = place_of(root)
    return None if place.is_single_image(root) else place.why_gone(root)
