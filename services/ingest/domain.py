"""What a document is to ingest, and the one state machine that says where it stands.

`Progress` holds facts about the current attempt; state, outcome and reasons follow from them. Facts
are only ever added, so the order in which they arrive, and how often, makes no difference:

    received ── pages read ──> read ── announced ──> processing ── result or failure ──> ended

An archive has no text for anybody to work on: it ends once its parts are documents of their own.

A result outweighs any failure, so a success that comes late supersedes one. A fact of an older
attempt says nothing about this one.

Only a cancellation is no fact like the others: it ends an attempt that has not ended, and whatever
is heard of that attempt afterwards changes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, Protocol

from shared.documents import (
    ARCHIVES,
    CONTAINERS,
    Early,
    FailedPage,
    Part,
    Reading,
    RefusedPart,
)
from shared.errors import InvalidRequest
from shared.events import (
    CANCELLED,
    BlobRef,
    ClausesExtracted,
    DocumentFailed,
    DocumentRead,
    FindingsFound,
    Kind,
    Stage,
)
from shared.web.scopes import ALL


class UnknownAdapter(InvalidRequest):
    """A specialist was named that is not installed."""

    code = "unknown_adapter"


def named_adapters(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, in the order given; an empty one names nothing."""
    return tuple(dict.fromkeys(name for name in names if name))


def require_adapters(adapters: Iterable[str], installed: Collection[str]) -> None:
    """Raise UnknownAdapter, which names the installed ones, if one of these is not."""
    for name in adapters:
        if name not in installed:
            raise UnknownAdapter(
                f"there is no adapter named {name[:100]!r}: "
                f"{', '.join(installed) or 'none'} can be named"
            )


State = Literal["received", "read", "processing", "ended"]
Outcome = Literal["complete", "partial", "failed", "rejected"]
KindSource = Literal["uploader", "type"]

STATES: tuple[State, ...] = ("received", "read", "processing", "ended")
OUTCOMES: tuple[Outcome, ...] = ("complete", "partial", "failed", "rejected")

REASONS_SHOWN = 20
"""Failed pages, and refused parts, named one by one among the reasons; the ledger has them all."""

UNREADABLE_PARTS, NO_STATEMENTS = "unreadable_filings", "no_statements"
"""Codes of failures that cost a report some of its filings, or all of its figures, and not its
result."""

_SPECIALIST: dict[Kind, Stage] = {"contract": "extraction", "report": "triage"}
_KIND_OF_TYPE: dict[str, Kind] = {
    "application/pdf": "contract",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "contract",
    "application/vnd.oasis.opendocument.text": "contract",
    "application/rtf": "contract",
    "text/html": "contract",
    "text/markdown": "contract",
    "text/plain": "contract",
    "image/jpeg": "contract",
    "image/png": "contract",
    "image/tiff": "contract",
    "application/json": "report",
    "application/x-ndjson": "report",
    "text/csv": "report",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "report",
    "application/vnd.ms-excel": "report",
    "application/vnd.oasis.opendocument.spreadsheet": "report",
    "application/xbrl-instance+xml": "report",
    "message/rfc822": "contract",
    "application/vnd.ms-outlook": "contract",
}
_MAILS = CONTAINERS - ARCHIVES


@dataclass(frozen=True, order=True)
class Failure:
    """A service gave the document up: a code to search for, and a sentence to show."""

    stage: Stage
    code: str
    reason: str


@dataclass(frozen=True)
class SoFar:
    """How many pages are done while a document is read, readable or not, and of how many."""

    done: int
    of: int


@dataclass(frozen=True)
class PagesSoFar:
    """The fact that some pages of one attempt are done, while the others are still read."""

    attempt: int
    so_far: SoFar


@dataclass(frozen=True)
class PagesRead:
    """The fact that the text of one attempt is stored, with what could not be read."""

    attempt: int
    pages: int
    failed: tuple[FailedPage, ...] = ()


@dataclass(frozen=True)
class PartsFound:
    """The fact that what lies in a mail or archive are documents now, but for what was refused."""

    attempt: int
    accepted: int
    refused: tuple[RefusedPart, ...] = ()


