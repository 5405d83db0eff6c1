"""Label a whole image archive overnight, and query the result with SQL in the morning.

`docs/python.md` shows each function at work; `nightlabel.library` documents them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from nightlabel import library
from nightlabel.library import *  # noqa: F403 - what it names in `__all__`

if TYPE_CHECKING:
    from common.errors import NightlabelError
    from common.settings import Settings, load_settings

__all__ = ["NightlabelError", "Settings", "load_settings"]
__all__ += library.__all__

#: Slow to import, so only when it is asked for: a command must not wait for what it does not use.
_SLOW = {"NightlabelError": "common.errors", "Settings": "common.settings", "load_settings": "common.settings"}


def __getattr__(name: str) -> object:
    if name not in _SLOW:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_SLOW[name]), name)
