"""Marks of deleted documents in the blob store."""

from __future__ import annotations

import io
from pathlib import Path

from shared.blobs import FileBlobs
from shared.blobs.markers import deletion_mark, is_deleted, mark_deleted, ref_of, ref_of_stream


def test_a_mark_tells_of_one_document_of_one_tenant(tmp_path: Path) -> None:
    """Whoever knows tenant and id sees the mark, and no other document has it."""
    blobs = FileBlobs(tmp_path)
    blobs.put("acme", b"a document")
    assert not is_deleted(blobs, "acme", "doc_1")
    for _ in range(2):
        mark_deleted(blobs, "acme", "doc_1")
    assert is_deleted(FileBlobs(tmp_path), "acme", "doc_1")
    assert not is_deleted(blobs, "acme", "doc_2")
    assert not is_deleted(blobs, "other", "doc_1")
    blobs.delete("acme", deletion_mark("acme", "doc_1"))
    assert not is_deleted(blobs, "acme", "doc_1")


def test_where_a_blob_will_lie_is_known_before_it_is_put(tmp_path: Path) -> None:
    """The noted place is the place, for bytes and for streams, which are rewound."""
    blobs, data = FileBlobs(tmp_path), b"x" * 3_000_000
    assert ref_of(data) == blobs.put("acme", data)
    stream = io.BytesIO(b"y" * 3_000_000)
    assert ref_of_stream(stream) == blobs.put_stream("acme", stream)
    assert ref_of(b"") == ref_of_stream(io.BytesIO())
