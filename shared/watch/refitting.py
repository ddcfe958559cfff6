"""A calibration from what people decided here: lines of belief, and a set to test thresholds on.

Documents count of which everything was decided that people were asked about: those of which only
the most urgent was would say too much of mistakes. What was accepted was not looked at, but for
the share that was drawn, so each check stands for 1 / share results (Horvitz, Thompson, 1952), and
every other result for itself. Groups that hang together are documents where companies are not
known.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shared.guarantee import CLAUSE, CONTRACT, FLATTEST, Calibration, Integers, Promise, log_odds
from shared.risk import Floats, interval

RIDGE = 5.0
"""How strongly the line of a category is drawn to the one before, in results of middling belief."""

FOLDS = 5
"""Lines are fitted on the other folds than those in which their beliefs are tested."""

DOCUMENTS = "documents"
"""What exchangeable groups are in a set that was made of contracts here."""

SURE = 1e-7
"""So far from 0 and 1 a belief is at the least whose confidence is asked for."""

DRAWS = 1000
TOGETHER = 1_000_000
"""Numbers that are drawn at once."""
SEED = 11


@dataclass(frozen=True)
class Decided:
    """A result that a person decided about, of a document of which all is decided."""

    group: str
    """What it hangs together with: its document, or the company that it is about."""
    category: str
    confidence: float
    wrong: bool
    weight: float
    """How many results it stands for."""


@dataclass(frozen=True)
class Outcome:
    """What a rule would do with the results that were decided, and with those they stand for."""

    shown: float
    """An estimate, as `accepted` and `wrong` are: each decision by how many it stands for."""
    accepted: float
    wrong: float
    interval: tuple[float, float]
    """Of the share of wrong ones among the accepted (95%); see `outcome`."""
    looked_at: int
    """How many of the accepted were decided about."""
    mistakes: int
    """How many of these are wrong."""

    @property
    def rate(self) -> float:
        """The share of wrong ones among the accepted."""
        return self.wrong / self.accepted if self.accepted else 0.0


def fit_logistic(
    columns: Floats, right: Floats, prior: Floats, ridge: float, weight: Floats | None = None
) -> Floats:
    """Return the weights of a logistic regression that is drawn to `prior`, by Newton's method.

    Args:
        columns: what it is linear in [N, C].
        right: 1 or 0 [N].
        prior: weights that it is drawn to [C].
        ridge: how strongly.
        weight: how much each row counts [N]; None: all the same.
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


def refitted(
    labels: Sequence[str],
    before: Calibration | None,
    found: Sequence[Decided],
    groups: str = DOCUMENTS,
    words: tuple[str, str] = (CLAUSE, CONTRACT),
    most: float | None = None,
) -> Calibration:
    """Return the calibration set of decided results.

    Where a line does not rise, by all that was decided or without one of the folds, surer results
    of that category are not known to be righter: it is flat then, and none of it is accepted,
    neither where the set is tested nor where it is served.

    Args:
        labels: of the specialist.
        before: the set in force, to whose lines the new ones are drawn; None: to the confidences.
        found: what was decided; of other labels nothing is learned.
        groups: what groups are, in words.
        words: what a result is, and what it is about.
        most: with so many results a group counts in the test at most; None: as
            `shared.risk.largest` says.
    """
    rows = [one for one in found if one.category in labels and 0.0 < one.confidence < 1.0]
    names = sorted({one.group for one in rows})
    numbers = {name: number for number, name in enumerate(names)}
    group = np.array([numbers[one.group] for one in rows], np.int64)
    fold = np.array([_fold(one.group) for one in rows], np.int64)
    label = np.array([labels.index(one.category) for one in rows], np.int64)
    confidence = np.array([one.confidence for one in rows])
    right = np.array([not one.wrong for one in rows], float)
    weight = np.array([one.weight for one in rows])
    prior = _lines_of(labels, before)
    told = np.stack([np.ones_like(confidence), log_odds(confidence)], 1)

    def lines(chosen: Floats) -> Floats:
        mine = [chosen & (label == one) for one in range(len(labels))]
        return np.stack(
            [
                fit_logistic(told[m], right[m], prior[one], RIDGE, weight[m])
                for one, m in enumerate(mine)
            ]
        )

    whole = np.ones(len(rows), bool)
    belief, fitted = np.empty(len(rows)), lines(whole)
    rises = fitted[:, 1] >= FLATTEST
    for one in np.unique(fold):
        inside = fold == one
        others = lines(~inside)
        rises &= others[:, 1] >= FLATTEST
        belief[inside] = _beliefs(others, told[inside], label[inside])
    for place in np.flatnonzero(~rises & (fitted[:, 1] >= FLATTEST)):
        mine = label == place
        start = fit_logistic(told[mine, :1], right[mine], prior[place, :1], RIDGE, weight[mine])
        fitted[place] = *start, 0.0
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


