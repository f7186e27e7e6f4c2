"""Requests and answers, of pages and API alike: bodies, files, lists in pages, what each error answers, the name of a request.

Requests come in. Imports `config.errors`; of teams, experiments and metrics it knows nothing."""
