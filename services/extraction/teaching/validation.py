"""Cross-validation: how good a specialist that was taught by some examples is on the others.

Five folds by document. The way to decide (weight of the passages, ridge, decoding), calibration
and threshold that judge one fold are chosen on what is predicted for the other four, so no figure
is of examples that anything was chosen on. Intervals are from resampling documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.extraction.decoding import Decoding
from services.extraction.metric import THRESHOLDS, Curve
from services.extraction.teaching.examples import Example
from services.extraction.teaching.learning import Head, Rows, Strength, fit_heads, sigmoid
from services.extraction.teaching.states import Flags, Floats, Integers, States, Tell
from services.extraction.teaching.trials import (
    Doubles,
    Judge,
    Trial,
    Way,
    calibration_error,
    fit_calibration,
)

FOLDS = 5
SEED = 20
RESAMPLES = 1000
DRAWS = 3
"""Of a share of the examples, for the learning curve."""
SHARES = (0.25, 0.5)
STRENGTHS = tuple(Strength(*pair) for pair in product((1.0, 5.0), (1.0, 1e-1, 1e-2, 1e-3)))
"""Weights of a token in a passage, with ridges."""
SHAPES = ((False, 0.7), (False, 0.5), (False, 0.9), (True, 0.7))
"""Sentences that join at a share of the best, or runs of words."""
LEAST_GAIN, LIKELY, UNLIKELY = 0.01, 0.9, 0.1
"""More examples help if the second half of them raised the area by more than `LEAST_GAIN` in a
share of at least `LIKELY` of the resamples; they don't if it did in `UNLIKELY` or fewer."""
LEAST_THRESHOLD = 0.001
WORDS = 8  # of a passage that are shown


@dataclass(frozen=True)
class Choice:
    """What was chosen by predictions for some examples."""

    way: Way
    knots: Mapping[str, Any]  # the calibration
    threshold: float  # of the confidence


@dataclass(frozen=True)
class Validation:
    """What was chosen by all predictions out of fold, and how good such choices are."""

    choice: Choice
    figures: dict[str, Any]


def validate(states: States, label: str, plain: Decoding, tell: Tell) -> Validation:
    """Cross-validate.

    Args:
        states: the examples as the encoder sees them.
        label: what the passages are called.
        plain: the parent's parameters of decoding.
        tell: is told how it goes.
    """
    examples = [read.example for read in states.reads]
    folds = folds_of(examples)
    total = FOLDS * (1 + DRAWS * len(SHARES))
    scores: dict[Strength, Floats] = {
        one: np.zeros(len(states.inside), np.float32) for one in STRENGTHS
    }
    for fold in range(FOLDS):
        tell("cross-validating", fold, total)
        predict(states, np.flatnonzero(folds != fold), folds == fold, scores)
    judge = Judge(label, states.reads, plain)
    trials = {
        way: judge.trial(way, scores[way.strength])
        for way in (Way(strength, *shape) for shape in SHAPES for strength in STRENGTHS)
    }
    choice = choose(trials, np.ones(len(examples), bool))
    outcome, shown = crossed(trials, folds)
    curve = learning_curve(states, judge, choice.way, folds, trials[choice.way], tell)
    tell("cross-validating", total, total)
    return Validation(
        choice,
        {
            "folds": FOLDS,
            **figures_of(outcome, shown, examples),
            "calibration_error": calibration_error(outcome.scores, outcome.right),
            "threshold": choice.threshold,
            "learning_curve": curve,
            "more_examples": verdict(curve),
            "misses": misses(outcome, shown, examples),
            "false_alarms": false_alarms(outcome, shown, examples),
        },
    )


def folds_of(examples: Sequence[Example]) -> Integers:
    """Return the fold of each example [examples]: documents stay whole, and those that have such
    a clause are dealt out first, so that every fold has some.
    """
    dealt = _shuffled(examples, range(len(examples)), SEED)
    fold = {document: i % FOLDS for i, document in enumerate(dealt)}
    return np.array([fold[example.document] for example in examples])


