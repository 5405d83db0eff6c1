"""Why an image has no labels: one closed list of kinds (`docs/formats.md` tells users what to do about each)."""

from enum import StrEnum

from storage.records import storable


class FailureKind(StrEnum):
    """The values of `results.error_kind`."""

    VANISHED = "vanished"  #: the file is gone
    UNREADABLE = "unreadable"  #: no permission, or the disk gave an error
    NOT_A_FILE = "not_a_file"  #: a folder, a FIFO, a device
    OUTSIDE = "outside"  #: a link that leads out of the archive
    TOO_LARGE = "too_large"  #: over the limit on bytes or pixels
    NOT_AN_IMAGE = "not_an_image"  #: no format that is read, whatever its name says
    TRUNCATED = "truncated"  #: the file ends too early
    DAMAGED = "damaged"  #: it cannot be decoded for another reason
    TIMEOUT = "timeout"  #: it took longer than the time limit
    ENGINE = "engine"  #: the model's engine raised an error on it alone, again and again, while others passed
    REFUSED = "refused"  #: the database does not take what was found of it
    POISON = "poison"  #: it ended the worker again and again


class ImageError(Exception):
    """One image cannot be labelled; the others of its chunk can.

    One that `passes` has its cause in the disk or the network, not in the file: the next run tries again. Where the
    file was looked at and not read, `version` is the size and mtime (in nanoseconds) of the one that failed.
    """

    def __init__(
        self, kind: FailureKind, message: str, *, passes: bool = False, version: tuple[int, int] | None = None
    ) -> None:
        super().__init__(storable(message))
        self.kind = kind
        self.passes = passes
        self.version = version
