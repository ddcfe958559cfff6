"""Masking, and the way back to the original text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.escalation.masking.masking import mask
from services.escalation.masking.party_names import known_names
from services.escalation.policy.policy import Hidden
from services.escalation.prompts.quote_check import Passage

TEXT = """THIS AGREEMENT is made between Acme Rockets, Inc. (the "Acme") and WILE E COYOTE LLC
("Licensee"). Licensee shall pay Acme US$ 1,250,000.00 and five hundred thousand dollars, or 3.5
million euros, whichever ACME
ROCKETS, INC. prefers; attn: Mr. Paul van Dyke, paul.dyke@acme.example. Dyke signs.
By: /s/ Jane Q. Public
Title: President, Zebra Holdings"""
ALL: frozenset[Hidden] = frozenset({"parties", "persons", "amounts"})


def test_names_persons_and_sums_are_masked() -> None:
    masked = mask(TEXT, ALL, ["Zebra Holdings"])
    for gone in ("Acme", "ACME", "COYOTE", "1,250,000", "hundred thousand", "3.5", "Paul", "Dyke,",
                 "paul.dyke", "Jane", "Zebra"):  # fmt: skip
        assert gone not in masked.text, gone
    assert '[PARTY-1] (the "[PARTY-2]")' in masked.text
    assert "Licensee shall pay [PARTY-2] [AMOUNT-1] and [AMOUNT-2], or [AMOUNT-3]," in masked.text
    assert "whichever [PARTY-1] prefers" in masked.text
    assert "Title: President, [PARTY-4]" in masked.text
    assert (
        masked.unmasked("[PARTY-1] pays [AMOUNT-1]") == "Acme Rockets, Inc. pays US$ 1,250,000.00"
    )


AMOUNTS: frozenset[Hidden] = frozenset({"amounts"})


@pytest.mark.parametrize(
    "words",
    [
        "5,000,000 US dollars", "500,000 U.S. Dollars", "two million United States Dollars",
        "one hundred United States of America dollars", "500,000 Canadian dollars",
        "500 New Zealand dollars", "fifty thousand (50,000) US Dollars",
        "10 million (10,000,000) dollars", "three (3) million dollars",
        "10,000 (ten thousand) U.S.Dollars", "seven million (7,000,000 USD)",
        "five million (US$ 5,000,000)", "One Million, Two Hundred Thousand Dollars",
        "five-hundred-thousand U.S. dollars",
        "Five Hundred Thousand and 00/100 United States Dollars", "Three and No/100 Dollars",
        "5 to 10 million dollars", "$5-10 million", "5.000 \u20ac", "500 US$", "$US 500", "USD$500",
        "U.S.$ 500", "HK$5", "CDN$ 500", "$.05", "$[500,000]", "$ (1,234)", "Rs. 5,00,000",
        "SEK 500", "100 kronor", "RMB three thousand", "USD 2'500'000", "151'440.-- CHF", "500USD",
        "1/2 cent", "$1.2 trillion", "$5 - 10 million", "$500\u2013600", "5,000 - 6,000 USD"
    ],
)  # fmt: skip
def test_sums_are_masked_whole_and_restored(words: str) -> None:
    text = f"Licensee pays {words} to Acme, and {words}."
    masked = mask(text, AMOUNTS)
    assert masked.text == "Licensee pays [AMOUNT-1] to Acme, and [AMOUNT-1]."
    assert masked.unmasked(masked.text) == text
    (span,) = Passage(masked.text).find("pays [AMOUNT-1] to")
    assert text[slice(*masked.source(*span))] == f"pays {words} to"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Milestone 1 - USD 50,000", "Milestone 1 - [AMOUNT-1]"),
        ("paid in 2019\n- USD 75,000", "paid in 2019\n- [AMOUNT-1]"),
        ("Tranche one \u2013 USD 250,000", "Tranche one \u2013 [AMOUNT-1]"),
        ("in 2019 USD 75,000", "in [AMOUNT-1]"),
        ("Tranche one USD 250,000", "Tranche [AMOUNT-1]"),
        ("5,000 USD 30 days after", "[AMOUNT-1] 30 days after"),
        ("$5,000 - 10% discount", "[AMOUNT-1] - 10% discount"),
        ("$1,000 - 2 years after", "[AMOUNT-1] - 2 years after"),
        ("License fee: $5,000\n- 30 days", "License fee: [AMOUNT-1]\n- 30 days"),
        ("$5\u201310%", "[AMOUNT-1]\u201310%"),
    ],
)
def test_dashes_and_codes_separate_sums_from_terms(text: str, left: str) -> None:
    assert mask(text, AMOUNTS).text == left


@pytest.mark.parametrize(
    "words",
    [
        "Section 5. Dollars means", "thirty (30) days", "USD $[***] in 2012",
        "by 2005 and 10 of the U.S. shares", "clauses two, three and 4.5", "a term of 5 US years",
        "fees in dollars", "the year 2006$ [***]"
    ],
)  # fmt: skip
def test_other_numbers_stay(words: str) -> None:
    assert mask(words, AMOUNTS).text == words


DOCUMENT = """This Agreement is between Jaguarundi Freight, Inc., a Nevada corporation having its
principal place of business at 10400 Griffin Rd., Ft. Lauderdale (hereinafter called "Freight2Go"),
Ultragenol Pharma Inc. and its affiliates (hereinafter referred to as Ultragenol), Link
Minus Corporation, of 12 Main Street (the "LKML"), GRANITE INC. ("Granite"), First
National Zorbing LLC (the "Licensee"), Oak Fund LP ("Depositor"), and
Velociraptor Systems Ltd. The Company is Oak Fund LP.
See www.ultragenol.example and write to first@velociraptor.example. Each granite is met, national
or not, and the systems of the Licensee, the Company and the Depositor are the first.
"""
PARTIES: frozenset[Hidden] = frozenset({"parties"})


@pytest.mark.parametrize(
    "name",
    ["Freight2Go", "Ultragenol", "ULTRAGENOL's", "LKML", "Granite", "Zorbing", "Velociraptor",
     "Jaguarundi", "Jaguarundi Freight"],
)  # fmt: skip
def test_names_from_the_document_are_masked_in_a_window(name: str) -> None:
    window = f"Then {name} pays, www.ultragenol.example has it."
    masked = mask(window, PARTIES, known_names(DOCUMENT))
    assert re.fullmatch(
        r"Then \[PARTY-\d\](?:'s)? pays, www\.\[PARTY-\d\]\.example has it\.", masked.text
    )
    (span,) = Passage(masked.text).find(masked.text[: masked.text.index(",")])
    assert window[slice(*masked.source(*span))] == window[: window.index(",")]


@pytest.mark.parametrize(
    "words",
    ["the Company, the Licensee and the Depositor", "each granite", "First, National Systems",
     "Nevada", "a Corporation"],
)  # fmt: skip
def test_roles_and_ordinary_words_stay(words: str) -> None:
    assert mask(f"Of {words}.", PARTIES, known_names(DOCUMENT)).text == f"Of {words}."


def test_a_role_given_as_a_name_stays() -> None:
    known = known_names("Then the Company pays.", ["the Company", "Licensee", "Acme"])
    assert mask("The Company and Acme", PARTIES, known).text == "The Company and [PARTY-1]"


@pytest.mark.parametrize("kind", sorted(ALL))
def test_only_the_requested_kinds_are_masked(kind: str) -> None:
    text = mask(TEXT, frozenset({kind})).text  # type: ignore[arg-type]
    shown = {"parties": "COYOTE", "persons": "Jane", "amounts": "1,250,000"}
    assert {name for name, words in shown.items() if words not in text} == {kind}
    assert mask(TEXT, frozenset()).text == TEXT


def test_quotes_map_back_to_the_original() -> None:
    masked = mask(TEXT, ALL)
    (span,) = Passage(masked.text).find("shall pay [PARTY-2] [AMOUNT-1] and")
    start, end = masked.source(*span)
    assert TEXT[start:end] == "shall pay Acme US$ 1,250,000.00 and"
    assert masked.target(start, end) == span
    assert masked.shown(start, end) == "shall pay [PARTY-2] [AMOUNT-1] and"
    (span,) = Passage(masked.text).find("[PARTY-1] prefers")
    assert TEXT[slice(*masked.source(*span))] == "ACME\nROCKETS, INC. prefers"
    assert Passage(masked.text).find("[PARTY-9]") == []


def test_placeholders_of_the_text_are_not_reused() -> None:
    masked = mask("[AMOUNT-1] is due, and $5 more.", ALL)
    assert masked.text == "[AMOUNT-1] is due, and [AMOUNTX-1] more."
    assert masked.unmasked("[AMOUNT-1] and [AMOUNTX-1]") == "[AMOUNT-1] and $5"


PARTS = ("Acme Inc.", "$5", "pays", "to", "Mr. Bean", "EUR 7 million", "the", "Zed", "Zett", "ACME",
         "\n", ", ")  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=30), st.data())
@settings(max_examples=60, deadline=None)
def test_masked_spans_map_there_and_back(parts: list[str], data: st.DataObject) -> None:
    text = " ".join(parts)
    masked = mask(text, ALL, known_names(f'{text} Zed Ltd ("Zett")', ["Zed"]))
    assert "".join(text[slice(*piece.source)] for piece in masked.pieces) == text
    assert sum(piece.length for piece in masked.pieces) == len(masked.text)
    assert not [words for words in ("Acme", "$5", "Zed", "Zett") if words in masked.text]
    if masked.text:
        start = data.draw(st.integers(0, len(masked.text) - 1))
        end = data.draw(st.integers(start + 1, len(masked.text)))
        inside = {
            edge
            for found in re.finditer(r"\[(PARTY|PERSON|AMOUNT)-\d+\]", masked.text)
            for edge in range(found.start() + 1, found.end())
        }
        assert masked.whole(start, end) == (not {start, end} & inside)
        if masked.whole(start, end):
            low, high = masked.source(start, end)
            assert 0 <= low < high <= len(text)
            assert masked.target(low, high) == (start, end)
