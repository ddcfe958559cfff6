"""The routes of extraction: clauses, values and presence of categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.extraction.domain import Extraction, Pass, combined_record
from services.extraction.store import Extractions
from services.extraction.values import Kind, Status, document_values
from shared.categories import find_categories
from shared.errors import Conflict, NotFound
from shared.events import Route
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.openapi import problems
from shared.web.parameters import Categories, DocumentPath

CATEGORY = r"^[^\x00-\x1f]*$"
Adapter = Annotated[
    str | None,
    Query(
        max_length=64,
        pattern=CATEGORY,
        description="only results of this specialist; 409 if it has not read the document",
    ),
]


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class BoxOut(_Answer):
    """A rectangle on a page in PDF points, with the origin at the top left as displayed."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


class SpanOut(_Answer):
    """A part of the document's text. Offsets count code points, `end` is exclusive."""

    start: int
    end: int


class FoundValueOut(_Answer):
    """A normalised value and the words it came from."""

    kind: Kind
    status: Status = Field(
        description="`redacted`: taken out or left blank; `value` is the remaining part, or null"
    )
    value: str | None = Field(
        description="date and duration: ISO 8601, as precise as stated (`2005-03`, `P90D`); "
        "`perpetual`; amount: a decimal number; party: its name, or null if only a role is given"
    )
    currency: str | None = Field(description="of an amount: ISO 4217; a bare `$` is read as USD")
    role: str | None = Field(description="of a party: its defined term")
    repeats: bool | None = Field(description="of a renewal: whether it repeats")
    text: str | None = Field(description="exactly the document's text from `start` to `end`")
    start: int | None = Field(description="offset in code points; null if not stated")
    end: int | None = Field(description="offset in code points, exclusive")


class ValueOut(FoundValueOut):
    """The value that a clause is about."""

    other_values: list[FoundValueOut] = Field(description="what the clause also states")


class DocumentValueOut(FoundValueOut):
    """A value of a contract."""

    category: str
    clause_id: str | None = Field(description="null if no such clause was found")
    computed: str | None = Field(
        description="a computed date: the end of a term stated as a duration, or the agreement "
        "date if the effective date refers to it"
    )
    computed_from: str | None = Field(description="the clause that the date was counted from")


class ValuesOut(BaseModel):
    """The values by category in a fixed order, the likeliest first.

    A searched category without a value has one line.
    """

    items: list[DocumentValueOut]
    next: str | None = None


class ClauseOut(_Answer):
    """A clause with its evidence."""

    id: str
    adapter: str = Field(description="the specialist that found it")
    category: str = Field(
        description="a label of the specialist; for `contract-clauses` one of the 41 categories of "
        "CUAD, verbatim"
    )
    text: str = Field(description="exactly the document's text from `start` to `end`")
    start: int = Field(description="offset in code points")
    end: int = Field(description="offset in code points, exclusive")
    page: int
    confidence: float = Field(gt=0, lt=1)
    omitted: list[SpanOut] = Field(
        [],
        description="parts of `text` that are not its words: page numbers, running heads and "
        "legends, if it runs over a page. Leave them out when you show it",
    )
    boxes: list[BoxOut] = Field(
        description="one for each piece of a line, none for the parts in `omitted`"
    )
    value: ValueOut | None = Field(None, description="null for a category without values")
    route: Route = Field(
        "review",
        description="`accept`: sure enough for the risk in the policy, no person is asked; "
        "`escalate`: a frontier model is asked, then a person; `review`: a person decides",
    )


class RiskOut(_Answer):
    """The risk guarantee for the accepted clauses of a specialist, or why there is none."""

    adapter: str
    max_wrong: float = Field(description="at most this share of the accepted clauses is wrong")
    level: float = Field(description="confidence level of the guarantee")
    thresholds: dict[str, float] = Field(
        description="least confidence of an accepted clause, by category; empty: none is accepted"
    )
    families: int = Field(
        description="company families, or documents decided here, that the guarantee is based on"
    )
    no_guarantee_reason: str = Field(
        description="why nothing is accepted; empty if something may be"
    )
    guarantee: str = Field("", description="identifies the guarantee and its calibration")
    belief: float | None = Field(
        None, description="least belief of an accepted clause before any tightening"
    )
    tightened: tuple[str, ...] = Field(
        (), description="why less is accepted after wrong audit samples"
    )


