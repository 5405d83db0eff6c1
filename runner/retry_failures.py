"""Label failed images again: a run for each run that left some."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from archive.failures import FailureKind
from common.errors import UsageError
from models.resolve import resolve_recorded
from producer.enqueue import write_retry_manifest
from producer.manifest_writer import ManifestWriter
from runner.display import SILENT
from runner.run import OpenedRun, follow_run, tell_start
from storage import runs
from storage.manifest import failed_runs
from storage.schema_version import existing_database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.settings import Settings
    from runner.display import Display, RunEnd
    from storage.database import Database


def retry(settings: Settings, kinds: Sequence[str] = (), display: Display = SILENT) -> list[RunEnd]:
    """Label the failed images again: with a broker set, by its workers, else here and now.

    Args:
        settings: what can be set.
        kinds: only failures of these kinds, as in `unreadable`; none: of any.
        display: who is told how it goes.

    Returns:
        What became of each run that was made for it; none: no image failed.

    Raises:
        UsageError: there is no such kind of failure.
        ModelError: the weights of a run that left failures are missing or not the same.
        NightlabelError: as `runner.run.label` does.

    """
    is_elsewhere = settings.broker_url is not None
    own = settings.model_copy(update={"workers": 0}) if is_elsewhere else settings
    with closing(existing_database(settings.database_url)) as database:
        ends = []
        for failed_run, opened in open_retry_runs(own, database, kinds):
            tell_start(display, own, opened.run, is_new=opened.is_new, retried_run=failed_run)
            ends.append(follow_run(own, database, opened, display, until_published=is_elsewhere))
        return ends


def open_retry_runs(settings: Settings, database: Database, kinds: Sequence[str]) -> list[tuple[int, OpenedRun]]:
    """Open a run, with the model and the roots of the one that failed, for each run that left failed images.

    Returns:
        The id of each run that left failures, and the run that labels these images again.

    Raises:
        UsageError: there is no such kind of failure.
        ModelError: the weights of such a run are missing or not the same.

    """
    unknown = sorted(set(kinds) - set(FailureKind))
    if unknown:
        raise UsageError(f"There is no failure kind {unknown[0]!r}. There are: {', '.join(FailureKind)}.")
    opened = []
    for run_id in failed_runs(database, kinds):
        failed = runs.get_run(database, run_id)
        if failed is None:
            continue
        ready = resolve_recorded(failed.model, failed.engine, settings)
        run, is_new = runs.open_run(
            database,
            failed.model,
            engine=failed.engine,
            roots=failed.roots,
            filters={"retry": [str(run_id)], "kinds": sorted(kinds)},
            labels=ready.categories,
        )
        write = partial(write_retry_manifest, database, run, settings, failed_run=run_id, kinds=kinds)
        opened.append((run_id, OpenedRun(run=run, is_new=is_new, manifest=ManifestWriter(write))))
    return opened
