"""Patterns of names, dates and titles."""

import pytest

from services.extraction.pipeline.patterns import Kind, patterns


def found(kind: Kind, text: str) -> list[str]:
    return [text[start:end] for seen, start, end in patterns(text) if seen == kind]


@pytest.mark.parametrize(
    "date",
    [
        "March 5, 2020",
        "Sept. 30 2019",
        "5th day of March, 2020",
        "5 March 2020",
        "____ day of March, 20__",
        "[●] day of June, 2011",
        "3/5/2020",
        "2020-03-05",
        "March 2020",
    ],
)
def test_a_date_is_found_whole(date: str) -> None:
    assert date in found(Kind.DATE, f"This Agreement is made as of {date} by and between them.")


@pytest.mark.parametrize("name", ["Acme Holdings, Inc.", "BANK OF AMERICA, N.A. TRUST", "Foo GmbH"])
def test_a_company_is_found_with_its_legal_form(name: str) -> None:
    assert name in found(Kind.COMPANY, f"by and between {name} and the others")


def test_a_defined_term_is_found_with_and_without_quotes() -> None:
    assert found(Kind.QUOTED, 'Acme (the "Supplier")') == ["Supplier", '"Supplier"']


def test_a_title_may_take_two_lines() -> None:
    text = "EXCLUSIVE\n\n  DISTRIBUTION AGREEMENT  \nbetween"
    assert found(Kind.LINE, text)[:3] == [
        "EXCLUSIVE",
        "DISTRIBUTION AGREEMENT",
        "EXCLUSIVE\n\n  DISTRIBUTION AGREEMENT",
    ]


@pytest.mark.parametrize("text", ['( "   " )', '"\n \n\n"', '"\t"'])
def test_blank_quotes_hold_their_last_space(text: str) -> None:
    assert found(Kind.QUOTED, f'{text} and "Supplier"')[0].isspace()
    assert found(Kind.QUOTED, f'{text} and "Supplier"')[-2:] == ["Supplier", '"Supplier"']


@pytest.mark.parametrize(
    "piece",
    [
        *("A ", "A", "_", "1", '"', "(", "Inc ", "A\n", "of "),
        *("1.", "A-", "A'", "1/", "A, ", "$1,", "(1)", '"A" '),
    ],
)
def test_no_text_makes_a_pattern_hang(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    assert sum(1 for _ in patterns(text)) <= 2 * len(text)
