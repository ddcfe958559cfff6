"""The events of the suite."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from shared.errors import InvalidRequest
from shared.events.envelope import BlobRef, Envelope, Event

Kind = Literal["contract", "report", "other"]
Stage = Literal["ingest", "extraction", "triage", "review", "escalation"]
REASON_CHARACTERS = 2_000
MAX_FURTHER = 19
"""Questions of one request after its first."""
CANCELLED = "cancelled"
"""Code of a cancellation: the attempt is void, and so are its results."""
Verdict = Literal["accept", "reject", "correct", "undo"]
Route = Literal["accept", "escalate", "review"]
"""Accept a result, send it to a frontier model and then a person, or send it to a person."""
Origin = Literal["model", "person"]
"""Whether a specialist found a result, or a person added it."""
ADAPTERS = "specialists to read it if it is a contract; empty: the default one"


E = TypeVar("E", bound=Event)


class UnknownEvent(InvalidRequest):
    """The message is not an event of this suite."""

    code = "unknown_event"


def _shorten_reason(reason: object) -> object:
    if isinstance(reason, str) and len(reason) > REASON_CHARACTERS:
        return reason[: REASON_CHARACTERS - 1] + "…"
    return reason


class DocumentIngested(Event):
    """A document was uploaded and stored; it is not read yet."""

    type: ClassVar[str] = "document.ingested.v1"
    name: str = Field(description="the file name as a safe label")
    media_type: str
    kind: Kind
    original: BlobRef
    attempt: int = Field(1, ge=1, description="counts attempts at the same document")
    adapters: tuple[str, ...] = Field((), description=ADAPTERS)
    parent: str | None = Field(None, description="the mail or archive that contains it, if any")


class FirstPagesRead(Event):
    """The first pages of a long document are read, while the others still are."""

    type: ClassVar[str] = "document.begun.v1"
    kind: Kind
    text: BlobRef = Field(
        description="UTF-8 text of these pages; it may be deleted once the document is read"
    )
    pages: tuple[int, ...] = Field(min_length=1, description="their numbers")
    starts: tuple[int, ...] = Field(
        min_length=1, description="start of each in the text, in code points"
    )
    attempt: int = Field(1, ge=1)
    adapters: tuple[str, ...] = Field((), description=ADAPTERS)


class DocumentRead(Event):
    """The text of one document is stored and ready for the specialists."""

    type: ClassVar[str] = "document.read.v1"
    name: str
    media_type: str
    kind: Kind
    original: BlobRef
    text: BlobRef = Field(description="UTF-8; offsets count code points")
    layout: BlobRef = Field(description="pages, boxes, furniture: ParsedDocument.from_bytes")
    pages: int = Field(ge=0, description="pages in the document, failed ones included")
    failed_pages: tuple[int, ...] = ()
    attempt: int = Field(1, ge=1)
    kind_confidence: float | None = Field(
        None, ge=0, le=1, description="probability of the predicted kind, if the uploader gave none"
    )
    kind_unsure: bool = Field(False, description="whether a person must confirm the kind")
    escalated: tuple[str, ...] = Field(
        (),
        description="results that a frontier model is asked about: the document's id "
        "for its kind, and with `_p` and a number for a page",
    )
    adapters: tuple[str, ...] = Field((), description=ADAPTERS)


class DocumentReclassified(Event):
    """The kind of the document was set. Results under another kind are void."""

    type: ClassVar[str] = "document.rekinded.v1"
    kind: Kind
    previous: Kind
    attempt: int | None = Field(
        None,
        ge=1,
        description="the first attempt under this kind; older ones are void. Null: the current one",
    )


class DocumentAssigned(Event):
    """The assignee of the document was set."""

    type: ClassVar[str] = "document.assigned.v1"
    assignee: str | None = Field(description="name of a user or key, as in `actor`; null: none")


class DocumentFailed(Event):
    """A service gave up the document."""

    type: ClassVar[str] = "document.failed.v1"
    stage: Stage
    code: str = Field(
        description="code to search for; `cancelled` from ingest makes the attempt void"
    )
    reason: str = Field(max_length=REASON_CHARACTERS, description="for the uploader")
    attempt: int = Field(1, ge=1)

    @property
    def cancels(self) -> bool:
        """Whether it was cancelled: results of this attempt don't count."""
        return (self.stage, self.code) == ("ingest", CANCELLED)

    @field_validator("reason", mode="before")
    @classmethod
    def _shorten(cls, reason: object) -> object:
        return _shorten_reason(reason)


