"""Tables and queries of ingest. Every query names the tenant."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.ingest.domain import (
    Classification,
    Document,
    Failure,
    Family,
    Key,
    Outcome,
    PageProgress,
    Progress,
    Relative,
    State,
    ends_with_its_parts,
    now_utc,
)
from shared.blobs import BlobStore, MissingBlob
from shared.blobs.references import Blob, DocumentBlobs
from shared.documents import FailedPage, PageRead, RefusedPart
from shared.errors import InvalidRequest, NotFound, Unavailable
from shared.events import BlobRef, DocumentIngested, DocumentTitle, Kind
from shared.messaging.tables import Time
from shared.storage.locks import lock
from shared.storage.tenant_isolation import across_tenants
from shared.web.parameters import ID
from shared.web.scopes import sort_scopes

MIGRATIONS = Path(__file__).parent / "migrations"
BLOBS = ("original", "readable", "text", "layout")

DuplicateDocument = IntegrityError
"""Two uploads of the same bytes met; the tenant has a document of them already."""

metadata = sa.MetaData()

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("media_type", sa.String(100), nullable=False),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("kind_source", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("outcome", sa.String(16)),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("pages", sa.Integer),
    sa.Column("pages_done", sa.Integer),
    sa.Column("pages_total", sa.Integer),
    sa.Column("failed_pages", sa.JSON, nullable=False),
    sa.Column("announced", sa.Boolean, nullable=False),
    sa.Column("results", sa.JSON, nullable=False),
    sa.Column("failures", sa.JSON, nullable=False),
    sa.Column("cancelled", sa.String(100)),
    sa.Column("warnings", sa.JSON, nullable=False),
    sa.Column("result_warnings", sa.JSON, nullable=False),
    sa.Column("classification", sa.JSON(none_as_null=True)),
    sa.Column("adapters", sa.JSON, nullable=False),
    sa.Column("read_by", sa.JSON, nullable=False),
    *(
        column
        for name in BLOBS
        for column in (
            sa.Column(f"{name}_sha256", sa.String(64)),
            sa.Column(f"{name}_size", sa.BigInteger),
        )
    ),
    sa.Column("parts", sa.Integer),
    sa.Column("refused_parts", sa.JSON, nullable=False),
    sa.Column("noted", sa.JSON, nullable=False),
    sa.Column("uploaded", sa.Boolean, nullable=False),
    sa.Column("depth", sa.Integer, nullable=False),
    sa.Column("root", sa.String(64)),
    sa.Column("title", sa.Text),
    sa.Column("parties", sa.JSON(none_as_null=True)),
    sa.Column("tags", sa.Text),  # each between line ends
    sa.Column("assignee", sa.String(100)),
    sa.Column("words", sa.Text),
    sa.Column("sort_name", sa.Text),
    sa.Column("created", Time, nullable=False),
    sa.Column("updated", Time, nullable=False),
    sa.Column("ended", Time),
    sa.Column("deleted", Time),
    sa.Column("deleted_by", sa.String(100)),
    sa.Column("purged", Time),
    sa.Column("change", sa.BigInteger),
)
_alive = documents.c.deleted.is_(None)
sa.Index(
    "documents_same_bytes",
    documents.c.tenant,
    documents.c.original_sha256,
    unique=True,
    sqlite_where=_alive,
    postgresql_where=_alive,
)
for _name in ("readable", "text", "layout"):
    sa.Index(f"documents_{_name}", documents.c.tenant, documents.c[f"{_name}_sha256"])
_in_work = sa.and_(_alive, documents.c.state != sa.literal_column("'ended'"))
"""Condition of rows in `documents` that have no outcome yet."""
sa.Index(
    "documents_in_work",
    documents.c.tenant,
    sqlite_where=_in_work,
    postgresql_where=_in_work,
)
sa.Index("documents_newest", documents.c.tenant, documents.c.created, documents.c.id)
sa.Index("documents_root", documents.c.tenant, documents.c.root)
sa.Index("documents_changes", documents.c.tenant, documents.c.change)
sa.Index("documents_deleted", documents.c.tenant, documents.c.deleted)
_unnumbered = documents.c.change.is_(None)
sa.Index(
    "documents_unnumbered",
    documents.c.tenant,
    documents.c.updated,
    sqlite_where=_unnumbered,
    postgresql_where=_unnumbered,
)

links = sa.Table(
    "links",
    metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("parent", sa.String(64), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("child", sa.String(64), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created", Time, nullable=False),
    sa.Index("links_child", "tenant", "child"),
)
"""Parts of mails and archives and their names there. A link outlives its child, not its parent."""

first_pages = sa.Table(
    "first_pages",
    metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("document_id", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("text", sa.LargeBinary, nullable=False),
    sa.Column("width", sa.Float, nullable=False),
    sa.Column("height", sa.Float, nullable=False),
    sa.Column("method", sa.String(64), nullable=False),
    sa.Column("confidence", sa.Float),
    sa.Column("code", sa.String(64)),
    sa.Column("reason", sa.Text),
)
"""Pages of documents that are being read, see `first_pages`."""

numbers = sa.Table(
    "numbers",
    metadata,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("last", sa.BigInteger, nullable=False),
)
"""The highest number of a change in each tenant, see Changes."""

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("parent", sa.String(16), sa.ForeignKey("keys.id", ondelete="CASCADE")),
    sa.Column("created", Time, nullable=False),
    sa.Column("created_by", sa.String(100)),
    sa.Column("expires", Time),
    sa.Column("revoked", Time),
    sa.Column("last_used", Time),
    sa.Column("scopes", sa.Text, nullable=False),  # names, separated by spaces
    sa.Column("addresses", sa.Text),  # by spaces, too; null: from anywhere
    sa.Column("old_digest", sa.LargeBinary),
    sa.Column("old_secret_until", Time),
    sa.Column("address", sa.String(64)),
    sa.Column("user_agent", sa.String(200)),
    sa.Index("keys_of_tenant", "tenant", "created"),
)


Sort = Literal["received", "-received", "name", "-name", "pages", "-pages", "state", "-state"]
"""The order of a list of documents; descending with a minus. `state` is the outcome of an ended
document."""
_SORTED_BY: dict[str, sa.ColumnElement[Any]] = {
    "received": documents.c.created,
    "name": documents.c.sort_name,
    "pages": sa.func.coalesce(documents.c.pages, 0),
    "state": sa.func.coalesce(documents.c.outcome, documents.c.state),
}


@dataclass(frozen=True)
class Filters:
    """Filters of a list of documents; all must hold, None means any.

    `words` must all be in its name, title, parties or tags, in any case. `name` is a part of the
    file name in any case, `parent` the mail or archive, `actor` the uploader; uploads from `since`
    on and before `before`.
    """

    words: tuple[str, ...] = ()
    tag: str | None = None
    assignee: str | None = None

    name: str | None = None
    state: State | None = None
    kind: Kind | None = None
    outcome: Outcome | None = None
    parent: str | None = None
    sha256: str | None = None
    actor: str | None = None
    since: datetime | None = None
    before: datetime | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on rows of `documents`, without `parent`."""
        same = {
            documents.c.state: self.state,
            documents.c.kind: self.kind,
            documents.c.outcome: self.outcome,
            documents.c.original_sha256: self.sha256,
            documents.c.actor: self.actor,
            documents.c.assignee: self.assignee,
        }
        found = [column == value for column, value in same.items() if value is not None]
        found += (
            documents.c.words.contains(word.casefold(), autoescape=True) for word in self.words
        )
        if self.tag is not None:
            found.append(documents.c.tags.contains(f"\n{self.tag}\n", autoescape=True))
        if self.name is not None:
            found.append(documents.c.name.icontains(self.name, autoescape=True))
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
        self._mine = sa.and_(documents.c.tenant == tenant, _alive)

    def get(self, document_id: str, *, for_update: bool = False) -> Document | None:
        query = sa.select(documents).where(self._mine, documents.c.id == document_id)
        return self._get_one(query.with_for_update() if for_update else query)

    def get_by_hash(self, sha256: str) -> Document | None:
        """Return the document of these bytes and lock its row."""
        query = sa.select(documents).where(self._mine, documents.c.original_sha256 == sha256)
        return self._get_one(query.with_for_update())

    def require(self, document_id: str, *, for_update: bool = False) -> Document:
        """Return the document. Raises NotFound, also for a document of another tenant."""
        document = self.get(document_id, for_update=for_update)
        if document is None:
            raise NotFound(f"There is no document {document_id}.", document=document_id)
        return document

    def unread(self, event: DocumentIngested, *, for_update: bool = True) -> Document | None:
        """Return the document if the attempt of this event still has to be read."""
        document = self.get(event.document_id, for_update=for_update)
        return document if document and document.awaits_reading(event.attempt) else None

    def knows(self, sha256: str) -> bool:
        """Return whether a document has these bytes, without a lock."""
        query = sa.select(documents.c.id).where(self._mine, documents.c.original_sha256 == sha256)
        return self.session.execute(query.limit(1)).first() is not None

    def in_work(self, limit: int, *, of_all: bool = False) -> int:
        """Count documents without an outcome, up to one more than `limit`.

        Args:
            of_all: count those of all tenants together.
        """
        rows = sa.select(documents.c.tenant).where(_in_work).limit(limit + 1)
        if not of_all:
            rows = rows.where(documents.c.tenant == self.tenant)
        query = sa.select(sa.func.count()).select_from(rows.subquery())
        if of_all:
            query = across_tenants(query, "documents in work")
        return self.session.execute(query).scalar_one()

    def add(self, document: Document) -> None:
        """Insert a document. Raises DuplicateDocument if the same bytes arrived meanwhile."""
        self.session.execute(sa.insert(documents), _to_row(document))

    def save(self, document: Document) -> None:
        mine = sa.update(documents).where(self._mine, documents.c.id == document.id)
        self.session.execute(mine, _to_row(document))  # not `values`: that compiles each time
        if document.progress.reading is None:
            self._forget_first_pages(document.id)

    def page(
        self,
        filters: Filters,
        *,
        limit: int,
        cursor: str | None = None,
        sort: Sort = "-received",
    ) -> tuple[list[Document], str | None]:
        """Return documents in this order, and the cursor of the next page.

        Raises InvalidRequest for an invalid cursor.
        """
        query = sa.select(documents).where(self._mine, *filters.conditions())
        if filters.parent is not None:
            children = sa.select(links.c.child).where(
                links.c.tenant == self.tenant, links.c.parent == filters.parent
            )
            query = query.where(documents.c.id.in_(children))
        rows, following = _sorted(self.session, query, sort, limit, cursor)
        return [_from_row(row) for row in rows], following

    def link(self, parent: str, children: Iterable[Relative]) -> None:
        """Store the parts of a mail or archive in order.

        Earlier parts that were uploaded separately stay linked.
        """
        new = [(one.id, one.name) for one in children]
        mine = sa.and_(links.c.tenant == self.tenant, links.c.parent == parent)
        query = sa.select(links.c.child, links.c.name).where(mine).order_by(links.c.position)
        before = self.session.execute(query).all()
        stay = self._uploaded({child for child, _ in before}).keys() - {child for child, _ in new}
        new += [(child, name) for child, name in before if child in stay]
        self.session.execute(sa.delete(links).where(mine))
        common = {"tenant": self.tenant, "parent": parent, "created": now_utc()}
        rows = [
            {**common, "position": position, "child": child, "name": name}
            for position, (child, name) in enumerate(new)
        ]
        if rows:
            self.session.execute(sa.insert(links), rows)

    def families(self, ids: Sequence[str]) -> dict[str, Family]:
        """Return the parents of each document, oldest link first, and its parts."""
        parents: dict[str, list[Relative]] = {one: [] for one in ids}
        parts: dict[str, list[Relative]] = {one: [] for one in ids}
        for batch in _batches(ids):
            up = (
                sa.select(links.c.child, documents.c.id, documents.c.name)
                .join(documents, sa.and_(documents.c.id == links.c.parent, self._mine))
                .where(links.c.tenant == self.tenant, links.c.child.in_(batch))
                .order_by(links.c.created, links.c.parent, links.c.position)
            )
            for child, parent, name in self.session.execute(up):
                if all(one.id != parent for one in parents[child]):
                    parents[child].append(Relative(parent, name))
            down = (
                sa.select(links.c.parent, documents.c.id, links.c.name)
                .outerjoin(documents, sa.and_(documents.c.id == links.c.child, self._mine))
                .where(links.c.tenant == self.tenant, links.c.parent.in_(batch))
                .order_by(links.c.parent, links.c.position)
            )
            for parent, child, name in self.session.execute(down):
                parts[parent].append(Relative(child, name))
        return {one: Family(tuple(parents[one]), tuple(parts[one])) for one in ids}

    def ancestors(self, document_id: str) -> set[str]:
        """Return the document and everything around it, at any depth."""
        found, new = {document_id}, {document_id}
        while new:
            new = {parent for parent, _ in self._pairs(links.c.child, new)} - found
            found |= new
        return found

    def deleted_with(self, document_id: str) -> list[str]:
        """Return a document and the parts that are deleted with it, at any depth.

        Parts stay that were uploaded separately or are part of something that stays.
        """
        going, new = {document_id: None}, [document_id]
        while new:
            inside = {child for _, child in self._pairs(links.c.parent, new)} - going.keys()
            around = self._pairs(links.c.child, inside)
            uploaded = self._uploaded(inside | {parent for parent, _ in around})
            staying = {
                child for parent, child in around if parent in uploaded.keys() - going.keys()
            }
            new = sorted(one for one in inside - staying if uploaded.get(one) is False)
            going |= dict.fromkeys(new)
        return list(going)

    def weight(self, root: str) -> tuple[int, int]:
        query = sa.select(
            sa.func.count(), sa.func.coalesce(sa.func.sum(documents.c.original_size), 0)
        )
        number, size = self.session.execute(query.where(self._mine, documents.c.root == root)).one()
        return int(number), int(size)

    def delete(self, document_id: str, actor: str) -> None:
        """Leave a tombstone with the blobs still to be removed. Names are removed at once."""
        self._forget_first_pages(document_id)
        self.session.execute(
            sa.delete(links).where(links.c.tenant == self.tenant, links.c.parent == document_id)
        )
        self.session.execute(
            sa.update(documents)
            .where(self._mine, documents.c.id == document_id)
            .values(
                name="",
                title=None,
                parties=None,
                tags=None,
                assignee=None,
                words=None,
                sort_name=None,
                warnings=[],
                result_warnings=[],
                failures=[],
                failed_pages=[],
                refused_parts=[],
                deleted=now_utc(),
                deleted_by=actor,
                change=None,
            )
        )

    def tombstone(self, document_id: str) -> frozenset[BlobRef] | None:
        """Return the blobs of a deleted document; None if it is unknown, not deleted or purged."""
        query = sa.select(documents).where(
            *self._deleted(document_id), documents.c.purged.is_(None)
        )
        row = self.session.execute(query).mappings().one_or_none()
        if row is None:
            return None
        named = (ref for name in BLOBS if (ref := _blob(row, name)))
        return frozenset((*named, *(BlobRef(**noted) for noted in row["noted"])))

    def purged(self, document_id: str) -> None:
        """Record that nothing of a deleted document is left."""
        gone = {f"{name}_{part}": None for name in BLOBS for part in ("sha256", "size")}
        mine = sa.update(documents).where(*self._deleted(document_id))
        self.session.execute(mine.values(purged=now_utc(), noted=[], **gone))

    def unused(self, refs: Iterable[BlobRef]) -> list[BlobRef]:
        """Return the blobs that no document of the tenant uses.

        Blobs of first pages count as used while their document is read.
        """
        return [ref for ref in refs if not self._named(ref) and not self._handed_on(ref)]

    def _deleted(self, document_id: str) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            documents.c.tenant == self.tenant,
            documents.c.id == document_id,
            documents.c.deleted.is_not(None),
        )

    def _forget_first_pages(self, document_id: str) -> None:
        mine = sa.and_(
            first_pages.c.tenant == self.tenant, first_pages.c.document_id == document_id
        )
        self.session.execute(sa.delete(first_pages).where(mine))

    def _pairs(self, column: sa.Column[str], ids: Iterable[str]) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for batch in _batches(ids):
            query = sa.select(links.c.parent, links.c.child)
            mine = query.where(links.c.tenant == self.tenant, column.in_(batch))
            found |= {(parent, child) for parent, child in self.session.execute(mine)}
        return found

    def _uploaded(self, ids: Iterable[str]) -> dict[str, bool]:
        """Return for each existing document whether it was uploaded separately."""
        found: dict[str, bool] = {}
        for batch in _batches(ids):
            query = sa.select(documents.c.id, documents.c.uploaded)
            rows = self.session.execute(query.where(self._mine, documents.c.id.in_(batch)))
            found |= {one: bool(uploaded) for one, uploaded in rows}
        return found

    def _named(self, ref: BlobRef) -> bool:
        anywhere = sa.or_(*(documents.c[f"{name}_sha256"] == ref.sha256 for name in BLOBS))
        query = sa.select(sa.exists().where(self._mine, anywhere))
        return bool(self.session.execute(query).scalar_one())

    def _handed_on(self, ref: BlobRef) -> bool:
        read_now = sa.select(first_pages.c.document_id).where(first_pages.c.tenant == self.tenant)
        query = sa.select(documents.c.noted).where(self._mine, documents.c.id.in_(read_now))
        found = self.session.execute(query).scalars()
        return any(noted["sha256"] == ref.sha256 for batch in found for noted in batch)

    def _get_one(self, query: Any) -> Document | None:
        row = self.session.execute(query).mappings().one_or_none()
        return None if row is None else _from_row(row)


