"""The tables and queries of webhooks. What people ask for names the tenant in every query; the
queue, which sends for all tenants, goes by the webhook, and each row has the tenant of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from services.ingest.domain import now_utc
from services.ingest.store import decode_cursor, encode_cursor
from services.ingest.webhooks.domain import (
    TEST,
    Attempt,
    Delivery,
    DeliveryState,
    Health,
    Message,
    Webhook,
    delivery_id,
)
from services.ingest.webhooks.messages import without_words
from shared.storage import Store
from shared.storage.messages import Number, Time
from shared.storage.tenants import across_tenants
from shared.tracing import carried

ATTEMPTS_KEPT = 20
"""Of one delivery, the newest."""
BATCH = 500
"""Rows that are removed at once, so that nobody waits long for the database."""
DISABLED = "webhook_disabled: the webhook is disabled; enable it, then ask for redelivery"

metadata = MetaData()

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("types", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_reason", Text),
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),
    Column("old_secret_until", Time),
    Column("created", Time, nullable=False),
    Column("created_by", String(100), nullable=False),
    Column("updated", Time, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("failing_since", Time),
    Column("last_failed", Time),
    Column("last_delivered", Time),
    Column("rests_until", Time),
    Column("lease", String(100)),
    Column("leased_until", Time),
    Column("served", Time, nullable=False),
    Column("deleted", Time),
    Index("webhooks_of_tenant", "tenant", "created", "id"),
)

messages = Table(
    "webhook_messages",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("type", String(64), nullable=False),
    Column("document_id", String(64)),
    Column("time", Time, nullable=False),
    Column("data", JSON, nullable=False),
    Column("created", Time, nullable=False),
    Column("trace", String(64)),
    Index("webhook_messages_of_document", "tenant", "document_id"),
    Index("webhook_messages_oldest", "created"),
)

deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("tenant", String(64), nullable=False),
    Column("webhook_id", String(64), ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column(
        "message_id",
        String(64),
        ForeignKey("webhook_messages.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("type", String(64), nullable=False),
    Column("document_id", String(64)),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("tries", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("due", Time),
    Column("created", Time, nullable=False),
    Column("delivered", Time),
    Index("webhook_deliveries_of_webhook", "webhook_id", "number"),
    Index("webhook_deliveries_of_message", "message_id"),
    Index("webhook_deliveries_of_document", "tenant", "document_id"),
    Index("webhook_deliveries_oldest", "created"),
)
_waiting = deliveries.c.state == "pending"
Index(
    "webhook_deliveries_due",
    deliveries.c.webhook_id,
    deliveries.c.due,
    deliveries.c.number,
    sqlite_where=_waiting,
    postgresql_where=_waiting,
)

attempts = Table(
    "webhook_attempts",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column(
        "delivery",
        Number,
        ForeignKey("webhook_deliveries.number", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("time", Time, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("excerpt", Text),
    Index("webhook_attempts_of_delivery", "delivery", "number"),
)

_QUEUE = "the queue serves the webhooks of all"
_OLD = "what is older than the log is kept"
_HEALTH = tuple(field.name for field in fields(Health))
_WEBHOOK = tuple(field.name for field in fields(Webhook) if field.name not in ("types", "health"))


class Webhooks:
    """The webhooks of one tenant that are not deleted, within one transaction."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant
        self._mine = and_(webhooks.c.tenant == tenant, webhooks.c.deleted.is_(None))

    def get(self, webhook_id: str, *, for_update: bool = False) -> Webhook | None:
        """One webhook, or None if the tenant has none of that id."""
        query = select(webhooks).where(self._mine, webhooks.c.id == webhook_id)
        if for_update:
            query = query.with_for_update(key_share=True)
        row = self.session.execute(query).mappings().one_or_none()
        return None if row is None else _webhook(row)

    def add(self, webhook: Webhook) -> None:
        """Keep a new one."""
        row = {**_webhook_row(webhook), "served": webhook.created}
        self.session.execute(insert(webhooks).values(row))

    def save(self, webhook: Webhook) -> None:
        """Keep what has changed; what waits for a disabled one has failed."""
        mine = (self._mine, webhooks.c.id == webhook.id)
        self.session.execute(update(webhooks).where(*mine).values(_webhook_row(webhook)))
        if not webhook.enabled:
            _give_up(self.session, self.tenant, webhook.id)

    def remove(self, webhook_id: str, now: datetime) -> bool:
        """Make one invisible and forget its secrets; the queue removes its log, bit by bit."""
        gone = {"deleted": now, "enabled": False, "secret": "", "old_secret": None, "url": ""}
        found = self.session.execute(
            update(webhooks).where(self._mine, webhooks.c.id == webhook_id).values(gone)
        )
        _give_up(self.session, self.tenant, webhook_id)
        return found.rowcount == 1  # type: ignore[attr-defined, no-any-return]

    def all(self) -> list[Webhook]:
        """Every one, oldest first."""
        query = select(webhooks).where(self._mine).order_by(webhooks.c.created, webhooks.c.id)
        return [_webhook(row) for row in self.session.execute(query).mappings()]

    def count(self) -> int:
        """How many there are."""
        query = select(func.count()).select_from(webhooks).where(self._mine)
        return int(self.session.execute(query).scalar_one())

    def page(self, *, limit: int, cursor: str | None) -> tuple[list[Webhook], str | None]:
        """Webhooks, newest first, and the cursor that the list goes on from."""
        query = select(webhooks).where(self._mine)
        if cursor is not None:
            created, last = decode_cursor(cursor)
            same = and_(webhooks.c.created == created, webhooks.c.id < last)
            query = query.where(or_(webhooks.c.created < created, same))
        query = query.order_by(webhooks.c.created.desc(), webhooks.c.id.desc()).limit(limit + 1)
        found = [_webhook(row) for row in self.session.execute(query).mappings()]
        more = None
        if len(found) > limit:
            more = encode_cursor(found[limit - 1].created, found[limit - 1].id)
        return found[:limit], more


