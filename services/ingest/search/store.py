"""The index: passages, and their words in the database's own full-text search.

Every query names the tenant. The caller writes the index in the same transaction as the document.

PostgreSQL has a `tsvector` per passage under a GIN index. SQLite has FTS5 tables of limited size,
the shelves: FTS5 keeps the words of a deleted row until it merges its index, so each deletion
merges the full-text table, which takes limited time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR
from sqlalchemy.orm import Session

from services.ingest.search.passages import FoundClause, Furniture, Passage
from services.ingest.search.query import Part, Query
from services.ingest.store import documents, metadata, title_of
from shared.errors import InvalidRequest
from shared.events import BlobRef, DocumentTitle, Kind
from shared.messaging.tables import Number
from shared.storage.tenant_isolation import across_tenants

TABLE_SIZE = 64_000_000
"""Characters of words after which the next full-text table starts."""

_OF_CLAUSE = sa.text("category IS NOT NULL")
passages = sa.Table(
    "passages",
    metadata,
    sa.Column("id", Number, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("document_id", sa.String(64), nullable=False),
    sa.Column("page", sa.Integer, nullable=False),
    sa.Column("start", sa.Integer, nullable=False),
    sa.Column("end", sa.Integer, nullable=False),
    sa.Column("reach", sa.Integer, nullable=False),
    sa.Column("first_byte", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Column("furniture", sa.JSON, nullable=False),
    sa.Column("attempt", sa.Integer),
    sa.Column("clause_id", sa.String(64)),
    sa.Column("category", sa.String(64)),
    sa.Column("confidence", sa.Float),
    sa.Column("fulltext_table", sa.Integer),
    sa.Index("passages_document", "tenant", "document_id"),
    sa.Index(
        "passages_category",
        *("tenant", "category", "id"),
        sqlite_where=_OF_CLAUSE,
        postgresql_where=_OF_CLAUSE,
    ),
    sa.Index("passages_fulltext_table", "fulltext_table").ddl_if(dialect="sqlite"),
    sqlite_autoincrement=True,
)
"""Indexed passages; clauses under their attempt.

Passages of a document are inserted last page first, and ids are never reused: in descending order
the newest document comes first, page after page.
"""

fulltext_tables = sa.Table(
    "fulltext_tables",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    info={"dialect": "sqlite"},
    sqlite_autoincrement=True,
)
"""SQLite: the FTS5 tables (`fulltext_1` and so on) and the characters added to each."""

vectors = sa.Table(
    "vectors",
    metadata,
    sa.Column(
        "id", sa.BigInteger, sa.ForeignKey("passages.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("words", TSVECTOR, nullable=False),
    sa.Index("vectors_words", "words", postgresql_using="gin"),
    info={"dialect": "postgresql"},
)
"""PostgreSQL: the words of passages."""


@dataclass(frozen=True)
class Filters:
    """Which passages to search: text, or clauses (of a category)."""

    clauses: bool = False
    categories: tuple[str, ...] = ()
    kind: Kind | None = None
    document: str | None = None


@dataclass(frozen=True)
class Match:
    """A matching passage with its document and the blob of the text."""

    id: int
    passage: Passage
    document_id: str
    document: str
    title: DocumentTitle | None
    kind: Kind
    text: BlobRef


class Passages:
    """The index of one tenant, within one transaction."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant
        on_server = session.get_bind().dialect.name == "postgresql"
        self._words = PostgresIndex(session) if on_server else SqliteIndex(session, tenant)

    def index_text(self, document_id: str, found: Sequence[Passage]) -> None:
        """Index a text; it replaces everything indexed for the document."""
        self.forget(document_id)
        self._add(document_id, found)

    def index_clauses(self, document_id: str, attempt: int, found: Sequence[Passage]) -> None:
        """Index the clauses of an attempt; they replace earlier ones.

        They are found while the document is at this attempt.
        """
        self._remove(sa.and_(self._of(document_id), passages.c.clause_id.is_not(None)))
        self._add(document_id, found, attempt)

    def forget(self, document_id: str) -> None:
        self._remove(self._of(document_id))

    def furniture(self, document_id: str) -> Furniture:
        """Return the header and footer spans of the document's text."""
        query = sa.select(passages.c.furniture).where(
            self._of(document_id), passages.c.clause_id.is_(None)
        )
        rows = self.session.execute(query).scalars()
        return Furniture({(start, end) for spans in rows for start, end in spans})

    def find(
        self, query: Query | None, filters: Filters, below: int | None = None, most: int = 50
    ) -> list[Match]:
        """Return passages that match a query, or all, highest ids first, below `below`."""
        rows = (
            sa.select(passages, documents.c.name, documents.c.kind, documents.c.title)
            .add_columns(documents.c.parties, documents.c.text_sha256, documents.c.text_size)
            .join(documents, documents.c.id == passages.c.document_id)
            .where(
                passages.c.tenant == self.tenant,
                documents.c.tenant == self.tenant,
                documents.c.deleted.is_(None),
                documents.c.text_sha256.is_not(None),
                passages.c.attempt == documents.c.attempt
                if filters.clauses or filters.categories
                else passages.c.clause_id.is_(None),
            )
        )
        for where, value in (
            (documents.c.kind, filters.kind),
            (passages.c.document_id, filters.document),
        ):
            if value is not None:
                rows = rows.where(where == value)
        if filters.categories:
            rows = rows.where(passages.c.category.in_(filters.categories))
        if query:
            return [_match(row) for row in self._words.find(rows, query, below, most)]
        newest = _newest(rows, passages.c.id, below, most)
        return [_match(row) for row in self.session.execute(newest).mappings()]

    def has_category(self, category: str) -> bool:
        """Whether a clause has exactly this category."""
        found = sa.exists().where(passages.c.tenant == self.tenant, passages.c.category == category)
        return bool(self.session.execute(sa.select(found)).scalar_one())

    def _of(self, document_id: str) -> sa.ColumnElement[bool]:
        return sa.and_(passages.c.tenant == self.tenant, passages.c.document_id == document_id)

    def _add(self, document_id: str, found: Sequence[Passage], attempt: int | None = None) -> None:
        if not found:
            return
        backwards = found[::-1]
        common = {"tenant": self.tenant, "document_id": document_id, "attempt": attempt}
        ids = self.session.execute(
            sa.insert(passages).returning(passages.c.id, sort_by_parameter_order=True),
            [{**common, **_to_row(passage)} for passage in backwards],
        ).scalars()
        self._words.add([(one, p.words) for one, p in zip(ids, backwards, strict=True)])

    def _remove(self, mine: sa.ColumnElement[bool]) -> None:
        self._words.remove(mine)
        self.session.execute(sa.delete(passages).where(mine))


