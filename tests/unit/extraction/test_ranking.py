"""Who wins among overlapping candidates, and what the losers keep."""

import numpy as np
import pytest

from services.extraction.candidates import SOURCES, Candidates
from services.extraction.ranking import LEAST, RIVAL_COLUMNS, Ranking, contest


def candidates(*spans: tuple[int, int, int]) -> Candidates:
    """Return candidates of these labels, first and end tokens."""
    label, first, end = np.array(spans).T
    zero = np.zeros(len(spans), np.int64)
    return Candidates(label, first, end, zero, zero, np.zeros((len(spans), SOURCES), bool))


FOUND = candidates((0, 0, 10), (0, 5, 15), (0, 20, 30), (0, 8, 22), (1, 0, 10), (0, 12, 14))
SCORES = np.array([0.9, 0.5, 0.8, 0.4, 0.3, LEAST], np.float32)


def test_the_best_win_and_what_overlaps_them_loses() -> None:
    """A label's winners never overlap; other labels don't matter, nor do hopeless candidates."""
    result = contest(FOUND, SCORES)
    assert result.winners.tolist() == [True, False, True, False, True, False]
    assert result.losers.tolist() == [1, 3]
    assert result.order.tolist() == [0, 2, 1, 3, 4]


def test_a_loser_is_described_by_those_who_beat_it() -> None:
    """The numbers of the second forest, worked out by hand."""
    one, two = (dict(zip(RIVAL_COLUMNS, row, strict=True)) for row in contest(FOUND, SCORES).rows)
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


def test_equal_scores_are_decided_by_place() -> None:
    """The result doesn't depend on the order in which equal scores are sorted."""
    twins = candidates((0, 3, 9), (0, 0, 5))
    assert contest(twins, np.array([0.5, 0.5], np.float32)).winners.tolist() == [False, True]


def test_losers_get_a_share_of_their_second_score() -> None:
    """Winners keep the first forest's score, losers a share of what the second says."""
    asked = []

    def second(rows: np.ndarray) -> np.ndarray:
        asked.append(rows.shape)
        return np.array([0.6, 0.2], np.float32)

    ranking = Ranking(lambda rows: SCORES.copy(), second, 0.5)
    scores = ranking.scores(FOUND, np.zeros((6, 4), np.float32))
    assert scores == pytest.approx([0.9, 0.3, 0.8, 0.1, 0.3, LEAST])
    assert asked == [(2, 4 + len(RIVAL_COLUMNS))]


def test_without_losers_the_second_forest_is_not_asked() -> None:
    """An empty question would be an error in some runtimes."""

    def second(_: np.ndarray) -> np.ndarray:
        pytest.fail("asked about nobody")

    ranking = Ranking(lambda rows: rows[:, 0], second, 0.5)
    alone = candidates((0, 0, 5), (1, 0, 5))
    assert ranking.scores(alone, np.full((2, 1), 0.7, np.float32)) == pytest.approx([0.7, 0.7])