class MissedOut(_Answer):
    """The guarantee for the true clauses that a specialist does not show, or why there is none."""

    adapter: str
    max_missed: float = Field(
        description="at most this share of the true clauses is not shown; a company counts with at "
        "most 60 clauses"
    )
    level: float = Field(description="confidence level of the guarantee")
    above: float = Field(description="clauses above this confidence are shown")
    families: int = Field(description="company families that the guarantee is based on")
    no_guarantee_reason: str = Field(description="why nothing is guaranteed; empty if it is")


class ClausesOut(BaseModel):
    """A page of a document's clauses, in the order of its text."""

    items: list[ClauseOut]
    provisional: bool = Field(
        False,
        description="with `provisional=true`: clauses of the first pages, while the document is "
        "read. They may change or go once all pages are read, and have no boxes. Their offsets "
        "count as at `/pages` until the last page is read",
    )
    pages: int | None = Field(
        None,
        description="number of the first pages, if `provisional`; null once all pages are read",
    )
    risks: list[RiskOut] = Field(
        [],
        description="which clauses are accepted without a person, and what is guaranteed for them: "
        "one for each specialist; empty if the policy states no risk, so that none is accepted",
    )
    missed: list[MissedOut] = Field(
        [],
        description="what is guaranteed about clauses that are not listed: one for each "
        "specialist; empty if the policy states no share of missed clauses",
    )
    next: str | None = Field(description="cursor of the next page; null at the end")


class NearestOut(_Answer):
    """The candidate of a category with the highest confidence, however low."""

    text: str = Field(description="its beginning, exactly as in the document")
    start: int = Field(description="offset in code points")
    end: int = Field(description="offset in code points, exclusive")
    page: int
    confidence: float


class PresenceOut(_Answer):
    """Whether the contract has a category at all."""

    adapter: str = Field(description="the specialist that searched")
    category: str
    present: bool = Field(
        description="the probability is above one half, whatever clauses were found and decided"
    )
    probability: float = Field(description="that the contract has such a clause", ge=0, le=1)
    confidence: float | None = Field(description="the highest of its clauses; null without any")
    clauses: int = Field(description="number of clauses at `/clauses`")
    nearest: NearestOut | None = Field(description="null if the text has no candidate")


class SearchedOut(_Answer):
    """What was searched. Failed pages were not."""

    characters: int
    pages: int
    failed_pages: list[int]
    warnings: list[str] = Field(description="reasons not to rely on the search")


class PresencesOut(BaseModel):
    """Every category of each specialist in a fixed order, and what was searched."""

    items: list[PresenceOut]
    searched: SearchedOut
    next: str | None = None


