"""The document in ingest, and the state machine of its progress.

`Progress` holds facts about the current attempt; state, outcome and reasons follow from them. Facts
are only added, so their order and repetition make no difference:

    received ── pages read ──> read ── announced ──> processing ── result or failure ──> ended

An archive has no text of its own: it ends once its parts are documents. A result outweighs any
failure, so a late success supersedes one. Facts of an older attempt are ignored. A cancellation
ends an attempt; later facts about that attempt are ignored.
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
    Attachment,
    FailedPage,
    PageCallback,
    ParsedDocument,
    RefusedPart,
)
from shared.documents.model.formats import FORMATS, MAILS
from shared.errors import InvalidRequest
from shared.events import (
    CANCELLED,
    BlobRef,
    ClausesExtracted,
    DocumentFailed,
    DocumentRead,
    DocumentTitle,
    FindingsFound,
    Kind,
    Stage,
)
from shared.web.scopes import ALL


class UnknownAdapter(InvalidRequest):
    """A requested specialist is not installed."""

    code = "unknown_adapter"


def named_adapters(names: Iterable[str]) -> tuple[str, ...]:
    """Return each name once, in order, without empty ones."""
    return tuple(dict.fromkeys(name for name in names if name))


def require_adapters(adapters: Iterable[str], installed: Collection[str]) -> None:
    """Raise UnknownAdapter if one of these is not installed."""
    for name in adapters:
        if name not in installed:
            raise UnknownAdapter(
                f"There is no specialist {name[:100]!r}. "
                f"Installed: {', '.join(installed) or 'none'}."
            )


State = Literal["received", "read", "processing", "ended"]
Outcome = Literal["complete", "partial", "failed", "rejected"]
KindSource = Literal["uploader", "type"]

SORTED_CHARACTERS = 100
"""Characters of a name that count in its order; a cursor holds them."""
REASONS_SHOWN = 20
"""Failed pages and refused parts among the reasons; the document has all of them."""

UNREADABLE_PARTS, NO_STATEMENTS = "unreadable_filings", "no_statements"
"""Failures that cost a report some filings or all figures, but not its result."""

_SPECIALIST: dict[Kind, Stage] = {"contract": "extraction", "report": "triage"}
_KIND_OF_TYPE: dict[str, Kind] = {one.media_type: one.kind for one in FORMATS}
MIXED_TYPES = frozenset(one.media_type for one in FORMATS if one.by_text)
"""Media types whose text decides the kind; mails and archives contain documents of any kind."""


@dataclass(frozen=True, order=True)
class Failure:
    """A service gave up the document: a code to search for and a sentence to show."""

    stage: Stage
    code: str
    reason: str


@dataclass(frozen=True)
class PageProgress:
    """Pages done, readable or not, and pages in total, while a document is read."""

    done: int
    total: int


@dataclass(frozen=True)
class PagesSoFar:
    """Some pages of an attempt are done."""

    attempt: int
    page_progress: PageProgress


@dataclass(frozen=True)
class PagesRead:
    """The text of an attempt is stored."""

    attempt: int
    pages: int
    failed: tuple[FailedPage, ...] = ()


@dataclass(frozen=True)
class PartsFound:
    """The parts of a mail or archive are documents now, except the refused ones."""

    attempt: int
    accepted: int
    refused: tuple[RefusedPart, ...] = ()


EventFact = DocumentRead | ClausesExtracted | FindingsFound | DocumentFailed
Fact = PagesSoFar | PagesRead | PartsFound | EventFact


@dataclass(frozen=True)
class Progress:
    """Facts about one attempt at a document."""

    kind: Kind
    attempt: int = 1
    pages: int | None = None
    failed_pages: tuple[FailedPage, ...] = ()
    announced: bool = False
    results: frozenset[Stage] = frozenset()
    failures: frozenset[Failure] = frozenset()
    parts: int | None = None
    refused: tuple[RefusedPart, ...] = ()
    ends_with_parts: bool = False
    """Whether its own text is not processed, so that it ends with its parts."""
    cancelled: str | None = None
    """Who cancelled it."""
    result_warnings: tuple[str, ...] = ()
    """Warnings of its specialist about the result."""
    read_by: tuple[str, ...] = ()
    """Specialists that have read it as a contract, requested or not."""
    page_progress: PageProgress | None = None
    """Last known progress of reading; None once all pages are read."""

    @property
    def reading(self) -> PageProgress | None:
        return self.page_progress if self.state == "received" else None

    @property
    def outcome(self) -> Outcome | None:
        if self.cancelled is not None:
            return "failed"
        if self.ends_with_parts:
            return self._outcome_of_parts()
        specialist = _SPECIALIST.get(self.kind)
        if specialist is None:
            return "rejected"
        if specialist in self.results:
            incomplete = self.failed_pages or self.refused or self._unread_filings()
            return "partial" if incomplete else "complete"
        return "failed" if self._decisive() else None

    def is_cancelled(self, attempt: int) -> bool:
        return self.cancelled is not None and attempt == self.attempt

    def _outcome_of_parts(self) -> Outcome | None:
        if self.parts is None:
            return "failed" if self._decisive() else None
        if not self.parts:
            return "failed"
        return "partial" if self.refused else "complete"

    @property
    def state(self) -> State:
        if self.outcome is not None:
            return "ended"
        if self.announced:
            return "processing"
        return "received" if self.pages is None else "read"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it did not end `complete`: `code: sentence`, pages by number, parts by name."""
        if self.cancelled is not None:
            return (f"{CANCELLED}: {cancellation_reason(self.cancelled)}",)
        if self.outcome == "rejected" and self._decisive():
            return tuple(f"{f.code}: {f.reason}" for f in sorted(self._decisive()))
        if self.outcome == "rejected":
            return (
                f"not_our_kind: documents of kind {self.kind!r} are stored, not "
                "processed; correct the kind if it is wrong",
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
        return (*lines, *(f"{f.stage}: {f.code}: {f.reason}" for f in sorted(self._after_result())))

    def _lost_parts(self) -> Iterator[str]:
        if self.ends_with_parts and self.parts == 0 and not self.refused:
            yield "no_parts: it contains nothing that can be processed"
        for part in self.refused[:REASONS_SHOWN]:
            yield f"part {part.name}: {part.code}: {part.reason}"
        if len(self.refused) > REASONS_SHOWN:
            yield f"{len(self.refused) - REASONS_SHOWN} more parts were refused"

    def _unread_filings(self) -> frozenset[Failure]:
        """Filings that the specialist could not read, while it read others."""
        own, codes = _SPECIALIST.get(self.kind), (UNREADABLE_PARTS, NO_STATEMENTS)
        return frozenset(f for f in self.failures if f.stage == own and f.code in codes)

    def _decisive(self) -> frozenset[Failure]:
        """Failures of ingest and of the kind's specialist: they decide the outcome."""
        needed = ("ingest", _SPECIALIST.get(self.kind))
        return frozenset(f for f in self.failures if f.stage in needed) - self._unread_filings()

    def _after_result(self) -> frozenset[Failure]:
        """Failures after the result (review, escalation): shown, but without effect."""
        return self.failures - self._decisive() - self._unread_filings()


def advance(progress: Progress, fact: Fact) -> Progress:
    """Apply one fact. Any order and repetition of the same facts gives the same progress."""
    if fact.attempt < progress.attempt or progress.is_cancelled(fact.attempt):
        return progress
    if fact.attempt > progress.attempt:
        progress = replace(next_attempt(progress), attempt=fact.attempt)
    match fact:
        case PagesSoFar():
            if progress.pages is not None:
                return progress
            before = progress.page_progress or fact.page_progress
            return replace(
                progress, page_progress=max(before, fact.page_progress, key=lambda one: one.done)
            )
        case PagesRead():
            known = replace(progress, pages=fact.pages, failed_pages=fact.failed)
            return replace(known, page_progress=None)
        case PartsFound():
            return replace(progress, parts=fact.accepted, refused=fact.refused)
        case DocumentRead():
            return replace(progress, announced=True)
        case ClausesExtracted():
            results: frozenset[Stage] = progress.results | {"extraction"}
            return replace(
                progress,
                results=results,
                result_warnings=_doubts(progress, fact),
                read_by=tuple(adapter.name for adapter in fact.read_by),
            )
        case FindingsFound():
            return replace(
                progress,
                results=progress.results | {"triage"},
                result_warnings=_doubts(progress, fact),
                failures=progress.failures | _unreadable(fact),
            )
        case DocumentFailed():
            failure = Failure(fact.stage, fact.code, fact.reason)
            return replace(progress, failures=progress.failures | {failure})


def _doubts(progress: Progress, fact: ClausesExtracted | FindingsFound) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*progress.result_warnings, *fact.warnings)))


