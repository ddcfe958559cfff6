"""Tables and queries of webhooks. Every query names the tenant, except those of the queue."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.ingest.domain import now_utc
from services.ingest.store import newest
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
from services.ingest.webhooks.messages import without_reasons
from shared.errors import NotFound
from shared.messaging.tables import Number, Time
from shared.storage import Store
from shared.storage.tenant_isolation import across_tenants
from shared.tracing import carried

MAX_ATTEMPTS = 20
"""Most stored attempts of one delivery, the newest."""
BATCH = 500
"""Rows removed in one transaction, which keeps it short."""
DISABLED = "webhook_disabled: the webhook was disabled; enable it, then redeliver"

metadata = sa.MetaData()

webhooks = sa.Table(
    "webhooks",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("types", sa.JSON, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("disabled_reason", sa.Text),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("old_secret", sa.Text),
    sa.Column("old_secret_until", Time),
    sa.Column("created", Time, nullable=False),
    sa.Column("created_by", sa.String(100), nullable=False),
    sa.Column("updated", Time, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("failing_since", Time),
    sa.Column("last_failed", Time),
    sa.Column("last_delivered", Time),
    sa.Column("paused_until", Time),
    sa.Column("lease", sa.String(100)),
    sa.Column("leased_until", Time),
    sa.Column("served", Time, nullable=False),
    sa.Column("deleted", Time),
    sa.Index("webhooks_of_tenant", "tenant", "created", "id"),
)

messages = sa.Table(
    "webhook_messages",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("document_id", sa.String(64)),
    sa.Column("time", Time, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("created", Time, nullable=False),
    sa.Column("trace", sa.String(64)),
    sa.Index("webhook_messages_of_document", "tenant", "document_id"),
    sa.Index("webhook_messages_oldest", "created"),
)

deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column(
        "webhook_id",
        sa.String(64),
        sa.ForeignKey("webhooks.id", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column(
        "message_id",
        sa.String(64),
        sa.ForeignKey("webhook_messages.id", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("document_id", sa.String(64)),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("due", Time),
    sa.Column("created", Time, nullable=False),
    sa.Column("delivered", Time),
    sa.Index("webhook_deliveries_of_webhook", "webhook_id", "number"),
    sa.Index("webhook_deliveries_of_message", "message_id"),
    sa.Index("webhook_deliveries_of_document", "tenant", "document_id"),
    sa.Index("webhook_deliveries_oldest", "created"),
)
_waiting = deliveries.c.state == "pending"
sa.Index(
    "webhook_deliveries_due",
    deliveries.c.webhook_id,
    deliveries.c.due,
    deliveries.c.number,
    sqlite_where=_waiting,
    postgresql_where=_waiting,
)

attempts = sa.Table(
    "webhook_attempts",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=True),
    sa.Column(
        "delivery",
        Number,
        sa.ForeignKey("webhook_deliveries.number", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("time", Time, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.Text),
    sa.Column("excerpt", sa.Text),
    sa.Index("webhook_attempts_of_delivery", "delivery", "number"),
)

_QUEUE = "the queue serves all tenants"
_OLD = "expired rows of the log"
_HEALTH = tuple(field.name for field in fields(Health))
_WEBHOOK = tuple(field.name for field in fields(Webhook) if field.name not in ("types", "health"))


class Webhooks:
    """The webhooks of one tenant that are not deleted, within one transaction."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant
        self._mine = sa.and_(webhooks.c.tenant == tenant, webhooks.c.deleted.is_(None))

    def require(self, webhook_id: str, *, for_update: bool = False) -> Webhook:
        """Return a webhook. Raises NotFound, also for one of another tenant."""
        query = sa.select(webhooks).where(self._mine, webhooks.c.id == webhook_id)
        if for_update:
            query = query.with_for_update(key_share=True)
        row = self.session.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no webhook {webhook_id}.")
        return _webhook(row)

    def add(self, webhook: Webhook) -> None:
        row = {**_webhook_row(webhook), "served": webhook.created}
        self.session.execute(sa.insert(webhooks).values(row))

    def save(self, webhook: Webhook) -> None:
        own = (self._mine, webhooks.c.id == webhook.id)
        self.session.execute(sa.update(webhooks).where(*own).values(_webhook_row(webhook)))
        if not webhook.enabled:
            _give_up(self.session, self.tenant, webhook.id)

    def remove(self, webhook_id: str, now: datetime) -> None:
        """Hide a webhook and delete its secrets; the queue removes its log later."""
        gone = {"deleted": now, "enabled": False, "secret": "", "old_secret": None, "url": ""}
        mine = sa.update(webhooks).where(self._mine, webhooks.c.id == webhook_id)
        self.session.execute(mine.values(gone))
        _give_up(self.session, self.tenant, webhook_id)

    def all(self) -> list[Webhook]:
        query = sa.select(webhooks).where(self._mine).order_by(webhooks.c.created, webhooks.c.id)
        return [_webhook(row) for row in self.session.execute(query).mappings()]

    def count(self) -> int:
        query = sa.select(sa.func.count()).select_from(webhooks).where(self._mine)
        return int(self.session.execute(query).scalar_one())

    def page(self, *, limit: int, cursor: str | None) -> tuple[list[Webhook], str | None]:
        query = sa.select(webhooks).where(self._mine)
        rows, following = newest(
            self.session, query, webhooks.c.created, webhooks.c.id, limit, cursor
        )
        return [_webhook(row) for row in rows], following


