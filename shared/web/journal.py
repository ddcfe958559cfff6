"""The route `…/journal/SERVICE`: where a document is in one service."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from shared.events import Event, Stage
from shared.messaging.journal import EventState, announced_events, received_events
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.openapi import problems
from shared.web.parameters import ID


class AnnouncedEventView(BaseModel):
    """An event that the service announced."""

    event: str = Field(description="its id")
    type: str
    created: datetime
    sent: datetime | None = Field(description="null: it waits for the service's relay")


class ReceivedEventView(BaseModel):
    """An event that the service received."""

    event: str = Field(description="its id")
    type: str
    state: EventState = Field(
        description="`retrying`: the last attempt failed and another follows; `given_up`: it "
        "is a dead letter"
    )
    first_seen: datetime
    since: datetime = Field(
        description="since when it has this state; `working`: when the attempt began"
    )
    worker: str = Field(description="host and process that work on it, or did last")
    seen: datetime | None = Field(
        description="`working`: the last heartbeat, one every five seconds"
    )
    attempts: int = Field(ge=0, description="attempts that began, except those that only waited")
    failures: int = Field(ge=0)
    error: str | None = Field(description="the error of the last failed attempt")
    next_try: datetime | None


class JournalView(BaseModel):
    """Where a document is in one service."""

    service: Stage
    handles: list[str] = Field(description="types of events that it handles")
    announced: list[AnnouncedEventView] = Field(description="oldest first, while they are stored")
    received: list[ReceivedEventView] = Field(description="oldest first, while they are stored")


def routes(service: Stage, store: Store, handled: Iterable[type[Event]]) -> APIRouter:
    """The route of one service. Both lists are empty for an unknown document."""
    router = APIRouter(prefix="/v1/documents/{id}/journal", tags=["operation"])
    types = sorted(event.type for event in handled)

    @router.get(
        f"/{service}",
        summary="Which events of a document this service received and announced",
        responses=problems(),
    )
    def read(
        actor: CurrentActor, document_id: Annotated[str, Path(alias="id", pattern=ID)]
    ) -> JournalView:
        key = f"{actor.tenant}/{document_id}"
        return JournalView.model_validate(
            {
                "service": service,
                "handles": types,
                "announced": announced_events(store, key),
                "received": received_events(store, key),
            },
            from_attributes=True,
        )

    return router
