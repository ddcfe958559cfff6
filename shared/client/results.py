"""Results of the client: plain data with the names of REST.

Unknown fields of a newer service are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Literal, Self, dataclass_transform, get_args, get_origin, get_type_hints

Sort = Literal["received", "-received", "name", "-name", "pages", "-pages", "state", "-state"]
State = Literal["received", "read", "processing", "ended"]
Outcome = Literal["complete", "partial", "failed", "rejected"]
Kind = Literal["contract", "report", "other"]
Verdict = Literal["accept", "reject", "correct", "undo"]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class _Result:
    """Data of a response. Every subclass is a frozen dataclass."""

    def __init_subclass__(cls, kw_only: bool = False) -> None:
        dataclass(frozen=True, kw_only=kw_only)(cls)

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Read the JSON of an answer; fields that this class lacks are ignored."""
        decoders = _DECODERS.get(cls)
        if decoders is None:
            hints = get_type_hints(cls)
            decoders = _DECODERS[cls] = {name: _decoder(hint) for name, hint in hints.items()}
        return cls(**{name: decoders[name](body[name]) for name in decoders.keys() & body.keys()})


_DECODERS: dict[type[_Result], dict[str, Callable[[Any], Any]]] = {}
"""Decoders of the fields of each class."""


def _decoder(hint: Any) -> Callable[[Any], Any]:
    """The function that reads a JSON value as a type; null becomes None, or an empty tuple."""
    inner = next((part for part in get_args(hint) if part is not NoneType), None)
    if get_origin(hint) is UnionType:
        decode = _decoder(inner)
        return lambda value: None if value is None else decode(value)
    if get_origin(hint) is tuple:
        decode = _decoder(inner)
        return lambda values: tuple(map(decode, values or ()))
    if hint is datetime:
        return datetime.fromisoformat
    if isinstance(hint, type) and issubclass(hint, _Result):
        return hint.of
    return lambda value: value


class FailedPage(_Result):
    """A page that could not be read."""

    page: int
    code: str
    reason: str


class Parent(_Result):
    """A mail or archive that contains a document."""

    id: str
    name: str


class Attachment(_Result):
    """A part of a mail or archive: a document by its `id`, or the reason that there is none."""

    name: str
    id: str | None = None
    code: str | None = None
    reason: str | None = None


class Progress(_Result):
    """How many pages of a document are done: read or unreadable."""

    pages_done: int
    pages: int


class Document(_Result):
    """A document and its state; `outcome` is None until `state` is `ended`.

    `kind_confidence` is None if a person or the file type determined the kind; `kind_unsure`: a
    person is asked. `parent` is the mail or archive with its first copy, `parents` are all.
    `adapters` are the requested specialists (none: the configured one). `progress` is set while a
    long document is read. `etag` identifies this state; a request with it fails if the document has
    changed. `title` is what people call it; None until its results are known.
    """

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
    parts: tuple[Attachment, ...] = ()
    etag: str = ""
    kind_confidence: float | None = None
    kind_unsure: bool = False
    adapters: tuple[str, ...] = ()
    progress: Progress | None = None
    title: str | None = None
    parties: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    assignee: str | None = None


class Uploaded(Document):
    """A document after its upload. `new` is False if the suite had the same bytes already; None if
    the file was sent in pieces.
    """

    new: bool | None = None


class Tombstone(_Result):
    """A deleted document; `removed` is the time when its data was gone everywhere."""

    id: str
    deleted: datetime
    deleted_by: str
    removed: datetime | None = None


class AnnouncedEvent(_Result):
    """An event of a document that a service announced; `sent` is None before the relay has sent
    it.
    """

    event: str
    type: str
    created: datetime
    sent: datetime | None = None


class ReceivedEvent(_Result):
    """An event of a document that a service has received.

    `state` is `waiting`, `working`, `retrying`, `done` or `given_up`; `since` is when that began.
    `worker` is the host and process that work on it, or did last. `seen` is their last heartbeat,
    one every five seconds while they work.
    """

    event: str
    type: str
    state: str
    first_seen: datetime
    since: datetime
    worker: str
    attempts: int
    failures: int
    error: str | None = None
    next_try: datetime | None = None
    seen: datetime | None = None