class DocumentDeleted(Event):
    """Every service must forget the document."""

    type: ClassVar[str] = "document.deleted.v1"


class AdapterVersion(BaseModel):
    """A specialist that has read a document."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    version: str
    seconds: float | None = Field(None, ge=0, description="of reading; null in older events")
    tokens: int | None = Field(
        None, ge=0, description="read tokens, as contract specialists count them"
    )
    quoted: int | None = Field(
        None,
        ge=0,
        description="tokens of its clauses, or of a report's findings in words and "
        "sentences about the company",
    )


class DocumentTitle(BaseModel):
    """The title of a document, in a blob: events outlive a deletion for some days."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: str = Field(
        description="such as `License Agreement · Array / Ono · 2017-05-31`, or "
        "`Walmart · 10-Q · July 2023` for a report"
    )
    parties: tuple[str, ...] = Field(
        (), description="of a contract, without legal form; the company of a report"
    )


class ClausesExtracted(Event):
    """The clauses of one contract are stored, those of every requested specialist."""

    type: ClassVar[str] = "clauses.extracted.v1"
    name: str
    clauses: BlobRef = Field(
        description="JSON list of clauses as in REST. `route` is `accept`, `review` "
        "(also if missing), or `escalate`: a frontier model is asked, "
        "then a person"
    )
    count: int = Field(ge=0, description="clauses of all specialists together")
    accepted: int = Field(0, ge=0, description="of these, those without review")
    sampled: tuple[str, ...] = Field(
        (),
        description="ids of accepted clauses in the hidden audit sample",
    )
    adapter: str = Field(description="the first specialist that read it")
    adapter_version: str
    adapters: tuple[AdapterVersion, ...] = Field(
        (),
        description="every specialist that read it, in the requested order; empty in older events",
    )
    warnings: tuple[str, ...] = Field((), description="reasons not to rely on the result")
    attempt: int = Field(1, ge=1)
    title: BlobRef | None = Field(None, description="JSON: `DocumentTitle`; null if none was found")
    searched: BlobRef | None = Field(
        None, description="JSON: `shared.events.searched.SearchedContract`; null in older events"
    )

    @property
    def read_by(self) -> tuple[AdapterVersion, ...]:
        """Every specialist that read it."""
        return self.adapters or (AdapterVersion(name=self.adapter, version=self.adapter_version),)


class FindingsFound(Event):
    """The findings of one report are stored; there may be none.

    It is repeated for the same attempt if a dismissal that had hidden some of them is withdrawn.
    """

    type: ClassVar[str] = "findings.found.v1"
    name: str
    findings: BlobRef = Field(
        description="JSON list of findings as in REST; a dismissed one has `document`"
        " and `finding` of the dismissal instead of its text. `route` is "
        "`accept`, `review` (also if missing), or `escalate`: a frontier "
        "model is asked, then a person"
    )
    count: int = Field(ge=0)
    accepted: int = Field(0, ge=0, description="of these, those without review")
    sampled: tuple[str, ...] = Field(
        (),
        description="ids of accepted findings in the hidden audit sample",
    )
    flagged: bool
    risk: float = Field(ge=0, le=1)
    unreadable: int = Field(0, ge=0, description="filings of the report that could not be read")
    missing: str | None = Field(
        None,
        description="why no figures could be checked: `flagged` and `risk` have no "
        "meaning then; also counted in `unreadable`",
    )
    warnings: tuple[str, ...] = Field(
        (), description="parts that were not read, and so not checked"
    )
    attempt: int = Field(1, ge=1)
    model: str | None = Field(
        None,
        description="name and version of the model, such as `triage-breaks 1.0.0`; "
        "`rules` and the version of the suite without one",
    )
    signals: BlobRef | None = Field(
        None,
        description="JSON list of strong signals as in REST; of those that share a "
        "figure the strongest",
    )
    narrative: BlobRef | None = Field(
        None,
        description="JSON list of strong narrative flags as in REST; the most "
        "confident of each family",
    )
    adapters: tuple[AdapterVersion, ...] = Field(
        (),
        description="models used, with the time of triage and the tokens of the text;"
        " empty in older and repeated events",
    )
    title: BlobRef | None = Field(
        None, description="JSON: `DocumentTitle`; null if none was found, and in repeated events"
    )
    coverage: str | None = Field(
        None,
        max_length=REASON_CHARACTERS,
        description="statements found and relations checked, in words; null in older events",
    )

    @field_validator("coverage", mode="before")
    @classmethod
    def _shorten(cls, coverage: object) -> object:
        return _shorten_reason(coverage)


