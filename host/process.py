"""Who a process is, and whether it still runs."""

from __future__ import annotations

import os
import platform
import signal
import socket
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_IS_LINUX = platform.system() == "Linux"
#: The PID namespace that Linux starts with: `PROC_PID_INIT_INO` of linux/proc_ns.h.
_HOSTS_NUMBERS = 0xEFFFFFFC
#: Seconds by which two readings of one process's start may differ, where a clock was set in between.
_SAME_START_S = 2.0


def process_identity(pid: int) -> str:
    """Return who a living process of this machine is: `MACHINE/PID/START`.

    A number alone is reused: by a later process, in another container, after the host's next start.

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


def interrupt(identity: str) -> bool:
    """Ask a process to end in good order, as Ctrl-C in its terminal does; return whether it is there to be asked.

    Whoever it is, is looked at while the kernel keeps its number from another (Linux): no process that came later, and
    none of another machine or container is signalled. Nor is one that has made no arrangement for such a signal, which
    would end it at once.

    Raises:
        PermissionError: it is another user's, or would not end in good order.

    """
    if not is_running(identity):
        return False
    pid = int(identity.split("/")[-2])
    try:
        with _held(pid) as send:
            if not is_running(identity):
                return False
            if psutil.Process(pid).uids().effective != os.geteuid():
                raise PermissionError(f"process {pid} is another user's")
            send(_handled_signal(pid))
    except (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):  # it has ended meanwhile
        return False
    return True


@contextmanager
def _held(pid: int) -> Iterator[Callable[[int], None]]:
    """Yield what sends a signal to a process, and to no later one of the same number."""
    if not _IS_LINUX:
        yield partial(os.kill, pid)
        return
    descriptor = os.pidfd_open(pid)
    try:
        yield partial(signal.pidfd_send_signal, descriptor)
    finally:
        os.close(descriptor)


def _handled_signal(pid: int) -> int:
    """Return the signal for which a process has a handler: a program that calls the library may have none for SIGTERM.

    Source: proc_pid_status(5), SigCgt.
    """
    if not _IS_LINUX:
        return signal.SIGTERM
    with open(f"/proc/{pid}/status") as status:
        handled = next((int(line.split()[1], 16) for line in status if line.startswith("SigCgt:")), 0)
    for number in (signal.SIGTERM, signal.SIGINT):
        if handled >> (number - 1) & 1:
            return number
    raise PermissionError(f"process {pid} handles neither SIGTERM nor SIGINT")


def give_way(niceness: int) -> None:
    """Have this process go behind others, nice(1).

    Where Linux groups processes by their sessions, a niceness counts within one's own alone, and the session has one
    of its own: that is set, too, where this process leads it. Source: sched(7), «The autogroup feature».
    """
    os.nice(max(0, niceness - os.nice(0)))
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # another system, or a kernel that has no groups
            Path("/proc/self/autogroup").write_text(str(niceness))


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
