"""What waits for a person, and what the person may do with it: plain data, no framework.

An item waits, is claimed for a while, and is decided. A claim is a lease: it ends by itself when
nobody renews it. Undoing is a decision too, so that the audit only grows.

A browser's tab claims under its id and a generation, which grows with each of its stays at the
queue. Leaving closes the generation: what it holds goes back, and a claim of it that comes late
is refused.

    waiting --claim--> claimed --decide--> decided --undo--> claimed (by the one who decided)
       ^                  |
       +--release, lease--+

What the machine accepted by itself (`route`) lies beside the queue: it can be claimed, but nobody
is asked.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from services.review.categories import CATEGORIES
from shared.errors import Conflict, InvalidRequest, NotAllowed, SuiteError
from shared.events import BlobRef, Kind, Route, Stage, Verdict
from shared.events.questions import Proposal, Question, page_result
from shared.web.values import Natural, Positive, Whole

ItemKind = Literal["clause", "finding", "signal", "flag"]
About = Literal["clause", "finding", "signal", "flag", "question"]
State = Literal["waiting", "claimed", "decided"]

_HEAD = re.compile(r"\S{1,80}\s")
_TAIL = re.compile(r"\s\S{1,80}\Z")
"""A word that was cut, with the space beside it; in a script without spaces nothing is a word."""

CONFIDENCE = "confidence"
"""What orders the queue where nothing was learned."""

KIND_CHECK = "document_kind"
"""The category of the item that asks of what kind a document is."""

PAGE_CHECK = "page_text"
"""The category of an item that asks whether a page was read badly."""
MOST_PAGES = 20
"""Pages of one document that are asked about at the most: the first."""

CORRECTED_CHARACTERS = 100_000
"""The longest text that a clause can be corrected to."""


def storable(text: str) -> str:
    """A text that every database can hold. Raises ValueError for one with a NUL in it."""
    if "\0" in text:
        raise ValueError("there is a NUL character in it, which can't be stored")
    return text


Storable = AfterValidator(storable)
Id = Annotated[str, StringConstraints(max_length=64), Storable]
Name = Annotated[str, StringConstraints(max_length=200), Storable]
Note = Annotated[str, StringConstraints(max_length=4_000), Storable]
Words = Annotated[str, StringConstraints(min_length=1, max_length=CORRECTED_CHARACTERS), Storable]


ASKED = "a frontier model"
"""Who holds an item that is asked about, until the answer comes or the time for it is over; a
person who wants it takes it.
"""


class BadResults(SuiteError):
    """The results of a specialist are not in the form that was agreed."""

    code = "bad_results"


class ItemTaken(Conflict):
    """Another analyst works on this item."""

    code = "item_taken"


class LeaseLost(Conflict):
    """The item is not claimed by you, or no longer."""

    code = "lease_lost"


class TabLeft(Conflict):
    """This stay of the tab at the queue has ended."""

    code = "tab_left"


class AlreadyDecided(Conflict):
    """The item has been decided."""

    code = "already_decided"


class NotDecided(Conflict):
    """There is no decision to undo."""

    code = "not_decided"


class NotYours(NotAllowed):
    """Another person made this decision."""

    code = "not_yours"


class Superseded(Conflict):
    """The document was read anew since."""

    code = "superseded"


class Box(BaseModel):
    """A rectangle on one page, in points, origin top left of the page as displayed."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


class Clause(BaseModel):
    """A clause as extraction announces it. `end` is exclusive; offsets count code points."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(min_length=1, max_length=64)
    category: str = Field(min_length=1, max_length=200)
    text: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    page: int | None = None
    confidence: float = Field(ge=0, le=1)
    boxes: tuple[Box, ...] = ()
    route: Route = "review"
    adapter: str = Field("", description="the specialist that found it")
    value: Mapping[str, Any] | None = Field(None, description="what its words say, normalised")


class Place(BaseModel):
    """Where a value stands: offsets into the text, a cell of a sheet, an element, a box."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    page: int
    start: int | None = Field(None, ge=0)
    end: int | None = Field(None, ge=0)
    cell: str | None = None
    element: str | None = None
    box: tuple[float, float, float, float] | None = None


