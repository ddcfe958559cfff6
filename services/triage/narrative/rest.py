"""The route of narrative flags: what a report says of its filer in words."""

from __future__ import annotations

import json
from itertools import islice
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.triage.api import BoxOut, require_result
from services.triage.narrative.flags import ABOUT
from services.triage.store import Reports, position_of
from shared.errors import Conflict
from shared.storage import BlobStore, Store
from shared.web.auth import CurrentActor
from shared.web.ids import DocumentPath
from shared.web.openapi import problems


class FlagOut(BaseModel):
    """A sentence that says a thing of the filer, now. It sets neither `flagged` nor `risk`."""

    id: str
    family: str = Field(
        description="`going_concern`, `material_weakness`, `investigation` or `related_party`"
    )
    title: str
    text: str = Field(description="the sentence, with single blanks")
    start: int = Field(description="offset in code points into the document's text")
    end: int = Field(description="offset in code points, exclusive")
    page: int
    boxes: list[BoxOut] = Field(description="where the sentence stands, if pages have boxes")
    confidence: float = Field(ge=0, le=1, description="that it is asserted of the filer, now")
    level: Literal["likely", "strong"] = Field(
        description="`strong`: a person is asked about the surest of its family"
    )
    filer: str | None = Field(
        description="the word by which the sentence names the filer; null where it names none"
    )


class FlagsOut(BaseModel):
    """A page of a report's narrative flags, the surest first."""

    items: list[FlagOut]
    next: str | None = Field(description="goes on with `?cursor=`; null at the end")
    warnings: list[str] = Field(
        description="what of its sentences was not read, and why: a text in another language than "
        "English has no items"
    )


def routes(store: Store, blobs: BlobStore) -> APIRouter:
    """`/narrative-flags` below a document."""
    router = APIRouter(prefix="/v1/documents/{document_id}", tags=["findings"])

    @router.get(
        "/narrative-flags",
        responses=problems(404, 409),
        summary="What a report says of its filer in words",
    )
    def narrative_flags(
        document_id: DocumentPath,
        actor: CurrentActor,
        cursor: Annotated[str | None, Query(max_length=20)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> FlagsOut:
        with store.read() as session:
            known = Reports(session, actor.tenant).get(document_id)
        words_alone = known is not None and known.state == "failed" and known.narrative is not None
        report = known if known and words_alone else require_result(known, document_id)
        if report.narrative is None:
            raise Conflict(
                f"no sentences were looked for in document {document_id}: it was judged before "
                "they were, or without the specialist for them; reprocess it",
                document=document_id,
            )
        first = position_of(cursor) + 1 if cursor is not None else 0
        warnings = [one for one in report.warnings if one.startswith(ABOUT)]
        if not report.narrative.size:
            return FlagsOut(items=[], next=None, warnings=warnings)
        with blobs.open(actor.tenant, report.narrative) as lines:
            taken = list(islice(lines, first, first + limit + 1))
        return FlagsOut(
            items=[FlagOut.model_validate(json.loads(line)) for line in taken[:limit]],
            next=str(first + limit - 1) if len(taken) > limit else None,
            warnings=warnings,
        )

    return router
