"""Label a whole image archive overnight, and query the result with SQL in the morning.

`docs/python.md` shows each function at work; `nightlabel.library` documents them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.errors import NightlabelError
    from common.settings import Settings, load_settings
    from nightlabel.library import (
        bench,
        cancel,
        classify,
        compare,
        compare_runs,
        enqueue,
        export,
        label,
        list_models,
        open_report,
        prepare_model,
        retry,
        status,
        upgrade_database,
        work,
        write_report,
    )

__all__ = [
    "NightlabelError",
    "Settings",
    "bench",
    "cancel",
    "classify",
    "compare",
    "compare_runs",
    "enqueue",
    "export",
    "label",
    "list_models",
    "load_settings",
    "open_report",
    "prepare_model",
    "retry",
    "status",
    "upgrade_database",
    "work",
    "write_report",
]

#: What is not the library's own. Imported when it is asked for: a command must not wait for what it does not use.
_ELSEWHERE = {"NightlabelError": "common.errors", "Settings": "common.settings", "load_settings": "common.settings"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_ELSEWHERE.get(name, "nightlabel.library")), name)
