"""A client of the suite, for the commands that ask it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click
import httpx

from services.cli.deployment.stores import has_database, open_stores
from services.cli.documents.files import missing_database
from services.cli.options import load_settings
from services.cli.output.documents import listed
from services.cli.output.lines import minute
from shared.errors import InvalidRequest, SuiteError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from shared.client import ApiError, Client, Document
    from shared.settings import CommonSettings

MOST_NAMED = 10
"""Documents of one name that are listed."""


@contextmanager
def connect(
    url: str | None, key: str | None, data: Path | None, *, retries: int = 4
) -> Iterator[Client]:
    """A client with a key. Raises SuiteError if the suite or the key is unknown, or on an error."""
    from smallprint import ApiError, Client

    from services.cli.deployment.address import address_and_key

    where, key = address_and_key(url, key, data)
    with Client(where, key, retries=retries) as client:
        try:
            yield client
        except ApiError as error:
            raise refused(error, where) from None


@contextmanager
def connect_as_owner(data: Path | None, tenant: str, *, running: bool) -> Iterator[Client]:
    """A client for the owner of a data folder, whose key ends with the block.

    If the suite does not run, or its address is unknown, an application in this process answers. It
    starts no work.

    Args:
        running: raise SuiteError in that case.
    """
    from smallprint import ApiError, Client

    from services.ingest.keys import KeyRing

    settings = load_settings(data)
    if not has_database(settings, "ingest"):
        raise missing_database(settings.data / "ingest.db")
    with (
        open_stores(settings) as stores,
        KeyRing(stores["ingest"]).temporary(tenant) as key,
        _transport(settings, data, running=running) as (url, transport),
        Client(url, key, retries=1, transport=transport) as client,
    ):
        try:
            yield client
        except ApiError as error:
            raise refused(error, url) from None


@contextmanager
def _transport(
    settings: CommonSettings, data: Path | None, *, running: bool
) -> Iterator[tuple[str, httpx.BaseTransport | None]]:
    """The address of a suite, and the transport to it; None means the network."""
    from services.cli.deployment.address import address, configured_url

    url = configured_url(data)
    if not url:
        try:
            url = address(settings.data)
        except SuiteError:
            if running:
                raise
    if url:
        yield url, None
        return
    from services.cli.commands.up import build_services
    from shared.runtime.embedded import origin

    services = build_services(settings.data, bus_url="memory:")
    try:
        yield "http://in.process", InProcess(origin(services))
    finally:
        for service in services:
            service.close()


class InProcess(httpx.BaseTransport):
    """Sends requests to an application in this process."""

    def __init__(self, application: ASGIApp) -> None:
        self._transport = httpx.ASGITransport(application)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""

        async def answer() -> httpx.Response:
            answered = await self._transport.handle_async_request(request)
            content = await answered.aread()
            return httpx.Response(answered.status_code, headers=answered.headers, content=content)

        return asyncio.run(answer())


def find_document(client: Client, document: str) -> Document:
    """The document with this id, or the only one with this text in its file name.

    Raises SuiteError if no document has the name, or if several do; standard error then lists them.
    """
    if is_id(document):
        return document_by_id(client, document)
    found = list(islice(client.documents(name=document), MOST_NAMED + 1))
    if len(found) == 1:
        return found[0]
    if found:
        for row in listed(found[:MOST_NAMED]):
            click.echo(row, err=True)
        number = f"more than {MOST_NAMED}" if len(found) > MOST_NAMED else len(found)
        raise SuiteError(f"{number} documents have this name: use the id of one")
    raise SuiteError(
        f"no document is named {document!r}: see `smallprint documents list`. A deleted document "
        "has only its id"
    )


def is_id(text: str) -> bool:
    """Whether a text has the form of a document's id."""
    return re.fullmatch(r"doc_\w+", text, re.ASCII) is not None


def document_by_id(client: Client, document_id: str) -> Document:
    """A document. Raises SuiteError with the time and the actor if it was deleted."""
    from smallprint import ApiError, NotFound

    if not is_id(document_id):
        raise InvalidRequest(
            f"{document_id!r} is not the id of a document: `smallprint documents list` prints ids"
        )
    try:
        return client.document(document_id)
    except NotFound as unknown:
        try:
            deletion = client.deletion(document_id)
        except ApiError:
            raise unknown from None
    removed = "" if deletion.removed else ". Some services have not removed it yet"
    raise SuiteError(
        f"{document_id} was deleted {minute(deletion.deleted)} by {deletion.deleted_by}{removed}"
    )


def refused(error: ApiError, url: str) -> SuiteError:
    """The error that a command shows for a refused request."""
    if error.code == "no_answer":
        return SuiteError(
            f"no suite answers at {url}: start it there, or name its address with --url, or its "
            "folder with --data"
        )
    if error.code == InvalidRequest.code:
        return InvalidRequest(error.detail)
    if error.code == "http_error" or error.status in (401, 429) or error.status >= 500:
        return SuiteError(f"the suite at {url} refuses the request: {error.detail}")
    return SuiteError(error.detail)
