"""The acceptance threshold for a stated risk, from a calibration set.

The risk is the share of wrong results among the accepted ones. A calibration set has results on
documents outside the training data, with their exchangeable groups (companies, documents) and
errors. It answers any stated risk at run time; the test is in `shared/policy/intervals.py`.

The meaning of a confidence differs by category. So each category has a line in log-odds that maps
a confidence to a belief, the probability that the result is right. One threshold of belief holds
for all categories.
"""

from __future__ import annotations

import io
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.policy.intervals import (
    PRIOR_GROUPS,
    Floats,
    count_certified,
    gains,
    groups_forecast,
    groups_needed,
)

Integers = NDArray[np.int64]

STEPS = 200
"""Number of tested thresholds, in equal steps down to `LOWEST`."""

FIRST = 0.8
"""The strictest rule accepts a probability of error of this share of the risk."""

MANY_TIMES = 10
"""If more than this multiple of the groups would be needed, the specialist is not good enough."""

FAMILIES = "companies"
"""The word for groups in shipped sets."""

FLATTEST = 0.01
"""The smallest slope of a rising line. On a flatter one, thresholds would depend on rounding."""

MOST_ODDS = 700.0
"""The largest log-odds, to avoid overflow."""

NEVER = 2.0
"""A threshold that no confidence reaches."""

LOWEST = 0.3
"""The lowest tested threshold of belief."""

CLAUSE, CONTRACT = "clause", "contract"
"""The words for a result and its source in shipped sets of contracts."""


@dataclass(frozen=True)
class Calibration:
    """Results of a specialist with their errors, and the true answers, on unseen documents."""

    labels: tuple[str, ...]
    families: int
    lines: Floats  # [labels, 2]: log-odds of the belief = first + second * those of the confidence
    family: Integers  # [results]
    label: Integers  # [results]
    belief: Floats  # [results]
    wrong: Floats  # [results]: 1 where it matches no answer
    answer_family: Integers  # [answers]
    answer_confidence: Floats  # [answers]: of the best matching candidate; 0 without any
    document: Integers | None = None  # [results]
    weight: Floats | None = None  # [results]: inverse sampling probability; None: 1
    groups: str = FAMILIES  # the word for groups
    result: str = CLAUSE  # the word for a result
    source: str = CONTRACT  # the word for a document
    most: float | None = None  # most results of a group that count; None: `group_cap`

    def belief_of(self, category: str, confidence: float) -> float:
        """Return the probability that a result is right; 0 for an unknown category."""
        if category not in self.labels:
            return 0.0
        start, slope = self.lines[self.labels.index(category)]
        return float(1.0 / (1.0 + np.exp(-(start + slope * log_odds(confidence)))))

    @property
    def flat(self) -> tuple[str, ...]:
        """The categories whose line does not rise. None of their results is accepted."""
        rises = self.lines[:, 1] >= FLATTEST
        return tuple(name for name, up in zip(self.labels, rises, strict=True) if not up)

    @property
    def served(self) -> Floats:
        """The beliefs that routing uses [results]: 0 in flat categories."""
        flat = [self.labels.index(name) for name in self.flat]
        return np.where(np.isin(self.label, flat), 0.0, self.belief)

    def confidence_of(self, category: str, belief: float) -> float:
        """Return the confidence for a belief in a category; `NEVER` if none suffices."""
        if category in self.flat or belief >= 1.0:
            return NEVER
        start, slope = self.lines[self.labels.index(category)]
        odds = np.clip((log_odds(belief) - start) / slope, -MOST_ODDS, MOST_ODDS)
        confidence = float(1.0 / (1.0 + np.exp(-odds)))
        return confidence if confidence < 1.0 else NEVER

    def never_accepted(self, belief: float | None) -> tuple[str, ...]:
        """Return the categories without accepted results at a threshold; None: the flat ones."""
        flat = self.flat
        return tuple(
            name
            for name in self.labels
            if name in flat or (belief is not None and self.confidence_of(name, belief) == NEVER)
        )

    def counts(self, thresholds: Floats, without: Collection[str] = ()) -> tuple[Floats, Floats]:
        """Count accepted results, and wrong ones among them, by threshold and family.

        Args:
            thresholds: of belief, falling [T].
            without: categories that are never accepted.

        Returns:
            Two arrays [T, families].
        """
        excluded = [i for i, name in enumerate(self.labels) if name in without]
        used = ~np.isin(self.label, excluded)
        rank = np.searchsorted(-thresholds, -self.served[used])
        shape = len(thresholds) + 1, self.families
        cell = rank * self.families + self.family[used]
        size = shape[0] * shape[1]
        weight = np.ones(len(cell)) if self.weight is None else self.weight[used]
        accepted, wrong = (
            np.bincount(cell, weights, size).reshape(shape)[:-1].cumsum(0)
            for weights in (weight, weight * self.wrong[used])
        )
        return accepted, wrong

    def missed(self, thresholds: Floats) -> tuple[Floats, Floats]:
        """Count missed answers [T, families], and answers [families].

        Args:
            thresholds: of confidence; results above are shown [T].
        """
        answers = np.bincount(self.answer_family, minlength=self.families).astype(float)
        missed = [
            np.bincount(self.answer_family[self.answer_confidence <= t], minlength=self.families)
            for t in thresholds
        ]
        return np.array(missed, float), answers

    def to_bytes(self) -> bytes:
        """The set as a compressed npz file."""
        out = io.BytesIO()
        more: dict[str, Any] = {}
        if self.document is not None:
            more["document"] = _short(self.document)
        if self.weight is not None:
            more["weight"] = self.weight.astype(np.float32)
        if self.result != CLAUSE:
            more["words"] = np.array([self.result, self.source])
        if self.most is not None:
            more["most"] = np.array(self.most)
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
    """Convert natural numbers to the smallest sufficient type, at least `least`."""
    needed = np.min_scalar_type(int(numbers.max(initial=0)))
    return numbers.astype(np.promote_types(needed, least))


