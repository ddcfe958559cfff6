"""Choose the findings to ask a frontier model about, and write the questions.

A question must name a cell, and its expected value must exceed its price
(`shared/policy/escalation_value.py`). It sends no document: only the lines that take part and a few
neighbours, with labels, amounts and the unit. Other findings, and unanswered ones, wait for a
person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from services.triage.check_pages import page_of
from services.triage.domain import Finding, ReportFinding
from services.triage.relations.relations import StatementView, Views, statement_views
from services.triage.statements.model import Column, Filing, format_day, truncate
from services.triage.statements.named_cells import NamedCell
from shared.blobs.markers import ref_of
from shared.events import DocumentRead, EscalationRequested, FurtherQuestion, Kind
from shared.events.questions import Question
from shared.events.tables import (
    LABEL_CHARACTERS,
    MAX_ROWS,
    MAX_TABLES,
    CellPosition,
    Table,
    TableColumn,
    TableRow,
    render_tables,
)
from shared.policy.escalation_value import ASSUMED_ACCURACY, TenantEscalationRules, estimated_usage
from shared.policy.rules import RiskRules

OWNER = "triage"  # the owner of the blobs made here
MOST = 20  # questions about one document; the most valuable ones
TOGETHER = 10  # questions per event
BESIDE = 2  # neighbouring lines above and below
COLUMNS = 4  # columns of a table: those that take part, then the nearest
LONGEST = 16_000  # characters of the tables of a question
NAMED = 60  # expected characters of an answer per cell


@dataclass(frozen=True)
class ResultQuestion:
    """A question about one finding, and the text of its tables.

    The text ends with the finding's id, so that no two documents share a blob.
    """

    result_id: str
    question: Question
    text: str = field(repr=False)
    worth: float = 0.0
    usd: float = 0.0  # expected price in US dollars

    def to_bytes(self) -> bytes:
        """The question as stored in the blob store."""
        return self.question.model_dump_json().encode()


def find_questions(
    filing: Filing,
    findings: Sequence[ReportFinding],
    belief: Mapping[str, float],
    asks: TenantEscalationRules,
    rules: RiskRules,
    may_be: tuple[Kind, ...] = (),
) -> Iterator[ResultQuestion]:
    """Yield the questions about a filing's findings that are worth their price.

    `belief` has the probability that each finding is right, by id. Text is sent only if it may be
    for every other possible kind of the document (`may_be`).
    """
    price = asks.price_of_any(("report", *may_be))
    if price is None or asks.hides_amounts:
        return
    views = statement_views(filing)
    for finding in findings:
        if finding.route != "review" or finding.sampled or finding.finding.dismissed:
            continue
        question = _question(views, finding, may_be)
        if question is None:
            continue
        right = np.clip([belief[finding.id]], 1e-6, 1 - 1e-6)
        (gain,) = ASSUMED_ACCURACY.gain(right, np.array([True])).tolist()
        named = NAMED * (1 + len(finding.finding.cells))
        tokens = estimated_usage(question.question.end, named)
        weight = rules.weights.get(finding.finding.check, 1.0)
        worth = asks.expected_value(gain, weight, price, tokens)
        if worth > 0:
            yield replace(question, worth=worth, usd=price.of(tokens) / 1e6)


def most_valuable(questions: Iterable[ResultQuestion]) -> list[ResultQuestion]:
    """The most valuable questions about one document."""
    return sorted(questions, key=lambda question: -question.worth)[:MOST]


def mark_escalated(
    findings: Sequence[ReportFinding], questions: Sequence[ResultQuestion]
) -> list[ReportFinding]:
    """Mark the findings that are asked about."""
    ids = {item.result_id for item in questions}
    return [replace(item, route="escalate") if item.id in ids else item for item in findings]


def escalation_requests(
    event: DocumentRead, questions: Sequence[ResultQuestion]
) -> Iterator[EscalationRequested]:
    """The events that ask the questions."""
    for first in range(0, len(questions), TOGETHER):
        head, *further = [
            (question.result_id, ref_of(question.to_bytes(), OWNER))
            for question in questions[first : first + TOGETHER]
        ]
        yield EscalationRequested(
            tenant=event.tenant,
            document_id=event.document_id,
            actor=event.actor,
            stage="triage",
            result_id=head[0],
            question=head[1],
            further=tuple(FurtherQuestion(result_id=name, question=ref) for name, ref in further),
            attempt=event.attempt,
        )


def question_blobs(questions: Sequence[ResultQuestion]) -> list[bytes]:
    """The blobs of questions: each question, and the text of its tables."""
    pairs = ((question.to_bytes(), question.text.encode()) for question in questions)
    return list(chain.from_iterable(pairs))


def _question(views: Views, item: ReportFinding, may_be: tuple[Kind, ...]) -> ResultQuestion | None:
    """The question about a finding; None if it names no cell with an amount."""
    finding = item.finding
    if finding.row is None or finding.column is None or finding.reported is None:
        return None
    cells = [(index, cell) for cell in finding.cells if (index := _sheet_of(views, cell)) >= 0]
    if not cells or (cells[0][1].row, cells[0][1].column) != (finding.row, finding.column):
        return None
    if views[cells[0][0]].value(finding.row, finding.column) is None:
        return None
    order = list(dict.fromkeys(index for index, _ in cells))[:MAX_TABLES]
    tables = tuple(_table(views[index], finding, cells, index) for index in order)
    doubted = CellPosition(table=1, row=finding.row, column=finding.column)
    if tables[0].find(doubted.row, doubted.column) is None:
        return None
    text, page = render_tables(tables), page_of(finding.check)
    if len(text) > LONGEST:
        return None
    stored = f"{text}\n\n{item.id}\n"
    question = Question(
        subject="finding",
        result=item.id,
        kind="report",
        may_be=may_be,
        text=ref_of(stored.encode(), OWNER),
        start=0,
        end=len(text),
        category=finding.check,
        definition=page.title if page else finding.check,
        tables=tables,
        cell=doubted,
        expected=finding.expected,
    )
    return ResultQuestion(item.id, question, stored)


def _sheet_of(views: Views, cell: NamedCell) -> int:
    """The statement of a cell, -1 for none. Two statements may have the same name."""
    for index, view in enumerate(views):
        if view.kind == cell.statement and cell.row < len(view.rows):
            row = view.rows[cell.row]
            if row.label == cell.label and cell.column < len(row.values):
                return index
    return -1


def _table(
    view: StatementView, finding: Finding, cells: Sequence[tuple[int, NamedCell]], index: int
) -> Table:
    """The lines that take part and their neighbours, in a few columns."""
    mine = [cell for cell_index, cell in cells if cell_index == index]
    lines = list(dict.fromkeys(cell.row for cell in mine))[:MAX_ROWS]
    neighbours = {
        row
        for line in lines
        for row in range(line - BESIDE, line + BESIDE + 1)
        if 0 <= row < len(view.rows) and row not in lines
    }
    lines = sorted([*lines, *sorted(neighbours)[: MAX_ROWS - len(lines)]])
    columns = list(dict.fromkeys(cell.column for cell in mine))[:COLUMNS]
    near = finding.column or 0
    other_columns = [c for c in range(view.width) if c not in columns]
    other_columns.sort(key=lambda c: abs(c - near))
    columns = sorted([*columns, *other_columns[: COLUMNS - len(columns)]])
    return Table(
        statement=truncate(view.kind or "statement", LABEL_CHARACTERS),
        unit=view.unit,
        columns=tuple(
            TableColumn(column=c, title=_title(view.statement.columns[c])) for c in columns
        ),
        rows=tuple(
            TableRow(
                row=row,
                label=truncate(view.rows[row].label, LABEL_CHARACTERS),
                values=tuple(view.value(row, c) for c in columns),
            )
            for row in lines
        ),
    )


def _title(column: Column) -> str:
    """A moment or a period in words."""
    day = format_day(column.end) if column.end else "no date"
    return f"{day}, {column.quarters} quarters" if column.quarters else day
