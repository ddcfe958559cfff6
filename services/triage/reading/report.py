"""What was read of one report: its statements, who filed it, and what a person has to know."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from services.triage.places import Place
from services.triage.reading.concepts import read_alone
from services.triage.reading.instances import read_instance, whole_facts
from services.triage.reading.reader import KINDS, Found, ReadStatement, Unread, find_statements
from services.triage.reading.tags import with_tags
from services.triage.statements import Column, Filing, quoted, spelled_day
from shared.documents.cells import cell_of
from shared.documents.reading import Reading
from shared.documents.sniffing import HTML
from shared.documents.xbrl import XBRL, Fact, Facts, facts_of, is_inline
from shared.errors import UnreadableDocument

FactsReader = Callable[[bytes], Facts]
"""Reads the facts of an instance or of inline XBRL: `facts_of`, or the same in a child process."""

_FORM = re.compile(r"\bform\s+(10-?[KQ](?:/A)?|20-F|40-F|8-K|6-K|S-[14])\b", re.I)
_ABOUT = {
    "EntityRegistrantName": "company",
    "DocumentType": "form",
    "DocumentPeriodEndDate": "period",
}
_COVER = 5_000
"""Characters in which a filing says which form it is."""
_OF_VALUES = 2
"""The column of an instance's text that has the values."""
_PICTURE = re.compile(rb"<img\b", re.IGNORECASE)
_MOST_NAMED = 5
"""Tables and pages that a warning names one by one."""
_NAMES = {"balance_sheet": "balance sheet", "income": "income statement", "cash_flow": "cash flow"}


@dataclass(frozen=True)
class ReadReport:
    """One report as it was read."""

    id: str
    company: str | None
    form: str | None
    period: str | None
    statements: tuple[ReadStatement, ...]
    warnings: tuple[str, ...]
    whole: bool = True
    """Not for an instance that comes alone: rare lines and a company's own are left out of it."""
    equity: tuple[ReadStatement, ...] = ()
    """Its statements of stockholders' equity, which are shown and not checked."""
    notes: tuple[str, ...] = ()
    """What a person has to know of those: no finding rests on it."""

    @property
    def filing(self) -> Filing:
        """The report in the form that is checked, without its statements of equity."""
        statements = tuple(read.statement for read in self.statements)
        return Filing(
            id=self.id,
            company=self.company,
            form=self.form,
            period=self.period,
            statements=statements,
            warnings=self.warnings,
            whole=self.whole,
        )

    def to_json(self) -> dict[str, Any]:
        """The report in structured form, each row with its places; equity comes last."""
        whole = self.filing.to_json()
        shown = (*self.statements, *self.equity)
        whole["statements"] = [statement.to_json() for statement in shown]
        whole["warnings"] += self.notes
        return whole


class NoStatements(UnreadableDocument):
    """A document that could be read has no statement that is checked."""

    def __init__(self, message: str, reading: Reading) -> None:
        super().__init__(message)
        self.reading = reading
        """What it says in words can be read all the same."""


@dataclass(frozen=True)
class Linkbases:
    """The files that are filed beside an instance."""

    presentation: bytes
    labels: bytes | None = None


def read_report(
    reading: Reading,
    data: bytes,
    name: str,
    *,
    beside: Linkbases | None = None,
    facts: FactsReader = facts_of,
) -> ReadReport:
    """The statements of one document that was read.

    Args:
        reading: of the document.
        data: the document itself, for its tags if it has any.
        name: the file's name, which is the report's id.
        beside: of an XBRL instance.
        facts: reads its tags.

    Raises:
        NoStatements: there is no statement in it.
        UnreadableDocument: its instance can't be laid out.
    """
    warnings = [*reading.warnings, *_failed(reading)]
    found = Found(())
    tags = _tags(reading, data, warnings, facts)
    if reading.media_type == XBRL:
        statements = [
            _in_text(statement, reading) for statement in _of_instance(tags, beside, warnings)
        ]
    else:
        found = find_statements(reading)
        statements = list(found.statements)
        if tags:
            statements = [_with_tags(statement, tags, warnings) for statement in statements]
    if not statements:
        raise NoStatements(_nothing(reading, found.unread, data), reading)
    warnings += [*_missing(statements, found.unread), *_left_out(statements)]
    about = {key: _first(tags, concept) or "" for concept, key in _ABOUT.items()}
    form = _FORM.search(reading.text[:_COVER])
    ends = [column.end for read in statements for column in read.columns if column.end]
    return ReadReport(
        id=Path(name).stem or "report",
        company=about["company"] or None,
        form=about["form"] or (form[1].upper() if form else None),
        period=about["period"].replace("-", "") or max(ends, default=None),
        statements=tuple(statements),
        warnings=tuple(dict.fromkeys(warnings)),
        whole=reading.media_type != XBRL or beside is not None,
        equity=found.equity,
        notes=_notes(found),
    )