class SqliteIndex:
    """FTS5 of SQLite. With the tokenizer `ascii`, words are separated by spaces."""

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def add(self, words: Sequence[tuple[int, str]]) -> None:
        """Index words of passages by id. The last ones of a full-text table may exceed its size."""
        number = self._current_table()
        self.session.execute(
            sa.insert(_fulltext_table(number)),
            [{"rowid": one, "words": forms} for one, forms in words],
        )
        ids = [one for one, _ in words]
        self.session.execute(
            sa.update(passages)
            .where(passages.c.tenant == self.tenant)
            .where(passages.c.id.between(min(ids), max(ids)))  # SQLite has one writer
            .values(fulltext_table=number)
        )
        more = sum(len(forms) for _, forms in words)
        self.session.execute(
            sa.update(fulltext_tables)
            .where(fulltext_tables.c.number == number)
            .values(size=fulltext_tables.c.size + more)
        )

    def remove(self, mine: sa.ColumnElement[bool]) -> None:
        """Remove the words of passages that are about to be deleted.

        Each table that lost words is merged, so that they leave the file; empty ones are dropped.
        """
        query = (
            sa.select(passages.c.fulltext_table)
            .where(mine, passages.c.fulltext_table.is_not(None))
            .distinct()
        )
        for number in self.session.execute(query).scalars().all():
            fulltext_table = _fulltext_table(number)
            here = sa.and_(passages.c.fulltext_table == number, mine)
            other_rows = sa.exists().where(passages.c.fulltext_table == number, ~mine)
            remaining = across_tenants(sa.select(other_rows), "other passages on a full-text table")
            if not self.session.execute(remaining).scalar_one():
                self.session.execute(sa.text(f"DROP TABLE {fulltext_table.name}"))
                self.session.execute(
                    sa.delete(fulltext_tables).where(fulltext_tables.c.number == number)
                )
                continue
            gone = sa.select(passages.c.id).where(here)
            self.session.execute(sa.delete(fulltext_table).where(fulltext_table.c.rowid.in_(gone)))
            self.session.execute(
                sa.insert(fulltext_table).values({fulltext_table.name: "optimize"})
            )

    def find(
        self, rows: sa.Select[Any], query: Query, below: int | None, most: int
    ) -> Iterator[sa.RowMapping]:
        """Yield the matching rows of a selection of passages, highest id first."""
        expression = " AND ".join(map(_in_fts5, query.parts))
        numbers = sa.select(fulltext_tables.c.number).order_by(fulltext_tables.c.number.desc())
        for number in self.session.execute(numbers).scalars().all():
            fulltext_table = _fulltext_table(number)
            fits = fulltext_table.c[fulltext_table.name].op("MATCH")(expression)
            here = rows.join(fulltext_table, fulltext_table.c.rowid == passages.c.id).where(fits)
            here = _newest(here, fulltext_table.c.rowid, below, most)
            found = self.session.execute(here).mappings().all()
            yield from found
            most -= len(found)
            if not most:
                return

    def _current_table(self) -> int:
        newest = sa.select(fulltext_tables).order_by(fulltext_tables.c.number.desc()).limit(1)
        last = self.session.execute(newest).one_or_none()
        if last is not None and last.size < TABLE_SIZE:
            return int(last.number)
        new = sa.insert(fulltext_tables).values(size=0).returning(fulltext_tables.c.number)
        number = int(self.session.execute(new).scalar_one())
        self.session.execute(
            sa.text(
                f"CREATE VIRTUAL TABLE {_fulltext_table(number).name} "
                "USING fts5(words, tokenize='ascii', columnsize=0)"
            )
        )
        return number


