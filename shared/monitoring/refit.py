"""Fits a calibration set from people's decisions.

Only completely decided documents count: partly decided ones would overstate errors, because urgent
items come first. Each audit sample is weighted by the inverse of its sampling probability (Horvitz,
Thompson, 1952), every other result by 1. Exchangeable groups are documents if companies are
unknown.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shared.policy.intervals import Floats, interval
from shared.policy.risk_control import (
    CLAUSE,
    CONTRACT,
    FLATTEST,
    Calibration,
    Integers,
    RiskGuarantee,
    log_odds,
)

RIDGE = 5.0
"""Strength of the prior, as a number of results of medium belief."""

FOLDS = 5
"""Folds for beliefs: each is computed by lines fitted on the other folds."""

DOCUMENTS = "documents"
"""The word for groups in a set made of a tenant's contracts."""

SURE = 1e-7
"""Beliefs are clipped to this distance from 0 and 1."""

DRAWS = 1000
BATCH = 1_000_000
"""Numbers drawn at once."""
SEED = 11


@dataclass(frozen=True)
class DecidedResult:
    """A decided result of a completely decided document."""

    group: str
    """Its exchangeable group: the document or the company."""
    category: str
    confidence: float
    wrong: bool
    weight: float
    """The inverse of its sampling probability."""


@dataclass(frozen=True)
class Outcome:
    """The estimated effect of an acceptance rule."""

    shown: float
    """Weighted number of results; `accepted` and `wrong` are weighted too."""
    accepted: float
    wrong: float
    interval: tuple[float, float]
    """95% interval of the share of wrong results; see `estimate_outcome`."""
    checked: int
    """Number of accepted results with a decision."""
    mistakes: int
    """Number of wrong results among them."""

    @property
    def rate(self) -> float:
        """The share of wrong results among the accepted."""
        return self.wrong / self.accepted if self.accepted else 0.0


def fit_logistic(
    columns: Floats, right: Floats, prior: Floats, ridge: float, weight: Floats | None = None
) -> Floats:
    """Fit a logistic regression with a ridge penalty towards `prior`, by Newton's method.

    Args:
        columns: features [N, C].
        right: labels, 1 or 0 [N].
        prior: weights that the penalty pulls to [C].
        ridge: strength of the penalty.
        weight: of each row [N]; None: 1.

    Returns:
        Weights [C].
    """
    each = np.ones(len(right)) if weight is None else weight
    weights = prior.copy()
    for _ in range(50):
        chance = 1.0 / (1.0 + np.exp(-np.clip(columns @ weights, -30.0, 30.0)))
        slope = columns.T @ (each * (right - chance)) - ridge * (weights - prior)
        curve = (columns * (each * chance * (1.0 - chance))[:, None]).T @ columns
        step = np.linalg.solve(curve + (ridge + 1e-9) * np.eye(len(prior)), slope)
        weights = weights + np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-8:
            break
    return weights


def refit_calibration(
    labels: Sequence[str],
    before: Calibration | None,
    decided: Sequence[DecidedResult],
    groups: str = DOCUMENTS,
    words: tuple[str, str] = (CLAUSE, CONTRACT),
    most: float | None = None,
) -> Calibration:
    """Return the calibration set of decided results.

    If the line of a category does not rise, with all decisions or without one fold, confidence does
    not order its results. Then its line is flat, and none of its results is accepted.

    Args:
        labels: of the specialist.
        before: the set in force, whose lines are the prior. Without it, confidences are.
        decided: decided results; other labels are ignored.
        groups: the word for groups.
        words: the words for a result and its source.
        most: a group counts at most so many results; None: `group_cap`.
    """
    rows = [r for r in decided if r.category in labels and 0.0 < r.confidence < 1.0]
    names = sorted({row.group for row in rows})
    numbers = {name: number for number, name in enumerate(names)}
    group = np.array([numbers[row.group] for row in rows], np.int64)
    fold = np.array([_fold(row.group) for row in rows], np.int64)
    label = np.array([labels.index(row.category) for row in rows], np.int64)
    confidence = np.array([row.confidence for row in rows])
    right = np.array([not row.wrong for row in rows], float)
    weight = np.array([row.weight for row in rows])
    prior = _lines_of(labels, before)
    columns = np.stack([np.ones_like(confidence), log_odds(confidence)], 1)

    def lines(chosen: Floats) -> Floats:
        mine = [chosen & (label == number) for number in range(len(labels))]
        return np.stack(
            [
                fit_logistic(columns[m], right[m], prior[number], RIDGE, weight[m])
                for number, m in enumerate(mine)
            ]
        )

    belief, fitted = np.empty(len(rows)), lines(np.ones(len(rows), bool))
    rises = fitted[:, 1] >= FLATTEST
    for number in np.unique(fold):
        inside = fold == number
        outside_lines = lines(~inside)
        rises &= outside_lines[:, 1] >= FLATTEST
        belief[inside] = _beliefs(outside_lines, columns[inside], label[inside])
    for number in np.flatnonzero(~rises & (fitted[:, 1] >= FLATTEST)):
        mine, flat_prior = label == number, prior[number, :1]
        start = fit_logistic(columns[mine, :1], right[mine], flat_prior, RIDGE, weight[mine])
        fitted[number] = *start, 0.0
    return Calibration(
        tuple(labels),
        len(names),
        fitted,
        group,
        label,
        belief,
        1.0 - right,
        np.zeros(0, np.int64),
        np.zeros(0),
        group,
        weight,
        groups,
        *words,
        most,
    )


