"""Thresholds from people's decisions: tried, applied, undone, or loosened.

What is made lies in the database of the service that promises, by tenant and specialist, beside who
made it and when; the artefacts that came with the specialist stay as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from shared.errors import Conflict, InvalidRequest
from shared.guarantee import NEVER, Calibration, Promise, promise
from shared.risk import Floats
from shared.storage.watches import Kept, Notice, Watches
from shared.watch.evidence import accepted_from, replayed
from shared.watch.local import Local
from shared.watch.refitting import Decided, Outcome, expected_of, outcome, pooled


@dataclass(frozen=True)
class Refit:
    """A calibration that was tried, beside the one in force."""

    adapter: str
    version: str
    max_wrong: float
    level: float
    documents: int
    """Of which all is decided."""
    unfinished: int
    """Of which something is, but not all."""
    waiting: int | None
    """Of which nothing is, of those that people were asked about; None: not counted."""
    decided: int
    before: Outcome | None
    """None: nothing was known of the specialist's mistakes before."""
    after: Outcome
    belief_before: float | None
    belief_after: float | None
    why_not: str
    data: bytes
    confidence_before: float | None = None
    """From which confidence on a result is accepted, where that is the same for all."""
    confidence_after: float | None = None
    categories: int = 0
    """How many the specialist knows."""
    never_before: tuple[str, ...] | None = None
    """Those of which nothing is accepted, however sure, though the policy would allow it; None:
    nothing was known."""
    never_after: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What is kept and shown of it."""
        shown = asdict(self)
        del shown["data"]
        for name in ("before", "after"):
            one = getattr(self, name)
            shown[name] = one and {**asdict(one), "rate": one.rate}
        return shown


@dataclass(frozen=True)
class Stated:
    """The risk that a calibration is tried for."""

    max_wrong: float
    level: float
    always_person: tuple[str, ...] = ()
    """Categories that a person looks at in any case."""


@dataclass(frozen=True)
class Whose:
    """The specialist whose promise is refitted, and the documents that count for it."""

    adapter: str
    version: str
    documents: int
    """Of which all is decided."""
    unfinished: int
    """Of which something is, but not all."""
    waiting: int | None = None
    """Of which nothing is, of those that people were asked about; None: not counted."""


def stated(max_wrong: float | None, level: float, always_person: tuple[str, ...] = ()) -> Stated:
    """The risk that a policy or a person states. Raises InvalidRequest where there is none."""
    if max_wrong is None:
        raise InvalidRequest("the policy states no max_wrong for this tenant: say --max-wrong")
    return Stated(max_wrong, level, always_person)


def compared(
    whose: Whose,
    risk: Stated,
    local: Local,
    found: Sequence[Decided],
    new: Calibration,
    now: Calibration | None,
    was: Promise | None,
    shipped: Calibration | None,
    with_shipped: bool,
) -> Refit:
    """Choose a threshold from what was decided; what is in force stands beside it.

    Args:
        whose: the specialist.
        risk: that is stated.
        local: what holds for the specialist in the tenant.
        found: what was decided, of which `new` is made.
        new: the set of what was decided.
        now: the set in force; None: nothing is known.
        was: what that promises.
        shipped: what came with the specialist; None: nothing did.
        with_shipped: whether that is counted, as if it were of the same kind; else it only says how
            many more decisions would do.
    """
    chosen = pooled(new, shipped) if with_shipped and shipped else new
    expected = None if chosen is not new else expected_of(new, shipped)
    made = promise(chosen, risk.max_wrong, risk.level, risk.always_person, expected)
    before, belief, never_before = None, None, None
    if now is not None and was is not None:
        belief = _in_force(now, was, risk, local)
        never = {*risk.always_person, *local.doubted, *now.flat}
        allowed = without(new, beliefs(now, new, found), never)
        before = outcome(new, allowed, replace(was, belief=belief))
        never_before = _never(now, belief, risk, local.doubted)
    after = outcome(new, without(new, new.served, set(risk.always_person)), made)
    return Refit(
        whose.adapter,
        whose.version,
        risk.max_wrong,
        risk.level,
        whose.documents,
        whose.unfinished,
        whose.waiting,
        len(new.label),
        before,
        after,
        belief,
        made.belief,
        made.why_not,
        chosen.to_bytes(),
        categories=len(chosen.labels),
        never_before=never_before,
        never_after=_never(chosen, made.belief, risk),
    )


def _never(
    known: Calibration, belief: float | None, risk: Stated, doubted: Collection[str] = ()
) -> tuple[str, ...]:
    """The categories of which a set, or checks that have them `doubted`, leave nothing to accept;
    without those that the policy has a person look at anyway.
    """
    names = {*known.never(belief), *doubted} - set(risk.always_person)
    return tuple(name for name in known.labels if name in names)


def beliefs(now: Calibration, new: Calibration, found: Sequence[Decided]) -> Floats:
    """The beliefs that the set in force has of what was decided, in the order of the new one."""
    known = [one for one in found if one.category in new.labels and 0.0 < one.confidence < 1.0]
    return np.array([now.belief_of(one.category, one.confidence) for one in known])


def without(known: Calibration, belief: Floats, names: Collection[str]) -> Floats:
    """Beliefs by which nothing of some categories is accepted."""
    left_out = [place for place, name in enumerate(known.labels) if name in names]
    return np.where(np.isin(known.label, left_out), 0.0, belief)


def _in_force(now: Calibration, was: Promise, risk: Stated, local: Local) -> float | None:
    """From which belief on is accepted while `was` is promised by a set; None: nothing is."""
    if was.belief is None:
        return None
    left = 0.0
    if local.doubted:
        never = {*risk.always_person, *local.doubted}
        alone = promise(now, risk.max_wrong, risk.level, never).belief
        left = NEVER if alone is None else alone
    return accepted_from(was.belief, local.step, left)


def apply(watches: Watches, made: Refit, actor: str) -> int:
    """Have a calibration hold from now on; what was tightened before is loose. Returns its number.

    Raises Conflict if it promises nothing.
    """
    if made.belief_after is None:
        raise Conflict(f"there is nothing to apply: {made.why_not}")
    shown = made.to_json()
    number = watches.add_calibration(made.adapter, made.version, made.data, shown, actor)
    _anew(watches, made.adapter)
    held = (
        f"is believed to {made.belief_after:.1%}"
        if made.confidence_after is None
        else f"has a confidence of {made.confidence_after:.1%} or more"
    )
    text = (
        f"calibration {number} of {made.adapter} {made.version} holds, from {made.decided} "
        f"decisions in {made.documents} documents: accepted is what {held}, for at most "
        f"{made.max_wrong:.1%} wrong"
    )
    watches.tell(Notice(made.adapter, "calibrated", "", text, actor))
    return number


def undo(watches: Watches, adapter: str, actor: str) -> int:
    """Have what was before the last calibration hold again. Returns the number of the undone one.

    Raises Conflict if there is none.
    """
    last = watches.calibration(adapter)
    if last is None:
        raise Conflict(f"no calibration of {adapter} holds here: there is nothing to undo")
    was: Mapping[str, Any] = last.before
    watches.undo_calibration(adapter, last.number, actor)
    kept = watches.kept(adapter, lock=True)
    again = replace(kept, step=was["step"], doubted=tuple(was["doubted"]), drifted=was["drifted"])
    watches.save(again)
    text = f"calibration {last.number} of {adapter} is undone: what was before it holds again"
    watches.tell(Notice(adapter, "undone", "", text, actor))
    return int(last.number)


def loosen(watches: Watches, adapter: str, why: str, actor: str) -> str:
    """Accept again what was promised for. A person answers for it. Returns what that comes to.

    What speaks against the promise so much that it would be tightened at once begins anew; other
    checks count on, and those that wait will once they are decided.

    Raises Conflict if nothing is tightened: then nothing is changed.
    """
    before = watches.kept(adapter)
    if not _tight(before):
        raise Conflict(f"nothing of {adapter} is tightened here: there is nothing to loosen")
    kept = watches.kept(adapter, lock=True)
    now = _without_doubt(watches, kept)
    if kept.drifted:
        now = replace(now, drift=None)
    watches.save(replace(now, step=0, doubted=(), drifted=False))
    said = _loosened(adapter, kept)
    watches.tell(Notice(adapter, "loosened", "", f"{said}: {why}", actor))
    return said


def _tight(kept: Kept) -> bool:
    """Whether less is accepted, or more is checked, than was promised for."""
    return bool(kept.step or kept.doubted or kept.drifted)


def _loosened(adapter: str, kept: Kept) -> str:
    """What is loosened, in words."""
    if kept.step or kept.doubted:
        return f"what {adapter} was promised to accept is accepted again"
    return f"people check what {adapter} accepts as often again as before documents changed"


def _without_doubt(watches: Watches, kept: Kept) -> Kept:
    """The watch without the checks by which it would be tightened: of the categories in doubt, or,
    where all together are, of all.
    """
    watch = kept.watch
    if watch is None:
        return kept
    if doubted := watch.doubted():
        watches.forget_counted(kept.adapter, kept.promise, doubted)
        fresh = replace(kept, evidence=None).watch or watch
        watch = replayed(fresh, watches.entered(kept.adapter, kept.promise))
        kept = replace(kept, evidence=watch.to_json())
    if watch.step(0) > 0:
        watches.forget_counted(kept.adapter, kept.promise)
        kept = replace(kept, evidence=None, documents=0)
    return kept


def _anew(watches: Watches, adapter: str) -> None:
    """Begin the tests of another promise, with nothing tightened."""
    kept = watches.kept(adapter, lock=True)
    watches.close(adapter, kept.promise)
    watches.save(
        replace(kept, step=0, doubted=(), drifted=False, drift=None, evidence=None, documents=0)
    )