class FurtherQuestion(BaseModel):
    """A question about one more result."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    result_id: str
    question: BlobRef = Field(description="JSON: `shared.events.questions.Question`")


class EscalationRequested(Event):
    """A specialist is unsure of one or more results and asks a frontier model."""

    type: ClassVar[str] = "escalation.requested.v1"
    stage: Stage
    result_id: str
    question: BlobRef = Field(description="JSON: `shared.events.questions.Question`")
    further: tuple[FurtherQuestion, ...] = Field(
        (),
        max_length=MAX_FURTHER,
        description="further questions about the document for the same prompt; each "
        "gets its own answer",
    )
    attempt: int = Field(1, ge=1)


class EscalationAnswered(Event):
    """The frontier model's proposal for one result, verified against the document."""

    type: ClassVar[str] = "escalation.answered.v1"
    stage: Stage
    result_id: str
    answer: BlobRef | None = Field(
        None,
        description="JSON: `shared.events.questions.Proposal`; null without a usable answer",
    )
    reason: str | None = Field(
        None,
        max_length=REASON_CHARACTERS,
        description="why there is no answer",
    )
    question: BlobRef | None = Field(None, description="what was asked")
    attempt: int = Field(1, ge=1)

    @field_validator("reason", mode="before")
    @classmethod
    def _shorten(cls, reason: object) -> object:
        return _shorten_reason(reason)


class ReviewDecided(Event):
    """A person decided about one result."""

    type: ClassVar[str] = "review.decided.v1"
    item_id: str
    stage: Stage
    result_id: str
    decision_id: str
    verdict: Verdict
    correction: dict[str, str | int | float | None] | None = Field(
        None, description="the right values"
    )
    note: str | None = Field(None, description="the analyst's reason; findings only")
    wrong: bool | None = Field(
        None,
        description="whether the decision counts as an error: a rejected clause, a "
        "corrected category or text, a rejected finding of an audit "
        "sample. Null for other results and for `undo`",
    )
    origin: Origin = Field(
        "model",
        description="`person`: a person added the clause, or confirmed that a category is absent. "
        "That says nothing about the error rate of a specialist. `result_id` is the id of the "
        "item, unless the specialist finds the clause later",
    )


TYPES: dict[str, type[Event]] = {
    kind.type: kind
    for kind in (
        DocumentIngested,
        FirstPagesRead,
        DocumentRead,
        DocumentReclassified,
        DocumentAssigned,
        DocumentFailed,
        DocumentDeleted,
        ClausesExtracted,
        FindingsFound,
        EscalationRequested,
        EscalationAnswered,
        ReviewDecided,
    )
}


def read_envelope(value: bytes) -> Envelope:
    """Parse the envelope of a message. Raises UnknownEvent."""
    try:
        return Envelope.read(value)
    except ValidationError as error:
        raise UnknownEvent(f"invalid event: {error.errors()[0]['msg']}") from None


def decode(value: bytes) -> Event | None:
    """Decode the event in a message; None for the type of a newer service.

    Raises UnknownEvent if the envelope is invalid, or its data does not match its type.
    """
    envelope = read_envelope(value)
    kind = TYPES.get(envelope.type)
    return open_envelope(envelope, kind) if kind else None


def bare_event(envelope: Envelope, kind: type[E]) -> E:
    """Return an event with the fields of its envelope alone, to report that its data is invalid.

    Raises UnknownEvent if the envelope names no document.
    """
    try:
        base = Event.model_validate({**envelope.fields(), "attempt": 1})
    except ValidationError as error:
        raise UnknownEvent(f"invalid event: {error.errors()[0]['msg']}") from None
    attempt = envelope.data.get("attempt")
    attempt_field = {"attempt": attempt} if isinstance(attempt, int) and attempt > 0 else {}
    return cast(E, kind.model_construct(**{**vars(base), **attempt_field}))


def open_envelope(envelope: Envelope, kind: type[E]) -> E:
    """Decode an event of this type. Raises UnknownEvent if the data is invalid."""
    try:
        return kind.model_validate(envelope.fields())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UnknownEvent(f"invalid event: {envelope.type} with {where}: {first['msg']}") from None
