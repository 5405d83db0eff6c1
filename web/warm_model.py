"""The model that waits for pictures: loaded, in a process of its own."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archive.failures import FailureKind
from common.errors import EngineError
from vocabulary.languages import translatable
from web.model_process import Labelled, find_model, label_file
from web.processes import BusyError, LostTaskError, Processes, TimeLimitError
from web.uploads import MOST_FILES
from worker.classify import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from common.settings import Settings
    from models.ready_model import ReadyModel

#: Requests that are received or labelled at a time: each may keep `NIGHTLABEL_WEB_UPLOAD_MB` on disk meanwhile.
MOST_REQUESTS = 8
#: Seconds that a picture may take. What a run allows is for a night; here somebody waits.
PICTURE_S = 30.0
#: Seconds in which a model is downloaded and converted, at most.
_PREPARING_S = 3600.0
#: Seconds that a request waits for the model. Loading one takes less, converting it more.
_PATIENCE_S = 5.0
#: Seconds after which a model that could not be loaded is looked for again: its weights may have been put there.
_LOOK_AGAIN_S = 5.0
#: As the server itself: somebody waits for the answer, and it is the work of an instant.
NICENESS = 10


#: What people are told meanwhile.
PREPARING = translatable(
    "The model is being loaded. On a machine's first time it is prepared, which takes about a minute."
)


class PreparingError(BusyError):
    """The model is not loaded yet; try again in a moment."""


@dataclass(frozen=True)
class Found:
    """What is known of the model."""

    ready: ReadyModel | None = None
    error: str | None = None  #: why it cannot be loaded; with neither, it is still being prepared


class WarmModel:
    """The configured model, which one process keeps loaded; all methods are for one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._processes = Processes(1, MOST_REQUESTS * MOST_FILES, memory_mb=None, niceness=NICENESS)
        self._requests = 0
        self._finding: asyncio.Task[ReadyModel] | None = None
        self._began_at = 0.0

    def warm_up(self) -> None:
        """Begin to find and load the model, unless that was done; again, where it failed a while ago."""
        if self._finding and not (_has_failed(self._finding) and time.monotonic() - self._began_at > _LOOK_AGAIN_S):
            return
        self._began_at = time.monotonic()
        self._finding = asyncio.create_task(self._processes.run(_PREPARING_S, find_model, self._settings))
        self._finding.add_done_callback(_has_failed)  # seen: nobody may ask for it

    @property
    def found(self) -> Found:
        """What is known of the model by now."""
        if self._finding is None or not self._finding.done():
            return Found()
        error = self._finding.exception()
        return Found(error=str(error)) if error else Found(self._finding.result())

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let a request be received and labelled.

        Raises:
            BusyError: too many are already.

        """
        if self._requests >= MOST_REQUESTS:
            raise BusyError
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1

    async def ready(self) -> ReadyModel:
        """Return the model, once it is loaded.

        Raises:
            ModelError: it cannot be loaded.
            PreparingError: it is not loaded yet.

        """
        self.warm_up()
        assert self._finding
        try:
            return await asyncio.wait_for(asyncio.shield(self._finding), _PATIENCE_S)
        except TimeoutError:
            raise PreparingError(PREPARING) from None

    async def label(self, paths: Sequence[str], ready: ReadyModel, *, with_preview: bool = False) -> list[Labelled]:
        """Return what each file shows, in their order: one that cannot be labelled costs no other one.

        Raises:
            ModelError: the model cannot be loaded any more.

        """
        return await asyncio.gather(*(self._label(path, ready, with_preview=with_preview) for path in paths))

    async def _label(self, path: str, ready: ReadyModel, *, with_preview: bool) -> Labelled:
        try:
            return await self._processes.run(
                PICTURE_S, label_file, path, ready, self._settings, with_preview=with_preview
            )
        except TimeLimitError:
            kind, why = FailureKind.TIMEOUT, f"not labelled after {PICTURE_S:.0f} s"
        except LostTaskError:
            kind, why = FailureKind.POISON, "it ended the process that was to label it"
        except EngineError as error:
            kind, why = FailureKind.ENGINE, str(error)
        failed = Answer(path=path, error_kind=str(kind), error=why, random_weights=ready.model.is_random)
        return Labelled(answer=failed, preview=None)

    def close(self) -> None:
        """End the process, with whatever it is at."""
        self._processes.close()


def _has_failed(finding: asyncio.Task[ReadyModel]) -> bool:
    return finding.done() and (finding.cancelled() or finding.exception() is not None)
