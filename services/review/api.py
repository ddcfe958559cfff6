"""The routes of review: the queue, decisions, exports and the browser's session."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from services.review import exports, store
from services.review.commands import ReviewCommands
from services.review.domain import (
    About,
    AdditionRequest,
    Box,
    CommentText,
    Decision,
    DecisionRequest,
    Id,
    Item,
    ItemKind,
    Name,
    Span,
    State,
    Tab,
)
from services.review.queries import Reader
from services.review.session import SessionKeys
from shared.categories import CATEGORIES, SUBJECTS, title_of
from shared.errors import NotAllowed, NotSignedIn
from shared.events import Origin, Route, Stage, Verdict
from shared.web.auth import (
    Actor,
    CurrentActor,
    authenticate,
    bearer,
    client_address,
    count_refusal,
    csrf_token,
    is_https,
    limited_actor,
    session_cookie,
)
from shared.web.cookies import clear_cookie, same_origin, set_cookie
from shared.web.openapi import problems
from shared.web.parameters import Categories, Integer, Parties, Timestamp, Title
from shared.web.scopes import Scope, sort_scopes

Limit = Annotated[int, Query(ge=1, le=500, description="most items in a page")]
Cursor = Annotated[str | None, Query(max_length=400, description="`next` of the previous page")]
Assignee = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Wanted = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
_ASSIGNEE = "who reviews them: a name, `me` or `nobody`"
_WORDS = "words; all are in the text, the clause type, or the name or title of the document"


_SHOWN_AS = {"signal": "finding", "flag": "finding", "absence": "clause"}
Kind = Annotated[
    Literal["clause", "finding"],
    BeforeValidator(lambda kind: _SHOWN_AS.get(kind, kind)),
    Field(description="`finding` includes signals and flagged sentences; `about` tells them apart"),
]
"""The kind of a result for clients."""


_ORIGIN = (
    "`person`: a person added the clause, or confirmed that the category is absent; `confidence` "
    "has no meaning then"
)
_ABSENT = "a person confirmed that the document has no clause of this category; it has no text"


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class LeaseOut(_Answer):
    """The claim of an item."""

    holder: str
    until: datetime
    number: int = Field(description="number of the claim, to release only this one")


class ItemOut(_Answer):
    """A review item."""

    id: str
    kind: Kind
    about: About = Field(
        description="subject of the item; for `signal`, `flag` and `question` `kind` is `finding`"
    )
    state: State
    document_id: str
    document: str = Field(description="name of the document")
    title: Title = None
    parties: Parties = []
    stage: Stage
    result_id: str
    category: str = Field(
        description="category of a clause, check of a finding, ratio of a signal, family of a "
        "sentence"
    )
    text: str
    start: int | None = Field(description="offset in code points")
    end: int | None = Field(description="offset in code points, exclusive")
    page: int | None
    confidence: float = Field(
        description="for an audit sample it is derived from another item, like `chance` and "
        "`urgency`; once it is decided, `results:read` shows its own"
    )
    omitted: list[Span] = Field(
        [],
        description="parts of a clause's `text` that are not its words: page numbers, running "
        "heads and legends, if it runs over a page",
    )
    boxes: list[Box]
    value: dict[str, Any] | None = Field(
        None, description="the value of a clause, as extraction reads it; null for types without"
    )
    before: str = Field(description="text before the result")
    after: str = Field(description="text after the result")
    finding: dict[str, Any] | None
    proposal: dict[str, Any] | None = Field(
        None,
        description="answer of a frontier model: subject, verdict, quotes, why, provider, model, "
        "stand_in, own_words (the item is its quote); for a finding also cell, expected, "
        "arithmetic, total and tolerance; without an answer the reason",
    )
    urgency: float = Field(
        description="probability of a change times the weight of the category; the queue sorts by "
        "it, highest first"
    )
    chance: float | None = Field(
        description="learned probability that a reviewer changes it; null: 1 - confidence is used"
    )
    ordered_by: str = Field(
        description="source of the order: name and version of a model, or `confidence`"
    )
    route: Route = Field(
        "review",
        description="`accept`: accepted automatically within the stated risk; `escalate`: a "
        "frontier model is asked first",
    )
    created: datetime
    lease: LeaseOut | None
    verdict: Verdict | None
    decision_id: str | None
    decided_by: str | None
    decided: datetime | None
    correction: dict[str, Any] | None = Field(
        description="with the verdict `correct`: category, text, start, end and page; also value "
        "and currency, if a person stated the value"
    )
    assignee: str | None = Field(None, description="who reviews it")
    origin: Origin = Field("model", description=_ORIGIN)
    absent: bool = Field(False, description=_ABSENT)


class CommentIn(BaseModel):
    """A comment on an item."""

    model_config = ConfigDict(extra="forbid")

    text: CommentText


class CommentOut(_Answer):
    """A comment of a reviewer."""

    id: str
    author: str
    time: datetime
    text: str


class CommentedItemOut(ItemOut):
    """A review item with its comments."""

    comments: list[CommentOut] = Field(description="newest last; no report or export has them")


class ItemPage(_Answer):
    """A page of the queue, most urgent first."""

    items: list[ItemOut]
    next: str | None


class GroupOut(_Answer):
    """The number of open items with a key."""

    key: str
    label: str
    count: int


class CountsOut(_Answer):
    """The counts of the queue."""

    waiting: int
    claimed: int
    decided: int
    decided_since: int
    mine_since: int
    bulk_accept: bool = Field(description="whether decisions may have `bulk`")
    kinds: list[GroupOut]
    categories: list[GroupOut]
    documents: list[GroupOut]


class ProgressOut(_Answer):
    """How much of a document is decided."""

    document_id: str
    decided: int
    total: int = Field(description="without results that were accepted automatically")


class ProgressPage(_Answer):
    """The documents that have items."""

    items: list[ProgressOut]
    next: str | None = None


class CategoryOut(_Answer):
    """A category of clauses."""

    name: str
    title: str = Field(description="the name for people")
    subject: str = Field(description="what it is about, such as `Money`")
    asks: str


class PageOut(_Answer):
    """A page with its size in points and its offsets in the text."""

    number: int
    start: int
    end: int
    width: float
    height: float


class PagesOut(_Answer):
    """The pages of a document."""

    id: str
    name: str
    kind: str
    media_type: str
    page_count: int
    pages: list[PageOut]


class ClaimIn(BaseModel):
    """Claim one item, or the most urgent one that matches."""

    model_config = ConfigDict(extra="forbid")

    item: Id | None = None
    kind: ItemKind | None = None
    document: Id | None = None
    category: Name | None = None
    assignee: Assignee | None = Field(None, description=_ASSIGNEE)
    q: Wanted | None = Field(None, description=_WORDS)
    skip: list[Id] = Field(default_factory=list, max_length=500, description="ids to skip")
    tab: Tab | None = Field(None, description="the claiming tab; leaving releases all its items")


class AssignIn(BaseModel):
    """Items, and who reviews them."""

    model_config = ConfigDict(extra="forbid")

    items: list[Id] = Field(min_length=1, max_length=500)
    assignee: Assignee | None = Field(description="name of a user or key; null: nobody")


class AssignedOut(_Answer):
    """How many of the items there are."""

    assigned: int


class ReleaseIn(BaseModel):
    """The claim to release."""

    model_config = ConfigDict(extra="forbid")

    number: Integer | None = Field(None, description="`lease.number`; omitted: your claim")


class LeaveIn(BaseModel):
    """The tab that leaves the queue."""

    model_config = ConfigDict(extra="forbid")

    tab: Tab


class ReleasedOut(BaseModel):
    """The released items of a tab."""

    released: int = Field(description="number of released items")


class DecisionOut(_Answer):
    """A decision."""

    id: str
    item_id: Id
    document_id: str
    document_name: str
    title: Title = None
    parties: Parties = []
    kind: Kind
    stage: Stage
    result_id: str
    category: str
    text: str
    start: int | None
    end: int | None
    page: int | None
    confidence: float
    verdict: Verdict
    correction: dict[str, Any] | None
    note: str
    actor: str
    time: datetime
    bulk: bool = Field(
        False, description="one of several that were accepted without a look at each"
    )
    origin: Origin = Field("model", description=_ORIGIN)
    absent: bool = Field(False, description=_ABSENT)


class ErrorRateOut(_Answer):
    """The error rate of acceptable results, from the hidden audit sample."""

    adapter: str = Field(description="the specialist")
    category: str | None = Field(description="null: all categories")
    kind: str | None = Field(None, description="kind of the documents; null: all")
    source: str | None = Field(None, description="media type of the documents; null: all")
    checked: int
    wrong: int = Field(description="rejected, or corrected to another category or clause")
    rate: float = Field(description="`wrong` / `checked`")
    interval: tuple[float, float] = Field(description="95% interval of the rate (Clopper, Pearson)")


class ErrorRatesOut(_Answer):
    """The rates of each specialist: total, and by category, kind and source."""

    items: list[ErrorRateOut]
    next: str | None = None


class DecidedOut(_Answer):
    """The decision, and the item after it."""

    decision: DecisionOut
    item: ItemOut


class DecisionPage(_Answer):
    """A page of decisions, newest first."""

    items: list[DecisionOut]
    next: str | None


class SignIn(BaseModel):
    """An API key."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=400)


