"""What the client gives back: plain data, exactly as REST names it.

A newer service may send more fields than these; they are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, ClassVar, Literal, Self

State = Literal["received", "read", "processing", "ended"]
Outcome = Literal["complete", "partial", "failed", "rejected"]
Kind = Literal["contract", "report", "other"]
Verdict = Literal["accept", "reject", "correct", "undo"]


@dataclass(frozen=True)
class _Result:
    _times: ClassVar[tuple[str, ...]] = ()
    _lists: ClassVar[dict[str, type[_Result]]] = {}
    _parts: ClassVar[dict[str, type[_Result]]] = {}

    @classmethod
    def of(cls, body: dict[str, Any]) -> Self:
        """From an answer's JSON. Times become aware datetimes, lists tuples."""
        known = {f.name for f in fields(cls)}
        return cls(**{name: cls._read(name, body[name]) for name in known & body.keys()})

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        if name in cls._times and isinstance(value, str):
            return datetime.fromisoformat(value)
        if name in cls._lists:
            return tuple(cls._lists[name].of(part) for part in value)
        if name in cls._parts and value is not None:
            return cls._parts[name].of(value)
        return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class FailedPage(_Result):
    """A page that could not be read."""

    page: int
    code: str
    reason: str


@dataclass(frozen=True)
class Parent(_Result):
    """A mail or archive that a document lies in."""

    id: str
    name: str


@dataclass(frozen=True)
class Part(_Result):
    """What lies in a mail or archive: a document by its `id`, or the reason why there is none."""

    name: str
    id: str | None = None
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Progress(_Result):
    """How far a document is read: `pages_done` of its `pages` are read, or can't be."""

    pages_done: int
    pages: int


@dataclass(frozen=True)
class Document(_Result):
    """One document and where it stands; `outcome` is None until `state` is `ended`.

    `kind_confidence` is how sure the service is of the kind, None where somebody said it or the
    type tells; `kind_unsure` says that a person is asked. `parent` is the mail or archive that it
    first came in, `parents` are all of them. `adapters` are the specialists that were asked for,
    none: the one that is set up. `progress` says how far a long one is read, while it is. `etag`
    names all of this as it is now: what is sent with it changes nothing once the document has
    changed.
    """

    _times = ("created", "updated", "ended")
    _lists: ClassVar[dict[str, type[_Result]]] = {
        "failed_pages": FailedPage,
        "parents": Parent,
        "parts": Part,
    }
    _parts: ClassVar[dict[str, type[_Result]]] = {"progress": Progress}

    id: str
    name: str
    sha256: str
    size: int
    media_type: str
    kind: Kind
    kind_source: str
    state: State
    outcome: Outcome | None
    pages: int | None
    attempt: int
    actor: str
    created: datetime
    updated: datetime
    ended: datetime | None = None
    reasons: tuple[str, ...] = ()
    failed_pages: tuple[FailedPage, ...] = ()
    warnings: tuple[str, ...] = ()
    parent: str | None = None
    parents: tuple[Parent, ...] = ()
    parts: tuple[Part, ...] = ()
    etag: str = ""
    kind_confidence: float | None = None
    kind_unsure: bool = False
    adapters: tuple[str, ...] = ()
    progress: Progress | None = None


@dataclass(frozen=True)
class Tombstone(_Result):
    """What is left of a deleted document; `removed` is when nothing else was."""

    _times = ("deleted", "removed")

    id: str
    deleted: datetime
    deleted_by: str
    removed: datetime | None = None


@dataclass(frozen=True)
class Said(_Result):
    """An event of a document that a service announced; `sent` is None while its relay has it."""

    _times = ("created", "sent")

    event: str
    type: str
    created: datetime
    sent: datetime | None = None


