"""What comes of checks and of what comes in: a promise in doubt is tightened by itself.

The tests are in `evidence.py` and `drift.py`; here they are told what happens in one transaction
with what says it, and what they find is kept, told and logged. Only a person loosens.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from shared import metrics
from shared.risk import Floats, enough, interval
from shared.storage import Store
from shared.storage.watches import Drawn, Kept, Notice, Tables, Watches, everywhere
from shared.watch import drift
from shared.watch.evidence import FALSE_ALARMS, OF_ALL, STEPS, Watch, ladder, replayed
from shared.watch.local import Local, version_and_level
from shared.watch.others import LeftOf, accepted_now, leaving, left_in

log = logging.getLogger(__name__)

SEEN = 500
"""Documents of which the stability index tells: the last ones."""

UNITS = "documents"
"""What figures are kept of, and what checks count by, where nothing else is said."""

ALERTS = ("risk", "category", "drift")
"""Kinds of notices that come by themselves."""

ConfidenceOf = Callable[[float], float]
"""Says from which confidence on a result is believed so much: people see what confidence results
carry. Where that differs by category there is none, and they are told how much is believed."""


def share_of(stated: float, local: Local) -> float:
    """Return the share of what could be accepted that people check: more, once documents changed.

    Args:
        stated: by the policy.
        local: what holds for the specialist in this tenant.
    """
    return max(stated, drift.CHECKED) if local.drifted and stated > 0 else stated


def promised(watches: Watches, kept: Kept, promise: str, terms: Mapping[str, Any]) -> Kept:
    """The watch over another promise: evidence begins anew, and what was tightened stays so."""
    watches.close(kept.adapter, kept.promise)  # it may be made again, and begins anew then
    return replace(kept, promise=promise, terms=terms, evidence=None, documents=0)


def note_figures(
    watches: Watches,
    kept: Kept,
    unit: str,
    found: Mapping[str, float],
    reference: str,
    known: Mapping[str, Floats],
    chance: Callable[[str], float],
    stated: str = "",
) -> Kept:
    """The watch after the figures of one more document, which are kept.

    Args:
        watches: of the tenant.
        kept: the watch, which is locked.
        unit: the id of the document.
        found: its figures, by name.
        reference: the name of what they are compared with, without a slash; another one begins
            anew.
        known: figures of documents that were known before, rising; where a figure has none, it is
            compared with those of the documents before alone.
        chance: draws a number from 0 to below 1 by the name of a figure.
        stated: what a person states of the documents that were known: see `compared_with`.
    """
    kept = compared_with(kept, reference, stated, known)
    names = {name: kept.reference if name in known else reference for name in found}
    ranks = {}
    for name, value in found.items():
        below, same, others = watches.place(kept.adapter, names[name], name, value)
        past = known.get(name, np.zeros(0))
        low, high = np.searchsorted(past, value), np.searchsorted(past, value, "right")
        ranks[name] = drift.rank_of(
            below + int(low), same + int(high - low), others + len(past), chance(name)
        )
    new = [
        watches.put_figures(kept.adapter, unit, names[name], {name: value})
        for name, value in found.items()
    ]
    if not new or not all(new):
        return kept  # it was read before
    before = kept.changes if kept.drift else drift.Drift.none(found)
    after = before.after(ranks)
    if kept.drifted or after.noticed:
        after = replace(after, crossed=tuple(sorted({*after.crossed, *after.crossing})))
    indices = [
        drift.stability_index(
            known[name], watches.last_figures(kept.adapter, names[name], name, SEEN)
        )
        for name in found
        if len(known.get(name, ()))
    ]
    return replace(kept, drift=after.to_json(), stability=max(indices, default=None))


def compared_with(kept: Kept, reference: str, stated: str, known: Collection[str]) -> Kept:
    """The watch where figures are compared with something else, if it is something else. Where a
    person states anew of what is known, only figures that have known ones begin anew; that answers
    an alarm which they alone have raised, and no other.

    Args:
        kept: the watch.
        reference: the name of what they are compared with.
        stated: what is stated of the documents that were known; empty: nothing is.
        known: names of the figures that have known ones.
    """
    name = f"{reference}/{stated}" if stated else reference
    if name == kept.reference:
        return kept
    changes, drifted = kept.changes, kept.drifted
    before, _, was = kept.reference.partition("/")
    restated = bool(stated and was)
    if restated and was != stated and not {*changes.crossed, *changes.crossing} - set(known):
        changes, drifted = replace(changes, crossed=()), False
    if restated and before == reference:
        changes = changes.without(known)
    else:
        changes = replace(drift.Drift.none(()), crossed=changes.crossed)
    return replace(kept, reference=name, drift=changes.to_json(), drifted=drifted, stability=None)


def noticed(kept: Kept) -> bool:
    """Whether documents are said to have changed, and nobody was told of it before."""
    return not kept.drifted and kept.changes.noticed


def changed(kept: Kept, what: str, share: float) -> tuple[Kept, Notice]:
    """The watch after a change that is noticed, and the notice of it.

    Args:
        kept: the watch.
        what: the change, in words.
        share: of what could be accepted, that was drawn as checks.
    """
    so_far = f"after {max(kept.changes.documents.values())}"
    index = "" if kept.stability is None else f"; stability index {kept.stability:.2f}"
    text = f"{what} ({so_far}{index}): {_checked(share)}"
    return replace(kept, drifted=True), Notice(kept.adapter, "drift", "", text)


def _checked(share: float) -> str:
    """What comes of a change that was noticed, where people check a share."""
    if share > 0:
        return f"people check {max(share, drift.CHECKED):.0%} of what could be accepted"
    return (
        "nobody checks what is accepted, as the policy states a sample_share of 0, so that nothing "
        "tells whether the promise is still kept"
    )


def settle(
    watches: Watches,
    kept: Kept,
    checks: Sequence[Drawn],
    units: str = UNITS,
    confidence_of: ConfidenceOf | None = None,
    left_of: LeftOf | None = None,
) -> list[Notice]:
    """Let a document count once all its checks are decided, and tighten if that raises doubt.

    Args:
        watches: of the tenant.
        kept: the watch, which is locked.
        checks: all that were drawn from the document; those of another promise don't count.
        units: what documents are called.
        confidence_of: by which a notice says what is accepted.
        left_of: says what is accepted without the categories in doubt; None: none ever is.
    """
    mine = [one for one in checks if one.promise == kept.promise]
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
    after = replace(kept, evidence=watch.to_json(), documents=documents)
    if left := left_in(kept):
        after = leaving(after, left)
    now, told = tightened(after, watch, units, confidence_of, left_of)
    watches.save(now)
    for notice in told:
        watches.tell(notice)
    return told


def tightened(
    kept: Kept,
    watch: Watch,
    units: str = UNITS,
    confidence_of: ConfidenceOf | None = None,
    left_of: LeftOf | None = None,
) -> tuple[Kept, list[Notice]]:
    """The watch after evidence, tightened where that raises doubt, and what is said of it."""
    told = []
    now = replace(kept, step=watch.step(kept.step))
    if now.step > kept.step:
        said = f"{_why(watch, kept.step, units)}: {_accepted(kept, now, confidence_of)}"
        told.append(Notice(kept.adapter, "risk", "", said))
    for name in watch.doubted():
        if name in kept.doubted:
            continue
        before, now = now, replace(now, doubted=(*now.doubted, name))
        now = leaving(now, left_of(now.doubted)) if left_of else now
        one = watch.by_category[name]
        bound = watch.tolerated.get(name, watch.risk)
        text = (
            f"of {one.checks} checks of {name} {one.wrong} were wrong, more than the {bound:.1%} "
            "that the promise leaves room for: a person looks at all of them from now on"
            f"{_without(accepted_now(before), accepted_now(now))}"
        )
        told.append(Notice(kept.adapter, "category", name, text))
    return now, told


def _without(was: float | None, now: float | None) -> str:
    """What is accepted of the other categories, where that changes."""
    if was is None or was == now:
        return ""
    if now is None:
        return (
            ", and of the others nothing is accepted any more: without it nothing is shown to keep "
            "the risk"
        )
    return (
        f", and of the others is accepted only what is believed to {now:.1%}, no more to "
        f"{was:.1%}: they have to keep the risk without it"
    )


def _accepted(kept: Kept, after: Kept, confidence_of: ConfidenceOf | None) -> str:
    """What is accepted after a step of the ladder, and was before it."""
    was, now = accepted_now(kept), accepted_now(after)
    if now is None or was is None:
        return "nothing is accepted any more"
    if now == was:
        return f"accepted is still what is believed to {now:.1%}, for so much is needed already"
    if confidence_of is None:
        return f"accepted is only what is believed to {now:.1%}, no more to {was:.1%}"
    return (
        f"accepted is only what has a confidence of {confidence_of(now):.1%} or more, where "
        f"{confidence_of(was):.1%} was enough"
    )


def _why(watch: Watch, step: int, units: str) -> str:
    """What speaks against the promise at a step of the ladder."""
    one = watch.steps[step]
    return (
        f"of {one.checks} checks in {one.documents} {units} {one.wrong} were wrong, and at most "
        f"{watch.risk:.1%} were promised, which is kept at such numbers in fewer than "
        f"{math.ceil(1 / math.exp(min(one.doubt, 30.0)) * 1000) / 10:g}% of cases"
    )


def announce(told: Sequence[Notice]) -> None:
    """Log and count what was noticed, after it is stored."""
    for notice in told:
        log.warning(notice.text, extra={"alert": notice.kind, "adapter": notice.adapter})
        metrics.promise_alerts_total.labels(notice.adapter, notice.kind).inc()


def measuring(store: Store, tables: Tables) -> Callable[[], None]:
    """Return what sets the gauges of a service's specialists, from the watches of all tenants, and
    has their alerts counted from 0 on. Those of other services in the same process are left alone.
    """
    drifts, tight = set[str](), set[str]()

    def measure() -> None:
        with store.read() as session:
            found = everywhere(session, tables)
        indices: dict[str, float] = {}
        counts: dict[str, int] = {}
        for kept in found:
            counts[kept.adapter] = counts.get(kept.adapter, 0) + bool(kept.step or kept.doubted)
            for alert in ALERTS:
                metrics.promise_alerts_total.labels(kept.adapter, alert)
            if kept.stability is not None:
                index = max(kept.stability, indices.get(kept.adapter, kept.stability))
                indices[kept.adapter] = index
        for before, now, gauge in (
            (drifts, indices, metrics.calibration_drift),
            (tight, counts, metrics.promise_tightened),
        ):
            for adapter in before - set(now):
                gauge.remove(adapter)
            before.clear()
            before.update(now)
            for adapter, value in now.items():
                gauge.labels(adapter).set(value)

    return measure


def shown(
    kept: Kept, made: Any | None, accepted: int, confidence_of: ConfidenceOf | None = None
) -> dict[str, Any]:
    """A watch as REST and the page show it.

    Args:
        kept: the watch.
        made: the calibration that holds and was made here, if any.
        accepted: results that the machine accepted by itself.
        confidence_of: by which the promise says from which confidence on one is accepted.
    """
    version, level = version_and_level(kept.promise) or (None, None)
    watch = kept.watch
    first = watch.steps[min(kept.step, STEPS - 1)] if watch else None
    beliefs = ladder(watch.belief) if watch else ()
    least = [confidence_of(belief) for belief in beliefs] if confidence_of else []
    changes = kept.changes
    return {
        "adapter": kept.adapter,
        "version": version,
        "max_wrong": watch.risk if watch else None,
        "level": level,
        "belief": watch.belief if watch else None,
        "belief_now": accepted_now(kept),
        "threshold": least[0] if least else None,
        "threshold_now": least[kept.step] if kept.step < len(least) else None,
        "step": kept.step,
        "doubted": sorted(kept.doubted),
        "accepted": accepted,
        "documents": first.documents if first else 0,
        "checks": first.checks if first else 0,
        "wrong": first.wrong if first else 0,
        "interval": interval(first.wrong, first.checks) if first and first.checks else None,
        "enough": enough(watch.risk) if watch else None,
        "evidence": math.exp(min(first.doubt, 50.0)) if first else 1.0,
        "alarm_at": watch.alarm_at if watch else 1.0 / (FALSE_ALARMS * OF_ALL),
        "drifted": kept.drifted,
        "drift_documents": max(changes.documents.values(), default=0),
        "drift_evidence": math.exp(min(changes.doubt, 50.0)),
        "drift_alarm_at": 1.0 / drift.FALSE_ALARMS,
        "stability_index": kept.stability,
        "calibration": made.number if made else None,
        "calibrated": made.time if made else None,
        "calibrated_by": made.actor if made else None,
    }
