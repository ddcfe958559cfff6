"""Event handlers of review."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from services.review import store
from services.review.blinding import store as blinding_store
from services.review.blinding.blinding import Appearance, among_others, as_before
from services.review.domain import Basis, Document, Item, PageSize
from services.review.priority import Order
from services.review.provider_accuracy import compare_decisions, is_trusted
from services.review.results import (
    ClauseItem,
    Finding,
    Flag,
    Signal,
    item_of_kind,
    item_of_question,
    items_of_clauses,
    items_of_findings,
    items_of_flags,
    items_of_pages,
    items_of_signals,
    proposal_fields,
    read_results,
)
from shared.blobs import BlobStore, MissingBlob
from shared.blobs.markers import is_deleted
from shared.documents.model.parsed_document import ParsedDocument
from shared.events import (
    BlobRef,
    ClausesExtracted,
    DocumentAssigned,
    DocumentDeleted,
    DocumentFailed,
    DocumentRead,
    DocumentReclassified,
    EscalationAnswered,
    FindingsFound,
)
from shared.events.questions import Proposal, Question
from shared.messaging import UnitOfWork
from shared.policy.rules import RiskPolicy, RiskRules
from shared.storage.secret import draw_key
from shared.titles import title_in
from shared.tracing import carried

log = logging.getLogger(__name__)

T = TypeVar("T")
Part = TypeVar("Part", Question, Proposal)


def store_document(
    event: DocumentRead, uow: UnitOfWork, blobs: BlobStore, order: Order, patience: float
) -> None:
    """Store a document, withdraw open items of older attempts, and queue questions about it.

    The questions are about an unsure kind and about suspicious pages. One that a frontier model is
    asked first waits at most `patience` seconds.
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
        title=known.title if known and known.kind == event.kind else None,
        sha256=event.original.sha256,
        basis=known.basis if known and known.attempt == event.attempt else None,
        assignee=known.assignee if known else None,
        assigned=known.assigned if known else None,
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
            held = [_hold_escalated(item, event.escalated, patience) for item in new]
            _ask(uow, document, asks, [order.place(item) for item in held])


def _hold_escalated(item: Item, escalated: Collection[str], patience: float) -> Item:
    if item.result_id not in escalated:
        return item
    return replace(item, route="escalate").held_for_answer(item.created, patience)


def _ask(uow: UnitOfWork, document: Document, asks: store.Asks, new: Sequence[Item]) -> None:
    """Replace the open questions about a document. Decided ones are not asked again."""
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
    """Queue the clauses of a contract, instead of those of an older attempt.

    Escalated ones wait at most `patience` seconds for the answer.
    """
    document = _current(event, uow, blobs)
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
    clauses = read_results(ClauseItem, data, "clauses", event.document_id)
    new = items_of_clauses(
        document,
        clauses,
        text=text,
        context=context,
        now=datetime.now(UTC),
        sampled=frozenset(event.sampled),
    )
    placed = order.place_clauses(new, clauses, text)
    if any(item.sampled for item in placed):
        placed = _blinded(document, placed, uow)
    basis = Basis(
        models=tuple(f"{reader.name} {reader.version}" for reader in event.read_by),
        warnings=event.warnings,
        searched=event.searched,
    )
    with uow:
        _replace_items(uow, replace(document, basis=basis), placed, patience)


def _blinded(document: Document, items: Sequence[Item], uow: UnitOfWork) -> list[Item]:
    """The items with audit samples that look like other items."""
    samples = [item for item in items if item.sampled]
    others: list[Appearance] = []
    with uow.store.read() as session:
        key = draw_key(session)
        for sort in {blinding_store.Sort.of(item) for item in samples}:
            others += blinding_store.unsure(session, document, sort, key)
        for finder in {(item.kind, item.adapter) for item in samples}:
            others += blinding_store.least_sure(session, document, *finder)
        before = blinding_store.shown_before(session, document)
    return as_before(among_others(items, others, key), before, others)


def queue_findings(
    event: FindingsFound, uow: UnitOfWork, blobs: BlobStore, order: Order, patience: float
) -> None:
    """Queue the findings, strong signals and strong flags of a report.

    They replace those of an older attempt. Findings dismissed before get no item.
    """
    document = _current(event, uow, blobs)
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
    findings = read_results(Finding, found[0], "findings", event.document_id)
    signals = read_results(Signal, found[1], "signals", event.document_id)
    flags = read_results(Flag, found[2], "narrative flags", event.document_id)
    new = items_of_findings(
        document,
        findings,
        now=now,
        sampled=frozenset(event.sampled),
        adapter=(event.model or "").partition(" ")[0],
    )
    new += items_of_signals(document, signals, now=now)
    new += items_of_flags(document, flags, now=now)
    dismissed = frozenset(finding.id for finding in findings if finding.dismissed)
    placed = [order.place(item) for item in new]
    if any(item.sampled for item in placed):
        placed = _blinded(document, placed, uow)
    basis = Basis(
        models=(event.model,) if event.model else (),
        warnings=event.warnings,
        coverage=event.coverage or event.missing,
    )
    with uow:
        _replace_items(uow, replace(document, basis=basis), placed, patience, dismissed)


