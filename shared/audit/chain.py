"""Verifies the chains of a database, and reads their lines for an export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlalchemy import RowMapping, column, func, or_, select, table, text, union
from sqlalchemy.orm import Session

from shared.audit.trail import GENESIS, audit, audit_heads, digest
from shared.storage.tenant_isolation import across_tenants

BATCH = 1_000
"""Lines read from the database at once."""

TRIGGERS = {
    "sqlite": ("audit_update", "audit_delete", "audit_replace"),
    "postgresql": ("audit_change", "audit_truncate"),
}
"""The triggers that refuse changes to lines, by kind of database."""

Problem = Literal["changed", "removed", "reordered", "forged", "tail removed"]
Anchor = tuple[int, str]
"""Number and hash of a line."""


@dataclass(frozen=True)
class ChainResult:
    """The state of one chain."""

    tenant: str
    lines: int = 0
    """Correct lines before the first wrong one."""
    number: int = 0
    """Of the last correct line."""
    hash: str = GENESIS
    """Of the last correct line."""
    wrong: int | None = None
    """Number of the first wrong or missing line."""
    problem: Problem | None = None
    detail: str = ""
    compared: bool | None = None
    """Whether it has the last line of the export; None if the export has none of it."""
    exported: int | None = None
    """Number of that line, if it was compared."""

    def found(self, wrong: int, problem: Problem, detail: str) -> ChainResult:
        """Return the result with a problem."""
        return replace(self, wrong=wrong, problem=problem, detail=detail)


def verify(session: Session, anchors: Mapping[str, Anchor] | None = None) -> Iterator[ChainResult]:
    """Verify every chain of a database.

    Args:
        session: a new transaction that reads; the suite may be running.
        anchors: for each tenant, the last line of an earlier export. The chain must have it.
    """
    anchors = anchors or {}
    _see_one_moment(session)
    query = union(select(audit_heads.c.tenant), select(audit.c.tenant))
    tenants = set(session.execute(across_tenants(query, "all chains are verified")).scalars())
    for tenant in sorted(tenants | anchors.keys()):
        yield _verify(session, tenant, anchors.get(tenant))


def missing_triggers(session: Session) -> list[str]:
    """Return the names of the triggers that a database lacks or has switched off."""
    dialect = session.get_bind().dialect.name
    if dialect == "sqlite":
        schema = table("sqlite_master", column("name"), column("type"), column("tbl_name"))
        query = select(schema.c.name).where(
            schema.c.type == "trigger", schema.c.tbl_name == audit.name
        )
    else:
        triggers = table("pg_trigger", column("tgname"), column("tgrelid"), column("tgenabled"))
        query = select(triggers.c.tgname).where(
            triggers.c.tgrelid == func.to_regclass(audit.name),
            triggers.c.tgenabled.in_(["O", "A"]),  # fires outside of replication, or always
        )
    found = set(session.execute(query).scalars())
    return [name for name in TRIGGERS[dialect] if name not in found]


def lines(
    session: Session,
    *,
    since: datetime | None = None,
    tenant: str | None = None,
    subject: str | None = None,
    actor: str | None = None,
) -> Iterator[RowMapping]:
    """Yield lines by time.

    Args:
        session: a new transaction that reads.
        since: the earliest time; None for all.
        tenant: None for those of all tenants.
        subject: id of an object; also finds lines about the items of this document.
        actor: name of who acted; None for everybody.
    """
    _see_one_moment(session)
    query = select(audit).order_by(audit.c.at, audit.c.tenant, audit.c.number)
    if since is not None:
        query = query.where(audit.c.at >= since)
    if subject is not None:
        of_document = audit.c.details["document"].as_string() == subject
        query = query.where(or_(audit.c.object == subject, of_document))
    if actor is not None:
        query = query.where(audit.c.actor == actor)
    if tenant is None:
        query = across_tenants(query, "an export of all tenants")
    else:
        query = query.where(audit.c.tenant == tenant)
    yield from session.execute(query.execution_options(yield_per=BATCH)).mappings()


def _see_one_moment(session: Session) -> None:
    """Let all statements of a new transaction see the same rows, as SQLite always does."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))


