"""What an analyst does at the queue: claim, keep, release, leave, decide, undo.

One transaction each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from services.review import store
from services.review.domain import (
    Decision,
    Document,
    Item,
    Superseded,
    Tab,
    TabLeft,
    Wish,
    corrected,
    new_id,
)
from services.review.handlers import document_text, unless_deleted
from services.review.sampling import was_wrong
from shared.errors import Conflict, InvalidRequest
from shared.events import ReviewDecided
from shared.storage import BlobStore, Store, UnitOfWork
from shared.tracing import DOCUMENT, TENANT, Carried, Span, carried, entered
from shared.web.auth import Actor

ANNOUNCED_CHARACTERS = 4_000
"""The longest corrected text that the event of a decision carries."""

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """This moment."""
    return datetime.now(UTC)


class Desk:
    """The queue as one analyst after the other meets it.

    Args:
        database: where items and decisions are.
        blobs: where the texts are that corrections are checked against.
        lease: seconds for which a claim holds.
        clock: tells the moment (tests turn it).
    """

    def __init__(
        self, database: Store, blobs: BlobStore, lease: float, clock: Clock = utc_now
    ) -> None:
        self.database = database
        self.blobs = blobs
        self.lease = lease
        self.clock = clock

    def claim_next(
        self,
        actor: Actor,
        filters: store.Filters,
        skip: Sequence[str] = (),
        tab: Tab | None = None,
    ) -> Item | None:
        """Hold the most urgent item that nobody holds; None if nothing waits. Raises TabLeft."""
        with self.database.write() as session:
            now = self.clock()
            _must_stay(store.enter_tab(session, actor.tenant, actor.name, tab, now))
            item = store.next_waiting(session, actor.tenant, filters, skip, now)
            if item is None:
                return None
            claimed = item.claim(actor.name, now, self.lease, tab)
            store.save_item(session, claimed)
            return claimed

    def claim(self, actor: Actor, item_id: str, tab: Tab | None = None) -> Item:
        """Hold this very item. Raises NotFound, ItemTaken, AlreadyDecided or TabLeft."""
        return self._change(
            actor, item_id, lambda item, now: item.claim(actor.name, now, self.lease, tab), tab
        )

    def keep(self, actor: Actor, item_id: str) -> Item:
        """Hold an item for longer. Raises NotFound, LeaseLost or AlreadyDecided."""
        return self._change(
            actor, item_id, lambda item, now: item.keep(actor.name, now, self.lease)
        )

    def release(self, actor: Actor, item_id: str, number: int | None = None) -> Item:
        """Give an item back to the queue. Raises NotFound."""
        return self._change(actor, item_id, lambda item, now: item.release(actor.name, now, number))

    def leave(self, actor: Actor, tab: Tab) -> int:
        """Give back all that a tab holds, and refuse what it still claims in this generation.

        Returns:
            How many items went back.
        """
        with self.database.write() as session:
            return store.leave_tab(session, actor.tenant, actor.name, tab, self.clock())

    def decide(self, actor: Actor, wish: Wish) -> tuple[Decision, Item, bool]:
        """Decide an item, or undo its decision: stored and announced together.

        What is undone is claimed, and goes back at once if its tab has left.

        Returns:
            The decision, the item after it, and whether it is new: the same id a second time
            answers what was stored then.

        Raises:
            NotFound, LeaseLost, AlreadyDecided, NotDecided, NotYours, Superseded, Conflict,
            InvalidRequest.
        """
        text = self._text_for(actor.tenant, wish)
        with UnitOfWork(self.database) as uow:
            now = self.clock()
            stays = store.enter_tab(uow.session, actor.tenant, actor.name, wish.tab, now)
            item = store.get_item(uow.session, actor.tenant, wish.item, lock=True)
            if wish.id and (earlier := store.find_decision(uow.session, actor.tenant, wish.id)):
                return _repeated(earlier, actor, wish), item, False
            document = store.find_document(uow.session, actor.tenant, item.document_id)
            with _in_its_trace(document, item, wish):
                decision, changed = self._decided(actor, wish, item, _known(document, item), text)
                if not stays:
                    changed = changed.release(actor.name, decision.time)
                store.add_decision(uow.session, decision)
                store.save_item(uow.session, changed)
                uow.publish(_announcement(decision))
        return decision, changed, True

    def _decided(
        self, actor: Actor, wish: Wish, item: Item, document: Document, text: str | None
    ) -> tuple[Decision, Item]:
        now, decision_id, right = self.clock(), wish.id or new_id("de"), None
        if wish.verdict == "reject" and item.asks_kind:
            raise InvalidRequest(
                "say of what kind the document is instead: correct the item",
                document=item.document_id,
            )
        if wish.verdict == "correct":
            right = corrected(item, wish.correction, text)
            right["page"] = document.page_at(right["start"] or 0) or item.page
        if wish.verdict == "undo":
            if not item.is_of_reading:
                _must_be_current(item, document)
            changed = item.undo(actor.name, now, self.lease, wish.tab)
        else:
            changed = item.decide(actor.name, now, wish.verdict, decision_id)
        decision = Decision.of(
            item,
            document,
            wish.verdict,
            decision_id=decision_id,
            correction=right,
            note=wish.note,
            actor=actor.name,
            time=now,
            wrong=was_wrong(item, wish.verdict, right),
        )
        return decision, changed

    def _text_for(self, tenant: str, wish: Wish) -> str | None:
        """The document's text, where a corrected span is to be held against it."""
        if wish.correction is None or not wish.correction.moves:
            return None
        with self.database.read() as session:
            item = store.get_item(session, tenant, wish.item)
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
    ) -> Item:
        with self.database.write() as session:
            _must_stay(store.enter_tab(session, actor.tenant, actor.name, tab, self.clock()))
            item = store.get_item(session, actor.tenant, item_id, lock=True)
            changed = step(item, self.clock())
            store.save_item(session, changed)
            return changed


