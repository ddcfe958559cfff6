"""One function for each event that review reacts to."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from services.review import store
from services.review.disguise import Look, among_others, as_before
from services.review.domain import (
    Document,
    Item,
    PageSize,
    item_of_kind,
    item_of_question,
    items_of_clauses,
    items_of_findings,
    items_of_pages,
    proposal_shown,
    read_clauses,
    read_findings,
)
from services.review.looks import store as looks
from services.review.narrative import items_of_flags, read_flags
from services.review.priority import Order
from services.review.signals import items_of_signals, read_signals
from services.review.trust import is_trusted, judged
from shared.documents.reading import Reading
from shared.events import (
    BlobRef,
    ClausesExtracted,
    DocumentDeleted,
    DocumentFailed,
    DocumentRead,
    DocumentRekinded,
    EscalationAnswered,
    FindingsFound,
)
from shared.events.questions import Proposal, Question
from shared.policy import RiskRules, Risks
from shared.storage import BlobStore, MissingBlob, UnitOfWork
from shared.storage.deletion import is_deleted
from shared.storage.secret import draw_key
from shared.tracing import carried

log = logging.getLogger(__name__)

T = TypeVar("T")
Part = TypeVar("Part", Question, Proposal)


def remember_document(
    event: DocumentRead, uow: UnitOfWork, blobs: BlobStore, order: Order, patience: float
) -> None:
    """Keep a document's name and its pages; what an older reading left undecided is withdrawn.

    Where ingest is unsure of its kind, or a page seems to be read badly, a person is asked; where a
    frontier model is asked first, at the latest after `patience` seconds.
    """
    known = _known(event.tenant, event.document_id, uow)
    if known and not known.counts(event.attempt):
        return
    read = unless_deleted(event.tenant, event.document_id, blobs, lambda: _reading(event, blobs))
    if read is None:
        return
    document = Document(
        tenant=event.tenant,
        id=event.document_id,
        name=event.name,
        kind=event.kind,
        media_type=event.media_type,
        page_count=event.pages,
        pages=tuple(PageSize(p.number, p.start, p.end, p.width, p.height) for p in read.pages),
        text=event.text,
        layout=event.layout,
        attempt=event.attempt,
        trace=carried().parent or event.trace,
    )
    with uow:
        if known and known.attempt < event.attempt:
            store.withdraw_open(uow.session, event.tenant, event.document_id)
        store.save_document(uow.session, document)
        now, unsure = datetime.now(UTC), event.kind_confidence if event.kind_unsure else None
        about_kind = [] if unsure is None else [item_of_kind(document, unsure, now=now)]
        about_pages = items_of_pages(document, read.unsound, now=now)
        questions: dict[store.Asks, list[Item]] = {"kind": about_kind, "pages": about_pages}
        for asks, new in questions.items():
            ways = [_on_its_way(item, event.escalated, patience) for item in new]
            _ask(uow, document, asks, [order.placed(item) for item in ways])


def _on_its_way(item: Item, escalated: Collection[str], patience: float) -> Item:
    """The item, which waits for the answer of a frontier model first if one is asked."""
    if item.result_id not in escalated:
        return item
    return replace(item, route="escalate").asked(item.created, patience)


def _ask(uow: UnitOfWork, document: Document, asks: store.Asks, new: Sequence[Item]) -> None:
    """Have these questions about a document in the queue, each once, and none that is settled."""
    where = uow.session, document.tenant, document.id
    known = {item.signature for item in store.items_asking(*where, asks)}
    wanted = {item.signature for item in new}
    stale = [
        item.id
        for item in store.items_asking(*where, asks)
        if item.verdict is None and item.signature not in wanted
    ]
    store.remove_items(uow.session, document.tenant, stale)
    store.add_items(uow.session, [item for item in new if item.signature not in known])


def queue_clauses(
    event: ClausesExtracted,
    uow: UnitOfWork,
    blobs: BlobStore,
    context: int,
    order: Order,
    patience: float,
) -> None:
    """Put every clause of one contract into the queue, in place of those of an older attempt.

    Args:
        patience: seconds for which one that a frontier model is asked about waits for the answer.
    """
    document = _current(event, uow)
    if document is None:
        return
    found = unless_deleted(
        event.tenant,
        event.document_id,
        blobs,
        lambda: (blobs.get(event.tenant, event.clauses), document_text(document, blobs)),
    )
    if found is None:
        return
    data, text = found
    clauses = read_clauses(data, event.document_id)
    new = items_of_clauses(
        document,
        clauses,
        attempt=event.attempt,
        text=text,
        context=context,
        now=datetime.now(UTC),
        sampled=frozenset(event.sampled),
    )
    placed = order.of_clauses(new, clauses, text)
    if any(item.sampled for item in placed):
        placed = _hidden(document, placed, uow)
    with uow:
        _replace_items(uow, document, placed, patience)


def _hidden(document: Document, items: Sequence[Item], uow: UnitOfWork) -> list[Item]:
    """The items of a document, of which those that were drawn look like others in the queue."""
    checks = [item for item in items if item.sampled]
    others: list[Look] = []
    with uow.store.read() as session:
        key = draw_key(session)
        for sort in {looks.Sort.of(item) for item in checks}:
            others += looks.unsure(session, document, sort, key)
        for finder in {(item.kind, item.adapter) for item in checks}:
            others += looks.least_sure(session, document, *finder)
        before = looks.shown_before(session, document)
    return as_before(among_others(items, others, key), before, others)


def queue_findings(
    event: FindingsFound, uow: UnitOfWork, blobs: BlobStore, order: Order, patience: float
) -> None:
    """Put every finding, strong signal and strong narrative flag of one report into the queue, in
    place of those of an older attempt. Nobody is asked about what triage folded away; who has
    decided it can undo that.
    """
    document = _current(event, uow)
    if document is None:
        return
    refs = (event.findings, event.signals, event.narrative)
    found = unless_deleted(
        event.tenant,
        event.document_id,
        blobs,
        lambda: [blobs.get(event.tenant, ref) if ref else b"[]" for ref in refs],
    )
    if found is None:
        return
    now = datetime.now(UTC)
    findings = read_findings(found[0], event.document_id)
    signals = read_signals(found[1], event.document_id)
    new = items_of_findings(
        document,
        findings,
        attempt=event.attempt,
        now=now,
        sampled=frozenset(event.sampled),
        adapter=(event.model or "").partition(" ")[0],
    )
    new += items_of_signals(document, signals, attempt=event.attempt, now=now)
    flags = read_flags(found[2], event.document_id)
    new += items_of_flags(document, flags, attempt=event.attempt, now=now)
    dismissed = frozenset(finding.id for finding in findings if finding.dismissed)
    placed = [order.placed(item) for item in new]
    if any(item.sampled for item in placed):
        placed = _hidden(document, placed, uow)
    with uow:
        _replace_items(uow, document, placed, patience, dismissed)


def queue_proposal(
    event: EscalationAnswered,
    uow: UnitOfWork,
    blobs: BlobStore,
    context: int,
    order: Order,
    risks: Risks,
) -> None:
    """Put what a frontier model proposed, or why none did, beside the item of the result; a result
    that waits for nobody is queued with it, unless nobody was to see it and nothing is proposed.
    A person decides, but for what the policy trusts the model with.
    """
    known = _known(event.tenant, event.document_id, uow)
    if known is None or not known.counts(event.attempt) or known.attempt != event.attempt:
        return
    found = unless_deleted(
        event.tenant, event.document_id, blobs, lambda: _answer(event, known, blobs)
    )
    if found is None:
        return
    question, proposal, text = found
    unread = "an answer came, but it can't be read" if event.answer and not proposal else None
    shown = proposal_shown(proposal, event.reason or unread)
    if proposal and question and question.subject == "category":
        shown["own_words"] = True
    with uow:
        where = (uow.session, event.tenant, event.document_id)
        if store.propose(*where, event.result_id, shown):
            if proposal is not None:
                _accept_trusted(uow, event, shown, risks.of(event.tenant))
            return
        if question is None or text is None or _is_nothing(question, proposal):
            return
        if question.subject not in ("clause", "category"):
            return  # it was withdrawn: what is asked about is in the queue before
        item = item_of_question(
            known,
            question,
            proposal,
            result_id=event.result_id,
            stage=event.stage,
            text=text,
            context=context,
            now=datetime.now(UTC),
        )
        store.add_items(uow.session, [order.placed(replace(item, proposal=shown))])


def _is_nothing(question: Question, proposal: Proposal | None) -> bool:
    """Whether a category of which no clause is shown has none by the answer either."""
    absent = proposal is None or proposal.verdict == "absent"
    return question.subject == "category" and absent


def _accept_trusted(
    uow: UnitOfWork, event: EscalationAnswered, shown: Mapping[str, Any], rules: RiskRules
) -> None:
    """Let a confirmed clause wait for nobody, where decisions so far show that this keeps the
    stated risk.
    """
    where = (uow.session, event.tenant, event.document_id)
    item = store.waiting_item(*where, event.result_id, datetime.now(UTC))
    if item is None or rules.trust != "measured":
        return
    found = judged(store.decided_proposals(uow.session, event.tenant))
    if is_trusted(item, shown, rules, found, draw_key(uow.session)):
        store.save_item(uow.session, replace(item, route="accept"))


def _answer(
    event: EscalationAnswered, document: Document, blobs: BlobStore
) -> tuple[Question | None, Proposal | None, str | None]:
    """What was asked, what was answered, and the text that both count in, where there are any and
    they can be read.
    """
    question = _read(Question, event.question, event, blobs)
    proposal = _read(Proposal, event.answer, event, blobs)
    return question, proposal, document_text(document, blobs)


def _read(
    kind: type[Part], ref: BlobRef | None, event: EscalationAnswered, blobs: BlobStore
) -> Part | None:
    """One of the blobs that an answer names; None, and a line in the log, if it can't be read."""
    if ref is None:
        return None
    try:
        return kind.model_validate_json(blobs.get(event.tenant, ref))
    except ValidationError as error:
        told = {
            "document": event.document_id,
            "result": event.result_id,
            "blob": kind.__name__.lower(),
            "field": ".".join(map(str, error.errors()[0]["loc"])),
        }
        log.warning("what the frontier was asked or answered can't be read", extra=told)
        return None


