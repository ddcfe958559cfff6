"""Warnings about unreadable or unfamiliar texts."""

from __future__ import annotations

import numpy as np
import pytest

from services.extraction.pipeline.warnings import (
    CHUNK_TOKENS,
    MIN_CHUNK_TOKENS,
    language_warnings,
    pieces_per_word,
    shown_warnings,
    unfamiliar_warnings,
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
    folder = support.artefacts()
    support.require(any(folder.glob("base-*")), f"no base in {folder}")
    return Tokeniser(base_folder(folder) / TOKENISER_FILE)


def test_english_gives_no_warning(tokenise: Tokeniser) -> None:
    blanks = "______ ........ 10.1.2 (a)(ii) $1,234,567.89 [***] \n"
    for text in (ENGLISH * 20, blanks * 50 + ENGLISH * 20, blanks * 50, ""):
        assert language_warnings(text, tokenise(text).offsets) == ()


@pytest.mark.parametrize("text", [GERMAN, RUSSIAN, "本协议受中华人民共和国法律管辖。" * 4])
def test_another_language_gives_a_warning(text: str, tokenise: Tokeniser) -> None:
    (warning,) = language_warnings(text * 20, tokenise(text * 20).offsets)
    assert warning.startswith("about 100% of the text is not English")


def test_damaged_characters_give_a_warning(tokenise: Tokeniser) -> None:
    damaged = (ENGLISH * 20).translate(str.maketrans("aeiou", "qxzjv"))
    assert len(language_warnings(damaged, tokenise(damaged).offsets)) == 1


def test_the_unread_share_is_stated(tokenise: Tokeniser) -> None:
    text = ENGLISH * 60 + GERMAN * 20
    share = unread_share(text, tokenise(text).offsets)
    assert 0.25 < share < 0.5
    assert f"about {share:.0%} of the text" in language_warnings(text, tokenise(text).offsets)[0]
    text = ENGLISH * 120 + GERMAN * 6
    assert 0 < unread_share(text, tokenise(text).offsets) < 0.2
    assert language_warnings(text, tokenise(text).offsets) == ()


def test_pieces_are_counted_by_the_word() -> None:
    one = "ab cdefgh "
    text = one * MIN_CHUNK_TOKENS
    ends = [(0, 2), (3, 5), (5, 7), (7, 9)]
    offsets = np.array([(10 * i + a, 10 * i + b) for i in range(MIN_CHUNK_TOKENS) for a, b in ends])
    assert len(offsets) < CHUNK_TOKENS
    assert pieces_per_word(text, offsets).tolist() == [2.0]
    assert pieces_per_word(text, offsets[: MIN_CHUNK_TOKENS - 1]).tolist() == []


def test_hardly_any_expected_category_gives_a_warning() -> None:
    assert unfamiliar_warnings(0.4, 0.0) == unfamiliar_warnings(2.5, 2.5) == ()
    (warning,) = unfamiliar_warnings(0.44, 2.5)
    assert "does not look like a contract" in warning
    assert shown_warnings(["other", warning], "message/rfc822") == ("other",)
    assert shown_warnings(["other", warning], "text/plain") == ("other", warning)
