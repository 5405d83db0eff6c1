"""Run a step in a process of its own, so that the memory and threads of torch end with it.

A step is a module whose last lines hand its function to `main`. It is named by whoever needs it: nothing here knows
which steps there are.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from common.child_process import ChildError, ask_module
from common.errors import ModelError, NightlabelError
from host.memory import lift_limit
from models.cache import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def run_apart(module: str, cache_dir: Path, **arguments: Any) -> Any:  # noqa: ANN401 - JSON
    """Run a step in a process of its own, `python -P -m MODULE`; return its answer.

    Args:
        module: the step.
        cache_dir: where it keeps what it makes; the first of its arguments.
        arguments: the others, which JSON can express.

    Raises:
        ModelError: the step failed, with the sentence that it ended with; or the cache cannot be written to.

    """
    make_folder(cache_dir)
    return ask_step(module, cache_dir=str(cache_dir), **arguments)


def ask_step(module: str, **arguments: Any) -> Any:  # noqa: ANN401 - JSON
    """Run a step that keeps nothing in a process of its own; return its answer.

    Raises:
        ModelError: the step failed, with the sentence that it ended with.

    """
    try:
        answer = ask_module(module, question=json.dumps(arguments))
    except ChildError as error:
        raise ModelError(str(error)) from None
    return json.loads(answer.splitlines()[-1])  # what libraries print comes before it


def main(step: Callable[..., Any]) -> None:
    """Be the process of a step: call it with the arguments on standard input, and print its answer as JSON.

    Where it fails, the process ends with the error's exit status, and a sentence as the last line of standard error.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by OpenMP when torch is imported
    lift_limit()  # a labelling process may have started this one
    try:
        answer = step(**json.load(sys.stdin))
    except NightlabelError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the parent process shows the last line
        sys.exit(error.exit_status)
    except Exception as error:  # noqa: BLE001 - as above; what torch, OpenVINO and NNCF raise has no common root
        sys.exit(f"{type(error).__name__}: {error}")
    print(json.dumps(answer))  # noqa: T201 - our answer
