"""Read the shortened statements of FinVerBench, with and without errors, as plain text.

Source: Panda 2026, arXiv 2605.29586. Its injected amounts have decimals and are misaligned. Both
are removed here, so that the print does not reveal the error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from models.files import read_lines
from models.triage_breaks.injections import Truth
from services.triage.reading.report import read_report
from services.triage.statements.model import Filing
from shared.documents.model.text import read_text

PARTS = {
    "income_statement": ("income", 0),
    "cash_flow_statement": ("cash_flow", 0),
    "balance_sheet.current_year": ("balance_sheet", 0),
    "balance_sheet.prior_year": ("balance_sheet", 1),
}
"""Statement and column of an error by its name."""
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
"""Lines whose label differs from their name."""
COMPANIES: Mapping[str, int] = {
    "AMAZON COM INC": 1018724,
    "MICROSOFT CORPORATION": 789019,
    "Meta Platforms, Inc.": 1326801,
}
"""Companies that are also in the training data, with their SEC number: each is scored without its
fold.
"""

_AMOUNT = re.compile(r"(?<=\s{2})-?\d[\d,]*(?:\.\d+)?(?=\s|$)")
_WIDTH = 16


@dataclass(frozen=True)
class Shortened:
    """One instance."""

    id: str
    company: int
    filing: Filing
    truth: Truth | None
    """The injected error, at one of its lines."""
    shown: bool
    """Whether an altered line is printed at all."""


def evened(text: str) -> str:
    """Return the text with amounts in whole units and aligned columns."""
    lines = []
    for line in text.split("\n"):
        if amounts := list(_AMOUNT.finditer(line)):
            label = line[: amounts[0].start()].rstrip()
            line = f"{label:<46}" + "".join(f"{_whole(amount[0]):>{_WIDTH}}" for amount in amounts)
        lines.append(line)
    return "\n".join(lines)


def _whole(amount: str) -> str:
    rounded = Decimal(amount.replace(",", "")).quantize(Decimal(1), ROUND_HALF_UP)
    return f"{rounded:,}"


def shortened_statements(folder: Path) -> Iterator[Shortened]:
    """Yield the instances of abbreviated.jsonl."""
    for record in read_lines(folder / "abbreviated.jsonl"):
        text = read_text(evened(record["text"]).encode(), "text/plain")
        report = read_report(text, b"", record["id"])
        truth, shown = _truth(report.filing, record["truth"])
        company = COMPANIES.get(record["company"], 0)
        yield Shortened(record["id"], company, report.filing, truth, shown)


def _truth(filing: Filing, injected: Mapping[str, Any] | None) -> tuple[Truth | None, bool]:
    if not injected:
        return None, False
    errors = injected.get("errors") or [injected]
    result = [_place(filing, error) for error in errors]
    kind = "several" if len(errors) > 1 else errors[0]["error_type"]
    shown = [truth for truth in result if truth["row"] is not None]
    return {**(shown or result)[0], "type": kind, "arith_checkable": None}, bool(shown)


def _place(filing: Filing, error: Mapping[str, Any]) -> Truth:
    part, name = error["error_location"].rsplit(".", 1)
    statement, column = PARTS[part]
    label = LABELS.get(name, name.replace("_", " ").title())
    rows = [
        row
        for entry in filing.statements
        if entry.statement == statement
        for row, line in enumerate(entry.rows)
        if line.label == label and len(line.values) > column and line.values[column] is not None
    ]
    return {"statement": statement, "column": column, "row": rows[0] if rows else None,
            "label": label}  # fmt: skip
