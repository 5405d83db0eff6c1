"""Samples of the workers over time, what models can say, each file's content and its time."""

import sqlalchemy as sa
from alembic import op

from storage.column_types import Id, UtcDateTime

revision = "0002"
down_revision = "0001"

RESULTS = """
{create} results AS
SELECT images.path, models.architecture AS model, outcomes.status,
       outcomes.label_1, outcomes.score_1, outcomes.label_2, outcomes.score_2, outcomes.label_3, outcomes.score_3,
       outcomes.error_kind, outcomes.error, outcomes.width, outcomes.height,
       outcomes.queue_ms, outcomes.read_ms, outcomes.decode_ms, outcomes.infer_ms, outcomes.total_ms,
       outcomes.worker, outcomes.run_id, outcomes.labelled_at,
       models.precision, models.weights, outcomes.size AS size_bytes, outcomes.content,
       {modified_at} AS modified_at, outcomes.image_id
FROM outcomes
LEFT JOIN images ON images.id = outcomes.image_id
LEFT JOIN models ON models.id = outcomes.model_id
"""
#: The time of the file that was labelled, in UTC; of one that could not be read, what the scan saw.
MODIFIED_AT = {
    "sqlite": "datetime(coalesce(outcomes.mtime_ns, images.mtime_ns) / 1000000000, 'unixepoch')",
    "postgresql": "to_timestamp(coalesce(outcomes.mtime_ns, images.mtime_ns) / 1000000000.0)",
}


def upgrade() -> None:
    op.create_table(
        "samples",
        sa.Column("worker", sa.Text, primary_key=True),
        sa.Column("sampled_at", UtcDateTime, primary_key=True),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("rss_bytes", sa.BigInteger, nullable=False),
        sa.Column("cpu_s", sa.Float, nullable=False),
        sa.Column("store_s", sa.Float),
    )
    op.create_table(
        "categories",
        sa.Column("model_id", Id, sa.ForeignKey("models.id"), primary_key=True),
        sa.Column("class_index", sa.Integer, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.add_column("outcomes", sa.Column("content", sa.String(32)))
    op.create_index("outcomes_by_content", "outcomes", ["content", "run_id", "image_id", "size"])
    op.create_index("outcomes_by_time", "outcomes", ["labelled_at"])
    op.drop_index("outcomes_by_label", "outcomes")
    op.create_index("outcomes_by_label", "outcomes", ["label_1", "model_id", "score_1"])
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        op.execute("DROP VIEW results")
    # Postgres keeps what people granted on the view, and the views that they made of it: columns are only added, last.
    create = {"sqlite": "CREATE VIEW", "postgresql": "CREATE OR REPLACE VIEW"}[dialect]
    op.execute(RESULTS.format(create=create, modified_at=MODIFIED_AT[dialect]))
