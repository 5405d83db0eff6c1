"""The reports of runs as pages: made when somebody asks, one at a time, and kept for a moment."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

from common.errors import DatabaseError
from report.run.figures import run_figures
from report.run.page import run_page
from storage.runs import get_run
from web.monitoring.refreshed import Refreshed
from web.processes import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from common.settings import Settings
    from storage.database import Database
    from storage.records import Run

#: Reports that are kept or being made, of about 5 MB each: most of that is plotly.
_KEPT = 4
#: Seconds for which one is: pictures and a run at work change it.
_KEPT_S = 30.0
#: Seconds for which somebody waits: of some thousand images, a report takes less.
_WAIT_S = 1.5


class Reports:
    """Makes reports, each for all who ask; all methods are for one event loop."""

    def __init__(self, settings: Settings, database: Callable[[], AbstractContextManager[Database]]) -> None:
        self._settings = settings
        self._database = database
        self._turn = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], Refreshed[str]] = OrderedDict()

    async def report(self, run: Run, newest_word_id: int | None, language: str) -> str:
        """Return a run's report as HTML, as it is now or was a moment ago in the same state, and after the same words.

        Args:
            run: as it is now.
            newest_word_id: of what people say of images; None: nobody has said anything.
            language: of names.

        Raises:
            TimeoutError: it takes longer, some seconds for a million images: it is being made.
            BusyError: so are as many others as may.
            DatabaseError: there is no such run, or the database is out of reach.

        """
        # Another database in the place of this one has another run of the same id.
        key = run.id, run.created_at, run.state, newest_word_id, language
        if key not in self._kept:
            self._make_room()
            self._kept[key] = Refreshed(partial(self._make, run.id, language), kept_s=_KEPT_S, limit_s=_WAIT_S)
        self._kept.move_to_end(key)
        try:
            return await self._kept[key].value()
        except TimeoutError:
            raise
        except Exception:
            self._kept.pop(key, None)  # whoever asks next may have more luck
            raise

    def _make_room(self) -> None:
        if len(self._kept) >= _KEPT:
            oldest = next((key for key, one in self._kept.items() if not one.is_sought), None)
            if oldest is None:
                raise BusyError
            del self._kept[oldest]

    def _make(self, run_id: int, language: str) -> str:
        settings = self._settings.model_copy(update={"language": language})
        with self._turn, self._database() as database:
            run = get_run(database, run_id)
            if run is None:
                raise DatabaseError(f"There is no run {run_id} in {database.shown}.")
            return run_page(run_figures(database, run), database, settings)
