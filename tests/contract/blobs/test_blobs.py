"""The contract of blob stores, in a folder and in a bucket."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from shared.blobs import BlobStore, FileBlobs, MissingBlob
from shared.blobs.markers import is_cancelled, is_deleted, mark_cancelled, mark_deleted
from shared.blobs.protocol import CHUNK
from shared.events import BlobRef
from tests.contract.blobs.stores import Breaks, Place, bytes_of, once

SIZES = {"empty": 0, "one": 1, "a chunk": CHUNK + 1, "parts": 19 * CHUNK + 7}
"""Bytes; the last is sent to S3 in three parts."""


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_put_and_get_return_the_same_bytes(place: Place, blobs: BlobStore, size: int) -> None:
    data = bytes_of(size)
    ref = blobs.put("default", data)
    assert ref == BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=size)
    assert blobs.put_stream("default", io.BytesIO(data)) == ref
    assert blobs.put_stream("default", once(data)) == ref
    assert blobs.get("default", ref) == data
    with blobs.open("default", ref) as stream:
        assert stream.read() == data
    assert len(place.stored()) == 1


def test_put_stream_starts_at_the_current_position(blobs: BlobStore) -> None:
    stream = io.BytesIO(b"head" + bytes_of(9 * CHUNK))
    assert stream.read(4) == b"head"
    ref = blobs.put_stream("default", stream)
    assert blobs.get("default", ref) == bytes_of(9 * CHUNK)


def test_a_blob_can_be_read_from_any_offset(blobs: BlobStore) -> None:
    data = bytes_of(6 * CHUNK)
    ref = blobs.put("default", data)
    with blobs.open("default", ref) as stream:
        assert stream.seekable()
        for start in (5 * CHUNK, 0, CHUNK - 1, 6 * CHUNK - 3, 70_000):
            assert stream.seek(start) == start
            assert stream.read(1000) == data[start : start + 1000]
        assert stream.seek(0, io.SEEK_END) == len(data)
        assert stream.read() == b""
        assert stream.seek(-5, io.SEEK_END) == len(data) - 5
        assert stream.read() == data[-5:]
    lines = [b"%d\n" % number for number in range(200_000)]
    ref = blobs.put("default", b"".join(lines))
    with blobs.open("default", ref) as stream:
        assert list(stream) == lines


def test_the_same_bytes_of_two_tenants_are_two_blobs(blobs: BlobStore) -> None:
    ref = blobs.put("one", b"secret")
    for touch in (blobs.get, blobs.open):
        with pytest.raises(MissingBlob, match=f"{ref.sha256} of tenant two is missing"):
            touch("two", ref)
    blobs.put("two", b"secret")
    blobs.delete("one", ref)
    assert blobs.get("two", ref) == b"secret"


@pytest.mark.parametrize("tenant", ["", "..", ".hidden", "a/b", "a\\b", "x" * 65, "a\0b", "ü"])
def test_an_invalid_tenant_name_is_refused(place: Place, blobs: BlobStore, tenant: str) -> None:
    ref = BlobRef(sha256="0" * 64, size=1)
    for touch in (blobs.get, blobs.open, blobs.delete):
        with pytest.raises(ValueError, match="not a tenant"):
            touch(tenant, ref)
    with pytest.raises(ValueError, match="not a tenant"):
        blobs.put(tenant, b"x")
    with pytest.raises(ValueError, match="not a tenant"):
        blobs.put_stream(tenant, io.BytesIO(b"x"))
    assert place.stored() == {}


@pytest.mark.parametrize("forged", [b"what was forged", b"what was", b"what was signed twice", b""])
def test_a_damaged_blob_raises_missing_blob(place: Place, blobs: BlobStore, forged: bytes) -> None:
    ref = blobs.put("default", b"what was signed")
    (key,) = place.stored()
    place.forge(key, forged)
    with pytest.raises(MissingBlob, match=f"{ref.sha256} of tenant default is damaged"):
        blobs.get("default", ref)
    blobs.put_stream("default", io.BytesIO(b"what was signed"))
    assert blobs.get("default", ref) == b"what was signed"


def test_deleting_twice_is_harmless(place: Place, blobs: BlobStore) -> None:
    ref = blobs.put("default", b"x")
    for _ in range(2):
        blobs.delete("default", ref)
        assert place.stored() == {}
        for touch in (blobs.get, blobs.open):
            with pytest.raises(MissingBlob):
                touch("default", ref)
    assert blobs.put("default", b"x") == ref
    assert blobs.get("default", ref) == b"x"


@pytest.mark.parametrize("by", ["bytes", "stream"])
def test_putting_a_blob_again_renews_its_age(place: Place, blobs: BlobStore, by: str) -> None:
    ref = blobs.put("default", b"some words")
    if not place.url:
        (path,) = place.stored().values()
        os.utime(path, (time.time() - 7200,) * 2)
    time.sleep(2.1)  # a server returns full seconds
    between = datetime.now(UTC) - timedelta(seconds=1)
    again = blobs.put if by == "bytes" else lambda *a: blobs.put_stream(a[0], io.BytesIO(a[1]))
    assert again("default", b"some words") == ref
    assert [age < 1.5 for *_, age in blobs.listed()] == [True]
    assert not blobs.delete_older("default", ref, between)
    assert blobs.get("default", ref) == b"some words"
    time.sleep(0.1)
    for _ in range(2):  # also once it is deleted
        assert blobs.delete_older("default", ref, datetime.now(UTC))
    assert list(blobs.listed()) == []
    with pytest.raises(ValueError, match="belongs to ingest"):
        place.store("triage").delete_older("default", ref, datetime.now(UTC))


def test_a_blob_of_another_user_is_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = FileBlobs(tmp_path)
    ref = blobs.put("default", b"some words")
    os.utime(blobs._path("default", ref), (time.time() - 7200,) * 2)

    def refused(path: Path) -> None:
        raise PermissionError(1, "Operation not permitted", path)

    monkeypatch.setattr("shared.blobs.files.os.utime", refused)
    assert blobs.put("default", b"some words") == ref
    assert [age < 60 for *_, age in blobs.listed()] == [True]


@pytest.mark.parametrize("good", [0, CHUNK, 3 * CHUNK, 17 * CHUNK])
def test_a_broken_stream_leaves_no_bytes(place: Place, blobs: BlobStore, good: int) -> None:
    with pytest.raises(OSError, match="broke off"):
        blobs.put_stream("default", cast(BinaryIO, Breaks(good)))
    assert place.stored() == {}


def test_a_service_deletes_only_its_own_blobs(place: Place, blobs: BlobStore) -> None:
    extraction, triage = place.store("extraction"), place.store("triage")
    mine, theirs = extraction.put("default", b"[]"), triage.put_stream("default", io.BytesIO(b"[]"))
    assert (mine.owner, theirs.owner, mine.sha256) == ("extraction", "triage", theirs.sha256)
    for owned, other in ((extraction, theirs), (triage, mine), (blobs, mine)):
        with pytest.raises(ValueError, match=f"belongs to {other.owner}"):
            owned.delete("default", other)
    with pytest.raises(ValueError, match="belongs to ingest"):
        extraction.delete("default", blobs.put("default", b"[]"))
    extraction.delete("default", mine)
    assert triage.get("default", theirs) == extraction.get("default", theirs) == b"[]"
    with pytest.raises(MissingBlob):
        triage.get("default", mine)


def test_listed_yields_blobs_and_nothing_else(place: Place, blobs: BlobStore) -> None:
    refs = {("one", blobs.put("one", b"x" * n)) for n in range(3)}
    refs |= {("two", place.store("triage").put("two", b"x"))}
    gone = blobs.put("two", b"gone")
    blobs.delete("two", gone)
    place.forge("notes.txt", b"?")
    if not place.url:
        (place.folder / "one" / "pages").mkdir()
    place.forge("one/pages/1.png", b"?")
    listed = [(tenant, ref) for tenant, ref, _ in blobs.listed()]
    assert set(listed) == refs
    assert len(listed) == len(refs)


def test_a_list_of_more_than_a_thousand_objects_is_complete(blobs: BlobStore) -> None:
    count = 1100
    threads = [
        threading.Thread(target=lambda n=n: [blobs.put("a", b"%d" % k) for k in range(n, count, 8)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(blobs.listed())) == count


def test_deletion_and_cancellation_marks_are_visible_to_every_service(
    place: Place, blobs: BlobStore
) -> None:
    triage = place.store("triage")
    blobs.put("default", b"a document")  # so that a folder has been used
    assert not is_deleted(triage, "default", "d1")
    mark_deleted(blobs, "default", "d1")
    mark_cancelled(blobs, "default", "d1", 2)
    assert is_deleted(triage, "default", "d1")
    assert not is_deleted(triage, "other", "d1")
    assert [is_cancelled(triage, "default", "d1", n) for n in (1, 2)] == [False, True]


def test_threads_can_share_a_store(place: Place, blobs: BlobStore) -> None:
    failed: list[Exception] = []

    def work(number: int) -> None:
        try:
            for turn in range(6):
                data = bytes_of(100_000 + (number + turn) % 4)
                ref = blobs.put_stream("default", io.BytesIO(data))
                assert blobs.get("default", ref) == data
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(place.stored()) == 4


def test_a_sweep_removes_no_complete_blob(place: Place, blobs: BlobStore) -> None:
    ref = blobs.put("default", bytes_of(19 * CHUNK))
    assert blobs.sweep(timedelta(0)) == 0
    assert blobs.get("default", ref) == bytes_of(19 * CHUNK)
