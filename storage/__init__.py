"""Tables, migrations, and every statement that is sent to the database. SQLite and Postgres alike."""