Fact = (
    PagesSoFar
    | PagesRead
    | PartsFound
    | DocumentRead
    | ClausesExtracted
    | FindingsFound
    | DocumentFailed
)


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
    parts: int | None = None
    refused: tuple[RefusedPart, ...] = ()
    only_parts: bool = False
    """Whether nobody is to work on its own text, so that it ends with its parts."""
    cancelled: str | None = None
    """Who stopped the work on it, if somebody did."""
    doubts: tuple[str, ...] = ()
    """Why not to rely on the result, as its specialist says."""
    read_by: tuple[str, ...] = ()
    """The specialists that have read it as a contract, whether or not somebody had named them."""
    so_far: SoFar | None = None
    """How far the reading had come when that was last heard of; None once all pages are known."""

    @property
    def reading(self) -> SoFar | None:
        """How far it is read, while it is read."""
        return self.so_far if self.state == "received" else None

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, or None while it has not."""
        if self.cancelled is not None:
            return "failed"
        if self.only_parts:
            return self._outcome_of_parts()
        specialist = _SPECIALIST.get(self.kind)
        if specialist is None:
            return "rejected"
        if specialist in self.results:
            incomplete = self.failed_pages or self.refused or self._unread_filings()
            return "partial" if incomplete else "complete"
        return "failed" if self._decisive() else None

    def is_cancelled(self, attempt: int) -> bool:
        """Whether an attempt is over because somebody stopped it."""
        return self.cancelled is not None and attempt == self.attempt

    def _outcome_of_parts(self) -> Outcome | None:
        """Of an archive: whether everything in it became a document, or some, or nothing."""
        if self.parts is None:
            return "failed" if self._decisive() else None
        if not self.parts:
            return "failed"
        return "partial" if self.refused else "complete"

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
        """Why it did not end `complete`: `code: sentence`, pages by number, parts by name."""
        if self.cancelled is not None:
            return (f"{CANCELLED}: {said_of_cancelled(self.cancelled)}",)
        if self.outcome == "rejected":
            return (
                f"not_our_kind: a document of kind {self.kind!r} is kept, but not worked on: "
                "say its kind if it is another",
            )
        if self.outcome == "failed":
            decisive = (f"{f.code}: {f.reason}" for f in sorted(self._decisive()))
            return (*decisive, *self._lost_parts())
        shown = self.failed_pages[:REASONS_SHOWN]
        lines = [f"page {page.number}: {page.code}: {page.reason}" for page in shown]
        if more := len(self.failed_pages) - len(shown):
            lines.append(f"{more} more pages failed")
        lines += self._lost_parts()
        lines += [f"{f.code}: {f.reason}" for f in sorted(self._unread_filings())]
        return (*lines, *(f"{f.stage}: {f.code}: {f.reason}" for f in sorted(self._aside())))

    def _lost_parts(self) -> Iterator[str]:
        """What lies in it and became no document."""
        if self.only_parts and self.parts == 0 and not self.refused:
            yield "no_parts: nothing lies in it that could be worked on"
        for part in self.refused[:REASONS_SHOWN]:
            yield f"part {part.name}: {part.code}: {part.reason}"
        if len(self.refused) > REASONS_SHOWN:
            yield f"{len(self.refused) - REASONS_SHOWN} more parts were refused"

    def _unread_filings(self) -> frozenset[Failure]:
        """Parts of a report that its specialist could not read, while it read the others."""
        own, codes = _SPECIALIST.get(self.kind), (UNREADABLE_PARTS, NO_STATEMENTS)
        return frozenset(f for f in self.failures if f.stage == own and f.code in codes)

    def _decisive(self) -> frozenset[Failure]:
        """Failures of those whose work the outcome stands on: ingest and the kind's specialist."""
        needed = ("ingest", _SPECIALIST.get(self.kind))
        return frozenset(f for f in self.failures if f.stage in needed) - self._unread_filings()

    def _aside(self) -> frozenset[Failure]:
        """Failures after the result (review, escalation): worth knowing, but no other outcome."""
        return self.failures - self._decisive() - self._unread_filings()


