"""The pipeline with the shipped specialist."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from copy import copy
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from services.cli.doctor_checks import check_adapter
from services.extraction.pipeline.decoding import Candidate
from services.extraction.pipeline.reranking import (
    WORDS_FILE,
    WordModel,
    read_word_model,
    write_word_model,
)
from services.extraction.pipeline.search import (
    ClauseSpan,
    calibrated,
    clauses_of,
    find_clauses,
    require_ranking,
    search,
)
from shared.inference import AdapterError, Specialist, Specialists, session, specialists
from shared.inference.specialists import Span, TokenScores
from tests import support

TEXT = """SUPPLY AGREEMENT

This Supply Agreement is made as of March 3, 2015 by and between Acme Corp., a Delaware
corporation ("Acme"), and Bolt Ltd. ("Bolt").

9. Governing Law. This Agreement shall be governed by and construed in accordance with the laws
of the State of New York, without regard to its conflict of laws principles.

10. Assignment. Neither party may assign this Agreement without the prior written consent of the
other party.
"""


@pytest.fixture(scope="module")
def specialist() -> Specialist:
    folder = support.artefacts()
    support.require(any(folder.glob("contract-clauses/*/manifest.json")), f"no adapter in {folder}")
    return Specialists(folder, threads=2).get("contract-clauses")


@pytest.fixture(scope="module")
def clauses(specialist: Specialist) -> list[ClauseSpan]:
    return find_clauses(TEXT, specialist)


def test_plain_clauses_are_found(clauses: list[ClauseSpan]) -> None:
    found = {clause.category: clause.text for clause in clauses}
    assert "New York" in found["Governing Law"]
    assert "may assign" in found["Anti-Assignment"]


def test_a_clause_is_the_documents_own_text(clauses: list[ClauseSpan]) -> None:
    assert all(clause.text == TEXT[clause.start : clause.end] for clause in clauses)
    assert [clause.start for clause in clauses] == sorted(clause.start for clause in clauses)


def test_every_label_is_answered_with_its_nearest_passage(specialist: Specialist) -> None:
    lines = {line.category: line for line in search(TEXT, specialist).presence}
    assert tuple(lines) == specialist.labels
    law, insurance = lines["Governing Law"], lines["Insurance"]
    assert law.probability > 0.5 > insurance.probability
    assert law.nearest
    assert "New York" in law.nearest.text
    assert insurance.nearest is None or insurance.nearest.confidence < 0.5


def test_tokens_and_quoted_tokens_are_counted(specialist: Specialist) -> None:
    found = search(TEXT, specialist)
    offsets = specialist.token_probabilities(TEXT).offsets.tolist()
    assert found.tokens == len(offsets) > 0
    assert found.quoted == sum(
        clause.start <= start < clause.end for clause in found.clauses for start, _ in offsets
    )
    nothing = search("", specialist)
    assert (nothing.tokens, nothing.quoted) == (0, 0)


def test_all_candidates_hold_the_default_ones(
    specialist: Specialist, clauses: list[ClauseSpan]
) -> None:
    everything = find_clauses(TEXT, specialist, all_candidates=True)
    assert set(clauses) < set(everything)
    assert all(0.001 < clause.confidence < 1 for clause in everything)


def test_a_page_break_does_not_break_a_clause(specialist: Specialist) -> None:
    header = "\n\nPage 7\n\n"
    cut = TEXT.index("of the State of New York")
    text = TEXT[:cut] + header + TEXT[cut:]
    start = text.index("Page 7")
    found = find_clauses(text, specialist, skip=[(start, start + len("Page 7"))])
    law = next(clause for clause in found if clause.category == "Governing Law")
    assert law.start < start < law.end
    assert law.text == text[law.start : law.end]


def test_a_long_contract_is_searched_in_parts(
    specialist: Specialist, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    score = Specialist.token_probabilities

    def counted(self: Specialist, text: str, skip: Sequence[Span] = ()) -> TokenScores:
        scores = score(self, text, skip)
        rows.append(len(scores.offsets))
        return scores

    monkeypatch.setattr(Specialist, "token_probabilities", counted)
    monkeypatch.setattr(specialists, "MOST_TOKENS", 300)
    monkeypatch.setattr(specialists, "LONGEST_LINE", 200)
    text = "\n".join(f"{TEXT}Page {number}\n" for number in range(1, 11))
    skip = [match.span() for match in re.finditer(r"Page \d+", text)]
    found = search(text, specialist, skip)
    assert len(rows) > 3
    assert max(rows) < 350
    assert found.tokens == sum(rows) == 10 * len(score(specialist, TEXT).offsets)
    assert all(clause.text == text[clause.start : clause.end] for clause in found.clauses)
    assert [clause.start for clause in found.clauses] == sorted(c.start for c in found.clauses)
    laws = [clause for clause in found.clauses if clause.category == "Governing Law"]
    assert [law.text.count("New York") for law in laws] == [1] * 10
    [law] = [line for line in found.presence if line.category == "Governing Law"]
    assert law.probability > 0.5


@pytest.mark.parametrize("text", ["", "\n \n", "x"])
def test_hardly_any_text_has_no_clauses(specialist: Specialist, text: str) -> None:
    assert find_clauses(text, specialist) == []


def test_calibration_interpolates_between_its_knots() -> None:
    calibration = {"scores": [0.2, 0.6], "confidences": [0.1, 0.5]}
    assert calibrated(0.4, calibration) == pytest.approx(0.3)
    assert calibrated(0.3, {}) == pytest.approx(0.3)
    assert 0 < calibrated(0.0, calibration) < calibrated(1.0, calibration) < 1


def test_a_manifest_keeps_the_ranking(specialist: Specialist) -> None:
    values = [
        calibrated(s, specialist.manifest.calibration) for s in np.linspace(0.001, 0.999, 999)
    ]
    assert all(a < b for a, b in itertools.pairwise(values))


@pytest.mark.parametrize(
    ("lacks", "message"),
    [
        ("words", r"has no words\.npz; install the release"),
        ("a label", r"no words\.npz of 41 labels \(it has 40\)"),
        ("places", r"no words\.npz of 41 labels"),
        ("a forest", "has no list; install the release"),
    ],
)
def test_a_ranking_that_is_not_whole_is_refused_before_the_first_document(
    specialist: Specialist, lacks: str, message: str
) -> None:
    weights = read_word_model(specialist.files[WORDS_FILE]).weights
    other = copy(specialist)
    if lacks == "a forest":
        other.forests = {key: one for key, one in specialist.forests.items() if key != "list"}
    elif lacks == "words":
        other.files = {}
    else:
        cut = weights[:-1] if lacks == "a label" else weights[:, :-1]
        other.files = {WORDS_FILE: write_word_model(WordModel(cut))}
    installed = cast("Specialists", SimpleNamespace(get=lambda _name: other))
    for refused in (
        lambda: require_ranking(other),
        lambda: check_adapter(installed, "contract-clauses"),
    ):
        with pytest.raises(AdapterError, match=rf"contract-clauses [\d.]+ .*{message}"):
            refused()
    require_ranking(specialist)
    other.forests = {}
    require_ranking(other)


@pytest.mark.parametrize(
    ("start", "words"), [(3, "We pay."), (4, "We pay."), (5, "We pay."), (6, "e pay.")]
)
def test_a_clause_does_not_begin_with_the_full_stop_before_it(start: int, words: str) -> None:
    text = "Yes. We pay."
    candidates = [Candidate(0, start, len(text), 0.5), Candidate(0, 3, 5, 0.5)]
    found, blank = clauses_of(text, candidates, ["Pay"], {})
    assert (found.text, found.start, found.end) == (words, text.index(words), len(text))
    assert blank.text == ". "


@pytest.mark.parametrize("threads", [2, 5])
def test_no_clause_moves_with_threads_or_batch(
    specialist: Specialist, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    text = "\n\n".join(f"{n}. {TEXT}" for n in range(12))
    expected = search(text, specialist, all_candidates=True)
    monkeypatch.setattr(specialists, "BATCH", threads)
    monkeypatch.setattr(session, "MANY_ROWS", 1)
    other = Specialists(support.artefacts(), threads).get(specialist.manifest.name)
    assert search(text, other, all_candidates=True) == expected
    assert len(expected.clauses) > 12
