"""Commands on webhooks: register, change, test, redeliver."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from services.ingest.domain import now_utc
from services.ingest.idempotency.store import OnCreated, delete_answers, ignore_created
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
from services.ingest.webhooks.schemas import WebhookChanges
from services.ingest.webhooks.signatures import new_secret
from services.ingest.webhooks.store import Deliveries, Webhooks, publish
from shared.audit import record
from shared.errors import Conflict
from shared.storage import Store
from shared.storage.locks import lock
from shared.web import auth
from shared.web.auth import Actor

log = logging.getLogger(__name__)


class WebhookCommands:
    """Commands on webhooks: every key may read, sessions may not change anything.

    Args:
        policy: which addresses may be called.
        limit: webhooks per tenant.
    """

    def __init__(self, store: Store, policy: Policy, limit: int) -> None:
        self.store = store
        self.policy = policy
        self.limit = limit

    def register(
        self,
        actor: Actor,
        url: str,
        types: tuple[EventType, ...],
        description: str,
        note: OnCreated[Webhook] = ignore_created,
    ) -> Webhook:
        """Create a webhook with its secret. Raises AddressNotAllowed; Conflict above the limit."""
        require_fresh(actor)
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
            existing = Webhooks(session, actor.tenant)
            if existing.count() >= self.limit:
                raise Conflict(
                    f"This tenant already has {self.limit} webhooks (setting "
                    "SMALLPRINT_INGEST_WEBHOOK_MOST). Delete one first."
                )
            existing.add(webhook)
            record(session, actor, "webhook.create", webhook.id)
            note(session, webhook)
        _log("registered", webhook, actor)
        return webhook

    def change(self, actor: Actor, webhook_id: str, changes: WebhookChanges) -> Webhook:
        """Change a webhook. Enabling it or changing the URL resets its health."""
        url = None if changes.url is None else self.policy.target(changes.url).url

        def apply(before: Webhook, now: datetime) -> Webhook:
            after = replace(
                before,
                url=url or before.url,
                types=before.types if changes.types is None else tuple(changes.types),
                description=before.description
                if changes.description is None
                else changes.description,
                updated=now,
            )
            if after.url != before.url:
                after = replace(after, health=Health())
            if changes.enabled is True and not before.enabled:
                after = replace(after, enabled=True, disabled_reason=None, health=Health())
            if changes.enabled is False and before.enabled:
                after = after.disabled(f"manual: disabled by {actor.name}", now)
            return after

        return self._changed("changed", actor, webhook_id, apply)

    def rotate(
        self,
        actor: Actor,
        webhook_id: str,
        overlap: float,
        note: OnCreated[Webhook] = ignore_created,
    ) -> Webhook:
        """Replace the secret; the old one also signs for `overlap` seconds."""

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
        """Delete a webhook with its log; waiting messages are not sent. Raises NotFound."""
        require_fresh(actor)
        with self.store.write() as session:
            existing = Webhooks(session, actor.tenant)
            webhook = existing.require(webhook_id, for_update=True)
            existing.remove(webhook_id, now_utc())
            record(session, actor, "webhook.delete", webhook_id)
            delete_answers(session, actor.tenant, webhook_id)
        _log("deleted", webhook, actor)

    def test(self, actor: Actor, webhook_id: str) -> Delivery:
        """Send a test message, without retries. Raises Conflict if it is disabled."""
        require_fresh(actor)
        with self.store.write() as session:
            webhook = _enabled(Webhooks(session, actor.tenant), webhook_id)
            message = webhook_test(webhook, actor.name, now_utc())
            publish(session, [message], only=webhook)
            record(session, actor, "webhook.send", webhook_id, what="test")
            deliveries = Deliveries(session, actor.tenant, webhook_id)
            return deliveries.require(delivery_id(webhook_id, message.id))

    def redeliver(self, actor: Actor, webhook_id: str, delivery: str) -> Delivery:
        """Send one delivery again. Raises Conflict if it is disabled."""
        require_fresh(actor)
        with self.store.write() as session:
            _enabled(Webhooks(session, actor.tenant), webhook_id)
            deliveries = Deliveries(session, actor.tenant, webhook_id)
            deliveries.require(delivery)
            deliveries.redeliver(delivery, now_utc())
            record(session, actor, "webhook.send", webhook_id, what=delivery)
            return deliveries.require(delivery)

    def redeliver_failed(self, actor: Actor, webhook_id: str, since: datetime) -> int:
        """Send all failed deliveries since this time again. Returns how many."""
        require_fresh(actor)
        with self.store.write() as session:
            _enabled(Webhooks(session, actor.tenant), webhook_id)
            deliveries = Deliveries(session, actor.tenant, webhook_id)
            record(session, actor, "webhook.send", webhook_id, what="failed")
            return deliveries.redeliver_failed(since, now_utc())

    def webhook(self, actor: Actor, webhook_id: str) -> Webhook:
        with self.store.read() as session:
            return Webhooks(session, actor.tenant).require(webhook_id)

    def delivery(self, actor: Actor, webhook_id: str, delivery: str) -> Delivery:
        with self.store.read() as session:
            Webhooks(session, actor.tenant).require(webhook_id)
            return Deliveries(session, actor.tenant, webhook_id).require(delivery)

    def _changed(
        self,
        action: str,
        actor: Actor,
        webhook_id: str,
        change: Callable[[Webhook, datetime], Webhook],
        note: OnCreated[Webhook] = ignore_created,
    ) -> Webhook:
        require_fresh(actor)
        with self.store.write() as session:
            existing = Webhooks(session, actor.tenant)
            after = change(existing.require(webhook_id, for_update=True), now_utc())
            existing.save(after)
            record(session, actor, "webhook.change", webhook_id, what=action)
            note(session, after)
        _log(action, after, actor)
        return after


def _enabled(existing: Webhooks, webhook_id: str) -> Webhook:
    webhook = existing.require(webhook_id, for_update=True)
    if not webhook.enabled:
        raise Conflict(f"Webhook {webhook_id} is disabled. Enable it first.")
    return webhook


def require_fresh(actor: Actor) -> None:
    """Raise SignInAgain for an older session: the webhook would outlive it."""
    auth.require_fresh(actor, "create or change webhooks")


def _log(action: str, webhook: Webhook, actor: Actor) -> None:
    extra = {"webhook": webhook.id, "tenant": webhook.tenant, "actor": actor.name}
    log.info("webhook %s", action, extra=extra)