def read_equity(reading: Reading) -> tuple[tuple[ReadStatement, ...], tuple[str, ...]]:
    """The statements of equity alone, and what a person has to know of them."""
    found = find_statements(reading)
    return found.equity, _notes(found)


def _notes(found: Found) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*_tables(found.unread_equity), *_left_out(found.equity))))


def _tags(reading: Reading, data: bytes, warnings: list[str], facts: FactsReader) -> Sequence[Fact]:
    """The facts of an instance, or the tags of a page; a page with damaged tags is read without."""
    if reading.media_type == XBRL:
        return facts(data).facts
    if reading.media_type != HTML or not is_inline(data):
        return ()
    try:
        return facts(data).facts
    except UnreadableDocument as error:
        warnings.append(f"its tags (inline XBRL) are left out: {error.message}")
        return ()


def _of_instance(
    facts: Sequence[Fact], beside: Linkbases | None, warnings: list[str]
) -> list[ReadStatement]:
    """The statements as the linkbases beside an instance lay them out, else as most filers do."""
    if beside is not None:
        return read_instance(facts, beside.presentation, beside.labels)
    found = read_alone(facts)
    if not found:
        raise UnreadableDocument(
            "an XBRL instance is a list of facts without order, and this one has too few of the "
            "common us-gaap concepts to be laid out by them: put its presentation linkbase (the "
            "file whose name ends in _pre.xml) beside it, or read the filing's HTML"
        )
    shown = {place.cell for one in found for row in one.rows for place in row.places if place}
    others = len(whole_facts(facts)) - len(shown)
    warnings.append(
        "an XBRL instance says neither the order nor the printed sign of its lines: they are laid "
        f"out as most filers do; {others:,} of its numbers stand in none of them"
    )
    return found


def _in_text(statement: ReadStatement, reading: Reading) -> ReadStatement:
    """The statement with the offsets of its facts in the list that is an instance's text."""
    spans = {
        cell.address: (cell.start, cell.end)
        for cell in map(cell_of, reading.cells)
        if cell.column == _OF_VALUES
    }

    def found(place: Place | None) -> Place | None:
        if place is None or place.cell not in spans:
            return place
        start, end = spans[place.cell]
        return replace(place, start=start, end=end)

    rows = (
        replace(row, row=replace(row.row, places=tuple(map(found, row.places))))
        for row in statement.rows
    )
    return replace(statement, rows=tuple(rows))


def _with_tags(
    statement: ReadStatement, facts: Sequence[Fact], warnings: list[str]
) -> ReadStatement:
    found = with_tags(statement, facts)
    for row, column in found.differing:
        label = found.statement.rows[row].row.label
        warnings.append(
            f"{statement.kind} row {row + 1} column {column + 1}, {quoted(label, 60)!r}: "
            "the page shows another amount than its tag has"
        )
    return found.statement


def _failed(reading: Reading) -> list[str]:
    """Pages that could not be read: what stands on them is not checked."""
    return [
        f"page {page.number} could not be read, so what it states is missing here: {page.reason}"
        for page in reading.failed
    ]


