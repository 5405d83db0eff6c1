"""Write a run's manifest: from a scan, or from the images that failed before."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from producer.scan import scan
from producer.walk import ScanCounts
from storage.manifest import add_images, failed_images
from storage.runs import begin_scan, mark_scanned

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Sequence

    from common.settings import Settings
    from storage.database import Database
    from storage.records import ImageRef, Run

#: Images added in one transaction, and in one chunk of it: small at first, so that every worker begins at once, the
#: first labels are there before a whole chunk could be done, and a small archive is spread over all workers.
FIRST_BATCH = 64
FIRST_CHUNK_SIZE = 8
LARGEST_BATCH = 1000


@dataclass
class Enqueued:
    """What became of the images that a producer found."""

    added: int = 0
    up_to_date: int = 0  #: have their outcome already
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
    begin_scan(database, run.id)
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
    for batch in _batches(iter(refs)):
        if stop.is_set():
            return
        chunk_size = min(chunk_size, settings.chunk_size)
        _add(database, run, batch, enqueued, chunk_size=chunk_size, relabel=settings.relabel)
        chunk_size *= 2
    if stop.is_set():
        return
    mark_scanned(database, run.id, skipped=enqueued.up_to_date, ignored=enqueued.scan.ignored)


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
    begin_scan(database, run.id)
    for page in failed_images(database, failed_run, kinds):
        if stop.is_set():
            return
        _add(database, run, page, enqueued, chunk_size=settings.chunk_size, relabel=True)
    mark_scanned(database, run.id, skipped=0, ignored=0)


def _add(
    database: Database, run: Run, batch: list[ImageRef], enqueued: Enqueued, *, chunk_size: int, relabel: bool
) -> None:
    result = add_images(database, run, batch, chunk_size=chunk_size, relabel=relabel)
    enqueued.added += result.added
    enqueued.up_to_date += result.up_to_date


def _batches(refs: Iterator[ImageRef]) -> Iterator[list[ImageRef]]:
    size = FIRST_BATCH
    while batch := list(islice(refs, size)):
        yield batch
        size = min(size * 4, LARGEST_BATCH)