@dataclass(frozen=True)
class Heard(_Result):
    """An event of a document that a worker of a service has or had in hand.

    `standing` is `working`, `retrying`, `done` or `given_up`, `since` when it came to stand so, and
    `worker` the host and process that have it, or had it last. While it is in hand these give a
    sign of life every five seconds; `seen` is the last one.
    """

    _times = ("first_seen", "since", "seen", "next_try")

    event: str
    type: str
    standing: str
    first_seen: datetime
    since: datetime
    worker: str
    attempts: int
    failures: int
    error: str | None = None
    next_try: datetime | None = None
    seen: datetime | None = None


@dataclass(frozen=True)
class Journal(_Result):
    """Where a document is with one service; `hears` are the types of events that it works on."""

    _lists: ClassVar[dict[str, type[_Result]]] = {"said": Said, "heard": Heard}

    service: str
    hears: tuple[str, ...]
    said: tuple[Said, ...] = ()
    heard: tuple[Heard, ...] = ()


@dataclass(frozen=True)
class Change:
    """A document that has changed, as it is now; `document` is None if it was deleted.

    `number` is where to go on after it.
    """

    number: int
    document_id: str
    document: Document | None


@dataclass(frozen=True)
class Page(_Result):
    """One page that was read: `text[start:end]`, how, and if it was recognised, how surely.

    `confidence` is from 0 to 1, None for text that the file holds itself.
    """

    page: int
    start: int
    end: int
    width: float
    height: float
    method: str
    confidence: float | None = None
    name: str = ""


@dataclass(frozen=True)
class Box(_Result):
    """A rectangle on a page, in PDF points, origin top left."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Value(_Result):
    """A normalised value and its words: dates and durations ISO 8601, currencies ISO 4217.

    `status` is `stated`, `redacted` or `not_stated`; what is not stated has no words.
    """

    kind: str
    status: str
    value: str | None
    text: str | None
    start: int | None
    end: int | None
    currency: str | None = None
    role: str | None = None
    repeats: bool | None = None


@dataclass(frozen=True)
class ClauseValue(Value):
    """The value that a clause is about, and the others that it states."""

    _lists: ClassVar[dict[str, type[_Result]]] = {"others": Value}

    others: tuple[Value, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DocumentValue(Value):
    """A value of a contract; `computed` is a date that follows from two clauses."""

    category: str
    clause_id: str | None = None
    computed: str | None = None
    computed_from: str | None = None


@dataclass(frozen=True)
class Clause(_Result):
    """A clause with its evidence: `text` is exactly the document's text from `start` to `end`."""

    _lists: ClassVar[dict[str, type[_Result]]] = {"boxes": Box}
    _parts: ClassVar[dict[str, type[_Result]]] = {"value": ClauseValue}

    id: str
    category: str
    text: str
    start: int
    end: int
    page: int
    confidence: float
    boxes: tuple[Box, ...] = ()
    value: ClauseValue | None = None
    adapter: str = ""
    route: str = "review"
    """`accept`: sure enough for the risk that the policy states; `review`: a person looks at it."""


class Clauses(list[Clause]):
    """The clauses of one contract.

    `provisional` says that they are those of its first `pages`, while the others are still read:
    they may go or change once all are, have no boxes, and their offsets count as at `/pages` while
    the document is read; between its last page and the final clauses they lead nowhere.
    """

    def __init__(
        self, items: Iterable[Clause] = (), provisional: bool = False, pages: int | None = None
    ) -> None:
        super().__init__(items)
        self.provisional = provisional
        self.pages = pages


@dataclass(frozen=True)
class Mark(_Result):
    """Words that were looked for, from `start` to `end` of the document's text."""

    start: int
    end: int


@dataclass(frozen=True)
class HitClause(_Result):
    """The clause that a hit is in; `confidence` is None for a key without `results:read`."""

    id: str
    category: str
    start: int
    end: int
    confidence: float | None = None


