"""The guard refuses every statement that does not name its tenant."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    BindParameter,
    Column,
    Executable,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects import sqlite

from shared.blobs.files import FileBlobs
from shared.blobs.markers import ref_of
from shared.blobs.protocol import key_of
from shared.messaging import UnitOfWork
from shared.storage import Store
from shared.storage.tenant_isolation import across_tenants
from shared.tenancy import CrossesTenants, belongs_to, must_be_of, work_of
from tests.contract.events.samples import SAMPLES

HELD = True
"""The guard checks the statements of this file, see `tests.support.tenant_marks`."""

metadata = MetaData()
papers = Table(
    "papers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("name", String(64)),
)
links = Table(
    "links",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("parent", String(64), primary_key=True),
    Column("child", String(64)),
)
tries = Table(
    "tries", metadata, Column("paper", String(64), primary_key=True), Column("count", Integer)
)
other = papers.alias("other")
mine = papers.c.tenant == "ours"
_LINKED = and_(links.c.tenant == papers.c.tenant, links.c.child == papers.c.id)
_OTHERS = select(papers.c.id).where(papers.c.tenant == "ours", papers.c.name == "a")
_ALL = select(func.max(papers.c.name)).scalar_subquery()
_OURS = select(func.max(papers.c.name)).where(mine).scalar_subquery()
_PAPER = insert(papers).values(id="p3", tenant="ours")
_KEY = {"tenant": "ours", "parent": "p1"}


def linked(table: Table, key: list[str], /, given: dict[str, Any], **changed: Any) -> sqlite.Insert:
    row = sqlite.insert(table).values(**given)
    return row.on_conflict_do_update(index_elements=key, set_=changed)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(f"sqlite:///{tmp_path / 'papers.db'}", "ingest", tmp_path)
    with found.write() as session:
        metadata.create_all(session.connection())
        rows = [{"id": "p1", "tenant": "ours", "name": "a"}]
        session.execute(insert(papers), rows)
        session.execute(insert(papers).values(id="p2", tenant="theirs", name="b"))
    yield found
    found.close()


NAMED: dict[str, Executable] = {
    "select": select(papers).where(mine),
    "with more": select(papers.c.id).where(papers.c.id == "p1").where(mine, papers.c.name != "b"),
    "by keywords": select(papers).filter_by(tenant="ours"),
    "turned round": select(papers).where(papers.c.name != "x", papers.c.tenant == "ours"),
    "count": select(func.count()).where(mine),
    "exists": select(exists().where(mine, papers.c.id == "p1")),
    "join": select(papers, links.c.child).join(links, _LINKED).where(mine),
    "join by where": select(papers, links).where(mine, links.c.tenant == papers.c.tenant),
    "outer join": select(papers).select_from(papers.outerjoin(links, _LINKED)).where(mine),
    "alias": select(papers, other).where(mine, other.c.tenant == papers.c.tenant),
    "correlated": select(papers).where(mine, exists().where(_LINKED, links.c.parent == "p1")),
    "within": select(papers).where(mine, papers.c.id.in_(_OTHERS)),
    "rows of nobody": select(tries).where(tries.c.paper.in_(_OTHERS)),
    "of a query": select(func.count()).select_from(_OTHERS.subquery()),
    "of a common query": select(_OTHERS.cte("ours").c.id),
    "together": union_all(_OTHERS, _OTHERS),
    "update": update(papers).where(mine).values(name="c"),
    "update with its tenant": update(papers).where(mine).values(tenant="ours", name="c"),
    "delete": delete(papers).where(mine, papers.c.id.in_(["p1", "p3"])),
    "delete of rows of nobody": delete(tries).where(tries.c.paper.in_(_OTHERS)),
    "insert": insert(papers).values(id="p3", tenant="ours"),
    "insert and tell": _PAPER.returning(papers.c.id, _OURS),
    "insert or change": linked(links, ["tenant", "parent"], _KEY, child="p2"),
    "insert or leave": sqlite.insert(links).values(**_KEY).on_conflict_do_nothing(),
    "insert by a parameter": insert(papers).values(id="p3", tenant=bindparam("whose", "ours")),
    "update and tell": update(papers).where(mine).values(name="c").returning(_OURS),
    "letters": select(papers.c.id, literal_column("'accept'")).where(mine),
    "no rows": text("SELECT 1"),
}

UNNAMED: dict[str, Executable] = {
    "select": select(papers),
    "by id": select(papers).where(papers.c.id == "p1"),
    "either": select(papers).where(or_(mine, papers.c.id == "p1")),
    "not": select(papers).where(papers.c.tenant != "ours"),
    "several": select(papers).where(papers.c.tenant.in_(["ours"])),
    "in pairs": select(papers).where(tuple_(papers.c.tenant, papers.c.id).in_([("ours", "p1")])),
    "itself": select(papers).where(papers.c.tenant == papers.c.tenant),
    "of itself": select(papers, other).where(other.c.tenant == papers.c.tenant),
    "join": select(papers).join(links, links.c.child == papers.c.id).where(mine),
    "outer join the wrong way": select(papers)
    .select_from(papers.outerjoin(links, and_(_LINKED, mine)))
    .where(links.c.tenant == "ours"),
    "exists": select(exists().where(papers.c.id == "p1")),
    "within": select(papers).where(
        mine, papers.c.id.in_(select(papers.c.id).where(papers.c.name == "a"))
    ),
    "correlated": select(papers).where(mine, exists().where(links.c.child == papers.c.id)),
    "as a value": select(select(func.count()).select_from(papers).scalar_subquery()),
    "of a query": select(func.count()).select_from(select(papers.c.id).subquery()),
    "of a common query": select(select(papers.c.id).cte("all").c.id),
    "together": union_all(_OTHERS, select(papers.c.id)),
    "rows of nobody": select(tries).where(tries.c.paper.in_(select(papers.c.id))),
    "update": update(papers).where(papers.c.id == "p1").values(name="c"),
    "update to another": update(papers).where(mine).values(tenant="theirs"),
    "update to whatever": update(papers).where(mine).values(tenant=papers.c.name),
    "update by others": update(papers)
    .where(mine)
    .values(name=select(func.max(links.c.child)).scalar_subquery()),
    "delete": delete(papers).where(papers.c.id == "p1"),
    "delete by others": delete(tries).where(exists().where(papers.c.id == tries.c.paper)),
    "several at once": select(papers, links).where(mine, links.c.tenant == "theirs"),
    "insert what was read": insert(papers).from_select(["id", "tenant"], select(links)),
    "insert many": insert(papers).values([{"id": "p4", "tenant": "theirs"}]),
    "text": text("SELECT * FROM papers"),
    "text to change": text("DELETE  from papers"),
    "text in a condition": select(papers).where(mine, text("1 = 1 OR 1 = 1")),
    "letters with a table": select(literal_column("(SELECT max(name) FROM papers)")),
    "update and tell": update(papers).where(mine).values(name="c").returning(_ALL),
    "delete and tell": delete(papers).where(mine).returning(_ALL),
    "insert and tell": _PAPER.returning(_ALL),
    "insert after a common query": _PAPER.add_cte(select(papers.c.id).cte("all")),
    "insert or replace": insert(papers).values(id="p2", tenant="ours").prefix_with("OR REPLACE"),
    "update or replace": update(papers).where(mine).values(id="p2").prefix_with("OR REPLACE"),
    "insert or take": linked(papers, ["id"], {"id": "p2", "tenant": "ours"}, tenant="ours"),
    "insert or change another's": linked(papers, ["id"], {"id": "p2", "tenant": "ours"}, name="c"),
    "insert or give": linked(links, ["tenant", "parent"], _KEY, tenant="theirs"),
    "insert or change by all": linked(links, ["tenant", "parent"], _KEY, child=_ALL),
    "letters in a condition": select(papers).where(mine, literal_column("1 OR 1")),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_statement_that_says_whose_rows_it_means_is_put(store: Store, name: str) -> None:
    for _ in range(2):
        with store.write() as session:
            session.execute(NAMED[name])
            session.rollback()


@pytest.mark.parametrize("name", UNNAMED)
def test_a_statement_that_does_not_is_refused_whatever_it_would_find(
    store: Store, name: str
) -> None:
    for _ in range(2):
        with store.write() as session:
            with pytest.raises(CrossesTenants):
                session.execute(UNNAMED[name])
            session.rollback()
    assert names(store) == ["a", "b"]


def names(store: Store) -> list[Any]:
    query = across_tenants(select(papers.c.name).order_by(papers.c.id), "a test")
    with store.read() as session:
        return list(session.execute(query).scalars())


def test_what_is_marked_may_mean_all(store: Store) -> None:
    with store.write() as session:
        gone = session.execute(across_tenants(delete(papers), "a test"))
        assert gone.rowcount == 2  # type: ignore[attr-defined]
    with pytest.raises(AssertionError):
        across_tenants(select(papers), "")


def test_in_the_work_of_a_tenant_no_other_can_be_named(store: Store) -> None:
    def by(tenant: str) -> Any:
        return select(papers.c.name).where(papers.c.tenant == tenant)

    with store.read() as session:  # without a tenant: an operator's
        assert session.execute(by("theirs")).scalars().all() == ["b"]
    with work_of("ours"), store.write() as session:
        assert session.execute(by("ours")).scalars().all() == ["a"]
        for statement in (
            by("theirs"),
            update(papers).where(papers.c.tenant == "theirs").values(name="c"),
            delete(papers).where(papers.c.tenant == "theirs"),
            insert(papers).values(id="p5", tenant="theirs"),
        ):
            with pytest.raises(CrossesTenants, match="theirs"):
                session.execute(statement)
        rows = [{"id": "p6", "tenant": "ours"}, {"id": "p7", "tenant": "theirs"}]
        with pytest.raises(CrossesTenants):
            session.execute(insert(papers), rows)
        with pytest.raises(CrossesTenants):
            session.execute(insert(papers), rows[1:])
        whose: BindParameter[str] = bindparam("whose")
        for statement in (
            insert(papers).values(id="p8", tenant=whose),
            update(papers).where(papers.c.tenant == "ours").values(tenant=whose),
        ):
            with pytest.raises(CrossesTenants):
                session.execute(statement, {"whose": "theirs"})
        session.execute(insert(papers), rows[:1])
    assert names(store) == ["a", "b", None]


def test_the_work_is_that_of_one_tenant_in_all_its_threads() -> None:
    with work_of():
        must_be_of("ours", "a row")
        belongs_to("ours")
        belongs_to("ours")
        with pytest.raises(CrossesTenants):
            belongs_to("theirs")
        with pytest.raises(CrossesTenants):
            must_be_of("theirs", "a row")
        assert in_a_thread(lambda: must_be_of("theirs", "a row")) is None  # another work
        with work_of("theirs"):
            must_be_of("theirs", "a row")
        must_be_of("ours", "a row")
    must_be_of("theirs", "a row")
    belongs_to("theirs")
    must_be_of("ours", "a row")


def in_a_thread(do: Callable[[], object]) -> BaseException | None:
    """Run a function in a new thread and return its tenant error."""
    came: list[BaseException] = []

    def run() -> None:
        try:
            do()
        except CrossesTenants as error:
            came.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return came[0] if came else None


def test_no_blob_of_another_tenant_has_a_name_in_the_work_of_one(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    ref = blobs.put("theirs", b"secret")
    with work_of("ours"):
        for attempt in (
            lambda: blobs.get("theirs", ref),
            lambda: blobs.open("theirs", ref),
            lambda: blobs.put("theirs", b"x"),
            lambda: blobs.delete("theirs", ref),
            lambda: blobs.open_pinned("theirs", ref),
            lambda: key_of("theirs", ref),
        ):
            with pytest.raises(CrossesTenants):
                attempt()
        assert blobs.get("ours", blobs.put("ours", b"mine")) == b"mine"
    assert blobs.get("theirs", ref) == b"secret"
    assert key_of("theirs", ref_of(b"secret")).startswith("theirs/")


def test_no_event_is_announced_in_the_name_of_another_tenant(store: Store) -> None:
    event = SAMPLES[0].model_copy(update={"tenant": "theirs"})
    with work_of("ours"), pytest.raises(CrossesTenants):
        UnitOfWork(store).publish(event)
