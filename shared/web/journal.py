"""The route by which a service says where a document is with it: `…/journal/SERVICE`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from shared.events import Event, Stage
from shared.storage import Store
from shared.storage.journal import Standing, heard, said
from shared.web.auth import CurrentActor
from shared.web.ids import ID
from shared.web.openapi import problems


class SaidView(BaseModel):
    """An event that the service announced."""

    event: str = Field(description="its id")
    type: str
    created: datetime
    sent: datetime | None = Field(description="null: it waits for the service's relay")


class HeardView(BaseModel):
    """An event that a worker of the service has or had in hand."""

    event: str = Field(description="its id")
    type: str
    standing: Standing = Field(
        description="`retrying`: the last try failed or waited, and another comes; `given_up`: it "
        "is a dead letter"
    )
    first_seen: datetime
    since: datetime = Field(description="when it came to stand so; `working`: when the try began")
    worker: str = Field(description="host and process that have it, or had it last")
    seen: datetime | None = Field(
        description="`working`: when these last gave a sign of life, as they do every five seconds"
    )
    attempts: int = Field(ge=0, description="tries that were begun; waiting is none")
    failures: int = Field(ge=0)
    error: str | None = Field(description="how the last try ended that failed or waited")
    next_try: datetime | None


class JournalView(BaseModel):
    """Where a document is with one service."""

    service: Stage
    hears: list[str] = Field(description="types of the events that it works on")
    said: list[SaidView] = Field(description="oldest first, for as long as sent events are kept")
    heard: list[HeardView] = Field(description="oldest first, for as long as the inbox remembers")


def routes(service: Stage, store: Store, hears: Iterable[type[Event]]) -> APIRouter:
    """The route of one service; of a document that it has not heard of both lists are empty."""
    router = APIRouter(prefix="/v1/documents/{id}/journal", tags=["operation"])
    types = sorted(event.type for event in hears)

    @router.get(
        f"/{service}",
        summary="Which events of a document this service has, had, and announced",
        responses=problems(),
    )
    def read(
        actor: CurrentActor, document_id: Annotated[str, Path(alias="id", pattern=ID)]
    ) -> JournalView:
        key = f"{actor.tenant}/{document_id}"
        return JournalView.model_validate(
            {
                "service": service,
                "hears": types,
                "said": said(store, key),
                "heard": heard(store, key),
            },
            from_attributes=True,
        )

    return router