class ActorOut(_Answer):
    """The holder of a key."""

    id: str = Field(validation_alias="key_id", description="stable id of the person or key")
    name: str
    tenant: str
    scopes: list[Scope] = Field(default_factory=list, description="scopes of the key")

    @field_validator("scopes", mode="before")
    @classmethod
    def _in_order(cls, scopes: Iterable[str]) -> list[str]:
        return sort_scopes(scopes)


class SessionOut(BaseModel):
    """The session, and the token for `X-CSRF-Token` in every change."""

    actor: ActorOut | None
    csrf: str | None
    expires: datetime | None = None


def filters(reader: Reader, default: store.StateFilter) -> Any:
    """Return a FastAPI dependency: conditions for items, by default in a state."""

    def chosen(
        actor: CurrentActor,
        kind: Annotated[ItemKind | None, Query(description="only results of this kind")] = None,
        document: Annotated[Id | None, Query(description="id of the only document")] = None,
        categories: Categories = (),
        state: Annotated[
            store.StateFilter,
            Query(
                description="`open`: waiting or claimed; `accepted`: without a person. Those need "
                "the scope `results:read`, also in `all`"
            ),
        ] = default,
        assignee: Annotated[Assignee | None, Query(description=_ASSIGNEE)] = None,
        q: Annotated[Wanted | None, Query(description=_WORDS)] = None,
    ) -> store.Filters:
        accepted = actor.may("results:read")
        if state == "accepted" and not accepted:
            raise NotAllowed("The state `accepted` needs the scope `results:read`.")
        found = reader.categories(actor, categories)
        person = _person(actor, assignee)
        return store.Filters(kind, document, found, state, accepted, person, _words(q))

    return Depends(chosen)


