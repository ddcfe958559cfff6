"""Parts of financial statements in a question to a frontier model: data, and the text that is sent.

Amounts are exact, in whole units. Rows and columns keep the numbers that they have in the report,
so that an answer names a cell of the report and no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

MOST_TABLES, MOST_ROWS, MOST_COLUMNS = 4, 80, 8
LABEL_CHARACTERS = 200


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CellPlace(_Part):
    """A cell: its table, counted from 1, and the numbers of its row and column."""

    table: int = Field(ge=1)
    row: int = Field(ge=0)
    column: int = Field(ge=0)


class TableColumn(_Part):
    """A moment or a duration, in words."""

    column: int = Field(ge=0)
    title: str = Field(max_length=100)


class TableRow(_Part):
    """A line with an amount for each of the table's columns; none where it has none."""

    row: int = Field(ge=0)
    label: str = Field(max_length=LABEL_CHARACTERS)
    values: tuple[Decimal | None, ...] = Field(max_length=MOST_COLUMNS)


class Table(_Part):
    """A part of one statement."""

    statement: str = Field(max_length=200)
    unit: Decimal = Field(gt=0, description="amounts are multiples of it as the page prints them")
    columns: tuple[TableColumn, ...] = Field(max_length=MOST_COLUMNS)
    rows: tuple[TableRow, ...] = Field(max_length=MOST_ROWS)

    def find(self, row: int, column: int) -> tuple[str, Decimal] | None:
        """Label and amount of a cell; None if the table has no amount there."""
        place = next((i for i, one in enumerate(self.columns) if one.column == column), None)
        line = next((one for one in self.rows if one.row == row), None)
        if place is None or line is None or place >= len(line.values):
            return None
        value = line.values[place]
        return None if value is None else (line.label, value)


def found(tables: Sequence[Table], place: CellPlace) -> tuple[str, Decimal] | None:
    """Label and amount of a cell; None if there is no amount."""
    if not place.table <= len(tables):
        return None
    return tables[place.table - 1].find(place.row, place.column)


def printed(value: Decimal) -> str:
    """An amount as the text has it."""
    return f"{value:,f}"


def as_text(tables: Sequence[Table]) -> str:
    """The tables as they are sent."""
    return "\n\n".join("\n".join(_lines(number, table)) for number, table in enumerate(tables, 1))


def _lines(number: int, table: Table) -> Iterable[str]:
    yield (
        f"Table {number}: {_plain(table.statement)}. Amounts are in whole units; the page prints "
        f"them in multiples of {printed(table.unit)}."
    )
    yield "Columns: " + "; ".join(f"{one.column} = {_plain(one.title)}" for one in table.columns)
    for row in table.rows:
        amounts = ("" if value is None else printed(value) for value in row.values)
        yield f"Row {row.row}: {' | '.join((_plain(row.label), *amounts))}"


def _plain(words: str) -> str:
    """Words that can't be taken for a line or a field."""
    return " ".join(words.replace("|", "/").split())