class Deliveries:
    """The log of one webhook of one tenant, within one transaction."""

    def __init__(self, session: Session, tenant: str, webhook_id: str) -> None:
        self.session = session
        self.webhook_id = webhook_id
        self._mine = and_(deliveries.c.tenant == tenant, deliveries.c.webhook_id == webhook_id)

    def get(self, identifier: str) -> Delivery | None:
        """One delivery with its attempts, or None if the webhook has none of that id."""
        found = self._found(select(deliveries).where(self._mine, deliveries.c.id == identifier))
        return found[0] if found else None

    def page(
        self,
        *,
        limit: int,
        cursor: str | None,
        state: DeliveryState | None = None,
        kind: str | None = None,
        document_id: str | None = None,
    ) -> tuple[list[Delivery], str | None]:
        """Deliveries with their attempts, newest first, and where the list goes on from.

        `cursor` is the number of the last one that was shown, in digits.
        """
        query = select(deliveries).where(self._mine)
        wanted = (("state", state), ("type", kind), ("document_id", document_id))
        for column, value in wanted:
            if value is not None:
                query = query.where(deliveries.c[column] == value)
        if cursor is not None:
            query = query.where(deliveries.c.number < int(cursor))
        found = self._found(query.order_by(deliveries.c.number.desc()).limit(limit + 1))
        more = str(found[limit - 1].number) if len(found) > limit else None
        return found[:limit], more

    def again(self, identifier: str, now: datetime) -> None:
        """Send one once more, whatever became of it, with as many tries as a new one."""
        self.session.execute(
            update(deliveries).where(self._mine, deliveries.c.id == identifier).values(_afresh(now))
        )

    def all_failed_again(self, since: datetime, now: datetime) -> int:
        """Send all that failed since a moment once more, but for tests. Returns how many."""
        failed = (deliveries.c.state == "failed", deliveries.c.type != TEST)
        done = self.session.execute(
            update(deliveries)
            .where(self._mine, *failed, deliveries.c.created >= since)
            .values(_afresh(now))
        )
        return int(done.rowcount)  # type: ignore[attr-defined]

    def _found(self, query: Any) -> list[Delivery]:
        rows = self.session.execute(query).mappings().all()
        made = _attempts(self.session, [row["number"] for row in rows])
        return [_delivery(row, made.get(row["number"], ())) for row in rows]


