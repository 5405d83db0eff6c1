"""Child processes that never outlive their parent, in a container too; and who a process is."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from broker.process import is_running, process_identity
from tests.command import wait_until

_PARENT = """
import os, subprocess, sys, time
from functools import partial
from broker.process import die_with_parent
child = subprocess.Popen(["sleep", "60"], preexec_fn=partial(die_with_parent, os.getpid()))
print(child.pid, flush=True)
time.sleep(60)
"""
_AS_PID_1 = """
import os, subprocess
from functools import partial
from broker.process import die_with_parent
assert os.getpid() == 1
raise SystemExit(subprocess.call(["true"], preexec_fn=partial(die_with_parent, 1)))
"""


def test_a_child_dies_with_its_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = psutil.Process(int(parent.stdout.readline()))

    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()

    assert wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE or None)


@pytest.mark.skipif(not shutil.which("unshare") or os.geteuid() != 0, reason="only root makes a PID namespace")
def test_a_parent_that_is_pid_1_keeps_its_children() -> None:
    """In a container the worker's main process is PID 1, as an orphan's parent would be."""
    done = subprocess.run(["unshare", "--pid", "--fork", sys.executable, "-c", _AS_PID_1], check=False)

    assert done.returncode == 0


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_that_comes_while_a_process_is_started_is_not_lost(sign: signal.Signals) -> None:
    """In one of the hooks that Python calls when it forks, it would be printed and forgotten."""
    program = (
        "import os, signal, subprocess\n"
        "from broker.process import interrupts_held_back\n"
        f"signal.signal({sign:d}, signal.default_int_handler)\n"
        f"os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), {sign:d}))\n"
        "try:\n"
        "    with interrupts_held_back():\n"
        "        child = subprocess.Popen(['true'], preexec_fn=lambda: None)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', child.wait())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("interrupted 0\n", "")


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
    program = "from broker.process import process_identity; print(process_identity(1))"
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
