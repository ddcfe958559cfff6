"""Read the filings of one document of any type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from services.triage.reading.reader import ReadStatement, UsualLines
from services.triage.reading.report import (
    FactsReader,
    Linkbases,
    NoStatements,
    read_equity,
    read_report,
)
from services.triage.statements.model import (
    EQUITY,
    KINDS,
    BadFiling,
    Filing,
    Statement,
    read_filings,
    report_type,
    truncate,
)
from shared.documents.model.formats import CSV, HTML, JSON, NDJSON, XBRL
from shared.documents.model.parsed_document import ParsedDocument
from shared.documents.xbrl.xbrl import facts_of
from shared.errors import EmptyDocument, UnreadableDocument

_WITH_TAGS = (HTML, XBRL)
MOST_COLUMNS = 100  # columns of a statement that are checked
MOST_ROWS = 500  # rows of a statement that are checked


@dataclass(frozen=True)
class ReadFiling:
    """A filing for the checks, limited and without equity, and the complete filing."""

    filing: Filing
    form: dict[str, Any]
    reading: ParsedDocument | None = None  # None for data, which has no sentences
    notes: tuple[str, ...] = ()  # warnings about parts that are shown but not checked


def read_document(
    source: bytes | BinaryIO,
    media_type: str,
    name: str,
    *,
    reading: Callable[[], ParsedDocument],
    facts: FactsReader = facts_of,
    linkbases: Linkbases | None = None,
    usual_lines: UsualLines | None = None,
) -> Iterator[ReadFiling | BadFiling]:
    """Read the filings of one document, one after the other.

    JSON, JSON lines and CSV with dates over its columns are read as data. Any other document, and a
    spreadsheet-like CSV, is one filing that is read by its layout.

    Args:
        source: The document, or an open binary stream of it.
        media_type: Of the document.
        name: The file's name: the type of plain text, and the id of a filing without one.
        reading: Returns the parsed document, if needed.
        facts: Reads the tags of inline XBRL and instances.
        linkbases: Of an instance.
        usual_lines: For short statements; without it, few lines count as usual.

    Raises:
        NoStatements: The document has no statement.
        UnreadableDocument: Nothing in it can be checked.
    """
    kind = report_type(media_type, name)
    if kind in (JSON, NDJSON):
        yield from _as_data(source, kind, name)
        return
    csv_error: UnreadableDocument | None = None
    filing: ReadFiling | BadFiling | None = None
    if kind == CSV:
        try:
            (filing,) = _as_data(source, CSV, name)
        except EmptyDocument:
            raise
        except UnreadableDocument as error:
            csv_error = error
    if isinstance(filing, ReadFiling) and _is_known(filing.filing):
        yield _with_equity(filing, reading)
        return
    try:
        yield _as_page(source, name, reading(), facts, linkbases, usual_lines)
    except NoStatements as error:
        if csv_error:
            raise csv_error from None
        warnings = filing.filing.warnings if isinstance(filing, ReadFiling) else ()
        raise NoStatements("; ".join([*warnings, error.message]), error.reading) from None
    except UnreadableDocument as error:
        raise (csv_error or error) from None


def _as_data(source: bytes | BinaryIO, kind: str, name: str) -> Iterator[ReadFiling | BadFiling]:
    for filing in read_filings(source, kind, name):
        if isinstance(filing, BadFiling):
            yield filing
        else:
            yield ReadFiling(limit_size(without_equity(filing)), filing.to_json())


def _is_known(filing: Filing) -> bool:
    return any(s.statement in KINDS and s.columns for s in filing.statements)


def _with_equity(filing: ReadFiling, reading: Callable[[], ParsedDocument]) -> ReadFiling:
    """Add the statement of equity to a filing from CSV, if its columns have no dates."""
    dated = [shown for shown in filing.form["statements"] if shown["columns"]]
    if len(dated) == len(filing.form["statements"]):
        return filing
    equity: tuple[ReadStatement, ...] = ()
    try:
        equity, notes = read_equity(reading())
    except UnreadableDocument as error:  # the checked statements were read already
        notes = (f"the statement of equity was not read: {error.message}",)
    statements = [*dated, *(statement.to_json() for statement in equity)]
    form = {**filing.form, "statements": statements, "warnings": [*filing.form["warnings"], *notes]}
    return replace(filing, form=form, notes=notes)


def _as_page(
    source: bytes | BinaryIO,
    name: str,
    reading: ParsedDocument,
    facts: FactsReader,
    linkbases: Linkbases | None,
    usual_lines: UsualLines | None,
) -> ReadFiling:
    data = b""
    if reading.media_type in _WITH_TAGS:
        data = source if isinstance(source, bytes) else source.read()
    report = read_report(
        reading, data, name, linkbases=linkbases, facts=facts, usual_lines=usual_lines
    )
    return ReadFiling(limit_size(report.filing), report.to_json(), reading, report.notes)


def without_equity(filing: Filing) -> Filing:
    """A filing without its statements of equity, which are not checked."""
    return replace(filing, statements=tuple(s for s in filing.statements if s.statement != EQUITY))


def limit_size(filing: Filing) -> Filing:
    """Limit columns and rows, with a warning: checks compare each with the others."""
    warnings = tuple(
        f"{truncate(statement.statement)}: only the first {most} of {count:,} {what} are checked"
        for statement in filing.statements
        for count, what, most in (
            (len(statement.columns), "columns", MOST_COLUMNS),
            (len(statement.rows), "rows", MOST_ROWS),
        )
        if count > most
    )
    if not warnings:
        return filing
    statements = tuple(_narrow(s) for s in filing.statements)
    return replace(filing, statements=statements, warnings=(*filing.warnings, *warnings))


def _narrow(statement: Statement) -> Statement:
    rows = tuple(
        replace(row, values=row.values[:MOST_COLUMNS], positions=row.positions[:MOST_COLUMNS])
        for row in statement.rows[:MOST_ROWS]
    )
    return replace(statement, columns=statement.columns[:MOST_COLUMNS], rows=rows)
