"""Clauses whose promise is watched: what is kept of each document, and of what people decide.

What follows from it is in `shared/watch/watching.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from services.extraction.domain import FoundClause
from services.extraction.pipeline import usually_above
from services.extraction.routing import StatedRisk, calibration, least_of
from services.extraction.watch import inputs
from services.extraction.watch.store import Watches
from shared.guarantee import Calibration, Promise
from shared.inference import Specialist
from shared.risk import Floats, interval
from shared.storage.secret import draw
from shared.storage.watches import Drawn, Kept, Notice
from shared.watch.local import Local
from shared.watch.others import LeftOf, leaving
from shared.watch.watching import changed, note_figures, noticed, promised, settle


@dataclass(frozen=True)
class Routed:
    """What a specialist found in a document, and what was done with it."""

    expert: Specialist
    clauses: Sequence[FoundClause]
    """With their routes."""
    stated: StatedRisk | None
    """What was promised for them."""
    local: Local
    """What held for the specialist when they were routed."""
    share: float
    """Of what could be accepted, that was drawn as checks."""
    warned: bool = False
    """Whether it is a document for which nothing is promised: it is no news that it is unlike those
    known."""
    rest: Promise | None = None
    """What is promised without the categories in doubt; None where none is."""


def note_clauses(watches: Watches, document_id: str, one: Routed, key: bytes) -> list[Notice]:
    """Keep what was drawn from a document as a check, and its figures; returns what was noticed.

    A document that another version has read counts for no test: of its checks those are decided
    that both versions draw, and what is left are the passages that only this one has. People may
    also have chosen by what they decided which documents to have read again. Nor does what is drawn
    only now from one of which people decided something before, as while its kind was unsure: they
    chose what they left.

    Args:
        watches: of the tenant, in the transaction that keeps the clauses.
        one: what a specialist found in the document.
        key: the secret of the draws.
    """
    clauses, stated, local = one.clauses, one.stated, one.local
    name, version = one.expert.manifest.name, one.expert.manifest.version
    early = _follow(watches, document_id, one)
    data = local.data or one.expert.guarantee
    if stated is None or data is None:
        return []
    known = calibration(data)
    kept = watches.kept(name, lock=True)
    if stated.belief is not None and stated.promise != kept.promise:
        kept = promised(watches, kept, stated.promise, _terms(known, stated))
    if one.rest is not None and frozenset(kept.doubted) == local.doubted:
        kept = leaving(kept, least_of(one.rest))
    again = early or watches.read_otherwise(name, [document_id], _reference_of(one))
    now, told = kept, list[Notice]()
    if not one.warned:
        now, told = _figures(watches, document_id, kept, data, one, key)
    watches.save(now)
    drawn = [clause for clause in clauses if clause.sampled]
    for clause in drawn:
        before = watches.find(clause.id)
        counts = not again or (before is not None and before.promise == stated.promise)
        if before is None or before.wrong is None:
            watches.put(
                Drawn(
                    clause.id,
                    document_id,
                    name,
                    version,
                    clause.category,
                    clause.confidence,
                    known.belief_of(clause.category, clause.confidence),
                    stated.promise if counts else "",
                    one.share,
                    True,
                )
            )
    for notice in told:
        watches.tell(notice)
    return told


def _follow(watches: Watches, document_id: str, one: Routed) -> bool:
    """Have what people decided about clauses before stand for this reading, which has found them
    too: nobody is asked again, and a calibration of another version would wait for ever. It stands
    for as many others as it would have been drawn for. What it counts for in the test of a promise
    stays. Returns whether anything was decided that was not drawn.
    """
    if not watches.decisions(document_id):
        return False
    manifest = one.expert.manifest
    watches.kept(manifest.name, lock=True)  # decisions are kept under it
    decided = watches.decisions(document_id)
    for clause in one.clauses:
        if (known := decided.get(clause.id)) is None:
            continue
        share, sure = one.share if clause.sampled else 1.0, clause.confidence
        now = replace(known, version=manifest.version, confidence=sure, share=share)
        if now != known:
            watches.put(now)
    return any(known.adapter == manifest.name and not known.sampled for known in decided.values())


def _reference_of(one: Routed) -> str:
    """The name of what figures of a document are compared with."""
    return f"{one.expert.manifest.version}+{one.local.number}"


def _terms(known: Calibration, stated: StatedRisk) -> dict[str, object]:
    """What a promise comes to, for the test of it."""
    belief = stated.belief or 1.0
    return {
        "risk": stated.max_wrong,
        "belief": belief,
        "categories": len(known.labels),
        "tolerated": tolerated(known, belief, stated.max_wrong),
    }


def tolerated(known: Calibration, belief: float, risk: float) -> dict[str, float]:
    """The shares of wrong ones that a promise for all categories leaves to each: those that the
    calibration set does not speak against.
    """
    accepted = known.served >= belief
    found = {}
    for place, name in enumerate(known.labels):
        mine = accepted & (known.label == place)
        high = interval(int(known.wrong[mine].sum()), int(mine.sum()))[1]
        if high > risk:
            found[name] = min(high, 0.95)
    return found


@lru_cache(maxsize=8)
def _reference(data: bytes) -> dict[str, Floats]:
    return inputs.reference(calibration(data))


def _figures(
    watches: Watches,
    document_id: str,
    kept: Kept,
    data: bytes,
    one: Routed,
    key: bytes,
) -> tuple[Kept, list[Notice]]:
    """The watch after the figures of a document, and what they made noticed."""
    known = _reference(data)
    reference = _reference_of(one)
    usual = usually_above(one.expert)  # what is shown beyond that is not in the reference
    pairs = [(c.category, c.confidence) for c in one.clauses if c.confidence > usual]
    figures = inputs.figures(calibration(data), pairs)
    if not known or not figures:
        return kept, []

    def chance(name: str) -> float:
        return draw(key, f"figure {name}", document_id)

    now = note_figures(watches, kept, document_id, figures, reference, known, chance)
    if not noticed(now):
        return now, []
    what = f"the documents that come in are unlike those that {kept.adapter} was calibrated on"
    now, notice = changed(now, what, one.share)
    return now, [notice]


def note_decision(
    watches: Watches,
    clause: FoundClause,
    document_id: str,
    version: str,
    wrong: bool | None,
    left_of: Callable[[str], LeftOf] | None = None,
) -> list[Notice]:
    """Count what a person decided about a clause; returns what was noticed.

    Args:
        clause: that the decision is about.
        version: of the specialist that found it.
        wrong: whether it was wrong; None if the decision was undone.
        left_of: by a promise, what says how much of it is left without categories.
    """
    kept = watches.kept(clause.adapter, lock=True)
    known = watches.find(clause.id)
    if known is None:
        if clause.route == "accept" or wrong is None:
            return []  # looked at because somebody wanted to: it stands for no others
        known = Drawn(
            clause.id,
            document_id,
            clause.adapter,
            version,
            clause.category,
            clause.confidence,
            0.0,
            "",
            1.0,
            False,
        )
    watches.put(replace(known, wrong=wrong))
    if not known.sampled:
        return []
    left = left_of(kept.promise) if left_of else None
    return settle(watches, kept, watches.of_document(document_id, kept.adapter), left_of=left)
