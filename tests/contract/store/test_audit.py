"""The audit trail on each database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DatabaseError

from services.extraction.store import MIGRATIONS
from shared.audit import operator, record
from shared.audit.chain import ChainResult, missing_triggers, verify
from shared.audit.chain import lines as exported
from shared.audit.trail import audit, audit_heads, digest, prune
from shared.errors import Conflict
from shared.storage import Store
from shared.web.auth import Actor
from shared.web.current_request import request_from

ALICE = Actor("default", "alice", key_id="0123456789abcdef", session_id="fedcba9876543210")


@pytest.fixture
def trail(url: str) -> Iterator[Store]:
    """An extraction database without lines."""
    store = Store(url, "extraction", MIGRATIONS)
    store.migrate()
    yield store
    store.close()


def lines(store: Store) -> list[Any]:
    """All lines, by tenant and number."""
    with store.read() as session:
        query = select(audit).order_by(audit.c.tenant, audit.c.number)
        return list(session.execute(query).mappings())


def test_a_line_says_who_did_what_from_where(trail: Store) -> None:
    with request_from("192.0.2.7"), trail.write() as session:
        record(session, ALICE, "document.read", "doc_1", operation="GET /text")
    with trail.write() as session:
        record(session, operator("default"), "key.revoke", "0123456789abcdef")
    names = ("number", "actor", "key_id", "session_id", "address", "action", "object", "details")
    assert [[line[name] for name in names] for line in lines(trail)] == [
        [
            *(1, "alice", ALICE.key_id, ALICE.session_id, "192.0.2.7"),
            *("document.read", "doc_1", {"operation": "GET /text"}),
        ],
        [2, "operator", "", "", "", "key.revoke", "0123456789abcdef", {}],
    ]


def test_a_line_is_committed_with_its_change_or_not_at_all(trail: Store) -> None:
    def change() -> None:
        with trail.write() as session:
            record(session, ALICE, "decide")
            raise Conflict("not now")

    with pytest.raises(Conflict):
        change()
    assert lines(trail) == []


def test_each_tenant_has_its_own_chain(trail: Store) -> None:
    for tenant in ("b", "a", "b"):
        with trail.write() as session:
            record(session, operator(tenant), "decide")
            record(session, operator(tenant), "decide")
    found = lines(trail)
    assert [(line["tenant"], line["number"]) for line in found] == [
        *(("a", 1), ("a", 2)),
        *(("b", 1), ("b", 2), ("b", 3), ("b", 4)),
    ]
    for before, line in pairwise(found):
        if line["number"] > 1:
            assert line["previous"] == before["hash"]
        assert digest(line) == line["hash"]


def test_the_database_refuses_to_change_a_line(trail: Store) -> None:
    with trail.write() as session:
        record(session, ALICE, "decide")
    before = lines(trail)
    statements = ["UPDATE audit SET actor = 'bob'", "DELETE FROM audit"]
    if trail.engine.dialect.name == "postgresql":
        statements.append("TRUNCATE audit")
    else:
        statements.append("INSERT OR REPLACE INTO audit SELECT * FROM audit")
    for statement in statements:
        refused = pytest.raises(DatabaseError, match="cannot be changed or removed")
        with trail.write() as session, refused:
            session.execute(text(statement))
        assert lines(trail) == before


def verified(store: Store, anchors: dict[str, tuple[int, str]] | None = None) -> list[ChainResult]:
    """The results of all chains."""
    with store.read() as session:
        return list(verify(session, anchors))


def tamper(store: Store, *statements: str) -> None:
    """Change the tables as the owner of the database can."""
    postgresql = store.engine.dialect.name == "postgresql"
    with store.write() as session:
        if postgresql:
            session.execute(text("ALTER TABLE audit DISABLE TRIGGER USER"))
        else:
            session.execute(text("DROP TRIGGER audit_update"))
            session.execute(text("DROP TRIGGER audit_delete"))
        for statement in statements:
            session.execute(text(f"{statement} AND tenant = 'default'"))


def rewrite(store: Store, number: int, **changes: Any) -> str:
    """Change a line and give it the hash that it then needs. Returns the hash."""
    line = {**lines(store)[number - 1], **changes}
    values = ", ".join(f"{name} = '{value}'" for name, value in changes.items())
    line["hash"] = digest(line)
    tamper(store, f"UPDATE audit SET {values}, hash = '{line['hash']}' WHERE number = {number}")
    return str(line["hash"])


def test_missing_and_disabled_triggers_are_found(trail: Store) -> None:
    def missing() -> list[str]:
        with trail.read() as session:
            return missing_triggers(session)

    if trail.engine.dialect.name == "postgresql":
        steps = {
            "ALTER TABLE audit ENABLE REPLICA TRIGGER audit_change": ["audit_change"],
            "ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_change": [],
            "ALTER TABLE audit DISABLE TRIGGER audit_truncate": ["audit_truncate"],
            "DROP TRIGGER audit_change ON audit": ["audit_change", "audit_truncate"],
        }
    else:
        steps = {
            "DROP TRIGGER audit_delete": ["audit_delete"],
            "DROP TRIGGER audit_update": ["audit_update", "audit_delete"],
        }
    assert missing() == []
    for statement, found in steps.items():
        with trail.write() as session:
            session.execute(text(statement))
        assert missing() == found


TAMPERINGS: dict[str, tuple[list[str], int, str]] = {
    "a changed line": (["UPDATE audit SET actor = 'bob' WHERE number = 3"], 3, "changed"),
    "a changed time": (
        ["UPDATE audit SET at = '2020-01-01 00:00:00' WHERE number = 3"],
        3,
        "changed",
    ),
    "a removed line": (["DELETE FROM audit WHERE number = 3"], 3, "removed"),
    "removed first lines": (["DELETE FROM audit WHERE number < 3"], 1, "removed"),
    "two exchanged lines": (
        [
            "UPDATE audit SET number = 99 WHERE number = 3",
            "UPDATE audit SET number = 3 WHERE number = 4",
            "UPDATE audit SET number = 4 WHERE number = 99",
        ],
        3,
        "reordered",
    ),
    "removed last lines": (["DELETE FROM audit WHERE number > 3"], 4, "tail removed"),
    "all lines": (["DELETE FROM audit WHERE number > 0"], 1, "tail removed"),
    "no head": (["DELETE FROM audit_heads WHERE number > 0"], 5, "forged"),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering_is_found(trail: Store, tampering: str) -> None:
    for number in range(5):
        with trail.write() as session:
            record(session, ALICE, "decide", f"it_{number}")
            record(session, operator("other"), "decide", f"it_{number}")
    assert [result.problem for result in verified(trail)] == [None, None]
    statements, wrong, problem = TAMPERINGS[tampering]
    tamper(trail, *statements)
    found, other = verified(trail)
    assert (found.tenant, found.wrong, found.problem) == ("default", wrong, problem)
    assert (other.tenant, other.lines, other.problem) == ("other", 5, None)


def test_a_line_with_a_new_hash_is_found(trail: Store) -> None:
    for _ in range(5):
        with trail.write() as session:
            record(session, ALICE, "decide")
    rewrite(trail, 3, actor="bob")
    [found] = verified(trail)
    assert (found.wrong, found.problem) == (3, "forged")


def test_a_line_that_somebody_added_is_found(trail: Store) -> None:
    for _ in range(5):
        with trail.write() as session:
            record(session, ALICE, "decide")
    last = lines(trail)[-1]
    added = {**last, "number": 6, "actor": "bob", "previous": last["hash"]}
    with trail.write() as session:
        session.execute(insert(audit).values({**added, "hash": digest(added)}))
    [found] = verified(trail)
    assert (found.wrong, found.problem) == (6, "forged")


def test_a_chain_with_new_hashes_differs_from_its_export(trail: Store) -> None:
    """Somebody who can write the database can make a new chain, but not change the export."""
    for _ in range(5):
        with trail.write() as session:
            record(session, ALICE, "decide")
    anchors = {"default": (5, lines(trail)[-1]["hash"])}
    last = rewrite(trail, 5, actor="bob")
    [found] = verified(trail)
    assert (found.wrong, found.problem) == (5, "forged")
    with trail.write() as session:
        session.execute(update(audit_heads).values(hash=last))
    assert [result.problem for result in verified(trail)] == [None]
    [found] = verified(trail, anchors)
    assert (found.wrong, found.problem) == (5, "forged")


def test_an_export_shows_that_a_chain_is_shorter_now(trail: Store) -> None:
    for _ in range(5):
        with trail.write() as session:
            record(session, ALICE, "decide")
    anchors = {"default": (5, lines(trail)[-1]["hash"])}
    tamper(trail, "DELETE FROM audit WHERE number > 0", "DELETE FROM audit_heads WHERE number > 0")
    assert verified(trail) == []
    [found] = verified(trail, anchors)
    assert (found.wrong, found.problem) == (1, "tail removed")


def test_retention_removes_the_oldest_lines_and_the_others_can_be_verified(trail: Store) -> None:
    for _ in range(5):
        with trail.write() as session:
            record(session, ALICE, "decide")
    third = lines(trail)[2]
    for before, removed in ((third["at"], 2), (third["at"], 0)):
        with trail.write() as session:
            assert prune(session, "default", before) == removed
    found = lines(trail)
    assert [(line["number"], line["action"]) for line in found] == [
        *((3, "decide"), (4, "decide"), (5, "decide")),
        (6, "checkpoint"),
    ]
    [result] = verified(trail)
    assert (result.lines, result.number, result.problem) == (4, 6, None)
    tamper(trail, "DELETE FROM audit WHERE number = 3")
    [result] = verified(trail)
    assert (result.wrong, result.problem) == (3, "removed")


def test_an_export_shows_that_a_forged_checkpoint_hides_removed_lines(trail: Store) -> None:
    for _ in range(5):
        with trail.write() as session:
            record(session, ALICE, "decide")
    fourth = lines(trail)[3]
    anchors = [{"default": (number, lines(trail)[number - 1]["hash"])} for number in (3, 4, 5)]
    with trail.write() as session:  # whoever can write the database can do this
        assert prune(session, "default", fourth["at"] + timedelta(microseconds=1)) == 4
    assert verified(trail)[0].problem is None
    assert [verified(trail, anchor)[0].problem for anchor in anchors] == ["removed", None, None]


def test_lines_of_a_document_or_an_actor_are_found(trail: Store) -> None:
    """Also lines about items of the document."""
    with trail.write() as session:
        record(session, ALICE, "document.read", "doc_1")
        record(session, ALICE, "item.open", "it_1", document="doc_1")
        record(session, operator("default"), "document.delete", "doc_1")
        record(session, ALICE, "item.open", "it_2", document="doc_10")
        record(session, operator("other"), "list")

    def found(**conditions: Any) -> list[int]:
        with trail.read() as session:
            return [line["number"] for line in exported(session, **conditions)]

    assert found(subject="doc_1") == [1, 2, 3]
    assert found(subject="it_2") == [4]
    assert found(actor="alice") == [1, 2, 4]
    assert found(subject="doc_1", actor="operator", tenant="default") == [3]
    assert found(subject="doc_1", tenant="other") == []


def test_lines_are_exported_by_time(trail: Store) -> None:
    for tenant in ("b", "a", "b"):
        with trail.write() as session:
            record(session, operator(tenant), "decide")
    with trail.read() as session:
        assert [(line["tenant"], line["number"]) for line in exported(session)] == [
            *(("b", 1), ("a", 1), ("b", 2)),
        ]
    third = next(line["at"] for line in lines(trail) if line["number"] == 2)
    with trail.read() as session:
        assert [line["number"] for line in exported(session, since=third, tenant="b")] == [2]
