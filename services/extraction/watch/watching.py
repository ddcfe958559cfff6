"""What comes of checks and of the documents themselves: a promise in doubt is tightened by itself.

The tests are in `evidence.py` and `drift.py`; here they are told what happens in one transaction
with what says it, and what they find is kept, told and logged. Only a person loosens.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from services.extraction.domain import FoundClause
from services.extraction.guarantee import Calibration
from services.extraction.pipeline import usually_above
from services.extraction.routing import Local, StatedRisk, calibration, version_and_level
from services.extraction.watch import drift
from services.extraction.watch.evidence import FALSE_ALARMS, STEPS, Watch, ladder, replayed
from services.extraction.watch.store import Drawn, Kept, Notice, Watches, everywhere
from shared import metrics
from shared.inference import Specialist
from shared.risk import Floats, enough, interval
from shared.storage import Store
from shared.storage.secret import draw

log = logging.getLogger(__name__)

SEEN = 500
"""Documents of which the stability index tells: the last ones."""


def share_of(stated: float, local: Local) -> float:
    """Return the share of what could be accepted that people check: more, once documents changed.

    Args:
        stated: by the policy.
        local: what holds for the specialist in this tenant.
    """
    return max(stated, drift.CHECKED) if local.drifted and stated > 0 else stated


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


def note_clauses(watches: Watches, document_id: str, one: Routed, key: bytes) -> list[Notice]:
    """Keep what was drawn from a document as a check, and its figures; returns what was noticed.

    Args:
        watches: of the tenant, in the transaction that keeps the clauses.
        one: what a specialist found in the document.
        key: the secret of the draws.
    """
    clauses, stated, local = one.clauses, one.stated, one.local
    name, version = one.expert.manifest.name, one.expert.manifest.version
    data = local.data or one.expert.guarantee
    if stated is None or data is None:
        return []
    known = calibration(data)
    kept = watches.kept(name, lock=True)
    if stated.belief is not None and stated.promise != kept.promise:
        watches.close(name, kept.promise)  # it may be made again, and begins anew then
        kept = _promised(kept, known, stated)
    now, told = kept, list[Notice]()
    if not one.warned:
        now, told = _figures(watches, document_id, kept, data, one, key)
    watches.save(now)
    drawn = [clause for clause in clauses if clause.sampled]
    for clause in drawn:
        before = watches.find(clause.id)
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
                    stated.promise,
                    one.share,
                    True,
                )
            )
    for notice in told:
        watches.tell(notice)
    return told


def _promised(kept: Kept, known: Calibration, stated: StatedRisk) -> Kept:
    """The watch over another promise: evidence begins anew, and what was tightened stays so."""
    belief = stated.belief or 1.0
    terms = {
        "risk": stated.max_wrong,
        "belief": belief,
        "categories": len(known.labels),
        "tolerated": tolerated(known, belief, stated.max_wrong),
    }
    return replace(kept, promise=stated.promise, terms=terms, evidence=None, documents=0)


def tolerated(known: Calibration, belief: float, risk: float) -> dict[str, float]:
    """The shares of wrong ones that a promise for all categories leaves to each: those that the
    calibration set does not speak against.
    """
    accepted = known.belief >= belief
    found = {}
    for place, name in enumerate(known.labels):
        mine = accepted & (known.label == place)
        high = interval(int(known.wrong[mine].sum()), int(mine.sum()))[1]
        if high > risk:
            found[name] = min(high, 0.95)
    return found


@lru_cache(maxsize=8)
def _reference(data: bytes) -> dict[str, Floats]:
    return drift.reference(calibration(data))


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
    reference = f"{one.expert.manifest.version}+{one.local.number}"
    usual = usually_above(one.expert)  # what is shown beyond that is not in the reference
    pairs = [(c.category, c.confidence) for c in one.clauses if c.confidence > usual]
    figures = drift.figures(calibration(data), pairs)
    if not known or not figures:
        return kept, []
    if reference != kept.reference:
        kept = replace(kept, reference=reference, drift=None, stability=None)
    ranks = {}
    for name, value in figures.items():
        below, same, others = watches.place(kept.adapter, reference, name, value)
        low, high = (
            np.searchsorted(known[name], value),
            np.searchsorted(known[name], value, "right"),
        )
        chance = draw(key, f"figure {name}", document_id)
        ranks[name] = drift.rank_of(
            below + int(low), same + int(high - low), others + len(known[name]), chance
        )
    if not watches.put_figures(kept.adapter, document_id, reference, figures):
        return kept, []  # it was read before
    after = kept.changes.after(ranks)
    index = max(
        drift.stability_index(
            known[name], watches.last_figures(kept.adapter, reference, name, SEEN)
        )
        for name in figures
    )
    now = replace(kept, drift=after.to_json(), stability=index)
    if kept.drifted or not after.noticed:
        return now, []
    return replace(now, drifted=True), [
        Notice(
            kept.adapter,
            "drift",
            "",
            f"the documents that come in are unlike those that {kept.adapter} was calibrated on "
            f"(after {max(after.documents.values())}; stability index {index:.2f}): "
            f"{_checked(one.share)}",
        )
    ]


def _checked(share: float) -> str:
    """What comes of a change that was noticed, where people check a share."""
    if share > 0:
        return f"people check {max(share, drift.CHECKED):.0%} of what could be accepted"
    return (
        "nobody checks what is accepted, as the policy states a sample_share of 0, so that nothing "
        "tells whether the promise is still kept"
    )


def note_decision(
    watches: Watches,
    clause: FoundClause,
    document_id: str,
    version: str,
    wrong: bool | None,
) -> list[Notice]:
    """Count what a person decided about a clause; returns what was noticed.

    Args:
        clause: that the decision is about.
        version: of the specialist that found it.
        wrong: whether it was wrong; None if the decision was undone.
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
    return settle(watches, kept, document_id)


