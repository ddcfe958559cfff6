"""Which findings are worth a question to a frontier model, and what is asked.

Asked about is a finding that names a cell, and of which an answer is expected to prevent mistakes
that are worth more than it costs (`shared/asking.py`). What is sent is no document but the lines of
the statements that take part, with a few beside them: labels, amounts, and the unit of the page.
Whoever is not asked about waits for a person as before, and so does what has no answer in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from services.triage.domain import Finding, NamedCell, ReportFinding
from services.triage.pages import page_of
from services.triage.relations import Sheet, sheets
from services.triage.statements import Column, Filing, quoted
from shared.asking import ASSUMED, AskRules, Tokens
from shared.events import BlobRef, DocumentRead, EscalationRequested, FurtherQuestion, Kind
from shared.events.questions import Question
from shared.events.tables import (
    LABEL_CHARACTERS,
    MOST_ROWS,
    MOST_TABLES,
    CellPlace,
    Table,
    TableColumn,
    TableRow,
    as_text,
)
from shared.policy import RiskRules
from shared.storage.deletion import ref_of

OWNER = "triage"
"""Whose the blobs are that are made here."""
MOST = 20
"""Questions about one document: those that are worth most."""
TOGETHER = 10
"""Questions that one event asks."""
BESIDE = 2
"""Lines above and below those that take part."""
COLUMNS = 4
"""Columns of a table: those that take part, and the nearest."""
LONGEST = 16_000
"""Characters of the tables of a question: what has more is no few lines."""
NAMED = 60
"""Characters of an answer for each cell that it names."""


@dataclass(frozen=True)
class Asked:
    """A question about one finding, and the text of its tables; behind that the text has the
    finding's id, so that it is no other document's.
    """

    result_id: str
    question: Question
    text: str = field(repr=False)
    worth: float = 0.0
    usd: float = 0.0
    """What asking is expected to cost."""

    def to_bytes(self) -> bytes:
        """The question as it lies in the blob store."""
        return self.question.model_dump_json().encode()


def worth_asking(
    filing: Filing,
    found: Sequence[ReportFinding],
    belief: Mapping[str, float],
    asks: AskRules,
    rules: RiskRules,
    may_be: tuple[Kind, ...] = (),
) -> Iterator[Asked]:
    """Yield questions about the findings of a filing that are worth their price.

    Args:
        filing: as it was checked.
        found: its findings.
        belief: how likely each is right, by its id.
        asks: who may be asked, and what a prevented mistake is worth.
        rules: of the tenant, which weigh checks.
        may_be: of which other kinds the document may be: its words leave where all of them may.
    """
    price = asks.price_of_any(("report", *may_be))
    if price is None or asks.hides_amounts:
        return
    pages = sheets(filing)
    for one in found:
        if one.route != "review" or one.sampled or one.finding.dismissed:
            continue
        asked = _question(pages, one, may_be)
        if asked is None:
            continue
        right = np.clip([belief[one.id]], 1e-6, 1 - 1e-6)
        (gain,) = ASSUMED.gain(right, np.array([True])).tolist()
        named = NAMED * (1 + len(one.finding.cells))
        tokens = Tokens.about(asked.question.end, named)
        weight = rules.weights.get(one.finding.check, 1.0)
        worth = asks.worth(gain, weight, price, tokens)
        if worth > 0:
            yield replace(asked, worth=worth, usd=price.of(tokens) / 1e6)


def worthiest(asked: Iterable[Asked]) -> list[Asked]:
    """Return those that are asked about one document."""
    return sorted(asked, key=lambda one: -one.worth)[:MOST]


def escalated(found: Sequence[ReportFinding], asked: Sequence[Asked]) -> list[ReportFinding]:
    """Say of the findings that are asked about that they are."""
    ids = {one.result_id for one in asked}
    return [replace(one, route="escalate") if one.id in ids else one for one in found]


def requests_of(event: DocumentRead, asked: Sequence[Asked]) -> Iterator[EscalationRequested]:
    """The events that ask; where their blobs lie follows from them."""
    for first in range(0, len(asked), TOGETHER):
        head, *others = [
            (one.result_id, ref_of(one.to_bytes(), OWNER))
            for one in asked[first : first + TOGETHER]
        ]
        yield EscalationRequested(
            tenant=event.tenant,
            document_id=event.document_id,
            actor=event.actor,
            stage="triage",
            result_id=head[0],
            question=head[1],
            further=tuple(FurtherQuestion(result_id=name, question=ref) for name, ref in others),
            attempt=event.attempt,
        )


def blobs_of(asked: Sequence[Asked]) -> list[bytes]:
    """What is written for questions: each, and the text of its tables."""
    return [data for one in asked for data in (one.to_bytes(), one.text.encode())]


def _question(
    pages: Sequence[Sheet], found: ReportFinding, may_be: tuple[Kind, ...]
) -> Asked | None:
    """The question about a finding; None if it names no cell with an amount."""
    finding = found.finding
    if finding.row is None or finding.column is None or finding.reported is None:
        return None
    cells = [(place, cell) for cell in finding.cells if (place := _sheet_of(pages, cell)) >= 0]
    if not cells or (cells[0][1].row, cells[0][1].column) != (finding.row, finding.column):
        return None
    if pages[cells[0][0]].value(finding.row, finding.column) is None:
        return None
    order = list(dict.fromkeys(place for place, _ in cells))[:MOST_TABLES]
    tables = tuple(_table(pages[one], finding, cells, one) for one in order)
    doubted = CellPlace(table=1, row=finding.row, column=finding.column)
    if tables[0].find(doubted.row, doubted.column) is None:
        return None
    text, page = as_text(tables), page_of(finding.check)
    if len(text) > LONGEST:
        return None
    kept = f"{text}\n\n{found.id}\n"
    question = Question(
        subject="finding",
        result=found.id,
        kind="report",
        may_be=may_be,
        text=ref_of(kept.encode(), OWNER),
        start=0,
        end=len(text),
        category=finding.check,
        definition=page.title if page else finding.check,
        tables=tables,
        cell=doubted,
        expected=finding.expected,
    )
    return Asked(found.id, question, kept)


def _sheet_of(pages: Sequence[Sheet], cell: NamedCell) -> int:
    """Which statement a cell is in, -1 for none: its name alone does not say, if there are two."""
    for place, sheet in enumerate(pages):
        if sheet.statement.statement == cell.statement and cell.row < len(sheet.rows):
            row = sheet.rows[cell.row]
            if row.label == cell.label and cell.column < len(row.values):
                return place
    return -1


def _table(
    sheet: Sheet, finding: Finding, cells: Sequence[tuple[int, NamedCell]], place: int
) -> Table:
    """The lines that take part and those beside them, in a few columns."""
    mine = [cell for where, cell in cells if where == place]
    lines = list(dict.fromkeys(cell.row for cell in mine))[:MOST_ROWS]
    beside = {
        row
        for line in lines
        for row in range(line - BESIDE, line + BESIDE + 1)
        if 0 <= row < len(sheet.rows) and row not in lines
    }
    lines = sorted([*lines, *sorted(beside)[: MOST_ROWS - len(lines)]])
    columns = list(dict.fromkeys(cell.column for cell in mine))[:COLUMNS]
    near = finding.column or 0
    others = [c for c in range(sheet.width) if c not in columns]
    others.sort(key=lambda c: abs(c - near))
    columns = sorted([*columns, *others[: COLUMNS - len(columns)]])
    return Table(
        statement=quoted(sheet.statement.statement or "statement", LABEL_CHARACTERS),
        unit=sheet.unit,
        columns=tuple(
            TableColumn(column=c, title=_title(sheet.statement.columns[c])) for c in columns
        ),
        rows=tuple(
            TableRow(
                row=row,
                label=quoted(sheet.rows[row].label, LABEL_CHARACTERS),
                values=tuple(sheet.value(row, c) for c in columns),
            )
            for row in lines
        ),
    )


def _title(column: Column) -> str:
    """A moment or a duration, in words."""
    end = column.end or ""
    day = f"{end[:4]}-{end[4:6]}-{end[6:]}" if end else "no date"
    return f"{day}, {column.quarters} quarters" if column.quarters else day


def refs_of(asked: Sequence[Asked]) -> set[BlobRef]:
    """Where all of it lies."""
    return {ref_of(data, OWNER) for data in blobs_of(asked)}