def queue_proposal(
    event: EscalationAnswered,
    uow: UnitOfWork,
    blobs: BlobStore,
    context: int,
    order: Order,
    risks: RiskPolicy,
) -> None:
    """Store the answer of a frontier model in the item of its result.

    A result without an item gets one if it was shown or has a proposal. A person decides, except
    for answers that the policy trusts.
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
    unread = "the answer can't be read" if event.answer and not proposal else None
    shown = proposal_fields(proposal, event.reason or unread)
    if proposal and question and question.subject == "category":
        shown["own_words"] = True
    with uow:
        where = (uow.session, event.tenant, event.document_id)
        if store.propose(*where, event.result_id, shown):
            if proposal is not None:
                _accept_trusted(uow, event, shown, risks.of(event.tenant))
            return
        if question is None or text is None or _is_absent(question, proposal):
            return
        if question.subject not in ("clause", "category"):
            return  # withdrawn: such an item exists before its question
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
        store.add_items(uow.session, [order.place(replace(item, proposal=shown))])


def _is_absent(question: Question, proposal: Proposal | None) -> bool:
    """Whether a question about a category was answered with no clause, or not at all."""
    absent = proposal is None or proposal.verdict == "absent"
    return question.subject == "category" and absent


def _accept_trusted(
    uow: UnitOfWork, event: EscalationAnswered, shown: Mapping[str, Any], rules: RiskRules
) -> None:
    """Accept a confirmed result if decisions show that this keeps the stated risk."""
    where = (uow.session, event.tenant, event.document_id)
    item = store.waiting_item(*where, event.result_id, datetime.now(UTC))
    if item is None or rules.trust != "measured":
        return
    decisions = compare_decisions(store.decided_proposals(uow.session, event.tenant))
    if is_trusted(item, shown, rules, decisions, draw_key(uow.session)):
        store.save_item(uow.session, replace(item, route="accept"))


def _answer(
    event: EscalationAnswered, document: Document, blobs: BlobStore
) -> tuple[Question | None, Proposal | None, str | None]:
    """The question, the answer and the text, as far as they are readable."""
    question = _read(Question, event.question, event, blobs)
    proposal = _read(Proposal, event.answer, event, blobs)
    return question, proposal, document_text(document, blobs)


def _read(
    kind: type[Part], ref: BlobRef | None, event: EscalationAnswered, blobs: BlobStore
) -> Part | None:
    """Parse the blob of a question or answer. Logs a warning and returns None if it is invalid."""
    if ref is None:
        return None
    try:
        return kind.model_validate_json(blobs.get(event.tenant, ref))
    except ValidationError as error:
        details = {
            "document": event.document_id,
            "result": event.result_id,
            "blob": kind.__name__.lower(),
            "field": ".".join(map(str, error.errors()[0]["loc"])),
        }
        log.warning("the question or answer of a frontier model can't be read", extra=details)
        return None


def withdraw_items(event: DocumentReclassified, uow: UnitOfWork) -> None:
    """Withdraw the question about the kind, and the results if the kind changed.

    Undecided items are deleted. Decided ones stay in the audit only.
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
            renewed = replace(
                known,
                kind=event.kind,
                attempt=attempt,
                cancelled=False,
                title=None,
                basis=None,
            )
            store.save_document(uow.session, renewed)  # first: a clause that is being added waits
            store.withdraw_open(uow.session, event.tenant, event.document_id)
            store.withdraw_decided(uow.session, event.tenant, event.document_id)


def assign_document(event: DocumentAssigned, uow: UnitOfWork) -> None:
    """Assign a document and its open items. Later items get the same assignee.

    An older event than the last one does nothing.
    """
    known = _known(event.tenant, event.document_id, uow)
    known = known or Document(event.tenant, event.document_id, name="", kind="other")
    if known.deleted or (known.assigned and event.time <= known.assigned):
        return
    assigned = replace(known, assignee=event.assignee, assigned=event.time)
    with uow:
        store.save_document(uow.session, assigned)  # first: a clause that is being added waits
        store.assign_open(uow.session, event.tenant, event.document_id, event.assignee)


