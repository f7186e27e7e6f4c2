"""A team as its members see it: who is in it, who is invited, what was done. In come callers and forms; out come pages, JSON and files.

Imports the record, `accounts.services`, `accounts.invitations` and the audit; nothing imports it but addresses.
"""