class Journal(_Result):
    """The events of a document in one service; `handles` are the types that it handles."""

    service: str
    handles: tuple[str, ...]
    announced: tuple[AnnouncedEvent, ...] = ()
    received: tuple[ReceivedEvent, ...] = ()


@dataclass(frozen=True)
class Change:
    """A changed document; `document` is None if it was deleted.

    `number` is the position to continue from.
    """

    number: int
    document_id: str
    document: Document | None


class Page(_Result):
    """One page: its text is `text[start:end]`, read by `method`.

    `confidence` is that of OCR from 0 to 1; None for text in the file.
    """

    page: int
    start: int
    end: int
    width: float
    height: float
    method: str
    confidence: float | None = None
    name: str = ""


class Box(_Result):
    """A rectangle on a page, in PDF points, origin top left."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


class Value(_Result):
    """A normalised value and its text: dates and durations in ISO 8601, currencies in ISO 4217.

    `status` is `stated`, `redacted` or `not_stated`.
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


class ClauseValue(Value):
    """The main value of a clause, and its other values."""

    other_values: tuple[Value, ...] = ()


class DocumentValue(Value, kw_only=True):
    """A value of a contract; `computed` is a date that follows from two clauses."""

    category: str
    clause_id: str | None = None
    computed: str | None = None
    computed_from: str | None = None


class Span(_Result):
    """A part of the document's text. Offsets count code points, `end` is exclusive."""

    start: int
    end: int


class Clause(_Result):
    """A clause with its evidence: `text` is exactly the document's text from `start` to `end`."""

    id: str
    category: str
    text: str
    start: int
    end: int
    page: int
    confidence: float
    omitted: tuple[Span, ...] = ()
    """Parts of `text` that are not its words: page numbers, running heads and legends."""
    boxes: tuple[Box, ...] = ()
    value: ClauseValue | None = None
    adapter: str = ""
    route: str = "review"
    """`accept`: certain enough for the risk in the policy; `review`: a person checks it."""


class Clauses(list[Clause]):
    """The clauses of one contract.

    If `provisional`, they are those of its first `pages`, while others are still read. They may
    change, have no boxes, and their offsets count in the text of `/pages` at that time. These
    offsets are invalid once the document is read.
    """

    def __init__(
        self, items: Iterable[Clause] = (), provisional: bool = False, pages: int | None = None
    ) -> None:
        super().__init__(items)
        self.provisional = provisional
        self.pages = pages


class Mark(_Result):
    """A found word, from `start` to `end` of the document's text."""

    start: int
    end: int


class HitClause(_Result):
    """The clause of a hit; `confidence` is None for a key without `results:read`."""

    id: str
    category: str
    start: int
    end: int
    confidence: float | None = None


class Hit(_Result):
    """A search hit. `text` is the document's text from `start` to `end`; `highlights` count in the
    same offsets. `more` counts further places on the page that match. `clause` is None in a text
    search.
    """

    document_id: str
    document: str
    kind: Kind
    page: int
    start: int
    end: int
    text: str
    highlights: tuple[Mark, ...] = ()
    more: int = 0
    clause: HitClause | None = None
    title: str | None = None
    parties: tuple[str, ...] = ()

    @property
    def pieces(self) -> tuple[tuple[str, bool], ...]:
        """The text in pieces, each with whether it matches the query."""
        pieces, at = [], self.start
        for mark in self.highlights:
            pieces.append((self.text[at - self.start : mark.start - self.start], False))
            pieces.append((self.text[mark.start - self.start : mark.end - self.start], True))
            at = mark.end
        pieces.append((self.text[at - self.start :], False))
        return tuple((text, marked) for text, marked in pieces if text)


class Presence(_Result):
    """Whether a contract has a category, and its most similar passage."""

    category: str
    present: bool
    probability: float
    confidence: float | None
    clauses: int
    nearest: dict[str, Any] | None = None
    adapter: str = ""


