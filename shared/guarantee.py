"""From which belief on results can be accepted without a person, for a stated risk.

The risk is the share of wrong results among those that are accepted. What is known of it is a
calibration set: results about documents that were not learned from, by the group that they hang
together in (companies, documents), and which of them were wrong. From it any risk can be answered
at run time (`shared/risk.py` has the test).

How sure a result is differs by category: 0.9 is right more often for a governing law than for an
expiration date. So a confidence becomes a belief by a line in log-odds for each category, and one
threshold of belief decides for all.
"""

from __future__ import annotations

import io
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.risk import BEFORE, Floats, gains, groups_forecast, groups_needed, kept_until

Integers = NDArray[np.int64]

STEPS = 200
"""Rules that are tested, at the most: thresholds in equal steps down to the lowest."""

FIRST = 0.8
"""The strictest rule accepts results that are wrong with a chance of this share of the risk."""

MANY = 10
"""Times as many groups as there are: who would need more, and has seen mistakes among the surest,
needs a better specialist."""

FAMILIES = "company families"
"""What exchangeable groups are in the sets that come with specialists."""

FLATTEST = 0.01
"""A line rises if it is as steep as this. By one that is flatter, ten times the odds of a
confidence make less than 3% more of those of the belief, and a threshold moves with the rounding of
what is kept."""

MOST_ODDS = 700.0
"""Logarithms of odds are taken to be at most: an exponential has no more."""

NEVER = 2.0
"""From this confidence on, which there is not, results are accepted of which none is."""

LOWEST = 0.3
"""No rule accepts results of a lower belief: so sure are those that are shown at all."""

CLAUSE, CONTRACT = "clause", "contract"
"""What a result is, and what it is about, in the sets that come with specialists of contracts."""


@dataclass(frozen=True)
class Calibration:
    """What is known of a specialist's mistakes: results, and right answers, of documents that it
    had not seen.
    """

    labels: tuple[str, ...]
    families: int
    lines: Floats  # [labels, 2]: log-odds of the belief = first + second * those of the confidence
    family: Integers  # [results]
    label: Integers  # [results]
    belief: Floats  # [results]
    wrong: Floats  # [results]: 1 where it matches no answer
    answer_family: Integers  # [answers]
    answer_confidence: Floats  # [answers]: of the surest candidate that matches; 0 without any
    document: Integers | None = None  # [results]: of which it is; none in sets from before
    weight: Floats | None = None  # [results]: how many it stands for, where not all were looked at
    groups: str = FAMILIES  # what `families` counts, in words
    result: str = CLAUSE  # what one is, in a word
    source: str = CONTRACT  # and what it is about
    most: float | None = None  # with so many results a group counts; None: `shared.risk.largest`

    def belief_of(self, category: str, confidence: float) -> float:
        """How likely a result of a confidence is right, by its category; 0 for an unknown one."""
        if category not in self.labels:
            return 0.0
        start, slope = self.lines[self.labels.index(category)]
        return float(1.0 / (1.0 + np.exp(-(start + slope * log_odds(confidence)))))

    @property
    def flat(self) -> tuple[str, ...]:
        """The categories whose line does not rise: their surer results are not righter, so that no
        confidence tells which to accept, and none is.
        """
        rises = self.lines[:, 1] >= FLATTEST
        return tuple(name for name, up in zip(self.labels, rises, strict=True) if not up)

    @property
    def served(self) -> Floats:
        """The beliefs by which results are accepted [results]: 0 in flat categories, of which none
        is, so that what is tested is what is served.
        """
        flat = [self.labels.index(name) for name in self.flat]
        return np.where(np.isin(self.label, flat), 0.0, self.belief)

    def confidence_of(self, category: str, belief: float) -> float:
        """From which confidence on a result of a category is accepted that has to be believed so
        much; `NEVER` if none is sure enough, or surer ones are not righter.
        """
        if category in self.flat or belief >= 1.0:
            return NEVER
        start, slope = self.lines[self.labels.index(category)]
        odds = np.clip((log_odds(belief) - start) / slope, -MOST_ODDS, MOST_ODDS)
        sure = float(1.0 / (1.0 + np.exp(-odds)))
        return sure if sure < 1.0 else NEVER

    def never(self, belief: float | None) -> tuple[str, ...]:
        """The categories of which no result is accepted, however sure, that has to be believed so
        much; the flat ones alone, where nothing is promised (None).
        """
        flat = self.flat
        return tuple(
            name
            for name in self.labels
            if name in flat or (belief is not None and self.confidence_of(name, belief) == NEVER)
        )

    def counts(self, thresholds: Floats, without: Collection[str] = ()) -> tuple[Floats, Floats]:
        """Return results accepted, and wrong ones among them, by threshold and family.

        Args:
            thresholds: of belief, falling [T].
            without: categories that are never accepted.

        Returns:
            Two arrays [T, families].
        """
        left_out = [i for i, name in enumerate(self.labels) if name in without]
        kept = ~np.isin(self.label, left_out)
        place = np.searchsorted(-thresholds, -self.served[kept])
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
        """The set as it is kept."""
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
    """Numbers from 0 on in as few bytes as hold the largest, and no fewer than `least` has."""
    needed = np.min_scalar_type(int(numbers.max(initial=0)))
    return numbers.astype(np.promote_types(needed, least))


