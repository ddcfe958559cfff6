"""Tables and queries of review. Every query names the tenant; transactions belong to the caller."""

from __future__ import annotations

import base64
import binascii
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    MetaData,
    Row,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    column,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import Session

from services.review.domain import (
    ASKED,
    KIND_CHECK,
    Box,
    Decision,
    Document,
    Item,
    ItemKind,
    PageSize,
    Tab,
)
from services.review.sampling import Judgement
from shared.errors import InvalidRequest, NotFound
from shared.events import BlobRef, Verdict
from shared.storage.messages import Number, Time
from shared.storage.tenants import across_tenants
from shared.storage.upsert import insert_into
from shared.upkeep.holdings import Held

MIGRATIONS = Path(__file__).parent / "migrations"

TAB_KEPT = timedelta(hours=1)
"""How long a tab is remembered after it was last heard of: no claim is on its way for longer."""
REMOVED_AT_ONCE = 1_000
"""Items that one statement removes at the most: a database takes no more parameters than some
thousands."""
FORGOTTEN_AT_ONCE = 100
"""Tabs that one request forgets at the most."""

_SAMPLED = column("sampled", Boolean)
_ACCEPTED = literal_column("'accept'", String)  # as an index has it, and no parameter
UNSURE = and_(column("route", String) != _ACCEPTED, ~_SAMPLED)
"""Of items: what people, or a model, are asked about, and is no check; as an index has it."""
SURE = or_(_SAMPLED, and_(column("route", String) == _ACCEPTED, column("proposal").is_(None)))
"""Of items: whose own confidence was enough to be accepted; as an index has it."""

metadata = MetaData()

