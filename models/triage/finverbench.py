"""Shortened statements with and without errors, as FinVerBench has them, read as plain text.

Source: Panda 2026, arXiv 2605.29586. Its injected amounts carry decimals and stand askew in their
column; both are evened out here, so that nothing is told by how an amount is printed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from models.triage.injections import Truth
from services.triage.reading.report import read_report
from services.triage.statements import Filing
from shared.documents.text import read_text

PARTS = {
    "income_statement": ("income", 0),
    "cash_flow_statement": ("cash_flow", 0),
    "balance_sheet.current_year": ("balance_sheet", 0),
    "balance_sheet.prior_year": ("balance_sheet", 1),
}
"""Where an error is said to be: statement and column."""
LABELS = {
    "cash": "Cash and Equivalents",
    "cash_and_equivalents": "Cash and Equivalents",
    "capital_expenditures": "Capital Expenditures",
    "cash_from_operations": "Cash from Operations",
    "cash_from_investing": "Cash from Investing",
    "cash_from_financing": "Cash from Financing",
    "cost_of_goods_sold": "Cost of Goods Sold",
    "depreciation_amortization": "Depreciation & Amortization",
    "long_term_debt": "Long-Term Debt",
    "property_plant_equipment": "Property, Plant & Equipment",
    "short_term_debt": "Short-Term Debt",
    "total_liabilities_and_equity": "Total Liabilities & Equity",
}
"""Lines whose label is not just their name in capitals."""
COMPANIES: Mapping[str, int] = {
    "AMAZON COM INC": 1018724,
    "MICROSOFT CORPORATION": 789019,
    "Meta Platforms, Inc.": 1326801,
}
"""Those that are among the companies learned from, by their number at the SEC: each is judged by
what was learned without its fold."""

_AMOUNT = re.compile(r"(?<=\s{2})-?\d[\d,]*(?:\.\d+)?(?=\s|$)")
_WIDTH = 16


@dataclass(frozen=True)
class Shortened:
    """One instance."""

    id: str
    company: int
    filing: Filing
    truth: Truth | None
    """What was done to it, or to one of the lines if it was to several."""
    shown: bool
    """Whether a line that was altered is printed at all."""


def evened(text: str) -> str:
    """Amounts in whole units of the page, each in the same place of its line."""
    lines = []
    for line in text.split("\n"):
        amounts = _AMOUNT.findall(line)
        if amounts:
            label = line[: _AMOUNT.search(line).start()].rstrip()  # type: ignore[union-attr]
            line = f"{label:<46}" + "".join(f"{_whole(amount):>{_WIDTH}}" for amount in amounts)
        lines.append(line)
    return "\n".join(lines)


def _whole(amount: str) -> str:
    whole = Decimal(amount.replace(",", "")).quantize(Decimal(1), ROUND_HALF_UP)
    return f"{whole:,}"


def shortened_statements(folder: Path) -> Iterator[Shortened]:
    """Yield the instances of abbreviated.jsonl."""
    with (folder / "abbreviated.jsonl").open("rb") as lines:
        for line in lines:
            record = json.loads(line)
            report = read_report(
                read_text(evened(record["text"]).encode(), "text/plain"), b"", record["id"]
            )
            truth, shown = _truth(report.filing, record["truth"])
            company = COMPANIES.get(record["company"], 0)
            yield Shortened(record["id"], company, report.filing, truth, shown)


def _truth(filing: Filing, said: Mapping[str, Any] | None) -> tuple[Truth | None, bool]:
    if not said:
        return None, False
    errors = said.get("errors") or [said]
    found = [_place(filing, error) for error in errors]
    kind = "several" if len(errors) > 1 else errors[0]["error_type"]
    shown = [truth for truth in found if truth["row"] is not None]
    return {**(shown or found)[0], "type": kind, "arith_checkable": None}, bool(shown)


def _place(filing: Filing, error: Mapping[str, Any]) -> Truth:
    part, name = error["error_location"].rsplit(".", 1)
    statement, column = PARTS[part]
    label = LABELS.get(name, name.replace("_", " ").title())
    rows = [
        row
        for one in filing.statements
        if one.statement == statement
        for row, line in enumerate(one.rows)
        if line.label == label and len(line.values) > column and line.values[column] is not None
    ]
    return {"statement": statement, "column": column, "row": rows[0] if rows else None,
            "label": label}  # fmt: skip
