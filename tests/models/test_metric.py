"""The legal metric, on examples worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from services.extraction.evaluation.metric import THRESHOLDS, Counts, Curve, count, matches


def at(threshold: float) -> int:
    """Return the place of a threshold in the grid."""
    return int(np.flatnonzero(np.isclose(THRESHOLDS, threshold))[0])


def test_words_are_compared_without_stops_and_case() -> None:
    assert matches("Insurance", "AND/OR, the Policy.", "and or the policy")


@pytest.mark.parametrize(
    ("prediction", "matched"),
    [("a b c", True), ("a b x y", False), ("a b c d e f g", False), ("a b c d e f", True)],
)
def test_half_of_the_joint_words_must_agree(prediction: str, matched: bool) -> None:
    """Against the answer `a b c` a Jaccard index of exactly 0.5 matches, less does not."""
    assert matches("Insurance", prediction, "a b c") is matched


def test_only_parties_match_by_containing_the_answer() -> None:
    long = "this agreement is made between Acme and somebody else entirely"
    assert matches("Parties", long, "Acme")
    assert not matches("Insurance", long, "Acme")


def test_answers_are_found_once_and_strays_are_false() -> None:
    counts = count("Insurance", [("a b", 0.9), ("a b c", 0.6), ("z", 0.7)], ["a b", "q"])
    assert counts[at(0.95)].tolist() == [0, 0]
    assert counts[at(0.8)].tolist() == [1, 0]
    assert counts[at(0.65)].tolist() == [1, 1]
    assert counts[at(0.0)].tolist() == [1, 1]


def test_a_confidence_must_lie_above_the_threshold() -> None:
    """A confidence of 0.5 does not count at the threshold 0.5, but at 0.49."""
    counts = count("Insurance", [("a", 0.5)], ["a"])
    assert counts[at(0.5)].tolist() == [0, 0]
    assert counts[at(0.49)].tolist() == [1, 0]


def test_the_same_text_twice_counts_with_its_later_confidence() -> None:
    counts = count("Insurance", [("z", 0.9), ("z", 0.2)], [])
    assert counts[at(0.5)].tolist() == [0, 0]
    assert counts[at(0.1)].tolist() == [0, 1]


def curve(*points: tuple[int, int], answers: int) -> Curve:
    """Make a curve of (found, wrong) at the first thresholds; the last point holds from there."""
    rows = [points[min(i, len(points) - 1)] for i in range(len(THRESHOLDS))]
    return Curve.of(np.array(rows, np.int64), answers)


def test_the_area_starts_at_recall_zero_and_precision_one() -> None:
    assert curve((2, 0), answers=4).aupr == pytest.approx(0.5)


def test_precision_is_raised_by_what_follows() -> None:
    """Worked by hand: (recall .25, precision .5) is raised to .75 by (recall .75, precision .75).

    Area: from (0, 1) to (.25, .75): .21875; from there to (.75, .75): .375.
    """
    made = curve((1, 1), (3, 1), answers=4)
    assert made.raised[0] == pytest.approx(0.75)
    assert made.aupr == pytest.approx(0.21875 + 0.375)


def test_precision_at_a_recall_that_is_never_reached_is_zero() -> None:
    """At 0.75 there is a precision, at 0.8 there is none."""
    made = curve((1, 1), (3, 1), answers=4)
    assert made.precision_at(0.75) == pytest.approx(0.75)
    assert made.precision_at(0.8) == 0.0


def test_f1_is_taken_from_the_precision_as_it_is() -> None:
    """Precision 1 at recall 1/4 and 3/8 at recall 3/4: F1 is 0.4 and 0.5, the second is best."""
    made = curve((1, 0), (3, 5), answers=4)
    assert made.best_f1 == pytest.approx(0.5)
    assert made.best_threshold == pytest.approx(THRESHOLDS[1])


def test_no_prediction_has_no_area() -> None:
    """Without a prediction precision is 1 by convention and the area is zero."""
    nothing: Counts = np.zeros((len(THRESHOLDS), 2), np.int64)
    assert Curve.of(nothing, 3).aupr == 0.0
