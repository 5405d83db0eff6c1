"""How a command ends: with a sentence and a documented exit status, never with a traceback."""

from __future__ import annotations

import os
import signal
import sys
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec

import typer

from common.errors import INTERRUPTED_EXIT_STATUS, NightlabelError
from nightlabel.screen import OutputError, say

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")


def ends_well(command: Callable[P, None]) -> Callable[P, None]:
    """End a command with the sentence and the exit status of every expected error."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        _treat_stops_as_interrupts()
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except NightlabelError as error:
            if isinstance(error, OutputError):
                _discard_output()
            say(f"nightlabel: {error}", err=True)
            raise typer.Exit(error.exit_status) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED_EXIT_STATUS) from None
        except BrokenPipeError:  # `nightlabel export | head`
            _discard_output()
            raise typer.Exit(0) from None

    return guarded


def _treat_stops_as_interrupts() -> None:
    """Take what asks a service to stop, and a terminal that is closed, for Ctrl-C; not so under nohup(1)."""
    for sign in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sign) is not signal.SIG_IGN:
            signal.signal(sign, signal.default_int_handler)


def _discard_output() -> None:
    """Send what standard output still holds nowhere: at its exit, Python tries again, and that would be status 120."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
