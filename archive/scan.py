"""Find an archive's images: a stream, never a list."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from archive.blocking import call_with_timeout
from archive.globs import NameFilter
from archive.location import lies_below
from archive.places import place_of
from archive.places.contract import Listing
from common.errors import ArchiveError
from common.settings import SILENT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archive.counts import ScanCounts
    from storage.records import ImageRef


def find_roots(typed: Sequence[str]) -> tuple[str, ...]:
    """Return the roots that a person typed, as their locations begin, without those that lie inside another.

    Raises:
        ArchiveError: one is missing, cannot be read, or is of a kind of place that is not known here.

    """
    roots = list(dict.fromkeys(map(_find_root, typed)))
    return tuple(root for root in roots if not any(lies_below(root, other) for other in roots))


def _find_root(typed: str) -> str:
    place = place_of(typed)
    try:
        return call_with_timeout(partial(place.find_root, typed), SILENT_S)
    except OSError as error:
        name = typed or "''"
        reason = error.strerror or error
        raise ArchiveError(f"{name} cannot be read: {reason}. Is it spelt correctly, and mounted?") from None


def find_image(typed: str) -> str:
    """Return the location of the one image that a person named; where it is not there, reading it will say why.

    Raises:
        ArchiveError: it is of a kind of place that is not known here.

    """
    place = place_of(typed)
    location = place.absolute(typed)
    try:
        return call_with_timeout(partial(place.find_root, location))
    except OSError:
        return location


def scan(
    roots: Sequence[str],
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    *,
    counts: ScanCounts,
    no_skip: bool = False,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[ImageRef]:
    """Yield the images in the roots, as each kind of place lists them, and count what is skipped.

    Folders that programs manage are skipped unless `no_skip`, and so is what does not answer for `SILENT_S`. A root
    that is one image is yielded whatever it holds. The scan ends early once `is_stopped` says so.

    Raises:
        ArchiveError: a root is gone, cannot be read, or does not answer.

    """
    listing = Listing(names=NameFilter(include, exclude), counts=counts, no_skip=no_skip, is_stopped=is_stopped)
    for root in roots:
        yield from place_of(root).list_images(root, listing)
