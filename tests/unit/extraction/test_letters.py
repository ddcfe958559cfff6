"""Questions about all characters of a text, answered as one by one."""

from collections.abc import Callable

import pytest

from services.extraction.letters import Letters

TEXT = "§ 4 Ωmega_2² — \U0001d7d8 naïve\n\ud800 İstanbul ǅ"


@pytest.mark.parametrize("kind", [str.isdigit, str.isupper, str.isalnum, ".;:§".__contains__])
def test_each_character_is_what_it_is_alone(kind: Callable[[str], bool]) -> None:
    """Beyond the first plane, half a pair of surrogates, and letters of two cases at once too."""
    assert Letters(TEXT).are(kind).tolist() == [kind(letter) for letter in TEXT]


def test_a_text_without_characters_has_none() -> None:
    """No letters, no flags."""
    assert Letters("").are(str.isdigit).shape == (0,)
