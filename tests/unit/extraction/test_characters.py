"""Classification of characters, compared with a loop over them."""

from collections.abc import Callable

import pytest

from services.extraction.pipeline.characters import Characters

TEXT = "§ 4 Ωmega_2² — \U0001d7d8 naïve\n\ud800 İstanbul ǅ"


@pytest.mark.parametrize("kind", [str.isdigit, str.isupper, str.isalnum, ".;:§".__contains__])
def test_each_character_is_what_it_is_alone(kind: Callable[[str], bool]) -> None:
    assert Characters(TEXT).are(kind).tolist() == [kind(letter) for letter in TEXT]


def test_a_text_without_characters_has_none() -> None:
    assert Characters("").are(str.isdigit).shape == (0,)
