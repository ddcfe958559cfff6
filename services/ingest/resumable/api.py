"""The routes of uploads that go on where they broke off: tus 1.0 at `/v1/uploads`.

The bytes of a request are read as they come, and what has come counts even if the rest never does.
So reading them is a coroutine, as with the other uploads; the writing is done in threads.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from email.utils import format_datetime
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from services.ingest.idempotency.api import ONCE, IdempotencyKey, answered
from services.ingest.idempotency.commands import Once
from services.ingest.idempotency.domain import Answer
from services.ingest.idempotency.store import Claim
from services.ingest.resumable.commands import Chunk, Resumables, Standing
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
from shared.web.ids import ID
from shared.web.openapi import problems

MOST = 2**53
PATIENCE = 2.0
"""Seconds for which a request waits for one before it, whose client is gone, to notice that."""
MOST_WAITING = 4
"""Requests that may wait for the same upload."""
Result = TypeVar("Result")
CHECKSUM = r"^(sha1 [A-Za-z0-9+/]{27}=|sha256 [A-Za-z0-9+/]{43}=)$"
Id = Annotated[str, Path(alias="id", pattern=ID)]
_VERSION: dict[str, Any] = {
    "parameters": [
        {
            "name": "Tus-Resumable",
            "in": "header",
            "required": True,
            "description": "the protocol's version",
            "schema": {"type": "string", "const": VERSION},
        }
    ]
}
"""In OpenAPI; without it the answer is 412, as tus has it, and not 422."""
_TUS = {"Tus-Resumable": VERSION}
_TEXT: dict[str, Any] = {"schema": {"type": "string"}}
_NUMBER: dict[str, Any] = {"schema": {"type": "integer", "minimum": 0}}
_HEADERS: dict[str, Any] = {
    "Tus-Resumable": _TEXT,
    "Upload-Offset": {"description": "bytes that have come", **_NUMBER},
    "Upload-Expires": {"description": "until when it may rest", **_TEXT},
    "Smallprint-Document": {"description": "id of the document that it became", **_TEXT},
}


_LOOKED = problems(404, 409, 413, 415, 503)
"""A look may finish an upload, and then say why it becomes no document."""


class UploadStateView(BaseModel):
    """An upload in several requests, and how far it is."""

    id: str
    length: int = Field(description="bytes that it is to have")
    offset: int = Field(description="bytes that have come")
    expires: str = Field(description="RFC 3339; until when it may rest, or is remembered")
    document: str | None = Field(description="id of the document that it became; null until then")


def routes(resumables: Resumables, once: Once) -> APIRouter:
    """What tus asks for, and the state as JSON for whoever has no client of it."""
    router = APIRouter(prefix="/v1/uploads", tags=["uploads"])
    free = Free()

    async def received(
        request: Request,
        actor: CurrentActor,
        upload_id: Id,
        upload_offset: Annotated[int, Header(ge=0, le=MOST)],
        upload_checksum: Annotated[
            str | None, Header(pattern=CHECKSUM, description="algorithm, and digest in Base64")
        ] = None,
    ) -> Standing:
        _require_version(request)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != OFFSET_STREAM:
            raise WrongType(f"the bytes are sent as {OFFSET_STREAM}")
        checksum = read_checksum(upload_checksum)

        def hold() -> tuple[AbstractContextManager[Chunk], Chunk]:
            holding = resumables.chunk(actor, upload_id, upload_offset, checksum)
            return holding, holding.__enter__()

        holding, chunk = await free.when(upload_id, hold)
        try:
            await _receive(request, chunk)
            return await run_in_threadpool(resumables.received, actor, chunk)
        finally:
            await run_in_threadpool(holding.__exit__, None, None, None)

    @router.options(
        "",
        status_code=204,
        summary="What is understood, and how much is taken",
        responses=problems(),
        response_class=Response,
    )
    def options(_actor: CurrentActor) -> Response:
        return _answer(
            204,
            {
                "Tus-Version": VERSION,
                "Tus-Extension": EXTENSIONS,
                "Tus-Max-Size": str(resumables.intake.limits.max_bytes),
                "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
            },
        )

    @router.post(
        "",
        status_code=201,
        summary="Begin an upload in several requests",
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
        upload_length: Annotated[int, Header(ge=1, le=MOST, description="bytes")],
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
        _require_version(request)
        wanted = read_metadata(upload_metadata)

        def begun(upload: PartialUpload) -> Answer:
            location = {"Location": f"/v1/uploads/{upload.id}"}
            headers = {**_TUS, **location, **_standing(Standing(upload, 0))}
            return Answer(201, headers=headers, about=frozenset({upload.id}))

        def work(claim: Claim) -> Answer:
            upload = resumables.begin(
                actor,
                upload_length,
                wanted,
                lambda session, made: claim.keep(session, begun(made)),
            )
            return begun(upload)

        said = [upload_length, wanted.name, wanted.kind, *wanted.adapters]
        return answered(once.run(actor, key, "POST /v1/uploads", lambda _key: said, work))

    @router.head(
        "/{id}",
        summary="How far it is",
        response_class=Response,
        responses={200: {"description": "how far", "headers": _HEADERS}, **_LOOKED},
    )
    async def look(actor: CurrentActor, upload_id: Id) -> Response:
        standing = await free.when(upload_id, partial(resumables.look, actor, upload_id))
        length = {"Upload-Length": str(standing.upload.length)}
        return _answer(200, {**length, **_standing(standing)})

    @router.get("/{id}", summary="How far it is, as JSON", responses=_LOOKED)
    async def state(actor: CurrentActor, upload_id: Id) -> UploadStateView:
        standing = await free.when(upload_id, partial(resumables.look, actor, upload_id))
        return UploadStateView(
            id=upload_id,
            length=standing.upload.length,
            offset=standing.offset,
            expires=standing.upload.expires.isoformat(),
            document=_document(standing),
        )

    @router.patch(
        "/{id}",
        status_code=204,
        summary="Send some more of its bytes",
        response_class=Response,
        responses={
            204: {"description": "they are kept", "headers": _HEADERS},
            460: {**problems(409)[409], "description": "The checksum is another"},
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
    def receive(standing: Standing = Depends(received)) -> Response:
        return _answer(204, _standing(standing))

    @router.delete("/{id}", status_code=204, summary="Throw it away", responses=problems(404, 409))
    async def cancel(actor: CurrentActor, upload_id: Id) -> None:
        await free.when(upload_id, partial(resumables.cancel, actor, upload_id))

    return router


class Free:
    """Uploads that another request has in hand: who comes meanwhile waits a little, without a
    thread, for the one before may be of a client that is gone, and is about to notice that.
    """

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    async def when(self, upload_id: str, work: Callable[[], Result]) -> Result:
        """What the work comes to, once nobody else has the upload. Raises UploadBusy after
        `PATIENCE`, or at once where `MOST_WAITING` wait for the same one, and what the work raises.
        """
        try:
            return await run_in_threadpool(work)
        except UploadBusy:
            if self._waiting[upload_id] >= MOST_WAITING:
                raise
        self._waiting[upload_id] += 1
        try:
            return await _again(work)
        finally:
            self._waiting[upload_id] -= 1
            if not self._waiting[upload_id]:
                del self._waiting[upload_id]


async def _again(work: Callable[[], Result]) -> Result:
    until, pause = time.monotonic() + PATIENCE, 0.05
    while True:
        await asyncio.sleep(pause)
        try:
            return await run_in_threadpool(work)
        except UploadBusy:
            if time.monotonic() > until:
                raise
        pause = min(2 * pause, 0.4)


class WrongType(InvalidRequest):
    """The body is of another media type than this route takes."""

    code = "wrong_type"
    http_status = 415


async def _receive(request: Request, chunk: Chunk) -> None:
    """Write what comes. What came before a break stays, unless it can't be verified any more."""
    try:
        async for data in request.stream():
            if data:
                await run_in_threadpool(chunk.write, data)
        chunk.verify()
    except ClientDisconnect:
        if chunk.checked:
            await run_in_threadpool(chunk.discard)
        raise InvalidRequest("the request broke off before its end") from None
    except SuiteError:
        await run_in_threadpool(chunk.discard)
        raise


def _require_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        raise UnsupportedVersion(f"say the protocol's version: `Tus-Resumable: {VERSION}`")


def _standing(standing: Standing) -> dict[str, str]:
    headers = {
        "Upload-Offset": str(standing.offset),
        "Upload-Expires": format_datetime(standing.upload.expires, usegmt=True),
    }
    if document := _document(standing):
        headers["Smallprint-Document"] = document
    return headers


def _document(standing: Standing) -> str | None:
    return standing.document.id if standing.document else standing.upload.document


def _answer(status: int, headers: dict[str, str]) -> Response:
    return Response(status_code=status, headers={**_TUS, **headers})