def _fold(group: str) -> int:
    return int(hashlib.sha256(group.encode()).hexdigest(), 16) % FOLDS


def _lines_of(labels: Sequence[str], before: Calibration | None) -> Floats:
    lines = np.tile([0.0, 1.0], (len(labels), 1))
    for number, name in enumerate(labels):
        if before is not None and name in before.labels:
            lines[number] = before.lines[before.labels.index(name)]
    return lines


def _beliefs(lines: Floats, columns: Floats, label: Integers) -> Floats:
    result: Floats = 1.0 / (1.0 + np.exp(-(columns * lines[label]).sum(1)))
    return result


def pool(new: Calibration, shipped: Calibration) -> Calibration:
    """Return both sets as one, for tenants whose documents resemble the shipped ones.

    Each new group counts as one more family, with the group cap of the shipped set.
    """
    came = with_lines_of(new, shipped)
    documents = came.document if came.document is not None else came.family
    after = new.document if new.document is not None else new.family
    return replace(
        new,
        families=came.families + new.families,
        family=np.concatenate([came.family, new.family + came.families]),
        label=np.concatenate([came.label, new.label]),
        belief=np.concatenate([came.belief, new.belief]),
        wrong=np.concatenate([came.wrong, new.wrong]),
        document=np.concatenate([documents, after + documents.max(initial=-1) + 1]),
        weight=np.concatenate([weights_of(came), weights_of(new)]),
        groups=" and ".join(dict.fromkeys((came.groups, new.groups))),
        most=came.most,
    )


def with_lines_of(new: Calibration, shipped: Calibration) -> Calibration:
    """Return the shipped set with the lines of the new one, so that beliefs are comparable."""
    numbers = np.array([new.labels.index(name) for name in shipped.labels])
    label = numbers[shipped.label]
    belief = _beliefs(new.lines, _columns_of(shipped), label)
    return replace(shipped, labels=new.labels, lines=new.lines, label=label, belief=belief)


def expected_calibration(new: Calibration, shipped: Calibration | None) -> Calibration:
    """Return the errors that were expected before the decisions.

    They come from the shipped set, or else from the cross-fitted beliefs of the new set.
    """
    return replace(new, wrong=1.0 - new.belief) if shipped is None else with_lines_of(new, shipped)


def _columns_of(known: Calibration) -> Floats:
    """Ones and the log-odds of confidences [results, 2], recovered from beliefs.

    A flat line has no inverse: its slope counts as 1.
    """
    start, slope = known.lines[known.label].T
    slope = np.where(np.abs(slope) < FLATTEST, 1.0, slope)
    odds = (log_odds(np.clip(known.belief, SURE, 1.0 - SURE)) - start) / slope
    return np.stack([np.ones_like(odds), odds], 1)


def weights_of(known: Calibration) -> Floats:
    """Return the weight of each result."""
    return np.ones(len(known.label)) if known.weight is None else known.weight


def estimate_outcome(known: Calibration, belief: Floats, rule: RiskGuarantee) -> Outcome:
    """Estimate the effect of an acceptance rule from weighted decisions.

    The interval takes the wider end of two intervals: a bootstrap over groups, and the exact
    interval at the effective sample size (Kish, 1965; Korn, Graubard, 1998). The exact one matters
    without errors, and is that of Clopper and Pearson for equal weights.

    Args:
        known: the set of decisions, not pooled.
        belief: of each result [results].
        rule: the acceptance threshold.
    """
    weight = weights_of(known)
    taken = np.zeros(len(belief), bool) if rule.belief is None else belief >= rule.belief
    accepted = np.bincount(known.family, weight * taken, known.families).astype(float)
    mistaken = weight * taken * known.wrong
    wrong = np.bincount(known.family, mistaken, known.families).astype(float)
    return Outcome(
        float(weight.sum()),
        float(accepted.sum()),
        float(wrong.sum()),
        share_interval(accepted, wrong, weight[taken]),
        int(taken.sum()),
        int(known.wrong[taken].sum()),
    )


def share_interval(accepted: Floats, wrong: Floats, weight: Floats) -> tuple[float, float]:
    """Return the 95% interval of the share of wrong results: see `estimate_outcome`.

    Args:
        accepted: weighted results of each group [groups].
        wrong: weighted wrong results of each group [groups].
        weight: of each result, in any order [results].
    """
    if not accepted.sum():
        return 0.0, 1.0
    draw, size = np.random.default_rng(SEED), len(accepted)
    chance, shares = np.full(size, 1 / size), list[float]()
    while len(shares) < DRAWS:  # in batches, because there may be many groups
        few = min(DRAWS - len(shares), max(1, BATCH // size))
        drawn = draw.multinomial(size, chance, few).astype(float)
        shares += ((drawn @ wrong) / np.maximum(drawn @ accepted, 1e-9)).tolist()
    by_draws = (float(q) for q in np.quantile(np.minimum(shares, 1.0), (0.025, 0.975)))
    exact = _exact(wrong.sum() / accepted.sum(), weight)
    (low, other_low), (high, other_high) = zip(by_draws, exact, strict=True)
    return min(low, other_low), max(high, other_high)


def _exact(rate: float, weight: Floats) -> tuple[float, float]:
    """The exact interval of a share at the effective sample size, rounded outwards."""
    size = max(1, math.floor(weight.sum() ** 2 / (weight**2).sum() + 1e-9))
    wrong = rate * size
    low, _ = interval(max(0, math.floor(wrong + 1e-9)), size)
    _, high = interval(min(size, math.ceil(wrong - 1e-9)), size)
    return low, high
