"""The tables and queries of ingest. Every query names the tenant."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    and_,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.ingest.domain import (
    Document,
    Failure,
    Family,
    Guess,
    Key,
    Outcome,
    Progress,
    Relative,
    SoFar,
    State,
    has_only_parts,
    now_utc,
)
from shared.documents import FailedPage, RefusedPart
from shared.errors import InvalidRequest, Unavailable
from shared.events import BlobRef, Kind
from shared.storage import BlobStore, MissingBlob
from shared.storage.locks import lock
from shared.storage.messages import Time
from shared.storage.tenants import across_tenants
from shared.upkeep.holdings import Blob, Known
from shared.web.ids import ID
from shared.web.scopes import ALL, ordered

MIGRATIONS = Path(__file__).parent / "migrations"
BLOBS = ("original", "readable", "text", "layout")

DuplicateDocument = IntegrityError
"""Two uploads of the same bytes met: the tenant has a living document of them already."""

metadata = MetaData()

documents = Table(
    "documents",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("media_type", String(100), nullable=False),
    Column("actor", String(100), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("kind_source", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("outcome", String(16)),
    Column("attempt", Integer, nullable=False),
    Column("pages", Integer),
    Column("pages_done", Integer),
    Column("pages_of", Integer),
    Column("failed_pages", JSON, nullable=False),
    Column("announced", Boolean, nullable=False),
    Column("results", JSON, nullable=False),
    Column("failures", JSON, nullable=False),
    Column("cancelled", String(100)),
    Column("warnings", JSON, nullable=False),
    Column("doubts", JSON, nullable=False),
    Column("guess", JSON(none_as_null=True)),
    Column("adapters", JSON, nullable=False),
    Column("read_by", JSON, nullable=False),
    *(
        column
        for name in BLOBS
        for column in (
            Column(f"{name}_sha256", String(64)),
            Column(f"{name}_size", BigInteger),
        )
    ),
    Column("parts", Integer),
    Column("refused_parts", JSON, nullable=False),
    Column("noted", JSON, nullable=False),
    Column("uploaded", Boolean, nullable=False),
    Column("depth", Integer, nullable=False),
    Column("root", String(64)),
    Column("created", Time, nullable=False),
    Column("updated", Time, nullable=False),
    Column("ended", Time),
    Column("deleted", Time),
    Column("deleted_by", String(100)),
    Column("purged", Time),
    Column("change", BigInteger),
)
_alive = documents.c.deleted.is_(None)
Index(
    "documents_same_bytes",
    documents.c.tenant,
    documents.c.original_sha256,
    unique=True,
    sqlite_where=_alive,
    postgresql_where=_alive,
)
for _name in ("readable", "text", "layout"):
    Index(f"documents_{_name}", documents.c.tenant, documents.c[f"{_name}_sha256"])
_in_work = and_(_alive, documents.c.state != literal_column("'ended'"))
"""Of a row of `documents`: it was accepted, and has no outcome yet."""
Index(
    "documents_in_work",
    documents.c.tenant,
    sqlite_where=_in_work,
    postgresql_where=_in_work,
)
Index("documents_newest", documents.c.tenant, documents.c.created, documents.c.id)
Index("documents_root", documents.c.tenant, documents.c.root)
Index("documents_changes", documents.c.tenant, documents.c.change)
Index("documents_deleted", documents.c.tenant, documents.c.deleted)
_unnumbered = documents.c.change.is_(None)
Index(
    "documents_unnumbered",
    documents.c.tenant,
    documents.c.updated,
    sqlite_where=_unnumbered,
    postgresql_where=_unnumbered,
)

links = Table(
    "links",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("parent", String(64), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("child", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("created", Time, nullable=False),
    Index("links_child", "tenant", "child"),
)
"""Which document lies in which, under what name. A link outlives its child, not its parent."""

early_pages = Table(
    "early_pages",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("document_id", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("text", LargeBinary, nullable=False),
    Column("width", Float, nullable=False),
    Column("height", Float, nullable=False),
    Column("method", String(64), nullable=False),
    Column("confidence", Float),
    Column("code", String(64)),
    Column("reason", Text),
)
"""Pages of documents that are being read, until that has ended, see `early`."""

numbers = Table(
    "numbers",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("last", BigInteger, nullable=False),
)
"""The highest number that a change of a tenant's documents was given, see Changes."""

