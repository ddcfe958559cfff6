"""The time of masking and of the injection filter grows with the length of hostile text."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from services.escalation.masking.masking import mask
from services.escalation.policy.policy import Hidden
from services.escalation.prompts.injection_filter import speaks_to_machines

ALL: frozenset[Hidden] = frozenset({"parties", "persons", "amounts"})
LENGTHS = (4_000, 16_000)
MOST_GROWTH = 8.0
"""Four times the length takes four times as long; what grows with the square takes 16 times."""
TRIES = 5
"""Quadratic growth shows each time; a processor that was slow for a moment does not."""
REPEATED = ("A&", "A-", "A.", "A'", "1,", "1.", "1-", "one ", "one-", "seventeen and ", "a.b-c@",
            "a-", "Mr ", "By: ", "$1 ", "Ab Inc (", "AG ", " ", "\n", "#", "_", "1'", "1/", "1 to ",
            "[1", "$ (", "ten (10) ", "5 U.S. ", "5 United States ", "one and 00/100 ",
            "5 million million ")  # fmt: skip
BEGUN = (("/s/", "_"), ("system", "\n"), ("1", " "), ("one", " -"), ("a@", "b.c-"))
"""A text that comes once, and a text that follows it again and again."""
NUMBERED = ("A A{} Inc;", 'A{} Inc ("B{}") ', "Mr A{}a Bb; ", "${} ")


def window(begin: str, unit: str, length: int) -> str:
    """A text of about that length, in which no two units with a number are the same."""
    number = range(100_000, 100_000 + length // len(unit))
    return begin + "".join(unit.replace("{}", str(n)) for n in number)


def cost(work: Callable[[str], object], text: str) -> float:
    """Seconds of the processor, the least of three times: what else runs here does not count."""
    taken = []
    for _ in range(3):
        began = time.thread_time()
        work(text)
        taken.append(time.thread_time() - began)
    return min(taken)


def masked(text: str) -> object:
    return mask(text, ALL, ["A A", "Zed"])


@pytest.mark.parametrize("work", [masked, speaks_to_machines])
@pytest.mark.parametrize(("begin", "unit"), [*(("", unit) for unit in REPEATED + NUMBERED), *BEGUN])
def test_time_grows_linearly_with_the_length(
    work: Callable[[str], object], begin: str, unit: str
) -> None:
    texts = [window(begin, unit, length) for length in LENGTHS]
    ratios: list[float] = []
    while len(ratios) < TRIES and min(ratios, default=MOST_GROWTH) >= MOST_GROWTH:
        short, long = (cost(work, text) for text in texts)
        ratios.append(long / short)
    assert min(ratios) < MOST_GROWTH, ratios


def test_names_are_found_as_whole_words_in_any_case_and_spacing() -> None:
    text = "ACME\n Rockets and Acme, acme rockets Ltd; Acmes, +Acme. \u017find Stra\u00dfe SIND"
    hidden = masked_parties(text, ["acme rockets", "Acme", "+Acme", "sind"])
    assert hidden == ["ACME\n Rockets", "Acme", "acme rockets", "+Acme", "\u017find", "SIND"]


def masked_parties(text: str, names: list[str]) -> list[str]:
    pieces = mask(text, frozenset({"parties"}), names).pieces
    return [text[slice(*piece.source)] for piece in pieces if piece.hidden]
