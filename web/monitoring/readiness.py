"""Whether the page can show anything: its database is there, answers, and is of this version."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from common.errors import DatabaseError
from storage.schema_version import check_schema
from web.monitoring.refreshed import Refreshed

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from storage.database import Database

logger = logging.getLogger(__name__)

#: Seconds that an answer is good for: whoever asks without a token does not make the database work.
_KEPT_S = 1.0
#: Seconds that the database has for its answer.
_LIMIT_S = 5.0


def readiness(database: Callable[[], AbstractContextManager[Database]]) -> Refreshed[bool]:
    """Return whether the page's database can be used; why not is told to the log alone."""
    return Refreshed(partial(_is_ready, database, []), kept_s=_KEPT_S, limit_s=_LIMIT_S)


def _is_ready(database: Callable[[], AbstractContextManager[Database]], told: list[str]) -> bool:
    try:
        with database() as opened:
            check_schema(opened)
    except DatabaseError as error:
        if told != [str(error)]:  # once, and not at each probe
            logger.warning("not ready: %s", error)
        told[:] = [str(error)]
        return False
    told.clear()
    return True
