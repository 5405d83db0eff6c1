"""Python in a process of its own, where nothing is imported yet."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

#: Seconds; a process that is not done by then is stuck.
_LONGEST_S = 240
#: A number that no process has: Linux ends below it. Source: linux/threads.h, PID_MAX_LIMIT
NO_PROCESS = 4 * 1024 * 1024 + 1


def start_python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start `code`, which finds its arguments in `sys.argv[1:]`."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer_of(process: subprocess.Popen[str]) -> Any:
    """Wait for a process; return the JSON that it printed."""
    output, errors = process.communicate(timeout=_LONGEST_S)
    assert process.returncode == 0, errors
    return json.loads(output)


def in_a_process(code: str, *arguments: str) -> Any:
    return answer_of(start_python(code, *arguments))