def _unreadable(fact: FindingsFound) -> frozenset[Failure]:
    parts = fact.unreadable
    if fact.missing:
        reason = f"only its sentences were checked, not its figures: {fact.missing}"
        return frozenset({Failure("triage", NO_STATEMENTS, reason)})
    if not parts:
        return frozenset()
    count = f"{parts:,} filing{'' if parts == 1 else 's'} of the report"
    reason = f"{count} could not be read; see the warnings of its findings"
    return frozenset({Failure("triage", UNREADABLE_PARTS, reason)})


def cancellation_reason(actor: str) -> str:
    """Return the reason shown for a cancelled document."""
    return f"{actor} cancelled it; reprocess it or upload it again"


def next_attempt(progress: Progress, kind: Kind | None = None) -> Progress:
    """Return the empty progress of a new attempt."""
    attempt = progress.attempt + 1
    return Progress(kind or progress.kind, attempt, ends_with_parts=progress.ends_with_parts)


@dataclass(frozen=True)
class Classification:
    """The kind that the specialist predicts for a document without a given kind.

    `confidence` is the probability of `kind`. If `unsure`, a person is asked; `item` is the review
    item of their answer.
    """

    kind: Kind
    confidence: float
    unsure: bool
    item: str | None = None


def first_progress(media_type: str, kind: Kind | None) -> Progress:
    """Return the progress of an accepted document; `kind` is given by the uploader."""
    source: KindSource = "uploader" if kind else "type"
    kind = kind or kind_of_type(media_type)
    return Progress(kind, ends_with_parts=ends_with_its_parts(media_type, kind, source))


