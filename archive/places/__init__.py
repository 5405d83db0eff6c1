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

__all__ = ["PLACES", "Version", "place_of"]

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
