"""What all views share: the settings, the warm model, and the database, which may not be there yet."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from common.errors import DatabaseError
from runner.retry_service import RetryService
from storage.schema_version import existing_database
from web.gallery.counted import Counted
from web.monitoring.metrics import metrics
from web.monitoring.readiness import readiness
from web.night.reports import Reports
from web.night.watching import Watching
from web.originals import Originals
from web.queries import Queries
from web.thumbnails.service import Thumbnails
from web.uploads import Uploads
from web.warm_model import WarmModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from common.settings import Settings
    from storage.database import Database


class State:
    """What lives as long as the server does."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.originals = Originals(settings)
        self.thumbnails = Thumbnails(settings)
        self.model = WarmModel(settings)
        self.uploads = Uploads()
        self.queries = Queries()
        self.counted = Counted()
        self.watching = Watching(settings, self.database)
        self.reports = Reports(settings, self.database)
        self.retry = RetryService(settings)
        self.metrics = metrics(settings, self.database)
        self.readiness = readiness(self.database)
        self._lock = threading.Lock()
        self._database: Database | None = None

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Yield the database, opened if it is not yet; call it in a thread, where waiting keeps nobody else.

        After an error it is opened anew the next time: another one may lie in its place.

        Raises:
            DatabaseError: it is not there, not reachable, or of another version.

        """
        with self._lock:
            if self._database is None:
                self._database = existing_database(self.settings.database_url)
            database = self._database
        try:
            yield database
        except DatabaseError:
            with self._lock:
                if self._database is database:
                    self._database = None
            database.close()
            raise

    def close(self) -> None:
        """End what was started; it takes a moment."""
        self.thumbnails.close()
        self.model.close()
        self.uploads.close()
        self.retry.stop()
        with self._lock:
            if self._database:
                self._database.close()
            self._database = None
