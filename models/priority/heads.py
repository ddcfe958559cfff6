"""Heads on the base's states that are tried for `review-priority`, beside the forest that ships.

Each says how likely a clause is changed, from the mean states of its tokens and of a window around
it (`models.priority.states`), alone or beside the columns. How strongly states count is chosen by
log loss on inner folds: of the folds that a head learns from, each is judged by heads that learned
from the others.
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

from models.forest import predict
from models.priority.simulation import Queue
from shared.listed import Floats

Flags = NDArray[np.bool_]
EDGE = 1e-6
"""How near chances come to 0 and 1 where their logarithm is taken."""


@dataclass(frozen=True)
class Told:
    """Clauses as a head on states is told of them."""

    rows: Floats  # [N, COLUMNS]
    wide: Floats  # [N, more], the columns as a linear head is told them
    states: Floats  # [N, 2 * width]
    changed: Flags  # [N]
    fold: NDArray[np.int64]  # [N]

    def some(self, kept: Flags) -> Told:
        """Those of them that are kept [N]."""
        told = self.rows[kept], self.wide[kept], self.states[kept]
        return Told(*told, self.changed[kept], self.fold[kept])


Head = Callable[[Told], Floats]
"""Takes N clauses; returns how likely each is changed [N]."""
Make = Callable[[Told], Head]
Forest = Callable[[Floats, Flags], Sequence[Any]]
"""Learns several fits from rows [N, columns] and whether each is changed [N]."""


def told(
    some: Sequence[Queue], states: Sequence[Floats], spread: Callable[[Floats], Floats]
) -> Told:
    """Put the clauses of all contracts one after the other.

    Args:
        some: the contracts.
        states: of the clauses of each [N, 2 * width].
        spread: makes of rows what a linear head is told.
    """
    rows = np.concatenate([queue.rows for queue in some])
    return Told(
        rows,
        spread(rows),
        np.concatenate(list(states)),
        np.concatenate([queue.changed for queue in some]),
        np.repeat([queue.fold for queue in some], [len(queue.clauses) for queue in some]),
    )


def regression(columns: Callable[[Told], Floats], strength: float) -> Make:
    """A logistic regression of columns in their standard deviations.

    Args:
        columns: of clauses [N, any].
        strength: inverse of the ridge.
    """

    def make(lesson: Told) -> Head:
        scaler = StandardScaler().fit(columns(lesson))
        model = LogisticRegression(C=strength, max_iter=2000)
        model.fit(scaler.transform(columns(lesson)), lesson.changed)
        return lambda new: chances(model, scaler.transform(columns(new)))

    return make


def beside(strength: float, of_columns: float) -> Make:
    """A logistic regression of states and columns, each with a ridge of its own.

    Args:
        strength: inverse of the ridge of the states.
        of_columns: inverse of that of the columns.
    """
    share = (strength / of_columns) ** 0.5  # a smaller column needs a larger weight

    def make(lesson: Told) -> Head:
        wide, states = StandardScaler().fit(lesson.wide), StandardScaler().fit(lesson.states)

        def columns(some: Told) -> Floats:
            parts = wide.transform(some.wide), share * states.transform(some.states)
            return np.hstack(parts)

        model = LogisticRegression(C=of_columns, max_iter=2000)
        model.fit(columns(lesson), lesson.changed)
        return lambda new: chances(model, columns(new))

    return make


def chances(model: LogisticRegression, rows: Floats) -> Floats:
    """How likely each is changed [N]."""
    found: Floats = model.predict_proba(rows)[:, 1].astype(np.float32)
    return found


def with_parts(forest: Forest, parts: int) -> Make:
    """A forest that is told the columns and the principal components of the states."""

    def make(lesson: Told) -> Head:
        scaler = StandardScaler().fit(lesson.states)
        axes = PCA(parts, svd_solver="covariance_eigh").fit(scaler.transform(lesson.states))

        def rows(some: Told) -> Floats:
            more = axes.transform(scaler.transform(some.states))
            return np.column_stack([some.rows, more]).astype(np.float32)

        fits = forest(rows(lesson), lesson.changed)
        return lambda new: predict(fits, rows(new))

    return make


def on_top(forest: Forest, below: Make) -> Make:
    """A forest that is told the columns, and what a head on the states says of folds that it had
    not learned from.
    """

    def rows(some: Told, said: Floats) -> Floats:
        return np.column_stack([some.rows, odds(said)]).astype(np.float32)

    def make(lesson: Told) -> Head:
        fits = forest(rows(lesson, out_of_fold(lesson, below)), lesson.changed)
        head = below(lesson)
        return lambda new: predict(fits, rows(new, head(new)))

    return make


def odds(said: Floats) -> NDArray[np.float64]:
    """The logarithm of the odds of chances."""
    sure = np.clip(said.astype(np.float64), EDGE, 1 - EDGE)
    found: NDArray[np.float64] = np.log(sure / (1 - sure))
    return found


def out_of_fold(every: Told, make: Make) -> Floats:
    """The chances of all clauses [N], each by a head that had not learned from its fold."""
    found = np.zeros(len(every.fold), np.float32)
    for fold in np.unique(every.fold):
        here = every.fold == fold
        found[here] = make(every.some(~here))(every.some(here))
    return found


def loss(said: Floats, changed: Flags) -> float:
    """The mean log loss of chances."""
    right = np.where(changed, said, 1 - said).astype(np.float64)
    return float(-np.log(np.clip(right, EDGE, 1.0)).mean())


def chosen(makes: Mapping[str, Make]) -> Make:
    """The one of some heads with the least log loss on the folds of the lesson alone."""

    def make(lesson: Told) -> Head:
        losses = {
            name: loss(out_of_fold(lesson, one), lesson.changed) for name, one in makes.items()
        }
        best = min(losses, key=losses.__getitem__)
        print(best, {name: round(value, 4) for name, value in losses.items()}, flush=True)
        return makes[best](lesson)

    return make


def heads(config: Mapping[str, Any], forest: Forest) -> dict[str, Make]:
    """The heads on states that are tried, by name.

    Args:
        config: `states` says among which strengths and numbers of components is chosen.
        forest: learns as the one that ships does.
    """
    tried, of_columns = config["states"], config["linear"]["strength"]
    alone = chosen({f"{one:g}": regression(lambda t: t.states, one) for one in tried["strengths"]})
    return {
        "states": alone,
        "states_linear": chosen(
            {f"{one:g}": beside(one, of_columns) for one in tried["strengths"]}
        ),
        "states_parts": chosen({f"{one}": with_parts(forest, one) for one in tried["parts"]}),
        "states_forest": on_top(forest, alone),
    }
