"""Whether anything is lost or was done twice, counted from what people were told."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from infra.chaos.facts import Facts, identity
from infra.chaos.receiver import Heard
from infra.chaos.webhooks import RESULTS
from infra.rolling.people import Decided, Told


@dataclass
class Counted:
    """What was found. `lost` and `twice` say in words what is wrong, a line each."""

    accepted: int
    complete: int
    decided: int
    results: int
    webhooks: int
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)


def count(told: Told, facts: Facts, heard: Iterable[Heard]) -> Counted:
    """Hold what there is against what was told."""
    messages = {one.id: one for one in heard}  # one that is sent again has the same id
    found = Counted(
        accepted=len(told.accepted),
        complete=sum(row["outcome"] == "complete" for row in facts.documents),
        decided=len(told.decided),
        results=sum(map(len, facts.results.values())),
        webhooks=len(messages),
    )
    _documents(told, facts, found)
    _results(facts, found)
    _decisions(told, facts, found)
    _webhooks(told, facts, messages.values(), found)
    return found


def ended(heard: Iterable[Heard]) -> set[str]:
    """Documents of which a webhook has said that they ended."""
    return {one.data["document_id"] for one in list(heard) if one.type == "document.ended"}


def _documents(told: Told, facts: Facts, found: Counted) -> None:
    documents = {row["id"]: row for row in facts.documents}
    for name, paper in told.accepted.items():
        row = documents.get(name, {"state": "not there", "outcome": None})
        if (row["state"], row["outcome"]) != ("ended", "complete"):
            found.lost.append(f"{paper.name} ({name}) is {row['state']}, {row['outcome']}")
        if facts.originals.get(name) != hashlib.sha256(paper.data).hexdigest():
            found.lost.append(f"{paper.name} ({name}) has other bytes")
        if len(set(paper.answers)) > 1:
            found.twice.append(f"{paper.name} was accepted as {paper.answers}")
    _once(found, (row["sha256"] for row in facts.documents), "documents with the bytes")


def _results(facts: Facts, found: Counted) -> None:
    """Each clause or finding stands once, and waits once for a person."""
    queued = Counter(
        (item["document_id"], item["result_id"])
        for item in facts.items
        if item["about"] in ("clause", "finding")
    )
    for name, rows in facts.results.items():
        if not rows:
            found.lost.append(f"{name} is complete without results")
        _once(found, (row["id"] for row in rows), f"{name}: results")
        _once(found, map(identity, rows), f"{name}: the same")
        for row in rows:
            if not queued[name, row["id"]]:
                found.lost.append(f"{name}: nobody is asked about {row['id']}")
    _once(found, queued.elements(), "items for")


def _decisions(told: Told, facts: Facts, found: Counted) -> None:
    """Each is kept as it was taken, is what its item says, and was taken by somebody."""
    kept: dict[str, list[Decided]] = defaultdict(list)
    for row in facts.decisions:
        taken = row["item_id"], row["verdict"], row["actor"]
        kept[row["id"]].append(taken)
        if taken not in told.tried:
            found.twice.append(f"nobody took decision {row['id']}: {taken}")
    verdicts = {item["id"]: item["verdict"] for item in facts.items}
    for decision, taken in told.decided.items():
        item, verdict, _ = taken
        if kept[decision] != [taken]:
            said = f"decision {decision} about {item}, answered as {taken}, is kept as"
            found.lost.append(f"{said} {kept[decision]}")
        if verdicts.get(item) != verdict:
            found.lost.append(f"{item}, decided as {verdict}, says {verdicts.get(item)}")
    _once(found, (row["item_id"] for row in facts.decisions), "decisions about")


def _webhooks(told: Told, facts: Facts, messages: Iterable[Heard], found: Counted) -> None:
    """One of each document that ended, of its results if it is complete, and of each decision."""
    said = Counter(
        (one.type, one.data.get("decision_id") or one.data["document_id"]) for one in messages
    )
    wanted = [("document.ended", name) for name in told.accepted]
    wanted += [("review.decided", name) for name in told.decided]
    complete = (row["id"] for row in facts.documents if row["outcome"] == "complete")
    wanted += [
        (RESULTS[told.accepted[name].kind][0], name) for name in complete if name in told.accepted
    ]
    found.lost += [f"no webhook {kind} of {name}" for kind, name in wanted if not said[kind, name]]
    _once(found, said.elements(), "webhooks")


def _once(found: Counted, things: Iterable[object], what: str) -> None:
    for thing, times in Counter(things).items():
        if times > 1:
            found.twice.append(f"{times} {what} {thing}")
