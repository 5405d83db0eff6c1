"""Labels that were taken from the same bytes, and which precision gave an answer."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

#: As 0005 has it, and two columns more. A join, which both databases leave out where its column is not asked for: of a
#: subquery, Postgres expects a million to cost so much that it compiles the query, and looks up each row.
RESULTS = """
{create} results AS
SELECT images.path, models.architecture AS model, outcomes.status,
       outcomes.label_1, outcomes.score_1, outcomes.label_2, outcomes.score_2, outcomes.label_3, outcomes.score_3,
       outcomes.error_kind, outcomes.error, outcomes.width, outcomes.height,
       outcomes.queue_ms, outcomes.read_ms, outcomes.decode_ms, outcomes.infer_ms, outcomes.total_ms,
       outcomes.worker, outcomes.run_id, outcomes.labelled_at,
       models.precision, models.weights, outcomes.size AS size_bytes, outcomes.content,
       {modified_at} AS modified_at, outcomes.image_id, outcomes.warning,
       outcomes.kind, outcomes.kind_score,
       CASE
         WHEN outcomes.label_1 IS NULL THEN NULL
         WHEN {said} THEN (SELECT corrections.label FROM corrections WHERE {of_image} AND corrections.label IS NOT NULL)
         WHEN {denied} THEN NULL
         ELSE outcomes.label_1
       END AS label,
       CASE
         WHEN outcomes.label_1 IS NULL THEN NULL
         WHEN {said} OR {denied} THEN 'person'
         ELSE 'model'
       END AS label_source,
       CASE
         WHEN outcomes.label_1 IS NULL THEN NULL
         ELSE coalesce(outcomes.computed_in, models.precision)
       END AS computed_in,
       sources.path AS copied_from
FROM outcomes
LEFT JOIN images ON images.id = outcomes.image_id
LEFT JOIN models ON models.id = outcomes.model_id
LEFT JOIN images AS sources ON sources.id = outcomes.copied_from
"""
#: The corrections of an image that stand: those of its bytes, wherever they lie and whatever labelled them.
OF_IMAGE = "corrections.content = outcomes.content AND corrections.ended_at IS NULL"
#: Whether a person said what it is.
SAID = f"EXISTS (SELECT 1 FROM corrections WHERE {OF_IMAGE} AND corrections.label IS NOT NULL)"
#: Whether a person said that it is not what the model says: not this label, not this kind or one above it.
DENIED = f"""EXISTS (
           SELECT 1 FROM corrections
           WHERE {OF_IMAGE} AND (
             corrections.not_label = outcomes.label_1 OR EXISTS (
               SELECT 1 FROM class_kinds JOIN kind_parents ON kind_parents.kind = class_kinds.kind
               WHERE class_kinds.label = outcomes.label_1 AND kind_parents.thing = corrections.not_thing)))"""
#: The time of the file that was labelled, in UTC; of one that could not be read, what the scan saw.
MODIFIED_AT = {
    "sqlite": "datetime(coalesce(outcomes.mtime_ns, images.mtime_ns) / 1000000000, 'unixepoch')",
    "postgresql": "to_timestamp(coalesce(outcomes.mtime_ns, images.mtime_ns) / 1000000000.0)",
}
#: What labels can be taken from: images with labels of their own.
HAS_ITS_OWN = "label_1 IS NOT NULL AND content IS NOT NULL AND copied_from IS NULL"


def upgrade() -> None:
    op.add_column("outcomes", sa.Column("computed_in", sa.Text))
    dialect = op.get_bind().dialect.name
    # SQLite adds a column with what it refers to, and never a constraint to one that is there: Alembic would do that.
    kind = {"sqlite": "INTEGER", "postgresql": "BIGINT"}[dialect]
    op.execute(f"ALTER TABLE outcomes ADD COLUMN copied_from {kind} REFERENCES images (id)")
    own = sa.text(HAS_ITS_OWN)
    columns = ["size", "model_id", "image_id"]
    op.create_index("outcomes_by_size", "outcomes", columns, sqlite_where=own, postgresql_where=own)
    if dialect == "sqlite":
        op.execute("DROP VIEW results")
    # Postgres keeps what people granted on the view, and the views that they made of it: columns are only added, last.
    create = {"sqlite": "CREATE VIEW", "postgresql": "CREATE OR REPLACE VIEW"}[dialect]
    view = {"said": SAID, "denied": DENIED, "of_image": OF_IMAGE, "modified_at": MODIFIED_AT[dialect]}
    op.execute(RESULTS.format(create=create, **view))
