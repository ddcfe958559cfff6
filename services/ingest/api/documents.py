"""Routes of documents and keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from services.ingest.api.contents import routes as contents
from services.ingest.commands import (
    DocumentCommands,
    assign,
    cancel,
    delete,
    reprocess,
    set_kind,
    set_tags,
)
from services.ingest.domain import Document, Outcome, State, named_adapters
from services.ingest.idempotency.api import ONCE, IdempotencyKey, to_response
from services.ingest.idempotency.commands import IdempotentRequests
from services.ingest.idempotency.store import Answer, Claim, slow_hash
from services.ingest.keys import KeyRing
from services.ingest.page_images import PageImages
from services.ingest.progress_stream import LONGEST_WAIT, ProgressStream
from services.ingest.schemas import (
    FULL,
    NAME,
    PART_OF_NAME,
    AssigneeRequest,
    DocumentPage,
    DocumentView,
    KeyPage,
    KeyView,
    KindRequest,
    NewKeyRequest,
    NewKeyView,
    OpenSession,
    ReprocessRequest,
    RotateKeyRequest,
    SessionPage,
    SessionView,
    TagsRequest,
    UploadView,
)
from services.ingest.store import Documents, Filters, Sort
from services.ingest.uploads.multipart import BODY, UploadForm, limit_header, uploads
from services.ingest.uploads.responses import answer_upload, document_answer, upload_identity
from services.ingest.views import unchanged, view, views
from shared.blobs import BlobStore
from shared.errors import NotSignedIn
from shared.events import Kind
from shared.storage import Store
from shared.titles import short_name
from shared.web.admission import ThreadBudget
from shared.web.auth import (
    Actor,
    CurrentActor,
    UncountedActor,
    bearer,
    client_address,
    session_cookie,
)
from shared.web.conditional import (
    ETAG,
    NOT_MODIFIED,
    IfMatch,
    IfNoneMatch,
    is_current,
    not_modified,
)
from shared.web.openapi import problems
from shared.web.parameters import ID, Id, Timestamp

EVENT_STREAM = "text/event-stream"
MAX_EVENT = 2**63 - 1
EventNumber = Annotated[int, Field(ge=0, le=MAX_EVENT)]
LastEvent = Annotated[
    EventNumber | SkipJsonSchema[None],
    Header(description="`id` of the last received event; later ones are sent"),
]
EVENTS: dict[str, Any] = {
    "description": "events as they occur, shown here as objects",
    "content": {
        EVENT_STREAM: {
            "schema": {
                "type": "object",
                "properties": {
                    "event": {"type": "string", "enum": ["state", "deleted"]},
                    "id": {"type": "string", "pattern": "^[0-9]+$"},
                    "data": {
                        "type": "string",
                        "description": "the document as JSON; only `id` after a deletion",
                        "contentMediaType": "application/json",
                    },
                    "retry": {"type": "integer", "description": "milliseconds"},
                },
            }
        }
    },
}

_UPLOADED: dict[str, Any] = {
    "Location": {"description": "of a single document", "schema": {"type": "string"}},
    "Upload-Limit": {
        "description": "`max-size` bytes of an upload, `max-document-size` bytes of a document,"
        " `max-documents` in an upload",
        "schema": {"type": "string"},
    },
}


@dataclass(frozen=True)
class RouteParts:
    """The parts that the routes use."""

    store: Store
    blobs: BlobStore
    commands: DocumentCommands
    images: PageImages
    keys: KeyRing
    progress: ProgressStream
    idempotent: IdempotentRequests


def routes(parts: RouteParts) -> list[APIRouter]:
    """Build all routes of documents and keys."""
    return [
        _uploads(parts),
        _documents(parts),
        contents(parts.store, parts.blobs, parts.images),
        _keys(parts),
    ]


def _uploads(parts: RouteParts) -> APIRouter:
    router = APIRouter(prefix="/v1/documents", tags=["documents"])

    @router.post(
        "",
        status_code=202,
        response_model=DocumentView | UploadView,
        summary="Upload one or more documents",
        responses={
            200: {"model": DocumentView | UploadView, "headers": _UPLOADED},
            202: {"headers": _UPLOADED},
            **problems(400, 409, 413, 415, 503),
            **FULL,
            **ONCE,
        },
        openapi_extra=BODY,
    )
    def upload(
        request: Request, actor: CurrentActor, form: UploadForm, key: IdempotencyKey = None
    ) -> Response:
        """Takes one or more files as parts named `file`. Processing goes on after the answer: wait
        for `state` to be `ended`. Identical bytes answer 200 with the existing document, or 409 if
        it has results under another `kind`.
        """
        files = uploads(form)
        answer = parts.idempotent.run(
            actor,
            key,
            "POST /v1/documents",
            partial(upload_identity, files),
            lambda _claim: answer_upload(parts.commands, actor, files),
        )
        return to_response(answer, limit_header(request.app.state.settings))

    return router


def _documents(parts: RouteParts) -> APIRouter:
    router = APIRouter(prefix="/v1/documents", tags=["documents"])

    @router.get("", summary="Documents of the tenant", responses=problems())
    def documents(
        actor: CurrentActor,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=1000)] = None,
        q: Annotated[
            str | None,
            Query(
                max_length=400,
                pattern=r"^[^\x00-\x1f\x7f]*$",
                description="words that must all be in the name, the title, the parties or the "
                "tags, in any case; parts of words count",
            ),
        ] = None,
        sort: Annotated[
            Sort,
            Query(description="with `-` descending; `state` is the outcome of an ended document"),
        ] = "-received",
        tag: Annotated[str | None, Query(pattern=NAME, description="with this tag")] = None,
        assignee: Annotated[
            str | None,
            Query(pattern=NAME, description="who takes care of it; `me` for the actor"),
        ] = None,
        name: Annotated[
            str | None,
            Query(pattern=PART_OF_NAME, description="part of the file name, in any case"),
        ] = None,
        state: State | None = None,
        kind: Kind | None = None,
        outcome: Outcome | None = None,
        parent: Annotated[
            str | None, Query(pattern=ID, description="parts of this mail or archive")
        ] = None,
        sha256: Annotated[
            str | None, Query(pattern="^[0-9a-f]{64}$", description="of the bytes as uploaded")
        ] = None,
        uploader: Annotated[
            str | None, Query(alias="actor", pattern=NAME, description="who uploaded it")
        ] = None,
        since: Annotated[
            Timestamp | None, Query(description="uploaded at or after this time, with a zone")
        ] = None,
        before: Annotated[
            Timestamp | None, Query(description="uploaded before this time, with a zone")
        ] = None,
    ) -> DocumentPage:
        """Lists documents with their state, newest first unless `sort` says otherwise. Filters
        can be combined. Repeat the request with `cursor` set to `next` for more.
        """
        filters = Filters(
            words=tuple(short_name(q or "").split()),  # titles have no legal forms either
            tag=tag,
            assignee=actor.name if assignee == "me" else assignee,
            name=name,
            state=state,
            kind=kind,
            outcome=outcome,
            parent=parent,
            sha256=sha256,
            actor=uploader,
            since=since,
            before=before,
        )
        with parts.store.read() as session:
            mine = Documents(session, actor.tenant)
            items, more = mine.page(filters, limit=limit, cursor=cursor, sort=sort)
        return DocumentPage(items=views(parts.store, actor.tenant, items), next=more)

    @router.get(
        "/events",
        summary="Changes of all documents of the tenant, as server-sent events",
        response_class=StreamingResponse,
        responses={200: EVENTS, **problems()},
    )
    def all_events(
        actor: CurrentActor,
        after: Annotated[
            EventNumber | SkipJsonSchema[None],
            Query(description="`id` of an event; 0: all; missing: from now on"),
        ] = None,
        last_event_id: LastEvent = None,
    ) -> Response:
        """Streams each change of any document. To continue after a break, send `Last-Event-ID` or
        `after`, and you miss no event.
        """
        stream = parts.progress.stream_tenant(
            actor, after if last_event_id is None else last_event_id
        )
        return StreamingResponse(stream, media_type=EVENT_STREAM)

    @router.get(
        "/{id}",
        summary="One document",
        response_model=DocumentView,
        responses={200: {"headers": ETAG}, **NOT_MODIFIED, **problems(404)},
    )
    def document(
        actor: CurrentActor,
        document_id: Id,
        wait: Annotated[
            float, Query(ge=0, le=LONGEST_WAIT, description="seconds to wait for its end")
        ] = 0.0,
        if_none_match: IfNoneMatch = None,
    ) -> Response:
        """Returns the state, the outcome and the warnings of a document. With `wait` the answer
        comes when the document has ended, or after that time.
        """
        shown = view(
            parts.store, actor.tenant, parts.progress.wait_for_end(actor, document_id, wait)
        )
        if is_current(shown.etag, if_none_match):
            return not_modified(shown.etag)
        return JSONResponse(shown.model_dump(mode="json"), headers={"etag": shown.etag})

    @router.get(
        "/{id}/events",
        summary="Changes of a document until its end, as server-sent events",
        response_class=StreamingResponse,
        responses={200: EVENTS, **problems(404)},
    )
    def events(actor: CurrentActor, document_id: Id, last_event_id: LastEvent = None) -> Response:
        """Streams each change of one document until it has ended."""
        stream = parts.progress.stream_document(actor, document_id, last_event_id)
        return StreamingResponse(stream, media_type=EVENT_STREAM)

    @router.delete(
        "/{id}",
        status_code=204,
        summary="Delete a document everywhere",
        responses=problems(404, 412),
    )
    def remove(actor: CurrentActor, document_id: Id, if_match: IfMatch = None) -> None:
        """Deletes the document, its text and all results everywhere. This cannot be undone."""
        delete(parts.store, actor, document_id, unchanged(if_match))

    @router.put(
        "/{id}/kind",
        summary="Set the kind of a document; if it was different or unsure, it is processed again",
        responses=problems(404, 409, 412),
    )
    def kind_of(
        actor: CurrentActor, document_id: Id, wanted: KindRequest, if_match: IfMatch = None
    ) -> DocumentView:
        """Says whether the document is a contract, a report or something else. smallprint then uses
        the specialists for this kind.
        """
        document = set_kind(
            parts.store, parts.blobs, actor, document_id, wanted.kind, unchanged(if_match)
        )
        return view(parts.store, actor.tenant, document)

    @router.put("/{id}/tags", summary="Set the tags of a document", responses=problems(404, 412))
    def tags_of(
        actor: CurrentActor, document_id: Id, wanted: TagsRequest, if_match: IfMatch = None
    ) -> DocumentView:
        """Replaces all tags of the document. They change nothing about how it is processed."""
        document = set_tags(parts.store, actor, document_id, wanted.tags, unchanged(if_match))
        return view(parts.store, actor.tenant, document)

    @router.put("/{id}/assignee", summary="Assign a document", responses=problems(404, 412))
    def assignee_of(
        actor: CurrentActor, document_id: Id, wanted: AssigneeRequest, if_match: IfMatch = None
    ) -> DocumentView:
        """Says who takes care of the document. Its open items in the review queue get the same
        assignee. Others can still work on it.
        """
        document = assign(parts.store, actor, document_id, wanted.assignee, unchanged(if_match))
        return view(parts.store, actor.tenant, document)

    @router.post(
        "/{id}/cancel",
        summary="Cancel a document and its parts",
        responses=problems(404, 409, 412),
    )
    def stop(actor: CurrentActor, document_id: Id, if_match: IfMatch = None) -> DocumentView:
        """Ends the processing of a document and of the parts of a mail or archive. You can
        reprocess it later.
        """
        stopped = cancel(parts.store, parts.blobs, actor, document_id, unchanged(if_match))
        return view(parts.store, actor.tenant, stopped)

    @router.post(
        "/{id}/reprocess",
        status_code=202,
        summary="Process a document again",
        response_model=DocumentView,
        responses={**problems(400, 404, 412), **FULL, **ONCE},
    )
    def reprocess_again(
        actor: CurrentActor,
        document_id: Id,
        wanted: ReprocessRequest | None = None,
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Response:
        """Starts another attempt, for example with a password or with other specialists. Earlier
        results are replaced.
        """
        password = wanted.password.get_secret_value() if wanted and wanted.password else None
        adapters = named_adapters(wanted.adapters if wanted else ())

        def answer(document: Document) -> Answer:
            return document_answer(view(parts.store, actor.tenant, document), 202)

        def work(claim: Claim) -> Answer:
            document = reprocess(
                parts.commands,
                actor,
                document_id,
                unchanged(if_match),
                password,
                adapters,
                lambda session, made: claim.store(session, answer(made)),
            )
            return answer(document)

        def identity(secret: str) -> object:
            hashed = slow_hash(secret, password)
            return {"password": hashed, "adapters": adapters} if adapters else hashed

        operation = f"POST /v1/documents/{document_id}/reprocess"
        return to_response(parts.idempotent.run(actor, key, operation, identity, work))

    return router


def _keys(parts: RouteParts) -> APIRouter:
    router = APIRouter(prefix="/v1/keys", tags=["keys"])
    keys, threads = parts.keys, ThreadBudget(8)

    @router.get("/self", summary="The current key", responses=problems())
    async def own(request: Request, actor: UncountedActor) -> KeyView:
        """Returns the name, the tenant and the scopes of the key in the request."""
        request.app.state.limit.take(f"self {actor.key_id}")
        secret = bearer(request) or session_cookie(request) or ""
        key = await threads.run(partial(keys.find, secret))
        if key is None:
            raise NotSignedIn
        return KeyView.of(key)

    @router.post(
        "/sessions",
        status_code=201,
        summary="Open a session of this key",
        responses=problems(),
    )
    def open_session(
        request: Request,
        actor: CurrentActor,
        user_agent: Annotated[str | SkipJsonSchema[None], Header(include_in_schema=False)] = None,
    ) -> SessionView:
        """Opens a session with the key's rights. This is for servers that sign in a browser, such
        as the review service. Browsers call `POST /v1/session`. The secret is shown only once.
        """
        return SessionView.of(keys.open_session(actor, client_address(request), user_agent))

    @router.get("/sessions", summary="Open sessions", responses=problems())
    def open_sessions(
        actor: CurrentActor,
        key: Annotated[
            str | None, Query(pattern=ID, description="id of a key: only its sessions")
        ] = None,
    ) -> SessionPage:
        """Lists the open sessions of the tenant. Without the scope `admin` you only see the
        sessions of your own key.
        """
        own = _own_key(actor)
        found = keys.sessions(actor.tenant, own or key) if key in (None, own or key) else []
        return SessionPage(
            items=[OpenSession.of(one, actor.session_id) for one in found], next=None
        )

    @router.delete(
        "/sessions/{id}", status_code=204, summary="End a session", responses=problems(404)
    )
    def end_session(actor: CurrentActor, session_id: Id) -> None:
        """Ends an open session of the tenant. Without the scope `admin` it must be one of your own
        key. Services may accept it for one more minute.
        """
        keys.end_session(session_id, actor.tenant, _own_key(actor), by=actor)

    @router.delete(
        "/{id}/sessions",
        status_code=204,
        summary="End all sessions of a key",
        responses=problems(404),
    )
    def end_sessions(actor: CurrentActor, key_id: Id) -> None:
        """Ends all open sessions of a key; the key still works."""
        keys.end_sessions(key_id, actor.tenant, by=actor)

    @router.post(
        "/links",
        status_code=201,
        summary="Create a link that signs in once",
        responses=problems(),
    )
    def open_link(actor: CurrentActor) -> SessionView:
        """Creates a link for a browser: the address of a review page, followed by
        `#sign-in=SECRET`. It opens one session of the key, within an hour.
        """
        return SessionView.of(keys.open_link(actor))

    @router.delete(
        "/sessions", status_code=204, summary="End the current session", responses=problems()
    )
    def close_session(actor: CurrentActor) -> None:
        """Ends the session whose secret is in the request."""
        keys.close_session(actor)

    @router.get("", summary="Keys of the tenant, without secrets", responses=problems())
    def listed(actor: CurrentActor) -> KeyPage:
        """Lists keys with their scopes and their last use."""
        return KeyPage(items=[KeyView.of(key) for key in keys.list(actor.tenant)], next=None)

    @router.post("", status_code=201, summary="Create a key", responses=problems(409))
    def create(actor: CurrentActor, wanted: NewKeyRequest) -> NewKeyView:
        """Creates a key for a person or a program. The secret is shown only once. A key cannot have
        more scopes than the key that creates it.
        """
        new = keys.create(
            actor.tenant,
            wanted.name,
            scopes=wanted.scopes,
            expires=wanted.expires,
            addresses=wanted.addresses,
            by=actor,
        )
        return NewKeyView.made(new)

    @router.post(
        "/{id}/rotate", summary="Replace the secret of a key", responses=problems(404, 409)
    )
    def rotate(
        actor: CurrentActor, key_id: Id, wanted: RotateKeyRequest | None = None
    ) -> NewKeyView:
        """Returns a new secret for a key, and changes its end and its addresses if you name them.
        For the seconds of `overlap` the old secret works, too; then it and the present sessions of
        the key end.
        """
        wanted = wanted or RotateKeyRequest()
        overlap = timedelta(seconds=wanted.overlap)
        new = keys.rotate(
            key_id,
            actor.tenant,
            overlap=overlap,
            expires=wanted.expires,
            addresses=wanted.addresses,
            by=actor,
        )
        return NewKeyView.made(new)

    @router.delete(
        "/{id}", status_code=204, summary="Revoke a key and its sessions", responses=problems(404)
    )
    def revoke(actor: CurrentActor, key_id: Id) -> None:
        """Ends a key and its sessions. Services may accept a revoked key for one more minute."""
        keys.revoke(key_id, actor.tenant, by=actor)

    return router


def _own_key(actor: Actor) -> str | None:
    """Return the key of an actor, or None if it may see the sessions of all keys."""
    return None if actor.may("admin") else actor.key_id
