"""What a document is to ingest, and the one state machine that says where it stands.

`Progress` holds facts about the current attempt; state, outcome and reasons follow from them. Facts
are only ever added, so the order in which they arrive, and how often, makes no difference:

    received ── pages read ──> read ── announced ──> processing ── result or failure ──> ended

A result outweighs any failure, so a success that comes late supersedes one. A fact of an older
attempt says nothing about this one.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, Protocol

from shared.documents import FailedPage, Reading
from shared.events import (
    BlobRef,
    ClausesExtracted,
    DocumentFailed,
    DocumentRead,
    FindingsFound,
    Kind,
    Stage,
)

State = Literal["received", "read", "processing", "ended"]
Outcome = Literal["complete", "partial", "failed", "rejected"]
KindSource = Literal["uploader", "type"]

STATES: tuple[State, ...] = ("received", "read", "processing", "ended")
OUTCOMES: tuple[Outcome, ...] = ("complete", "partial", "failed", "rejected")

REASONS_SHOWN = 20
"""Failed pages named one by one among the reasons; the ledger has them all."""

UNREADABLE_PARTS = "unreadable_filings"
"""Code of a failure that costs a report some of its filings, and not its result."""

_SPECIALIST: dict[Kind, Stage] = {"contract": "extraction", "report": "triage"}
_KIND_OF_TYPE: dict[str, Kind] = {
    "application/pdf": "contract",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "contract",
    "text/html": "contract",
    "text/plain": "contract",
    "application/json": "report",
    "application/x-ndjson": "report",
    "text/csv": "report",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "report",
    "application/vnd.ms-excel": "report",
    "application/vnd.oasis.opendocument.spreadsheet": "report",
    "application/xbrl-instance+xml": "report",
}


@dataclass(frozen=True, order=True)
class Failure:
    """A service gave the document up: a code to search for, and a sentence to show."""

    stage: Stage
    code: str
    reason: str


@dataclass(frozen=True)
class PagesRead:
    """The fact that the text of one attempt is stored, with what could not be read."""

    attempt: int
    pages: int
    failed: tuple[FailedPage, ...] = ()


Fact = PagesRead | DocumentRead | ClausesExtracted | FindingsFound | DocumentFailed


@dataclass(frozen=True)
class Progress:
    """What is known about one attempt at one document. State and outcome follow from it."""

    kind: Kind
    attempt: int = 1
    pages: int | None = None
    failed_pages: tuple[FailedPage, ...] = ()
    announced: bool = False
    results: frozenset[Stage] = frozenset()
    failures: frozenset[Failure] = frozenset()

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, or None while it has not."""
        specialist = _SPECIALIST.get(self.kind)
        if specialist is None:
            return "rejected"
        if specialist in self.results:
            return "partial" if self.failed_pages or self._parts() else "complete"
        return "failed" if self._decisive() else None

    @property
    def state(self) -> State:
        """Where it stands."""
        if self.outcome is not None:
            return "ended"
        if self.announced:
            return "processing"
        return "received" if self.pages is None else "read"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it did not end `complete`: `code: sentence`, pages by number."""
        if self.outcome == "rejected":
            return (f"not_our_kind: a document of kind {self.kind!r} is kept, but not worked on",)
        if self.outcome == "failed":
            return tuple(f"{f.code}: {f.reason}" for f in sorted(self._decisive()))
        shown = self.failed_pages[:REASONS_SHOWN]
        lines = [f"page {page.number}: {page.code}: {page.reason}" for page in shown]
        if more := len(self.failed_pages) - len(shown):
            lines.append(f"{more} more pages failed")
        lines += [f"{f.code}: {f.reason}" for f in sorted(self._parts())]
        return (*lines, *(f"{f.stage}: {f.code}: {f.reason}" for f in sorted(self._aside())))

    def _parts(self) -> frozenset[Failure]:
        """Parts of a report that its specialist could not read, while it read the others."""
        known = (_SPECIALIST.get(self.kind), UNREADABLE_PARTS)
        return frozenset(f for f in self.failures if (f.stage, f.code) == known)

    def _decisive(self) -> frozenset[Failure]:
        """Failures of those whose work the outcome stands on: ingest and the kind's specialist."""
        needed = ("ingest", _SPECIALIST.get(self.kind))
        return frozenset(f for f in self.failures if f.stage in needed) - self._parts()

    def _aside(self) -> frozenset[Failure]:
        """Failures after the result (review, escalation): worth knowing, but no other outcome."""
        return self.failures - self._decisive() - self._parts()


