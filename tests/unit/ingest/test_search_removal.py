"""What is deleted is in no row and no file of the index, while what stays beside it is found."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import MetaData, String, cast, create_engine, select, text

from shared.documents import Early, Reading
from tests.postgres import Servers
from tests.unit.ingest.house import House, InProcessReader, extracted, pdf

MARKER = "xylonquokka"
TAIL = "lonquokka"
"""FTS5 writes of a word only what it has not in common with the word before it."""


def found(house: House, q: str) -> list[str]:
    """Names of the documents that have it."""
    answer = house.client.get("/v1/search", params={"q": q})
    return [hit["document"] for hit in answer.json()["items"]]


def with_marker(house: House) -> str:
    """Documents of which one, between the others, has the marker. Returns its id."""
    for number in range(5):
        house.accepted(pdf(f"Words {number} that stay", "xylograph"), f"{number}.pdf")
        house.work()
    document = house.accepted(pdf("Words that go", f"xylograph {MARKER} xylophone"), "gone.pdf")
    house.work()
    for number in range(5, 10):
        house.accepted(pdf(f"Words {number} that stay", "xylophone"), f"{number}.pdf")
        house.work()
    assert found(house, MARKER) == ["gone.pdf"]
    return document


def in_files(folder: Path) -> list[str]:
    """The files that have the marker's tail in them."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and TAIL.encode() in path.read_bytes().lower()
    )


def test_nothing_of_a_deleted_document_is_in_the_files_of_sqlite(tmp_path: Path) -> None:
    """Its words are in the file while it is there, and gone with it: not only marked as deleted,
    although FTS5 itself would keep them until it merges.
    """
    house = House(tmp_path)
    document = with_marker(house)
    assert {"ingest.db", "ingest.db-wal"} & set(in_files(tmp_path))
    house.client.delete(f"/v1/documents/{document}")
    house.work()
    assert found(house, MARKER) == []
    assert len(found(house, "stay")) == 10
    assert len(found(house, "xylograph")) == len(found(house, "xylophone")) == 5
    house.close()
    assert in_files(tmp_path) == []


class SecondThought(InProcessReader):
    """Reads the marker at first, and another word instead once it is told to."""

    again = False

    def read(
        self,
        data: bytes,
        *,
        name: str = "",
        password: str | None = None,
        early: Early | None = None,
    ) -> Reading:
        """See DocumentReader."""
        if self.again:
            data = data.replace(MARKER.encode(), b"reconsidered")
        return super().read(data, name=name, password=password, early=early)


def test_a_reading_that_is_replaced_leaves_no_word_in_the_index(tmp_path: Path) -> None:
    """The words of the old reading are gone from its rows and files, and the new ones are there."""
    reader = SecondThought()
    house = House(tmp_path, reader)
    for number in range(3):
        house.accepted(f"Words {number} that stay".encode(), f"{number}.txt")
    document = house.accepted(f"A {MARKER} is there".encode(), "a.txt")
    house.work()
    house.say(extracted(document))
    assert found(house, MARKER) == ["a.txt"]
    reader.again = True
    assert house.client.post(f"/v1/documents/{document}/reprocess").status_code == 202
    house.work()
    assert (found(house, MARKER), found(house, "reconsidered")) == ([], ["a.txt"])
    assert len(found(house, "stay")) == 3
    house.close()
    [original] = in_files(tmp_path)
    assert original.startswith("blobs/"), "the bytes as uploaded have it still"


def test_nothing_of_a_deleted_document_is_in_any_row_of_postgresql(
    servers: Servers, tmp_path: Path
) -> None:
    """No column of any table has it, nor any `tsvector`; once the server has rewritten its tables,
    none of their files has it.
    """
    url = servers.database()
    house = House(tmp_path, ingest_database_url=url)
    document = with_marker(house)
    assert {"vectors"} <= in_rows(url)
    house.client.delete(f"/v1/documents/{document}")
    house.work()
    house.relay.run_once()
    assert in_rows(url) == set()
    assert len(found(house, "stay")) == 10
    house.close()
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("VACUUM FULL"))
        connection.execute(text("CHECKPOINT"))
        where = connection.execute(text("SELECT pg_relation_filepath('vectors')")).scalar_one()
    engine.dispose()
    tables = (servers.folder / "data" / where).parent
    assert (servers.folder / "data" / where).is_file()
    assert in_files(tables) == []


def in_rows(url: str) -> set[str]:
    """The tables of which some row has the marker, in whatever column."""
    engine = create_engine(url)
    known = MetaData()
    known.reflect(engine)
    holders = set()
    with engine.connect() as connection:
        for table in known.tables.values():
            for column in table.columns:
                query = select(table).where(cast(column, String).ilike(f"%{MARKER}%"))
                if connection.execute(query.limit(1)).first() is not None:
                    holders.add(table.name)
    engine.dispose()
    assert len(known.tables) > 8
    return holders
