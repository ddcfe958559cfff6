"""The inbox: the received events of one service, and the queue from which its workers claim them.

An entry is `waiting`, `leased` to a worker, `done`, `dead` (given up) or `dropped` (a dead letter
that an operator removed). Entries of one key are claimed one at a time and in the order of their
numbers; those of different keys do not wait for each other. Tenants take turns.

`ready_at` is when a waiting entry may be claimed, or when a lease runs out. `ended` is set in the
last three states. `attempts` counts claims, `failures` errors, and `crashes` claims whose worker
never reported an end; an attempt that only waited for another system is neither.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Row,
    Update,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from shared.bus import Positions
from shared.errors import NotFound
from shared.messaging.tables import Time, bus_position, inbox
from shared.messaging.turns import FairScheduler, tenant_of
from shared.storage.engine import Store
from shared.storage.locks import lock
from shared.storage.tenant_isolation import across_tenants
from shared.storage.upsert import insert_into

Queue = Literal["main", "large", "decisions"]
QUEUES: tuple[Queue, ...] = ("main", "large", "decisions")

FINISHED = "finished"
"""The change that an entry ended, which may unblock others of its key."""
ORDERED: tuple[Queue, ...] = ("main", "large")
"""Queues that share the order of a key. `decisions` has its own order."""
POLL, SQLITE_POLL = 0.5, 2.0
"""Seconds between two polls of an idle worker. Changes by its own process wake it at once; on
SQLite there is usually no other process."""
LIMIT = 50_000
"""Unfinished entries above which the pump inserts no more."""
CLAIM_TRIES = 10
"""Most tries to claim an entry before other workers."""
_QUEUE = "the queue of a service serves all tenants"


@dataclass(frozen=True)
class NewEntry:
    """An event to be inserted; with an `error` it becomes a dead letter."""

    event_id: str
    queue: Queue
    key: str
    type: str
    value: bytes
    error: str | None = None


@dataclass(frozen=True)
class Lease:
    """One claimed entry, until its worker reports its end or the lease runs out."""

    number: int
    event_id: str
    queue: Queue
    key: str
    type: str
    value: bytes = field(repr=False)
    attempts: int
    """Claims, including this one."""
    failures: int
    crashes: int


@dataclass(frozen=True)
class DeadLetter:
    """An event that a service gave up."""

    id: str
    service: str
    event: str
    key: str
    type: str
    value: bytes = field(repr=False)
    error: str
    attempts: int
    time: datetime
    number: int = field(repr=False)


class Inbox:
    """The inbox of one service, as one process sees it. Threads may share it.

    Args:
        store: the database of the service.
        owner: host and process, for people who ask who works on a document.
        lease: seconds after which an entry without a heartbeat is given to another worker.
        longest: most seconds until a retry.
    """

    def __init__(
        self, store: Store, owner: str = "", lease: float = 30.0, longest: float = 300.0
    ) -> None:
        self.store = store
        self.owner = owner
        self.lease = timedelta(seconds=lease)
        self.longest = timedelta(seconds=longest)
        self._on_file = store.engine.dialect.name == "sqlite"
        self.poll = SQLITE_POLL if self._on_file else POLL
        self._turns = FairScheduler()

    # Inserting

    def positions(self) -> Positions:
        """Return where the pump continues."""
        with self.store.read() as session:
            rows = session.execute(select(bus_position.c.log, bus_position.c.next)).all()
        return {row.log: row.next for row in rows}

    def insert(self, entries: Iterable[NewEntry], positions: Positions | None = None) -> None:
        """Insert entries in order and store the positions after them, in one transaction. Known
        entries and earlier positions change nothing.
        """
        now = datetime.now(UTC)
        rows = [
            {
                "event_id": entry.event_id,
                "queue": entry.queue,
                "tenant": tenant_of(entry.key),
                "key": entry.key,
                "type": entry.type,
                "value": entry.value,
                "state": "waiting" if entry.error is None else "dead",
                "ready_at": now,
                "first_seen": now,
                "attempts": 0 if entry.error is None else 1,
                "failures": 0 if entry.error is None else 1,
                "crashes": 0,
                "ended": None if entry.error is None else now,
                "error": entry.error,
            }
            for entry in entries
        ]
        with self.store.write() as session:
            if rows:
                row = insert_into(session, inbox).on_conflict_do_nothing(
                    index_elements=["event_id", "queue"]
                )
                session.execute(across_tenants(row, _QUEUE), rows)
            for name, offset in sorted((positions or {}).items()):
                position = insert_into(session, bus_position).values(log=name, next=offset)
                session.execute(
                    position.on_conflict_do_update(
                        index_elements=["log"],
                        set_={"next": offset},
                        where=bus_position.c.next < offset,
                    )
                )
        if rows:
            self.store.inbox_changed.notify(*{str(row["queue"]) for row in rows})

    def unfinished(self, queues: Collection[Queue] = ORDERED) -> int:
        """The number of entries that are waiting or leased."""
        count = select(func.count()).select_from(inbox)
        count = count.where(inbox.c.ended.is_(None), inbox.c.queue.in_(queues))
        with self.store.read() as session:
            return int(session.execute(across_tenants(count, _QUEUE)).scalar_one())

    def unfinished_keys(self) -> frozenset[str]:
        """The keys of unfinished entries."""
        keys = select(inbox.c.key).where(inbox.c.ended.is_(None)).distinct()
        with self.store.read() as session:
            return frozenset(session.execute(across_tenants(keys, _QUEUE)).scalars())

    # Claiming

    def wait(self, queue: Queue, timeout: float) -> Lease | None:
        """Claim the next entry, waiting at most `timeout` seconds for one."""
        end = time.monotonic() + timeout
        while True:
            seen = self.store.inbox_changed.seen()
            lease, soon, topics = self._claim(queue)
            left = end - time.monotonic()
            if lease is not None or left <= 0:
                return lease
            if not self.store.inbox_changed.wait(seen, min(soon, left), *topics) and left <= soon:
                return None

    def claim(self, queue: Queue) -> Lease | None:
        """Claim the oldest ready entry of the tenant that was served longest ago, if there is one.

        An entry is ready only if its key has no older unfinished entry and no other leased one.
        """
        return self._claim(queue)[0]

    def _claim(self, queue: Queue) -> tuple[Lease | None, float, tuple[str, ...]]:
        """Claim an entry, or return None, the seconds until one may be ready, and the changes that
        may make one ready earlier.
        """
        for _ in range(CLAIM_TRIES):
            with self.store.read() as session:
                tenants = session.execute(_candidates(queue), {"now": datetime.now(UTC)}).all()
            ready = [row for row in tenants if row.number is not None]
            if not ready:
                if tenants:  # an entry of another queue may block these
                    return None, self._next_ready(queue), (queue, FINISHED)
                return None, self.poll, (queue,)
            row = min(ready, key=lambda row: (self._turns.of(row.tenant), row.number))
            if (lease := self._take(row.number, queue)) is not None:
                self._turns.take(row.tenant)
                return lease, 0.0, ()
        return None, self.poll, (queue, FINISHED)

    def _take(self, number: int, queue: Queue) -> Lease | None:
        with self.store.write() as session:
            if not self._on_file:  # SQLite has one writer anyway
                query = select(inbox.c.key).where(inbox.c.number == number)
                key = session.execute(across_tenants(query, _QUEUE)).scalar_one()
                lock(session, f"inbox {key}")
            now = datetime.now(UTC)
            values = {"this": number, "now": now, "until": now + self.lease, "by": self.owner}
            row = session.execute(_claim(queue), values).one_or_none()
        return None if row is None else Lease(**{**row._mapping, "value": bytes(row.value)})

    def _next_ready(self, queue: Queue) -> float:
        """Seconds until the next waiting entry or lease is due."""
        now = datetime.now(UTC)
        due = select(func.min(inbox.c.ready_at)).where(
            inbox.c.queue == queue, inbox.c.ended.is_(None), inbox.c.ready_at > now
        )
        with self.store.read() as session:
            at = session.execute(across_tenants(due, _QUEUE)).scalar()
        due_in = self.poll if at is None else max(0.005, (at - now).total_seconds())
        return min(due_in, self.poll)

    # The end of a claim

    def renew(self, leases: Sequence[Lease]) -> None:
        """Extend leases of work in progress; lost leases stay with their new owner."""
        now = datetime.now(UTC)
        with self.store.write() as session:
            for lease in leases:
                renewed = self._owned(lease).values(ready_at=now + self.lease, seen=now)
                session.execute(across_tenants(renewed, _QUEUE))

    def finish(self, lease: Lease) -> None:
        """Mark an entry without effect as done."""
        with self.store.write() as session:
            session.execute(across_tenants(self._owned(lease).values(**done()), _QUEUE))
        self.store.inbox_changed.notify(FINISHED)

    def retry(self, lease: Lease, ready_at: datetime, error: str, *, failed: bool) -> None:
        """Schedule another attempt. `failed`: an error ended this one, not a wait for a system."""
        again = self._owned(lease).values(
            state="waiting",
            ready_at=ready_at,
            failures=inbox.c.failures + int(failed),
            error=error,
        )
        with self.store.write() as session:
            session.execute(across_tenants(again, _QUEUE))
        self.store.inbox_changed.notify(lease.queue)

    def make_large(self, lease: Lease) -> None:
        """Move an entry to the queue of large events: it takes longer than was expected."""
        moved = self._owned(lease).values(
            queue="large", state="waiting", ready_at=datetime.now(UTC)
        )
        with self.store.write() as session:
            session.execute(across_tenants(moved, _QUEUE))
        self.store.inbox_changed.notify("large")

    def give_up(self, session: Session, lease: Lease, error: str, *, failed: bool) -> bool:
        """Make an entry a dead letter in this transaction. Returns False if its lease was lost."""
        dead = self._owned(lease).values(
            state="dead",
            ended=datetime.now(UTC),
            failures=inbox.c.failures + int(failed),
            error=error,
        )
        return _changed(session, across_tenants(dead, _QUEUE)) == 1

    def _owned(self, lease: Lease) -> Update:
        return update(inbox).where(
            inbox.c.number == lease.number,
            inbox.c.state == "leased",
            inbox.c.owner == self.owner,
            inbox.c.attempts == lease.attempts,
        )

    # Upkeep

    def release(self) -> None:
        """Free all leases, after a restore or when no other process works on this database."""
        free = update(inbox).where(inbox.c.ended.is_(None), inbox.c.state == "leased")
        free = free.values(state="waiting", ready_at=datetime.now(UTC), crashes=inbox.c.crashes + 1)
        with self.store.write() as session:
            session.execute(across_tenants(free, _QUEUE))
        self.store.inbox_changed.notify()

    def mend_times(self) -> None:
        """Correct times too far ahead, which appear when the clock is set back."""
        now = datetime.now(UTC)
        with self.store.write() as session:
            for state, longest in (("leased", self.lease), ("waiting", self.longest)):
                ahead = update(inbox).where(
                    inbox.c.ended.is_(None),
                    inbox.c.state == state,
                    inbox.c.ready_at > now + longest + timedelta(seconds=1),
                )
                session.execute(across_tenants(ahead.values(ready_at=now + longest), _QUEUE))

    # Dead letters

    def dead_letters(self) -> list[DeadLetter]:
        """Return the dead letters that were not replayed or dropped, oldest first."""
        query = select(inbox).where(inbox.c.state == "dead").order_by(inbox.c.ended, inbox.c.number)
        with self.store.read() as session:
            rows = session.execute(across_tenants(query, _QUEUE)).all()
        return [_letter(self.store.service, row) for row in rows]

    def replay(self, letter: DeadLetter) -> None:
        """Queue a dead letter again, with all its attempts. Raises NotFound if it is gone."""
        self._end_letter(
            letter,
            state="waiting",
            ready_at=datetime.now(UTC),
            attempts=0,
            failures=0,
            crashes=0,
            ended=None,
            error=None,
        )

    def drop(self, letter: DeadLetter) -> None:
        """Forget a dead letter; the event is not handled again. Raises NotFound if it is gone."""
        self._end_letter(letter, state="dropped", ended=datetime.now(UTC), value=b"")

    def _end_letter(self, letter: DeadLetter, **values: Any) -> None:
        dead = update(inbox).where(
            inbox.c.number == letter.number,
            inbox.c.state == "dead",
            inbox.c.ended == letter.time,
        )
        with self.store.write() as session:
            if not _changed(session, across_tenants(dead.values(**values), _QUEUE)):
                raise NotFound(f"There is no dead letter {letter.id}.")
        self.store.inbox_changed.notify()


def done() -> dict[str, Any]:
    """Return the columns of an entry that is done; its event is removed."""
    return {"state": "done", "ended": datetime.now(UTC), "value": b"", "error": None}


_NOW = bindparam("now", type_=Time())


@cache
def _claim(queue: Queue) -> Any:
    """Build the claim of entry `this` by worker `by`, if it is still ready."""
    other = inbox.alias("other")
    claim = update(inbox).where(
        inbox.c.number == bindparam("this"),
        inbox.c.ended.is_(None),
        inbox.c.ready_at <= _NOW,
        ~exists().where(other.c.key == inbox.c.key, *_blocks(other, bindparam("this"), queue)),
    )
    claimed = claim.values(
        state="leased",
        owner=bindparam("by"),
        ready_at=bindparam("until", type_=Time()),
        attempts=inbox.c.attempts + 1,
        crashes=inbox.c.crashes + case((inbox.c.state == "leased", 1), else_=0),
        began=_NOW,
        seen=_NOW,
    ).returning(*(inbox.c[name] for name in Lease.__dataclass_fields__))
    return across_tenants(claimed, _QUEUE)


@cache
def _candidates(queue: Queue) -> Any:
    """Build the query for the first ready entry of each tenant."""
    open_ = (inbox.c.queue == queue, inbox.c.ended.is_(None))
    tenants = select(func.min(inbox.c.tenant).label("tenant")).where(*open_).cte(recursive=True)
    later = inbox.alias("later")
    next_tenant = select(func.min(later.c.tenant)).where(
        later.c.queue == queue, later.c.ended.is_(None), later.c.tenant > tenants.c.tenant
    )
    tenants = tenants.union_all(
        select(next_tenant.scalar_subquery()).where(tenants.c.tenant.is_not(None))
    )
    entry, other = inbox.alias("entry"), inbox.alias("other")
    blocked = exists().where(other.c.key == entry.c.key, *_blocks(other, entry.c.number, queue))
    first = (
        select(entry.c.number)
        .where(
            entry.c.queue == queue,
            entry.c.tenant == tenants.c.tenant,
            entry.c.ended.is_(None),
            entry.c.ready_at <= _NOW,
            ~blocked,
        )
        .order_by(entry.c.ready_at, entry.c.number)
        .limit(1)
        .scalar_subquery()
    )
    query = select(tenants.c.tenant, first.label("number")).where(tenants.c.tenant.is_not(None))
    return across_tenants(query, _QUEUE)


def _blocks(other: Any, number: Any, queue: Queue) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions under which another entry of the key blocks this one."""
    yield other.c.number != number
    yield other.c.ended.is_(None)
    yield other.c.queue.in_(ORDERED if queue in ORDERED else (queue,))
    yield or_(other.c.number < number, and_(other.c.state == "leased", other.c.ready_at > _NOW))


def _changed(session: Session, statement: Any) -> int:
    return int(session.execute(statement).rowcount)  # type: ignore[attr-defined]


def _letter(service: str, row: Row[Any]) -> DeadLetter:
    name = f"{service} {row.queue} {row.event_id} {row.ended.isoformat()}"
    return DeadLetter(
        id=hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:32],
        service=service,
        event=row.event_id,
        key=row.key,
        type=row.type,
        value=bytes(row.value),
        error=row.error or "",
        attempts=row.attempts,
        time=row.ended,
        number=row.number,
    )
