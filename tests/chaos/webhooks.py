"""Check content, order and repetitions of webhooks against REST and the troubles."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from tests.chaos.evidence import Check, Evidence
from tests.chaos.facts import Row
from tests.chaos.plan import EVERYTHING
from tests.chaos.receiver import ReceivedMessage
from tests.chaos.trouble import PastTrouble

RESULTS = {"contract": ("clauses.extracted", "clauses"), "report": ("findings.found", "findings")}
"""For each kind of document the type of its result message, and the route of the results."""
SENDERS = ("ingest-worker", "ingest-worker-2", EVERYTHING)
EXPLAINS = {
    *((kind, target) for kind in ("kill -9", "stop") for target in SENDERS),
    *((kind, "postgres") for kind in ("kill -9", "drop", "full")),
}
"""Troubles that explain a repeated message: of its sender, or of the sender's database."""
IN_HAND = 5.0
"""Longest time in seconds between the answer of a receiver and its line in the database, on a busy
machine.
"""
AFTER = 5.0
"""Seconds for which trouble with the database still has effects after its end."""
LEASE = 12.0
"""Seconds of a webhook lease: six times the receiver's timeout of two (edition.py; `LEASE` of
ingest). No other sender sends the current message within it.
"""
REASON_CHARACTERS = 500

About = tuple[str, str]
"""Type of a message, and its document or decision."""


def webhooks(evidence: Evidence) -> Check:
    """Check that each thing that happened has one message, which agrees with REST."""
    found = Check("one webhook for each change, with the same content as REST")
    ids: dict[About, set[str]] = defaultdict(set)
    for message in evidence.messages:
        ids[_about(message)].add(message.id)
    wanted = dict(_wanted(evidence))
    for about in wanted.keys() | ids.keys():
        count = len(ids.get(about, ()))
        expected = int(about in wanted)
        found.expect(count == expected, f"{' '.join(about)}: {count} webhooks")
    for message in evidence.messages:
        for name, value in wanted.get(_about(message), {}).items():
            sent = message.data.get(name)
            found.expect(
                sent == value, f"{message.type} {message.id}: {name} is {sent}, not {value}"
            )
    for delivery in evidence.facts.deliveries:
        found.expect(delivery["state"] == "delivered", f"{delivery['id']} is {delivery['state']}")
    return found


def _about(message: ReceivedMessage) -> About:
    return message.type, message.data.get("decision_id") or message.data["document_id"]


def _wanted(evidence: Evidence) -> Iterator[tuple[About, dict[str, Any]]]:
    """Each expected message, with its expected fields."""
    facts = evidence.facts
    risks = {row["document_id"]: row for row in facts.reports}
    for row in facts.documents:
        name = row["id"]
        if row["outcome"] is not None:
            yield ("document.ended", name), _end(row)
        if name in facts.results and name in evidence.kinds:
            kind, where = RESULTS[evidence.kinds[name]]
            yield (
                (kind, name),
                {
                    "document_id": name,
                    "attempt": row["attempt"],
                    "count": len(facts.results[name]),
                    "links": {**_links(name), where: f"/v1/documents/{name}/{where}"},
                    **{key: risks[name][key] for key in ("flagged", "risk") if name in risks},
                },
            )
    for line in facts.decisions:
        names = ("document_id", "item_id", "stage", "result_id", "verdict", "actor")
        links = {**_links(line["document_id"]), "item": f"/v1/items/{line['item_id']}"}
        fields = {name: line[name] for name in names}
        yield ("review.decided", line["id"]), {**fields, "links": links}


def _end(row: Row) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("kind", "attempt", "outcome", "pages")},
        "reasons": [reason[:REASON_CHARACTERS] for reason in row["reasons"]],
        "failed_page_count": len(row["failed_pages"]),
        "links": _links(row["id"]),
    }


def _links(document: str) -> dict[str, str]:
    return {"document": f"/v1/documents/{document}"}


def order(evidence: Evidence) -> Check:
    """Messages of a document are in order as long as no attempt has failed. If a sender died, its
    message is sent again before the next one, so its first copy is still in order.
    """
    found = Check("webhooks of a document are in order, if no attempt failed")
    first: dict[str, int] = {}
    for position, message in enumerate(evidence.messages):
        first.setdefault(message.id, position)
    last: dict[str, tuple[int, str]] = {}
    for delivery in reversed(evidence.facts.deliveries):  # REST gives the newest first
        name, identity = delivery["document_id"], delivery["message_id"]
        if identity not in first or _failed(delivery):
            continue
        now = (first[identity], delivery["type"])
        before = last.get(name, now)
        found.expect(before <= now, f"{name}: {now[1]} came before {before[1]}")
        last[name] = max(before, now)
    return found


def _failed(delivery: Row) -> int:
    """Number of failed attempts, by the log of the webhook."""
    return sum(one["error"] is not None for one in delivery["attempts"])


def repeats(evidence: Evidence) -> Check:
    """A repeated message needs a failed attempt in its log, or a trouble of its sender. One message
    is sent at a time, so a trouble explains one repetition, and one more for each lease that it
    lasts.
    """
    found = Check("no webhook is sent again without a trouble that explains it")
    failed = Counter({one["message_id"]: _failed(one) for one in evidence.facts.deliveries})
    hits = sorted(evidence.hits, key=_until)
    left = [1 + int((_until(hit) - hit.begin) / LEASE) for hit in hits]
    last: dict[str, float] = {}
    for message in evidence.messages:
        explained = True
        if message.id in last:
            explained = failed[message.id] > 0 or _spend(hits, left, last[message.id], message.at)
            failed[message.id] -= 1
        found.expect(explained, f"{message.type} {message.id} was sent again for no reason")
        last[message.id] = message.at
    return found


def _spend(hits: Sequence[PastTrouble], left: list[int], sent: float, again: float) -> bool:
    """Use up one trouble that explains a repeated message. Returns false without any."""
    for number, hit in enumerate(hits):
        near = hit.begin <= min(sent + IN_HAND, again) and sent <= _until(hit)
        if left[number] and near and (hit.kind, hit.target) in EXPLAINS:
            left[number] -= 1
            return True
    return False


def _until(hit: PastTrouble) -> float:
    return hit.end + (AFTER if hit.target == "postgres" else 0.0)
