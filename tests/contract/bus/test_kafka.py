"""What is particular to the bus on Kafka, on a real broker."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaConnectionError

from infra.kafka.broker import Broker
from infra.ports import free_port
from shared.bus import MAX_BYTES, Bus, Message, MessageTooLarge, open_bus
from shared.bus.kafka import KafkaBus, _Keeper
from shared.bus.records import Record, dead_topic, retry_topic
from shared.errors import SettingsError, Unavailable
from tests.contract.bus.worlds import eventually, message, receive, text, texts

pytestmark = pytest.mark.kafka


@contextmanager
def bus_on(broker: Broker, lease: float = 6.0, **options: object) -> Iterator[Bus]:
    """A bus with topics of its own; a delivery is certainly ours for two thirds of the lease."""
    settings = {"topic": f"t{uuid.uuid4().hex[:8]}", "partitions": 4, "timeout": 60, **options}
    query = "&".join(f"{name}={value}" for name, value in settings.items())
    bus = open_bus(f"kafka://{broker.address}?{query}", lease=lease)
    try:
        yield bus
    finally:
        bus.close()


def test_in_one_partition_nobody_waits_for_a_stranger(broker: Broker) -> None:
    """All keys share one partition: a long delay and what is behind it stop none of the others."""
    with bus_on(broker, partitions=1) as bus:
        consumer = bus.consumer("g")
        bus.publish(*[message("stuck", n) for n in range(700)])
        consumer.retry(receive(consumer), 3600, "not yet")
        bus.publish(*[message(f"k{n % 9}", n) for n in range(900)])

        assert sorted(int(value) for value in texts(consumer, 900)) == list(range(900))
        eventually(lambda: bus.lag("g") == 700, "only the stuck key is left")


def test_a_record_that_is_not_ours_stops_nobody(broker: Broker) -> None:
    """Tombstones and records without our headers are passed over in all three topics."""
    with bus_on(broker, partitions=1) as bus:
        assert isinstance(bus, KafkaBus)
        topic = bus.options.topic
        bus.publish(message("a", 1))
        for place in (topic, retry_topic(topic), dead_topic(topic)):
            bus.send([Record(place, "foreign", b"?")])
        bus.send([Record(topic, "foreign", None)])
        bus.publish(message("a", 2))
        consumer = bus.consumer("g")
        assert sorted(texts(consumer, 3)) == ["1", "2", "?"]
        assert bus.dead_letters() == []
        eventually(lambda: bus.lag("g") == 0, "all of it is done with")


def test_what_is_too_large_is_refused_before_the_broker_is_asked(broker: Broker) -> None:
    """A lasting error, and nothing of the batch is published."""
    with bus_on(broker) as bus:
        with pytest.raises(MessageTooLarge):
            bus.publish(message("a", 1), Message("big", b"x" * (MAX_BYTES + 1)))
        bus.publish(Message("largest", b"x" * MAX_BYTES))
        assert receive(bus.consumer("g")).message.key == "largest"


def test_what_moved_behind_a_long_delay_keeps_its_order_over_a_restart(broker: Broker) -> None:
    """A successor finds the waiting messages in `documents.retry`, in order, and none twice."""
    with bus_on(broker, partitions=1) as bus:
        consumer = bus.consumer("g")
        bus.publish(*[message("a", n) for n in range(20)])
        first = receive(consumer)
        consumer.retry(first, 8, "not yet")
        assert consumer.receive(2) is None  # meanwhile the others move
        consumer.close()
        bus.publish(message("a", 20))

        successor = bus.consumer("g")
        assert texts(successor, 21) == [str(n) for n in range(21)]
        assert successor.receive(1) is None


def test_groups_pass_over_each_others_retries(broker: Broker) -> None:
    """`documents.retry` is shared: a group takes only what is its own from it."""
    with bus_on(broker) as bus:
        failing, other = bus.consumer("failing"), bus.consumer("other")
        bus.publish(message("a", 1))
        failing.retry(receive(failing), 0, "not yet")
        assert text(receive(failing)) == "1"
        assert texts(other, 1) == ["1"]
        assert other.receive(1) is None
        eventually(lambda: bus.lag("other") == 0, "it has passed over the other's record")


def test_what_is_put_off_is_not_written(broker: Broker) -> None:
    """`documents.retry` is kept for ever: who only waits for its turn adds nothing to it."""
    with bus_on(broker, partitions=1) as bus:
        assert isinstance(bus, KafkaBus)
        consumer = bus.consumer("g")
        bus.publish(message("a", 1), message("b", 2))
        for _ in range(6):
            consumer.later(receive(consumer), 0.1)
        assert sorted(texts(consumer, 2)) == ["1", "2"]
        part = TopicPartition(retry_topic(bus.options.topic), 0)
        ends = bus._admin.list_partition_offsets({part: -1})
        assert ends[part].offset == 0


def test_topics_must_have_equally_many_partitions(broker: Broker) -> None:
    """What exists counts, not the option; topics that were made uneven by hand are refused."""
    topic = f"t{uuid.uuid4().hex[:8]}"
    with bus_on(broker, topic=topic, partitions=3):
        pass
    with bus_on(broker, topic=topic, partitions=5) as bus:
        bus.publish(message("a", 1))

    _add_partitions(broker, topic, 6)
    before = set(threading.enumerate())
    with pytest.raises(SettingsError, match="6 and 3"), bus_on(broker, topic=topic):
        pass
    assert set(threading.enumerate()) <= before, "the client that asked is closed"


def _add_partitions(broker: Broker, topic: str, count: int) -> None:
    from kafka import KafkaAdminClient  # not at the top: the package is optional

    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    admin.create_partitions({topic: count})
    eventually(
        lambda: len(admin.describe_topics([topic])[0]["partitions"]) == count, "partitions are made"
    )
    admin.close()


def test_a_busy_partition_is_handed_over_only_when_its_work_is_done(broker: Broker) -> None:
    """A newcomer gets idle partitions at once, but the key in hand only after it is released."""
    with bus_on(broker, partitions=2) as bus:
        busy = bus.consumer("g")
        bus.publish(message("a", "a1"), message("a", "a2"))
        held = receive(busy)
        newcomer = bus.consumer("g")
        assert newcomer.receive(10) is None
        busy.ack(held)
        busy.close()

        assert texts(newcomer, 1) == ["a2"]


def test_a_producer_that_is_given_up_sends_nothing_more(
    tmp_path_factory: pytest.TempPathFactory, broker: Broker
) -> None:
    """Its thread ends with it, also while it still has a message for a broker that is gone."""
    mortal = Broker(tmp_path_factory.mktemp("gone"), free_port())
    mortal.start()
    before = set(threading.enumerate())
    try:
        with bus_on(mortal, timeout=20) as bus:
            assert isinstance(bus, KafkaBus)
            bus.publish(message("a", 1))
            started = set(threading.enumerate()) - before
            senders = [one for one in started if type(one).__name__ == "Sender"]
            assert len(senders) == 1
            mortal.kill()
            bus.start_sending(Record(bus.options.topic, "a", b"unsent"))
            bus._discard_producer(timeout=0)
            eventually(lambda: not senders[0].is_alive(), "the producer's thread has ended")
        eventually(lambda: set(threading.enumerate()) <= before, "no thread of the bus is left")
    finally:
        mortal.kill()


def test_a_broker_out_of_reach_ends_no_membership(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused connection between two steps leaves what is in hand ours: it comes only once."""
    refused, commit = threading.Event(), _Keeper._commit

    def refuse_once(keeper: _Keeper, consumer: object) -> None:
        if not refused.is_set():
            refused.set()
            raise KafkaConnectionError("refused")
        commit(keeper, consumer)

    with bus_on(broker) as bus:
        consumer = bus.consumer("g")
        bus.publish(*[message("a", n) for n in range(2)])
        held = receive(consumer)
        monkeypatch.setattr(_Keeper, "_commit", refuse_once)
        assert refused.wait(20)
        time.sleep(3)  # longer than a new membership takes to begin
        consumer.ack(held)
        assert texts(consumer, 1) == ["1"]
        eventually(lambda: bus.lag("g") == 0, "all is acknowledged")


