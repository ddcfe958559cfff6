"""What the machine does with each clause of a document: accept it, or ask a person.

Accepted is what is sure enough for the risk that was stated (`shared/guarantee.py`),
and only where calibration data speak for it: from a specialist that came with some, in a document
without a warning, on pages whose text the file holds itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any, Self

from services.extraction.guarantee import CONFIDENCES, Shown, shown_for
from services.extraction.pipeline import Clause, Search, usually_above
from shared.documents import Reading
from shared.documents.ocr import METHOD
from shared.errors import SettingsError
from shared.events import Route
from shared.guarantee import NEVER, Calibration, Promise, promise, read_calibration
from shared.inference import Specialist
from shared.policy import KIND_UNSURE, RiskRules
from shared.storage.secret import draw
from shared.watch.evidence import STEPS, accepted_from
from shared.watch.local import SHIPPED, Local, promise_name


@dataclass(frozen=True)
class StatedRisk:
    """What was promised for the clauses of one specialist in one document, or why nothing was."""

    max_wrong: float  # of the accepted clauses, at most this share is wrong ...
    level: float  # ... with this confidence
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """From which confidence on a clause of each category is accepted; without one, none is."""
    families: int = 0  # of contracts not seen, from which that is known
    why_not: str = ""
    promise: str = ""
    """What was promised by which calibration set: checks are counted for it and no other."""
    belief: float | None = None  # from which on a clause would be accepted, were nothing tightened
    tightened: tuple[str, ...] = ()  # why less is accepted than was promised for

    def to_json(self) -> dict[str, Any]:
        """What is kept and shown of it."""
        return asdict(self)

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Self:
        """Read what was kept."""
        return cls(**{**kept, "tightened": tuple(kept.get("tightened", ()))})

    def accepts(self, category: str, confidence: float) -> bool:
        """Whether a clause is sure enough."""
        return confidence >= self.thresholds.get(category, NEVER)


@dataclass(frozen=True)
class StatedMissed:
    """What was promised of the true clauses that one specialist does not show in one document."""

    max_missed: float  # of the true clauses, at most this share is not shown ...
    level: float  # ... with this confidence
    above: float  # this confidence clauses are shown
    families: int = 0  # of contracts not seen, from which that is known
    why_not: str = ""
    """Why nothing is promised; empty where it is."""

    def to_json(self) -> dict[str, Any]:
        """What is kept and shown of it."""
        return asdict(self)


def stated_risk(
    specialist: Specialist,
    found: Search,
    rules: RiskRules,
    local: Local = SHIPPED,
    kind_unsure: bool = False,
) -> StatedRisk | None:
    """Return what can be promised for a document, of which it may be `kind_unsure` whether it is a
    contract at all; None where no risk is stated.
    """
    if rules.max_wrong is None:
        return None
    stated = rules.max_wrong, rules.level
    data = local.data or specialist.guarantee
    if data is None:
        name = specialist.manifest.name
        why = f"not guaranteed: {name} has no calibration data of its own, so a person looks at all"
        return StatedRisk(*stated, why_not=why)
    if found.warnings:
        why = f"not guaranteed: there is no calibration data for such a text: {found.warnings[0]}"
        return StatedRisk(*stated, why_not=why)
    if kind_unsure:
        return StatedRisk(*stated, why_not=KIND_UNSURE)
    made = promised(data, *stated, rules.always_person)
    if made.belief is None:
        return StatedRisk(*stated, {}, made.families, made.why_not)
    whose = f"{specialist.manifest.version}+{local.number}"
    name = promise_name(whose, *stated, made.belief)
    kept = StatedRisk(*stated, {}, made.families, promise=name, belief=made.belief)
    rest = left(data, rules, local.doubted)
    return replace(
        kept,
        tightened=_tightened(made.belief, local, rest),
        **_accepted(data, kept, local, rules, usually_above(specialist), rest),
    )


def left(data: bytes, rules: RiskRules, doubted: Collection[str]) -> Promise | None:
    """Return what a calibration set promises without the categories that checks put in doubt, for
    the others may be wrong more often than all together were; None where none is, or no risk is
    stated.
    """
    if rules.max_wrong is None or not doubted:
        return None
    never = tuple(sorted({*rules.always_person, *doubted}))
    return promised(data, rules.max_wrong, rules.level, never)


def least_of(rest: Promise | None) -> float:
    """Return from which belief on is accepted by what `left` returns; above 1 where nothing is."""
    if rest is None:
        return 0.0
    return NEVER if rest.belief is None else rest.belief


def stated_missed(specialist: Specialist, rules: RiskRules) -> StatedMissed | None:
    """Return above which confidence clauses are shown, before a document is read; None where no
    share is stated. Where nothing can be promised, all candidates are shown.
    """
    if rules.max_missed is None:
        return None
    stated = rules.max_missed, rules.level
    usual = usually_above(specialist)
    if specialist.guarantee is None:
        name = specialist.manifest.name
        why = f"not guaranteed: {name} has no calibration data of its own"
        return StatedMissed(*stated, usual, why_not=why)
    found = _shown(specialist.guarantee, *stated)
    above = CONFIDENCES[0] if found.above is None else found.above
    return StatedMissed(*stated, min(usual, float(above)), found.families, found.why_not)


def missed_in(
    stated: StatedMissed | None, found: Search, reading: Reading, kind_unsure: bool = False
) -> StatedMissed | None:
    """Return the same for a document that was read: nothing is promised for one that is unlike the
    calibration data, or may be of another kind than those.
    """
    if stated is None or stated.why_not:
        return stated
    if kind_unsure:
        return replace(stated, why_not=KIND_UNSURE)
    if found.warnings:
        why = f"not guaranteed: there is no calibration data for such a text: {found.warnings[0]}"
        return replace(stated, why_not=why)
    if any(page.method == METHOD for page in reading.pages):
        why = "not guaranteed: there is no calibration data for pages whose text was recognised"
        return replace(stated, why_not=why)
    return stated


def _accepted(
    data: bytes,
    kept: StatedRisk,
    local: Local,
    rules: RiskRules,
    least: float,
    rest: Promise | None,
) -> dict[str, Any]:
    """The thresholds of a promise after it was tightened, or why there are none. The set knows
    nothing of clauses of less than the confidence `least`, and promises `rest` of what is left.
    """
    if local.step >= STEPS:
        why = "not accepted any more: too many checks were wrong; a person calibrates or loosens it"
        return {"why_not": why}
    belief = accepted_from(kept.belief or 1.0, local.step, least_of(rest))
    if belief is None:
        why = rest.why_not if rest else ""
        until = "until a person calibrates or loosens it"
        named = f"without {_named(local)}, which checks put in doubt {until}"
        return {"why_not": f"{named}: {why}"}
    without = frozenset({*rules.always_person, *local.doubted})
    thresholds = _thresholds(data, belief, without)
    return {"thresholds": {name: max(least, one) for name, one in thresholds.items()}}


def _tightened(belief: float, local: Local, rest: Promise | None) -> tuple[str, ...]:
    """Why less is accepted than was promised for, in a sentence each."""
    said = []
    now = accepted_from(belief, local.step, least_of(rest))
    why = ""
    if now != accepted_from(belief, local.step):
        more = "nothing" if now is None else "no more"
        why = f", for without {_named(local)} {more} is shown to keep the risk"
    if now is None:
        said.append(f"nothing is accepted{why}")
    elif now > belief:
        said.append(f"accepted is what is believed to {now:.1%} and not to {belief:.1%}{why}")
    if local.doubted:
        said.append(f"a person looks at {_named(local)}")
    return tuple(f"too many checks were wrong: {one}" for one in said)


def _named(local: Local) -> str:
    """The categories that checks put in doubt."""
    return ", ".join(sorted(local.doubted))


@lru_cache(maxsize=64)
def promised(
    data: bytes, max_wrong: float, level: float, always_person: tuple[str, ...]
) -> Promise:
    """Return what a calibration set promises; the last few answers are kept."""
    return promise(calibration(data), max_wrong, level, always_person)


@lru_cache(maxsize=64)
def _shown(data: bytes, max_missed: float, level: float) -> Shown:
    return shown_for(calibration(data), max_missed, level)


@lru_cache(maxsize=64)
def _thresholds(data: bytes, belief: float, without: frozenset[str]) -> Mapping[str, float]:
    known = calibration(data)
    open_ = [name for name in known.labels if name not in without]
    found = {name: known.confidence_of(name, belief) for name in open_}
    return {name: one for name, one in found.items() if one < NEVER}


@lru_cache(maxsize=8)
def calibration(data: bytes) -> Calibration:
    """Return a calibration set; the last few are kept."""
    return read_calibration(data)


def believed(specialist: Specialist, local: Local = SHIPPED) -> Callable[[str, float], float]:
    """Return what says how likely a clause of a category and a confidence is right: its calibration
    set, and the confidence itself where that knows nothing of the category.
    """
    data = local.data or specialist.guarantee
    known = calibration(data) if data else None

    def belief(category: str, confidence: float) -> float:
        known_here = known is not None and category in known.labels
        return known.belief_of(category, confidence) if known and known_here else confidence

    return belief


def routes(clauses: Sequence[Clause], reading: Reading, stated: StatedRisk | None) -> list[Route]:
    """Return what is done with each clause of a specialist.

    Args:
        clauses: that it found.
        reading: of the document, which says how each page was read.
        stated: what was promised for it; None: a person looks at everything.
    """
    if stated is None:
        return ["review"] * len(clauses)
    return [
        "accept"
        if stated.accepts(clause.category, clause.confidence)
        and not is_recognised(clause.start, clause.end, reading)
        else "review"
        for clause in clauses
    ]


def is_recognised(start: int, end: int, reading: Reading) -> bool:
    """Whether a passage touches a page whose text the file does not hold itself."""
    pages = (page for page in reading.pages if page.method == METHOD)
    return any(page.start < end and start < page.end for page in pages)


def is_sampled(clause_id: str, share: float, key: bytes) -> bool:
    """Whether a clause that could be accepted is one of the share that a person checks.

    It hangs on the clause's id and on a secret, so that work done twice draws the same, and nobody
    who knows the id can tell.
    """
    return draw(key, "sample", clause_id) < share


def refuse_unknown_categories(wanted: frozenset[str], known: frozenset[str]) -> None:
    """Raise SettingsError if the policy wants a person for a category that nobody looks for: a
    misspelt one would be accepted by the machine.
    """
    if unknown := sorted(wanted - known):
        raise SettingsError(
            f"the policy: always_person names {', '.join(map(repr, unknown))}, a category that no "
            "installed specialist has: it is spelt as in the results"
        )