def _person(actor: Actor, assignee: str | None) -> str | None:
    """The person of a filter, empty for nobody."""
    return {"me": actor.name, "nobody": ""}.get(assignee or "", assignee)


def _words(q: str | None) -> tuple[str, ...]:
    return tuple((q or "").split())


def queue(commands: ReviewCommands, reader: Reader) -> APIRouter:
    """Return the router for `/v1/items`."""
    router = APIRouter(prefix="/v1/items", tags=["queue"])

    @router.get("", summary="The queue, most urgent first", responses=problems())
    def list_items(
        actor: CurrentActor,
        chosen: store.Filters = filters(reader, "open"),
        sort: Annotated[
            store.Sort, Query(description="`confidence`: lowest first; `newest`: first")
        ] = "urgency",
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> ItemPage:
        """Lists the results that wait for a person, the likeliest corrections first. Use `state`,
        `kind`, `document`, `category`, `assignee` and `q` to narrow the list.
        """
        return ItemPage.model_validate(
            reader.items(actor, chosen, limit=limit, cursor=cursor, sort=sort)
        )

    @router.put("/assignee", summary="Assign items", responses=problems())
    def assign_items(actor: CurrentActor, body: AssignIn) -> AssignedOut:
        """Sets who reviews these items, or nobody. The next item of a claim is never one that is
        assigned to somebody else.
        """
        return AssignedOut(assigned=commands.assign(actor, body.items, body.assignee))

    @router.post(
        "",
        summary="Add a clause, or confirm that a category is absent",
        status_code=201,
        responses={
            200: {"model": DecidedOut, "description": "already added with this id"},
            **problems(404, 409),
        },
    )
    def add_item(actor: CurrentActor, body: AdditionRequest, response: Response) -> DecidedOut:
        """Adds a clause that no specialist found, and accepts it. With `absent` it confirms that
        the document has no clause of the category. The verdict `undo` withdraws the item.
        """
        decision, item, new = commands.add(actor, body)
        return _decided(actor, reader, response, decision, item, new=new)

    @router.get("/counts", summary="Counts of the queue", responses=problems())
    def count_items(
        actor: CurrentActor,
        since: Annotated[
            Timestamp | None, Query(description="RFC 3339; default: midnight UTC")
        ] = None,
        chosen: store.Filters = filters(reader, "all"),
    ) -> CountsOut:
        """Counts the waiting, claimed and decided items that match, and the open ones of the kind
        by kind, category and document.
        """
        return CountsOut.model_validate(reader.counts(actor, since, chosen))

    @router.get("/progress", summary="Decided items by document", responses=problems())
    def progress_of(
        actor: CurrentActor,
        documents: Annotated[
            tuple[Id, ...],
            Query(alias="document", max_length=100, description="ids; repeat it"),
        ] = (),
    ) -> ProgressPage:
        """Counts the items of these documents, and how many of them people have decided."""
        return ProgressPage.model_validate({"items": reader.progress(actor, documents)})

    @router.get("/categories", summary="The categories of clauses", responses=problems())
    def list_categories(_actor: CurrentActor) -> list[CategoryOut]:
        """Lists the categories of clauses by subject, each with the question that it answers."""
        return [
            CategoryOut(name=name, title=title_of(name), subject=subject, asks=CATEGORIES[name])
            for subject, names in SUBJECTS.items()
            for name in names
        ]

    @router.get("/pages", summary="The pages of a document with sizes", responses=problems(404))
    def list_pages(actor: CurrentActor, document: Id) -> PagesOut:
        """Returns the size and the text offsets of each page, to draw boxes over the images of the
        pages.
        """
        return PagesOut.model_validate(reader.document(actor, document))

    @router.get("/{item_id}", summary="One item", responses=problems(404))
    def get_item(actor: CurrentActor, item_id: Id) -> CommentedItemOut:
        """Returns one result with its context, its claim, its comments and, once it is decided, its
        verdict.
        """
        return CommentedItemOut.model_validate(reader.item(actor, item_id))

    @router.post(
        "/{item_id}/comments",
        summary="Comment on an item",
        status_code=201,
        responses=problems(404),
    )
    def comment(actor: CurrentActor, item_id: Id, body: CommentIn) -> CommentOut:
        """Stores a comment for the other reviewers, on an open or a decided item."""
        return CommentOut.model_validate(commands.comment(actor, item_id, body.text))

    @router.delete(
        "/{item_id}/comments/{comment_id}",
        summary="Delete your comment",
        status_code=204,
        responses=problems(404),
    )
    def delete_comment(actor: CurrentActor, item_id: Id, comment_id: Id) -> Response:
        """Deletes a comment that you wrote."""
        commands.remove_comment(actor, item_id, comment_id)
        return Response(status_code=204)

    @router.get(
        "/{item_id}/boxes",
        summary="Boxes of a span of the document",
        responses=problems(404),
    )
    def boxes_of(actor: CurrentActor, item_id: Id, start: int, end: int) -> list[Box]:
        """Returns the boxes on the page of any part of the text, such as a corrected span."""
        return reader.boxes(actor, item_id, start, end)

    @router.post(
        "/claim",
        summary="Claim an item",
        response_model=ItemOut,
        responses={204: {"description": "no item is waiting"}, **problems(404, 409)},
    )
    def claim(actor: CurrentActor, wanted: ClaimIn) -> ItemOut | Response:
        """Reserves an item for you, so that no other reviewer works on it. Without `item` you get
        the most urgent item that matches. A claim ends after some minutes unless it is renewed.
        """
        categories = (wanted.category,) if wanted.category else ()
        chosen = store.Filters(
            wanted.kind,
            wanted.document,
            categories,
            assignee=_person(actor, wanted.assignee),
            words=_words(wanted.q),
        )
        item = (
            commands.claim(actor, wanted.item, wanted.tab)
            if wanted.item
            else commands.claim_next(actor, chosen, wanted.skip, wanted.tab)
        )
        return (
            ItemOut.model_validate(reader.view(actor, item)) if item else Response(status_code=204)
        )

    @router.post("/release", summary="Leave: release all items of a tab", responses=problems())
    def leave(actor: CurrentActor, body: LeaveIn) -> ReleasedOut:
        """Releases the items that a browser tab has claimed, when the tab is closed."""
        return ReleasedOut(released=commands.leave(actor, body.tab))

    @router.post("/{item_id}/keep", summary="Renew the claim", responses=problems(404, 409))
    def renew(actor: CurrentActor, item_id: Id) -> ItemOut:
        """Extends your claim of an item. Send this while a person works on it."""
        return ItemOut.model_validate(reader.view(actor, commands.renew(actor, item_id)))

    @router.post("/{item_id}/release", summary="Release an item", responses=problems(404))
    def release(actor: CurrentActor, item_id: Id, claim: ReleaseIn | None = None) -> ItemOut:
        """Gives an item back to the queue without a decision."""
        item = commands.release(actor, item_id, claim.number if claim else None)
        return ItemOut.model_validate(reader.view(actor, item))

    return router


def decisions(commands: ReviewCommands, reader: Reader) -> APIRouter:
    """Return the router for `/v1/decisions` and `/v1/exports`."""
    router = APIRouter(prefix="/v1", tags=["decisions"])

    @router.post(
        "/decisions",
        summary="Accept, reject, correct, or undo",
        status_code=201,
        responses={
            200: {"model": DecidedOut, "description": "already decided with this id"},
            **problems(404, 409),
        },
    )
    def decide(actor: CurrentActor, body: DecisionRequest, response: Response) -> DecidedOut:
        """Stores a verdict about an item. `correct` needs a correction, and `undo` reopens the
        item. Send your own `id` to make a retry safe.
        """
        decision, item, new = commands.decide(actor, body)
        return _decided(actor, reader, response, decision, item, new=new)

    @router.get("/decisions", summary="Decisions, newest first", responses=problems())
    def list_decisions(
        actor: CurrentActor,
        document: Id | None = None,
        item: Id | None = None,
        by: Annotated[Name | None, Query(description="name of an actor")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> DecisionPage:
        """Lists who decided what and when. Use `document`, `item` and `by` to narrow the list."""
        found = reader.decisions(
            actor, document=document, item=item, by=by, limit=limit, cursor=cursor
        )
        return DecisionPage.model_validate(found)

    @router.get(
        "/decisions/error-rates",
        summary="Error rates of acceptable results",
        responses=problems(),
    )
    def error_rates(
        actor: CurrentActor,
        since: Annotated[
            Timestamp | None, Query(description="RFC 3339; default: all decisions")
        ] = None,
        until: Annotated[Timestamp | None, Query(description="RFC 3339, exclusive")] = None,
    ) -> ErrorRatesOut:
        """Estimates how many automatically acceptable results are wrong, from a hidden sample that
        people check. Each rate has its 95% interval.
        """
        return ErrorRatesOut.model_validate({"items": reader.error_rates(actor, since, until)})

    @router.get(
        "/exports",
        summary="Results with their decisions, as a file",
        response_class=StreamingResponse,
        responses={
            200: {
                "content": {
                    kind: {"schema": {"type": "string"}, "example": exports.EXAMPLES[name]}
                    for name, kind in exports.MEDIA_TYPES.items()
                }
            },
            **problems(),
        },
    )
    def export(
        actor: CurrentActor,
        format: Annotated[  # noqa: A002 (the parameter's public name)
            exports.Format,
            Query(
                description="`jsonl`: one JSON object a line; `csv`: UTF-8 with a byte order mark; "
                "`xlsx`: a workbook for Excel"
            ),
        ] = "jsonl",
        columns: Annotated[
            exports.Columns, Query(description="`all` adds ids, offsets and corrected results")
        ] = "short",
        chosen: store.Filters = filters(reader, "all"),
    ) -> StreamingResponse:
        """Returns all results with their values and decisions as JSON lines, CSV or XLSX. Use
        `state`, `kind`, `document` and `category` to narrow the export. Rows are in the order of
        the review queue, so those of a document need not be together.
        """
        name = f"smallprint-{datetime.now(UTC):%Y-%m-%d}.{format}"
        return StreamingResponse(
            exports.write(reader.results(actor, chosen), format, columns),
            media_type=exports.MEDIA_TYPES[format],
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )

    return router


def _decided(
    actor: CurrentActor,
    reader: Reader,
    response: Response,
    decision: Decision,
    item: Item,
    *,
    new: bool,
) -> DecidedOut:
    response.status_code = 201 if new else 200
    [seen] = reader.decision_views(actor, [decision])
    return DecidedOut.model_validate({"decision": seen, "item": reader.view(actor, item)})


def sessions(keys: SessionKeys) -> APIRouter:
    """Return the router for `/v1/session`."""
    router = APIRouter(prefix="/v1/session", tags=["session"])

    @router.post(
        "",
        summary="Sign in with a key",
        dependencies=[Depends(same_origin)],
        openapi_extra={"security": []},
        responses=problems(503),
    )
    def sign_in(request: Request, body: SignIn, response: Response) -> SessionOut:
        """Exchanges a key for a session cookie, for pages in a browser. Send the returned `csrf`
        token as the header `X-CSRF-Token` with every request that changes something. A program
        needs no session: it sends its key with each request.
        """
        key, address = body.key.strip(), client_address(request)
        holder = request.app.state.keys.check(key)
        if holder is None:
            count_refusal(request)
            raise NotSignedIn
        request.app.state.limit.take(holder.key_id)
        session = keys.open_session(key, address, request.headers.get("user-agent"))
        set_cookie(response, session.secret, session.expires, secure=is_https(request))
        actor = request.app.state.keys.check(session.secret)
        if actor is None:
            raise NotSignedIn("The session ended at once. Is the key still valid?")
        return SessionOut(
            actor=ActorOut.model_validate(actor),
            csrf=csrf_token(session.secret),
            expires=session.expires,
        )

    @router.get(
        "",
        summary="The current session",
        responses=problems(503),
        openapi_extra={"security": [{}, {"key": []}, {"session": []}]},
    )
    def who(request: Request) -> SessionOut:
        """Returns the holder and the CSRF token of the current session. Without a session `actor`
        is null.
        """
        secret = bearer(request) or session_cookie(request)
        if secret is None:
            return SessionOut(actor=None, csrf=None)
        try:
            actor = limited_actor(request, authenticate(request))
        except (NotSignedIn, NotAllowed):
            return SessionOut(actor=None, csrf=None)
        return SessionOut(actor=ActorOut.model_validate(actor), csrf=csrf_token(secret))

    @router.delete("", summary="Sign out", status_code=204, responses=problems(503))
    def sign_out(request: Request, _actor: CurrentActor) -> Response:
        """Ends the session and deletes its cookie."""
        response = Response(status_code=204)
        if secret := session_cookie(request):
            keys.close_session(secret, client_address(request))
        clear_cookie(response, secure=is_https(request))
        return response

    return router