_OF_PAGE = ("number", "width", "height", "method", "confidence", "code", "reason")


class ReadPages:
    """Pages of one tenant's documents that are being read, within one transaction."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def keep(self, document: Document, pages: Sequence[PageRead]) -> None:
        """Store pages of the attempt, replacing those of the same numbers."""
        these = first_pages.c.number.in_([page.number for page in pages])
        self.session.execute(sa.delete(first_pages).where(*self._of(document), these))
        common = {
            "tenant": self.tenant,
            "document_id": document.id,
            "attempt": document.progress.attempt,
        }
        rows = [
            {
                **common,
                **{name: getattr(page, name) for name in _OF_PAGE},
                "text": page.text.encode(),
            }
            for page in pages
        ]
        self.session.execute(sa.insert(first_pages), rows)

    def of(self, document: Document, number: int | None = None) -> list[PageRead]:
        """Return the pages of the current attempt in order, or one of them."""
        query = sa.select(first_pages).where(
            *self._of(document), first_pages.c.attempt == document.progress.attempt
        )
        if number is not None:
            query = query.where(first_pages.c.number == number)
        reading = document.progress.reading
        return [
            PageRead(
                pages=reading.total if reading else 0,
                text=row["text"].decode(),
                **{name: row[name] for name in _OF_PAGE},
            )
            for row in self.session.execute(query.order_by(first_pages.c.number)).mappings()
        ]

    def _of(self, document: Document) -> tuple[sa.ColumnElement[bool], ...]:
        return first_pages.c.tenant == self.tenant, first_pages.c.document_id == document.id


class Changes:
    """The order in which the documents of a tenant changed, within one transaction.

    A document has a number for its place in that order. Each change of the document removes the
    number. A listener later assigns new numbers, under a lock and only to committed changes. So a
    listener never gets a number below one that it has seen, and writers never wait for each other.
    """

    _AT_ONCE = 500

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self._mine = documents.c.tenant == tenant
        self._tenant = tenant

    def waiting(self) -> bool:
        return bool(
            self.session.execute(sa.select(sa.exists().where(self._mine, _unnumbered))).scalar_one()
        )

    def number(self) -> int:
        """Number some changes in the order of their time. Returns how many."""
        lock(self.session, f"changes of {self._tenant}")
        query = (
            sa.select(documents.c.id)
            .where(self._mine, _unnumbered)
            .order_by(sa.func.coalesce(documents.c.deleted, documents.c.updated), documents.c.id)
            .limit(self._AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        ids = self.session.execute(query).scalars().all()
        last = self.last()
        for number, one in enumerate(ids, last + 1):
            mine = sa.and_(self._mine, documents.c.id == one)
            self.session.execute(sa.update(documents).where(mine).values(change=number))
        self._set_last(last + len(ids))
        return len(ids)

    def last(self) -> int:
        query = sa.select(numbers.c.last).where(numbers.c.tenant == self._tenant)
        return int(self.session.execute(query).scalar_one_or_none() or 0)

    def _set_last(self, last: int) -> None:
        mine = numbers.c.tenant == self._tenant
        if not self.session.execute(sa.update(numbers).where(mine).values(last=last)).rowcount:  # type: ignore[attr-defined]
            self.session.execute(sa.insert(numbers).values(tenant=self._tenant, last=last))

    def over(self, document_id: str, seen: int) -> bool:
        """Return whether a document had ended or was deleted by change `seen`."""
        ended = sa.or_(documents.c.state == "ended", ~_alive)
        mine = sa.and_(self._mine, documents.c.id == document_id, documents.c.change <= seen)
        return bool(self.session.execute(sa.select(sa.exists().where(mine, ended))).scalar_one())

    def after(
        self, number: int, document_id: str | None = None
    ) -> list[tuple[int, str, Document | None]]:
        """Return number, id and document of later changes, oldest first.

        A document appears once in its current state, however often it changed; it is None if
        deleted.
        """
        query = sa.select(documents).where(self._mine, documents.c.change > number)
        if document_id is not None:
            query = query.where(documents.c.id == document_id)
        rows = self.session.execute(query.order_by(documents.c.change).limit(100)).mappings()
        return [
            (row["change"], row["id"], None if row["deleted"] else _from_row(row)) for row in rows
        ]


def _batches(ids: Iterable[str]) -> Iterator[list[str]]:
    """Yield ids in batches that every database accepts in one query."""
    every = list(ids)
    for start in range(0, len(every), 500):
        yield every[start : start + 500]


def lock_blobs(session: Session, tenant: str) -> None:
    """Serialise naming and removing blobs, so that none is removed as a row starts to use it."""
    lock(session, f"blobs of {tenant}")


def require_blobs(blobs: BlobStore, tenant: str, refs: Iterable[BlobRef]) -> None:
    """Raise BlobVanished if one of these blobs was just removed. Call after `lock_blobs`."""
    for ref in refs:
        try:
            blobs.open(tenant, ref).close()
        except MissingBlob:
            raise BlobVanished(
                f"Blob {ref.sha256} was just removed with another document. Retry."
            ) from None


def remove_unused(
    session: Session, blobs: BlobStore, tenant: str, refs: Iterable[BlobRef]
) -> list[BlobRef]:
    """Remove the blobs that no document of the tenant uses. Returns them."""
    lock_blobs(session, tenant)
    unused = Documents(session, tenant).unused(set(refs))
    for ref in unused:
        blobs.delete(tenant, ref)
    return unused


class BlobVanished(Unavailable):
    """A blob was removed with another document just as a row started to use it."""

    code = "blob_vanished"


_A_KEY = "the key determines the tenant"
_OPERATOR = "an operator manages keys"


class KeyRows:
    """The keys, within one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def find(self, key_id: str) -> Key | None:
        """Return a key of any tenant: the caller does not know the tenant yet."""
        query = across_tenants(sa.select(keys).where(keys.c.id == key_id), _A_KEY)
        row = self.session.execute(query).mappings().one_or_none()
        return None if row is None else _key(row)

    def add(self, key: Key) -> None:
        row = {**asdict(key), "scopes": " ".join(sort_scopes(key.scopes))}
        row["addresses"] = _joined(key.addresses)
        self.session.execute(sa.insert(keys).values(row))

    def remove(self, key_id: str) -> bool:
        """Delete a key. Returns whether it was there."""
        gone = sa.delete(keys).where(keys.c.id == key_id)
        return bool(self.session.execute(across_tenants(gone, _A_KEY)).rowcount)  # type: ignore[attr-defined]

    def list(self, tenant: str | None) -> list[Key]:
        """Return keys without sessions, oldest first."""
        query = sa.select(keys).where(keys.c.kind == "key").order_by(keys.c.created, keys.c.id)
        return [_key(row) for row in self.session.execute(_of(query, tenant)).mappings()]

    def named(self, tenant: str) -> Sequence[Key]:
        """Return the keys and users of a tenant."""
        query = sa.select(keys).where(keys.c.tenant == tenant, keys.c.kind.in_(("key", "user")))
        return [_key(row) for row in self.session.execute(query).mappings()]

    def change_user(self, key: Key, **columns: object) -> None:
        """Change columns of a user's key. Sessions have the same scopes."""
        self.session.execute(
            sa.update(keys)
            .where(keys.c.tenant == key.tenant, keys.c.id == key.id, keys.c.kind == "user")
            .values(columns)
        )

    def remove_invitations(self, tenant: str, *user_ids: str) -> None:
        self.session.execute(
            sa.delete(keys).where(
                keys.c.tenant == tenant,
                keys.c.parent.in_(user_ids),
                keys.c.kind == "invitation",
            )
        )

    def replace(self, key: Key) -> None:
        """Store the secrets, the end and the addresses of a rotated key.

        Its sessions get the addresses, and end with the old secret.
        """
        mine = sa.update(keys).where(keys.c.tenant == key.tenant)
        changed = ("digest", "expires", "old_digest", "old_secret_until")
        self.session.execute(
            mine.where(keys.c.id == key.id).values({name: getattr(key, name) for name in changed})
        )
        with_sessions = mine.where(sa.or_(keys.c.id == key.id, keys.c.parent == key.id))
        self.session.execute(with_sessions.values(addresses=_joined(key.addresses)))
        until = key.old_secret_until
        self.session.execute(
            mine.where(keys.c.parent == key.id, keys.c.expires > until).values(expires=until)
        )

    def revoke(self, key_id: str, tenant: str | None, now: datetime) -> bool:
        """Revoke a key; an earlier time of revocation stays. Returns whether the key exists."""
        mine = sa.and_(keys.c.id == key_id, keys.c.kind == "key")
        end = sa.update(keys).where(mine, keys.c.revoked.is_(None)).values(revoked=now)
        self.session.execute(_of(end, tenant))
        existing = sa.select(keys.c.id).where(mine)
        return self.session.execute(_of(existing, tenant)).first() is not None

    def sessions(self, tenant: str | None, parent: str | None, now: datetime) -> Sequence[Key]:
        """Return the open sessions of a key (None: of all keys), oldest first."""
        query = sa.select(keys).where(*_open_sessions(now)).order_by(keys.c.created, keys.c.id)
        if parent is not None:
            query = query.where(keys.c.parent == parent)
        return [_key(row) for row in self.session.execute(_of(query, tenant)).mappings()]

    def end_sessions(
        self,
        tenant: str | None,
        now: datetime,
        *,
        session_id: str | None = None,
        parent: str | None = None,
    ) -> int:
        """End one session, or those of a key. Returns their number."""
        end = sa.update(keys).where(*_open_sessions(now)).values(revoked=now)
        if session_id is not None:
            end = end.where(keys.c.id == session_id)
        if parent is not None:
            end = end.where(keys.c.parent == parent)
        return int(self.session.execute(_of(end, tenant)).rowcount)  # type: ignore[attr-defined]

    def forget_sessions_before(self, moment: datetime) -> None:
        passing = keys.c.kind.in_(("session", "link", "invitation"))
        old = sa.delete(keys).where(passing, keys.c.expires < moment)
        self.session.execute(across_tenants(old, "expired sessions and links"))

    def used(self, key_id: str, now: datetime) -> None:
        used = sa.update(keys).where(keys.c.id == key_id).values(last_used=now)
        self.session.execute(across_tenants(used, _A_KEY))


