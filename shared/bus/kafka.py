"""The bus on Apache Kafka: the only module that imports `kafka`.

One topic, `documents`. A URL may carry options:
kafka://host:9092,host:9092?topic=documents&partitions=12&replication=-1&timeout=15 (seconds).
With TLS and a user it is kafka://user:password@host:9093?tls=1&ca=FILE&sasl=SCRAM-SHA-512, and with
certificates ?tls=1&ca=FILE&cert=FILE&key=FILE (PEM).

The readers of a group share the partitions. A reader starts a partition at the position in the
database of its service. The offsets that it commits only inform operators of the broker.

If a reader dies, its partitions go to others after the session timeout. With ?instance=NAME readers
are static members: a process that returns under its name within that time keeps its partitions. But
the partitions of a stopped process wait that long, too. With &leave=1 a process leaves its groups
at a normal end, so they wait only after a crash.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import MemberToRemove
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import FencedInstanceIdError, KafkaError, KafkaTimeoutError, RetriableError
from kafka.net.compat import KafkaNetClient
from kafka.structs import MemberState, OffsetAndMetadata

from shared.bus import Message, Positions, Record, kafka_logs, refuse_large
from shared.errors import SettingsError, Unavailable

log = logging.getLogger(__name__)
kafka_logs.hush()

_READ_AT_ONCE = 100
_JOIN_MS = 2000
_FETCH_WAIT_MS = 1000
"""Milliseconds that the broker holds an empty fetch. New messages are sent at once, but a newly
assigned partition may wait this long."""
_HEARTBEAT_MS = 3000
_REBALANCE_MS = 120_000
"""Milliseconds that the group waits for a live member to rejoin."""
_CLOSE_MS = 5000
_TOPICS_MS = 3000
_ASK_AGAIN_SECONDS = 0.2
_KEEP = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
"""Settings of a new topic: messages never expire, because a new group starts at the beginning.
Operators can change the topic."""
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_LATEST, _EARLIEST = -1, -2
"""Special timestamps in requests for offsets."""


@dataclass(frozen=True)
class _Options:
    """The options of the URL. `timeout` is in seconds, for one request or one publish."""

    topic: str = "documents"
    partitions: int = 12
    replication: int = -1
    """Copies of each partition; -1: the broker's default."""
    timeout: float = 15.0
    instance: str = ""
    """Unique name of this process in its groups; empty: none."""
    leave: bool = False
    """Whether the process leaves its groups at a normal end, because its name won't come back."""
    tls: bool = False
    ca: str = ""
    """File of the authorities for the broker's certificate; empty: the system's."""
    cert: str = ""
    key: str = ""
    """Files of the client's certificate and its key, if the broker requires them."""
    sasl: str = ""
    """SASL mechanism for user and password of the URL; empty: none."""

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
                f"The bus URL has an invalid option ({error}): use kafka://host:port"
                "?topic=NAME&partitions=NUMBER&replication=NUMBER&timeout=SECONDS&instance=NAME"
                f"&leave=1&tls=1&ca=FILE&cert=FILE&key=FILE&sasl={'|'.join(_MECHANISMS)}."
            ) from None


