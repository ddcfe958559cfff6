"""The card of the rules is what the program that measures them writes."""

from __future__ import annotations

from infra.evaluate_triage import CARD, card, measure
from tests.unit.triage.filings import bent, read, record

TRUTH = {"type": "digit_change", "statement": "balance_sheet", "row": 4, "column": 0}


def test_the_card_that_is_kept_says_what_the_program_says() -> None:
    """Every line without a figure, in order; a changed text needs the card written anew."""
    wrong = read(bent("balance_sheet", "Total current assets", 0, 4951))
    made = card(
        measure([(read(record()), None), (wrong, TRUTH)]), measure([(read(record()), None)])
    )
    told = [line for line in made.splitlines() if not _measured(line)]
    kept = [line for line in CARD.read_text("utf-8").splitlines() if not _measured(line)]
    assert len(told) > 20
    assert told == kept, "stale: run `python -m infra.evaluate_triage`"


def _measured(line: str) -> bool:
    """Whether a line is measured, a row of a table or a sentence with a figure, or is empty."""
    return not line or line.startswith("|") or any(sign.isdigit() for sign in line)