def read_calibration(data: bytes) -> Calibration:
    """Read a set from `Calibration.to_bytes`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        result, source = arrays["words"].tolist() if "words" in arrays else (CLAUSE, CONTRACT)
        return Calibration(
            labels=tuple(arrays["labels"].tolist()),
            families=int(arrays["families"]),
            lines=arrays["lines"].astype(float),
            family=arrays["family"].astype(np.int64),
            label=arrays["label"].astype(np.int64),
            belief=arrays["belief"].astype(float),
            wrong=arrays["wrong"].astype(float),
            answer_family=arrays["answer_family"].astype(np.int64),
            answer_confidence=arrays["answer_confidence"].astype(float),
            document=arrays["document"].astype(np.int64) if "document" in arrays else None,
            weight=arrays["weight"].astype(float) if "weight" in arrays else None,
            groups=str(arrays["groups"]) if "groups" in arrays else FAMILIES,
            result=result,
            source=source,
            most=float(arrays["most"]) if "most" in arrays else None,
        )


def log_odds(share: float | Floats) -> Any:
    """Return the log-odds of shares in (0, 1)."""
    return np.log(share) - np.log1p(-np.asarray(share))


@dataclass(frozen=True)
class RiskGuarantee:
    """The acceptance threshold for a stated risk, or the reason why there is none."""

    max_wrong: float
    level: float
    belief: float | None  # the acceptance threshold; None: nothing is accepted
    families: int  # groups in the calibration set
    accepted: int = 0  # accepted results of the set
    wrong: int = 0  # wrong ones among them
    no_guarantee_reason: str = ""

    def accepts(self, belief: float) -> bool:
        """Whether a result with this belief is accepted."""
        return self.belief is not None and belief >= self.belief


def control_risk(
    known: Calibration,
    max_wrong: float,
    level: float,
    without: Collection[str] = (),
    expected: Calibration | None = None,
) -> RiskGuarantee:
    """Return the lowest threshold that is shown to keep a risk.

    Args:
        known: the calibration set.
        max_wrong: R, the share of wrong results among the accepted.
        level: of confidence.
        without: categories that are never accepted.
        expected: a set with the expected errors, for a stable forecast of the groups needed; None:
            forecast from `known`.
    """
    thresholds = thresholds_of(max_wrong)
    accepted, wrong = known.counts(thresholds, without)
    gained = gains(accepted, wrong, max_wrong, known.most)
    certified = count_certified(gained, max_wrong, level, known.most)
    if certified == 0:
        before = None if expected is None else _share_at(expected, thresholds[:1], without)
        strictest = accepted[0], wrong[0], gained[0]
        reason = _why_not(known, strictest, max_wrong, level, before)
        return RiskGuarantee(max_wrong, level, None, known.families, no_guarantee_reason=reason)
    last = certified - 1
    return RiskGuarantee(
        max_wrong,
        level,
        float(thresholds[last]),
        known.families,
        int(accepted[last].sum()),
        int(wrong[last].sum()),
    )


def thresholds_of(max_wrong: float) -> Floats:
    """Return the tested thresholds of belief, falling.

    They depend on the risk alone. Thresholds chosen from the data would invalidate the test.
    """
    first = max(1.0 - FIRST * max_wrong, LOWEST)
    return np.linspace(first, LOWEST, STEPS)


def _share_at(known: Calibration, threshold: Floats, without: Collection[str]) -> float:
    """The share of wrong results above a threshold of belief [1], or the threshold's own."""
    accepted, wrong = known.counts(threshold, without)
    return float(wrong.sum() / accepted.sum() if accepted.any() else 1.0 - threshold[0])


