"""Every event of the suite, declared by what it means."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from shared.errors import InvalidRequest
from shared.events.envelope import BlobRef, Envelope, Event

Kind = Literal["contract", "report", "other"]
Stage = Literal["ingest", "extraction", "triage", "review", "escalation"]
REASON_CHARACTERS = 2_000
MOST_FURTHER = 19
"""Questions that one request may have beside its first."""
CANCELLED = "cancelled"
"""Code of a failure that somebody wanted: its attempt is over, and what comes of it is void."""
Verdict = Literal["accept", "reject", "correct", "undo"]
Route = Literal["accept", "escalate", "review"]
"""What the machine does with a result: accept it, ask a frontier model before a person looks, or
ask a person.
"""
ADAPTERS = (
    "names of the specialists that are to read it if it is a contract; none: the one that is set up"
)


E = TypeVar("E", bound=Event)


class UnknownEvent(InvalidRequest):
    """The message is no event of this suite."""

    code = "unknown_event"


def _shortened(reason: object) -> object:
    """A reason of at most REASON_CHARACTERS; what is no text stays as it is."""
    if isinstance(reason, str) and len(reason) > REASON_CHARACTERS:
        return reason[: REASON_CHARACTERS - 1] + "…"
    return reason


class DocumentIngested(Event):
    """The bytes of one document are stored and accepted; nobody has read them yet."""

    type: ClassVar[str] = "document.ingested.v1"
    name: str = Field(description="the file name as a label, made safe")
    media_type: str
    kind: Kind
    original: BlobRef
    attempt: int = Field(1, ge=1, description="counts reprocessing of the same document")
    adapters: tuple[str, ...] = Field((), description=ADAPTERS)
    parent: str | None = Field(None, description="the mail or archive that it came in, if any")


class DocumentBegun(Event):
    """The first pages of a long document are read, while the others still are."""

    type: ClassVar[str] = "document.begun.v1"
    kind: Kind
    text: BlobRef = Field(
        description="of these pages, UTF-8; it may be gone as soon as the whole document is read"
    )
    pages: tuple[int, ...] = Field(min_length=1, description="their numbers")
    starts: tuple[int, ...] = Field(
        min_length=1, description="where each begins in the text, in code points"
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
    layout: BlobRef = Field(description="pages, boxes, furniture: Reading.from_bytes")
    pages: int = Field(ge=0, description="pages in the document, failed ones included")
    failed_pages: tuple[int, ...] = ()
    attempt: int = Field(1, ge=1)
    kind_confidence: float | None = Field(
        None, ge=0, le=1, description="how sure ingest is of the kind, where nobody said it"
    )
    kind_unsure: bool = Field(False, description="whether a person is to say the kind")
    escalated: tuple[str, ...] = Field(
        (),
        description="what a frontier model is asked first: the document's id stands for its kind, "
        "and with `_p` and a number for a page that seems to be read badly",
    )
    adapters: tuple[str, ...] = Field((), description=ADAPTERS)


class DocumentRekinded(Event):
    """Somebody said of what kind the document is. Results of another kind before are void."""

    type: ClassVar[str] = "document.rekinded.v1"
    kind: Kind
    previous: Kind
    attempt: int | None = Field(
        None, ge=1, description="begins with this; older ones are void. Null: the one at hand is"
    )


class DocumentFailed(Event):
    """A service gave the document up, and says why."""

    type: ClassVar[str] = "document.failed.v1"
    stage: Stage
    code: str = Field(
        description="what an operator searches for; after `cancelled` from ingest, whatever comes"
        " of the same attempt is void"
    )
    reason: str = Field(
        max_length=REASON_CHARACTERS, description="a sentence for the person who uploaded it"
    )
    attempt: int = Field(1, ge=1)

    @property
    def cancels(self) -> bool:
        """Whether somebody stopped the work: what was found in this attempt does not count."""
        return (self.stage, self.code) == ("ingest", CANCELLED)

    @field_validator("reason", mode="before")
    @classmethod
    def _shorten(cls, reason: object) -> object:
        """A reason without end must not keep the failure from being announced."""
        return _shortened(reason)


class DocumentDeleted(Event):
    """The document is to be forgotten by every service."""

    type: ClassVar[str] = "document.deleted.v1"


class AdapterVersion(BaseModel):
    """A specialist that has read a document."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    version: str
    seconds: float | None = Field(
        None, ge=0, description="that its reading took; none in events from before it was measured"
    )
    tokens: int | None = Field(
        None, ge=0, description="that it read, as contract specialists count them"
    )
    quoted: int | None = Field(
        None,
        ge=0,
        description="tokens of the clauses that it found; of a report, of its findings in words "
        "and of the sentences about its filer",
    )


