"""Routes of webhooks, and the description of their messages."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, FastAPI, Header, Path, Query, Response
from pydantic import BaseModel

from services.ingest.idempotency.api import ONCE, IdempotencyKey, to_response
from services.ingest.idempotency.commands import IdempotentRequests
from services.ingest.idempotency.store import Answer, Claim, OnCreated
from services.ingest.webhooks.commands import WebhookCommands, require_fresh
from services.ingest.webhooks.domain import DeliveryState, EventType, Webhook
from services.ingest.webhooks.messages import MESSAGES
from services.ingest.webhooks.schemas import (
    DeliveryPage,
    DeliveryView,
    NewWebhookRequest,
    RedeliveredView,
    RedeliverRequest,
    RotateRequest,
    SecretWebhookView,
    WebhookChanges,
    WebhookPage,
    WebhookView,
)
from services.ingest.webhooks.store import Deliveries, Webhooks
from shared.web.auth import CurrentActor
from shared.web.openapi import problems
from shared.web.parameters import ID, Id

DeliveryId = Annotated[str, Path(pattern=ID)]
Cursor = Annotated[str | None, Query(max_length=200)]

_TAKEN: dict[int | str, dict[str, Any]] = {
    204: {"description": "Accepted (any 2xx). 410 disables the webhook; anything else is retried"}
}


def routes(commands: WebhookCommands, idempotent: IdempotentRequests) -> list[APIRouter]:
    """Build all routes of webhooks."""
    return [_webhooks(commands, idempotent), _deliveries(commands)]


def _webhooks(commands: WebhookCommands, idempotent: IdempotentRequests) -> APIRouter:
    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

    @router.get("", summary="Webhooks of the tenant, newest first", responses=problems())
    def webhooks(
        actor: CurrentActor,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Cursor = None,
    ) -> WebhookPage:
        """Lists webhooks with their event types and their last deliveries."""
        with commands.store.read() as session:
            items, more = Webhooks(session, actor.tenant).page(limit=limit, cursor=cursor)
        return WebhookPage(items=[WebhookView.of(item) for item in items], next=more)

    @router.post(
        "",
        status_code=201,
        summary="Register a webhook",
        response_model=SecretWebhookView,
        responses={**problems(400), **ONCE},
    )
    def register(
        actor: CurrentActor, wanted: NewWebhookRequest, key: IdempotencyKey = None
    ) -> Response:
        """Registers an address that gets a signed request for each event. Store the secret: it is
        shown only once, and checks the signatures.
        """

        def work(claim: Claim) -> Answer:
            types = tuple(wanted.types)
            return _shown_once(
                claim,
                201,
                lambda note: commands.register(actor, wanted.url, types, wanted.description, note),
            )

        require_fresh(actor)
        identity = [actor.key_id, wanted.model_dump(mode="json")]
        return to_response(
            idempotent.run(actor, key, "POST /v1/webhooks", lambda _key: identity, work)
        )

    @router.get("/{id}", summary="One webhook", responses=problems(404))
    def webhook(actor: CurrentActor, webhook_id: Id) -> WebhookView:
        """Returns one webhook, without its secret."""
        return WebhookView.of(commands.webhook(actor, webhook_id))

    @router.patch(
        "/{id}", summary="Change, enable or disable a webhook", responses=problems(400, 404)
    )
    def change(actor: CurrentActor, webhook_id: Id, wanted: WebhookChanges) -> WebhookView:
        """Changes the address, the event types or the description of a webhook, or enables or
        disables it.
        """
        return WebhookView.of(commands.change(actor, webhook_id, wanted))

    @router.delete(
        "/{id}", status_code=204, summary="Delete a webhook and its log", responses=problems(404)
    )
    def remove(actor: CurrentActor, webhook_id: Id) -> None:
        """Deletes a webhook. Messages that wait for delivery are not sent."""
        commands.remove(actor, webhook_id)

    @router.post(
        "/{id}/rotate",
        summary="Replace the secret of a webhook",
        response_model=SecretWebhookView,
        responses={**problems(400, 404), **ONCE},
    )
    def rotate(
        actor: CurrentActor,
        webhook_id: Id,
        wanted: RotateRequest | None = None,
        key: IdempotencyKey = None,
    ) -> Response:
        """Returns a new secret. For the seconds of `overlap` messages are signed with the old
        secret, too.
        """
        overlap = (wanted or RotateRequest()).overlap

        def work(claim: Claim) -> Answer:
            return _shown_once(
                claim, 200, lambda note: commands.rotate(actor, webhook_id, overlap, note)
            )

        require_fresh(actor)
        operation = f"POST /v1/webhooks/{webhook_id}/rotate"
        return to_response(
            idempotent.run(actor, key, operation, lambda _key: [actor.key_id, overlap], work)
        )

    @router.post(
        "/{id}/test", status_code=202, summary="Send a test message", responses=problems(404, 409)
    )
    def test(actor: CurrentActor, webhook_id: Id) -> DeliveryView:
        """Queues a message of the type `webhook.test`. The delivery shows the receiver's answer."""
        return DeliveryView.of(commands.test(actor, webhook_id))

    return router


