"""Behaviour that only the bus on Kafka has, on a real broker."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from infra.servers.kafka import Broker
from infra.servers.ports import free_port
from shared.bus import MAX_BYTES, Message, MessageTooLarge, Reader, open_bus
from shared.bus.kafka import KafkaBus, KafkaReader
from shared.errors import Unavailable
from tests.chaos.proxy import Proxy
from tests.contract.bus.worlds import PATIENCE, behind, eventually, message, read, texts

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).resolve().parents[3]


def name() -> str:
    """A new name of a topic or group, since static members stay in a group after their test."""
    return f"t{uuid.uuid4().hex[:8]}"


def url(broker: Broker, **options: object) -> str:
    settings = {"topic": name(), "partitions": 4, "timeout": 60, **options}
    query = "&".join(f"{option}={value}" for option, value in settings.items())
    return f"kafka://{broker.address}?{query}"


@contextmanager
def bus_on(broker: Broker, lease: float = 6.0, **options: object) -> Iterator[KafkaBus]:
    bus = open_bus(url(broker, **options), lease=lease)
    assert isinstance(bus, KafkaBus)
    try:
        yield bus
    finally:
        bus.close()


def share(*readers: Reader, counts: tuple[int, ...]) -> None:

    def shared() -> bool:
        for reader in readers:
            reader.read(0.2)
        return tuple(len(one._taken) for one in readers if isinstance(one, KafkaReader)) == counts

    eventually(shared, f"the partitions are shared {counts}")


def test_readers_of_a_group_share_the_partitions(broker: Broker) -> None:
    group = name()
    positions: dict[str, int] = {}
    with bus_on(broker) as bus:
        first, second = bus.reader(group, lambda: positions), bus.reader(group, lambda: positions)
        share(first, second, counts=(2, 2))
        bus.publish(*[message(f"k{n % 9}", n) for n in range(90)])
        seen: list[tuple[str, int]] = []
        while len(seen) < 90:
            for reader in (first, second):
                records = reader.read(0.2)
                positions |= behind(records)
                seen += [(one.message.key, int(one.message.value)) for one in records]
        assert sorted(number for _, number in seen) == list(range(90))
        for key in {key for key, _ in seen}:
            numbers = [number for of, number in seen if of == key]
            assert numbers == sorted(numbers)
        second.close()
        share(first, counts=(4,))
        bus.publish(*[message(f"k{n}", n) for n in range(9)])
        assert sorted(texts(first, 9)) == [str(n) for n in range(9)]


READ_AND_HANG = """
import sys, time
from shared.bus import open_bus
reader = open_bus(sys.argv[1], lease=6.0).reader(sys.argv[2])
while not (records := reader.read(0.5)):
    pass
