"""Streams of events: everything once, in order, from where the listener was; bounded and closed."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.ingest import watching
from services.ingest.store import Changes, documents
from services.ingest.watching import Watch
from shared.errors import NotFound, TooManyRequests
from shared.storage import Store
from shared.web.auth import Actor
from tests.unit.ingest.house import House, actor, extracted, pdf


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits a minute here."""
    monkeypatch.setattr(watching, "LONGEST_STREAM", 1.0)
    monkeypatch.setattr(watching, "POLL", 0.05)


def events(stream: Iterator[str]) -> list[tuple[str, int, dict[str, Any]]]:
    """Type, number and data of all events of a stream."""
    heard = []
    for block in "".join(stream).split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if "data" in fields:
            heard.append((fields["event"], int(fields["id"]), json.loads(fields["data"])))
    return heard


def watch_of(house: House, *, waiting: int = 4, streams: int = 2) -> Watch:
    """Listening at a house."""
    return Watch(house.service.store, waiting=waiting, streams=streams)


def text(number: int) -> bytes:
    """A small document, another one for each number."""
    return f"Agreement {number}".encode()


def test_a_listener_goes_on_where_he_was(any_house: House) -> None:
    """Whatever changed while nobody listened comes at the next time, each document as it is now."""
    watch = watch_of(any_house)
    one = any_house.accepted(text(1), "a.txt")
    everything = events(watch.tenant(actor(), 0))
    assert [(kind, data["id"], data["state"]) for kind, _, data in everything] == [
        ("state", one, "received")
    ]
    seen = everything[-1][1]
    assert events(watch.tenant(actor(), seen)) == []
    two = any_house.accepted(text(2), "b.txt")
    any_house.work()
    any_house.say(extracted(one))
    any_house.client.delete(f"/v1/documents/{two}")
    later = events(watch.tenant(actor(), seen))
    last = {data["id"]: (kind, data.get("outcome")) for kind, _, data in later}
    assert last == {one: ("state", "complete"), two: ("deleted", None)}
    assert later[-1][2] == {"id": two}
    numbers = [number for _, number, _ in later]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > seen
    assert events(watch.tenant(actor(), numbers[-1])) == []


def test_without_a_number_only_news_is_told(any_house: House) -> None:
    """A new listener hears what happens from now on, and his number even if nothing does."""
    any_house.accepted(text(1), "a.txt")
    watch = watch_of(any_house)
    stream = watch.tenant(actor(), None)
    first = next(stream)
    assert first == "retry: 3000\nid: 1\n\n"
    new = any_house.accepted(text(2), "b.txt")
    assert [data["id"] for _, _, data in events(stream)] == [new]


def test_another_tenant_is_not_heard(any_house: House) -> None:
    """Changes are numbered and told tenant by tenant."""
    any_house.accepted(text(1), "a.txt")
    watch = watch_of(any_house)
    assert events(watch.tenant(actor("acme"), 0)) == []
    acme = any_house.client_of("acme")
    theirs = any_house.upload(text(1), "a.txt", acme).json()["id"]
    heard = events(watch.tenant(actor("acme"), 0))
    assert [(number, data["id"]) for _, number, data in heard] == [(1, theirs)]


def test_a_number_of_a_lost_past_is_no_deafness(any_house: House) -> None:
    """After a restored backup, numbers that are not reached yet are taken for the last one."""
    watch = watch_of(any_house)
    any_house.accepted(text(1), "a.txt")
    stream = watch.tenant(actor(), 10_000)
    new = any_house.accepted(text(2), "b.txt")
    assert [data["id"] for _, _, data in events(stream)] == [new]
    alone = watch.document(actor(), new, 10_000)
    any_house.work()
    any_house.say(extracted(new))
    assert events(alone)[-1][2]["outcome"] == "complete"


@pytest.mark.parametrize("any_house", ["postgresql"], indirect=True)  # SQLite has one writer
def test_a_late_commit_is_not_lost(any_house: House) -> None:
    """A change whose transaction ends after later ones have been told is told all the same."""
    store: Store = any_house.service.store
    slow = any_house.accepted(text(1), "a.txt")
    watch = watch_of(any_house)
    seen = events(watch.tenant(actor(), 0))[-1][1]
    with store.write() as session:
        session.execute(documents.update().where(documents.c.id == slow).values(change=None))
        quick = any_house.accepted(text(2), "b.txt")
        heard = events(watch.tenant(actor(), seen))
        assert [data["id"] for _, _, data in heard] == [quick]
    later = events(watch.tenant(actor(), heard[-1][1]))
    assert [data["id"] for _, _, data in later] == [slow]