def advance(progress: Progress, fact: Fact) -> Progress:
    """The state machine: what is known after one more fact.

    Any order and any repetition of the same facts leads to the same progress.
    """
    if fact.attempt < progress.attempt or progress.is_cancelled(fact.attempt):
        return progress
    if fact.attempt > progress.attempt:
        progress = replace(begin_again(progress), attempt=fact.attempt)
    match fact:
        case PagesSoFar():
            if progress.pages is not None:
                return progress
            before = progress.so_far or fact.so_far
            return replace(progress, so_far=max(before, fact.so_far, key=lambda one: one.done))
        case PagesRead():
            known = replace(progress, pages=fact.pages, failed_pages=fact.failed)
            return replace(known, so_far=None)
        case PartsFound():
            return replace(progress, parts=fact.accepted, refused=fact.refused)
        case DocumentRead():
            return replace(progress, announced=True)
        case ClausesExtracted():
            results: frozenset[Stage] = progress.results | {"extraction"}
            return replace(
                progress,
                results=results,
                doubts=_doubts(progress, fact),
                read_by=tuple(adapter.name for adapter in fact.read_by),
            )
        case FindingsFound():
            return replace(
                progress,
                results=progress.results | {"triage"},
                doubts=_doubts(progress, fact),
                failures=progress.failures | _unreadable(fact),
            )
        case DocumentFailed():
            failure = Failure(fact.stage, fact.code, fact.reason)
            return replace(progress, failures=progress.failures | {failure})


def _doubts(progress: Progress, fact: ClausesExtracted | FindingsFound) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*progress.doubts, *fact.warnings)))


def _unreadable(fact: FindingsFound) -> frozenset[Failure]:
    parts = fact.unreadable
    if fact.missing:
        reason = f"its figures are not checked, its sentences were read: {fact.missing}"
        return frozenset({Failure("triage", NO_STATEMENTS, reason)})
    if not parts:
        return frozenset()
    count = f"{parts:,} filing{'' if parts == 1 else 's'} of the report"
    reason = f"{count} could not be read: the warnings beside its findings say why"
    return frozenset({Failure("triage", UNREADABLE_PARTS, reason)})


def said_of_cancelled(actor: str) -> str:
    """The reason of a cancelled document."""
    return f"{actor} stopped the work on it: reprocess it, or upload it again, to begin anew"


def begin_again(progress: Progress, kind: Kind | None = None) -> Progress:
    """A new attempt at the same document, of which nothing is known yet."""
    attempt = progress.attempt + 1
    return Progress(kind or progress.kind, attempt, only_parts=progress.only_parts)


@dataclass(frozen=True)
class Guess:
    """What ingest's specialist takes a document for, of which nobody said the kind.

    `kind` is what it is worked on as, `confidence` how likely that is; who is `unsure` asks a
    person. `item` is the item of the review queue by which a person answered.
    """

    kind: Kind
    confidence: float
    unsure: bool
    item: str | None = None


def first_progress(media_type: str, kind: Kind | None) -> Progress:
    """Of a document that was just accepted; `kind` is what the uploader says that it is."""
    source: KindSource = "uploader" if kind else "type"
    kind = kind or kind_of_type(media_type)
    return Progress(kind, only_parts=has_only_parts(media_type, kind, source))


def has_only_parts(media_type: str, kind: Kind, source: KindSource) -> bool:
    """Whether a document ends with its parts, for nobody is to work on its own text.

    So it is with an archive, and with a mail that was sent for the reports attached to it. What
    the uploader calls `other` is rejected, whatever lies in it.
    """
    if media_type in ARCHIVES:
        return not (kind == "other" and source == "uploader")
    return media_type in _MAILS and kind == "report"


