"""Lines that the page prints between those of a relation close its gap."""

from __future__ import annotations

import pytest

from tests.unit.triage.filings import (
    Record,
    cash_flow,
    change,
    record,
    restricted,
    row,
    statement_of,
    verdict,
)


def apart() -> Record:
    """A filing whose liabilities and equity fall short of their total by 200 and 150."""
    filing = record()
    sheet = statement_of(filing, "balance_sheet")
    change(filing, "balance_sheet", "Total stockholders' equity", 6683, 6169)
    unread = ("Retained earnings", "Accounts payable", "Long-term debt")
    sheet["rows"] = [line for line in sheet["rows"] if line["label"] not in unread]
    return filing


def discontinued() -> Record:
    """Cash flows of which the continuing operations make 5, 6 and 7 more than the change."""
    filing = {"id": "f", "statements": [cash_flow()]}
    name = "Net increase (decrease) in cash and cash equivalents"
    change(filing, "cash_flow", name, 148, -55, -28)
    change(filing, "cash_flow", "Cash and cash equivalents at beginning of year", 1075, 1130, 1158)
    change(filing, "cash_flow", "Cash and cash equivalents at end of year", 1223, 1075, 1130)
    return filing


CLAIMS = "Total liabilities and stockholders' equity"
REDEEMABLE = "Redeemable noncontrolling interests"
DISPOSED = "Cash used by discontinued operations"
FINANCING = "Net cash used in financing activities"
CONTINUING = [row("Cash of continuing operations", 153, -49, -21)]


@pytest.mark.parametrize(
    ("filing", "above", "lines", "check", "closes"),
    [
        (apart(), "Total liabilities", [], "headline_sums", False),
        (apart(), "Total liabilities", [row(REDEEMABLE, 200, 150)], "headline_sums", True),
        (apart(), CLAIMS, [row(REDEEMABLE, 200, 150)], "headline_sums", True),
        (apart(), "Total liabilities", [row(REDEEMABLE, 200, 140)], "headline_sums", False),
        (apart(), "Total liabilities", [row("Pensions", 200, 150)], "headline_sums", False),
        (discontinued(), FINANCING, CONTINUING, "cash_flow_change", False),
        (discontinued(), FINANCING, [*CONTINUING, *[row(DISPOSED, -5, -6, -7)] * 2],
         "cash_flow_change", True),
        (discontinued(), FINANCING, [*CONTINUING, *[row(DISPOSED, -5, -6, -17)] * 2],
         "cash_flow_change", False),
        (restricted(), "Goodwill", [], "cash_agrees", False),
        (restricted(), "Goodwill", [row("Restricted cash", 10, 10)], "cash_agrees", True),
        (restricted(), "Goodwill", [row("Federal funds sold", 7, 8),
                                    row("Deposits with banks", 3, 2)], "cash_agrees", True),
        (restricted(), "Goodwill", [row("Restricted cash", 9, 9)], "cash_agrees", False),
        (restricted(), "Goodwill", [row("Prepaid expenses", 10, 10)], "cash_agrees", False),
    ],
    ids=["nothing between", "redeemable interests", "below the total", "in one year",
         "another line",
         "nothing discontinued", "discontinued operations", "another amount",
         "cash", "restricted cash", "cash of a bank", "other restricted cash", "another asset"],
)  # fmt: skip
def test_printed_lines_close_a_relation(
    filing: Record, above: str, lines: list[Record], check: str, closes: bool
) -> None:
    (rows,) = (s["rows"] for s in filing["statements"] if above in [r["label"] for r in s["rows"]])
    place = [line["label"] for line in rows].index(above) + 1
    rows[place:place] = lines
    result = verdict(filing)
    assert not result.findings
    assert (check not in {item.check for item in result.coverage.items}) == closes
    shown = [one.relation for one in result.coverage.checks if one.outcome == "holds"]
    assert not closes or any(lines[-1]["label"] in relation for relation in shown)
