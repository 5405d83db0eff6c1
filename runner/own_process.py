"""Ask one of our modules in a process of its own, with exactly these settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from common.child_process import ChildError, ask_module
from common.errors import ArchiveError, ModelError
from common.settings import ENV_PREFIX, as_environment

if TYPE_CHECKING:
    from common.settings import Settings


def ask_with_settings(module: str, *arguments: str, question: str, settings: Settings) -> str:
    """Return what the module wrote to standard output; of the environment's settings, none reaches it.

    Raises:
        ArchiveError: it ended with the exit status of one.
        ModelError: it failed otherwise, or was killed.

    """
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith(ENV_PREFIX)}
    try:
        return ask_module(module, *arguments, question=question, environment=inherited | as_environment(settings))
    except ChildError as error:
        kind = ArchiveError if error.status == ArchiveError.exit_status else ModelError
        raise kind(str(error)) from None
