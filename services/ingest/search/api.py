"""The route of search."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.ingest.search.query import read_query
from services.ingest.search.results import Hit, SearchService
from services.ingest.search.store import Filters, read_cursor
from shared.errors import InvalidRequest
from shared.events import Kind
from shared.web.auth import CurrentActor
from shared.web.openapi import problems
from shared.web.parameters import ID, Categories, Parties, Title


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class MarkView(BaseModel):
    """A match; offsets as in the hit."""

    start: int
    end: int


class HitClauseView(_Answer):
    """The clause of a hit."""

    id: str
    category: str
    start: int = Field(description="offset in code points")
    end: int = Field(description="offset in code points, exclusive")
    confidence: float | None = Field(description="null for a key without `results:read`")


class HitView(BaseModel):
    """A passage that matches the query, or a whole clause of a category."""

    document_id: str
    document: str = Field(description="its name")
    title: Title = None
    parties: Parties = []
    kind: Kind
    page: int
    start: int = Field(description="offset of the excerpt in code points of the document's text")
    end: int = Field(description="offset in code points, exclusive")
    text: str = Field(description="the document's text from `start` to `end`")
    highlights: list[MarkView] = Field(
        description="matches in the excerpt, in order; none without words"
    )
    more: int = Field(
        0,
        description="further places on the page where all the words stand together (in a long "
        "page: in this part of it)",
    )
    clause: HitClauseView | None = Field(
        description="the clause; null for a hit in the text. If several clauses have the same "
        "words, one of them"
    )
    categories: list[str] = Field([], description="the types of all clauses with these words")

    @classmethod
    def of(cls, hit: Hit, scopes: Collection[str]) -> HitView:
        """Build the view for a key with these scopes.

        The confidence of a clause shows whether it was accepted, so it needs `results:read`.
        """
        excerpt, clause = hit.excerpt, None
        if hit.clause:
            clause = HitClauseView.model_validate(hit.clause)
            if "results:read" not in scopes:
                clause.confidence = None
        return cls(
            document_id=hit.document_id,
            document=hit.document,
            title=hit.title.title if hit.title else None,
            parties=list(hit.title.parties) if hit.title else [],
            kind=hit.kind,
            page=hit.page,
            start=excerpt.start,
            end=excerpt.end,
            text=excerpt.text,
            highlights=[MarkView(start=start, end=end) for start, end in excerpt.marks],
            more=excerpt.more,
            clause=clause,
            categories=list(hit.categories),
        )


class SearchPage(BaseModel):
    """Hits: newest document first, in the order of its text."""

    items: list[HitView]
    next: str | None = Field(description="for `?cursor=`; null at the end")
    parts: list[str] = Field(
        description="the parsed query: words and phrases, `*` after prefixes; may be empty"
    )


def routes(search_service: SearchService) -> APIRouter:
    """Build the route `/v1/search`."""
    router = APIRouter(prefix="/v1/search", tags=["search"])

    @router.get("", summary="Search texts or clauses", responses=problems())
    def search(
        actor: CurrentActor,
        q: Annotated[
            str | None,
            Query(
                min_length=1,
                max_length=400,
                description="words that must all be on one page (of a long page: "
                'within a thousand words) or in one clause; "phrases in '
                "quotes\", and `prefix*`. Case and accents don't count. Omit it to list all "
                "clauses of a `category`",
            ),
        ] = None,
        within: Annotated[
            Literal["text", "clauses"],
            Query(alias="in", description="where; `category` implies clauses"),
        ] = "text",
        kind: Kind | None = None,
        categories: Categories = (),
        document: Annotated[
            str | None, Query(pattern=ID, description="id of the only document to search")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        cursor: Annotated[str | None, Query(max_length=20)] = None,
    ) -> SearchPage:
        """Finds pages, or clauses with `in=clauses`, that contain all the words. Each hit has its
        text and the offsets of the words in the document. With a `category` and without words it
        lists all clauses of this category.
        """
        if q is None and not categories:
            raise InvalidRequest("q: give words to find, or a `category` to list its clauses")
        query = None if q is None else read_query(q)
        known = search_service.categories(actor.tenant, categories)
        filters = Filters(within == "clauses", known, kind, document)
        below = None if cursor is None else read_cursor(cursor)
        hits, more = search_service.page(actor.tenant, query, filters, limit=limit, below=below)
        return SearchPage(
            items=[HitView.of(hit, actor.scopes) for hit in hits],
            next=None if more is None else str(more),
            parts=[str(part) for part in (query.parts if query else ())],
        )

    return router
