"""Findings whose promise is watched: what is kept of each filing, and of what people decide.

What follows from it is in `shared/watch/watching.py`. A filing is the unit of both tests: at most
one of its findings may be accepted. Of a company one check counts for a promise, the first that was
drawn: its filings are wrong together, and by one habit a promise that is kept would be doubted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from services.triage.results import Routing
from services.triage.risk import NAME, Judge
from services.triage.watch.confidences import confidence_of
from services.triage.watch.inputs import Judged, shipped
from services.triage.watch.store import Watches
from shared.events import Verdict
from shared.risk import Floats
from shared.storage.secret import draw, pseudonym
from shared.storage.watches import Drawn, Kept, Notice
from shared.watch.watching import (
    changed,
    compared_with,
    note_figures,
    noticed,
    promised,
    settle,
)

FILINGS = "filings"
COMPARED = 20
"""Filings of one document whose figures are kept at most: of each company one, drawn. Those of one
company are alike, and a file of hundreds would be taken for a change."""


def note_filings(
    watches: Watches,
    document_id: str,
    judged: Sequence[Judged],
    routing: Routing,
    version: str,
    folded: Sequence[Judged] = (),
) -> list[Notice]:
    """Keep what was drawn of a document as checks, what else people are asked about, and figures
    of its filings; returns what was noticed. A document that another version has read counts for
    no test: see `note_clauses` of extraction.

    Args:
        watches: of the tenant, in the transaction that keeps the findings.
        document_id: the document.
        judged: its filings of which something could be promised.
        routing: by which their findings were routed.
        version: of the judge.
        folded: filings with a finding that would be as good as those, but for what was dismissed of
            the filer: what is decided of it counts for this version too. A rejection that was
            noted dismisses, so that else acceptances alone would go over.
    """
    told = list[Notice]()
    made = routing.promise
    name, read_before = "", False
    if made is not None and made.belief is not None:
        name = made.named(version, routing.local)
        kept = watches.kept(NAME, lock=True)
        if name != kept.promise:
            terms = {"risk": made.max_wrong, "belief": made.belief, "categories": 0, "most": 1.0}
            kept = promised(watches, kept, name, terms)
        units = [one.id for one in _chosen(judged, routing.key)]
        read_before = watches.read_otherwise(NAME, units, _reference(routing, version)[0])
        kept, told = _compared(watches, kept, judged, routing, version)
        watches.save(kept)
    elif watches.kept(NAME).drifted:
        kept = watches.kept(NAME, lock=True)
        watches.save(compared_with(kept, *_reference(routing, version)))
    watches.forget_open(document_id)
    line = routing.line
    decided = set(watches.decided_of(document_id)) if folded else set[str]()
    again = [one for one in folded if one.surest and one.surest.id in decided]
    for one in (*judged, *again):
        found = one.surest
        if found is None or found.route == "accept":
            continue
        confidence = found.finding.confidence
        family = filer_name(routing.key, watches.tenant, one.filer) if one.filer else None
        counted = bool(family and watches.counts_already(name, family))
        counts = found.sampled and not read_before and not counted
        watches.put_new(
            Drawn(
                found.id,
                document_id,
                NAME,
                version,
                found.finding.check,
                confidence,
                line.belief_of(confidence),
                name if counts else "",
                routing.share if found.sampled else 1.0,
                found.sampled,
                family=family,
            )
        )
    for notice in told:
        watches.tell(notice)
    return told


def filer_name(key: bytes, tenant: str, filer: str) -> str:
    """The secret name of a filer, another one in each tenant."""
    return pseudonym(key, "filer", f"{tenant}\0{filer}")


def _compared(
    watches: Watches, kept: Kept, judged: Sequence[Judged], routing: Routing, version: str
) -> tuple[Kept, list[Notice]]:
    """The watch after figures of filings, and what they made noticed."""
    reference, stated, known = _reference(routing, version)
    told = list[Notice]()
    for one in _chosen(judged, routing.key):
        chance = partial(_chance, routing.key, one.id)
        kept = note_figures(watches, kept, one.id, one.figures, reference, known, chance, stated)
        if noticed(kept):
            broken = routing.rules.findings.broken if known else None
            kept, notice = changed(kept, _changed(broken), routing.share)
            told.append(notice)
    return kept, told


def _reference(routing: Routing, version: str) -> tuple[str, str, Mapping[str, Floats]]:
    """The name of what figures are compared with, the share of broken filings that is stated of
    those known (empty with decisions of the tenant's own), and the figures of these, rising.
    """
    broken, reference = routing.rules.findings.broken, f"{version}+{routing.local.number}"
    if routing.local.data is None and routing.known and broken is not None:
        return reference, f"{broken:g}", shipped(routing.known, broken)
    return reference, "", {}


def _chance(key: bytes, filing: str, name: str) -> float:
    return draw(key, f"figure {name}", filing)


def _changed(broken: float | None) -> str:
    if broken is None:
        return "the filings that come in are unlike those before"
    return (
        f"the filings that come in are unlike those that {NAME} was calibrated on, or the share of "
        f"them that has an error is not the {broken:.0%} that is stated"
    )


def _chosen(judged: Iterable[Judged], key: bytes) -> list[Judged]:
    """The filings of a document whose figures are kept, in an order that nobody chose."""
    of_filer: dict[str, Judged] = {}
    for one in sorted(judged, key=lambda one: draw(key, "compared", one.id)):
        of_filer.setdefault(one.filer or one.id, one)
    return list(of_filer.values())[:COMPARED]


def note_decision(
    watches: Watches, finding_id: str, verdict: Verdict, judge: Judge | None = None
) -> list[Notice]:
    """Count what a person decided about a finding; returns what was noticed.

    A finding that is rejected was wrong. One that was accepted and that somebody looked at of his
    own accord stands for no others, and so do those that are not the surest of their filing: of
    none of these anything is kept.

    Args:
        watches: of the tenant.
        finding_id: the finding.
        verdict: of the person.
        judge: that is installed, by which a notice says from which confidence on is accepted.
    """
    known = watches.find(finding_id)
    if known is None:
        return []
    kept = watches.kept(known.adapter, lock=True) if known.sampled else None
    known = watches.find(finding_id) or known  # as it is now that nobody else changes it
    now = replace(known, wrong=None if verdict == "undo" else verdict == "reject")
    watches.put(now)
    if kept is None:
        return []
    return settle(watches, kept, [now], FILINGS, confidence_of(watches, kept, judge))


def withdraw_decisions(
    watches: Watches, document_id: str, judge: Judge | None = None
) -> list[Notice]:
    """Have nothing count that was decided about a document's findings; returns what was noticed."""
    told = list[Notice]()
    for finding_id in watches.decided_of(document_id):
        told += note_decision(watches, finding_id, "undo", judge)
    watches.forget_open(document_id)
    return told
