"""JSON schemas of ingest's requests and responses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from services.ingest.domain import Document, Family, Key, KindSource, Outcome, State
from services.ingest.keys import NewKey
from shared.documents import PageRead, ParsedDocument
from shared.events import Kind
from shared.web.conditional import etag_of
from shared.web.openapi import Problem, problems
from shared.web.parameters import Integer, Parties, Timestamp, Title
from shared.web.scopes import Scope, sort_scopes

NAME = r"^[^\x00-\x1f\x7f]{1,100}$"
FULL: dict[int | str, dict[str, Any]] = {
    429: {
        **problems()[429],
        "description": "Too many requests of this key (`too_many_requests`), or too "
        "many documents in work (`queue_full`): retry after "
        "`Retry-After`",
    }
}
"""`responses=` of a route that accepts documents."""


class ReprocessRequest(BaseModel):
    """Options of another attempt."""

    model_config = ConfigDict(extra="forbid")

    password: SecretStr | None = Field(
        None, max_length=1000, description="opens an encrypted PDF; it is not stored"
    )
    adapters: list[Annotated[str, Field(max_length=64)]] = Field(
        default=[],
        max_length=20,
        description="specialists to read it now; empty: the same as before",
    )


class FailedPageView(BaseModel):
    """A page that could not be read."""

    page: int = Field(ge=1)
    code: str = Field(description="code to search for")
    reason: str


class ParentView(BaseModel):
    """A mail or archive that contains a document."""

    id: str
    name: str = Field(description="its file name")


class PartView(BaseModel):
    """A part of a mail or archive: its document, or why it was refused."""

    name: str = Field(description="its label there, with folders")
    id: str | None = Field(description="of the document; null if it was refused or deleted")
    code: str | None = Field(description="code to search for, if there is no document")
    reason: str | None


class ProgressView(BaseModel):
    """How many pages are read."""

    pages_done: int = Field(ge=1, description="pages that were read or failed")
    pages: int = Field(ge=1, description="pages in the document")


class DocumentView(BaseModel):
    """One document and its state."""

    id: str
    etag: str = Field(
        description="version of this document, in quotes; `If-Match` ignores how far it is read"
    )
    name: str = Field(description="the file name, as a label")
    title: Title = None
    parties: Parties = []
    sha256: str = Field(description="hash of the bytes as uploaded")
    size: int = Field(description="bytes")
    media_type: str = Field(description="by content")
    kind: Kind
    kind_source: KindSource = Field(
        description="`uploader`: a person or program stated the kind, at the upload or later; "
        "`type`: smallprint detects it from the type of the file and from its text"
    )
    kind_confidence: float | None = Field(
        description="probability of the detected kind, 0 to 1; null before the document is read, "
        "and if the kind was stated or follows from the type of the file"
    )
    kind_unsure: bool = Field(description="whether a person is asked to confirm the kind")
    adapters: list[str] = Field(
        description="specialists to read it and its parts if they are contracts; "
        "empty: the default one"
    )
    state: State
    outcome: Outcome | None = Field(description="null until the state is `ended`")
    reasons: list[str] = Field(description="`code: sentence`, why it is not complete")
    pages: int | None = Field(description="pages in the document; null until it is read")
    progress: ProgressView | None = Field(
        description="while a PDF or image is read for more than a second; its first "
        "pages are at `/pages` already; otherwise null"
    )
    failed_pages: list[FailedPageView]
    warnings: list[str]
    tags: list[str] = []
    assignee: str | None = Field(None, description="who takes care of it")
    parent: str | None = Field(
        description="the first mail or archive that contains it; null if there is none"
    )
    parents: list[ParentView] = Field(description="every mail and archive that contains it")
    parts: list[PartView] = Field(
        description="its parts, refused ones last; empty until it is read"
    )
    attempt: int = Field(ge=1, description="counts attempts at the same document")
    actor: str = Field(description="who uploaded it")
    created: datetime
    updated: datetime
    ended: datetime | None

    @classmethod
    def of(cls, document: Document, family: Family) -> DocumentView:
        progress, read = document.progress, document.progress.reading
        parents = [ParentView(id=one.id, name=one.name) for one in family.parents if one.id]
        shown = cls(
            id=document.id,
            etag="",
            name=document.name,
            title=document.title.title if document.title else None,
            parties=list(document.title.parties) if document.title else [],
            sha256=document.original.sha256,
            size=document.original.size,
            media_type=document.media_type,
            kind=progress.kind,
            kind_source=document.kind_source,
            kind_confidence=document.kind_confidence,
            kind_unsure=document.needs_kind_review,
            adapters=list(document.adapters),
            state=progress.state,
            outcome=progress.outcome,
            reasons=list(progress.reasons),
            pages=progress.pages,
            progress=ProgressView(pages_done=read.done, pages=read.total) if read else None,
            failed_pages=[
                FailedPageView(page=p.number, code=p.code, reason=p.reason)
                for p in progress.failed_pages
            ],
            warnings=list(dict.fromkeys((*document.warnings, *progress.result_warnings))),
            tags=list(document.tags),
            assignee=document.assignee,
            parent=parents[0].id if parents else None,
            parents=parents,
            parts=_parts(document, family),
            attempt=progress.attempt,
            actor=document.actor,
            created=document.created,
            updated=document.updated,
            ended=document.ended,
        )
        state = shown.model_dump_json(exclude=_OF_READING).encode()
        etag = etag_of(shown.model_dump_json().encode(), state)
        return shown.model_copy(update={"etag": etag})


_OF_READING = {"progress", "updated"}
"""Fields that change while pages are read; they don't invalidate `If-Match`."""


