"""The regression and its minimiser, compared with independent calculations."""

from __future__ import annotations

import numpy as np
import pytest

from services.extraction.teaching.encoder_states import EncodedExample, EncoderStates, Floats
from services.extraction.teaching.examples import Example
from services.extraction.teaching.logistic_regression import (
    MOST_TOKENS,
    Doubles,
    Rows,
    Strength,
    fit_heads,
    minimise,
    sigmoid,
)

WIDTH = 6


def states(tokens: int = 4000, seed: int = 0) -> EncoderStates:
    draw = np.random.default_rng(seed)
    vectors = draw.normal(0, 1, (tokens, WIDTH)) * np.arange(1, WIDTH + 1)
    chance = 1 / (1 + np.exp(-(1.5 * vectors[:, 0] - vectors[:, 1] - 2)))
    inside = draw.uniform(size=tokens) < chance
    part = tokens // 4
    reads = [
        EncodedExample(
            Example(i + 1, "text", (), f"d{i}"),
            slice(i * part, (i + 1) * part),
            np.zeros((part, 2), np.int64),
            np.array([0, part]),
        )
        for i in range(4)
    ]
    return EncoderStates(reads, vectors.astype(np.float16), inside)


def test_a_quadratic_is_minimised_exactly() -> None:
    draw = np.random.default_rng(1)
    root = draw.normal(size=(8, 8))
    matrix, wanted = root @ root.T + np.eye(8), draw.normal(size=8)

    def loss(place: Doubles) -> tuple[float, Doubles]:
        away = place - wanted
        return 0.5 * float(away @ matrix @ away), matrix @ away

    assert minimise(loss, np.zeros(8)) == pytest.approx(wanted, abs=1e-3)


def test_the_law_behind_the_tokens_is_learned() -> None:
    strength = Strength(1.0, 1e-5)
    head = fit_heads(Rows.of(states(20_000), range(4), 0), [strength])[strength]
    assert head.weight == pytest.approx([1.5, -1, 0, 0, 0, 0], abs=0.1)
    assert head.bias == pytest.approx(-2, abs=0.15)


def test_at_the_minimum_the_gradient_vanishes() -> None:
    made, strength = states(), Strength(3.0, 1e-2)
    rows = Rows.of(made, range(4), 0)
    head = fit_heads(rows, [strength])[strength]
    vectors = made.vectors.astype(np.float32)
    shares: Floats = np.where(made.inside, 3.0, 1.0).astype(np.float32)
    shares /= shares.sum()
    error = shares * (sigmoid(head.logits(vectors)) - made.inside)
    scaled = (vectors - vectors.mean(0)) / vectors.std(0)
    gradient = error @ scaled + 1e-2 * head.weight * vectors.std(0)
    assert np.abs(gradient).max() < 1e-3
    assert abs(error.sum()) < 1e-3


def test_a_stronger_ridge_holds_the_weights_back() -> None:
    weak, strong = Strength(1.0, 1e-4), Strength(1.0, 1.0)
    heavy = Strength(5.0, 1e-4)
    heads = fit_heads(Rows.of(states(), range(4), 0), [weak, strong, heavy])
    assert np.abs(heads[strong].weight).sum() < 0.5 * np.abs(heads[weak].weight).sum()
    vectors = states().vectors
    assert heads[heavy].logits(vectors).mean() > heads[weak].logits(vectors).mean()


def test_only_chosen_examples_are_learned_from() -> None:
    made = states()
    spoilt = states()
    spoilt.vectors[made.reads[3].place] = 100
    one, other = (Rows.of(some, [0, 1, 2], 0) for some in (made, spoilt))
    assert np.array_equal(one.vectors, other.vectors)
    assert len(one.inside) == 3000


def test_too_many_tokens_are_sampled() -> None:
    made = states(4 * MOST_TOKENS)
    rows = Rows.of(made, range(4), 0)
    assert (~rows.inside).sum() == MOST_TOKENS
    assert rows.shares[rows.inside].sum() == pytest.approx(made.inside.sum(), rel=1e-3)
    assert rows.shares[~rows.inside].sum() == pytest.approx((~made.inside).sum(), rel=1e-3)
