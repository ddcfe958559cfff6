"""Bytes and texts of documents, in files or in an S3 bucket."""

from shared.blobs.files import BlobStore, FileBlobs, MissingBlob, open_blobs

__all__ = ["BlobStore", "FileBlobs", "MissingBlob", "open_blobs"]