def withdraw_cancelled(event: DocumentFailed, uow: UnitOfWork) -> None:
    """Delete the open items of a cancelled document."""
    known = _known(event.tenant, event.document_id, uow)
    if not event.cancels or (known and not known.counts(event.attempt)):
        return
    known = known or Document(event.tenant, event.document_id, name="", kind="other")
    with uow:
        for asks in get_args(store.Asks):
            store.withdraw_open(uow.session, event.tenant, event.document_id, asks)
        store.save_document(uow.session, replace(known, attempt=event.attempt, cancelled=True))


def forget_document(event: DocumentDeleted, uow: UnitOfWork) -> None:
    """Delete the text of a document. The audit keeps who decided when."""
    gone = Document(event.tenant, event.document_id, name="", kind="other", deleted=True)
    with uow:
        store.save_document(uow.session, gone)  # first: a clause that is being added waits
        store.forget_document(uow.session, gone)


def document_text(document: Document, blobs: BlobStore) -> str | None:
    """Return the text of a document; None if it is not read. Raises MissingBlob."""
    return blobs.get(document.tenant, document.text).decode() if document.text else None


def document_reading(document: Document, blobs: BlobStore) -> ParsedDocument | None:
    """Return the text with its layout; None if it is not read. Raises MissingBlob."""
    text = document_text(document, blobs)
    if text is None or document.layout is None:
        return None
    return ParsedDocument.from_bytes(blobs.get(document.tenant, document.layout), text)


def unless_deleted(
    tenant: str, document_id: str, blobs: BlobStore, read: Callable[[], T]
) -> T | None:
    """Return `read()`; None if the document was deleted meanwhile. Raises MissingBlob otherwise."""
    try:
        return read()
    except MissingBlob:
        if not is_deleted(blobs, tenant, document_id):
            raise
        log.info("a document was deleted, so it is skipped", extra={"document": document_id})
        return None


def _known(tenant: str, document_id: str, uow: UnitOfWork) -> Document | None:
    with uow.store.read() as session:
        return store.find_document(session, tenant, document_id)


def _current(
    event: ClausesExtracted | FindingsFound, uow: UnitOfWork, blobs: BlobStore
) -> Document | None:
    """The document of results; None if it is deleted, cancelled or processed again since."""
    known = _known(event.tenant, event.document_id, uow)
    if known is None:
        kind = "contract" if isinstance(event, ClausesExtracted) else "report"
        known = Document(event.tenant, event.document_id, event.name, kind, attempt=event.attempt)
    if not known.counts(event.attempt):
        return None
    title = title_in(event, blobs) or known.title
    return replace(known, attempt=event.attempt, cancelled=False, title=title)


def _replace_items(
    uow: UnitOfWork,
    document: Document,
    new: Sequence[Item],
    patience: float,
    unasked: Collection[str] = frozenset(),
) -> None:
    """Queue new results. Decided and claimed ones stay.

    Escalated results wait for the answer, which may have come before them.

    Args:
        uow: the unit of work.
        document: of the results.
        new: items of all results.
        patience: seconds for which an escalated item waits.
        unasked: ids of results without an item.
    """
    tenant, document_id, now = document.tenant, document.id, datetime.now(UTC)
    known: dict[tuple[object, ...], list[Item]] = defaultdict(list)
    open_ = store.open_items(uow.session, tenant, document_id)  # first, because it waits for locks
    for item in (*store.decided_items(uow.session, tenant, document_id), *open_):
        known[item.signature].append(item)
    proposals = {i.result_id: i.proposal for i in open_ if i.attempt == document.attempt}
    waiting, unchanged = [], set()
    for item in new:
        same = known[item.signature].pop(0) if known[item.signature] else None
        if same and same.verdict:
            found_again = replace(same, attempt=item.attempt, result_id=item.result_id)
            store.save_item(
                uow.session,
                replace(found_again, boxes=item.boxes, page=item.page, withdrawn=False),
            )
        elif item.result_id in unasked:
            continue
        elif same and same.attempt == item.attempt:
            unchanged.add(same.id)
        else:
            answered = replace(item, proposal=proposals.get(item.result_id))
            waiting.append(answered.held_for_answer(now, patience))
    store.remove_items(uow.session, tenant, {item.id for item in open_} - unchanged)
    store.add_items(uow.session, waiting)
    blinding_store.store_shown(uow.session, waiting)
    store.save_document(uow.session, document)


def _reading(event: DocumentRead, blobs: BlobStore) -> ParsedDocument:
    text = blobs.get(event.tenant, event.text).decode()
    return ParsedDocument.from_bytes(blobs.get(event.tenant, event.layout), text, positions=False)
