"""Review items and decisions as plain data.

An item is waiting, claimed or decided. A claim is a lease that ends unless it is renewed. An undo
is a decision too, so that the audit only grows.

A browser tab claims with its id and a generation, which counts its sessions at the queue. Leaving
closes the generation: its items are released, and late claims of it are refused.

    waiting --claim--> claimed --decide--> decided --undo--> claimed (by the same reviewer)
       ^                  |
       +--release, lease--+

Automatically accepted results (`route`) have items too. They can be claimed, but nobody has to.

A person can add a clause, or confirm that a category is absent (`origin`). Such an item is decided
at once. Its undo withdraws it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)

from shared.categories import CATEGORIES, DAYS
from shared.documents.model.clause_text import own_words
from shared.errors import Conflict, InvalidRequest, NotAllowed
from shared.events import BlobRef, DocumentTitle, Kind, Origin, Route, Stage, Verdict
from shared.web.parameters import Integer, Natural, Positive

ItemKind = Literal["clause", "finding", "signal", "flag", "absence"]
"""`absence`: a person confirmed that a category is absent."""
About = Literal["clause", "finding", "signal", "flag", "question"]
State = Literal["waiting", "claimed", "decided"]


CONFIDENCE = "confidence"
"""The order of the queue without a learned model."""

KIND_CHECK = "document_kind"
"""The category of the question about the kind of a document."""

PAGE_CHECK = "page_text"
"""The category of a question about the text of a page."""

CORRECTED_CHARACTERS = 100_000
"""The longest corrected text of a clause."""


def storable(text: str) -> str:
    """Check that a text can be stored in every database. Raises ValueError for a NUL."""
    if "\0" in text:
        raise ValueError("NUL characters can't be stored")
    return text


Storable = AfterValidator(storable)
Id = Annotated[str, StringConstraints(max_length=64), Storable]
Name = Annotated[str, StringConstraints(max_length=200), Storable]
Note = Annotated[str, StringConstraints(max_length=4_000), Storable]
CommentText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000), Storable
]
ValueText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), Storable
]
Words = Annotated[str, StringConstraints(min_length=1, max_length=CORRECTED_CHARACTERS), Storable]


FRONTIER_MODEL = "a frontier model"
"""The holder of an item until the answer of a frontier model. A person can still claim it."""


class ItemTaken(Conflict):
    """Another reviewer has this item."""

    code = "item_taken"


class LeaseLost(Conflict):
    """You have no claim on this item."""

    code = "lease_lost"


class TabLeft(Conflict):
    """The session of this tab has ended."""

    code = "tab_left"


class AlreadyDecided(Conflict):
    """The item is decided."""

    code = "already_decided"


class NotDecided(Conflict):
    """There is no decision to undo."""

    code = "not_decided"


class NotYours(NotAllowed):
    """Another person made this decision or wrote this comment."""

    code = "not_yours"


class Superseded(Conflict):
    """The document was processed again since."""

    code = "superseded"


class Duplicate(Conflict):
    """The document has this clause or confirmed absence already."""

    code = "duplicate"


class Span(BaseModel):
    """A part of a document's text. Offsets count code points, `end` is exclusive."""

    model_config = ConfigDict(frozen=True)

    start: int
    end: int


class Box(BaseModel):
    """A rectangle on a displayed page, in points, origin top left."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class PageSize:
    """A page: `text[start:end]` of the document, with its size in points."""

    number: int
    start: int
    end: int
    width: float
    height: float


class DocumentName(NamedTuple):
    """The names of a document: its file's, and the title that people use."""

    name: str = ""
    title: str | None = None
    parties: tuple[str, ...] = ()


class Basis(BaseModel):
    """The models, limits and searches behind the results of a document, for its report."""

    model_config = ConfigDict(frozen=True)

    models: tuple[str, ...] = ()
    """Name and version of each."""
    warnings: tuple[str, ...] = ()
    searched: BlobRef | None = None
    """`SearchedContract`."""
    coverage: str | None = None
    """Statements found and relations checked, in words."""


