"""Who a process is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from host.process import interrupt, is_running, process_identity
from tests.processes import start_python

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_this_process_runs() -> None:
    assert is_running(process_identity(os.getpid())) is True


def test_a_process_that_has_ended_does_not_run() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        identity = process_identity(child.pid)
        assert is_running(identity) is True
        child.kill()
    assert is_running(identity) is False


def test_a_later_process_of_the_same_number_is_another_one() -> None:
    """Numbers are given again, in a container within minutes."""
    machine, pid, started = process_identity(os.getpid()).rsplit("/", 2)
    assert is_running(f"{machine}/{pid}/{float(started) - 60:.2f}") is False


def test_a_reading_of_the_start_that_is_rounded_otherwise_is_of_the_same_process() -> None:
    machine, pid, started = process_identity(os.getpid()).rsplit("/", 2)
    assert is_running(f"{machine}/{pid}/{float(started) + 0.01:.2f}") is True


@pytest.mark.skipif(sys.platform != "linux", reason="the identity of a boot and of a container is Linux's")
def test_of_a_process_of_another_start_of_the_host_or_of_another_container_nobody_knows() -> None:
    boot, rest = process_identity(os.getpid()).split("/", 1)
    namespace, rest = rest.split("/", 1)
    assert is_running(f"{boot[::-1]}/{namespace}/{rest}") is None
    assert is_running(f"{boot}/pid:[1]/{rest}") is None


@pytest.mark.skipif(not shutil.which("unshare") or os.geteuid() != 0, reason="only root makes a PID namespace")
def test_in_a_container_the_same_number_is_of_another_process() -> None:
    """Both are told of a process with the number 1, each of its own."""
    program = "from host.process import process_identity; print(process_identity(1))"
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("/")[-2] == "1"
    assert is_running(done.stdout.strip()) is None


@pytest.mark.parametrize(
    "identity", [None, "", "/", "nas:17", "17", "//17/1.00", "boot/pid:[1]/-1/1.00", "boot/pid:[1]/x/1.00"]
)
def test_of_what_is_no_identity_nobody_knows(identity: str | None) -> None:
    """What version 0.1.0 has stored, for instance."""
    assert is_running(identity) is None


@pytest.mark.parametrize("started", ["", "soon", "nan"])
def test_a_start_that_is_no_time_is_that_of_no_process_which_runs(started: str) -> None:
    machine, pid, _ = process_identity(os.getpid()).rsplit("/", 2)
    assert not is_running(f"{machine}/{pid}/{started}")


def test_a_number_that_no_process_has_is_no_process() -> None:
    machine, _, started = process_identity(os.getpid()).rsplit("/", 2)
    assert is_running(f"{machine}/{2**40}/{started}") is False


def test_there_is_no_identity_of_a_process_that_is_not() -> None:
    with pytest.raises(psutil.NoSuchProcess):
        process_identity(2**22 + 1)


@contextmanager
def waiting(setup: str) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that has prepared itself for signals so, and waits; kill it afterwards."""
    code = f"import os, signal, time; {setup}; print('ready', flush=True); time.sleep(60)"
    with start_python(code) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


#: Python's own for SIGINT would end it, too.
HANDLER = "signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.{}, lambda *_: os._exit(7))"


@pytest.mark.parametrize("sign", ["SIGTERM", "SIGINT"])
def test_a_process_is_interrupted_by_the_signal_that_it_has_a_handler_for(sign: str) -> None:
    """A program that calls the library has Python's for SIGINT alone; in a shell's background, SIGINT is ignored."""
    with waiting(HANDLER.format(sign)) as process:
        assert interrupt(process_identity(process.pid))
        assert process.wait(60) == 7


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which signals a process handles")
def test_a_process_that_would_not_end_in_good_order_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        with pytest.raises(PermissionError, match="handles neither"):
            interrupt(process_identity(process.pid))
        assert process.poll() is None
        process.kill()


def test_no_later_process_of_the_same_number_is_interrupted_and_none_elsewhere() -> None:
    with waiting(HANDLER.format("SIGTERM")) as process:
        machine, pid, started = process_identity(process.pid).rsplit("/", 2)
        assert not interrupt(f"{machine}/{pid}/{float(started) - 60:.2f}")
        assert not interrupt(f"other/{pid}/{started}")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
    assert not interrupt(f"{machine}/{pid}/{started}")  # nor one that has ended


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes of other users")
def test_another_users_process_is_left_alone_even_by_root() -> None:
    with waiting(f"os.setuid(65534); {HANDLER.format('SIGTERM')}") as process:
        with pytest.raises(PermissionError, match="another user's"):
            interrupt(process_identity(process.pid))
        assert process.poll() is None
