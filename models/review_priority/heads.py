"""Heads on the base's states that are compared with the forest of `review-priority`.

Each predicts whether a clause is changed from the mean states of its tokens and of a window around
it (`models.review_priority.states`), with or without the columns. The regularisation is chosen by
log loss on inner folds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from models.files import say
from models.forest import predict
from models.review_priority.simulation import Queue
from shared.features.clause_list import Floats

Flags = NDArray[np.bool_]
EDGE = 1e-6
"""Probabilities are clipped to this distance from 0 and 1 before a logarithm."""


@dataclass(frozen=True)
class HeadExamples:
    """The features of clauses for a head on states."""

    rows: Floats  # [N, COLUMNS]
    wide: Floats  # [N, more], the columns of a linear head
    states: Floats  # [N, 2 * width]
    changed: Flags  # [N]
    fold: NDArray[np.int64]  # [N]

    def some(self, selected: Flags) -> HeadExamples:
        arrays = self.rows[selected], self.wide[selected], self.states[selected]
        return HeadExamples(*arrays, self.changed[selected], self.fold[selected])


Head = Callable[[HeadExamples], Floats]
"""Maps N clauses to the probability that each is changed [N]."""
Make = Callable[[HeadExamples], Head]
Forest = Callable[[Floats, Flags], Sequence[Any]]
"""Trains several fits on rows [N, columns] and targets [N]."""


def head_examples(
    some: Sequence[Queue], states: Sequence[Floats], spread: Callable[[Floats], Floats]
) -> HeadExamples:
    """Return the features of all contracts' clauses; states are [N, 2 * width] of each contract."""
    rows = np.concatenate([queue.rows for queue in some])
    return HeadExamples(
        rows,
        spread(rows),
        np.concatenate(list(states)),
        np.concatenate([queue.changed for queue in some]),
        np.repeat([queue.fold for queue in some], [len(queue.clauses) for queue in some]),
    )


def regression(columns: Callable[[HeadExamples], Floats], strength: float) -> Make:
    """Train a logistic regression on standardised columns, with an inverse regularisation."""

    def make(lesson: HeadExamples) -> Head:
        scaler = StandardScaler().fit(columns(lesson))
        model = LogisticRegression(C=strength, max_iter=2000)
        model.fit(scaler.transform(columns(lesson)), lesson.changed)
        return lambda new: chances(model, scaler.transform(columns(new)))

    return make


def with_columns(strength: float, of_columns: float) -> Make:
    """Train a logistic regression on states and columns; each has an inverse regularisation."""
    share = (strength / of_columns) ** 0.5  # smaller values need a larger weight

    def make(lesson: HeadExamples) -> Head:
        wide, states = StandardScaler().fit(lesson.wide), StandardScaler().fit(lesson.states)

        def columns(some: HeadExamples) -> Floats:
            parts = wide.transform(some.wide), share * states.transform(some.states)
            return np.hstack(parts)

        model = LogisticRegression(C=of_columns, max_iter=2000)
        model.fit(columns(lesson), lesson.changed)
        return lambda new: chances(model, columns(new))

    return make


def chances(model: LogisticRegression, rows: Floats) -> Floats:
    """Return the probability that each clause is changed [N]."""
    result: Floats = model.predict_proba(rows)[:, 1].astype(np.float32)
    return result


def with_parts(forest: Forest, parts: int) -> Make:
    """Train a forest on the columns and the principal components of the states."""

    def make(lesson: HeadExamples) -> Head:
        scaler = StandardScaler().fit(lesson.states)
        axes = PCA(parts, svd_solver="covariance_eigh").fit(scaler.transform(lesson.states))

        def rows(some: HeadExamples) -> Floats:
            more = axes.transform(scaler.transform(some.states))
            return np.column_stack([some.rows, more]).astype(np.float32)

        fits = forest(rows(lesson), lesson.changed)
        return lambda new: predict(fits, rows(new))

    return make


def on_top(forest: Forest, below: Make) -> Make:
    """Train a forest on the columns and the out-of-fold probabilities of a head on states."""

    def rows(some: HeadExamples, probabilities: Floats) -> Floats:
        return np.column_stack([some.rows, odds(probabilities)]).astype(np.float32)

    def make(lesson: HeadExamples) -> Head:
        fits = forest(rows(lesson, out_of_fold(lesson, below)), lesson.changed)
        head = below(lesson)
        return lambda new: predict(fits, rows(new, head(new)))

    return make


def odds(probabilities: Floats) -> NDArray[np.float64]:
    """Return the log odds of probabilities."""
    sure = np.clip(probabilities.astype(np.float64), EDGE, 1 - EDGE)
    result: NDArray[np.float64] = np.log(sure / (1 - sure))
    return result


def out_of_fold(every: HeadExamples, make: Make) -> Floats:
    """Return the probabilities of all clauses [N], each by a head without its fold."""
    result = np.zeros(len(every.fold), np.float32)
    for fold in np.unique(every.fold):
        here = every.fold == fold
        result[here] = make(every.some(~here))(every.some(here))
    return result


def loss(probabilities: Floats, changed: Flags) -> float:
    """Return the mean log loss."""
    right = np.where(changed, probabilities, 1 - probabilities).astype(np.float64)
    return float(-np.log(np.clip(right, EDGE, 1.0)).mean())


def chosen(makes: Mapping[str, Make]) -> Make:
    """Return the head with the least log loss on the training folds."""

    def make(lesson: HeadExamples) -> Head:
        losses = {
            name: loss(out_of_fold(lesson, entry), lesson.changed) for name, entry in makes.items()
        }
        best = min(losses, key=losses.__getitem__)
        say(f"{best} of {losses}")
        return makes[best](lesson)

    return make


def heads(config: Mapping[str, Any], forest: Forest) -> dict[str, Make]:
    """Return the compared heads by name; each chooses among the strengths and sizes in `states`."""
    tried, of_columns = config["states"], config["linear"]["strength"]
    strengths = tried["strengths"]
    alone = chosen({f"{c:g}": regression(lambda t: t.states, c) for c in strengths})
    return {
        "states": alone,
        "states_linear": chosen({f"{c:g}": with_columns(c, of_columns) for c in strengths}),
        "states_parts": chosen({f"{n}": with_parts(forest, n) for n in tried["parts"]}),
        "states_forest": on_top(forest, alone),
    }
