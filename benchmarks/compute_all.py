"""Label a folder as `nightlabel run FOLDER` does, but compute every file, also those whose bytes have labels.

For archives that hold the same bytes again and again: `python -m benchmarks.compute_all FOLDER WORKERS`.
"""

from __future__ import annotations

import signal
import sys
from contextlib import closing
from functools import partial

from archive.scan import find_roots
from common.settings import load_settings
from models.resolve import resolve
from producer.enqueue import write_manifest
from producer.manifest_writer import ManifestWriter
from runner.display import SILENT
from runner.run import OpenedRun, follow_run
from storage.database import Database
from storage.runs import COMPUTE_ALL, open_run
from storage.schema_version import ensure_schema


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder, workers = sys.argv[1:]
    settings = load_settings(workers=int(workers))
    with closing(Database(settings.database_url)) as database:
        ensure_schema(database)
        ready = resolve(settings)
        run, is_new = open_run(
            database,
            ready.model,
            engine=ready.engine,
            roots=find_roots([folder]),
            filters=COMPUTE_ALL,
            labels=ready.categories,
        )
        writer = ManifestWriter(partial(write_manifest, database, run, settings))
        follow_run(settings, database, OpenedRun(run=run, is_new=is_new, manifest=writer), SILENT)


if __name__ == "__main__":
    main()
