"""Routes of webhooks, and the description of what is sent to them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, FastAPI, Header, Path, Query, Response
from pydantic import BaseModel

from services.ingest.idempotency.api import ONCE, IdempotencyKey, answered
from services.ingest.idempotency.commands import Once
from services.ingest.idempotency.domain import Answer
from services.ingest.idempotency.store import Claim, Note
from services.ingest.webhooks.commands import Changes, Desk, refuse_session
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
from shared.web.ids import ID
from shared.web.openapi import problems

Id = Annotated[str, Path(alias="id", pattern=ID)]
DeliveryId = Annotated[str, Path(pattern=ID)]
Cursor = Annotated[str | None, Query(max_length=200)]

_TAKEN: dict[int | str, dict[str, Any]] = {
    204: {"description": "Taken (any 2xx). 410 disables the webhook, all else is tried again"}
}


def routes(desk: Desk, once: Once) -> list[APIRouter]:
    """All routes of webhooks."""
    return [_webhooks(desk, once), _deliveries(desk)]


def _webhooks(desk: Desk, once: Once) -> APIRouter:
    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

    @router.get("", summary="Webhooks of the tenant, newest first", responses=problems())
    def webhooks(
        actor: CurrentActor,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Cursor = None,
    ) -> WebhookPage:
        with desk.store.read() as session:
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
        def work(claim: Claim) -> Answer:
            types = tuple(wanted.types)
            return _shown_once(
                claim,
                201,
                lambda note: desk.register(actor, wanted.url, types, wanted.description, note),
            )

        refuse_session(actor)
        said = [actor.key_id, wanted.model_dump(mode="json")]
        return answered(once.run(actor, key, "POST /v1/webhooks", lambda _key: said, work))

    @router.get("/{id}", summary="One webhook", responses=problems(404))
    def webhook(actor: CurrentActor, webhook_id: Id) -> WebhookView:
        return WebhookView.of(desk.webhook(actor, webhook_id))

    @router.patch("/{id}", summary="Change, enable or disable it", responses=problems(400, 404))
    def change(actor: CurrentActor, webhook_id: Id, wanted: WebhookChanges) -> WebhookView:
        types = None if wanted.types is None else tuple(wanted.types)
        changes = Changes(wanted.url, types, wanted.description, wanted.enabled)
        return WebhookView.of(desk.change(actor, webhook_id, changes))

    @router.delete(
        "/{id}", status_code=204, summary="Delete it with its log", responses=problems(404)
    )
    def remove(actor: CurrentActor, webhook_id: Id) -> None:
        desk.remove(actor, webhook_id)

    @router.post(
        "/{id}/rotate",
        summary="Replace its secret",
        response_model=SecretWebhookView,
        responses={**problems(400, 404), **ONCE},
    )
    def rotate(
        actor: CurrentActor,
        webhook_id: Id,
        wanted: RotateRequest | None = None,
        key: IdempotencyKey = None,
    ) -> Response:
        overlap = (wanted or RotateRequest()).overlap

        def work(claim: Claim) -> Answer:
            return _shown_once(
                claim, 200, lambda note: desk.rotate(actor, webhook_id, overlap, note)
            )

        refuse_session(actor)
        operation = f"POST /v1/webhooks/{webhook_id}/rotate"
        return answered(once.run(actor, key, operation, lambda _key: [actor.key_id, overlap], work))

    @router.post(
        "/{id}/test", status_code=202, summary="Send a test event", responses=problems(404, 409)
    )
    def test(actor: CurrentActor, webhook_id: Id) -> DeliveryView:
        return DeliveryView.of(desk.test(actor, webhook_id))

    return router


def _shown_once(claim: Claim, status: int, make: Callable[[Note[Webhook]], Webhook]) -> Answer:
    """A webhook with its secret, kept with the webhook: no crash parts the one from the other."""

    def answer(made: Webhook) -> Answer:
        location = {"location": f"/v1/webhooks/{made.id}"} if status == 201 else {}
        body = SecretWebhookView.made(made).model_dump(mode="json")
        return Answer(status, body, location, about=frozenset({made.id}))

    return answer(make(lambda session, made: claim.keep(session, answer(made))))


def _deliveries(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/webhooks/{id}", tags=["webhooks"])

    @router.get("/deliveries", summary="Its log, newest first", responses=problems(404))
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
        desk.webhook(actor, webhook_id)
        with desk.store.read() as session:
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
        return DeliveryView.of(desk.delivery(actor, webhook_id, delivery_id))

    @router.post(
        "/deliveries/{delivery_id}/redeliver",
        status_code=202,
        summary="Send one again, whatever became of it",
        responses=problems(404, 409),
    )
    def redeliver(actor: CurrentActor, webhook_id: Id, delivery_id: DeliveryId) -> DeliveryView:
        return DeliveryView.of(desk.redeliver(actor, webhook_id, delivery_id))

    @router.post(
        "/redeliver",
        status_code=202,
        summary="Send all again that failed since a moment",
        responses=problems(400, 404, 409),
    )
    def redeliver_failed(
        actor: CurrentActor, webhook_id: Id, wanted: RedeliverRequest
    ) -> RedeliveredView:
        return RedeliveredView(count=desk.redeliver_failed(actor, webhook_id, wanted.since))

    return router


WebhookId = Annotated[
    str, Header(alias="webhook-id", description="the same at every try of one event")
]
WebhookTimestamp = Annotated[
    int, Header(alias="webhook-timestamp", description="seconds since 1970, of this try")
]
WebhookSignature = Annotated[
    str,
    Header(
        alias="webhook-signature",
        description="`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; several, separated"
        " by spaces, while a secret is replaced",
    ),
]


def describe_messages(app: FastAPI) -> None:
    """Put what is sent to webhooks into the OpenAPI document of an application."""
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
            description="At least once; what comes again has the same `webhook-id`.",
            responses=_TAKEN,
        )


def _receiver(model: type[BaseModel]) -> Callable[..., None]:
    """What a customer's server is like: its parameters are what it is sent."""

    def receiver(
        body: BaseModel,
        message_id: WebhookId,
        timestamp: WebhookTimestamp,
        signature: WebhookSignature,
    ) -> None:
        """Only ever described, never called."""

    receiver.__annotations__["body"] = model
    return receiver
