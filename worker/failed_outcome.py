"""The outcome of an image that has no labels."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from archive.failures import FailureKind
from storage.records import Outcome, mtime_ns_of

if TYPE_CHECKING:
    from archive.reading import ImageFile
    from storage.records import ChunkImage


def failed(
    image: ChunkImage,
    kind: FailureKind,
    message: str,
    file: ImageFile | None = None,
    *,
    is_transient: bool = False,
    version: tuple[int, int] | None = None,
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
        version: size in bytes and mtime in nanoseconds of the file that was looked at.

    """
    outcome = Outcome(image_id=image.image_id, error_kind=str(kind), error=message)
    if file:
        return replace(outcome, size=file.size, mtime_ns=file.mtime_ns, content=file.content, read_ms=file.read_ms)
    if is_transient or kind in (FailureKind.VANISHED, FailureKind.TIMEOUT):
        return outcome
    if version:
        return replace(outcome, size=version[0], mtime_ns=version[1])
    try:
        status = os.stat(image.path)
    except OSError:
        return outcome
    return replace(outcome, size=status.st_size, mtime_ns=mtime_ns_of(status))
