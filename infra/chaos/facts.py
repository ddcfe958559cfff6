"""What REST answers when all is over: read once, through the origin, as any client would."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from infra.chaos.people import Client

Row = dict[str, Any]


@dataclass
class Facts:
    """Answers, as they came."""

    documents: list[Row]
    items: list[Row]
    decisions: list[Row]
    deliveries: list[Row]
    costs: Row
    results: dict[str, list[Row]] = field(default_factory=dict)
    """Clauses or findings of each document that is complete."""
    originals: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the bytes that each document was given back as."""
    texts: dict[str, str] = field(default_factory=dict)
    """Of contracts."""


def gather(client: Client, webhook: str) -> Facts:
    """Ask for everything. Raises GivenUpError."""
    facts = Facts(
        documents=list(client.all("/v1/documents?limit=200")),
        items=items(client),
        decisions=list(client.all("/v1/decisions?limit=500")),
        deliveries=list(client.all(f"/v1/webhooks/{webhook}/deliveries?limit=100")),
        costs=client.get("/v1/costs?by=document"),
    )
    for document in facts.documents:
        name, kind = document["id"], document["kind"]
        answer = client.ask("GET", f"/v1/documents/{name}/original")
        facts.originals[name] = hashlib.sha256(answer.content).hexdigest()
        if document["outcome"] != "complete":
            continue
        what = "clauses" if kind == "contract" else "findings"
        facts.results[name] = list(client.all(f"/v1/documents/{name}/{what}"))
        if kind == "contract":
            facts.texts[name] = client.ask("GET", f"/v1/documents/{name}/text").text
    return facts


def items(client: Client) -> list[Row]:
    """Every item that waits or was decided."""
    return list(client.all("/v1/items?state=all&limit=500"))
