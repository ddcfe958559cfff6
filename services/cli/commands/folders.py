"""The commands for whole folders: `smallprint batch` and `smallprint watch`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.documents.batch import Batch, FileReader
from services.cli.documents.contracts import ContractReader
from services.cli.documents.files import Results, files_below
from services.cli.documents.folder_watch import FolderWatcher, Stop
from services.cli.documents.reading import holds_others, is_report, with_parts
from services.cli.documents.reports import Reports
from services.cli.options import adapter_option, as_json, fail_on_flagged_option, password_option
from services.cli.output import tables
from services.cli.output.lines import OutputWriter, plain, write_rows
from services.cli.output.progress import each_file
from shared.errors import SuiteError

if TYPE_CHECKING:
    from services.cli.documents.batch import FileReader


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the results (FOLDER-results).",
)
@click.option("--resume/--anew", default=True, help="Continue (default), or read all files again.")
@fail_on_flagged_option
@as_json
@adapter_option
@password_option
def batch(
    folder: str,
    out: Path | None,
    resume: bool,
    fail_on_flagged: bool,
    as_json: bool,
    adapters: Sequence[str],
    password: str | None,
) -> int:
    """Read every document below FOLDER, with one result each.

    The results are JSON files, and there is a summary. The type of a file decides. Structured data
    (JSON, CSV, spreadsheets, XBRL) is searched for errors, everything else for clauses. Use
    `smallprint triage` for reports as PDF or HTML. A mail or archive has one result with its
    `parts`, a file of JSON lines one with a line for each filing. A maildir is a folder of mails.
    Run an interrupted batch again to continue; failed files are tried again and listed in the
    summary.

    \b
    Examples:
      smallprint batch ~/contracts
      smallprint batch ~/contracts --out ~/results --anew
      smallprint batch ~/contracts --adapter contract-clauses --adapter unfair-terms
    """

    where = Path(folder).resolve()
    results = Results(out or where.with_name(f"{where.name}-results"), Path(folder))
    sources = list(files_below(folder, results.folder))
    if not sources:
        raise SuiteError(f"there are no files in {folder}")
    results.require_writable()
    lines = OutputWriter(as_json=as_json, table=lambda _line: (), fail_on_flagged=fail_on_flagged)
    with documents_of_all_kinds(adapters, password) as work:
        done = Batch(work, results, resume)
        each_file(sources, lines, done.file)
        each_file(done.elsewhere, lines, done.wait_for)
    results.summarise(done.summary())
    if not as_json:
        write_rows(done.shown())
    return int(lines.exit_code)


@contextmanager
def documents_of_all_kinds(adapters: Sequence[str], password: str | None) -> Iterator[FileReader]:
    """Reads contracts and reports, also within mails and archives."""

    with ContractReader(adapters, every=False) as finder:
        reports = Reports(finder.reader)

        def result(source: str, data: bytes) -> Mapping[str, Any]:
            if is_report(source, data):
                return reports.result(source, data)
            return finder.result(source, data, password)

        def maker(source: str, data: bytes) -> str:
            if holds_others(source, data):
                return f"{finder.maker}, {reports.maker}"
            return (reports if is_report(source, data) else finder).maker

        yield FileReader(
            finder.most_bytes,
            maker,
            lambda path, data: with_parts(finder.reader, path, data, result),
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
    help="Seconds without a change after which a file is read.",
)
@click.option(
    "--poll",
    type=click.FloatRange(0.1, 86_400),
    default=10.0,
    show_default=True,
    help="Seconds between two checks where changes are not noticed, as on network folders.",
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
    """Read every document that arrives in FOLDER.

    Reads as `batch` does, until Ctrl-C. A file is read once it is complete: unchanged for some
    seconds, and not open for writing on this machine. It is then moved to FOLDER/done, or to
    FOLDER/failed. Its receipt in FOLDER/results has the result or the reason. Nothing is
    overwritten: a second lease.pdf becomes lease-2.pdf. To try a failed file again, move it back.

    Several watchers can share a folder with the same results, and a killed one continues. Hidden
    files and unfinished downloads (.part, .crdownload, .tmp) are ignored. The mails of a maildir go
    to its folders done and failed.

    \b
    Examples:
      smallprint watch ~/inbox
      smallprint watch /mnt/scans --poll 30 --out ~/scans-results --json
    """
    from services.cli.documents.file_events import Notices

    def tell(text: str) -> None:
        click.echo(f"smallprint: {plain(text)}", err=True)

    results = Results(out or Path(folder, "results"), Path(folder))
    results.require_writable()
    lines = OutputWriter(as_json=as_json, table=tables.watched)
    with documents_of_all_kinds(adapters, password) as work:
        watcher = FolderWatcher(Path(folder), work, results, settle=settle, tell=tell)
        with Notices(Path(folder), *watcher.own, tell=tell) as notices:
            stop = Stop(lambda: tell("finishing the current document …"))
            tell(f"waiting for documents in {folder} (Ctrl-C stops it)")
            while not stop():
                each_file(
                    watcher.complete_files(),
                    lines,
                    lambda path: () if stop() else watcher.file(path),
                )
                notices.wait(watcher.next_look(poll), stop)
    tell(f"{watcher.done} worked, {watcher.failed} failed")
    return 0