def ends_with_its_parts(media_type: str, kind: Kind, source: KindSource) -> bool:
    """Return whether a document ends with its parts, without processing its own text.

    True for archives and for mails uploaded as reports. An upload of kind `other` is rejected with
    its parts.
    """
    if media_type in ARCHIVES:
        return not (kind == "other" and source == "uploader")
    return media_type in MAILS and kind == "report"


@dataclass(frozen=True)
class Document:
    """One document of one tenant.

    `original` are the uploaded bytes; `readable` are the same or decrypted ones. `text` and
    `layout` are noted before they are written, so that a deletion finds them; they exist once the
    pages are known. `noted` has further blobs that may exist: bytes of parts, questions, marks, and
    blobs to remove.

    `adapters` read it, and its parts, if it is a contract; empty means the default. A document that
    was not `uploaded` separately is a part: `depth` counts the mails and archives around it, `root`
    is the outermost.
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
    classification: Classification | None = None
    adapters: tuple[str, ...] = ()
    uploaded: bool = True
    depth: int = 0
    root: str | None = None
    title: DocumentTitle | None = None
    """By its specialist; an earlier one stays until the next result."""
    tags: tuple[str, ...] = ()
    assignee: str | None = None
    """The name of the person who takes care of it."""

    @property
    def words(self) -> str:
        """The text that a search in the list looks through, in lower case."""
        title = (self.title.title, *self.title.parties) if self.title else ()
        return "\n".join((self.name, *title, *self.tags)).casefold()

    @property
    def sort_name(self) -> str:
        return (self.title.title if self.title else self.name).casefold()[:SORTED_CHARACTERS]

    @property
    def announced_kind(self) -> Kind:
        """The kind as announced; specialists ignore a document that ends with its parts."""
        return "other" if self.progress.ends_with_parts else self.progress.kind

    def with_classification(self, classification: Classification | None) -> Document:
        """Return the document with the predicted kind; an uploader's kind outweighs it."""
        if classification is None or self.kind_source != "type":
            return self
        return replace(
            self,
            classification=classification,
            progress=replace(self.progress, kind=classification.kind),
        )

    def refused(self, code: str, reason: str) -> Document:
        """Return the document rejected for a reason: stored, but not processed."""
        failures = self.progress.failures | {Failure("ingest", code, reason)}
        progress = replace(self.progress, kind="other", failures=failures)
        return self.after(progress, now_utc())

    @property
    def is_read(self) -> bool:
        """Whether its text is stored, so that a new attempt need not read it again."""
        stored = self.text is not None and self.layout is not None
        return stored and self.progress.pages is not None

    @property
    def kind_confidence(self) -> float | None:
        """Probability of the predicted kind; None if the uploader or the type decided it."""
        return (
            self.classification.confidence
            if self.classification and self.kind_source == "type"
            else None
        )

    @property
    def needs_kind_review(self) -> bool:
        return (
            self.kind_source == "type"
            and self.classification is not None
            and self.classification.unsure
        )

    def awaits_reading(self, attempt: int) -> bool:
        progress = self.progress
        current = progress.attempt == attempt and progress.pages is None
        return current and progress.cancelled is None and progress.outcome != "rejected"

    def of_kind(self, kind: Kind, now: datetime) -> Document:
        """Return the document at the start of a new attempt under a kind.

        Its text and parts stay.
        """
        old, source = self.progress, self.kind_source
        progress = next_attempt(old, kind)
        progress = replace(
            progress, ends_with_parts=ends_with_its_parts(self.media_type, kind, source)
        )
        if self.is_read:
            progress = replace(
                progress,
                pages=old.pages,
                failed_pages=old.failed_pages,
                parts=old.parts,
                refused=old.refused,
            )
        same = self if kind == old.kind else replace(self, title=None)
        return same.after(progress, now)

    def after(self, progress: Progress, now: datetime) -> Document:
        ended = None
        if progress.state == "ended":
            same = self.ended and progress.outcome == self.progress.outcome
            ended = self.ended if same and progress.attempt == self.progress.attempt else now
        return replace(self, progress=progress, updated=now, ended=ended)

    def noting(self, refs: Iterable[BlobRef]) -> Document:
        return replace(self, noted=tuple(dict.fromkeys((*self.noted, *refs))))

    def keeping_blobs_of(self, before: Document) -> Document:
        """Return the document with the blobs that it dropped in `noted`.

        Until the commit the older row names them, so they must exist. The next save or the deletion
        removes them.
        """
        dropped = sorted(before.blobs - self.blobs, key=lambda ref: ref.sha256)
        return self.noting(dropped)

    @property
    def blobs(self) -> frozenset[BlobRef]:
        refs = (self.original, self.readable, self.text, self.layout, *self.noted)
        return frozenset(ref for ref in refs if ref is not None)