class NamedCell(BaseModel):
    """A cell that a finding names, with its place if its document has any."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    statement: str
    row: int
    column: int
    label: str
    place: Place | None = None


class Finding(BaseModel):
    """A finding as triage announces it. `row` and `column` count from 0; the first of `cells` is
    the one that it is about.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(min_length=1, max_length=64)
    filing: str | None = Field(None, description="id of the filing within the document")
    check: str = Field(min_length=1, max_length=200)
    severity: str | None = None
    confidence: float = Field(ge=0, le=1)
    statement: str | None = None
    column: int | None = None
    row: int | None = None
    rows: tuple[int, ...] | None = None
    label: str | None = None
    reported: float | None = None
    expected: float | None = None
    message: str = ""
    title: str | None = None
    compares: str | None = None
    lawful: str | None = None
    settle: str | None = None
    example: str | None = None
    dismissed: Mapping[str, Any] | None = None
    """Folded away: an analyst dismissed the same before, so nobody is asked again."""
    cells: tuple[NamedCell, ...] = ()
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    route: Route = "review"

    @property
    def span(self) -> tuple[int | None, int | None]:
        """Where the text has the cell that it is about; nowhere in the data of a program."""
        place = self.cells[0].place if self.cells else None
        return (place.start, place.end) if place else (None, None)


R = TypeVar("R", bound=BaseModel)


def read_clauses(data: bytes, document: str) -> list[Clause]:
    """The clauses in a blob. Raises BadResults."""
    return read_results(TypeAdapter(list[Clause]), data, "clauses", document)


def read_findings(data: bytes, document: str) -> list[Finding]:
    """The findings in a blob. Raises BadResults."""
    return read_results(TypeAdapter(list[Finding]), data, "findings", document)


def read_results(form: TypeAdapter[list[R]], data: bytes, what: str, document: str) -> list[R]:
    """The results in a blob. Raises BadResults."""
    try:
        return form.validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BadResults(
            f"the {what} of {document} can't be queued: {place}: {first['msg']}", document=document
        ) from None


@dataclass(frozen=True)
class PageSize:
    """One page that was read: `text[start:end]` of the document; width and height in points."""

    number: int
    start: int
    end: int
    width: float
    height: float


@dataclass(frozen=True)
class Document:
    """What review remembers of a document; `deleted` marks one that is to stay forgotten,
    `cancelled` one whose last attempt was stopped.
    """

    tenant: str
    id: str
    name: str
    kind: str
    media_type: str = ""
    page_count: int = 0
    pages: tuple[PageSize, ...] = ()
    text: BlobRef | None = None
    layout: BlobRef | None = None
    attempt: int = 1
    deleted: bool = False
    cancelled: bool = False
    trace: str | None = None
    """`traceparent` of its reading: what is decided about it belongs to the same trace."""

    def counts(self, attempt: int) -> bool:
        """Whether news of an attempt counts: not after a deletion, its cancellation or a newer."""
        if self.deleted or attempt < self.attempt:
            return False
        return attempt > self.attempt or not self.cancelled

    def page_at(self, offset: int) -> int | None:
        """The number of the page that holds the character at `offset`; None if that is unknown."""
        found = None
        for page in self.pages:
            if page.start <= offset:
                found = page.number
        return found


