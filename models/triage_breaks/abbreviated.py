"""Shorten statements to headlines: one or two lines a section, with its totals.

The layout is that of data vendors (`abbreviated.jsonl`, FinVerBench, Panda 2026): one period of
income and cash flow, two of the balance sheet, and the vendor's line names. A vendor's changes
count as lawful even if they do not add up. Examples: operating income as pretax income, one line
for all expenses, an earlier column from several years. Where that column has its two totals from
different years, the rule `balance_equation` flags the copy.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.triage_breaks.filings import Record
from models.triage_breaks.injections import Truth, unit_of

LINES: Mapping[str, Mapping[str, Sequence[str]]] = tomllib.loads(
    Path(__file__).with_name("headlines.toml").read_text(encoding="utf-8")
)
"""The headlines by statement: their names, and possible concepts, the most likely first."""
POSITIVE = ("Capital Expenditures", "Debt Repayment", "Dividends Paid")
"""Payments that a vendor shows without a sign."""
FIRST_ONLY = ("Accounts Payable", "Short-Term Debt")
"""Lines without an amount in the earlier column."""
MAY_LACK = ("Inventory", "Accounts Receivable", "Goodwill", "Retained Earnings",
            "Operating Expenses", "Property, Plant & Equipment", "Depreciation & Amortization",
            "Debt Repayment", "Changes in Working Capital", "Dividends Paid",
            "Capital Expenditures", "Long-Term Debt")  # fmt: skip
MILLION = 1_000_000
LEAST = 100
"""Least total assets in units of presentation, so that amounts have enough digits."""

Amounts = dict[str, list[int | None]]
ERRORS: Mapping[str, tuple[float, tuple[float, ...]]] = {
    "headline_total": (4, (0.05, 0.1)),
    "headline_ending_cash": (1.5, (0.005, 0.02, 0.05)),
    "headline_net_income": (2, (0.05,)),
    "headline_before": (1, (0.05,)),
    "headline_of_two": (1, (0.02, 0.05)),
    "headline_any": (4, (0.005, 0.02, 0.1, 0.25)),
}
"""Errors as in FinVerBench: their frequency, and the relative change of an amount."""
TOTALS = ("Revenue", "Cost of Goods Sold", "Gross Profit", "Operating Income",
          "Total Current Assets", "Total Current Liabilities", "Total Liabilities", "Total Equity",
          "Cash from Operations", "Cash from Investing", "Cash from Financing",
          "Capital Expenditures")  # fmt: skip
OF_TWO = ("Total Assets", "Total Liabilities & Equity", "Total Current Assets", "Goodwill")


def shortened(record: Record, seed: str) -> Record | None:
    """Return a filing's headlines as a vendor shows them; None if it lacks needed lines."""
    draw = random.Random(seed)
    by_name = {s["statement"]: s for s in reversed(record["statements"])}
    columns = _columns(by_name) if set(LINES) <= set(by_name) else None
    if columns is None:
        return None
    amounts = {kind: _amounts(by_name[kind], columns[kind]) for kind in LINES}
    income, balance, flows = amounts["income"], amounts["balance_sheet"], amounts["cash_flow"]
    needed = (
        income.get("Net Income"),
        balance.get("Total Assets"),
        balance.get("Total Equity"),
        flows.get("Cash from Operations"),
        flows.get("Net Change in Cash"),
    )
    if not all(shown and shown[0] for shown in needed):
        return None
    unit = unit_of(by_name["balance_sheet"])
    if (balance["Total Assets"][0] or 0) < LEAST * MILLION:
        return None
    _as_vendors(draw, income, balance, flows)
    unit = MILLION if unit < MILLION and draw.random() < 0.6 else unit
    statements = []
    for kind in LINES:
        heads = [by_name[kind]["columns"][c] for c in columns[kind]]
        statements.append(_statement(kind, amounts[kind], heads, draw, unit))
    about = {key: record[key] for key in ("cik", "company", "form", "period")}
    return {"id": f"{record['id']} in headlines", **about, "statements": statements}


def spoiled(record: Record, many: int, seed: str) -> Iterator[tuple[Record, Truth]]:
    """Yield this many copies of a shortened filing with one changed amount each."""
    draw = random.Random(seed)
    names, weights = list(ERRORS), [often for often, _ in ERRORS.values()]
    made, tried = 0, 0
    while made < many and tried < 20 * many:
        tried += 1
        which = draw.choices(names, weights)[0]
        position = _place(record, which, draw)
        if position is None:
            continue
        statement, row, column = position
        line = record["statements"][statement]["rows"][row]
        before = line["values"][column]
        unit = unit_of(record["statements"][statement])
        share = draw.choice(ERRORS[which][1]) * draw.choice((-1, 1))
        after = round(before * (1 + share) / unit) * unit
        if after == before:
            continue
        made += 1
        yield (
            _with(record, statement, row, column, after),
            {
                "type": which,
                "statement": record["statements"][statement]["statement"],
                "column": column,
                "row": row,
                "label": line["label"],
                "before": before,
                "after": after,
                "arith_checkable": None,
            },
        )


