"""The body of an upload: the key is checked before a byte is read, and the size is limited.

FastAPI would read a form before it checks the key, so the form is a dependency on the actor. It is
a coroutine because Starlette reads bodies asynchronously.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, get_args

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from services.ingest.commands import Upload
from services.ingest.domain import named_adapters
from services.ingest.settings import Settings
from shared.documents.model.formats import FORMAT_NAMES
from shared.errors import DocumentTooLarge, InvalidRequest, Unavailable
from shared.events import Kind
from shared.web.auth import CurrentActor

_FIELDS = 20
_NAMES = frozenset({"file", "kind", "password", "adapter"})
_FORM = "multipart/form-data"
_WANTED = f"Send {_FORM} with one or more parts named `file`."
IN_MEMORY = 1 << 16
"""Bytes of a file that stay in memory, and the limit of a field."""

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "minItems": 1,
                            "description": (
                                "one or more documents with file names; the content "
                                f"determines the type: {FORMAT_NAMES}"
                            ),
                        },
                        "kind": {
                            "type": "string",
                            "enum": [*get_args(Kind), ""],
                            "description": "kind of the documents; by default type and text decide",
                            "example": "",  # the first value of a form
                        },
                        "adapter": {
                            "type": "array",
                            "items": {"type": "string", "maxLength": 64},
                            "description": (
                                "specialists to read them if they are contracts, one "
                                "per field; by default the configured one. A missing "
                                "one is refused (422)"
                            ),
                            "example": [],
                        },
                        "password": {
                            "type": "string",
                            "format": "password",
                            "description": "opens encrypted PDFs; it is not stored",
                            "example": "",
                        },
                    },
                },
                "encoding": {
                    name: {"style": "form", "explode": True} for name in ("file", "adapter")
                },
            }
        },
    }
}
"""The body in OpenAPI, which FastAPI can't derive from a dependency."""


class _Parser(MultiPartParser):
    """Starlette's parser, which would keep a megabyte of each file in memory."""

    spool_max_size = IN_MEMORY


async def upload_form(request: Request, actor: CurrentActor) -> AsyncIterator[FormData]:
    """The form of an upload, spooled to disk and counted by `ByteBudget` until the response."""
    settings = request.app.state.settings
    limit: int = settings.ingest_max_upload
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    with request.app.state.upload_bytes.reserve(actor.key_id) as take:
        bounded = Request(request.scope, _bounded(request.receive, limit, take))
        form = await _form(bounded, settings.ingest_max_files)
        try:
            yield form
        finally:
            await form.close()


async def _form(request: Request, max_files: int) -> FormData:
    """Parse the form.

    Raises InvalidRequest if it is invalid or incomplete, Unavailable if the disk is full.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise InvalidRequest(_WANTED)
    parser = _Parser(
        request.headers,
        request.stream(),
        max_files=max_files,
        max_fields=_FIELDS,
        max_part_size=IN_MEMORY,
    )
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from None
    except ClientDisconnect:
        raise InvalidRequest("The upload broke off. Send it again.") from None
    except OSError as error:
        raise Unavailable(
            f"The upload can't be stored ({error.strerror or error}). Check the folder"
            " for temporary files (TMPDIR), and retry."
        ) from error


def limit_header(settings: Settings) -> dict[str, str]:
    """Return the limits of one upload as the header of the draft on resumable uploads."""
    limits = {
        "max-size": settings.ingest_max_upload,
        "max-document-size": settings.ingest_max_bytes,
        "max-documents": settings.ingest_max_files,
    }
    return {"upload-limit": ", ".join(f"{name}={limit}" for name, limit in limits.items())}


UploadForm = Annotated[FormData, Depends(upload_form)]


def uploads(form: FormData) -> list[Upload]:
    """Return the files of a form. Raises InvalidRequest for a form without files."""
    kind, password = _field(form, "kind"), _field(form, "password")
    adapters = named_adapters(_words(form, "adapter"))
    if kind is not None and kind not in get_args(Kind):
        raise InvalidRequest(f"`kind` must be one of {', '.join(get_args(Kind))}, not {kind!r}.")
    if unknown := sorted(set(form) - _NAMES):
        raise InvalidRequest(
            f"Unknown field {unknown[0]!r}. An upload has the fields {', '.join(sorted(_NAMES))}."
        )
    parts = form.getlist("file")
    if not parts:
        raise InvalidRequest(_WANTED)
    return [_upload(part, kind, password, adapters) for part in parts]  # type: ignore[arg-type]


def _upload(
    part: UploadFile | str, kind: Kind | None, password: str | None, adapters: tuple[str, ...]
) -> Upload:
    if isinstance(part, str):
        raise InvalidRequest("A part named `file` has no file name.")
    return Upload(part.file, part.size or 0, part.filename or "", kind, password, adapters)


def _field(form: FormData, name: str) -> str | None:
    words = _words(form, name)
    return words[-1] or None if words else None


def _words(form: FormData, name: str) -> list[str]:
    values = form.getlist(name)
    if any(isinstance(value, UploadFile) for value in values):
        raise InvalidRequest(f"{name} must be text, not a file.")
    return [str(value) for value in values]


def _bounded(receive: Receive, limit: int, take: Callable[[int], None]) -> Receive:
    """Limit the received bytes, even if the client declares fewer."""
    arrived = 0

    async def bounded() -> Message:
        nonlocal arrived
        message = await receive()
        size = len(message.get("body", b""))
        arrived += size
        if arrived > limit:
            raise _too_large(limit)
        take(size)
        return message

    return bounded


def _too_large(limit: int) -> DocumentTooLarge:
    return DocumentTooLarge(
        f"The upload exceeds {limit:,} bytes, the limit for all its files together "
        "(setting SMALLPRINT_INGEST_MAX_UPLOAD). Send fewer files at a time.",
        most=limit,
    )
