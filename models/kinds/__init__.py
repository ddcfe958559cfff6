"""The specialist `document-kind` of ingest: what a document is."""
