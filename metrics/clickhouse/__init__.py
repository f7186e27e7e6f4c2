"""The engine behind a narrow interface: `insert(table, columns)` and `query(sql, params)`.

Statements and columns come in. Imports nothing of the house but `config.errors`; who asks the store does not know which engine answers."""