def pooled(new: Calibration, shipped: Calibration) -> Calibration:
    """Return a set of both, for whoever takes his documents for like those of the shipped one.

    Each group counts as one more family, and with as many results as those that came, which are
    many in each.
    """
    came = believed_by(new, shipped)
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


def believed_by(new: Calibration, shipped: Calibration) -> Calibration:
    """Return the shipped set with the lines of the new one: by its own a belief would be another
    confidence than the rule accepts here.
    """
    places = np.array([new.labels.index(name) for name in shipped.labels])
    label = places[shipped.label]
    belief = _beliefs(new.lines, _told(shipped), label)
    return replace(shipped, labels=new.labels, lines=new.lines, label=label, belief=belief)


def expected_of(new: Calibration, shipped: Calibration | None) -> Calibration:
    """Return how wrong results were expected to be before people decided: as often as in what came
    with the specialist, or, where nothing did, as the beliefs of the new set say, each of which was
    learned from other groups.
    """
    return replace(new, wrong=1.0 - new.belief) if shipped is None else believed_by(new, shipped)


def _told(known: Calibration) -> Floats:
    """Ones and the log-odds of the confidences [results, 2], as its lines have made beliefs of them
    (by a level one a confidence can't be told, and one in the middle is taken); a belief that is
    kept as 1 is taken for a hair less.
    """
    start, slope = known.lines[known.label].T
    slope = np.where(np.abs(slope) < FLATTEST, 1.0, slope)
    odds = (log_odds(np.clip(known.belief, SURE, 1.0 - SURE)) - start) / slope
    return np.stack([np.ones_like(odds), odds], 1)


def weights_of(known: Calibration) -> Floats:
    """How many results each stands for."""
    return np.ones(len(known.label)) if known.weight is None else known.weight


def outcome(known: Calibration, belief: Floats, rule: Promise) -> Outcome:
    """Return what a rule does with decided results, by their weights.

    The interval is the wider one, at each end, of two: by drawing groups, for results of one hang
    together, and the exact one of so many equal decisions as these tell as much as (Kish,
    1965; Korn, Graubard, 1998), for draws from few without a mistake never show one. Where all
    weigh the same that is the interval of Clopper and Pearson of what was looked at.

    Args:
        known: what was decided here, without anything pooled.
        belief: by which the rule decides [results].
        rule: from which belief on it accepts, or nothing.
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
        share_within(accepted, wrong, weight[taken]),
        int(taken.sum()),
        int(known.wrong[taken].sum()),
    )


def share_within(accepted: Floats, wrong: Floats, weight: Floats) -> tuple[float, float]:
    """Return the interval (95%) of the share of wrong results: see `outcome`.

    Args:
        accepted: by group, each result by its weight [groups].
        wrong: of these [groups].
        weight: of each result, in any order [results].
    """
    if not accepted.sum():
        return 0.0, 1.0
    draw, size = np.random.default_rng(SEED), len(accepted)
    chance, shares = np.full(size, 1 / size), list[float]()
    while len(shares) < DRAWS:  # a few at a time, for there may be many groups
        few = min(DRAWS - len(shares), max(1, TOGETHER // size))
        drawn = draw.multinomial(size, chance, few).astype(float)
        shares += ((drawn @ wrong) / np.maximum(drawn @ accepted, 1e-9)).tolist()
    by_draws = (float(q) for q in np.quantile(np.minimum(shares, 1.0), (0.025, 0.975)))
    exact = _exact(wrong.sum() / accepted.sum(), weight)
    (low, other_low), (high, other_high) = zip(by_draws, exact, strict=True)
    return min(low, other_low), max(high, other_high)


def _exact(rate: float, weight: Floats) -> tuple[float, float]:
    """Return the exact interval of a weighted share, by the effective number of its weights; what
    is no whole number of mistakes is rounded away from it at each end.
    """
    size = max(1, math.floor(weight.sum() ** 2 / (weight**2).sum() + 1e-9))
    wrong = rate * size
    low, _ = interval(max(0, math.floor(wrong + 1e-9)), size)
    _, high = interval(min(size, math.ceil(wrong - 1e-9)), size)
    return low, high
