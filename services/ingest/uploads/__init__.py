"""Uploads: the multipart request and its response."""
