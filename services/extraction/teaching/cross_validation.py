"""Cross-validation of a taught specialist in five folds by document.

Hyperparameters, calibration and threshold of a fold are chosen on the predictions for the other
four. So no figure comes from examples that were used for a choice. Intervals come from resampling
documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.extraction.evaluation.metric import THRESHOLDS, Curve, resamples
from services.extraction.pipeline.decoding import Decoding
from services.extraction.teaching.encoder_states import (
    EncoderStates,
    Flags,
    Floats,
    Integers,
    ReportProgress,
)
from services.extraction.teaching.examples import Example
from services.extraction.teaching.logistic_regression import (
    Head,
    Rows,
    Strength,
    fit_heads,
    sigmoid,
)
from services.extraction.teaching.scoring import (
    DecodingOption,
    Doubles,
    Trial,
    TrialScorer,
    calibration_error,
    fit_calibration,
)

FOLDS = 5
SEED = 20
RESAMPLES = 1000
DRAWS = 3  # draws of a share of the examples, for the learning curve
SHARES = (0.25, 0.5)
STRENGTHS = tuple(Strength(*pair) for pair in product((1.0, 5.0), (1.0, 1e-1, 1e-2, 1e-3)))
"""Weights of a token inside a passage, with ridges."""
SHAPES = ((False, 0.7), (False, 0.5), (False, 0.9), (True, 0.7))
"""Whether to decode runs of words instead of sentences, and at which share sentences join."""
LEAST_GAIN, LIKELY, UNLIKELY = 0.01, 0.9, 0.1
"""More examples help if their second half raised the area by more than `LEAST_GAIN` in at least
`LIKELY` of the resamples. They don't help if it did in at most `UNLIKELY`."""
LEAST_THRESHOLD = 0.001
WORDS = 8  # of a passage that are shown


@dataclass(frozen=True)
class Choice:
    """The choices made on the predictions for some examples."""

    option: DecodingOption
    knots: Mapping[str, Any]  # the calibration
    threshold: float  # of the confidence


@dataclass(frozen=True)
class Validation:
    """The choice on all out-of-fold predictions, and the figures of such choices."""

    choice: Choice
    figures: dict[str, Any]


def validate(
    states: EncoderStates, label: str, plain: Decoding, tell: ReportProgress
) -> Validation:
    """Cross-validate.

    Args:
        plain: the parent's parameters of decoding.
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
    judge = TrialScorer(label, states.reads, plain)
    trials = {
        option: judge.trial(option, scores[option.strength])
        for option in (
            DecodingOption(strength, *shape) for shape in SHAPES for strength in STRENGTHS
        )
    }
    choice = choose(trials, np.ones(len(examples), bool))
    outcome, shown = crossed(trials, folds)
    curve = learning_curve(states, judge, choice.option, folds, trials[choice.option], tell)
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
    """Return the fold of each example [examples].

    Documents stay whole, and those with a passage are dealt out first, so that every fold has some.
    """
    dealt = _shuffled(examples, range(len(examples)), SEED)
    fold = {document: i % FOLDS for i, document in enumerate(dealt)}
    return np.array([fold[example.document] for example in examples])


def _shuffled(examples: Sequence[Example], chosen: Sequence[int], seed: int) -> list[str]:
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
    """Draw a share of the documents of some examples, stratified by whether they have a passage.

    At least one document with a passage is drawn.
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
    states: EncoderStates,
    learned: Sequence[int] | Integers,
    judged: Flags,
    scores: dict[Strength, Floats],
) -> None:
    """Train on some examples with each strength in `scores`; predict the `judged` ones there."""
    heads = fit_heads(Rows.of(states, list(learned), SEED), list(scores))
    for i in np.flatnonzero(judged).tolist():
        place = states.reads[i].place
        vectors = states.vectors[place].astype(np.float32)
        for strength, head in heads.items():
            scores[strength][place] = sigmoid(head.logits(vectors))


