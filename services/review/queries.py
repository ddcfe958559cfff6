"""Queries of the routes: items with their documents, pages, boxes and decisions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from threading import Lock
from typing import Any

from services.review import store
from services.review.commands import Clock, utc_now
from services.review.domain import Box, Decision, Document, DocumentName, Item
from services.review.error_rates import ErrorRate, error_rates
from services.review.exports import Result
from services.review.handlers import document_reading, unless_deleted
from services.review.results import boxes_of
from shared import metrics
from shared.blobs import BlobStore
from shared.categories import find_categories
from shared.documents.model.parsed_document import ParsedDocument
from shared.errors import InvalidRequest, NotFound
from shared.policy.rules import RiskPolicy
from shared.storage import Store
from shared.web.auth import Actor
from shared.web.current_request import set_document

UNNAMED = DocumentName()
"""Of a document that review does not know."""
_EXPORTED_AT_ONCE = 500
_READINGS_KEPT = 4
MEASURED = 2_000
"""Number of the newest audit samples in the metric."""


class Reader:
    """Read-only queries.

    Args:
        database: of items and decisions.
        blobs: with the readings of documents.
        risks: of all tenants.
        clock: returns the time.
    """

    def __init__(
        self,
        database: Store,
        blobs: BlobStore,
        risks: RiskPolicy | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.risks = risks or RiskPolicy()
        self.database = database
        self.blobs = blobs
        self.clock = clock
        self._readings: OrderedDict[tuple[str, str, int], ParsedDocument] = OrderedDict()
        self._lock = Lock()

    def items(
        self,
        actor: Actor,
        filters: store.Filters,
        *,
        limit: int,
        cursor: str | None,
        sort: store.Sort = "urgency",
    ) -> dict[str, Any]:
        now = self.clock()
        with self.database.read() as session:
            found, following = store.list_items(
                session, actor.tenant, filters, now, limit=limit, cursor=cursor, sort=sort
            )
        return {"items": self._views(actor, found, now), "next": following}

    def categories(self, actor: Actor, names: Sequence[str]) -> tuple[str, ...]:
        """The categories of a filter as results spell them. Raises InvalidRequest."""
        with self.database.read() as session:
            return find_categories(
                names, lambda name: store.has_category(session, actor.tenant, name)
            )

    def item(self, actor: Actor, item_id: str) -> dict[str, Any]:
        with self.database.read() as session:
            accepted = actor.may("results:read")
            item = store.get_item(session, actor.tenant, item_id, accepted=accepted)
            comments = store.comments_of(session, actor.tenant, item_id)
        set_document(item.document_id)
        return {**self.view(actor, item), "comments": comments}

    def view(self, actor: Actor, item: Item) -> dict[str, Any]:
        return self._views(actor, [item], self.clock())[0]

    def counts(
        self, actor: Actor, since: datetime | None, filters: store.Filters
    ) -> dict[str, Any]:
        """The counts of the queue; decided since a time, or since midnight UTC."""
        now = self.clock()
        since = since or now.replace(hour=0, minute=0, second=0, microsecond=0)
        with self.database.read() as session:
            found = store.count_items(session, actor.tenant, actor.name, now, since, filters)
        return {**vars(found), "bulk_accept": self.risks.of(actor.tenant).bulk_accept}

    def progress(self, actor: Actor, documents: Sequence[str]) -> list[store.DocumentProgress]:
        """How many items of documents are decided."""
        with self.database.read() as session:
            return store.count_decided(session, actor.tenant, documents)

    def document(self, actor: Actor, document_id: str) -> Document:
        """A document with its pages. Raises NotFound."""
        with self.database.read() as session:
            document = store.find_document(session, actor.tenant, document_id)
        if document is None or document.deleted or document.text is None:
            raise NotFound(f"Document {document_id} is unknown here, or not read yet.")
        return document

    def boxes(self, actor: Actor, item_id: str, start: int, end: int) -> list[Box]:
        """The boxes of a span in the document. Raises NotFound, InvalidRequest."""
        with self.database.read() as session:
            accepted = actor.may("results:read")
            item = store.get_item(session, actor.tenant, item_id, accepted=accepted)
        set_document(item.document_id)
        reading = self.reading(self.document(actor, item.document_id))
        if reading is None or not 0 <= start <= end <= len(reading.text):
            raise InvalidRequest(f"The document has no span {start}:{end}.")
        return list(boxes_of(reading, start, end))

    def decisions(
        self,
        actor: Actor,
        *,
        document: str | None,
        item: str | None,
        by: str | None,
        limit: int,
        cursor: str | None,
    ) -> dict[str, Any]:
        with self.database.read() as session:
            found, following = store.list_decisions(
                session,
                actor.tenant,
                limit=limit,
                cursor=cursor,
                document=document,
                item=item,
                actor=by,
            )
        return {"items": self.decision_views(actor, found), "next": following}

    def decision_views(self, actor: Actor, found: Sequence[Decision]) -> list[dict[str, Any]]:
        """Decisions as an actor sees them, with the titles of their documents."""
        reads_results = actor.may("results:read")
        with self.database.read() as session:
            names = store.names_of(session, actor.tenant, (one.document_id for one in found))
        views = []
        for one in found:
            seen, name = (
                one.seen_by(reads_results=reads_results),
                names.get(one.document_id, UNNAMED),
            )
            views.append(
                {
                    **vars(seen),
                    "absent": seen.absent,
                    "title": name.title,
                    "parties": name.parties,
                }
            )
        return views

    def error_rates(
        self, actor: Actor, since: datetime | None = None, until: datetime | None = None
    ) -> list[ErrorRate]:
        """The error rates of acceptable results, by the decisions of a period or all."""
        with self.database.read() as session:
            return error_rates(store.sample_decisions(session, actor.tenant, since, until))

    def measure(self) -> None:
        """Update the metric from the newest audit samples of all tenants, up to yesterday.

        Everybody can read metrics. One that changed at once would tell whether an item that
        somebody just decided was a sample.
        """
        midnight = self.clock().replace(hour=0, minute=0, second=0, microsecond=0)
        with self.database.read() as session:
            rates = error_rates(store.last_sample_decisions(session, MEASURED, midnight))
        metrics.sample_error_rate.clear()
        for one in rates:
            if (one.category, one.kind, one.source) == (None, None, None):
                metrics.sample_error_rate.labels(one.adapter).set(one.rate)

    def results(self, actor: Actor, filters: store.Filters) -> Iterator[Result]:
        cursor: str | None = None
        now, reads_results = self.clock(), actor.may("results:read")
        while True:
            with self.database.read() as session:
                found, cursor = store.list_items(
                    session, actor.tenant, filters, now, limit=_EXPORTED_AT_ONCE, cursor=cursor
                )
                names = store.names_of(session, actor.tenant, (i.document_id for i in found))
                made = store.decisions_of(session, actor.tenant, (i.decision_id for i in found))
            for item in found:
                name = names.get(item.document_id, UNNAMED)
                state = "accepted" if item.is_accepted(now) else item.state(now)
                seen = item.seen_by(reads_results=reads_results)
                yield Result(seen, name, state, made.get(item.decision_id or ""))
            if cursor is None:
                return

    def _views(self, actor: Actor, found: Sequence[Item], now: datetime) -> list[dict[str, Any]]:
        """Items as an actor sees them, with the names of their documents and corrections."""
        tenant, reads_results = actor.tenant, actor.may("results:read")
        corrected = [item.decision_id for item in found if item.verdict == "correct"]
        with self.database.read() as session:
            names = store.names_of(session, tenant, (item.document_id for item in found))
            made = store.decisions_of(session, tenant, corrected)
        return [
            _view(
                item.seen_by(reads_results=reads_results),
                names.get(item.document_id, UNNAMED),
                made.get(item.decision_id or ""),
                now,
            )
            for item in found
        ]

    def reading(self, document: Document) -> ParsedDocument | None:
        """The text of a document with its layout; None if it is not read or deleted."""
        key = (document.tenant, document.id, document.attempt)
        with self._lock:
            if key in self._readings:
                self._readings.move_to_end(key)
                return self._readings[key]
        reading = unless_deleted(
            document.tenant,
            document.id,
            self.blobs,
            lambda: document_reading(document, self.blobs),
        )
        if reading is not None:
            with self._lock:
                self._readings[key] = reading
                while len(self._readings) > _READINGS_KEPT:
                    self._readings.popitem(last=False)
        return reading


def _view(
    item: Item, name: DocumentName, decision: Decision | None, now: datetime
) -> dict[str, Any]:
    values = {field.name: getattr(item, field.name) for field in fields(item)}
    lease = None if item.verdict else item.lease(now)
    return {
        **values,
        "document": name.name,
        "title": name.title,
        "parties": name.parties,
        "urgency": item.urgency,
        "about": item.about,
        "absent": item.absent,
        "state": item.state(now),
        "lease": lease,
        "correction": decision.correction if decision else None,
    }
