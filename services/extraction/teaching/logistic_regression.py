"""Logistic regression on token vectors, by L-BFGS (Liu and Nocedal, 1989), in numpy alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from services.extraction.teaching.encoder_states import EncoderStates, Flags, Floats, Integers

Doubles = NDArray[np.float64]

MOST_TOKENS = 60_000
"""Most tokens inside passages, and most tokens outside; a random sample if there are more."""
MEMORY = 10  # steps in the memory of L-BFGS
MOST_STEPS = 80
SMALL = 1e-4  # the fit ends when no entry of the gradient is larger


@dataclass(frozen=True, order=True)
class Strength:
    """Hyperparameters of the regression."""

    positive_weight: float  # of a token inside a passage
    ridge: float  # half of it times the squared norm of the weights is added to the mean loss


@dataclass(frozen=True)
class Head:
    """A linear map from a token's vector to its logit."""

    weight: Floats  # [width]
    bias: float

    def logits(self, vectors: NDArray[np.float16] | Floats) -> Floats:
        """Return the logit of each vector [tokens, width]."""
        result: Floats = vectors.astype(np.float32) @ self.weight + np.float32(self.bias)
        return result


@dataclass(frozen=True)
class Rows:
    """Training tokens; each column of the vectors is scaled to mean 0 and deviation 1."""

    vectors: Floats  # [rows, width]
    inside: Flags  # [rows]
    shares: Floats  # [rows]: the number of tokens that each represents
    mean: Floats  # [width]
    deviation: Floats  # [width]

    @classmethod
    def of(cls, states: EncoderStates, chosen: Sequence[int], seed: int) -> Rows:
        """Take the tokens of some examples; a random sample if there are too many."""
        draw = np.random.default_rng(seed)
        tokens = [np.arange(p.start, p.stop) for p in (states.reads[i].place for i in chosen)]
        every = np.concatenate(tokens)
        inside = states.inside[every]
        drawn, shares = [], []
        for kind in (every[inside], every[~inside]):
            some = _some(kind, draw)
            drawn.append(some)
            shares.append(np.full(len(some), len(kind) / max(len(some), 1), np.float32))
        places = np.concatenate(drawn)
        order = np.argsort(places)
        places, share = places[order], np.concatenate(shares)[order]
        vectors = states.vectors[places].astype(np.float32)
        mean = vectors.mean(0)
        vectors -= mean
        deviation = np.maximum(vectors.std(0), np.float32(1e-3))
        vectors /= deviation
        return cls(vectors, states.inside[places], share, mean, deviation)


def _some(places: Integers, draw: np.random.Generator) -> Integers:
    if len(places) <= MOST_TOKENS:
        return places
    return draw.choice(places, MOST_TOKENS, replace=False)


def fit_heads(rows: Rows, strengths: Sequence[Strength]) -> dict[Strength, Head]:
    """Fit a head for each strength.

    For each weight the ridge falls, and each fit starts from the previous one.
    """
    heads: dict[Strength, Head] = {}
    ordered = sorted(strengths, key=lambda one: (one.positive_weight, -one.ridge))
    for weight, together in groupby(ordered, key=lambda one: one.positive_weight):
        shares = rows.shares * np.where(rows.inside, np.float32(weight), np.float32(1))
        shares /= shares.sum()
        rate = float(shares[rows.inside].sum())
        place = np.zeros(rows.vectors.shape[1] + 1)
        place[-1] = np.log(max(rate, 1e-6) / max(1 - rate, 1e-6))
        for strength in together:
            place = minimise(_loss(rows, shares, strength.ridge), place)
            scaled = place[:-1] / rows.deviation
            bias = float(place[-1] - scaled @ rows.mean)
            heads[strength] = Head(scaled.astype(np.float32), bias)
    return heads


Loss = Callable[[Doubles], tuple[float, Doubles]]  # returns the value and the gradient at a place


def _loss(rows: Rows, shares: Floats, ridge: float) -> Loss:
    """The weighted mean of the cross-entropy, plus the ridge on all but the bias."""

    def loss(place: Doubles) -> tuple[float, Doubles]:
        weight = place[:-1].astype(np.float32)
        logits = rows.vectors @ weight + np.float32(place[-1])
        value = float(shares @ np.logaddexp(0, np.where(rows.inside, -logits, logits)))
        error = shares * (sigmoid(logits) - rows.inside)
        gradient = np.append(error @ rows.vectors, error.sum()).astype(np.float64)
        gradient[:-1] += ridge * place[:-1]
        return value + 0.5 * ridge * float(place[:-1] @ place[:-1]), gradient

    return loss


def minimise(loss: Loss, place: Doubles) -> Doubles:
    """Return the minimiser of a smooth convex function, by L-BFGS."""
    value, gradient = loss(place)
    steps: deque[tuple[Doubles, Doubles, float]] = deque(maxlen=MEMORY)
    for _ in range(MOST_STEPS):
        if np.abs(gradient).max() < SMALL:
            break
        direction = -_scaled(gradient, steps)
        slope = float(gradient @ direction)
        length = 1.0 if steps else min(1.0, 1.0 / float(np.linalg.norm(gradient)))
        for _ in range(25):
            there = place + length * direction
            lower, turned = loss(there)
            if lower <= value + 1e-4 * length * slope:
                break
            length /= 2
        else:
            break  # no lower value can be distinguished in single precision
        step, change = there - place, turned - gradient
        bend = float(step @ change)
        if bend > 1e-12:
            steps.append((step, change, bend))
        place, value, gradient = there, lower, turned
    return place


def _scaled(gradient: Doubles, steps: deque[tuple[Doubles, Doubles, float]]) -> Doubles:
    """Multiply the gradient by the estimated inverse curvature of the last steps."""
    result = gradient.copy()
    factors = []
    for step, change, bend in reversed(steps):
        factor = float(step @ result) / bend
        factors.append(factor)
        result -= factor * change
    if steps:
        _, change, bend = steps[-1]
        result *= bend / float(change @ change)
    for (step, change, bend), factor in zip(steps, reversed(factors), strict=True):
        result += (factor - float(change @ result) / bend) * step
    return result


def sigmoid(logits: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)), without overflow."""
    values: Floats = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return values
