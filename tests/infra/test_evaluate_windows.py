"""What would be sent of contracts is counted as the door sends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra import evaluate_windows
from infra.bills_of_contracts import Bill, bill_of, prompts_of
from infra.evaluate_cascade import read_all
from infra.evaluate_windows import Asked, line, table
from services.escalation.policy import read_policies
from services.escalation.reserving import reserved
from services.extraction import questions
from services.extraction.questions import Doubt
from shared.prices import known_prices
from tests import support

POLICY = """
[providers.claude]
protocol = "anthropic"
model = "claude-opus-5"
key_env = "KEY"

[tenants.default]
providers = ["claude"]
leaves = ["contract"]
day_usd = "5"
month_usd = "50"
"""
PRICE = known_prices()["anthropic"]["claude-opus-5"]
TEXT = "".join(f"{number:04} " for number in range(10_000))


def doubt(number: int, start: int, category: str = "Insurance") -> Doubt:
    """A passage of 100 characters."""
    return Doubt(f"cl_{number}", "clause", category, start, start + 100, 0.5, 0.5)


def test_a_bill_is_that_of_the_prompts() -> None:
    """Near passages share a window and are paid once; far ones are two windows of one prompt."""
    alone = bill_of(TEXT, [doubt(1, 5_000)], PRICE)
    assert (alone.calls, alone.questions) == (1, 1)
    assert 2_100 < alone.characters < 5_000
    same = bill_of(TEXT, [doubt(1, 5_000), doubt(2, 5_200)], PRICE)
    other = bill_of(TEXT, [doubt(1, 5_000), doubt(2, 5_200, "Audit Rights")], PRICE)
    far = bill_of(TEXT, [doubt(1, 5_000), doubt(2, 15_000)], PRICE)
    assert alone.usd < same.usd < min(other.usd, far.usd)
    assert max(other.usd, far.usd) < 2 * alone.usd
    assert (same.calls, far.calls, far.questions) == (1, 1, 2)
    assert bill_of(TEXT, [], PRICE) == Bill()


def test_a_clause_lies_whole_in_what_is_sent_or_it_does_not() -> None:
    """Counted are labelled clauses that a passage is a part of, and all of its category."""
    notes = [
        {"category": "Insurance", "start": 4_400, "end": 5_050},
        {"category": "Audit Rights", "start": 0, "end": 40_000},
        {"category": "Insurance", "start": 30_000, "end": 30_100},
    ]
    asked = [Asked(TEXT, notes, [doubt(1, 5_000)])]
    found = [line(asked, around, PRICE) for around in (300, 1_000)]
    assert [(one["whole"], one["touched"]) for one in found] == [(0, 1), (1, 1)]
    assert [(one["seen"], one["labelled"]) for one in found] == [(0, 2), (1, 2)]
    assert found[0]["usd"] < found[1]["usd"]
    said = table({"lines": found, "whole_usd": 3.0})
    assert "| 300 | 1 | 1 |" in said
    assert "| 0 of 1 (0.0%) | 0 of 2 |" in said


@pytest.fixture(scope="module")
def real() -> list[Asked]:
    """What would be asked about the training contracts."""
    return evaluate_windows.asked_of(read_all(support.data_folder("legal")), PRICE)


def test_what_budgets_are_reckoned_with_is_what_would_be_set_aside(
    real: list[Asked], tmp_path: Path
) -> None:
    """No prompt about a training contract sets more aside than the most, none less than the least,
    and the median is about the usual.
    """
    path = tmp_path / "policy.toml"
    path.write_text(POLICY, "utf-8")
    policy = read_policies(path).of("default")
    (provider,) = policy.providers
    told = reserved(policy, "contract")
    assert told is not None
    aside = np.array(
        [
            provider.price.of(provider.worst_case(prompt)) / 1e6
            for one in real
            for prompt in prompts_of(one.text, one.doubts)
        ]
    )
    assert len(aside) > 400
    assert told.least < aside.min()
    assert aside.max() < told.most < 1.25 * aside.max()
    assert np.median(aside) == pytest.approx(told.usual, rel=0.1)


def test_the_table_of_the_decision_is_what_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """By the committed predictions, for what is shipped."""
    data = support.data_folder("legal")
    assert evaluate_windows.main([str(data), "--around", str(questions.AROUND)]) == 0
    row: Any = next(r for r in capsys.readouterr().out.splitlines() if r.startswith("| 1,000 |"))
    decision = (support.ROOT / "infra/decisions/0042-asking.md").read_text("utf-8")
    assert row in decision
    assert evaluate_windows.main([str(data), "--around", "100", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["lines"][0]["whole"] < report["lines"][0]["touched"]
    assert report["contracts"] == 408
