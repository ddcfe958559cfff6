"""Hostile answers about findings of reports, kinds of documents and pages, for `attack_door`."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

from infra.stand_in import Fault
from services.escalation.domain import Outcome
from shared.events import BlobRef
from shared.events.questions import Question, Subject
from shared.events.tables import CellPlace, Table, TableColumn, TableRow, as_text

FAULTS: dict[tuple[Subject, Fault], str] = {
    ("finding", "invent"): "a cell that is not there",
    ("finding", "alter"): "an amount that a cell does not have",
    ("finding", "foreign"): "a sum that is none",
    ("kind", "invent"): "words that show a kind and are not there",
    ("kind", "alter"): "words that show a kind and are altered",
    ("page", "invent"): "words of a page that are not there",
    ("page", "alter"): "words of a page that are altered",
}
LETTER = "Dear Jane, the minutes of meeting {number} are enclosed. Yours, Ann.\n"
UNIT = Decimal(1_000)

Asks = Callable[[Question, str], Outcome]


def question(subject: Subject, number: int, chance: random.Random) -> tuple[Question, str]:
    """A question of a subject, and the text that its window is of."""
    tables: tuple[Table, ...] = ()
    cell, expected = None, None
    text = LETTER.format(number=number)
    if subject == "finding":
        tables, cell, expected = (_table(chance),), CellPlace(table=1, row=4, column=0), UNIT * 7
        text = as_text(tables)
    asked = Question(
        subject=subject,
        kind="report" if subject == "finding" else "contract",
        text=BlobRef(sha256="0" * 64, size=len(text)),
        start=0,
        end=len(text),
        category="balance_sheet_sums" if subject == "finding" else f"of a {subject}",
        definition=f"Lines make their total. ({number})",
        tables=tables,
        cell=cell,
        expected=expected,
    )
    return asked, text


def _table(chance: random.Random) -> Table:
    """Four lines and a total, in thousands."""
    rows = [
        TableRow(
            row=row,
            label=f"Line {row}",
            values=tuple(UNIT * chance.randrange(1, 10**6) for _ in range(2)),
        )
        for row in range(5)
    ]
    columns = (TableColumn(column=0, title="2025"), TableColumn(column=1, title="2024"))
    return Table(statement="balance_sheet", unit=UNIT, columns=columns, rows=tuple(rows))