def choose(trials: Mapping[DecodingOption, Trial], of: Flags) -> Choice:
    """Choose option, calibration and threshold by the examples in `of` [examples].

    The criterion is the sum of area and best F1. Its mean over options that differ only in `merge`
    chooses the strength, because a mean is less noisy; then the best of these is chosen. The
    threshold is the middle one of those with the best F1.
    """
    outcomes: dict[DecodingOption, tuple[dict[str, Any], Curve]] = {}
    values: dict[DecodingOption, float] = {}
    groups: dict[tuple[Strength, bool], list[float]] = {}
    for option, trial in trials.items():
        seen = of[trial.example]
        knots = fit_calibration(trial.scores[seen], trial.right[seen])
        curve = trial.curve(trial.confidences(knots), of)
        outcomes[option], values[option] = (knots, curve), curve.aupr + curve.best_f1
        groups.setdefault((option.strength, option.by_words), []).append(values[option])
    best = max(groups, key=lambda one: float(np.mean(groups[one])))
    options = [option for option in outcomes if (option.strength, option.by_words) == best]
    option = max(options, key=lambda one: values[one])
    knots, curve = outcomes[option]
    ties = np.flatnonzero(curve.f1 >= curve.best_f1 - 1e-9)
    threshold = float(THRESHOLDS[ties[len(ties) // 2]])
    return Choice(option, knots, max(threshold, LEAST_THRESHOLD))


def crossed(trials: Mapping[DecodingOption, Trial], folds: Integers) -> tuple[Trial, Flags]:
    """Judge each fold by the choice on the others.

    Returns:
        One trial of all examples whose scores are confidences, and which candidates are shown.
    """
    parts, shown, pairs, begun = [], [], [], 0
    for fold in range(FOLDS):
        choice = choose(trials, folds != fold)
        trial = trials[choice.option]
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

    If no resample has an error, the rule of three gives the limit. `precision`, `recall` and `f1`
    are at the thresholds chosen on other folds; `best_f1` is the highest over all thresholds and
    `aupr` the area, both by the legal metric.
    """
    counts, answers = outcome.counts(outcome.scores, len(examples))
    found = outcome.answered(shown.astype(float)) > 0
    false = shown & ~outcome.right
    shown_counts = np.stack(
        [
            np.bincount(outcome.answer_of[found], minlength=len(examples)),
            np.bincount(outcome.example[false], minlength=len(examples)),
        ],
        axis=1,
    )
    every = np.concatenate([counts, shown_counts[:, None]], axis=1)  # the last one is no threshold
    drawn = np.concatenate([np.ones((1, len(examples)), np.int64), _resamples(examples)])
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
    """The figures of counts [thresholds + 1, 2]; the last row is at the chosen thresholds."""
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


def _resamples(examples: Sequence[Example]) -> Integers:
    """Resamples of the documents [resamples, examples]."""
    return resamples([example.document for example in examples], SEED, RESAMPLES)


# --- would more examples help? ------------------------------------------------------------------


def learning_curve(
    states: EncoderStates,
    judge: TrialScorer,
    option: DecodingOption,
    folds: Integers,
    full: Trial,
    tell: ReportProgress,
) -> list[dict[str, Any]]:
    """Train on a share of the examples of four folds and judge the fifth, with the chosen option.

    Returns:
        For each share: number of examples, area and best F1, as means over the draws. The last has
        `gains`: the share of resamples in which all examples are better than half of them.
    """
    examples = [read.example for read in states.reads]
    drawn = _resamples(examples)
    lines, areas = [], []
    done, total = FOLDS, FOLDS * (1 + DRAWS * len(SHARES))
    for share in SHARES:
        outcomes, sizes = [], []
        for seed in range(DRAWS):
            scores = {option.strength: np.zeros(len(states.inside), np.float32)}
            for fold in range(FOLDS):
                tell("cross-validating", done, total)
                done += 1
                others = np.flatnonzero(folds != fold).tolist()
                chosen = share_of(examples, others, share, SEED + seed)
                predict(states, chosen, folds == fold, scores)
                sizes.append(len(chosen))
            outcomes.append(judge.trial(option, scores[option.strength]))
        lines.append(_line_of(share, sizes, outcomes, len(examples)))
        areas.append(np.mean([_areas(trial, drawn) for trial in outcomes], axis=0))
    sizes = [int((folds != fold).sum()) for fold in range(FOLDS)]
    lines.append(_line_of(1.0, sizes, [full], len(examples)))
    gains = _areas(full, drawn) - areas[-1]
    lines[-1]["gains"] = float((gains > LEAST_GAIN).mean())
    return lines


def _line_of(
    share: float, sizes: Sequence[int], outcomes: Sequence[Trial], examples: int
) -> dict[str, Any]:
    every = np.ones(examples, bool)
    curves = [trial.curve(_own_confidences(trial), every) for trial in outcomes]
    return {
        "share": share,
        "examples": round(float(np.mean(sizes))),
        "aupr": float(np.mean([curve.aupr for curve in curves])),
        "best_f1": float(np.mean([curve.best_f1 for curve in curves])),
    }


def _own_confidences(trial: Trial) -> Doubles:
    """Calibrated on itself, which keeps the ranking and spreads it over the metric's thresholds."""
    return trial.confidences(fit_calibration(trial.scores, trial.right))


def _areas(trial: Trial, drawn: Integers) -> Doubles:
    counts, answers = trial.counts(_own_confidences(trial), drawn.shape[1])
    sums, asked = np.tensordot(drawn, counts, axes=1), drawn @ answers
    return np.array([Curve.of(s, int(a)).aupr for s, a in zip(sums, asked, strict=True)])


def verdict(curve: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Whether more examples would help: `yes`, `no` or `unclear`, and why."""
    half, full = curve[-2], curve[-1]
    share = full["gains"]
    answer = "yes" if share >= LIKELY else "no" if share <= UNLIKELY else "unclear"
    says = {
        "yes": "More examples would probably help",
        "no": "More examples of this kind would hardly help",
        "unclear": "It is unclear whether more examples would help",
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
    """Return missed passages: those with the lowest confidence first, then the longest."""
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
    """Return the false alarms with the highest confidence."""
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


def learn(states: EncoderStates, option: DecodingOption) -> Head:
    """Learn from all examples."""
    rows = Rows.of(states, range(len(states.reads)), SEED)
    return fit_heads(rows, [option.strength])[option.strength]