class Deliveries:
    """The log of one webhook of one tenant, within one transaction."""

    def __init__(self, session: Session, tenant: str, webhook_id: str) -> None:
        self.session = session
        self.webhook_id = webhook_id
        self._mine = sa.and_(deliveries.c.tenant == tenant, deliveries.c.webhook_id == webhook_id)

    def require(self, identifier: str) -> Delivery:
        found = self._load(sa.select(deliveries).where(self._mine, deliveries.c.id == identifier))
        if not found:
            raise NotFound(f"Webhook {self.webhook_id} has no delivery {identifier}.")
        return found[0]

    def page(
        self,
        *,
        limit: int,
        cursor: str | None,
        state: DeliveryState | None = None,
        kind: str | None = None,
        document_id: str | None = None,
    ) -> tuple[list[Delivery], str | None]:
        """Return deliveries with their attempts, newest first, and the cursor of the next page."""
        query = sa.select(deliveries).where(self._mine)
        wanted = (("state", state), ("type", kind), ("document_id", document_id))
        for column, value in wanted:
            if value is not None:
                query = query.where(deliveries.c[column] == value)
        if cursor is not None:
            query = query.where(deliveries.c.number < int(cursor))
        found = self._load(query.order_by(deliveries.c.number.desc()).limit(limit + 1))
        more = str(found[limit - 1].number) if len(found) > limit else None
        return found[:limit], more

    def redeliver(self, identifier: str, now: datetime) -> None:
        """Send a delivery again, with as many tries as a new one."""
        self.session.execute(
            sa.update(deliveries)
            .where(self._mine, deliveries.c.id == identifier)
            .values(_reset(now))
        )

    def redeliver_failed(self, since: datetime, now: datetime) -> int:
        """Send all failed deliveries since this time again, except tests. Returns how many."""
        failed = (deliveries.c.state == "failed", deliveries.c.type != TEST)
        done = self.session.execute(
            sa.update(deliveries)
            .where(self._mine, *failed, deliveries.c.created >= since)
            .values(_reset(now))
        )
        return int(done.rowcount)  # type: ignore[attr-defined]

    def _load(self, query: Any) -> list[Delivery]:
        rows = self.session.execute(query).mappings().all()
        made = _attempts(self.session, [row["number"] for row in rows])
        return [_delivery(row, made.get(row["number"], ())) for row in rows]


def publish(session: Session, news: Sequence[Message], only: Webhook | None = None) -> None:
    """Queue messages for the webhooks of their tenant, in the caller's transaction.

    A known id is not queued again. A disabled webhook gets a failed delivery, which can be sent
    again. `only` sends to this webhook, whatever its types.
    """
    for message in news:
        every = Webhooks(session, message.tenant).all()
        wanted = [one for one in every if not one.types or message.type in one.types]
        receivers = [only] if only else wanted
        this = messages.c.tenant == message.tenant, messages.c.id == message.id
        known = sa.select(sa.exists().where(*this))
        if not receivers or session.execute(known).scalar_one():
            continue
        now = now_utc()
        row = {**asdict(message), "trace": message.trace or carried().parent}
        session.execute(sa.insert(messages).values(**row, created=now))
        rows = [_new_delivery(webhook, message, now) for webhook in receivers]
        session.execute(sa.insert(deliveries), rows)


def remove_quotes(session: Session, tenant: str, document_id: str) -> None:
    """Remove possible quotes of a deleted document from messages and responses."""
    own = (messages.c.tenant == tenant, messages.c.document_id == document_id)
    for row in session.execute(sa.select(messages.c.id, messages.c.data).where(*own)).all():
        data = without_reasons(row.data)
        session.execute(sa.update(messages).where(*own, messages.c.id == row.id).values(data=data))
    of_document = sa.select(deliveries.c.number).where(
        deliveries.c.tenant == tenant, deliveries.c.document_id == document_id
    )
    session.execute(
        sa.update(attempts).where(attempts.c.delivery.in_(of_document)).values(excerpt=None)
    )


@dataclass(frozen=True)
class Turn:
    """One leased webhook and its due messages."""

    lease: str
    webhook: Webhook
    due: tuple[tuple[Delivery, Message], ...]


