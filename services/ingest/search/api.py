"""The route of search."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.ingest.search.finding import Finder, Hit
from services.ingest.search.query import read_query
from services.ingest.search.store import Filters, Passages, read_cursor
from shared.events import Kind
from shared.web.auth import CurrentActor
from shared.web.ids import ID
from shared.web.openapi import problems

CATEGORY = r"^[^\x00-\x1f]*$"


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class MarkView(BaseModel):
    """Words that were looked for; offsets as in the hit."""

    start: int
    end: int


class HitClauseView(_Answer):
    """The clause that a hit is in."""

    id: str
    category: str
    start: int = Field(description="offset in code points")
    end: int = Field(description="offset in code points, exclusive")
    confidence: float | None = Field(description="null for a key without `results:read`")


class HitView(BaseModel):
    """A place where all that was looked for stands together."""

    document_id: str
    document: str = Field(description="its name")
    kind: Kind
    page: int
    start: int = Field(description="offset of the excerpt in code points of the document's text")
    end: int = Field(description="offset in code points, exclusive")
    text: str = Field(description="exactly the document's text from `start` to `end`")
    highlights: list[MarkView] = Field(
        description="what was looked for, within the excerpt, in order; at least one"
    )
    clause: HitClauseView | None = Field(description="null in the text; else the clause")

    @classmethod
    def of(cls, hit: Hit, scopes: Collection[str]) -> HitView:
        """What a key with these scopes is shown of a hit: how sure the machine is of a clause tells
        whether it was accepted, so it is a result.
        """
        excerpt, clause = hit.excerpt, None
        if hit.clause:
            clause = HitClauseView.model_validate(hit.clause)
            if "results:read" not in scopes:
                clause.confidence = None
        return cls(
            document_id=hit.document_id,
            document=hit.document,
            kind=hit.kind,
            page=hit.page,
            start=excerpt.start,
            end=excerpt.end,
            text=excerpt.text,
            highlights=[MarkView(start=start, end=end) for start, end in excerpt.marks],
            clause=clause,
        )


class SearchPage(BaseModel):
    """Hits: of the document that was read last first, in the order of its text."""

    items: list[HitView]
    next: str | None = Field(description="goes on with `?cursor=`; null at the end")
    parts: list[str] = Field(
        description="what was looked for, as it was understood: words side by side, with `*` where "
        "the last may go on; empty if there was no word"
    )
    unindexed: int = Field(
        ge=0,
        description="documents that are not searched yet: read before there was an index, they are "
        "indexed one after the other once the suite is upgraded",
    )


def routes(finder: Finder) -> APIRouter:
    """`/v1/search`."""
    router = APIRouter(prefix="/v1/search", tags=["search"])

    @router.get("", summary="Search texts, or clauses", responses=problems())
    def search(
        actor: CurrentActor,
        q: Annotated[
            str,
            Query(
                min_length=1,
                max_length=400,
                description="words, all of which have to stand on one page (of a long one: within "
                'a thousand words) or in one clause; "words in quotes" stand side by side, `word*` '
                "begins so. Case and accents don't count; any text is a query",
            ),
        ],
        within: Annotated[
            Literal["text", "clauses"],
            Query(alias="in", description="where; a `category` means clauses in any case"),
        ] = "text",
        kind: Kind | None = None,
        category: Annotated[
            str | None,
            Query(max_length=64, pattern=CATEGORY, description="of clauses, verbatim"),
        ] = None,
        document: Annotated[
            str | None, Query(pattern=ID, description="id of the only one to search in")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        cursor: Annotated[str | None, Query(max_length=20)] = None,
    ) -> SearchPage:
        query = read_query(q)
        filters = Filters(within == "clauses", category, kind, document)
        below = None if cursor is None else read_cursor(cursor)
        hits, more = finder.page(actor.tenant, query, filters, limit=limit, below=below)
        with finder.store.read() as session:
            missing = Passages(session, actor.tenant).unindexed()
        return SearchPage(
            items=[HitView.of(hit, actor.scopes) for hit in hits],
            next=None if more is None else str(more),
            parts=[str(part) for part in query.parts],
            unindexed=missing,
        )

    return router
