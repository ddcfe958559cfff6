"""Blobs that are held for a backup: gone for everybody else, and there for who copies them."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta

import pytest

from shared.errors import Conflict, Unavailable
from shared.storage import BlobStore, MissingBlob, s3, s3_hold
from shared.storage.blobs import HELD, HOLDING
from shared.storage.s3 import FIRST, S3Blobs
from shared.storage.s3_hold import ENDING
from tests.contract.blobs.places import Place, bytes_of


def test_what_is_deleted_while_it_is_held_can_be_copied(place: Place, blobs: BlobStore) -> None:
    """Until the end, put again or not; then nothing of it is left."""
    kept, gone, again = (blobs.put("default", word) for word in (b"kept", b"gone", b"again"))
    with blobs.holding():
        for ref in (gone, again):
            blobs.delete("default", ref)
            blobs.delete("default", ref)
        blobs.put("default", b"again")
        new = blobs.put("default", b"new")
        assert {ref for _, ref in blobs.held()} == {kept, gone, again, new}
        assert {ref for _, ref in blobs.listed()} == {kept, again, new}
        with pytest.raises(MissingBlob):
            blobs.get("default", gone)
        for ref, data in ((kept, b"kept"), (gone, b"gone"), (again, b"again")):
            with blobs.open_held("default", ref) as stream:
                assert stream.read() == data
    assert {ref for _, ref in blobs.held()} == {kept, again, new}
    assert not [key for key in place.stored() if key.endswith((HELD, HOLDING))]
    blobs.delete("default", kept)
    assert {ref for _, ref in blobs.held()} == {again, new}


def test_what_is_deleted_while_all_are_listed_is_listed(blobs: BlobStore) -> None:
    """A backup copies as it lists; what is deleted in between lies under another name, also where
    the folder was read already.
    """
    together = [data for data in map(b"%d".__mod__, range(6_000)) if of_one_folder(data)]
    refs = {blobs.put("default", data) for data in together}
    assert len(refs) >= 12
    with blobs.holding():
        listed = blobs.held()
        first = next(iter(listed))
        for ref in refs:
            blobs.delete("default", ref)
        assert {ref for _, ref in [first, *listed]} == refs


def of_one_folder(data: bytes) -> bool:
    """Whether these bytes lie in one folder with others of which this is so."""
    return hashlib.sha256(data).hexdigest().startswith("ab")


def test_a_blob_that_is_deleted_while_it_is_copied_is_read_to_its_end(
    place: Place, blobs: BlobStore
) -> None:
    """Its first bytes come from one name, and its last from the other."""
    data = bytes_of(3 * FIRST)
    ref = blobs.put("default", data)
    with blobs.holding(), blobs.open_held("default", ref) as stream:
        begun = stream.read(1000)
        blobs.delete("default", ref)
        assert begun + stream.read() == data


def test_what_is_nowhere_is_missing(blobs: BlobStore) -> None:
    """Also while all are held."""
    ref = blobs.put("default", b"some")
    blobs.delete("default", ref)
    with blobs.holding(), pytest.raises(MissingBlob):
        blobs.open_held("default", ref).close()


def test_a_bucket_is_held_by_one_backup(bucket: Place) -> None:
    """The second is refused, and the first is not disturbed."""
    blobs = S3Blobs(bucket.url)
    with blobs.holding():
        me = f"process {os.getpid()} on {re.escape(socket.gethostname())}, at work since 20"
        with (
            pytest.raises(Conflict, match=f"another backup holds this bucket \\({me}"),
            S3Blobs(bucket.url).holding(),
        ):
            pass
        ref = blobs.put("default", b"some")
        blobs.delete("default", ref)
        with blobs.open_held("default", ref) as stream:
            assert stream.read() == b"some"


def test_a_killed_backup_keeps_the_next_one_waiting_for_a_minute_and_a_half() -> None:
    """And no longer; it is heard of some times in between, so that one lost answer is no harm."""
    assert s3_hold.FRESH_SECONDS <= 90
    assert s3_hold.FRESH_SECONDS / s3_hold.AGAIN_SECONDS >= 4


def test_a_mark_of_an_older_program_holds_as_well(bucket: Place) -> None:
    """It does not say who wrote it."""
    blobs = S3Blobs(bucket.url)
    blobs.write(blobs.prefix + HOLDING, b"0" * 32)
    with pytest.raises(Conflict, match="one that does not say who it is"), blobs.holding():
        pass


def test_a_mark_is_written_again_before_it_is_old(
    bucket: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup may take longer than its mark counts for."""
    monkeypatch.setattr(s3_hold, "FRESH_SECONDS", 4.0)
    monkeypatch.setattr(s3_hold, "AGAIN_SECONDS", 0.5)
    blobs = S3Blobs(bucket.url)
    with blobs.holding():
        threading.Event().wait(5.5)
        assert s3_hold.is_held(blobs)