class Tab(BaseModel):
    """One stay of a browser's tab at the queue. A later one closes all before it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(
        pattern=r"^tab_[0-9a-f]{32}$",
        description="random; the same after a reload, another in a copy of the tab",
    )
    generation: Whole = Field(
        ge=1, le=2**31 - 1, description="counts the stays of this tab: its page loads at the least"
    )


@dataclass(frozen=True)
class Lease:
    """Who holds an item, and until when. `number` counts the claims of the item."""

    holder: str
    until: datetime
    number: int


@dataclass(frozen=True)
class Item:
    """One result that waits for a person, with all that is needed to judge it."""

    id: str
    tenant: str
    document_id: str
    attempt: int
    kind: ItemKind
    stage: Stage
    result_id: str
    category: str
    confidence: float
    created: datetime
    text: str = ""
    start: int | None = None
    end: int | None = None
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    before: str = ""
    after: str = ""
    finding: Mapping[str, Any] | None = None
    proposal: Mapping[str, Any] | None = None
    """What a frontier model says of it, or why none does: see `proposal_shown`."""
    claims: int = 0
    holder: str | None = None
    lease_until: datetime | None = None
    tab: str | None = None
    generation: int | None = None
    decision_id: str | None = None
    verdict: Verdict | None = None
    decided_by: str | None = None
    decided: datetime | None = None
    withdrawn: bool = False
    """Whether it is decided, but of a kind that its document is not of any more."""
    route: Route = "review"
    sampled: bool = False
    """Whether it was sure enough to be accepted, and waits for a person as a check of that."""
    chance: float | None = None
    """How likely a person changes it, as was learned; None where only its confidence tells."""
    ordered_by: str = CONFIDENCE
    """What tells that: name and version of a model, or `confidence`."""
    adapter: str = ""
    """The specialist that found it."""
    weight: float = 1.0
    """What a mistake in it costs, beside others; where time counts, by second of review."""
    shown_confidence: float | None = None
    shown_chance: float | None = None
    """Of a check: what it shows until it is decided, made of another result (`disguise.py`)."""

    @property
    def apparent(self) -> Self:
        """The item as people see it: a check looks like others in the queue, until decided."""
        if self.shown_confidence is None or self.verdict is not None:
            return self
        return replace(self, confidence=self.shown_confidence, chance=self.shown_chance)

    @property
    def urgency(self) -> float:
        """What it is expected to cost if nobody looks: the highest is first in the queue."""
        seen = self
        if self.shown_confidence is not None:
            seen = replace(self, confidence=self.shown_confidence, chance=self.shown_chance)
        chance = 1.0 - seen.confidence if seen.chance is None else seen.chance
        return chance * self.weight

    @property
    def asks_kind(self) -> bool:
        """Whether it asks of what kind its document is."""
        return self.is_of_reading and self.category == KIND_CHECK

    @property
    def is_of_reading(self) -> bool:
        """Whether it asks about the document as it was read, and not about a specialist's result:
        such an item stays whatever specialists find.
        """
        return self.stage == "ingest"

    @property
    def about(self) -> About:
        """What a person is asked about."""
        return "question" if self.asks_kind else self.kind

    @property
    def signature(self) -> tuple[object, ...]:
        """What makes two results the same in the eyes of a person, whoever found them.

        The id of a finding stands for its filing, statement and cell, and is the same whenever the
        same report is read. A clause found by another model may have
        another id, and is the same by its span.
        """
        if self.kind != "clause":
            return (self.kind, self.category, self.result_id, self.text)
        return (self.kind, self.category, self.start, self.end, self.text)

    def lease(self, now: datetime) -> Lease | None:
        """The lease that holds at this moment, if any."""
        if self.holder is None or self.lease_until is None or self.lease_until <= now:
            return None
        return Lease(self.holder, self.lease_until, self.claims)

    def is_accepted(self, now: datetime) -> bool:
        """Whether the machine accepted it, and nobody has looked at it since."""
        return self.route == "accept" and self.state(now) == "waiting"

    def state(self, now: datetime) -> State:
        """Where the item stands at this moment."""
        if self.verdict is not None:
            return "decided"
        return "claimed" if self.lease(now) else "waiting"

    def claim(self, actor: str, now: datetime, seconds: float, tab: Tab | None = None) -> Self:
        """Hold the item for a while, in a tab. Raises AlreadyDecided or ItemTaken."""
        self._must_be_open()
        lease = self.lease(now)
        if lease and lease.holder not in (actor, ASKED):
            raise ItemTaken(f"{lease.holder} works on this item: take another one")
        until = now + timedelta(seconds=seconds)
        held = replace(self, holder=actor, lease_until=until, claims=self.claims + 1)
        return replace(
            held, tab=tab.id if tab else None, generation=tab.generation if tab else None
        )

    def asked(self, now: datetime, seconds: float) -> Self:
        """The item of a result that a frontier model is asked about: it waits for the answer, and
        comes to a person without one once the time for it is over.
        """
        if self.route != "escalate" or self.proposal is not None:
            return self
        return replace(self, holder=ASKED, lease_until=now + timedelta(seconds=seconds))

    def keep(self, actor: str, now: datetime, seconds: float) -> Self:
        """Hold it for longer. Raises AlreadyDecided or LeaseLost."""
        self._must_be_open()
        self._must_be_held(actor, now)
        return replace(self, lease_until=now + timedelta(seconds=seconds))

    def release(self, actor: str, now: datetime, number: int | None = None) -> Self:
        """Give it back. Nothing happens if it isn't held by this actor, or by another claim."""
        lease = self.lease(now)
        mine = lease is not None and lease.holder == actor and number in (None, lease.number)
        return self._freed() if mine else self

    def decide(self, actor: str, now: datetime, verdict: Verdict, decision_id: str) -> Self:
        """Accept, reject or correct. Raises AlreadyDecided or LeaseLost."""
        self._must_be_open()
        self._must_be_held(actor, now)
        return replace(
            self._freed(),
            verdict=verdict,
            decision_id=decision_id,
            decided_by=actor,
            decided=now,
        )

    def undo(self, actor: str, now: datetime, seconds: float, tab: Tab | None = None) -> Self:
        """Back to the queue, claimed by the one who decided. Raises NotDecided or NotYours."""
        if self.verdict is None:
            raise NotDecided("this item is not decided: there is nothing to undo")
        if self.decided_by != actor:
            raise NotYours(f"{self.decided_by} decided this item, so nobody else can undo that")
        undecided = replace(self, verdict=None, decision_id=None, decided_by=None, decided=None)
        return undecided.claim(actor, now, seconds, tab)

    def _freed(self) -> Self:
        return replace(self, holder=None, lease_until=None, tab=None, generation=None)

    def _must_be_open(self) -> None:
        if self.verdict is not None:
            raise AlreadyDecided(
                f"{self.decided_by} has decided this item ({self.verdict}), "
                f"and only {self.decided_by} can undo that"
            )

    def _must_be_held(self, actor: str, now: datetime) -> None:
        lease = self.lease(now)
        if lease is None:
            raise LeaseLost(
                "you hold no claim on this item, or it has run out: claim it, nothing is lost"
            )
        if lease.holder != actor:
            raise LeaseLost(f"{lease.holder} works on this item now: take another one")