def _verify(session: Session, tenant: str, anchor: Anchor | None) -> ChainResult:
    number, last = _start(session, tenant)
    result = ChainResult(tenant, 0, number, last)
    if anchor and anchor[0] < number:  # a forged checkpoint would look the same
        detail = f"line {anchor[0]}, the last of the export, was removed like all until {number}"
        return result.found(anchor[0], "removed", detail)
    if anchor and anchor[0] == number:
        if anchor[1] != last:
            return _not_exported(result, number)
        result = replace(result, compared=True, exported=number)
    query = select(audit).where(audit.c.tenant == tenant).order_by(audit.c.number)
    with session.execute(query.execution_options(yield_per=BATCH)) as rows:
        for row in rows.mappings():
            if (wrong := _wrong(session, result, row)) is not None:
                return wrong
            if anchor and anchor[0] == row["number"]:
                if anchor[1] != row["hash"]:
                    return _not_exported(result, row["number"])
                result = replace(result, compared=True, exported=row["number"])
            result = replace(result, lines=result.lines + 1, number=row["number"], hash=row["hash"])
    if anchor and anchor[0] > result.number:
        return _missing(result, anchor[0], "tail removed")
    return _compare_head(session, result)


def _start(session: Session, tenant: str) -> Anchor:
    """Return the last line that retention removed, by the last checkpoint."""
    query = select(audit.c.details).where(audit.c.tenant == tenant, audit.c.action == "checkpoint")
    details = session.execute(query.order_by(audit.c.number.desc()).limit(1)).scalar()
    return (details["removed"], details["hash"]) if details else (0, GENESIS)


def _wrong(session: Session, before: ChainResult, row: RowMapping) -> ChainResult | None:
    """Compare a row with the line before it. Returns None for the next correct line."""
    expected = before.number + 1
    intact = digest(row) == row["hash"]
    if intact and (row["number"], row["previous"]) == (expected, before.hash):
        return None
    of_chain = select(audit).where(audit.c.tenant == before.tenant)
    for other in session.execute(of_chain.where(audit.c.previous == before.hash)).mappings():
        if digest({**other, "number": expected}) == other["hash"]:
            where = f"line {expected} has the number {other['number']}"
            return before.found(expected, "reordered", where)
    if row["number"] > expected:
        return _missing(before, row["number"] - 1, "removed")
    if not intact:
        return before.found(expected, "changed", f"line {expected} does not have its hash")
    follows = of_chain.where(audit.c.previous == row["hash"])
    wrong = before.number if before.lines and session.execute(follows).first() else expected
    return before.found(wrong, "forged", f"line {expected} does not follow line {before.number}")


def _compare_head(session: Session, result: ChainResult) -> ChainResult:
    query = select(audit_heads).where(audit_heads.c.tenant == result.tenant)
    head = session.execute(query).one_or_none()
    if head is None:
        return result.found(result.number, "forged", "the record of the last line is missing")
    if head.number > result.number:
        return _missing(result, head.number, "tail removed")
    if head.number < result.number:
        added = head.number + 1
        return result.found(added, "forged", f"line {added} was added without its record")
    if head.hash != result.hash:
        detail = f"line {result.number} is not the one that was recorded as the last"
        return result.found(result.number, "forged", detail)
    return result


def _missing(result: ChainResult, until: int, problem: Problem) -> ChainResult:
    first = result.number + 1
    which = f"line {first} is" if first == until else f"lines {first} to {until} are"
    return result.found(first, problem, f"{which} missing")


def _not_exported(result: ChainResult, number: int) -> ChainResult:
    return result.found(number, "forged", f"line {number} is not the one in the export")
