"""Who a process is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import psutil
import pytest

from host.process import is_running, process_identity


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