def _nothing(reading: Reading, unread: Sequence[Unread], data: bytes) -> str:
    """Why there is no statement in a document, and what of it was not read."""
    why = [
        "no balance sheet, income statement or cash flow statement was found in it: "
        "they are known by their English lines and titles",
        *map(_unread, unread[:_MOST_NAMED]),
        *_failed(reading)[:_MOST_NAMED],
        *reading.warnings[:_MOST_NAMED],
    ]
    if reading.media_type == HTML and _PICTURE.search(data):
        why.append(
            "a table that is a picture on a page of HTML is not read: send it as PDF or image"
        )
    return "; ".join(why)


def _unread(table: Unread) -> str:
    title = quoted(table.title, 60)
    return f"the table {title!r} on page {table.page} was not read: {table.reason}"


def _missing(statements: Sequence[ReadStatement], unread: Sequence[Unread]) -> Iterator[str]:
    """What was not found, tables that bear its title, and columns whose period nobody states."""
    kinds = {statement.kind for statement in statements}
    for kind in KINDS:
        if kind not in kinds:
            yield f"no {_NAMES[kind]} was found"
            yield from _tables([table for table in unread if table.kind == kind])
    for statement in statements:
        for number, column in enumerate(statement.columns):
            if column.end is None:
                yield f"{statement.kind} column {number + 1}: the page doesn't say for when it is"
        yield from _same_period(statement)


def _tables(unread: Sequence[Unread]) -> Iterator[str]:
    """Tables of one title that were not read."""
    yield from map(_unread, unread[:_MOST_NAMED])
    if len(unread) > _MOST_NAMED:
        yield f"{len(unread) - _MOST_NAMED} more tables of that title were not read"


def _same_period(statement: ReadStatement) -> Iterator[str]:
    """Columns that are told apart by nothing that was read: perhaps a head was misread."""
    again = [*statement.restated, *(False for _ in statement.columns)]
    seen: dict[tuple[Column, bool], int] = {}
    for number, column in enumerate(statement.columns):
        first = seen.setdefault((column, again[number]), number)
        if first != number and column.end:
            yield (
                f"{statement.kind} columns {first + 1} and {number + 1} were read as the same "
                f"period, {spelled_day(column.end)}: look at their heads"
            )


def _left_out(statements: Sequence[ReadStatement]) -> Iterator[str]:
    """Figures and columns of a statement that have no place in it."""
    for statement in statements:
        lost = [(row.row.label, figure) for row in statement.rows for figure in row.left_out]
        if lost:
            label, figure = lost[0]
            more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
            yield (
                f"{statement.kind}: {quoted(figure, 30)!r} in the line {quoted(label, 60)!r}{more} "
                "stands in none of its columns and is left out"
            )
        yield from _foreign(statement)
        if statement.broken_down:
            named = ", ".join(repr(quoted(one, 60)) for one in statement.broken_down[:_MOST_NAMED])
            others = len(statement.broken_down) - _MOST_NAMED
            yield (
                f"{statement.kind}: what {named}{f' and {others} more' if others > 0 else ''} "
                "consist of by dimension is left out: only their own amounts are read"
            )
        for head in statement.asides:
            yield f"{statement.kind}: the column {quoted(head, 60)!r} is left out: it is no period"


def _foreign(statement: ReadStatement) -> Iterator[str]:
    """Text in columns of a statement where amounts belong."""
    found = [
        (number, row.row.label, column, text)
        for number, row in enumerate(statement.rows, 1)
        for column, text in row.foreign
    ]
    for number, label, column, text in found[:_MOST_NAMED]:
        yield (
            f"{statement.kind} row {number} column {column + 1}, {quoted(label, 60)!r}: "
            f"{quoted(text, 30)!r} is not an amount, left out"
        )
    if len(found) > _MOST_NAMED:
        yield f"{statement.kind}: {len(found) - _MOST_NAMED} more cells are not amounts, left out"


def _first(facts: Sequence[Fact], name: str) -> str | None:
    """What a filing says about itself."""
    for fact in facts:
        if fact.name.rpartition(":")[2] == name and not fact.context.dimensions and fact.value:
            return fact.value
    return None
