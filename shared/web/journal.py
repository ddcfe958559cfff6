"""The route `…/journal/SERVICE`: the events of a document in one service."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter
from pydantic import BaseModel, Field

from shared.events import Event, Stage
from shared.messaging.journal import (
    AnnouncedEventView,
    ReceivedEventView,
    announced_events,
    received_events,
)
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.openapi import problems
from shared.web.parameters import Id


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
    def read(actor: CurrentActor, document_id: Id) -> JournalView:
        """Lists the events of a document in this service, to find out where it waits or failed."""
        key = f"{actor.tenant}/{document_id}"
        return JournalView(
            service=service,
            handles=types,
            announced=announced_events(store, key),
            received=received_events(store, key),
        )

    return router
