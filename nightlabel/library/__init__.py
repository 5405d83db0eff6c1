"""Nightlabel from Python: one function per command, and nothing that a command could do besides.

Each takes its settings as `Settings`, made by `load_settings(database_url="labels.db", …)`; None stands for those of
the environment (`NIGHTLABEL_…`). What goes wrong is raised as a `NightlabelError`, whose message says what to do. A
process that uses `label`, `retry` or `bench` starts others: guard its entry with `if __name__ == "__main__":`.

Everything that is slow to import is imported by the function that needs it.
"""

from nightlabel.library.corrections import correct, review
from nightlabel.library.models import bench, classify, compare, list_models, prepare_model
from nightlabel.library.moves import move
from nightlabel.library.page import web
from nightlabel.library.results import (
    compare_runs,
    export,
    fill_kinds,
    open_report,
    upgrade_database,
    write_report,
)
from nightlabel.library.runs import (
    cancel,
    enqueue,
    label,
    problems,
    raise_if_no_worker_here,
    retry,
    status,
    work,
)
from nightlabel.library.sidecars import sidecars
from nightlabel.library.things import find

__all__ = [
    "bench",
    "cancel",
    "classify",
    "compare",
    "compare_runs",
    "correct",
    "enqueue",
    "export",
    "fill_kinds",
    "find",
    "label",
    "list_models",
    "move",
    "open_report",
    "prepare_model",
    "problems",
    "raise_if_no_worker_here",
    "retry",
    "review",
    "sidecars",
    "status",
    "upgrade_database",
    "web",
    "work",
    "write_report",
]
