"""Where names, dates and titles may begin and end."""

import pytest

from services.extraction.patterns import Kind, patterns


def found(kind: Kind, text: str) -> list[str]:
    """Return the stretches of one kind."""
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
    """A date is proposed with its day, month and year, also where a part is left open."""
    assert date in found(Kind.DATE, f"This Agreement is made as of {date} by and between them.")


@pytest.mark.parametrize("name", ["Acme Holdings, Inc.", "BANK OF AMERICA, N.A. TRUST", "Foo GmbH"])
def test_a_company_is_found_with_its_legal_form(name: str) -> None:
    """A company's name ends with its legal form."""
    assert name in found(Kind.COMPANY, f"by and between {name} and the others")


def test_a_defined_term_is_found_with_and_without_quotes() -> None:
    """Annotators took either."""
    assert found(Kind.QUOTED, 'Acme (the "Supplier")') == ["Supplier", '"Supplier"']


def test_a_title_may_take_two_lines() -> None:
    """Lines are proposed alone and with the line before."""
    text = "EXCLUSIVE\n\n  DISTRIBUTION AGREEMENT  \nbetween"
    assert found(Kind.LINE, text)[:3] == [
        "EXCLUSIVE",
        "DISTRIBUTION AGREEMENT",
        "EXCLUSIVE\n\n  DISTRIBUTION AGREEMENT",
    ]


@pytest.mark.parametrize("piece", ["A ", "A", "_", "1", '"', "(", "Inc ", "A\n", "of "])
def test_no_text_makes_a_pattern_hang(piece: str) -> None:
    """What repeats itself for long is read through once, not over and over."""
    text = piece * (200_000 // len(piece))
    assert sum(1 for _ in patterns(text)) <= 2 * len(text)
