"""Comparison of two readers: counts by the legal metric, and intervals."""

from __future__ import annotations

from services.extraction.categories import definitions_of, known_definitions
from services.extraction.evaluation.comparison import LabelledDocuments, compare, score
from shared.categories import CATEGORIES

NAMES = ["Governing Law", "Parties"]
LAW = "the laws of Delaware govern"
ANSWERS = [{"Governing Law": [LAW], "Parties": ["Acme Inc."]}, {"Governing Law": [LAW]}, {}]


def test_counts_are_those_of_the_metric() -> None:
    labelled = LabelledDocuments(NAMES, ANSWERS, ["a", "b", "c"])
    found = [
        {"Governing Law": [("the laws of Delaware govern it", 1.0)]},
        {"Governing Law": [("something else altogether", 1.0)]},
        {"Parties": [("Nobody", 1.0)]},
    ]
    ours = score(labelled, [{"Governing Law": [(LAW, 0.9)]}, {"Governing Law": [(LAW, 0.8)]}, {}])
    result = compare(labelled, ours, score(labelled, found), [{}, {}, {}])
    assert (result["answers"], result["groups"]) == (3, 3)
    assert (result["ours"]["found"], result["ours"]["wrong"]) == (2, 0)
    assert (result["theirs"]["found"], result["theirs"]["wrong"]) == (1, 2)
    assert result["ours"]["precision"]["value"] == 1.0
    assert result["theirs"]["recall"]["value"] == 1 / 3
    assert result["theirs"]["false_alarms"]["value"] == 2 / 3
    assert result["difference"]["recall"]["value"] == 1 / 3
    by = {line["category"]: line for line in result["categories"]}
    assert by["Parties"]["answers"] == 1
    assert by["Parties"]["theirs"] == {"found": 0, "wrong": 1}


def test_intervals_hold_the_value_and_are_by_group() -> None:

    def spread(documents: int, groups: int) -> float:
        answers = [{"Governing Law": [LAW]} for _ in range(documents)]
        read = [{"Governing Law": [(LAW if i % 3 else "no", 1.0)]} for i in range(documents)]
        labelled = LabelledDocuments(NAMES, answers, [str(i % groups) for i in range(documents)])
        ours = score(labelled, read)
        one = compare(labelled, ours, ours, read)["ours"]["recall"]
        assert one["low"] <= one["value"] <= one["high"]
        return float(one["high"] - one["low"])

    assert spread(30, 1) == 0
    assert 0 < spread(300, 300) < spread(30, 30)


def test_the_same_reader_differs_by_nothing() -> None:
    labelled = LabelledDocuments(NAMES, ANSWERS, ["a", "b", "c"])
    one = score(labelled, [{"Governing Law": [(LAW, 1.0)]}, {}, {"Parties": [("Nobody", 1.0)]}])
    difference = compare(labelled, one, one, [{}, {}, {}])["difference"]
    assert all(value == 0 for figure in difference.values() for value in figure.values())


def test_the_precision_at_their_recall_is_read_off_the_whole_curve() -> None:
    """The other reader finds two of two; ours does at 0.2, with one of three wrong."""
    labelled = LabelledDocuments(
        NAMES, [{"Governing Law": [LAW]}, {"Governing Law": [LAW]}], ["a", "b"]
    )
    every = [
        {"Governing Law": [(LAW, 0.9)], "Parties": [("Nobody", 0.5)]},
        {"Governing Law": [(LAW, 0.2)]},
    ]
    theirs = score(labelled, [{"Governing Law": [(LAW, 1.0)]}] * 2)
    ours = score(labelled, [{"Governing Law": [(LAW, 0.9)]}, {}])
    assert compare(labelled, ours, theirs, every)["at_their_recall"]["value"] == 2 / 3
    assert compare(labelled, ours, theirs, [*every[:1], {}])["at_their_recall"]["value"] == 0


def test_every_category_has_a_definition() -> None:
    assert set(CATEGORIES) <= set(known_definitions())
    assert all(len(text) > 10 for text in known_definitions().values())
    asked = definitions_of(["Parties", "Insurance", "data-retention"], {"Parties": "Who?"})
    assert asked["Parties"] == "Who?"
    assert asked["Insurance"] == known_definitions()["Insurance"]
    assert asked["data-retention"] == "data-retention"
