"""Why an image has no labels: one closed list of kinds (`docs/formats.md` tells users what to do about each)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from storage.records import storable

if TYPE_CHECKING:
    from archive.places.contract import Version


class FailureKind(StrEnum):
    """The values of `results.error_kind`."""

    VANISHED = "vanished"  #: the file is gone
    UNREADABLE = "unreadable"  #: no permission, or the disk gave an error
    NOT_A_FILE = "not_a_file"  #: a folder, a FIFO, a device
    OUTSIDE = "outside"  #: it lies outside of the archive, or is a link that leads out of it
    TOO_LARGE = "too_large"  #: over the limit on bytes or pixels
    NOT_AN_IMAGE = "not_an_image"  #: of no supported format, whatever its name says
    TRUNCATED = "truncated"  #: the file ends too early
    DAMAGED = "damaged"  #: it cannot be decoded for another reason
    TIMEOUT = "timeout"  #: it took longer than the time limit
    ENGINE = "engine"  #: the model's engine raised an error on it alone, again and again, while others passed
    REFUSED = "refused"  #: the database does not accept its results
    POISON = "poison"  #: it killed the worker process again and again


class ImageError(Exception):
    """One image cannot be labelled; the others of its chunk can.

    One that `is_transient` is caused by the disk or the network, not by the file: the next run tries again. Where the
    file was looked at and not read, `version` is the one that failed.
    """

    def __init__(
        self, kind: FailureKind, message: str, *, is_transient: bool = False, version: Version | None = None
    ) -> None:
        super().__init__(storable(message))
        self.kind = kind
        self.is_transient = is_transient
        self.version = version
