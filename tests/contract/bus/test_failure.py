"""Retrying, giving up and replaying, on each bus."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from shared.bus import Bus, Message
from shared.errors import NotFound
from tests.contract.bus.worlds import World, eventually, message, receive, text, texts


def test_a_retried_message_comes_again_after_its_delay(bus: Bus) -> None:
    """It is the same message with the next attempt, and not early."""
    sent = Message("tenant/a", b"1", {"traceparent": "00-ab"})
    bus.publish(sent)
    consumer = bus.consumer("g")
    start = time.monotonic()
    consumer.retry(receive(consumer), 0.7, "not yet")

    again = receive(consumer)

    assert time.monotonic() - start >= 0.7
    assert (again.message, again.attempt) == (sent, 2)
    consumer.retry(again, 0, "not yet")
    assert receive(consumer).attempt == 3


def test_what_is_put_off_comes_later_as_if_it_had_not_been_delivered(world: World) -> None:
    """After its delay, in the order of its key, with the attempt that it had; also by others."""
    bus = world.open()
    bus.publish(*[message("a", f"a{n}") for n in range(3)], message("b", "b0"))
    consumer = bus.consumer("g")
    first = {text(delivery): delivery for delivery in [receive(consumer), receive(consumer)]}
    start = time.monotonic()
    consumer.later(first["a0"], 0.7)
    consumer.ack(first["b0"])
    bus.publish(message("b", "b1"))
    assert texts(consumer, 1) == ["b1"]

    again = receive(consumer)
    assert time.monotonic() - start >= 0.7
    assert (text(again), again.attempt) == ("a0", 1)
    consumer.retry(again, 0, "a failure counts")
    failed = receive(consumer)
    assert (text(failed), failed.attempt) == ("a0", 2)
    consumer.later(failed, 1.5)
    consumer.later(failed, 600)  # it is ours no more
    if world.name == "memory":
        successor = consumer
    else:
        consumer.close()
        successor = world.open().consumer("g")
    last = receive(successor)
    assert (text(last), last.attempt) == ("a0", 2)
    successor.ack(last)
    assert texts(successor, 2) == ["a1", "a2"]
    eventually(lambda: bus.lag("g") == 0, "nothing is left")


def test_the_same_key_waits_behind_a_retry_and_others_go_on(bus: Bus) -> None:
    """Order is kept over the detour; another key does not feel it."""
    bus.publish(*[message("a", f"a{n}") for n in range(3)], message("b", "b0"))
    consumer = bus.consumer("g")
    first = {text(delivery): delivery for delivery in [receive(consumer), receive(consumer)]}
    consumer.retry(first["a0"], 2.0, "not yet")
    consumer.ack(first["b0"])
    bus.publish(message("a", "a3"), message("b", "b1"))

    assert texts(consumer, 5) == ["b1", "a0", "a1", "a2", "a3"]


def test_order_survives_a_restart_during_a_retry(world: World) -> None:
    """Who takes over keeps the later messages of a key behind the one that waits."""
    bus = world.open()
    bus.publish(*[message("a", f"a{n}") for n in range(3)])
    consumer = bus.consumer("g")
    consumer.retry(receive(consumer), 4.0, "not yet")
    assert consumer.receive(0.3) is None
    consumer.close()
    bus.publish(message("a", "a3"))

    assert texts(world.open().consumer("g"), 4) == ["a0", "a1", "a2", "a3"]


def test_a_long_delay_holds_up_no_short_one(bus: Bus) -> None:
    """Of many messages that wait, each comes in its own time."""
    keys = [f"k{n}" for n in range(12)]
    bus.publish(*[message(key, key) for key in keys])
    consumer = bus.consumer("g")
    for _ in keys:
        delivery = receive(consumer)
        consumer.retry(delivery, 0.2 if text(delivery) == "k5" else 600, "not yet")

    start = time.monotonic()
    assert texts(consumer, 1) == ["k5"]
    assert time.monotonic() - start < 60
    assert consumer.receive(0.3) is None


def test_a_poisoned_message_holds_up_nobody(bus: Bus) -> None:
    """While one message fails again and again, all other keys are finished."""
    bus.publish(message("poisoned", "poison"))
    bus.publish(*[message(f"k{n % 20}", n) for n in range(200)])
    consumer = bus.consumer("g")
    finished: list[int] = []
    failures = 0
    while len(finished) < 200:
        delivery = receive(consumer)
        if text(delivery) == "poison":
            failures += 1
            consumer.retry(delivery, 0.01, "it always fails")
        else:
            finished.append(int(text(delivery)))
            consumer.ack(delivery)

    assert failures >= 1
    assert sorted(finished) == list(range(200))
    eventually(lambda: bus.lag("g") == 1, "only the poisoned one is left")


def test_a_dead_letter_says_what_happened(bus: Bus) -> None:
    """It keeps message, group, error, attempts and time, and its key goes on."""
    sent = Message("tenant/a", b"bad", {"traceparent": "00-ab"})
    bus.publish(sent, message("a", "next"))
    consumer = bus.consumer("g")
    consumer.retry(receive(consumer), 0, "first error")
    before = datetime.now(UTC)
    given_up = receive(consumer)
    assert consumer.dead(given_up, "EncryptedDocument: Schlüssel fehlt")
    assert not consumer.dead(given_up, "it is ours no more")

    assert texts(consumer, 1) == ["next"]
    (letter,) = bus.dead_letters()
    assert (letter.group, letter.message, letter.attempts) == ("g", sent, 2)
    assert letter.error == "EncryptedDocument: Schlüssel fehlt"
    assert before - timedelta(seconds=1) < letter.time < datetime.now(UTC) + timedelta(seconds=1)
    eventually(lambda: bus.lag("g") == 0, "a dead letter does not count as waiting")


def test_dead_letters_are_listed_by_group_and_age(bus: Bus) -> None:
    """Each group has its own, oldest first."""
    bus.publish(message("a", 1), message("a", 2))
    for group in ("first", "second"):
        consumer = bus.consumer(group)
        for error in ("one", "two"):
            consumer.dead(receive(consumer), f"{group} {error}")

    assert [letter.error for letter in bus.dead_letters("second")] == ["second one", "second two"]
    assert [letter.group for letter in bus.dead_letters()] == ["first"] * 2 + ["second"] * 2
    assert bus.dead_letters("unknown") == []


def test_dead_letters_survive_a_restart(world: World) -> None:
    """They are listed by whoever opens the bus."""
    bus = world.open()
    bus.publish(message("a", 1))
    consumer = bus.consumer("g")
    consumer.dead(receive(consumer), "boom")
    consumer.close()

    assert [letter.error for letter in world.open().dead_letters()] == ["boom"]


def test_a_replayed_letter_goes_to_its_group_alone(bus: Bus) -> None:
    """It begins at attempt 1 again, and is listed no more."""
    bus.publish(message("a", 1))
    failing, other = bus.consumer("failing"), bus.consumer("other")
    failing.dead(receive(failing), "boom")
    assert texts(other, 1) == ["1"]
    (letter,) = bus.dead_letters()

    bus.replay(letter.id)

    assert bus.dead_letters() == []
    again = receive(failing)
    assert (text(again), again.attempt) == ("1", 1)
    failing.ack(again)
    assert other.receive(0.5) is None
    with pytest.raises(NotFound):
        bus.replay(letter.id)


def test_a_replayed_letter_may_die_again(bus: Bus) -> None:
    """It is then a new letter with its new error."""
    bus.publish(message("a", 1))
    consumer = bus.consumer("g")
    consumer.dead(receive(consumer), "first")
    (first,) = bus.dead_letters()
    bus.replay(first.id)
    consumer.dead(receive(consumer), "second")

    (second,) = bus.dead_letters()
    assert (second.error, second.attempts) == ("second", 1)
    assert second.id != first.id


def test_a_replayed_letter_waits_for_its_key(bus: Bus) -> None:
    """While a later message of the key is worked on, the replayed one is not."""
    bus.publish(message("a", 1), message("a", 2), message("a", 3))
    consumer = bus.consumer("g")
    consumer.dead(receive(consumer), "boom")
    held = receive(consumer)
    bus.replay(bus.dead_letters()[0].id)
    assert consumer.receive(1.5) is None
    consumer.ack(held)

    assert texts(consumer, 2) == ["1", "3"]


def test_a_dropped_letter_is_gone(bus: Bus) -> None:
    """It is neither listed nor delivered any more."""
    bus.publish(message("a", 1))
    consumer = bus.consumer("g")
    consumer.dead(receive(consumer), "boom")
    (letter,) = bus.dead_letters()

    bus.drop(letter.id)

    assert bus.dead_letters() == []
    assert consumer.receive(0.3) is None
    with pytest.raises(NotFound):
        bus.drop(letter.id)


def test_an_unknown_letter_is_not_found(bus: Bus) -> None:
    """Replaying or dropping what was never there is an error that names it."""
    for action in (bus.replay, bus.drop):
        with pytest.raises(NotFound, match="no-such-letter"):
            action("no-such-letter")


@pytest.mark.slow
def test_a_thousand_messages_with_random_failures(bus: Bus) -> None:
    """Each is finished or dead, none is lost, and the messages of a key finish in order."""
    chance = random.Random(7)
    bus.publish(*[message(f"k{n % 50}", n) for n in range(1000)])
    consumer = bus.consumer("g")
    finished: dict[str, list[int]] = defaultdict(list)
    dead: set[int] = set()
    while sum(map(len, finished.values())) < 1000:
        delivery = receive(consumer)
        number = int(text(delivery))
        outcome = chance.random()
        if outcome < 0.15:
            consumer.retry(delivery, chance.choice([0, 0.05, 0.3, 1.5]), "by chance")
            continue
        if outcome < 0.17:
            consumer.dead(delivery, "by chance")
            dead.add(number)
        else:
            consumer.ack(delivery)
        finished[delivery.message.key].append(number)

    assert len(finished) == 50
    for key, numbers in finished.items():
        assert numbers == sorted(set(numbers)), key
    assert {int(letter.message.value) for letter in bus.dead_letters()} == dead
    assert consumer.receive(0.5) is None
    eventually(lambda: bus.lag("g") == 0, "nothing is left")
