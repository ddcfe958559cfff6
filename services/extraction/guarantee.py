"""From which confidence on clauses can be accepted without a person, for a stated risk.

The risk is the share of wrong clauses, by the legal metric, among those that are accepted. What is
known of it is the calibration set that came with an adapter: the clauses that it found in contracts
which it had not seen, by company family, and which of them were wrong. From it any risk can be
answered at run time (`shared/risk.py` has the test).

How sure a clause is differs by category: 0.9 is right more often for a governing law than for an
expiration date. So a clause's confidence becomes a belief by a line in log-odds for each category,
and one threshold of belief decides for all. `python -m models.guarantee` makes the set and proves
that the promise is kept.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.risk import Floats, gains, groups_needed, kept_until, missed_at_most

Integers = NDArray[np.int64]

STEPS = 200
"""Rules that are tested, at the most: thresholds in equal steps down to the lowest."""

FIRST = 0.8
"""The strictest rule accepts clauses that are wrong with a chance of this share of the risk."""

MANY = 10
"""Times as many groups as there are: who would need more, and has seen mistakes among the surest,
needs a better specialist."""

CONFIDENCES = np.array([0.002, 0.005, *(i / 100 for i in range(1, 100))])
"""Above which of these clauses are shown is tested, the lowest first: it misses least."""

MOST_ANSWERS = 60.0
"""True clauses with which a company counts at most; nine in ten have fewer. With fewer than that
the share that is kept is that of small companies, with more one company could refute anything:
chosen among 30, 60, 100 and 200 by `models.missed`. It is the same for every set: bets that hung on
the largest group which was seen would be too large where a larger one is yet to come."""

FAMILIES = "company families"
"""What exchangeable groups are in the sets that come with specialists."""

LOWEST = 0.3
"""No rule accepts clauses of a lower belief: so sure are those that are shown at all."""


@dataclass(frozen=True)
class Calibration:
    """What is known of an adapter's mistakes: clauses and answers of contracts it had not seen."""

    labels: tuple[str, ...]
    families: int
    lines: Floats  # [labels, 2]: log-odds of the belief = first + second * those of the confidence
    family: Integers  # [clauses]
    label: Integers  # [clauses]
    belief: Floats  # [clauses]
    wrong: Floats  # [clauses]: 1 where it matches no answer
    answer_family: Integers  # [answers]
    answer_confidence: Floats  # [answers]: of the surest candidate that matches; 0 without any
    document: Integers | None = None  # [clauses]: of which contract; none in sets from before
    weight: Floats | None = None  # [clauses]: how many it stands for, where not all were looked at
    groups: str = FAMILIES  # what `families` counts, in words

    def belief_of(self, category: str, confidence: float) -> float:
        """How likely a clause of a confidence is right, by its category; 0 for an unknown one."""
        if category not in self.labels:
            return 0.0
        start, slope = self.lines[self.labels.index(category)]
        return float(1.0 / (1.0 + np.exp(-(start + slope * log_odds(confidence)))))

    def confidence_of(self, category: str, belief: float) -> float:
        """From which confidence on a clause of a category is believed so much."""
        start, slope = self.lines[self.labels.index(category)]
        return float(1.0 / (1.0 + np.exp(-(log_odds(belief) - start) / slope)))

    def counts(self, thresholds: Floats, without: Collection[str] = ()) -> tuple[Floats, Floats]:
        """Return clauses accepted, and wrong ones among them, by threshold and family.

        Args:
            thresholds: of belief, falling [T].
            without: categories that are never accepted.

        Returns:
            Two arrays [T, families].
        """
        left_out = [i for i, name in enumerate(self.labels) if name in without]
        kept = ~np.isin(self.label, left_out)
        place = np.searchsorted(-thresholds, -self.belief[kept])
        shape = len(thresholds) + 1, self.families
        flat = place * self.families + self.family[kept]
        size = shape[0] * shape[1]
        each = np.ones(len(flat)) if self.weight is None else self.weight[kept]
        accepted, wrong = (
            np.bincount(flat, weights, size).reshape(shape)[:-1].cumsum(0)
            for weights in (each, each * self.wrong[kept])
        )
        return accepted, wrong

    def missed(self, thresholds: Floats) -> tuple[Floats, Floats]:
        """Return answers missed by confidence and family [T, families], and answers [families].

        Args:
            thresholds: of confidence: what is shown is above it [T].
        """
        answers = np.bincount(self.answer_family, minlength=self.families).astype(float)
        missed = [
            np.bincount(self.answer_family[self.answer_confidence <= t], minlength=self.families)
            for t in thresholds
        ]
        return np.array(missed, float), answers

    def to_bytes(self) -> bytes:
        """The set as it lies beside the adapter."""
        out = io.BytesIO()
        more: dict[str, Any] = {}
        if self.document is not None:
            more["document"] = _short(self.document)
        if self.weight is not None:
            more["weight"] = self.weight.astype(np.float32)
        np.savez_compressed(
            out,
            **more,
            labels=np.array(self.labels),
            families=np.array(self.families),
            groups=np.array(self.groups),
            lines=self.lines.astype(np.float32),
            family=_short(self.family),
            label=_short(self.label, np.uint8),
            belief=self.belief.astype(np.float32),
            wrong=self.wrong.astype(np.uint8),
            answer_family=_short(self.answer_family),
            answer_confidence=self.answer_confidence.astype(np.float32),
        )
        return out.getvalue()


