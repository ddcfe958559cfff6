"""Publishing, reading, positions and groups, on each bus."""

from __future__ import annotations

import pytest

from shared.bus import Bus, Message
from shared.errors import Unavailable
from tests.contract.bus.worlds import World, behind, message, outliving, read, texts


def test_a_message_arrives_as_it_was_published(bus: Bus) -> None:
    sent = Message("acme/dokument-ä", b'{"n": 1}\x00\xff', {"traceparent": "00-ab", "x": "ü"})
    bus.publish(sent)
    assert [record.message for record in read(bus.reader("g"), 1)] == [sent]


def test_nothing_published_is_nothing_read(bus: Bus) -> None:
    bus.publish()
    assert bus.reader("g").read(0.2) == []
    assert (bus.lag({}), bus.keys({})) == (0, frozenset())


def test_messages_of_one_key_keep_their_order(bus: Bus) -> None:
    bus.publish(message("a", 0))
    bus.publish(*[message("a", n) for n in range(1, 250)])
    bus.publish(message("a", 250))
    records = read(bus.reader("g"), 251)
    assert [record.message.value.decode() for record in records] == [str(n) for n in range(251)]
    assert len({record.log for record in records}) == 1


def test_what_is_published_later_comes_too(bus: Bus) -> None:
    reader = bus.reader("g")
    for number in range(3):
        bus.publish(message("a", number))
        assert texts(reader, 1) == [str(number)]


def test_every_group_reads_everything(bus: Bus) -> None:
    bus.publish(*[message("a", n) for n in range(5)])
    for group in ("first", "second"):
        assert texts(bus.reader(group), 5) == ["0", "1", "2", "3", "4"]


def test_a_reader_goes_on_at_its_positions(world: World) -> None:
    bus = world.open()
    bus.publish(*[message("a", n) for n in range(5)])
    first = bus.reader("g")
    records = read(first, 5)
    first.commit(behind(records))
    first.close()
    positions = behind(records[:3])
    assert texts(world.open().reader("g", lambda: positions), 2) == ["3", "4"]


def test_the_lag_is_what_lies_behind_the_positions(world: World, bus: Bus) -> None:
    bus.publish(*[message("a", n) for n in range(3)])
    positions = behind(read(bus.reader("g"), 3))
    bus.publish(message("b", 3), message("c", 4))
    assert (bus.lag({}), bus.lag(positions)) == (5, 2)
    assert bus.keys(positions) == (None if world.name == "kafka" else {"tenant/b", "tenant/c"})


def test_positions_of_another_log_mean_nothing(world: World, bus: Bus) -> None:
    bus.publish(message("a", 1))
    assert bus.lag({"another": 7}) == 1
    assert texts(bus.reader("g", lambda: {"another": 7}), 1) == ["1"]


@outliving
def test_what_was_published_outlives_the_bus(world: World) -> None:
    bus = world.open()
    bus.publish(message("a", 1))
    bus.close()
    assert texts(world.open().reader("g"), 1) == ["1"]


def test_a_closed_bus_says_so(world: World) -> None:
    bus = world.open()
    reader = bus.reader("g")
    reader.close()
    with pytest.raises(Unavailable):
        reader.read(0.1)
    reader.close()
    bus.close()
    bus.close()
    with pytest.raises(Unavailable):
        bus.publish(message("a", 1))
    with pytest.raises(Unavailable):
        bus.reader("g")
