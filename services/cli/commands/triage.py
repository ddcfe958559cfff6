"""The commands `smallprint triage` and `smallprint statements`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from services.cli.documents.files import read_file
from services.cli.documents.reading import open_reader
from services.cli.documents.reports import Reports, bad_filing_line, filings_of
from services.cli.options import (
    as_json,
    fail_on_flagged_option,
    load_settings,
    password_option,
    paths_argument,
    sheet_options,
)
from services.cli.output import sheets, tables
from services.cli.output.lines import OutputWriter, plain, print_hint, write_rows
from services.cli.output.progress import each_file

if TYPE_CHECKING:
    from services.triage.concepts.linear import ConceptLabeller
    from shared.documents.sandbox import Reader
    from shared.sheet_files import Table


@click.command()
@paths_argument
@click.option(
    "--history",
    type=click.Path(exists=True),
    help="Earlier reports of the same companies: a folder, or a file such as JSON lines.",
)
@click.option(
    "--max-wrong",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    help="Mark each finding as `accept` or `review`: at most this share of the accepted ones is "
    "wrong.",
)
@click.option(
    "--broken",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    help="With --max-wrong: your estimate of the share of filings with an error.",
)
@fail_on_flagged_option
@as_json
@sheet_options
@password_option
def triage(
    paths: Sequence[str],
    history: str | None,
    max_wrong: float | None,
    broken: float | None,
    fail_on_flagged: bool,
    as_json: bool,
    form: str | None,
    password: str | None,
) -> int:
    """Find errors in financial reports, also in mails and archives.

    Reads PDF, HTML with or without inline XBRL, workbooks, text, XBRL instances, JSON, JSON lines
    and CSV. `smallprint statements` prints the statements in them.

    \b
    Examples:
      smallprint triage annual-report.pdf 10-k.html
      smallprint triage filings.jsonl balance_sheet.csv --json
      smallprint triage 10-k-2023.html --history earlier-10-ks

    --history compares the figures of earlier periods with the earlier reports of the same company.
    The company's name must be in the report's data: smallprint reads it from XBRL, inline XBRL and
    JSON, not from the text of a PDF.

    With --max-wrong 0.05 each finding has a `route`, `accept` or `review`. At most 5% of the
    accepted ones are wrong, with 95% confidence, if --broken is the share of filings with an error.
    If no such guarantee is possible, the output says why.
    """

    if broken is not None and max_wrong is None:
        raise click.UsageError("--broken needs --max-wrong")
    if history is not None and max_wrong is not None:
        raise click.UsageError(
            "--max-wrong and --history exclude each other: the error rate of such findings is "
            "unknown"
        )
    sheet = sheets.sheet(form, sheets.FINDINGS, sheets.findings, as_json=as_json)
    with Reports() as reports:
        if max_wrong is not None:
            reports.state_risk(max_wrong, broken)
        shown = tables.FindingsTable(reports.promised)
        lines = OutputWriter(
            as_json=as_json, table=shown.table, fail_on_flagged=fail_on_flagged, sheet=sheet
        )
        if history is not None:
            for message in reports.learn_history(history, password):
                print_hint(plain(message))
        each_file(paths, lines, lambda path: reports.file(path, password))
    lines.write_sheet()
    if not as_json and not form:
        write_rows(shown.summary())
    if not as_json and lines.worked:
        click.echo(tables.DISCLAIMER, err=True)
    return lines.exit_code


@click.command()
@paths_argument
@click.option(
    "--concepts", is_flag=True, help="Show the concept of each line (--json always does)."
)
@click.option(
    "--scale",
    type=click.Choice(list(tables.SCALES)),
    default="units",
    show_default=True,
    help="Unit of amounts and numbers of shares in text and --xlsx; --json and --csv have units. "
    "Lines below 1,000 or with cents, such as amounts per share, keep theirs.",
)
@as_json
@sheet_options
@password_option
def statements(
    paths: Sequence[str],
    concepts: bool,
    scale: str,
    as_json: bool,
    form: str | None,
    password: str | None,
) -> int:
    """Print the balance sheets and other statements of reports.

    Reads balance sheet, income statement, cash flow statement and statement of equity from HTML,
    inline XBRL, PDF, workbooks, CSV and plain text. From an XBRL instance it reads the first three,
    if its linkbases (…_pre.xml, …_lab.xml) are in the same folder.

    With --json each value has its position, and each line its us-gaap concept with a confidence.
    `smallprint triage` reads this output too. --xlsx has a sheet for each statement, and --csv a
    row for each value.

    \b
    Examples:
      smallprint statements annual-report.pdf
      smallprint statements annual-report.pdf --scale millions
      smallprint statements scan.pdf --concepts
      smallprint statements annual-report.pdf --xlsx > statements.xlsx
      smallprint statements 10-k.html --json > filing.jsonl
    """

    table = partial(tables.statements, concepts=concepts, scale=scale)
    sheet = sheets.sheet(
        form,
        sheets.STATEMENTS,
        sheets.statements,
        as_json=as_json,
        tables=partial(_statement_tables, scale=scale),
    )
    lines = OutputWriter(as_json=as_json, table=table, sheet=sheet)
    labeller = open_namer() if as_json or form or concepts else None
    with open_reader() as reader:
        each_file(paths, lines, lambda path: _statement_lines(reader, path, password, labeller))
    lines.write_sheet()
    return lines.exit_code


def _statement_tables(filings: Iterable[Mapping[str, Any]], *, scale: str) -> Iterator[Table]:
    from services.cli.output.statement_sheets import statement_tables  # imports openpyxl

    return statement_tables(filings, scale)


def open_namer() -> ConceptLabeller | None:
    """The labeller of statement lines; None if it is not installed.

    Raises NamesError if it is damaged.
    """
    from services.triage.concepts.ensemble import load_labeller
    from shared.inference import lazy_specialists

    settings = load_settings()
    specialists = lazy_specialists(settings.artefacts_folder, settings.threads, settings.arithmetic)
    return load_labeller(settings.artefacts_folder, lambda: specialists().base)


def _statement_lines(
    reader: Reader, path: str, password: str | None, labeller: ConceptLabeller | None
) -> Iterator[Mapping[str, Any]]:
    """One line a filing; structured data is labelled by the fast model.

    Raises UnreadableDocument for a document without statements.
    """
    from services.triage.statements.model import BadFiling, report_type

    if labeller and report_type("", path):
        labeller = labeller.fast
    for filing in filings_of(reader, path, read_file(path, reader.limits.max_bytes), password):
        if isinstance(filing, BadFiling):
            yield bad_filing_line(path, filing)
        else:
            form = labeller.add_concepts(filing.filing, filing.form) if labeller else filing.form
            yield {"source": path, **form}
