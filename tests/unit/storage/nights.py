"""What the tests of storage and of the report start from: a model, images, and nights that are partly labelled."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from storage.chunk_claims import chunk_images, claim
from storage.identity import database_identity
from storage.manifest import add_images, mark_published
from storage.outcomes import Stored, store
from storage.records import ImageRef, Model, Outcome, Preprocessing, ProcessSample, WorkerSample
from storage.runs import open_run
from storage.tables import images

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from storage.chunk_claims import Claim
    from storage.database import Database
    from storage.manifest import Added
    from storage.records import Chunk, ChunkImage, Run

MODEL = Model(
    architecture="resnet18",
    recipe="IMAGENET1K_V1",
    weights="aa1dea68" * 8,
    precision="fp32",
    preprocessing=Preprocessing(
        resize_size=256,
        crop_size=224,
        interpolation="bilinear",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
)
LABELS = (("golden retriever", 0.75), ("Labrador retriever", 0.125), ("tennis ball", 0.0625))


def begin_run(
    database: Database,
    model: Model = MODEL,
    *,
    engine: str = "openvino",
    root: str = "/photos",
    include: Sequence[str] = (),
) -> Run:
    run, _ = open_run(database, model, engine=engine, roots=[root], filters={"include": list(include)})
    return run


def photos(
    count: int, *, first: int = 0, size: int = 1000, mtime_ns: int = 1_700_000_000_123_456_789
) -> list[ImageRef]:
    return [ImageRef(f"/photos/{number:05}.jpg", size, mtime_ns) for number in range(first, first + count)]


def add(
    database: Database, run: Run, refs: Sequence[ImageRef], *, chunk_size: int = 64, relabel: bool = False
) -> Added:
    return add_images(database, run, refs, chunk_size=chunk_size, relabel=relabel)


def take(database: Database, run: Run, limit: int = 1000) -> list[Chunk]:
    return mark_published(database, run.id, limit)


def published_chunk(database: Database, run: Run, count: int = 3) -> Chunk:
    """Return a chunk of new images, as it goes on the queue."""
    add(database, run, photos(count))
    (chunk,) = take(database, run)
    return chunk


def begin(database: Database, chunk: Chunk, worker: str = "host-1/1") -> Claim:
    claimed = claim(database, database_identity(database), chunk.id, chunk.attempt, worker)
    assert claimed
    return claimed


def members(database: Database, chunk: Chunk) -> tuple[ChunkImage, ...]:
    """Return the chunk's images, as the manifest has them."""
    with database.read() as connection:
        return chunk_images(connection, chunk.id)


def label(database: Database, chunk: Chunk, *, failing: Collection[str] = (), kind: str = "damaged") -> bool:
    """Do a worker's work on a chunk, in which the images of these paths fail."""
    claimed = begin(database, chunk)
    ids = [image.image_id for image in claimed.images]
    versions = {}
    with database.read() as connection:
        for row in connection.execute(select(images).where(images.c.id.in_(ids))):
            versions[row.id] = {"size": row.size, "mtime_ns": row.mtime_ns}
    results = [
        failure(image.image_id, kind, **versions[image.image_id])
        if image.path in failing
        else success(image.image_id, **versions[image.image_id])
        for image in claimed.images
    ]
    return store_with_sample(database, claimed, results, sample()) is Stored.DONE


def store_with_sample(
    database: Database,
    claimed: Claim,
    results: Sequence[Outcome],
    worker: WorkerSample,
    history: Sequence[ProcessSample] = (),
) -> Stored:
    """Store a chunk as the worker does of which this is a sample."""
    return store(database, claimed, results, worker.name, [worker, *history])


def label_all(database: Database, run: Run, *, failing: Collection[str] = ()) -> None:
    """Label all that waits."""
    for chunk in take(database, run):
        assert label(database, chunk, failing=failing)


def success(image_id: int, **given: Any) -> Outcome:
    values: dict[str, Any] = {
        "labels": LABELS,
        "width": 640,
        "height": 480,
        "size": 1000,
        "mtime_ns": 1_700_000_000_123_456_789,
        "read_ms": 0.5,
        "decode_ms": 3.0,
        "infer_ms": 9.0,
    }
    return Outcome(image_id=image_id, **values | given)


def failure(image_id: int, kind: str = "damaged", **given: Any) -> Outcome:
    return Outcome(image_id=image_id, error_kind=kind, error=f"it is {kind}", **given)


def sample(name: str = "host-1/1", *, rss_bytes: int = 200_000_000, peak_rss_bytes: int = 250_000_000) -> WorkerSample:
    started = datetime(2025, 1, 1, 22, tzinfo=UTC)
    return WorkerSample(
        name=name,
        host="host",
        pid=1,
        process="boot/pid:[1]/1/0.00",
        started_at=started,
        rss_bytes=rss_bytes,
        peak_rss_bytes=peak_rss_bytes,
    )


def ask(database: Database, query: str) -> list[tuple[Any, ...]]:
    """Ask the tables themselves."""
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def number(database: Database, query: str) -> int:
    ((value,),) = ask(database, query)
    return int(value)


def change(database: Database, statement: str) -> None:
    with database.write() as connection:
        connection.execute(text(statement))