@dataclass(frozen=True)
class Document:
    """A document as review knows it. `cancelled`: its last attempt was stopped."""

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
    """`traceparent` of its reading. Decisions belong to the same trace."""
    title: DocumentTitle | None = None
    """By its specialist; an earlier one stays until the next result."""
    sha256: str | None = None
    """Of the uploaded file; None for documents of an older version."""
    basis: Basis | None = None
    """None without results."""
    assignee: str | None = None
    """Who reviews its items, unless an item is assigned to somebody else."""
    assigned: datetime | None = None
    """When ingest set the assignee; None: never."""

    def counts(self, attempt: int) -> bool:
        """Whether an attempt counts: not after a deletion, a cancellation or a newer attempt."""
        if self.deleted or attempt < self.attempt:
            return False
        return attempt > self.attempt or not self.cancelled

    def page_at(self, offset: int) -> int | None:
        """Return the number of the page at an offset; None if unknown."""
        found = None
        for page in self.pages:
            if page.start <= offset:
                found = page.number
        return found


class Tab(BaseModel):
    """A session of a browser tab at the queue. A later one closes the earlier ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(
        pattern=r"^tab_[0-9a-f]{32}$",
        description="random; kept after a reload, different in a copy of the tab",
    )
    generation: Integer = Field(
        ge=1,
        le=2**31 - 1,
        description="counts the sessions of this tab; every page load starts one",
    )


@dataclass(frozen=True)
class Lease:
    """The claim of an item. `number` counts its claims."""

    holder: str
    until: datetime
    number: int


@dataclass(frozen=True)
class Item:
    """One result to review, with its context."""

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
    omitted: tuple[Span, ...] = ()
    """Parts of a clause's text that are not its words, such as a page number."""
    boxes: tuple[Box, ...] = ()
    before: str = ""
    after: str = ""
    value: Mapping[str, Any] | None = None
    """The normalised value of a clause."""
    finding: Mapping[str, Any] | None = None
    proposal: Mapping[str, Any] | None = None
    """The answer of a frontier model, or why there is none: see `proposal_fields`."""
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
    """Whether no list shows it: its document was reclassified since its decision, or a person added
    it and then undid that."""
    route: Route = "review"
    sampled: bool = False
    """Whether it is an audit sample of acceptable results."""
    chance: float | None = None
    """Learned probability that a reviewer changes it; None: unknown."""
    ordered_by: str = CONFIDENCE
    """The source of its order: name and version of a model, or `confidence`."""
    adapter: str = ""
    """The specialist."""
    weight: float = 1.0
    """The relative cost of a mistake; with order by time, per second of review."""
    shown_confidence: float | None = None
    shown_chance: float | None = None
    """The shown values of an audit sample: see `blinding`."""
    origin: Origin = "model"
    assignee: str | None = None
    """Who reviews it."""

    @property
    def absent(self) -> bool:
        """Whether it confirms that a category is absent."""
        return self.kind == "absence"

    @property
    def is_only_added(self) -> bool:
        """Whether a person added it, and no specialist has found it since."""
        return self.origin == "person" and self.result_id == self.id

    @property
    def own_words(self) -> str:
        """The text without the omitted parts."""
        return own_words(self.text, self.start or 0, [(s.start, s.end) for s in self.omitted])

    def seen_by(self, *, reads_results: bool) -> Self:
        """Return the item as people see it: an audit sample looks like other items.

        Args:
            reads_results: whether they also read results, and so see the own confidence of a
                decided sample.
        """
        if self.shown_confidence is None or (reads_results and self.verdict is not None):
            return self
        return replace(self, confidence=self.shown_confidence, chance=self.shown_chance)

    @property
    def urgency(self) -> float:
        """The expected cost without a review. The queue sorts by it, highest first."""
        seen = self
        if self.shown_confidence is not None:
            seen = replace(self, confidence=self.shown_confidence, chance=self.shown_chance)
        chance = 1.0 - seen.confidence if seen.chance is None else seen.chance
        return chance * self.weight

    @property
    def asks_kind(self) -> bool:
        return self.is_of_reading and self.category == KIND_CHECK

    @property
    def is_of_reading(self) -> bool:
        """Whether it asks about the document, not about a result. Results do not replace it."""
        return self.stage == "ingest"

    @property
    def about(self) -> About:
        if self.asks_kind:
            return "question"
        return "clause" if self.kind == "absence" else self.kind

    @property
    def signature(self) -> tuple[object, ...]:
        """The identity of a result across attempts and models.

        The id of a finding is stable: it depends on filing, statement and cell. A clause is
        identified by its span, because another model may give it another id.
        """
        if self.kind != "clause":
            return (self.kind, self.category, self.result_id, self.text)
        return (self.kind, self.category, self.start, self.end, self.text)

    def lease(self, now: datetime) -> Lease | None:
        if self.holder is None or self.lease_until is None or self.lease_until <= now:
            return None
        return Lease(self.holder, self.lease_until, self.claims)

    def is_accepted(self, now: datetime) -> bool:
        """Whether it was accepted automatically and not reviewed since."""
        return self.route == "accept" and self.state(now) == "waiting"

    def state(self, now: datetime) -> State:
        if self.verdict is not None:
            return "decided"
        return "claimed" if self.lease(now) else "waiting"

    def claim(self, actor: str, now: datetime, seconds: float, tab: Tab | None = None) -> Self:
        """Claim the item for a while. Raises AlreadyDecided or ItemTaken."""
        self._must_be_open()
        lease = self.lease(now)
        if lease and lease.holder not in (actor, FRONTIER_MODEL):
            raise ItemTaken(f"{_name(lease.holder)} is reviewing this item.")
        return replace(
            self,
            holder=actor,
            lease_until=now + timedelta(seconds=seconds),
            claims=self.claims + 1,
            tab=tab.id if tab else None,
            generation=tab.generation if tab else None,
        )

    def held_for_answer(self, now: datetime, seconds: float) -> Self:
        """Hold an escalated item until the answer of the model, at most for some seconds."""
        if self.route != "escalate" or self.proposal is not None:
            return self
        return replace(self, holder=FRONTIER_MODEL, lease_until=now + timedelta(seconds=seconds))

    def renew(self, actor: str, now: datetime, seconds: float) -> Self:
        """Renew the claim. Raises AlreadyDecided or LeaseLost."""
        self._must_be_open()
        self._must_be_claimed(actor, now)
        return replace(self, lease_until=now + timedelta(seconds=seconds))

    def release(self, actor: str, now: datetime, number: int | None = None) -> Self:
        """Release the claim, if it is this actor's (and has this number)."""
        lease = self.lease(now)
        mine = lease is not None and lease.holder == actor and number in (None, lease.number)
        return self._released() if mine else self

    def decide(self, actor: str, now: datetime, verdict: Verdict, decision_id: str) -> Self:
        """Accept, reject or correct. Raises AlreadyDecided or LeaseLost."""
        self._must_be_open()
        self._must_be_claimed(actor, now)
        return replace(
            self._released(),
            verdict=verdict,
            decision_id=decision_id,
            decided_by=actor,
            decided=now,
        )

    def undo(self, actor: str, now: datetime, seconds: float, tab: Tab | None = None) -> Self:
        """Undo the decision. Raises NotDecided or NotYours.

        Its reviewer claims the item. An added one is withdrawn instead.
        """
        if self.verdict is None:
            raise NotDecided("This item is not decided, so there is nothing to undo.")
        if self.decided_by != actor:
            raise NotYours(f"Only {_name(self.decided_by)} can undo this decision.")
        undecided = replace(self, verdict=None, decision_id=None, decided_by=None, decided=None)
        if self.is_only_added:
            return replace(undecided, withdrawn=True)
        return undecided.claim(actor, now, seconds, tab)

    def _released(self) -> Self:
        return replace(self, holder=None, lease_until=None, tab=None, generation=None)

    def _must_be_open(self) -> None:
        if self.verdict is not None:
            raise AlreadyDecided(
                f"{_name(self.decided_by)} has decided this item ({self.verdict}). Only "
                f"{_name(self.decided_by)} can undo that."
            )

    def _must_be_claimed(self, actor: str, now: datetime) -> None:
        lease = self.lease(now)
        if lease is None:
            raise LeaseLost("Your claim on this item has ended. Claim it again.")
        if lease.holder != actor:
            raise LeaseLost(f"{_name(lease.holder)} is reviewing this item now.")


