"""Tables, migrations, and every statement that is sent to the database, on SQLite and on Postgres."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "claims",
    "database",
    "export",
    "figures",
    "identity",
    "lease",
    "manifest",
    "outcomes",
    "records",
    "runs",
    "samples",
    "schema",
]
