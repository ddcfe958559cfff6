"""The final answers of REST, read once through the proxy like any client."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.people import Client
from tests.support.patient_client import GivenUpError

BYTES_PATIENCE = 10.0
"""Seconds to retry a download at the end. Lost bytes never come."""

CLAUSE = ("category", "start", "end")
FINDING = ("filing", "check", "statement", "row", "column", "message")
"""The fields that identify a finding."""

Row = dict[str, Any]


@dataclass
class Facts:
    """The answers of REST."""

    documents: list[Row]
    items: list[Row]
    decisions: list[Row]
    deliveries: list[Row]
    costs: Row
    results: dict[str, list[Row]] = field(default_factory=dict)
    """Clauses or findings of each complete document."""
    originals: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the bytes that REST returned for each document."""
    texts: dict[str, str] = field(default_factory=dict)
    pages: dict[str, list[Row]] = field(default_factory=dict)
    """The pages of each document, from its layout."""
    reports: list[Row] = field(default_factory=list)
    """The list of reports."""


def gather(client: Client, webhook: str) -> Facts:
    """Fetch all answers. Raises GivenUpError."""
    facts = Facts(
        documents=list(client.all("/v1/documents?limit=200")),
        items=items(client),
        decisions=list(client.all("/v1/decisions?limit=500")),
        deliveries=list(client.all(f"/v1/webhooks/{webhook}/deliveries?limit=100")),
        costs=client.get("/v1/costs?by=document"),
        reports=list(client.all("/v1/reports?limit=100")),
    )
    for document in facts.documents:
        name, kind = document["id"], document["kind"]
        back = _bytes(client, f"/v1/documents/{name}/original")
        facts.originals[name] = hashlib.sha256(back).hexdigest()
        if document["outcome"] != "complete":
            continue
        what = "clauses" if kind == "contract" else "findings"
        facts.results[name] = list(client.all(f"/v1/documents/{name}/{what}"))
        facts.texts[name] = _bytes(client, f"/v1/documents/{name}/text").decode()
        pages = _bytes(client, f"/v1/documents/{name}/pages")
        facts.pages[name] = json.loads(pages)["items"] if pages else []
    return facts


def identity(result: Row) -> tuple[object, ...]:
    """Identifies a clause or finding independently of its id."""
    return tuple(result[name] for name in (FINDING if "filing" in result else CLAUSE))


def _bytes(client: Client, path: str) -> bytes:
    """The bytes of a path. If there are none, they are empty, which the checker reports."""
    try:
        answer = client.ask("GET", path, BYTES_PATIENCE)
    except GivenUpError:
        return b""
    return answer.content if answer.status_code == 200 else b""


def items(client: Client) -> list[Row]:
    """Every waiting or decided item."""
    return list(client.all("/v1/items?state=all&limit=500"))
