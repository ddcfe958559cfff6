"""The routes of review: the queue, decisions, exports and the browser's session."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from services.review import exports, store
from services.review.categories import CATEGORIES
from services.review.desk import Desk
from services.review.domain import About, Box, Id, ItemKind, Name, State, Tab, Wish
from services.review.session import SessionKeys, clear_cookie, same_origin, set_cookie
from services.review.views import Reader
from shared.errors import NotSignedIn
from shared.events import Route, Stage, Verdict
from shared.web.auth import COOKIE, CurrentActor, bearer, csrf_token
from shared.web.openapi import problems
from shared.web.scopes import Scope, ordered
from shared.web.values import Moment, Whole

Limit = Annotated[int, Query(ge=1, le=500, description="items at the most")]
Cursor = Annotated[str | None, Query(max_length=400, description="`next` of the page before")]


Kind = Annotated[
    Literal["clause", "finding"],
    BeforeValidator(lambda kind: "finding" if kind in ("signal", "flag") else kind),
    Field(
        description="`finding` also of signals (`category` is a ratio) and of sentences (a family "
        "of narrative flags); exports, and what is asked for with `kind`, tell them apart"
    ),
]
"""Of a result, in the two words that clients know."""


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class LeaseOut(_Answer):
    """Who holds an item."""

    holder: str
    until: datetime
    number: int = Field(description="counts the claims; name it to release only this one")


class ItemOut(_Answer):
    """One result that waits for a person, or did."""

    id: str
    kind: Kind
    about: About = Field(
        description="what a person is asked about; of `signal`, `flag` and `question` "
        "`kind` is `finding`"
    )
    state: State
    document_id: str
    document: str = Field(description="its name")
    stage: Stage
    result_id: str
    category: str = Field(
        description="category of a clause, check of a finding, name of a signal's ratio, "
        "family of a sentence"
    )
    text: str
    start: int | None = Field(description="offset in code points")
    end: int | None = Field(description="offset in code points, exclusive")
    page: int | None
    confidence: float = Field(
        description="of an item that was drawn as a check it is made of that of another in the "
        "queue, until it is decided; so are `chance` and `urgency`"
    )
    boxes: list[Box]
    before: str = Field(description="the document's text just before")
    after: str = Field(description="the document's text just after")
    finding: dict[str, Any] | None
    proposal: dict[str, Any] | None = Field(
        None,
        description="what a frontier model says of it: subject, verdict, quotes, why, provider,"
        " model, stand_in, own_words where the item is made of its quote; of a finding cell,"
        " expected, arithmetic, total and tolerance; or the reason why there is no answer",
    )
    urgency: float = Field(
        description="what it is expected to cost if nobody looks: the chance that a person changes"
        " it, times the weight of its category; the highest is first in the queue"
    )
    chance: float | None = Field(
        description="how likely a person changes it, as was learned; null where nothing was"
        " learned of such items, and it is what confidence leaves"
    )
    ordered_by: str = Field(
        description="what tells the chance: name and version of a model, or `confidence`"
    )
    route: Route = Field(
        "review",
        description="`accept`: sure enough for the stated risk, so that it waits for nobody; "
        "`escalate`: a frontier model is, or was, asked before a person",
    )
    created: datetime
    lease: LeaseOut | None
    verdict: Verdict | None
    decision_id: str | None
    decided_by: str | None
    decided: datetime | None
    correction: dict[str, Any] | None = Field(
        description="category, text, start, end and page as corrected, where the verdict is so"
    )


class ItemPage(_Answer):
    """A page of the queue, most urgent first."""

    items: list[ItemOut]
    next: str | None


class GroupOut(_Answer):
    """A part of the queue."""

    key: str
    label: str
    count: int


class CountsOut(_Answer):
    """What waits, and what was decided."""

    waiting: int
    claimed: int
    decided: int
    decided_since: int
    mine_since: int
    kinds: list[GroupOut]
    categories: list[GroupOut]
    documents: list[GroupOut]


class CategoryOut(_Answer):
    """A category that a clause can be corrected to."""

    name: str
    asks: str


class PageOut(_Answer):
    """A page that was read; sizes in points, offsets into the document's text."""

    number: int
    start: int
    end: int
    width: float
    height: float


class PagesOut(_Answer):
    """What a page needs to lay a document out before its images have come."""

    id: str
    name: str
    kind: str
    media_type: str
    page_count: int
    pages: list[PageOut]


class ClaimIn(BaseModel):
    """Which item is wanted: this one, or the most urgent that fits."""

    model_config = ConfigDict(extra="forbid")

    item: Id | None = None
    kind: ItemKind | None = None
    document: Id | None = None
    category: Name | None = None
    skip: list[Id] = Field(default_factory=list, max_length=500, description="not these ids")
    tab: Tab | None = Field(None, description="which tab claims; it gives back all that it holds")


class ReleaseIn(BaseModel):
    """Which claim is given back."""

    model_config = ConfigDict(extra="forbid")

    number: Whole | None = Field(None, description="`lease.number`; left out: whichever is yours")