class Position(_Result):
    """The position of a value in its document; a field that the format lacks is None.

    `start` and `end` are offsets into the text, `cell` is one of a sheet or table (`Income!B7`),
    `element` an id in (inline) XBRL, `box` is x0, y0, x1, y1 on the page.
    """

    page: int
    start: int | None = None
    end: int | None = None
    cell: str | None = None
    element: str | None = None
    box: tuple[float, float, float, float] | None = None


class FoundCell(_Result):
    """A cell of a finding; `place` is None in JSON input."""

    statement: str
    row: int
    column: int
    label: str
    place: Position | None = None


class Dismissed(_Result):
    """Why an analyst dismissed the same finding of this filer before."""

    reason: str
    by: str
    time: datetime


class Period(_Result):
    """A moment or a period; dates are YYYYMMDD. `quarters` is 0 for a moment."""

    end: str | None = None
    quarters: int | None = None
    start: str | None = None


class DatedCell(FoundCell):
    """A cell with the period of its column."""

    period: Period = field(default_factory=Period)


class LedgerRow(DatedCell):
    """One amount of a sum, in whole units as the statement shows it. `sign` is `+` or `-`."""

    sign: str = "+"
    value: float = 0.0


class Ledger(_Result):
    """The lines of a sum and the stated total.

    `difference` is `stated` less `sum`: above zero, the lines fall short.
    """

    rows: tuple[LedgerRow, ...]
    sum: float
    total: DatedCell
    stated: float
    difference: float


class Repair(_Result):
    """An amount with which the sum adds up. Without a label it is a new line above `row`."""

    statement: str
    row: int
    column: int
    label: str | None
    period: Period
    reported: float | None
    expected: float


class Reason(_Result):
    """A likely cause, or a fact for or against a finding: a code and words."""

    code: str
    words: str


class Finding(_Result):
    """An error in a report; rows and columns are 0-based.

    `ledger` is the sum, and `adds_up_if` has the amounts that make it add up. `supports` and
    `doubts` are facts for and against the finding. Results of older versions lack them.

    `cells` are all that take part, the main one first, and `boxes` are theirs. `title` is the rule,
    `compares` its two sides, `possible_explanation` why a sound report may break it,
    `how_to_verify` how to decide it, `example` a typical break. `route` is `accept`, `escalate` or
    `review`.
    """

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
    ledger: Ledger | None = None
    adds_up_if: tuple[Repair, ...] = ()
    likely_cause: Reason | None = None
    supports: tuple[Reason, ...] = ()
    doubts: tuple[Reason, ...] = ()
    cells: tuple[FoundCell, ...] = ()
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    title: str | None = None
    compares: str | None = None
    possible_explanation: str | None = None
    how_to_verify: str | None = None
    example: str | None = None
    dismissed: Dismissed | None = None
    route: str = "review"


class TriageModel(_Result):
    """The model that judged: `triage-breaks`, or `rules` without it."""

    name: str
    version: str


class OpenRelation(_Result):
    """A relation that does not close and that no finding explains. It may be lawful.

    `row` and `column` are 0-based. `expected` is the amount of the other side of the
    relation, `possible_explanation` the usual lawful reason.
    """

    filing: str
    check: str
    title: str | None
    statement: str
    column: int
    row: int
    label: str
    reported: float
    expected: float
    difference: float
    message: str
    possible_explanation: str | None = None
    page: int | None = None


class CheckedRelation(_Result):
    """A relation that was checked in one column, with its lines and their amounts.

    `outcome` is `holds`, `broken` (a finding explains it) or `does_not_close`.
    """

    filing: str
    check: str
    statement: str
    end: str | None
    relation: str
    outcome: str


class Coverage(_Result):
    """The statements found and the relations checked, also in words (`summary`).

    `missing` are statements that were not found, `unread` kinds of which another one was found and
    not read. `relations` counts each once a column. `broken` ones have a finding; `not_closing`
    ones have none, and `items` are the first 100 of them.
    `balance_unchecked` counts filings whose balance sheet has sides that no relation compares.
    `not_added_up` are totals, in words, whose lines above were not added up. `checks` are the first
    100 relations that were checked.
    """

    summary: str
    statements: tuple[str, ...]
    missing: tuple[str, ...]
    relations: int
    broken: int
    not_closing: int
    unread: tuple[str, ...] = ()
    balance_unchecked: int = 0
    not_added_up: tuple[str, ...] = ()
    items: tuple[OpenRelation, ...] = ()
    checks: tuple[CheckedRelation, ...] = ()