keys = Table(
    "keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("name", String(100), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("parent", String(16), ForeignKey("keys.id", ondelete="CASCADE")),
    Column("created", Time, nullable=False),
    Column("created_by", String(100)),
    Column("expires", Time),
    Column("revoked", Time),
    Column("last_used", Time),
    Column("scopes", Text),  # names with spaces between them; NULL, as before there were any: all
    Index("keys_of_tenant", "tenant", "created"),
)


@dataclass(frozen=True)
class Filters:
    """What is asked of documents in a list; None: anything. All of it has to hold.

    `parent` is the mail or archive that they lie in, `actor` who uploaded them; they were uploaded
    at the moment `since` or later, and earlier than `before`.
    """

    state: State | None = None
    kind: Kind | None = None
    outcome: Outcome | None = None
    parent: str | None = None
    sha256: str | None = None
    actor: str | None = None
    since: datetime | None = None
    before: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """What a row has to be like, but for what lies in what."""
        same = {
            documents.c.state: self.state,
            documents.c.kind: self.kind,
            documents.c.outcome: self.outcome,
            documents.c.original_sha256: self.sha256,
            documents.c.actor: self.actor,
        }
        found = [column == value for column, value in same.items() if value is not None]
        if self.since is not None:
            found.append(documents.c.created >= self.since)
        if self.before is not None:
            found.append(documents.c.created < self.before)
        return found


