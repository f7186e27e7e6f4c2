"""How people and scripts prove who they are: passwords, tokens, sessions, and the brake on guessing. Comes in: a request.

Imports accounts.models and the ground alone.
"""