def _in_its_trace(
    document: Document | None, item: Item, wish: Wish
) -> AbstractContextManager[Span]:
    """A decision belongs to the trace of what it is about; that of the request is linked."""
    asked = carried()
    came = Carried.read(document.trace if document else None)
    about = {
        DOCUMENT: item.document_id,
        TENANT: item.tenant,
        "smallprint.item": item.id,
        "smallprint.verdict": wish.verdict,
    }
    return entered(
        "review", "decide", came if came.parent else asked, "internal", about, link=asked
    )


def _must_stay(stays: bool) -> None:
    if not stays:
        raise TabLeft("this tab has left the queue: reload its page to go on")


def _repeated(earlier: Decision, actor: Actor, wish: Wish) -> Decision:
    """The stored decision, if the same person asks for the same once more."""
    if (earlier.item_id, earlier.verdict, earlier.actor) != (wish.item, wish.verdict, actor.name):
        raise Conflict(f"{earlier.id} is the id of another decision: choose a new one")
    return earlier


def _known(document: Document | None, item: Item) -> Document:
    """The document of an item, or as much of it as the item tells."""
    if document is not None:
        return document
    kind = "contract" if item.kind == "clause" else "report"
    return Document(item.tenant, item.document_id, name="", kind=kind, attempt=item.attempt)


def _must_be_current(item: Item, document: Document) -> None:
    """An older reading's item can't come back to the queue: its offsets mean nothing now. Nor can
    one of a document that nobody works on any more.
    """
    if document.attempt > item.attempt:
        raise Superseded(
            "the document was read anew since this decision: what is new waits in the queue",
            document=item.document_id,
        )
    if not document.counts(item.attempt):
        raise Superseded(
            "the work on the document was stopped since this decision: it stays as it is",
            document=item.document_id,
        )


def _announcement(decision: Decision) -> ReviewDecided:
    """What the others hear. A long text is left out: its offsets say where it stands.

    The note goes with findings alone, whose dismissal it explains: the bus keeps what it was told
    for its days, also after a deletion.
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
    )