class LeaveIn(BaseModel):
    """Which tab leaves the queue."""

    model_config = ConfigDict(extra="forbid")

    tab: Tab


class LeftOut(BaseModel):
    """What a tab that left gave back."""

    released: int = Field(description="items that went back to the queue")


class DecisionOut(_Answer):
    """One line of the audit."""

    id: str
    item_id: Id
    document_id: str
    document_name: str
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


class ErrorRateOut(_Answer):
    """Of clauses that could be accepted a share is drawn, and people decide about it."""

    adapter: str = Field(description="the specialist that found them")
    category: str | None = Field(description="null: all of its categories")
    kind: str | None = Field(None, description="of its documents; null: of all kinds")
    source: str | None = Field(
        None, description="media type that its documents were read from; null: all"
    )
    looked_at: int
    wrong: int = Field(description="rejected, or corrected to another category or other words")
    rate: float = Field(description="wrong of looked_at")
    interval: tuple[float, float] = Field(
        description="where the rate of all lies, with 95% confidence (Clopper, Pearson)"
    )


class ErrorRatesOut(_Answer):
    """One line a specialist, and one for each of its categories, of the kinds of its documents, and
    of what they were read from.
    """

    items: list[ErrorRateOut]
    next: str | None = None


class DecidedOut(_Answer):
    """The decision, and the item after it."""

    decision: DecisionOut
    item: ItemOut


class DecisionPage(_Answer):
    """A page of the audit, the newest first."""

    items: list[DecisionOut]
    next: str | None


