"""How people join a team: by a link that works once, which makes an account for whoever has none. Nobody is added without saying yes.

Imports the record, `accounts.services` and `accounts.people`; in come names and keys, out come memberships.
"""
