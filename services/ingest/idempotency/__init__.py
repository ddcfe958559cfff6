"""Requests that take effect once, however often they are sent: those with an `Idempotency-Key`
(draft-ietf-httpapi-idempotency-key-header).

domain.py    what is kept of a request, and what tells one from another
store.py     the rows: which keys are known, what was answered, and of what it tells
commands.py  work once, answer again; and the sweep of keys that are too old
api.py       the header
"""