class Documents:
    """The documents of one tenant that are not deleted, within one transaction."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant
        self._mine = and_(documents.c.tenant == tenant, _alive)

    def get(self, document_id: str, *, for_update: bool = False) -> Document | None:
        """One document, or None if the tenant has none of that id."""
        query = select(documents).where(self._mine, documents.c.id == document_id)
        return self._one(query.with_for_update() if for_update else query)

    def of_bytes(self, sha256: str) -> Document | None:
        """The living document of these bytes, held until the transaction ends."""
        query = select(documents).where(self._mine, documents.c.original_sha256 == sha256)
        return self._one(query.with_for_update())

    def knows(self, sha256: str) -> bool:
        """Whether a living document has these bytes; nothing is held."""
        query = select(documents.c.id).where(self._mine, documents.c.original_sha256 == sha256)
        return self.session.execute(query.limit(1)).first() is not None

    def in_work(self, most: int, *, of_all: bool = False) -> int:
        """How many have no outcome yet, counted no further than one beyond `most`; those of all
        tenants together if so wished.
        """
        rows = select(documents.c.tenant).where(_in_work).limit(most + 1)
        if not of_all:
            rows = rows.where(documents.c.tenant == self.tenant)
        query = select(func.count()).select_from(rows.subquery())
        if of_all:
            query = across_tenants(query, "room in the queue")
        return self.session.execute(query).scalar_one()

    def add(self, document: Document) -> None:
        """Keep a new one. Raises DuplicateDocument if the same bytes arrived meanwhile."""
        self.session.execute(insert(documents), _to_row(document))

    def save(self, document: Document) -> None:
        """Keep what has changed."""
        mine = update(documents).where(self._mine, documents.c.id == document.id)
        self.session.execute(mine, _to_row(document))  # not `values`: it is built anew each time
        if document.progress.reading is None:
            self._forget_early(document.id)

    def page(
        self, filters: Filters, *, limit: int, cursor: str | None = None
    ) -> tuple[list[Document], str | None]:
        """Documents, newest first, and the cursor that the list goes on from."""
        query = select(documents).where(self._mine, *filters.conditions())
        if filters.parent is not None:
            children = select(links.c.child).where(
                links.c.tenant == self.tenant, links.c.parent == filters.parent
            )
            query = query.where(documents.c.id.in_(children))
        if cursor is not None:
            created, document_id = decode_cursor(cursor)
            query = query.where(
                or_(
                    documents.c.created < created,
                    and_(documents.c.created == created, documents.c.id < document_id),
                )
            )
        query = query.order_by(documents.c.created.desc(), documents.c.id.desc()).limit(limit + 1)
        found = [_from_row(row) for row in self.session.execute(query).mappings()]
        more = None
        if len(found) > limit:
            more = encode_cursor(found[limit - 1].created, found[limit - 1].id)
        return found[:limit], more

    def link(self, parent: str, children: Iterable[Relative]) -> None:
        """Note what lies in a mail or archive, in order. What lay in it before stays linked."""
        new = [(one.id, one.name) for one in children]
        mine = and_(links.c.tenant == self.tenant, links.c.parent == parent)
        query = select(links.c.child, links.c.name).where(mine).order_by(links.c.position)
        before = self.session.execute(query).all()
        stay = self._uploaded({child for child, _ in before}).keys() - {child for child, _ in new}
        new += [(child, name) for child, name in before if child in stay]
        self.session.execute(delete(links).where(mine))
        common = {"tenant": self.tenant, "parent": parent, "created": now_utc()}
        rows = [
            {**common, "position": position, "child": child, "name": name}
            for position, (child, name) in enumerate(new)
        ]
        if rows:
            self.session.execute(insert(links), rows)

    def families(self, ids: Sequence[str]) -> dict[str, Family]:
        """What each of these lies in, the first that it came in first; and what lies in each."""
        parents: dict[str, list[Relative]] = {one: [] for one in ids}
        parts: dict[str, list[Relative]] = {one: [] for one in ids}
        for some in _few(ids):
            up = (
                select(links.c.child, documents.c.id, documents.c.name)
                .join(documents, and_(documents.c.id == links.c.parent, self._mine))
                .where(links.c.tenant == self.tenant, links.c.child.in_(some))
                .order_by(links.c.created, links.c.parent, links.c.position)
            )
            for child, parent, name in self.session.execute(up):
                if all(one.id != parent for one in parents[child]):
                    parents[child].append(Relative(parent, name))
            down = (
                select(links.c.parent, documents.c.id, links.c.name)
                .outerjoin(documents, and_(documents.c.id == links.c.child, self._mine))
                .where(links.c.tenant == self.tenant, links.c.parent.in_(some))
                .order_by(links.c.parent, links.c.position)
            )
            for parent, child, name in self.session.execute(down):
                parts[parent].append(Relative(child, name))
        return {one: Family(tuple(parents[one]), tuple(parts[one])) for one in ids}

    def lies_in(self, document_id: str) -> set[str]:
        """The document itself, and everything that it lies in, however deep."""
        found, new = {document_id}, {document_id}
        while new:
            new = {parent for parent, _ in self._pairs(links.c.child, new)} - found
            found |= new
        return found

    def goes_with(self, document_id: str) -> list[str]:
        """A document and the parts that are deleted with it, however deep: those that nobody
        uploaded by themselves, and that lie in nothing which stays.
        """
        going, new = {document_id: None}, [document_id]
        while new:
            inside = {child for _, child in self._pairs(links.c.parent, new)} - going.keys()
            around = self._pairs(links.c.child, inside)
            uploaded = self._uploaded(inside | {parent for parent, _ in around})
            held = {child for parent, child in around if parent in uploaded.keys() - going.keys()}
            new = sorted(one for one in inside - held if uploaded.get(one) is False)
            going |= dict.fromkeys(new)
        return list(going)

    def weight(self, root: str) -> tuple[int, int]:
        """How many documents came in one upload, and their bytes."""
        query = select(func.count(), func.coalesce(func.sum(documents.c.original_size), 0))
        number, size = self.session.execute(query.where(self._mine, documents.c.root == root)).one()
        return int(number), int(size)

    def delete(self, document_id: str, actor: str) -> None:
        """Leave a tombstone: who, when, and what is still to be removed. Names go at once."""
        self._forget_early(document_id)
        self.session.execute(
            delete(links).where(links.c.tenant == self.tenant, links.c.parent == document_id)
        )
        self.session.execute(
            update(documents)
            .where(self._mine, documents.c.id == document_id)
            .values(
                name="",
                warnings=[],
                doubts=[],
                failures=[],
                failed_pages=[],
                refused_parts=[],
                deleted=now_utc(),
                deleted_by=actor,
                change=None,
            )
        )

    def tombstone(self, document_id: str) -> frozenset[BlobRef] | None:
        """The blobs that a deleted document still names; None if it is unknown, alive or purged."""
        row = (
            self.session.execute(
                select(documents).where(
                    documents.c.tenant == self.tenant,
                    documents.c.id == document_id,
                    documents.c.deleted.is_not(None),
                    documents.c.purged.is_(None),
                )
            )
            .mappings()
            .one_or_none()
        )
        if row is None:
            return None
        named = (ref for name in BLOBS if (ref := _blob(row, name)))
        return frozenset((*named, *(BlobRef(**noted) for noted in row["noted"])))

    def purged(self, document_id: str) -> None:
        """Note that nothing of a deleted document is left; its tombstone names no blobs then."""
        gone = {f"{name}_{part}": None for name in BLOBS for part in ("sha256", "size")}
        self.session.execute(
            update(documents)
            .where(
                documents.c.tenant == self.tenant,
                documents.c.id == document_id,
                documents.c.deleted.is_not(None),
            )
            .values(purged=now_utc(), noted=[], **gone)
        )

    def unused(self, refs: Iterable[BlobRef]) -> list[BlobRef]:
        """Those blobs that no living document of the tenant names, nor has noted for its first
        pages while the others are read.
        """
        return [ref for ref in refs if not self._named(ref) and not self._handed_on(ref)]

    def _forget_early(self, document_id: str) -> None:
        mine = and_(early_pages.c.tenant == self.tenant, early_pages.c.document_id == document_id)
        self.session.execute(delete(early_pages).where(mine))

    def _pairs(self, column: Column[str], ids: Iterable[str]) -> set[tuple[str, str]]:
        """Parent and child of the links that have one of these in a column."""
        found: set[tuple[str, str]] = set()
        for some in _few(ids):
            query = select(links.c.parent, links.c.child)
            mine = query.where(links.c.tenant == self.tenant, column.in_(some))
            found |= {(parent, child) for parent, child in self.session.execute(mine)}
        return found

    def _uploaded(self, ids: Iterable[str]) -> dict[str, bool]:
        """Whether they were uploaded by themselves, of those that live."""
        found: dict[str, bool] = {}
        for some in _few(ids):
            query = select(documents.c.id, documents.c.uploaded)
            rows = self.session.execute(query.where(self._mine, documents.c.id.in_(some)))
            found |= {one: bool(uploaded) for one, uploaded in rows}
        return found

    def _named(self, ref: BlobRef) -> bool:
        anywhere = or_(*(documents.c[f"{name}_sha256"] == ref.sha256 for name in BLOBS))
        query = select(exists().where(self._mine, anywhere))
        return bool(self.session.execute(query).scalar_one())

    def _handed_on(self, ref: BlobRef) -> bool:
        """Whether the text of first pages is that of a document which is read right now."""
        read_now = select(early_pages.c.document_id).where(early_pages.c.tenant == self.tenant)
        query = select(documents.c.noted).where(self._mine, documents.c.id.in_(read_now))
        found = self.session.execute(query).scalars()
        return any(noted["sha256"] == ref.sha256 for some in found for noted in some)

    def _one(self, query: Any) -> Document | None:
        row = self.session.execute(query).mappings().one_or_none()
        return None if row is None else _from_row(row)


class Changes:
    """The order in which the documents of a tenant changed, within one transaction.

    Whatever changes a document takes its number away. Whoever listens has those numbered that have
    none: one after the other under a lock, and only what is committed. So a number is never given
    below one that somebody has seen already, whichever transaction took long, and no transaction
    that changes a document waits for another one because of it.
    """

    _AT_ONCE = 500

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self._mine = documents.c.tenant == tenant
        self._tenant = tenant

    def waiting(self) -> bool:
        """Whether something has changed that has no number yet."""
        return bool(
            self.session.execute(select(exists().where(self._mine, _unnumbered))).scalar_one()
        )

    def number(self) -> int:
        """Number some of those that wait, in the order of their time. Returns how many."""
        lock(self.session, f"changes of {self._tenant}")
        query = (
            select(documents.c.id)
            .where(self._mine, _unnumbered)
            .order_by(func.coalesce(documents.c.deleted, documents.c.updated), documents.c.id)
            .limit(self._AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        ids = self.session.execute(query).scalars().all()
        last = self.last()
        for number, one in enumerate(ids, last + 1):
            mine = and_(self._mine, documents.c.id == one)
            self.session.execute(update(documents).where(mine).values(change=number))
        self._keep(last + len(ids))
        return len(ids)

    def last(self) -> int:
        """The highest number that was given; 0 where there is none."""
        query = select(numbers.c.last).where(numbers.c.tenant == self._tenant)
        return int(self.session.execute(query).scalar_one_or_none() or 0)

    def _keep(self, last: int) -> None:
        mine = numbers.c.tenant == self._tenant
        if not self.session.execute(update(numbers).where(mine).values(last=last)).rowcount:  # type: ignore[attr-defined]
            self.session.execute(insert(numbers).values(tenant=self._tenant, last=last))

    def over(self, document_id: str, seen: int) -> bool:
        """Whether a document has ended or is deleted, by a change that is no later than `seen`."""
        ended = or_(documents.c.state == "ended", ~_alive)
        mine = and_(self._mine, documents.c.id == document_id, documents.c.change <= seen)
        return bool(self.session.execute(select(exists().where(mine, ended))).scalar_one())

    def after(
        self, number: int, document_id: str | None = None
    ) -> list[tuple[int, str, Document | None]]:
        """Number, id and document of what changed later, the first of it; None for a deleted one.

        A document is there once, as it is now, however often it changed.
        """
        query = select(documents).where(self._mine, documents.c.change > number)
        if document_id is not None:
            query = query.where(documents.c.id == document_id)
        rows = self.session.execute(query.order_by(documents.c.change).limit(100)).mappings()
        return [
            (row["change"], row["id"], None if row["deleted"] else _from_row(row)) for row in rows
        ]


def _few(ids: Iterable[str]) -> Iterator[list[str]]:
    """So many at a time as every database takes in one query."""
    every = list(ids)
    for start in range(0, len(every), 500):
        yield every[start : start + 500]


def lock_blobs(session: Session, tenant: str) -> None:
    """Keep naming blobs and removing them apart, so that none is removed as it gets its name."""
    lock(session, f"blobs of {tenant}")


def require_blobs(blobs: BlobStore, tenant: str, refs: Iterable[BlobRef]) -> None:
    """Called after `lock_blobs`: raise BlobVanished if one of them was removed a moment ago."""
    for ref in refs:
        try:
            blobs.open(tenant, ref).close()
        except MissingBlob:
            raise BlobVanished(
                f"blob {ref.sha256} was removed with another document meanwhile: try again"
            ) from None


def remove_unused(
    session: Session, blobs: BlobStore, tenant: str, refs: Iterable[BlobRef]
) -> list[BlobRef]:
    """Remove those blobs that no living document of the tenant names. Returns them."""
    lock_blobs(session, tenant)
    unused = Documents(session, tenant).unused(set(refs))
    for ref in unused:
        blobs.delete(tenant, ref)
    return unused


class BlobVanished(Unavailable):
    """Bytes were removed with another document at the very moment they got their name here."""

    code = "blob_vanished"


_A_KEY = "a key says itself whose it is"
_OPERATOR = "an operator looks after keys"


class KeyRows:
    """The keys, within one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def find(self, key_id: str) -> Key | None:
        """A key by its id, of whatever tenant: whoever asks does not say one yet."""
        query = across_tenants(select(keys).where(keys.c.id == key_id), _A_KEY)
        row = self.session.execute(query).mappings().one_or_none()
        return None if row is None else _key(row)

    def add(self, key: Key) -> None:
        """Keep a new one."""
        row = {**asdict(key), "scopes": " ".join(ordered(key.scopes))}
        self.session.execute(insert(keys).values(row))

    def remove(self, key_id: str) -> None:
        """Forget a key altogether."""
        gone = delete(keys).where(keys.c.id == key_id)
        self.session.execute(across_tenants(gone, _A_KEY))

    def empty(self) -> bool:
        """Whether there never was a key."""
        query = across_tenants(select(exists().where(keys.c.kind == "key")), "the first key")
        return not self.session.execute(query).scalar_one()

    def list(self, tenant: str | None) -> list[Key]:
        """Keys without sessions, oldest first."""
        query = select(keys).where(keys.c.kind == "key").order_by(keys.c.created, keys.c.id)
        if tenant is None:
            query = across_tenants(query, _OPERATOR)
        else:
            query = query.where(keys.c.tenant == tenant)
        return [_key(row) for row in self.session.execute(query).mappings()]

    def revoke(self, key_id: str, tenant: str | None, now: datetime) -> bool:
        """End a key; one that has ended keeps its time. Returns whether there is such a key."""
        mine = and_(keys.c.id == key_id, keys.c.kind == "key")
        if tenant is not None:
            mine = and_(mine, keys.c.tenant == tenant)
        end = update(keys).where(mine, keys.c.revoked.is_(None)).values(revoked=now)
        there = select(exists().where(mine))
        if tenant is None:
            end, there = across_tenants(end, _OPERATOR), across_tenants(there, _OPERATOR)
        self.session.execute(end)
        return bool(self.session.execute(there).scalar_one())

    def end_session(self, key_id: str, tenant: str, now: datetime) -> None:
        """End a session."""
        self.session.execute(
            update(keys)
            .where(keys.c.id == key_id, keys.c.tenant == tenant, keys.c.kind == "session")
            .values(revoked=now)
        )

    def forget_sessions_before(self, moment: datetime) -> None:
        """Sessions that ended long ago are of no use to anybody."""
        old = delete(keys).where(keys.c.kind == "session", keys.c.expires < moment)
        self.session.execute(across_tenants(old, "sessions that ended long ago"))

    def used(self, key_id: str, now: datetime) -> None:
        """Note when a key was used."""
        used = update(keys).where(keys.c.id == key_id).values(last_used=now)
        self.session.execute(across_tenants(used, _A_KEY))


