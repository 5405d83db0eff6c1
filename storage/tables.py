"""The tables, as SQLAlchemy knows them. `storage/migrations` creates them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
    literal_column,
)

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause


class UtcDateTime(TypeDecorator[datetime]):
    """An instant, always in UTC: `timestamptz` on Postgres, ISO text on SQLite, which knows no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


#: SQLite numbers rows by itself only where the type is spelt INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

#: Who this database is: one row. A queue and its messages are one database's, and name it.
identity = Table(
    "identity",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)

#: Architecture, weights, precision and preprocessing: all four, and what they hash to.
models = Table(
    "models",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("architecture", Text, nullable=False),
    Column("recipe", Text, nullable=False),
    Column("weights", Text, nullable=False),
    Column("precision", Text, nullable=False),
    Column("preprocessing", JSON, nullable=False),
    Column("calibration", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
)

#: What a model can say, in its own order: ImageNet's is WordNet's, so that dogs are neighbours.
categories = Table(
    "categories",
    metadata,
    Column("model_id", Id, ForeignKey("models.id"), primary_key=True),
    Column("class_index", Integer, primary_key=True),
    Column("label", Text, nullable=False),
    sqlite_with_rowid=False,
)

runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("model_id", Id, ForeignKey("models.id"), nullable=False),
    Column("engine", Text, nullable=False),
    Column("roots", JSON, nullable=False),
    Column("filters", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    #: When the manifest was complete. The run is finished when it is, and no chunk is open.
    Column("scanned_at", UtcDateTime),
    #: Who follows the run, as `host:PID`, and when that was last heard of.
    Column("follower", Text),
    Column("followed_at", UtcDateTime),
    #: The same process, told from one of another container or an earlier start of the host (`host.process`).
    Column("follower_process", Text),
    #: When a person gave the run up: what it has no outcome for is not labelled any more.
    Column("cancelled_at", UtcDateTime),
    Column("skipped", BigInteger, nullable=False),
    Column("ignored", BigInteger, nullable=False),
)

images = Table(
    "images",
    metadata,
    Column("id", Id, primary_key=True),
    Column("path", Text, nullable=False),
    #: The name's own bytes in hexadecimal, only where they are not UTF-8; `path` then shows them as `\xNN`. Else empty.
    Column("path_hex", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    UniqueConstraint("path", "path_hex").ddl_if(dialect="sqlite"),
)


def name_hash(names: FromClause) -> ColumnElement[bytes]:
    """Return what Postgres finds a name by, whose indexes hold no more than 2,704 bytes of a path.

    `decode` takes any text, once its backslashes are doubled; a cast or `convert_to` no index may hold.
    """
    backslash = func.chr(literal_column("92"))
    name = names.c.path.concat(func.chr(literal_column("10"))).concat(names.c.path_hex)
    twice = func.replace(name, backslash, func.repeat(backslash, literal_column("2")))
    return func.sha256(func.decode(twice, literal_column("'escape'")), type_=LargeBinary)


Index("images_by_name", name_hash(images), unique=True).ddl_if(dialect="postgresql")
#: What makes rows of a table the same on a kind of database, where that is no list of columns.
images.info["postgresql_key"] = [name_hash(images)]

chunks = Table(
    "chunks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_id", Id, ForeignKey("runs.id"), nullable=False),
    Column("images", Integer, nullable=False),
    #: How often it was published. Only a message of the newest attempt is worked on.
    Column("attempt", Integer, nullable=False),
    #: How often a worker began it; more than once: an earlier start did not end.
    Column("starts", Integer, nullable=False),
    #: None: waits to be published, for the first time or again.
    Column("published_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("done_at", UtcDateTime),
    Column("worker", Text),
    Column("ok", Integer),
    Column("failed", Integer),
    #: The image that was being labelled, alone, when the chunk's newest start was last heard of.
    Column("suspect_id", Id, ForeignKey("images.id")),
    #: How often a start ended with it; an image that does that again and again is `poison`.
    Column("suspect_starts", Integer, nullable=False),
    #: What ended that start, as the worker's main process saw it: a signal, or the time limit. None: nobody saw it.
    Column("ended_by", Text),
)
Index("chunks_by_run", chunks.c.run_id)
#: Small for ever: a finished chunk leaves it.
Index(
    "chunks_open",
    chunks.c.run_id,
    chunks.c.id,
    sqlite_where=chunks.c.done_at.is_(None),
    postgresql_where=chunks.c.done_at.is_(None),
)

#: Which images a run must label, and in which chunk: the truth.
manifest = Table(
    "manifest",
    metadata,
    Column("run_id", Id, ForeignKey("runs.id"), primary_key=True),
    Column("image_id", Id, ForeignKey("images.id"), primary_key=True),
    Column("chunk_id", Id, ForeignKey("chunks.id"), nullable=False),
    sqlite_with_rowid=False,
)
Index("manifest_by_chunk", manifest.c.chunk_id)

outcomes = Table(
    "outcomes",
    metadata,
    Column("image_id", Id, ForeignKey("images.id"), primary_key=True),
    Column("model_id", Id, ForeignKey("models.id"), primary_key=True),
    Column("run_id", Id, ForeignKey("runs.id"), nullable=False),
    #: Which chunk labelled it: one of an older chunk does not count where the image has moved to a newer one.
    Column("chunk_id", Id, ForeignKey("chunks.id"), nullable=False),
    Column("status", String(6), nullable=False),
    Column("label_1", Text),
    Column("score_1", Float),
    Column("label_2", Text),
    Column("score_2", Float),
    Column("label_3", Text),
    Column("score_3", Float),
    Column("error_kind", Text),
    Column("error", Text),
    #: Of one that has labels: what its decoder complained of. Some of the pixels may be damaged.
    Column("warning", Text),
    Column("width", Integer),
    Column("height", Integer),
    #: Of the file that was labelled: another size or mtime now means that the image has changed.
    Column("size", BigInteger),
    Column("mtime_ns", BigInteger),
    #: The same for files of the same bytes: what `b2sum -l 128 FILE` prints.
    Column("content", String(32)),
    Column("queue_ms", Float),
    Column("read_ms", Float),
    Column("decode_ms", Float),
    Column("infer_ms", Float),
    Column("total_ms", Float),
    Column("worker", Text, nullable=False),
    Column("labelled_at", UtcDateTime, nullable=False),
)
Index("outcomes_by_run", outcomes.c.run_id)
#: Counts each model's labels by itself, without a look at the table.
Index("outcomes_by_label", outcomes.c.label_1, outcomes.c.model_id, outcomes.c.score_1)
#: Finds what is new. Times come in order, so this one costs least to keep.
Index("outcomes_by_time", outcomes.c.labelled_at)
#: Finds the files that are the same, of all runs or of one, and what they take, by itself.
Index("outcomes_by_content", outcomes.c.content, outcomes.c.run_id, outcomes.c.image_id, outcomes.c.size)
Index(
    "outcomes_failed",
    outcomes.c.error_kind,
    sqlite_where=outcomes.c.error_kind.is_not(None),
    postgresql_where=outcomes.c.error_kind.is_not(None),
)
Index(
    "outcomes_doubted",
    outcomes.c.run_id,
    sqlite_where=outcomes.c.warning.is_not(None),
    postgresql_where=outcomes.c.warning.is_not(None),
)

workers = Table(
    "workers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    #: Who it is, as in `runs.follower_process`.
    Column("process", Text),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("rss_bytes", BigInteger, nullable=False),
    Column("peak_rss_bytes", BigInteger, nullable=False),
)

#: What worker processes held and used over time, labelling ones and the main ones above them.
samples = Table(
    "samples",
    metadata,
    Column("worker", Text, primary_key=True),
    Column("sampled_at", UtcDateTime, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("rss_bytes", BigInteger, nullable=False),
    #: Seconds of CPU time since the process started, and seconds that it spent on storing chunks; None: it labels none.
    Column("cpu_s", Float, nullable=False),
    Column("store_s", Float),
)

#: `outcomes.status`.
OK, FAILED = "ok", "failed"