class Correction(BaseModel):
    """What is right instead. Left out is what stays as it was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    category: Name | None = None
    start: Natural | None = Field(None, description="offset in code points")
    end: Positive | None = Field(None, description="offset in code points, exclusive")
    text: Words | None = Field(None, description="exactly the text between the two")

    @property
    def moves(self) -> bool:
        """Whether the span changes, and not the category alone."""
        return (self.start, self.end, self.text) != (None, None, None)


class Wish(BaseModel):
    """What an analyst wants to be done with an item."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item: Id
    verdict: Verdict
    correction: Correction | None = Field(None, description="with `correct`: what is right")
    note: Note = Field("", description="why; kept in the audit")
    id: str | None = Field(
        None,
        pattern=r"^de_[0-9a-f]{32}$",
        description="chosen by the client, so that a repeated request decides once",
    )
    tab: Tab | None = Field(None, description="with `undo`: which tab claims the item again")

    @model_validator(mode="after")
    def _fits_the_verdict(self) -> Self:
        if self.correction is not None and self.verdict != "correct":
            raise ValueError(f"a correction goes with the verdict correct, not {self.verdict}")
        if self.tab is not None and self.verdict != "undo":
            raise ValueError(f"a tab goes with the verdict undo, not {self.verdict}")
        return self


def corrected(item: Item, wanted: Correction | None, text: str | None) -> dict[str, Any]:
    """The whole of what is right, checked against the document's text.

    Args:
        item: the item as the machine made it.
        wanted: what the analyst changed.
        text: the document's text; None if it is not at hand, then the span can't change.

    Raises:
        InvalidRequest: nothing was changed, the category is unknown, the span is not the text or
            too long, or the item is a finding.
    """
    if item.asks_kind:
        return {**_kind(item, wanted), "start": None, "end": None, "text": item.text}
    if item.kind != "clause":
        raise InvalidRequest(
            "a signal can't be corrected: accept it if it needs looking into, reject it if it has "
            "a good reason, and say that in the note"
            if item.kind == "signal"
            else "a sentence can't be corrected: accept it if it says that of the filer, reject it "
            "if it doesn't, and say in the note what it says"
            if item.kind == "flag"
            else "a finding can't be corrected: accept it if the report is wrong there, reject it "
            "if it is a false alarm, and say in the note what is right",
            document=item.document_id,
        )
    if wanted is None:
        raise InvalidRequest("a correction says what is right: `correction` with category or span")
    category = wanted.category or item.category
    if category not in CATEGORIES and category != item.category:
        raise InvalidRequest(f"there is no category {category!r}")
    right = {"category": category, "start": item.start, "end": item.end, "text": item.text}
    if wanted.moves:
        right |= _span(item, wanted, text)
    if (right["category"], right["start"], right["end"]) == (item.category, item.start, item.end):
        raise InvalidRequest("the correction changes nothing: accept the item instead")
    return right