class Findings(_Result):
    """The findings of a report, its verdict, and warnings about unread parts.

    `model` is what judged it, `filings` the number of filings. `coverage` is what was checked.
    """

    flagged: bool
    risk: float
    items: tuple[Finding, ...]
    warnings: tuple[str, ...] = ()
    model: TriageModel | None = None
    filings: int = 0
    coverage: Coverage | None = None


class SignalInput(FoundCell):
    """An input of a ratio, with its cell."""

    figure: str = ""
    value: float = 0.0


class PriorAmount(_Result):
    """A ratio in an earlier period of the same length; `end` is YYYYMMDD."""

    end: str
    value: float


class PeerRange(_Result):
    """The range of a number among peers: 19 of 20 companies are between `low` and `high`."""

    companies: int
    low: float
    median: float
    high: float
    distance: float


class Signal(_Result):
    """A ratio of a report's latest period, and how unusual it is. It is no error.

    `explained_by` is the id of a finding that doubts one of its figures.
    `level` is `usual`, `unusual` or `strong`. `peers` compares the ratio with other companies,
    `change` its change within a year. `unit` is `share`, `times`, `days` or `score`.
    """

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
    history: tuple[PriorAmount, ...] = ()
    peers: PeerRange | None = None
    change: PeerRange | None = None
    explained_by: str | None = None
    page: int | None = None
    boxes: tuple[Box, ...] = ()


class NarrativeFlag(_Result):
    """A sentence of a report that states a risk of its filer, now.

    `family` is `going_concern`, `material_weakness`, `investigation` or `related_party`; `level` is
    `likely` or `strong`; `filer` is the word for the filer in the sentence.
    """

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
    """The narrative flags of a report, the most confident first.

    `warnings` name unread sentences. A text in another language than English has no flags, but a
    warning.
    """

    def __init__(self, flags: Iterable[NarrativeFlag], warnings: Iterable[str] = ()) -> None:
        super().__init__(flags)
        self.warnings = tuple(warnings)


class Compared(_Result):
    """An earlier filing that a report was compared with; `risk` is that of its document."""

    document_id: str
    filing: str
    end: str | None = None
    risk: float | None = None
    flagged: bool = False


class Difference(_Result):
    """A figure of an earlier period that differs from earlier filings; rows and columns are
    0-based.

    `reported` is the figure in the report, `earlier` the one in `filing` of `document_id`, the
    latest earlier filing with this line. `suspect`: it looks like an error, not a restatement. Its
    `cause` is `stale`, `transposed` or `scale`, perhaps of the whole column.
    """

    statement: str
    row: int
    column: int
    label: str
    end: str
    reported: float
    earlier: float
    document_id: str
    filing: str
    suspect: bool
    cause: str | None = None
    place: Position | None = None


class History(_Result):
    """The comparison of one filing with earlier ones of its company in the store, the latest first.
    `compared` is empty without one. `warnings` name omitted parts.
    """

    filing: str
    compared: tuple[Compared, ...] = ()
    differences: tuple[Difference, ...] = ()
    warnings: tuple[str, ...] = ()


class Report(_Result):
    """A report in the list by risk, with numbers of warnings and findings. `findings` does not
    include the `dismissed` ones; `decided` is how many people have decided.
    """

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
    title: str | None = None


class StatementColumn(_Result):
    """A moment (`quarters` 0) or a duration; dates are YYYYMMDD. `restated` if its header says so.

    A column of a statement of equity is a `component` instead; `unit` is `shares` if it counts
    shares.
    """

    end: str | None = None
    quarters: int | None = None
    start: str | None = None
    restated: int | None = None
    component: str | None = None
    unit: str | None = None


class Concept(_Result):
    """The us-gaap concept of a line; `own` is a company's own or a rare one."""

    name: str
    confidence: float


