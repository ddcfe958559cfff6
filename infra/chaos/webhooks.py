"""What webhooks said, in which order, and how often: held against REST and against the trouble."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from infra.chaos.evidence import Check, Evidence
from infra.chaos.facts import Row
from infra.chaos.plan import EVERYTHING
from infra.chaos.receiver import Heard
from infra.chaos.trouble import Hit

RESULTS = {"contract": ("clauses.extracted", "clauses"), "report": ("findings.found", "findings")}
"""The message that says what was read of a kind of document, and where it is read."""
SENDERS = ("ingest-worker", "ingest-worker-2", EVERYTHING)
EXPLAINS = {
    *((kind, target) for kind in ("kill -9", "stop") for target in SENDERS),
    *((kind, "postgres") for kind in ("kill -9", "drop", "full")),
}
"""Trouble that can have a message sent again which was heard: its sender, or the database in which
its sender writes down that it was heard."""
IN_HAND = 5.0
"""Seconds for which a message is in the hands of its sender at the most, once it was heard: the
answer, and the line about it in the database, on a machine with other work."""
AFTER = 5.0
"""Seconds for which trouble with the database is felt beyond its end."""
LEASE = 12.0
"""Seconds for which a sender holds a webhook: six times the two that a receiver is given here
(edition.py; `LEASE` of ingest). Within it nobody else sends the message that is in hand."""
REASON_CHARACTERS = 500

About = tuple[str, str]
"""Type of a message, and the document or decision that it tells of."""


def webhooks(evidence: Evidence) -> Check:
    """One message for each thing that happened, which says what REST says."""
    found = Check("one webhook for each thing that happened, saying what REST says")
    ids: dict[About, set[str]] = defaultdict(set)
    for heard in evidence.heard:
        ids[_about(heard)].add(heard.id)
    wanted = dict(_wanted(evidence))
    for about in wanted.keys() | ids.keys():
        heard_of = len(ids.get(about, ()))
        expected = int(about in wanted)
        found.look(heard_of == expected, f"{' '.join(about)}: {heard_of} webhooks")
    for heard in evidence.heard:
        for name, value in wanted.get(_about(heard), {}).items():
            said = heard.data.get(name)
            found.look(said == value, f"{heard.type} {heard.id}: {name} is {said}, not {value}")
    for delivery in evidence.facts.deliveries:
        found.look(delivery["state"] == "delivered", f"{delivery['id']} is {delivery['state']}")
    return found


def _about(heard: Heard) -> About:
    return heard.type, heard.data.get("decision_id") or heard.data["document_id"]


def _wanted(evidence: Evidence) -> Iterator[tuple[About, dict[str, Any]]]:
    """Each message that there has to be, with what it has to say."""
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
        said = {name: line[name] for name in names}
        yield ("review.decided", line["id"]), {**said, "links": links}


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
    """Order is kept while all goes well (decision 13): among the messages of a document that no try
    has failed of. One whose sender died is sent again before the next, so it is first all the same.
    """
    found = Check("webhooks of a document come in the order of what they tell, where no try failed")
    first: dict[str, int] = {}
    for place, heard in enumerate(evidence.heard):
        first.setdefault(heard.id, place)
    last: dict[str, tuple[int, str]] = {}
    for delivery in reversed(evidence.facts.deliveries):  # REST gives the newest first
        name, message = delivery["document_id"], delivery["message_id"]
        if message not in first or _failed(delivery):
            continue
        now = (first[message], delivery["type"])
        before = last.get(name, now)
        found.look(before <= now, f"{name}: {now[1]} came before {before[1]}")
        last[name] = max(before, now)
    return found


def _failed(delivery: Row) -> int:
    """How many tries failed, by the log of the webhook."""
    return sum(one["error"] is not None for one in delivery["attempts"])


def repeats(evidence: Evidence) -> Check:
    """A message that was heard comes again if its log has a failed try, or if trouble hit whoever
    had it in hand. One message is in hand at a time, so one trouble explains one repeat, and one
    more for each lease that it lasts.
    """
    found = Check("no webhook is sent again but where trouble at that moment explains it")
    failed = Counter({one["message_id"]: _failed(one) for one in evidence.facts.deliveries})
    hits = sorted(evidence.hits, key=_until)
    left = [1 + int((_until(hit) - hit.begin) / LEASE) for hit in hits]
    last: dict[str, float] = {}
    for heard in evidence.heard:
        explained = True
        if heard.id in last:
            explained = failed[heard.id] > 0 or _spend(hits, left, last[heard.id], heard.at)
            failed[heard.id] -= 1
        said = f"{heard.type} {heard.id} again, and no trouble explains it"
        found.look(explained, said)
        last[heard.id] = heard.at
    return found


def _spend(hits: Sequence[Hit], left: list[int], heard: float, again: float) -> bool:
    """Take one from what explains a repeat, if anything does that is not used up."""
    for number, hit in enumerate(hits):
        near = hit.begin <= min(heard + IN_HAND, again) and heard <= _until(hit)
        if left[number] and near and (hit.kind, hit.target) in EXPLAINS:
            left[number] -= 1
            return True
    return False


def _until(hit: Hit) -> float:
    return hit.end + (AFTER if hit.target == "postgres" else 0.0)