@dataclass(frozen=True)
class Hit(_Result):
    """A place where all that was looked for stands together. `text` is exactly the document's from
    `start` to `end`, and so count the `highlights`; `clause` is None in the text.
    """

    _lists: ClassVar[dict[str, type[_Result]]] = {"highlights": Mark}
    _parts: ClassVar[dict[str, type[_Result]]] = {"clause": HitClause}

    document_id: str
    document: str
    kind: Kind
    page: int
    start: int
    end: int
    text: str
    highlights: tuple[Mark, ...] = ()
    clause: HitClause | None = None

    @property
    def pieces(self) -> tuple[tuple[str, bool], ...]:
        """The text in pieces, each with whether it was looked for."""
        pieces, at = [], self.start
        for mark in self.highlights:
            pieces.append((self.text[at - self.start : mark.start - self.start], False))
            pieces.append((self.text[mark.start - self.start : mark.end - self.start], True))
            at = mark.end
        pieces.append((self.text[at - self.start :], False))
        return tuple((text, marked) for text, marked in pieces if text)


@dataclass(frozen=True)
class Presence(_Result):
    """Whether a contract has a category at all, and the passage that comes nearest to one."""

    category: str
    present: bool
    probability: float
    confidence: float | None
    clauses: int
    nearest: dict[str, Any] | None = None
    adapter: str = ""


@dataclass(frozen=True)
class Place(_Result):
    """Where a value stands in its document; None is what its format doesn't have.

    `start` and `end` are offsets into the text, `cell` is one of a sheet or table (`Income!B7`),
    `element` an id in (inline) XBRL, `box` is x0, y0, x1, y1 on the page.
    """

    page: int
    start: int | None = None
    end: int | None = None
    cell: str | None = None
    element: str | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class FoundCell(_Result):
    """A cell that a finding names; `place` is None in JSON, which no page shows."""

    _parts: ClassVar[dict[str, type[_Result]]] = {"place": Place}

    statement: str
    row: int
    column: int
    label: str
    place: Place | None = None


@dataclass(frozen=True)
class Dismissed(_Result):
    """Why an analyst dismissed the same of the same filer before."""

    _times = ("time",)

    reason: str
    by: str
    time: datetime


@dataclass(frozen=True)
class Finding(_Result):
    """Something in a report that does not add up; rows and columns are 0-based.

    `cells` are all that take part, first the one that it is about; `boxes` are theirs. `title` is
    what should hold, `compares` what is held against what, `lawful` why it may break in a sound
    report, `settle` what would settle it, `example` a break as one meets it.
    `route` is what is done with it: `accept`, `escalate` or `review`.
    """

    _lists: ClassVar[dict[str, type[_Result]]] = {"cells": FoundCell, "boxes": Box}
    _parts: ClassVar[dict[str, type[_Result]]] = {"dismissed": Dismissed}

    id: str
    check: str
    severity: str
    confidence: float
    statement: str
    message: str
    filing: str | None = None
    column: int | None = None
    row: int | None = None
    rows: tuple[int, ...] = ()
    label: str | None = None
    reported: float | None = None
    expected: float | None = None
    cells: tuple[FoundCell, ...] = ()
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    title: str | None = None
    compares: str | None = None
    lawful: str | None = None
    settle: str | None = None
    example: str | None = None
    dismissed: Dismissed | None = None
    route: str = "review"


@dataclass(frozen=True)
class TriageModel(_Result):
    """What judged a report: `triage-breaks`, or `rules` where that is not installed."""

    name: str
    version: str


@dataclass(frozen=True)
class Findings:
    """The findings of one report, what they amount to, and what could not be read of it.

    `model` is None for a report that was judged before it was kept; `filings` are those read.
    """

    flagged: bool
    risk: float
    items: tuple[Finding, ...]
    warnings: tuple[str, ...] = ()
    model: TriageModel | None = None
    filings: int = 0


@dataclass(frozen=True)
class SignalInput(FoundCell):
    """A figure that a ratio is made of, with the cell that has it."""

    figure: str = ""
    value: float = 0.0


@dataclass(frozen=True)
class Earlier(_Result):
    """A ratio in an earlier period of the same length; `end` is YYYYMMDD."""

    end: str
    value: float


@dataclass(frozen=True)
class Beside(_Result):
    """What a number is held against: 19 of 20 companies lie from `low` to `high`."""

    companies: int
    low: float
    median: float
    high: float
    distance: float


