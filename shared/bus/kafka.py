"""The bus on Apache Kafka: the only file that imports `kafka`.

Three topics: `documents`, `documents.retry` with the same partitions, and `documents.dead`
(compacted; a dead letter that was replayed or dropped is a tombstone). A URL may carry options:
kafka://host:9092,host:9092?topic=documents&partitions=12&replication=-1&timeout=15 (seconds).
With TLS and a user it is kafka://user:password@host:9093?tls=1&ca=FILE&sasl=SCRAM-SHA-512, and with
certificates ?tls=1&ca=FILE&cert=FILE&key=FILE (PEM).

**A consumer** is two threads. Its keeper alone touches the Kafka client: it polls without
pause, so that the group stays together however long a handler works, takes records in, and
commits. The thread that calls `receive` meets it in the lanes (lanes.py), under one lock.

**Retry.** A message that is retried moves to the same partition of `documents.retry`, with its
group, attempts, not-before, error and its offset in `documents` in the headers. What comes behind
it with the same key moves there as well, so neither a long delay nor a poisoned message holds up
the partition. Who takes a partition over reads its `documents.retry` to the end before it delivers
anything, and orders the messages of a key by their offset in `documents`.

**Tenants take turns** among what the member has read, up to some thousands of messages: a partition
is a log, and nobody sees what lies behind that.

**Handing over.** Members keep their partitions until their work on them is done (sharing.py). If a
member dies, its partitions go to others after the session timeout; if it was only out of reach, it
finds that it has lost them, and acknowledges nothing more. With ?instance=NAME members are static:
a process that comes back under its name within the session timeout goes on with its partitions, and
nobody else hears of it. The price is that one which stops for good keeps them for as long; with
&leave=1 it does so only if it died, for one that ends properly leaves its groups.
"""

from __future__ import annotations

import functools
import itertools
import json
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import MemberToRemove
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor, RebalanceProtocol
from kafka.errors import (
    FencedInstanceIdError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    RetriableError,
)
from kafka.net.compat import KafkaNetClient
from kafka.protocol.consumer.metadata import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
)
from kafka.structs import MemberState, OffsetAndMetadata

from shared.bus import DeadLetter, Delivery, Message, Pending, kafka_logs, refuse_large
from shared.bus.lanes import Entry, Lane, Offsets, Partition, Ready, unfinished
from shared.bus.records import (
    ForeignRecord,
    Letter,
    Record,
    dead_record,
    dead_topic,
    entry_of,
    letter_of,
    message_of,
    retry_record,
    retry_topic,
    tombstone,
)
from shared.bus.sharing import share
from shared.errors import NotFound, SettingsError, Unavailable

log = logging.getLogger(__name__)
kafka_logs.hush()

_POLL_MS = 200
_JOIN_MS = 2000
_FETCH_BYTES = 1_000_000
"""How much is read at once: it bounds a poll. A bound on its records, which leaves some of a
partition for later, would make kafka-python 3.0 forget these if the partition is paused between:
`Fetcher.fetched_records` takes up what it parked only when its in-line slot is None."""
_ALL_RECORDS = 1_000_000
_CLOSE_SECONDS = 5.0
_RESTART_SECONDS = 1.0
_WAITING_LIMIT = 20_000
"""Messages taken in and not yet delivered, beyond which a member reads no more of `documents`. So
far it sees who waits behind whom."""
_WAITING_BYTES = 32_000_000
"""The same of their values."""
_PARKED_LIMIT = 10_000
"""Messages waiting in `documents.retry`, beyond which a member starts nothing new."""
_REBALANCE_MS = 120_000
"""How long the group waits for a member that gives signs of life but does not rejoin."""
_SHORT_SECONDS = 1.0
"""Up to this delay, what comes behind a retried message waits in memory."""
_TOPICS_MS = 3000
_ASK_AGAIN_SECONDS = 0.2
_CALM_LEASE = 30.0
"""Seconds: with so long a lease nothing is in a hurry, see _Pace."""
_KEEP = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
"""Of `documents` and `documents.retry`: a new group starts at the beginning, and what nobody has
worked on yet must not expire. An operator who wants less changes the topics."""
_COMPACT = {"cleanup.policy": "compact"}
"""Of `documents.dead`: the last that was said of each letter, for ever."""
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_LATEST, _EARLIEST = -1, -2
"""In place of a time, when asking for offsets."""


@dataclass(frozen=True)
class _Options:
    """What the URL says; `timeout` in seconds, for one request and for one publish."""

    topic: str = "documents"
    partitions: int = 12
    replication: int = -1
    """Copies of each partition; -1 is what the broker is set to."""
    timeout: float = 15.0
    instance: str = ""
    """The name of this process among the members of its groups, which no other has; empty: none."""
    leave: bool = False
    """Whether a process that ends properly leaves its groups at once: its name won't come back."""
    tls: bool = False
    ca: str = ""
    """File of the authorities that sign the broker's certificate; empty: the system's."""
    cert: str = ""
    key: str = ""
    """Files of our own certificate and its key, where the broker asks for one."""
    sasl: str = ""
    """How user and password of the URL are shown to the broker; empty: not at all."""

    @classmethod
    def of(cls, options: Mapping[str, str]) -> _Options:
        kinds: dict[str, Callable[[str], Any]] = {
            **dict.fromkeys(("topic", "instance", "ca", "cert", "key"), str),
            **dict.fromkeys(("partitions", "replication"), int),
            "timeout": float,
            **dict.fromkeys(("leave", "tls"), {"0": False, "1": True}.__getitem__),
            "sasl": {name: name for name in _MECHANISMS}.__getitem__,
        }
        try:
            return cls(**{name: kinds[name](value) for name, value in options.items()})
        except (KeyError, ValueError) as error:
            raise SettingsError(
                f"The options of the bus URL are wrong at {error}: kafka://host:port"
                "?topic=NAME&partitions=NUMBER&replication=NUMBER&timeout=SECONDS&instance=NAME"
                f"&leave=1&tls=1&ca=FILE&cert=FILE&key=FILE&sasl={'|'.join(_MECHANISMS)}."
            ) from None


