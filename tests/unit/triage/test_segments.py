"""Pieces in a row, read in stretches, one label each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.triage.concepts.segments import (
    LONGEST,
    SegmentModel,
    Segments,
    segment_windows,
    softmax,
    tokenise_lines,
)
from shared.inference.adapters import AdapterManifest
from shared.inference.tokeniser import CLS, SEP

Ids = NDArray[np.int64]


def row_of(*lengths: int) -> Segments:
    """Pieces of so many tokens, which are counted from 1000 on."""
    ids = np.arange(1000, 1000 + sum(lengths))
    return Segments.of(np.split(ids, np.cumsum(lengths)[:-1]))


def manifest(length: int, stride: int) -> AdapterManifest:
    given: dict[str, Any] = {"parameters": {}, "labels": ("odd", "even"), "licence": "ours"}
    given |= {"window_length": length, "window_stride": stride}
    return AdapterManifest(1, "lines", "1.0.0", "0", "0", 4, **given)


def parity(_outputs: list[str], ids: Ids) -> list[NDArray[np.float32]]:
    """A token says `even` by 1 if it is, `odd` if not; the ends of a window say nonsense."""
    assert ids[0, 0] == CLS
    assert ids[0, -1] == SEP
    logits = np.stack([ids % 2 == 1, ids % 2 == 0], -1).astype(np.float32)
    logits[:, [0, -1]] = 99
    return [logits]


@pytest.mark.parametrize("lengths", [(3,), (3, 1, 4, 1, 5), (9, 2, 6), (5,) * 40, (30, 1, 30)])
@pytest.mark.parametrize("apart", [1, 5, 10])
def test_stretches_cover_every_piece_and_stay_short(lengths: tuple[int, ...], apart: int) -> None:
    pieces = row_of(*lengths)
    found = list(segment_windows(pieces, 10, apart))
    assert {n for first, last in found for n in range(first, last)} == set(range(len(lengths)))
    assert found[0][0] == 0
    assert found[-1][1] == len(lengths)
    for first, last in found:
        tokens = int(pieces.ends[last - 1]) - pieces.start(first)
        assert tokens <= 10 or last == first + 1
    assert [first for first, _ in found] == sorted({first for first, _ in found})


def test_no_pieces_have_no_stretch() -> None:
    assert list(segment_windows(Segments.of([]), 10, 5)) == []


def test_a_piece_is_the_mean_of_its_tokens() -> None:
    reader = SegmentModel(manifest(66, 32), lambda text: np.zeros(len(text), np.int64), parity)
    logits = reader.logits(row_of(3, 1, 2))
    assert logits == pytest.approx(np.array([[1 / 3, 2 / 3], [1, 0], [0.5, 0.5]]))
    assert reader.labels == ("odd", "even")


def test_overlapping_windows_agree_with_one() -> None:
    pieces = row_of(2, 3, 4, 2, 5, 1, 3)
    whole = SegmentModel(manifest(66, 32), lambda _: pieces.ids, parity).logits(pieces)
    apart = SegmentModel(manifest(12, 4), lambda _: pieces.ids, parity).logits(pieces)
    assert apart == pytest.approx(whole)


def test_the_window_in_which_a_piece_is_farther_from_an_edge_has_more_say() -> None:
    def number(_outputs: list[str], ids: Ids) -> list[NDArray[np.float32]]:
        logit = float(ids[0, 1] != 1000)  # the second window says 1 of everything
        return [np.full((*ids.shape, 2), logit, np.float32)]

    pieces = row_of(3, 3, 3, 3)
    reader = SegmentModel(manifest(11, 2), lambda _: pieces.ids, number)
    assert reader.logits(pieces)[:, 0] == pytest.approx(np.array([0, 0.2, 0.8, 1]))


def test_a_piece_that_is_too_long_is_cut() -> None:
    reader = SegmentModel(manifest(6, 2), lambda text: np.zeros(len(text), np.int64), parity)
    logits = reader.logits(row_of(9, 2))
    assert logits == pytest.approx(np.array([[0.5, 0.5], [0.5, 0.5]]))


def test_shares_are_one_in_sum() -> None:
    shares = softmax(np.array([[1000.0, 1000.0], [0.0, -1000.0]], np.float32))
    assert shares == pytest.approx(np.array([[0.5, 0.5], [1, 0]]))


def test_lines_are_written_in_their_order_each_closed_by_its_statement() -> None:
    def cut(text: str) -> Ids:
        return np.array([9]) if text == "cash" else np.full(len(text), 1)

    pieces = tokenise_lines("cash_flow", ["ab", "", "c" * 500], cut)
    assert pieces.ids[:4].tolist() == [1, 1, 9, 9]
    assert pieces.ends.tolist() == [3, 4, 4 + LONGEST]
    assert pieces.ids[-1] == 9