def _name(actor: str | None) -> str:
    """An actor at the beginning of a sentence."""
    return actor[0].upper() + actor[1:] if actor else "Somebody"


class Correction(BaseModel):
    """A correction. Omitted fields stay as they were."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    category: Name | None = None
    start: Natural | None = Field(None, description="offset in code points")
    end: Positive | None = Field(None, description="offset in code points, exclusive")
    text: Words | None = Field(None, description="the text between `start` and `end`")
    value: ValueText | None = Field(
        None,
        description="the right value of a clause: a date or duration in ISO 8601, `perpetual`, a "
        "decimal number, or a name. Agreement and effective dates take only a date. Not with a "
        "new category",
    )
    currency: str | None = Field(
        None, pattern="^[A-Z]{3}$", description="of an amount: ISO 4217; goes with `value`"
    )

    @property
    def moves(self) -> bool:
        return (self.start, self.end, self.text) != (None, None, None)


DecisionId = Annotated[
    str | None,
    Field(
        pattern=r"^de_[0-9a-f]{32}$",
        description="chosen by the client, so that a repeated request has no effect",
    ),
]


class DecisionRequest(BaseModel):
    """A decision about an item."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item: Id
    verdict: Verdict
    correction: Correction | None = Field(None, description="required with `correct`")
    note: Note = Field("", description="the reason, stored with the decision")
    id: DecisionId = None
    tab: Tab | None = Field(None, description="with `undo`: the tab that claims the item")
    bulk: StrictBool = Field(
        False,
        description="with `accept`: one of several that nobody looked at one by one. It counts in "
        "no error rate",
    )

    @model_validator(mode="after")
    def _fits_the_verdict(self) -> Self:
        if self.correction is not None and self.verdict != "correct":
            raise ValueError(f"a correction goes with the verdict correct, not {self.verdict}")
        if self.tab is not None and self.verdict != "undo":
            raise ValueError(f"a tab goes with the verdict undo, not {self.verdict}")
        if self.bulk and self.verdict != "accept":
            raise ValueError(f"bulk goes with the verdict accept, not {self.verdict}")
        return self