class Queue:
    """Due messages of all tenants. A lease lets one sender at a time serve a webhook.

    Args:
        lease: duration without renewal.
    """

    def __init__(self, store: Store, lease: timedelta) -> None:
        self.store = store
        self.lease = lease

    def claim(self, owner: str, now: datetime, limit: int) -> Turn | None:
        """Lease the webhook with due messages that was served longest ago."""
        with self.store.read() as session:
            if session.execute(across_tenants(self._next(now), _QUEUE)).first() is None:
                return None  # most queries end here, without a write lock
        lease = f"{owner}/{secrets.token_hex(8)}"
        with self.store.write() as session:
            query = self._next(now).with_for_update(skip_locked=True, key_share=True)
            row = session.execute(across_tenants(query, _QUEUE)).mappings().first()
            if row is None:
                return None
            leased = {"lease": lease, "leased_until": now + self.lease, "served": now}
            webhook = _webhook(row)
            session.execute(sa.update(webhooks).where(*_is(webhook)).values(leased))
            return Turn(lease, webhook, self._due(session, webhook, now, limit))

    def note(
        self,
        turn: Turn,
        delivery: Delivery,
        attempt: Attempt,
        due: datetime | None,
        change: Callable[[Webhook], Webhook],
    ) -> bool:
        """Record one attempt and the webhook after it, in one transaction.

        Args:
            due: the next try of a failed message; None if there is none.
            change: returns the webhook after the attempt; skipped if its URL has changed.

        Returns:
            Whether the turn may go on: still leased, enabled and not paused.
        """
        with self.store.write() as session:
            query = sa.select(webhooks).where(*_is(turn.webhook))
            row = session.execute(query.with_for_update(key_share=True)).mappings().one_or_none()
            if row is None or row["deleted"] is not None:
                return False
            self._store_attempt(session, turn.webhook.tenant, delivery, attempt, due)
            after = _webhook(row)
            if after.url == turn.webhook.url:
                after = change(after)
            leased = row["lease"] == turn.lease
            until = attempt.time + timedelta(seconds=attempt.seconds) + self.lease
            lease = {"leased_until": until} if leased else {}
            session.execute(
                sa.update(webhooks).where(*_is(after)).values(**_webhook_row(after), **lease)
            )
            if not after.enabled:
                _give_up(session, after.tenant, after.id)
            return leased and after.enabled and after.health.paused_until is None

    def release(self, turn: Turn) -> None:
        free = sa.update(webhooks).where(*_is(turn.webhook), webhooks.c.lease == turn.lease)
        with self.store.write() as session:
            session.execute(free.values(lease=None, leased_until=None))

    def release_all(self, owner: str) -> None:
        """Release the leases of a dead process with this name."""
        leased = webhooks.c.lease.startswith(f"{owner}/", autoescape=True)
        free = sa.update(webhooks).where(leased).values(lease=None, leased_until=None)
        with self.store.write() as session:
            session.execute(across_tenants(free, _QUEUE))

    def prune(self, before: datetime) -> int:
        """Remove some expired rows and rows of deleted webhooks, four batches at most.

        Waiting deliveries stay. Returns the number of rows; 0 at the end.
        """
        waits = sa.and_(
            deliveries.c.state == "pending",
            sa.exists().where(webhooks.c.id == deliveries.c.webhook_id, webhooks.c.enabled),
        )
        deleted = sa.select(webhooks.c.id).where(webhooks.c.deleted.is_not(None))
        gone = deliveries.c.webhook_id.in_(deleted)
        delivered = sa.exists().where(deliveries.c.message_id == messages.c.id)
        remaining = sa.exists().where(deliveries.c.webhook_id == webhooks.c.id)
        return sum(
            self._remove(table, column, condition)
            for table, column, condition in (
                (deliveries, deliveries.c.number, sa.and_(deliveries.c.created < before, ~waits)),
                (deliveries, deliveries.c.number, gone),
                (messages, messages.c.id, sa.and_(messages.c.created < before, ~delivered)),
                (webhooks, webhooks.c.id, sa.and_(webhooks.c.deleted.is_not(None), ~remaining)),
            )
        )

    def _remove(self, table: sa.Table, column: Any, condition: Any) -> int:
        with self.store.read() as session:
            query = across_tenants(sa.select(column).where(condition).limit(BATCH), _OLD)
            found = session.execute(query).scalars().all()
        if found:
            with self.store.write() as session:
                gone = sa.delete(table).where(column.in_(found), condition)
                session.execute(across_tenants(gone, _OLD))
        return len(found)

    def _next(self, now: datetime) -> Any:
        # A lease further ahead than possible means that the clock was set back: it has expired.
        free = sa.or_(
            webhooks.c.leased_until.is_(None),
            webhooks.c.leased_until <= now,
            webhooks.c.leased_until > now + 2 * self.lease,
        )
        rested = sa.or_(webhooks.c.paused_until.is_(None), webhooks.c.paused_until <= now)
        due = sa.exists().where(
            deliveries.c.webhook_id == webhooks.c.id,
            deliveries.c.state == "pending",
            deliveries.c.due <= now,
        )
        return (
            sa.select(webhooks)
            .where(webhooks.c.enabled, webhooks.c.deleted.is_(None), free, rested, due)
            .order_by(webhooks.c.served, webhooks.c.id)
            .limit(1)
        )

    def _due(
        self, session: Session, webhook: Webhook, now: datetime, limit: int
    ) -> tuple[tuple[Delivery, Message], ...]:
        query = (
            sa.select(deliveries)
            .where(
                deliveries.c.tenant == webhook.tenant,
                deliveries.c.webhook_id == webhook.id,
                deliveries.c.state == "pending",
                deliveries.c.due <= now,
            )
            .order_by(deliveries.c.due, deliveries.c.number)
            .limit(limit)
        )
        found = [_delivery(row, ()) for row in session.execute(query).mappings()]
        ids = {delivery.message_id for delivery in found}
        these = messages.c.tenant == webhook.tenant, messages.c.id.in_(ids)
        rows = session.execute(sa.select(messages).where(*these)).mappings()
        known = {row["id"]: _message(row) for row in rows}
        return tuple((delivery, known[delivery.message_id]) for delivery in found)

    def _store_attempt(
        self,
        session: Session,
        tenant: str,
        delivery: Delivery,
        attempt: Attempt,
        due: datetime | None,
    ) -> None:
        """Store an attempt. A delivery that was just requested again keeps its state."""
        session.execute(sa.insert(attempts).values(delivery=delivery.number, **asdict(attempt)))
        _forget_old_attempts(session, delivery.number)
        state = "delivered" if attempt.error is None else "pending" if due else "failed"
        values: dict[str, Any] = {"state": state, "reason": attempt.error, "due": due}
        if attempt.error is None:
            values["delivered"] = attempt.time
        session.execute(
            sa.update(deliveries)
            .where(
                deliveries.c.tenant == tenant,
                deliveries.c.number == delivery.number,
                deliveries.c.round == delivery.round,
                deliveries.c.state != "delivered",
            )
            .values(tries=deliveries.c.tries + 1, **values)
        )


