"""A request's body, from its declared length to what is built of it: how much an address takes, how much the process holds at once, and reading it whole.

Bytes in, bytes out; nothing of the record. `purposes` has the limits, `in_flight` what the process holds, `reading` the ways in,
`judging` what Django does first.
"""