class ClausesExtracted(Event):
    """The clauses of one contract are stored, those of every specialist that was to read it."""

    type: ClassVar[str] = "clauses.extracted.v1"
    name: str
    clauses: BlobRef = Field(
        description="JSON list of clauses with evidence, as REST answers them; `route` says what "
        "the machine does with each: `review`, also where it is missing, `accept`, or `escalate`: "
        "a frontier model is asked, and then a person"
    )
    count: int = Field(ge=0, description="clauses of all specialists together")
    accepted: int = Field(0, ge=0, description="of these, those that no person is asked about")
    sampled: tuple[str, ...] = Field(
        (),
        description="ids of clauses that would have been accepted, and go to a person as a check, "
        "who is not told",
    )
    adapter: str = Field(description="the specialist that read it; of several the first")
    adapter_version: str
    adapters: tuple[AdapterVersion, ...] = Field(
        (),
        description="every specialist that read it, in the order they were named; empty in "
        "events from before there could be several",
    )
    warnings: tuple[str, ...] = Field((), description="why not to rely on the search")
    attempt: int = Field(1, ge=1)

    @property
    def read_by(self) -> tuple[AdapterVersion, ...]:
        """Every specialist that read it, whenever the event was written."""
        return self.adapters or (AdapterVersion(name=self.adapter, version=self.adapter_version),)


class FindingsFound(Event):
    """The findings of one report are stored; there may be none. It comes again for the same attempt
    where a dismissal was taken back that had folded some of them away.
    """

    type: ClassVar[str] = "findings.found.v1"
    name: str
    findings: BlobRef = Field(
        description="JSON list of findings, as REST answers them; of what was dismissed before, "
        "`document` and `finding` of the dismissal instead of its words; `route` says what the "
        "machine does with each: `review`, also where it is missing, `accept`, or `escalate`: a "
        "frontier model is asked, and then a person"
    )
    count: int = Field(ge=0)
    accepted: int = Field(0, ge=0, description="of these, those that no person is asked about")
    sampled: tuple[str, ...] = Field(
        (),
        description="ids of findings that would have been accepted, and go to a person as a check, "
        "who is not told",
    )
    flagged: bool
    risk: float = Field(ge=0, le=1)
    unreadable: int = Field(0, ge=0, description="filings of the report that could not be read")
    missing: str | None = Field(
        None,
        description="why none of its figures could be checked, where nothing but its sentences "
        "could be read: `flagged` and `risk` then say nothing; counted in `unreadable` as well",
    )
    warnings: tuple[str, ...] = Field((), description="what was not read, and so not checked")
    attempt: int = Field(1, ge=1)
    model: str | None = Field(
        None,
        description="name and version of what judged it, such as `triage-breaks 1.0.0`; `rules` "
        "and the version of the suite where no specialist is installed",
    )
    signals: BlobRef | None = Field(
        None,
        description="JSON list of the strong signals, as REST answers them: of those that share a "
        "figure the strongest",
    )
    narrative: BlobRef | None = Field(
        None,
        description="JSON list of the strong narrative flags, as REST answers them: of each family "
        "the surest",
    )
    adapters: tuple[AdapterVersion, ...] = Field(
        (),
        description="what judged it, with the time that all of triage took and the tokens of the "
        "text; empty in events from before that was measured, and where it comes again",
    )