@dataclass(frozen=True)
class Relative:
    """A document that contains another one or is its part; `name` is its label there."""

    id: str | None
    name: str


@dataclass(frozen=True)
class Family:
    """The mails and archives around a document, oldest first, and its own parts.

    A deleted part has no id.
    """

    parents: tuple[Relative, ...] = ()
    parts: tuple[Relative, ...] = ()


def new_end(after: Document, before: Document | None = None) -> Outcome | None:
    """Return the outcome of a document that has just ended, otherwise None.

    A success after a failure, and the end of another attempt, are new ends.
    """
    if before is not None:
        old, new = before.progress, after.progress
        if (old.attempt, old.kind, old.outcome) == (new.attempt, new.kind, new.outcome):
            return None
    return after.progress.outcome


def starts_new_attempt(known: Progress, kind: Kind | None) -> bool:
    """Return whether the same bytes, uploaded again, start a new attempt.

    True after a failure, and under another kind after a rejection.
    """
    if known.outcome == "rejected":
        return kind is not None and kind != known.kind
    return known.outcome == "failed"


def would_withdraw_results(known: Document, kind: Kind | None) -> bool:
    """Return whether the same bytes, uploaded as this kind, would replace results of another."""
    if kind is None or known.media_type in ARCHIVES or known.needs_kind_review:
        return False
    return known.progress.outcome in ("complete", "partial") and known.progress.kind != kind


