"""The audit trails of all services: verified, compared with an export, and merged."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

from services.cli.output.lines import count, plain
from shared.audit.chain import Anchor, lines, missing_triggers, verify
from shared.errors import InvalidRequest
from shared.storage import Store

COLUMNS = (
    *("at", "service", "tenant", "number", "actor", "key_id", "session_id", "address"),
    *("action", "object", "details", "previous", "hash"),
)


def export(
    stores: Mapping[str, Store],
    *,
    since: datetime | None = None,
    tenant: str | None = None,
    subject: str | None = None,
    actor: str | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the lines of all services by time, as values for JSON.

    The conditions are those of `shared.audit.chain.lines`.
    """

    def of_service(name: str) -> Iterator[dict[str, Any]]:
        with stores[name].read() as session:
            found = lines(session, since=since, tenant=tenant, subject=subject, actor=actor)
            for line in found:
                yield {**line, "service": name}

    for line in heapq.merge(*map(of_service, stores), key=itemgetter("at")):
        line["at"] = line["at"].astimezone(UTC).isoformat()
        yield {name: line[name] for name in COLUMNS}


def last_lines(path: Path) -> dict[str, dict[str, Anchor]]:
    """Return number and hash of the last line of each chain in an export, by service and tenant.

    Raises InvalidRequest for a file that is no export.
    """
    found: dict[str, dict[str, Anchor]] = {}
    with path.open("rb") as file:
        for position, text in enumerate(file, 1):
            try:
                line = json.loads(text)
                chain = found.setdefault(line["service"], {})
                anchor = (int(line["number"]), str(line["hash"]))
                chain[line["tenant"]] = max(anchor, chain.get(line["tenant"], anchor))
            except (ValueError, KeyError, TypeError) as error:
                raise InvalidRequest(
                    f"{path}: line {position} is not of `smallprint audit export` in the format "
                    "jsonl."
                ) from error
    return found


def verified(
    stores: Mapping[str, Store], anchors: Mapping[str, Mapping[str, Anchor]]
) -> Iterator[dict[str, Any]]:
    """Yield a line for each chain, with its first wrong line, and one for missing triggers."""
    for name, store in stores.items():
        with store.read() as session:
            for result in verify(session, anchors.get(name)):
                yield {"service": name, **asdict(result)}
            if missing := missing_triggers(session):
                detail = f"triggers are missing or disabled: {', '.join(missing)}"
                yield {"service": name, "tenant": None, "problem": "unprotected", "detail": detail}


def row(line: Mapping[str, Any]) -> str:
    """One chain, or the missing triggers of a service, for a person."""
    if line["tenant"] is None:
        return f"{line['service']}: {line['problem']}: {line['detail']}"
    chain = f"{line['service']}, tenant {plain(line['tenant'])}"
    if line["problem"]:
        return f"{chain}: {line['problem']}: {plain(line['detail'])}"
    compared = ""
    if line["compared"]:
        compared = f"; agrees with the export up to line {line['exported']}"
    lines = count(line["lines"], "line")
    return f"{chain}: {lines} correct, the last is {line['number']} {line['hash'][:12]}{compared}"
