"""Child processes that never outlive their parent, and who a process is."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import socket
import threading
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

_PR_SET_PDEATHSIG = 1
#: Loaded here, not between fork and exec, where loading could wait for a lock of a thread that is gone.
_LIBC = ctypes.CDLL(None)
_IS_LINUX = platform.system() == "Linux"
#: The PID namespace that Linux starts with: `PROC_PID_INIT_INO` of linux/proc_ns.h.
_HOSTS_NUMBERS = 0xEFFFFFFC
#: Seconds by which two readings of one process's start may differ, where a clock was set in between.
_SAME_START_S = 2.0


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


@contextmanager
def interrupts_held_back() -> Iterator[None]:
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
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if callable(signal.getsignal(sign))
    }
    try:
        yield
    finally:
        for sign, handler in handlers.items():
            signal.signal(sign, handler)
        if come:
            signal.raise_signal(come[0])


def process_identity(pid: int) -> str:
    """Return who a living process of this machine is: `MACHINE/PID/START`.

    A number alone is given again: to a later process, in another container, after the host's next start.

    Raises:
        psutil.NoSuchProcess: there is none of that number.

    """
    return f"{_machine()}/{pid}/{_start(pid)}"


def host_name() -> str:
    """Return this host's name; that of a container with process numbers of its own tells it from its neighbours'.

    Containers may share the host's name, and then each of them has a process 1.
    """
    name = socket.gethostname()
    numbers = _pid_namespace() if _IS_LINUX else _HOSTS_NUMBERS
    return name if numbers == _HOSTS_NUMBERS else f"{name}.{numbers % 10_000:04}"


def is_running(identity: str | None) -> bool | None:
    """Tell whether a process still runs; None where it is of another machine or container, and nobody can tell."""
    machine, _, rest = (identity or "").rpartition("/")
    machine, _, pid = machine.rpartition("/")
    if machine != _machine() or not pid.isdecimal():
        return None
    try:
        return abs(float(_start(int(pid))) - float(rest)) <= _SAME_START_S
    except psutil.NoSuchProcess:
        return False
    except ValueError:
        return None


def _start(pid: int) -> str:
    """Return when a process started: on Linux in seconds since the host did, which no setting of a clock moves."""
    if not _IS_LINUX:
        return f"{psutil.Process(pid).create_time():.2f}"
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            # Behind the name, which may hold anything, it is the 20th. Source: proc_pid_stat(5), starttime.
            ticks = int(stat.read().rpartition(b")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None
    return f"{ticks / os.sysconf('SC_CLK_TCK'):.2f}"


@cache
def _machine() -> str:
    """Return what tells this start of this host, and this container's process numbers, from all others."""
    if not _IS_LINUX:
        return f"{os.uname().nodename}/{psutil.boot_time():.0f}"
    with open("/proc/sys/kernel/random/boot_id") as boot_id:
        return f"{boot_id.read().strip()}/{_pid_namespace()}"


def _pid_namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino
