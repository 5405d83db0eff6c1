"""The tables of what people say of labels. `storage/migrations` creates them."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from storage.column_types import Id, UtcDateTime
from storage.tables import metadata

#: A random sample of what a model labelled, which a person was asked about.
reviews = Table(
    "reviews",
    metadata,
    Column("id", Id, primary_key=True),
    Column("model_id", Id, ForeignKey("models.id"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

#: What a review asks about, in the order in which it does: drawn once, so that one that was interrupted goes on.
review_images = Table(
    "review_images",
    metadata,
    Column("review_id", Id, ForeignKey("reviews.id"), primary_key=True),
    Column("place", Integer, primary_key=True),
    #: Bytes, not a path: files that are the same are one question, and one that has moved is still in the sample.
    Column("content", String(32), nullable=False),
    UniqueConstraint("review_id", "content"),
    sqlite_with_rowid=False,
)

#: What a person said of an image, kept for ever. What stands is what has not ended.
corrections = Table(
    "corrections",
    metadata,
    Column("id", Id, primary_key=True),
    #: The image that the person saw. What is said holds for every file of the same bytes (`outcomes.content`).
    Column("image_id", Id, ForeignKey("images.id"), nullable=False),
    Column("content", String(32), nullable=False),
    #: What the model had said.
    Column("model_id", Id, ForeignKey("models.id"), nullable=False),
    Column("model_label", Text, nullable=False),
    Column("model_score", Float, nullable=False),
    Column("model_kind", Text),
    #: `right`, `wrong`, `label` (it is another one) or `not` (it is not of this kind). Two never stand: `skip` (a
    #: review asked, and nothing was said) and `undo` (all that was said before is taken back).
    Column("answer", String(5), nullable=False),
    #: What it is, where the person said so: of `right`, the model's label.
    Column("label", Text),
    #: What it is not: of `wrong`, the model's label; of `not`, a kind or another label.
    Column("not_label", Text),
    Column("not_thing", Text),
    #: The sample in which it was asked about; None: the person came by it otherwise, and it says nothing of the rest.
    Column("review_id", Id, ForeignKey("reviews.id")),
    Column("made_at", UtcDateTime, nullable=False),
    #: When a later word replaced it, or it was taken back.
    Column("ended_at", UtcDateTime),
)
Index("corrections_by_content", corrections.c.content)
Index("corrections_by_review", corrections.c.review_id)
_SAID = corrections.c.ended_at.is_(None) & corrections.c.label.is_not(None)
#: An image is one thing at a time.
Index("corrections_said", corrections.c.content, unique=True, sqlite_where=_SAID, postgresql_where=_SAID)
