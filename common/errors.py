"""One root for every error that a person can act on.

Each says what happened and what to do, in a sentence; the command line prints it without a traceback and
ends with the class's own exit status (`docs/commands.md` lists them).
"""

from typing import ClassVar


class NightlabelError(Exception):
    """Nightlabel could not go on."""

    #: What the command line exits with. 1 is left to errors nobody foresaw.
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__class__.__doc__)


class UsageError(NightlabelError):
    """An option or a setting has a value that makes no sense."""

    exit_status = 2  # what Typer uses for wrong options too


class ModelError(NightlabelError):
    """The model is unknown, or its weights are missing, damaged or not the ones that a run recorded."""

    exit_status = 3


class EngineError(ModelError):
    """The model's engine raised an error, or answered with what are no probabilities."""


class BrokerError(NightlabelError):
    """Redis is out of reach."""

    exit_status = 4


class BrokerBusyError(BrokerError):
    """Redis did not answer, or has no room; waiting and trying again is worth it."""


class DatabaseError(NightlabelError):
    """The database is out of reach, locked, full, or of another version."""

    exit_status = 5


class DatabaseBusyError(DatabaseError):
    """The database did not answer in time; waiting and trying again is worth it."""


class DatabaseRefusedError(DatabaseError):
    """The database does not take a value; the same statement without it goes well."""


class QueryTimeoutError(DatabaseError):
    """A query took longer than it may, and was stopped."""


#: What a worker exits with when its database did not answer at the start: another try may find it there.
TRY_AGAIN_EXIT_STATUS = 75  # EX_TEMPFAIL of sysexits.h


class ArchiveError(NightlabelError):
    """The archive is missing, unreadable, or holds no image."""

    exit_status = 6


class WorkersError(NightlabelError):
    """The workers ended again and again, or never started."""

    exit_status = 7


class FollowedError(NightlabelError):
    """Another command follows the run already."""

    exit_status = 8


class CancelledError(NightlabelError):
    """The run was cancelled."""

    exit_status = 9


#: `run` stopped where `--until`, `--max-duration` or `--max-images` said so, and the same command goes on.
STOPPED_EXIT_STATUS = 10
#: Ctrl-C or SIGTERM: 128 + SIGINT, as shells have it.
INTERRUPTED_EXIT_STATUS = 130
