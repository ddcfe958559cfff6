"""The command `smallprint status`: where a document is, and what is slow in a running suite."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.cli.lines import to_json, write
from shared.cli.options import data_option, key_option, url_option
from shared.errors import SuiteError

if TYPE_CHECKING:
    from smallprint import ApiError, Client, Document

SLOWEST = 10
LOOKED_AT = 2_000
"""Documents at work of each state among which the slowest are looked for, the newest first."""


@click.command()
@click.argument("document", required=False, metavar="[DOCUMENT]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line.")
@url_option
@data_option
@key_option
def status(
    document: str | None, as_json: bool, url: str | None, data: Path | None, key: str | None
) -> int:
    """Say where a document of a running suite is, or what is slow now.

    With the id of a document: each event of it with each service, who has it and since when, how
    often it was tried, what the last error was, and when it is tried again. Without one: what waits
    for each service, how long stages take, and the documents that have been at work longest.

    \b
    Examples:
      smallprint status
      smallprint status doc_56a2f02b1d55403d80dcea975918ba48
      smallprint status --json
      smallprint status --data var/data-kafka
    """
    from smallprint import ApiError, Client

    from shared.cli.address import reached

    where, key = reached(url, key, data)
    try:
        with Client(where, key, retries=1) as client:
            shown = _document(client, document, as_json) if document else _suite(client, as_json)
            for line in shown:
                write(line)
    except ApiError as error:
        raise no_suite(error, where) from None
    return 0


def no_suite(error: ApiError, url: str) -> SuiteError:
    """What a refused request to a suite is told as."""
    if error.code == "no_answer":
        return SuiteError(
            f"no suite answers at {url}: start it there, or name its address with --url, or its "
            "folder with --data"
        )
    return SuiteError(f"the suite at {url} answers {error.status}: {error.detail}")


def _document(client: Client, document_id: str, as_json: bool) -> Iterator[bytes]:
    from smallprint import ApiError

    from shared.cli import standing

    document = client.document(document_id)
    journals, silent, waiting = [], [], 0
    for service in standing.SERVICES:
        try:
            journals.append(client.journal(document_id, service))
        except ApiError as error:
            if error.status not in (0, 503):
                raise
            silent.append(service)
    try:
        waiting = sum(1 for _ in client.items(document=document_id))
    except ApiError as error:
        if error.status not in (0, 403, 503):  # a key need not open the queue
            raise
    found = standing.stages(journals)
    if as_json:
        yield to_json(standing.document_line(document, found, waiting, silent))
        return
    now = datetime.now(UTC)
    for row in standing.document_table(document, found, waiting, silent, now):
        yield f"{row}\n".encode("utf-8", "replace")


def _suite(client: Client, as_json: bool) -> Iterator[bytes]:
    from shared.cli import standing

    samples = standing.read_metrics(client.metrics())
    parts = (standing.queues(samples), standing.paces(samples), _slowest(client))
    now = datetime.now(UTC)
    if as_json:
        yield to_json(standing.overview_line(*parts, now))
        return
    for row in standing.overview_table(*parts, now):
        yield f"{row}\n".encode("utf-8", "replace")


def _slowest(client: Client) -> list[Document]:
    found = [
        one
        for state in ("received", "read", "processing")
        for one in islice(client.documents(state=state), LOOKED_AT)
    ]
    return sorted(found, key=lambda one: one.created)[:SLOWEST]
