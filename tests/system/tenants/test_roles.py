"""Every role uses every route: it lacks the scope exactly where the table of roles says no."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from infra.docs.roles import allowed
from shared.web.auth import CSRF_HEADER
from shared.web.scopes import ROLES
from tests.support.embedded import Embedded

PASSWORD = "seven green umbrellas"
FEWEST = 90
"""Routes at least; with fewer the table is broken."""
NOBODY = "0123456789abcdef"
"""An id of nothing, so that no attempt changes anything."""
LAST = ("DELETE /v1/session", "DELETE /v1/keys/sessions")
"""They end the session."""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a suite and the owner's key."""
    embedded = Embedded(tmp_path_factory.mktemp("roles"))
    yield embedded.url, embedded.start()["key"]
    embedded.end()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_use_the_routes_of_its_scopes_and_no_other(
    suite: tuple[str, str], role: str
) -> None:
    url, owner = suite
    wanted = {"name": role, "email": f"{role}@example.com", "role": role}
    key = {"authorization": f"Bearer {owner}"}
    invited = httpx.post(f"{url}/v1/users", json=wanted, headers=key).raise_for_status().json()
    routes = sorted(allowed().items(), key=lambda one: " ".join(one[0]) in LAST)
    refused, expected = set(), set()
    with httpx.Client(base_url=url, timeout=60) as client:
        answer = {"invitation": invited["invitation"], "password": PASSWORD}
        client.post("/v1/sign-in/invitation", json=answer).raise_for_status()
        client.headers[CSRF_HEADER] = client.get("/v1/session").json()["csrf"]
        for (method, route), roles in routes:
            if not roles:  # needs no sign-in
                continue
            path = re.sub(r"\{\w+\}", NOBODY, route)
            with client.stream(method, path) as response:
                status = response.status_code
                body = response.read().decode() if status == 403 else ""
                if status == 403 and (method == "HEAD" or "needs the scope" in body):
                    refused.add((method, route))
                else:
                    ended = status == 401 and f"{method} {route}" in LAST
                    assert ended or status not in (401, 500), (method, route)
            if role not in roles:
                expected.add((method, route))
    assert len(routes) >= FEWEST
    assert refused == expected
