"""Features of candidates, on cases calculated by hand."""

import re

import numpy as np
import pytest

from services.extraction.pipeline.candidates import SOURCES, Candidates
from services.extraction.pipeline.decoding import Candidate
from services.extraction.pipeline.features import DECODED, GROUPS, MARKS, WORDS, Passage, describe

TEXT = "Aa 22 cc. Dd ee ff."
OFFSETS = np.array([[0, 2], [3, 5], [6, 8], [8, 9], [10, 12], [13, 15], [16, 18], [18, 19]])
CUTS = np.array([0, 4, 8])
P = np.zeros((8, 2), np.float32)
P[:, 0] = [0.1, 0.8, 0.6, 0.1, 0.0, 0.3, 0.0, 0.0]
P[:, 1] = [0.0, 0.0, 0.2, 0.0, 0.9, 0.9, 0.9, 0.9]


def candidates(*spans: tuple[int, int, int]) -> Candidates:
    label, first, end = np.array(spans).T
    return Candidates(
        label,
        first,
        end,
        np.searchsorted(CUTS, first, side="right") - 1,
        np.searchsorted(CUTS, end - 1, side="right"),
        np.zeros((len(spans), SOURCES), bool),
    )


@pytest.fixture(scope="module")
def table() -> dict[str, np.ndarray]:
    columns, rows = describe(
        Passage(TEXT, OFFSETS, P, CUTS), candidates((0, 1, 3), (1, 4, 8), (0, 0, 8))
    )
    assert rows.shape == (3, len(columns))
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert len(set(columns)) == len(columns)
    return dict(zip(columns, rows.T, strict=True))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("label", [0, 1, 0]),
        ("mean", [0.7, 0.9, 1.9 / 8]),
        ("mean_logit", [np.log(0.7 / 0.3), np.log(9), np.log(1.9 / 6.1)]),
        ("highest", [0.8, 0.9, 0.8]),
        ("lowest", [0.6, 0.9, 0.0]),
        ("sure", [1, 1, 0.25]),
        ("just_before", [0.1, 0, 0]),
        ("just_after", [0.1, 0, 0]),
        ("near_after", [0.4 / 5, 0, 0]),
        ("first_tokens", [0.7, 0.9, 0.5]),
        ("lowest_sentence", [0.4, 0.9, 0.075]),
        ("highest_sentence", [0.4, 0.9, 0.4]),
        ("sentence_before", [0, 0.05, 0]),
        ("sentence_after", [0.075, 0, 0]),
        ("share_of_all", [1.4 / 1.9, 3.6 / 3.8, 1]),
        ("share_of_best", [1, 1, 1.9 / 8 / 0.7]),
        ("better_sentences", [0, 0, 0]),
        ("possible_sentences", [1, 1, 1]),
        ("rank_0", [0.4, 0.9, 0.4]),
        ("rank_1", [0.075, 0.05, 0.075]),
        ("rank_3", [0, 0, 0]),
        ("log_tokens", np.log([2, 4, 8])),
        ("sentences", [1, 1, 2]),
        ("place", [3 / 19, 10 / 19, 0]),
        ("tokens_after", [5, 0, 0]),
        ("opens_sentence", [0, 1, 1]),
        ("closes_sentence", [0, 1, 1]),
        ("opens_with_capital", [0, 1, 1]),
        ("opens_with_number", [1, 0, 0]),
        ("closes_with_stop", [0, 1, 1]),
        ("before_stop", [1, 0, 0]),
        ("word_number", [0.5, 0, 1 / 8]),
        ("ahead_capital", [1, 1, 0]),
        ("best_other", [0.1, 0.075, 3.8 / 8]),
        ("which_other", [1, 0, 1]),
        ("mean_1", [0.1, 0.9, 3.8 / 8]),
        ("highest_0", [0.8, 0.8, 0.8]),
    ],
)
def test_a_column(table: dict[str, np.ndarray], name: str, expected: list[float]) -> None:
    assert table[name] == pytest.approx(expected, abs=1e-6)


def test_edges_are_features_where_the_specialist_has_them() -> None:
    openings, closings = np.zeros_like(P), np.zeros_like(P)
    openings[:, 0] = [0.1, 0.2, 0.0, 0.0, 0.4, 0.0, 0.0, 0.0]
    closings[:, 0] = [0.0, 0.0, 0.5, 0.1, 0.0, 0.0, 0.0, 0.3]
    passage = Passage(TEXT, OFFSETS, P, CUTS, openings, closings)
    columns, rows = describe(passage, candidates((0, 1, 3), (0, 0, 8)))
    table = dict(zip(columns, rows.T, strict=True))
    assert table["opening_here"] == pytest.approx([0.2, 0.1])
    assert table["opening_within_1"] == pytest.approx([0.3, 0.3])
    assert table["opening_within_3"] == pytest.approx([0.7, 0.3])
    assert table["opening_inside"] == pytest.approx([0.2, 0.7])
    assert table["closing_here"] == pytest.approx([0.5, 0.3])
    assert table["closing_within_1"] == pytest.approx([0.6, 0.3])
    assert table["closing_inside"] == pytest.approx([0.5, 0.9])