def test_a_backup_that_lost_its_mark_fails(bucket: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody removed it: what was deleted since may not be in the copy. It is told, also where
    the mark was written anew by another.
    """
    blobs = S3Blobs(bucket.url)
    with pytest.raises(Unavailable, match="begin the backup again"), blobs.holding():
        blobs.remove(blobs.prefix + HOLDING)
    with pytest.raises(Unavailable, match="begin the backup again"), blobs.holding():
        blobs.write(blobs.prefix + HOLDING, b"another")


def grow_old(blobs: S3Blobs, patch: pytest.MonkeyPatch) -> None:
    """Let the marks that are there be old ones."""
    read = S3Blobs.read
    names = [blobs.prefix + name for name in (HOLDING, ENDING)]
    left = {name: found[0] for name in names if (found := read(blobs, name, "a mark"))}

    def aged(blobs: S3Blobs, key: str, what: str) -> tuple[bytes, float] | None:
        found = read(blobs, key, what)
        return (found[0], 1000.0) if found and found[0] == left.get(key) else found

    patch.setattr(S3Blobs, "read", aged)


def test_what_a_killed_backup_left_goes_with_the_next_start(
    bucket: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before its mark is old: a backup that lives writes it again."""
    blobs = S3Blobs(bucket.url)
    ref = blobs.put("default", b"some")
    blobs.write(blobs.prefix + HOLDING, b"of who was killed")
    blobs.delete("default", ref)
    blobs.sweep(timedelta(days=1))
    assert [key for key in bucket.stored() if key.endswith(HELD)]
    grow_old(blobs, monkeypatch)
    blobs.sweep(timedelta(days=1))
    assert not [key for key in bucket.stored() if key.endswith((HELD, HOLDING))]


def test_what_a_backup_left_that_was_cut_off_at_its_end_goes_too(
    bucket: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mark is gone, and what was put aside is not: another backup has none of it, and waits
    until whoever takes it away has ended, or is dead.
    """
    blobs = S3Blobs(bucket.url)
    ref = blobs.put("default", b"some")
    remove = S3Blobs.remove

    def cut_off(blobs: S3Blobs, key: str) -> None:
        if key.endswith(HELD):
            raise Unavailable("the bucket is away")
        remove(blobs, key)

    hold = blobs.holding()
    with monkeypatch.context() as patch:
        patch.setattr(s3_hold, "PAUSES", ())
        patch.setattr(S3Blobs, "remove", cut_off)
        hold.__enter__()
        blobs.delete("default", ref)
        with pytest.raises(Unavailable, match="away"):
            hold.__exit__(None, None, None)
    assert [key for key in bucket.stored() if key.endswith(HELD)]
    with pytest.raises(Conflict, match="another backup"), blobs.holding():
        pass
    with ExitStack() as stack:
        with monkeypatch.context() as patch:
            grow_old(blobs, patch)
            stack.enter_context(blobs.holding())
        assert list(blobs.held()) == []
    assert bucket.stored() == {}


def test_a_backup_whose_machine_slept_fails(bucket: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own clock stood still meanwhile; the server's says that its mark counted for nothing."""
    monkeypatch.setattr(s3_hold, "FRESH_SECONDS", 2.0)
    hold = s3_hold.Hold(S3Blobs(bucket.url))
    hold.__enter__()
    hold._mark._written = float("inf")
    threading.Event().wait(4)
    with pytest.raises(Unavailable, match="begin the backup again"):
        hold.__exit__(None, None, None)


def test_who_put_aside_too_late_takes_it_away_again(
    bucket: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup ended between the look and the copy: nobody else would remove that copy."""
    blobs = S3Blobs(bucket.url)
    ref = blobs.put("default", b"some")
    looks = iter([True, False])
    monkeypatch.setattr("shared.storage.s3.is_held", lambda *_: next(looks))
    blobs.delete("default", ref)
    assert bucket.stored() == {}


@pytest.mark.parametrize(
    "request_of", [lambda blobs: blobs.write("mark", b"x"), lambda blobs: blobs.remove("mark")]
)
def test_what_may_take_the_next_backups_mark_is_sent_once_and_soon_given_up(
    monkeypatch: pytest.MonkeyPatch, request_of: Callable[[S3Blobs], None]
) -> None:
    """A server that takes requests and never answers: sent again by the client, one of them could
    land once the next backup has begun.
    """
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


def test_a_mark_that_may_be_removed_counts_until_the_request_is_given_up() -> None:
    """For two addresses of the server, and a body that waits a second to be asked for."""
    longest = 2 * s3.CONNECT_SECONDS + 1 + s3.MARK_SECONDS
    assert longest < s3_hold.FRESH_SECONDS * (1 - s3_hold.REMOVING)
