"""Tables and queries of review. Every query names the tenant. Callers control the transactions."""

from __future__ import annotations

import base64
import binascii
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.review.domain import (
    FRONTIER_MODEL,
    KIND_CHECK,
    Basis,
    Box,
    Comment,
    Decision,
    Document,
    DocumentName,
    Item,
    ItemKind,
    PageSize,
    Span,
    Tab,
)
from services.review.error_rates import SampleDecision
from shared.blobs.references import BlobReference
from shared.categories import CATEGORIES, title_of
from shared.errors import InvalidRequest, NotFound
from shared.events import BlobRef, DocumentTitle, Verdict
from shared.messaging.tables import Number, Time
from shared.storage.tenant_isolation import across_tenants
from shared.storage.upsert import insert_into

MIGRATIONS = Path(__file__).parent / "migrations"

TAB_KEPT = timedelta(hours=1)
"""How long an inactive tab is remembered."""
REMOVED_AT_ONCE = 1_000
"""Items removed by one statement at most, because databases limit parameters."""
FORGOTTEN_AT_ONCE = 100
"""Tabs deleted by one request at most."""

_SAMPLED = sa.column("sampled", sa.Boolean)
_ACCEPTED = sa.literal_column("'accept'", sa.String)  # must match the index
UNSURE = sa.and_(sa.column("route", sa.String) != _ACCEPTED, ~_SAMPLED)
"""Items that are neither accepted nor audit samples; must match the index."""
SURE = sa.or_(
    _SAMPLED, sa.and_(sa.column("route", sa.String) == _ACCEPTED, sa.column("proposal").is_(None))
)
"""Items with acceptable confidence; must match the index."""

metadata = sa.MetaData()

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("media_type", sa.String(200), nullable=False),
    sa.Column("page_count", sa.Integer, nullable=False),
    sa.Column("pages", sa.JSON, nullable=False),
    sa.Column("text", sa.JSON(none_as_null=True)),
    sa.Column("layout", sa.JSON(none_as_null=True)),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("cancelled", sa.Boolean, nullable=False),
    sa.Column("trace", sa.String(64)),
    sa.Column("title", sa.Text),
    sa.Column("parties", sa.JSON(none_as_null=True)),
    sa.Column("sha256", sa.String(64)),
    sa.Column("basis", sa.JSON(none_as_null=True)),
    sa.Column("assignee", sa.String(200)),
    sa.Column("assigned", Time),
)