def read_calibration(data: bytes) -> Calibration:
    """Read a set."""
    with np.load(io.BytesIO(data), allow_pickle=False) as kept:
        result, source = kept["words"].tolist() if "words" in kept else (CLAUSE, CONTRACT)
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
            result=result,
            source=source,
            most=float(kept["most"]) if "most" in kept else None,
        )


def log_odds(share: float | Floats) -> Any:
    """Return the logarithm of the odds of shares strictly inside (0, 1)."""
    return np.log(share) - np.log1p(-np.asarray(share))


@dataclass(frozen=True)
class Promise:
    """What is accepted for a stated risk, or why nothing is."""

    max_wrong: float
    level: float
    belief: float | None  # from here on a result is accepted; none is where it is None
    families: int  # that it was learned from
    accepted: int = 0  # results of these that it accepts
    wrong: int = 0  # and how many of those are wrong
    why_not: str = ""

    def accepts(self, belief: float) -> bool:
        """Whether a result of this belief is accepted."""
        return self.belief is not None and belief >= self.belief


def promise(
    known: Calibration,
    max_wrong: float,
    level: float,
    without: Collection[str] = (),
    expected: Calibration | None = None,
) -> Promise:
    """Return the lowest threshold that is shown to keep a risk, with a confidence of `level`.

    Args:
        known: the calibration set.
        max_wrong: R, the share of wrong results among the accepted.
        level: of confidence.
        without: categories of which nothing is accepted anyway.
        expected: how wrong results were expected to be, by the same beliefs, for a forecast that
            does not change with each look; None: `known` itself says it, being looked at once.
    """
    thresholds = thresholds_of(max_wrong)
    accepted, wrong = known.counts(thresholds, without)
    gained = gains(accepted, wrong, max_wrong, known.most)
    kept = kept_until(gained, max_wrong, level, known.most)
    if kept == 0:
        before = None if expected is None else _share_at(expected, thresholds[:1], without)
        strictest = accepted[0], wrong[0], gained[0]
        reason = _why_not(known, strictest, max_wrong, level, before)
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


def _share_at(known: Calibration, threshold: Floats, without: Collection[str]) -> float:
    """The share of wrong results among those from a threshold of belief on [1]; what the threshold
    itself says, where there are none.
    """
    accepted, wrong = known.counts(threshold, without)
    return float(wrong.sum() / accepted.sum() if accepted.any() else 1.0 - threshold[0])


def _why_not(
    known: Calibration,
    strictest: tuple[Floats, Floats, Floats],
    max_wrong: float,
    level: float,
    expected: float | None,
) -> str:
    """Why the strictest rule is not shown to keep a risk, and what would help.

    Args:
        known: the set.
        strictest: of that rule, by group: accepted results, wrong ones, and `gains` [groups].
        max_wrong: R.
        level: of confidence.
        expected: the share of wrong ones that was expected; None: see `promise`.
    """
    accepted, wrong, gained = strictest
    groups = f"{known.families} {known.groups}"
    if not accepted.any():
        return (
            f"not attainable with this data: of {groups} that were not seen, no "
            f"{known.result} was sure enough for a risk of {max_wrong:.1%}. State a larger one"
        )
    about = "" if known.weight is None or (known.weight == 1.0).all() else "about "
    first = f"the {about}{accepted.sum():.0f} surest {known.result}s of {groups}"
    seen = f"{wrong.sum() / accepted.sum():.1%} of {first} are wrong"
    if expected is None:
        told = known.families
        needed = groups_needed(gained[None], max_wrong, level, known.most)
        most = needed
    else:
        told = known.families + int(BEFORE)
        needed, most = groups_forecast(accepted, wrong, max_wrong, level, expected, known.most)
    if needed is None or (wrong.any() and needed > MANY * told):
        return (
            f"not attainable with this data: {seen}, and more {known.source}s like these would "
            f"hardly show that at most {max_wrong:.1%} are. State a larger risk, or have the "
            "specialist taught better"
        )
    return (
        f"not attainable with this data: {seen}, which is too few to show at {level:.0%} that at "
        f"most {max_wrong:.1%} are. {would_do(needed, most, known)}"
    )


def would_do(least: int, most: int | None, known: Calibration) -> str:
    """How many further groups would do: a number where it is one, or a range of two significant
    digits.
    """
    further = f"further {known.groups} like these would do"
    if least == most:
        return f"About {least - known.families:,} {further}"
    low = _rounded(least - known.families)
    if most is None or most > MANY * max(least, known.families):
        if low:
            return f"About {low:,} {further}, or many more"
        return f"How many {further} can't be told yet"
    high = _rounded(most - known.families)
    if low in (0, high):
        return f"Up to about {high:,} {further}"
    return f"About {low:,} to {high:,} {further}"


def _rounded(number: int) -> int:
    """A number of two significant digits, rounded up; 0 for one below it."""
    kept = max(number, 0)
    unit: int = 10 ** max(len(str(kept)) - 2, 0)
    return math.ceil(kept / unit) * unit
