"""What people ask ingest to do with webhooks: register, change, try out, send again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.ingest.domain import now_utc
from services.ingest.idempotency.store import Note, forget_answers, unnoted
from services.ingest.webhooks.addresses import Policy
from services.ingest.webhooks.domain import (
    Delivery,
    EventType,
    Health,
    Webhook,
    delivery_id,
    new_webhook_id,
)
from services.ingest.webhooks.messages import webhook_test
from services.ingest.webhooks.signatures import new_secret
from services.ingest.webhooks.store import Deliveries, Webhooks, publish
from shared.errors import Conflict, NotAllowed, NotFound
from shared.storage import Store
from shared.storage.locks import lock
from shared.web.auth import Actor

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Changes:
    """What is to be another thing; None: as it is."""

    url: str | None = None
    types: tuple[EventType, ...] | None = None
    description: str | None = None
    enabled: bool | None = None


class Desk:
    """Takes requests about webhooks. Reading is for everybody of the tenant, changing for keys.

    Args:
        policy: which addresses may be called.
        most: webhooks that one tenant may have.
    """

    def __init__(self, store: Store, policy: Policy, most: int) -> None:
        self.store = store
        self.policy = policy
        self.most = most

    def register(
        self,
        actor: Actor,
        url: str,
        types: tuple[EventType, ...],
        description: str,
        note: Note[Webhook] = unnoted,
    ) -> Webhook:
        """Make a webhook, with its secret. Raises AddressNotAllowed, or Conflict if there are too
        many.
        """
        refuse_session(actor)
        now = now_utc()
        webhook = Webhook(
            id=new_webhook_id(),
            tenant=actor.tenant,
            url=self.policy.target(url).url,
            types=types,
            description=description,
            created=now,
            created_by=actor.name,
            updated=now,
            secret=new_secret(),
        )
        with self.store.write() as session:
            lock(session, f"webhooks of {actor.tenant}")
            known = Webhooks(session, actor.tenant)
            if known.count() >= self.most:
                raise Conflict(
                    f"there are {self.most} webhooks already, the most that a tenant may have "
                    "(setting SMALLPRINT_INGEST_WEBHOOK_MOST): delete one first"
                )
            known.add(webhook)
            note(session, webhook)
        _say("registered", webhook, actor)
        return webhook

    def change(self, actor: Actor, webhook_id: str, changes: Changes) -> Webhook:
        """Change what is given. Enabling, or another URL, forgets how sending went before."""
        if changes.url is not None:
            changes = replace(changes, url=self.policy.target(changes.url).url)
        return self._changed(
            "changed", actor, webhook_id, lambda before, now: _apply(before, changes, actor, now)
        )

    def rotate(
        self, actor: Actor, webhook_id: str, overlap: float, note: Note[Webhook] = unnoted
    ) -> Webhook:
        """Give it a new secret; the one before it signs as well for `overlap` seconds."""

        def rotated(before: Webhook, now: datetime) -> Webhook:
            until = now + timedelta(seconds=overlap)
            return replace(
                before,
                secret=new_secret(),
                old_secret=before.secret if overlap else None,
                old_secret_until=until if overlap else None,
                updated=now,
            )

        return self._changed("got a new secret", actor, webhook_id, rotated, note)

    def remove(self, actor: Actor, webhook_id: str) -> None:
        """Delete it with its log; what waits is not sent any more. Raises NotFound."""
        refuse_session(actor)
        with self.store.write() as session:
            known = Webhooks(session, actor.tenant)
            webhook = _found(known.get(webhook_id, for_update=True), webhook_id)
            known.remove(webhook_id, now_utc())
            forget_answers(session, actor.tenant, webhook_id)
        _say("deleted", webhook, actor)

    def test(self, actor: Actor, webhook_id: str) -> Delivery:
        """Send it a message that means nothing; tried once. Raises Conflict if it is disabled."""
        refuse_session(actor)
        with self.store.write() as session:
            webhook = _enabled(Webhooks(session, actor.tenant), webhook_id)
            message = webhook_test(webhook, actor.name, now_utc())
            publish(session, [message], only=webhook)
            deliveries = Deliveries(session, actor.tenant, webhook_id)
            return _delivery(deliveries, delivery_id(webhook_id, message.id))

    def redeliver(self, actor: Actor, webhook_id: str, delivery: str) -> Delivery:
        """Send one delivery again, whatever became of it. Raises Conflict if it is disabled."""
        refuse_session(actor)
        with self.store.write() as session:
            _enabled(Webhooks(session, actor.tenant), webhook_id)
            deliveries = Deliveries(session, actor.tenant, webhook_id)
            _delivery(deliveries, delivery)
            deliveries.again(delivery, now_utc())
            return _delivery(deliveries, delivery)

    def redeliver_failed(self, actor: Actor, webhook_id: str, since: datetime) -> int:
        """Send all again that failed since a moment. Returns how many that are."""
        refuse_session(actor)
        with self.store.write() as session:
            _enabled(Webhooks(session, actor.tenant), webhook_id)
            deliveries = Deliveries(session, actor.tenant, webhook_id)
            return deliveries.all_failed_again(since, now_utc())

    def webhook(self, actor: Actor, webhook_id: str) -> Webhook:
        """One webhook. Raises NotFound."""
        with self.store.read() as session:
            return _found(Webhooks(session, actor.tenant).get(webhook_id), webhook_id)

    def delivery(self, actor: Actor, webhook_id: str, delivery: str) -> Delivery:
        """One delivery with its attempts. Raises NotFound."""
        with self.store.read() as session:
            _found(Webhooks(session, actor.tenant).get(webhook_id), webhook_id)
            return _delivery(Deliveries(session, actor.tenant, webhook_id), delivery)

    def _changed(
        self,
        what: str,
        actor: Actor,
        webhook_id: str,
        change: Callable[[Webhook, datetime], Webhook],
        note: Note[Webhook] = unnoted,
    ) -> Webhook:
        refuse_session(actor)
        with self.store.write() as session:
            known = Webhooks(session, actor.tenant)
            before = _found(known.get(webhook_id, for_update=True), webhook_id)
            after = change(before, now_utc())
            known.save(after)
            note(session, after)
        _say(what, after, actor)
        return after


def _apply(before: Webhook, changes: Changes, actor: Actor, now: datetime) -> Webhook:
    after = replace(
        before,
        url=before.url if changes.url is None else changes.url,
        types=before.types if changes.types is None else changes.types,
        description=before.description if changes.description is None else changes.description,
        updated=now,
    )
    if after.url != before.url:
        after = replace(after, health=Health())
    if changes.enabled is True and not before.enabled:
        after = replace(after, enabled=True, disabled_reason=None, health=Health())
    if changes.enabled is False and before.enabled:
        after = after.disabled(f"by_hand: disabled by {actor.name}", now)
    return after


def _enabled(known: Webhooks, webhook_id: str) -> Webhook:
    webhook = _found(known.get(webhook_id, for_update=True), webhook_id)
    if not webhook.enabled:
        raise Conflict(f"webhook {webhook_id} is disabled: enable it first")
    return webhook


def _found(webhook: Webhook | None, webhook_id: str) -> Webhook:
    """The same answer for another tenant's as for none at all."""
    if webhook is None:
        raise NotFound(f"there is no webhook {webhook_id}")
    return webhook


def _delivery(deliveries: Deliveries, identifier: str) -> Delivery:
    delivery = deliveries.get(identifier)
    if delivery is None:
        raise NotFound(f"webhook {deliveries.webhook_id} has no delivery {identifier}")
    return delivery


def refuse_session(actor: Actor) -> None:
    """Raise NotAllowed for a session: what it made would outlive it."""
    if actor.session_id:
        raise NotAllowed("a session can't make or change webhooks: use a key itself")


def _say(what: str, webhook: Webhook, actor: Actor) -> None:
    extra = {"webhook": webhook.id, "tenant": webhook.tenant, "actor": actor.name}
    log.info("webhook %s", what, extra=extra)