def _shuffled(examples: Sequence[Example], chosen: Sequence[int], seed: int) -> list[str]:
    """The documents of some examples in a random order, those with such a clause first."""
    having: dict[str, bool] = {}
    for i in chosen:
        document = examples[i].document
        having[document] = having.get(document, False) or bool(examples[i].spans)
    draw = np.random.default_rng(seed)
    both = ([name for name, has in having.items() if has is wanted] for wanted in (True, False))
    return [str(name) for names in both for name in draw.permutation(np.array(names, object))]


def share_of(
    examples: Sequence[Example], chosen: Sequence[int], share: float, seed: int
) -> list[int]:
    """Draw a share of the documents of some examples, of those with such a clause and of those
    without; at least one with.
    """
    documents = _shuffled(examples, chosen, seed)
    having = {examples[i].document for i in chosen if examples[i].spans}
    count = sum(name in having for name in documents)
    kept = {
        *documents[: max(1, round(share * count))],
        *documents[count : count + round(share * (len(documents) - count))],
    }
    return [i for i in chosen if examples[i].document in kept]


def predict(
    states: States, learned: Sequence[int] | Integers, judged: Flags, scores: dict[Strength, Floats]
) -> None:
    """Learn from some examples with every strength in `scores`, and write there the probabilities
    for the tokens of those that are judged [examples].
    """
    heads = fit_heads(Rows.of(states, list(learned), SEED), list(scores))
    for i in np.flatnonzero(judged).tolist():
        place = states.reads[i].place
        vectors = states.vectors[place].astype(np.float32)
        for strength, head in heads.items():
            scores[strength][place] = sigmoid(head.logits(vectors))