@dataclass(frozen=True)
class Signal(_Result):
    """A ratio of a report's latest period, and how unusual it is; it adds up all the same.

    `level` is `usual`, `unusual` or `strong`; `peers` hold its level against other companies,
    `change` how far it moved within a year. `unit` is `share`, `times`, `days` or `score`.
    """

    _lists: ClassVar[dict[str, type[_Result]]] = {
        "inputs": SignalInput,
        "history": Earlier,
        "boxes": Box,
    }
    _parts: ClassVar[dict[str, type[_Result]]] = {"peers": Beside, "change": Beside}

    id: str
    signal: str
    title: str
    level: str
    distance: float
    value: float
    unit: str
    end: str
    quarters: int
    message: str
    formula: str
    source: str
    filing: str | None = None
    inputs: tuple[SignalInput, ...] = ()
    history: tuple[Earlier, ...] = ()
    peers: Beside | None = None
    change: Beside | None = None
    page: int | None = None
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class NarrativeFlag(_Result):
    """A sentence of a report that says a thing of its filer, now.

    `family` is `going_concern`, `material_weakness`, `investigation` or `related_party`; `level`
    is `likely` or `strong`; `filer` is the word by which the sentence names the filer.
    """

    _lists: ClassVar[dict[str, type[_Result]]] = {"boxes": Box}

    id: str
    family: str
    title: str
    text: str
    start: int
    end: int
    page: int
    confidence: float
    level: str
    filer: str | None = None
    boxes: tuple[Box, ...] = ()


class NarrativeFlags(list[NarrativeFlag]):
    """The narrative flags of a report, the surest first.

    `warnings` say what of its sentences was not read, and why: a text in another language than
    English has no flags, which is not the same as that nothing was found.
    """

    def __init__(self, flags: Iterable[NarrativeFlag], warnings: Iterable[str] = ()) -> None:
        super().__init__(flags)
        self.warnings = tuple(warnings)


@dataclass(frozen=True)
class Compared(_Result):
    """An earlier filing that a report was held against."""

    document_id: str
    filing: str


@dataclass(frozen=True)
class Difference(_Result):
    """A line of an earlier period that no earlier filing shows so; rows and columns are 0-based.

    `reported` is what the report has, `earlier` what the latest filing before it has that shows the
    line: `filing` of `document_id`. `doubted` looks like a slip and not like a restatement; its
    `cause` is `stale`, `transposed` or `scale`, which may be one of its whole column.
    """

    _parts: ClassVar[dict[str, type[_Result]]] = {"place": Place}

    statement: str
    row: int
    column: int
    label: str
    end: str
    reported: float
    earlier: float
    document_id: str
    filing: str
    doubted: bool
    cause: str | None = None
    place: Place | None = None