def _why_not(
    known: Calibration,
    strictest: tuple[Floats, Floats, Floats],
    max_wrong: float,
    level: float,
    expected: float | None,
) -> str:
    """Explain why even the strictest rule fails, and what would help.

    Args:
        known: the set.
        strictest: accepted results, wrong ones and `gains` of that rule [groups].
        max_wrong: R.
        level: of confidence.
        expected: the expected share of errors; None: see `control_risk`.
    """
    accepted, wrong, gained = strictest
    groups = f"{known.families} {known.groups}"
    if not accepted.any():
        return (
            f"No {known.result} of {groups} was certain enough for a risk of "
            f"{percent(max_wrong)}. State a larger risk."
        )
    if expected is None:
        size = known.families
        needed = groups_needed(gained[None], max_wrong, level, known.most)
        most = needed
    else:
        size = known.families + int(PRIOR_GROUPS)
        needed, most = groups_forecast(accepted, wrong, max_wrong, level, expected, known.most)
    if needed is None or (wrong.any() and needed > MANY_TIMES * size):
        return (
            f"Too many of the most certain {known.result}s of {groups} were wrong to guarantee "
            f"{percent(max_wrong)}. State a larger risk, or teach the specialist."
        )
    return (
        f"{groups} are too few to guarantee {percent(max_wrong)}; "
        f"{groups_message(needed, most, known)}."
    )


def groups_message(least: int, most: int | None, known: Calibration) -> str:
    """Say how many more groups are needed, as a number or a range."""
    if least == most:
        return f"about {least - known.families:,} more are needed"
    low = _rounded(least - known.families)
    if most is None or most > MANY_TIMES * max(least, known.families):
        if low:
            return f"at least about {low:,} more are needed"
        return "it is unknown how many more are needed"
    high = _rounded(most - known.families)
    if low in (0, high):
        return f"up to about {high:,} more are needed"
    return f"about {low:,} to {high:,} more are needed"


def percent(share: float) -> str:
    """A stated share as a percentage, such as `5%` or `0.5%`."""
    return f"{100 * share:g}%"


def _rounded(number: int) -> int:
    """A natural number rounded up to two significant digits; 0 for negative ones."""
    natural = max(number, 0)
    unit: int = 10 ** max(len(str(natural)) - 2, 0)
    return math.ceil(natural / unit) * unit