class PostgresIndex:
    """Full-text search of PostgreSQL without its dictionaries: words are normalised already."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, words: Sequence[tuple[int, str]]) -> None:
        rows = [{"id": one, "words": _as_vector(forms)} for one, forms in words]
        self.session.execute(sa.insert(vectors), rows)

    def remove(self, mine: sa.ColumnElement[bool]) -> None:
        """The words are deleted with their passages."""

    def find(
        self, rows: sa.Select[Any], query: Query, below: int | None, most: int
    ) -> Iterator[sa.RowMapping]:
        expression = " & ".join(map(_in_tsquery, query.parts))
        fits = vectors.c.words.op("@@")(sa.cast(expression, TSQUERY))
        here = rows.join(vectors, vectors.c.id == passages.c.id).where(fits)
        newest = _newest(here, passages.c.id, below, most)
        yield from self.session.execute(newest).mappings()


def read_cursor(cursor: str) -> int:
    """Parse the id below which the next page starts. Raises InvalidRequest."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise InvalidRequest("The cursor is invalid. Start the search again without it.")
    return int(cursor)


def _newest(
    rows: sa.Select[Any], ids: sa.ColumnElement[int], below: int | None, most: int
) -> sa.Select[Any]:
    if below is not None:
        rows = rows.where(ids < below)
    return rows.order_by(ids.desc()).limit(most)


def _fulltext_table(number: int) -> Any:
    """FTS5 has a hidden column with the table's name, which queries match."""
    name = f"fulltext_{number:d}"
    return sa.table(name, sa.column("rowid", sa.Integer), sa.column("words"), sa.column(name))


def _in_fts5(part: Part) -> str:
    """Quote a part; words have no characters that FTS5 interprets."""
    return f'"{" ".join(part.words)}"' + (" *" if part.open_end else "")


def _in_tsquery(part: Part) -> str:
    quoted = " <-> ".join(f"'{word}'" for word in part.words)
    return f"({quoted}{':*' if part.open_end else ''})"


def _as_vector(words: str) -> str:
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for position, word in enumerate(words.split(), 1):
        positions[word].append(position)
    return " ".join(f"'{word}':{','.join(map(str, at))}" for word, at in positions.items())


_OF_PASSAGE = ("page", "start", "end", "reach", "first_byte", "bytes")


def _to_row(passage: Passage) -> dict[str, Any]:
    clause = passage.clause
    return {
        **{name: getattr(passage, name) for name in _OF_PASSAGE},
        "furniture": [list(span) for span in passage.furniture],
        "clause_id": clause.id if clause else None,
        "category": clause.category if clause else None,
        "confidence": clause.confidence if clause else None,
    }


def _match(row: sa.RowMapping) -> Match:
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
    return Match(
        id=row["id"],
        passage=Passage(
            **{name: row[name] for name in _OF_PASSAGE},
            furniture=tuple((start, end) for start, end in row["furniture"]),
            clause=clause,
        ),
        document_id=row["document_id"],
        document=row["name"],
        title=title_of(row),
        kind=row["kind"],
        text=BlobRef(sha256=row["text_sha256"], size=row["text_size"]),
    )
