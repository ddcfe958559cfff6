"""The routes of extraction: the clauses of a document, its values, and which categories
it has.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.extraction.domain import Extraction, Pass, presence, searched_by_all
from services.extraction.store import Extractions
from services.extraction.values import CATEGORIES as VALUED
from services.extraction.values import Kind, Status, document_values
from shared.errors import Conflict, NotFound
from shared.events import Route
from shared.storage import Store
from shared.web.auth import CurrentActor
from shared.web.ids import DocumentPath
from shared.web.openapi import problems

CATEGORY = r"^[^\x00-\x1f]*$"
Adapter = Annotated[
    str | None,
    Query(
        max_length=64,
        pattern=CATEGORY,
        description="of this specialist alone; 409 if it has not read the document",
    ),
]


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class BoxOut(_Answer):
    """A rectangle on a page: PDF points, origin top left of the page as displayed."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


class FoundValueOut(_Answer):
    """A normalised value and the words it came from."""

    kind: Kind
    status: Status = Field(
        description="`redacted`: taken out or left blank; `value` is then what is left, or null"
    )
    value: str | None = Field(
        description="date and duration: ISO 8601, as full as stated (`2005-03`, `P90D`); "
        "`perpetual`; amount: a decimal number; party: its name, null where only a role stands"
    )
    currency: str | None = Field(description="of an amount: ISO 4217; a bare `$` is read as USD")
    role: str | None = Field(description="of a party: its defined term")
    repeats: bool | None = Field(description="of a renewal: for one term after the other")
    text: str | None = Field(description="exactly the document's text from `start` to `end`")
    start: int | None = Field(description="offset in code points; null for what is not stated")
    end: int | None = Field(description="offset in code points, exclusive")


class ValueOut(FoundValueOut):
    """The value that a clause is about."""

    others: list[FoundValueOut] = Field(description="what the clause states besides")


class DocumentValueOut(FoundValueOut):
    """A value of a contract."""

    category: str
    clause_id: str | None = Field(description="null where no such clause was found")
    computed: str | None = Field(
        description="a date that no clause states: the end of a term that is stated as a duration, "
        "or the agreement date where the effective date refers to it"
    )
    computed_from: str | None = Field(description="the clause that it was counted from")


class ValuesOut(BaseModel):
    """One line a value, and one for each category without any that was looked for, in a fixed order
    of categories; of several values of a category the likeliest first.
    """

    items: list[DocumentValueOut]
    next: str | None = None


class ClauseOut(_Answer):
    """A clause with its evidence."""

    id: str
    adapter: str = Field(description="the specialist that found it")
    category: str = Field(
        description="a label of the specialist; of `contract-clauses` one of the 41 categories of "
        "CUAD, verbatim"
    )
    text: str = Field(description="exactly the document's text from `start` to `end`")
    start: int = Field(description="offset in code points")
    end: int = Field(description="offset in code points, exclusive")
    page: int
    confidence: float = Field(gt=0, lt=1)
    boxes: list[BoxOut] = Field(description="one for each piece of a line")
    value: ValueOut | None = Field(None, description="null for a category that has no values")
    route: Route = Field(
        "review",
        description="`accept`: sure enough for the risk that the policy states, so that no person "
        "is asked; `escalate`: a frontier model is asked, and then a person; `review`: a person "
        "looks at it",
    )


class RiskOut(_Answer):
    """What was promised for the clauses of a specialist, or why nothing was."""

    adapter: str
    max_wrong: float = Field(description="of the accepted clauses at most this share is wrong")
    level: float = Field(description="with this confidence")
    thresholds: dict[str, float] = Field(
        description="from which confidence on a clause is accepted, by category; none, where empty"
    )
    families: int = Field(
        description="company families not seen, or documents decided here, from which that is known"
    )
    why_not: str = Field(description="why nothing is accepted; empty where something may be")
    promise: str = Field("", description="names what was promised, by which calibration")
    belief: float | None = Field(
        None, description="from which on a clause would be accepted, had nothing been tightened"
    )
    tightened: tuple[str, ...] = Field(
        (), description="why less is accepted than was promised for, as checks were wrong"
    )


class MissedOut(_Answer):
    """What was promised of the true clauses that a specialist does not show, or why nothing was."""

    adapter: str
    max_missed: float = Field(
        description="of the true clauses at most this share is not shown, where a company counts "
        "with at most 60 of its own"
    )
    level: float = Field(description="with this confidence")
    above: float = Field(description="this confidence clauses are shown")
    families: int = Field(description="company families not seen, from which that is known")
    why_not: str = Field(description="why nothing is promised; empty where it is")


class ClausesOut(BaseModel):
    """A page of a document's clauses, in the order of its text."""

    items: list[ClauseOut]
    provisional: bool = Field(
        False,
        description="with `early=true`, while the document is read: these are of its first pages, "
        "may go or change once all are read, and have no boxes; offsets count as at `/pages` while "
        "it is read, and lead nowhere between its last page and the final clauses",
    )
    pages: int | None = Field(None, description="of how many pages, where they are provisional")
    risks: list[RiskOut] = Field(
        [], description="one for each specialist, where the policy states a risk"
    )
    missed: list[MissedOut] = Field(
        [], description="one for each specialist, where the policy states a share of missed clauses"
    )
    next: str | None = Field(description="goes on with `?cursor=`; null at the end")


