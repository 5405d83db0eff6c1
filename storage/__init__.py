"""Tables, migrations, and every statement that is sent to the database, on SQLite and on Postgres."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "chunk_claims",
    "database",
    "export",
    "figures",
    "identity",
    "manifest",
    "outcomes",
    "records",
    "run_leases",
    "runs",
    "samples",
    "schema_version",
]