def withdraw_items(event: DocumentRekinded, uow: UnitOfWork) -> None:
    """Somebody said the kind: nobody is asked any more. Results of another one no longer count:
    what is undecided leaves the queue, and what is decided stays in the audit alone.
    """
    known = _known(event.tenant, event.document_id, uow)
    if known is None or known.deleted:
        return
    attempt = event.attempt or known.attempt
    if event.kind == event.previous:
        with uow:
            store.withdraw_open(uow.session, event.tenant, event.document_id, "kind")
    elif event.attempt is None or event.attempt > known.attempt:
        with uow:
            store.withdraw_open(uow.session, event.tenant, event.document_id)
            store.withdraw_decided(uow.session, event.tenant, event.document_id)
            renewed = replace(known, kind=event.kind, attempt=attempt, cancelled=False)
            store.save_document(uow.session, renewed)


def withdraw_cancelled(event: DocumentFailed, uow: UnitOfWork) -> None:
    """Somebody stopped the work: what was found leaves the queue, what still comes stays out."""
    known = _known(event.tenant, event.document_id, uow)
    if not event.cancels or (known and not known.counts(event.attempt)):
        return
    known = known or Document(event.tenant, event.document_id, name="", kind="other")
    with uow:
        for asks in get_args(store.Asks):
            store.withdraw_open(uow.session, event.tenant, event.document_id, asks)
        store.save_document(uow.session, replace(known, attempt=event.attempt, cancelled=True))


