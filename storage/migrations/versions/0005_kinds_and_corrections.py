"""Kinds, names in people's languages, and what people say of a label."""

import sqlalchemy as sa
from alembic import op

from storage.column_types import Id, UtcDateTime
from storage.vocabulary_tables import write_vocabulary

revision = "0005"
down_revision = "0004"

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
       END AS label_source
FROM outcomes
LEFT JOIN images ON images.id = outcomes.image_id
LEFT JOIN models ON models.id = outcomes.model_id
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
#: The model's things, less those that people deny, and of images of which people said what they are, those. An index
#: counts a thing's images, and finds the first few: only of those, paths are looked up. Where it says CROSS, SQLite
#: joins in this order; and Postgres looks into a union only where both sides' types are the same.
THINGS = """
CREATE VIEW things AS
SELECT (SELECT images.path FROM images WHERE images.id = shown.image_id) AS path,
       shown.thing, shown.score,
       (SELECT models.architecture FROM models WHERE models.id = shown.model_id) AS model,
       shown.image_id, shown.model_id
FROM (
  SELECT image_things.image_id, image_things.model_id, image_things.thing, image_things.score
  FROM image_things
  WHERE image_things.image_id NOT IN (
          SELECT outcomes.image_id FROM corrections CROSS JOIN outcomes
          WHERE outcomes.content = corrections.content
            AND corrections.ended_at IS NULL AND corrections.label IS NOT NULL)
    AND {is_not_denied}
  UNION ALL
  SELECT outcomes.image_id, outcomes.model_id, kind_parents.thing, CAST(1.0 AS double precision)
  FROM corrections CROSS JOIN class_kinds CROSS JOIN kind_parents CROSS JOIN outcomes
  WHERE class_kinds.label = corrections.label AND kind_parents.kind = class_kinds.kind
    AND outcomes.content = corrections.content AND outcomes.label_1 IS NOT NULL
    AND corrections.ended_at IS NULL
) AS shown
"""
#: That no person denied the thing or one above it. SQLite compares a pair with each one of a list that it is NOT IN;
#: Postgres expects the other way to take so long that it compiles the query first.
IS_NOT_DENIED = {
    "sqlite": """(
          image_things.image_id NOT IN (
            SELECT outcomes.image_id FROM corrections CROSS JOIN outcomes
            WHERE outcomes.content = corrections.content
              AND corrections.ended_at IS NULL AND corrections.not_thing IS NOT NULL)
          OR NOT EXISTS (
            SELECT 1 FROM outcomes CROSS JOIN corrections CROSS JOIN kind_parents
            WHERE outcomes.image_id = image_things.image_id
              AND corrections.content = outcomes.content AND corrections.ended_at IS NULL
              AND kind_parents.thing = corrections.not_thing AND kind_parents.kind = image_things.thing))""",
    "postgresql": """(image_things.image_id, image_things.thing) NOT IN (
          SELECT outcomes.image_id, kind_parents.kind
          FROM corrections
          JOIN kind_parents ON kind_parents.thing = corrections.not_thing
          JOIN outcomes ON outcomes.content = corrections.content
          WHERE corrections.ended_at IS NULL)""",
}
NAMES = "CREATE VIEW names AS SELECT class_index, label, language, name FROM class_names"


def upgrade() -> None:
    _create_vocabulary()
    op.add_column("outcomes", sa.Column("kind", sa.Text))
    op.add_column("outcomes", sa.Column("kind_score", sa.Float))
    op.create_index("outcomes_by_kind", "outcomes", ["kind", "model_id", "kind_score"])
    op.create_index("outcomes_by_label_2", "outcomes", ["label_2", "score_2"])
    op.create_index("outcomes_by_label_3", "outcomes", ["label_3", "score_3"])
    lacks = sa.text("kind IS NULL AND label_1 IS NOT NULL")
    columns = ["kind", "model_id", "image_id"]
    op.create_index("outcomes_without_kind", "outcomes", columns, sqlite_where=lacks, postgresql_where=lacks)
    op.create_table(
        "image_things",
        sa.Column("image_id", Id, sa.ForeignKey("images.id"), primary_key=True),
        sa.Column("model_id", Id, sa.ForeignKey("models.id"), primary_key=True),
        sa.Column("thing", sa.Text, primary_key=True),
        sa.Column("score", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("image_things_by_thing", "image_things", ["thing", "score", "image_id"])
    _create_corrections()
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        op.execute("DROP VIEW results")
    # Postgres keeps what people granted on the view, and the views that they made of it: columns are only added, last.
    create = {"sqlite": "CREATE VIEW", "postgresql": "CREATE OR REPLACE VIEW"}[dialect]
    view = {"said": SAID, "denied": DENIED, "of_image": OF_IMAGE, "modified_at": MODIFIED_AT[dialect]}
    op.execute(RESULTS.format(create=create, **view))
    op.execute(THINGS.format(is_not_denied=IS_NOT_DENIED[dialect]))
    op.execute(NAMES)
    write_vocabulary(op.get_bind())


def _create_vocabulary() -> None:
    op.create_table("vocabulary", sa.Column("version", sa.String(32), primary_key=True))
    op.create_table("kinds", sa.Column("kind", sa.Text, primary_key=True), sa.Column("parent", sa.Text))
    op.create_table(
        "kind_parents",
        sa.Column("thing", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "class_kinds",
        sa.Column("label", sa.Text, primary_key=True),
        sa.Column("class_index", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
    )
    op.create_table(
        "class_names",
        sa.Column("language", sa.Text, primary_key=True),
        sa.Column("class_index", sa.Integer, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "kind_names",
        sa.Column("language", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def _create_corrections() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", Id, primary_key=True),
        sa.Column("model_id", Id, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "review_images",
        sa.Column("review_id", Id, sa.ForeignKey("reviews.id"), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("content", sa.String(32), nullable=False),
        sa.UniqueConstraint("review_id", "content"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "corrections",
        sa.Column("id", Id, primary_key=True),
        sa.Column("image_id", Id, sa.ForeignKey("images.id"), nullable=False),
        sa.Column("content", sa.String(32), nullable=False),
        sa.Column("model_id", Id, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("model_label", sa.Text, nullable=False),
        sa.Column("model_score", sa.Float, nullable=False),
        sa.Column("model_kind", sa.Text),
        sa.Column("answer", sa.String(5), nullable=False),
        sa.Column("label", sa.Text),
        sa.Column("not_label", sa.Text),
        sa.Column("not_thing", sa.Text),
        sa.Column("review_id", Id, sa.ForeignKey("reviews.id")),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
    )
    op.create_index("corrections_by_content", "corrections", ["content"])
    op.create_index("corrections_by_review", "corrections", ["review_id"])
    stands = sa.text("ended_at IS NULL AND label IS NOT NULL")
    op.create_index(
        "corrections_said", "corrections", ["content"], unique=True, sqlite_where=stands, postgresql_where=stands
    )
