"""Pages of a document that can be looked at while the others are still read.

They lie in the database, since every process of ingest may be asked for them, and go with the next
state of their document: once it is read, has failed, is cancelled, deleted or begun anew.
"""