def _is(webhook: Webhook) -> tuple[sa.ColumnElement[bool], ...]:
    return webhooks.c.tenant == webhook.tenant, webhooks.c.id == webhook.id


def _give_up(session: Session, tenant: str, webhook_id: str) -> None:
    own = deliveries.c.tenant == tenant, deliveries.c.webhook_id == webhook_id
    session.execute(
        sa.update(deliveries)
        .where(*own, deliveries.c.state == "pending")
        .values(state="failed", due=None, reason=DISABLED)
    )


def _reset(now: datetime) -> dict[str, Any]:
    redeliver = {"state": "pending", "reason": None, "tries": 0, "due": now}
    return {**redeliver, "round": deliveries.c.round + 1}


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
    own = attempts.c.delivery == delivery
    values = sa.select(attempts.c.number).where(own).order_by(attempts.c.number.desc())
    session.execute(
        sa.delete(attempts).where(own, attempts.c.number.not_in(values.limit(MAX_ATTEMPTS)))
    )


def _attempts(session: Session, numbers: Sequence[int]) -> dict[int, tuple[Attempt, ...]]:
    query = sa.select(attempts).where(attempts.c.delivery.in_(numbers)).order_by(attempts.c.number)
    found: dict[int, tuple[Attempt, ...]] = {}
    names = [field.name for field in fields(Attempt)]
    for row in session.execute(query).mappings():
        attempt = Attempt(**{name: row[name] for name in names})
        found[row["delivery"]] = (*found.get(row["delivery"], ()), attempt)
    return found


def _webhook_row(webhook: Webhook) -> dict[str, Any]:
    row = {name: getattr(webhook, name) for name in _WEBHOOK}
    return {**row, "types": list(webhook.types), **asdict(webhook.health)}


def _webhook(row: sa.RowMapping) -> Webhook:
    values = {name: row[name] for name in _WEBHOOK}
    health = Health(**{name: row[name] for name in _HEALTH})
    return Webhook(**values, types=tuple(row["types"]), health=health)


def _message(row: sa.RowMapping) -> Message:
    return Message(**{field.name: row[field.name] for field in fields(Message)})


def _delivery(row: sa.RowMapping, made: tuple[Attempt, ...]) -> Delivery:
    names = (field.name for field in fields(Delivery) if field.name != "attempts")
    return replace(Delivery(**{name: row[name] for name in names}), attempts=made)
