"""Routes of resumable uploads: tus 1.0 at `/v1/uploads`.

Bytes that arrive count even if the request breaks off. So they are read by a coroutine, as in other
uploads, and written in threads.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from email.utils import format_datetime
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from services.ingest.idempotency.api import ONCE, IdempotencyKey, to_response
from services.ingest.idempotency.commands import IdempotentRequests
from services.ingest.idempotency.store import Answer, Claim
from services.ingest.resumable.commands import Chunk, Resumables, UploadProgress
from services.ingest.resumable.domain import (
    ALGORITHMS,
    EXTENSIONS,
    OFFSET_STREAM,
    VERSION,
    PartialUpload,
    UnsupportedVersion,
    UploadBusy,
    read_checksum,
    read_metadata,
)
from services.ingest.schemas import FULL
from shared.errors import InvalidRequest, SuiteError
from shared.web.auth import CurrentActor
from shared.web.openapi import problems
from shared.web.parameters import Id

MAX_LENGTH = 2**53
WAIT_SECONDS = 2.0
"""Seconds that a request waits for an earlier one whose client may have disconnected."""
MAX_WAITING = 4
"""Requests that may wait for the same upload."""
Result = TypeVar("Result")
CHECKSUM = r"^(sha1 [A-Za-z0-9+/]{27}=|sha256 [A-Za-z0-9+/]{43}=)$"
_VERSION: dict[str, Any] = {
    "parameters": [
        {
            "name": "Tus-Resumable",
            "in": "header",
            "required": True,
            "description": "version of the protocol",
            "schema": {"type": "string", "pattern": f"^{re.escape(VERSION)}$"},
        }
    ]
}
"""The header in OpenAPI. tus demands 412 without it, not 422."""
_TUS = {"Tus-Resumable": VERSION}
_TEXT: dict[str, Any] = {"schema": {"type": "string"}}
_NUMBER: dict[str, Any] = {"schema": {"type": "integer", "minimum": 0}}
_HEADERS: dict[str, Any] = {
    "Tus-Resumable": _TEXT,
    "Upload-Offset": {"description": "bytes received", **_NUMBER},
    "Upload-Expires": {"description": "when it expires without a further request", **_TEXT},
    "Smallprint-Document": {"description": "id of its document", **_TEXT},
}


_STATUS_PROBLEMS = problems(404, 409, 413, 415, 503)
"""A status request may finish an upload and answer why it is refused."""


class UploadStateView(BaseModel):
    """The state of a resumable upload."""

    id: str
    length: int = Field(description="bytes announced")
    offset: int = Field(description="bytes received")
    expires: str = Field(description="RFC 3339; when it expires without a further request")
    document: str | None = Field(description="id of its document; null until it is complete")


def routes(resumables: Resumables, idempotent: IdempotentRequests) -> APIRouter:
    """Build the routes of tus, and of the state as JSON."""
    router = APIRouter(prefix="/v1/uploads", tags=["uploads"])
    waiter = UploadWaiter()

    async def receive_chunk(
        request: Request,
        actor: CurrentActor,
        upload_id: Id,
        upload_offset: Annotated[int, Header(ge=0, le=MAX_LENGTH)],
        upload_checksum: Annotated[
            str | None, Header(pattern=CHECKSUM, description="algorithm and digest in Base64")
        ] = None,
    ) -> UploadProgress:
        _require_version(request)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != OFFSET_STREAM:
            raise WrongType(f"Send the bytes as {OFFSET_STREAM}.")
        checksum = read_checksum(upload_checksum)

        def open_chunk() -> tuple[AbstractContextManager[Chunk], Chunk]:
            opened_chunk = resumables.chunk(actor, upload_id, upload_offset, checksum)
            return opened_chunk, opened_chunk.__enter__()

        opened_chunk, chunk = await waiter.run(upload_id, open_chunk)
        try:
            await _receive(request, chunk)
            return await run_in_threadpool(resumables.finish_chunk, actor, chunk)
        finally:
            await run_in_threadpool(opened_chunk.__exit__, None, None, None)

    @router.options(
        "",
        status_code=204,
        summary="Supported protocol and limits",
        responses=problems(),
        response_class=Response,
    )
    def options(_actor: CurrentActor) -> Response:
        """Returns the version, the extensions and the largest size of tus 1.0, the protocol of
        resumable uploads, as headers.
        """
        return _answer(
            204,
            {
                "Tus-Version": VERSION,
                "Tus-Extension": EXTENSIONS,
                "Tus-Max-Size": str(resumables.commands.limits.max_bytes),
                "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
            },
        )

    @router.post(
        "",
        status_code=201,
        summary="Begin a resumable upload",
        response_class=Response,
        responses={
            201: {
                "description": "begun",
                "headers": {**_HEADERS, "Location": {"description": "its address", **_TEXT}},
            },
            **problems(412, 413, 503),
            **FULL,
            **ONCE,
        },
        openapi_extra=_VERSION,
    )
    def begin(
        request: Request,
        actor: CurrentActor,
        upload_length: Annotated[int, Header(ge=1, le=MAX_LENGTH, description="bytes")],
        upload_metadata: Annotated[
            str | None,
            Header(
                max_length=8000,
                description="`filename`, `kind` and `adapter` (names of specialists, "
                "comma-separated), values in Base64",
            ),
        ] = None,
        key: IdempotencyKey = None,
    ) -> Response:
        """Announces the size and the name of a document. Send its bytes in pieces to the address in
        `Location`. See https://tus.io.
        """
        _require_version(request)
        metadata = read_metadata(upload_metadata)

        def created(upload: PartialUpload) -> Answer:
            location = {"Location": f"/v1/uploads/{upload.id}"}
            headers = {**_TUS, **location, **_progress_headers(UploadProgress(upload, 0))}
            return Answer(201, headers=headers, about=frozenset({upload.id}))

        def work(claim: Claim) -> Answer:
            upload = resumables.begin(
                actor,
                upload_length,
                metadata,
                lambda session, made: claim.store(session, created(made)),
            )
            return created(upload)

        identity = [upload_length, metadata.name, metadata.kind, *metadata.adapters]
        return to_response(
            idempotent.run(actor, key, "POST /v1/uploads", lambda _key: identity, work)
        )

    @router.head(
        "/{id}",
        summary="Progress",
        response_class=Response,
        responses={200: {"description": "how far", "headers": _HEADERS}, **_STATUS_PROBLEMS},
    )
    async def read_progress(actor: CurrentActor, upload_id: Id) -> Response:
        """Returns the number of received bytes as the header `Upload-Offset`, as tus clients need
        it.
        """
        progress = await waiter.run(upload_id, partial(resumables.status, actor, upload_id))
        length = {"Upload-Length": str(progress.upload.length)}
        return _answer(200, {**length, **_progress_headers(progress)})

    @router.get("/{id}", summary="Progress as JSON", responses=_STATUS_PROBLEMS)
    async def state(actor: CurrentActor, upload_id: Id) -> UploadStateView:
        """Returns the received bytes, the expiry and, once all bytes are here, the id of the
        document.
        """
        progress = await waiter.run(upload_id, partial(resumables.status, actor, upload_id))
        return UploadStateView(
            id=upload_id,
            length=progress.upload.length,
            offset=progress.offset,
            expires=progress.upload.expires.isoformat(),
            document=_document(progress),
        )

    @router.patch(
        "/{id}",
        status_code=204,
        summary="Send bytes",
        response_class=Response,
        responses={
            204: {"description": "the bytes are stored", "headers": _HEADERS},
            460: {**problems(409)[409], "description": "The checksum does not match"},
            **problems(404, 409, 412, 413, 415, 503),
        },
        openapi_extra={
            **_VERSION,
            "requestBody": {
                "required": True,
                "content": {OFFSET_STREAM: {"schema": {"type": "string", "format": "binary"}}},
            },
        },
    )
    def receive(progress: UploadProgress = Depends(receive_chunk)) -> Response:
        """Appends bytes at `Upload-Offset`. The last piece completes the upload, and the document
        is then processed.
        """
        return _answer(204, _progress_headers(progress))

    @router.delete(
        "/{id}", status_code=204, summary="Cancel an upload", responses=problems(404, 409)
    )
    async def cancel(actor: CurrentActor, upload_id: Id) -> None:
        """Deletes an unfinished upload with its bytes."""
        await waiter.run(upload_id, partial(resumables.cancel, actor, upload_id))

    return router


class UploadWaiter:
    """Lets requests wait for an upload that another request is writing to.

    They wait briefly and without a thread: the earlier client may have disconnected, which the
    server notices soon.
    """

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    async def run(self, upload_id: str, work: Callable[[], Result]) -> Result:
        """Return the result of the work once the upload is free.

        Raises UploadBusy after `WAIT_SECONDS`, or at once if `MAX_WAITING` requests wait for it.
        """
        try:
            return await run_in_threadpool(work)
        except UploadBusy:
            if self._waiting[upload_id] >= MAX_WAITING:
                raise
        self._waiting[upload_id] += 1
        try:
            return await _retry(work)
        finally:
            self._waiting[upload_id] -= 1
            if not self._waiting[upload_id]:
                del self._waiting[upload_id]


async def _retry(work: Callable[[], Result]) -> Result:
    until, pause = time.monotonic() + WAIT_SECONDS, 0.05
    while True:
        await asyncio.sleep(pause)
        try:
            return await run_in_threadpool(work)
        except UploadBusy:
            if time.monotonic() > until:
                raise
        pause = min(2 * pause, 0.4)


class WrongType(InvalidRequest):
    """The body has an unsupported media type."""

    code = "wrong_type"
    http_status = 415


async def _receive(request: Request, chunk: Chunk) -> None:
    """Write the body. Bytes before a break stay, unless they can't be verified."""
    try:
        async for data in request.stream():
            if data:
                await run_in_threadpool(chunk.write, data)
        chunk.verify()
    except ClientDisconnect:
        if chunk.has_checksum:
            await run_in_threadpool(chunk.discard)
        raise InvalidRequest(
            "The request broke off. Ask for the offset and continue from there."
        ) from None
    except SuiteError:
        await run_in_threadpool(chunk.discard)
        raise


def _require_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        raise UnsupportedVersion(f"Send the header `Tus-Resumable: {VERSION}`.")


def _progress_headers(progress: UploadProgress) -> dict[str, str]:
    headers = {
        "Upload-Offset": str(progress.offset),
        "Upload-Expires": format_datetime(progress.upload.expires, usegmt=True),
    }
    if document := _document(progress):
        headers["Smallprint-Document"] = document
    return headers


def _document(progress: UploadProgress) -> str | None:
    return progress.document.id if progress.document else progress.upload.document


def _answer(status: int, headers: dict[str, str]) -> Response:
    return Response(status_code=status, headers={**_TUS, **headers})