def routes(store: Store) -> APIRouter:
    """The routes below a document."""
    router = APIRouter(prefix="/v1/documents/{document_id}", tags=["clauses"])
    answers = problems(404, 409)

    @router.get("/clauses", responses=answers, summary="The clauses of a contract")
    def clauses(
        document_id: DocumentPath,
        actor: CurrentActor,
        adapter: Adapter = None,
        provisional: Annotated[
            bool,
            Query(description="also return clauses of the first pages, while the rest is read"),
        ] = False,
        categories: Categories = (),
        cursor: Annotated[str | None, Query(max_length=20)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> ClausesOut:
        """Each clause has its category, its text with offsets, the page, the boxes on it, a
        confidence and, where one is stated, a value. A contract in progress answers 409 until it is
        read.
        """
        with store.read() as session:
            extractions = Extractions(session, actor.tenant)
            known = extractions.get(document_id)
            provisional = provisional and known is not None and known.is_provisional
            passes = require_passes(known, document_id, adapter, first_pages=provisional)
            searched = {line.category for line in combined_record(passes).categories}
            wanted = find_categories(categories, searched.__contains__)
            found, more = extractions.clauses(
                document_id, adapter=adapter, categories=wanted, cursor=cursor, limit=limit
            )
        return ClausesOut(
            items=[ClauseOut.model_validate(c) for c in found],
            provisional=provisional,
            pages=passes[0].searched.pages if provisional else None,
            risks=[RiskOut(adapter=p.adapter, **vars(p.risk)) for p in passes if p.risk],
            missed=[MissedOut(adapter=p.adapter, **vars(p.missed)) for p in passes if p.missed],
            next=more,
        )

    @router.get("/presence", responses=answers, summary="Which categories a contract has")
    def categories(
        document_id: DocumentPath, actor: CurrentActor, adapter: Adapter = None
    ) -> PresencesOut:
        """Lists every category of the specialists, found or not, with its probability and the
        nearest text. `searched` has the pages that were read and the pages that failed.
        """
        with store.read() as session:
            extractions = Extractions(session, actor.tenant)
            passes = require_passes(extractions.get(document_id), document_id, adapter)
            items = [
                line
                for one in passes
                for line in presence_of(extractions.scores(document_id, one.adapter), one)
            ]
        searched = SearchedOut.model_validate(combined_record(passes))
        return PresencesOut(items=items, searched=searched)

    @router.get("/values", responses=answers, summary="The dates, terms, sums, law and parties")
    def values(
        document_id: DocumentPath, actor: CurrentActor, adapter: Adapter = None
    ) -> ValuesOut:
        """Lists values in a fixed form: dates as ISO 8601, durations, amounts with their currency,
        the governing law and the parties. Each has the text that it comes from.
        """
        with store.read() as session:
            extractions = Extractions(session, actor.tenant)
            passes = require_passes(extractions.get(document_id), document_id, adapter)
            lines = document_values(extractions.valued(document_id, adapter))
        known = {line.category for line in combined_record(passes).categories}
        return ValuesOut(
            items=[
                DocumentValueOut.model_validate(v.to_json()) for v in lines if v.category in known
            ]
        )

    return router


def presence_of(found: Sequence[tuple[str, float]], passed: Pass) -> list[PresenceOut]:
    """The presence of each category, from (category, confidence) of the clauses and the search."""
    lines = []
    for line in passed.searched.categories:
        scores = [confidence for category, confidence in found if category == line.category]
        lines.append(
            PresenceOut(
                adapter=passed.adapter,
                category=line.category,
                present=line.probability > 0.5,
                probability=line.probability,
                confidence=max(scores, default=None),
                clauses=len(scores),
                nearest=NearestOut.model_validate(line.nearest) if line.nearest else None,
            )
        )
    return lines


def require_passes(
    known: Extraction | None, document_id: str, adapter: str | None, *, first_pages: bool = False
) -> tuple[Pass, ...]:
    """The passes of one specialist, or of all that have read the document.

    Raises NotFound, or Conflict if it has no clauses or this specialist has not read it.
    """
    passes = known.passes if first_pages and known else require_result(known, document_id).passes
    wanted = tuple(one for one in passes if adapter in (None, one.adapter))
    if not wanted:
        by = ", ".join(one.adapter for one in passes)
        raise Conflict(
            f"document {document_id} was not read by {adapter!r}, but by {by}: reprocess it and "
            "name the specialist in `adapters`",
            document=document_id,
        )
    return wanted


def require_result(known: Extraction | None, document_id: str) -> Extraction:
    """Return an extraction with clauses; raise NotFound or Conflict otherwise."""
    wait = f"GET /v1/documents/{document_id}?wait=20 waits for its end"
    if known is None or known.state == "deleted":
        detail = f"there is no document {document_id}, or it has just been uploaded: {wait}"
        raise NotFound(detail, document=document_id)
    if known.state == "done":
        return known
    if known.state == "failed":
        why = f"its state is failed ({known.code}: {known.reason})"
    elif known.kind != "contract":
        why = f"its kind is {known.kind}, and only contracts have clauses"
    else:
        why = f"it has not been processed yet: {wait}"
    raise Conflict(f"document {document_id} has no clauses: {why}", document=document_id)
