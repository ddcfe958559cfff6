"""Leases, order by key, turns of tenants, retries, dead letters and replay."""

import random
import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from shared.errors import NotFound
from shared.messaging import Inbox, Lease
from shared.messaging.inbox import QUEUES, NewEntry, Queue
from shared.messaging.tables import inbox as table
from shared.storage import Store
from shared.storage.tenant_isolation import across_tenants


def entry(key: str, value: object, queue: Queue = "main", error: str | None = None) -> NewEntry:
    """An event of the tenant and document `key`, named after its value."""
    return NewEntry(f"{key} {value}", queue, key, "t.v1", str(value).encode(), error)


def claim(inbox: Inbox, queue: Queue = "main") -> Lease:
    lease = inbox.claim(queue)
    assert lease is not None
    return lease


def names(inbox: Inbox, queue: Queue = "main") -> list[str]:
    found = []
    while (lease := inbox.claim(queue)) is not None:
        inbox.finish(lease)
        found.append(lease.event_id)
    return found


def retry(inbox: Inbox, lease: Lease, after: float = 0.0, *, failed: bool = True) -> None:
    at = datetime.now(UTC) + timedelta(seconds=after)
    inbox.retry(lease, at, "an error", failed=failed)


def give_up(inbox: Inbox, lease: Lease, error: str = "damaged") -> bool:
    with inbox.store.write() as session:
        return inbox.give_up(session, lease, error, failed=True)


def rows(store: Store) -> list[tuple[str, str]]:
    query = select(table.c.event_id, table.c.state).order_by(table.c.number)
    with store.read() as session:
        found = session.execute(across_tenants(query, "a test")).all()
    return [(row.event_id, row.state) for row in found]


@pytest.fixture
def inbox(store: Store) -> Inbox:
    return Inbox(store, "host/1")


@pytest.fixture
def other(store: Store) -> Inbox:
    return Inbox(store, "host/2")


def test_an_entry_is_claimed_as_it_was_inserted(inbox: Inbox) -> None:
    inbox.insert([NewEntry("e1", "main", "acme/dokument-ä", "t.v1", b"\x00\xff")])
    lease = claim(inbox)
    assert (lease.event_id, lease.key, lease.type) == ("e1", "acme/dokument-ä", "t.v1")
    assert (lease.value, lease.queue) == (b"\x00\xff", "main")
    assert (lease.attempts, lease.failures, lease.crashes) == (1, 0, 0)
    assert inbox.claim("main") is None


def test_a_known_event_changes_nothing(inbox: Inbox) -> None:
    for _ in range(2):
        inbox.insert([entry("a/1", 1), entry("a/1", 1)])
    lease = claim(inbox)
    inbox.insert([entry("a/1", 1)])
    inbox.finish(lease)
    inbox.insert([entry("a/1", 1)])
    assert inbox.claim("main") is None
    assert rows(inbox.store) == [("a/1 1", "done")]


def test_one_event_may_be_in_two_queues(inbox: Inbox) -> None:
    inbox.insert([entry("a/1", 1), entry("a/1", 1, "decisions")])
    assert names(inbox) == names(inbox, "decisions") == ["a/1 1"]


def test_a_finished_event_leaves_no_content(inbox: Inbox) -> None:
    inbox.insert([entry("a/1", "secret")])
    inbox.finish(claim(inbox))
    with inbox.store.read() as session:
        query = select(table.c.value, table.c.ended)
        value, ended = session.execute(across_tenants(query, "a test")).one()
    assert (bytes(value), ended is None) == (b"", False)


def test_entries_of_a_key_are_claimed_in_order_and_one_at_a_time(inbox: Inbox) -> None:
    inbox.insert([entry("a/1", n) for n in range(5)])
    inbox.insert([entry("a/2", 0)])
    held = [claim(inbox), claim(inbox)]
    assert [lease.event_id for lease in held] == ["a/1 0", "a/2 0"]
    assert inbox.claim("main") is None
    for lease in held:
        inbox.finish(lease)
    assert names(inbox) == [f"a/1 {n}" for n in range(1, 5)]


def test_the_order_of_a_key_holds_across_main_and_large(inbox: Inbox) -> None:
    inbox.insert([entry("a/1", 1, "large"), entry("a/1", 2), entry("a/2", 1)])
    assert names(inbox) == ["a/2 1"]
    large = claim(inbox, "large")
    assert inbox.claim("main") is None
    inbox.finish(large)
    assert names(inbox) == ["a/1 2"]


def test_decisions_do_not_wait_for_the_other_queues(inbox: Inbox) -> None:
    inbox.insert([entry("a/1", 1), entry("a/1", 2, "decisions"), entry("a/1", 3, "decisions")])
    held = claim(inbox)
    assert names(inbox, "decisions") == ["a/1 2", "a/1 3"]
    inbox.finish(held)


