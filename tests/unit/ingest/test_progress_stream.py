"""Streams of events."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from services.ingest import progress_stream
from services.ingest.progress_stream import ProgressStream
from services.ingest.store import Changes, documents
from shared.errors import NotFound, TooManyRequests
from shared.storage import Store
from shared.web.auth import Actor
from tests.unit.ingest.builders import (
    IngestService,
    NewIngest,
    actor,
    clauses_extracted,
    parallel,
    pdf,
)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_stream, "LONGEST_STREAM", 1.0)
    monkeypatch.setattr(progress_stream, "POLL", 0.05)


def events(stream: Iterator[str]) -> list[tuple[str, int, dict[str, Any]]]:
    received = []
    for block in "".join(stream).split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if "data" in fields:
            received.append((fields["event"], int(fields["id"]), json.loads(fields["data"])))
    return received


def watch_of(ingest: IngestService, *, waiting: int = 4, streams: int = 2) -> ProgressStream:
    return ProgressStream(ingest.service.store, waiting=waiting, streams=streams)


def text(number: int) -> bytes:
    return f"This is the agreement number {number}".encode()


def test_a_stream_resumes_at_its_last_event(any_ingest: IngestService) -> None:
    watch = watch_of(any_ingest)
    one = any_ingest.upload_new(text(1), "a.txt")
    everything = events(watch.stream_tenant(actor(), 0))
    assert [(kind, data["id"], data["state"]) for kind, _, data in everything] == [
        ("state", one, "received")
    ]
    seen = everything[-1][1]
    assert events(watch.stream_tenant(actor(), seen)) == []
    two = any_ingest.read_new(text(2), "b.txt")
    any_ingest.publish(clauses_extracted(one))
    any_ingest.client.delete(f"/v1/documents/{two}")
    later = events(watch.stream_tenant(actor(), seen))
    last = {data["id"]: (kind, data.get("outcome")) for kind, _, data in later}
    assert last == {one: ("state", "complete"), two: ("deleted", None)}
    assert later[-1][2] == {"id": two}
    numbers = [number for _, number, _ in later]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > seen
    assert events(watch.stream_tenant(actor(), numbers[-1])) == []


def test_a_stream_without_a_number_has_new_events_only(any_ingest: IngestService) -> None:
    any_ingest.upload_new(text(1), "a.txt")
    watch = watch_of(any_ingest)
    stream = watch.stream_tenant(actor(), None)
    first = next(stream)
    assert first == "retry: 3000\nid: 1\n\n"
    new = any_ingest.upload_new(text(2), "b.txt")
    assert [data["id"] for _, _, data in events(stream)] == [new]


def test_changes_are_separate_for_each_tenant(any_ingest: IngestService) -> None:
    any_ingest.upload_new(text(1), "a.txt")
    watch = watch_of(any_ingest)
    assert events(watch.stream_tenant(actor("acme"), 0)) == []
    acme = any_ingest.client_for("acme")
    theirs = any_ingest.upload(text(1), "a.txt", acme).json()["id"]
    received = events(watch.stream_tenant(actor("acme"), 0))
    assert [(number, data["id"]) for _, number, data in received] == [(1, theirs)]


def test_a_number_from_before_a_restore_is_reset(any_ingest: IngestService) -> None:
    watch = watch_of(any_ingest)
    any_ingest.upload_new(text(1), "a.txt")
    stream = watch.stream_tenant(actor(), 10_000)
    new = any_ingest.upload_new(text(2), "b.txt")
    assert [data["id"] for _, _, data in events(stream)] == [new]
    alone = watch.stream_document(actor(), new, 10_000)
    any_ingest.run()
    any_ingest.publish(clauses_extracted(new))
    assert events(alone)[-1][2]["outcome"] == "complete"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer
def test_a_late_commit_is_streamed(any_ingest: IngestService) -> None:
    store: Store = any_ingest.service.store
    slow = any_ingest.upload_new(text(1), "a.txt")
    watch = watch_of(any_ingest)
    seen = events(watch.stream_tenant(actor(), 0))[-1][1]
    with store.write() as session:
        session.execute(documents.update().where(documents.c.id == slow).values(change=None))
        quick = any_ingest.upload_new(text(2), "b.txt")
        received = events(watch.stream_tenant(actor(), seen))
        assert [data["id"] for _, _, data in received] == [quick]
    later = events(watch.stream_tenant(actor(), received[-1][1]))
    assert [data["id"] for _, _, data in later] == [slow]


def test_parallel_listeners_assign_each_number_once(any_ingest: IngestService) -> None:
    store: Store = any_ingest.service.store
    for number in range(30):
        any_ingest.upload_new(text(number), f"{number}.txt")

    def number_all() -> None:
        given = 1
        while given:
            with store.write() as session:
                given = Changes(session, "default").number()

    parallel(number_all, 4)
    with store.read() as session:
        numbers = session.execute(select(documents.c.change)).scalars().all()
    assert sorted(numbers) == list(range(1, 31))


def test_a_document_stream_ends_once(any_ingest: IngestService) -> None:
    document = any_ingest.upload_new(text(1), "a.txt")
    any_ingest.upload_new(text(2), "b.txt")
    watch = watch_of(any_ingest)
    stream = watch.stream_document(actor(), document, None)
    any_ingest.run()
    any_ingest.publish(clauses_extracted(document))
    received = events(stream)
    assert {data["id"] for _, _, data in received} == {document}
    assert received[-1][2]["outcome"] == "complete"
    began = time.monotonic()
    assert events(watch.stream_document(actor(), document, received[-1][1])) == []
    assert time.monotonic() - began < 1
    with pytest.raises(NotFound):
        watch.stream_document(actor("acme"), document, None)


def test_streams_of_a_key_are_limited_and_released(ingest: IngestService) -> None:
    watch = watch_of(ingest, streams=2)
    first, second = watch.stream_tenant(actor(), None), watch.stream_tenant(actor(), None)
    with pytest.raises(TooManyRequests, match="2 open streams"):
        watch.stream_tenant(actor(), None)
    del first
    gc.collect()
    third = watch.stream_tenant(actor(), None)
    list(second)
    list(third)
    assert watch._streams == {}
    assert all(watch._slots.acquire(blocking=False) for _ in range(4))


def test_without_a_free_slot_a_stream_ends_with_current_events(ingest: IngestService) -> None:
    document = ingest.upload_new(text(1), "a.txt")
    watch = watch_of(ingest, waiting=0)
    began = time.monotonic()
    assert [data["id"] for _, _, data in events(watch.stream_tenant(actor(), 0))] == [document]
    assert time.monotonic() - began < 1


def test_a_silent_stream_sends_heartbeats(
    ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_stream, "HEARTBEAT", 0.2)
    assert 2 <= list(watch_of(ingest).stream_tenant(actor(), None)).count(": still here\n\n") <= 5


def test_closing_ends_every_stream(ingest: IngestService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_stream, "LONGEST_STREAM", 60.0)
    watch = watch_of(ingest)
    stream = watch.stream_tenant(actor(), None)
    threading.Timer(0.2, watch.close).start()
    began = time.monotonic()
    list(stream)
    assert time.monotonic() - began < 10


def test_stopping_answers_waiting_requests(ingest: IngestService) -> None:
    one = ingest.upload_new(pdf())
    ingest.service.let_go()
    began = time.monotonic()
    answer = ingest.client.get(f"/v1/documents/{one}?wait=20")
    assert answer.json()["state"] == "received"
    assert time.monotonic() - began < 10


def test_last_event_id_outweighs_the_query(ingest: IngestService) -> None:
    one = ingest.upload_new(pdf())
    answer = ingest.client.get("/v1/documents/events?after=0")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [data["id"] for _, _, data in events(iter([answer.text]))] == [one]
    again = ingest.client.get("/v1/documents/events?after=0", headers={"last-event-id": "1"})
    assert events(iter([again.text])) == []
    for wrong in ("x", "-1", str(2**63)):
        refused = ingest.client.get("/v1/documents/events", headers={"last-event-id": wrong})
        assert refused.status_code == 422, wrong


def test_too_many_streams_answer_429(new_ingest: NewIngest) -> None:
    ingest = new_ingest(ingest_streams=1)
    key = ingest.keys.list("default")[0]
    held = ingest.service.app.state.progress.stream_tenant(Actor("default", key.name, key.id), None)
    refused = ingest.client.get("/v1/documents/events")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    del held
