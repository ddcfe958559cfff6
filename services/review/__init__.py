"""Review: what analysts see and decide. Owns the queue, the decisions, the audit and the pages."""