class NearestOut(_Answer):
    """The passage that comes nearest to a clause of the category, however unsure."""

    text: str = Field(description="its beginning, exactly as in the document")
    start: int = Field(description="offset in code points")
    end: int = Field(description="offset in code points, exclusive")
    page: int
    confidence: float


class PresenceOut(_Answer):
    """Whether the contract has a category at all."""

    adapter: str = Field(description="the specialist that looked")
    category: str
    present: bool = Field(description="more likely than not")
    probability: float = Field(description="that the contract has such a clause", ge=0, le=1)
    confidence: float | None = Field(description="of the surest clause; null where there is none")
    clauses: int = Field(description="how many are listed at `/clauses`")
    nearest: NearestOut | None = Field(description="null where nothing in the text comes near")


class SearchedOut(_Answer):
    """Where was looked. What is on a page that failed was not."""

    characters: int
    pages: int
    failed_pages: list[int]
    warnings: list[str] = Field(description="why not to rely on the search")


class PresencesOut(BaseModel):
    """Every category of each specialist, in a fixed order, and what was searched."""

    items: list[PresenceOut]
    searched: SearchedOut | None = Field(
        description="null for a document that an earlier version extracted"
    )
    next: str | None = None


def routes(store: Store) -> APIRouter:
    """What extraction answers below a document."""
    router = APIRouter(prefix="/v1/documents/{document_id}", tags=["clauses"])
    answers = problems(404, 409)

    @router.get("/clauses", responses=answers, summary="The clauses of a contract")
    def clauses(
        document_id: DocumentPath,
        actor: CurrentActor,
        adapter: Adapter = None,
        early: Annotated[
            bool,
            Query(description="also the provisional clauses of the first pages of a long document"),
        ] = False,
        category: Annotated[str | None, Query(max_length=64, pattern=CATEGORY)] = None,
        cursor: Annotated[str | None, Query(max_length=20)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> ClausesOut:
        with store.read() as session:
            extractions = Extractions(session, actor.tenant)
            known = extractions.get(document_id)
            provisional = early and known is not None and known.is_early
            passes = require_passes(known, document_id, adapter, early=provisional)
            found, more = extractions.clauses(
                document_id, adapter=adapter, category=category, cursor=cursor, limit=limit
            )
        return ClausesOut(
            items=[ClauseOut.model_validate(c) for c in found],
            provisional=provisional,
            pages=passes[0].searched.pages if provisional and passes[0].searched else None,
            risks=[RiskOut(adapter=p.adapter, **p.risk.to_json()) for p in passes if p.risk],
            missed=[MissedOut(adapter=p.adapter, **p.missed.to_json()) for p in passes if p.missed],
            next=more,
        )

    @router.get("/presence", responses=answers, summary="Which categories a contract has")
    def categories(
        document_id: DocumentPath, actor: CurrentActor, adapter: Adapter = None
    ) -> PresencesOut:
        with store.read() as session:
            extractions = Extractions(session, actor.tenant)
            passes = require_passes(extractions.get(document_id), document_id, adapter)
            items = [
                PresenceOut(adapter=one.adapter, **asdict(line))
                for one in passes
                for line in presence(extractions.scores(document_id, one.adapter), one.searched)
            ]
        looked = searched_by_all(passes)
        return PresencesOut(
            items=items, searched=SearchedOut.model_validate(looked) if looked else None
        )

    @router.get("/values", responses=answers, summary="The dates, terms, sums, law and parties")
    def values(
        document_id: DocumentPath, actor: CurrentActor, adapter: Adapter = None
    ) -> ValuesOut:
        with store.read() as session:
            extractions = Extractions(session, actor.tenant)
            passes = require_passes(extractions.get(document_id), document_id, adapter)
            lines = document_values(extractions.valued(document_id, adapter))
        looked = searched_by_all(passes)
        known = {line.category for line in looked.categories} if looked else VALUED
        return ValuesOut(
            items=[
                DocumentValueOut.model_validate(v.to_json()) for v in lines if v.category in known
            ]
        )

    return router


def require_passes(
    known: Extraction | None, document_id: str, adapter: str | None, *, early: bool = False
) -> tuple[Pass, ...]:
    """The passes of one specialist, or of all that have read the document. Raises as
    `require_result` does, and Conflict for a specialist that has not.
    """
    passes = known.passes if early and known else require_result(known, document_id).passes
    wanted = tuple(one for one in passes if adapter in (None, one.adapter))
    if not wanted:
        by = ", ".join(one.adapter for one in passes)
        raise Conflict(
            f"document {document_id} was not read by {adapter!r}, but by {by}: reprocess it with "
            "the `adapters` that are to read it",
            document=document_id,
        )
    return wanted


def require_result(known: Extraction | None, document_id: str) -> Extraction:
    """Raise NotFound for what is not known, Conflict for what has no clauses yet or never will."""
    if known is None or known.state == "deleted":
        raise NotFound(f"there is no document {document_id}", document=document_id)
    if known.state == "extracted":
        return known
    if known.state == "failed":
        why = f"its state is failed ({known.code}: {known.reason})"
    elif known.kind != "contract":
        why = f"it is of kind {known.kind}, and clauses are found in contracts only"
    else:
        why = "its state is waiting: it has not been worked on yet, ask again soon"
    raise Conflict(f"document {document_id} has no clauses: {why}", document=document_id)
