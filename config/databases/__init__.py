"""The record's database and the caches: what is asked of either goes through here, so that one that is away or hangs keeps nobody waiting.

Connections and keys come in. Imports `config.errors` and `config.environment`."""
