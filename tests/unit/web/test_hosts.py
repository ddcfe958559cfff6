"""The names by which clients may reach the suite."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from shared.errors import SettingsError
from shared.settings import CommonSettings, load
from shared.web.hosts import HostCheck

ALWAYS = ["localhost", "LOCALHOST:8400", "127.0.0.1:8400", "[::1]:8400", "10.1.2.3", "localhost."]
CHECKED = ("/", "/v1/documents", "/readyz", "/metrics")
OPEN: dict[str, Any] = {"host": "0.0.0.0"}
PUBLIC = {"public_url": "https://Papers.example:444/"}


def client(**settings: Any) -> TestClient:
    here = [Route(path, lambda _: PlainTextResponse("here")) for path in ("/livez", *CHECKED)]
    return TestClient(HostCheck(Starlette(routes=here), CommonSettings(**settings)))


@pytest.mark.parametrize(
    ("settings", "allowed", "refused"),
    [
        (
            {},
            ALWAYS,
            ["site.example", "127.0.0.1.site.example", "", "[::1", "a b"],
        ),
        ({"hosts": "papers.local, Origin,"}, ["papers.local:80", "origin"], ["local", "papers"]),
        (PUBLIC, ["papers.example", "PAPERS.example:444", *ALWAYS], ["site.example", "example"]),
        ({**OPEN, **PUBLIC}, ["papers.example", *ALWAYS], ["site.example", "papers.example.x"]),
        (OPEN, ["any.example", *ALWAYS], []),
    ],
)
def test_another_host_is_refused(
    settings: dict[str, Any], allowed: list[str], refused: list[str]
) -> None:
    suite = client(**settings)
    for host in allowed:
        for path in CHECKED:
            assert suite.get(path, headers={"host": host}).status_code == 200, host
    for host in refused:
        for path in CHECKED:
            answer = suite.get(path, headers={"host": host})
            assert answer.status_code == 421, host
            assert answer.headers["content-type"] == "application/problem+json"
        assert suite.get("/livez", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("wrong", ["proxy.example", "10.0.0.1/8", "10.0.0.0/8,x", "*,10.0.0.1"])
def test_a_wrong_list_of_proxies_is_refused_at_the_start(wrong: str) -> None:
    with pytest.raises(SettingsError, match="SMALLPRINT_TRUSTED_PROXIES"):
        load(CommonSettings, trusted_proxies=wrong)
    for right in ("", "*", "10.0.0.0/8, 192.0.2.7,", "::1"):
        assert load(CommonSettings, trusted_proxies=right).trusted_proxies == right