def forget_document(event: DocumentDeleted, uow: UnitOfWork) -> None:
    """Forget a document's words; who decided what about it, and when, stays in the audit."""
    gone = Document(event.tenant, event.document_id, name="", kind="other", deleted=True)
    with uow:
        store.forget_document(uow.session, gone)
        store.save_document(uow.session, gone)


def document_text(document: Document, blobs: BlobStore) -> str | None:
    """The text that offsets count in; None if no reading of it was announced.

    Raises:
        MissingBlob: it was announced, but is gone.
    """
    return blobs.get(document.tenant, document.text).decode() if document.text else None


def document_reading(document: Document, blobs: BlobStore) -> Reading | None:
    """The text with a box for every character; None if no reading of it was announced.

    Raises:
        MissingBlob: it was announced, but is gone.
    """
    text = document_text(document, blobs)
    if text is None or document.layout is None:
        return None
    return Reading.from_bytes(blobs.get(document.tenant, document.layout), text)


def unless_deleted(
    tenant: str, document_id: str, blobs: BlobStore, read: Callable[[], T]
) -> T | None:
    """What `read` answers; None if its blobs are gone with their document, of which review is yet
    to hear. Raises MissingBlob if they are gone without.
    """
    try:
        return read()
    except MissingBlob:
        if not is_deleted(blobs, tenant, document_id):
            raise
        log.info("deleted, as its blobs tell")
        return None


