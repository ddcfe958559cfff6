"""The commands `smallprint extract` and `smallprint text`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.documents.contracts import ContractReader
from services.cli.documents.files import read_file
from services.cli.documents.kinds import DocumentReader
from services.cli.documents.reading import document_json, open_reader, with_parts
from services.cli.options import (
    adapter_option,
    as_json,
    detected_kind_option,
    password_option,
    paths_argument,
    sheet_options,
)
from services.cli.output import sheets, tables
from services.cli.output.lines import OutputWriter, plain, print_hint, write
from services.cli.output.progress import each_file
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.documents import ParsedDocument
    from shared.documents.sandbox import Reader
    from shared.policy.rules import RiskRules


@click.command()
@paths_argument
@as_json
@sheet_options
@detected_kind_option
@adapter_option
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Also show unlikely clauses, down to a confidence of 0.001. --max-wrong never accepts "
    "them.",
)
@click.option(
    "--max-wrong",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="R",
    help="Mark each clause as `accept` or `review`: at most a share R of the accepted ones is "
    "wrong.",
)
@click.option(
    "--max-missed",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="R",
    help="Show more clauses, so that at most a share R of the true ones is missed. The additional "
    "ones always need a review.",
)
@click.option(
    "--level",
    type=click.FloatRange(0.5, 0.999),
    help="Confidence in --max-wrong and --max-missed. By default 0.95.",
)
@password_option
def extract(
    paths: Sequence[str],
    as_json: bool,
    form: str | None,
    kind: str,
    adapters: Sequence[str],
    every: bool,
    max_wrong: float | None,
    max_missed: float | None,
    level: float | None,
    password: str | None,
) -> int:
    """Find the clauses of contracts, also in mails and archives.

    A report among them is checked for errors, as `smallprint triage` does. A document that is
    neither a contract nor a report fails. If smallprint is not sure, it reads a contract and warns.

    \b
    Examples:
      smallprint extract lease.pdf
      smallprint extract a.pdf b.txt --json
      smallprint extract *.pdf --xlsx > clauses.xlsx
      smallprint extract lease.txt --kind contract
      smallprint extract lease.pdf --max-wrong 0.05
      smallprint extract lease.pdf --max-missed 0.2 --level 0.9
      smallprint extract lease.pdf --all --json | jq '.clauses[] | select(.confidence > 0.9)'
    """

    sheet = sheets.results_sheet(form, as_json=as_json)
    lines = OutputWriter(as_json=as_json, table=tables.results, sheet=sheet)
    contracts = ContractReader(adapters, every=every, rules=stated(max_wrong, max_missed, level))
    with DocumentReader(contracts, kind, password, unsure="contract") as reader:
        each_file(paths, lines, reader.file)
    lines.write_sheet()
    if not as_json and lines.worked:
        click.echo(tables.DISCLAIMER, err=True)
    return lines.exit_code


def stated(
    max_wrong: float | None, max_missed: float | None, level: float | None
) -> RiskRules | None:
    """The stated risk; None without one. Raises UsageError for a confidence without a risk."""
    from shared.policy.rules import REVIEW_ALL

    if max_wrong is None and max_missed is None:
        if level is not None:
            raise click.UsageError("--level needs --max-wrong or --max-missed")
        return None
    stated = {"max_wrong": max_wrong, "max_missed": max_missed}
    return REVIEW_ALL.model_copy(update=stated if level is None else {**stated, "level": level})


@click.command()
@click.argument("path")
@as_json
@password_option
def text(path: str, as_json: bool, password: str | None) -> int:
    """Print the text of a document.

    `start` and `end` of clauses count the characters of this text. The output is UTF-8. --json
    prints one line with `text`, and the parts of a mail or archive in `parts`.

    \b
    Examples:
      smallprint text lease.pdf > lease.txt
      smallprint text lease.eml --json | jq -r '.parts[].text'
    """

    with open_reader() as reader:
        data = read_file(path, reader.limits.max_bytes)
        if as_json:
            lines = OutputWriter(as_json=True, table=lambda _line: ())
            each_file([path], lines, lambda _: iter([_text_line(reader, path, data, password)]))
            return lines.exit_code
        reading = reader.read(data, name=Path(path).name, password=password)
        parts = _names_in(reader, reading, data, path)
    for warning in reading.warnings:
        print_hint(f"smallprint: {plain(warning)}")
    for failed in reading.failed:
        print_hint(f"smallprint: page {failed.number}: {plain(failed.reason)}")
    if not reading.page_count:
        raise SuiteError(f"an archive has no text; --json prints its parts: {parts}")
    if parts:
        print_hint(f"smallprint: {plain(parts)} is left out; --json has it")
    write(reading.text.encode("utf-8", "surrogatepass"))
    return 0


def _text_line(reader: Reader, path: str, data: bytes, password: str | None) -> Mapping[str, Any]:
    def own(source: str, data: bytes) -> Mapping[str, Any]:
        reading = reader.read(data, name=Path(source).name, password=password)
        line = {"source": source, "document": document_json(reading, data), "text": reading.text}
        return {**line, "warnings": list(reading.warnings)}

    return with_parts(reader, path, data, own)


def _names_in(reader: Reader, reading: ParsedDocument, data: bytes, path: str) -> str:
    """Names of some parts of a document; empty for most documents."""
    from shared.documents import CONTAINERS

    if reading.media_type not in CONTAINERS:
        return ""
    names = [part.name for part in reader.unpack(data, name=Path(path).name)]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
