"""Events are handled in a child process, where a time limit ends a hostile one."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared import metrics
from shared.events import DocumentDeleted
from shared.messaging import DeadLetter, Inbox
from shared.runtime import Service, child
from shared.runtime.child import Children
from shared.runtime.main import join, start_background
from tests.unit.runtime.planted import build_all
from tests.unit.runtime.working import announced, notes, send, waiting, why

SECONDS = 60.0


@pytest.fixture
def services(tmp_path: Path) -> Iterator[list[Service]]:
    """Two services at work, without their relays."""
    children = Children(partial(build_all, tmp_path), ["extraction", "triage"])
    services = [replace(service, children=children) for service in build_all(tmp_path)]
    stop, threads = threading.Event(), []
    for service in services:
        service.store.migrate()
        threads += start_background(service, stop, relay=False, workers=1)
    yield services
    stop.set()
    join(threads)
    for service in services:
        service.close()


@pytest.fixture
def service(services: list[Service]) -> Service:
    """The first of them."""
    return services[0]


def delete(service: Service, *documents: str) -> None:
    send(service.bus, *(DocumentDeleted(document_id=one, tenant=one) for one in documents))


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def letters(service: Service) -> list[DeadLetter]:
    return Inbox(service.store).dead_letters()


def test_one_child_of_each_queue_handles_the_events(service: Service) -> None:
    before = metrics.counts()
    delete(service, "a", "b", "large")
    until(lambda: waiting(service.bus, service.store) == 0)
    by_document = dict(note.split() for note in notes(service.store))
    assert set(by_document) == {"a", "b", "large"}
    assert by_document["a"] == by_document["b"] != by_document["large"]
    assert str(os.getpid()) not in by_document.values()

    def durations() -> list[float]:
        return [sum(parts[1:]) for parts in metrics.counts_since(before).values()]

    until(lambda: 3 in durations())
    assert service.store.outbox_filled.is_set()


def test_an_endless_search_fails_its_document_and_holds_up_no_other(service: Service) -> None:
    delete(service, "slow", "a")
    until(lambda: len(notes(service.store)) == 1)
    assert not letters(service)  # it is in the queue of large ones
    delete(service, "b")
    until(lambda: len(notes(service.store)) == 2)
    until(lambda: bool(letters(service)))
    (letter,) = letters(service)
    assert why(letter).startswith("the work on its text took more than 3 seconds of computing")
    assert letter.attempts == 2
    (failed,) = [event for event in announced(service.store) if event.document_id == "slow"]
    assert failed.code == "took_too_long"
    delete(service, "large")
    until(lambda: len(notes(service.store)) == 3)


def test_services_share_a_child_which_only_the_slow_event_fails(services: list[Service]) -> None:
    slow, other = services
    delete(slow, "a")
    delete(other, "a", "large")
    until(lambda: len(notes(slow.store)) == 1 and len(notes(other.store)) == 2)
    assert notes(slow.store)[0] in notes(other.store)  # with the same process
    delete(slow, "slow")
    for number in range(12):
        delete(other, f"large {number}", f"small {number}")
    until(lambda: bool(letters(slow)) and len(notes(other.store)) == 26)
    assert not letters(other)


def test_an_idle_child_for_large_events_ends(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "REST_SECONDS", 0.0)
    delete(service, "large")
    until(lambda: len(notes(service.store)) == 1)
    pid = int(notes(service.store)[0].split()[1])
    until(lambda: not Path(f"/proc/{pid}").exists())
    send(service.bus, DocumentDeleted(document_id="large", tenant="b"))
    until(lambda: len(notes(service.store)) == 2)
    assert not letters(service)


def test_an_event_waits_for_a_child_that_does_not_start(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, refused = subprocess.Popen, [OSError(12, "Cannot allocate memory")] * 3

    def started(*args: Any, **options: Any) -> Any:
        if refused:
            raise refused.pop()
        return start(*args, **options)

    monkeypatch.setattr(subprocess, "Popen", started)
    delete(service, "a")
    until(lambda: len(notes(service.store)) == 1)
    assert not letters(service)
    assert not refused


@pytest.mark.parametrize(
    ("document", "code", "attempts"), [("dies", "internal", 2), ("torn", "unreadable_document", 1)]
)
def test_a_failure_in_the_child_ends_the_document(
    service: Service, document: str, code: str, attempts: int
) -> None:
    delete(service, document, "a")
    until(lambda: bool(letters(service)) and len(notes(service.store)) == 1)
    (letter,) = letters(service)
    assert letter.attempts == attempts
    (failed,) = [event for event in announced(service.store) if event.document_id == document]
    assert failed.code == code
