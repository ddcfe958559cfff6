"""`smallprint audit`: the trails of all services of a data folder."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from services.cli.deployment.stores import SERVICES, migrations
from shared.audit import operator, record
from shared.storage import Store
from tests.unit.cli.builders import Run, lines


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder: three lines of one tenant in each service, one of another in ingest."""
    with ExitStack() as stack:
        stores = {
            name: stack.enter_context(
                closing(Store(f"sqlite:///{tmp_path / name}.db", name, migrations()[name]))
            )
            for name in SERVICES
        }
        for store in stores.values():
            store.migrate()
        for number in range(3):
            for store in stores.values():
                with store.write() as session:
                    record(session, operator("default"), "change", f"it_{number}", what="=1+1")
        with stores["ingest"].write() as session:
            record(session, operator("acme"), "change")
    return tmp_path


def tamper(data: Path, service: str, statement: str) -> None:
    """Change lines without the triggers, then make these again."""
    with closing(sqlite3.connect(data / f"{service}.db")) as database, database:
        triggers = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"
        ).fetchall()
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        database.execute(statement)
        for _, trigger in triggers:
            database.execute(trigger)


def test_correct_chains_are_all_listed(run: Run, data: Path) -> None:
    code, out, _ = run("audit", "verify", "--data", data, "--json")
    assert code == 0
    assert [(line["service"], line["tenant"], line["lines"]) for line in lines(out)] == [
        ("ingest", "acme", 1),
        *((name, "default", 3) for name in SERVICES),
    ]
    assert {line["problem"] for line in lines(out)} == {None}
    code, out, _ = run("audit", "verify", "--data", data)
    assert (code, len(out.splitlines())) == (0, 6)


def test_a_wrong_line_is_named_with_its_service_and_tenant(run: Run, data: Path) -> None:
    tamper(data, "review", "UPDATE audit SET action = 'list' WHERE number = 2")
    code, out, _ = run("audit", "verify", "--data", data, "--json")
    assert code == 1
    [wrong] = [line for line in lines(out) if line["problem"]]
    found = (wrong["service"], wrong["tenant"], wrong["wrong"], wrong["problem"])
    assert found == ("review", "default", 2, "changed")
    code, out, _ = run("audit", "verify", "--data", data)
    assert code == 1
    assert "review, tenant default: changed: line 2 does not have its hash" in out.splitlines()


def test_a_missing_trigger_is_named(run: Run, data: Path) -> None:
    with closing(sqlite3.connect(data / "triage.db")) as database, database:
        database.execute("DROP TRIGGER audit_delete")
    code, out, _ = run("audit", "verify", "--data", data, "--json")
    assert code == 1
    [missing] = [line for line in lines(out) if line["problem"]]
    assert (missing["service"], missing["tenant"]) == ("triage", None)
    assert "audit_delete" in missing["detail"]
    code, out, _ = run("audit", "verify", "--data", data)
    assert code == 1
    assert [row[:21] for row in out.splitlines() if "audit_delete" in row] == [
        "triage: unprotected: "
    ]


def test_the_lines_of_all_services_are_merged_by_time(run: Run, data: Path) -> None:
    code, out, _ = run("audit", "export", "--data", data)
    found = lines(out)
    assert (code, len(found)) == (0, 16)
    assert [line["at"] for line in found] == sorted(line["at"] for line in found)
    assert [line["service"] for line in found[:6]] == [*SERVICES, "ingest"]
    _, out, _ = run("audit", "export", "--data", data, "--tenant", "acme")
    assert [line["tenant"] for line in lines(out)] == ["acme"]
    _, out, _ = run("audit", "export", "--data", data, "--object", "it_1", "--actor", "operator")
    assert [(line["service"], line["object"]) for line in lines(out)] == [
        (name, "it_1") for name in SERVICES
    ]
    _, out, _ = run("audit", "export", "--data", data, "--actor", "alice")
    assert out == ""
    _, out, _ = run("audit", "export", "--data", data, "--since", "2999-01-01")
    assert out == ""


def test_an_export_as_csv_has_no_formulas(run: Run, data: Path) -> None:
    _, out, _ = run("audit", "export", "--data", data, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out.removeprefix("\ufeff"), newline="")))
    assert len(rows) == 16
    assert json.loads(rows[0]["details"]) == {"what": "=1+1"}


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (None, None),
        ("DELETE FROM audit WHERE number = 3", "tail removed"),
        ("DELETE FROM audit", "tail removed"),
    ],
)
def test_a_trail_is_compared_with_an_export(
    run: Run, data: Path, tmp_path: Path, statement: str | None, problem: str | None
) -> None:
    """Also if somebody has changed the record of the last line, too."""
    export = tmp_path / "trail.jsonl"
    export.write_text(run("audit", "export", "--data", data)[1])
    if statement:
        tamper(data, "triage", statement)
        head = "(SELECT hash FROM audit ORDER BY number DESC LIMIT 1)"
        change = f"UPDATE audit_heads SET number = 2, hash = {head} WHERE {head} IS NOT NULL"
        tamper(data, "triage", change)
        tamper(data, "triage", f"DELETE FROM audit_heads WHERE {head} IS NULL")
        assert run("audit", "verify", "--data", data)[0] == 0
    code, out, _ = run("audit", "verify", "--data", data, "--against", export, "--json")
    assert code == (1 if problem else 0)
    found: dict[str, Any] = {line["service"]: line["problem"] for line in lines(out)}
    assert found == {**dict.fromkeys(SERVICES), "triage": problem}
    _, out, _ = run("audit", "verify", "--data", data, "--against", export)
    agreeing = [line for line in out.splitlines() if "agrees with the export up to line 3" in line]
    assert len(agreeing) == (4 if problem else 5)


def test_a_chain_may_be_longer_than_its_export(run: Run, data: Path, tmp_path: Path) -> None:
    export = tmp_path / "trail.jsonl"
    export.write_text(run("audit", "export", "--data", data)[1])
    with (
        closing(
            Store(f"sqlite:///{data / 'review.db'}", "review", migrations()["review"])
        ) as store,
        store.write() as session,
    ):
        record(session, operator("default"), "change")
    code, out, _ = run("audit", "verify", "--data", data, "--against", export, "--json")
    [found] = [line for line in lines(out) if line["service"] == "review"]
    assert (code, found["number"], found["exported"]) == (0, 4, 3)


def test_another_file_is_no_export(run: Run, data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text('{"service": "ingest"}\n')
    code, _, err = run("audit", "verify", "--data", data, "--against", other)
    assert code == 64
    assert "line 1 is not of" in err
