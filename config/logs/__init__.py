"""One JSON line for what happens, with one id from the request through the drain and the tasks.

Log records come in. Imports `config.web.request_id`; the settings import `logs` before Django is set up."""
