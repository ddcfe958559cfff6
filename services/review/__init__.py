"""Review: the queue, the decisions, the audit, and the pages for analysts."""
