"""Operations on many intervals, compared with a loop over them."""

from __future__ import annotations

import numpy as np
import pytest

from services.extraction.pipeline import intervals
from services.extraction.pipeline.intervals import cut, highest, means, runs, runs_above


def values(seed: int, count: int = 400) -> np.ndarray:
    return (np.random.default_rng(seed).random(count) ** 4).astype(np.float32)


def some(seed: int, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    first = draw.integers(0, count, 60)
    return first, np.minimum(first + draw.integers(1, 150, 60), count)


@pytest.mark.parametrize(
    ("flags", "expected"), [("", []), ("...", []), ("##.#", [(0, 2), (3, 4)]), (".##", [(1, 3)])]
)
def test_runs(flags: str, expected: list[tuple[int, int]]) -> None:
    first, end = runs(np.array([flag == "#" for flag in flags], bool))
    assert list(zip(first.tolist(), end.tolist(), strict=True)) == expected


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6])
def test_a_run_keeps_what_reaches_a_share_of_its_best(share: float) -> None:
    probabilities = values(1)
    first, end = runs_above(probabilities, 0.02, share)
    expected = []
    for a, b in zip(*runs(probabilities > 0.02), strict=True):
        inside = probabilities[a:b]
        starts, stops = runs(inside >= share * inside.max())
        expected += list(zip(starts + a, stops + a, strict=True))
    assert list(zip(first, end, strict=True)) == expected
    assert len(runs_above(probabilities, 2.0, share)[0]) == 0


def test_means_and_highest_values_are_those_of_each_alone() -> None:
    probabilities, (first, end) = values(2), some(3)
    alone = [probabilities[a:b] for a, b in zip(first, end, strict=True)]
    assert means(probabilities, first, end).tolist() == [float(one.mean()) for one in alone]
    assert highest(probabilities, first, end).tolist() == [float(one.max()) for one in alone]


@pytest.mark.parametrize("at_once", [intervals.AT_ONCE, 200, 1])
def test_ends_are_cut_stretch_by_stretch(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "AT_ONCE", at_once)
    probabilities, (first, end) = values(4), some(5)
    least = np.float32(0.3) * highest(probabilities, first, end)
    expected = []
    for a, b, floor in zip(first, end, least, strict=True):
        kept = np.flatnonzero(probabilities[a:b] >= floor)
        expected.append((a + kept[0], a + kept[-1] + 1))
    assert list(zip(*cut(probabilities, first, end, least), strict=True)) == expected


def test_no_stretches_at_all() -> None:
    none, probabilities = np.array([], np.int64), values(6)
    assert means(probabilities, none, none).shape == (0,)
    assert highest(probabilities, none, none).shape == (0,)
    assert [len(part) for part in cut(probabilities, none, none, values(0, 0))] == [0, 0]
