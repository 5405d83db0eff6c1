"""Child processes that never outlive their parent, in a container too."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from tests.command import wait_until

_PARENT = """
import os, subprocess, sys, time
from functools import partial
from common.child_process import die_with_parent
child = subprocess.Popen(["sleep", "60"], preexec_fn=partial(die_with_parent, os.getpid()))
print(child.pid, flush=True)
time.sleep(60)
"""
_AS_PID_1 = """
import os, subprocess
from functools import partial
from common.child_process import die_with_parent
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
        "from common.child_process import deferred_signals\n"
        f"signal.signal({sign:d}, signal.default_int_handler)\n"
        f"os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), {sign:d}))\n"
        "try:\n"
        "    with deferred_signals():\n"
        "        child = subprocess.Popen(['true'], preexec_fn=lambda: None)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', child.wait())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=False)
    assert (done.stdout, done.stderr) == ("interrupted 0\n", "")
