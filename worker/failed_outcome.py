"""The outcome of an image that has no labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archive.failures import FailureKind
from archive.places import place_of
from storage.records import Outcome

if TYPE_CHECKING:
    from archive.places import Version
    from archive.reading import ImageFile
    from storage.records import ChunkImage


def failed(
    image: ChunkImage,
    kind: FailureKind,
    message: str,
    file: ImageFile | None = None,
    *,
    is_transient: bool = False,
    version: Version | None = None,
) -> Outcome:
    """Return the outcome of an image that has no labels.

    It names the version of the file that failed, so that another one is labelled: the one that was read, or looked at,
    or what is there now if none was. For a file that vanished, that a share never answered for, or whose failure
    `is_transient`, it names none: the next run tries again.

    Args:
        image: that failed.
        kind: of failure.
        message: for people.
        file: what was read of it, if anything.
        is_transient: whether the cause lies in the disk or the network.
        version: of the file that was looked at.

    """
    outcome = Outcome(image_id=image.image_id, error_kind=str(kind), error=message)
    if file:
        return replace(outcome, size=file.size, mtime_ns=file.mtime_ns, content=file.content, read_ms=file.read_ms)
    if is_transient or kind in (FailureKind.VANISHED, FailureKind.TIMEOUT):
        return outcome
    version = version or place_of(image.path).version_of(image.path)
    return replace(outcome, size=version.size, mtime_ns=version.mtime_ns) if version else outcome