class KafkaBus:
    """The bus of a cluster at `servers` (host:port, separated by commas).

    `lease`: session timeout of readers in seconds, within the broker's limits (by default 6 to
    1,800). A missing topic is created.
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
        self._guard = threading.RLock()
        self._asking = threading.RLock()
        self._readers: weakref.WeakSet[KafkaReader] = weakref.WeakSet()
        self._producer: Any = None
        self._closed = False
        with self.unavailable():
            self._admin = _opened(KafkaAdminClient, **self.client())
            try:
                self._topic_id, self.partitions = self._make_topic()
            except BaseException:
                self._admin.close()
                raise

    def publish(self, *messages: Message) -> None:
        refuse_large(messages)
        with self.unavailable():
            try:
                futures = [self.start_sending(message) for message in messages]
                end = time.monotonic() + self.options.timeout + 1
                for future in futures:
                    future.get(max(0.0, end - time.monotonic()))
            except KafkaError:
                with self._guard:
                    self._discard_producer(timeout=0)  # its unsent messages must not come later
                raise

    def reader(self, group: str, positions: Callable[[], Positions] = dict) -> KafkaReader:
        self._check_open()
        reader = KafkaReader(self, group, positions)
        self._readers.add(reader)
        return reader

    def lag(self, positions: Positions) -> int:
        parts = [TopicPartition(self.options.topic, n) for n in range(self.partitions)]
        with self._asking, self.unavailable():
            ends = self._ask(self._admin.list_partition_offsets, dict.fromkeys(parts, _LATEST))
            starts = self._ask(self._admin.list_partition_offsets, dict.fromkeys(parts, _EARLIEST))
        return sum(
            max(
                0, ends[part].offset - max(starts[part].offset, positions.get(self.log_of(part), 0))
            )
            for part in parts
        )

    def keys(self, positions: Positions) -> frozenset[str] | None:
        return None if self.lag(positions) else frozenset()

    def close(self) -> None:
        self._closed = True
        for reader in list(self._readers):
            reader.close()
        with self._guard:
            self._discard_producer(timeout=_CLOSE_MS / 1000)
        with self._asking, suppress(KafkaError):
            self._admin.close()

    # For readers

    def log_of(self, part: TopicPartition) -> str:
        """Return the log of a partition. A topic that is created again has another id."""
        return f"{self._topic_id}/{part.partition}"

    def leave(self, group: str, member: str) -> None:
        """Remove a static member from a group; otherwise the broker waits for its return."""
        gone = MemberToRemove(member, self.options.instance, "it ends")
        with self._asking:
            self._admin.remove_group_members(group, [gone])

    def client(self) -> dict[str, Any]:
        """Return the settings that all Kafka clients share."""
        timeout = int(self.options.timeout * 1000)
        return {
            "bootstrap_servers": self.servers.split(","),
            "client_id": "smallprint",
            "request_timeout_ms": timeout,
            "bootstrap_timeout_ms": timeout,
            "reconnect_backoff_max_ms": 1000,
            **self._security,
        }

    def start_sending(self, message: Message) -> Any:
        """Send a message; return the future of its acknowledgement."""
        with self._guard:
            self._check_open()
            if self._producer is None:
                self._producer = self._make_producer()
            producer = self._producer
        return producer.send(
            self.options.topic,
            message.value,
            key=message.key.encode(),
            headers=[(name, value.encode()) for name, value in message.headers.items()],
        )

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("This bus has been closed.")

    @contextmanager
    def unavailable(self) -> Iterator[None]:
        """Turn errors of the client into Unavailable."""
        try:
            yield
        except (KafkaError, OSError, RuntimeError) as error:
            what = str(error) or type(error).__name__
            raise Unavailable(f"The Kafka broker at {self.servers} failed: {what}") from error

    def _ask(self, question: Callable[[Any], Any], about: Any) -> Any:
        """Ask the broker, and ask again while it is not ready yet."""
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
        """Close the producer within `timeout` seconds; drop messages unsent by then.

        With unsent messages, `close` of kafka-python 3.0 raises and its thread goes on. It would
        send them later.
        """
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            producer.close(timeout=timeout)
        except KafkaError as error:
            log.info("a producer is ended with messages left to send: %s", error)
            producer._sender.force_close()

    def _make_topic(self) -> tuple[str, int]:
        """Create the topic if it is missing. Returns its id and number of partitions."""
        topic = self.options.topic
        if topic not in self._admin.list_topics():
            self._create(topic)
        (described,) = self._admin.describe_topics([topic])
        return str(described["topic_id"]), len(described["partitions"])

    def _create(self, topic: str) -> None:
        """Create the topic. Try again while a broker that just started refuses it."""
        settings = {
            "num_partitions": self.options.partitions,
            "replication_factor": self.options.replication,
            "configs": _KEEP,
        }
        end = time.monotonic() + self.options.timeout
        while True:
            # An error may mean that another process is creating the topic.
            answer = self._admin.create_topics({topic: settings}, raise_errors=False)
            try:
                self._admin.wait_for_topics([topic], _TOPICS_MS)
                return
            except KafkaTimeoutError as error:
                if time.monotonic() > end:
                    reasons = {one["name"]: one["error_message"] for one in answer["topics"]}
                    raise KafkaTimeoutError(f"the topic can't be made: {reasons}") from error


def _security(user: str, options: _Options) -> dict[str, Any]:
    """The client's settings for TLS, user and password. Raises SettingsError."""
    if bool(user) != bool(options.sasl):
        raise SettingsError(
            "The bus URL has a user or ?sasl=…, and needs both: kafka://user:password@host:port"
            "?sasl=SCRAM-SHA-512."
        )
    if options.sasl == "PLAIN" and not options.tls:
        raise SettingsError("The bus URL would send its password unencrypted: add &tls=1.")
    if not options.tls and (options.ca or options.cert or options.key):
        raise SettingsError("The bus URL names certificates, but not TLS: add &tls=1.")
    for file in filter(None, (options.ca, options.cert, options.key)):
        if not os.access(file, os.R_OK):
            raise SettingsError(f"The bus URL names a file that can't be read: {file}.")
    name, _, password = user.partition(":")
    settings: dict[str, Any] = {
        "security_protocol": ("SASL_" if user else "") + ("SSL" if options.tls else "PLAINTEXT"),
        "ssl_cafile": options.ca or None,
        "ssl_certfile": options.cert or None,
        "ssl_keyfile": options.key or None,
    }
    if user:
        settings |= {
            "sasl_mechanism": options.sasl,
            "sasl_plain_username": unquote(name),
            "sasl_plain_password": unquote(password),
        }
    return settings


