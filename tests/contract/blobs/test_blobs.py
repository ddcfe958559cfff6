"""Blobs, in a folder and in a bucket: whole or not at all, under the name of their hash, apart for
each tenant."""

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

from shared.events import BlobRef
from shared.storage import BlobStore, FileBlobs, MissingBlob
from shared.storage.blobs import CHUNK
from shared.storage.deletion import (
    is_cancelled,
    is_deleted,
    mark_cancelled,
    mark_deleted,
    ref_of,
)
from tests.contract.blobs.places import Breaks, Place, bytes_of, once

SIZES = {"empty": 0, "one": 1, "a chunk": CHUNK + 1, "parts": 19 * CHUNK + 7}
"""Bytes; the last is sent to S3 in three parts."""


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_what_is_put_comes_back(place: Place, blobs: BlobStore, size: int) -> None:
    """By bytes and by streams, the same bytes are the same blob, kept once."""
    data = bytes_of(size)
    ref = blobs.put("default", data)
    assert ref == BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=size)
    assert blobs.put_stream("default", io.BytesIO(data)) == ref
    assert blobs.put_stream("default", once(data)) == ref
    assert blobs.get("default", ref) == data
    with blobs.open("default", ref) as stream:
        assert stream.read() == data
    assert len(place.stored()) == 1


def test_a_stream_is_kept_from_where_it_stands(blobs: BlobStore) -> None:
    """What was read of it before is no part of the blob."""
    stream = io.BytesIO(b"head" + bytes_of(9 * CHUNK))
    assert stream.read(4) == b"head"
    ref = blobs.put_stream("default", stream)
    assert blobs.get("default", ref) == bytes_of(9 * CHUNK)


def test_a_blob_can_be_read_from_any_place(blobs: BlobStore) -> None:
    """Forwards and backwards, by pieces and by lines, to the end and not beyond."""
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


def test_tenants_do_not_see_each_other(blobs: BlobStore) -> None:
    """The same bytes of another tenant are another blob."""
    ref = blobs.put("one", b"secret")
    for touch in (blobs.get, blobs.open):
        with pytest.raises(MissingBlob, match=f"{ref.sha256} of tenant two is missing"):
            touch("two", ref)
    blobs.put("two", b"secret")
    blobs.delete("one", ref)
    assert blobs.get("two", ref) == b"secret"


@pytest.mark.parametrize("tenant", ["", "..", ".hidden", "a/b", "a\\b", "x" * 65, "a\0b", "ü"])
def test_a_tenant_can_not_leave_its_folder(place: Place, blobs: BlobStore, tenant: str) -> None:
    """A name that is no plain name is refused before anything is touched."""
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
def test_a_damaged_blob_is_noticed(place: Place, blobs: BlobStore, forged: bytes) -> None:
    """Bytes that are not what they were, fewer or more, are an error and never a result."""
    ref = blobs.put("default", b"what was signed")
    (key,) = place.stored()
    place.forge(key, forged)
    with pytest.raises(MissingBlob, match=f"{ref.sha256} of tenant default is damaged"):
        blobs.get("default", ref)
    blobs.put_stream("default", io.BytesIO(b"what was signed"))
    assert blobs.get("default", ref) == b"what was signed"


def test_deleting_twice_is_harmless(place: Place, blobs: BlobStore) -> None:
    """What is gone already stays gone, and can be put again."""
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
def test_what_is_put_again_is_young_again(place: Place, blobs: BlobStore, by: str) -> None:
    """Who removes what is old leaves it to whoever has just put it, and names it in a row next."""
    ref = blobs.put("default", b"some words")
    if not place.url:
        (path,) = place.stored().values()
        os.utime(path, (time.time() - 7200,) * 2)
    time.sleep(2.1)  # a server tells full seconds
    between = datetime.now(UTC) - timedelta(seconds=1)
    again = blobs.put if by == "bytes" else lambda *a: blobs.put_stream(a[0], io.BytesIO(a[1]))
    assert again("default", b"some words") == ref
    assert [age < 1.5 for *_, age in blobs.aged()] == [True]
    assert not blobs.delete_older("default", ref, between)
    assert blobs.get("default", ref) == b"some words"
    time.sleep(0.1)
    for _ in range(2):  # what is gone already is gone
        assert blobs.delete_older("default", ref, datetime.now(UTC))
    assert list(blobs.listed()) == []
    with pytest.raises(ValueError, match="belongs to ingest"):
        place.store("triage").delete_older("default", ref, datetime.now(UTC))


