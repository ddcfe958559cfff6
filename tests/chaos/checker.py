"""Check every guarantee against the answers that clients got.

Nothing here reads a database or calls the suite's code. Each check compares the answers of REST,
the received webhooks and the events on the bus.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from tests.chaos.evidence import Check, Evidence
from tests.chaos.facts import Row, identity
from tests.chaos.frontier import MOST_TOKENS, PRICE_IN, PRICE_OUT
from tests.chaos.webhooks import order, repeats, webhooks

MONTH = len("2026-01")
STATES = {"received": 0, "read": 1, "processing": 2, "ended": 3}
READINGS = ("clauses.extracted.v1", "findings.found.v1")
"""Types of events with the read text of a document and its tokens."""
ROOTS = ("document.ingested.v1", "review.decided.v1")
"""Events that clients cause; every other event has an event as its cause."""
READ = "document.read.v1"
ORDER = {
    "document.ingested.v1": 0,
    READ: 1,
    "clauses.extracted.v1": 2,
    "findings.found.v1": 2,
    "review.decided.v1": 3,
}


def check(evidence: Evidence) -> list[Check]:
    """Check every guarantee, in the order of the table."""
    return [judge(evidence) for judge in CHECKS]


def _ended(evidence: Evidence) -> Check:
    found = Check("every accepted document is complete")
    listed = {document["id"]: document for document in evidence.facts.documents}
    for paper in evidence.record.sent:
        known = listed.get(paper.id, {"state": "missing"})
        end = known.get("outcome") or known["state"]
        found.expect(end == "complete", f"{paper.name} ({paper.id}): {end}")
        early = end != "complete" or paper.id in evidence.before.ended
        found.expect(early, f"{paper.name} ({paper.id}): ended only after the repeated delivery")
    for refused in evidence.record.refused:
        found.expect(False, refused)
    return found


def _one_document(evidence: Evidence) -> Check:
    found = Check("one document for the same bytes, and no unknown document")
    listed = Counter(document["sha256"] for document in evidence.facts.documents)
    sent = Counter(hashlib.sha256(paper.data).hexdigest() for paper in evidence.record.sent)
    for sha256 in listed | sent:
        there = (listed[sha256], sent[sha256])
        found.expect(there == (1, 1), f"{sha256[:12]}: {there[0]} documents for {there[1]} uploads")
    return found


def _blobs(evidence: Evidence) -> Check:
    """Layouts have no route, so their pages are compared with the text."""
    found = Check("uploaded bytes, read texts, pages and quotes are unchanged")
    read = {e.key.partition("/")[2]: e.data for e in evidence.seen.values() if e.type == READ}
    for paper in evidence.record.sent:
        back = evidence.facts.originals.get(paper.id)
        found.expect(back == hashlib.sha256(paper.data).hexdigest(), f"{paper.name}: other bytes")
        text = evidence.facts.texts.get(paper.id)
        if text is None:
            continue  # incomplete documents are counted elsewhere
        announced = read.get(paper.id, {"text": None, "pages": None})
        kept = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "size": len(text.encode())}
        found.expect(announced["text"] == kept, f"{paper.name}: differs from the read text")
        pages = evidence.facts.pages[paper.id]
        good = announced["pages"] == len(pages) and _covers(pages, text)
        found.expect(good, f"{paper.name}: {len(pages)} pages do not match the text")
        if paper.kind == "contract":
            found.expect(text.encode() == paper.data, f"{paper.name}: text differs from the upload")
            for clause in evidence.facts.results.get(paper.id, ()):
                quoted = text[clause["start"] : clause["end"]]
                wrong = f"{paper.name}: the quote of {clause['id']} is not in the text"
                found.expect(quoted == clause["text"], wrong)
    return found


def _covers(pages: Sequence[Row], text: str) -> bool:
    """Whether pages are consecutive parts of a text and contain all of its words."""
    end, left = 0, ""
    for page in pages:
        if not end <= page["start"] <= page["end"] <= len(text):
            return False
        left, end = left + text[end : page["start"]], page["end"]
    return not (left + text[end:]).strip()


def _results(evidence: Evidence) -> Check:
    found = Check("every clause and finding is stored once")
    for paper in evidence.record.sent:
        results = evidence.facts.results.get(paper.id)
        if results is None:
            continue  # unfinished documents are counted elsewhere
        found.expect(results, f"{paper.name}: none")
        found.once(map(identity, results), paper.name)
        found.once([r["id"] for r in results], paper.name)
    return found


def _items(evidence: Evidence) -> Check:
    """An answered question about a whole category has an item too."""
    found = Check("each result has one review item, which is never replaced")
    proposed = {
        event.data["result_id"]
        for event in evidence.seen.values()
        if event.type == "escalation.answered.v1" and event.data.get("answer")
    }
    queued: dict[str, list[str]] = defaultdict(list)
    others: list[tuple[str, str, str]] = []
    for item in evidence.facts.items:
        if item["about"] in ("clause", "finding"):
            queued[item["document_id"]].append(item["result_id"])
        else:
            others.append((item["document_id"], item["about"], item["result_id"]))
        found.expect(item["document_id"] in evidence.kinds, f"{item['id']} has no document")
    found.once(others, "items")
    for name, results in evidence.facts.results.items():
        there, wanted = Counter(queued.get(name, ())), {result["id"] for result in results}
        for result in wanted | there.keys():
            good = there[result] == 1 and result in wanted | proposed
            found.expect(good, f"{name}: {result} has {there[result]} items")
    known = {item["id"] for item in evidence.facts.items}
    for shown in evidence.before.items | {claim.item for claim in evidence.record.claims}:
        found.expect(shown in known, f"{shown} was shown, and is missing")
    return found


def _decisions(evidence: Evidence) -> Check:
    found = Check("each decision is stored once, and no unknown decision")
    kept: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for line in evidence.facts.decisions:
        kept[line["id"]].append((line["item_id"], line["verdict"], line["actor"]))
        found.expect(line["id"] in evidence.record.attempted, f"unknown decision {line['id']}")
    for name, decision in evidence.record.decisions.items():
        found.expect(kept.get(name) == [decision], f"{name}: stored as {kept.get(name)}")
    verdicts = {item["id"]: item["verdict"] for item in evidence.facts.items}
    for item, verdict, _ in evidence.record.decisions.values():
        found.expect(verdicts.get(item) == verdict, f"{item} has the verdict {verdicts.get(item)}")
    found.once([line["item_id"] for line in evidence.facts.decisions], "decisions by item")
    return found


def _claims(evidence: Evidence) -> Check:
    found = Check("an item is claimed by one person at a time")
    by_item = defaultdict(list)
    for claim in evidence.record.claims:
        by_item[claim.item].append(claim)
    for item, claims in by_item.items():
        claims.sort(key=lambda claim: claim.begin)
        for first, second in zip(claims, [*claims[1:], None], strict=True):
            apart = second is None or second.actor == first.actor or second.begin >= first.end
            found.expect(apart, f"{item} was claimed by two")
    return found


def _served(evidence: Evidence) -> Check:
    found = Check("a request for an item gets one while any waits")
    waiting = sum(item["state"] == "waiting" for item in evidence.facts.items)
    for name, short in evidence.short.items():
        starved = f"{name} is {short} decisions short, and {waiting} items wait"
        found.expect(not (short and waiting), starved)
    return found


def _late(evidence: Evidence) -> Check:
    """The run delivers every event once more. This must create nothing new."""
    found = Check("repeated delivery of all events creates nothing new")
    before = evidence.before
    for item in evidence.facts.items:
        found.expect(item["id"] in before.items, f"item {item['id']}")
    for message in evidence.messages:
        found.expect(message.id in before.webhooks, f"webhook {message.id}, {message.type}")
    for line in evidence.booked:
        found.expect(line in before.booked, f"ledger line {line}")
    for event in evidence.seen.values():
        found.expect(event.id in before.events, f"event {event.id}, {event.type}")
    return found


def _ledger(evidence: Evidence) -> Check:
    found = Check("the ledger has each reading once, and no cap is exceeded")
    lines = {name: (documents, read) for name, documents, read in evidence.booked}
    tokens: dict[str, int] = {}
    for event in evidence.seen.values():
        if event.type in READINGS:
            name = event.key.partition("/")[2]
            tokens[name] = sum(one["tokens"] for one in event.data["adapters"])
    for name in tokens.keys() | lines.keys():
        booked = lines.get(name, (0, 0))
        found.expect(booked == (1, tokens.get(name)), f"{name}: booked {booked}")
    _caps(found, evidence)
    return found


def _caps(found: Check, evidence: Evidence) -> None:
    """The configured cap holds for reported spending, the ledger and the provider's bills. The
    stand-in never bills more than was reserved; one that did could exceed the cap.
    """
    costs, cap, record = evidence.facts.costs, evidence.cap, evidence.record
    spent = {**record.spent, **{one["period"]: one["usd"] for one in costs["budgets"]}}
    for period, usd in (*record.spent.items(), *spent.items()):
        found.expect(_micro(usd) <= cap, f"{period}: {usd} US$ counted, with a cap of {cap / 1e6}")
    for most in (*record.caps, *(one["max_usd"] for one in costs["budgets"])):
        found.expect(_micro(most) == cap, f"{most} US$ reported as the cap of {cap / 1e6}")
    months = {period: usd for period, usd in spent.items() if len(period) == MONTH}
    booked = _micro(costs["usd"])
    for what, sum_ in (("billed", evidence.billed.micro_usd), ("in the ledger", booked)):
        found.expect(sum_ <= cap * len(months), f"{sum_ / 1e6} US$ {what}, of {cap / 1e6} a month")
    counted = sum(map(_micro, months.values()))
    if len(months) == 1:  # the maximum of a past month may include reserved money
        found.expect(counted == booked, f"{counted} counted as spent, {booked} in the ledger")


def _micro(usd: float) -> int:
    """Millionths of a US$."""
    return round(usd * 1e6)


def _questions(evidence: Evidence) -> Check:
    found = Check("each question to a frontier model has one answer, even if it may not be sent")
    asked: set[tuple[str | None, str]] = set()
    answers: Counter[tuple[str | None, str]] = Counter()
    for event in evidence.seen.values():
        if event.type == "escalation.requested.v1":
            results = [event.data, *event.data["further"]]
            asked |= {(event.id, one["result_id"]) for one in results}
        elif event.type == "escalation.answered.v1":
            answers[event.cause, event.data["result_id"]] += 1
    for question in asked | answers.keys():
        times = answers[question]
        good = times == 1 and question in asked
        found.expect(good, f"{question[1]} (request {question[0]}): {times} answers")
    return found


def _bills(evidence: Evidence) -> Check:
    """A call of a dead process counts with its worst case. So the ledger may exceed the bills, but
    never be below them.
    """
    found = Check("the ledger has every bill of the provider, and no money stays reserved")
    billed = evidence.billed
    for one in evidence.facts.costs["items"]:
        name = one["provider"]
        settled = round((one["usd"] - one["uncertain_usd"] - one["reserved_usd"]) * 1e6)
        price = one["tokens_in"] * PRICE_IN + one["tokens_out"] * PRICE_OUT
        found.expect(settled == price, f"{name}: {settled} settled, but its tokens cost {price}")
        few = one["tokens_in"] <= billed.tokens_in and one["tokens_out"] <= billed.tokens_out
        found.expect(few, f"{name}: more tokens settled than billed")
        found.expect(not one["reserved_usd"], f"{name}: {one['reserved_usd']} US$ still reserved")
    _calls(found, evidence)
    booked = _micro(evidence.facts.costs["usd"])
    sums = f"{billed.micro_usd} billed, {booked} in the ledger (millionths of a US$)"
    found.expect(billed.micro_usd <= booked, sums)
    total = round(sum(group.get("usd", 0.0) for group in evidence.facts.costs["groups"]) * 1e6)
    found.expect(total == booked, f"{total} by document, {booked} by provider")
    return found


def _calls(found: Check, evidence: Evidence) -> None:
    """Each bill belongs to one call. Further calls are uncertain ones with their worst case, whose
    sum limits their number.
    """
    costs, bills = evidence.facts.costs, evidence.billed.calls
    calls = sum(one["calls"] for one in costs["items"])
    uncertain = round(sum(one["uncertain_usd"] for one in costs["items"]) * 1e6)
    most = bills + uncertain // (MOST_TOKENS * PRICE_OUT)
    found.expect(
        bills <= calls <= most, f"{bills} bills, {calls} calls in the ledger, {most} at most"
    )
    grouped = sum(group["calls"] for group in costs["groups"])
    found.expect(grouped == calls, f"{grouped} calls by document, {calls} by provider")
    for group in costs["groups"]:
        settled = round((group["usd"] - group["uncertain_usd"] - group["reserved_usd"]) * 1e6)
        price = group["tokens_in"] * PRICE_IN + group["tokens_out"] * PRICE_OUT
        found.expect(
            settled == price, f"{group['key']}: {settled} settled, but its tokens cost {price}"
        )
        free = group["calls"] and not group["usd"]
        found.expect(not free, f"{group['key']}: {group['calls']} calls without costs")


def _causes(evidence: Evidence) -> Check:
    found = Check("every event has its cause, and no cause the same event twice")
    accepted = evidence.kinds
    known: set[str] = set()
    for event in evidence.seen.values():
        name = event.key.partition("/")[2]
        what = f"{event.type} of {name} ({event.id})"
        if event.type in ROOTS:
            asked = event.data.get("decision_id", "") in evidence.record.attempted
            good = name in accepted if event.type == ROOTS[0] else asked
            found.expect(good, f"{what} was never requested")
        else:
            found.expect(event.cause in known, f"{what} has no earlier cause")
        known.add(event.id)
    answers = [
        (
            event.type,
            event.cause or event.data.get("decision_id") or event.key,
            event.data.get("result_id") if event.type.startswith("escalation.") else None,
        )
        for event in evidence.seen.values()
    ]
    found.once(answers, "event of a cause")
    return found


def _order(evidence: Evidence) -> Check:
    found = Check("events of a document are in order, and its end is streamed")
    last: dict[str, int] = {}
    for event in evidence.seen.values():
        rank = ORDER.get(event.type)
        if rank is not None:
            found.expect(
                rank >= last.get(event.key, 0), f"{event.type} of {event.key} is out of order"
            )
            last[event.key] = rank
    for name, states in evidence.record.states.items():
        ranks = [(attempt, STATES[state]) for attempt, state in states]
        found.expect(ranks == sorted(ranks), f"{name} went back: {states}")
    attempts = {row["id"]: row["attempt"] for row in evidence.facts.documents}
    for name in evidence.kinds:
        streamed, end = evidence.record.states.get(name, []), (attempts.get(name), "ended")
        found.expect(streamed[-1:] == [end], f"the end of {name} is not streamed: {streamed}")
    return found


CHECKS: tuple[Callable[[Evidence], Check], ...] = (
    _ended,
    _one_document,
    _blobs,
    _results,
    _items,
    _decisions,
    _claims,
    _served,
    _late,
    webhooks,
    order,
    repeats,
    _ledger,
    _questions,
    _bills,
    _causes,
    _order,
)
