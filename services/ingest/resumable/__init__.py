"""Resumable uploads by tus 1.0 (tus.io).

domain.py    uploads, errors and header values
files.py     the bytes received so far
store.py     the rows
commands.py  begin, receive, finish, cancel, expire
api.py       the routes
"""