def test_a_blob_of_another_user_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who restored by hand owns it: its time can't be set, and it is young all the same."""
    blobs = FileBlobs(tmp_path)
    ref = blobs.put("default", b"some words")
    os.utime(blobs._path("default", ref), (time.time() - 7200,) * 2)

    def refused(path: Path) -> None:
        raise PermissionError(1, "Operation not permitted", path)

    monkeypatch.setattr("shared.storage.blobs.os.utime", refused)
    assert blobs.put("default", b"some words") == ref
    assert [age < 60 for *_, age in blobs.aged()] == [True]


@pytest.mark.parametrize("good", [0, CHUNK, 3 * CHUNK, 17 * CHUNK])
def test_a_stream_that_breaks_leaves_nothing(place: Place, blobs: BlobStore, good: int) -> None:
    """Half an upload is no blob, and its bytes are taken away."""
    with pytest.raises(OSError, match="broke off"):
        blobs.put_stream("default", cast(BinaryIO, Breaks(good)))
    assert place.stored() == {}


def test_a_service_deletes_its_own_bytes_alone(place: Place, blobs: BlobStore) -> None:
    """The same bytes of two services are two blobs; each reads both, and removes its own."""
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


def test_all_blobs_are_listed_and_nothing_else(place: Place, blobs: BlobStore) -> None:
    """Each with its tenant, its owner and its size; what is no blob is passed over."""
    refs = {("one", blobs.put("one", b"x" * n)) for n in range(3)}
    refs |= {("two", place.store("triage").put("two", b"x"))}
    gone = blobs.put("two", b"gone")
    blobs.delete("two", gone)
    place.forge("notes.txt", b"?")
    if not place.url:
        (place.folder / "one" / "pages").mkdir()
    place.forge("one/pages/1.png", b"?")
    assert set(blobs.listed()) == refs
    assert len(list(blobs.listed())) == len(refs)


def test_more_than_a_page_of_a_list_is_listed(blobs: BlobStore) -> None:
    """S3 lists a thousand objects at once; what is behind them is asked for."""
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


def test_marks_are_seen_by_every_service(place: Place, blobs: BlobStore) -> None:
    """Deletions and cancellations are told by the blob store, wherever it is."""
    triage = place.store("triage")
    blobs.put("default", b"a document")  # so that a folder has been used
    assert not is_deleted(triage, "default", "d1")
    mark_deleted(blobs, "default", "d1")
    mark_cancelled(blobs, "default", "d1", 2)
    assert is_deleted(triage, "default", "d1")
    assert not is_deleted(triage, "other", "d1")
    assert [is_cancelled(triage, "default", "d1", n) for n in (1, 2)] == [False, True]


def test_where_a_blob_will_lie_is_known_before(blobs: BlobStore) -> None:
    """So a crash between noting and putting leaves nothing that nobody knows of."""
    assert blobs.put("default", b"later") == ref_of(b"later")


def test_many_threads_put_and_get_at_once(place: Place, blobs: BlobStore) -> None:
    """One store serves all threads of a process; the same blob may be put by several."""
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


def test_a_sweep_takes_no_blob(place: Place, blobs: BlobStore) -> None:
    """What is whole stays, however old it is."""
    ref = blobs.put("default", bytes_of(19 * CHUNK))
    assert blobs.sweep(timedelta(0)) == 0
    assert blobs.get("default", ref) == bytes_of(19 * CHUNK)
