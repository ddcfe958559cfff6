"""Full-text search of documents and clauses."""