documents = Table(
    "documents",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("media_type", String(200), nullable=False),
    Column("page_count", Integer, nullable=False),
    Column("pages", JSON, nullable=False),
    Column("text", JSON(none_as_null=True)),
    Column("layout", JSON(none_as_null=True)),
    Column("attempt", Integer, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("cancelled", Boolean, nullable=False),
    Column("trace", String(64)),
)

items = Table(
    "items",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("document_id", String(64), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("result_id", String(64), nullable=False),
    Column("category", String(200), nullable=False),
    Column("confidence", Float, nullable=False),
    Column("created", Time, nullable=False),
    Column("text", Text, nullable=False),
    Column("start", Integer),
    Column("end", Integer),
    Column("page", Integer),
    Column("boxes", JSON, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("finding", JSON(none_as_null=True)),
    Column("proposal", JSON(none_as_null=True)),
    Column("claims", Integer, nullable=False),
    Column("holder", String(200)),
    Column("lease_until", Time),
    Column("tab", String(64)),
    Column("generation", Integer),
    Column("decision_id", String(64)),
    Column("verdict", String(16)),
    Column("decided_by", String(200)),
    Column("decided", Time),
    Column("withdrawn", Boolean, nullable=False),
    Column("route", String(16), nullable=False),
    Column("sampled", Boolean, nullable=False),
    Column("adapter", String(64), nullable=False),
    Column("chance", Float),
    Column("ordered_by", String(64), nullable=False),
    Column("weight", Float, nullable=False),
    Column("urgency", Float, nullable=False),
    Column("shown_confidence", Float),
    Column("shown_chance", Float),
    Index("items_queue", "tenant", "verdict", "urgency", "id"),
    Index("items_document", "tenant", "document_id"),
    Index("items_tab", "tenant", "tab"),
    Index(
        "items_unsure",
        *("tenant", "kind", "adapter", "document_id", "id", "category"),
        sqlite_where=UNSURE,
        postgresql_where=UNSURE,
    ),
    Index(
        "items_sure",
        *("tenant", "kind", "adapter", "category", "confidence", "document_id"),
        sqlite_where=SURE,
        postgresql_where=SURE,
    ),
)

shown = Table(
    "shown",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("document_id", String(64), primary_key=True),
    Column("result_id", String(64), primary_key=True),
    Column("ordered_by", String(64), nullable=False),
    Column("confidence", Float, nullable=False),
    Column("chance", Float),
    Column("shown_confidence", Float, nullable=False),
    Column("shown_chance", Float),
)
"""What each check showed, beside what it was of, for when its document is read again."""

tabs = Table(
    "tabs",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("actor", String(200), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("closed", Integer, nullable=False),
    Column("seen", Time, nullable=False),
    Index("tabs_seen", "tenant", "seen"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("item_id", String(64), nullable=False),
    Column("document_id", String(64), nullable=False),
    Column("document_name", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("result_id", String(64), nullable=False),
    Column("category", String(200), nullable=False),
    Column("text", Text, nullable=False),
    Column("start", Integer),
    Column("end", Integer),
    Column("page", Integer),
    Column("confidence", Float, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("correction", JSON(none_as_null=True)),
    Column("note", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("time", Time, nullable=False),
    Column("adapter", String(64), nullable=False),
    Column("sampled", Boolean, nullable=False),
    Column("wrong", Boolean),
    Column("document_kind", String(16), nullable=False),
    Column("source", String(200), nullable=False),
    UniqueConstraint("tenant", "id", name="decisions_id"),
    Index("decisions_document", "tenant", "document_id"),
    Index("decisions_item", "tenant", "item_id"),
    Index("decisions_sampled", "sampled", "number"),
)


Sought = Literal["open", "waiting", "claimed", "decided", "accepted", "all"]
"""`open` is what waits for a person or is claimed; `accepted` is what the machine accepted."""


@dataclass(frozen=True)
class Filters:
    """Which items are meant."""

    kind: ItemKind | None = None
    document: str | None = None
    category: str | None = None
    state: Sought = "open"


@dataclass(frozen=True)
class Group:
    """A part of the queue with the number of its open items."""

    key: str
    label: str
    count: int


@dataclass(frozen=True)
class Counts:
    """How much waits, and what was done since a moment."""

    waiting: int
    claimed: int
    decided: int
    decided_since: int
    mine_since: int
    kinds: tuple[Group, ...]
    categories: tuple[Group, ...]
    documents: tuple[Group, ...]


# Documents


def find_document(session: Session, tenant: str, document_id: str) -> Document | None:
    """What is remembered of a document; None if nothing was heard of it."""
    row = session.execute(
        select(documents).where(documents.c.tenant == tenant, documents.c.id == document_id)
    ).one_or_none()
    return _document(row) if row else None


def save_document(session: Session, document: Document) -> None:
    """Keep what is known of a document, in place of what was."""
    values = {
        "name": document.name,
        "kind": document.kind,
        "media_type": document.media_type,
        "page_count": document.page_count,
        "pages": [[p.number, p.start, p.end, p.width, p.height] for p in document.pages],
        "text": document.text.model_dump() if document.text else None,
        "layout": document.layout.model_dump() if document.layout else None,
        "attempt": document.attempt,
        "deleted": document.deleted,
        "cancelled": document.cancelled,
        "trace": document.trace,
    }
    this = and_(documents.c.tenant == document.tenant, documents.c.id == document.id)
    if session.execute(select(documents.c.id).where(this).with_for_update()).first():
        session.execute(update(documents).where(this).values(**values))
    else:
        session.execute(insert(documents).values(tenant=document.tenant, id=document.id, **values))


def forget_document(session: Session, document: Document) -> None:
    """Leave of a deleted document only that it was decided about, by whom and when."""
    this = {"tenant": document.tenant, "document_id": document.id}
    session.execute(delete(items).filter_by(**this))
    session.execute(delete(shown).filter_by(**this))
    session.execute(
        update(decisions)
        .filter_by(**this)
        .values(document_name="", text="", correction=None, note="")
    )


# Items


def add_items(session: Session, new: Iterable[Item]) -> None:
    """Put items into the queue."""
    rows = [_item_values(item) for item in new]
    if rows:
        session.execute(insert(items), rows)


Asks = Literal["results", "kind", "pages"]
"""What items of a document ask about: what specialists found; of what kind it is; whether pages of
it were read badly."""


def withdraw_open(session: Session, tenant: str, document_id: str, asks: Asks = "results") -> None:
    """Take what is undecided of a document out of the queue."""
    open_ = _of(tenant, document_id, asks)
    session.execute(delete(items).where(open_, items.c.verdict.is_(None)))


def withdraw_decided(session: Session, tenant: str, document_id: str) -> None:
    """Show the decided results of a document no more, unless they are found again."""
    results = _of(tenant, document_id, "results")
    session.execute(update(items).where(results).values(withdrawn=True))


def items_asking(session: Session, tenant: str, document_id: str, asks: Asks) -> list[Item]:
    """The items that ask, or asked, that."""
    query = select(items).where(_of(tenant, document_id, asks))
    return [_item(row) for row in session.execute(query)]


def _of(tenant: str, document_id: str, asks: Asks) -> ColumnElement[bool]:
    """Items of a document that ask that."""
    reading, of_kind = items.c.stage == "ingest", items.c.category == KIND_CHECK
    which = {
        "results": ~reading,
        "kind": and_(reading, of_kind),
        "pages": and_(reading, ~of_kind),
    }
    return and_(items.c.tenant == tenant, items.c.document_id == document_id, which[asks])


def propose(
    session: Session, tenant: str, document_id: str, result_id: str, proposal: dict[str, Any]
) -> bool:
    """Put what a model says beside the item of a result, decided or not; whoever holds it keeps
    it. Returns whether there is such an item.
    """
    found = session.execute(
        update(items)
        .where(
            items.c.tenant == tenant,
            items.c.document_id == document_id,
            items.c.result_id == result_id,
        )
        .values(proposal=proposal)
    )
    held = items.c.tenant == tenant, items.c.document_id == document_id, items.c.holder == ASKED
    freed = {"holder": None, "lease_until": None}
    session.execute(update(items).where(*held, items.c.result_id == result_id).values(**freed))
    return bool(found.rowcount)  # type: ignore[attr-defined]


def open_items(session: Session, tenant: str, document_id: str) -> list[Item]:
    """The undecided results of a document, the oldest first, locked until the transaction ends."""
    rows = session.execute(
        select(items)
        .where(_of(tenant, document_id, "results"), items.c.verdict.is_(None))
        .order_by(items.c.created, items.c.id)
        .with_for_update()
    )
    return [_item(row) for row in rows]


def remove_items(session: Session, tenant: str, ids: Collection[str]) -> None:
    """Take items out of the queue."""
    listed = sorted(ids)
    for first in range(0, len(listed), REMOVED_AT_ONCE):
        some = listed[first : first + REMOVED_AT_ONCE]
        session.execute(delete(items).where(items.c.tenant == tenant, items.c.id.in_(some)))


def waiting_item(
    session: Session, tenant: str, document_id: str, result_id: str, now: datetime
) -> Item | None:
    """The item of a result that nobody has decided or holds, locked; None if there is none."""
    free = or_(items.c.lease_until.is_(None), items.c.lease_until <= now)
    mine = items.c.tenant == tenant, items.c.document_id == document_id
    query = select(items).where(*mine, items.c.result_id == result_id)
    query = query.where(items.c.verdict.is_(None), free).limit(1)
    row = session.execute(query.with_for_update(skip_locked=True)).one_or_none()
    return _item(row) if row else None


class DecidedProposal(NamedTuple):
    """A result that a model had an opinion of, and what a person decided about it."""

    document_id: str
    category: str
    text: str
    finding: dict[str, Any] | None
    proposal: dict[str, Any]
    verdict: Verdict
    correction: dict[str, Any] | None


def decided_proposals(session: Session, tenant: str) -> Iterator[DecidedProposal]:
    """What people decided about results that a model answered about."""
    of = items.c
    query = (
        select(
            of.document_id,
            of.category,
            of.text,
            of.finding,
            of.proposal,
            of.verdict,
            decisions.c.correction,
        )
        .join(decisions, and_(decisions.c.tenant == of.tenant, decisions.c.id == of.decision_id))
        .where(of.tenant == tenant, of.proposal.is_not(None))
    )
    for row in session.execute(query):
        if row.proposal["verdict"]:
            yield DecidedProposal(*row)


def decided_items(session: Session, tenant: str, document_id: str) -> list[Item]:
    """The decided items of a document, the oldest first."""
    rows = session.execute(
        select(items)
        .where(
            items.c.tenant == tenant,
            items.c.document_id == document_id,
            items.c.verdict.is_not(None),
        )
        .order_by(items.c.created, items.c.id)
    )
    return [_item(row) for row in rows]


def verdicts(session: Session, tenant: str) -> dict[str, str]:
    """What people decided about results, by the id of the result."""
    decided = items.c.tenant == tenant, items.c.verdict.is_not(None)
    rows = session.execute(select(items.c.result_id, items.c.verdict).where(*decided))
    return {row.result_id: row.verdict for row in rows}


def get_item(session: Session, tenant: str, item_id: str, *, lock: bool = False) -> Item:
    """One item. Raises NotFound.

    Args:
        lock: keep others from changing it until the transaction ends.
    """
    query = select(items).where(items.c.tenant == tenant, items.c.id == item_id)
    row = session.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound(f"there is no item {item_id}: its document was deleted or read anew")
    return _item(row)


def next_waiting(
    session: Session, tenant: str, filters: Filters, skip: Sequence[str], now: datetime
) -> Item | None:
    """The most urgent item that nobody holds, locked; None if nothing waits."""
    waiting = Filters(filters.kind, filters.document, filters.category, "waiting")
    query = _ordered(select(items).where(*_matching(tenant, waiting, now)))
    if skip:
        query = query.where(items.c.id.not_in(skip))
    row = session.execute(query.limit(1).with_for_update(skip_locked=True)).one_or_none()
    return _item(row) if row else None


def save_item(session: Session, item: Item) -> None:
    """Keep an item as it stands now."""
    values = _item_values(item)
    session.execute(
        update(items).where(items.c.tenant == item.tenant, items.c.id == item.id).values(**values)
    )


def list_items(
    session: Session,
    tenant: str,
    filters: Filters,
    now: datetime,
    *,
    limit: int,
    cursor: str | None = None,
) -> tuple[list[Item], str | None]:
    """A page of the queue, most urgent first, and the cursor of the next one."""
    query = _ordered(select(items).where(*_matching(tenant, filters, now))).limit(limit + 1)
    if cursor:
        urgency, item_id = _decode(cursor, float, str)
        query = query.where(tuple_(items.c.urgency, items.c.id) < (urgency, item_id))
    found = [_item(row) for row in session.execute(query)]
    more = len(found) > limit
    last = found[limit - 1] if more else None
    return found[:limit], _encode(last.urgency, last.id) if last else None


def count_items(
    session: Session,
    tenant: str,
    actor: str,
    now: datetime,
    since: datetime,
    kind: str | None = None,
) -> Counts:
    """What waits and what was done, for the head of the queue; of one kind, or of all."""
    ours = [items.c.tenant == tenant, items.c.withdrawn.is_(False)]
    if kind:
        ours.append(items.c.kind == kind)
    held = and_(items.c.verdict.is_(None), items.c.lease_until > now)
    free = or_(items.c.lease_until.is_(None), items.c.lease_until <= now)
    waiting = and_(items.c.verdict.is_(None), _ASKED, free)
    decided = items.c.verdict.is_not(None)
    today = and_(decided, items.c.decided >= since)
    tallies = [waiting, held, decided, today, and_(today, items.c.decided_by == actor)]
    counted = session.execute(
        select(*(func.count().filter(tally) for tally in tallies)).where(*ours)
    ).one()
    numbers = dict(zip(_TALLIES, map(int, counted), strict=True))
    name = func.coalesce(documents.c.name, items.c.document_id)
    return Counts(
        **numbers,
        kinds=_groups(session, ours, items.c.kind, items.c.kind),
        categories=_groups(session, ours, items.c.category, items.c.category),
        documents=_groups(session, ours, items.c.document_id, name),
    )


def _groups(
    session: Session,
    ours: list[ColumnElement[bool]],
    key: ColumnElement[Any],
    label: ColumnElement[Any],
) -> tuple[Group, ...]:
    query = (
        select(key, func.max(label), func.count())
        .select_from(items.outerjoin(documents, _OF_DOCUMENT))
        .where(*ours, items.c.verdict.is_(None), _ASKED)
        .group_by(key)
        .order_by(func.max(label))
    )
    return tuple(Group(*row) for row in session.execute(query))


def names_of(session: Session, tenant: str, document_ids: Iterable[str]) -> dict[str, str]:
    """The names of documents by id; those never heard of are left out."""
    query = select(documents.c.id, documents.c.name).where(
        documents.c.tenant == tenant, documents.c.id.in_(set(document_ids))
    )
    return {row.id: row.name for row in session.execute(query)}


# Tabs


def enter_tab(session: Session, tenant: str, actor: str, tab: Tab | None, now: datetime) -> bool:
    """Whether this generation of a tab may claim; what the ones before it hold goes back.

    A client without tabs always may.

    The tab is locked until the transaction ends, so that its claims and its leaving come one after
    the other. Enter it before an item is locked.
    """
    if tab is None:
        return True
    closed = _lock_tab(session, tenant, actor, tab.id, now)
    if closed < tab.generation - 1:  # the request that should have closed it was lost, or is late
        _close_tab(session, tenant, actor, tab.id, tab.generation - 1)
    return closed < tab.generation


def leave_tab(session: Session, tenant: str, actor: str, tab: Tab, now: datetime) -> int:
    """Close this generation of a tab and all before it; what they hold goes back.

    Returns:
        How many items went back.
    """
    closed = _lock_tab(session, tenant, actor, tab.id, now)
    if closed >= tab.generation:
        return 0
    return _close_tab(session, tenant, actor, tab.id, tab.generation)


def _lock_tab(session: Session, tenant: str, actor: str, tab_id: str, now: datetime) -> int:
    """The highest closed generation, 0 if none is known; the row is there and locked afterwards."""
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
    session.execute(update(tabs).filter_by(**this).values(closed=generation))
    freed = session.execute(
        update(items)
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
    """Forget tabs that were last heard of before a moment; one that is locked goes another time."""
    key = (tabs.c.actor, tabs.c.id)
    old = (
        select(*key)
        .where(tabs.c.tenant == tenant, tabs.c.seen < before)
        .limit(FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    if gone := [tuple(row) for row in session.execute(old)]:
        session.execute(delete(tabs).where(tabs.c.tenant == tenant, tuple_(*key).in_(gone)))


# Decisions


def add_decision(session: Session, decision: Decision) -> None:
    """Append to the audit."""
    values = {name: getattr(decision, name) for name in _DECISION_FIELDS}
    session.execute(insert(decisions).values(**values))


def find_decision(session: Session, tenant: str, decision_id: str) -> Decision | None:
    """The decision of that id, if there is one."""
    row = session.execute(
        select(decisions).where(decisions.c.tenant == tenant, decisions.c.id == decision_id)
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
    """A page of the audit, the newest first, and the cursor of the next one."""
    wanted = {"document_id": document, "item_id": item, "actor": actor}
    query = (
        select(decisions)
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


def judgements(session: Session, tenant: str, since: datetime | None = None) -> Iterator[Judgement]:
    """What people said of a tenant's clauses that were drawn as a check, the oldest first."""
    query = _JUDGED.where(decisions.c.tenant == tenant).order_by(decisions.c.number)
    if since is not None:
        query = query.where(decisions.c.time >= since)
    for row in session.execute(query):
        yield Judgement(*row)


def last_judgements(session: Session, most: int) -> list[Judgement]:
    """The last of these of all tenants, the oldest first: for a metric without a word of theirs."""
    query = _JUDGED.order_by(decisions.c.number.desc()).limit(most)
    query = across_tenants(query, "a metric without a word of anybody")
    return [Judgement(*row) for row in reversed(session.execute(query).all())]


def decisions_of(session: Session, tenant: str, ids: Iterable[str | None]) -> dict[str, Decision]:
    """Decisions by id."""
    wanted = {decision_id for decision_id in ids if decision_id}
    query = select(decisions).where(decisions.c.tenant == tenant, decisions.c.id.in_(wanted))
    return {row.id: _decision(row) for row in session.execute(query)}


# Rows and plain data

_TALLIES = ("waiting", "claimed", "decided", "decided_since", "mine_since")
_DECISION_FIELDS = tuple(Decision.__dataclass_fields__)
_ITEM_FIELDS = tuple(Item.__dataclass_fields__)
_ASKED = items.c.route != "accept"
_JUDGED = select(
    decisions.c.item_id,
    decisions.c.adapter,
    decisions.c.category,
    decisions.c.wrong,
    decisions.c.document_kind,
    decisions.c.source,
).where(decisions.c.sampled.is_(True))
_OF_DOCUMENT = and_(documents.c.tenant == items.c.tenant, documents.c.id == items.c.document_id)


def _matching(tenant: str, filters: Filters, now: datetime) -> list[ColumnElement[bool]]:
    free = or_(items.c.lease_until.is_(None), items.c.lease_until <= now)
    by_state: dict[str, list[ColumnElement[bool]]] = {
        "open": [items.c.verdict.is_(None), or_(_ASKED, ~free)],
        "waiting": [items.c.verdict.is_(None), free, _ASKED],
        "claimed": [items.c.verdict.is_(None), items.c.lease_until > now],
        "decided": [items.c.verdict.is_not(None)],
        "accepted": [items.c.verdict.is_(None), free, ~_ASKED],
        "all": [],
    }
    shown = items.c.withdrawn.is_(False)
    wanted = [items.c.tenant == tenant, shown, *by_state[filters.state]]
    if filters.kind:
        wanted.append(items.c.kind == filters.kind)
    if filters.document:
        wanted.append(items.c.document_id == filters.document)
    if filters.category:
        wanted.append(items.c.category == filters.category)
    return wanted


def _ordered(query: Select[Any]) -> Select[Any]:
    """Most urgent first; in one direction throughout, so that an index has this order."""
    return query.order_by(items.c.urgency.desc(), items.c.id.desc())


def _document(row: Row[Any]) -> Document:
    values = dict(row._mapping)
    values["pages"] = tuple(PageSize(*page) for page in values["pages"])
    for name in ("text", "layout"):
        values[name] = BlobRef(**values[name]) if values[name] else None
    return Document(**values)


def _item(row: Row[Any]) -> Item:
    values = dict(row._mapping)
    values["boxes"] = tuple(Box.model_validate(box) for box in values["boxes"])
    del values["urgency"]  # follows from the others
    return Item(**values)


def _item_values(item: Item) -> dict[str, Any]:
    values = {name: getattr(item, name) for name in (*_ITEM_FIELDS, "urgency")}
    values["boxes"] = [box.model_dump() for box in item.boxes]
    return values


def _decision(row: Row[Any]) -> Decision:
    values = dict(row._mapping)
    del values["number"]
    return Decision(**values)


def _encode(*place: float | str) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _decode(cursor: str, *types: type) -> list[Any]:
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if isinstance(place, list) and len(place) == len(types):
            values = [kind(value) for kind, value in zip(types, place, strict=True)]
            if all(map(_placeable, values)):
                return values
    except (binascii.Error, ValueError, TypeError, OverflowError):
        pass
    raise InvalidRequest("the cursor is not one of ours: begin without it")


def _placeable(value: Any) -> bool:
    """Whether every database can compare with it."""
    if isinstance(value, str):
        return "\0" not in value and value.isprintable()
    return bool(abs(value) < 2**63)


def holdings(session: Session) -> Iterator[Held]:
    """What is held of each document of every tenant, for whoever looks after the place. Text and
    layout are ingest's.
    """
    query = select(documents.c.tenant, documents.c.id, documents.c.attempt, documents.c.deleted)
    query = across_tenants(query, "upkeep")
    for row in session.execute(query.execution_options(yield_per=1000)):
        yield Held(
            tenant=sys.intern(row.tenant),
            id=row.id,
            attempt=row.attempt,
            done=False,
            alive=not row.deleted,
        )
