"""Pinned blobs: deleted for everybody else, readable for a backup."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.blobs import BlobStore, MissingBlob, s3, s3_pins
from shared.blobs.protocol import PIN_MARKER, PINNED_SUFFIX
from shared.blobs.s3 import FIRST, S3Blobs
from shared.blobs.s3_pins import ENDING
from shared.errors import Conflict, Unavailable
from tests.contract.blobs.stores import Place, bytes_of


def test_a_blob_deleted_while_pinned_can_be_copied_until_the_end(
    place: Place, blobs: BlobStore
) -> None:
    stored, gone, again = (blobs.put("default", word) for word in (b"kept", b"gone", b"again"))
    with blobs.pin():
        for ref in (gone, again):
            blobs.delete("default", ref)
            blobs.delete("default", ref)
        blobs.put("default", b"again")
        new = blobs.put("default", b"new")
        assert {ref for _, ref in blobs.listed_pinned()} == {stored, gone, again, new}
        assert {ref for _, ref, _ in blobs.listed()} == {stored, again, new}
        with pytest.raises(MissingBlob):
            blobs.get("default", gone)
        for ref, data in ((stored, b"kept"), (gone, b"gone"), (again, b"again")):
            with blobs.open_pinned("default", ref) as stream:
                assert stream.read() == data
    assert {ref for _, ref in blobs.listed_pinned()} == {stored, again, new}
    assert not [key for key in place.stored() if key.endswith((PINNED_SUFFIX, PIN_MARKER))]
    blobs.delete("default", stored)
    assert {ref for _, ref in blobs.listed_pinned()} == {again, new}


def test_a_blob_deleted_during_the_listing_is_listed(blobs: BlobStore) -> None:
    together = [data for data in map(b"%d".__mod__, range(6_000)) if of_one_folder(data)]
    refs = {blobs.put("default", data) for data in together}
    assert len(refs) >= 12
    with blobs.pin():
        listed = blobs.listed_pinned()
        first = next(iter(listed))
        for ref in refs:
            blobs.delete("default", ref)
        assert {ref for _, ref in [first, *listed]} == refs


def of_one_folder(data: bytes) -> bool:
    return hashlib.sha256(data).hexdigest().startswith("ab")


def test_a_blob_deleted_during_the_copy_is_read_to_its_end(place: Place, blobs: BlobStore) -> None:
    data = bytes_of(3 * FIRST)
    ref = blobs.put("default", data)
    with blobs.pin(), blobs.open_pinned("default", ref) as stream:
        started = stream.read(1000)
        blobs.delete("default", ref)
        assert started + stream.read() == data


def test_a_missing_blob_is_missing_while_pinned(blobs: BlobStore) -> None:
    ref = blobs.put("default", b"some")
    blobs.delete("default", ref)
    with blobs.pin(), pytest.raises(MissingBlob):
        blobs.open_pinned("default", ref).close()


def test_a_bucket_is_pinned_by_one_backup(bucket: Place) -> None:
    blobs = S3Blobs(bucket.url)
    with blobs.pin():
        me = f"process {os.getpid()} on {re.escape(socket.gethostname())}, running since 20"
        with (
            pytest.raises(Conflict, match=f"Another backup is using this bucket \\({me}"),
            S3Blobs(bucket.url).pin(),
        ):
            pass
        ref = blobs.put("default", b"some")
        blobs.delete("default", ref)
        with blobs.open_pinned("default", ref) as stream:
            assert stream.read() == b"some"


def test_a_killed_backup_blocks_the_next_one_for_90_seconds() -> None:
    assert s3_pins.FRESH_SECONDS <= 90
    assert s3_pins.FRESH_SECONDS / s3_pins.RENEW_SECONDS >= 4


def test_a_mark_without_an_owner_is_valid(bucket: Place) -> None:
    blobs = S3Blobs(bucket.url)
    blobs.write(blobs.prefix + PIN_MARKER, b"0" * 32)
    with pytest.raises(Conflict, match="an unknown process"), blobs.pin():
        pass


def test_a_mark_is_renewed_before_it_expires(
    bucket: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_pins, "FRESH_SECONDS", 4.0)
    monkeypatch.setattr(s3_pins, "RENEW_SECONDS", 0.5)
    blobs = S3Blobs(bucket.url)
    with blobs.pin():
        threading.Event().wait(5.5)
        assert s3_pins.is_pinned(blobs)


def test_a_backup_that_lost_its_mark_fails(bucket: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = S3Blobs(bucket.url)
    with pytest.raises(Unavailable, match="Repeat the backup"), blobs.pin():
        blobs.remove(blobs.prefix + PIN_MARKER)
    with pytest.raises(Unavailable, match="Repeat the backup"), blobs.pin():
        blobs.write(blobs.prefix + PIN_MARKER, b"another")


def grow_old(blobs: S3Blobs, patch: pytest.MonkeyPatch) -> None:
    read = S3Blobs.read
    names = [blobs.prefix + name for name in (PIN_MARKER, ENDING)]
    remaining = {name: found[0] for name in names if (found := read(blobs, name, "a mark"))}

    def read_as_old(blobs: S3Blobs, key: str, what: str) -> tuple[bytes, float] | None:
        found = read(blobs, key, what)
        return (found[0], 1000.0) if found and found[0] == remaining.get(key) else found

    patch.setattr(S3Blobs, "read", read_as_old)


def test_the_next_start_removes_copies_of_a_killed_backup(
    bucket: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = S3Blobs(bucket.url)
    ref = blobs.put("default", b"some")
    blobs.write(blobs.prefix + PIN_MARKER, b"of who was killed")
    blobs.delete("default", ref)
    blobs.sweep(timedelta(days=1))
    assert [key for key in bucket.stored() if key.endswith(PINNED_SUFFIX)]
    grow_old(blobs, monkeypatch)
    blobs.sweep(timedelta(days=1))
    assert not [key for key in bucket.stored() if key.endswith((PINNED_SUFFIX, PIN_MARKER))]


def test_a_copy_made_after_the_backup_ended_is_removed(
    bucket: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = S3Blobs(bucket.url)
    ref = blobs.put("default", b"some")
    looks = iter([True, False])
    monkeypatch.setattr("shared.blobs.s3.is_pinned", lambda *_: next(looks))
    blobs.delete("default", ref)
    assert bucket.stored() == {}


@pytest.mark.parametrize(
    "request_of", [lambda blobs: blobs.write("mark", b"x"), lambda blobs: blobs.remove("mark")]
)
def test_removing_a_mark_is_sent_once_with_a_time_limit(
    monkeypatch: pytest.MonkeyPatch, request_of: Callable[[S3Blobs], None]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "some")
    monkeypatch.setattr(s3, "READ_SECONDS", 0.2)
    monkeypatch.setattr(s3, "MARK_SECONDS", 0.2, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(Unavailable):
            request_of(S3Blobs("s3://papers"))
        server.settimeout(0)
        server.accept()[0].close()
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_mark_is_valid_until_its_removal_times_out() -> None:
    longest = 2 * s3.CONNECT_SECONDS + 1 + s3.MARK_SECONDS
    assert longest < s3_pins.FRESH_SECONDS * (1 - s3_pins.REMOVING)