def requests_other_adapters(known: Document, adapters: tuple[str, ...]) -> bool:
    """Return whether a document or its parts must be read again for these adapters.

    Without requested adapters the ones that have read it count, so that naming the default one has
    no effect.
    """
    read = known.progress.kind == "contract" or known.media_type in CONTAINERS
    readers = known.adapters or known.progress.read_by
    return bool(adapters) and read and set(adapters) != set(readers)


def kind_of_type(media_type: str) -> Kind:
    """Return the likely kind of a media type: text is a contract, data a report."""
    return _KIND_OF_TYPE.get(media_type, "other")


def new_document(
    tenant: str,
    actor: str,
    name: str,
    media_type: str,
    original: BlobRef,
    readable: BlobRef,
    kind: Kind | None,
    adapters: tuple[str, ...],
) -> Document:
    """Return a document at its first attempt, with a random id; `kind` is given by the uploader."""
    now = now_utc()
    draft = Document(
        id=f"doc_{uuid.uuid4().hex}",
        tenant=tenant,
        name=name,
        media_type=media_type,
        original=original,
        readable=readable,
        actor=actor,
        kind_source="uploader" if kind else "type",
        progress=first_progress(media_type, kind),
        created=now,
        updated=now,
        adapters=adapters,
    )
    return draft.after(draft.progress, now)


KeyKind = Literal["key", "user", "session", "link", "invitation"]


@dataclass(frozen=True)
class Key:
    """A named key of one tenant, a browser session of one, or a link that opens one session. It has
    no secret.
    """

    id: str
    tenant: str
    name: str
    kind: KeyKind
    created: datetime
    created_by: str | None = None
    parent: str | None = None
    expires: datetime | None = None
    revoked: datetime | None = None
    last_used: datetime | None = None
    digest: bytes = field(default=b"", repr=False)
    scopes: frozenset[str] = ALL
    addresses: tuple[str, ...] = ()
    """Networks from which it works; empty: from anywhere."""
    old_digest: bytes | None = field(default=None, repr=False)
    """Hash of the secret before the last rotation."""
    old_secret_until: datetime | None = None
    address: str | None = None
    """Of a session: from where it was opened."""
    user_agent: str | None = None
    """Of a session: the browser that opened it."""

    def good(self, now: datetime) -> bool:
        return self.revoked is None and (self.expires is None or now < self.expires)


class DocumentReader(Protocol):
    """Opens documents, such as `shared.documents.sandbox.Reader`.

    Each method raises a matching UnreadableDocument.
    """

    def read(
        self,
        data: bytes,
        *,
        name: str = "",
        password: str | None = None,
        on_page: PageCallback | None = None,
    ) -> ParsedDocument:
        """Return text, boxes and pages; `on_page` is called with each page."""

    def render(
        self, data: bytes, number: int, *, scale: float = 2.0, password: str | None = None
    ) -> bytes:
        """Return page `number` (from 1) as PNG. Raises NotFound beyond the last page."""

    def unpack(
        self, data: bytes, *, name: str = "", depth: int = 0
    ) -> Iterator[Attachment | RefusedPart]:
        """Yield the parts of a mail or archive that is itself at this depth, in order."""

    def decrypt(self, data: bytes, *, password: str | None = None) -> bytes:
        """Return the PDF without encryption."""


def now_utc() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)
