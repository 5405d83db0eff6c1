"""Paths of any length on Postgres, whose indexes hold no more than 2,704 bytes: the unique one is over a hash."""

from alembic import op

revision = "0004"
down_revision = "0003"

#: As it is in `storage.path_keys.name_hash`.
NAME_HASH = "sha256(decode(replace(path || chr(10) || path_hex, chr(92), repeat(chr(92), 2)), 'escape'))"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":  # SQLite indexes a path of any length
        return
    op.drop_constraint("images_path_path_hex_key", "images")
    op.execute(f"CREATE UNIQUE INDEX images_by_name ON images ({NAME_HASH})")
