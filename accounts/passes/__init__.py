"""What lets a person in: invitations, and the sessions of browsers. Rows alone; the verbs are in `accounts.invitations` and `accounts.people`.

Imports nothing of the house but the ground: people and teams are named, since their models import these.
"""