def test_tenants_take_turns(inbox: Inbox) -> None:
    inbox.insert([entry(f"big/{n}", 0) for n in range(6)])
    inbox.insert([entry(f"{tenant}/{n}", 0) for tenant in "bc" for n in range(2)])
    tenants = [name.partition("/")[0] for name in names(inbox)]
    assert [sorted(tenants[n : n + 3]) for n in (0, 3)] == [["b", "big", "c"]] * 2
    assert tenants[6:] == ["big"] * 4


def test_a_tenant_that_comes_late_does_not_wait_for_a_thousand(inbox: Inbox) -> None:
    inbox.insert([entry(f"big/{n}", 0) for n in range(1000)])
    inbox.finish(claim(inbox))
    inbox.insert([entry("small/1", 0)])
    assert claim(inbox).event_id == "small/1 0"


def test_a_retry_waits_and_holds_up_its_key_alone(inbox: Inbox) -> None:
    inbox.insert([entry("a/1", 1), entry("a/1", 2), entry("a/2", 1)])
    retry(inbox, claim(inbox), 0.3)
    assert names(inbox) == ["a/2 1"]
    again = inbox.wait("main", 30)
    assert again is not None
    assert (again.event_id, again.attempts, again.failures, again.crashes) == ("a/1 1", 2, 1, 0)
    inbox.finish(again)
    assert names(inbox) == ["a/1 2"]


def test_an_attempt_that_only_waited_is_no_failure(inbox: Inbox) -> None:
    inbox.insert([entry("a/1", 1)])
    retry(inbox, claim(inbox), failed=False)
    lease = claim(inbox)
    assert (lease.attempts, lease.failures, lease.crashes) == (2, 0, 0)


def test_a_lease_that_ran_out_is_a_crash(store: Store, other: Inbox) -> None:
    short = Inbox(store, "host/1", lease=0.2)
    short.insert([entry("a/1", 1), entry("a/1", 2)])
    late = claim(short)
    assert other.claim("main") is None
    again = other.wait("main", 30)
    assert again is not None
    assert (again.event_id, again.attempts, again.crashes) == ("a/1 1", 2, 1)
    short.finish(late)
    retry(short, late)
    assert not give_up(short, late)
    assert rows(store) == [("a/1 1", "leased"), ("a/1 2", "waiting")]
    other.finish(again)
    assert names(other) == ["a/1 2"]


def test_a_heartbeat_keeps_a_lease(store: Store, other: Inbox) -> None:
    short = Inbox(store, "host/1", lease=1.0)
    short.insert([entry("a/1", 1)])
    lease = claim(short)
    for _ in range(4):
        threading.Event().wait(0.4)
        short.renew([lease])
        assert other.claim("main") is None
    short.finish(lease)
    assert rows(store) == [("a/1 1", "done")]


def test_a_heartbeat_does_not_take_a_lost_lease_back(store: Store, other: Inbox) -> None:
    short = Inbox(store, "host/1", lease=0.1)
    short.insert([entry("a/1", 1)])
    late = claim(short)
    again = other.wait("main", 30)
    short.renew([late])
    assert again is not None
    other.finish(again)
    assert rows(store) == [("a/1 1", "done")]


def test_released_leases_come_again_at_once(inbox: Inbox, other: Inbox) -> None:
    inbox.insert([entry("a/1", 1)])
    claim(inbox)
    other.release()
    lease = claim(other)
    assert (lease.attempts, lease.crashes) == (2, 1)


def test_a_clock_that_was_set_back_holds_up_nothing(store: Store, inbox: Inbox) -> None:
    inbox.insert([entry("a/1", 1), entry("a/2", 1)])
    claim(inbox)
    far = update(table).values(ready_at=datetime.now(UTC) + timedelta(days=9))
    with store.write() as session:
        session.execute(across_tenants(far, "a test"))
    quick = Inbox(store, "host/2", lease=0.1, longest=0.1)
    quick.mend_times()
    assert {
        lease.event_id for lease in (quick.wait("main", 30), quick.wait("main", 30)) if lease
    } == {"a/1 1", "a/2 1"}


def test_a_dead_letter_says_what_happened(inbox: Inbox) -> None:
    inbox.insert([entry("a/1", 1), entry("a/1", 2)])
    retry(inbox, claim(inbox))
    before = datetime.now(UTC)
    assert give_up(inbox, claim(inbox), "Schlüssel fehlt\n\nfile.py:1")
    (letter,) = inbox.dead_letters()
    assert (letter.service, letter.event, letter.key) == ("extraction", "a/1 1", "a/1")
    assert (letter.type, letter.value, letter.attempts) == ("t.v1", b"1", 2)
    assert letter.error == "Schlüssel fehlt\n\nfile.py:1"
    assert before <= letter.time <= datetime.now(UTC)
    assert len(letter.id) == 32
    assert names(inbox) == ["a/1 2"]
    assert inbox.unfinished() == 0


