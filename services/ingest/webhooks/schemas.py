"""What is asked and answered about webhooks, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from services.ingest.webhooks.addresses import LONGEST_URL
from services.ingest.webhooks.domain import Delivery, DeliveryState, EventType, Webhook
from shared.web.values import Moment, Whole

_TEXT = r"^[^\x00-\x1f\x7f]*$"
_URL = r"^[Hh][Tt][Tt][Pp][Ss]?://[\x21-\x7e]+$"

Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_URL,
        json_schema_extra={"pattern": _URL},  # checked elsewhere, with a sentence for what is wrong
        description="https, no user name, no fragment, a public address",
    ),
]
Types = Annotated[
    list[EventType],
    Field(max_length=20, description="of the events that are sent; empty: all"),
]
Description = Annotated[str, Field(max_length=500, pattern=_TEXT, description="for people")]


class NewWebhookRequest(BaseModel):
    """A webhook to be registered."""

    model_config = ConfigDict(extra="forbid")

    url: Url
    types: Types = []
    description: Description = ""


class WebhookChanges(BaseModel):
    """What is to be changed; what is not named stays as it is."""

    model_config = ConfigDict(extra="forbid")

    url: Url | None = None
    types: Types | None = None
    description: Description | None = None
    enabled: StrictBool | None = None


class RotateRequest(BaseModel):
    """How the secret is replaced."""

    model_config = ConfigDict(extra="forbid")

    overlap: Whole = Field(
        86_400,
        ge=0,
        le=604_800,
        description="seconds for which the old secret signs as well; 0: it is not used any more",
    )


class RedeliverRequest(BaseModel):
    """Which failed deliveries are sent again."""

    model_config = ConfigDict(extra="forbid")

    since: Moment = Field(description="of events at this moment and later; with a zone")


class WebhookView(BaseModel):
    """A webhook and how sending to it goes, never its secret."""

    id: str
    url: str
    types: list[str] = Field(description="of the events that are sent; empty: all")
    description: str
    enabled: bool
    disabled_reason: str | None = Field(description="`code: sentence`")
    failures: int = Field(ge=0, description="in a row, since something was taken")
    failing_since: datetime | None
    last_failed: datetime | None
    last_delivered: datetime | None
    old_secret_until: datetime | None = Field(
        description="until then the secret before this one signs as well"
    )
    created: datetime
    created_by: str
    updated: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> WebhookView:
        """What is shown of a webhook."""
        health = webhook.health
        return cls(
            id=webhook.id,
            url=webhook.url,
            types=list(webhook.types),
            description=webhook.description,
            enabled=webhook.enabled,
            disabled_reason=webhook.disabled_reason,
            failures=health.failures,
            failing_since=health.failing_since,
            last_failed=health.last_failed,
            last_delivered=health.last_delivered,
            old_secret_until=webhook.old_secret_until,
            created=webhook.created,
            created_by=webhook.created_by,
            updated=webhook.updated,
        )


class SecretWebhookView(WebhookView):
    """A webhook with the secret that it has just got."""

    secret: str = Field(description="verifies signatures; it can't be shown again")

    @classmethod
    def made(cls, webhook: Webhook) -> SecretWebhookView:
        """Shown once."""
        return cls(**WebhookView.of(webhook).model_dump(), secret=webhook.secret)


class WebhookPage(BaseModel):
    """The webhooks of the tenant, newest first."""

    items: list[WebhookView]
    next: str | None = Field(description="goes on with `?cursor=`; null at the end")


class AttemptView(BaseModel):
    """One request to the receiver."""

    time: datetime
    seconds: float = Field(ge=0)
    status: int | None = Field(description="null if there was no answer")
    error: str | None = Field(description="`code: sentence`; null if the message was taken")
    excerpt: str | None = Field(
        description="the beginning of the answer; null once the document is deleted"
    )


class DeliveryView(BaseModel):
    """One event to one webhook, and what became of it."""

    id: str
    message_id: str = Field(description="the header `webhook-id`, the same at every try")
    type: str
    document_id: str | None
    state: DeliveryState
    reason: str | None = Field(description="`code: sentence`, why it failed or is tried again")
    next_try: datetime | None
    created: datetime
    delivered: datetime | None
    attempts: list[AttemptView] = Field(description="oldest first, the last 20 of them")

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryView:
        """What is shown of a delivery."""
        return cls(
            id=delivery.id,
            message_id=delivery.message_id,
            type=delivery.type,
            document_id=delivery.document_id,
            state=delivery.state,
            reason=delivery.reason,
            next_try=delivery.due,
            created=delivery.created,
            delivered=delivery.delivered,
            attempts=[
                AttemptView.model_validate(attempt, from_attributes=True)
                for attempt in delivery.attempts
            ],
        )


class DeliveryPage(BaseModel):
    """The log of a webhook, newest first."""

    items: list[DeliveryView]
    next: str | None = Field(description="goes on with `?cursor=`; null at the end")


class RedeliveredView(BaseModel):
    """How many deliveries are sent again."""

    count: int = Field(ge=0)
