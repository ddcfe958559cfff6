"""Routes of a document's bytes, text and pages, also while it is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse

from services.ingest.domain import Document
from services.ingest.page_images import PageImages
from services.ingest.schemas import PageLedger, PageWords, WordsView, WordView
from services.ingest.store import Documents, ReadPages
from shared.blobs import BlobStore, MissingBlob
from shared.documents import PageRead, ParsedDocument
from shared.errors import Conflict, NotFound
from shared.events import BlobRef
from shared.storage import Store
from shared.web.auth import Actor, CurrentActor
from shared.web.conditional import ETAG, NOT_MODIFIED, IfNoneMatch, is_current, not_modified
from shared.web.openapi import problems
from shared.web.parameters import Id

CHUNK = 1 << 20
PAGES_AT_ONCE = 10
"""Pages whose words are listed at once."""

Number = Annotated[int, Path(ge=1, le=1_000_000)]


def routes(store: Store, blobs: BlobStore, images: PageImages) -> APIRouter:
    """Build the routes below one document."""
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
        """Returns the uploaded file, unchanged, as an attachment."""
        document = _get(store, actor, document_id)
        etag = _etag(document.original)
        if is_current(etag, if_none_match):
            return not_modified(etag)
        stream = blobs.open(actor.tenant, document.original)
        return StreamingResponse(
            _chunks(stream),
            media_type=document.media_type,
            headers={"etag": etag, **_attachment(document)},
        )

    @router.get(
        "/text",
        summary="The text that all offsets refer to",
        response_class=Response,
        responses={
            200: {**_bytes("text/plain", "UTF-8"), "headers": ETAG},
            **NOT_MODIFIED,
            **problems(404, 409),
        },
    )
    def text(actor: CurrentActor, document_id: Id, if_none_match: IfNoneMatch = None) -> Response:
        """Returns the text that smallprint read. The offsets of clauses and search hits count its
        characters.
        """
        document = _get(store, actor, document_id)
        if document.text is None:
            raise Conflict(_why_no_text(document), document=document_id)
        try:
            body = blobs.get(actor.tenant, document.text)
        except MissingBlob:
            if document.progress.pages is not None:
                raise
            raise Conflict(_why_no_text(document), document=document_id) from None
        etag = _etag(document.text)
        if is_current(etag, if_none_match):
            return not_modified(etag)
        return Response(body, media_type="text/plain; charset=utf-8", headers={"etag": etag})

    @router.get(
        "/pages",
        summary="Pages that are read, with method and confidence; the document lists failed pages",
        responses=problems(404, 409),
    )
    def ledger(actor: CurrentActor, document_id: Id) -> PageLedger:
        """Lists the pages that are read, with their text offsets, size, reading method and
        confidence.
        """
        document = _get(store, actor, document_id)
        if read_pages := _pages_read_early(store, document):
            return PageLedger.of_read_pages([page for page in read_pages if page.code is None])
        return PageLedger.of(_reading(blobs, document))

    @router.get(
        "/words",
        summary="The words of ten pages with their places",
        responses=problems(404, 409),
    )
    def words(
        actor: CurrentActor,
        document_id: Id,
        page: Annotated[int, Query(ge=1, le=1_000_000, description="the first of them")] = 1,
    ) -> WordsView:
        """Lists the words of a page and the nine after it, with their offsets and boxes, so that
        words can be selected on the image of a page.
        """
        reading = _reading(blobs, _get(store, actor, document_id), positions=True)
        items = [
            PageWords(
                page=read.number,
                words=[WordView.model_validate(word) for word in reading.words_on(read)],
            )
            for read in reading.pages
            if page <= read.number < page + PAGES_AT_ONCE
        ]
        after = page + PAGES_AT_ONCE
        more = any(read.number >= after for read in reading.pages)
        return WordsView(items=items, next=after if more else None)

    @router.get(
        "/pages/{number}.txt",
        summary="The text of one page, once that page is read",
        response_class=Response,
        responses={
            200: _bytes(
                "text/plain",
                "UTF-8. While the document is read, the page alone; afterwards its "
                "part of `/text`, where hyphenated words are joined",
            ),
            **problems(404, 409),
        },
    )
    def page_text(actor: CurrentActor, document_id: Id, number: Number) -> Response:
        """Returns the text of one page, even while later pages are still being read."""
        document = _get(store, actor, document_id)
        text = _text_while_read(store, document, number)
        if text is None:
            text = _page_of(_reading(blobs, document), number, document_id)
        return Response(text.encode(), media_type="text/plain; charset=utf-8")

    @router.get(
        "/pages/{number}.png",
        summary="Image of one page of a PDF or image",
        response_class=Response,
        responses={
            200: _bytes("image/png", "two pixels per point, or four"),
            **problems(404, 413),
        },
    )
    def page(
        actor: CurrentActor,
        document_id: Id,
        number: Number,
        scale: Annotated[
            int,
            Query(ge=1, le=2, description="1: two pixels per point; 2: four, for dense screens"),
        ] = 1,
    ) -> Response:
        """Draws one page of a PDF or image as PNG. A huge page has fewer pixels per point, and an
        image never more than its own.

        The answer is 422 for a page that takes over 20 seconds to draw.
        """
        document = _get(store, actor, document_id)
        image = images.get(
            document, number, require=lambda: _get(store, actor, document_id), scale=scale
        )
        headers = {"cache-control": "private, max-age=3600"}
        return Response(image, media_type="image/png", headers=headers)

    return router


def _get(store: Store, actor: Actor, document_id: str) -> Document:
    with store.read() as session:
        return Documents(session, actor.tenant).require(document_id)


def _why_no_text(document: Document) -> str:
    if document.progress.state == "ended":
        why = "; ".join(document.progress.reasons) or "see its `parts`"
        return f"The document has no text: {why}."
    read = document.progress.reading
    if read is None:
        return (
            f"The document is not read yet: GET /v1/documents/{document.id}?wait=20 waits for it."
        )
    return f"The document is not read yet: {read.done:,} of {read.total:,} pages are, see `/pages`."


def _pages_read_early(
    store: Store, document: Document, number: int | None = None
) -> list[PageRead]:
    """Return the pages that are read already, while the document is read."""
    if document.progress.reading is None:
        return []
    with store.read() as session:
        return ReadPages(session, document.tenant).of(document, number)


def _text_while_read(store: Store, document: Document, number: int) -> str | None:
    """Return the text of a page while the document is read, otherwise None.

    Raises NotFound, Conflict.
    """
    page_progress = document.progress.reading
    if page_progress is None:
        return None
    if number > page_progress.total:
        raise NotFound(f"There is no page {number}.", document=document.id)
    read_pages = _pages_read_early(store, document, number)
    if not read_pages:
        raise Conflict(f"Page {number} is not read yet. Retry soon.", document=document.id)
    if read_pages[0].code is not None:
        raise NotFound(
            f"Page {number} could not be read: {read_pages[0].reason}", document=document.id
        )
    return read_pages[0].text


def _page_of(reading: ParsedDocument, number: int, document_id: str) -> str:
    for failed in reading.failed:
        if failed.number == number:
            why = f"Page {number} could not be read: {failed.reason}"
            raise NotFound(why, document=document_id)
    for page in reading.pages:
        if page.number == number:
            return reading.text[page.start : page.end]
    raise NotFound(f"There is no page {number}.", document=document_id)


def _reading(blobs: BlobStore, document: Document, *, positions: bool = False) -> ParsedDocument:
    """Load the parsed document. Raises Conflict if it is not read."""
    if document.text is None or document.layout is None or document.progress.pages is None:
        raise Conflict(_why_no_text(document), document=document.id)
    text = blobs.get(document.tenant, document.text).decode()
    return ParsedDocument.from_bytes(
        blobs.get(document.tenant, document.layout), text, positions=positions
    )


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def _etag(blob: BlobRef) -> str:
    return f'"{blob.sha256}"'


def _attachment(document: Document) -> dict[str, str]:
    """Download headers: uploaded content is never shown on our origin."""
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", document.name)
    name = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(document.name, safe='')}"
    return {
        "content-disposition": name,
        "content-length": str(document.original.size),
        "content-security-policy": "default-src 'none'; sandbox",
    }


def _bytes(media_type: str, description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {media_type: {"schema": {"type": "string", "format": "binary"}}},
    }
