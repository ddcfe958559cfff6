"""Values of whole contracts, and computed dates."""

from __future__ import annotations

import pytest

from services.extraction.values import CATEGORIES, ClauseContext, DocumentValue, document_values


def contract(*clauses: tuple[str, str]) -> dict[str, list[DocumentValue]]:
    located, at = [], 0
    for number, (category, text) in enumerate(clauses):
        located.append(ClauseContext(f"cl_{number}", category, 0.9, at, text))
        at += len(text) + 2
    lines: dict[str, list[DocumentValue]] = {category: [] for category in CATEGORIES}
    for line in document_values(located):
        lines[line.category].append(line)
    return lines


def test_every_category_has_a_line() -> None:
    lines = contract()
    assert all(len(own) == 1 for own in lines.values())
    assert {own[0].value.status for own in lines.values()} == {"not_stated"}
    assert all(own[0].clause_id is None for own in lines.values())


def test_the_end_of_a_term_is_computed_and_says_from_what() -> None:
    lines = contract(
        ("Effective Date", "effective as of February 29, 2012"),
        ("Expiration Date", "for an initial term of one (1) year from the Effective Date"),
    )
    (end,) = lines["Expiration Date"]
    assert (end.value.kind, end.value.value) == ("duration", "P1Y")
    assert (end.computed, end.computed_from) == ("2013-02-28", "cl_0")


def test_an_effective_date_may_refer_to_the_agreement_date() -> None:
    lines = contract(
        ("Agreement Date", "May 1, 2010"),
        ("Effective Date", "effective as of the date first above written"),
        ("Expiration Date", "for a period of 90 days"),
    )
    (begin,) = lines["Effective Date"]
    assert (begin.value.status, begin.computed, begin.computed_from) == (
        "not_stated",
        "2010-05-01",
        "cl_0",
    )
    assert lines["Expiration Date"][0].computed == "2010-07-30"


def test_a_term_from_an_event_has_no_computed_end() -> None:
    lines = contract(
        ("Effective Date", "May 1, 2010"),
        ("Expiration Date", "for two (2) years from the Launch Date"),
    )
    (end,) = lines["Expiration Date"]
    assert (end.value.value, end.computed) == ("P2Y", None)


def test_stated_values_come_before_redacted_ones() -> None:
    lines = contract(("Agreement Date", "[***]"), ("Agreement Date", "May 1, 2010"))
    first = lines["Agreement Date"][0]
    assert (first.value.value, first.clause_id) == ("2010-05-01", "cl_1")
    assert [line.value.status for line in lines["Agreement Date"]] == ["stated", "redacted"]


def test_the_same_value_twice_is_one_line() -> None:
    lines = contract(
        ("Governing Law", "the laws of Utah"), ("Governing Law", "the laws of the State of UTAH")
    )
    assert [line.value.value for line in lines["Governing Law"]] == ["Utah"]


def test_names_and_terms_of_different_clauses_are_paired() -> None:
    lines = contract(
        ("Parties", "ACME, INC."),
        ("Parties", "Seller"),
        ("Parties", "Bolt Ltd."),
        ("Parties", "Bolt"),
        ("Parties", 'each a "Party"'),
        ("Parties", "Acme Inc"),
    )
    parties = [(line.value.value, line.value.role, line.clause_id) for line in lines["Parties"]]
    assert parties == [("ACME, INC.", "Seller", "cl_0"), ("Bolt Ltd.", "Bolt", "cl_2")]


@pytest.mark.parametrize(
    ("text", "name", "part"),
    [
        ("Ida Maimer signs", "Ida Maimer", "Maimer"),
        ("Bolt America, N.A. pays", "Bolt America, N.A.", "Bolt America"),
        ("ACME Racing pays", "ACME Racing", "ACME"),
        ("Domes Advisor Trust (the Trust)", "Domes Advisor Trust", "Trust"),
    ],
)
def test_a_part_of_a_name_is_no_other_party(text: str, name: str, part: str) -> None:
    marked = [
        ClauseContext(f"cl_{i}", "Parties", 0.9, text.rindex(words), words)
        for i, words in enumerate((name, part))
    ]
    lines = [line for line in document_values(marked) if line.category == "Parties"]
    assert [(line.value.value, line.value.role) for line in lines] == [(name, part)]


@pytest.mark.parametrize(
    ("text", "spans", "parties"),
    [
        (
            'in favor of BOLT LTD. ("Bolt"), by',
            [('favor of BOLT LTD. ("Bolt', 0.5), ("BOLT LTD.", 0.9), ("BOLT LTD. (", 0.4)],
            [("BOLT LTD.", "Bolt", "cl_1")],
        ),
        (
            'Acme Assurance Company ("AAC"), and',
            [("Acme Assurance Company", 0.9), ("AAC", 0.6), ('("AAC")', 0.4)],
            [("Acme Assurance Company", "AAC", "cl_0")],
        ),
        (
            'Bolt Holding Company (the "Holding Company")',
            [
                ("Bolt Holding Company", 0.9),
                ("Holding Company", 0.5),
                ('the "Holding Company"', 0.5),
            ],
            [("Bolt Holding Company", "Holding Company", "cl_0")],
        ),
    ],
)
def test_overlapping_spans_are_one_party(
    text: str, spans: list[tuple[str, float]], parties: list[tuple[str, str, str]]
) -> None:
    marked = [
        ClauseContext(f"cl_{i}", "Parties", confidence, text.rindex(words), words)
        for i, (words, confidence) in enumerate(spans)
    ]
    lines = [line for line in document_values(marked) if line.category == "Parties"]
    assert [(line.value.value, line.value.role, line.clause_id) for line in lines] == parties


def test_a_term_without_a_name_is_kept_as_a_role() -> None:
    (party,) = contract(("Parties", "Franchisee"))["Parties"]
    assert (party.value.value, party.value.role) == (None, "Franchisee")


def test_the_first_names_are_paired() -> None:
    lines = contract(*(("Parties", f"Company{number}, Inc.") for number in range(400)))
    assert [line.clause_id for line in lines["Parties"]] == [f"cl_{n}" for n in range(300)]