@pytest.mark.slow
def test_the_bus_survives_the_death_of_its_broker(
    tmp_path_factory: pytest.TempPathFactory, broker: Broker
) -> None:
    """kill -9 of the broker: publishing is unavailable until it is back, nothing that was
    acknowledged is lost, and a consumer goes on by itself."""
    mortal = Broker(tmp_path_factory.mktemp("mortal"), free_port())
    mortal.start()
    try:
        with bus_on(mortal, timeout=10, lease=120) as bus:
            consumer = bus.consumer("g")
            bus.publish(*[message("a", n) for n in range(3)])
            held = receive(consumer)
            mortal.kill()

            start = time.monotonic()
            with pytest.raises(Unavailable, match=mortal.address):
                bus.publish(Message("tenant/a", b"lost"))
            assert time.monotonic() - start < 45
            with pytest.raises(Unavailable):
                consumer.dead(held, "can't be written")
            consumer.ack(held)

            mortal.start()
            _publish_when_back(bus, Message("tenant/a", b"3"))
            seen = []
            while "3" not in seen:
                delivery = receive(consumer)
                seen.append(text(delivery))
                consumer.ack(delivery)
            # What was in doubt may come twice, and what failed may have been written after all.
            assert [value for value in dict.fromkeys(seen) if value != "lost"][-3:] == list("123")
            eventually(lambda: bus.lag("g") == 0, "all is acknowledged")
    finally:
        mortal.kill()


def _publish_when_back(bus: Bus, sent: Message) -> None:
    def published() -> bool:
        try:
            bus.publish(sent)
        except Unavailable:
            return False
        return True

    eventually(published, "the broker is back")


def test_many_threads_publish_through_one_bus(broker: Broker) -> None:
    """Each thread's messages keep their order."""
    with bus_on(broker) as bus:

        def publish(key: str) -> None:
            for number in range(20):
                bus.publish(message(key, number))

        threads = [threading.Thread(target=publish, args=(key,)) for key in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        consumer = bus.consumer("g")
        received: dict[str, list[int]] = {}
        for _ in range(80):
            delivery = receive(consumer)
            received.setdefault(delivery.message.key, []).append(int(text(delivery)))
            consumer.ack(delivery)
        assert list(received.values()) == [list(range(20))] * 4
