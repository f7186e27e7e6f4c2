"""People about themselves, and operators about people: name, address, password, sessions, switching off.

In come forms and bodies; out come pages, and lines in the audit. Imports the record, `accounts.services` and what every endpoint knows; no other page.
"""
