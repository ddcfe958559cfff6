"""The commands for whole folders: `smallprint batch` and `smallprint watch`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from services.cli.documents.batch import Batch
from services.cli.documents.contracts import ContractReader
from services.cli.documents.files import Results, files_below
from services.cli.documents.folder_watch import FolderWatcher, Stop
from services.cli.documents.kinds import DocumentReader
from services.cli.options import (
    adapter_option,
    as_json,
    detected_kind_option,
    fail_on_flagged_option,
    password_option,
    sheet_options,
)
from services.cli.output import sheets, tables
from services.cli.output.lines import OutputWriter, plain, print_hint, warnings, write_rows
from services.cli.output.progress import each_file
from shared.errors import SuiteError


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
@sheet_options
@detected_kind_option
@adapter_option
@password_option
def batch(
    folder: str,
    out: Path | None,
    resume: bool,
    fail_on_flagged: bool,
    as_json: bool,
    form: str | None,
    kind: str,
    adapters: Sequence[str],
    password: str | None,
) -> int:
    """Read every document of a folder, with one result each.

    Finds the clauses of contracts and the errors in reports. smallprint detects the kind of each
    document. One that is neither a contract nor a report fails.

    The results are JSON files, and summary.json lists the failed ones. --csv and --xlsx also print
    all results as one table. A mail or archive has one result with its `parts`. A maildir is a
    folder of mails. Run an interrupted batch again to continue; it tries failed files again.

    \b
    Examples:
      smallprint batch ~/contracts
      smallprint batch ~/contracts --out ~/results --anew
      smallprint batch ~/reports --kind report --xlsx > findings.xlsx
      smallprint batch ~/contracts --adapter contract-clauses --adapter unfair-terms
    """

    where = Path(folder).resolve()
    results = Results(out or where.with_name(f"{where.name}-results"), Path(folder))
    sources = list(files_below(folder, results.folder))
    if not sources:
        raise SuiteError(f"there are no files in {folder}")
    results.require_writable()
    lines = OutputWriter(
        as_json=as_json,
        table=warnings,
        fail_on_flagged=fail_on_flagged,
        sheet=sheets.results_sheet(form, as_json=as_json),
    )
    with DocumentReader(ContractReader(adapters, every=False), kind, password) as reader:
        done = Batch(reader.files, results, resume)
        each_file(sources, lines, done.file)
        each_file(done.elsewhere, lines, done.wait_for, "waiting for another batch")
    results.summarise(done.summary())
    lines.write_sheet()
    if not as_json and not form:
        write_rows(done.shown())
    return int(lines.exit_code)


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
@detected_kind_option
@adapter_option
@password_option
def watch(
    folder: str,
    out: Path | None,
    settle: float,
    poll: float,
    as_json: bool,
    kind: str,
    adapters: Sequence[str],
    password: str | None,
) -> int:
    """Read every document that arrives in a folder.

    The results go to a folder. A suite gets nothing: use `smallprint upload FOLDER` for that.

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
        print_hint(f"smallprint: {plain(text)}")

    results = Results(out or Path(folder, "results"), Path(folder))
    results.require_writable()
    lines = OutputWriter(as_json=as_json, table=tables.watched)
    with DocumentReader(ContractReader(adapters, every=False), kind, password) as reader:
        watcher = FolderWatcher(Path(folder), reader.files, results, settle=settle, tell=tell)
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
