"""How two backups of one bucket keep apart while it hangs; with a bucket that is a dictionary."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.blobs import s3_pins
from shared.blobs.protocol import PIN_MARKER, PINNED_SUFFIX
from shared.blobs.s3_pins import ENDING, FRESH_SECONDS, BlobPin, remove_dead_pin
from shared.errors import Conflict, Unavailable

ASIDE = [f"default/{letter * 2}/{letter * 64}{PINNED_SUFFIX}" for letter in "ab"]
"""Names of blobs that were put aside."""


class Bucket:
    """Keeps small objects. The first request for `hangs` waits until it is let through."""

    prefix = ""

    def __init__(self, hangs: tuple[str, str] = ("", "")) -> None:
        self.kept: dict[str, tuple[bytes, float]] = {}
        self.hangs, self.hung, self.through = hangs, threading.Event(), threading.Event()

    def objects(self) -> Iterator[dict[str, Any]]:
        return iter([{"Key": key} for key in sorted(self.kept)])

    def read(self, key: str, what: str) -> tuple[bytes, float] | None:
        found = self.kept.get(key)
        return found and (found[0], time.monotonic() - found[1])

    def write(self, key: str, data: bytes) -> None:
        self._hang("write", key)
        self.kept[key] = (data, time.monotonic())

    def remove(self, key: str) -> None:
        self._hang("remove", key)
        self.kept.pop(key, None)

    def grow_old(self, key: str, seconds: float) -> None:
        self.kept[key] = (self.kept[key][0], time.monotonic() - seconds)

    def _hang(self, request: str, key: str) -> None:
        if self.hangs[0] == request and key.endswith(self.hangs[1]) and not self.hung.is_set():
            self.hung.set()
            assert self.through.wait(60)


@pytest.mark.parametrize("hangs", [("write", ENDING), ("remove", PINNED_SUFFIX)])
def test_no_pin_begins_while_a_release_hangs(
    monkeypatch: pytest.MonkeyPatch, hangs: tuple[str, str]
) -> None:
    monkeypatch.setattr(s3_pins, "FRESH_SECONDS", 2.0)
    monkeypatch.setattr(s3_pins, "RENEW_SECONDS", 0.2)
    bucket = Bucket(hangs)
    hold = BlobPin(bucket)
    hold.__enter__()
    bucket.kept[ASIDE[0]] = (b"some", 0.0)
    ending = threading.Thread(target=hold.__exit__, args=(None, None, None))
    ending.start()
    try:
        assert bucket.hung.wait(5)
        threading.Event().wait(3)
        with pytest.raises(Conflict, match="Another backup"), BlobPin(bucket):
            pass
    finally:
        bucket.through.set()
        ending.join()
    left = {PIN_MARKER, ENDING, ASIDE[0]} if hangs[0] == "write" else set()
    assert set(bucket.kept) == left


def taken_by_another(bucket: Bucket) -> None:
    bucket.write(ENDING, b"another")


def half_old(bucket: Bucket) -> None:
    """The mark could not be written again for more than half of the time for which it counts."""
    bucket.grow_old(ENDING, FRESH_SECONDS * 0.6)


@pytest.mark.parametrize("meanwhile", [taken_by_another, half_old])
def test_who_may_lose_the_mark_of_his_end_removes_no_more(
    monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[Bucket], None]
) -> None:
    bucket = Bucket()
    remove = bucket.remove

    def removed(key: str) -> None:
        remove(key)
        if key == ASIDE[0]:
            meanwhile(bucket)

    monkeypatch.setattr(bucket, "remove", removed)
    with BlobPin(bucket):
        for name in ASIDE:
            bucket.kept[name] = (b"some", 0.0)
    assert set(bucket.kept) == {ENDING, ASIDE[1]}
    bucket.grow_old(ENDING, FRESH_SECONDS)
    remove_dead_pin(bucket)
    assert bucket.kept == {}


def test_a_request_that_failed_once_at_the_end_is_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_pins, "PAUSES", (0.0,))
    bucket = Bucket()
    failed: set[tuple[str, str]] = set()

    def once(request: str) -> None:
        do = getattr(bucket, request)

        def failing(key: str, *data: bytes) -> None:
            if (request, key) not in failed:
                failed.add((request, key))
                raise Unavailable("the bucket is away")
            do(key, *data)

        monkeypatch.setattr(bucket, request, failing)

    once("write")
    once("remove")
    with BlobPin(bucket):
        bucket.kept[ASIDE[0]] = (b"some", 0.0)
    assert bucket.kept == {}
    assert {key for request, key in failed if request == "remove"} == {PIN_MARKER, ENDING, ASIDE[0]}
    assert {key for request, key in failed if request == "write"} == {PIN_MARKER, ENDING}