def _kind(item: Item, wanted: Correction | None) -> dict[str, Any]:
    kind = wanted.category if wanted and not wanted.moves else None
    if kind not in get_args(Kind):
        raise InvalidRequest(
            f"say of what kind it is: `correction` with `category`, {', '.join(get_args(Kind))}",
            document=item.document_id,
        )
    if kind == (item.finding or {}).get("kind"):
        raise InvalidRequest("the correction changes nothing: accept the item instead")
    return {"category": kind}


def _span(item: Item, wanted: Correction, text: str | None) -> dict[str, Any]:
    start = item.start if wanted.start is None else wanted.start
    end = item.end if wanted.end is None else wanted.end
    if text is None or start is None or end is None:
        raise InvalidRequest(
            "the text of this document is not at hand, so its span can't change",
            document=item.document_id,
        )
    if not 0 <= start < end <= len(text):
        raise InvalidRequest(
            f"no span {start}:{end} in a text of {len(text)} characters", document=item.document_id
        )
    if end - start > CORRECTED_CHARACTERS:
        raise InvalidRequest(
            f"a corrected clause has at most {CORRECTED_CHARACTERS} characters, not {end - start}",
            document=item.document_id,
        )
    if wanted.text is not None and wanted.text != text[start:end]:
        raise InvalidRequest(
            "the corrected text is not what the document has between these offsets: "
            "offsets count Unicode code points",
            document=item.document_id,
        )
    return {"start": start, "end": end, "text": text[start:end]}


@dataclass(frozen=True)
class Decision:
    """What a person did with one result, and what the result was. Written once, never changed."""

    id: str
    tenant: str
    item_id: str
    document_id: str
    document_name: str
    kind: ItemKind
    stage: Stage
    result_id: str
    category: str
    text: str
    start: int | None
    end: int | None
    page: int | None
    confidence: float
    verdict: Verdict
    correction: Mapping[str, Any] | None
    note: str
    actor: str
    time: datetime
    adapter: str = ""
    """The specialist that found it."""
    sampled: bool = False
    """Whether the result was sure enough to be accepted, and was drawn as a check of that."""
    wrong: bool | None = None
    """Whether a clause was wrong; None for other results, and where a decision is undone."""
    document_kind: str = ""
    """Of what kind its document was."""
    source: str = ""
    """What its document was read from: its media type."""

    @classmethod
    def of(
        cls,
        item: Item,
        document: Document,
        verdict: Verdict,
        *,
        actor: str,
        time: datetime,
        decision_id: str | None = None,
        correction: Mapping[str, Any] | None = None,
        note: str = "",
        wrong: bool | None = None,
    ) -> Self:
        """A decision about an item as it stands."""
        return cls(
            id=decision_id or new_id("de"),
            tenant=item.tenant,
            item_id=item.id,
            document_id=item.document_id,
            document_name=document.name,
            kind=item.kind,
            stage=item.stage,
            result_id=item.result_id,
            category=item.category,
            text=item.text,
            start=item.start,
            end=item.end,
            page=item.page,
            confidence=item.confidence,
            verdict=verdict,
            correction=correction,
            note=note,
            actor=actor,
            time=time,
            adapter=item.adapter,
            sampled=item.sampled,
            wrong=wrong,
            document_kind=document.kind,
            source=document.media_type,
        )


def new_id(prefix: str) -> str:
    """A fresh id such as `it_` and 32 hexadecimal digits."""
    return f"{prefix}_{uuid.uuid4().hex}"


def items_of_clauses(
    document: Document,
    clauses: Sequence[Clause],
    *,
    attempt: int,
    text: str | None,
    context: int,
    now: datetime,
    sampled: Collection[str] = (),
) -> list[Item]:
    """One item for each clause, with up to `context` characters of the document on both sides,
    in whole words. `sampled` are the ids of those that are there as a check.
    """
    return [
        Item(
            id=new_id("it"),
            tenant=document.tenant,
            document_id=document.id,
            attempt=attempt,
            kind="clause",
            stage="extraction",
            result_id=clause.id,
            category=clause.category,
            confidence=clause.confidence,
            created=now,
            text=clause.text,
            start=clause.start,
            end=clause.end,
            page=clause.page or document.page_at(clause.start),
            boxes=clause.boxes,
            before=_before(text, clause.start, context) if text else "",
            after=_after(text, clause.end, context) if text else "",
            route=clause.route,
            sampled=clause.id in sampled,
            adapter=clause.adapter,
        )
        for clause in clauses
    ]


def _before(text: str, end: int, most: int) -> str:
    """The words that stand before `end`."""
    part = text[max(0, end - most) : end]
    if end > most and not text[end - most - 1].isspace():
        cut = _HEAD.match(part)
        part = part[cut.end() :] if cut else part
    return part