@dataclass(frozen=True)
class _Pace:
    """How often a member turns to the broker. With a lease of 30 s, the usual one, rarely: most of
    what an idle member costs is asking. A shorter lease is for whoever wants it quicker.
    """

    idle_ms: int
    """A poll while there is nothing in hand and nothing to commit; what comes ends it at once."""
    fetch_ms: int
    """For so long the broker keeps a fetch that finds nothing. It answers at once when something
    comes; a partition that is taken up anew waits so long at the most."""
    heartbeat_ms: int
    """So late a member hears that others come or go."""
    commit: float
    """Seconds between two commits: what was acknowledged since may come again after a crash."""

    @classmethod
    def of(cls, lease: float, timeout: float) -> _Pace:
        calm = lease / _CALM_LEASE
        session = int(lease * 1000)
        return cls(
            idle_ms=_between(_POLL_MS, 1000 * calm, 1000),
            fetch_ms=min(_between(500, 2000 * calm, 2000), int(timeout * 1000) // 4),
            heartbeat_ms=min(_between(1000, 3000 * calm, 3000), session // 3),
            commit=_between(200, 1000 * calm, 1000) / 1000,
        )


def _between(least: int, wished: float, most: int) -> int:
    return int(max(least, min(wished, most)))


class KafkaBus:
    """The bus of a cluster at `servers` (host:port, separated by commas).

    `lease`: the session timeout of consumers in seconds; the broker must allow it (it takes 6 to
    1,800 unless set otherwise). Missing topics are made.
    """

    def __init__(
        self, servers: str, *, lease: float = 30.0, options: Mapping[str, str] | None = None
    ) -> None:
        if not servers:
            raise SettingsError("The bus URL names no broker: kafka://host:port[,host:port].")
        user, _, self.servers = servers.rpartition("@")
        self.lease = lease
        self.options = _Options.of(options or {})
        self._security = _security(user, self.options)
        self._instances: dict[str, set[int]] = {}
        self._guard = threading.RLock()
        self._asking = threading.RLock()
        self._consumers: weakref.WeakSet[KafkaMember] = weakref.WeakSet()
        self._producer: Any = None
        self._letters: _Letters | None = None
        self._closed = False
        with self.unavailable():
            self._admin = _opened(KafkaAdminClient, **self.client())
            try:
                self.partitions = self._make_topics()
            except BaseException:
                self._admin.close()
                raise

    def publish(self, *messages: Message) -> None:
        refuse_large(messages)
        with self.unavailable():
            self.send(
                [
                    Record(self.options.topic, message.key, message.value, message.headers)
                    for message in messages
                ]
            )

    def consumer(self, group: str) -> KafkaMember:
        if self._closed:
            raise Unavailable("This bus has been closed.")
        consumer = KafkaMember(self, group)
        self._consumers.add(consumer)
        return consumer

    def dead_letters(self, group: str | None = None) -> list[DeadLetter]:
        with self._asking, self.unavailable():
            listed = [letter.letter for letter in self._read_letters().values()]
        listed.sort(key=lambda letter: (letter.time, letter.id))
        return [letter for letter in listed if group in (None, letter.group)]

    def replay(self, dead_letter_id: str) -> None:
        with self._asking, self.unavailable():
            letter = self._letter(dead_letter_id)
            entry = Entry(letter.origin, letter.letter.message)
            record = retry_record(
                self.options.topic, letter.letter.group, letter.partition, entry, 0.0, ""
            )
            self.send([record])
            self.send([tombstone(self.options.topic, dead_letter_id)])

    def drop(self, dead_letter_id: str) -> None:
        with self._asking, self.unavailable():
            self._letter(dead_letter_id)
            self.send([tombstone(self.options.topic, dead_letter_id)])

    def lag(self, group: str) -> int:
        """As in `Bus.lag`; while the group has no member, records of other groups in
        `documents.retry` may count."""
        topics = (self.options.topic, retry_topic(self.options.topic))
        parts = [TopicPartition(topic, p) for topic in topics for p in range(self.partitions)]
        with self._asking, self.unavailable():
            ends = self._ask(self._admin.list_partition_offsets, dict.fromkeys(parts, _LATEST))
            starts = self._ask(self._admin.list_partition_offsets, dict.fromkeys(parts, _EARLIEST))
            committed = self._ask(self._admin.list_group_offsets, {group: parts})[group]
        lag = 0
        for part in parts:
            commit = committed.get(part)
            if commit is None or commit.offset < 0:
                commit = OffsetAndMetadata(starts[part].offset, "", -1)
            lag += unfinished(commit.offset, commit.metadata or "", ends[part].offset)
        return lag

    def pending(self, groups: Collection[str]) -> Pending:
        """As in `Bus.pending`: of a partition it is known only whether all is done."""
        messages = {group: self.lag(group) for group in groups}
        return Pending(messages, None if any(messages.values()) else frozenset())

    def close(self) -> None:
        self._closed = True
        consumers = list(self._consumers)
        for consumer in consumers:
            consumer.stop()
        for consumer in consumers:
            consumer.close()
        with self._guard:
            self._discard_producer(timeout=_CLOSE_SECONDS)
        with self._asking, suppress(KafkaError):
            if self._letters:
                self._letters.close()
                self._letters = None
            self._admin.close()

    # What consumers need of the bus.

    def leave(self, group: str, member: str, instance: str) -> None:
        """Have a static member of a group leave it: the broker would wait for it to come back."""
        gone = MemberToRemove(member, instance, "it ends")
        with self._asking:
            self._admin.remove_group_members(group, [gone])

    def take_instance(self, group: str) -> int:
        """A number that no other member of the group has in this process."""
        with self._guard:
            taken = self._instances.setdefault(group, set())
            number = next(n for n in itertools.count() if n not in taken)
            taken.add(number)
            return number

    def give_instance(self, group: str, number: int) -> None:
        """A member is no more: the next one takes its place."""
        with self._guard:
            self._instances[group].discard(number)

    def client(self) -> dict[str, Any]:
        """The settings that every Kafka client has in common."""
        timeout = int(self.options.timeout * 1000)
        return {
            "bootstrap_servers": self.servers.split(","),
            "client_id": "smallprint",
            "request_timeout_ms": timeout,
            "bootstrap_timeout_ms": timeout,
            "reconnect_backoff_max_ms": 1000,
            **self._security,
        }

    def send(self, records: list[Record]) -> list[int]:
        """Write records and wait until all are acknowledged; their offsets."""
        try:
            futures = [self.start_sending(record) for record in records]
            end = time.monotonic() + self.options.timeout + 1
            return [future.get(max(0.0, end - time.monotonic())).offset for future in futures]
        except KafkaError:
            with self._guard:
                self._discard_producer(timeout=0)  # what it may still hold must not come later
            raise

    def start_sending(self, record: Record) -> Any:
        """Write one record; the future of its acknowledgement."""
        with self._guard:
            if self._closed:
                raise Unavailable("This bus has been closed.")
            if self._producer is None:
                self._producer = self._make_producer()
            producer = self._producer
        return producer.send(
            record.topic,
            record.value,
            key=record.key.encode(),
            headers=[(name, value.encode()) for name, value in record.headers.items()],
            partition=record.partition,
        )

    @contextmanager
    def unavailable(self) -> Iterator[None]:
        """Say in our words that the broker does not answer."""
        try:
            yield
        except (KafkaError, OSError, RuntimeError) as error:
            what = str(error) or type(error).__name__
            raise Unavailable(f"The Kafka broker at {self.servers} fails: {what}") from error

    def _ask(self, question: Callable[[Any], Any], about: Any) -> Any:
        """Ask the broker again while it says that it is not ready yet."""
        end = time.monotonic() + self.options.timeout
        while True:
            try:
                return question(about)
            except RetriableError:
                if time.monotonic() > end:
                    raise
                time.sleep(_ASK_AGAIN_SECONDS)

    def _make_producer(self) -> Any:
        timeout = int(self.options.timeout * 1000)
        return _opened(
            KafkaProducer,
            **self.client(),
            acks="all",
            enable_idempotence=True,
            delivery_timeout_ms=timeout,
            max_block_ms=timeout,
            metrics_enabled=False,
            allow_auto_create_topics=False,
        )

    def _discard_producer(self, timeout: float) -> None:
        """End the producer within so many seconds; what it can't send by then it gives up.

        `close` of kafka-python 3.0 raises before it ends the sending thread if something is left
        to be sent: the thread would go on, and send it later.
        """
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            producer.close(timeout=timeout)
        except KafkaError as error:
            log.info("a producer is ended with messages left to send: %s", error)
            producer._sender.force_close()

    def _make_topics(self) -> int:
        """Make the topics that are missing; how many partitions `documents` has."""
        copies = {"replication_factor": self.options.replication}
        keep = {"configs": _KEEP}
        spread = {"num_partitions": self.options.partitions}
        wanted = {
            self.options.topic: copies | spread | keep,
            retry_topic(self.options.topic): copies | spread | keep,
            dead_topic(self.options.topic): copies | {"num_partitions": 1, "configs": _COMPACT},
        }
        self._make_missing(wanted)
        counts = {
            topic["name"]: len(topic["partitions"])
            for topic in self._admin.describe_topics(list(wanted))
        }
        main, retry = counts[self.options.topic], counts[retry_topic(self.options.topic)]
        if main != retry:
            raise SettingsError(
                f"The Kafka topics {self.options.topic} and {retry_topic(self.options.topic)} must "
                f"have equally many partitions: they have {main} and {retry}."
            )
        return counts[self.options.topic]

    def _make_missing(self, wanted: Mapping[str, Any]) -> None:
        """Ask for the topics until they are there: a broker just started has no room for them."""
        end = time.monotonic() + self.options.timeout
        existing = set(self._admin.list_topics())
        missing = {name: topic for name, topic in wanted.items() if name not in existing}
        while missing:
            # An error may mean that others make the same topics just now.
            answer = self._admin.create_topics(missing, raise_errors=False)
            try:
                self._admin.wait_for_topics(list(missing), _TOPICS_MS)
                return
            except KafkaTimeoutError as error:
                if time.monotonic() > end:
                    said = {one["name"]: one["error_message"] for one in answer["topics"]}
                    raise KafkaTimeoutError(f"topics can't be made: {said}") from error

    def _letter(self, dead_letter_id: str) -> Letter:
        letters = self._read_letters()
        if dead_letter_id not in letters:
            raise NotFound(f"There is no dead letter {dead_letter_id}.")
        return letters[dead_letter_id]

    def _read_letters(self) -> dict[str, Letter]:
        if self._closed:
            raise Unavailable("This bus has been closed.")
        if self._letters is None:
            self._letters = _Letters(self)
        try:
            return self._letters.read()
        except (KafkaError, RuntimeError):
            self._letters.close()
            self._letters = None
            raise


def _security(user: str, options: _Options) -> dict[str, Any]:
    """What the client is told of TLS and of who we are. Raises SettingsError."""
    if bool(user) != bool(options.sasl):
        raise SettingsError(
            "The bus URL has a user or ?sasl=…, and needs both: kafka://user:password@host:port"
            "?sasl=SCRAM-SHA-512."
        )
    if options.sasl == "PLAIN" and not options.tls:
        raise SettingsError("The bus URL would show its password to the network: add &tls=1.")
    if not options.tls and (options.ca or options.cert or options.key):
        raise SettingsError("The bus URL names certificates and no TLS: add &tls=1.")
    for file in filter(None, (options.ca, options.cert, options.key)):
        if not os.access(file, os.R_OK):
            raise SettingsError(f"The bus URL names a file that can't be read: {file}.")
    name, _, password = user.partition(":")
    said: dict[str, Any] = {
        "security_protocol": ("SASL_" if user else "") + ("SSL" if options.tls else "PLAINTEXT"),
        "ssl_cafile": options.ca or None,
        "ssl_certfile": options.cert or None,
        "ssl_keyfile": options.key or None,
    }
    if user:
        said |= {
            "sasl_mechanism": options.sasl,
            "sasl_plain_username": unquote(name),
            "sasl_plain_password": unquote(password),
        }
    return said


def _opened(kind: Callable[..., Any], **settings: Any) -> Any:
    """A client of the library that leaves no thread behind if it can't reach its broker.

    The constructors of kafka-python 3.0 start a thread and then ask the broker; if that fails,
    they raise, and nobody can end the thread any more.
    """
    made: list[KafkaNetClient] = []

    def remembered(**configs: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**configs))
        return made[-1]

    try:
        return kind(kafka_client=remembered, **settings)
    except BaseException:
        for client in made:
            client.close()
        raise


class _Letters:
    """A reader of `documents.dead` that remembers what is still listed."""

    FRESH_SECONDS = 3600.0
    """Read from the beginning after this time unread: compaction forgets tombstones after a day."""

    def __init__(self, bus: KafkaBus) -> None:
        self._timeout = int(bus.options.timeout * 1000)
        self._part = TopicPartition(dead_topic(bus.options.topic), 0)
        self._reader = _opened(
            KafkaConsumer,
            **bus.client(),
            group_id=None,
            enable_auto_commit=False,
            metrics_enabled=False,
        )
        self._reader.assign([self._part])
        self._listed: dict[str, Letter] = {}
        self._read = float("-inf")

    def read(self) -> dict[str, Letter]:
        """What is listed now, by id."""
        if time.monotonic() - self._read > self.FRESH_SECONDS:
            self._listed.clear()
            start = self._reader.beginning_offsets([self._part], self._timeout)[self._part]
            self._reader.seek(self._part, start)
        end = self._reader.end_offsets([self._part], self._timeout)[self._part]
        give_up = time.monotonic() + self._timeout / 1000
        while self._reader.position(self._part, self._timeout) < end:
            if time.monotonic() > give_up:
                raise Unavailable("The dead letters can't be read now: the broker sends nothing.")
            for records in self._reader.poll(_POLL_MS).values():
                for record in records:
                    self._note(record)
        self._read = time.monotonic()
        return self._listed

    def close(self) -> None:
        with suppress(KafkaError, RuntimeError):
            self._reader.close(timeout_ms=1000)

    def _note(self, record: Any) -> None:
        try:
            if record.value is not None:
                letter = letter_of(record)
                self._listed[letter.letter.id] = letter
            elif record.key is not None:
                self._listed.pop(record.key.decode(errors="replace"), None)
        except ForeignRecord as error:
            place = f"partition {record.partition}, offset {record.offset}"
            log.error("passed over a dead letter that is not ours (%s): %s", place, error)  # noqa: TRY400


class KafkaMember:
    """A member of a group, for the thread that receives."""

    def __init__(self, bus: KafkaBus, group: str) -> None:
        self.group = group
        self._bus = bus
        number = bus.take_instance(group)
        self._gone = weakref.finalize(self, bus.give_instance, group, number)
        self._keeper = _Keeper(bus, group, number)
        self._keeper.start()
        self._finalizer = weakref.finalize(self, self._keeper.stop)

    def receive(self, timeout: float) -> Delivery | None:
        """As in `Consumer.receive`; None, too, while the broker is out of reach."""
        keeper = self._keeper
        keeper.owner = threading.current_thread()
        end = time.monotonic() + timeout
        with keeper.changed:
            while True:
                if keeper.stopping:
                    raise Unavailable("This consumer has been closed.")
                now = time.monotonic()
                if keeper.sure(now) and (lane := keeper.ready.take(now)):
                    entry = lane.partition.hold(lane)
                    return Delivery(entry.message, entry.attempts, token=(lane, entry))
                if now >= end:
                    return None
                due = keeper.ready.next_time() if keeper.sure(now) else None
                keeper.changed.wait(min(end, due if due is not None else end) - now)

    def ack(self, delivery: Delivery) -> None:
        with self._held(delivery) as held:
            if held:
                lane, entry = held
                lane.partition.finish(lane, entry)
                self._keeper.ready.add(lane)

    def retry(self, delivery: Delivery, delay: float, error: str) -> None:
        record = self._record(
            delivery,
            lambda lane, entry: retry_record(
                self._bus.options.topic,
                self.group,
                lane.partition.number,
                entry,
                time.time() + delay,
                error,
            ),
        )
        if record is None:
            return
        with self._bus.unavailable():
            (offset,) = self._bus.send([record])
        with self._held(delivery) as held:
            if held:
                lane, entry = held
                lane.partition.move(lane, entry, offset)
                entry.not_before = time.monotonic() + delay
                lane.partition.release(lane)
                self._keeper.parked.add(lane)
                self._keeper.ready.add(lane)
                self._keeper.changed.notify_all()

    def later(self, delivery: Delivery, delay: float) -> None:
        with self._held(delivery) as held:
            if held:
                lane, _ = held
                lane.partition.put_back(lane, time.monotonic() + delay)
                self._keeper.parked.discard(lane)  # nor is anything written of what is behind it
                self._keeper.ready.add(lane)
                self._keeper.changed.notify_all()

    def dead(self, delivery: Delivery, error: str) -> bool:
        record = self._record(
            delivery,
            lambda lane, entry: dead_record(
                self._bus.options.topic, self.group, lane.partition.number, entry, error
            ),
        )
        if record is None:
            return False
        with self._bus.unavailable():
            self._bus.send([record])
        self.ack(delivery)
        return True

    def keep(self, delivery: Delivery) -> None:
        """Nothing to do: the keeper speaks for us as long as the receiving thread lives."""

    def stop(self) -> None:
        """Begin to leave."""
        self._keeper.stop()

    def close(self) -> None:
        self._keeper.stop()
        self._keeper.join(2 * _CLOSE_SECONDS + self._bus.options.timeout)
        self._gone()

    def _record(self, delivery: Delivery, make: Callable[[Lane, Entry], Record]) -> Record | None:
        """What is to be written about a delivery, if it is certainly ours still."""
        if not self._keeper.confirm(delivery.token[0].partition):
            raise Unavailable(f"The Kafka broker at {self._bus.servers} does not answer.")
        with self._held(delivery) as held:
            return make(*held) if held else None

    @contextmanager
    def _held(self, delivery: Delivery) -> Iterator[tuple[Lane, Entry] | None]:
        """Lock; the lane and entry of a delivery, or None if it is ours no more."""
        lane, entry = delivery.token
        with self._keeper.changed:
            ours = lane.held is entry and entry.attempts == delivery.attempt
            if ours and not lane.partition.lost:
                yield lane, entry
            else:
                log.info("the delivery of %s was lost to another consumer", delivery.message.key)
                yield None


class _Keeper(threading.Thread):
    """Keeps one membership: polls, takes records in, forwards, commits, hands over."""

    def __init__(self, bus: KafkaBus, group: str, number: int) -> None:
        super().__init__(name=f"kafka-bus-{group}", daemon=True)
        self.group = group
        name = bus.options.instance
        self._instance = f"{name}-{number}" if name else None
        self.owner = threading.current_thread()
        """The thread that receives; when it has ended, we leave."""
        self.changed = threading.Condition()
        """Guards what follows."""
        self.ready = Ready()
        self.parked: set[Lane] = set()
        """Lanes whose first message is in `documents.retry`: what is behind it must follow."""
        self.partitions: dict[int, Partition] = {}
        self.stopping = False

        self._bus = bus
        self._options = bus.options
        self._pace = _Pace.of(bus.lease, bus.options.timeout)
        self._assignor = _Assignor(bus.options, bus.partitions)
        self._ends: dict[int, int] = {}
        self._paused = False
        self._forwarding: list[tuple[Any, Lane, Entry]] = []
        self._committed: dict[TopicPartition, OffsetAndMetadata] = {}
        self._commit_last = 0.0
        self._confirmed = float("-inf")
        """When we last asked something that the broker answers to members alone."""
        self._asked = False

    def stop(self) -> None:
        with self.changed:
            self.stopping = True
            self.changed.notify_all()

    def run(self) -> None:
        while self._wanted():
            try:
                self._serve()
            except FencedInstanceIdError:
                log.error(  # noqa: TRY400
                    "another process is %s in group %s: every process needs an instance of its own",
                    self._instance,
                    self.group,
                )
                with self.changed:
                    self.changed.wait_for(lambda: self.stopping, self._bus.lease)
            except Exception as error:  # noqa: BLE001 - whatever the client raises: begin anew
                log.warning("the membership in group %s begins anew: %s", self.group, error)
                with self.changed:
                    self.changed.wait_for(lambda: self.stopping, _RESTART_SECONDS)
        self.stop()

    def sure(self, now: float) -> bool:
        """Whether the broker has lately answered us as a member.

        If not, others may have our partitions: nothing more is delivered from them.
        """
        return now - self._confirmed < self._bus.lease * 2 / 3

    def confirm(self, partition: Partition) -> bool:
        """Make sure that we are still a member, or find that the partition is lost.

        A process that was stopped for a while (or its machine asleep) may not have noticed yet.
        False if the broker does not answer.
        """
        with self.changed:
            now = time.monotonic()
            if self.sure(now):
                return True
            self._asked = True
            return self.changed.wait_for(
                lambda: self._confirmed > now or partition.lost or self.stopping,
                self._options.timeout,
            )

    def lose(self, numbers: Iterable[int] | None = None) -> None:
        """Somebody else serves these partitions now, by default all: acknowledge nothing more."""
        with self.changed:
            for number in list(self.partitions if numbers is None else numbers):
                if partition := self.partitions.pop(number, None):
                    partition.lost = True
            self.changed.notify_all()

    def _wanted(self) -> bool:
        return not self.stopping and self.owner.is_alive()

    def _serve(self) -> None:
        """One membership, from joining to leaving."""
        session = int(self._bus.lease * 1000)
        consumer = _opened(
            KafkaConsumer,
            **self._bus.client(),
            group_id=self.group,
            group_instance_id=self._instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=session,
            heartbeat_interval_ms=self._pace.heartbeat_ms,
            max_poll_interval_ms=_REBALANCE_MS,
            partition_assignment_strategy=[self._assignor],
            fetch_max_wait_ms=self._pace.fetch_ms,
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_FETCH_BYTES // 4,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
        try:
            topics = [self._options.topic, retry_topic(self._options.topic)]
            consumer.subscribe(topics, listener=_Listener(self))
            while self._wanted():
                self._try_step(consumer)
            with suppress(KafkaError):
                self._commit_now(consumer, list(self.partitions.values()))
        finally:
            self.lose()
            self._committed.clear()
            self._forwarding.clear()
            self._paused = False
            self._assignor.forget()
            member = consumer.group_metadata().member_id
            consumer.close(timeout_ms=int(_CLOSE_SECONDS * 1000))
            if self._instance and self._options.leave and member:
                with suppress(KafkaError):  # then it is waited for as for one that died
                    self._bus.leave(self.group, member, self._instance)

    def _try_step(self, consumer: Any) -> None:
        """Take a step. A broker that is out of reach ends no membership: it says itself, once it
        is back, whether we still are a member."""
        try:
            self._step(consumer)
        except KafkaConnectionError as error:
            log.info("the broker is out of reach of group %s: %s", self.group, error)
            with self.changed:
                self.changed.wait_for(lambda: self.stopping, _RESTART_SECONDS)

    def _step(self, consumer: Any) -> None:
        polled = consumer.poll(timeout_ms=self._poll_ms(consumer), max_records=_ALL_RECORDS)
        self._take_in(polled)
        self._follow_assignment(consumer)
        self._catch_up(consumer)
        self._forward()
        self._give_up(consumer)
        self._commit(consumer)
        self._hold_back(consumer)

    def _poll_ms(self, consumer: Any) -> int:
        """How long to poll: longer while joining, so that one poll sees the end of it.

        In kafka-python 3.0 a join that ends between two polls may never be noticed
        (`join_group_async` forgets it unless it still wants to rejoin): the member stays between
        joining and joined, without heartbeats. So whoever is not a member asks to rejoin.
        """
        if consumer.group_metadata().state == MemberState.STABLE:
            return self._pace.idle_ms if self._is_idle() else _POLL_MS
        _request_rejoin(consumer)
        return _JOIN_MS

    def _is_idle(self) -> bool:
        """Whether nothing can change until the broker says something."""
        with self.changed:
            waits = any(
                one.lanes or one.dirty or one.moving or not one.caught_up
                for one in self.partitions.values()
            )
            return not (waits or self._asked or self._forwarding or self._assignor.give_up)

    def _main(self, number: int) -> TopicPartition:
        return TopicPartition(self._options.topic, number)

    def _retry(self, number: int) -> TopicPartition:
        return TopicPartition(retry_topic(self._options.topic), number)

    def _take_in(self, polled: Mapping[TopicPartition, list[Any]]) -> None:
        now = time.monotonic()
        with self.changed:
            for part, records in polled.items():
                partition = self.partitions.get(part.partition)
                if partition is None:
                    continue  # just assigned: it is read again from where we take it up
                for record in records:
                    lane = self._take_in_one(partition, part, record, now)
                    if lane is not None:
                        self.ready.add(lane)
                        if lane.entries[0].retry is not None:
                            self.parked.add(lane)
            self.changed.notify_all()

    def _take_in_one(
        self, partition: Partition, part: TopicPartition, record: Any, now: float
    ) -> Lane | None:
        """Take in one record; one that no bus of ours wrote is told of and passed over."""
        main = part.topic == self._options.topic
        try:
            if main:
                return partition.add_main(record.offset, message_of(record), now)
            return self._take_in_retry(partition, record, now)
        except ForeignRecord as error:
            place = f"{part.topic}, partition {part.partition}, offset {record.offset}"
            log.error("passed over a record that is not ours (%s): %s", place, error)  # noqa: TRY400
            (partition.pass_over_main if main else partition.pass_over)(record.offset)
            return None

    def _take_in_retry(self, partition: Partition, record: Any, now: float) -> Lane | None:
        group, entry, not_before = entry_of(record)
        if group != self.group:
            partition.pass_over(record.offset)
            return None
        entry.not_before = now + max(0.0, not_before - time.time())
        return partition.add_retry(record.offset, entry)

    def _follow_assignment(self, consumer: Any) -> None:
        """Take up the partitions that are newly ours."""
        assigned = {part.partition for part in consumer.assignment()}
        self.lose([number for number in self.partitions if number not in assigned])
        new = [n for n in self._assignor.served & assigned if n not in self.partitions]
        if not new:
            return
        timeout = int(self._options.timeout * 1000)
        retries = [self._retry(number) for number in new]
        parts = [self._main(number) for number in new] + retries
        consumer.pause(*parts)
        starts = consumer.beginning_offsets(parts, timeout)
        ends = consumer.end_offsets(retries, timeout)
        offsets: dict[TopicPartition, Offsets] = {}
        for part in parts:
            commit = consumer.committed(part, metadata=True, timeout_ms=timeout)
            if commit is None or commit.offset < 0:
                commit = OffsetAndMetadata(starts[part], "", -1)
            offsets[part] = Offsets(commit.offset, commit.metadata or "")
            consumer.seek(part, max(commit.offset, starts[part]))
            self._committed.pop(part, None)
        with self.changed:
            for number in new:
                self._ends[number] = ends[self._retry(number)]
                self.partitions[number] = Partition(
                    number, offsets[self._main(number)], offsets[self._retry(number)]
                )
        consumer.resume(*retries)

    def _catch_up(self, consumer: Any) -> None:
        """Deliver from a partition once its `documents.retry` has been read to the end."""
        for number, partition in list(self.partitions.items()):
            if partition.caught_up:
                continue
            if (consumer.position(self._retry(number)) or 0) >= self._ends[number]:
                if not self._paused:
                    consumer.resume(self._main(number))
                with self.changed:
                    partition.caught_up = True
                    self.ready.add_all(partition)
                    self.changed.notify_all()

    def _forward(self) -> None:
        """Move what is behind a message that waits long in `documents.retry` there as well."""
        self._note_forwarded()
        until = time.monotonic() + (0.0 if self._paused else _SHORT_SECONDS)
        with self.changed:
            stuck = [
                (lane, entry)
                for lane in self.parked
                if not lane.partition.lost
                for entry in lane.stuck(until)
                if entry.origin not in lane.partition.moving
            ]
            self.parked = {
                lane for lane in self.parked if lane.entries and lane.entries[0].retry is not None
            }
            for lane, entry in stuck:
                lane.partition.moving[entry.origin] = False
        for position, (lane, entry) in enumerate(stuck):
            record = retry_record(
                self._bus.options.topic, self.group, lane.partition.number, entry, 0.0, ""
            )
            try:
                self._forwarding.append((self._bus.start_sending(record), lane, entry))
            except (KafkaError, Unavailable) as error:
                log.info("what waits in group %s is moved later: %s", self.group, error)
                with self.changed:
                    for lane, entry in stuck[position:]:
                        lane.partition.moving.pop(entry.origin, None)
                return

    def _note_forwarded(self) -> None:
        done = [one for one in self._forwarding if one[0].is_done]
        self._forwarding = [one for one in self._forwarding if not one[0].is_done]
        with self.changed:
            for future, lane, entry in done:
                lane.partition.moving.pop(entry.origin, None)
                if future.succeeded():
                    lane.partition.move(lane, entry, future.value.offset)

    def _give_up(self, consumer: Any) -> None:
        """Let go of as many partitions as others should have, idle ones first."""
        with self.changed:
            count = self._assignor.give_up
            by_work = sorted(
                self.partitions.values(),
                key=lambda one: (not one.draining, one.held, len(one.lanes), -one.number),
            )
            for position, partition in enumerate(by_work):
                was, partition.draining = partition.draining, position < count
                if was and not partition.draining:
                    self.ready.add_all(partition)
                    self.changed.notify_all()
            drained = [one for one in by_work[:count] if one.held == 0 and not one.moving]
        if not drained:
            return
        try:
            self._commit_now(consumer, drained)
        except KafkaError as error:
            log.info("partitions of group %s are handed over later: %s", self.group, error)
            return
        numbers = [partition.number for partition in drained]
        for number in numbers:
            consumer.pause(self._main(number), self._retry(number))
        self.lose(numbers)
        self._assignor.release(numbers)
        _request_rejoin(consumer)

    def _commit(self, consumer: Any) -> None:
        now = time.monotonic()
        pace = min(_ASK_AGAIN_SECONDS, self._pace.commit) if self._asked else self._pace.commit
        if now < self._commit_last + pace:
            return
        self._commit_last = now
        ask = self._asked or now - self._confirmed > self._bus.lease / 3
        if offsets := self._to_commit(self.partitions.values(), everything=ask):
            check = functools.partial(self._check_commit, now)
            consumer.commit_async(offsets, callback=check)

    def _commit_now(self, consumer: Any, partitions: Iterable[Partition]) -> None:
        offsets = self._to_commit(partitions, everything=True)
        if offsets:
            consumer.commit(offsets, timeout_ms=int(_CLOSE_SECONDS * 1000))

    def _to_commit(
        self, partitions: Iterable[Partition], *, everything: bool = False
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        with self.changed:
            for one in partitions:
                if one.dirty or everything:
                    one.dirty = False
                    for part, known in (
                        (self._main(one.number), one.main),
                        (self._retry(one.number), one.retry),
                    ):
                        offsets[part] = OffsetAndMetadata(known.start, known.note(), -1)
        changed = {
            part: commit
            for part, commit in offsets.items()
            if everything or self._committed.get(part) != commit
        }
        self._committed.update(changed)
        return changed

    def _check_commit(
        self, sent: float, offsets: Mapping[TopicPartition, Any], answer: object
    ) -> None:
        """After a commit that failed (in a rebalance, say): commit again."""
        with self.changed:
            if not isinstance(answer, Exception):
                self._confirmed, self._asked = max(self._confirmed, sent), False
                self.changed.notify_all()
                return
            for part in offsets:
                self._committed.pop(part, None)
                if partition := self.partitions.get(part.partition):
                    partition.dirty = True

    def _hold_back(self, consumer: Any) -> None:
        """Read no more of `documents` while there is too much in memory."""
        with self.changed:
            entries = [
                entry
                for partition in self.partitions.values()
                for lane in partition.lanes.values()
                for entry in lane.entries
            ]
            waiting = [len(entry.message.value) for entry in entries if entry.retry is None]
            full = (
                len(entries) - len(waiting) >= _PARKED_LIMIT
                or len(waiting) >= _WAITING_LIMIT
                or sum(waiting) >= _WAITING_BYTES
            )
            caught_up = [self._main(n) for n, one in self.partitions.items() if one.caught_up]
        if full != self._paused:
            self._paused = full
            (consumer.pause if full else consumer.resume)(*caught_up)


def _request_rejoin(consumer: Any) -> None:
    consumer._coordinator.request_rejoin()  # the client has no public way to ask for it


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Hears of partitions that are ours no more. It runs in the client's own thread."""

    def __init__(self, keeper: _Keeper) -> None:
        self._keeper = keeper

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing: the keeper looks at its assignment after each poll."""

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Most have been let go of before; whatever has not is lost."""
        self._keeper.lose({part.partition for part in revoked})

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """We were out of reach for too long: others serve these now."""
        self._keeper._assignor.forget()
        self._keeper.lose({part.partition for part in lost})


class _Assignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """Divides the partitions by sharing.py, and carries what that needs in the protocol."""

    name = "smallprint-keep"
    version = 0

    def __init__(self, options: _Options, partitions: int) -> None:
        self._topics = (options.topic, retry_topic(options.topic))
        self._partitions = partitions
        self._guard = threading.Lock()
        self._served: frozenset[int] = frozenset()
        self._give_up = 0

    @property
    def served(self) -> frozenset[int]:
        """The partitions that are ours and that we have not let go of."""
        with self._guard:
            return self._served

    @property
    def give_up(self) -> int:
        """How many of them we should let go of."""
        with self._guard:
            return self._give_up

    def release(self, numbers: Iterable[int]) -> None:
        """Report these no more: they are free for others."""
        with self._guard:
            self._served -= set(numbers)
            self._give_up = 0

    def forget(self) -> None:
        """Nothing is ours."""
        with self._guard:
            self._served, self._give_up = frozenset(), 0

    def supported_protocols(self) -> list[RebalanceProtocol]:
        return [RebalanceProtocol.COOPERATIVE]

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolSubscription:
        report = json.dumps(sorted(self.served)).encode()
        return ConsumerProtocolSubscription(self.version, list(topics), report)

    def assign(
        self,
        cluster: object,  # noqa: ARG002 - the client's signature
        members: Iterable[Any],
    ) -> dict[str, ConsumerProtocolAssignment]:
        served = {one.member_id: json.loads(one.metadata.user_data or b"[]") for one in members}
        return {
            member: ConsumerProtocolAssignment(
                self.version,
                [(topic, sorted(part.partitions)) for topic in self._topics],
                json.dumps(part.give_up).encode(),
            )
            for member, part in share(range(self._partitions), served).items()
        }

    def on_assignment(
        self,
        assignment: ConsumerProtocolAssignment,
        generation: int,  # noqa: ARG002 - the client's signature
    ) -> None:
        with self._guard:
            self._served = frozenset(part.partition for part in assignment.partitions())
            self._give_up = int(assignment.user_data or b"0")
