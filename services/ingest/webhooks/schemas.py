"""JSON schemas of webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from services.ingest.webhooks.addresses import LONGEST_URL
from services.ingest.webhooks.domain import Delivery, DeliveryState, EventType, Webhook
from shared.web.parameters import Integer, Timestamp

_TEXT = r"^[^\x00-\x1f\x7f]*$"
_URL = r"^[Hh][Tt][Tt][Pp][Ss]?://[\x21-\x7e]+$"

Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_URL,
        json_schema_extra={"pattern": _URL},  # checked by `Policy` with better messages
        description="https, without user name and fragment, with a public address",
    ),
]
Types = Annotated[
    list[EventType],
    Field(max_length=20, description="event types to send; empty: all"),
]
Description = Annotated[str, Field(max_length=500, pattern=_TEXT, description="for people")]


class NewWebhookRequest(BaseModel):
    """A webhook to register."""

    model_config = ConfigDict(extra="forbid")

    url: Url
    types: Types = []
    description: Description = ""


class WebhookChanges(BaseModel):
    """New values; a missing field stays as it is."""

    model_config = ConfigDict(extra="forbid")

    url: Url | None = None
    types: Types | None = None
    description: Description | None = None
    enabled: StrictBool | None = None


class RotateRequest(BaseModel):
    """How to replace the secret."""

    model_config = ConfigDict(extra="forbid")

    overlap: Integer = Field(
        86_400,
        ge=0,
        le=604_800,
        description="seconds for which the old secret also signs; 0: none",
    )


class RedeliverRequest(BaseModel):
    """Which failed deliveries to send again."""

    model_config = ConfigDict(extra="forbid")

    since: Timestamp = Field(description="events from this time on, with a zone")


class WebhookView(BaseModel):
    """A webhook and its health, without its secret."""

    id: str
    url: str
    types: list[str] = Field(description="event types to send; empty: all")
    description: str
    enabled: bool
    disabled_reason: str | None = Field(description="`code: sentence`")
    failures: int = Field(ge=0, description="in a row, since the last success")
    failing_since: datetime | None
    last_failed: datetime | None
    last_delivered: datetime | None
    old_secret_until: datetime | None = Field(description="until then the old secret also signs")
    created: datetime
    created_by: str
    updated: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        return cls.model_validate({**vars(webhook), **vars(webhook.health)})


class SecretWebhookView(WebhookView):
    """A webhook with its new secret."""

    secret: str = Field(description="for verifying signatures, shown only once")


class WebhookPage(BaseModel):
    """The webhooks of the tenant, newest first."""

    items: list[WebhookView]
    next: str | None = Field(description="for `?cursor=`; null at the end")


class AttemptView(BaseModel):
    """One request to the receiver."""

    time: datetime
    seconds: float = Field(ge=0)
    status: int | None = Field(description="null without an answer")
    error: str | None = Field(description="`code: sentence`; null after a success")
    excerpt: str | None = Field(
        description="start of the answer; null once the document is deleted"
    )


class DeliveryView(BaseModel):
    """One message to one webhook, and its result."""

    id: str
    message_id: str = Field(description="the header `webhook-id`")
    type: str
    document_id: str | None
    state: DeliveryState
    reason: str | None = Field(description="`code: sentence`, reason of the last failure")
    next_try: datetime | None
    created: datetime
    delivered: datetime | None
    attempts: list[AttemptView] = Field(description="the last 20, oldest first")

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        attempts = [vars(attempt) for attempt in delivery.attempts]
        return cls.model_validate(
            {**vars(delivery), "next_try": delivery.due, "attempts": attempts}
        )


class DeliveryPage(BaseModel):
    """The log of a webhook, newest first."""

    items: list[DeliveryView]
    next: str | None = Field(description="for `?cursor=`; null at the end")


class RedeliveredView(BaseModel):
    """The number of deliveries sent again."""

    count: int = Field(ge=0)