def advance(progress: Progress, fact: Fact) -> Progress:
    """The state machine: what is known after one more fact.

    Any order and any repetition of the same facts leads to the same progress.
    """
    if fact.attempt < progress.attempt:
        return progress
    if fact.attempt > progress.attempt:
        progress = Progress(kind=progress.kind, attempt=fact.attempt)
    match fact:
        case PagesRead():
            return replace(progress, pages=fact.pages, failed_pages=fact.failed)
        case DocumentRead():
            return replace(progress, announced=True)
        case ClausesExtracted():
            return replace(progress, results=progress.results | {"extraction"})
        case FindingsFound():
            return replace(
                progress,
                results=progress.results | {"triage"},
                failures=progress.failures | _unreadable(fact.unreadable),
            )
        case DocumentFailed():
            failure = Failure(fact.stage, fact.code, fact.reason)
            return replace(progress, failures=progress.failures | {failure})


def _unreadable(parts: int) -> frozenset[Failure]:
    if not parts:
        return frozenset()
    count = f"{parts:,} filing{'' if parts == 1 else 's'} of the report"
    reason = f"{count} could not be read: the warnings beside its findings say why"
    return frozenset({Failure("triage", UNREADABLE_PARTS, reason)})


def begin_again(progress: Progress, kind: Kind | None = None) -> Progress:
    """A new attempt at the same document, of which nothing is known yet."""
    return Progress(kind=kind or progress.kind, attempt=progress.attempt + 1)


@dataclass(frozen=True)
class Document:
    """One document of one tenant.

    `original` are the bytes as uploaded; `readable` the same, or, where a password was given, what
    was decrypted with it. The password itself is kept nowhere. `text` and `layout` are noted before
    they are written, so that a deletion finds them; they are there once the pages are known.
    """

    id: str
    tenant: str
    name: str
    media_type: str
    original: BlobRef
    readable: BlobRef
    actor: str
    kind_source: KindSource
    progress: Progress
    created: datetime
    updated: datetime
    text: BlobRef | None = None
    layout: BlobRef | None = None
    warnings: tuple[str, ...] = ()
    ended: datetime | None = None

    def after(self, progress: Progress, now: datetime) -> Document:
        """The document with newer progress."""
        ended = None
        if progress.state == "ended":
            same = self.ended and progress.outcome == self.progress.outcome
            ended = self.ended if same and progress.attempt == self.progress.attempt else now
        return replace(self, progress=progress, updated=now, ended=ended)

    @property
    def blobs(self) -> frozenset[BlobRef]:
        """Everything that is stored of it."""
        refs = (self.original, self.readable, self.text, self.layout)
        return frozenset(ref for ref in refs if ref is not None)


def new_end(after: Document, before: Document | None = None) -> Outcome | None:
    """The outcome of a document that has just ended, else None.

    A success that supersedes a failure is another end; so is that of another attempt.
    """
    if before is not None:
        old, new = before.progress, after.progress
        if (old.attempt, old.kind, old.outcome) == (new.attempt, new.kind, new.outcome):
            return None
    return after.progress.outcome


def may_begin_again(known: Progress, kind: Kind | None) -> bool:
    """Whether the same bytes, uploaded again, are a new attempt.

    They are after a failure, and as another kind after a rejection.
    """
    if known.outcome == "rejected":
        return kind is not None and kind != known.kind
    return known.outcome == "failed"


def kind_of_type(media_type: str) -> Kind:
    """What a document most likely is, if nobody says: text a contract, data a report."""
    return _KIND_OF_TYPE.get(media_type, "other")


def new_document_id() -> str:
    """An id that nobody can guess."""
    return f"doc_{uuid.uuid4().hex}"


@dataclass(frozen=True)
class Key:
    """A named key of one tenant, or a browser's session that stands for one. Never its secret."""

    id: str
    tenant: str
    name: str
    kind: Literal["key", "session"]
    created: datetime
    created_by: str | None = None
    parent: str | None = None
    expires: datetime | None = None
    revoked: datetime | None = None
    last_used: datetime | None = None
    digest: bytes = field(default=b"", repr=False)

    def good(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class DocumentReader(Protocol):
    """Who opens documents: `shared.documents.sandbox.Reader`, in a child process with limits.

    Everything raises the UnreadableDocument that fits.
    """

    def read(self, data: bytes, *, name: str = "", password: str | None = None) -> Reading:
        """Text, boxes and page ledger."""

    def render(
        self, data: bytes, number: int, *, scale: float = 2.0, password: str | None = None
    ) -> bytes:
        """Page `number` (from 1) as PNG; raises NotFound beyond the last one."""

    def decrypt(self, data: bytes, *, password: str | None = None) -> bytes:
        """The same PDF without encryption; as it is if there was none."""


def now_utc() -> datetime:
    """This moment."""
    return datetime.now(UTC)
