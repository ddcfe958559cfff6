"""The index: passages, and their words in the database's own full-text search. Every query names
the tenant; transactions belong to the caller, who writes the index in the same one as the document.

On PostgreSQL the words of a passage are a `tsvector` under a GIN index. On SQLite they lie in FTS5
tables of bounded size, the shelves: FTS5 keeps the words of a deleted row until it merges the parts
of its index, so a shelf is merged whenever something is removed from it, and one of bounded size
takes bounded time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    Select,
    String,
    Table,
    and_,
    cast,
    column,
    delete,
    exists,
    func,
    insert,
    select,
    table,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR
from sqlalchemy.orm import Session

from services.ingest.search.passages import FoundClause, Furniture, Passage
from services.ingest.search.query import Part, Query
from services.ingest.store import documents, metadata
from shared.errors import InvalidRequest
from shared.events import BlobRef, Kind
from shared.storage.messages import Number
from shared.storage.tenants import across_tenants

SHELF = 64_000_000
"""Characters of words after which the next shelf is begun."""

passages = Table(
    "passages",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("tenant", String(64), nullable=False),
    Column("document_id", String(64), nullable=False),
    Column("page", Integer, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("reach", Integer, nullable=False),
    Column("first_byte", BigInteger, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("furniture", JSON, nullable=False),
    Column("attempt", Integer),
    Column("clause_id", String(64)),
    Column("category", String(64)),
    Column("confidence", Float),
    Column("shelf", Integer),
    Index("passages_document", "tenant", "document_id"),
    Index("passages_shelf", "shelf"),
    sqlite_autoincrement=True,
)
"""What can be found, clauses under the attempt that they are of. The passages of one document are
added last page first, and an id is never given twice: in descending order the document that was
read last comes first, page after page.
"""

shelves = Table(
    "shelves",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("size", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
"""SQLite: the FTS5 tables that there are, `shelf_1` and so on, and characters added to each."""

vectors = Table(
    "vectors",
    metadata,
    Column("id", BigInteger, ForeignKey("passages.id", ondelete="CASCADE"), primary_key=True),
    Column("words", TSVECTOR, nullable=False),
)
"""PostgreSQL: the words of passages."""

unindexed = Table(
    "unindexed",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("document_id", String(64), primary_key=True),
)
"""Documents that were read before there was an index, see Backlog."""


@dataclass(frozen=True)
class Filters:
    """Which passages are meant: of the text, or clauses (those of a category)."""

    clauses: bool = False
    category: str | None = None
    kind: Kind | None = None
    document: str | None = None


@dataclass(frozen=True)
class Found:
    """A passage that has the words, its document, and where the document's text lies."""

    id: int
    passage: Passage
    document_id: str
    document: str
    kind: Kind
    text: BlobRef


class Words(Protocol):
    """The full-text search of one database."""

    def add(self, words: Sequence[tuple[int, str]]) -> None:
        """Index the words of passages that are rows already, by their ids."""

    def remove(self, mine: ColumnElement[bool]) -> None:
        """Forget the words of passages, just before these are deleted."""

    def find(
        self, rows: Select[Any], query: Query, below: int | None, most: int
    ) -> Iterator[RowMapping]:
        """Those rows of `rows` (a selection of passages) that have the words, highest id first."""