print(records[0].message.value.decode(), flush=True)
time.sleep(3600)
"""


def test_partitions_of_a_killed_process_go_to_others(broker: Broker) -> None:
    where, group = url(broker, partitions=1), name()
    bus = open_bus(where, lease=6.0)
    bus.publish(message("a", 1))
    command = [sys.executable, "-c", READ_AND_HANG, where, group]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        process.kill()
    assert texts(bus.reader(group), 1) == ["1"]
    bus.close()


def test_a_record_that_no_bus_wrote_stops_nobody(broker: Broker) -> None:
    with bus_on(broker, partitions=1) as bus:
        producer = KafkaProducer(bootstrap_servers=broker.address)
        producer.send(bus.options.topic, None, key=b"a").get(PATIENCE)
        producer.send(bus.options.topic, b"?", headers=[("h", b"\xff")]).get(PATIENCE)
        producer.close()
        bus.publish(message("a", 2))
        records = read(bus.reader("g"), 3)
        assert [(one.message.key, one.message.value) for one in records] == [
            ("a", b""),
            ("", b"?"),
            ("tenant/a", b"2"),
        ]
        assert bus.lag(behind(records)) == 0


def test_what_is_too_large_is_refused_before_the_broker_is_asked(broker: Broker) -> None:
    with bus_on(broker) as bus:
        with pytest.raises(MessageTooLarge):
            bus.publish(message("a", 1), Message("big", b"x" * (MAX_BYTES + 1)))
        bus.publish(Message("largest", b"x" * MAX_BYTES))
        assert [one.message.key for one in read(bus.reader("g"), 1)] == ["largest"]


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(broker: Broker) -> None:
    topic = name()
    with bus_on(broker, topic=topic, partitions=1) as bus:
        bus.publish(*[message("a", n) for n in range(3)])
        positions = behind(read(bus.reader("g"), 3))
    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    admin.delete_topics([topic])
    eventually(lambda: topic not in admin.list_topics(), "the topic is gone")
    admin.close()
    with bus_on(broker, topic=topic, partitions=1) as bus:
        bus.publish(*[message("a", n) for n in range(5)])
        assert bus.lag(positions) == 5
        assert texts(bus.reader("g", lambda: positions), 5) == ["0", "1", "2", "3", "4"]


def test_the_topic_is_made_with_what_is_written_down(broker: Broker) -> None:
    with bus_on(broker, partitions=3) as bus:
        topic = bus.options.topic
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        (configs,) = admin.describe_configs([resource]).values()
        admin.close()
        assert bus.partitions == 3
    assert {key: one["value"] for key, one in configs[topic].items()} == {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "retention.bytes": "-1",
    }


def test_a_static_member_that_restarts_disturbs_nobody(broker: Broker) -> None:
    topic = group = name()
    with (
        bus_on(broker, lease=60, topic=topic, instance="one") as one,
        bus_on(broker, lease=60, topic=topic, instance="two") as two,
    ):
        stays, restarted = one.reader(group), two.reader(group)
        share(stays, restarted, counts=(2, 2))
        own, others = set(stays._taken), set(restarted._taken)
        lost: list[object] = []
        stays.lose = lost.extend  # type: ignore[method-assign, assignment]
        two.close()
        with bus_on(broker, lease=60, topic=topic, instance="two") as again:
            back = again.reader(group)
            share(stays, back, counts=(2, 2))
            assert (stays._taken, back._taken, lost) == (own, others, [])


def test_a_static_member_that_ends_properly_leaves_at_once_if_asked_to(broker: Broker) -> None:
    topic = group = name()
    with (
        bus_on(broker, lease=120, topic=topic, instance="one", leave=1) as one,
        bus_on(broker, lease=120, topic=topic, instance="two", leave=1) as two,
    ):
        first, second = one.reader(group), two.reader(group)
        share(first, second, counts=(2, 2))
        started = time.monotonic()
        one.close()
        share(second, counts=(4,))
        assert time.monotonic() - started < 60


def test_two_processes_of_one_name_are_an_error(broker: Broker) -> None:
    topic = group = name()
    with (
        bus_on(broker, topic=topic, instance="one") as one,
        bus_on(broker, topic=topic, instance="one") as two,
    ):
        first = one.reader(group)
        share(first, counts=(4,))
        second = two.reader(group)
        share(second, counts=(4,))
        with pytest.raises(Unavailable, match="Set a different SMALLPRINT_BUS_INSTANCE"):
            first.commit({one.log_of(part): 0 for part in first._taken})


def test_a_producer_that_is_given_up_sends_nothing_more(
    tmp_path_factory: pytest.TempPathFactory, broker: Broker
) -> None:
    mortal = Broker(tmp_path_factory.mktemp("gone"), free_port())
    mortal.start()
    before = set(threading.enumerate())
    try:
        with bus_on(mortal, timeout=20) as bus:
            bus.publish(message("a", 1))
            started = set(threading.enumerate()) - before
            senders = [one for one in started if type(one).__name__ == "Sender"]
            assert len(senders) == 1
            mortal.kill()
            bus.start_sending(Message("a", b"unsent"))
            bus._discard_producer(timeout=0)
            eventually(lambda: not senders[0].is_alive(), "the producer's thread has ended")
        eventually(lambda: set(threading.enumerate()) <= before, "no thread of the bus is left")
    finally:
        mortal.kill()


def test_what_is_sent_again_over_a_broken_network_is_written_once(
    tmp_path_factory: pytest.TempPathFactory, broker: Broker
) -> None:
    """The producer numbers what it sends: a try whose answer was lost is not another message."""
    port = free_port()
    real = Broker(tmp_path_factory.mktemp("proxied"), free_port(), advertised=port)
    proxy = Proxy(port, real.port)
    real.start()
    try:
        bus = open_bus(f"kafka://127.0.0.1:{port}?partitions=1&timeout=60", lease=6)
        assert isinstance(bus, KafkaBus)
        stop, dropped = threading.Event(), []

        def drop() -> None:
            proxy.delay = 0.002
            while not stop.wait(0.15):
                dropped.append(proxy.drop())

        thread = threading.Thread(target=drop)
        thread.start()
        sent: list[int] = []
        for number in range(150):
            try:
                bus.publish(message("a", number))
                sent.append(number)
            except Unavailable:
                continue  # it may be there or not, but not twice
        stop.set()
        thread.join()
        proxy.delay = 0.0
        assert len(sent) > 100
        assert sum(dropped) >= 5
        (end,) = bus._admin.list_partition_offsets({TopicPartition("documents", 0): -1}).values()
        seen = [int(text) for text in texts(bus.reader("g"), end.offset)]
        assert seen == sorted(set(seen)), "each once, and in order"
        assert set(sent) <= set(seen)
        bus.close()
    finally:
        proxy.close()
        real.kill()