def _parts(document: Document, family: Family) -> list[PartView]:
    accepted = [
        PartView(
            name=part.name,
            id=part.id,
            code=None if part.id else "deleted",
            reason=None if part.id else "it was deleted",
        )
        for part in family.parts
    ]
    refused = [
        PartView(name=part.name, id=None, code=part.code, reason=part.reason)
        for part in document.progress.refused
    ]
    return accepted + refused


class PageView(BaseModel):
    """One read page: its offsets in the text, and how it was read."""

    page: int = Field(ge=1)
    name: str = Field(description="of a sheet; otherwise empty")
    start: int = Field(description="offset of its first character")
    end: int
    width: float = Field(description="points as displayed; 0 for pages without a size")
    height: float
    method: str = Field(
        description="`pypdfium2` or `pypdf` for the text of a PDF, `tesseract` for an"
        " image; otherwise the reader of the type"
    )
    confidence: float | None = Field(
        description="probability that recognised text is right; null for text from the file itself"
    )


class PageLedger(BaseModel):
    """Every read page, in order."""

    items: list[PageView]
    complete: bool = Field(
        description="false while the document is read: the pages so far, with offsets"
        " in their texts, separated by a blank line"
    )
    next: None = Field(description="always null")

    @classmethod
    def of(cls, reading: ParsedDocument) -> PageLedger:
        items = [PageView.model_validate({**vars(p), "page": p.number}) for p in reading.pages]
        return cls(items=items, complete=True, next=None)

    @classmethod
    def of_read_pages(cls, pages: Sequence[PageRead]) -> PageLedger:
        items, start = [], 0
        for page in pages:
            end = start + len(page.text)
            place = {"page": page.number, "name": "", "start": start, "end": end}
            items.append(PageView.model_validate({**vars(page), **place}))
            start = end + len("\n\n")
        return cls(items=items, complete=False, next=None)


class WordView(BaseModel):
    """A word on a page. A word that continues on the next line is in two parts."""

    model_config = ConfigDict(from_attributes=True)

    start: int = Field(description="offset in the text of the document")
    end: int
    x0: float = Field(description="points from the top left of the page")
    y0: float
    x1: float
    y1: float


class PageWords(BaseModel):
    """The words of one page, in the order of the text."""

    page: int = Field(ge=1)
    words: list[WordView] = Field(description="empty for a page without positions, such as a sheet")


class WordsView(BaseModel):
    """The words of ten pages. Pages that could not be read are left out."""

    items: list[PageWords]
    next: int | None = Field(description="for `?page=`; null at the end")


class DocumentPage(BaseModel):
    """Documents, newest first."""

    items: list[DocumentView]
    next: str | None = Field(description="for `?cursor=`; null at the end")


class KindRequest(BaseModel):
    """The kind of a document."""

    kind: Kind


Tag = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    Field(pattern=r"^[^\x00-\x1f\x7f]{1,40}$", max_length=40),
]