_Statement = TypeVar("_Statement", sa.Select[Any], sa.Update)


def _of(statement: _Statement, tenant: str | None) -> _Statement:
    """Limit a statement to the keys of a tenant, or mark it as one of the operator."""
    if tenant is None:
        return across_tenants(statement, _OPERATOR)
    return statement.where(keys.c.tenant == tenant)


def _open_sessions(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    of_key = sa.and_(keys.c.kind == "session", keys.c.parent.is_not(None))
    return of_key, keys.c.revoked.is_(None), keys.c.expires > now


def _joined(addresses: tuple[str, ...]) -> str | None:
    return " ".join(addresses) or None


def _key(row: Mapping[Any, Any]) -> Key:
    scopes, addresses = frozenset(row["scopes"].split()), tuple((row["addresses"] or "").split())
    return Key(**{**row, "scopes": scopes, "addresses": addresses})


def unsure_kinds(session: Session, tenant: str) -> frozenset[str]:
    """Return the ids of a tenant's documents whose kind a person must confirm."""
    query = sa.select(documents.c.id, documents.c.kind_source, documents.c.classification).where(
        documents.c.tenant == tenant, _alive
    )
    return frozenset(row["id"] for row in session.execute(query).mappings() if _is_unsure(row))


def _is_unsure(row: sa.RowMapping) -> bool:
    return bool(
        row["kind_source"] == "type" and row["classification"] and row["classification"]["unsure"]
    )


def holdings(session: Session) -> Iterator[DocumentBlobs]:
    """Yield the blobs of every document of every tenant, for backup and verification."""
    columns = (
        *("id", "tenant", "state", "attempt", "pages", "results", "noted", "updated", "deleted"),
        *("purged", *(f"{name}_{part}" for name in BLOBS for part in ("sha256", "size"))),
    )
    query = across_tenants(sa.select(*(documents.c[name] for name in columns)), "upkeep")
    alike: dict[frozenset[str], frozenset[str]] = {}
    for row in session.execute(query.execution_options(yield_per=1000)).mappings():
        living, read = row["deleted"] is None, row["pages"] is not None
        results = frozenset(row["results"])
        named = [
            (name, Blob(sha256, row[f"{name}_size"]))
            for name in BLOBS
            if (sha256 := row[f"{name}_sha256"]) is not None
        ]
        required_scope = [
            one for one in named if living and (read or one[0] in ("original", "readable"))
        ]
        yield DocumentBlobs(
            tenant=sys.intern(row["tenant"]),
            id=row["id"],
            living=living,
            purged=row["purged"] is not None,
            ended=row["state"] == "ended",
            attempt=row["attempt"],
            is_read=read,
            results=alike.setdefault(results, results),
            required=tuple(required_scope),
            noted=(
                *(ref for name, ref in named if (name, ref) not in required_scope),
                *(Blob.of(ref) for ref in row["noted"]),
            ),
            changed=row["deleted"] or row["updated"],
        )


_OF_DOCUMENT = (
    *("id", "tenant", "name", "media_type", "actor", "kind_source"),
    *("uploaded", "depth", "root", "created", "updated", "ended", "assignee"),
)
_OF_PROGRESS = ("kind", "attempt", "pages", "announced", "cancelled", "parts")
"""Attributes that are columns of the same name."""


def _to_row(document: Document) -> dict[str, Any]:
    progress = document.progress
    row: dict[str, Any] = {
        **{name: getattr(document, name) for name in _OF_DOCUMENT},
        **{name: getattr(progress, name) for name in _OF_PROGRESS},
        "state": progress.state,
        "outcome": progress.outcome,
        "pages_done": progress.reading.done if progress.reading else None,
        "pages_total": progress.reading.total if progress.reading else None,
        "failed_pages": [asdict(page) for page in progress.failed_pages],
        "results": sorted(progress.results),
        "failures": [asdict(failure) for failure in sorted(progress.failures)],
        "warnings": list(document.warnings),
        "result_warnings": list(progress.result_warnings),
        "classification": asdict(document.classification) if document.classification else None,
        "adapters": list(document.adapters),
        "read_by": list(progress.read_by),
        "refused_parts": [asdict(part) for part in progress.refused],
        "noted": [ref.model_dump() for ref in document.noted],
        "title": document.title.title if document.title else None,
        "parties": list(document.title.parties) if document.title else None,
        "tags": "".join(f"\n{tag}" for tag in document.tags) + "\n" if document.tags else None,
        "words": document.words,
        "sort_name": document.sort_name,
        "change": None,  # see Changes
    }
    for name in BLOBS:
        ref: BlobRef | None = getattr(document, name)
        row[f"{name}_sha256"] = ref.sha256 if ref else None
        row[f"{name}_size"] = ref.size if ref else None
    return row


def _from_row(row: sa.RowMapping) -> Document:
    refs: dict[str, Any] = {name: _blob(row, name) for name in BLOBS}
    kind, read = row["classification"], row["pages_done"]
    return Document(
        **{name: row[name] for name in _OF_DOCUMENT},
        **refs,
        progress=Progress(
            **{name: row[name] for name in _OF_PROGRESS},
            failed_pages=tuple(FailedPage(**page) for page in row["failed_pages"]),
            results=frozenset(row["results"]),
            failures=frozenset(Failure(**failure) for failure in row["failures"]),
            refused=tuple(RefusedPart(**part) for part in row["refused_parts"]),
            ends_with_parts=ends_with_its_parts(row["media_type"], row["kind"], row["kind_source"]),
            result_warnings=tuple(row["result_warnings"]),
            read_by=tuple(row["read_by"]),
            page_progress=PageProgress(read, row["pages_total"]) if read else None,
        ),
        warnings=tuple(row["warnings"]),
        classification=Classification(**kind) if kind else None,
        adapters=tuple(row["adapters"]),
        noted=tuple(BlobRef(**noted) for noted in row["noted"]),
        title=title_of(row),
        tags=tuple((row["tags"] or "").split("\n")[1:-1]),
    )


def title_of(row: sa.RowMapping) -> DocumentTitle | None:
    """Return the title of a row of `documents`."""
    return DocumentTitle(title=row["title"], parties=row["parties"]) if row["title"] else None


def _blob(row: sa.RowMapping, name: str) -> BlobRef | None:
    sha256 = row[f"{name}_sha256"]
    return None if sha256 is None else BlobRef(sha256=sha256, size=row[f"{name}_size"])


def newest(
    session: Session,
    query: sa.Select[Any],
    moment: sa.Column[datetime],
    key: sa.Column[str],
    limit: int,
    cursor: str | None,
) -> tuple[list[sa.RowMapping], str | None]:
    """Return a page of rows, newest `moment` first, and the cursor of the next page.

    Raises InvalidRequest for an invalid cursor.
    """
    if cursor is not None:
        then, last = decode_cursor(cursor)
        query = query.where(sa.or_(moment < then, sa.and_(moment == then, key < last)))
    query = query.order_by(moment.desc(), key.desc()).limit(limit + 1)
    rows = list(session.execute(query).mappings())
    if len(rows) <= limit:
        return rows, None
    last_row = rows[limit - 1]
    return rows[:limit], encode_cursor(last_row[moment.name], last_row[key.name])


def _sorted(
    session: Session, query: sa.Select[Any], sort: Sort, limit: int, cursor: str | None
) -> tuple[list[sa.RowMapping], str | None]:
    """Return a page of rows of `documents` in this order, and the cursor of the next page."""
    name, descends = sort.removeprefix("-"), sort.startswith("-")
    by, key = _SORTED_BY[name], documents.c.id
    if name == "received" and descends:
        return newest(session, query, documents.c.created, key, limit, cursor)
    if cursor is not None:
        place = sa.tuple_(by, key)
        after = sa.tuple_(*_decode_place(cursor, name), types=[by.type, key.type])
        query = query.where(place < after if descends else place > after)
    ways = (by.desc(), key.desc()) if descends else (by, key)
    query = query.add_columns(by.label("place")).order_by(*ways).limit(limit + 1)
    rows = list(session.execute(query).mappings())
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    if name == "received":
        return rows[:limit], encode_cursor(last["created"], last["id"])
    return rows[:limit], _encode(f"{last['place']}|{last['id']}")


def _decode_place(cursor: str, name: str) -> tuple[Any, str]:
    """Decode the sorted value and the id of the last item of a page. Raises InvalidRequest."""
    if name == "received":
        return decode_cursor(cursor)
    try:
        place, mark, last = _decode(cursor).rpartition("|")
        if mark and re.fullmatch(ID, last) and "\0" not in place:
            return int(place) if name == "pages" else place, last
    except ValueError:
        pass
    raise InvalidRequest(_BAD_CURSOR)


_BAD_CURSOR = "The cursor is invalid. Start the list again without it."


def _encode(mark: str) -> str:
    return base64.urlsafe_b64encode(mark.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()


def encode_cursor(created: datetime, last: str) -> str:
    """Encode time and id of the last item of a page."""
    return _encode(f"{created.isoformat()}|{last}")


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """Decode time and id of the last item of a page. Raises InvalidRequest."""
    try:
        created, _, last = _decode(cursor).partition("|")
        moment = datetime.fromisoformat(created)
        if moment.tzinfo is not None and re.fullmatch(ID, last):
            return moment.astimezone(UTC), last
    except (ValueError, OverflowError):
        pass
    raise InvalidRequest(_BAD_CURSOR)