def _key(row: Mapping[Any, Any]) -> Key:
    scopes = ALL if row["scopes"] is None else frozenset(row["scopes"].split())
    return Key(**{**row, "scopes": scopes})


def unsure_kinds(session: Session, tenant: str) -> frozenset[str]:
    """Ids of a tenant's documents of which a person is still to say the kind."""
    query = select(documents.c.id, documents.c.kind_source, documents.c.guess).where(
        documents.c.tenant == tenant, _alive
    )
    return frozenset(row["id"] for row in session.execute(query).mappings() if _is_unsure(row))


def _is_unsure(row: RowMapping) -> bool:
    """As `Document.asks_kind` has it."""
    return bool(row["kind_source"] == "type" and row["guess"] and row["guess"]["unsure"])


def holdings(session: Session) -> Iterator[Known]:
    """What is known of each document of every tenant, for whoever looks after the place."""
    columns = (
        *("id", "tenant", "state", "attempt", "pages", "results", "noted", "updated", "deleted"),
        *("purged", *(f"{name}_{part}" for name in BLOBS for part in ("sha256", "size"))),
        *("kind_source", "guess"),
    )
    query = across_tenants(select(*(documents.c[name] for name in columns)), "upkeep")
    alike: dict[frozenset[str], frozenset[str]] = {}
    for row in session.execute(query.execution_options(yield_per=1000)).mappings():
        living, read = row["deleted"] is None, row["pages"] is not None
        results = frozenset(row["results"])
        named = [
            (name, Blob(sha256, row[f"{name}_size"]))
            for name in BLOBS
            if (sha256 := row[f"{name}_sha256"]) is not None
        ]
        needed = [one for one in named if living and (read or one[0] in ("original", "readable"))]
        yield Known(
            tenant=sys.intern(row["tenant"]),
            id=row["id"],
            living=living,
            purged=row["purged"] is not None,
            ended=row["state"] == "ended",
            attempt=row["attempt"],
            is_read=read,
            results=alike.setdefault(results, results),
            required=tuple(needed),
            noted=(
                *(ref for name, ref in named if (name, ref) not in needed),
                *(Blob.of(ref) for ref in row["noted"]),
            ),
            changed=row["deleted"] or row["updated"],
            kind_unsure=_is_unsure(row),
        )


