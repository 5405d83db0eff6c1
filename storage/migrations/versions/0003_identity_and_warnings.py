"""Who a database and a process are, runs that were given up, and doubts about a picture that has labels."""

import uuid
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from storage.column_types import UtcDateTime

revision = "0003"
down_revision = "0002"

RESULTS = """
{create} results AS
SELECT images.path, models.architecture AS model, outcomes.status,
       outcomes.label_1, outcomes.score_1, outcomes.label_2, outcomes.score_2, outcomes.label_3, outcomes.score_3,
       outcomes.error_kind, outcomes.error, outcomes.width, outcomes.height,
       outcomes.queue_ms, outcomes.read_ms, outcomes.decode_ms, outcomes.infer_ms, outcomes.total_ms,
       outcomes.worker, outcomes.run_id, outcomes.labelled_at,
       models.precision, models.weights, outcomes.size AS size_bytes, outcomes.content,
       {modified_at} AS modified_at, outcomes.image_id, outcomes.warning
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
    identity = op.create_table(
        "identity",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.bulk_insert(identity, [{"uuid": str(uuid.uuid4()), "created_at": datetime.now(UTC)}])
    op.add_column("runs", sa.Column("follower_process", sa.Text))
    op.add_column("runs", sa.Column("cancelled_at", UtcDateTime))
    op.add_column("workers", sa.Column("process", sa.Text))
    op.add_column("outcomes", sa.Column("warning", sa.Text))
    doubted = sa.text("warning IS NOT NULL")
    op.create_index("outcomes_doubted", "outcomes", ["run_id"], sqlite_where=doubted, postgresql_where=doubted)
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        op.execute("DROP VIEW results")
    # Postgres keeps what people granted on the view, and the views that they made of it: columns are only added, last.
    create = {"sqlite": "CREATE VIEW", "postgresql": "CREATE OR REPLACE VIEW"}[dialect]
    op.execute(RESULTS.format(create=create, modified_at=MODIFIED_AT[dialect]))