def _shown_once(claim: Claim, status: int, make: Callable[[OnCreated[Webhook]], Webhook]) -> Answer:
    """Answer with the new secret, stored together with the webhook."""

    def answer(made: Webhook) -> Answer:
        location = {"location": f"/v1/webhooks/{made.id}"} if status == 201 else {}
        body = SecretWebhookView.of(made).model_dump(mode="json")
        return Answer(status, body, location, about=frozenset({made.id}))

    return answer(make(lambda session, made: claim.store(session, answer(made))))


def _deliveries(commands: WebhookCommands) -> APIRouter:
    router = APIRouter(prefix="/v1/webhooks/{id}", tags=["webhooks"])

    @router.get(
        "/deliveries", summary="Deliveries of a webhook, newest first", responses=problems(404)
    )
    def deliveries(
        actor: CurrentActor,
        webhook_id: Id,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,18}$")] = None,
        state: DeliveryState | None = None,
        event_type: Annotated[
            EventType | Literal["webhook.test"] | None, Query(alias="type")
        ] = None,
        document: Annotated[str | None, Query(pattern=ID)] = None,
    ) -> DeliveryPage:
        """Lists the messages of a webhook with their state and attempts. Use `state`, `type` and
        `document` to narrow the list.
        """
        commands.webhook(actor, webhook_id)
        with commands.store.read() as session:
            items, more = Deliveries(session, actor.tenant, webhook_id).page(
                limit=limit, cursor=cursor, state=state, kind=event_type, document_id=document
            )
        return DeliveryPage(items=[DeliveryView.of(item) for item in items], next=more)

    @router.get(
        "/deliveries/{delivery_id}",
        summary="One delivery with its attempts",
        responses=problems(404),
    )
    def delivery(actor: CurrentActor, webhook_id: Id, delivery_id: DeliveryId) -> DeliveryView:
        """Returns one message with each attempt to send it: time, status and error."""
        return DeliveryView.of(commands.delivery(actor, webhook_id, delivery_id))

    @router.post(
        "/deliveries/{delivery_id}/redeliver",
        status_code=202,
        summary="Send a delivery again",
        responses=problems(404, 409),
    )
    def redeliver(actor: CurrentActor, webhook_id: Id, delivery_id: DeliveryId) -> DeliveryView:
        """Queues a message again, with the same `webhook-id`."""
        return DeliveryView.of(commands.redeliver(actor, webhook_id, delivery_id))

    @router.post(
        "/redeliver",
        status_code=202,
        summary="Send all failed deliveries since a time again",
        responses=problems(400, 404, 409),
    )
    def redeliver_failed(
        actor: CurrentActor, webhook_id: Id, wanted: RedeliverRequest
    ) -> RedeliveredView:
        """Queues every failed message since a time again, for example after an outage of the
        receiver.
        """
        return RedeliveredView(count=commands.redeliver_failed(actor, webhook_id, wanted.since))

    return router


WebhookId = Annotated[
    str, Header(alias="webhook-id", description="the same at every attempt to send a message")
]
WebhookTimestamp = Annotated[
    int, Header(alias="webhook-timestamp", description="seconds since 1970, of this attempt")
]
WebhookSignature = Annotated[
    str,
    Header(
        alias="webhook-signature",
        description="`v1,` and Base64 of HMAC-SHA256 over `id.timestamp.body`; "
        "several, separated by spaces, while a secret is being replaced",
    ),
]


def describe_messages(app: FastAPI) -> None:
    """Add the messages to the OpenAPI document of an application."""
    for model in MESSAGES:
        (kind,) = get_args(model.model_fields["type"].annotation)
        app.webhooks.add_api_route(
            kind,
            _receiver(model),
            methods=["POST"],
            status_code=204,
            name=kind,
            operation_id=kind,
            summary=inspect.cleandoc(model.__doc__ or kind),
            description="Sent at least once; a repetition has the same `webhook-id`.",
            responses=_TAKEN,
        )


def _receiver(model: type[BaseModel]) -> Callable[..., None]:
    """Return an endpoint that describes a receiver; it is never called."""

    def receiver(
        body: BaseModel,
        message_id: WebhookId,
        timestamp: WebhookTimestamp,
        signature: WebhookSignature,
    ) -> None:
        """Only ever described, never called."""

    receiver.__annotations__["body"] = model
    return receiver