def test_many_that_number_at_once_give_each_number_once(any_house: House) -> None:
    """Several processes may listen to the same tenant."""
    store: Store = any_house.service.store
    for number in range(30):
        any_house.accepted(text(number), f"{number}.txt")

    def number_all() -> None:
        given = 1
        while given:
            with store.write() as session:
                given = Changes(session, "default").number()

    threads = [threading.Thread(target=number_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as session:
        numbers = session.execute(select(documents.c.change)).scalars().all()
    assert sorted(numbers) == list(range(1, 31))


def test_one_document_is_followed_to_its_end_and_not_told_twice(any_house: House) -> None:
    """The stream ends with the document; who comes back knowing the end hears nothing more."""
    document = any_house.accepted(text(1), "a.txt")
    any_house.accepted(text(2), "b.txt")
    watch = watch_of(any_house)
    stream = watch.document(actor(), document, None)
    any_house.work()
    any_house.say(extracted(document))
    heard = events(stream)
    assert {data["id"] for _, _, data in heard} == {document}
    assert heard[-1][2]["outcome"] == "complete"
    began = time.monotonic()
    assert events(watch.document(actor(), document, heard[-1][1])) == []
    assert time.monotonic() - began < 1
    with pytest.raises(NotFound):
        watch.document(actor("acme"), document, None)


def test_streams_of_a_key_are_counted_and_given_back(house: House) -> None:
    """One too many is refused; one that nobody reads on gives its place back."""
    watch = watch_of(house, streams=2)
    first, second = watch.tenant(actor(), None), watch.tenant(actor(), None)
    with pytest.raises(TooManyRequests, match="listens 2 times already"):
        watch.tenant(actor(), None)
    del first
    gc.collect()
    third = watch.tenant(actor(), None)
    list(second)
    list(third)
    assert watch._of_key == {}
    assert all(watch._places.acquire(blocking=False) for _ in range(4))


def test_in_a_crowd_a_listener_is_sent_away_with_what_there_is(house: House) -> None:
    """He comes again by himself, with his number."""
    document = house.accepted(text(1), "a.txt")
    watch = watch_of(house, waiting=0)
    began = time.monotonic()
    assert [data["id"] for _, _, data in events(watch.tenant(actor(), 0))] == [document]
    assert time.monotonic() - began < 1


def test_silence_is_broken(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy, and we ourselves, learn from a line now and then whether somebody is there."""
    monkeypatch.setattr(watching, "HEARTBEAT", 0.2)
    assert 2 <= list(watch_of(house).tenant(actor(), None)).count(": still here\n\n") <= 5


def test_closing_ends_every_stream(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that stops does not wait for its listeners."""
    monkeypatch.setattr(watching, "LONGEST_STREAM", 60.0)
    watch = watch_of(house)
    stream = watch.tenant(actor(), None)
    threading.Timer(0.2, watch.close).start()
    began = time.monotonic()
    list(stream)
    assert time.monotonic() - began < 10


def test_a_process_that_is_asked_to_end_answers_who_waits(house: House) -> None:
    """With what is known: whoever asks again comes to its successor."""
    one = house.accepted(pdf())
    house.service.let_go()
    began = time.monotonic()
    answer = house.client.get(f"/v1/documents/{one}?wait=20")
    assert answer.json()["state"] == "received"
    assert time.monotonic() - began < 10


def test_over_http(house: House) -> None:
    """The header that a browser sends outweighs the address, which stays the same."""
    one = house.accepted(pdf())
    answer = house.client.get("/v1/documents/events?after=0")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [data["id"] for _, _, data in events(iter([answer.text]))] == [one]
    again = house.client.get("/v1/documents/events?after=0", headers={"last-event-id": "1"})
    assert events(iter([again.text])) == []
    for wrong in ("x", "-1", str(2**63)):
        refused = house.client.get("/v1/documents/events", headers={"last-event-id": wrong})
        assert refused.status_code == 422, wrong


def test_streams_are_bounded_over_http(tmp_path: Path) -> None:
    """A key that listens too often gets 429 and when to come again."""
    house = House(tmp_path, ingest_streams=1)
    key = house.keys.list("default")[0]
    held = house.service.app.state.watch.tenant(Actor("default", key.name, key.id), None)
    refused = house.client.get("/v1/documents/events")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    del held
    house.close()