def publish(session: Session, news: Sequence[Message], only: Webhook | None = None) -> None:
    """Note messages for every webhook of their tenant that wants them, in this transaction.

    A message of an id that is known is not noted again. A webhook that is disabled has it in its
    log as failed, so that it can be redelivered. `only` sends it to this one, whatever it wants.
    """
    for message in news:
        takers = [only] if only else Webhooks(session, message.tenant).all()
        takers = [webhook for webhook in takers if only or webhook.wants(message.type)]
        this = messages.c.tenant == message.tenant, messages.c.id == message.id
        known = select(exists().where(*this))
        if not takers or session.execute(known).scalar_one():
            continue
        now = now_utc()
        row = {**asdict(message), "trace": message.trace or carried().parent}
        session.execute(insert(messages).values(**row, created=now))
        rows = [_new_delivery(webhook, message, now) for webhook in takers]
        session.execute(insert(deliveries), rows)


def forget_words(session: Session, tenant: str, document_id: str) -> None:
    """Take out of messages and answers what may quote a document that is deleted."""
    mine = (messages.c.tenant == tenant, messages.c.document_id == document_id)
    for row in session.execute(select(messages.c.id, messages.c.data).where(*mine)).all():
        data = without_words(row.data)
        session.execute(update(messages).where(*mine, messages.c.id == row.id).values(data=data))
    of_document = select(deliveries.c.number).where(
        deliveries.c.tenant == tenant, deliveries.c.document_id == document_id
    )
    session.execute(
        update(attempts).where(attempts.c.delivery.in_(of_document)).values(excerpt=None)
    )


@dataclass(frozen=True)
class Turn:
    """One webhook, held for a while, and what is due for it."""

    lease: str
    webhook: Webhook
    due: tuple[tuple[Delivery, Message], ...]