class StatementRow(_Result):
    """A line with one value a column, in whole units with the sign on the page.

    `path` are the headings above it, `notes` its footnote marks, `places` the positions of its
    values. `period` belongs to a line whose columns are components.
    """

    label: str
    values: tuple[float | None, ...]
    unit: str | None = None
    heading: int | None = None
    path: tuple[str, ...] = ()
    indent: int | None = None
    notes: tuple[str, ...] = ()
    places: tuple[Position | None, ...] = ()
    concept: Concept | None = None
    period: StatementColumn | None = None


class Statement(_Result):
    """One statement; `presented_in` is 1,000 if the page shows thousands."""

    statement: str
    columns: tuple[StatementColumn, ...]
    rows: tuple[StatementRow, ...]
    title: str | None = None
    presented_in: int | None = None


class Filing(_Result):
    """One filing of a report."""

    id: str
    company: str | None
    form: str | None
    period: str | None
    statements: tuple[Statement, ...]
    warnings: tuple[str, ...] = ()


class Item(_Result):
    """A review item, open or decided.

    `about` is its subject: `clause`, `finding`, `signal` or `question`.
    """

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
    """Expected cost without a review; the queue is sorted by it."""
    chance: float | None = None
    """Estimated probability that a reviewer changes it; None if only its confidence is known."""
    ordered_by: str = "confidence"
    about: str | None = None
    verdict: Verdict | None = None
    decision_id: str | None = None
    decided_by: str | None = None
    decided: datetime | None = None
    origin: str = "model"
    """`person`: a person added the clause, or confirmed that the category is absent."""
    absent: bool = False
    """Whether it confirms that the document has no clause of the category."""
    assignee: str | None = None
    """Who reviews it."""
    title: str | None = None
    parties: tuple[str, ...] = ()


class Decision(_Result):
    """The decision of a person about an item."""

    id: str
    item_id: str
    document_id: str
    result_id: str
    verdict: Verdict
    actor: str
    time: datetime
    correction: dict[str, Any] | None = None
    note: str = ""
    origin: str = "model"
    absent: bool = False
    bulk: bool = False
    """Whether it was one of several that were accepted without a look at each."""
    title: str | None = None
    parties: tuple[str, ...] = ()


class Key(_Result):
    """A named key; only a new one has its `secret`."""

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
    addresses: tuple[str, ...] = ()
    old_secret_until: datetime | None = None
    secret: str | None = field(default=None, repr=False)


class OpenSession(_Result):
    """An open session of a browser, without its secret."""

    id: str
    key: str
    name: str
    created: datetime
    expires: datetime
    last_used: datetime | None = None
    address: str | None = None
    user_agent: str | None = None


class Webhook(_Result):
    """A webhook; only a new one, or a rotated one, has its `secret`."""

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


class DeliveryAttempt(_Result):
    """One request to a receiver, with its duration in seconds; `error` is None on success."""

    time: datetime
    seconds: float
    status: int | None
    error: str | None
    excerpt: str | None


class Delivery(_Result):
    """One event for one webhook: `state` is `pending`, `delivered` or `failed`."""

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


class Escalation(_Result):
    """An uncertain result, and the reason that no provider answered."""

    id: str
    document_id: str
    stage: str
    result_id: str
    state: str
    reason: str
    requested: datetime


class Quote(_Result):
    """Words of a document, from `start` to `end` of its text."""

    text: str
    start: int
    end: int


class ProposedCell(_Result):
    """A cell of a report in an answer, with its amount. `sign` is 1 if it is added, -1 if
    subtracted.
    """

    statement: str
    row: int
    column: int
    label: str
    value: float
    sign: int | None = None


class Proposal(_Result):
    """The answer of a frontier model, for a person to decide. Its quotes and cells are verified
    against the document. `total` is computed from the cells, `why` is the model's own text.
    """

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


