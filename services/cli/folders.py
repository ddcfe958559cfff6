"""The commands that work on whole folders: `smallprint batch` and `smallprint watch`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.each_file import each_file
from services.cli.finder import Finder
from services.cli.judging import Reports
from services.cli.options import adapter_option, password_option
from services.cli.printing import write_rows
from services.cli.reading import holds_others, is_report
from shared.cli.lines import Lines, plain
from shared.cli.options import as_json
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.cli.batch import Work


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the results (FOLDER-results beside it).",
)
@click.option(
    "--resume/--anew", default=True, help="Go on where it stopped (default), or do all again."
)
@as_json
@adapter_option
@password_option
def batch(
    folder: str,
    out: Path | None,
    resume: bool,
    as_json: bool,
    adapters: Sequence[str],
    password: str | None,
) -> int:
    """Work on every document below FOLDER: one JSON result a file, and a summary.

    A file is taken for what its type says. Contracts (PDF, DOCX, ODT, RTF, HTML, text, scans) are
    read for clauses, reports (JSON, JSON lines, CSV, XLSX, XLS, ODS, XBRL instances) for what does
    not add up; reports as PDF or HTML are for `smallprint triage`. A mail or archive has one
    result, with what lies in it in `parts`. A file of JSON lines has one result as well, with a
    line in it for each filing. A maildir is a folder of mails. A batch that was cut off goes on
    where it stopped; what failed is tried again, and is listed in the summary.

    \b
    Examples:
      smallprint batch ~/contracts
      smallprint batch ~/contracts --out ~/results --anew
      smallprint batch ~/contracts --adapter contract-clauses --adapter unfair-terms
    """
    from shared.cli.batch import Batch
    from shared.cli.files import Results, files_below

    where = Path(folder).resolve()
    results = Results(out or where.with_name(f"{where.name}-results"), Path(folder))
    sources = list(files_below(folder, results.folder))
    if not sources:
        raise SuiteError(f"there is no file in {folder}")
    results.require_writable()
    lines = Lines(as_json=as_json, table=lambda _line: ())
    with documents_of_all_kinds(adapters, password) as work:
        done = Batch(work, results, resume)
        each_file(sources, lines, done.file)
        each_file(done.elsewhere, lines, done.rest)
    results.summarise(done.summary())
    if not as_json:
        write_rows(done.shown())
    return int(lines.exit_code)


@contextmanager
def documents_of_all_kinds(adapters: Sequence[str], password: str | None) -> Iterator[Work]:
    """Reads contracts for clauses and reports for what does not add up, also within mails and
    archives.
    """
    from shared.cli.batch import Work

    with Finder(adapters, every=False) as finder:
        reports = Reports(finder.reader)

        def result(source: str, data: bytes) -> Mapping[str, Any]:
            if is_report(source, data):
                return reports.result(source, data)
            return finder.result(source, data, password)

        def maker(source: str, data: bytes) -> str:
            if holds_others(source, data):
                return f"{finder.maker}, {reports.maker}"
            return (reports if is_report(source, data) else finder).maker

        yield Work(
            finder.most_bytes, maker, lambda path, data: finder.parts.line(path, data, result)
        )


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the receipts (FOLDER/results).",
)
@click.option(
    "--settle",
    type=click.FloatRange(0, 3600),
    default=2.0,
    show_default=True,
    help="Seconds for which a file must not change before it is taken.",
)
@click.option(
    "--poll",
    type=click.FloatRange(0.1, 86_400),
    default=10.0,
    show_default=True,
    help="Seconds between two looks where no change is noticed, as on network folders.",
)
@as_json
@adapter_option
@password_option
def watch(
    folder: str,
    out: Path | None,
    settle: float,
    poll: float,
    as_json: bool,
    adapters: Sequence[str],
    password: str | None,
) -> int:
    """Work on every document that comes into FOLDER, as `batch` does, until Ctrl-C.

    A file is taken once it is whole: not changed for some seconds, and not open for writing as far
    as this machine knows. What worked is moved to FOLDER/done, what did not to FOLDER/failed, each
    with a receipt in FOLDER/results that has the result, or why there is none. Names are kept; a
    second lease.pdf becomes lease-2.pdf. Move a failed file back, and it is tried again.

    Several watchers share a folder if they have the same folder of receipts. One that is killed
    goes on where it was. Hidden files, and those of unfinished downloads (.part, .crdownload,
    .tmp), are left alone. The mails of a maildir go to its folders done and failed.

    \b
    Examples:
      smallprint watch ~/inbox
      smallprint watch /mnt/scans --poll 30 --out ~/scans-results --json
    """
    from shared.cli import tables
    from shared.cli.files import Results
    from shared.cli.notices import Notices
    from shared.cli.watching import Stop, Watcher

    def tell(text: str) -> None:
        click.echo(f"smallprint: {plain(text)}", err=True)

    results = Results(out or Path(folder, "results"), Path(folder))
    results.require_writable()
    lines = Lines(as_json=as_json, table=tables.watched)
    with documents_of_all_kinds(adapters, password) as work:
        watcher = Watcher(Path(folder), work, results, settle=settle, tell=tell)
        with Notices(Path(folder), *watcher.own, tell=tell) as notices:
            stop = Stop(lambda: tell("finishing the document in hand …"))
            tell(f"waits for documents in {folder} (Ctrl-C stops it)")
            while not stop():
                each_file(watcher.whole(), lines, lambda path: () if stop() else watcher.file(path))
                notices.wait(watcher.next_look(poll), stop)
    tell(f"{watcher.done} worked, {watcher.failed} failed")
    return 0
