"""Bytes and texts of documents, in files or in an S3 bucket."""

from importlib.util import find_spec
from pathlib import Path

from shared.blobs.files import FileBlobs
from shared.blobs.protocol import BlobStore, MissingBlob
from shared.errors import SettingsError

__all__ = ["BlobStore", "FileBlobs", "MissingBlob", "open_blobs"]


def open_blobs(url: str, folder: Path, owner: str = "") -> BlobStore:
    """Return the blob store of a service: the bucket of a URL, or a folder.

    Args:
        url: `s3://bucket/prefix`, or empty.
        folder: used without a URL.
        owner: the service whose blobs are written and deleted; empty for ingest.

    Raises SettingsError for an invalid URL, or without the S3 client.
    """
    if not url:
        return FileBlobs(folder, owner)
    if find_spec("boto3") is None:
        raise SettingsError(
            "SMALLPRINT_BLOBS_URL needs the package boto3. Install "
            "requirements/s3.txt, or leave the setting empty to use the folder below "
            "SMALLPRINT_DATA."
        )
    from shared.blobs.s3 import S3Blobs

    return S3Blobs(url, owner)
