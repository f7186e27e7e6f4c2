"""Django's SQLite backend, which finds text as PostgreSQL does. Loaded by name (`ENGINE`), before any model."""
