"""Label failed images again: a run for each run that left some."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from archive.failures import FailureKind
from common.errors import UsageError
from models.resolve import resolve_recorded
from producer.enqueue import write_retry_manifest
from runner.manifest_writer import ManifestWriter
from storage.manifest import failed_runs
from storage.runs import get_run, open_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.settings import Settings
    from storage.database import Database
    from storage.records import Run


def open_retry_runs(settings: Settings, database: Database, kinds: Sequence[str]) -> list[tuple[Run, ManifestWriter]]:
    """Open a run, with the model and the roots of the one that failed, for each run that left failed images.

    Raises:
        UsageError: there is no such kind of failure.
        ModelError: the weights of such a run are missing or not the same.

    """
    unknown = sorted(set(kinds) - set(FailureKind))
    if unknown:
        raise UsageError(f"There is no failure kind {unknown[0]!r}. There are: {', '.join(FailureKind)}.")
    opened = []
    for run_id in failed_runs(database, kinds):
        failed = get_run(database, run_id)
        if failed is None:
            continue
        ready = resolve_recorded(failed.model, failed.engine, settings)
        filters = {"retry": [str(run_id)], "kinds": sorted(kinds)}
        run, _ = open_run(
            database,
            failed.model,
            engine=failed.engine,
            roots=failed.roots,
            filters=filters,
            labels=ready.categories,
        )

        write = partial(write_retry_manifest, database, run, settings, failed_run=run_id, kinds=kinds)
        opened.append((run, ManifestWriter(write)))
    return opened
