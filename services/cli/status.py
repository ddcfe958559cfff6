"""The command `smallprint status`: where a document is, and what is slow in a running suite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from shared.cli.lines import to_json, write
from shared.cli.options import data_option, key_option, url_option
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.client import ApiError, Client, Document, Journal
    from shared.client.results import State

SLOWEST = 10
AT_WORK: tuple[State, ...] = ("received", "read", "processing")
"""The states of documents that have not ended."""
LOOKED_AT = 2_000
"""Documents at work of each state among which the slowest are looked for, the newest first."""


class Asked(Protocol):
    """What knows where documents of one tenant are: the suite, or its data folder."""

    def document(self, document_id: str) -> Document:
        """One document."""

    def journals(self, document_id: str) -> tuple[list[Journal], list[str]]:
        """Where it is with each service, and which services do not answer."""

    def waiting(self, document_id: str) -> int:
        """How many of its items wait for people."""

    def metrics(self) -> str:
        """What is measured of the suite, as Prometheus reads it."""

    def at_work(self) -> Iterable[Document]:
        """Documents that have not ended, of each state LOOKED_AT at most."""


@click.command()
@click.argument("document", required=False, metavar="[DOCUMENT]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line.")
@url_option
@data_option
@click.option("--tenant", help="Whose documents, where no key says it (default).")
@key_option
def status(
    document: str | None,
    as_json: bool,
    url: str | None,
    data: Path | None,
    tenant: str | None,
    key: str | None,
) -> int:
    """Say where a document of a suite is, or what is slow in a running one now.

    With the id of a document: each event of it with each service, who has it and since when, how
    often it was tried, what the last error was, and when it is tried again. Without one: what waits
    for each service, how long stages take, and the documents that have been at work longest.

    Without a key it reads the databases of the data folder, which are for its owner alone; where
    a document is, is told of a stopped suite as well. With one it asks the suite.

    \b
    Examples:
      smallprint status
      smallprint status doc_56a2f02b1d55403d80dcea975918ba48
      smallprint status --json
      smallprint status --data var/data-kafka --tenant acme
      SMALLPRINT_KEY=sp_... smallprint status --url https://papers.example
    """
    if key and tenant:
        raise click.UsageError("a key says whose documents are meant: --tenant goes without one")
    with _asked(url, data, tenant, key) as asked:
        for line in _document(asked, document, as_json) if document else _suite(asked, as_json):
            write(line)
    return 0


def _asked(
    url: str | None, data: Path | None, tenant: str | None, key: str | None
) -> AbstractContextManager[Asked]:
    """The suite, if a key or an address is given, else the data folder."""
    from shared.cli.address import reached

    if key or url:
        return _over_http(*reached(url, key, data))
    from services.cli.in_folder import in_folder

    return in_folder(data, tenant or "default")


@contextmanager
def _over_http(url: str, key: str) -> Iterator[OverHttp]:
    from smallprint import ApiError, Client

    try:
        with Client(url, key, retries=1) as client:
            yield OverHttp(client)
    except ApiError as error:
        raise no_suite(error, url) from None


class OverHttp:
    """The suite, asked with a key: its scopes say what is told."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def document(self, document_id: str) -> Document:
        """See `Asked`."""
        return self._client.document(document_id)

    def journals(self, document_id: str) -> tuple[list[Journal], list[str]]:
        """See `Asked`."""
        from smallprint import ApiError

        from shared.cli import standing

        journals, silent = [], []
        for service in standing.SERVICES:
            try:
                journals.append(self._client.journal(document_id, service))
            except ApiError as error:
                if error.status not in (0, 503):
                    raise
                silent.append(service)
        return journals, silent

    def waiting(self, document_id: str) -> int:
        """See `Asked`; 0 where the key does not open the queue, or review does not answer."""
        from smallprint import ApiError

        try:
            return sum(1 for _ in self._client.items(document=document_id))
        except ApiError as error:
            if error.status not in (0, 403, 503):
                raise
            return 0

    def metrics(self) -> str:
        """See `Asked`."""
        return self._client.metrics()

    def at_work(self) -> Iterable[Document]:
        """See `Asked`."""
        for state in AT_WORK:
            yield from islice(self._client.documents(state=state), LOOKED_AT)


def no_suite(error: ApiError, url: str) -> SuiteError:
    """What a refused request to a suite is told as."""
    if error.code == "no_answer":
        return SuiteError(
            f"no suite answers at {url}: start it there, or name its address with --url, or its "
            "folder with --data"
        )
    return SuiteError(f"the suite at {url} answers {error.status}: {error.detail}")


def _document(asked: Asked, document_id: str, as_json: bool) -> Iterator[bytes]:
    from shared.cli import standing

    document = asked.document(document_id)
    journals, silent = asked.journals(document_id)
    found, waiting = standing.stages(journals), asked.waiting(document_id)
    if as_json:
        yield to_json(standing.document_line(document, found, waiting, silent))
        return
    now = datetime.now(UTC)
    for row in standing.document_table(document, found, waiting, silent, now):
        yield f"{row}\n".encode("utf-8", "replace")


def _suite(asked: Asked, as_json: bool) -> Iterator[bytes]:
    from shared.cli import standing

    samples = standing.read_metrics(asked.metrics())
    slowest = sorted(asked.at_work(), key=lambda one: one.created)[:SLOWEST]
    parts = (standing.queues(samples), standing.paces(samples), slowest)
    now, silent = datetime.now(UTC), standing.silence(samples)
    if as_json:
        yield to_json(standing.overview_line(*parts, now, silent))
        return
    for row in standing.overview_table(*parts, now, silent):
        yield f"{row}\n".encode("utf-8", "replace")
