"""From text to clauses: candidates, ranking, reranking, warnings."""
