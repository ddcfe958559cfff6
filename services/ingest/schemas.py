"""What ingest answers, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from services.ingest.domain import Document, Family, Key, KindSource, Outcome, SoFar, State
from services.ingest.keys import NewKey
from shared.documents import EarlyPage, Reading
from shared.events import Kind
from shared.web.conditional import etag_of
from shared.web.openapi import Problem, problems
from shared.web.scopes import Scope, ordered

FULL: dict[int | str, dict[str, Any]] = {
    429: {
        **problems()[429],
        "description": "The key has asked too often (`too_many_requests`), or as many documents "
        "are in work as may be (`queue_full`): `Retry-After` says in how many seconds to ask again",
    }
}
"""For `responses=` of a route that takes something in."""


class ReprocessRequest(BaseModel):
    """What is to be different in another attempt."""

    model_config = ConfigDict(extra="forbid")

    password: SecretStr | None = Field(
        None, max_length=1000, description="opens an encrypted PDF; it is kept nowhere"
    )
    adapters: list[Annotated[str, Field(max_length=64)]] = Field(
        default=[],
        max_length=20,
        description="the specialists that are to read it now; none: those that were to before",
    )


class FailedPageView(BaseModel):
    """A page that could not be read."""

    page: int = Field(ge=1)
    code: str = Field(description="what to search for")
    reason: str


class ParentView(BaseModel):
    """A mail or archive that a document lies in."""

    id: str
    name: str = Field(description="its file name")


class PartView(BaseModel):
    """Something that lies in a mail or archive: a document of its own, or why it is none."""

    name: str = Field(description="its label in there, with its folders")
    id: str | None = Field(description="of the document; null if it was refused, or is deleted")
    code: str | None = Field(description="what to search for, where there is no document")
    reason: str | None


class ProgressView(BaseModel):
    """How far a document is read."""

    pages_done: int = Field(ge=1, description="pages that are read, or can't be")
    pages: int = Field(ge=1, description="pages in the document")


class DocumentView(BaseModel):
    """One document and where it stands."""

    id: str
    etag: str = Field(
        description="names all of this as it is now, in quotes; for `If-Match` how far it is read "
        "makes no difference"
    )
    name: str = Field(description="the file name, as a label")
    sha256: str = Field(description="hash of the bytes as uploaded")
    size: int = Field(description="bytes")
    media_type: str = Field(description="by content")
    kind: Kind
    kind_source: KindSource = Field(
        description="who said the kind: somebody (`uploader`), or nobody: then its type and text"
    )
    kind_confidence: float | None = Field(
        description="how sure ingest is of the kind by the text, 0 to 1; null where somebody said "
        "it, or the type alone tells"
    )
    kind_unsure: bool = Field(description="whether a person is asked for the kind")
    adapters: list[str] = Field(
        description="the specialists that are to read it, and what lies in it, if it is a "
        "contract; none: the one that is set up"
    )
    state: State
    outcome: Outcome | None = Field(description="null until the state is `ended`")
    reasons: list[str] = Field(description="`code: sentence`, why it is not simply complete")
    pages: int | None = Field(description="pages in the document; null until it is read")
    progress: ProgressView | None = Field(
        description="of a PDF or picture that is read right now and takes more than a second: its "
        "first pages are at `/pages` and `/pages/{number}.txt` already; else null"
    )
    failed_pages: list[FailedPageView]
    warnings: list[str]
    parent: str | None = Field(
        description="the mail or archive that it first came in; null if it came by itself alone"
    )
    parents: list[ParentView] = Field(description="every mail and archive that it lies in")
    parts: list[PartView] = Field(
        description="what lies in it, those that were refused at the end; empty until it is read"
    )
    attempt: int = Field(ge=1, description="counts new attempts at the same document")
    actor: str = Field(description="who uploaded it")
    created: datetime
    updated: datetime
    ended: datetime | None

    @classmethod
    def of(cls, document: Document, family: Family) -> DocumentView:
        """What is shown of a document."""
        progress = document.progress
        parents = [ParentView(id=one.id, name=one.name) for one in family.parents if one.id]
        shown = cls(
            id=document.id,
            etag="",
            name=document.name,
            sha256=document.original.sha256,
            size=document.original.size,
            media_type=document.media_type,
            kind=progress.kind,
            kind_source=document.kind_source,
            kind_confidence=document.kind_confidence,
            kind_unsure=document.asks_kind,
            adapters=list(document.adapters),
            state=progress.state,
            outcome=progress.outcome,
            reasons=list(progress.reasons),
            pages=progress.pages,
            progress=_progress(progress.reading),
            failed_pages=[
                FailedPageView(page=p.number, code=p.code, reason=p.reason)
                for p in progress.failed_pages
            ],
            warnings=list(dict.fromkeys((*document.warnings, *progress.doubts))),
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
"""What changes with each page that is read, and is no reason to refuse a change."""


def _progress(so_far: SoFar | None) -> ProgressView | None:
    return ProgressView(pages_done=so_far.done, pages=so_far.of) if so_far else None


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
    """One page that was read: where it stands in the text, and how it was read."""

    page: int = Field(ge=1)
    name: str = Field(description="of a sheet; empty for others")
    start: int = Field(description="offset of its first character")
    end: int
    width: float = Field(description="points, as displayed; 0 for pages without a size")
    height: float
    method: str = Field(
        description="what read it: `pypdfium2` or `pypdf` the text of a PDF, `tesseract` a picture "
        "of the page; for other types the type's own reader"
    )
    confidence: float | None = Field(
        description="0 to 1, how sure a text is that was recognised in a picture; null for text "
        "that the file holds itself"
    )


class PageLedger(BaseModel):
    """Every page that was read, in order."""

    items: list[PageView]
    whole: bool = Field(
        description="false while the document is read: these are the pages so far, and their "
        "offsets count in their texts with a blank line between two; in the whole text they stand "
        "elsewhere"
    )
    next: None = Field(description="always null: it is one list")

    @classmethod
    def of(cls, reading: Reading) -> PageLedger:
        """The pages of a reading."""
        items = [
            PageView(
                page=page.number,
                name=page.name,
                start=page.start,
                end=page.end,
                width=page.width,
                height=page.height,
                method=page.method,
                confidence=page.confidence,
            )
            for page in reading.pages
        ]
        return cls(items=items, whole=True, next=None)

    @classmethod
    def so_far(cls, pages: Sequence[EarlyPage]) -> PageLedger:
        """The first pages of a document that is being read."""
        items, start = [], 0
        for page in pages:
            end = start + len(page.text)
            shown = {name: getattr(page, name) for name in _OF_A_PAGE}
            items.append(PageView(page=page.number, name="", start=start, end=end, **shown))
            start = end + len("\n\n")
        return cls(items=items, whole=False, next=None)


_OF_A_PAGE = ("width", "height", "method", "confidence")


class DocumentPage(BaseModel):
    """Documents, newest first."""

    items: list[DocumentView]
    next: str | None = Field(description="goes on with `?cursor=`; null at the end")


class KindRequest(BaseModel):
    """What somebody says that a document is."""

    kind: Kind


class RefusedView(BaseModel):
    """A file of an upload of several that was not accepted."""

    name: str
    error: Problem


class UploadView(BaseModel):
    """What became of each file, in the order of the upload."""

    items: list[DocumentView | RefusedView]


NAME = r"^[^\x00-\x1f\x7f]{1,100}$"


class NewKeyRequest(BaseModel):
    """A key to be made."""

    name: str = Field(pattern=NAME, description="who will use it: the actor of what it does")
    scopes: list[Scope] | None = Field(
        None, min_length=1, description="what it may do; null: all that the key that asks may"
    )


class KeyView(BaseModel):
    """A key, never its secret."""

    id: str
    name: str
    tenant: str
    kind: Literal["key", "session"]
    parent: str | None = Field(description="of a session: the key that it acts for")
    created: datetime
    created_by: str | None
    expires: datetime | None
    revoked: datetime | None
    last_used: datetime | None = Field(description="to within five minutes")
    scopes: list[Scope] = Field(description="what it may do")

    @classmethod
    def of(cls, key: Key) -> KeyView:
        """What is shown of a key."""
        return cls.model_validate({**vars(key), "scopes": ordered(key.scopes)})


class NewKeyView(KeyView):
    """A key just made."""

    secret: str = Field(description="the key itself; it can't be shown again")

    @classmethod
    def made(cls, new: NewKey) -> NewKeyView:
        """Shown once."""
        return cls(**KeyView.of(new.key).model_dump(), secret=new.secret)


class KeyPage(BaseModel):
    """The keys of the tenant, oldest first."""

    items: list[KeyView]
    next: None = Field(None, description="always null: the list is whole")


class SessionView(BaseModel):
    """A session just opened."""

    id: str
    secret: str = Field(description="goes into the browser's cookie")
    expires: datetime