class AdditionRequest(BaseModel):
    """A clause that no specialist found, or a category that is absent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    document: Id
    category: Name = Field(
        description="a category of `GET /v1/items/categories`, or one that clauses here have"
    )
    absent: StrictBool = Field(
        False, description="the document has no such clause; without `start`, `end` and `text`"
    )
    start: Natural | None = Field(None, description="offset in code points")
    end: Positive | None = Field(None, description="offset in code points, exclusive")
    text: Words | None = Field(
        None, description="the text between `start` and `end`; another text there is refused"
    )
    note: Note = Field("", description="the reason, stored with the decision")
    id: DecisionId = None

    @model_validator(mode="after")
    def _has_a_span_or_is_absent(self) -> Self:
        if self.absent and (self.start, self.end, self.text) != (None, None, None):
            raise ValueError("an absent category has no start, end or text")
        if not self.absent and (self.start is None or self.end is None):
            raise ValueError("a clause needs start and end; or send absent")
        return self


def _check_day(item: Item, day: str) -> None:
    try:
        date.fromisoformat(day)
    except ValueError:
        raise InvalidRequest(f"The calendar has no day {day}.", document=item.document_id) from None


class _Form(NamedTuple):
    """The form of a value, and its name."""

    pattern: re.Pattern[str]
    name: str


_DATE = r"\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?"
_DURATION = r"P(?=\d)(?:\d{1,4}Y)?(?:\d{1,4}M)?(?:\d{1,4}W)?(?:\d{1,5}D)?"
_DAY = _Form(re.compile(_DATE, re.ASCII), "a date such as 2005-03-31")
_TIME = _Form(
    re.compile(rf"perpetual|{_DURATION}|{_DATE}", re.ASCII),
    "a date such as 2005-03-31, a duration such as P90D, or perpetual",
)
_AMOUNT = _Form(re.compile(r"\d{1,20}(?:\.\d{1,10})?", re.ASCII), "a decimal number")
_FORMS = {"date": _TIME, "duration": _TIME, "perpetual": _TIME, "amount": _AMOUNT}


def corrected(item: Item, wanted: Correction | None, text: str | None) -> dict[str, Any]:
    """Return the complete corrected result, checked against the text.

    Args:
        item: the item before the correction.
        wanted: the correction.
        text: of the document; without it the span can't change.

    Raises:
        InvalidRequest: the correction changes nothing or is invalid, or the item has no
            corrections.
    """
    if item.asks_kind:
        return {**_kind(item, wanted), "start": None, "end": None, "text": item.text}
    if item.kind != "clause":
        raise InvalidRequest(
            "A signal can't be corrected. Accept it if it needs attention. Otherwise reject it and "
            "add a note."
            if item.kind == "signal"
            else "A sentence can't be corrected. Accept it if it says this about the company. "
            "Otherwise reject it and add a note."
            if item.kind == "flag"
            else "A finding can't be corrected. Accept it if the report is wrong. Reject a false "
            "alarm and add a note.",
            document=item.document_id,
        )
    if wanted is None:
        raise InvalidRequest("The verdict correct needs a `correction` with a category or a span.")
    category = wanted.category or item.category
    if category not in CATEGORIES and category != item.category:
        raise InvalidRequest(f"Unknown category: {category!r}.")
    right = {"category": category, "start": item.start, "end": item.end, "text": item.text}
    if wanted.moves:
        right |= _span(item, wanted, text)
    if (wanted.value, wanted.currency) != (None, None):
        right |= _value(item, wanted)
    elif (category, right["start"], right["end"]) == (item.category, item.start, item.end):
        raise InvalidRequest("The correction changes nothing. Accept the item instead.")
    return right


def _value(item: Item, wanted: Correction) -> dict[str, str | None]:
    """Return the right value of a clause and its currency."""
    if item.value is None:
        raise InvalidRequest(
            f"A clause of the type {item.category!r} has no value.", document=item.document_id
        )
    if wanted.category not in (None, item.category):
        raise InvalidRequest(
            "A correction has a new category or a new value, not both.", document=item.document_id
        )
    kind, right = item.value["kind"], {"value": wanted.value, "currency": wanted.currency}
    form = _DAY if item.category in DAYS else _FORMS.get(kind)
    if wanted.value is None or (form and not form.pattern.fullmatch(wanted.value)):
        raise InvalidRequest(
            f"The value of this clause must be {form.name if form else 'a text'}, not "
            f"{wanted.value!r}.",
            document=item.document_id,
        )
    if form in (_DAY, _TIME) and len(wanted.value) == len("2005-03-31") and wanted.value[4] == "-":
        _check_day(item, wanted.value)
    if wanted.currency and kind != "amount":
        raise InvalidRequest("Only an amount has a currency.", document=item.document_id)
    if not wanted.moves and right == {name: item.value.get(name) for name in right}:
        raise InvalidRequest("The correction changes nothing. Accept the item instead.")
    return right


def _kind(item: Item, wanted: Correction | None) -> dict[str, Any]:
    kind = wanted.category if wanted and not wanted.moves else None
    if kind not in get_args(Kind):
        raise InvalidRequest(
            f"The `correction` needs the kind as `category`: {', '.join(get_args(Kind))}.",
            document=item.document_id,
        )
    if kind == (item.finding or {}).get("kind"):
        raise InvalidRequest("The correction changes nothing. Accept the item instead.")
    return {"category": kind}


def _span(item: Item, wanted: Correction, text: str | None) -> dict[str, Any]:
    start = item.start if wanted.start is None else wanted.start
    end = item.end if wanted.end is None else wanted.end
    if text is None or start is None or end is None:
        raise InvalidRequest(
            "This document has no text, so the span can't change.",
            document=item.document_id,
        )
    words = checked_words(item.document_id, text, start, end, wanted.text)
    return {"start": start, "end": end, "text": words}


def checked_words(
    document_id: str, text: str, start: int, end: int, expected: str | None = None
) -> str:
    """Return the words of a span of a document's text.

    Args:
        expected: the words that the client expects there, if it says so.

    Raises:
        InvalidRequest: the span is empty, too long or outside the text, has no or other words.
    """
    if not 0 <= start < end <= len(text):
        raise InvalidRequest(
            f"The span {start}:{end} is outside the text, which has {len(text)} characters.",
            document=document_id,
        )
    if end - start > CORRECTED_CHARACTERS:
        raise InvalidRequest(
            f"A clause has at most {CORRECTED_CHARACTERS} characters, not {end - start}.",
            document=document_id,
        )
    words = text[start:end]
    if not words.strip():
        raise InvalidRequest(f"The span {start}:{end} has no words.", document=document_id)
    if expected not in (None, words):
        raise InvalidRequest(
            "The `text` differs from the document at these offsets. Offsets count Unicode code "
            "points.",
            document=document_id,
        )
    return words


@dataclass(frozen=True)
class Decision:
    """A decision and the result it was about. It never changes."""

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
    """The specialist."""
    sampled: bool = False
    """Whether the result was an audit sample."""
    wrong: bool | None = None
    """Whether the result was wrong: see `error_rates.was_wrong`."""
    document_kind: str = ""
    source: str = ""
    """Media type of its document."""
    shown_confidence: float | None = None
    """The confidence that was shown of an audit sample."""
    origin: Origin = "model"
    bulk: bool = False
    """Whether it was one of several that were accepted without a look at each."""

    @property
    def absent(self) -> bool:
        """Whether it confirms that a category is absent."""
        return self.kind == "absence"

    def seen_by(self, *, reads_results: bool) -> Self:
        """Return the decision as people see it: see `Item.seen_by`."""
        if self.shown_confidence is None or reads_results:
            return self
        return replace(self, confidence=self.shown_confidence)

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
        bulk: bool = False,
    ) -> Self:
        return cls(
            **{name: getattr(item, name) for name in _OF_ITEM},
            id=decision_id or new_id("de"),
            item_id=item.id,
            document_name=document.name,
            verdict=verdict,
            correction=correction,
            note=note,
            actor=actor,
            time=time,
            wrong=wrong,
            bulk=bulk,
            document_kind=document.kind,
            source=document.media_type,
        )


@dataclass(frozen=True)
class Comment:
    """A comment for the other reviewers. No report or export has it."""

    id: str
    tenant: str
    item_id: str
    document_id: str
    author: str
    time: datetime
    text: str


_OF_ITEM = (
    *("tenant", "document_id", "kind", "stage", "result_id", "category", "text"),
    *("start", "end", "page", "confidence", "shown_confidence", "adapter", "sampled"),
    "origin",
)


def new_id(prefix: str) -> str:
    """A new id: the prefix, an underscore and 32 hexadecimal digits."""
    return f"{prefix}_{uuid.uuid4().hex}"
