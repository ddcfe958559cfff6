"""Requests with an `Idempotency-Key` take effect once (draft-ietf-httpapi-idempotency-key-header).

store.py     keys, claims, answers and their fingerprints
commands.py  runs the work once; removes expired keys
api.py       the header
"""
