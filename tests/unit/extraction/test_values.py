"""Values of single clauses."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.extraction.values import CATEGORIES, Value, find_values
from shared.categories import CATEGORIES as ALL


def parsed(category: str, text: str) -> tuple[str, str | None]:
    value = main(category, text)
    return value.status, value.value


def main(category: str, text: str) -> Value:
    return find_values(category, text)[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("March 3, 2015", "2015-03-03"),
        ("the 24t h day of August 2018", "2018-08-24"),
        ("this first day of June, 2017", "2017-06-01"),
        ("Sept. 29, 2004", "2004-09-29"),
        ("3/1/05", "2005-03-01"),
        ("29/3/18", "2018-03-29"),
        ("3.4.2019", "2019-04-03"),
        ("12/31/96", "1996-12-31"),
        ("2020-02-29", "2020-02-29"),
        ("March 2005", "2005-03"),
        ("March    3,\n        -------- 2015", "2015-03-03"),
    ],
)
def test_a_date_is_iso_8601(text: str, value: str) -> None:
    assert parsed("Agreement Date", text) == ("stated", value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("the ___ day of May, 2005", "2005-05"),
        ("May __, 2005", "2005-05"),
        ("[ ] day of [ ], 2020", "2020"),
        ("this  day of , 2012", "2012"),
        ("[*]/[*]/2011", "2011"),
        ("[***]", None),
        ("_____ day of ________, 20__", None),
    ],
)
def test_a_blank_in_a_date_is_redacted(text: str, value: str | None) -> None:
    assert parsed("Agreement Date", text) == ("redacted", value)


@pytest.mark.parametrize(
    "text",
    [
        "February 30, 2005",
        "13/13/2013",
        "on the date it is signed",
        "unless ended under Sections 1.3. 10.1. and 10.2",
        "as Section 4.2.10 says",
        "under § 3.1.12",
    ],
)
def test_no_date_is_not_stated(text: str) -> None:
    assert parsed("Effective Date", text) == ("not_stated", None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("This Agreement begins on May 1, 2010 and ends on April 30, 2012.", "2012-04-30"),
        ("continues for an initial term of five (5) years from the Effective Date", "P5Y"),
        ("shall end on the third anniversary of the Effective Date", "P3Y"),
        ("for four years and six months from the date hereof", "P4Y6M"),
        ("for a period of eighteen (18) months", "P18M"),
        ("for a period of 1.5 years", "P18M"),
        ("remains in force until terminated by either party", "perpetual"),
    ],
)
def test_an_end_is_a_date_a_term_or_none(text: str, value: str) -> None:
    assert parsed("Expiration Date", text) == ("stated", value)


RENEWAL = (
    "It lasts three (3) years and renews automatically for successive terms of one (1) year, "
    "unless either party gives at least ninety (90) days' prior written notice."
)


def test_one_sentence_has_three_lengths_of_time() -> None:
    assert parsed("Expiration Date", RENEWAL) == ("stated", "P3Y")
    assert parsed("Renewal Term", RENEWAL) == ("stated", "P1Y")
    assert parsed("Notice Period To Terminate Renewal", RENEWAL) == ("stated", "P90D")
    assert main("Renewal Term", RENEWAL).repeats is True


def test_a_renewal_of_one_term_does_not_repeat() -> None:
    once = main("Renewal Term", "The Buyer may extend it for an additional two (2) years.")
    assert (once.value, once.repeats) == ("P2Y", False)


def test_a_redacted_notice_is_not_the_term_beside_it() -> None:
    text = "renews for one (1) year unless notice is given not less than [***] prior to its end"
    assert parsed("Notice Period To Terminate Renewal", text) == ("redacted", None)


def test_words_count_where_figures_differ() -> None:
    notice = parsed("Notice Period To Terminate Renewal", "sixty (90) days notice")
    assert notice == ("stated", "P60D")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("governed by the laws of the State of New\nYork", ["New York"]),
        ("construed under Ohio law", ["Ohio"]),
        ("the laws of the Province of Ontario and of Canada", ["Ontario, Canada"]),
        ("governed by the laws of England", ["England and Wales"]),
        ("the laws of the P.R.C., without regard to the law of Texas", ["China"]),
        ("governed by the laws of Utah. A suit may be filed in Nevada.", ["Utah"]),
        ("the laws of Italy, excluding the United Nations Convention of Vienna", ["Italy"]),
        ("the laws of Spain and the laws of France", ["Spain", "France"]),
        ("the laws of the Republic of Freedonia", ["Republic of Freedonia"]),
    ],
)
def test_law_has_one_name(text: str, names: list[str]) -> None:
    assert [value.value for value in find_values("Governing Law", text)] == names


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("not more than Five Million Dollars ($5,000,000)", [("5000000", "USD")]),
        ("US$1.5 million or €200.50", [("1500000", "USD"), ("200.50", "EUR")]),
        ("C$ 10,000 and RMB 300,000", [("10000", "CAD"), ("300000", "CNY")]),
        ("$ .17 a ticket", [("0.17", "USD")]),
        ("two hundred thousand pounds sterling", [("200000", "GBP")]),
        ("the fees paid in 12 months", [(None, None)]),
        ("a $5,000 fee, Acme's $6 fee, c. $7", [("5000", "USD"), ("6", "USD"), ("7", "USD")]),
        ("A$5 and S$6 and Cdn. $7", [("5", "AUD"), ("6", "SGD"), ("7", "CAD")]),
        ("Four and One-Half Million Dollars ($4,500,000)", [("4500000", "USD")]),
        ("four dollars and forty cents ($4.40)", [("4.40", "USD")]),
        ("[***] pounds of oil", [(None, None)]),
    ],
)
def test_an_amount_has_a_currency(text: str, amounts: list[tuple[str, str]]) -> None:
    found = find_values("Cap On Liability", text)
    assert [(value.value, value.currency) for value in found] == amounts


def test_a_removed_amount_is_redacted() -> None:
    value = main("Minimum Commitment", "at least $[***] a year")
    assert (value.status, value.currency, value.text) == ("redacted", "USD", "$[***]")


def test_a_title_is_trimmed() -> None:
    assert parsed("Document Name", 'SUPPLY\n   AGREEMENT ("') == ("stated", "SUPPLY AGREEMENT")
    assert parsed("Document Name", "this Lease (Hall 4)") == ("stated", "Lease (Hall 4)")
    twice = "SUPPLY AGREEMENT\nThis Supply Agreement"
    assert parsed("Document Name", twice) == ("stated", "SUPPLY AGREEMENT")


def test_a_party_has_its_defined_term() -> None:
    text = 'Acme (Utah) Inc., a Delaware corporation (the “Seller”), and Bolt Ltd. ("Bolt")'
    found = [(value.value, value.role) for value in find_values("Parties", text)]
    assert found == [("Acme (Utah) Inc.", "Seller"), ("Bolt Ltd.", "Bolt")]


@pytest.mark.parametrize(
    ("text", "party"),
    [
        ("the “Licensee”", (None, "Licensee")),
        ("Distributor", (None, "Distributor")),
        ("Mary Major", ("Mary Major", None)),
        ("Distributor Holdings, Inc.", ("Distributor Holdings, Inc.", None)),
        ("Chief Financial Officer ACME, INC.", ("ACME, INC.", None)),
        ("Suite 9, Utah 84101, and Acme, Inc.", ("Acme, Inc.", None)),
        ("Acme, Inc. d/b/a Bolts", ("Acme, Inc. d/b/a Bolts", None)),
        ("2. Bolt Ltd.", ("Bolt Ltd.", None)),
        ("Bolt Ltd., a", ("Bolt Ltd.", None)),
        ('hereinafter called "Bolt"', (None, "Bolt")),
        ('Ohio limited liability company (the "Seller")', (None, "Seller")),
        ('China (the "PRC")', (None, "PRC")),
        ('Bolt")', (None, "Bolt")),
    ],
)
def test_a_bare_clause_is_a_name_or_a_term(text: str, party: tuple[str | None, str | None]) -> None:
    (value,) = find_values("Parties", text)
    assert (value.value, value.role) == party


@pytest.mark.parametrize(
    ("text", "parties"),
    [
        ("ACME, INC. AND BOLT SUPPLY LTD.", [("ACME, INC.", None), ("BOLT SUPPLY LTD.", None)]),
        ("Bolt GmbH & Co KG", [("Bolt GmbH & Co KG", None)]),
        ('Seller") and Bolt Ltd. ("Bolt")', [(None, "Seller"), ("Bolt Ltd.", "Bolt")]),
        ('we," "us" or "Franchisor")', [(None, "we"), (None, "us"), (None, "Franchisor")]),
    ],
)
def test_a_clause_has_several_parties(text: str, parties: list[tuple[str | None, str]]) -> None:
    assert [(value.value, value.role) for value in find_values("Parties", text)] == parties


@pytest.mark.parametrize(
    "text", ["Acme and Bolt are", "known as", "Dear Ms. Major", "Ohio corporation"]
)
def test_other_words_are_no_party(text: str) -> None:
    assert parsed("Parties", text) == ("not_stated", None)


def test_a_word_for_all_parties_is_no_party() -> None:
    assert parsed("Parties", '(each a "Party" and collectively the "Parties")')[0] == "not_stated"


def test_categories_are_those_of_the_specialist() -> None:
    assert set(CATEGORIES) < set(ALL)
    assert find_values("Audit Rights", "the books of May 1, 2010") == []


PIECES = st.sampled_from(
    [
        "May 3, 2015", "five (5) years", "[***]", "____", "$5,000", "the laws of Utah", "\n\n   ",
        "day of", "until terminated", "“Seller”", "Acme, Inc.", "ninety", "days", "notice", "€",
        "1/", "-----", "prior written", "successive", "anniversary", "(", ")", "third", "20__",
        "’", "and",
    ]
)  # fmt: skip
TEXTS = st.one_of(
    st.lists(PIECES, max_size=12).map(" ".join),
    st.lists(PIECES, max_size=8).map("".join),
    st.text(),
)


@given(category=st.sampled_from(sorted(CATEGORIES)), text=TEXTS, offset=st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_words_are_the_slice(category: str, text: str, offset: int) -> None:
    values = find_values(category, text, offset)
    assert values
    for value in values:
        check_place(value, text, offset)


@pytest.mark.parametrize("digits", [25, 29, 400, 5000])
@pytest.mark.parametrize("text", ["${}", "{} dollars", "${} million", "{} USD", "{} years", "{}/1"])
def test_a_number_with_too_many_digits_is_no_value(text: str, digits: int) -> None:
    number = "9" * digits
    values = [v for category in CATEGORIES for v in find_values(category, text.format(number))]
    assert not any(value.kind == "amount" and value.value for value in values)


def check_place(value: Value, text: str, offset: int) -> None:
    if value.status == "not_stated":
        assert (value.value, value.text, value.start, value.end) == (None,) * 4
        return
    assert value.start is not None
    assert value.end is not None
    assert offset <= value.start < value.end <= offset + len(text)
    assert value.text == text[value.start - offset : value.end - offset]
    assert value.status == "redacted" or value.value or value.role


@pytest.mark.parametrize(
    "text",
    [
        *("_ " * 8000, "[" * 9000, "one " * 5000, "a " * 9000, "*" * 9000, "1," * 9000),
        *('"x" ' * 5000, "x" * 9000, "_" * 9000),
    ],
)
def test_a_hostile_clause_costs_no_more_than_its_length(text: str) -> None:
    began = time.monotonic()
    for category in CATEGORIES:
        find_values(category, text)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("digits", [25, 400, 4_400])
@pytest.mark.parametrize(
    "text", ["within {} days", "for {} years", "the {}th day of May 2020", "({}) dollars", "${}"]
)
def test_a_number_of_many_digits_is_no_value(digits: int, text: str) -> None:
    for category in ("Renewal Term", "Agreement Date", "Cap On Liability"):
        values = find_values(category, text.format("9" * digits))
        assert not [one for one in values if one.kind == "amount" and one.status == "stated"]
