"""The body of an upload: who sends it is known before a byte is read, and its size is bounded.

FastAPI would read a form before it asks who is there. So the form is a dependency that stands on
the actor; it is a coroutine because Starlette reads bodies that way, and ingest has no other.
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
from shared.errors import DocumentTooLarge, InvalidRequest, Unavailable
from shared.events import Kind
from shared.web.auth import CurrentActor

_FIELDS = 20
_FORM = "multipart/form-data"
_WANTED = f"send {_FORM} with one or more parts named `file`"
IN_MEMORY = 1 << 16
"""Bytes of a file that are kept in memory until it is read to its end, and most of a field."""

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
                                "one or more documents, each with its file name; types are known "
                                "by content: contracts as PDF, DOCX, ODT, RTF, HTML, Markdown or "
                                "UTF-8 text, scans as PDF, PNG, JPEG or TIFF, reports as JSON, "
                                "JSON lines or CSV, workbooks (XLSX, XLS, ODS), XBRL instances, "
                                "mails (EML, MSG) and ZIP archives"
                            ),
                        },
                        "kind": {
                            "type": "string",
                            "enum": [*get_args(Kind), ""],
                            "description": "what they are; by default their type decides",
                        },
                        "adapter": {
                            "type": "array",
                            "items": {"type": "string", "maxLength": 64},
                            "description": (
                                "names of the specialists that are to read them if they are "
                                "contracts, one a field; by default the one that is set up; one "
                                "that is not installed is refused (422) with the names of those "
                                "that are"
                            ),
                        },
                        "password": {
                            "type": "string",
                            "format": "password",
                            "description": "opens encrypted PDFs; it is kept nowhere",
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
"""The body in OpenAPI, which FastAPI can't see in a dependency."""


class _Parser(MultiPartParser):
    """Starlette's, which would keep a megabyte of each file in memory."""

    spool_max_size = IN_MEMORY


async def upload_form(request: Request, actor: CurrentActor) -> AsyncIterator[FormData]:
    """The form of an upload, its files spooled to disk beyond `IN_MEMORY` bytes each, and counted
    as `Arriving` until the request is answered.
    """
    settings = request.app.state.settings
    most: int = settings.ingest_max_upload
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise _too_large(most)
    with request.app.state.arriving.of(actor.key_id) as take:
        bounded = Request(request.scope, _bounded(request.receive, most, take))
        form = await _form(bounded, settings.ingest_max_files)
        try:
            yield form
        finally:
            await form.close()


async def _form(request: Request, most_files: int) -> FormData:
    """The whole form. Raises InvalidRequest if it is none, or breaks off, and Unavailable where the
    disk does not take it.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise InvalidRequest(_WANTED)
    parser = _Parser(
        request.headers,
        request.stream(),
        max_files=most_files,
        max_fields=_FIELDS,
        max_part_size=IN_MEMORY,
    )
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from None
    except ClientDisconnect:
        raise InvalidRequest("the upload broke off before its end") from None
    except OSError as error:
        raise Unavailable(
            f"there is no room for uploads now ({error.strerror or error}): see to the folder for"
            " temporary files (TMPDIR), and send it again"
        ) from error


def said_limits(settings: Settings) -> dict[str, str]:
    """What one upload may have, in the header of the draft on resumable uploads: bytes together,
    and beside that bytes of a document and how many there may be.
    """
    limits = {
        "max-size": settings.ingest_max_upload,
        "max-document-size": settings.ingest_max_bytes,
        "max-documents": settings.ingest_max_files,
    }
    return {"upload-limit": ", ".join(f"{name}={most}" for name, most in limits.items())}


UploadForm = Annotated[FormData, Depends(upload_form)]


def uploads(form: FormData) -> list[Upload]:
    """The files of a form. Raises InvalidRequest if there is none, or a part is not understood."""
    kind, password = _field(form, "kind"), _field(form, "password")
    adapters = named_adapters(_words(form, "adapter"))
    if kind is not None and kind not in get_args(Kind):
        raise InvalidRequest(f"kind is one of {', '.join(get_args(Kind))}, not {kind!r}")
    parts = form.getlist("file")
    if not parts:
        raise InvalidRequest(_WANTED)
    return [_upload(part, kind, password, adapters) for part in parts]  # type: ignore[arg-type]


def _upload(
    part: UploadFile | str, kind: Kind | None, password: str | None, adapters: tuple[str, ...]
) -> Upload:
    if isinstance(part, str):
        raise InvalidRequest("a part named `file` has no file name: give it one")
    return Upload(part.file, part.size or 0, part.filename or "", kind, password, adapters)


def _field(form: FormData, name: str) -> str | None:
    words = _words(form, name)
    return words[-1] or None if words else None


def _words(form: FormData, name: str) -> list[str]:
    values = form.getlist(name)
    if any(isinstance(value, UploadFile) for value in values):
        raise InvalidRequest(f"{name} is a word, not a file")
    return [str(value) for value in values]


def _bounded(receive: Receive, most: int, take: Callable[[int], None]) -> Receive:
    """Count what arrives, for whoever does not declare it, or declares too little; `take` is told
    of it before it is kept.
    """
    arrived = 0

    async def bounded() -> Message:
        nonlocal arrived
        message = await receive()
        size = len(message.get("body", b""))
        arrived += size
        if arrived > most:
            raise _too_large(most)
        take(size)
        return message

    return bounded


def _too_large(most: int) -> DocumentTooLarge:
    return DocumentTooLarge(
        f"the upload has more than {most:,} bytes, the limit for all its files together "
        "(setting SMALLPRINT_INGEST_MAX_UPLOAD): send fewer files at a time",
        most=most,
    )