def test_plain_decoding_is_a_feature() -> None:
    decoded = [Candidate(0, 3, 8, 0.6), Candidate(0, 10, 19, 0.2), Candidate(1, 0, 2, 0.9)]
    passage = Passage(TEXT, OFFSETS, P, CUTS, decoded=decoded)
    found = candidates((0, 1, 3), (0, 1, 4), (0, 0, 8), (1, 4, 8))
    columns, rows = describe(passage, found)
    table = dict(zip(columns, rows.T, strict=True))
    assert table["decoded_overlap"] == pytest.approx([1, 5 / 6, 9 / 19, 0])
    assert table["decoded_same"] == pytest.approx([0.6, 0, 0, 0])
    assert table["decoded_score"] == pytest.approx([0.6, 0.6, 0.2, 0])
    assert table["decoded_half"] == pytest.approx([0.6, 0.6, 0, 0])
    assert table["decoded_better"] == pytest.approx([0, 0, 1, 1])


@pytest.mark.parametrize("seed", range(4))
def test_plain_decoding_of_many_equals_that_of_each(seed: int) -> None:
    draw = np.random.default_rng(seed)
    decoded = []
    for _ in range(int(draw.integers(0, 12))):
        start, label = int(draw.integers(0, 17)), int(draw.integers(0, 2))
        end = int(draw.integers(start + 1, 20))
        decoded.append(Candidate(label, start, end, float(draw.choice([0.1, 0.2, 0.7]))))
    spans = [(c, a, b) for c in range(2) for a in range(8) for b in range(a + 1, 9)]
    columns, rows = describe(Passage(TEXT, OFFSETS, P, CUTS, decoded=decoded), candidates(*spans))
    table = dict(zip(columns, rows.T, strict=True))
    for place, (label, first, last) in enumerate(spans):
        start, end = OFFSETS[first, 0], OFFSETS[last - 1, 1]
        shares = [
            (
                max(min(d.end, end) - max(d.start, start), 0)
                / (max(d.end, end) - min(d.start, start)),
                d.score,
            )
            for d in decoded
            if d.label == label
        ]
        share, score = max((pair for pair in shares if pair[0] > 0), default=(0.0, 0.0))
        expected = [
            share,
            score if share >= 1 else 0,
            score,
            max((known for overlap, known in shares if overlap > 0.5), default=0),
            sum(known > score for _, known in shares),
        ]
        assert [table[name][place] for name in DECODED] == pytest.approx(expected)


def test_words_are_counted_token_by_token() -> None:
    text = "Buyer SHALL\npay $5,\n\nif not"
    offsets = np.array([(m.start(), m.end()) for m in re.finditer(r"\w+|[^\w\s]", text)])
    sums = Passage(text, offsets, np.zeros((len(offsets), 1), np.float32), np.array([0])).words
    each = dict(zip((*MARKS, *WORDS), np.diff(sums, axis=0).T.tolist(), strict=True))
    assert each["shall"] == [0, 1, 0, 0, 0, 0, 0, 0]
    assert each["$"] == [0, 0, 0, 1, 0, 0, 0, 0]
    assert each["if"] == [0, 0, 0, 0, 0, 0, 1, 0]
    assert each["not"] == [0, 0, 0, 0, 0, 0, 0, 1]
    assert each["number"] == [0, 0, 0, 0, 1, 0, 0, 0]
    assert each["capital"] == [1, 1, 0, 0, 0, 0, 0, 0]
    assert each["line"] == [0, 0, 1, 0, 0, 0, 1, 0]
    assert each["stop"] == [0, 0, 0, 0, 0, 1, 0, 0]
    assert sums[-1].sum() == 10


def test_no_two_groups_give_one_name(table: dict[str, np.ndarray]) -> None:
    passage, found = Passage(TEXT, OFFSETS, P, CUTS), candidates((0, 1, 3))
    assert 1 + sum(len(group(passage, found)) for group in GROUPS) == len(table)


def test_a_contract_without_candidates_has_the_same_columns(table: dict[str, np.ndarray]) -> None:
    none = candidates((0, 1, 3))
    none = Candidates(*(getattr(none, name)[:0] for name in none.__dataclass_fields__))
    columns, rows = describe(Passage(TEXT, OFFSETS, P, CUTS), none)
    assert columns == tuple(table)
    assert rows.shape == (0, len(columns))
