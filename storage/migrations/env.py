"""Run migrations on the connection that `storage.schema_version` hands over, inside its transaction."""

from alembic import context

from storage.tables import metadata

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=metadata,
    # Else a schema further down the search path, with another nightlabel's tables, would be taken for this one.
    version_table_schema=attributes["schema"],
)
context.run_migrations()