def choose(trials: Mapping[Way, Trial], of: Flags) -> Choice:
    """Choose way, calibration and threshold by the examples that are given [examples].

    What counts is the sum of area and best F1: first its mean over the ways that differ only in
    when sentences join, which says more surely how strong the ridge should be than any one of
    them, then that of the way itself; of equal ones the first. The threshold is in the middle of
    those with the best F1.
    """
    tried: dict[Way, tuple[dict[str, Any], Curve]] = {}
    values: dict[Way, float] = {}
    alike: dict[tuple[Strength, bool], list[float]] = {}
    for way, trial in trials.items():
        seen = of[trial.example]
        knots = fit_calibration(trial.scores[seen], trial.right[seen])
        curve = trial.curve(trial.confidences(knots), of)
        tried[way], values[way] = (knots, curve), curve.aupr + curve.best_f1
        alike.setdefault((way.strength, way.by_words), []).append(values[way])
    best = max(alike, key=lambda one: float(np.mean(alike[one])))
    together = [way for way in tried if (way.strength, way.by_words) == best]
    way = max(together, key=lambda one: values[one])
    knots, curve = tried[way]
    ties = np.flatnonzero(curve.f1 >= curve.best_f1 - 1e-9)
    threshold = float(THRESHOLDS[ties[len(ties) // 2]])
    return Choice(way, knots, max(threshold, LEAST_THRESHOLD))


def crossed(trials: Mapping[Way, Trial], folds: Integers) -> tuple[Trial, Flags]:
    """Judge each fold by what is chosen on the others.

    Returns:
        One trial of all examples whose scores are confidences, and which candidates are shown.
    """
    parts, shown, pairs, begun = [], [], [], 0
    for fold in range(FOLDS):
        choice = choose(trials, folds != fold)
        trial = trials[choice.way]
        confidences = trial.confidences(choice.knots)
        own = np.flatnonzero(folds[trial.example] == fold)
        number = np.full(len(trial.scores), -1)
        number[own] = begun + np.arange(len(own))
        begun += len(own)
        matched = trial.pairs[number[trial.pairs[:, 0]] >= 0]
        pairs.append(np.stack([number[matched[:, 0]], matched[:, 1]], axis=1))
        shown.append(confidences[own] > choice.threshold)
        parts.append((trial.example[own], trial.spans[own], confidences[own], trial.right[own]))
    example, spans, scores, right = (np.concatenate(part) for part in zip(*parts, strict=True))
    answer_of = next(iter(trials.values())).answer_of
    whole = Trial(example, spans, scores, right, np.concatenate(pairs), answer_of)
    return whole, np.concatenate(shown)


# --- figures ------------------------------------------------------------------------------------


def figures_of(outcome: Trial, shown: Flags, examples: Sequence[Example]) -> dict[str, Any]:
    """Return the figures with 95% intervals from resampling documents.

    Where no resample has an error, the rule of three says what may be: 3 in the documents seen.
    `precision`, `recall` and `f1` are those at the thresholds that were chosen on other folds;
    `best_f1` is the highest over all thresholds, `aupr` the area, both as the legal metric has it.
    """
    counts, answers = outcome.counts(outcome.scores, len(examples))
    found = outcome.answered(shown.astype(float)) > 0
    false = shown & ~outcome.right
    told = np.stack(
        [
            np.bincount(outcome.answer_of[found], minlength=len(examples)),
            np.bincount(outcome.example[false], minlength=len(examples)),
        ],
        axis=1,
    )
    every = np.concatenate([counts, told[:, None]], axis=1)  # the last one is no threshold
    drawn = np.concatenate([np.ones((1, len(examples)), np.int64), resamples(examples)])
    sums, asked = np.tensordot(drawn, every, axes=1), drawn @ answers
    rows = [_figures(one, int(number)) for one, number in zip(sums, asked, strict=True)]
    low, high = np.percentile([list(row.values()) for row in rows[1:]], [2.5, 97.5], axis=0)
    seen = len({example.document for example in examples if example.spans})
    low = np.where(low == 1, max(0.0, 1 - 3 / seen), low)
    return {
        name: {"value": value, "low": float(low[i]), "high": float(high[i])}
        for i, (name, value) in enumerate(rows[0].items())
    }


def _figures(counts: Integers, answers: int) -> dict[str, float]:
    """The figures of counts [thresholds + 1, 2]: the last are at the chosen thresholds."""
    curve = Curve.of(counts[:-1], answers)
    found, false = (int(number) for number in counts[-1])
    precision = found / (found + false) if found + false else 1.0
    recall = found / max(answers, 1)
    both = precision + recall
    return {
        "f1": 2 * precision * recall / both if both else 0.0,
        "precision": precision,
        "recall": recall,
        "best_f1": curve.best_f1,
        "aupr": curve.aupr,
    }


def resamples(examples: Sequence[Example]) -> Integers:
    """Return how often each example is in each resample of the documents [resamples, examples]."""
    names = sorted({example.document for example in examples})
    place = {name: i for i, name in enumerate(names)}
    draw = np.random.default_rng(SEED)
    times = draw.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    return times[:, [place[example.document] for example in examples]]


# --- would more examples help? ------------------------------------------------------------------


def learning_curve(
    states: States, judge: Judge, way: Way, folds: Integers, full: Trial, tell: Tell
) -> list[dict[str, Any]]:
    """Learn from a share of the examples of four folds and judge the fifth, in the chosen way.

    Returns:
        For each share: documents learned from, area and best F1, means over the draws. The last
        has `gains`: what the area of all is above that of half, in every resample.
    """
    examples = [read.example for read in states.reads]
    drawn = resamples(examples)
    lines, areas = [], []
    done, total = FOLDS, FOLDS * (1 + DRAWS * len(SHARES))
    for share in SHARES:
        tried, sizes = [], []
        for seed in range(DRAWS):
            scores = {way.strength: np.zeros(len(states.inside), np.float32)}
            for fold in range(FOLDS):
                tell("cross-validating", done, total)
                done += 1
                others = np.flatnonzero(folds != fold).tolist()
                chosen = share_of(examples, others, share, SEED + seed)
                predict(states, chosen, folds == fold, scores)
                sizes.append(len(chosen))
            tried.append(judge.trial(way, scores[way.strength]))
        lines.append(_line_of(share, sizes, tried, len(examples)))
        areas.append(np.mean([_areas(trial, drawn) for trial in tried], axis=0))
    sizes = [int((folds != fold).sum()) for fold in range(FOLDS)]
    lines.append(_line_of(1.0, sizes, [full], len(examples)))
    gains = _areas(full, drawn) - areas[-1]
    lines[-1]["gains"] = float((gains > LEAST_GAIN).mean())
    return lines


def _line_of(
    share: float, sizes: Sequence[int], tried: Sequence[Trial], examples: int
) -> dict[str, Any]:
    every = np.ones(examples, bool)
    curves = [trial.curve(_own_confidences(trial), every) for trial in tried]
    return {
        "share": share,
        "examples": round(float(np.mean(sizes))),
        "aupr": float(np.mean([curve.aupr for curve in curves])),
        "best_f1": float(np.mean([curve.best_f1 for curve in curves])),
    }


def _own_confidences(trial: Trial) -> Doubles:
    """Calibrated on itself, which moves no ranking and spreads it over the metric's thresholds."""
    return trial.confidences(fit_calibration(trial.scores, trial.right))


def _areas(trial: Trial, drawn: Integers) -> Doubles:
    """The area in every resample."""
    counts, answers = trial.counts(_own_confidences(trial), drawn.shape[1])
    sums, asked = np.tensordot(drawn, counts, axes=1), drawn @ answers
    return np.array([Curve.of(s, int(a)).aupr for s, a in zip(sums, asked, strict=True)])


def verdict(curve: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Say whether more examples would help: `yes`, `no` or `unclear`, and why."""
    half, full = curve[-2], curve[-1]
    share = full["gains"]
    answer = "yes" if share >= LIKELY else "no" if share <= UNLIKELY else "unclear"
    says = {
        "yes": "More examples would probably help",
        "no": "More examples of this kind would hardly help",
        "unclear": "Whether more examples would help can't be told from these",
    }[answer]
    reason = (
        f"{says}: learning from {full['examples']} instead of {half['examples']} took the area "
        f"from {half['aupr']:.2f} to {full['aupr']:.2f}, a gain above {LEAST_GAIN} in "
        f"{share:.0%} of the resamples (yes from {LIKELY:.0%} on, no up to {UNLIKELY:.0%})."
    )
    return {"answer": answer, "reason": reason}


# --- what went wrong ----------------------------------------------------------------------------


def misses(
    outcome: Trial, shown: Flags, examples: Sequence[Example], most: int = 3
) -> list[dict[str, Any]]:
    """Return the passages that were missed by most: the least likely first, then the longest."""
    best = outcome.answered(outcome.scores)
    found = outcome.answered(shown.astype(float)) > 0
    spans = [(example, span) for example in examples for span in example.spans]
    missed = [
        {"confidence": float(best[i]), **_place(example, *span)}
        for i, (example, span) in enumerate(spans)
        if not found[i]
    ]
    return sorted(missed, key=lambda one: (one["confidence"], one["start"] - one["end"]))[:most]


def false_alarms(
    outcome: Trial, shown: Flags, examples: Sequence[Example], most: int = 3
) -> list[dict[str, Any]]:
    """Return the surest passages that no example says are such a clause."""
    wrong: NDArray[np.int64] = np.flatnonzero(shown & ~outcome.right)
    surest = wrong[np.argsort(-outcome.scores[wrong], kind="stable")][:most]
    return [
        {
            "confidence": float(outcome.scores[i]),
            **_place(examples[outcome.example[i]], *map(int, outcome.spans[i])),
        }
        for i in surest
    ]


def _place(example: Example, start: int, end: int) -> dict[str, Any]:
    words = " ".join(example.text[start:end].split()[:WORDS])
    return {"line": example.line, "start": start, "end": end, "words": words}


def learn(states: States, way: Way) -> Head:
    """Learn from all examples."""
    rows = Rows.of(states, range(len(states.reads)), SEED)
    return fit_heads(rows, [way.strength])[way.strength]
