"""`smallprint calibrate`: thresholds from people's decisions, tried, applied, undone, or loosened.

What is made lies in extraction's database, by tenant and specialist, beside who made it and when;
the artefacts that came with the specialist stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from services.extraction.domain import FoundClause, Pass
from services.extraction.guarantee import Calibration, promise, read_calibration
from services.extraction.routing import Local
from services.extraction.watch.evidence import ladder
from services.extraction.watch.refitting import Decided, Outcome, outcome, pooled, refitted
from services.extraction.watch.store import Drawn, Notice, Watches
from shared.errors import Conflict, InvalidRequest
from shared.inference import Specialist
from shared.policy import RiskRules
from shared.risk import Floats


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
    decided: int
    before: Outcome | None
    """None: nothing was known of the specialist's mistakes before."""
    after: Outcome
    belief_before: float | None
    belief_after: float | None
    why_not: str
    data: bytes

    def to_json(self) -> dict[str, Any]:
        """What is kept and shown of it."""
        shown = asdict(self)
        del shown["data"]
        for name in ("before", "after"):
            one = getattr(self, name)
            shown[name] = one and {**asdict(one), "rate": one.rate}
        return shown


def complete(
    documents: Iterable[tuple[str, Sequence[Pass], Sequence[FoundClause]]],
    decided: Sequence[Drawn],
    adapter: str,
    version: str,
    usual: float,
) -> tuple[list[Decided], int]:
    """Return what was decided in documents of which all is, and how many others have something.

    Args:
        documents: the id of each, who read it, and all its clauses as they are stored.
        decided: what people decided about clauses of this version.
        adapter: the specialist.
        version: of it.
        usual: the confidence above which it shows clauses where no share of missed ones is stated;
            nothing is learned of the others, for they are never accepted.
    """
    known = {one.clause_id: one for one in decided}
    found, unfinished = [], 0
    for document, passes, clauses in documents:
        if not any((one.adapter, one.version) == (adapter, version) for one in passes):
            continue
        mine = [c for c in clauses if c.adapter == adapter and c.confidence > usual]
        asked = [c for c in mine if c.route != "accept"]
        answered = [known[c.id] for c in asked if c.id in known]
        if len(answered) < len(asked):
            unfinished += bool(answered)
            continue
        found += [
            Decided(document, one.category, one.confidence, bool(one.wrong), 1.0 / one.share)
            for one in answered
        ]
    return found, unfinished


def refit(
    expert: Specialist,
    local: Local,
    rules: RiskRules,
    found: Sequence[Decided],
    unfinished: int,
    with_shipped: bool,
) -> Refit:
    """Fit lines and choose a threshold from what was decided; what is in force stands beside it.

    Args:
        expert: the specialist.
        local: what holds for it in the tenant.
        rules: of the tenant, with a stated risk.
        found: what was decided.
        unfinished: documents of which not all is decided.
        with_shipped: also count what came with the specialist, as if it were of the same kind.

    Raises:
        InvalidRequest: no risk is stated, nothing is decided, or nothing came to be counted too.
    """
    if rules.max_wrong is None:
        raise InvalidRequest("the policy states no max_wrong for this tenant: say --max-wrong")
    if not found:
        raise InvalidRequest(
            f"no document that {expert.manifest.name} {expert.manifest.version} read is decided as "
            "a whole: decide all that waits of some"
        )
    data = local.data or expert.guarantee
    now = read_calibration(data) if data else None
    new = refitted(expert.labels, now, found)
    chosen = new
    if with_shipped:
        if expert.guarantee is None:
            raise InvalidRequest(f"{expert.manifest.name} came with no calibration set to count")
        chosen = pooled(new, read_calibration(expert.guarantee))
    stated = rules.max_wrong, rules.level, rules.always_person
    made = promise(chosen, *stated)
    before, belief = None, None
    if now is not None:
        was = promise(now, *stated)
        steps = ladder(was.belief or 1.0)
        belief = steps[local.step] if was.belief and local.step < len(steps) else None
        allowed = _without(new, _beliefs(now, new, found), {*rules.always_person, *local.doubted})
        before = outcome(new, allowed, replace(was, belief=belief))
    after = outcome(new, _without(new, new.belief, set(rules.always_person)), made)
    return Refit(
        expert.manifest.name,
        expert.manifest.version,
        *stated[:2],
        new.families,
        unfinished,
        len(new.label),
        before,
        after,
        belief,
        made.belief,
        made.why_not,
        chosen.to_bytes(),
    )


def _beliefs(now: Calibration, new: Calibration, found: Sequence[Decided]) -> Floats:
    """The beliefs that the set in force has of what was decided, in the order of the new one."""
    known = [one for one in found if one.category in new.labels and 0.0 < one.confidence < 1.0]
    return np.array([now.belief_of(one.category, one.confidence) for one in known])


def _without(known: Calibration, belief: Floats, names: set[str]) -> Floats:
    left_out = [place for place, name in enumerate(known.labels) if name in names]
    return np.where(np.isin(known.label, left_out), 0.0, belief)


def apply(watches: Watches, made: Refit, actor: str) -> int:
    """Have a calibration hold from now on; what was tightened before is loose. Returns its number.

    Raises Conflict if it promises nothing.
    """
    if made.belief_after is None:
        raise Conflict(f"there is nothing to apply: {made.why_not}")
    shown = made.to_json()
    number = watches.add_calibration(made.adapter, made.version, made.data, shown, actor)
    _loosen(watches, made.adapter)
    text = (
        f"calibration {number} of {made.adapter} {made.version} holds, from {made.decided} "
        f"decisions in {made.documents} documents: accepted is what is believed to "
        f"{made.belief_after:.1%}, for at most {made.max_wrong:.1%} wrong"
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


def loosen(watches: Watches, adapter: str, why: str, actor: str) -> None:
    """Accept again what was promised for; the tests begin anew. A person answers for it."""
    _loosen(watches, adapter)
    text = f"what {adapter} was promised to accept is accepted again: {why}"
    watches.tell(Notice(adapter, "loosened", "", text, actor))


def _loosen(watches: Watches, adapter: str) -> None:
    kept = watches.kept(adapter, lock=True)
    watches.close(adapter, kept.promise)
    watches.save(
        replace(kept, step=0, doubted=(), drifted=False, drift=None, evidence=None, documents=0)
    )
