"""Statements as the sheets of a workbook, for `smallprint statements --xlsx`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from services.cli.output.tables import period, unit_of
from shared.sheet_files import Table, defuse

NAMES = {
    "balance_sheet": "Balance sheet",
    "income": "Income statement",
    "cash_flow": "Cash flow statement",
    "equity": "Equity",
}
_LABELS, _CELLS, _CONCEPTS = 50, 16, 40  # widths of columns in characters


def statement_tables(lines: Iterable[Mapping[str, Any]], scale: str) -> Iterator[Table]:
    """Each statement as a sheet: a row for each line, a column for each period.

    Args:
        lines: the filings.
        scale: the unit of amounts, one of `tables.SCALES`.
    """
    numbers: Counter[str] = Counter()
    for line in lines:
        for statement in line["statements"]:
            name = NAMES.get(statement["statement"], "Statement")
            numbers[name] += 1
            number = f" {numbers[name]}" if numbers[name] > 1 else ""
            rows, heads, labels = _cells(name, line, statement, scale)
            widths = [_LABELS, *(_CELLS for _ in rows[heads - 1][2:]), _CONCEPTS]
            yield Table(f"{name}{number}", rows, heads, labels, widths, amounts=True)


def _cells(
    name: str, line: Mapping[str, Any], statement: Mapping[str, Any], scale: str
) -> tuple[list[list[Any]], int, int]:
    """The cells of a statement, and the numbers of rows with heads and of columns with labels."""
    columns, rows = statement["columns"], statement["rows"]
    has_periods = any("period" in row for row in rows)  # of a statement of equity
    before = ["", ""] if has_periods else [""]
    unit = "" if scale == "units" else f" (in {scale})"
    lengths = [f"{3 * c['quarters']} months ended" if c.get("quarters") else "" for c in columns]
    ends = [c.get("component") or _date(c.get("end")) for c in columns]
    cells: list[list[Any]] = [
        [line["company"] or line["source"], line["form"], _date(line["period"])],
        [f"{statement.get('title') or name}{unit}"],
        *([[*before, *lengths]] if any(lengths) else []),
        [*before, *ends, "concept"],
    ]
    heads = len(cells)
    for row in rows:
        divisor = unit_of(row["values"], scale)
        values = [value / divisor if value and divisor > 1 else value for value in row["values"]]
        of_row = [period(row["period"]) if "period" in row else ""] if has_periods else []
        cells.append([row["label"], *of_row, *values, (row.get("concept") or {}).get("name")])
    defused = [[defuse(cell) if isinstance(cell, str) else cell for cell in row] for row in cells]
    return defused, heads, len(before)


def _date(day: str | None) -> date | str | None:
    """A day as a date; another text as it is."""
    try:
        return date.fromisoformat(day or "")
    except ValueError:
        return day
