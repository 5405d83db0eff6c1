"""One look at the runs for all who watch them: however many browsers, the database is asked once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from common.errors import DatabaseError
from runner.stop import Stopper
from web.night.situation import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from common.settings import Settings
    from storage.database import Database
    from web.night.situation import Night, WatchedRun

#: Seconds between two looks while somebody watches, and while nothing is at work.
_LOOK_S, _IDLE_LOOK_S = 2.0, 5.0
#: Seconds for which a look is good enough for one who opens the page.
_FRESH_S = 1.0
#: A look at a million images takes a fifth of a second: whoever watches may cost the night a twentieth of a CPU.
_LOOKING_SHARE = 20
#: Browsers that may watch at a time.
MOST_WATCHERS = 100
#: Seconds after which a watcher without news hears that the server is still there.
_HEARTBEAT_S = 15.0


class Watching:
    """Looks at the runs while somebody watches; all methods are for one event loop."""

    def __init__(self, settings: Settings, database: Callable[[], AbstractContextManager[Database]]) -> None:
        self.stopper = Stopper()
        self._watch = Watch(settings)
        self._database = database
        self._looking = asyncio.Lock()
        self._night: Night | None = None
        self._looked_at = 0.0
        self._pause_s = 0.0  #: what the newest look asks for before the next one
        self._watchers: set[asyncio.Event] = set()
        self._poller: asyncio.Task[None] | None = None
        self._is_closed = False

    async def night(self) -> Night:
        """Return the runs at this moment, or a moment ago.

        Raises:
            DatabaseError: there is none, or it is out of reach.

        """
        async with self._looking:
            clock = asyncio.get_running_loop().time
            begun = clock()
            if self._night is None or begun - self._looked_at > max(_FRESH_S, self._pause_s / 2):
                self._night = await run_in_threadpool(self._look)
                self._looked_at = clock()
                self._pause_s = (self._looked_at - begun) * _LOOKING_SHARE
            return self._night

    async def one(self, run_id: int) -> WatchedRun | None:
        """Return one run, which may be over; None: there is no such run.

        Raises:
            DatabaseError: there is none, or it is out of reach.

        """
        return await run_in_threadpool(self._look_at, run_id)

    @property
    def is_full(self) -> bool:
        """Whether as many watch as may."""
        return len(self._watchers) >= MOST_WATCHERS

    async def news(self) -> AsyncIterator[bool]:
        """Yield True whenever something has changed, and False now and then where nothing has, until all ends."""
        changed = asyncio.Event()
        self._watchers.add(changed)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            while not self._is_closed:
                try:
                    await asyncio.wait_for(changed.wait(), _HEARTBEAT_S)
                except TimeoutError:
                    yield False
                else:
                    changed.clear()
                    yield True
        finally:
            self._watchers.discard(changed)

    async def _poll(self) -> None:
        told: object = None
        while self._watchers and not self._is_closed:
            night = None
            try:
                night = await self.night()
                tells: object = night.tells
            except DatabaseError as error:  # it may come, or come back
                tells = str(error)
            if tells != told:
                told = tells
                for changed in self._watchers:
                    changed.set()
            await asyncio.sleep(max(_LOOK_S if night and night.is_unfinished else _IDLE_LOOK_S, self._pause_s))

    def _look(self) -> Night:
        with self._database() as database:
            return self._watch.look(database, self.stopper.asked)

    def _look_at(self, run_id: int) -> WatchedRun | None:
        with self._database() as database:
            return self._watch.look_at(database, run_id, self.stopper.asked)

    def close(self) -> None:
        """End what watchers listen to: it would never end by itself."""
        self._is_closed = True
        for changed in self._watchers:
            changed.set()

    def forget(self) -> None:
        """Look anew when next asked: something was done."""
        self._night = None