def _known(tenant: str, document_id: str, uow: UnitOfWork) -> Document | None:
    with uow.store.read() as session:
        return store.find_document(session, tenant, document_id)


def _current(event: ClausesExtracted | FindingsFound, uow: UnitOfWork) -> Document | None:
    """The document that results belong to; None if it is deleted, cancelled, or read anew since."""
    known = _known(event.tenant, event.document_id, uow)
    if known is None:
        kind = "contract" if isinstance(event, ClausesExtracted) else "report"
        return Document(event.tenant, event.document_id, event.name, kind, attempt=event.attempt)
    if not known.counts(event.attempt):
        return None
    return replace(known, attempt=event.attempt, cancelled=False)


def _replace_items(
    uow: UnitOfWork,
    document: Document,
    new: Sequence[Item],
    patience: float,
    unasked: Collection[str] = frozenset(),
) -> None:
    """Queue what is new; what a person has decided, or has at hand, is not asked again. What a
    model is asked about waits for the answer first, which may have come before the result itself.

    Args:
        patience: seconds for which it waits.
        unasked: ids of results that nobody is asked about.
    """
    tenant, document_id, now = document.tenant, document.id, datetime.now(UTC)
    known: dict[tuple[object, ...], list[Item]] = defaultdict(list)
    open_ = store.open_items(uow.session, tenant, document_id)  # first: it waits for open decisions
    for item in (*store.decided_items(uow.session, tenant, document_id), *open_):
        known[item.signature].append(item)
    said = {one.result_id: one.proposal for one in open_ if one.attempt == document.attempt}
    waiting, kept = [], set()
    for item in new:
        same = known[item.signature].pop(0) if known[item.signature] else None
        if same and same.verdict:  # each decision answers for one result
            found_again = replace(same, attempt=item.attempt, result_id=item.result_id)
            store.save_item(
                uow.session,
                replace(found_again, boxes=item.boxes, page=item.page, withdrawn=False),
            )
        elif item.result_id in unasked:
            continue
        elif same and same.attempt == item.attempt:
            kept.add(same.id)
        else:
            told = replace(item, proposal=said.get(item.result_id))
            waiting.append(told.asked(now, patience))
    store.remove_items(uow.session, tenant, {item.id for item in open_} - kept)
    store.add_items(uow.session, waiting)
    looks.keep_shown(uow.session, waiting)
    store.save_document(uow.session, document)


def _reading(event: DocumentRead, blobs: BlobStore) -> Reading:
    text = blobs.get(event.tenant, event.text).decode()
    return Reading.from_bytes(blobs.get(event.tenant, event.layout), text, places=False)
