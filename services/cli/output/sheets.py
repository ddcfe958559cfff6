"""Results as rows of a CSV file or a workbook, for `--csv` and `--xlsx`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from services.cli.output.lines import clause_text, moment, write

if TYPE_CHECKING:
    from shared.client import Hit, Report
    from shared.sheet_files import Table

    Tables = Callable[[Iterable[Any]], Iterable[Table]]

Row = Mapping[str, Any]
_WIDTHS = {"document": 30, "category": 26, "label": 40, "text": 70}
_WIDTHS |= {"value": 20, "message": 70, "coverage": 70, "company": 26}

CLAUSES = (
    *("document", "category", "text", "value", "currency", "page", "confidence", "route"),
    *("start", "end", "adapter"),
)
FINDINGS = (
    *("document", "filing", "flagged", "risk", "checked", "outcome", "check", "statement"),
    *("label", "reported", "expected", "confidence", "route", "message", "page", "row"),
    *("column", "coverage"),
)
STATEMENTS = (
    *("document", "company", "form", "period", "statement", "label", "end", "quarters"),
    *("component", "value", "unit", "concept", "row", "column"),
)
OF_FINDINGS = tuple(name for name in FINDINGS if name not in CLAUSES)
HITS = ("document", "document_id", "page", "category", "text")
REPORTS = (
    *("document", "document_id", "risk", "flagged", "findings", "decided", "dismissed", "updated"),
)


@dataclass(frozen=True)
class Sheet:
    """A file of rows.

    Args:
        form: `csv` or `xlsx`.
        columns: names of the columns; a row may lack some.
        rows: returns the rows of one result.
        optional: further columns, left out if they are empty.
        tables: returns the sheets of a workbook; without it, all rows are in one.
    """

    form: str
    columns: Sequence[str]
    rows: Callable[[Any], Iterable[Row]]
    optional: Sequence[str] = ()
    tables: Tables | None = None

    def write(self, results: Iterable[Any]) -> None:
        """Write the file of all results to standard output."""
        from services.cli.output.tables import DISCLAIMER
        from shared.sheet_files import csv_file, workbook, xlsx_file

        if self.tables and self.form == "xlsx":
            for chunk in workbook(self.tables(results), [DISCLAIMER]):
                write(chunk)
            return
        found = [row for result in results for row in self.rows(result)]
        used = {name for row in found for name in row}
        columns = [*self.columns, *(name for name in self.optional if name in used)]
        rows = ({name: _rounded(name, row.get(name)) for name in columns} for row in found)
        if self.form == "csv":
            chunks = csv_file(rows, columns)
        else:
            chunks = xlsx_file(rows, columns, widths=_WIDTHS, about=[DISCLAIMER])
        for chunk in chunks:
            write(chunk)


def _rounded(name: str, value: Any) -> Any:
    """A probability to three digits."""
    return round(value, 3) if name in ("confidence", "risk") and value is not None else value


def sheet(
    form: str | None,
    columns: Sequence[str],
    rows: Callable[[Any], Iterable[Row]],
    *,
    as_json: bool,
    tables: Tables | None = None,
) -> Sheet | None:
    """The file that the options ask for; None without one. Raises UsageError."""
    if form is None:
        return None
    if as_json:
        raise click.UsageError("use --json, or --csv, or --xlsx")
    if form == "xlsx" and sys.stdout.isatty():
        raise click.UsageError(
            "--xlsx prints a workbook: send it to a file, as with > results.xlsx"
        )
    return Sheet(form, columns, rows, tables=tables)


def results_sheet(form: str | None, *, as_json: bool) -> Sheet | None:
    """The file of clauses and findings that the options ask for; None without one."""
    asked = sheet(form, CLAUSES, results, as_json=as_json)
    return replace(asked, optional=OF_FINDINGS) if asked else None


def results(line: Mapping[str, Any]) -> Iterator[Row]:
    """The clauses of a contract or the findings of a report, and those of the parts."""
    if "filings" in line:
        yield from findings(line)
    elif "clauses" in line:
        yield from clauses(line)
    for part in line.get("parts", ()):
        yield from results(part)


def clauses(line: Mapping[str, Any]) -> Iterator[Row]:
    """The clauses of a document."""
    for clause in line.get("clauses", ()):
        value = clause["value"] or {}
        yield {
            **clause,
            "document": line["source"],
            "text": clause_text(clause),
            "value": value.get("value"),
            "currency": value.get("currency"),
        }


def findings(line: Mapping[str, Any]) -> Iterator[Row]:
    """The findings of a report and of its parts, and the relations that do not close. A report
    without both has one row.
    """
    inner = (*line.get("parts", ()), *line.get("filings", ()))
    for one in inner:
        yield from findings({"source": line["source"], **one})
    if inner or "error" in line:
        return
    verdict = {"document": line["source"], "filing": line["id"]}
    verdict |= {name: line[name] for name in ("flagged", "risk", "checked")}
    verdict["coverage"] = line["coverage"]["summary"]
    shown = [{**finding, "outcome": "finding"} for finding in line["findings"]]
    shown += [{**item, "outcome": "does not close"} for item in line["coverage"]["items"]]
    yield from ({**row, **verdict} for row in shown or [{}])


def statements(line: Mapping[str, Any]) -> Iterator[Row]:
    """The values of the statements, one a row."""
    about = {name: line[name] for name in ("company", "form", "period")}
    about["document"] = line["source"]
    for statement in line["statements"]:
        for number, row in enumerate(statement["rows"]):
            shared = {
                **about,
                "statement": statement["statement"],
                "label": row["label"],
                "unit": row.get("unit"),
                "concept": (row.get("concept") or {}).get("name"),
                "row": number,
            }
            for index, value in enumerate(row["values"]):
                column = {**statement["columns"][index], **row.get("period", {})}
                if value is not None:
                    yield {**column, **shared, "column": index, "value": value}


def hits(hit: Hit) -> Iterator[Row]:
    """A search hit."""
    category = hit.clause.category if hit.clause else None
    yield {
        "document": hit.document,
        "document_id": hit.document_id,
        "page": hit.page,
        "category": category,
        "text": hit.text,
    }


def reports(report: Report) -> Iterator[Row]:
    """A report of the suite."""
    yield {**vars(report), "document": report.name, "updated": moment(report.updated)}
