"""Read one report: its statements, its filer, and warnings for the reader."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from services.triage.reading.concept_order import read_unordered
from services.triage.reading.inline_xbrl import with_tags
from services.triage.reading.reader import (
    DocumentStatements,
    ReadStatement,
    Unread,
    UsualLines,
    find_statements,
)
from services.triage.reading.xbrl_instance import read_instance, undivided_facts
from services.triage.statements.model import CHECKED, Column, Filing, format_day, truncate
from services.triage.statements.positions import Position
from shared.documents.model.cells import cell_of
from shared.documents.model.formats import HTML, XBRL
from shared.documents.model.parsed_document import ParsedDocument
from shared.documents.xbrl.xbrl import Fact, Facts, facts_of, is_inline
from shared.errors import UnreadableDocument

FactsReader = Callable[[bytes], Facts]
"""Reads the facts of an instance or of inline XBRL: `facts_of`, or the same in a child process."""

_FORM = re.compile(r"\bform\s+(10-?[KQ](?:/A)?|20-F|40-F|8-K|6-K|S-[14])\b", re.I)
_ABOUT = {
    "EntityRegistrantName": "company",
    "DocumentType": "form",
    "DocumentPeriodEndDate": "period",
}
_COVER = 5_000  # characters that may name the form
_OF_VALUES = 2  # the column of values in the text of an instance
_PICTURE = re.compile(rb"<img\b", re.IGNORECASE)
_MOST_NAMED = 5  # tables and pages that a warning lists


@dataclass(frozen=True)
class ReadReport:
    """One report as it was read."""

    filing: Filing  # as it is checked, without equity
    statements: tuple[ReadStatement, ...]
    equity: tuple[ReadStatement, ...] = ()  # shown and not checked
    notes: tuple[str, ...] = ()  # warnings about equity, on which no finding depends

    def to_json(self) -> dict[str, Any]:
        """The report in structured form, with positions; equity comes last."""
        form = self.filing.to_json()
        shown = (*self.statements, *self.equity)
        form["statements"] = [statement.to_json() for statement in shown]
        form["warnings"] += self.notes
        return form


class NoStatements(UnreadableDocument):
    """A readable document without a statement."""

    def __init__(self, message: str, reading: ParsedDocument) -> None:
        super().__init__(message)
        self.reading = reading
        """Its sentences can still be read."""


@dataclass(frozen=True)
class Linkbases:
    """The linkbases that are filed with an instance."""

    presentation: bytes
    labels: bytes | None = None


def read_report(
    reading: ParsedDocument,
    data: bytes,
    name: str,
    *,
    linkbases: Linkbases | None = None,
    facts: FactsReader = facts_of,
    usual_lines: UsualLines | None = None,
) -> ReadReport:
    """Read the statements of one parsed document; `data` is the document itself, for its tags.

    Args:
        usual_lines: for short statements; without it, few lines count as usual.

    Raises:
        NoStatements: There is no statement in it.
        UnreadableDocument: Its instance can't be laid out.
    """
    warnings = [*reading.warnings, *_failed(reading)]
    document = DocumentStatements(())
    tags = _tags(reading, data, warnings, facts)
    if reading.media_type == XBRL:
        laid_out = _of_instance(tags, linkbases, warnings)
        statements = [_in_text(statement, reading) for statement in laid_out]
    else:
        document = find_statements(reading, usual_lines)
        statements = list(document.statements)
        if tags:
            statements = [_with_tags(statement, tags, warnings) for statement in statements]
    if not statements:
        raise NoStatements(_no_statements_message(reading, document.unread, data), reading)
    warnings += [*_missing(statements, document.unread), *_left_out(statements)]
    kinds = {statement.kind for statement in statements}
    about = {key: _first(tags, concept) or "" for concept, key in _ABOUT.items()}
    form = _FORM.search(reading.text[:_COVER])
    ends = [column.end for read in statements for column in read.columns if column.end]
    filing = Filing(
        id=Path(name).stem or "report",
        company=about["company"] or None,
        form=about["form"] or (form[1].upper() if form else None),
        period=about["period"].replace("-", "") or max(ends, default=None),
        statements=tuple(read.statement for read in statements),
        warnings=tuple(dict.fromkeys(warnings)),
        complete=reading.media_type != XBRL or linkbases is not None,  # rare lines are left out
        unread=tuple(dict.fromkeys(table.kind for table in document.unread if table.kind in kinds)),
    )
    return ReadReport(filing, tuple(statements), document.equity, _notes(document))


def read_equity(reading: ParsedDocument) -> tuple[tuple[ReadStatement, ...], tuple[str, ...]]:
    """The statements of equity alone, with warnings about them."""
    document = find_statements(reading)
    return document.equity, _notes(document)


def _notes(document: DocumentStatements) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*_tables(document.unread_equity), *_left_out(document.equity))))


def _tags(
    reading: ParsedDocument, data: bytes, warnings: list[str], facts: FactsReader
) -> Sequence[Fact]:
    """The facts of an instance, or the tags of a page. Damaged tags of a page are left out."""
    if reading.media_type == XBRL:
        return facts(data).facts
    if reading.media_type != HTML or not is_inline(data):
        return ()
    try:
        return facts(data).facts
    except UnreadableDocument as error:
        warnings.append(f"inline XBRL tags are ignored: {error.message}")
        return ()


def _of_instance(
    facts: Sequence[Fact], linkbases: Linkbases | None, warnings: list[str]
) -> list[ReadStatement]:
    """The statements of an instance, laid out by its linkbases or in the usual order."""
    if linkbases is not None:
        return read_instance(facts, linkbases.presentation, linkbases.labels)
    statements = read_unordered(facts)
    if not statements:
        raise UnreadableDocument(
            "This XBRL instance has too few common us-gaap concepts to be read on its own. Put its "
            "presentation linkbase (a file ending in _pre.xml) beside it, or read the filing's HTML"
        )
    shown = {
        position.cell
        for statement in statements
        for row in statement.rows
        for position in row.positions
        if position
    }
    left_over = len(undivided_facts(facts)) - len(shown)
    warnings.append(
        "an XBRL instance has no order and no printed signs: its lines are laid out as most filers "
        f"do, and {left_over:,} numbers are left out"
    )
    return statements


def _in_text(statement: ReadStatement, reading: ParsedDocument) -> ReadStatement:
    """Add the offsets of the facts in the text of an instance."""
    spans = {
        cell.address: (cell.start, cell.end)
        for cell in map(cell_of, reading.cells)
        if cell.column == _OF_VALUES
    }

    def with_offsets(position: Position | None) -> Position | None:
        if position is None or position.cell not in spans:
            return position
        start, end = spans[position.cell]
        return replace(position, start=start, end=end)

    rows = (
        replace(row, row=replace(row.row, positions=tuple(map(with_offsets, row.positions))))
        for row in statement.rows
    )
    return replace(statement, rows=tuple(rows))


def _with_tags(
    statement: ReadStatement, facts: Sequence[Fact], warnings: list[str]
) -> ReadStatement:
    tagged = with_tags(statement, facts)
    for row, column in tagged.differing:
        label = tagged.statement.rows[row].row.label
        warnings.append(
            f"{statement.kind} row {row + 1} column {column + 1}, {truncate(label, 60)!r}: "
            "page and tag have different amounts"
        )
    return tagged.statement


def _failed(reading: ParsedDocument) -> list[str]:
    """Pages that could not be read."""
    return [
        f"page {page.number} could not be read and is missing here: {page.reason}"
        for page in reading.failed
    ]


def _no_statements_message(reading: ParsedDocument, unread: Sequence[Unread], data: bytes) -> str:
    """Why a document has no statement, and its unread tables and pages."""
    why = [
        *map(_unread, unread[:_MOST_NAMED]),
        *_failed(reading)[:_MOST_NAMED],
        *reading.warnings[:_MOST_NAMED],
    ]
    if reading.media_type == HTML and _PICTURE.search(data):
        why.append("pictures of an HTML page are not read: upload tables as PDF or image")
    nothing = "No financial statements found. Only English ones are read, with amounts in columns."
    reasons = "; ".join(why)
    return f"{nothing} {reasons[:1].upper()}{reasons[1:]}".strip()


def _unread(table: Unread) -> str:
    title = truncate(table.title, 60)
    return f"the table {title!r} on page {table.page} was not read: {table.reason}"


def _missing(statements: Sequence[ReadStatement], unread: Sequence[Unread]) -> Iterator[str]:
    """Unread tables under titles of statements, and columns without a period."""
    for kind in CHECKED:
        yield from _tables([table for table in unread if table.kind == kind])
    for statement in statements:
        for number, column in enumerate(statement.columns):
            if column.end is None:
                yield f"{statement.kind} column {number + 1}: the page does not state its period"
        yield from _same_period(statement)


def _tables(unread: Sequence[Unread]) -> Iterator[str]:
    """Tables of one title that were not read."""
    yield from map(_unread, unread[:_MOST_NAMED])
    if len(unread) > _MOST_NAMED:
        yield f"{len(unread) - _MOST_NAMED} more tables of that title were not read"


def _same_period(statement: ReadStatement) -> Iterator[str]:
    """Columns with the same period: a head may be misread."""
    again = [*statement.restated, *(False for _ in statement.columns)]
    seen: dict[tuple[Column, bool], int] = {}
    for number, column in enumerate(statement.columns):
        first = seen.setdefault((column, again[number]), number)
        if first != number and column.end:
            yield (
                f"{statement.kind} columns {first + 1} and {number + 1} were read as the same "
                f"period, {format_day(column.end)}: check their heads"
            )


def _left_out(statements: Sequence[ReadStatement]) -> Iterator[str]:
    """Figures and columns that are left out of a statement."""
    for statement in statements:
        lost = [(row.row.label, figure) for row in statement.rows for figure in row.left_out]
        if lost:
            label, figure = lost[0]
            more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
            yield (
                f"{statement.kind}: {truncate(figure, 30)!r} in the line {truncate(label, 60)!r}"
                f"{more} is in none of its columns and is left out"
            )
        yield from _foreign(statement)
        if statement.broken_down:
            lines = statement.broken_down
            named = ", ".join(repr(truncate(label, 60)) for label in lines[:_MOST_NAMED])
            if len(lines) > _MOST_NAMED:
                named += f" and {len(lines) - _MOST_NAMED} more"
            yield f"{statement.kind}: the breakdown by dimension of {named} is left out"
        for head in statement.asides:
            name = truncate(head, 60)
            why = "it is not a period of the company"
            yield f"{statement.kind}: the column {name!r} is left out: {why}"


def _foreign(statement: ReadStatement) -> Iterator[str]:
    """Text in cells where amounts belong."""
    cells = [
        (number, row.row.label, column, text)
        for number, row in enumerate(statement.rows, 1)
        for column, text in row.foreign
    ]
    for number, label, column, text in cells[:_MOST_NAMED]:
        yield (
            f"{statement.kind} row {number} column {column + 1}, {truncate(label, 60)!r}: "
            f"{truncate(text, 30)!r} is not an amount, left out"
        )
    if len(cells) > _MOST_NAMED:
        yield f"{statement.kind}: {len(cells) - _MOST_NAMED} more cells are not amounts, left out"


def _first(facts: Sequence[Fact], name: str) -> str | None:
    """The first value of a fact about the filing itself."""
    for fact in facts:
        if fact.name.rpartition(":")[2] == name and not fact.context.dimensions and fact.value:
            return fact.value
    return None
