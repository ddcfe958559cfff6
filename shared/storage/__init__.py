"""Where services keep what they know: rows, the events that go with them, and blobs."""

from shared.storage.blobs import BlobStore, FileBlobs, MissingBlob
from shared.storage.engine import Store
from shared.storage.relay import Relay
from shared.storage.unit_of_work import (
    AlreadyHandled,
    Tries,
    UnitOfWork,
    begin_try,
    count_failure,
    forget_tries,
)

__all__ = [
    "AlreadyHandled",
    "BlobStore",
    "FileBlobs",
    "MissingBlob",
    "Relay",
    "Store",
    "Tries",
    "UnitOfWork",
    "begin_try",
    "count_failure",
    "forget_tries",
]