class Passages:
    """The index of one tenant, within one transaction."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant
        on_server = session.get_bind().dialect.name == "postgresql"
        self._words: Words = Vectors(session) if on_server else Shelves(session, tenant)

    def keep_text(self, document_id: str, found: Sequence[Passage]) -> None:
        """Index a text in place of all that was indexed of the document before."""
        self.forget(document_id)
        self._add(document_id, found)

    def keep_clauses(self, document_id: str, attempt: int, found: Sequence[Passage]) -> None:
        """Index the clauses of an attempt in place of those that were indexed before. They are
        found while the document is at this attempt.
        """
        self._remove(and_(self._of(document_id), passages.c.clause_id.is_not(None)))
        self._add(document_id, found, attempt)

    def forget(self, document_id: str) -> None:
        """Leave nothing of a document in the index."""
        self._remove(self._of(document_id))
        self.settle(document_id)

    def furniture(self, document_id: str) -> Furniture:
        """What is set apart in the document's text."""
        query = select(passages.c.furniture).where(
            self._of(document_id), passages.c.clause_id.is_(None)
        )
        rows = self.session.execute(query).scalars()
        return Furniture({(start, end) for spans in rows for start, end in spans})

    def find(
        self, query: Query, filters: Filters, below: int | None = None, most: int = 50
    ) -> list[Found]:
        """Passages of living documents that have all parts of a query: those with the highest ids
        below `below`, in descending order.
        """
        rows = (
            select(passages, documents.c.name, documents.c.kind)
            .add_columns(documents.c.text_sha256, documents.c.text_size)
            .join(documents, documents.c.id == passages.c.document_id)
            .where(
                passages.c.tenant == self.tenant,
                documents.c.tenant == self.tenant,
                documents.c.deleted.is_(None),
                documents.c.text_sha256.is_not(None),
                passages.c.attempt == documents.c.attempt
                if filters.clauses or filters.category
                else passages.c.clause_id.is_(None),
            )
        )
        for where, value in (
            (passages.c.category, filters.category),
            (documents.c.kind, filters.kind),
            (passages.c.document_id, filters.document),
        ):
            if value is not None:
                rows = rows.where(where == value)
        return [_found(row) for row in self._words.find(rows, query, below, most)]

    def waits(self, document_id: str) -> bool:
        """Whether a document that was read before there was an index is still to be indexed."""
        return bool(
            self.session.execute(select(exists().where(self._waiting(document_id)))).scalar_one()
        )

    def settle(self, document_id: str) -> None:
        """Let a document wait no longer."""
        self.session.execute(delete(unindexed).where(self._waiting(document_id)))

    def unindexed(self) -> int:
        """How many documents of the tenant are still to be indexed, after an upgrade."""
        query = select(func.count()).where(unindexed.c.tenant == self.tenant)
        return int(self.session.execute(query).scalar_one())

    def _of(self, document_id: str) -> ColumnElement[bool]:
        return and_(passages.c.tenant == self.tenant, passages.c.document_id == document_id)

    def _waiting(self, document_id: str) -> ColumnElement[bool]:
        return and_(unindexed.c.tenant == self.tenant, unindexed.c.document_id == document_id)

    def _add(self, document_id: str, found: Sequence[Passage], attempt: int | None = None) -> None:
        if not found:
            return
        backwards = found[::-1]
        common = {"tenant": self.tenant, "document_id": document_id, "attempt": attempt}
        ids = self.session.execute(
            insert(passages).returning(passages.c.id, sort_by_parameter_order=True),
            [{**common, **_to_row(passage)} for passage in backwards],
        ).scalars()
        self._words.add([(one, p.words) for one, p in zip(ids, backwards, strict=True)])

    def _remove(self, mine: ColumnElement[bool]) -> None:
        self._words.remove(mine)
        self.session.execute(delete(passages).where(mine))


class Shelves:
    """FTS5 of SQLite. Its tokenizer `ascii` takes for a word what stands between spaces here."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def add(self, words: Sequence[tuple[int, str]]) -> None:
        """See Words.add. A shelf is begun while it has room, and may then have more."""
        number = self._with_room()
        self.session.execute(
            insert(_shelf(number)), [{"rowid": one, "words": some} for one, some in words]
        )
        ids = [one for one, _ in words]
        self.session.execute(
            update(passages)
            .where(passages.c.tenant == self.tenant)
            .where(passages.c.id.between(min(ids), max(ids)))  # nobody else writes meanwhile
            .values(shelf=number)
        )
        more = sum(len(some) for _, some in words)
        self.session.execute(
            update(shelves).where(shelves.c.number == number).values(size=shelves.c.size + more)
        )

    def remove(self, mine: ColumnElement[bool]) -> None:
        """See Words.remove. A shelf that has lost words is merged, so that they are gone from the
        file as well; an empty one goes.
        """
        query = select(passages.c.shelf).where(mine, passages.c.shelf.is_not(None)).distinct()
        for number in self.session.execute(query).scalars().all():
            shelf = _shelf(number)
            here = and_(passages.c.shelf == number, mine)
            others = exists().where(passages.c.shelf == number, ~mine)
            left = across_tenants(select(others), "what else lies on a shelf")
            if not self.session.execute(left).scalar_one():
                self.session.execute(text(f"DROP TABLE {shelf.name}"))
                self.session.execute(delete(shelves).where(shelves.c.number == number))
                continue
            gone = select(passages.c.id).where(here)
            self.session.execute(delete(shelf).where(shelf.c.rowid.in_(gone)))
            self.session.execute(insert(shelf).values({shelf.name: "optimize"}))

    def find(
        self, rows: Select[Any], query: Query, below: int | None, most: int
    ) -> Iterator[RowMapping]:
        """See Words.find: the last shelf has the highest ids."""
        asked = " AND ".join(map(_in_fts5, query.parts))
        numbers = select(shelves.c.number).order_by(shelves.c.number.desc())
        for number in self.session.execute(numbers).scalars().all():
            shelf = _shelf(number)
            fits = shelf.c[shelf.name].op("MATCH")(asked)
            here = rows.join(shelf, shelf.c.rowid == passages.c.id).where(fits)
            if below is not None:
                here = here.where(shelf.c.rowid < below)
            here = here.order_by(shelf.c.rowid.desc()).limit(most)
            found = self.session.execute(here).mappings().all()
            yield from found
            most -= len(found)
            if not most:
                return

    def _with_room(self) -> int:
        query = select(shelves.c.number, shelves.c.size).order_by(shelves.c.number.desc()).limit(1)
        last = self.session.execute(query).one_or_none()
        if last is not None and last.size < SHELF:
            return int(last.number)
        new = insert(shelves).values(size=0).returning(shelves.c.number)
        number = int(self.session.execute(new).scalar_one())
        self.session.execute(
            text(
                f"CREATE VIRTUAL TABLE {_shelf(number).name} "
                "USING fts5(words, tokenize='ascii', columnsize=0)"
            )
        )
        return number


class Vectors:
    """Full-text search of PostgreSQL, without its dictionaries: the words are made already."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, words: Sequence[tuple[int, str]]) -> None:
        """See Words.add."""
        rows = [{"id": one, "words": _as_vector(some)} for one, some in words]
        self.session.execute(insert(vectors), rows)

    def remove(self, mine: ColumnElement[bool]) -> None:
        """See Words.remove: they go with their passages."""

    def find(
        self, rows: Select[Any], query: Query, below: int | None, most: int
    ) -> Iterator[RowMapping]:
        """See Words.find."""
        asked = " & ".join(map(_in_tsquery, query.parts))
        fits = vectors.c.words.op("@@")(cast(asked, TSQUERY))
        here = rows.join(vectors, vectors.c.id == passages.c.id).where(fits)
        if below is not None:
            here = here.where(passages.c.id < below)
        here = here.order_by(passages.c.id.desc()).limit(most)
        yield from self.session.execute(here).mappings()


