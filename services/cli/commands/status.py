"""The command `smallprint status`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.options import data_option, key_option, one_json, url_option
from services.cli.output import document_status
from services.cli.output.lines import print_line

if TYPE_CHECKING:
    from shared.client import Client, Journal
    from shared.client.results import State

SLOWEST = 10
AT_WORK: tuple[State, ...] = ("received", "read", "processing")
"""States of documents that have not ended."""
LOOKED_AT = 2_000
"""Documents of each of these states, newest first, among which the slowest are chosen."""


@click.command()
@click.argument("document", required=False, metavar="[DOCUMENT]")
@one_json
@url_option
@data_option
@click.option("--tenant", help="Tenant of the documents, if you use no key. By default `default`.")
@key_option
def status(
    document: str | None,
    as_json: bool,
    url: str | None,
    data: Path | None,
    tenant: str | None,
    key: str | None,
) -> int:
    """Show where a document is, or what is slow in the suite.

    DOCUMENT is an id, or a part of a file name. The command shows its events in each service, with
    times, attempts, last error and next attempt. Without DOCUMENT it shows the queue of each
    service, the time of each stage, and the documents that have been in progress longest.

    Without a key the command asks as the owner of the data folder. It then shows a document of a
    stopped suite too. With a key it asks the running suite.

    \b
    Examples:
      smallprint status
      smallprint status "supply agreement.txt"
      smallprint status doc_56a2f02b1d55403d80dcea975918ba48
      smallprint status --json
      smallprint status --data ~/smallprint-data --tenant acme
      SMALLPRINT_KEY=sp_... smallprint status --url https://papers.example
    """
    if key and tenant:
        raise click.UsageError("a key already names its tenant: use --tenant without a key")
    from services.cli.deployment.connection import connect, connect_as_owner

    connection = (
        connect(url, key, data, retries=1)
        if key or url
        else connect_as_owner(data, tenant or "default", running=not document)
    )
    with connection as client:
        line, rows = _document(client, document) if document else _suite(client)
    print_line(line, rows, as_json=as_json)
    return 0


def _document(client: Client, name: str) -> tuple[dict[str, Any], Iterator[str]]:
    from services.cli.deployment.connection import find_document

    document = find_document(client, name)
    journals, silent = _journals(client, document.id)
    stages, waiting = document_status.stages(journals), _waiting(client, document.id)
    return (
        document_status.document_line(document, stages, waiting, silent),
        document_status.document_table(document, stages, waiting, silent, datetime.now(UTC)),
    )


def _journals(client: Client, document_id: str) -> tuple[list[Journal], list[str]]:
    """The journals of a document, and the services that do not answer."""
    from smallprint import ApiError

    journals, silent = [], []
    for service in document_status.SERVICES:
        try:
            journals.append(client.journal(document_id, service))
        except ApiError as error:
            if error.status not in (0, 503):
                raise
            silent.append(service)
    return journals, silent


def _waiting(client: Client, document_id: str) -> int:
    """How many review items of a document wait; 0 if the key may not see them."""
    from smallprint import ApiError

    try:
        return sum(1 for _ in client.items(document=document_id))
    except ApiError as error:
        if error.status not in (0, 403, 503):
            raise
        return 0


def _suite(client: Client) -> tuple[dict[str, Any], Iterator[str]]:

    samples = document_status.read_metrics(client.metrics())
    documents = [one for s in AT_WORK for one in islice(client.documents(state=s), LOOKED_AT)]
    slowest = sorted(documents, key=lambda one: one.created)[:SLOWEST]
    parts = (document_status.queues(samples), document_status.paces(samples), slowest)
    now, silent = datetime.now(UTC), document_status.silent_processes(samples)
    return (
        document_status.overview_line(*parts, now, silent),
        document_status.overview_table(*parts, now, silent),
    )
