"""Tables of financial statements in a question to a frontier model, as data and as text.

Amounts are exact, in whole units. Rows and columns keep their numbers in the report, so that an
answer identifies one cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

MAX_TABLES, MAX_ROWS, MAX_COLUMNS = 4, 80, 8
LABEL_CHARACTERS = 200


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CellPosition(_Part):
    """A cell: its table, counted from 1, and its row and column in the report."""

    table: int = Field(ge=1)
    row: int = Field(ge=0)
    column: int = Field(ge=0)


class TableColumn(_Part):
    """A date or a period, in words."""

    column: int = Field(ge=0)
    title: str = Field(max_length=100)


class TableRow(_Part):
    """A line with an amount, or none, for each column of the table."""

    row: int = Field(ge=0)
    label: str = Field(max_length=LABEL_CHARACTERS)
    values: tuple[Decimal | None, ...] = Field(max_length=MAX_COLUMNS)


class Table(_Part):
    """Part of one statement."""

    statement: str = Field(max_length=200)
    unit: Decimal = Field(gt=0, description="amounts on the page are multiples of it")
    columns: tuple[TableColumn, ...] = Field(max_length=MAX_COLUMNS)
    rows: tuple[TableRow, ...] = Field(max_length=MAX_ROWS)

    def find(self, row: int, column: int) -> tuple[str, Decimal] | None:
        """Return label and amount of a cell; None without an amount."""
        position = next((i for i, one in enumerate(self.columns) if one.column == column), None)
        line = next((one for one in self.rows if one.row == row), None)
        if position is None or line is None or position >= len(line.values):
            return None
        value = line.values[position]
        return None if value is None else (line.label, value)


def find_cell(tables: Sequence[Table], position: CellPosition) -> tuple[str, Decimal] | None:
    """Return label and amount of a cell; None without an amount."""
    if not position.table <= len(tables):
        return None
    return tables[position.table - 1].find(position.row, position.column)


def format_amount(value: Decimal) -> str:
    """Format an amount as in the text."""
    return f"{value:,f}"


def render_tables(tables: Sequence[Table]) -> str:
    """Render the tables as they are sent."""
    return "\n\n".join("\n".join(_lines(number, table)) for number, table in enumerate(tables, 1))


def _lines(number: int, table: Table) -> Iterable[str]:
    yield (
        f"Table {number}: {_plain(table.statement)}. Amounts are in whole units; the page prints "
        f"them in multiples of {format_amount(table.unit)}."
    )
    yield "Columns: " + "; ".join(f"{one.column} = {_plain(one.title)}" for one in table.columns)
    for row in table.rows:
        amounts = ("" if value is None else format_amount(value) for value in row.values)
        yield f"Row {row.row}: {' | '.join((_plain(row.label), *amounts))}"


def _plain(words: str) -> str:
    """Replace line breaks and separators."""
    return " ".join(words.replace("|", "/").split())
