"""The specialist `document-kind` of ingest."""
