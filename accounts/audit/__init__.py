"""Who did what, on what, from where, when: lines that are written in the transaction of the act and never changed. In come acts by name; out come lines.

The lowest room of the house: every verb may write here, and nothing of the record is imported. The pages that show the lines are in `accounts.teams`.
"""
