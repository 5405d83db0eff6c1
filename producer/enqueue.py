"""Write a run's manifest: from a scan, or from the images that failed before."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from archive.counts import ScanCounts
from archive.scan import scan
from common.errors import DatabaseBusyError, DatabaseError, DatabaseRefusedError
from storage.manifest import add_images, failed_images
from storage.runs import begin_scan, mark_scanned

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from common.settings import Settings
    from storage.database import Database
    from storage.manifest import Added
    from storage.records import ImageRef, Run

T = TypeVar("T")

#: Images added in one transaction, and in one chunk of it: small at first, so that every worker begins at once, the
#: first labels are there before a whole chunk could be done, and a small archive is spread over all workers.
FIRST_BATCH = 64
FIRST_CHUNK_SIZE = 8
#: 64 whole chunks. SQLite's one writer has them for some 50 ms, in which a worker's chunk waits.
LARGEST_BATCH = 4096
#: Seconds after which a batch is added though it is not full: where a share is slow, workers wait for it.
_BATCH_S = 1.0

#: Seconds that Redis or the database may be away before a run gives up: longer than a host takes to start again.
PATIENCE_S = 900.0
#: Seconds between two tries.
_PAUSE_S = 1.0


class Refused(NamedTuple):
    """An image that the database does not take."""

    path: str
    reason: str


@dataclass
class Enqueued:
    """What became of the images that a producer found."""

    added: int = 0
    up_to_date: int = 0  #: have their outcome already
    refused: list[Refused] = field(default_factory=list)  #: left out, since the database does not take them
    scan: ScanCounts = field(default_factory=ScanCounts)


def write_manifest(
    database: Database,
    run: Run,
    settings: Settings,
    enqueued: Enqueued,
    stop: threading.Event,
    *,
    refs: Iterable[ImageRef] | None = None,
) -> None:
    """Add to the run's manifest the images `refs`, or what a scan of its roots finds, counting into `enqueued`.

    Raises:
        ArchiveError: a root is gone or cannot be read.
        DatabaseError: nothing of the last batch is stored; the same run goes on from there.

    """
    _patiently(stop, partial(begin_scan, database, run.id))
    if refs is None:
        refs = scan(
            run.roots,
            settings.include,
            settings.exclude,
            counts=enqueued.scan,
            no_skip=settings.no_skip,
            is_stopped=stop.is_set,
        )
    chunk_size = FIRST_CHUNK_SIZE
    look_first = False
    for batch in _batches(iter(refs)):
        if stop.is_set():
            return
        chunk_size = min(chunk_size, settings.chunk_size)
        add = partial(add_images, database, run, chunk_size=chunk_size, relabel=settings.relabel, look_first=look_first)
        added = enqueued.added
        _add(add, batch, enqueued, stop)
        look_first = enqueued.added == added  # what lies in one folder was mostly labelled at one time
        chunk_size *= 2
    if stop.is_set():
        return
    counts = {"skipped": enqueued.up_to_date, "ignored": enqueued.scan.ignored}
    _patiently(stop, partial(mark_scanned, database, run.id, **counts))


def write_retry_manifest(
    database: Database,
    run: Run,
    settings: Settings,
    enqueued: Enqueued,
    stop: threading.Event,
    *,
    failed_run: int,
    kinds: Sequence[str],
) -> None:
    """Add to the run's manifest the images that another run left `failed`, of these kinds or of any."""
    _patiently(stop, partial(begin_scan, database, run.id))
    for page in failed_images(database, failed_run, kinds, attempt=partial(_patiently, stop)):
        if stop.is_set():
            return
        _add(partial(add_images, database, run, chunk_size=settings.chunk_size, relabel=True), page, enqueued, stop)
    _patiently(stop, partial(mark_scanned, database, run.id, skipped=0, ignored=0))


def _add(
    add: Callable[[Sequence[ImageRef]], Added], batch: Sequence[ImageRef], enqueued: Enqueued, stop: threading.Event
) -> None:
    """Add a batch; where the database refuses it, one half and the other, down to the image that is the cause."""
    try:
        result = _patiently(stop, partial(add, batch))
    except DatabaseRefusedError as error:
        if len(batch) == 1:
            enqueued.refused.append(Refused(batch[0].path, str(error)))
            return
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            if not stop.is_set():
                _add(add, half, enqueued, stop)
        return
    enqueued.added += result.added
    enqueued.up_to_date += result.up_to_date


def _patiently(stop: threading.Event, statement: Callable[[], T]) -> T:
    """Send a statement again while the database does not answer: what was added before is not to be scanned anew.

    Raises:
        DatabaseError: it did not answer for `PATIENCE_S`, or `stop` is set.

    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return statement()
        except DatabaseBusyError as error:
            if time.monotonic() > deadline or stop.wait(_PAUSE_S):
                raise DatabaseError(str(error)) from error  # for others to wait for no longer


def _batches(refs: Iterator[ImageRef]) -> Iterator[list[ImageRef]]:
    """Yield what comes in batches, small ones at first, and none that took longer than `_BATCH_S`."""
    size = FIRST_BATCH
    while batch := list(islice(refs, 1)):
        until = time.monotonic() + _BATCH_S
        while len(batch) < size and time.monotonic() < until:
            some = list(islice(refs, min(FIRST_CHUNK_SIZE, size - len(batch))))
            if not some:
                break
            batch += some
        yield batch
        size = min(size * 4, LARGEST_BATCH)
