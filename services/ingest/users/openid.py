"""Sign-in by OpenID Connect: the only module that uses Authlib.

The authorization code flow with PKCE, state and nonce. A signed cookie of the
browser keeps state and nonce for ten minutes. The ID token is checked by
OpenID Connect Core 1.0, section 3.1.3.7.
"""

from __future__ import annotations

import logging
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from fastapi import Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer
from joserfc.errors import JoseError

from services.ingest.users.domain import Identity
from shared.errors import NotSignedIn, Unavailable

log = logging.getLogger(__name__)

_COOKIE = "smallprint_sign_in"
_SECONDS = 600


class OpenIdProvider:
    """One OpenID provider.

    Args:
        issuer: its address, below which `/.well-known/openid-configuration` is.
        client_id: our name there.
        client_secret: our secret there; empty for a public client.
        callback: path to which the provider sends the browser back.
    """

    def __init__(self, issuer: str, client_id: str, client_secret: str, callback: str) -> None:
        self.issuer = issuer
        self.callback = callback
        self._client_id = client_id
        self._client: Any = OAuth().register(
            "provider",
            client_id=client_id,
            client_secret=client_secret or None,
            server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid email profile",
                "code_challenge_method": "S256",
                "timeout": 10.0,
                **({} if client_secret else {"token_endpoint_auth_method": "none"}),
            },
        )

    async def begin(self, request: Request, origin: str, key: bytes, *, secure: bool) -> Response:
        """Return the redirect to the provider.

        Args:
            origin: of this suite, to which the provider sends the browser back.
            key: signs the cookie.
            secure: whether the cookie requires HTTPS.

        Raises Unavailable if the provider does not answer.
        """
        waiting: dict[str, Any] = {}
        request.scope["session"] = waiting
        try:
            await self._check_name()
            response: Response = await self._client.authorize_redirect(
                request, f"{origin}{self.callback}"
            )
        except (httpx2.HTTPError, ValueError, RuntimeError) as error:
            reason = f"{type(error).__name__}: {error}"[:300]
            log.warning("the OpenID provider is unusable", extra={"reason": reason})
            raise self._silent(error) from None
        response.set_cookie(
            _COOKIE,
            _signer(key).dumps(waiting),
            max_age=_SECONDS,
            path=self.callback,
            httponly=True,
            secure=secure,
            samesite="lax",  # the provider's page leads back here
        )
        return response

    async def finish(self, request: Request, key: bytes) -> Identity:
        """Return who has signed in, from the request to the callback.

        Raises NotSignedIn if the provider refused or its answer is wrong; Unavailable.
        """
        try:
            request.scope["session"] = _signer(key).loads(
                request.cookies.get(_COOKIE, ""), max_age=_SECONDS
            )
        except BadSignature:
            host = request.url.hostname
            log.warning(
                "a sign-in came back without its cookie: it took more than ten minutes, or began "
                "at another address than SMALLPRINT_PUBLIC_URL",
                extra={"host": host},
            )
            raise NotSignedIn("This sign-in took too long. Please start again.") from None
        options = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self._client_id},
        }
        try:
            token = await self._client.authorize_access_token(request, claims_options=options)
            claims = token["userinfo"]
            return Identity(
                self.issuer,
                str(claims["sub"]),
                claims.get("email") if claims.get("email_verified") is True else None,
            )
        except (OAuthError, JoseError, KeyError, TypeError) as error:
            extra = {"reason": f"{type(error).__name__}: {error}"[:300], "issuer": self.issuer}
            log.warning("the OpenID provider signed nobody in", extra=extra)
            raise NotSignedIn("The provider did not sign you in. Please start again.") from None
        except (httpx2.HTTPError, ValueError, RuntimeError) as error:
            raise self._silent(error) from None

    def forget(self, response: Response, *, secure: bool) -> None:
        """Delete the cookie: each sign-in has its own."""
        response.delete_cookie(
            _COOKIE, path=self.callback, httponly=True, secure=secure, samesite="lax"
        )

    async def _check_name(self) -> None:
        """Raise ValueError for a provider that calls itself otherwise: its tokens are refused."""
        issuer = (await self._client.load_server_metadata()).get("issuer")
        if issuer != self.issuer:
            raise ValueError(f"it calls itself {issuer!r}: SMALLPRINT_INGEST_OPENID_ISSUER")

    def _silent(self, error: Exception) -> Unavailable:
        name = type(error).__name__  # its text may quote the request
        return Unavailable(f"Sign-in is not possible now: {self.issuer} does not answer ({name}).")


def _signer(key: bytes) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt="openid")
