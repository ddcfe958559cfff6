"""The commands of reviewers at the queue, each in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial

from services.review import store
from services.review.domain import (
    AdditionRequest,
    Comment,
    Decision,
    DecisionRequest,
    Document,
    Duplicate,
    Item,
    NotYours,
    Superseded,
    Tab,
    TabLeft,
    checked_words,
    corrected,
    new_id,
)
from services.review.error_rates import was_wrong
from services.review.handlers import document_reading, document_text, unless_deleted
from services.review.results import item_of_person
from shared.audit import Action, record
from shared.blobs import BlobStore
from shared.categories import CATEGORIES
from shared.documents.model.parsed_document import ParsedDocument
from shared.errors import Conflict, InvalidRequest, NotAllowed, NotFound
from shared.events import ReviewDecided, Verdict
from shared.messaging import UnitOfWork
from shared.policy.rules import RiskPolicy
from shared.storage import Store
from shared.tracing import DOCUMENT, TENANT, Carried, Span, carried, entered
from shared.web.auth import Actor
from shared.web.current_request import set_document

ANNOUNCED_CHARACTERS = 4_000
"""The longest corrected text in an event."""

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


class ReviewCommands:
    """Claims and decisions of reviewers.

    Args:
        database: of items and decisions.
        blobs: with the texts of documents.
        lease: seconds of a claim.
        clock: returns the time.
        context: characters stored on each side of an added clause.
    """

    def __init__(
        self,
        database: Store,
        blobs: BlobStore,
        lease: float,
        clock: Clock = utc_now,
        *,
        context: int = 600,
        risks: RiskPolicy | None = None,
    ) -> None:
        self.risks = risks or RiskPolicy()
        self.database = database
        self.blobs = blobs
        self.lease = lease
        self.clock = clock
        self.context = context

    def claim_next(
        self,
        actor: Actor,
        filters: store.Filters,
        skip: Sequence[str] = (),
        tab: Tab | None = None,
    ) -> Item | None:
        """Claim the most urgent free item; None without one. Raises TabLeft."""
        with self.database.write() as session:
            now = self.clock()
            _must_stay(store.enter_tab(session, actor.tenant, actor.name, tab, now))
            item = store.next_waiting(session, actor.tenant, filters, skip, now, actor.name)
            if item is None:
                return None
            claimed = item.claim(actor.name, now, self.lease, tab)
            store.save_item(session, claimed)
            record(session, actor, "item.open", claimed.id, document=claimed.document_id)
            return claimed

    def claim(self, actor: Actor, item_id: str, tab: Tab | None = None) -> Item:
        """Claim one item. Raises NotFound, ItemTaken, AlreadyDecided or TabLeft."""
        return self._change(
            actor,
            item_id,
            lambda item, now: item.claim(actor.name, now, self.lease, tab),
            tab,
            "item.open",
        )

    def renew(self, actor: Actor, item_id: str) -> Item:
        """Renew a claim. Raises NotFound, LeaseLost or AlreadyDecided."""
        return self._change(
            actor, item_id, lambda item, now: item.renew(actor.name, now, self.lease)
        )

    def release(self, actor: Actor, item_id: str, number: int | None = None) -> Item:
        return self._change(actor, item_id, lambda item, now: item.release(actor.name, now, number))

    def assign(self, actor: Actor, ids: Sequence[str], assignee: str | None) -> int:
        """Set who reviews some items, or nobody. Returns how many of them there are."""
        with self.database.write() as session:
            for item_id in ids:
                record(session, actor, "item.assign", item_id, assignee=assignee)
            return store.assign(session, actor.tenant, ids, assignee)

    def comment(self, actor: Actor, item_id: str, text: str) -> Comment:
        """Comment on an item. Raises NotFound."""
        with self.database.write() as session:
            accepted = actor.may("results:read")
            item = store.get_item(session, actor.tenant, item_id, accepted=accepted, lock=True)
            set_document(item.document_id)
            comment = Comment(
                id=new_id("cm"),
                tenant=actor.tenant,
                item_id=item.id,
                document_id=item.document_id,
                author=actor.name,
                time=self.clock(),
                text=text,
            )
            store.add_comment(session, comment)
            record(session, actor, "comment.create", item_id, document=item.document_id)
        return comment

    def remove_comment(self, actor: Actor, item_id: str, comment_id: str) -> None:
        """Delete a comment of the actor. Raises NotFound, NotYours."""
        with self.database.write() as session:
            accepted = actor.may("results:read")
            item = store.get_item(session, actor.tenant, item_id, accepted=accepted, lock=True)
            set_document(item.document_id)
            found = store.comments_of(session, actor.tenant, item_id)
            comment = next((one for one in found if one.id == comment_id), None)
            if comment is None:
                raise NotFound(f"There is no comment {comment_id} on this item.")
            if comment.author != actor.name:
                raise NotYours("Only its author can delete a comment.")
            store.remove_comment(session, comment)
            record(session, actor, "comment.delete", item_id, document=item.document_id)

    def leave(self, actor: Actor, tab: Tab) -> int:
        """End the session of a tab: release its items and refuse later claims.

        Returns:
            Number of released items.
        """
        with self.database.write() as session:
            return store.leave_tab(session, actor.tenant, actor.name, tab, self.clock())

    def decide(self, actor: Actor, request: DecisionRequest) -> tuple[Decision, Item, bool]:
        """Decide an item, or undo its decision. The decision and its event commit together.

        After an undo the item is claimed, unless its tab has left. An added one is withdrawn.

        Returns:
            The decision, the item after it, and whether it is new. A repeated id returns the stored
            decision.

        Raises:
            NotFound, LeaseLost, AlreadyDecided, NotDecided, NotYours, Superseded, Conflict,
            InvalidRequest.
        """
        if request.bulk and not self.risks.of(actor.tenant).bulk_accept:
            raise NotAllowed("Accepting several items at once is switched off (bulk_accept).")
        text = self._text_for(actor.tenant, request)
        with UnitOfWork(self.database) as uow:
            now = self.clock()
            stays = store.enter_tab(uow.session, actor.tenant, actor.name, request.tab, now)
            accepted = actor.may("results:read")
            where = (uow.session, actor.tenant, request.item)
            item = store.get_item(*where, accepted=accepted, lock=True, undone=True)
            set_document(item.document_id)
            stored = _stored(uow, actor, request.id)
            if stored:
                same = (stored.item_id, stored.verdict) == (request.item, request.verdict)
                return _repeated(stored, actor, same=same), item, False
            document = store.find_document(uow.session, actor.tenant, item.document_id)
            with _in_its_trace(document, item, request.verdict):
                decision, changed = self._decided(
                    actor, request, item, _known(document, item), text
                )
                if not stays:
                    changed = changed.release(actor.name, decision.time)
                store.save_item(uow.session, changed)
                _store(uow, actor, decision)
        return decision, changed, True

    def add(self, actor: Actor, request: AdditionRequest) -> tuple[Decision, Item, bool]:
        """Add a clause that no specialist found, or confirm that a category is absent.

        The item, its decision and their event commit together.

        Returns:
            The decision, the item, and whether they are new. A repeated id returns the stored ones.

        Raises:
            NotFound, Superseded, Duplicate, Conflict, InvalidRequest.
        """
        where = actor.tenant, request.document
        read, reading = (None, None) if request.absent else self._read(*where)
        with UnitOfWork(self.database) as uow:
            now = self.clock()
            document = store.find_document(uow.session, *where, lock=True)
            if document is None or document.deleted:
                raise NotFound(f"Document {request.document} is unknown here, or not read yet.")
            set_document(document.id)
            if stored := _stored(uow, actor, request.id):
                decision = _repeated(stored, actor, same=_is_of(stored, request))
                item = store.get_item(uow.session, actor.tenant, stored.item_id, undone=True)
                return decision, item, False
            _must_accept_additions(document)
            if not request.absent and (reading is None or read != document):
                raise Superseded("The document was processed again. Read its text again.")
            new = self._new_item(uow, request, document, reading, now)
            decision_id = request.id or new_id("de")
            item = new.claim(actor.name, now, self.lease).decide(
                actor.name, now, "accept", decision_id
            )
            with _in_its_trace(document, item, "accept"):
                decision = Decision.of(
                    item,
                    document,
                    "accept",
                    decision_id=decision_id,
                    note=request.note,
                    actor=actor.name,
                    time=now,
                )
                store.add_items(uow.session, [item])
                _store(uow, actor, decision)
        return decision, item, True

    def _new_item(
        self,
        uow: UnitOfWork,
        request: AdditionRequest,
        document: Document,
        reading: ParsedDocument | None,
        now: datetime,
    ) -> Item:
        """The item of an addition. Raises InvalidRequest, Duplicate."""
        known = partial(store.has_category, uow.session, document.tenant, kind="clause")
        if request.category not in CATEGORIES and not known(request.category):
            raise InvalidRequest(f"Unknown category: {request.category!r}.", document=document.id)
        span = None
        if reading is not None and request.start is not None and request.end is not None:
            span = request.start, request.end
            checked_words(document.id, reading.text, *span, request.text)
        item = item_of_person(
            document, request.category, span, reading, context=self.context, now=now
        )
        if store.has_same(uow.session, item):
            raise Duplicate(
                f"It is confirmed already that the document has no {request.category}."
                if request.absent
                else "The document has this clause already, perhaps accepted without a person.",
                document=document.id,
            )
        return item

    def _decided(
        self,
        actor: Actor,
        request: DecisionRequest,
        item: Item,
        document: Document,
        text: str | None,
    ) -> tuple[Decision, Item]:
        now, decision_id, right = self.clock(), request.id or new_id("de"), None
        if request.verdict == "reject" and item.asks_kind:
            raise InvalidRequest(
                "Correct the item instead, with the kind of the document.",
                document=item.document_id,
            )
        if request.verdict == "correct":
            right = corrected(item, request.correction, text)
            right["page"] = document.page_at(right["start"] or 0) or item.page
        if request.verdict == "undo":
            if not item.is_of_reading and not item.is_only_added:
                _must_be_current(item, document)
            changed = item.undo(actor.name, now, self.lease, request.tab)
        else:
            changed = item.decide(actor.name, now, request.verdict, decision_id)
        decision = Decision.of(
            item,
            document,
            request.verdict,
            decision_id=decision_id,
            correction=right,
            note=request.note,
            actor=actor.name,
            time=now,
            wrong=None if request.bulk else was_wrong(item, request.verdict, right),
            bulk=request.bulk,
        )
        return decision, changed

    def _read(self, tenant: str, document_id: str) -> tuple[Document | None, ParsedDocument | None]:
        """The document and its reading, as far as it is known, read and not deleted."""
        with self.database.read() as session:
            document = store.find_document(session, tenant, document_id)
        if document is None or document.deleted:
            return document, None
        reading = unless_deleted(
            tenant, document_id, self.blobs, lambda: document_reading(document, self.blobs)
        )
        return document, reading

    def _text_for(self, tenant: str, request: DecisionRequest) -> str | None:
        """The text of the document, if a correction has to be checked against it."""
        if request.correction is None or not request.correction.moves:
            return None
        with self.database.read() as session:
            item = store.get_item(session, tenant, request.item)
            document = store.find_document(session, tenant, item.document_id)
        if document is None:
            return None
        return unless_deleted(
            tenant, document.id, self.blobs, lambda: document_text(document, self.blobs)
        )

    def _change(
        self,
        actor: Actor,
        item_id: str,
        step: Callable[[Item, datetime], Item],
        tab: Tab | None = None,
        action: Action | None = None,
    ) -> Item:
        with self.database.write() as session:
            _must_stay(store.enter_tab(session, actor.tenant, actor.name, tab, self.clock()))
            accepted = actor.may("results:read")
            item = store.get_item(session, actor.tenant, item_id, accepted=accepted, lock=True)
            changed = step(item, self.clock())
            store.save_item(session, changed)
            if action:
                record(session, actor, action, item_id, document=item.document_id)
            set_document(item.document_id)
            return changed


def _in_its_trace(
    document: Document | None, item: Item, verdict: Verdict
) -> AbstractContextManager[Span]:
    """The trace of the document, linked to that of the request."""
    request_trace = carried()
    came = Carried.read(document.trace if document else None)
    about = {
        DOCUMENT: item.document_id,
        TENANT: item.tenant,
        "smallprint.item": item.id,
        "smallprint.verdict": verdict,
    }
    return entered(
        "review",
        "decide",
        came if came.parent else request_trace,
        "internal",
        about,
        link=request_trace,
    )


def _must_stay(stays: bool) -> None:
    if not stays:
        raise TabLeft("This tab has left the queue. Reload the page.")


def _stored(uow: UnitOfWork, actor: Actor, decision_id: str | None) -> Decision | None:
    if decision_id is None:
        return None
    return store.find_decision(uow.session, actor.tenant, decision_id)


def _repeated(stored: Decision, actor: Actor, *, same: bool) -> Decision:
    if not same or stored.actor != actor.name:
        raise Conflict(f"{stored.id} is the id of another decision. Choose a new id.")
    return stored


def _known(document: Document | None, item: Item) -> Document:
    if document is not None:
        return document
    kind = "contract" if item.kind == "clause" else "report"
    return Document(item.tenant, item.document_id, name="", kind=kind, attempt=item.attempt)


def _is_of(stored: Decision, request: AdditionRequest) -> bool:
    """Whether a decision is the one of this addition."""
    wanted = (request.document, request.category, request.start, request.end, request.absent)
    made = (stored.document_id, stored.category, stored.start, stored.end, stored.absent)
    return (stored.origin, stored.verdict) == ("person", "accept") and made == wanted


def _must_accept_additions(document: Document) -> None:
    if document.kind != "contract":
        raise Conflict("Only contracts have clauses.", document=document.id)
    if document.cancelled:
        raise Superseded("The document was cancelled.", document=document.id)
    if document.text is None:
        raise Conflict("The document is not read yet.", document=document.id)


def _store(uow: UnitOfWork, actor: Actor, decision: Decision) -> None:
    """Store a decision with its line in the audit trail and its event."""
    store.add_decision(uow.session, decision)
    about = {"document": decision.document_id, "verdict": decision.verdict}
    record(uow.session, actor, "decide", decision.item_id, **about)
    uow.publish(_announcement(decision))


def _must_be_current(item: Item, document: Document) -> None:
    """Refuse an undo for an older attempt, whose offsets are invalid, or a cancelled document."""
    if document.attempt > item.attempt:
        raise Superseded(
            "The document was processed again since this decision. Its new items are in the queue.",
            document=item.document_id,
        )
    if not document.counts(item.attempt):
        raise Superseded(
            "The document was cancelled since this decision, so the decision stays.",
            document=item.document_id,
        )


def _announcement(decision: Decision) -> ReviewDecided:
    """The event of a decision.

    A long text is left out, because its offsets suffice. Only findings carry the note, which
    explains a dismissal: events outlive a deletion for some days.
    """
    right = dict(decision.correction) if decision.correction else None
    if right and len(right["text"]) > ANNOUNCED_CHARACTERS:
        right["text"] = None
    return ReviewDecided(
        tenant=decision.tenant,
        document_id=decision.document_id,
        actor=decision.actor,
        time=decision.time,
        item_id=decision.item_id,
        stage=decision.stage,
        result_id=decision.result_id,
        decision_id=decision.id,
        verdict=decision.verdict,
        correction=right,
        wrong=decision.wrong,
        note=(decision.note or None) if decision.stage == "triage" else None,
        origin=decision.origin,
    )