def first_unindexed(session: Session) -> tuple[str, str] | None:
    """Tenant and id of a document that is still to be indexed, of whatever tenant."""
    query = select(unindexed.c.tenant, unindexed.c.document_id).limit(1)
    row = session.execute(across_tenants(query, "the next to be indexed")).one_or_none()
    return None if row is None else (row.tenant, row.document_id)


def read_cursor(cursor: str) -> int:
    """The id below which a list goes on. Raises InvalidRequest."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise InvalidRequest("the cursor is not one of ours: begin the search again without it")
    return int(cursor)


def _shelf(number: int) -> Any:
    """Beside its own columns FTS5 has one of the table's own name, which queries are put to."""
    name = f"shelf_{number:d}"
    return table(name, column("rowid", Integer), column("words"), column(name))


def _in_fts5(part: Part) -> str:
    """Words have neither quotes nor anything else that FTS5 understands."""
    return f'"{" ".join(part.words)}"' + (" *" if part.open_end else "")


def _in_tsquery(part: Part) -> str:
    quoted = " <-> ".join(f"'{word}'" for word in part.words)
    return f"({quoted}{':*' if part.open_end else ''})"


def _as_vector(words: str) -> str:
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, word in enumerate(words.split(), 1):
        places[word].append(place)
    return " ".join(f"'{word}':{','.join(map(str, at))}" for word, at in places.items())


def _to_row(passage: Passage) -> dict[str, Any]:
    clause = passage.clause
    return {
        "page": passage.page,
        "start": passage.start,
        "end": passage.end,
        "reach": passage.reach,
        "first_byte": passage.first_byte,
        "bytes": passage.bytes,
        "furniture": [list(span) for span in passage.furniture],
        "clause_id": clause.id if clause else None,
        "category": clause.category if clause else None,
        "confidence": clause.confidence if clause else None,
    }


def _found(row: RowMapping) -> Found:
    clause = None
    if row["clause_id"] is not None:
        clause = FoundClause(
            id=row["clause_id"],
            category=row["category"],
            start=row["start"],
            end=row["end"],
            page=row["page"],
            confidence=row["confidence"],
        )
    return Found(
        id=row["id"],
        passage=Passage(
            page=row["page"],
            start=row["start"],
            end=row["end"],
            reach=row["reach"],
            first_byte=row["first_byte"],
            bytes=row["bytes"],
            furniture=tuple((start, end) for start, end in row["furniture"]),
            clause=clause,
        ),
        document_id=row["document_id"],
        document=row["name"],
        kind=row["kind"],
        text=BlobRef(sha256=row["text_sha256"], size=row["text_size"]),
    )
