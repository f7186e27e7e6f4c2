"""Django's PostgreSQL backend, with a pool and connections that do not wait for ever. Loaded by name (`ENGINE`), before any model."""