class TagsRequest(BaseModel):
    """The tags of a document. Repeated ones count once."""

    model_config = ConfigDict(extra="forbid")

    tags: list[Tag] = Field(max_length=20)


class AssigneeRequest(BaseModel):
    """The person who takes care of a document."""

    model_config = ConfigDict(extra="forbid")

    assignee: str | None = Field(pattern=NAME, description="name of a user or key; null: nobody")


class RefusedView(BaseModel):
    """A refused file of an upload with several."""

    name: str
    error: Problem


class UploadView(BaseModel):
    """The result of each file, in the order of the upload."""

    items: list[DocumentView | RefusedView]


PART_OF_NAME = r"^[^\x00-\x1f\x7f]{1,255}$"


Addresses = Annotated[list[Annotated[str, Field(max_length=50)]], Field(max_length=100)]


class NewKeyRequest(BaseModel):
    """A key to create."""

    name: str = Field(pattern=NAME, description="actor of everything the key does")
    scopes: list[Scope] | None = Field(
        None, min_length=1, description="null: all scopes of the creating key"
    )
    expires: Timestamp | None = Field(None, description="when it stops working; null: never")
    addresses: Addresses = Field(
        default_factory=list,
        description="addresses and networks from which it works, such as `192.0.2.7` and "
        "`10.1.0.0/16`; empty: those of the creating key",
    )


class RotateKeyRequest(BaseModel):
    """How to replace the secret of a key."""

    model_config = ConfigDict(extra="forbid")

    overlap: Integer = Field(
        86_400,
        ge=0,
        le=2_592_000,
        description="seconds for which the old secret works, too; 0: not at all",
    )
    expires: Timestamp | None = Field(None, description="a new end of the key; null: as it was")
    addresses: Addresses | None = Field(
        None,
        description="new addresses and networks from which the key works, also with its old "
        "secret; empty: those of the acting key; null: as they were",
    )


class KeyView(BaseModel):
    """A key without its secret."""

    id: str
    name: str
    tenant: str
    kind: Literal["key", "session", "link"]
    parent: str | None = Field(description="of a session: its key")
    created: datetime
    created_by: str | None
    expires: datetime | None
    revoked: datetime | None
    last_used: datetime | None = Field(description="to within five minutes")
    scopes: list[Scope] = Field(description="what it may do")
    addresses: list[str] = Field(
        [], description="addresses and networks from which it works; empty: from anywhere"
    )
    old_secret_until: datetime | None = Field(
        None, description="of a rotated key: when its old secret stops working"
    )

    @classmethod
    def of(cls, key: Key) -> KeyView:
        return cls.model_validate({**vars(key), "scopes": sort_scopes(key.scopes)})


class NewKeyView(KeyView):
    """A new key with its secret."""

    secret: str = Field(description="the key itself, shown only once")

    @classmethod
    def made(cls, new: NewKey) -> NewKeyView:
        return cls(**KeyView.of(new.key).model_dump(), secret=new.secret)


class KeyPage(BaseModel):
    """The keys of the tenant, oldest first."""

    items: list[KeyView]
    next: None = Field(None, description="always null")


class SessionView(BaseModel):
    """A new session, or a link that opens one."""

    id: str
    secret: str = Field(description="for the browser's cookie, or the end of the link")
    expires: datetime

    @classmethod
    def of(cls, new: NewKey) -> SessionView:
        assert new.key.expires is not None
        return cls(id=new.key.id, secret=new.secret, expires=new.key.expires)


class OpenSession(BaseModel):
    """An open session of a browser, without its secret."""

    id: str
    key: str = Field(validation_alias="parent", description="id of its key")
    name: str = Field(description="name of its key")
    created: datetime
    expires: datetime
    last_used: datetime | None = Field(description="to within five minutes")
    address: str | None = Field(description="from where it was opened")
    user_agent: str | None = Field(description="the browser that opened it, as it names itself")
    current: bool = Field(False, description="whether it is the session of this request")

    @classmethod
    def of(cls, key: Key, current: str | None) -> OpenSession:
        return cls.model_validate({**vars(key), "current": key.id == current})


class SessionPage(BaseModel):
    """Open sessions, oldest first."""

    items: list[OpenSession]
    next: None = Field(None, description="always null")