class FurtherQuestion(BaseModel):
    """What is asked about one more result."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    result_id: str
    question: BlobRef = Field(description="JSON: `shared.events.questions.Question`")


class EscalationRequested(Event):
    """A specialist is unsure of one result, or of several, and asks the frontier."""

    type: ClassVar[str] = "escalation.requested.v1"
    stage: Stage
    result_id: str
    question: BlobRef = Field(description="JSON: `shared.events.questions.Question`")
    further: tuple[FurtherQuestion, ...] = Field(
        (),
        max_length=MOST_FURTHER,
        description="others about the same document, which may go into the same prompt; each is "
        "answered by an event of its own",
    )
    attempt: int = Field(1, ge=1)


class EscalationAnswered(Event):
    """The frontier's proposal for one result, verified against the document."""

    type: ClassVar[str] = "escalation.answered.v1"
    stage: Stage
    result_id: str
    answer: BlobRef | None = Field(
        None,
        description="JSON: `shared.events.questions.Proposal`; null where no usable answer came",
    )
    reason: str | None = Field(
        None,
        max_length=REASON_CHARACTERS,
        description="why there is no answer, where there is none",
    )
    question: BlobRef | None = Field(None, description="what was asked")
    attempt: int = Field(1, ge=1)

    @field_validator("reason", mode="before")
    @classmethod
    def _shorten(cls, reason: object) -> object:
        """A reason without end must not keep the answer from being announced."""
        return _shortened(reason)


class ReviewDecided(Event):
    """A person decided about one result."""

    type: ClassVar[str] = "review.decided.v1"
    item_id: str
    stage: Stage
    result_id: str
    decision_id: str
    verdict: Verdict
    correction: dict[str, str | int | float | None] | None = Field(
        None, description="what is right instead"
    )
    note: str | None = Field(None, description="why, in the analyst's own words; of findings alone")
    wrong: bool | None = Field(
        None,
        description="whether a clause was wrong, by the legal metric: rejected, or corrected to "
        "another category or to other words; whether a finding that was drawn as a check was "
        "rejected; null for other results, and where it was undone",
    )


TYPES: dict[str, type[Event]] = {
    kind.type: kind
    for kind in (
        DocumentIngested,
        DocumentBegun,
        DocumentRead,
        DocumentRekinded,
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
    """The envelope in a message, whatever its data are. Raises UnknownEvent if it is none."""
    try:
        return Envelope.read(value)
    except ValidationError as error:
        raise UnknownEvent(f"not an event we understand: {error.errors()[0]['msg']}") from None


def decode(value: bytes) -> Event | None:
    """The event in a message, or None if its type is not one of ours (but of a newer service).

    Raises:
        UnknownEvent: the bytes are no CloudEvents envelope, or its data does not fit its type.
    """
    envelope = read_envelope(value)
    kind = TYPES.get(envelope.type)
    return open_envelope(envelope, kind) if kind else None


def shell(envelope: Envelope, kind: type[E]) -> E:
    """An event of this kind with nothing but what its envelope says, to speak of where its data
    don't fit. Raises UnknownEvent if the envelope names no document.
    """
    try:
        named = Event.model_validate({**envelope.fields(), "attempt": 1})
    except ValidationError as error:
        raise UnknownEvent(f"not an event we understand: {error.errors()[0]['msg']}") from None
    attempt = envelope.data.get("attempt")
    known = {"attempt": attempt} if isinstance(attempt, int) and attempt > 0 else {}
    return cast(E, kind.model_construct(**{**vars(named), **known}))


def open_envelope(envelope: Envelope, kind: type[E]) -> E:
    """The event of this kind in an envelope. Raises UnknownEvent if the data do not fit."""
    try:
        return kind.model_validate(envelope.fields())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UnknownEvent(
            f"not an event we understand: {envelope.type} with {where}: {first['msg']}"
        ) from None
