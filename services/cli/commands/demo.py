"""The command `smallprint demo`: the embedded edition with a few documents in it."""

from __future__ import annotations

import signal
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.cli.commands.up import StartedSuite, run_suite
from services.cli.demo import documents
from services.cli.options import PORT, load_settings
from services.cli.output.lines import count, plain, write_rows
from services.cli.output.progress import Progress
from services.cli.output.terminal import table
from shared.errors import SettingsError, SuiteError

if TYPE_CHECKING:
    from shared.client import Client, Document

_SECONDS = 120.0
"""Time limit for one document."""
_WIDTH = 78
"""Characters in a line of text."""


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="Port; if it is taken, any free one.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to keep the demo in; by default it is deleted at the end.",
)
def demo(port: int, data: Path | None) -> None:
    """Start the suite with a few sample documents.

    Prints what it finds in them, and a link that signs in once and opens the error in
    the annual report.

    \b
    Examples:
      smallprint demo
      smallprint demo --data ~/smallprint-demo
    """
    failures: list[Exception] = []

    def announce(suite: StartedSuite) -> None:
        threading.Thread(
            target=_show, args=(suite, data is not None, failures), daemon=True
        ).start()

    with _folder(data) as folder:
        settings = load_settings(folder)
        try:
            run_suite(settings, port, announce)
        except SettingsError:
            if not port:
                raise
            run_suite(settings, 0, announce)
    if failures:
        raise SuiteError(f"the demo ended early: {failures[0]}") from failures[0]


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="smallprint-demo-") as folder:
        yield Path(folder)


def _show(suite: StartedSuite, kept: bool, failures: list[Exception]) -> None:
    """Upload the documents, and print what was found. An error stops the suite."""
    from smallprint import Client

    try:
        with Client(suite.url, suite.key) as client:
            _print_results(client, suite, kept)
    except Exception as error:  # noqa: BLE001 - the main thread raises it
        failures.append(error)
        signal.raise_signal(signal.SIGINT)


def _print_results(client: Client, suite: StartedSuite, kept: bool) -> None:
    from services.cli.deployment.owner_key import shell_line

    paths = documents()
    with Progress(len(paths)) as progress:
        sent = [client.upload(path) for path in paths]
        ended: list[Document] = []
        for document in sent:
            progress.at(document.name)
            ended.append(client.wait(document.id, _SECONDS))
            progress.step()
    report = ended[0]
    error = client.findings(report.id).items[0].message
    end = "" if kept else " and deletes its documents. `smallprint demo --data FOLDER` keeps them"
    rows = [row for document in ended for row in _rows(client, document)]
    write_rows(
        [
            *table(rows, indent=0),
            "",
            f"The error in {report.name}:",
            *textwrap.wrap(plain(error), _WIDTH),
            "",
            f"Open it:        {client.sign_in_link(_page_of_error(client, report.id))}",
            f"All documents:  {suite.url}/documents",
            f"Shell:          {shell_line(suite.data)}",
            "",
            f"Ctrl-C ends the demo{end}.",
        ],
        whole=True,
    )


def _page_of_error(client: Client, report: str) -> str:
    """The page where the error in the report is reviewed, once it is in the queue."""
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        for item in client.items(document=report, kind="finding"):
            return f"/review?item={item.id}"
        time.sleep(0.1)
    return f"/documents/{report}"


def _rows(client: Client, document: Document) -> Iterator[tuple[str, str, str]]:
    """Name, kind and result of a document, then those of its attachments."""
    kind = "" if document.parts else document.kind
    yield plain(document.name), kind, _found(client, document)
    for part in document.parts:
        if part.id:
            attached = client.wait(part.id, _SECONDS)
            name = f"└ {plain(attached.name)}"
            yield name, attached.kind, _found(client, attached)


def _found(client: Client, document: Document) -> str:
    if document.outcome not in ("complete", "partial"):
        return f"{document.outcome}: {plain('; '.join(document.reasons))}"
    if document.parts:
        return count(len(document.parts), "attachment")
    if document.kind == "contract":
        clauses = client.clauses(document.id)
        law = next((one.value for one in clauses if one.category == "Governing Law"), None)
        stated = f", law of {law.value}" if law and law.value else ""
        return f"{count(len(clauses), 'clause')}{stated}"
    if document.kind == "report":
        findings = client.findings(document.id)
        return f"{count(len(findings.items), 'finding')}, risk {findings.risk:.2f}"
    return "no clauses and no statements"
