"""Where services keep what they know: rows, the events that go with them, and blobs."""

from shared.storage.blobs import BlobStore, FileBlobs, MissingBlob, open_blobs
from shared.storage.engine import Store
from shared.storage.relay import Relay
from shared.storage.unit_of_work import (
    AlreadyHandled,
    EventTooLarge,
    GivenUp,
    Tries,
    UnitOfWork,
    begin_try,
    count_failure,
    end_put_off,
    forget_tries,
    note_alive,
    note_buried,
    note_given_up,
    note_passed_over,
)

__all__ = [
    "AlreadyHandled",
    "BlobStore",
    "EventTooLarge",
    "FileBlobs",
    "GivenUp",
    "MissingBlob",
    "Relay",
    "Store",
    "Tries",
    "UnitOfWork",
    "begin_try",
    "count_failure",
    "end_put_off",
    "forget_tries",
    "note_alive",
    "note_buried",
    "note_given_up",
    "note_passed_over",
    "open_blobs",
]