items = sa.Table(
    "items",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("document_id", sa.String(64), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("stage", sa.String(16), nullable=False),
    sa.Column("result_id", sa.String(64), nullable=False),
    sa.Column("category", sa.String(200), nullable=False),
    sa.Column("confidence", sa.Float, nullable=False),
    sa.Column("created", Time, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("start", sa.Integer),
    sa.Column("end", sa.Integer),
    sa.Column("page", sa.Integer),
    sa.Column("omitted", sa.JSON),
    sa.Column("boxes", sa.JSON, nullable=False),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("after", sa.Text, nullable=False),
    sa.Column("value", sa.JSON(none_as_null=True)),
    sa.Column("finding", sa.JSON(none_as_null=True)),
    sa.Column("proposal", sa.JSON(none_as_null=True)),
    sa.Column("claims", sa.Integer, nullable=False),
    sa.Column("holder", sa.String(200)),
    sa.Column("lease_until", Time),
    sa.Column("tab", sa.String(64)),
    sa.Column("generation", sa.Integer),
    sa.Column("decision_id", sa.String(64)),
    sa.Column("verdict", sa.String(16)),
    sa.Column("decided_by", sa.String(200)),
    sa.Column("decided", Time),
    sa.Column("withdrawn", sa.Boolean, nullable=False),
    sa.Column("route", sa.String(16), nullable=False),
    sa.Column("sampled", sa.Boolean, nullable=False),
    sa.Column("adapter", sa.String(64), nullable=False),
    sa.Column("chance", sa.Float),
    sa.Column("ordered_by", sa.String(64), nullable=False),
    sa.Column("weight", sa.Float, nullable=False),
    sa.Column("urgency", sa.Float, nullable=False),
    sa.Column("shown_confidence", sa.Float),
    sa.Column("shown_chance", sa.Float),
    sa.Column("origin", sa.String(16), nullable=False, server_default="model"),
    sa.Column("assignee", sa.String(200)),
    sa.Index("items_queue", "tenant", "verdict", "urgency", "id"),
    sa.Index("items_document", "tenant", "document_id"),
    sa.Index("items_tab", "tenant", "tab"),
    sa.Index(
        "items_unsure",
        *("tenant", "kind", "adapter", "document_id", "id", "category"),
        sqlite_where=UNSURE,
        postgresql_where=UNSURE,
    ),
    sa.Index(
        "items_sure",
        *("tenant", "kind", "adapter", "category", "confidence", "document_id"),
        sqlite_where=SURE,
        postgresql_where=SURE,
    ),
)

shown = sa.Table(
    "shown",
    metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("document_id", sa.String(64), primary_key=True),
    sa.Column("result_id", sa.String(64), primary_key=True),
    sa.Column("ordered_by", sa.String(64), nullable=False),
    sa.Column("confidence", sa.Float, nullable=False),
    sa.Column("chance", sa.Float),
    sa.Column("shown_confidence", sa.Float, nullable=False),
    sa.Column("shown_chance", sa.Float),
)
"""The shown values of each audit sample, in case its document is processed again."""

tabs = sa.Table(
    "tabs",
    metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("actor", sa.String(200), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("closed", sa.Integer, nullable=False),
    sa.Column("seen", Time, nullable=False),
    sa.Index("tabs_seen", "tenant", "seen"),
)

comments = sa.Table(
    "comments",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("item_id", sa.String(64), nullable=False),
    sa.Column("document_id", sa.String(64), nullable=False),
    sa.Column("author", sa.String(200), nullable=False),
    sa.Column("time", Time, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Index("comments_item", "tenant", "item_id"),
    sa.Index("comments_document", "tenant", "document_id"),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(64), nullable=False),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("item_id", sa.String(64), nullable=False),
    sa.Column("document_id", sa.String(64), nullable=False),
    sa.Column("document_name", sa.Text, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("stage", sa.String(16), nullable=False),
    sa.Column("result_id", sa.String(64), nullable=False),
    sa.Column("category", sa.String(200), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("start", sa.Integer),
    sa.Column("end", sa.Integer),
    sa.Column("page", sa.Integer),
    sa.Column("confidence", sa.Float, nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("correction", sa.JSON(none_as_null=True)),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("time", Time, nullable=False),
    sa.Column("adapter", sa.String(64), nullable=False),
    sa.Column("sampled", sa.Boolean, nullable=False),
    sa.Column("wrong", sa.Boolean),
    sa.Column("document_kind", sa.String(16), nullable=False),
    sa.Column("source", sa.String(200), nullable=False),
    sa.Column("shown_confidence", sa.Float),
    sa.Column("origin", sa.String(16), nullable=False, server_default="model"),
    sa.Column("bulk", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("tenant", "id", name="decisions_id"),
    sa.Index("decisions_document", "tenant", "document_id"),
    sa.Index("decisions_item", "tenant", "item_id"),
    sa.Index("decisions_sampled", "sampled", "number"),
    sa.Index("decisions_time", "tenant", "time"),
)


Sort = Literal["urgency", "confidence", "newest"]
"""`urgency`: highest first; `confidence`: as shown, lowest first; `newest`: first."""

StateFilter = Literal["open", "waiting", "claimed", "decided", "accepted", "all"]
"""`open`: waiting or claimed; `accepted`: automatically."""


@dataclass(frozen=True)
class Filters:
    """Conditions for items."""

    kind: ItemKind | None = None
    document: str | None = None
    categories: tuple[str, ...] = ()
    state: StateFilter = "open"
    accepted: bool = True
    """Whether those accepted automatically may be among them."""
    assignee: str | None = None
    """A person; empty: assigned to nobody."""
    words: tuple[str, ...] = ()
    """All of them are in the text, the clause type, or the name or title of the document."""


@dataclass(frozen=True)
class Group:
    """The number of open items with a key."""

    key: str
    label: str
    count: int


@dataclass(frozen=True)
class DocumentProgress:
    """How many items of a document people have decided, of those that are for people."""

    document_id: str
    decided: int
    total: int


@dataclass(frozen=True)
class Counts:
    """The counts of the queue, and of decisions since a time."""

    waiting: int
    claimed: int
    decided: int
    decided_since: int
    mine_since: int
    kinds: tuple[Group, ...]
    categories: tuple[Group, ...]
    documents: tuple[Group, ...]


# Documents


def find_document(
    session: Session, tenant: str, document_id: str, *, lock: bool = False
) -> Document | None:
    """Return a document, locked if wanted; None if it is unknown."""
    query = sa.select(documents).where(documents.c.tenant == tenant, documents.c.id == document_id)
    row = session.execute(query.with_for_update() if lock else query).one_or_none()
    return _document(row) if row else None


def save_document(session: Session, document: Document) -> None:
    """Store a document, or replace it."""
    values = {
        **vars(document),
        "pages": [[p.number, p.start, p.end, p.width, p.height] for p in document.pages],
        "text": document.text.model_dump() if document.text else None,
        "layout": document.layout.model_dump() if document.layout else None,
        "title": document.title.title if document.title else None,
        "parties": document.title.parties if document.title else None,
        "basis": document.basis.model_dump(mode="json") if document.basis else None,
    }
    new = insert_into(session, documents).values(values)
    changed = {name: value for name, value in values.items() if name not in ("tenant", "id")}
    session.execute(
        new.on_conflict_do_update(index_elements=list(documents.primary_key), set_=changed)
    )


def forget_document(session: Session, document: Document) -> None:
    """Delete the items of a document and all text in its decisions."""
    this = {"tenant": document.tenant, "document_id": document.id}
    session.execute(sa.delete(items).filter_by(**this))
    session.execute(sa.delete(shown).filter_by(**this))
    session.execute(sa.delete(comments).filter_by(**this))
    session.execute(
        sa.update(decisions)
        .filter_by(**this)
        .values(document_name="", text="", correction=None, note="")
    )


# Items


def add_items(session: Session, new: Iterable[Item]) -> None:
    """Add items."""
    rows = [_item_values(item) for item in new]
    if rows:
        session.execute(sa.insert(items), rows)


Asks = Literal["results", "kind", "pages"]
"""The subjects of items: results, the kind of the document, or the text of its pages."""


def withdraw_open(session: Session, tenant: str, document_id: str, asks: Asks = "results") -> None:
    """Delete the undecided items of a document."""
    open_ = sa.and_(_of(tenant, document_id, asks), items.c.verdict.is_(None))
    gone = comments.c.item_id.in_(sa.select(items.c.id).where(open_))
    session.execute(sa.delete(comments).where(comments.c.tenant == tenant, gone))
    session.execute(sa.delete(items).where(open_))


def withdraw_decided(session: Session, tenant: str, document_id: str) -> None:
    """Hide the decided results of a document until they are found again."""
    results = _of(tenant, document_id, "results")
    session.execute(sa.update(items).where(results).values(withdrawn=True))


def items_asking(session: Session, tenant: str, document_id: str, asks: Asks) -> list[Item]:
    """Return the items with a subject."""
    query = sa.select(items).where(_of(tenant, document_id, asks))
    return [_item(row) for row in session.execute(query)]


def _of(tenant: str, document_id: str, asks: Asks) -> sa.ColumnElement[bool]:
    reading, of_kind = items.c.stage == "ingest", items.c.category == KIND_CHECK
    which = {
        "results": ~reading,
        "kind": sa.and_(reading, of_kind),
        "pages": sa.and_(reading, ~of_kind),
    }
    return sa.and_(items.c.tenant == tenant, items.c.document_id == document_id, which[asks])


def propose(
    session: Session, tenant: str, document_id: str, result_id: str, proposal: dict[str, Any]
) -> bool:
    """Store a proposal in the item of a result. Returns whether there is one."""
    this = (
        items.c.tenant == tenant,
        items.c.document_id == document_id,
        items.c.result_id == result_id,
    )
    found = session.execute(sa.update(items).where(*this).values(proposal=proposal))
    held = sa.update(items).where(*this, items.c.holder == FRONTIER_MODEL)
    session.execute(held.values(holder=None, lease_until=None))
    return bool(found.rowcount)  # type: ignore[attr-defined]


def open_items(session: Session, tenant: str, document_id: str) -> list[Item]:
    """Return the undecided results of a document, oldest first, and lock them."""
    rows = session.execute(
        sa.select(items)
        .where(_of(tenant, document_id, "results"), items.c.verdict.is_(None), _STANDING)
        .order_by(items.c.created, items.c.id)
        .with_for_update()
    )
    return [_item(row) for row in rows]


def remove_items(session: Session, tenant: str, ids: Collection[str]) -> None:
    """Delete items."""
    listed = sorted(ids)
    for first in range(0, len(listed), REMOVED_AT_ONCE):
        some = listed[first : first + REMOVED_AT_ONCE]
        session.execute(sa.delete(items).where(items.c.tenant == tenant, items.c.id.in_(some)))
        gone = comments.c.tenant == tenant, comments.c.item_id.in_(some)
        session.execute(sa.delete(comments).where(*gone))


def waiting_item(
    session: Session, tenant: str, document_id: str, result_id: str, now: datetime
) -> Item | None:
    """Return and lock the waiting item of a result, if there is one."""
    free = sa.or_(items.c.lease_until.is_(None), items.c.lease_until <= now)
    mine = items.c.tenant == tenant, items.c.document_id == document_id
    query = sa.select(items).where(*mine, items.c.result_id == result_id)
    query = query.where(items.c.verdict.is_(None), free).limit(1)
    row = session.execute(query.with_for_update(skip_locked=True)).one_or_none()
    return _item(row) if row else None


class DecidedProposal(NamedTuple):
    """A decided result with the answer of a model."""

    document_id: str
    category: str
    text: str
    finding: dict[str, Any] | None
    proposal: dict[str, Any]
    verdict: Verdict
    correction: dict[str, Any] | None


def decided_proposals(session: Session, tenant: str) -> Iterator[DecidedProposal]:
    """Yield decided results with the answer of a model, without those that people added."""
    of = items.c
    query = (
        sa.select(
            of.document_id,
            of.category,
            of.text,
            of.finding,
            of.proposal,
            of.verdict,
            decisions.c.correction,
        )
        .join(decisions, sa.and_(decisions.c.tenant == of.tenant, decisions.c.id == of.decision_id))
        .where(of.tenant == tenant, of.proposal.is_not(None), of.origin == "model")
    )
    for row in session.execute(query):
        if row.proposal["verdict"]:
            yield DecidedProposal(*row)


def decided_items(session: Session, tenant: str, document_id: str) -> list[Item]:
    """Return the decided items of a document, oldest first."""
    rows = session.execute(
        sa.select(items)
        .where(
            items.c.tenant == tenant,
            items.c.document_id == document_id,
            items.c.verdict.is_not(None),
        )
        .order_by(items.c.created, items.c.id)
    )
    return [_item(row) for row in rows]


def verdicts(session: Session, tenant: str) -> dict[str, str]:
    """Return the verdicts by result id, without results that people added."""
    decided = items.c.tenant == tenant, items.c.verdict.is_not(None), items.c.origin == "model"
    rows = session.execute(sa.select(items.c.result_id, items.c.verdict).where(*decided))
    return {row.result_id: row.verdict for row in rows}


def get_item(
    session: Session,
    tenant: str,
    item_id: str,
    *,
    accepted: bool = True,
    lock: bool = False,
    undone: bool = False,
) -> Item:
    """Return an item. Raises NotFound.

    Args:
        accepted: whether it may be one that was accepted automatically.
        lock: whether to lock it.
        undone: whether it may be one that a person added and then withdrew.
    """
    query = sa.select(items).where(items.c.tenant == tenant, items.c.id == item_id)
    if not undone:
        query = query.where(_STANDING)
    if not accepted:
        query = query.where(_FOR_PEOPLE)
    row = session.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound(
            f"There is no item {item_id}. Its document was deleted or "
            "processed again, or it was withdrawn."
        )
    return _item(row)


def has_category(
    session: Session, tenant: str, category: str, kind: ItemKind | None = None
) -> bool:
    """Whether a result (of one kind) has exactly this category."""
    found = sa.exists().where(items.c.tenant == tenant, items.c.category == category)
    if kind:
        found = found.where(items.c.kind == kind)
    return bool(session.execute(sa.select(found)).scalar_one())


def has_same(session: Session, item: Item) -> bool:
    """Whether the document has a result of this kind, category and span, after corrections.

    Rejected results do not count.
    """
    of = items.c
    made = sa.and_(decisions.c.tenant == of.tenant, decisions.c.id == of.decision_id)
    query = (
        sa.select(of.category, of.start, of.end, decisions.c.correction)
        .outerjoin(decisions, made)
        .where(of.tenant == item.tenant, of.document_id == item.document_id)
        .where(of.kind == item.kind, of.withdrawn.is_(False))
        .where(sa.or_(of.verdict.is_(None), of.verdict != "reject"))
    )
    names, wanted = ("category", "start", "end"), (item.category, item.start, item.end)
    rows = (row.correction or row._mapping for row in session.execute(query))
    return any(tuple(row[name] for name in names) == wanted for row in rows)


def next_waiting(
    session: Session,
    tenant: str,
    filters: Filters,
    skip: Sequence[str],
    now: datetime,
    actor: str = "",
) -> Item | None:
    """Return and lock the most urgent waiting item, if there is one.

    Items that are assigned to somebody other than the actor wait for that person.
    """
    waiting = replace(filters, state="waiting")
    query = _ordered(sa.select(items).where(*_matching(tenant, waiting, now)))
    if filters.assignee is None:
        query = query.where(sa.func.coalesce(items.c.assignee, actor) == actor)
    if skip:
        query = query.where(items.c.id.not_in(skip))
    row = session.execute(query.limit(1).with_for_update(skip_locked=True)).one_or_none()
    return _item(row) if row else None


def save_item(session: Session, item: Item) -> None:
    """Store an item."""
    values = _item_values(item)
    session.execute(
        sa.update(items)
        .where(items.c.tenant == item.tenant, items.c.id == item.id)
        .values(**values)
    )


def list_items(
    session: Session,
    tenant: str,
    filters: Filters,
    now: datetime,
    *,
    limit: int,
    cursor: str | None = None,
    sort: Sort = "urgency",
) -> tuple[list[Item], str | None]:
    """Return a page of items in an order, and the next cursor."""
    query = sa.select(items).where(*_matching(tenant, filters, now)).limit(limit + 1)
    key: sa.ColumnElement[Any]
    if sort == "confidence":
        key = _SHOWN_CONFIDENCE
        query = query.order_by(key, items.c.id)
    else:
        key = items.c.created if sort == "newest" else items.c.urgency
        query = query.order_by(key.desc(), items.c.id.desc())
    if cursor:
        kind = datetime.fromisoformat if sort == "newest" else float
        place, here = _decode(cursor, kind, str), sa.tuple_(key, items.c.id)
        query = query.where(here > place if sort == "confidence" else here < place)
    found = [_item(row) for row in session.execute(query)]
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    shown = last.confidence if last.shown_confidence is None else last.shown_confidence
    values: dict[Sort, float | str] = {
        "urgency": last.urgency,
        "confidence": shown,
        "newest": last.created.isoformat(),
    }
    return found[:limit], _encode(values[sort], last.id)


def assign(session: Session, tenant: str, ids: Sequence[str], assignee: str | None) -> int:
    """Set who reviews some items, or nobody. Returns how many were found."""
    these = items.c.tenant == tenant, items.c.id.in_(ids), items.c.withdrawn.is_(False)
    done = session.execute(sa.update(items).where(*these, _FOR_PEOPLE).values(assignee=assignee))
    return int(done.rowcount)  # type: ignore[attr-defined]


def assign_open(session: Session, tenant: str, document_id: str, assignee: str | None) -> None:
    """Set the assignee of the undecided items of a document."""
    these = items.c.tenant == tenant, items.c.document_id == document_id, items.c.verdict.is_(None)
    session.execute(sa.update(items).where(*these).values(assignee=assignee))


def count_items(
    session: Session,
    tenant: str,
    actor: str,
    now: datetime,
    since: datetime,
    filters: Filters = Filters(state="all"),
) -> Counts:
    """Count items by state. The groups are those of all open items of the kind."""
    every = [items.c.tenant == tenant, items.c.withdrawn.is_(False)]
    if filters.kind:
        every.append(items.c.kind == filters.kind)
    ours = _matching(tenant, replace(filters, state="all", accepted=True), now)
    held = sa.and_(items.c.verdict.is_(None), items.c.lease_until > now)
    free = sa.or_(items.c.lease_until.is_(None), items.c.lease_until <= now)
    waiting = sa.and_(items.c.verdict.is_(None), _REVIEWED, free)
    decided = items.c.verdict.is_not(None)
    today = sa.and_(decided, items.c.decided >= since)
    tallies = [waiting, held, decided, today, sa.and_(today, items.c.decided_by == actor)]
    counted = session.execute(
        sa.select(*(sa.func.count().filter(tally) for tally in tallies)).where(*ours)
    ).one()
    name = sa.func.coalesce(documents.c.title, documents.c.name, items.c.document_id)
    return Counts(
        **dict(zip(_TALLIES, map(int, counted), strict=True)),
        kinds=_groups(session, every, items.c.kind, items.c.kind),
        categories=_groups(session, every, items.c.category, items.c.category),
        documents=_groups(session, every, items.c.document_id, name),
    )


def count_decided(
    session: Session, tenant: str, document_ids: Collection[str]
) -> list[DocumentProgress]:
    """Count the decided items of documents. Those without items are left out."""
    these = items.c.tenant == tenant, items.c.document_id.in_(document_ids)
    decided = sa.func.count().filter(items.c.verdict.is_not(None))
    query = (
        sa.select(items.c.document_id, decided, sa.func.count())
        .where(*these, items.c.withdrawn.is_(False), _FOR_PEOPLE)
        .group_by(items.c.document_id)
        .order_by(items.c.document_id)
    )
    return [DocumentProgress(*row) for row in session.execute(query)]


def _groups(
    session: Session,
    ours: list[sa.ColumnElement[bool]],
    key: sa.ColumnElement[Any],
    label: sa.ColumnElement[Any],
) -> tuple[Group, ...]:
    query = (
        sa.select(key, sa.func.max(label), sa.func.count())
        .select_from(items.outerjoin(documents, _OF_DOCUMENT))
        .where(*ours, items.c.verdict.is_(None), _REVIEWED)
        .group_by(key)
        .order_by(sa.func.max(label))
    )
    return tuple(Group(*row) for row in session.execute(query))


AGES = (0, 1, 3, 7)
"""Days from which on the groups of waiting items begin."""


def count_ages(session: Session, tenant: str, now: datetime) -> list[tuple[int, int | None, int]]:
    """Count the waiting items by age: [from days, to days or None, count], youngest first."""
    ages = list(zip(AGES, (*AGES[1:], None), strict=True))
    born = items.c.created
    of_age = [
        sa.and_(
            born <= now - timedelta(low) if low else sa.true(),
            born > now - timedelta(high) if high else sa.true(),
        )
        for low, high in ages
    ]
    waiting = _matching(tenant, Filters(state="waiting"), now)
    counts = sa.select(*(sa.func.count().filter(one) for one in of_age)).where(*waiting)
    return [
        (low, high, number)
        for (low, high), number in zip(ages, session.execute(counts).one(), strict=True)
    ]


def names_of(session: Session, tenant: str, document_ids: Iterable[str]) -> dict[str, DocumentName]:
    """Return the names of known documents by id."""
    columns = documents.c.id, documents.c.name, documents.c.title, documents.c.parties
    query = sa.select(*columns).where(
        documents.c.tenant == tenant, documents.c.id.in_(set(document_ids))
    )
    return {
        row.id: DocumentName(row.name, row.title, row.parties or ())
        for row in session.execute(query)
    }


# Tabs


def enter_tab(session: Session, tenant: str, actor: str, tab: Tab | None, now: datetime) -> bool:
    """Return whether this generation of a tab may claim, and close the earlier ones.

    A client without tabs always may. The tab stays locked until the transaction ends, so call this
    before an item is locked.
    """
    if tab is None:
        return True
    closed = _lock_tab(session, tenant, actor, tab.id, now)
    if closed < tab.generation - 1:  # its leave request was lost or is late
        _close_tab(session, tenant, actor, tab.id, tab.generation - 1)
    return closed < tab.generation


def leave_tab(session: Session, tenant: str, actor: str, tab: Tab, now: datetime) -> int:
    """Close this generation of a tab and all earlier ones. Returns the number of released items."""
    closed = _lock_tab(session, tenant, actor, tab.id, now)
    if closed >= tab.generation:
        return 0
    return _close_tab(session, tenant, actor, tab.id, tab.generation)


def _lock_tab(session: Session, tenant: str, actor: str, tab_id: str, now: datetime) -> int:
    """Lock the row of a tab and return its highest closed generation, or 0."""
    _forget_tabs(session, tenant, now - TAB_KEPT)
    new = insert_into(session, tabs).values(
        tenant=tenant, actor=actor, id=tab_id, closed=0, seen=now
    )
    known = new.on_conflict_do_update(
        index_elements=list(tabs.primary_key), set_={"seen": new.excluded.seen}
    )
    return int(session.execute(known.returning(tabs.c.closed)).scalar_one())


def _close_tab(session: Session, tenant: str, actor: str, tab_id: str, generation: int) -> int:
    this = {"tenant": tenant, "actor": actor, "id": tab_id}
    session.execute(sa.update(tabs).filter_by(**this).values(closed=generation))
    freed = session.execute(
        sa.update(items)
        .where(
            items.c.tenant == tenant,
            items.c.tab == tab_id,
            items.c.generation <= generation,
            items.c.holder == actor,
        )
        .values(holder=None, lease_until=None, tab=None, generation=None)
    )
    return int(freed.rowcount)  # type: ignore[attr-defined]


def _forget_tabs(session: Session, tenant: str, before: datetime) -> None:
    """Delete inactive tabs, except locked ones."""
    key = (tabs.c.actor, tabs.c.id)
    old = (
        sa.select(*key)
        .where(tabs.c.tenant == tenant, tabs.c.seen < before)
        .limit(FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    if gone := [tuple(row) for row in session.execute(old)]:
        session.execute(sa.delete(tabs).where(tabs.c.tenant == tenant, sa.tuple_(*key).in_(gone)))


# Comments


def add_comment(session: Session, comment: Comment) -> None:
    """Store a comment."""
    session.execute(sa.insert(comments).values(**vars(comment)))


def comments_of(session: Session, tenant: str, item_id: str) -> list[Comment]:
    """Return the comments on an item, newest last."""
    query = sa.select(comments).where(comments.c.tenant == tenant, comments.c.item_id == item_id)
    rows = session.execute(query.order_by(comments.c.time, comments.c.id))
    return [Comment(**row._mapping) for row in rows]


def remove_comment(session: Session, comment: Comment) -> None:
    """Delete a comment."""
    this = comments.c.tenant == comment.tenant, comments.c.id == comment.id
    session.execute(sa.delete(comments).where(*this))


# Decisions


def add_decision(session: Session, decision: Decision) -> None:
    """Store a decision."""
    values = {name: getattr(decision, name) for name in _DECISION_FIELDS}
    session.execute(sa.insert(decisions).values(**values))


def find_decision(session: Session, tenant: str, decision_id: str) -> Decision | None:
    """Return a decision, if there is one."""
    row = session.execute(
        sa.select(decisions).where(decisions.c.tenant == tenant, decisions.c.id == decision_id)
    ).one_or_none()
    return _decision(row) if row else None


def list_decisions(
    session: Session,
    tenant: str,
    *,
    limit: int,
    cursor: str | None = None,
    document: str | None = None,
    item: str | None = None,
    actor: str | None = None,
) -> tuple[list[Decision], str | None]:
    """Return a page of decisions, newest first, and the next cursor."""
    wanted = {"document_id": document, "item_id": item, "actor": actor}
    query = (
        sa.select(decisions)
        .filter_by(tenant=tenant, **{k: v for k, v in wanted.items() if v})
        .order_by(decisions.c.number.desc())
        .limit(limit + 1)
    )
    if cursor:
        query = query.where(decisions.c.number < _decode(cursor, int)[0])
    rows = session.execute(query).all()
    more = len(rows) > limit
    following = _encode(rows[limit - 1].number) if more else None
    return [_decision(row) for row in rows[:limit]], following


class DecisionMade(NamedTuple):
    """A decision without its text."""

    item_id: str
    kind: str
    stage: str
    category: str
    origin: str
    verdict: Verdict
    bulk: bool
    actor: str
    time: datetime


def decisions_between(
    session: Session, tenant: str, since: datetime, until: datetime | None
) -> list[DecisionMade]:
    """Return the decisions of a period, oldest first."""
    columns = (decisions.c[name] for name in DecisionMade._fields)
    query = sa.select(*columns).where(decisions.c.tenant == tenant, *_between(since, until))
    return [DecisionMade(*row) for row in session.execute(query.order_by(decisions.c.number))]


def _between(since: datetime | None, until: datetime | None) -> Iterator[sa.ColumnElement[bool]]:
    if since is not None:
        yield decisions.c.time >= since
    if until is not None:
        yield decisions.c.time < until


def sample_decisions(
    session: Session, tenant: str, since: datetime | None = None, until: datetime | None = None
) -> Iterator[SampleDecision]:
    """Yield a tenant's decisions about audit samples, oldest first."""
    query = _SAMPLE_DECISIONS.where(decisions.c.tenant == tenant, *_between(since, until))
    query = query.order_by(decisions.c.number)
    for row in session.execute(query):
        yield SampleDecision(*row)


def last_sample_decisions(session: Session, most: int, before: datetime) -> list[SampleDecision]:
    """Return the newest decisions about audit samples of all tenants before a time, in order."""
    query = _SAMPLE_DECISIONS.where(decisions.c.time < before)
    query = query.order_by(decisions.c.number.desc()).limit(most)
    query = across_tenants(query, "metrics without text of documents")
    return [SampleDecision(*row) for row in reversed(session.execute(query).all())]


def decisions_of(session: Session, tenant: str, ids: Iterable[str | None]) -> dict[str, Decision]:
    """Return decisions by id."""
    wanted = {decision_id for decision_id in ids if decision_id}
    query = sa.select(decisions).where(decisions.c.tenant == tenant, decisions.c.id.in_(wanted))
    return {row.id: _decision(row) for row in session.execute(query)}


# Rows and plain data

_TALLIES = ("waiting", "claimed", "decided", "decided_since", "mine_since")
_DECISION_FIELDS = tuple(Decision.__dataclass_fields__)
_ITEM_FIELDS = tuple(Item.__dataclass_fields__)
_REVIEWED = items.c.route != "accept"
_SHOWN_CONFIDENCE = sa.func.coalesce(items.c.shown_confidence, items.c.confidence)
_FOR_PEOPLE = sa.or_(_REVIEWED, items.c.verdict.is_not(None))
"""Not accepted automatically, or reviewed since."""
_STANDING = sa.or_(items.c.verdict.is_not(None), items.c.withdrawn.is_(False))
"""Not added by a person who undid that."""
_SAMPLE_DECISIONS = sa.select(
    decisions.c.item_id,
    decisions.c.adapter,
    decisions.c.category,
    decisions.c.wrong,
    decisions.c.document_kind,
    decisions.c.source,
).where(decisions.c.sampled.is_(True))
_OF_DOCUMENT = sa.and_(documents.c.tenant == items.c.tenant, documents.c.id == items.c.document_id)


def _matching(tenant: str, filters: Filters, now: datetime) -> list[sa.ColumnElement[bool]]:
    free = sa.or_(items.c.lease_until.is_(None), items.c.lease_until <= now)
    by_state: dict[str, list[sa.ColumnElement[bool]]] = {
        "open": [items.c.verdict.is_(None), sa.or_(_REVIEWED, ~free)],
        "waiting": [items.c.verdict.is_(None), free, _REVIEWED],
        "claimed": [items.c.verdict.is_(None), items.c.lease_until > now],
        "decided": [items.c.verdict.is_not(None)],
        "accepted": [items.c.verdict.is_(None), free, ~_REVIEWED],
        "all": [],
    }
    shown = items.c.withdrawn.is_(False)
    wanted = [items.c.tenant == tenant, shown, *by_state[filters.state]]
    if not filters.accepted:
        wanted.append(_FOR_PEOPLE)
    if filters.kind:
        wanted.append(items.c.kind == filters.kind)
    if filters.document:
        wanted.append(items.c.document_id == filters.document)
    if filters.categories:
        wanted.append(items.c.category.in_(filters.categories))
    if filters.assignee is not None:
        nobody = items.c.assignee.is_(None)
        wanted.append(items.c.assignee == filters.assignee if filters.assignee else nobody)
    wanted += [_has(tenant, word) for word in filters.words]
    return wanted


def _has(tenant: str, word: str) -> sa.ColumnElement[bool]:
    """Whether an item has a word in its text, clause type or document name."""

    def within(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        return column.icontains(word, autoescape=True)

    called = [name for name in CATEGORIES if word.casefold() in title_of(name).casefold()]
    named = sa.select(documents.c.id).where(
        documents.c.tenant == tenant, sa.or_(within(documents.c.name), within(documents.c.title))
    )
    return sa.or_(
        within(items.c.text),
        within(items.c.category),
        items.c.category.in_(called),
        items.c.document_id.in_(named),
    )


def _ordered(query: sa.Select[Any]) -> sa.Select[Any]:
    """Most urgent first, in the order of an index."""
    return query.order_by(items.c.urgency.desc(), items.c.id.desc())


def _document(row: sa.Row[Any]) -> Document:
    values = dict(row._mapping)
    values["pages"] = tuple(PageSize(*page) for page in values["pages"])
    for name in ("text", "layout"):
        values[name] = BlobRef(**values[name]) if values[name] else None
    title, parties = values.pop("title"), values.pop("parties")
    known = DocumentTitle(title=title, parties=parties) if title else None
    values["basis"] = Basis.model_validate(values["basis"]) if values["basis"] else None
    return Document(**values, title=known)


def _item(row: sa.Row[Any]) -> Item:
    values = dict(row._mapping)
    values["omitted"] = tuple(Span.model_validate(span) for span in values["omitted"] or ())
    values["boxes"] = tuple(Box.model_validate(box) for box in values["boxes"])
    del values["urgency"]  # follows from the others
    return Item(**values)


def _item_values(item: Item) -> dict[str, Any]:
    values = {name: getattr(item, name) for name in (*_ITEM_FIELDS, "urgency")}
    values["omitted"] = [span.model_dump() for span in item.omitted]
    values["boxes"] = [box.model_dump() for box in item.boxes]
    return values


def _decision(row: sa.Row[Any]) -> Decision:
    values = dict(row._mapping)
    del values["number"]
    return Decision(**values)


def _encode(*place: float | str) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _decode(cursor: str, *types: Callable[[Any], Any]) -> list[Any]:
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if isinstance(place, list) and len(place) == len(types):
            values = [kind(value) for kind, value in zip(types, place, strict=True)]
            if all(map(_placeable, values)):
                return values
    except (binascii.Error, ValueError, TypeError, OverflowError):
        pass
    raise InvalidRequest("Invalid cursor. Start without one.")


def _placeable(value: Any) -> bool:
    """Whether every database can compare with the value."""
    if isinstance(value, datetime):
        return value.tzinfo is not None
    if isinstance(value, str):
        return "\0" not in value and value.isprintable()
    return bool(abs(value) < 2**63)


def holdings(session: Session) -> Iterator[BlobReference]:
    """Yield the documents of all tenants, for verification. Text and layout belong to ingest."""
    query = sa.select(documents.c.tenant, documents.c.id, documents.c.attempt, documents.c.deleted)
    query = across_tenants(query, "upkeep")
    for row in session.execute(query.execution_options(yield_per=1000)):
        yield BlobReference(
            tenant=sys.intern(row.tenant),
            id=row.id,
            attempt=row.attempt,
            done=False,
            alive=not row.deleted,
        )
