"""The names by which clients may reach the suite.

A web site can let its own name point to this machine (DNS rebinding). Its scripts may then read
what the suite answers to a browser here. The header Host still has the name of the site.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.settings import CommonSettings
from shared.web.app import problem


class HostCheck:
    """Refuses requests for another host, except `/livez`, which says nothing.

    Addresses and `localhost` are always allowed, because no site can own them. Other names come
    from the settings. If the suite listens beyond this machine and has no public address, its names
    are unknown, and all are allowed.
    """

    def __init__(self, app: ASGIApp, settings: CommonSettings) -> None:
        self.app = app
        self.is_on = settings.is_local or bool(settings.public_url)
        public = urlsplit(settings.public_url).hostname or ""
        names = (name.strip().lower() for name in settings.hosts.split(","))
        self.names = {"localhost", public, *names} - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.is_on and scope["path"] != "/livez":
            host = Request(scope).headers.get("host", "")
            if not self._is_allowed(host):
                answer = problem(
                    421,
                    "misdirected_request",
                    f"The suite is not reached by the host {host[:100]!r}. Use its address, or set "
                    "SMALLPRINT_PUBLIC_URL or SMALLPRINT_HOSTS.",
                )
                await answer(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _is_allowed(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return True