def settle(watches: Watches, kept: Kept, document_id: str) -> list[Notice]:
    """Let a document count once all its checks are decided, and tighten if that raises doubt."""
    mine = [
        one for one in watches.of_document(document_id, kept.adapter) if one.promise == kept.promise
    ]
    start = kept.watch
    if not mine or start is None:
        return []
    whole = all(one.wrong is not None for one in mine)
    entered = any(one.place is not None for one in mine)
    if not whole and not entered:
        return []
    if entered:
        place = next(one.place for one in mine if one.place is not None)
    else:
        place = kept.documents + 1
    for one in mine:
        watches.put(replace(one, place=place if whole else None))
    if entered:  # a decision was changed or undone
        fresh = replace(kept, evidence=None).watch or start
        watch = replayed(fresh, watches.entered(kept.adapter, kept.promise))
    else:
        watch = start.after([one.check for one in mine])
    documents = kept.documents if entered else place or 0
    now, told = _tightened(replace(kept, evidence=watch.to_json(), documents=documents), watch)
    watches.save(now)
    for notice in told:
        watches.tell(notice)
    return told


def _tightened(kept: Kept, watch: Watch) -> tuple[Kept, list[Notice]]:
    told = []
    step = watch.step(kept.step)
    if step > kept.step:
        told.append(Notice(kept.adapter, "risk", "", _why(watch, kept.step, step)))
    doubted = [name for name in watch.doubted() if name not in kept.doubted]
    for name in doubted:
        one = watch.by_category[name]
        bound = watch.tolerated.get(name, watch.risk)
        text = (
            f"of {one.checks} checks of {name} {one.wrong} were wrong, more than the {bound:.1%} "
            "that the promise leaves room for: a person looks at all of them from now on"
        )
        told.append(Notice(kept.adapter, "category", name, text))
    return replace(kept, step=step, doubted=(*kept.doubted, *doubted)), told


def _why(watch: Watch, before: int, after: int) -> str:
    one, beliefs = watch.steps[before], ladder(watch.belief)
    now = (
        "nothing is accepted any more"
        if after >= STEPS
        else f"accepted is only what is believed to {beliefs[after]:.1%}, no more to "
        f"{beliefs[before]:.1%}"
    )
    return (
        f"of {one.checks} checks in {one.documents} documents {one.wrong} were wrong, and at most "
        f"{watch.risk:.1%} were promised, which is kept at such numbers in fewer than "
        f"{math.ceil(1 / math.exp(min(one.doubt, 30.0)) * 1000) / 10:g}% of cases: {now}"
    )


def announce(told: Sequence[Notice]) -> None:
    """Log and count what was noticed, after it is stored."""
    for notice in told:
        log.warning(notice.text, extra={"alert": notice.kind, "adapter": notice.adapter})
        metrics.promise_alerts_total.labels(notice.adapter, notice.kind).inc()


def measuring(store: Store) -> Callable[[], None]:
    """Return what sets the gauges, from the watches of all tenants."""

    def measure() -> None:
        with store.read() as session:
            found = everywhere(session)
        metrics.calibration_drift.clear()
        metrics.promise_tightened.clear()
        for adapter in sorted({kept.adapter for kept in found}):
            mine = [kept for kept in found if kept.adapter == adapter]
            indices = [kept.stability for kept in mine if kept.stability is not None]
            if indices:
                metrics.calibration_drift.labels(adapter).set(max(indices))
            tight = sum(bool(kept.step or kept.doubted) for kept in mine)
            metrics.promise_tightened.labels(adapter).set(tight)

    return measure


def shown(kept: Kept, made: Any | None, accepted: int) -> dict[str, Any]:
    """A watch as REST and the page show it.

    Args:
        kept: the watch.
        made: the calibration that holds and was made here, if any.
        accepted: clauses that the machine accepted by itself.
    """
    version, level = version_and_level(kept.promise) or (None, None)
    watch = kept.watch
    first = watch.steps[min(kept.step, STEPS - 1)] if watch else None
    beliefs = ladder(watch.belief) if watch else ()
    changes = kept.changes
    return {
        "adapter": kept.adapter,
        "version": version,
        "max_wrong": watch.risk if watch else None,
        "level": level,
        "belief": watch.belief if watch else None,
        "belief_now": beliefs[kept.step] if kept.step < len(beliefs) else None,
        "step": kept.step,
        "doubted": sorted(kept.doubted),
        "accepted": accepted,
        "documents": first.documents if first else 0,
        "checks": first.checks if first else 0,
        "wrong": first.wrong if first else 0,
        "interval": interval(first.wrong, first.checks) if first and first.checks else None,
        "enough": enough(watch.risk) if watch else None,
        "evidence": math.exp(min(first.doubt, 50.0)) if first else 1.0,
        "alarm_at": 1.0 / (FALSE_ALARMS * 0.5),
        "drifted": kept.drifted,
        "drift_documents": max(changes.documents.values()),
        "drift_evidence": math.exp(min(changes.doubt, 50.0)),
        "drift_alarm_at": 1.0 / drift.FALSE_ALARMS,
        "stability_index": kept.stability,
        "calibration": made.number if made else None,
        "calibrated": made.time if made else None,
        "calibrated_by": made.actor if made else None,
    }
