"""Routes of users, and of signing in with a password or at the OpenID provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from services.ingest.keys import NewKey
from services.ingest.users.commands import Browser, UserCommands
from services.ingest.users.schemas import (
    InvitationAnswer,
    InvitedPerson,
    InvitedView,
    NewUserRequest,
    PasswordChange,
    PasswordSignIn,
    ProviderView,
    ResourcePage,
    ResourceView,
    UserChanges,
    UserPage,
    UserView,
    WaysView,
)
from shared.errors import NotFound, NotSignedIn, Unavailable
from shared.web.app import ANY_PARAMETERS
from shared.web.auth import (
    CurrentActor,
    client_address,
    count_address,
    count_refusal,
    is_https,
)
from shared.web.cookies import same_origin, set_cookie
from shared.web.openapi import problems
from shared.web.parameters import Id

if TYPE_CHECKING:
    from services.ingest.users.openid import OpenIdProvider

PREFIX = "/v1/sign-in"
BEGIN = f"{PREFIX}/openid"
CALLBACK = f"{BEGIN}/callback"
_SIGN_IN = "/sign-in?failed={}"
_ONWARD = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={}">'
"""A page that leads on. A redirect would not do: it belongs to the provider's navigation, so the
browser would not send the new cookie, which is SameSite=Strict."""


def users(commands: UserCommands) -> APIRouter:
    """Build the routes of users."""
    router = APIRouter(prefix="/v1/users", tags=["users"])

    @router.get("", summary="Users of the tenant", responses=problems())
    def listed(actor: CurrentActor) -> UserPage:
        """Lists users by name, with their roles."""
        return UserPage(items=[UserView.of(user) for user in commands.list(actor.tenant)])

    @router.get("/self", summary="The current user", responses=problems(404))
    def own(actor: CurrentActor) -> UserView:
        """Returns the user of the session. Keys and their sessions get 404."""
        return UserView.of(commands.own(actor))

    @router.post("", status_code=201, summary="Add a user", responses=problems(409))
    def add(actor: CurrentActor, wanted: NewUserRequest) -> InvitedView:
        """Adds a person with a role. The answer has an invitation, with which the person chooses a
        password within three days. Nobody else learns it. A person whom the OpenID provider signs
        in needs no invitation.
        """
        made = commands.add(actor.tenant, wanted.name, wanted.email, wanted.role, by=actor)
        return InvitedView.made(*made)

    @router.patch("/{id}", summary="Change, disable or enable a user", responses=problems(404))
    def change(actor: CurrentActor, user_id: Id, wanted: UserChanges) -> UserView:
        """Changes the role of a user, or whether they can sign in. Their sessions end. Other
        services may accept an ended session for one more minute.
        """
        return UserView.of(commands.change(user_id, actor.tenant, **vars(wanted), by=actor))

    @router.get(
        "/{id}/resources", summary="Keys, users and webhooks of a user", responses=problems(404)
    )
    def resources(actor: CurrentActor, user_id: Id) -> ResourcePage:
        """Lists the keys, users and webhooks that the user created or changed and that still work.
        A key counts if they rotated it, a user if they invited them. The list also has what those
        keys created or changed. All of it still works when the user is disabled; only open
        invitations end. Changes that the audit trail no longer has are not found.
        """
        found = commands.resources(user_id, actor.tenant)
        return ResourcePage(items=[ResourceView(**vars(one)) for one in found])

    @router.post(
        "/{id}/invitations", status_code=201, summary="Invite a user again", responses=problems(404)
    )
    def invite(actor: CurrentActor, user_id: Id) -> InvitedView:
        """Creates an invitation to choose another password. The earlier one ends; the present
        password stays until then.
        """
        return InvitedView.made(*commands.invite(user_id, actor.tenant, by=actor))

    return router


def sign_in(
    commands: UserCommands,
    provider: OpenIdProvider | None,
    provider_name: str,
    public_url: str,
) -> APIRouter:
    """Build the routes of signing in. Each sets the session cookie of the browser.

    Args:
        provider: None if none is configured.
        provider_name: for the button.
        public_url: the origin that browsers use.
    """
    router = APIRouter(prefix=PREFIX, tags=["session"])

    def signed_in(request: Request, new: NewKey, response: Response) -> Response:
        assert new.key.expires is not None
        set_cookie(response, new.secret, new.key.expires, secure=is_https(request))
        return response

    def browser(request: Request) -> Browser:
        return Browser(client_address(request), request.headers.get("user-agent"))

    def configured() -> OpenIdProvider:
        if provider is None:
            raise NotFound("No OpenID provider is configured.")
        return provider

    @router.get(
        "",
        summary="Ways to sign in",
        dependencies=[Depends(count_address)],
        openapi_extra={"security": []},
        responses=problems(),
    )
    def ways() -> WaysView:
        """Says which ways to sign in this installation offers. Needs no key."""
        shown = ProviderView(name=provider_name, path=BEGIN) if provider else None
        return WaysView(password=commands.any(), openid=shown)

    @router.post(
        "",
        status_code=204,
        summary="Sign in with a password",
        dependencies=[Depends(same_origin)],
        openapi_extra={"security": []},
        responses=problems(),
    )
    def by_password(request: Request, body: PasswordSignIn) -> Response:
        """Sets the session cookie. `GET /v1/session` then returns the CSRF token."""
        new = commands.sign_in(body.email, body.password, browser(request))
        return signed_in(request, new, Response(status_code=204))

    @router.post(
        "/invitation",
        status_code=204,
        summary="Choose a password",
        dependencies=[Depends(same_origin)],
        openapi_extra={"security": []},
        responses={
            200: {"model": InvitedPerson, "description": "the invited person"},
            **problems(),
        },
    )
    def by_invitation(request: Request, body: InvitationAnswer) -> Response:
        """Sets the password of an invited user, and signs them in. Their other sessions end.
        Without a password it only returns whom the invitation is for (200).
        """
        try:
            if body.password is None:
                user = commands.invited(body.invitation)
                person = InvitedPerson(name=user.name, email=user.email)
                return JSONResponse(person.model_dump())
            new = commands.choose_password(body.invitation, body.password, browser(request))
        except NotSignedIn:
            count_refusal(request)
            raise
        return signed_in(request, new, Response(status_code=204))

    @router.post("/password", status_code=204, summary="Change your password", responses=problems())
    def change_password(request: Request, actor: CurrentActor, body: PasswordChange) -> Response:
        """Sets another password for the user of the session, whose other sessions end."""
        new = commands.change_password(actor, body.current, body.new, browser(request))
        return signed_in(request, new, Response(status_code=204))

    @router.get(
        "/openid",
        status_code=302,
        summary="Sign in at the OpenID provider",
        openapi_extra={"security": []},
        responses=problems(404),
        response_class=Response,
    )
    async def begin(request: Request) -> Response:
        """Leads the browser to the provider, or back to the page for signing in if it is down."""
        key = await run_in_threadpool(commands.cookie_key)
        try:
            return await configured().begin(
                request, public_url.rstrip("/"), key, secure=is_https(request)
            )
        except Unavailable as failed:
            return RedirectResponse(_SIGN_IN.format(failed.code), status_code=302)

    @router.get(
        "/openid/callback",
        summary="Return from the OpenID provider",
        openapi_extra={"security": [], ANY_PARAMETERS: True},
        responses={
            200: {"content": {"text/html": {"example": _ONWARD.format("/")}}},
            **problems(404),
        },
        response_class=HTMLResponse,
    )
    async def callback(
        request: Request, code: str = "", state: str = "", error: str = ""
    ) -> Response:
        """The provider leads the browser here. Sets the session cookie and leads on to the pages,
        or to the page for signing in if it failed.
        """
        del code, state, error  # Authlib reads them from the request
        try:
            identity = await configured().finish(
                request, await run_in_threadpool(commands.cookie_key)
            )
            new = await run_in_threadpool(commands.sign_in_by_provider, identity, browser(request))
            response = signed_in(request, new, HTMLResponse(_ONWARD.format("/")))
        except (NotSignedIn, Unavailable) as failed:
            response = HTMLResponse(_ONWARD.format(_SIGN_IN.format(failed.code)))
        configured().forget(response, secure=is_https(request))
        return response

    return router
