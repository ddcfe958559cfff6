"""Uploads that go on where they broke off, by the tus protocol 1.0 (https://tus.io).

domain.py    what an upload is, and how the protocol's headers are read
store.py     the rows
files.py     the bytes that have come so far, held by one request at a time
commands.py  begin, receive, finish, look, cancel, and the sweep of what nobody finishes
api.py       the routes
"""
