"""Pages of a document that can be looked at while the others are still read.

They lie in the database, since every process of ingest may be asked for them, and go with the next
state of their document: once it is read, has failed, is cancelled, deleted or begun anew.

recording.py  noting them, at most once a second
first.py      handing the first ones on, so that clauses are looked for in them
store.py      the rows
"""
