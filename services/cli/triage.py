"""The commands `smallprint triage` and `smallprint statements`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from services.cli.each_file import each_file
from services.cli.filings import bad_filing_line, reported
from services.cli.judging import Reports
from services.cli.options import password_option, paths_argument
from services.cli.printing import write_rows
from services.cli.reading import open_reader
from shared.cli.lines import Lines, plain
from shared.cli.options import as_json

if TYPE_CHECKING:
    from services.triage.naming import Naming
    from shared.documents.sandbox import Reader


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
    help="Of the findings that need no person at most this share may be wrong: adds a `route`.",
)
@click.option(
    "--broken",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    help="With --max-wrong: the share of your filings that have an error.",
)
@as_json
@password_option
def triage(
    paths: Sequence[str],
    history: str | None,
    max_wrong: float | None,
    broken: float | None,
    as_json: bool,
    password: str | None,
) -> int:
    """Find what does not add up in reports, also in those that lie in mails and archives.

    Reports are PDF, HTML with or without inline XBRL, workbooks, text, XBRL instances, JSON, JSON
    lines and CSV. `smallprint statements` prints what is read of them.

    \b
    Examples:
      smallprint triage annual-report.pdf 10-k.html
      smallprint triage filings.jsonl balance_sheet.csv --json
      smallprint triage 10-k-2023.html --history earlier-10-ks

    With --history, what a report says of earlier periods is held against what the same company said
    then; a company is told by the name that its report states.

    With --max-wrong 0.05 each finding has a `route`, `accept` or `review`: of those that are
    accepted at most 5% are wrong, with 95% confidence, if the share of filings with an error is as
    --broken says. Where that can't be promised it says why.
    """
    from shared.cli import tables
    from shared.cli.promised import PromisedFindings

    if broken is not None and max_wrong is None:
        raise click.UsageError("--broken goes with --max-wrong")
    if history is not None and max_wrong is not None:
        raise click.UsageError(
            "--max-wrong goes without --history: nothing is known of how often such findings err"
        )
    with Reports() as reports:
        if max_wrong is not None:
            reports.promise(max_wrong, broken)
        shown = PromisedFindings(reports.promised)
        lines = Lines(as_json=as_json, table=shown.table)
        if history is not None:
            for said in reports.learn_history(history, password):
                click.echo(plain(said), err=True)
        each_file(paths, lines, lambda path: reports.file(path, password))
    if not as_json:
        write_rows(shown.said())
    if not as_json and lines.worked:
        click.echo(tables.DISCLAIMER, err=True)
    return lines.exit_code


@click.command()
@paths_argument
@click.option("--concepts", is_flag=True, help="Show what each line is taken for (--json has it).")
@as_json
@password_option
def statements(paths: Sequence[str], concepts: bool, as_json: bool, password: str | None) -> int:
    """Print the statements that were read of reports, with the place of every value.

    Balance sheet, income statement, cash flow statement and, by component, the statement of equity
    of HTML, inline XBRL, PDF, workbooks, CSV and plain text; the first three also of an XBRL
    instance if its linkbases (…_pre.xml, …_lab.xml) lie beside it. What --json prints can be given
    to `smallprint triage` again, which reads the same files itself. Each line has the us-gaap
    concept that it is taken for, with a confidence.

    \b
    Examples:
      smallprint statements annual-report.pdf
      smallprint statements scan.pdf --concepts
      smallprint statements 10-k.html --json > filing.jsonl
    """
    from shared.cli import tables

    lines = Lines(as_json=as_json, table=partial(tables.statements, concepts=concepts))
    namer = open_namer() if as_json or concepts else None
    with open_reader() as reader:
        each_file(paths, lines, lambda path: _statement_lines(reader, path, password, namer))
    return lines.exit_code


def open_namer() -> Naming | None:
    """What names the lines of statements, None where it is not installed.

    Raises NamesError for a damaged one.
    """
    from services.triage.together import find_naming
    from shared.inference import lazily
    from shared.settings import CommonSettings, load

    settings = load(CommonSettings)
    specialists = lazily(settings.artefacts_folder, settings.threads, settings.arithmetic)
    return find_naming(settings.artefacts_folder, lambda: specialists().base)


def _statement_lines(
    reader: Reader, path: str, password: str | None, namer: Naming | None
) -> Iterator[Mapping[str, Any]]:
    """One line a filing; data of programs, which can be thousands, are named quickly.

    Raises UnreadableDocument for a document without statements.
    """
    from services.triage.statements import BadFiling, report_type
    from shared.cli.files import read_file

    if namer and report_type("", path):
        namer = namer.quick
    for found in reported(reader, path, read_file(path, reader.limits.max_bytes), password):
        if isinstance(found, BadFiling):
            yield bad_filing_line(path, found)
        else:
            form = namer.show(found.filing, found.form) if namer else found.form
            yield {"source": path, **form}
