"""Routes of what a document holds: its bytes, its text, and its pages, also while it is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO
from urllib.parse import quote

from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse

from services.ingest.commands import found
from services.ingest.domain import Document
from services.ingest.early.store import EarlyPages
from services.ingest.pages import PageImages
from services.ingest.schemas import PageLedger
from services.ingest.store import Documents
from shared.documents import EarlyPage, Reading
from shared.errors import Conflict, NotFound
from shared.events import BlobRef
from shared.storage import BlobStore, MissingBlob, Store
from shared.web.auth import Actor, CurrentActor
from shared.web.conditional import ETAG, NOT_MODIFIED, IfNoneMatch, is_known, not_modified
from shared.web.ids import ID
from shared.web.openapi import problems

CHUNK = 1 << 20

Id = Annotated[str, Path(alias="id", pattern=ID)]
Number = Annotated[int, Path(ge=1, le=1_000_000)]


def routes(store: Store, blobs: BlobStore, images: PageImages) -> APIRouter:
    """What is below one document."""
    router = APIRouter(prefix="/v1/documents/{id}", tags=["documents"])

    @router.get(
        "/original",
        summary="The bytes as uploaded",
        response_class=StreamingResponse,
        responses={
            200: {**_bytes("*/*", "as an attachment"), "headers": ETAG},
            **NOT_MODIFIED,
            **problems(404),
        },
    )
    def original(
        actor: CurrentActor, document_id: Id, if_none_match: IfNoneMatch = None
    ) -> Response:
        document = _find(store, actor, document_id)
        etag = _etag(document.original)
        if is_known(etag, if_none_match):
            return not_modified(etag)
        stream = blobs.open(actor.tenant, document.original)
        return StreamingResponse(
            _chunks(stream),
            media_type=document.media_type,
            headers={"etag": etag, **_attachment(document)},
        )

    @router.get(
        "/text",
        summary="The text, exactly as the offsets of every result count it",
        response_class=Response,
        responses={
            200: {**_bytes("text/plain", "UTF-8"), "headers": ETAG},
            **NOT_MODIFIED,
            **problems(404, 409),
        },
    )
    def text(actor: CurrentActor, document_id: Id, if_none_match: IfNoneMatch = None) -> Response:
        document = _find(store, actor, document_id)
        if document.text is None:
            raise Conflict(_why_no_text(document), document=document_id)
        try:
            body = blobs.get(actor.tenant, document.text)
        except MissingBlob:
            if document.progress.pages is not None:
                raise
            raise Conflict(_why_no_text(document), document=document_id) from None
        etag = _etag(document.text)
        if is_known(etag, if_none_match):
            return not_modified(etag)
        return Response(body, media_type="text/plain; charset=utf-8", headers={"etag": etag})

    @router.get(
        "/pages",
        summary="How each page was read, and how sure that is; failed pages are in the document. "
        "While it is read, the pages that are",
        responses=problems(404, 409),
    )
    def ledger(actor: CurrentActor, document_id: Id) -> PageLedger:
        document = _find(store, actor, document_id)
        if early := _early(store, document):
            return PageLedger.so_far([page for page in early if page.code is None])
        return PageLedger.of(_reading(blobs, document))

    @router.get(
        "/pages/{number}.txt",
        summary="The text of one page, as soon as that page is read",
        response_class=Response,
        responses={
            200: _bytes(
                "text/plain",
                "UTF-8; until the whole document is read the page by itself, and then its part of "
                "`/text`, in which words that a hyphen cuts are whole again",
            ),
            **problems(404, 409),
        },
    )
    def page_text(actor: CurrentActor, document_id: Id, number: Number) -> Response:
        document = _find(store, actor, document_id)
        text = _page_so_far(store, document, number)
        if text is None:
            text = _page_of(_reading(blobs, document), number, document_id)
        return Response(text.encode(), media_type="text/plain; charset=utf-8")

    @router.get(
        "/pages/{number}.png",
        summary="The picture of one page of a PDF, or of a picture",
        response_class=Response,
        responses={200: _bytes("image/png", "two pixels a point"), **problems(404, 413)},
    )
    def page(actor: CurrentActor, document_id: Id, number: Number) -> Response:
        document = _find(store, actor, document_id)
        image = images.get(document, number, alive=lambda: _alive(store, actor, document_id))
        headers = {"cache-control": "private, max-age=3600"}
        return Response(image, media_type="image/png", headers=headers)

    return router


def _find(store: Store, actor: Actor, document_id: str) -> Document:
    with store.read() as session:
        return found(Documents(session, actor.tenant).get(document_id), document_id)


def _alive(store: Store, actor: Actor, document_id: str) -> bool:
    with store.read() as session:
        return Documents(session, actor.tenant).get(document_id) is not None


def _why_no_text(document: Document) -> str:
    if document.progress.state == "ended":
        why = "; ".join(document.progress.reasons) or "see its `parts`, which are documents"
        return f"the document has no text: {why}"
    so_far = document.progress.reading
    if so_far is None:
        return "the document is not read yet: ask for it with `?wait=20` until it is"
    return (
        f"the document is not read yet: {so_far.done:,} of {so_far.of:,} pages are, see `/pages` "
        "and `/pages/NUMBER.txt`"
    )


def _early(store: Store, document: Document, number: int | None = None) -> list[EarlyPage]:
    """The pages that are read while the others are not; none before and after that."""
    if document.progress.reading is None:
        return []
    with store.read() as session:
        return EarlyPages(session, document.tenant).of(document, number)


def _page_so_far(store: Store, document: Document, number: int) -> str | None:
    """The text of a page while the document is read, None once it is. Raises NotFound, Conflict."""
    so_far = document.progress.reading
    if so_far is None:
        return None
    if number > so_far.of:
        raise NotFound(f"there is no page {number}", document=document.id)
    early = _early(store, document, number)
    if not early:
        raise Conflict(f"page {number} is not read yet: ask again soon", document=document.id)
    if early[0].code is not None:
        raise NotFound(f"page {number} could not be read: {early[0].reason}", document=document.id)
    return early[0].text


def _page_of(reading: Reading, number: int, document_id: str) -> str:
    """The text of a page of a whole reading. Raises NotFound."""
    for failed in reading.failed:
        if failed.number == number:
            why = f"page {number} could not be read: {failed.reason}"
            raise NotFound(why, document=document_id)
    for page in reading.pages:
        if page.number == number:
            return reading.text[page.start : page.end]
    raise NotFound(f"there is no page {number}", document=document_id)


def _reading(blobs: BlobStore, document: Document) -> Reading:
    """All of it but places. Raises Conflict before it is read, and where it can't be."""
    if document.text is None or document.layout is None or document.progress.pages is None:
        raise Conflict(_why_no_text(document), document=document.id)
    text = blobs.get(document.tenant, document.text).decode()
    return Reading.from_bytes(blobs.get(document.tenant, document.layout), text, places=False)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def _etag(blob: BlobRef) -> str:
    """Of bytes that are named by their hash."""
    return f'"{blob.sha256}"'


def _attachment(document: Document) -> dict[str, str]:
    """Always downloaded, never shown: what people upload does not run on our origin."""
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", document.name)
    name = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(document.name, safe='')}"
    return {
        "content-disposition": name,
        "content-length": str(document.original.size),
        "content-security-policy": "default-src 'none'; sandbox",
    }


def _bytes(media_type: str, what: str) -> dict[str, Any]:
    return {
        "description": what,
        "content": {media_type: {"schema": {"type": "string", "format": "binary"}}},
    }