class Queue:
    """What is to be sent, for all tenants. Leases let one sender at a time serve a webhook.

    Args:
        lease: for how long a webhook is held without a sign of life.
    """

    def __init__(self, store: Store, lease: timedelta) -> None:
        self.store = store
        self.lease = lease

    def claim(self, owner: str, now: datetime, most: int) -> Turn | None:
        """Hold the webhook that was served longest ago and has something due, or None."""
        with self.store.read() as session:
            if session.execute(across_tenants(self._next(now), _QUEUE)).first() is None:
                return None  # most looks end here, without a writer's lock
        lease = f"{owner}/{secrets.token_hex(8)}"
        with self.store.write() as session:
            query = self._next(now).with_for_update(skip_locked=True, key_share=True)
            row = session.execute(across_tenants(query, _QUEUE)).mappings().first()
            if row is None:
                return None
            held = {"lease": lease, "leased_until": now + self.lease, "served": now}
            webhook = _webhook(row)
            session.execute(update(webhooks).where(*_is(webhook)).values(held))
            return Turn(lease, webhook, self._due(session, webhook, now, most))

    def note(
        self,
        turn: Turn,
        delivery: Delivery,
        attempt: Attempt,
        due: datetime | None,
        change: Callable[[Webhook], Webhook],
    ) -> bool:
        """Write down one attempt, and what it means for its webhook, in one transaction.

        Args:
            due: when a failed one is tried again; None if it is given up.
            change: makes the webhook after the attempt of the one before it, unless it has got
                another URL meanwhile.

        Returns:
            Whether the turn may go on: the webhook is still held, and still wants messages.
        """
        with self.store.write() as session:
            query = select(webhooks).where(*_is(turn.webhook))
            row = session.execute(query.with_for_update(key_share=True)).mappings().one_or_none()
            if row is None or row["deleted"] is not None:
                return False
            self._keep_attempt(session, turn.webhook.tenant, delivery, attempt, due)
            after = _webhook(row)
            if after.url == turn.webhook.url:
                after = change(after)
            held = row["lease"] == turn.lease
            until = attempt.time + timedelta(seconds=attempt.seconds) + self.lease
            lease = {"leased_until": until} if held else {}
            session.execute(
                update(webhooks).where(*_is(after)).values(**_webhook_row(after), **lease)
            )
            if not after.enabled:
                _give_up(session, after.tenant, after.id)
            return held and after.enabled and after.health.rests_until is None

    def release(self, turn: Turn) -> None:
        """Let others serve the webhook."""
        self._free(*_is(turn.webhook), webhooks.c.lease == turn.lease)

    def release_all(self, owner: str) -> None:
        """Let go of what a process of this name held when it died."""
        held = webhooks.c.lease.startswith(f"{owner}/", autoescape=True)
        free = update(webhooks).where(held).values(lease=None, leased_until=None)
        with self.store.write() as session:
            session.execute(across_tenants(free, _QUEUE))

    def prune(self, before: datetime) -> int:
        """Remove some of what is older than the log is kept, and of what deleted webhooks left.

        What still waits to be sent stays. Returns how many rows went, at the most four batches; 0:
        nothing is left to remove.
        """
        waits = and_(
            deliveries.c.state == "pending",
            exists().where(webhooks.c.id == deliveries.c.webhook_id, webhooks.c.enabled),
        )
        deleted = select(webhooks.c.id).where(webhooks.c.deleted.is_not(None))
        gone = deliveries.c.webhook_id.in_(deleted)
        told = exists().where(deliveries.c.message_id == messages.c.id)
        left = exists().where(deliveries.c.webhook_id == webhooks.c.id)
        return sum(
            self._remove(table, column, condition)
            for table, column, condition in (
                (deliveries, deliveries.c.number, and_(deliveries.c.created < before, ~waits)),
                (deliveries, deliveries.c.number, gone),
                (messages, messages.c.id, and_(messages.c.created < before, ~told)),
                (webhooks, webhooks.c.id, and_(webhooks.c.deleted.is_not(None), ~left)),
            )
        )

    def _remove(self, table: Table, column: Any, condition: Any) -> int:
        with self.store.read() as session:
            query = across_tenants(select(column).where(condition).limit(BATCH), _OLD)
            found = session.execute(query).scalars().all()
        if found:
            with self.store.write() as session:
                gone = delete(table).where(column.in_(found), condition)
                session.execute(across_tenants(gone, _OLD))
        return len(found)

    def _next(self, now: datetime) -> Any:
        # Further ahead than a lease can be, the clock was set back: it counts as run out.
        free = or_(
            webhooks.c.leased_until.is_(None),
            webhooks.c.leased_until <= now,
            webhooks.c.leased_until > now + 2 * self.lease,
        )
        rested = or_(webhooks.c.rests_until.is_(None), webhooks.c.rests_until <= now)
        due = exists().where(
            deliveries.c.webhook_id == webhooks.c.id,
            deliveries.c.state == "pending",
            deliveries.c.due <= now,
        )
        return (
            select(webhooks)
            .where(webhooks.c.enabled, webhooks.c.deleted.is_(None), free, rested, due)
            .order_by(webhooks.c.served, webhooks.c.id)
            .limit(1)
        )

    def _due(
        self, session: Session, webhook: Webhook, now: datetime, most: int
    ) -> tuple[tuple[Delivery, Message], ...]:
        query = (
            select(deliveries)
            .where(
                deliveries.c.tenant == webhook.tenant,
                deliveries.c.webhook_id == webhook.id,
                deliveries.c.state == "pending",
                deliveries.c.due <= now,
            )
            .order_by(deliveries.c.due, deliveries.c.number)
            .limit(most)
        )
        found = [_delivery(row, ()) for row in session.execute(query).mappings()]
        ids = {delivery.message_id for delivery in found}
        these = messages.c.tenant == webhook.tenant, messages.c.id.in_(ids)
        rows = session.execute(select(messages).where(*these)).mappings()
        known = {row["id"]: _message(row) for row in rows}
        return tuple((delivery, known[delivery.message_id]) for delivery in found)

    def _keep_attempt(
        self,
        session: Session,
        tenant: str,
        delivery: Delivery,
        attempt: Attempt,
        due: datetime | None,
    ) -> None:
        """A delivery that was asked for again meanwhile stays as it is: it is due already."""
        session.execute(insert(attempts).values(delivery=delivery.number, **asdict(attempt)))
        _forget_old_attempts(session, delivery.number)
        state = "delivered" if attempt.error is None else "pending" if due else "failed"
        kept: dict[str, Any] = {"state": state, "reason": attempt.error, "due": due}
        if attempt.error is None:
            kept["delivered"] = attempt.time
        session.execute(
            update(deliveries)
            .where(
                deliveries.c.tenant == tenant,
                deliveries.c.number == delivery.number,
                deliveries.c.round == delivery.round,
                deliveries.c.state != "delivered",
            )
            .values(tries=deliveries.c.tries + 1, **kept)
        )

    def _free(self, *which: Any) -> None:
        with self.store.write() as session:
            session.execute(update(webhooks).where(*which).values(lease=None, leased_until=None))


