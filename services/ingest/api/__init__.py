"""The routes of ingest."""
