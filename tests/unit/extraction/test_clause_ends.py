"""Ends of clauses, and the lines of page breaks within."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.extraction.domain import add_evidence
from services.extraction.pipeline.clause_ends import (
    breaks_within,
    clean_ends,
    page_break_lines,
    pieces,
)
from services.extraction.pipeline.search import ClauseSpan, clean_clauses
from services.extraction.store import Extractions
from tests.unit.extraction.builders import ExtractionService, reading

LEGEND = "[***] Confidential treatment requested by Acme"
PAGE = "The seller delivers the goods on time. " * 30
FOOT = "\n\n{}\n\n" + LEGEND + "\n\n"
CONTRACT = "".join(f"{PAGE}{FOOT.format(number)}" for number in (1, 2, 4)) + PAGE


def cleaned(text: str, words: str, *, name: bool = False) -> str:
    start = text.index(words)
    first, last = clean_ends(text, start, start + len(words), page_break_lines(text), name=name)
    return text[first:last]


@pytest.mark.parametrize(
    ("text", "words", "clause"),
    [
        ("Sold by Power2Ship now", "by Power2", "by Power2Ship"),
        ("the franchisor pays.", "sor pays.", "franchisor pays."),
        ("It is Utah law. The parties submit to it.", "It is Utah law. The", "It is Utah law."),
        (
            "The seller pays on time. 12. Assignment. B may",
            "The seller pays on time. 12. Assignment.",
            "The seller pays on time.",
        ),
        (
            "The seller pays on time.\n\n8.4 Audits of A. B may",
            "The seller pays on time.\n\n8.4 Audits of A.",
            "The seller pays on time.",
        ),
        (
            "The seller pays on time. ARTICLE 9 TAXES\n\nB",
            "The seller pays on time. ARTICLE 9 TAXES",
            "The seller pays on time.",
        ),
        (
            "The seller pays on time. GENERAL\n\nB may",
            "The seller pays on time. GENERAL",
            "The seller pays on time.",
        ),
        ("A pays B; (b) B may", "A pays B; (b)", "A pays B;"),
        ("A pays B. B pays A.", "A pays B. B pays A.", "A pays B. B pays A."),
        ("A pays: (a) rent\n\nThe end", "A pays: (a) rent", "A pays: (a) rent"),
        ("A pays Acme Inc. daily, and", "A pays Acme Inc. daily", "A pays Acme Inc. daily"),
        ("A PAYS B. B PAYS", "A PAYS B. B PAYS", "A PAYS B. B PAYS"),
    ],
)
def test_a_clause_has_its_own_words(text: str, words: str, clause: str) -> None:
    assert cleaned(text, words) == clause


def test_a_name_is_only_completed() -> None:
    assert cleaned("Acme Co. The Sel", "Acme Co. The", name=True) == "Acme Co. The"
    assert cleaned("of Acme Ltdx.", "Acme Ltd", name=True) == "Acme Ltdx"


def test_page_numbers_and_legends_recur_a_page_apart() -> None:
    found = [CONTRACT[start:end] for start, end in page_break_lines(CONTRACT)]
    assert found == ["1", LEGEND, "2", LEGEND, "4", LEGEND]


@pytest.mark.parametrize(
    "lines",
    [
        ["1", "2", "3"],  # a table, or a list
        ["price per unit"] * 5,
        [PAGE, "7", PAGE, "2020", PAGE, "5", PAGE],  # numbers that do not rise
        [PAGE, "and either party", PAGE, "and either party", PAGE],  # twice
    ],
)
def test_other_lines_are_no_page_break(lines: list[str]) -> None:
    assert page_break_lines("\n\n".join(lines)) == []


def test_a_clause_over_a_page_omits_the_page_break() -> None:
    start, end = CONTRACT.index("goods on time. \n"), CONTRACT.index(LEGEND) + len(LEGEND) + 13
    clause = ClauseSpan("Pay", CONTRACT[start:end], start, end, 0.5)
    (found,) = clean_clauses(CONTRACT, [clause], (), ())
    assert [found.text[a - start : b - start] for a, b in found.omitted] == ["1", LEGEND]
    left = [CONTRACT[a:b].strip() for a, b in pieces(found.start, found.end, found.omitted)]
    assert left == ["goods on time.", "", "The seller"]


def test_a_page_break_at_an_end_is_cut() -> None:
    words = f"the goods on time. \n\n1\n\n{LEGEND}"
    assert cleaned(CONTRACT, words) == "the goods on time."
    assert cleaned(CONTRACT, f"1\n\n{LEGEND}\n\nThe seller") == "The seller"
    assert cleaned(CONTRACT, LEGEND) == LEGEND


def test_furniture_of_the_reader_is_omitted() -> None:
    text = "A pays\n\nHall Lease\n\nB."
    clause = ClauseSpan("Pay", text, 0, len(text), 0.5)
    (found,) = clean_clauses(text, [clause], [(6, 20)], ())
    assert found.omitted == ((6, 20),)


def test_equal_clauses_are_one_with_the_highest_confidence() -> None:
    text = "It is Utah law. The parties submit."
    spans = [(0, 15, 0.4), (0, 19, 0.7), (0, 15, 0.3)]
    found = clean_clauses(
        text, [ClauseSpan("Law", text[a:b], a, b, c) for a, b, c in spans], (), ()
    )
    assert [(clause.text, clause.confidence) for clause in found] == [("It is Utah law.", 0.7)]


def test_a_text_without_spaces_is_not_one_word() -> None:
    text = "\u4e2d" * 1000
    assert clean_ends(text, 500, 502, [], name=True) == (400, 602)


PARTS = st.sampled_from(
    [PAGE, "\n\n7\n\n", f"\n\n{LEGEND}\n\n", "8.2 Taxes.", "A. ", "end", " ", "\n"]
)


@given(st.lists(PARTS, min_size=1, max_size=12).map("".join), st.data())
def test_any_span_stays_a_span(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    breaks = page_break_lines(text)
    for name in (True, False):
        first, last = clean_ends(text, start, end, breaks, name=name)
        assert 0 <= first < last <= len(text)
        omitted = breaks_within(text, first, last, breaks)
        assert all(a <= b for a, b in pieces(first, last, omitted))


def test_omitted_parts_are_stored_and_have_no_boxes(extraction: ExtractionService) -> None:
    document = reading("The seller\n7\npays.")
    clause = ClauseSpan("Pay", document.text, 0, len(document.text), 0.5, ((11, 12),))
    owner = ("default", "doc_1", "contract-clauses")
    found = add_evidence([clause], owner, document.page_at, document.boxes_of)
    assert [box.y0 for box in found[0].boxes] == [0.0, 24.0]
    with extraction.service.store.write() as session:
        extractions = Extractions(session, "default")
        extractions.replace_clauses("doc_1", found)
        assert extractions.all_clauses("doc_1") == found
    assert found[0].to_json()["omitted"] == [{"start": 11, "end": 12}]
