"""The tables, as SQLAlchemy knows them. `storage/migrations` creates them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from storage.column_types import Id, UtcDateTime
from storage.path_keys import name_hash, path_head

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


Index("images_by_name", name_hash(images), unique=True).ddl_if(dialect="postgresql")
#: Finds the images of a time, and those that are newest. In a million rows, 17 MB on SQLite, and 21 on Postgres.
Index("images_by_mtime", images.c.mtime_ns)
#: SQLite has one of whole paths, by which names are unique. In a million rows, 65 MB.
Index("images_by_path", path_head(images)).ddl_if(dialect="postgresql")
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
    #: What people call it: the kind with the largest sum over all of the model's classes, and that sum.
    Column("kind", Text),
    Column("kind_score", Float),
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
    #: Which precision gave the answer, where a model has several. None: the model's own.
    Column("computed_in", Text),
    #: The image of the same bytes whose labels it took; that one's own, so that there are no chains. None: computed.
    Column("copied_from", Id, ForeignKey("images.id")),
)
Index("outcomes_by_run", outcomes.c.run_id)
#: Counts each model's labels by itself, without a look at the table.
Index("outcomes_by_label", outcomes.c.label_1, outcomes.c.model_id, outcomes.c.score_1)
#: Find a class where it is not the best label.
Index("outcomes_by_label_2", outcomes.c.label_2, outcomes.c.score_2)
Index("outcomes_by_label_3", outcomes.c.label_3, outcomes.c.score_3)
#: The same as of labels, for kinds.
Index("outcomes_by_kind", outcomes.c.kind, outcomes.c.model_id, outcomes.c.kind_score)
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

#: What labels can be taken from: it has some of its own. Contents are looked up: with them it would be 50 MB in a
#: million rows and not 17, and on SQLite a chunk would ask as long.
_has_its_own = outcomes.c.label_1.is_not(None) & outcomes.c.content.is_not(None) & outcomes.c.copied_from.is_(None)
Index(
    "outcomes_by_size",
    outcomes.c.size,
    outcomes.c.model_id,
    outcomes.c.image_id,
    sqlite_where=_has_its_own,
    postgresql_where=_has_its_own,
)

#: Has labels, and no kinds yet: empty, or soon. By kind, too, else SQLite takes `outcomes_by_kind`, with all failures.
Index(
    "outcomes_without_kind",
    outcomes.c.kind,
    outcomes.c.model_id,
    outcomes.c.image_id,
    sqlite_where=outcomes.c.kind.is_(None) & outcomes.c.label_1.is_not(None),
    postgresql_where=outcomes.c.kind.is_(None) & outcomes.c.label_1.is_not(None),
)

#: What an image shows: the kinds among its labels, and all kinds above them, each with its sum.
image_things = Table(
    "image_things",
    metadata,
    Column("image_id", Id, ForeignKey("images.id"), primary_key=True),
    Column("model_id", Id, ForeignKey("models.id"), primary_key=True),
    Column("thing", Text, primary_key=True),
    Column("score", Float, nullable=False),
    sqlite_with_rowid=False,
)
#: Finds the images of a thing, those with the largest sum first or from some sum on.
Index("image_things_by_thing", image_things.c.thing, image_things.c.score, image_things.c.image_id)

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
