"""Search over the text of documents and their clauses, by the database's own full-text search.

`words` says what a word is, `passages` cuts a text into what is found, `query` reads what people
type, `store` keeps the index, `finding` answers.
"""