class Spend(_Result):
    """Costs in US$ of the calls with one key (a day, a provider, …). `usd` includes the worst case
    of uncertain and running calls. `machine_usd` is the cost of the specialists' work,
    `frontier_usd` its price at a frontier model.
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


class Budget(_Result):
    """The spending of a day or month in UTC, and its limit."""

    period: str
    usd: float
    max_usd: float


class StoppedProvider(_Result):
    """A provider that billed more than was reserved. It gets no calls until an operator allows
    it.
    """

    provider: str
    since: datetime
    reason: str


class KindCost(_Result):
    """The work of specialists on documents of one kind, and its cost."""

    kind: str
    documents: int
    seconds: float
    tokens_read: int
    tokens_quoted: int
    usd: float
    tokens_per_second: float | None
    usd_per_million: float | None


class SpecialistsCost(_Result):
    """The work of specialists, and its cost at the price of the machine's hour."""

    documents: int
    seconds: float
    tokens_read: int
    tokens_quoted: int
    hour_usd: float
    usd: float
    tokens_per_second: float | None
    usd_per_million: float | None
    kinds: tuple[KindCost, ...] = ()
    """Work by kind, since speeds differ."""


class FrontierCost(_Result):
    """The least price of the same work at a frontier model."""

    model: str
    input_usd: float
    output_usd: float
    as_of: str
    read_usd: float
    quoted_usd: float
    usd: float


class TrainingCost(_Result):
    """The number of documents after which the training of a specialist has paid off."""

    adapter: str
    version: str
    documents: int
    hours: float | None
    hour_usd: float
    usd: float | None
    saved_per_document_usd: float
    after_documents: int | None
    paid_per_document_usd: float = 0.0
    machine: str | None = None
    """The machine of the measured hours."""


class QuotedCosts(_Result):
    """Figures quoted from an article, not measured here."""

    as_of: str
    frontier_million: float
    small_million: tuple[float, float]
    tokens_a_day: int
    frontier_day: float
    small_day: tuple[float, float]


class Monitor(_Result):
    """The monitoring of a specialist's risk guarantee.

    `evidence` against the guarantee starts at 1; from `alarm_at` on the acceptance limit is
    tightened. `drift_evidence` is the same for a change of the documents. `max_wrong`, `level`,
    `version` and `belief` are None before there is a guarantee; `belief_now` is also None if
    nothing is accepted any longer. `threshold` and `threshold_now` are the confidence limits of
    findings; None for clauses. `interval` is the share of wrong results by the checks alone.
    `checks_needed` is the number of checks without an error that would confirm the stated risk.
    """

    adapter: str
    max_wrong: float | None
    belief: float | None
    belief_now: float | None
    step: int
    suspended: tuple[str, ...]
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
    checks_needed: int | None = None
    threshold: float | None = None
    threshold_now: float | None = None


class Notice(_Result):
    """An event of monitoring; `actor` is empty unless a person did it."""

    adapter: str
    kind: str
    about: str
    text: str
    actor: str
    time: datetime


class Monitors(_Result):
    """The guarantees of a tenant, and notices about them, the newest first."""

    items: tuple[Monitor, ...]
    notices: tuple[Notice, ...]


class ErrorRate(_Result):
    """The error rate of a specialist, in total or of one category, kind or media type."""

    adapter: str
    category: str | None
    kind: str | None
    source: str | None
    checked: int
    wrong: int
    rate: float
    interval: tuple[float, ...]
    """The 95% interval of the rate."""


class DayVerdicts(_Result):
    """The decisions of a day in UTC, such as `2026-12-01`."""

    day: str
    accept: int
    reject: int
    correct: int


class CategoryVerdicts(_Result):
    """The decisions about a category of clauses, or a check of findings."""

    kind: str
    category: str
    accept: int
    reject: int
    correct: int


class Age(_Result):
    """The number of waiting items of an age in days; `to_days` is exclusive."""

    from_days: int
    to_days: int | None
    count: int


class Insights(_Result):
    """The waiting items, and the decisions of a period."""

    waiting: int
    ages: tuple[Age, ...]
    decided: int
    median_seconds: float | None
    """From the same person's decision before. Pauses over 10 minutes are left out."""
    timed: int
    days: tuple[DayVerdicts, ...]
    categories: tuple[CategoryVerdicts, ...]


class Costs(_Result):
    """The costs of the tenant's calls to frontier models, and of its specialists."""

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
    """The part of `usd` that test stand-ins pretend to cost."""
