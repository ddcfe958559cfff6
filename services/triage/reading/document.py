"""What one document reports, whatever its type: the one way into triage for files and uploads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from services.triage.reading.reader import ReadStatement
from services.triage.reading.report import (
    FactsReader,
    Linkbases,
    NoStatements,
    read_equity,
    read_report,
)
from services.triage.statements import (
    CSV,
    EQUITY,
    JSON,
    KINDS,
    NDJSON,
    BadFiling,
    Filing,
    Statement,
    quoted,
    read_filings,
    report_type,
)
from shared.documents.reading import Reading
from shared.documents.sniffing import HTML
from shared.documents.xbrl import XBRL, facts_of
from shared.errors import EmptyDocument, UnreadableDocument

_WITH_TAGS = (HTML, XBRL)
MOST_COLUMNS = 100
"""Columns of a statement that are checked: a page shows a dozen."""


@dataclass(frozen=True)
class Reported:
    """A filing in the form that is checked, without statements of equity and with too many columns
    left out, and as it is shown: with all that its page says.
    """

    filing: Filing
    form: dict[str, Any]
    reading: Reading | None = None
    """The text around the statements; None in data, which has no sentences."""
    notes: tuple[str, ...] = ()
    """Warnings about what is only shown: nothing that is checked is less sure for them."""


def read_document(
    source: bytes | BinaryIO,
    media_type: str,
    name: str,
    *,
    reading: Callable[[], Reading],
    facts: FactsReader = facts_of,
    beside: Linkbases | None = None,
) -> Iterator[Reported | BadFiling]:
    """The filings of one document, one after the other.

    JSON, JSON lines and CSV with dates over its columns are read as the data that they are; any
    other document, and a CSV as spreadsheets lay it out, by its reading, and is one filing.

    Args:
        source: the document, or an open binary stream of it.
        media_type: of the document.
        name: the file's name: settles plain text, and is the id of a filing that has none.
        reading: gives the document's reading, if that is needed.
        facts: reads the tags of inline XBRL and instances.
        beside: what is filed beside an XBRL instance.

    Raises:
        NoStatements: it was read, and there is no statement in it.
        UnreadableDocument: there is nothing in it that can be checked.
    """
    kind = report_type(media_type, name)
    if kind in (JSON, NDJSON):
        yield from _as_data(source, kind, name)
        return
    why: UnreadableDocument | None = None
    found: list[Reported | BadFiling] = []
    if kind == CSV:
        try:
            found = list(_as_data(source, CSV, name))
        except EmptyDocument:
            raise
        except UnreadableDocument as error:
            why = error
        if any(isinstance(one, Reported) and _is_known(one.filing) for one in found):
            yield from (_with_equity(one, reading) for one in found)
            return
    try:
        yield _as_page(source, name, reading(), facts, beside)
    except NoStatements as error:
        if why:
            raise why from None
        said = [s for one in found if isinstance(one, Reported) for s in one.filing.warnings]
        raise NoStatements("; ".join([*said, error.message]), error.reading) from None
    except UnreadableDocument as error:
        raise (why or error) from None


def _as_data(source: bytes | BinaryIO, kind: str, name: str) -> Iterator[Reported | BadFiling]:
    for filing in read_filings(source, kind, name):
        if isinstance(filing, BadFiling):
            yield filing
        else:
            yield Reported(narrowed(checked(filing)), filing.to_json())


def _is_known(filing: Filing) -> bool:
    return any(one.statement in KINDS and one.columns for one in filing.statements)


def _with_equity(one: Reported | BadFiling, reading: Callable[[], Reading]) -> Reported | BadFiling:
    """A filing of a CSV with its statement of equity, if that has no dates over its columns."""
    if isinstance(one, BadFiling):
        return one
    others = [shown for shown in one.form["statements"] if shown["columns"]]
    if len(others) == len(one.form["statements"]):
        return one
    equity: tuple[ReadStatement, ...] = ()
    try:
        equity, notes = read_equity(reading())
    except UnreadableDocument as error:  # what is checked is here already
        notes = (f"the statement of equity was not read: {error.message}",)
    statements = [*others, *(statement.to_json() for statement in equity)]
    form = {**one.form, "statements": statements, "warnings": [*one.form["warnings"], *notes]}
    return replace(one, form=form, notes=notes)


def _as_page(
    source: bytes | BinaryIO,
    name: str,
    reading: Reading,
    facts: FactsReader,
    beside: Linkbases | None,
) -> Reported:
    data = b""
    if reading.media_type in _WITH_TAGS:
        data = source if isinstance(source, bytes) else source.read()
    report = read_report(reading, data, name, beside=beside, facts=facts)
    return Reported(narrowed(report.filing), report.to_json(), reading, report.notes)


def checked(filing: Filing) -> Filing:
    """A filing without its statements of equity: they are shown, and nothing rests on them."""
    kept = tuple(one for one in filing.statements if one.statement != EQUITY)
    return filing if len(kept) == len(filing.statements) else replace(filing, statements=kept)


def narrowed(filing: Filing) -> Filing:
    """A filing whose statements have as many columns as are checked; a warning says which are not,
    for what columns are compared with grows faster than their number.
    """
    wide = [s for s in filing.statements if len(s.columns) > MOST_COLUMNS]
    if not wide:
        return filing
    said = tuple(
        f"{quoted(s.statement)}: {len(s.columns):,} columns, of which the first {MOST_COLUMNS} are"
        " checked"
        for s in wide
    )
    statements = tuple(_narrow(s) for s in filing.statements)
    return replace(filing, statements=statements, warnings=(*filing.warnings, *said))


def _narrow(statement: Statement) -> Statement:
    rows = tuple(
        replace(row, values=row.values[:MOST_COLUMNS], places=row.places[:MOST_COLUMNS])
        for row in statement.rows
    )
    return replace(statement, columns=statement.columns[:MOST_COLUMNS], rows=rows)