def test_what_is_no_event_is_a_dead_letter_at_once(inbox: Inbox) -> None:
    inbox.insert([entry("a/1", "x", error="not an event"), entry("a/1", 2)])
    assert [letter.error for letter in inbox.dead_letters()] == ["not an event"]
    assert names(inbox) == ["a/1 2"]


def test_a_replayed_letter_has_all_its_attempts(inbox: Inbox) -> None:
    inbox.insert([entry("a/1", 1)])
    retry(inbox, claim(inbox))
    give_up(inbox, claim(inbox))
    (letter,) = inbox.dead_letters()
    inbox.replay(letter)
    assert inbox.dead_letters() == []
    lease = claim(inbox)
    assert (lease.value, lease.attempts, lease.failures, lease.crashes) == (b"1", 1, 0, 0)
    with pytest.raises(NotFound, match=letter.id):
        inbox.replay(letter)
    give_up(inbox, lease, "again")
    (second,) = inbox.dead_letters()
    assert (second.error, second.id != letter.id) == ("again", True)
    with pytest.raises(NotFound):
        inbox.drop(letter)


def test_a_replayed_letter_waits_for_its_key(inbox: Inbox) -> None:
    inbox.insert([entry("a/1", n) for n in (1, 2, 3)])
    give_up(inbox, claim(inbox))
    held = claim(inbox)
    inbox.replay(inbox.dead_letters()[0])
    assert inbox.claim("main") is None
    inbox.finish(held)
    assert names(inbox) == ["a/1 1", "a/1 3"]


def test_a_dropped_letter_is_never_handled(inbox: Inbox) -> None:
    inbox.insert([entry("a/1", 1)])
    give_up(inbox, claim(inbox))
    inbox.drop(inbox.dead_letters()[0])
    inbox.insert([entry("a/1", 1)])
    assert (inbox.dead_letters(), names(inbox)) == ([], [])
    assert rows(inbox.store) == [("a/1 1", "dropped")]


def test_waiting_entries_are_counted_with_their_keys(inbox: Inbox) -> None:
    inbox.insert([entry("a/1", 1), entry("a/1", 2, "large"), entry("b/1", 1, "decisions")])
    held = claim(inbox)
    assert (inbox.unfinished(), inbox.unfinished(QUEUES)) == (2, 3)
    assert inbox.unfinished_keys() == {"a/1", "b/1"}
    inbox.finish(held)
    assert inbox.unfinished() == 1


def test_an_idle_worker_is_woken_by_an_entry(inbox: Inbox) -> None:
    inbox.poll = 60.0
    found: list[Lease | None] = []
    thread = threading.Thread(target=lambda: found.append(inbox.wait("main", 60)))
    thread.start()
    threading.Event().wait(0.3)
    inbox.insert([entry("a/1", 1)])
    thread.join(30)
    assert [lease and lease.event_id for lease in found] == ["a/1 1"]


def test_workers_never_share_an_entry_or_a_key(store: Store) -> None:
    """Three processes on twelve keys, with retries and replays at random; all end, in order."""
    first = Inbox(store, "host/0")
    first.insert([entry(f"t{n % 3}/{n % 12}", n) for n in range(120)])
    guard, busy, overlaps = threading.Lock(), set[str](), list[str]()
    done: dict[str, list[int]] = defaultdict(list)
    failed: list[BaseException] = []

    def work(number: int) -> None:
        mine, chance = Inbox(store, f"host/{number}"), random.Random(number)
        try:
            while sum(map(len, done.values())) < 120:
                lease = mine.wait("main", 0.05)
                if lease is None:
                    continue
                with guard:
                    if lease.key in busy:
                        overlaps.append(lease.key)
                    busy.add(lease.key)
                threading.Event().wait(0.002)
                outcome = chance.random()
                with guard:
                    busy.discard(lease.key)
                    if outcome >= 0.2:
                        done[lease.key].append(int(lease.value))
                if outcome < 0.15:
                    retry(mine, lease, 0.01)
                elif outcome < 0.2:
                    give_up(mine, lease)
                    for letter in mine.dead_letters():
                        if letter.event == lease.event_id:
                            mine.replay(letter)
                else:
                    mine.finish(lease)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert (failed, overlaps) == ([], [])
    assert sorted(number for numbers in done.values() for number in numbers) == list(range(120))
    assert first.unfinished() == 0
