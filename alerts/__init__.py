"""Alerts: what is looked at every minute, what was found, who is told, and the pages of both.

`lifecycle` holds the verbs, which touch the record alone; `checks` looks at runs and server; `sending` tells. Tables and permissions keep the label
`metrics`, of which alerts were once a part."""
