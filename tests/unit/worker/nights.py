"""A night for the task: five real photos in one chunk, on a real database, and a worker process without Celery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.chunk_claims import chunk_images, claim, mark_suspect, record_crash
from storage.identity import database_identity
from storage.manifest import add_images, mark_published
from storage.records import ImageRef
from storage.runs import open_run
from tests.processes import NO_PROCESS
from worker.process import WorkerProcess
from worker.service import middleware_of
from worker.task import label_chunk

if TYPE_CHECKING:
    from pathlib import Path

    from common.settings import Settings
    from models.ready_model import ReadyModel
    from storage.chunk_claims import Claim
    from storage.database import Database
    from storage.records import Chunk, ChunkImage

IMAGES = 5


class Night:
    """A run of five photos, its one chunk published, and a worker process without Celery."""

    def __init__(self, settings: Settings, ready: ReadyModel, photos: Path, database: Database) -> None:
        url = database.url.render_as_string(hide_password=False)
        self.settings = settings.model_copy(update={"database_url": url})
        self.database = database
        root = str(photos.resolve())
        self.run, _ = open_run(self.database, ready.model, engine=ready.engine, roots=[root], filters={})
        refs = [ImageRef(str(path.resolve()), 1, 1) for path in sorted(photos.glob("*.jpg"))[:IMAGES]]
        add_images(self.database, self.run, refs, chunk_size=IMAGES, relabel=False)
        (self.chunk,) = mark_published(self.database, self.run.id, 1)
        self.identity = database_identity(self.database)
        with self.database.read() as connection:
            self.images = chunk_images(connection, self.chunk.id)
        self.process = WorkerProcess(self.settings, main_pid=NO_PROCESS)
        self.middleware = middleware_of(self.process, NO_PROCESS)

    def label(self, chunk: Chunk | None = None) -> None:
        chunk = chunk or self.chunk
        label_chunk(self.process, self.middleware, self.identity, chunk.id, chunk.attempt)

    def replace_process(self) -> None:
        self.process.database.close()
        self.process = WorkerProcess(self.settings, main_pid=NO_PROCESS)

    def begin(self, worker: str = "killed") -> Claim:
        claimed = claim(self.database, self.identity, self.chunk.id, self.chunk.attempt, worker)
        assert claimed
        return claimed

    def die_with(self, image: ChunkImage, cause: str | None = None) -> None:
        """Begin the chunk as a worker does that is killed while it labels this image alone; its parent may see how."""
        claimed = self.begin()
        mark_suspect(self.database, claimed, image.image_id)
        if cause:
            record_crash(self.database, self.identity, self.chunk.id, self.chunk.attempt, cause)

    def outcomes(self) -> dict[str, str]:
        """Return the status, or the kind of failure, by path."""
        with self.database.read() as connection:
            rows = connection.exec_driver_sql("select path, coalesce(error_kind, status) from results").all()
        return {path: kind for path, kind in rows}  # noqa: C416 - rows are no pairs to dict()
