"""Log records as JSON, a line each, for programs that collect them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pythonjsonlogger.json import JsonFormatter

if TYPE_CHECKING:
    from common.settings import Settings


def use_log_format(settings: Settings, logger: logging.Logger, host: str) -> None:
    """Have a logger's handlers write what `log_format` asks for; as text, they stay as they are.

    Each line is an object: `time` (ISO 8601, UTC), `level`, `logger`, `host`, `process` (its id), `message`, `exc_info`
    where there is a traceback, and the fields that the record carries (`docs/logging.md`).
    """
    if settings.log_format != "json":
        return
    for handler in logger.handlers:
        handler.setFormatter(
            JsonFormatter(
                ("levelname", "name", "process", "message"),
                rename_fields={"levelname": "level", "name": "logger"},
                timestamp="time",
                static_fields={"host": host},
            )
        )


def log_warnings(settings: Settings, host: str) -> None:
    """Have Python's warnings be such lines, too: some are given before there is any other logger."""
    if settings.log_format != "json":
        return
    logging.captureWarnings(capture=True)
    logger = logging.getLogger("py.warnings")
    logger.addHandler(logging.StreamHandler())
    logger.propagate = False
    use_log_format(settings, logger, host)
