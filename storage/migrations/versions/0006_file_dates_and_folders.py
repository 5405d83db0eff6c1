"""Indexes of file dates and folders: what the gallery is sorted and narrowed by."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_index("images_by_mtime", "images", ["mtime_ns"])
    if op.get_bind().dialect.name == "postgresql":
        # SQLite has one of whole paths. Here an index holds no more than 2,704 bytes of one; and in the locale's
        # order, the images of a folder are not all between two paths.
        op.create_index("images_by_path", "images", [sa.text('(substr(path, 1, 256) COLLATE "C")')])
