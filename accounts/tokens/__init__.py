"""Tokens that scripts carry: made, narrowed and ended, by pages and the API alike.

Imports accounts.access, accounts.signing_in and metrics.ingest.grants; never a page.
"""