def _is(webhook: Webhook) -> tuple[ColumnElement[bool], ...]:
    return webhooks.c.tenant == webhook.tenant, webhooks.c.id == webhook.id


def _give_up(session: Session, tenant: str, webhook_id: str) -> None:
    mine = deliveries.c.tenant == tenant, deliveries.c.webhook_id == webhook_id
    session.execute(
        update(deliveries)
        .where(*mine, deliveries.c.state == "pending")
        .values(state="failed", due=None, reason=DISABLED)
    )


def _afresh(now: datetime) -> dict[str, Any]:
    again = {"state": "pending", "reason": None, "tries": 0, "due": now}
    return {**again, "round": deliveries.c.round + 1}


def _new_delivery(webhook: Webhook, message: Message, now: datetime) -> dict[str, Any]:
    return {
        "id": delivery_id(webhook.id, message.id),
        "tenant": webhook.tenant,
        "webhook_id": webhook.id,
        "message_id": message.id,
        "type": message.type,
        "document_id": message.document_id,
        "state": "pending" if webhook.enabled else "failed",
        "reason": None if webhook.enabled else DISABLED,
        "tries": 0,
        "round": 0,
        "due": now if webhook.enabled else None,
        "created": now,
    }


def _forget_old_attempts(session: Session, delivery: int) -> None:
    mine = attempts.c.delivery == delivery
    kept = select(attempts.c.number).where(mine).order_by(attempts.c.number.desc())
    session.execute(
        delete(attempts).where(mine, attempts.c.number.not_in(kept.limit(ATTEMPTS_KEPT)))
    )


def _attempts(session: Session, numbers: Sequence[int]) -> dict[int, tuple[Attempt, ...]]:
    query = select(attempts).where(attempts.c.delivery.in_(numbers)).order_by(attempts.c.number)
    found: dict[int, tuple[Attempt, ...]] = {}
    names = [field.name for field in fields(Attempt)]
    for row in session.execute(query).mappings():
        attempt = Attempt(**{name: row[name] for name in names})
        found[row["delivery"]] = (*found.get(row["delivery"], ()), attempt)
    return found


def _webhook_row(webhook: Webhook) -> dict[str, Any]:
    row = {name: getattr(webhook, name) for name in _WEBHOOK}
    return {**row, "types": list(webhook.types), **asdict(webhook.health)}


def _webhook(row: RowMapping) -> Webhook:
    values = {name: row[name] for name in _WEBHOOK}
    health = Health(**{name: row[name] for name in _HEALTH})
    return Webhook(**values, types=tuple(row["types"]), health=health)


def _message(row: RowMapping) -> Message:
    return Message(**{field.name: row[field.name] for field in fields(Message)})


def _delivery(row: RowMapping, made: tuple[Attempt, ...]) -> Delivery:
    names = (field.name for field in fields(Delivery) if field.name != "attempts")
    return replace(Delivery(**{name: row[name] for name in names}), attempts=made)