def _place(record: Record, which: str, draw: random.Random) -> tuple[int, int, int] | None:
    """Return a statement, row and column for a type of error."""
    column = 1 if which == "headline_before" else 0
    names = {
        "headline_total": TOTALS,
        "headline_ending_cash": ("Ending Cash",),
        "headline_net_income": ("Net Income",),
        "headline_of_two": OF_TWO,
    }.get(which)
    result = [
        (s, r, column)
        for s, statement in enumerate(record["statements"])
        for r, row in enumerate(statement["rows"])
        if column < len(row["values"])
        and row["values"][column]
        and (names is None or row["label"] in names)
    ]
    return draw.choice(result) if result else None


def _with(record: Record, statement: int, row: int, column: int, after: int) -> Record:
    statements = list(record["statements"])
    rows = list(statements[statement]["rows"])
    values = list(rows[row]["values"])
    values[column] = after
    rows[row] = {**rows[row], "values": values}
    statements[statement] = {**statements[statement], "rows": rows}
    return {**record, "statements": statements}


def _columns(by_name: Mapping[str, Record]) -> dict[str, list[int]] | None:
    """Return the columns of each statement that show one period, and of the one before."""
    balance = by_name["balance_sheet"]["columns"]
    for f, flow in enumerate(by_name["cash_flow"]["columns"]):
        for i, income in enumerate(by_name["income"]["columns"]):
            same = flow["end"] == income["end"] and flow.get("quarters") == income.get("quarters")
            now = [b for b, column in enumerate(balance) if column["end"] == flow["end"]]
            if same and flow.get("start") == income.get("start") and now and len(balance) > 1:
                before = next(b for b in range(len(balance)) if b != now[0])
                return {"income": [i], "balance_sheet": [now[0], before], "cash_flow": [f]}
    return None


def _amounts(statement: Record, columns: Sequence[int]) -> Amounts:
    """Return the amounts of each headline of a statement, in some of its columns."""
    result: Amounts = {}
    for name, concepts in LINES[statement["statement"]].items():
        for concept in concepts:
            rows = [r for r in statement["rows"] if r.get("concept") == concept]
            rows = [r for r in rows if r["values"] and r["values"][columns[0]]]
            if rows:
                values = rows[-1 if name == "Ending Cash" else 0]["values"]
                result[name] = [values[c] for c in columns]
                break
    return result


def _as_vendors(draw: random.Random, income: Amounts, balance: Amounts, flows: Amounts) -> None:
    """Apply the changes of a vendor in place."""
    revenue, cost = _first(income, "Revenue"), _first(income, "Cost of Goods Sold")
    if revenue and cost:
        cost = abs(cost)
        income["Cost of Goods Sold"] = [cost]
        income["Gross Profit"] = [revenue - cost]
    gross, operating = _first(income, "Gross Profit"), _first(income, "Operating Income")
    if operating is not None:
        if gross is not None and draw.random() < 0.4:
            income["Operating Expenses"] = [gross - operating]
        elif "Operating Expenses" in income and draw.random() < 0.5:
            share = draw.uniform(0.2, 0.9)
            total = abs(income["Operating Expenses"][0] or 0)
            income["Operating Expenses"] = [round(-share * total)]
        if draw.random() < 0.5:
            income["Income Before Tax"] = [operating]
    flows["Net Income"] = list(income["Net Income"])
    if balance.get("Cash and Equivalents"):
        flows["Ending Cash"] = [balance["Cash and Equivalents"][0]]
    for name in POSITIVE:
        if name in flows:
            flows[name] = [abs(flows[name][0] or 0)]
    claims = balance.setdefault("Total Liabilities & Equity", list(balance["Total Assets"]))
    equity = balance["Total Equity"]
    if "Total Liabilities" not in balance or draw.random() < 0.8:
        balance["Total Liabilities"] = [
            None if a is None or b is None else a - b for a, b in zip(claims, equity, strict=True)
        ]
    current = _first(balance, "Total Current Liabilities")
    if current and draw.random() < 0.4:
        payable = round(current * draw.uniform(0.2, 0.6))
        balance["Accounts Payable"] = [payable, None]
        balance["Short-Term Debt"] = [current - payable, None]
    if draw.random() < 0.3:
        _mix_years(draw, balance)


def _mix_years(draw: random.Random, balance: Amounts) -> None:
    """Replace the earlier column by amounts of several years."""
    older = draw.uniform(0.6, 1.0)
    for name, amounts in balance.items():
        if amounts[1] and draw.random() < 0.5:
            balance[name] = [amounts[0], round(amounts[1] * older * draw.uniform(0.95, 1.05))]


def _first(amounts: Amounts, name: str) -> int | None:
    return amounts[name][0] if name in amounts else None


def _statement(
    kind: str, amounts: Amounts, columns: Sequence[Record], draw: random.Random, unit: int
) -> Record:
    rows: list[dict[str, Any]] = []
    for name in LINES[kind]:
        if name not in amounts or (name in MAY_LACK and draw.random() < 0.2):
            continue
        values = [None if v is None else round(v / unit) * unit for v in amounts[name]]
        if name in FIRST_ONLY:
            values[1:] = [None] * (len(values) - 1)
        if values[0]:
            rows.append({"label": name, "values": values})
    heads = [{"end": c["end"]} | ({"quarters": 0} if len(columns) > 1 else {}) for c in columns]
    return {"statement": kind, "columns": heads, "rows": rows, "presented_in": unit}