@dataclass(frozen=True)
class Document:
    """One document of one tenant.

    `original` are the bytes as uploaded; `readable` the same, or, where a password was given, what
    was decrypted with it. The password itself is kept nowhere. `text` and `layout` are noted before
    they are written, so that a deletion finds them; they are there once the pages are known. So are
    the bytes of its parts, in `noted`, until they are documents of their own, and what is to be
    removed.

    `adapters` are the specialists that it is to be read by if it is a contract, none: the one that
    is set up; what lies in it is read by the same.

    `uploaded` says whether somebody sent it by itself; else it came in a mail or archive, `depth`
    of them around it, the outermost of which is `root`.
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
    noted: tuple[BlobRef, ...] = ()
    guess: Guess | None = None
    adapters: tuple[str, ...] = ()
    uploaded: bool = True
    depth: int = 0
    root: str | None = None

    @property
    def said_kind(self) -> Kind:
        """Its kind to the specialists: none of them works on what ends with its parts."""
        return "other" if self.progress.only_parts else self.progress.kind

    def guessed(self, guess: Guess | None) -> Document:
        """The document as its text shows it, before its result; somebody's word outweighs that."""
        if guess is None or self.kind_source != "type":
            return self
        return replace(self, guess=guess, progress=replace(self.progress, kind=guess.kind))

    @property
    def is_read(self) -> bool:
        """Whether its text is stored, so that it can be worked on anew without being read again."""
        stored = self.text is not None and self.layout is not None
        return stored and self.progress.pages is not None

    @property
    def kind_confidence(self) -> float | None:
        """How sure ingest is of the kind, where nobody said it and the text was judged."""
        return self.guess.confidence if self.guess and self.kind_source == "type" else None

    @property
    def asks_kind(self) -> bool:
        """Whether a person is still to say of what kind it is."""
        return self.kind_source == "type" and self.guess is not None and self.guess.unsure

    def awaits_reading(self, attempt: int) -> bool:
        """Whether this very attempt still has to be read: not begun anew, read, cancelled or
        rejected.
        """
        progress = self.progress
        current = progress.attempt == attempt and progress.pages is None
        return current and progress.cancelled is None and progress.outcome != "rejected"

    def of_kind(self, kind: Kind, now: datetime) -> Document:
        """The document at the beginning of a new attempt, as somebody says that it is.

        What was read of it stays, and so do its parts.
        """
        old, source = self.progress, self.kind_source
        progress = begin_again(old, kind)
        progress = replace(progress, only_parts=has_only_parts(self.media_type, kind, source))
        if self.is_read:
            progress = replace(
                progress,
                pages=old.pages,
                failed_pages=old.failed_pages,
                parts=old.parts,
                refused=old.refused,
            )
        return self.after(progress, now)

    def after(self, progress: Progress, now: datetime) -> Document:
        """The document with newer progress."""
        ended = None
        if progress.state == "ended":
            same = self.ended and progress.outcome == self.progress.outcome
            ended = self.ended if same and progress.attempt == self.progress.attempt else now
        return replace(self, progress=progress, updated=now, ended=ended)

    def noting(self, before: Document) -> Document:
        """The document with what is stored of it as it was before in `noted`: as long as this is
        not committed, that one stands, and its bytes have to be there. Whoever saves what is read,
        or deletes the document, removes them.
        """
        dropped = sorted(before.blobs - self.blobs, key=lambda ref: ref.sha256)
        return replace(self, noted=(*self.noted, *dropped))

    @property
    def blobs(self) -> frozenset[BlobRef]:
        """Everything that is stored of it."""
        refs = (self.original, self.readable, self.text, self.layout, *self.noted)
        return frozenset(ref for ref in refs if ref is not None)


@dataclass(frozen=True)
class Relative:
    """A living document that another one lies in, or that lies in it; `name` is its label there."""

    id: str | None
    name: str


@dataclass(frozen=True)
class Family:
    """What a document lies in, the first that it came in at the front, and what lies in it.

    A part that was deleted has no id.
    """

    parents: tuple[Relative, ...] = ()
    parts: tuple[Relative, ...] = ()


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


def asks_others(known: Document, adapters: tuple[str, ...]) -> bool:
    """Whether a document, or what lies in it, has to be read anew for these specialists.

    Where nobody had named any, those that have read it count, so that the one that is set up may be
    named as well as not.
    """
    read = known.progress.kind == "contract" or known.media_type in CONTAINERS
    readers = known.adapters or known.progress.read_by
    return bool(adapters) and read and set(adapters) != set(readers)


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
    scopes: frozenset[str] = ALL

    def good(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class DocumentReader(Protocol):
    """Who opens documents: `shared.documents.sandbox.Reader`, in a child process with limits.

    Everything raises the UnreadableDocument that fits.
    """

    def read(
        self,
        data: bytes,
        *,
        name: str = "",
        password: str | None = None,
        early: Early | None = None,
    ) -> Reading:
        """Text, boxes and page ledger; `early` hears of pages while the others are read."""

    def render(
        self, data: bytes, number: int, *, scale: float = 2.0, password: str | None = None
    ) -> bytes:
        """Page `number` (from 1) as PNG; raises NotFound beyond the last one."""

    def unpack(
        self, data: bytes, *, name: str = "", depth: int = 0
    ) -> Iterator[Part | RefusedPart]:
        """What lies in a mail or archive, which lies in `depth` others itself, in order."""

    def decrypt(self, data: bytes, *, password: str | None = None) -> bytes:
        """The same PDF without encryption; as it is if there was none."""


def now_utc() -> datetime:
    """This moment."""
    return datetime.now(UTC)
