"""Counts beside the filters, kept for as long as they surely hold, and counted at leisure where they take longer."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from storage.gallery.facets import ALL_S, EACH_S, Facets, facets, stamp

if TYPE_CHECKING:
    from storage.database import Database
    from storage.gallery.filters import Filters

#: Queries of which counts are kept.
_MOST_KEPT = 200
#: Seconds after which they are counted anew, whatever their stamp says: a clock may have been set back.
_KEPT_S = 60.0
#: How long a count may take at leisure, and all of them; one at a time is made.
_LEISURE_S, _ALL_LEISURE_S = 2.0, 5.0


class _Kept(NamedTuple):
    since: float  #: by the monotonic clock
    facets: Facets
    at_leisure: bool  #: there was time: what is not counted takes longer than anybody waits


class Counted:
    """The counts that a server has made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leisure = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], _Kept] = OrderedDict()

    def counts(self, database: Database, filters: Filters, *, at_leisure: bool = False) -> Facets:
        """Return the counts that there are in time; call it in a thread.

        Args:
            database: where.
            filters: what is shown.
            at_leisure: whether it may take seconds: where others are counted so, it is as if it might not.

        """
        key = str(database.url), stamp(database), filters
        kept = self._find(key)
        if kept is not None and (kept.facets.is_complete or kept.at_leisure or not at_leisure):
            return kept.facets
        may_wait = at_leisure and self._leisure.acquire(blocking=False)
        try:
            found = facets(database, filters, *((_LEISURE_S, _ALL_LEISURE_S) if may_wait else (EACH_S, ALL_S)))
        finally:
            if may_wait:
                self._leisure.release()
        self._keep(key, _Kept(time.monotonic(), found, at_leisure=may_wait))
        return found

    def _find(self, key: tuple[object, ...]) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(key)
            return kept if kept and time.monotonic() - kept.since < _KEPT_S else None

    def _keep(self, key: tuple[object, ...], found: _Kept) -> None:
        with self._lock:
            self._kept[key] = found
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
