"""Publishing, receiving, acknowledging, order and groups, on each bus."""

from __future__ import annotations

import pytest

from shared.bus import Bus, Message
from shared.errors import Unavailable
from tests.contract.bus.worlds import (
    World,
    deliveries,
    eventually,
    message,
    outliving,
    receive,
    text,
    texts,
)


def test_a_message_arrives_as_it_was_published(bus: Bus) -> None:
    """Key, bytes and headers come through unchanged, and it is the first attempt."""
    sent = Message("acme/dokument-ä", b'{"n": 1}\x00\xff', {"traceparent": "00-ab", "x": "ü"})
    bus.publish(sent)

    delivery = receive(bus.consumer("g"))

    assert delivery.message == sent
    assert delivery.attempt == 1


def test_nothing_published_is_nothing_received(bus: Bus) -> None:
    """Receiving gives up after its timeout."""
    assert bus.consumer("g").receive(0.2) is None


def test_publishing_nothing_is_allowed(bus: Bus) -> None:
    """No messages are published without complaint."""
    bus.publish()

    assert bus.lag("g") == 0


def test_messages_of_one_key_keep_their_order(bus: Bus) -> None:
    """What is published one by one or together comes in that order."""
    bus.publish(message("a", 0))
    bus.publish(*[message("a", n) for n in range(1, 20)])
    bus.publish(message("a", 20))

    assert texts(bus.consumer("g"), 21) == [str(n) for n in range(21)]


def test_every_group_receives_everything(bus: Bus) -> None:
    """Two groups do not take each other's messages."""
    first, second = bus.consumer("first"), bus.consumer("second")
    bus.publish(*[message("a", n) for n in range(5)])

    assert texts(first, 5) == texts(second, 5) == ["0", "1", "2", "3", "4"]


def test_a_new_group_starts_at_the_beginning(bus: Bus) -> None:
    """A group that appears later receives what was published before, whoever has finished it."""
    bus.publish(*[message("a", n) for n in range(3)])
    texts(bus.consumer("early"), 3)

    assert texts(bus.consumer("late"), 3) == ["0", "1", "2"]


def test_what_is_acknowledged_is_not_delivered_again(world: World) -> None:
    """After a restart of the group only the rest comes."""
    bus = world.open()
    bus.publish(*[message("a", n) for n in range(4)])
    consumer = bus.consumer("g")
    texts(consumer, 2)
    consumer.close()

    assert texts(world.open().consumer("g"), 2) == ["2", "3"]


def test_acknowledging_out_of_order_forgets_nothing(world: World) -> None:
    """Of three deliveries the last is acknowledged; after a restart the first two come again."""
    bus = world.open()
    bus.publish(*[message(key, key) for key in "abc"])
    consumer = bus.consumer("g")
    held = {text(delivery): delivery for delivery in [receive(consumer) for _ in range(3)]}
    consumer.ack(held["c"])
    consumer.close()

    again = world.open().consumer("g")
    assert sorted(texts(again, 2)) == ["a", "b"]
    assert again.receive(0.5) is None


def test_one_consumer_may_hold_several_messages_of_different_keys(bus: Bus) -> None:
    """The second message of a key comes only after the first is acknowledged."""
    bus.publish(message("a", "a1"), message("a", "a2"), message("b", "b1"))
    consumer = bus.consumer("g")

    held = [receive(consumer), receive(consumer)]
    assert sorted(text(delivery) for delivery in held) == ["a1", "b1"]
    assert consumer.receive(0.5) is None

    for delivery in held:
        consumer.ack(delivery)
    assert texts(consumer, 1) == ["a2"]


def test_closing_returns_what_is_held(world: World) -> None:
    """Another member gets it promptly, as the second attempt."""
    bus = world.open()
    bus.publish(message("a", 1))
    consumer = bus.consumer("g")
    assert receive(consumer).attempt == 1
    consumer.close()

    assert receive(bus.consumer("g")).attempt == 2


def test_a_lost_delivery_can_not_be_acknowledged(bus: Bus) -> None:
    """An answer that comes after closing changes nothing for who has the message now."""
    bus.publish(message("a", 1))
    first = bus.consumer("g")
    late = receive(first)
    first.close()
    second = bus.consumer("g")
    held = receive(second)

    first.ack(late)
    first.dead(late, "too late")
    first.retry(late, 0, "too late")

    assert bus.dead_letters() == []
    second.retry(held, 0, "again")
    assert receive(second).attempt == 3


def test_lag_counts_what_is_not_acknowledged(bus: Bus) -> None:
    """For a group yet unknown that is everything."""
    bus.publish(*[message(key, n) for n, key in enumerate("aabbb")])
    assert bus.lag("g") == 5

    consumer = bus.consumer("g")
    held = receive(consumer)
    eventually(lambda: bus.lag("g") == 5, "a message in hand counts")
    consumer.ack(held)
    eventually(lambda: bus.lag("g") == 4, "an acknowledged message does not")
    list(deliveries(consumer, 4))
    eventually(lambda: bus.lag("g") == 0, "nothing is left")
    assert bus.lag("another") == 5


def test_what_groups_have_yet_to_acknowledge_is_told_with_its_keys(world: World, bus: Bus) -> None:
    """By group, for one yet unknown too; on Kafka not the keys, but whether there are any."""
    bus.publish(*[message(key, n) for n, key in enumerate("aab")])
    consumer = bus.consumer("g")
    list(deliveries(consumer, 1))
    eventually(lambda: bus.pending(["g"]).messages == {"g": 2}, "one is acknowledged")
    told = bus.pending(["g", "another"])
    assert told.messages == {"g": 2, "another": 3}
    assert told.keys == (None if world.name == "kafka" else {"tenant/a", "tenant/b"})
    list(deliveries(consumer, 2))
    eventually(lambda: bus.pending(["g"]).keys == frozenset(), "nothing is left")
    assert bus.pending(["g"]).messages == {"g": 0}


def test_keeping_a_delivery_is_always_allowed(bus: Bus) -> None:
    """Saying that the work goes on disturbs nothing."""
    bus.publish(message("a", 1))
    consumer = bus.consumer("g")
    delivery = receive(consumer)
    consumer.keep(delivery)
    consumer.ack(delivery)
    eventually(lambda: bus.lag("g") == 0, "it is acknowledged")


@outliving
def test_what_was_published_outlives_the_bus(world: World) -> None:
    """A message published before the bus was closed is there when it is opened again."""
    bus = world.open()
    bus.publish(message("a", 1))
    bus.close()

    assert texts(world.open().consumer("g"), 1) == ["1"]


def test_a_closed_bus_says_so(world: World) -> None:
    """After closing, publishing and receiving are errors, and closing again is not."""
    bus = world.open()
    consumer = bus.consumer("g")
    consumer.close()
    with pytest.raises(Unavailable):
        consumer.receive(0.1)
    consumer.close()
    bus.close()
    bus.close()
    with pytest.raises(Unavailable):
        bus.publish(message("a", 1))
    with pytest.raises(Unavailable):
        bus.consumer("g")
