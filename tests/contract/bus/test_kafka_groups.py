"""How a group of Kafka lives through long work, restarts and floods, on a real broker."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from infra.chaos.proxy import Proxy
from infra.kafka.broker import Broker
from infra.ports import free_port
from shared.bus import Bus, kafka, open_bus
from shared.bus.kafka import KafkaBus, _Assignor, _Keeper
from shared.bus.records import dead_topic, retry_topic
from shared.errors import Unavailable
from tests.contract.bus.worlds import eventually, message, receive, text, texts

pytestmark = pytest.mark.kafka


def topic() -> str:
    """A name of its own, for a topic or a group: static members stay for a while after a test."""
    return f"t{uuid.uuid4().hex[:8]}"


@contextmanager
def bus_on(broker: Broker, lease: float = 6.0, **options: object) -> Iterator[KafkaBus]:
    settings = {"topic": topic(), "partitions": 4, "timeout": 60, **options}
    query = "&".join(f"{name}={value}" for name, value in settings.items())
    bus = open_bus(f"kafka://{broker.address}?{query}", lease=lease)
    assert isinstance(bus, KafkaBus)
    try:
        yield bus
    finally:
        bus.close()


class Generations:
    """Every assignment that members of this process were given: who, in which generation, what."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given: list[tuple[_Assignor, int, frozenset[int]]] = []
        take = _Assignor.on_assignment

        def note(assignor: _Assignor, assignment: Any, generation: int) -> None:
            take(assignor, assignment, generation)
            self.given.append((assignor, generation, assignor.served))

        monkeypatch.setattr(_Assignor, "on_assignment", note)

    def settled(self, bus: Bus, *consumers: Any) -> int:
        """Wait until these share all partitions evenly in one generation; its number."""
        keepers: list[_Keeper] = [consumer._keeper for consumer in consumers]
        count = bus.partitions if isinstance(bus, KafkaBus) else 0

        def even() -> bool:
            shares = [set(keeper.partitions) for keeper in keepers]
            whole = set().union(*shares) == set(range(count)) and sum(map(len, shares)) == count
            return whole and all(len(share) == count // len(keepers) for share in shares)

        eventually(even, "the partitions are shared evenly")
        before = -1
        while before != len(self.given):  # a last generation may be on its way
            before = len(self.given)
            time.sleep(2)
        latest = [self.of(consumer)[-1] for consumer in consumers]
        assert len({generation for generation, _ in latest}) == 1
        return latest[0][0]

    def of(self, consumer: Any) -> list[tuple[int, frozenset[int]]]:
        """What one of them was given, in order."""
        mine = consumer._keeper._assignor
        return [(generation, what) for who, generation, what in self.given if who is mine]


@pytest.fixture
def generations(monkeypatch: pytest.MonkeyPatch) -> Generations:
    return Generations(monkeypatch)


@pytest.mark.parametrize("leader", [True, False], ids=["leader", "follower"])
def test_a_static_member_that_restarts_disturbs_nobody(
    broker: Broker, generations: Generations, leader: bool
) -> None:
    """It goes on with its partitions in the same generation, and what it held comes again."""
    name = group = topic()
    with (
        bus_on(broker, lease=60, topic=name, instance="one") as one,
        bus_on(broker, lease=60, topic=name, instance="two") as two,
    ):
        first = one.consumer(group)
        eventually(lambda: len(first._keeper.partitions) == 4, "the first has joined and leads")
        second = two.consumer(group)
        generation = generations.settled(one, first, second)
        restarted, stays = (first, second) if leader else (second, first)
        owned = set(restarted._keeper.partitions)
        one.publish(*[message(f"k{n}", n) for n in range(40)])
        held = receive(restarted)

        (one if leader else two).close()
        heard = len(generations.of(stays))
        with bus_on(broker, lease=60, topic=name, instance="one" if leader else "two") as again:
            back = again.consumer(group)
            eventually(lambda: set(back._keeper.partitions) == owned, "it has its partitions back")
            assert generations.of(back) == [(generation, frozenset(owned))]
            assert len(generations.of(stays)) == heard, "the other heard nothing"
            mine: list[str] = []
            while again.lag(group) and len(mine) < 40:
                for consumer in (back, stays):
                    if delivery := consumer.receive(0.2):
                        consumer.ack(delivery)
                        mine.append(text(delivery))
            assert sorted(mine, key=int) == [str(n) for n in range(40)]
            assert text(held) in mine
            again.close()


def test_a_static_member_that_ends_properly_leaves_at_once_if_asked_to(
    broker: Broker,
) -> None:
    """Its name does not come back, and nobody waits out its session for it."""
    name = group = topic()
    with (
        bus_on(broker, lease=120, topic=name, instance="one", leave=1) as one,
        bus_on(broker, lease=120, topic=name, instance="two", leave=1) as two,
    ):
        first, second = one.consumer(group), two.consumer(group)
        eventually(lambda: len(first._keeper.partitions) == 2, "they share")
        eventually(lambda: len(second._keeper.partitions) == 2, "they share evenly")
        began = time.monotonic()
        one.close()
        eventually(lambda: len(second._keeper.partitions) == 4, "the other has them all")
        assert time.monotonic() - began < 60


def test_without_a_name_a_restart_is_a_new_generation(
    broker: Broker, generations: Generations
) -> None:
    """The same with members that have none: so the test above would see a rebalance."""
    name = group = topic()
    with bus_on(broker, topic=name) as one, bus_on(broker, topic=name) as two:
        first, second = one.consumer(group), two.consumer(group)
        generation = generations.settled(one, first, second)
        second.close()
        back = two.consumer(group)
        assert generations.settled(two, first, back) > generation
        assert len({g for g, _ in generations.of(first)}) > 1


def test_members_of_one_process_have_names_of_their_own(broker: Broker) -> None:
    """Two of a group are two instances; the place of one that is closed is taken by the next."""
    group = topic()
    with bus_on(broker, instance="one") as bus:
        members = [bus.consumer(group) for _ in range(2)]
        assert [m._keeper._instance for m in members] == ["one-0", "one-1"]
        assert bus.consumer("other")._keeper._instance == "one-0"
        members[0].close()
        assert bus.consumer(group)._keeper._instance == "one-0"


def test_two_processes_of_one_name_lose_nothing(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a mistake, and the log says so; what was in hand of the first is worked on again."""
    name = group = topic()
    with (
        bus_on(broker, topic=name, instance="one") as one,
        bus_on(broker, topic=name, instance="one") as two,
    ):
        first = one.consumer(group)
        one.publish(message("a", 1), message("a", 2))
        held = receive(first)
        second = two.consumer(group)
        again = receive(second)
        assert text(again) == text(held) == "1"
        eventually(lambda: "an instance of its own" in caplog.text, "the first is told")
        first.ack(held)  # which is nobody's any more
        second.ack(again)
        one.close()
        assert texts(second, 1) == ["2"]


def test_long_work_ends_no_membership(
    broker: Broker, generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that takes several times the session and the longest pause between polls keeps its
    delivery, while the others of its group go on; nothing is delivered twice."""
    group = topic()
    monkeypatch.setattr(kafka, "_REBALANCE_MS", 3000)
    with bus_on(broker, partitions=2) as bus:
        slow, quick = bus.consumer(group), bus.consumer(group)
        generation = generations.settled(bus, slow, quick)
        bus.publish(*[message(f"k{n}", n) for n in range(20)])
        held = receive(slow)
        end, seen = time.monotonic() + 15, []
        while time.monotonic() < end:
            if delivery := quick.receive(0.5):
                quick.ack(delivery)
                seen.append(text(delivery))
        slow.ack(held)
        while bus.lag(group):
            for consumer in (slow, quick):
                if delivery := consumer.receive(0.2):
                    consumer.ack(delivery)
                    seen.append(text(delivery))
        assert sorted([*seen, text(held)], key=int) == [str(n) for n in range(20)]
        assert {g for g, _ in generations.of(slow)[-1:]} == {generation}


def test_a_flood_is_held_back_and_taken_in_later(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member reads no more than so much ahead of its work: the rest stays with the broker."""
    group = topic()
    monkeypatch.setattr(kafka, "_WAITING_LIMIT", 50)
    monkeypatch.setattr(kafka, "_FETCH_BYTES", 4000)
    with bus_on(broker, partitions=1) as bus:
        bus.publish(*[message(f"k{n}", f"{n:0100d}") for n in range(600)])
        consumer = bus.consumer(group)

        def waiting() -> int:
            with consumer._keeper.changed:
                parts = list(consumer._keeper.partitions.values())
                return sum(len(lane.entries) for one in parts for lane in one.lanes.values())

        eventually(lambda: consumer._keeper._paused, "it reads no more")
        most = waiting()
        assert 50 <= most < 300
        time.sleep(2)
        assert waiting() == most, "nothing more is taken in"
        assert sorted(int(value) for value in texts(consumer, 600)) == list(range(600))
        eventually(lambda: not consumer._keeper._paused, "it reads again")


def test_topics_are_made_with_what_is_written_down(broker: Broker) -> None:
    """Events are kept for ever and never compacted; dead letters are compacted and never expire."""
    with bus_on(broker, partitions=3) as bus:
        names = (bus.options.topic, retry_topic(bus.options.topic), dead_topic(bus.options.topic))
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        try:
            asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
            (said,) = admin.describe_configs(asked).values()
            parts = {t["name"]: len(t["partitions"]) for t in admin.describe_topics(list(names))}
        finally:
            admin.close()
    assert [parts[name] for name in names] == [3, 3, 1]
    told = {name: {key: one["value"] for key, one in said[name].items()} for name in names}
    kept = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    assert [told[name] for name in names] == [kept, kept, {"cleanup.policy": "compact"}]


def test_offsets_of_a_group_that_is_off_stay(broker: Broker) -> None:
    """The broker takes the number, and has it: a service that is off for weeks goes on."""
    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    try:
        asked = [ConfigResource(ConfigResourceType.BROKER, "1")]
        (said,) = admin.describe_configs(asked, config_filter="all").values()
    finally:
        admin.close()
    assert said["1"]["offsets.retention.minutes"]["value"] == "2147483647"


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
        consumer = bus.consumer("g")
        seen = _read(consumer, end.offset)
        assert seen == sorted(set(seen)), "each once, and in order"
        assert set(sent) <= set(seen)
        bus.close()
    finally:
        proxy.close()
        real.kill()


def _read(consumer: Any, count: int) -> list[int]:
    found: Iterable[str] = texts(consumer, count)
    return [int(value) for value in found]
