"""Who a process is, and whether it still runs."""

from __future__ import annotations

import os
import platform
import socket
from functools import cache

import psutil

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
