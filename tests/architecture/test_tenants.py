"""Every table has a tenant, or a reason why not; every statement that means all has one too."""

import ast
import importlib

import pytest
from sqlalchemy import MetaData, Table

from tests.architecture.source import python_files
from tests.support import ROOT

WITHOUT = {
    "outbox": "events by their key, `tenant/document`; the relay sends those of all",
    "bus_position": "how far the pump has read each log of the bus; the events are of all",
    "relay_lease": "one process's right to send",
    "secrets": "the installation's own",
    "fulltext_tables": "names and sizes of the FTS5 tables; their rows have ids of passages",
    "vectors": "words by the id of a passage, which has the tenant, and with which they go",
    "webhook_attempts": "tries by the number of a delivery, which has the tenant",
    "stopped": "providers, which are everybody's",
}
"""Tables without a column `tenant`, and why."""

ACROSS = {
    "services/ingest/users/store.py": {"_OPERATOR": 2, "_SIGN_IN": 3},
    "services/escalation/costs/store.py": {"_OPERATOR": 2},
    "services/escalation/ledger/store.py": {
        "_A_CALL": 1,
        "_SUMS": 2,
        "the rate limit of a provider covers all tenants": 1,
        "calls of crashed processes": 1,
    },
    "services/escalation/policy/store.py": {
        "those that had a policy": 1,
        "whether there is a policy": 1,
    },
    "services/escalation/store.py": {"upkeep": 1},
    "services/ingest/idempotency/store.py": {"expired keys": 1},
    "services/ingest/resumable/store.py": {"expired uploads": 1},
    "services/ingest/retention/store.py": {"tenants with rules": 1},
    "services/ingest/search/store.py": {"other passages on a full-text table": 1},
    "services/ingest/store.py": {
        "_A_KEY": 3,
        "_OPERATOR": 1,
        "documents in work": 1,
        "expired sessions and links": 1,
        "upkeep": 1,
    },
    "services/ingest/webhooks/store.py": {"_OLD": 2, "_QUEUE": 3},
    "services/review/store.py": {"metrics without text of documents": 1, "upkeep": 1},
    "shared/audit/chain.py": {"all chains are verified": 1, "an export of all tenants": 1},
    "shared/audit/trail.py": {"upkeep": 1},
    "shared/messaging/inbox.py": {"_QUEUE": 16},
    "shared/messaging/outbox.py": {"a restore is of all tenants": 1},
    "shared/messaging/relay.py": {"upkeep": 3},
    "shared/monitoring/store.py": {"metrics without text of documents": 2},
    "shared/projection/store.py": {"upkeep": 1},
}
"""The modules with statements about all tenants: their reasons, and how many there are."""


def tables() -> dict[str, Table]:
    """Every table of every service."""
    found: dict[str, Table] = {}
    modules = [
        ".".join(path.with_suffix("").parts)
        for path in python_files("services", "shared/audit", "shared/storage", "shared/messaging")
        if path.name == "store.py" or "MetaData()" in (ROOT / path).read_text("utf-8")
    ]
    for module in modules:
        for value in vars(importlib.import_module(module)).values():
            if isinstance(value, MetaData):
                found |= value.tables
    return found


def test_every_table_has_a_tenant_or_a_reason_why_not() -> None:
    """A new table with rows of tenants and no column for them is noticed here."""
    found = tables()
    assert len(found) > 40, found
    assert {name for name, table in found.items() if "tenant" not in table.c} == set(WITHOUT)


def test_a_tenant_is_never_left_out() -> None:
    found = [table for table in tables().values() if "tenant" in table.c]
    assert len(found) > 30, found
    assert [table.name for table in found if table.c.tenant.nullable] == []


def test_statements_that_mean_all_tenants_are_listed() -> None:
    """Add a new statement to the list only if it needs the rows of all tenants."""
    found: dict[str, dict[str, int]] = {}
    otherwise = []
    for path in python_files("services", "shared", "infra"):
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        otherwise += [f"{path}:{line}" for line in marked_otherwise(tree)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "across_tenants":
                reasons = found.setdefault(path.as_posix(), {})
                why = node.args[1]
                reason = str(why.value) if isinstance(why, ast.Constant) else ast.unparse(why)
                reasons[reason] = reasons.get(reason, 0) + 1
    assert found == ACROSS
    assert otherwise == []


def marked_otherwise(tree: ast.AST) -> list[int]:
    """Lines that name `across_tenants` in another way than by calling it, which this list would not
    see.
    """
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.keyword) and node.arg == "across_tenants")
        or (isinstance(node, ast.Attribute) and node.attr == "across_tenants")
        or (isinstance(node, ast.alias) and node.name == "across_tenants" and node.asname)
        or (isinstance(node, ast.Name) and node.id == "across_tenants" and id(node) not in called)
    ]


@pytest.mark.parametrize(
    "source",
    [
        "session.execute(query.execution_options(across_tenants='x'))",
        "tenants.across_tenants(query, 'x')",
        "from shared.storage.tenant_isolation import across_tenants as whole",
        "whole = across_tenants",
        "dict(across_tenants='x')",
    ],
)
def test_a_statement_can_be_marked_by_its_name_alone(source: str) -> None:
    """Or it would not be in the list."""
    assert marked_otherwise(ast.parse(source)) == [1]
    assert marked_otherwise(ast.parse("across_tenants(query, 'x')")) == []


def test_nothing_goes_around_the_guard() -> None:
    """A service reaches its database only through a session of its store."""
    around = ("exec_driver_sql", "create_engine", "raw_connection", "connection", "engine", "begin")
    allowed = {
        "shared/storage/engine.py",
        "shared/storage/notifications.py",
        "shared/storage/migrate.py",
        "shared/storage/restore_guard.py",
        "shared/storage/snapshot.py",
        "shared/messaging/unit_of_work.py",  # notifies the relay
    }
    wrong, marked = [], []
    for path in python_files("services", "shared/audit", "shared/storage", "shared/messaging"):
        if "migrations" in path.parts:
            continue
        source = (ROOT / path).read_text("utf-8")
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            database = "sqlalchemy" in source or "store" in path.name
            if name in around and database and path.as_posix() not in allowed:
                wrong.append(f"{path}:{node.lineno} calls {name}")
        if '"across_tenants"' in source or "ACROSS" in source:
            marked.append(path.as_posix())
    assert not wrong, "\n".join(wrong)
    assert marked == ["shared/storage/migrate.py", "shared/storage/tenant_isolation.py"]


def test_paths_of_tenants_are_made_in_one_place() -> None:
    """`folder_of` refuses the path of another tenant. Other paths would not be checked."""
    found, wrong = 0, []
    for path in python_files("services", "shared"):
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                right = ast.unparse(node.right)
                found += right.startswith(("folder_of(", "key_of("))
                if right == "tenant" or right.endswith(".tenant"):
                    wrong.append(f"{path}:{node.lineno} {ast.unparse(node)}")
    assert found >= 4
    assert not wrong, "\n".join(wrong)
