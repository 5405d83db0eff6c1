"""Why an image has no labels: one closed list of kinds, and what each means (`docs/formats.md` shows the same)."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from storage.records import storable
from vocabulary.languages import translatable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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


class Explanation(NamedTuple):
    """What a kind of failure means, for people, and what they can do about it; code stands between backticks."""

    meaning: str
    to_do: str


EXPLANATIONS: Mapping[FailureKind, Explanation] = {
    FailureKind.VANISHED: Explanation(
        translatable("The file existed when the archive was scanned, and was gone when its turn came."),
        translatable("Nothing; if it comes back, the next run labels it."),
    ),
    FailureKind.UNREADABLE: Explanation(
        translatable("No permission; or the disk returned an error, or the file changed, four times in a row."),
        translatable("Fix it, then `nightlabel retry --kind unreadable`."),
    ),
    FailureKind.NOT_A_FILE: Explanation(
        translatable("A folder, FIFO or device with the name of an image."),
        translatable("Nothing."),
    ),
    FailureKind.OUTSIDE: Explanation(
        translatable("It lies outside of the archive, or is a link that leads out of it."),
        translatable("Label its target as an archive of its own."),
    ),
    FailureKind.TOO_LARGE: Explanation(
        translatable(
            "Over `NIGHTLABEL_MAX_FILE_MB` or `NIGHTLABEL_MAX_MEGAPIXELS`; over the memory limit of a process; or"
            " the kernel killed its process for lack of memory, twice, while it was labelled alone; or over"
            " another limit, which the message names."
        ),
        translatable("Raise the limit or start fewer workers, then retry."),
    ),
    FailureKind.NOT_AN_IMAGE: Explanation(
        translatable("None of the formats that are read, whatever its name says; also an empty file."),
        translatable("Nothing."),
    ),
    FailureKind.TRUNCATED: Explanation(
        translatable("The file ends before its pixels do; a missing end marker alone does not count."),
        translatable("Restore it from a backup: a changed file is labelled by the next run."),
    ),
    FailureKind.DAMAGED: Explanation(
        translatable("It cannot be decoded for another reason."),
        translatable("Restore it from a backup: a changed file is labelled by the next run."),
    ),
    FailureKind.TIMEOUT: Explanation(
        translatable(
            "Its disk delivered no byte for 30 s, or for a third of the soft time limit if that is less; or it"
            " alone took three eighths of the chunk's time limit, or hung until the worker was killed, twice."
        ),
        translatable("Raise `NIGHTLABEL_TIME_LIMIT_S`, then retry."),
    ),
    FailureKind.ENGINE: Explanation(
        translatable(
            "The model's engine raised an error on it alone, in three processes, while it labelled other images."
            " The message is the engine's."
        ),
        translatable("Report it, with the image."),
    ),
    FailureKind.REFUSED: Explanation(
        translatable("The database does not accept its values; the message says why."),
        translatable(
            "Look for a constraint or a trigger that somebody added to the table, then `nightlabel retry --kind"
            " refused`."
        ),
    ),
    FailureKind.POISON: Explanation(
        translatable(
            "It killed the process that labelled it alone, twice, or the whole worker five times. The message"
            " names the signal."
        ),
        translatable("Keep it away from other programs, and report it."),
    ),
}


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

    def __reduce__(self) -> tuple[Callable[..., ImageError], tuple[FailureKind, str]]:
        """Let it travel between processes: by itself, Python would call it with its message alone."""
        return partial(type(self), is_transient=self.is_transient, version=self.version), (self.kind, str(self))
