"""Is what was promised kept? Tests of checks and of documents that come in, and what follows."""
