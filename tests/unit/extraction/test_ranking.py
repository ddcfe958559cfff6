"""Competition of overlapping candidates, and the scores of winners and losers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.extraction.pipeline import ranking
from services.extraction.pipeline.candidates import SOURCES, Candidates
from services.extraction.pipeline.ranking import (
    MIN_SCORE,
    NO_WINNER_DISTANCE,
    PLACE_COLUMNS,
    RIVAL_COLUMNS,
    Ranking,
    RankingFeatures,
    chance_of_new,
    compete,
    duplicates,
    repeated_passages,
)

LETTERS = 2  # of a token and the space after it
TEXT = "abcdefghijklmnopqrstuvwxyzabcdef".replace("", " ").strip() + " "


def candidates(*spans: tuple[int, int, int], text: str = TEXT) -> RankingFeatures:
    label, first, end = np.array(spans).T
    zero = np.zeros(len(spans), np.int64)
    found = Candidates(label, first, end, zero, zero, np.zeros((len(spans), SOURCES), bool))
    places = np.column_stack([first * LETTERS, end * LETTERS - 1])
    return RankingFeatures(
        text, found, places, ("column",), np.zeros((len(spans), 1), np.float32), 32
    )


SEEN = candidates((0, 0, 10), (0, 5, 15), (0, 20, 30), (0, 8, 22), (1, 0, 10), (0, 12, 14))
SCORES = np.array([0.9, 0.5, 0.8, 0.4, 0.3, MIN_SCORE], np.float32)


def test_the_best_win_and_what_overlaps_them_loses() -> None:
    result = compete(SEEN, SCORES)
    assert result.winners.tolist() == [0, 2, 4]
    assert result.losers.tolist() == [1, 3]


def test_a_loser_is_described_by_its_winners() -> None:
    rows = compete(SEEN, SCORES).rivals
    one, two = (dict(zip(RIVAL_COLUMNS, row, strict=True)) for row in rows)
    assert one == pytest.approx(
        {
            "score": 0.5,
            "rival_score": 0.9,
            "share_of_rival_score": 0.5 / 0.9,
            "overlap": 5 / 15,
            "overlap_of_own": 0.5,
            "overlap_of_rivals": 0.5,
            "log_share_of_length": 0.0,
            "rivals": 1,
            "losers_before": 0,
            "start_in_rival": 0.5,
            "end_in_rival": 0.5,
        }
    )
    assert two["rivals"] == 2
    assert two["losers_before"] == 1
    assert two["overlap_of_own"] == pytest.approx(4 / 14)


def test_a_winner_is_described_by_better_ones() -> None:
    rows = compete(SEEN, SCORES).places
    first, second, other = (dict(zip(PLACE_COLUMNS, row, strict=True)) for row in rows)
    assert first["winners_before"] == other["winners_before"] == 0
    assert first["score_before"] == first["share_of_best_score"] == 1
    assert first["likeness"] == other["likeness"] == 0
    assert second == pytest.approx(
        {
            "score": 0.8,
            "winners_before": 1,
            "sum_before": 0.9,
            "best_score": 0.9,
            "score_before": 0.9,
            "share_of_best_score": 0.8 / 0.9,
            "distance": np.log(11),
            "likeness": 4 / 16,
            "score_of_like": 0.9,
            "share_of_like": 0.4,
            "share_of_own": 0.4,
        }
    )


def test_words_are_compared_with_those_of_the_best_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.linspace(0.9, 0.4, 6, dtype=np.float32)
    seen = candidates(*((0, at, at + 1) for at in range(6)), text="a b a c b c ")
    like = PLACE_COLUMNS.index("likeness")
    assert compete(seen, scores).places[:, like].tolist() == [0, 0, 1, 0, 1, 1]
    monkeypatch.setattr(ranking, "MAX_COMPARED", 2)
    assert compete(seen, scores).places[:, like].tolist() == [0, 0, 1, 0, 1, 0]


def test_equal_scores_are_decided_by_place() -> None:
    twins = candidates((0, 3, 9), (0, 0, 5))
    result = compete(twins, np.array([0.5, 0.5], np.float32))
    assert (result.winners.tolist(), result.losers.tolist()) == ([1], [0])


def test_a_score_is_the_probability_to_be_right_and_new() -> None:
    asked = []

    def of_winners(rows: np.ndarray) -> np.ndarray:
        asked.append(rows.shape)
        return np.array([1.0, 0.5, 0.0], np.float32)

    def of_losers(rows: np.ndarray) -> np.ndarray:
        asked.append(rows.shape)
        return np.array([0.6, 0.2], np.float32)

    scores = Ranking(lambda rows: SCORES.copy(), of_winners, of_losers).scores(SEEN)
    assert scores == pytest.approx([0.9, 0.6, 0.4 / 0.6, 0.2, 0, 0])
    assert asked == [(3, 1 + len(PLACE_COLUMNS)), (2, 1 + len(RIVAL_COLUMNS))]


def test_a_surely_right_candidate_is_scored_by_novelty() -> None:
    right, new = np.array([1, 1, 0], np.float32), np.array([0.3, 0, 0.5], np.float32)
    assert chance_of_new(right, new) == pytest.approx([1, 0, 0])


def test_without_losers_their_forest_is_not_asked() -> None:

    def nobody(_: np.ndarray) -> np.ndarray:
        pytest.fail("asked about nobody")

    alone = candidates((0, 0, 5), (1, 0, 5))
    right, new = np.array([0.7, 0.7], np.float32), np.array([1, 1], np.float32)
    ranking = Ranking(lambda rows: right, lambda rows: new, nobody)
    assert ranking.scores(alone) == pytest.approx([0.7, 0.7])
    nothing = Ranking(lambda rows: right * 0, nobody, nobody)
    assert nothing.scores(alone).tolist() == [0, 0]


def test_the_same_words_are_listed_once_for_each_label() -> None:
    text = "a B c d e A b\nf g ."
    spans = ((0, 0, 2), (0, 5, 7), (0, 2, 4), (1, 0, 2), (0, 7, 9), (0, 7, 10))
    seen = candidates(*spans, text=text)
    scores = np.array([0.4, 0.6, 0.4, 0.3, 0.2, 0.2], np.float32)
    assert duplicates(seen, scores).tolist() == [0, 5]
    assert duplicates(seen, np.zeros(6, np.float32)).tolist() == []


def test_a_passage_is_listed_in_every_place_where_it_stands() -> None:
    text = "a b c d a b c e a b C f"
    spans = [(label, first, first + 3) for label in (0, 1) for first in (0, 4, 8)]
    seen = candidates(*spans, (0, 1, 2), text=text)
    scores = np.array([0.4, 0, 0, 0.4, 0, 0, 0], np.float32)
    assert repeated_passages(seen, scores, {1}) == {1: pytest.approx(0.4)}
    assert repeated_passages(seen, scores * 0, set()) == {}


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 9), st.integers(10, 1000)),
        unique_by=lambda one: one[2],
    )
)
def test_overlaps_are_found_in_any_order(drawn: list[tuple[int, int, int]]) -> None:
    spans = [(first, first + length) for first, length, _ in drawn] or [(0, 1)]
    seen = candidates(*((0, *span) for span in spans), text=TEXT * 4)
    scores = np.array([score / 1000 for _, _, score in drawn] or [1], np.float32)
    result = compete(seen, scores)
    place = {name: i for i, name in enumerate(PLACE_COLUMNS)}
    winners: list[int] = []
    for winner, row in zip(result.winners.tolist(), result.places, strict=True):
        first, end = spans[winner]
        gaps = [max(spans[i][0] - end, first - spans[i][1]) for i in winners]
        assert all(gap >= 0 for gap in gaps)
        assert row[place["distance"]] == pytest.approx(
            np.log1p(min(gaps, default=NO_WINNER_DISTANCE))
        )
        winners.append(winner)
    for loser, row in zip(result.losers.tolist(), result.rivals, strict=True):
        first, end = spans[loser]
        sure = [i for i in winners if scores[i] >= scores[loser]]
        rivals = [i for i in sure if first < spans[i][1] and end > spans[i][0]]
        assert row[RIVAL_COLUMNS.index("rivals")] == len(rivals)
        assert row[RIVAL_COLUMNS.index("rival_score")] == scores[rivals[0]]
