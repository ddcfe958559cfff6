"""Small sound filings, to be changed one cell at a time."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from services.triage.checks.verdict import triage_filing
from services.triage.domain import Finding, Verdict
from services.triage.statements.model import BadFiling, Filing, read_filings

Record = dict[str, Any]
CONCEPTS = {
    "Net sales": "SalesRevenueNet",
    "Cost of goods sold": "CostOfGoodsSold",
    "Operating income": "OperatingIncomeLoss",
    "Provision for income taxes": "IncomeTaxExpenseBenefit",
    "Net income": "NetIncomeLoss",
    "Cash and cash equivalents": "CashAndCashEquivalentsAtCarryingValue",
    "Total current assets": "AssetsCurrent",
    "Total assets": "Assets",
    "Accounts payable": "AccountsPayableCurrent",
    "Total current liabilities": "LiabilitiesCurrent",
    "Total stockholders' equity": "StockholdersEquity",
    "Total liabilities and stockholders' equity": "LiabilitiesAndStockholdersEquity",
    "Net cash provided by operating activities": "NetCashProvidedByUsedInOperatingActivities",
    "Capital expenditures": "PaymentsToAcquirePropertyPlantAndEquipment",
    "Net cash used in investing activities": "NetCashProvidedByUsedInInvestingActivities",
    "Net cash used in financing activities": "NetCashProvidedByUsedInFinancingActivities",
    "Net increase (decrease) in cash and cash equivalents": (
        "CashAndCashEquivalentsPeriodIncreaseDecrease"
    ),
}
"""Concepts of the headlines of the filings below."""


def row(label: str, *values: float | None, **more: Any) -> Record:
    """A line with its amounts, in millions."""
    amounts = [None if v is None else int(v * 1_000_000) for v in values]
    return {"label": label, "values": amounts, "unit": "USD", **more}


def balance_sheet() -> Record:
    return {
        "statement": "balance_sheet",
        "columns": [{"end": "20231231"}, {"end": "20221231"}],
        "rows": [
            {"label": "Current assets:", "values": [None, None], "heading": 1},
            row("Cash and cash equivalents", 1234, 1081),
            row("Accounts receivable, net", 2719, 2466),
            row("Inventories", 988, 1043),
            row("Total current assets", 4941, 4590),
            row("Property, plant and equipment, net", 7325, 7118),
            row("Goodwill", 2116, 2116),
            row("Total assets", 14382, 13824),
            row("Accounts payable", 1877, 1795),
            row("Accrued liabilities", 1204, 1163),
            row("Total current liabilities", 3081, 2958),
            row("Long-term debt", 4418, 4547),
            row("Total liabilities", 7499, 7505),
            row("Common stock", 219, 219),
            row("Retained earnings", 6664, 6100),
            row("Total stockholders' equity", 6883, 6319),
            row("Total liabilities and stockholders' equity", 14382, 13824),
        ],
    }


def income() -> Record:
    return {
        "statement": "income",
        "columns": [{"end": f"{year}1231", "quarters": 4} for year in (2023, 2022, 2021)],
        "rows": [
            row("Net sales", 11853, 11207, 10466),
            row("Cost of goods sold", 7431, 7122, 6689),
            row("Gross profit", 4422, 4085, 3777),
            row("Selling, general and administrative expenses", 2673, 2524, 2391),
            row("Operating income", 1749, 1561, 1386),
            row("Interest expense", 214, 221, 233),
            row("Income before income taxes", 1535, 1340, 1153),
            row("Provision for income taxes", 346, 308, 271),
            row("Net income", 1189, 1032, 882),
            {"label": "Basic earnings per share", "values": [2.31, 2.01, 1.72], "unit": "USD"},
        ],
    }


def cash_flow() -> Record:
    return {
        "statement": "cash_flow",
        "columns": [{"end": f"{year}1231", "quarters": 4} for year in (2023, 2022, 2021)],
        "rows": [
            row("Net income", 1189, 1032, 882),
            row("Depreciation and amortization", 563, 541, 522),
            row("Change in receivables", -253, -118, -97),
            row("Net cash provided by operating activities", 1499, 1455, 1307),
            row("Capital expenditures", -771, -689, -702),
            row("Proceeds from sale of equipment", 49, 23, 12),
            row("Net cash used in investing activities", -722, -666, -690),
            row("Repayment of long-term debt", -129, -377, -208),
            row("Dividends paid", -495, -461, -430),
            row("Net cash used in financing activities", -624, -838, -638),
            row("Net increase (decrease) in cash and cash equivalents", 153, -49, -21),
            row("Cash and cash equivalents at beginning of year", 1081, 1130, 1151),
            row("Cash and cash equivalents at end of year", 1234, 1081, 1130),
        ],
    }


def record() -> Record:
    """A sound filing, with its training columns, which must make no difference."""
    return {
        "id": "f1",
        "company": "Example Corp",
        "form": "10-K",
        "period": "20231231",
        "statements": [balance_sheet(), income(), cash_flow()],
    }


def read(filing: Record) -> Filing:
    """The filing as triage reads it."""
    (found,) = read_filings(json.dumps(filing).encode(), "application/json", "f1.json")
    assert not isinstance(found, BadFiling), found
    return found


def statement_of(filing: Record, name: str) -> Record:
    found: Record = next(s for s in filing["statements"] if s["statement"] == name)
    return found


def find_row(filing: Record, statement: str, label: str) -> tuple[Record, int]:
    part = statement_of(filing, statement)
    return part, next(i for i, r in enumerate(part["rows"]) if r["label"] == label)


def change(filing: Record, statement: str, label: str, *amounts: float) -> int:
    """Give a line other amounts, in millions; returns its index."""
    part, index = find_row(filing, statement, label)
    part["rows"][index] = row(label, *amounts)
    return index


def bent(statement: str, label: str, column: int, amount: float) -> Record:
    """The sound filing with one amount changed, in millions."""
    filing = record()
    part, index = find_row(filing, statement, label)
    part["rows"][index]["values"][column] = int(amount * 1_000_000)
    return filing


def wrong(amount: float = 4509, **more: Any) -> Record:
    """The sound filing with one wrong total, about which one finding is sure."""
    return {**bent("balance_sheet", "Total current assets", 1, amount), "id": "wrong", **more}


def without(statement: str, label: str) -> Record:
    """The sound filing without one line."""
    filing = record()
    part, index = find_row(filing, statement, label)
    del part["rows"][index]
    return filing


def restricted() -> Record:
    """Cash flows of cash and restricted cash, which the balance sheet shows elsewhere."""
    filing = record()
    change(filing, "cash_flow", "Cash and cash equivalents at beginning of year", 1091, 1140, 1161)
    change(filing, "cash_flow", "Cash and cash equivalents at end of year", 1244, 1091, 1140)
    return filing


def verdict(filing: Record) -> Verdict:
    return triage_filing(read(filing))


def only(filing: Record) -> Finding:
    found = verdict(filing).findings
    assert len(found) == 1, [f.message for f in found]
    return found[0]


def millions(amount: int) -> Decimal:
    return Decimal(amount) * 1_000_000
