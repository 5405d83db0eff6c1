"""What a process of the page does for a thumbnail: read the image by the archive's rules, check it, make it small."""

from __future__ import annotations

from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from archive.failures import ImageError
from archive.location import lies_below
from archive.reading import Reader
from common.errors import ArchiveError
from pictures.thumbnail import whole_thumbnail

if TYPE_CHECKING:
    from archive.reading import ImageFile
    from storage.image_files import LabelledFile

#: `NoThumbnail.why`, beside the kinds of failures: other bytes than those with the outcome; the root is not there; the
#: process ended, or took too long.
CHANGED, ARCHIVE_GONE, LOST = "changed", "archive_gone", "lost"
#: Seconds without a byte after which a disk is not waited for any longer: others wait behind it.
_SILENT_S = 5.0
#: Seconds for which an archive that is not there, or does not answer, is not asked again: images of others wait
#: meanwhile.
_REST_S = 5.0
#: Of the root of such an archive: until when, and what is said of it. It is this process's own.
_gone: dict[str, tuple[float, NoThumbnail]] = {}


class NoThumbnail(NamedTuple):
    """Why there is no picture to be shown."""

    why: str  #: a `FailureKind`, or one of those above
    reason: str  #: in English, for the log and for programs


def make_thumbnail(file: LabelledFile, side: int, max_bytes: int, max_pixels: int) -> bytes | NoThumbnail:
    """Return a JPEG of the picture that was labelled; never of another one that has its name now.

    Args:
        file: the image's.
        side: pixels of the longer side, at most.
        max_bytes: of the file.
        max_pixels: of the picture.

    """
    root = next((root for root in file.roots if lies_below(file.path, root)), "")
    until, gone = _gone.get(root, (0.0, None))
    if gone and monotonic() < until:
        return gone
    try:
        read = _reader(max_bytes).read(file.path, file.roots)
        if not is_labelled_version(read, file):
            return NoThumbnail(CHANGED, "it has changed since it was labelled")
        return whole_thumbnail(read.data, max_pixels, side)
    except ImageError as error:
        return NoThumbnail(error.kind, str(error))
    except ArchiveError as error:
        gone = NoThumbnail(ARCHIVE_GONE, str(error))
        _gone[root] = monotonic() + _REST_S, gone
        return gone


def is_labelled_version(read: ImageFile, labelled: LabelledFile) -> bool:
    """Tell whether what was read may be shown beside an image's labels, or beside the reason why it has none.

    Of an image that nobody could read, or that waits to be labelled, there is nothing that it could belie.
    """
    is_unknown = labelled.size is None and labelled.content is None
    if is_unknown and not labelled.has_labels:
        return True
    return read.is_version(labelled.size, labelled.mtime_ns, labelled.content)


@lru_cache
def _reader(max_bytes: int) -> Reader:
    return Reader(max_bytes, _SILENT_S)