class SignIn(BaseModel):
    """An API key."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=400)


class ActorOut(_Answer):
    """Who is signed in."""

    name: str
    tenant: str
    scopes: list[Scope] = Field(default_factory=list, description="what the key may do")

    @field_validator("scopes", mode="before")
    @classmethod
    def _in_order(cls, scopes: Iterable[str]) -> list[str]:
        return ordered(scopes)


class SessionOut(BaseModel):
    """Who is signed in, and the token that goes into `X-CSRF-Token` with every change."""

    actor: ActorOut | None
    csrf: str | None
    expires: datetime | None = None


def filters(
    kind: ItemKind | None = None,
    document: Id | None = None,
    category: Name | None = None,
    state: store.Sought = "open",
) -> store.Filters:
    """FastAPI dependency: which items are meant."""
    return store.Filters(kind, document, category, state)


def export_filters(
    kind: ItemKind | None = None,
    document: Id | None = None,
    category: Name | None = None,
    state: store.Sought = "decided",
) -> store.Filters:
    """FastAPI dependency: which items are exported; the decided ones by default."""
    return store.Filters(kind, document, category, state)


def queue(desk: Desk, reader: Reader) -> APIRouter:
    """`/v1/items`: what waits, and who works on it."""
    router = APIRouter(prefix="/v1/items", tags=["queue"])

    @router.get("", summary="The queue, most urgent first", responses=problems())
    def list_items(
        actor: CurrentActor,
        chosen: store.Filters = Depends(filters),
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> ItemPage:
        return ItemPage.model_validate(reader.items(actor, chosen, limit=limit, cursor=cursor))

    @router.get("/counts", summary="How much waits, and was decided", responses=problems())
    def count_items(
        actor: CurrentActor,
        since: Annotated[
            Moment | None, Query(description="RFC 3339; left out: midnight UTC")
        ] = None,
        kind: ItemKind | None = None,
    ) -> CountsOut:
        return CountsOut.model_validate(reader.counts(actor, since, kind))

    @router.get("/categories", summary="What a clause can be corrected to", responses=problems())
    def list_categories(_actor: CurrentActor) -> list[CategoryOut]:
        return [CategoryOut(name=name, asks=asks) for name, asks in CATEGORIES.items()]

    @router.get("/pages", summary="The pages of a document with sizes", responses=problems(404))
    def list_pages(actor: CurrentActor, document: Id) -> PagesOut:
        return PagesOut.model_validate(reader.document(actor, document))

    @router.get("/{item_id}", summary="One item", responses=problems(404))
    def get_item(actor: CurrentActor, item_id: Id) -> ItemOut:
        return ItemOut.model_validate(reader.item(actor, item_id))

    @router.get(
        "/{item_id}/boxes",
        summary="Where a span of the item's document stands",
        responses=problems(404),
    )
    def boxes_of(actor: CurrentActor, item_id: Id, start: int, end: int) -> list[Box]:
        return reader.boxes(actor, item_id, start, end)

    @router.post(
        "/claim",
        summary="Hold an item for a while",
        response_model=ItemOut,
        responses={204: {"description": "nothing waits"}, **problems(404, 409)},
    )
    def claim(actor: CurrentActor, wanted: ClaimIn) -> ItemOut | Response:
        chosen = store.Filters(wanted.kind, wanted.document, wanted.category)
        item = (
            desk.claim(actor, wanted.item, wanted.tab)
            if wanted.item
            else desk.claim_next(actor, chosen, wanted.skip, wanted.tab)
        )
        return ItemOut.model_validate(reader.view(item)) if item else Response(status_code=204)

    @router.post("/release", summary="Leave: give back all that a tab holds", responses=problems())
    def leave(actor: CurrentActor, left: LeaveIn) -> LeftOut:
        return LeftOut(released=desk.leave(actor, left.tab))

    @router.post("/{item_id}/keep", summary="Hold it for longer", responses=problems(404, 409))
    def keep(actor: CurrentActor, item_id: Id) -> ItemOut:
        return ItemOut.model_validate(reader.view(desk.keep(actor, item_id)))

    @router.post("/{item_id}/release", summary="Give it back", responses=problems(404))
    def release(actor: CurrentActor, item_id: Id, claim: ReleaseIn | None = None) -> ItemOut:
        item = desk.release(actor, item_id, claim.number if claim else None)
        return ItemOut.model_validate(reader.view(item))

    return router


def decisions(desk: Desk, reader: Reader) -> APIRouter:
    """`/v1/decisions` and `/v1/exports`: what people decided."""
    router = APIRouter(prefix="/v1", tags=["decisions"])

    @router.post(
        "/decisions",
        summary="Accept, reject, correct, or undo",
        status_code=201,
        responses={
            200: {"model": DecidedOut, "description": "decided before under this id"},
            **problems(404, 409),
        },
    )
    def decide(actor: CurrentActor, wish: Wish, response: Response) -> DecidedOut:
        decision, item, new = desk.decide(actor, wish)
        response.status_code = 201 if new else 200
        return DecidedOut.model_validate({"decision": decision, "item": reader.view(item)})

    @router.get("/decisions", summary="The audit, the newest first", responses=problems())
    def list_decisions(
        actor: CurrentActor,
        document: Id | None = None,
        item: Id | None = None,
        by: Annotated[Name | None, Query(description="name of an actor")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> DecisionPage:
        found = reader.decisions(
            actor, document=document, item=item, by=by, limit=limit, cursor=cursor
        )
        return DecisionPage.model_validate(found)

    @router.get(
        "/decisions/error-rates",
        summary="How often what could be accepted was wrong",
        responses=problems(),
    )
    def error_rates(
        actor: CurrentActor,
        since: Annotated[
            Moment | None, Query(description="RFC 3339; decisions from then on; left out: all")
        ] = None,
    ) -> ErrorRatesOut:
        return ErrorRatesOut.model_validate({"items": reader.error_rates(actor, since)})

    @router.get(
        "/exports",
        summary="Results with their decisions, as a file",
        response_class=StreamingResponse,
        responses={
            200: {"content": {kind: {} for kind in exports.MEDIA_TYPES.values()}},
            **problems(),
        },
    )
    def export(
        actor: CurrentActor,
        format: exports.Format = "jsonl",  # noqa: A002 (the parameter's public name)
        chosen: store.Filters = Depends(export_filters),
    ) -> StreamingResponse:
        name = f"smallprint-{datetime.now(UTC):%Y-%m-%d}.{format}"
        return StreamingResponse(
            exports.write(reader.results(actor, chosen), format),
            media_type=exports.MEDIA_TYPES[format],
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )

    return router


def sessions(keys: SessionKeys, *, secure: bool) -> APIRouter:
    """`/v1/session`: signing a browser in and out.

    Args:
        keys: mints and ends sessions.
        secure: whether the cookie is for HTTPS alone, however a request came in.
    """
    router = APIRouter(prefix="/v1/session", tags=["session"])

    def safe(request: Request) -> bool:
        return secure or request.url.scheme == "https"

    @router.post(
        "",
        summary="Sign in with a key",
        dependencies=[Depends(same_origin)],
        openapi_extra={"security": []},
        responses=problems(503),
    )
    def sign_in(request: Request, given: SignIn, response: Response) -> SessionOut:
        session = keys.open_session(given.key.strip())
        set_cookie(response, session, datetime.now(UTC), secure=safe(request))
        actor = request.app.state.keys.check(session.secret)
        if actor is None:
            raise NotSignedIn("the session ended as soon as it began: is the key still good?")
        return SessionOut(
            actor=ActorOut.model_validate(actor),
            csrf=csrf_token(session.secret),
            expires=session.expires,
        )

    @router.get(
        "",
        summary="Who is signed in, if anybody",
        responses=problems(503),
        openapi_extra={"security": [{}, {"key": []}, {"session": []}]},
    )
    def who(request: Request) -> SessionOut:
        secret = bearer(request) or request.cookies.get(COOKIE)
        actor = request.app.state.keys.check(secret) if secret else None
        if actor is None or secret is None:
            return SessionOut(actor=None, csrf=None)
        return SessionOut(actor=ActorOut.model_validate(actor), csrf=csrf_token(secret))

    @router.delete("", summary="Sign out", status_code=204, responses=problems(503))
    def sign_out(request: Request, _actor: CurrentActor) -> Response:
        response = Response(status_code=204)
        if secret := request.cookies.get(COOKIE):
            keys.close_session(secret)
        clear_cookie(response, secure=safe(request))
        return response

    return router
