"""Child processes: they end with their parent, and what they said last tells why they ended."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_PR_SET_PDEATHSIG = 1
#: Loaded here, not between fork and exec, where loading could wait for a lock of a thread that is gone.
_LIBC = ctypes.CDLL(None)
_IS_LINUX = platform.system() == "Linux"
_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends, however it ends. Linux only; elsewhere a no-op.

    Args:
        parent_pid: of the parent, asked before the fork: one that ended meanwhile is not the parent any more. It may
            be 1, as in a container.

    Source: prctl(2), PR_SET_PDEATHSIG.

    """
    if _IS_LINUX:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it ended before the call
            os.kill(os.getpid(), signal.SIGKILL)


def start_service(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that runs beside this one, and ends with it at the latest; what it prints is appended to `log`.

    It is the leader of a process group of its own: Ctrl-C is for its parent, which ends it in good order.

    Raises:
        OSError: it is no program of this machine, or the log cannot be written.

    """
    with log.open("ab") as output, deferred_signals():
        return subprocess.Popen(  # noqa: S603 - our own command line
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - one system call, nothing that could wait for a lock
        )


def end_service(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Ask a service to end in good order, and wait; kill it if that takes too long, or if somebody presses Ctrl-C."""
    process.terminate()
    try:
        process.wait(timeout_s)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        kill_service(process)


def kill_service(process: subprocess.Popen[bytes]) -> None:
    """Kill a service with all of its processes, which are a group: not every system lets children die with it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last lines of a service's log."""
    return log.read_text(errors="replace").strip().splitlines()[-count:]


class ChildError(Exception):
    """A process that was to answer ended with another exit status than 0."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status  #: its exit status; negative: the number of the signal that ended it


def ask_module(module: str, *arguments: str, question: str = "", environment: Mapping[str, str] | None = None) -> str:
    """Run `python -m MODULE ARGUMENT…` in a process of its own, and return what it wrote to standard output.

    Args:
        module: one of ours.
        arguments: of its command line.
        question: what it finds on its standard input.
        environment: its variables; None: those of this process.

    Raises:
        ChildError: it failed; with its own last line, or the signal that ended it.

    """
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        # -P: a folder of the same name in the current folder must not stand in for ours.
        [sys.executable, "-P", "-m", module, *arguments],
        input=question,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=environment,
        # No `preexec_fn`: for one, Python forks, and a Ctrl-C that comes in one of its hooks meanwhile is lost.
        check=False,
    )
    if done.returncode:
        raise ChildError(_last_words(done), done.returncode)
    return done.stdout


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"its process was ended by {signal.Signals(-done.returncode).name}. Was there too little memory?"
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"its process ended with status {done.returncode}"


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Let a Ctrl-C, SIGTERM or SIGHUP of this block come at its end.

    With a `preexec_fn`, Python forks itself; a KeyboardInterrupt out of one of the hooks that it calls then is printed,
    and lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    come: list[int] = []
    handlers = {
        sign: signal.signal(sign, lambda number, _frame: come.append(number))
        for sign in _HANDLED
        if callable(signal.getsignal(sign))
    }
    try:
        yield
    finally:
        for sign, handler in handlers.items():
            signal.signal(sign, handler)
        if come:
            signal.raise_signal(come[0])
