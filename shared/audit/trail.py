"""Records lines of the audit trail, in the transaction of the change that they are about.

Each tenant has one chain in each database: a line has the hash of the previous line. The lines of a
transaction are written just before its commit, so nobody waits for the chain during long work.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from shared.messaging.tables import Time
from shared.storage.locks import lock
from shared.storage.tenant_isolation import across_tenants
from shared.web.auth import Actor
from shared.web.current_request import current_request

Action = Literal[
    "sign-in",
    "sign-out",
    "key.create",
    "key.change",
    "key.revoke",
    "link.create",
    "user.create",
    "user.change",
    "refuse",
    "document.upload",
    "document.kind",
    "document.tags",
    "document.assign",
    "document.reprocess",
    "document.cancel",
    "document.delete",
    "document.read",
    "result.read",
    "item.open",
    "item.assign",
    "comment.create",
    "comment.delete",
    "search",
    "list",
    "export",
    "decide",
    "webhook.create",
    "webhook.change",
    "webhook.delete",
    "webhook.send",
    "setting.change",
    "change",
    "checkpoint",
]
GENESIS = "0" * 64
"""The previous hash of the first line."""
_PENDING = "audit"

_Number = BigInteger().with_variant(Integer, "sqlite")
metadata = MetaData()

audit = Table(
    "audit",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("number", _Number, primary_key=True, autoincrement=False),
    Column("at", Time, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("session_id", String(64), nullable=False),
    Column("address", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    Column("object", String(64), nullable=False),
    Column("details", JSON, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
"""The lines, numbered from 1 for each tenant. Triggers refuse changes."""

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("number", _Number, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("removed", _Number, nullable=False),
)
"""The last line of each chain, and the number of the last line that retention removed, or 0."""


def operator(tenant: str) -> Actor:
    """Return the actor of a command that works on the databases, without a key."""
    return Actor(tenant, "operator", key_id="")


def record(
    session: Session,
    actor: Actor,
    action: Action,
    subject: str = "",
    *,
    address: str | None = None,
    **details: Any,
) -> None:
    """Record an action in the transaction of the session.

    Args:
        session: an open transaction that may write.
        actor: who acts; `operator` for a command. Its tenant has the chain.
        action: what the actor did.
        subject: id of the document, key or other thing that it was done to.
        address: of the client; None for that of the current request.
        details: small values for JSON: no text of documents, no words of a search, no secrets.
    """
    request = current_request()
    if request:
        request.recorded = True
        address = address or request.address
    pending = session.info.setdefault(_PENDING, [])
    if not pending:
        event.listen(session, "before_commit", _write, once=True)
    pending.append(
        {
            "tenant": actor.tenant,
            "actor": actor.name,
            "key_id": actor.key_id,
            "session_id": actor.session_id or "",
            "address": (address or "")[:64],
            "action": action,
            "object": subject,
            "details": details,
        }
    )


def _write(session: Session) -> None:
    """Append the pending lines to their chains, which stay locked until the commit."""
    tenant_of = itemgetter("tenant")
    pending = sorted(session.info.pop(_PENDING), key=tenant_of)
    for tenant, lines in groupby(pending, tenant_of):
        lock(session, f"audit of {tenant}")
        mine = audit_heads.c.tenant == tenant
        head = session.execute(select(audit_heads).where(mine)).one_or_none()
        number, last = (head.number, head.hash) if head else (0, GENESIS)
        now, rows = datetime.now(UTC), []
        for line in lines:
            number += 1
            row = {**line, "number": number, "at": now, "previous": last}
            last = digest(row)
            rows.append({**row, "hash": last})
        session.execute(insert(audit), rows)
        values = {"number": number, "hash": last}
        if head:
            session.execute(update(audit_heads).where(mine).values(**values))
        else:
            session.execute(insert(audit_heads).values(tenant=tenant, removed=0, **values))


def digest(line: Mapping[Any, Any]) -> str:
    """Return the SHA-256 of a line: of its columns except `hash`, as a JSON list."""
    values = [
        line[column.name] if column.name != "at" else line["at"].astimezone(UTC).isoformat()
        for column in audit.c
        if column.name != "hash"
    ]
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def tenants(session: Session) -> list[str]:
    """Return the tenants that have a chain."""
    query = select(audit_heads.c.tenant).order_by(audit_heads.c.tenant)
    return list(session.execute(across_tenants(query, "upkeep")).scalars())


def prune(session: Session, tenant: str, before: datetime) -> int:
    """Remove the lines before a time, the oldest first.

    A new line of the chain, the checkpoint, has the number and the hash of the last removed line,
    so the other lines can still be verified.

    Returns:
        Number of removed lines.
    """
    lock(session, f"audit of {tenant}")
    mine = audit.c.tenant == tenant
    first_kept = select(audit.c.number).where(mine, audit.c.at >= before)
    kept = session.execute(first_kept.order_by(audit.c.number).limit(1)).scalar()
    old = select(audit.c.number, audit.c.hash).where(mine)
    if kept is not None:
        old = old.where(audit.c.number < kept)
    last = session.execute(old.order_by(audit.c.number.desc()).limit(1)).one_or_none()
    if last is None:
        return 0
    record(
        session,
        Actor(tenant, "smallprint", key_id=""),
        "checkpoint",
        removed=last.number,
        hash=last.hash,
    )
    heads = update(audit_heads).where(audit_heads.c.tenant == tenant)
    session.execute(heads.values(removed=last.number))
    removed = session.execute(delete(audit).where(mine, audit.c.number <= last.number))
    return int(removed.rowcount)  # type: ignore[attr-defined]
