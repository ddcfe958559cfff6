"""Ingest: takes documents in, reads them, says where each one stands, and owns the keys."""