def _opened(kind: Callable[..., Any], **settings: Any) -> Any:
    """Make a Kafka client; end its thread if it can't reach the broker.

    The constructors of kafka-python 3.0 start a thread and then ask the broker. If that fails, they
    raise and the thread goes on.
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


class KafkaReader:
    """A member of a group."""

    def __init__(self, bus: KafkaBus, group: str, positions: Callable[[], Positions]) -> None:
        self._bus = bus
        self._group = group
        self._positions = positions
        self._taken: set[TopicPartition] = set()
        """Partitions whose position was set."""
        self._closed = False
        with self._errors():
            self._consumer = self._join()

    def read(self, timeout: float) -> list[Record]:
        if self._closed:
            raise Unavailable("This reader has been closed.")
        with self._errors():
            polled = self._consumer.poll(self._poll_ms(timeout), max_records=_READ_AT_ONCE)
            # Messages read before the position is set are read again, from the right one.
            read = [
                Record(_message(raw), self._bus.log_of(part), raw.offset)
                for part, raws in polled.items()
                if part in self._taken
                for raw in raws
            ]
            self._take_up()
        return read

    def commit(self, positions: Positions) -> None:
        offsets = {
            part: OffsetAndMetadata(position, "", -1)
            for part in self._taken
            if (position := positions.get(self._bus.log_of(part))) is not None
        }
        if offsets and not self._closed:
            with self._errors():
                self._consumer.commit(offsets, timeout_ms=_CLOSE_MS)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            member = self._consumer.group_metadata().member_id
            self._consumer.close(timeout_ms=_CLOSE_MS)
            if self._bus.options.instance and self._bus.options.leave and member:
                self._bus.leave(self._group, member)
        except (KafkaError, OSError, RuntimeError) as error:  # the broker waits as after a crash
            log.info("the group %s was not left: %s", self._group, error)

    def lose(self, parts: Iterable[TopicPartition]) -> None:
        """Stop reading these partitions."""
        self._taken -= set(parts)

    def _join(self) -> Any:
        session = int(self._bus.lease * 1000)
        consumer = _opened(
            KafkaConsumer,
            **self._bus.client(),
            group_id=self._group,
            group_instance_id=self._bus.options.instance or None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=session,
            heartbeat_interval_ms=min(_HEARTBEAT_MS, session // 3),
            max_poll_interval_ms=_REBALANCE_MS,
            fetch_max_wait_ms=min(_FETCH_WAIT_MS, int(self._bus.options.timeout * 1000) // 4),
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
        consumer.partitions_for_topic(self._bus.options.topic)  # else the first assignment is empty
        consumer.subscribe([self._bus.options.topic], listener=_Listener(self))
        return consumer

    def _poll_ms(self, timeout: float) -> int:
        """Return the milliseconds to poll: more while joining, so that one poll sees it end.

        kafka-python 3.0 may miss a join that ends between two polls: `join_group_async` forgets it
        unless a rejoin is requested. The member then stays half joined, without heartbeats. So a
        reader that is no stable member requests a rejoin.
        """
        if self._consumer.group_metadata().state == MemberState.STABLE:
            return int(timeout * 1000)
        self._consumer._coordinator.request_rejoin()  # the client has no public way to ask for it
        return _JOIN_MS

    def _take_up(self) -> None:
        """Seek to the stored position of each newly assigned partition."""
        new = self._consumer.assignment() - self._taken
        if not new:
            return
        timeout = int(self._bus.options.timeout * 1000)
        starts = self._consumer.beginning_offsets(list(new), timeout)
        positions = self._positions()
        for part in new:
            position = positions.get(self._bus.log_of(part), 0)
            self._consumer.seek(part, max(position, starts[part]))
        self._taken |= new

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with self._bus.unavailable():
                yield
        except Unavailable as error:
            if isinstance(error.__cause__, FencedInstanceIdError):
                raise Unavailable(
                    f"Another process of group {self._group} has the name "
                    f"{self._bus.options.instance}. Set a different SMALLPRINT_BUS_INSTANCE for "
                    "each process."
                ) from error
            raise


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells the reader which partitions go to others."""

    def __init__(self, reader: KafkaReader) -> None:
        self._reader = reader

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Do nothing: the reader checks its assignment after each poll."""

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Drop partitions. By default all are revoked before each assignment."""
        self._reader.lose(revoked)

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Drop partitions: the reader was unreachable too long."""
        self._reader.lose(lost)


def _message(raw: Any) -> Message:
    """Convert a record. A missing key or value, from another program, becomes empty."""
    headers = {name: (value or b"").decode(errors="replace") for name, value in raw.headers}
    key = (raw.key or b"").decode(errors="replace")
    return Message(key, raw.value or b"", headers)
