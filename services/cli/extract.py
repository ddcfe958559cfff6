"""The commands `smallprint extract` and `smallprint text`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.each_file import each_file
from services.cli.finder import Finder
from services.cli.options import adapter_option, password_option, paths_argument
from services.cli.reading import document_json, open_reader, with_parts
from shared.cli.lines import Lines, plain, write
from shared.cli.options import as_json
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.documents import Reading
    from shared.documents.sandbox import Reader
    from shared.policy import RiskRules


@click.command()
@paths_argument
@as_json
@adapter_option
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Show every candidate above 0.001, also unlikely ones. What is not usually shown always "
    "needs a person: --max-wrong accepts none of it.",
)
@click.option(
    "--max-wrong",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="R",
    help="Route clauses: of those accepted at most a share R is wrong, the others need a person.",
)
@click.option(
    "--max-missed",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="R",
    help="Show more than usual: so much that at most a share R of the true clauses is missed. What "
    "is shown in addition always needs a person. With --all, which shows still more, it only says "
    "what is promised.",
)
@click.option(
    "--level",
    type=click.FloatRange(0.5, 0.999),
    help="With this confidence --max-wrong and --max-missed are kept (0.95).",
)
@password_option
def extract(
    paths: Sequence[str],
    as_json: bool,
    adapters: Sequence[str],
    every: bool,
    max_wrong: float | None,
    max_missed: float | None,
    level: float | None,
    password: str | None,
) -> int:
    """Find the clauses of contracts (PDF, DOCX, ODT, RTF, HTML, text, scans), also in archives.

    \b
    Examples:
      smallprint extract lease.pdf
      smallprint extract a.pdf b.txt --json
      smallprint extract lease.pdf --max-wrong 0.05
      smallprint extract lease.pdf --max-missed 0.2 --level 0.9
      smallprint extract lease.pdf --all --json | jq '.clauses[] | select(.confidence > 0.9)'
    """
    from shared.cli import tables

    lines = Lines(as_json=as_json, table=tables.clauses)
    rules = stated(max_wrong, max_missed, level)
    with Finder(adapters, every=every, rules=rules) as finder:
        each_file(paths, lines, lambda path: finder.file(path, password))
    if not as_json and lines.worked:
        click.echo(tables.DISCLAIMER, err=True)
    return lines.exit_code


def stated(
    max_wrong: float | None, max_missed: float | None, level: float | None
) -> RiskRules | None:
    """What is to be kept; None where nothing was stated. Raises UsageError for a confidence of
    nothing.
    """
    from shared.policy import EVERYTHING

    if max_wrong is None and max_missed is None:
        if level is not None:
            raise click.UsageError("--level says how sure --max-wrong or --max-missed are kept")
        return None
    known = {"max_wrong": max_wrong, "max_missed": max_missed}
    return EVERYTHING.model_copy(update=known if level is None else {**known, "level": level})


@click.command()
@click.argument("path")
@as_json
@password_option
def text(path: str, as_json: bool, password: str | None) -> int:
    """Print the text of a document exactly as offsets count it (UTF-8, nothing added).

    With --json it is one line with `text`; what lies in a mail or archive is in its `parts`.

    \b
    Examples:
      smallprint text lease.pdf > lease.txt
      smallprint text lease.eml --json | jq -r '.parts[].text'
    """
    from shared.cli.files import read_file

    with open_reader() as reader:
        data = read_file(path, reader.limits.max_bytes)
        if as_json:
            lines = Lines(as_json=True, table=lambda _line: ())
            each_file([path], lines, lambda _: iter([_text_line(reader, path, data, password)]))
            return lines.exit_code
        reading = reader.read(data, name=Path(path).name, password=password)
        held = _names_in(reader, reading, data, path)
    for warning in reading.warnings:
        click.echo(f"smallprint: {plain(warning)}", err=True)
    for failed in reading.failed:
        click.echo(f"smallprint: page {failed.number}: {plain(failed.reason)}", err=True)
    if not reading.page_count:
        raise SuiteError(f"an archive has no text of its own, --json prints what it holds: {held}")
    if held:
        click.echo(f"smallprint: not printed, but with --json: {plain(held)}", err=True)
    write(reading.text.encode("utf-8", "surrogatepass"))
    return 0


def _text_line(reader: Reader, path: str, data: bytes, password: str | None) -> Mapping[str, Any]:
    def own(source: str, data: bytes) -> Mapping[str, Any]:
        reading = reader.read(data, name=Path(source).name, password=password)
        line = {"source": source, "document": document_json(reading, data), "text": reading.text}
        return {**line, "warnings": list(reading.warnings)}

    return with_parts(reader).line(path, data, own)


def _names_in(reader: Reader, reading: Reading, data: bytes, path: str) -> str:
    """What lies in a document, at most some of it; empty for most."""
    from shared.documents import CONTAINERS

    if reading.media_type not in CONTAINERS:
        return ""
    names = [part.name for part in reader.unpack(data, name=Path(path).name)]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