def _after(text: str, start: int, most: int) -> str:
    """The words that stand from `start` on."""
    part = text[start : start + most]
    if len(text) > start + most and not text[start + most].isspace():
        part = _TAIL.sub("", part)
    return part


def items_of_pages(document: Document, pages: Sequence[int], *, now: datetime) -> list[Item]:
    """The items that ask whether pages were read badly, whose text seems to be none."""
    return [
        Item(
            id=new_id("it"),
            tenant=document.tenant,
            document_id=document.id,
            attempt=document.attempt,
            kind="finding",
            stage="ingest",
            result_id=page_result(document.id, page),
            category=PAGE_CHECK,
            confidence=0.5,
            created=now,
            text=f"What was read of page {page} has unknown or scrambled characters. "
            "Is it something else than what stands on the page?",
            page=page,
            finding={"check": PAGE_CHECK, "page": page},
        )
        for page in pages[:MOST_PAGES]
    ]


def item_of_kind(document: Document, confidence: float, *, now: datetime) -> Item:
    """The item that asks of what kind a document is, which ingest is unsure of."""
    return Item(
        id=new_id("it"),
        tenant=document.tenant,
        document_id=document.id,
        attempt=document.attempt,
        kind="finding",
        stage="ingest",
        result_id=document.id,
        category=KIND_CHECK,
        confidence=confidence,
        created=now,
        text=f"It is worked on as a {document.kind}, but its text leaves that unsure. What is it?",
        finding={"check": KIND_CHECK, "kind": document.kind},
    )


def item_of_question(
    document: Document,
    question: Question,
    proposal: Proposal | None,
    *,
    result_id: str,
    stage: Stage,
    text: str,
    context: int,
    now: datetime,
) -> Item:
    """The item for a result that a frontier model was asked about and that waits for nobody yet:
    the words that were proposed, or those that the specialist had in mind, or the window.
    """
    best = max(question.candidates, key=lambda one: one.confidence, default=None)
    start, end = question.start, question.end
    if proposal and proposal.quotes:
        start, end = proposal.quotes[0].start, proposal.quotes[0].end
    elif best:
        start, end = best.start, best.end
    clause = Clause(
        id=result_id,
        category=question.category,
        text=text[start:end],
        start=start,
        end=end,
        confidence=best.confidence if best else 0.0,
    )
    (item,) = items_of_clauses(
        document, [clause], attempt=document.attempt, text=text, context=context, now=now
    )
    return replace(item, stage=stage)


def proposal_shown(proposal: Proposal | None, reason: str | None) -> dict[str, Any]:
    """What is shown beside an item: an answer, or why there is none."""
    if proposal is None:
        return {"verdict": None, "reason": reason or "no answer came"}
    hidden = {"category", "escalation"} if proposal.cell else {"category", "escalation", *_FIGURES}
    return {**proposal.model_dump(mode="json", exclude=hidden), "reason": None}


_FIGURES = ("cell", "expected", "arithmetic", "total", "tolerance")


def item_of_triage(
    document: Document, *, attempt: int, now: datetime, text: str, **found: Any
) -> Item:
    """An item of what triage found in a report, of whatever kind: `found` is what it has beside."""
    return Item(
        id=new_id("it"),
        tenant=document.tenant,
        document_id=document.id,
        attempt=attempt,
        stage="triage",
        created=now,
        text=text.replace("\0", "\ufffd"),  # a JSON report may have one in a label
        **found,
    )


def items_of_findings(
    document: Document,
    findings: Sequence[Finding],
    *,
    attempt: int,
    now: datetime,
    sampled: Collection[str] = (),
    adapter: str = "",
) -> list[Item]:
    """One item for each finding of `adapter`. `sampled` are the ids of those that are there as a
    check.
    """
    hidden = {"id", "confidence", "boxes", "page", "route"}
    return [
        item_of_triage(
            document,
            attempt=attempt,
            now=now,
            kind="finding",
            result_id=finding.id,
            category=finding.check,
            confidence=finding.confidence,
            text=finding.message,
            start=finding.span[0],
            end=finding.span[1],
            page=finding.page,
            boxes=finding.boxes,
            finding=finding.model_dump(mode="json", exclude=hidden),
            route=finding.route,
            sampled=finding.id in sampled,
            adapter=adapter,
        )
        for finding in findings
    ]
