"""The first tables, and the views `results` and `labels`."""

import sqlalchemy as sa
from alembic import op

from storage.column_types import Id, UtcDateTime

revision = "0001"
down_revision = None

RESULTS = """
CREATE VIEW results AS
SELECT images.path, models.architecture AS model, outcomes.status,
       outcomes.label_1, outcomes.score_1, outcomes.label_2, outcomes.score_2, outcomes.label_3, outcomes.score_3,
       outcomes.error_kind, outcomes.error, outcomes.width, outcomes.height,
       outcomes.queue_ms, outcomes.read_ms, outcomes.decode_ms, outcomes.infer_ms, outcomes.total_ms,
       outcomes.worker, outcomes.run_id, outcomes.labelled_at,
       models.precision, models.weights, outcomes.size AS size_bytes
FROM outcomes
JOIN images ON images.id = outcomes.image_id
JOIN models ON models.id = outcomes.model_id
"""

RANK = """
SELECT images.path, {rank} AS rank, outcomes.label_{rank} AS label, outcomes.score_{rank} AS score,
       models.architecture AS model
FROM outcomes
JOIN images ON images.id = outcomes.image_id
JOIN models ON models.id = outcomes.model_id
WHERE outcomes.label_{rank} IS NOT NULL
"""

LABELS = "CREATE VIEW labels AS" + "UNION ALL".join(RANK.format(rank=rank) for rank in (1, 2, 3))


def upgrade() -> None:
    _create_models_and_runs()
    _create_images_and_manifest()
    _create_outcomes()
    op.execute(RESULTS)
    op.execute(LABELS)


def _create_models_and_runs() -> None:
    op.create_table(
        "models",
        sa.Column("id", Id, primary_key=True),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("architecture", sa.Text, nullable=False),
        sa.Column("recipe", sa.Text, nullable=False),
        sa.Column("weights", sa.Text, nullable=False),
        sa.Column("precision", sa.Text, nullable=False),
        sa.Column("preprocessing", sa.JSON, nullable=False),
        sa.Column("calibration", sa.String(64)),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("id", Id, primary_key=True),
        sa.Column("model_id", Id, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("roots", sa.JSON, nullable=False),
        sa.Column("filters", sa.JSON, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("scanned_at", UtcDateTime),
        sa.Column("follower", sa.Text),
        sa.Column("followed_at", UtcDateTime),
        sa.Column("skipped", sa.BigInteger, nullable=False),
        sa.Column("ignored", sa.BigInteger, nullable=False),
    )


def _create_images_and_manifest() -> None:
    op.create_table(
        "images",
        sa.Column("id", Id, primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("path_hex", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("path", "path_hex"),
    )
    op.create_table(
        "chunks",
        sa.Column("id", Id, primary_key=True),
        sa.Column("run_id", Id, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("starts", sa.Integer, nullable=False),
        sa.Column("published_at", UtcDateTime),
        sa.Column("started_at", UtcDateTime),
        sa.Column("done_at", UtcDateTime),
        sa.Column("worker", sa.Text),
        sa.Column("ok", sa.Integer),
        sa.Column("failed", sa.Integer),
        sa.Column("suspect_id", Id, sa.ForeignKey("images.id")),
        sa.Column("suspect_starts", sa.Integer, nullable=False),
        sa.Column("ended_by", sa.Text),
    )
    op.create_index("chunks_by_run", "chunks", ["run_id"])
    still_open = sa.text("done_at IS NULL")
    op.create_index("chunks_open", "chunks", ["run_id", "id"], sqlite_where=still_open, postgresql_where=still_open)
    op.create_table(
        "manifest",
        sa.Column("run_id", Id, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("image_id", Id, sa.ForeignKey("images.id"), primary_key=True),
        sa.Column("chunk_id", Id, sa.ForeignKey("chunks.id"), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("manifest_by_chunk", "manifest", ["chunk_id"])


def _create_outcomes() -> None:
    op.create_table(
        "outcomes",
        sa.Column("image_id", Id, sa.ForeignKey("images.id"), primary_key=True),
        sa.Column("model_id", Id, sa.ForeignKey("models.id"), primary_key=True),
        sa.Column("run_id", Id, sa.ForeignKey("runs.id"), nullable=False),
        sa.Column("chunk_id", Id, sa.ForeignKey("chunks.id"), nullable=False),
        sa.Column("status", sa.String(6), nullable=False),
        *(
            column
            for rank in (1, 2, 3)
            for column in (sa.Column(f"label_{rank}", sa.Text), sa.Column(f"score_{rank}", sa.Float))
        ),
        sa.Column("error_kind", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("size", sa.BigInteger),
        sa.Column("mtime_ns", sa.BigInteger),
        *(sa.Column(f"{stage}_ms", sa.Float) for stage in ("queue", "read", "decode", "infer", "total")),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("labelled_at", UtcDateTime, nullable=False),
    )
    op.create_index("outcomes_by_run", "outcomes", ["run_id"])
    op.create_index("outcomes_by_label", "outcomes", ["label_1", "score_1"])
    failed = sa.text("error_kind IS NOT NULL")
    op.create_index("outcomes_failed", "outcomes", ["error_kind"], sqlite_where=failed, postgresql_where=failed)
    op.create_table(
        "workers",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("rss_bytes", sa.BigInteger, nullable=False),
        sa.Column("peak_rss_bytes", sa.BigInteger, nullable=False),
    )