def _to_row(document: Document) -> dict[str, Any]:
    progress = document.progress
    row: dict[str, Any] = {
        "id": document.id,
        "tenant": document.tenant,
        "name": document.name,
        "media_type": document.media_type,
        "actor": document.actor,
        "kind": progress.kind,
        "kind_source": document.kind_source,
        "state": progress.state,
        "outcome": progress.outcome,
        "attempt": progress.attempt,
        "pages": progress.pages,
        "pages_done": progress.reading.done if progress.reading else None,
        "pages_of": progress.reading.of if progress.reading else None,
        "failed_pages": [asdict(page) for page in progress.failed_pages],
        "announced": progress.announced,
        "results": sorted(progress.results),
        "failures": [asdict(failure) for failure in sorted(progress.failures)],
        "cancelled": progress.cancelled,
        "warnings": list(document.warnings),
        "doubts": list(progress.doubts),
        "guess": asdict(document.guess) if document.guess else None,
        "adapters": list(document.adapters),
        "read_by": list(progress.read_by),
        "parts": progress.parts,
        "refused_parts": [asdict(part) for part in progress.refused],
        "noted": [ref.model_dump() for ref in document.noted],
        "uploaded": document.uploaded,
        "depth": document.depth,
        "root": document.root,
        "created": document.created,
        "updated": document.updated,
        "ended": document.ended,
        "change": None,  # see Changes
    }
    for name in BLOBS:
        ref: BlobRef | None = getattr(document, name)
        row[f"{name}_sha256"] = ref.sha256 if ref else None
        row[f"{name}_size"] = ref.size if ref else None
    return row