def _short(numbers: Integers, least: type[np.unsignedinteger[Any]] = np.uint16) -> NDArray[Any]:
    """Numbers from 0 on in as few bytes as hold the largest, and no fewer than `least` has."""
    needed = np.min_scalar_type(int(numbers.max(initial=0)))
    return numbers.astype(np.promote_types(needed, least))


def read_calibration(data: bytes) -> Calibration:
    """Read a set."""
    with np.load(io.BytesIO(data), allow_pickle=False) as kept:
        return Calibration(
            labels=tuple(kept["labels"].tolist()),
            families=int(kept["families"]),
            lines=kept["lines"].astype(float),
            family=kept["family"].astype(np.int64),
            label=kept["label"].astype(np.int64),
            belief=kept["belief"].astype(float),
            wrong=kept["wrong"].astype(float),
            answer_family=kept["answer_family"].astype(np.int64),
            answer_confidence=kept["answer_confidence"].astype(float),
            document=kept["document"].astype(np.int64) if "document" in kept else None,
            weight=kept["weight"].astype(float) if "weight" in kept else None,
            groups=str(kept["groups"]) if "groups" in kept else FAMILIES,
        )


def log_odds(share: float | Floats) -> Any:
    """Return the logarithm of the odds of shares strictly inside (0, 1)."""
    return np.log(share) - np.log1p(-np.asarray(share))


@dataclass(frozen=True)
class Shown:
    """From which confidence on clauses are shown for a stated share of missed ones, or why no
    confidence is low enough.
    """

    max_missed: float
    level: float
    above: float | None  # this confidence clauses are shown; None where nothing can be promised
    families: int  # that it was learned from
    answers: int = 0  # true clauses of these
    missed: int = 0  # and how many of them no clause matches that is shown so
    why_not: str = ""


def shown_for(known: Calibration, max_missed: float, level: float) -> Shown:
    """Return the highest confidence above which clauses are to be shown so that at most a share of
    the true clauses is missed, with a confidence of `level`.

    The test is that of `promise`, with true clauses in the place of accepted ones and missed ones
    in that of wrong ones; the lowest confidence, which misses least, is the strictest rule. A group
    counts with at most `MOST_ANSWERS` true clauses.

    Args:
        known: the adapter's calibration set.
        max_missed: R, the share of true clauses that no shown clause matches.
        level: of confidence.
    """
    missed, answers = known.missed(CONFIDENCES)
    gained = gains(np.broadcast_to(answers, missed.shape), missed, max_missed, MOST_ANSWERS)
    kept = kept_until(gained, max_missed, level, MOST_ANSWERS)
    there, gone = int(answers.sum()), missed.sum(-1).astype(int)
    if kept:
        last = kept - 1
        above = float(CONFIDENCES[last])
        return Shown(max_missed, level, above, known.families, there, int(gone[last]))
    if not there:
        why = "its calibration data say nothing of clauses that were not found"
    else:
        share = gone[0] / there
        too_few = f", too few to show at {level:.0%} that at most {max_missed:.1%} are"
        why = (
            f"not attainable with this data: of {there} true clauses of {known.families} "
            f"{known.groups} that were not seen, {share:.1%} are missed when all candidates above "
            f"{CONFIDENCES[0]:g} are shown{too_few if share <= max_missed else ''}. State a larger "
            "share"
        )
    return Shown(max_missed, level, None, known.families, there, why_not=why)


