"""From token scores to candidates: sentences, runs, merging, trimming, ranking."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from services.extraction.pipeline.decoding import Decoding, decode, sentences
from shared.inference import TokenScores

LABELS = ["Parties", "Insurance"]


def cut(text: str, skip: tuple[tuple[int, int], ...] = ()) -> list[str]:
    return [text[start:end] for start, end in sentences(text, skip)]


def scored(text: str, label: int, **probability: float) -> TokenScores:
    words = list(re.finditer(r"\w+|[^\w\s]", text))
    values = np.full((len(words), len(LABELS)), 0.01, np.float32)
    for i, word in enumerate(words):
        values[i, label] = probability.get(word.group(), 0.01)
    return TokenScores(np.array([word.span() for word in words], np.int64), values)


def proposed(text: str, scores: TokenScores, label: int, **settings: float) -> dict[str, float]:
    chosen = Decoding.of({"floor": 0.02, "loser": 0.0} | settings)
    found = decode(text, scores, LABELS, chosen)
    return {text[c.start : c.end]: c.score for c in found if c.label == label}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One two. Three; four: five.", ["One two.", "Three;", "four:", "five."]),
        ("Acme Inc. and J. Smith sell. They do.", ["Acme Inc. and J. Smith sell.", "They do."]),
        ("See No. 5 and Section 1.2 of it. Yes.", ["See No. 5 and Section 1.2 of it.", "Yes."]),
        ("1. Term. It runs.", ["1. Term.", "It runs."]),
        ("It ends on May 5. Then nothing.", ["It ends on May 5.", "Then nothing."]),
        ("HEADING\n\nbody goes\non here", ["HEADING", "body goes\non here"]),
        ("items:\n(a) red\n(b) blue", ["items:", "(a) red", "(b) blue"]),
        ("shall (i) pay and (ii) go", ["shall", "(i) pay and", "(ii) go"]),
        ('He said "stop." Then left.', ['He said "stop."', "Then left."]),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


def test_a_running_header_does_not_end_a_sentence() -> None:
    text = "The seller shall\n\nPage 3. of 9\n\ninsure the goods. End."
    start = text.index("Page")
    assert cut(text)[:2] == ["The seller shall", "Page 3."]
    assert cut(text, ((start, start + 12),)) == [text[: text.index(" End")], "End."]


@pytest.mark.parametrize("skip", [((0, 3),), ((2, 5), (4, 9)), ((8, 8),), ((3, 12), (12, 20))])
def test_skipping_moves_no_offset(skip: tuple[tuple[int, int], ...]) -> None:
    text = "a b.  c d\n\ne f. g h"
    spans = sentences(text, skip)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    assert not any(text[s].isspace() or text[e - 1].isspace() for s, e in spans)


def test_a_clause_is_its_sentence() -> None:
    text = "Nothing here. Seller keeps insurance. Nothing there."
    scores = scored(text, 1, Seller=0.6, keeps=0.9, insurance=0.9)
    found = proposed(text, scores, 1)
    assert list(found) == ["Seller keeps insurance"]  # the stop is unlikely, so it is trimmed
    assert found["Seller keeps insurance"] == pytest.approx((0.6 + 0.9 + 0.9 + 0.01) / 4)


def test_neighbours_join_when_both_are_sure() -> None:
    text = "aa aa. bb bb. cc cc."
    scores = scored(text, 1, aa=0.9, bb=0.8, cc=0.3)
    assert list(proposed(text, scores, 1)) == ["aa aa. bb bb", "cc cc"]
    assert list(proposed(text, scores, 1, merge=0.95)) == ["aa aa", "bb bb", "cc cc"]


def test_joined_parts_are_kept_alone_at_a_fraction() -> None:
    text = "aa aa. bb bb."
    scores = scored(text, 1, aa=0.9, bb=0.8)
    found = proposed(text, scores, 1, loser=0.2)
    assert set(found) == {"aa aa. bb bb", "aa aa", "bb bb"}
    assert found["aa aa"] == pytest.approx(0.2 * (0.9 + 0.9 + 0.01) / 3)
    assert max(found, key=lambda name: found[name]) == "aa aa. bb bb"


def test_an_entity_is_a_run_of_tokens() -> None:
    text = "Made by Acme Corp and Bolt Ltd today."
    scores = scored(text, 0, Acme=0.9, Corp=0.8, Bolt=0.7, Ltd=0.6)
    found = proposed(text, scores, 0)
    assert list(found) == ["Acme Corp", "Bolt Ltd"]
    assert found["Acme Corp"] == pytest.approx(0.85)


def test_a_run_is_cut_at_a_share_of_its_best() -> None:
    text = "Acme Corp thing"
    scores = scored(text, 0, Acme=0.9, Corp=0.8, thing=0.2)
    assert list(proposed(text, scores, 0)) == ["Acme Corp"]
    assert list(proposed(text, scores, 0, cut=0.1)) == ["Acme Corp thing"]


def test_nothing_likely_is_nothing_proposed() -> None:
    text = "aa bb. cc dd."
    assert decode(text, scored(text, 1), LABELS, Decoding.of({"floor": 0.05})) == []
    empty = TokenScores(np.zeros((0, 2), np.int64), np.zeros((0, 2), np.float32))
    assert decode("", empty, LABELS, Decoding()) == []


def test_scores_are_probabilities_and_spans_are_ordered() -> None:
    draw = np.random.default_rng(1)
    text = " ".join(draw.choice(["aa", "bb.", "cc;", "dd\n\n"], size=400))
    words = list(re.finditer(r"\S+", text))
    values = draw.beta(0.2, 1.0, (len(words), 2)).clip(1e-6, 1 - 1e-6).astype(np.float32)
    scores = TokenScores(np.array([word.span() for word in words]), values)
    found = decode(text, scores, LABELS, Decoding())
    assert len(found) > 50
    assert all(0 <= c.start < c.end <= len(text) and 0 < c.score < 1 for c in found)
    assert [c.start for c in found] == sorted(c.start for c in found)
