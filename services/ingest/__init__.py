"""Ingest: accepts and reads documents, reports their state, and owns the API keys."""