@dataclass(frozen=True)
class Promise:
    """What is accepted for a stated risk, or why nothing is."""

    max_wrong: float
    level: float
    belief: float | None  # from here on a clause is accepted; none is where it is None
    families: int  # that it was learned from
    accepted: int = 0  # clauses of these that it accepts
    wrong: int = 0  # and how many of those are wrong
    why_not: str = ""

    def accepts(self, belief: float) -> bool:
        """Whether a clause of this belief is accepted."""
        return self.belief is not None and belief >= self.belief


def promise(
    known: Calibration, max_wrong: float, level: float, without: Collection[str] = ()
) -> Promise:
    """Return the lowest threshold that is shown to keep a risk, with a confidence of `level`.

    Args:
        known: the adapter's calibration set.
        max_wrong: R, the share of wrong clauses among the accepted.
        level: of confidence.
        without: categories of which nothing is accepted anyway.
    """
    thresholds = thresholds_of(max_wrong)
    accepted, wrong = known.counts(thresholds, without)
    gained = gains(accepted, wrong, max_wrong)
    kept = kept_until(gained, max_wrong, level)
    if kept == 0:
        reason = _why_not(known, (accepted[0], wrong[0], gained[0]), max_wrong, level)
        return Promise(max_wrong, level, None, known.families, why_not=reason)
    last = kept - 1
    return Promise(
        max_wrong,
        level,
        float(thresholds[last]),
        known.families,
        int(accepted[last].sum()),
        int(wrong[last].sum()),
    )


def thresholds_of(max_wrong: float) -> Floats:
    """Return the thresholds of belief that are tested for a risk, falling.

    They hang on the risk alone, as they must: chosen by what they accept, the test would not hold.
    """
    first = max(1.0 - FIRST * max_wrong, LOWEST)
    return np.linspace(first, LOWEST, STEPS)


def _why_not(
    known: Calibration, strictest: tuple[Floats, Floats, Floats], max_wrong: float, level: float
) -> str:
    """Why the strictest rule is not shown to keep a risk, and what would help.

    Args:
        known: the set.
        strictest: of that rule, by group: accepted clauses, wrong ones, and `gains` [groups].
        max_wrong: R.
        level: of confidence.
    """
    accepted, wrong, gained = strictest
    groups = f"{known.families} {known.groups}"
    if not accepted.any():
        return (
            f"not attainable with this data: of {groups} that were not seen, no "
            f"clause was sure enough for a risk of {max_wrong:.1%}. State a larger one"
        )
    about = "" if known.weight is None or (known.weight == 1.0).all() else "about "
    first = f"the {about}{accepted.sum():.0f} surest clauses of {groups}"
    seen = f"{wrong.sum() / accepted.sum():.1%} of {first} are wrong"
    needed = groups_needed(gained[None], max_wrong, level)
    if needed is None or (wrong.any() and needed > MANY * known.families):
        return (
            f"not attainable with this data: {seen}, and more contracts like these would "
            f"hardly show that at most {max_wrong:.1%} are. State a larger risk, or have the "
            "specialist taught better"
        )
    further = needed - known.families
    return (
        f"not attainable with this data: {seen}, which is too few to show at {level:.0%} that at "
        f"most {max_wrong:.1%} are. About {further:,} further {known.groups} like these would do"
    )


def least_shown(known: Calibration, max_missed: float, thresholds: Sequence[float]) -> float | None:
    """Return the highest confidence above which clauses must be shown so that, of a new company's
    answers, no larger share is missed in expectation; None if no threshold is low enough.

    Args:
        known: the adapter's calibration set.
        max_missed: the share of answers that no shown clause matches.
        thresholds: to choose from.
    """
    falling = np.sort(np.asarray(thresholds, float))[::-1]
    bound = missed_at_most(*known.missed(falling))
    low_enough = np.flatnonzero(bound <= max_missed)
    return float(falling[low_enough[0]]) if len(low_enough) else None