def _from_row(row: RowMapping) -> Document:
    refs = {name: _blob(row, name) for name in BLOBS}
    original, readable = refs["original"], refs["readable"]
    assert original is not None
    assert readable is not None
    return Document(
        id=row["id"],
        tenant=row["tenant"],
        name=row["name"],
        media_type=row["media_type"],
        original=original,
        readable=readable,
        text=refs["text"],
        layout=refs["layout"],
        actor=row["actor"],
        kind_source=row["kind_source"],
        progress=Progress(
            kind=row["kind"],
            attempt=row["attempt"],
            pages=row["pages"],
            failed_pages=tuple(FailedPage(**page) for page in row["failed_pages"]),
            announced=row["announced"],
            results=frozenset(row["results"]),
            failures=frozenset(Failure(**failure) for failure in row["failures"]),
            parts=row["parts"],
            refused=tuple(RefusedPart(**part) for part in row["refused_parts"]),
            only_parts=has_only_parts(row["media_type"], row["kind"], row["kind_source"]),
            cancelled=row["cancelled"],
            doubts=tuple(row["doubts"]),
            read_by=tuple(row["read_by"]),
            so_far=SoFar(row["pages_done"], row["pages_of"]) if row["pages_done"] else None,
        ),
        warnings=tuple(row["warnings"]),
        guess=Guess(**row["guess"]) if row["guess"] else None,
        adapters=tuple(row["adapters"]),
        created=row["created"],
        updated=row["updated"],
        ended=row["ended"],
        noted=tuple(BlobRef(**noted) for noted in row["noted"]),
        uploaded=row["uploaded"],
        depth=row["depth"],
        root=row["root"],
    )


def _blob(row: RowMapping, name: str) -> BlobRef | None:
    sha256 = row[f"{name}_sha256"]
    return None if sha256 is None else BlobRef(sha256=sha256, size=row[f"{name}_size"])


def encode_cursor(created: datetime, last: str) -> str:
    """Where a list that is ordered by moment and id goes on after its last one."""
    mark = f"{created.isoformat()}|{last}"
    return base64.urlsafe_b64encode(mark.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """Moment and id of the last one that was shown. Raises InvalidRequest."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        created, _, last = base64.urlsafe_b64decode(padded).decode().partition("|")
        moment = datetime.fromisoformat(created)
        if moment.tzinfo is not None and re.fullmatch(ID, last):
            return moment.astimezone(UTC), last
    except (ValueError, OverflowError):
        pass
    raise InvalidRequest("the cursor is not one of ours: begin the list again without it")