@dataclass(frozen=True)
class History(_Result):
    """One filing of a report beside the earlier ones of its company in the store, the latest first;
    none in `compared`: no earlier one is there. `warnings` say what was left out.
    """

    _lists: ClassVar[dict[str, type[_Result]]] = {"compared": Compared, "differences": Difference}

    filing: str
    compared: tuple[Compared, ...] = ()
    differences: tuple[Difference, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report(_Result):
    """A report that was triaged, as the list by risk has it; `warnings` counts them. What is folded
    away is `dismissed` and not among `findings`, of which people decided about `decided`.
    """

    _times = ("updated",)
    _parts: ClassVar[dict[str, type[_Result]]] = {"model": TriageModel}

    document_id: str
    name: str
    risk: float
    flagged: bool
    filings: int
    findings: int
    warnings: int
    updated: datetime
    model: TriageModel | None = None
    narrative_flags: int | None = None
    dismissed: int = 0
    decided: int = 0


@dataclass(frozen=True)
class StatementColumn(_Result):
    """A moment (`quarters` 0) or a duration; dates are YYYYMMDD. `restated` if its head says so.

    In a statement of equity a column is a `component` instead, and `unit` is `shares` where it
    counts those.
    """

    end: str | None = None
    quarters: int | None = None
    start: str | None = None
    restated: int | None = None
    component: str | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Concept(_Result):
    """The us-gaap concept that a line is taken for; `own` is the company's own, or a rare one."""

    name: str
    confidence: float


@dataclass(frozen=True)
class StatementRow(_Result):
    """A line with one value a column, in whole units with the sign that the page shows.

    `path` are the headings above it, `notes` its footnote marks, `places` those of its values.
    `concept` is what it is taken for, where it was named. `period` is that of a line whose columns
    are components.
    """

    _parts: ClassVar[dict[str, type[_Result]]] = {"concept": Concept, "period": StatementColumn}

    label: str
    values: tuple[float | None, ...]
    unit: str | None = None
    heading: int | None = None
    path: tuple[str, ...] = ()
    indent: int | None = None
    notes: tuple[str, ...] = ()
    places: tuple[Place | None, ...] = ()
    concept: Concept | None = None
    period: StatementColumn | None = None

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        if name == "places":
            return tuple(place and Place.of(place) for place in value or ())
        return super()._read(name, value)


@dataclass(frozen=True)
class Statement(_Result):
    """One statement as it was read; `presented_in` is 1,000 where the page says in thousands."""

    _lists: ClassVar[dict[str, type[_Result]]] = {"columns": StatementColumn, "rows": StatementRow}

    statement: str
    columns: tuple[StatementColumn, ...]
    rows: tuple[StatementRow, ...]
    title: str | None = None
    presented_in: int | None = None


@dataclass(frozen=True)
class Filing(_Result):
    """One filing of a report as it was read."""

    _lists: ClassVar[dict[str, type[_Result]]] = {"statements": Statement}

    id: str
    company: str | None
    form: str | None
    period: str | None
    statements: tuple[Statement, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item(_Result):
    """One result that waits for a person, or did.

    `about` is what the person is asked about: `clause`, `finding`, `signal` or `question`.
    """

    _times = ("created", "decided")
    _lists: ClassVar[dict[str, type[_Result]]] = {"boxes": Box}

    id: str
    kind: str
    state: str
    document_id: str
    category: str
    text: str
    confidence: float
    result_id: str
    created: datetime
    start: int | None = None
    end: int | None = None
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    finding: dict[str, Any] | None = None
    proposal: dict[str, Any] | None = None
    urgency: float | None = None
    """What it is expected to cost if nobody looks; the highest is first in the queue."""
    chance: float | None = None
    """How likely a person changes it, as was learned; None where only its confidence tells."""
    ordered_by: str = "confidence"
    about: str | None = None
    verdict: Verdict | None = None
    decision_id: str | None = None
    decided_by: str | None = None
    decided: datetime | None = None


@dataclass(frozen=True)
class Decision(_Result):
    """What a person did with an item."""

    _times = ("time",)

    id: str
    item_id: str
    document_id: str
    result_id: str
    verdict: Verdict
    actor: str
    time: datetime
    correction: dict[str, Any] | None = None
    note: str = ""


@dataclass(frozen=True)
class Key(_Result):
    """A named key; `secret` only where it was just made."""

    _times = ("created", "expires", "revoked", "last_used")

    id: str
    name: str
    tenant: str
    kind: str
    created: datetime
    parent: str | None = None
    expires: datetime | None = None
    revoked: datetime | None = None
    last_used: datetime | None = None
    scopes: tuple[str, ...] = ()
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Webhook(_Result):
    """An address that is told what happens; `secret` only where it was just made."""

    _times = (
        "failing_since",
        "last_failed",
        "last_delivered",
        "old_secret_until",
        "created",
        "updated",
    )

    id: str
    url: str
    types: tuple[str, ...]
    description: str
    enabled: bool
    created: datetime
    created_by: str
    updated: datetime
    disabled_reason: str | None = None
    failures: int = 0
    failing_since: datetime | None = None
    last_failed: datetime | None = None
    last_delivered: datetime | None = None
    old_secret_until: datetime | None = None
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class DeliveryAttempt(_Result):
    """One request to a receiver, in seconds; `error` is None if the message was taken."""

    _times = ("time",)

    time: datetime
    seconds: float
    status: int | None
    error: str | None
    excerpt: str | None


@dataclass(frozen=True)
class Delivery(_Result):
    """One event to one webhook: `state` is `pending`, `delivered` or `failed`."""

    _times = ("next_try", "created", "delivered")
    _lists: ClassVar[dict[str, type[_Result]]] = {"attempts": DeliveryAttempt}

    id: str
    message_id: str
    type: str
    document_id: str | None
    state: str
    created: datetime
    reason: str | None = None
    next_try: datetime | None = None
    delivered: datetime | None = None
    attempts: tuple[DeliveryAttempt, ...] = ()


@dataclass(frozen=True)
class Escalation(_Result):
    """A result that a specialist was unsure of, and why nobody outside answered."""

    _times = ("requested",)

    id: str
    document_id: str
    stage: str
    result_id: str
    state: str
    reason: str
    requested: datetime


@dataclass(frozen=True)
class Quote(_Result):
    """Words of a document, from `start` to `end` of its text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class ProposedCell(_Result):
    """A cell of a report that an answer names, with the amount that it has there; `sign` says
    whether it is added (1) or subtracted (-1).
    """

    statement: str
    row: int
    column: int
    label: str
    value: float
    sign: int | None = None


@dataclass(frozen=True)
class Proposal(_Result):
    """What a frontier model answered: its quotes are the document's own words, its cells the
    report's, and `total` their sum as it was made here; `why` is the model's. A person decides.
    """

    _times = ("requested",)
    _lists: ClassVar[dict[str, type[_Result]]] = {"quotes": Quote, "arithmetic": ProposedCell}
    _parts: ClassVar[dict[str, type[_Result]]] = {"cell": ProposedCell}

    id: str
    document_id: str
    stage: str
    result_id: str
    requested: datetime
    category: str
    verdict: str
    quotes: tuple[Quote, ...]
    why: str
    provider: str
    model: str
    stand_in: bool
    usd: float
    subject: str = "clause"
    cell: ProposedCell | None = None
    expected: float | None = None
    arithmetic: tuple[ProposedCell, ...] = ()
    total: float | None = None


@dataclass(frozen=True)
class Spend(_Result):
    """What calls with one key (a day, a provider, …) cost in US$: `usd` counts with the worst case
    of what is uncertain and of what is in hand. Beside it what specialists read, what the machine
    cost for that (`machine_usd`), and what a frontier model would have cost (`frontier_usd`).
    """

    key: str
    calls: int
    usd: float
    uncertain_usd: float
    reserved_usd: float
    tokens_in: int
    tokens_out: int
    documents: int = 0
    seconds: float = 0.0
    tokens_read: int = 0
    tokens_quoted: int = 0
    machine_usd: float = 0.0
    frontier_usd: float = 0.0


@dataclass(frozen=True)
class Budget(_Result):
    """What counts as spent in a day or month in UTC, and the most that may."""

    period: str
    usd: float
    most_usd: float


@dataclass(frozen=True)
class StoppedProvider(_Result):
    """A provider that billed more than was reserved, and is not asked until an operator allows
    it.
    """

    _times = ("since",)

    provider: str
    since: datetime
    reason: str


@dataclass(frozen=True)
class KindCost(_Result):
    """What specialists read of the documents of one kind, and what that cost."""

    kind: str
    documents: int
    seconds: float
    tokens_read: int
    tokens_quoted: int
    usd: float
    tokens_per_second: float | None
    usd_per_million: float | None


@dataclass(frozen=True)
class SpecialistsCost(_Result):
    """What specialists read, and what that cost at the price of the machine's hour."""

    _lists: ClassVar[dict[str, type[_Result]]] = {"kinds": KindCost}

    documents: int
    seconds: float
    tokens_read: int
    tokens_quoted: int
    hour_usd: float
    usd: float
    tokens_per_second: float | None
    usd_per_million: float | None
    kinds: tuple[KindCost, ...] = ()
    """Each kind by itself, for they are read at different paces; empty from an older service."""


@dataclass(frozen=True)
class FrontierCost(_Result):
    """What the same would have cost at the least, had a frontier model read it."""

    model: str
    input_usd: float
    output_usd: float
    as_of: str
    read_usd: float
    quoted_usd: float
    usd: float


@dataclass(frozen=True)
class TrainingCost(_Result):
    """After how many documents the training of a specialist has paid for itself."""

    adapter: str
    version: str
    documents: int
    hours: float | None
    hour_usd: float
    usd: float | None
    saved_each_usd: float
    after_documents: int | None
    paid_each_usd: float = 0.0
    machine: str | None = None
    """On which the hours were measured."""


@dataclass(frozen=True)
class QuotedCosts(_Result):
    """Figures of an article, as they were quoted; nobody here measured them."""

    as_of: str
    frontier_million: float
    small_million: tuple[float, float]
    tokens_a_day: int
    frontier_day: float
    small_day: tuple[float, float]


@dataclass(frozen=True)
class Watch(_Result):
    """Whether what is promised for a specialist is kept: what checks and documents say.

    `evidence` speaks against the promise, 1 is none, and from `alarm_at` on less is accepted by
    itself; `drift_evidence` says the same of a change of the documents. `max_wrong`, `level`,
    `version` and `belief` are None before anything was promised; `belief_now` is None too where
    nothing is accepted any more. `threshold` and `threshold_now` are the same for findings as
    confidences, which findings carry; of clauses they are None. `interval` is where the share of
    wrong ones lies by the checks alone, and `enough` how many checks without a mistake would show
    the stated risk by themselves.
    """

    _times = ("calibrated",)

    adapter: str
    max_wrong: float | None
    belief: float | None
    belief_now: float | None
    step: int
    doubted: tuple[str, ...]
    documents: int
    checks: int
    wrong: int
    evidence: float
    alarm_at: float
    drifted: bool
    drift_documents: int
    drift_evidence: float
    drift_alarm_at: float
    stability_index: float | None
    calibration: int | None
    calibrated: datetime | None
    calibrated_by: str | None
    version: str | None = None
    level: float | None = None
    accepted: int | None = None
    interval: tuple[float, float] | None = None
    enough: int | None = None
    threshold: float | None = None
    threshold_now: float | None = None


@dataclass(frozen=True)
class Notice(_Result):
    """What was noticed about a promise, or done by `actor`, who is empty for what was noticed."""

    _times = ("time",)

    adapter: str
    kind: str
    about: str
    text: str
    actor: str
    time: datetime


@dataclass(frozen=True)
class Watched(_Result):
    """The promises of a tenant, and what was noticed or done about them, the newest first."""

    _lists: ClassVar[dict[str, type[_Result]]] = {"items": Watch, "notices": Notice}

    items: tuple[Watch, ...]
    notices: tuple[Notice, ...]


@dataclass(frozen=True)
class Costs(_Result):
    """What the tenant's questions to frontier models cost, and what its specialists did.

    What an older service does not say is None or empty.
    """

    _lists: ClassVar[dict[str, type[_Result]]] = {
        "groups": Spend,
        "budgets": Budget,
        "stopped": StoppedProvider,
        "training": TrainingCost,
    }
    _parts: ClassVar[dict[str, type[_Result]]] = {
        "specialists": SpecialistsCost,
        "frontier": FrontierCost,
        "quoted": QuotedCosts,
    }

    calls: int
    usd: float
    groups: tuple[Spend, ...]
    budgets: tuple[Budget, ...]
    stopped: tuple[StoppedProvider, ...]
    specialists: SpecialistsCost | None = None
    frontier: FrontierCost | None = None
    training: tuple[TrainingCost, ...] = ()
    quoted: QuotedCosts | None = None
    stand_in_usd: float = 0.0
    """Of `usd` what stand-ins, programs for tests, play: nobody was paid that."""
