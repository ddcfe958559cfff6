"""Text that the specialist cannot read is said to be so; English contracts are not doubted."""

from __future__ import annotations

import numpy as np
import pytest

from services.extraction.doubts import (
    FEWEST,
    STRETCH,
    doubts,
    pieces_per_word,
    unfamiliar,
    unread_share,
)
from shared.inference.adapters import TOKENISER_FILE, base_folder
from shared.inference.tokeniser import Tokeniser
from tests import support

ENGLISH = (
    "This Agreement shall be governed by the laws of the State of New York. Neither party may "
    "assign it without the prior written consent of the other, which shall not be withheld. "
)
GERMAN = (
    "Dieser Vertrag unterliegt dem Recht der Bundesrepublik Deutschland. Keine der Parteien darf "
    "ihn ohne vorherige schriftliche Zustimmung der anderen abtreten; Nebenabreden gibt es nicht. "
)
RUSSIAN = (
    "Настоящий договор регулируется правом Российской Федерации. Ни одна из сторон не вправе "
    "уступить его без предварительного письменного согласия другой стороны. "
)


@pytest.fixture(scope="module")
def tokenise() -> Tokeniser:
    """The shipped vocabulary."""
    folder = support.artefacts()
    support.require(any(folder.glob("base-*")), f"no base in {folder}")
    return Tokeniser(base_folder(folder) / TOKENISER_FILE)


def test_english_is_not_doubted(tokenise: Tokeniser) -> None:
    """Neither prose nor what contracts have of rules, dots, figures and blanks."""
    blanks = "______ ........ 10.1.2 (a)(ii) $1,234,567.89 [***] \n"
    for text in (ENGLISH * 20, blanks * 50 + ENGLISH * 20, blanks * 50, ""):
        assert doubts(text, tokenise(text).offsets) == ()


@pytest.mark.parametrize("text", [GERMAN, RUSSIAN, "本协议受中华人民共和国法律管辖。" * 4])
def test_another_language_is_doubted(text: str, tokenise: Tokeniser) -> None:
    """With the share of the text that is in it."""
    (warning,) = doubts(text * 20, tokenise(text * 20).offsets)
    assert warning.startswith("about 100% of the text is in another language than English")


def test_damaged_characters_are_doubted(tokenise: Tokeniser) -> None:
    """As of a PDF whose fonts lie."""
    damaged = (ENGLISH * 20).translate(str.maketrans("aeiou", "qxzjv"))
    assert len(doubts(damaged, tokenise(damaged).offsets)) == 1


def test_a_part_is_said_by_its_share(tokenise: Tokeniser) -> None:
    """A third in German is warned of with its share, a tenth isn't."""
    text = ENGLISH * 60 + GERMAN * 20
    share = unread_share(text, tokenise(text).offsets)
    assert 0.25 < share < 0.5
    assert f"about {share:.0%} of the text" in doubts(text, tokenise(text).offsets)[0]
    text = ENGLISH * 120 + GERMAN * 6
    assert 0 < unread_share(text, tokenise(text).offsets) < 0.2
    assert doubts(text, tokenise(text).offsets) == ()


def test_pieces_are_counted_by_the_word() -> None:
    """Two words of one and three pieces are two pieces a word; too few tokens say nothing."""
    one = "ab cdefgh "
    text = one * FEWEST
    ends = [(0, 2), (3, 5), (5, 7), (7, 9)]
    offsets = np.array([(10 * i + a, 10 * i + b) for i in range(FEWEST) for a, b in ends])
    assert len(offsets) < STRETCH
    assert pieces_per_word(text, offsets).tolist() == [2.0]
    assert pieces_per_word(text, offsets[: FEWEST - 1]).tolist() == []


def test_what_has_hardly_anything_that_contracts_have_is_warned_of() -> None:
    """Below the threshold of the adapter, if it has one; the sentence names both figures."""
    assert unfamiliar(0.4, 0.0) == unfamiliar(2.5, 2.5) == ()
    (warning,) = unfamiliar(0.44, 2.5)
    assert "fewer kinds of clauses are expected in it than in 99 of 100 contracts" in warning
    assert "(about 0.4, and in those about 2.5 or more)" in warning


def test_what_is_fewer_is_shown_as_fewer() -> None:
    """Also where both figures are alike when they are rounded to one decimal."""
    (warning,) = unfamiliar(3.1569, 3.15700)
    assert "(about 3.1569, and in those about 3.1570 or more)" in warning
    (warning,) = unfamiliar(3.12, 3.157)
    assert "(about 3.1, and in those about 3.2 or more)" in warning
