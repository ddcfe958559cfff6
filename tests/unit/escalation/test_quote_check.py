"""Quotes in a document."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.escalation.prompts.quote_check import LIGATURES, Passage

TEXT = (
    "12. Governing Law. This Agree-\nment, and the non-\ncompetition of sec-\n  tion 2019-\n2020,"
    "\u00a0shall be\n\ngoverned by the \ufb01rst law\tof Delaware (\u201cLaw\u201d)."
    " An o\ufb00er of\nNon-\nCompete terms - \nif any - co\u00adoperates with"
    " the re-signed law of Delaware."
)


def found(quote: str, text: str = TEXT) -> list[str]:
    return [text[start:end] for start, end in Passage(text).find(quote)]


@pytest.mark.parametrize(
    ("quote", "words"),
    [
        ("Governing Law", "Governing Law"),
        ("shall be governed by", "shall be\n\ngoverned by"),
        ("  2020, shall\nbe governed ", "2020,\u00a0shall be\n\ngoverned"),
        ("This Agreement, and", "This Agree-\nment, and"),
        ("This Agree-ment, and", "This Agree-\nment, and"),
        ("This Agree- ment, and", "This Agree-\nment, and"),
        ("This Agree-\nment, and", "This Agree-\nment, and"),
        ("the noncompetition of section", "the non-\ncompetition of sec-\n  tion"),
        ("the non-competition of section", "the non-\ncompetition of sec-\n  tion"),
        ("2019-2020", "2019-\n2020"),
        ("Non-Compete", "Non-\nCompete"),
        ("the first law of", "the \ufb01rst law\tof"),
        ("the \ufb01rst law of", "the \ufb01rst law\tof"),
        ("An offer of", "An o\ufb00er of"),
        ("cooperates with", "co\u00adoperates with"),
        ("terms - if any - cooperates", "terms - \nif any - co\u00adoperates"),
        ("- if any -", "- \nif any -"),
        ("(\u201cLaw\u201d)", "(\u201cLaw\u201d)"),
    ],
)
def test_white_space_hyphenation_and_ligatures_may_differ(quote: str, words: str) -> None:
    assert found(quote) == [words]


@pytest.mark.parametrize(
    "quote",
    [
        *("", " ", "-", "...", "\u00ad", "\u201c\u201d", "- -"),
        *("governing law", "Governing  law", "GOVERNING LAW"),  # case
        *('("Law")', "Governing Law,", "Governing Law This"),  # signs
        *("shall not be governed", "shall governed", "shall be be governed"),  # words
        *("shallbe", "Governing La w", "Delaware.12", "20192020", "NonCompete"),  # their bounds
        *("resigned law", "re signed law", "re- signed law"),  # a hyphen of the word's own
        *("overning Law", "Governing La", "rst law", "off", "ment, and", "This Agree", "2019-2"),
        *("the fi rst law", "Govern-ing Law", "Govern-\ning Law"),  # split only in the quote
        *("Governing\u200b Law", "G\u043everning Law", "Governing Law\u0301"),  # similar letters
        "An offer of Texas",
    ],
)
def test_other_text_is_not_found(quote: str) -> None:
    assert found(quote) == []


def test_every_place_is_found() -> None:
    places = [at for at in range(len(TEXT)) if TEXT.startswith("law", at)]
    assert len(places) == 4  # two of them in Delaware
    assert Passage(TEXT).find("law") == [(at, at + 3) for at in (places[0], places[2])]
    assert len(found("law of Delaware")) == 2
    assert found("a b a", "a b a b a") == ["a b a", "a b a"]
    assert found("x" * 20_001, "x" * 20_001) == []


words = st.lists(
    st.text("abcdefinoprst", min_size=2, max_size=9), min_size=3, max_size=15, unique=True
)
SPREAD = {letters: ligature for ligature, letters in LIGATURES.items() if letters.isascii()}


def _printed(chosen: list[str], chance: random.Random) -> tuple[str, list[tuple[int, int]]]:
    """Words as a page has them: divided, with ligatures and any space; and where each stands."""
    text, places = "", []
    for word in chosen:
        start = len(text)
        cut = chance.randrange(1, len(word)) if chance.random() < 0.3 else 0
        parts = [word[:cut], word[cut:]] if cut else [word]
        shown = []
        for part in parts:
            for letters, ligature in SPREAD.items():
                if chance.random() < 0.5:
                    part = part.replace(letters, ligature)
            shown.append(part)
        text += chance.choice(["-\n", "\u00ad", "-\r\n  "]).join(shown)
        places.append((start, len(text)))
        text += chance.choice([" ", "  ", "\n", "\t", "\u00a0", "\n\n"])
    return text, places


@given(words, st.randoms(use_true_random=False), st.data())
@settings(max_examples=60, deadline=None)
def test_words_are_found_however_they_are_printed(
    chosen: list[str], chance: random.Random, data: st.DataObject
) -> None:
    text, places = _printed(chosen, chance)
    first = data.draw(st.integers(0, len(chosen) - 1))
    last = data.draw(st.integers(first, len(chosen) - 1))
    quote = " ".join(chosen[first : last + 1])
    spans = Passage(text).find(quote)
    assert (places[first][0], places[last][1]) in spans
    for start, end in spans:
        plain = text[start:end]
        for ligature, letters in LIGATURES.items():
            plain = plain.replace(ligature, letters)
        for division in ("-\r\n  ", "-\n", "\u00ad"):
            plain = plain.replace(division, "")
        assert plain.split() == quote.split()


@given(words, st.randoms(use_true_random=False), st.data())
@settings(max_examples=60, deadline=None)
def test_a_changed_word_is_not_found(
    chosen: list[str], chance: random.Random, data: st.DataObject
) -> None:
    text, _ = _printed(chosen, chance)
    at = data.draw(st.integers(0, len(chosen) - 1))
    word = chosen[at]
    changed = data.draw(
        st.sampled_from([word + "z", "z" + word, word[:-1] + "z", word.capitalize(), word + ","])
    )
    quote = " ".join([*chosen[:at], changed, *chosen[at + 1 :]])
    assert Passage(text).find(quote) == []
    shorter = [*chosen[:at], *chosen[at + 1 :]]
    assume(0 < at < len(chosen) - 1)
    assert Passage(text).find(" ".join(shorter)) == []


@given(st.text("ab-\n \u00ad\ufb01fi.", max_size=40), st.text("ab-\n \u00adfi.", max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_text_and_quote_give_valid_spans(text: str, quote: str) -> None:
    for start, end in Passage(text).find(quote):
        assert 0 <= start < end <= len(text)
