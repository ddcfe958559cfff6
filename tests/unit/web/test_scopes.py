"""Scopes of keys and routes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from infra.docs.schemas import openapi_of
from shared.errors import InvalidRequest
from shared.web.app import create_app
from shared.web.auth import Actor, CurrentActor
from shared.web.scopes import ALL, SCOPES, NoRule, parse_scopes, sort_scopes, sufficient_scopes
from tests.support import ROOT

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
FREE = {
    *("/v1/keys/self", "/v1/keys/sessions", "/v1/keys/sessions/{id}", "/v1/keys/links"),
    *("/v1/session", "/v1/users/self", "/v1/sign-in", "/v1/sign-in/password"),
    "/v1/items/categories",
    *("/v1/sign-in/invitation", "/v1/sign-in/openid", "/v1/sign-in/openid/callback"),
}
CHANGES = {"post", "put", "patch", "delete"}


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    documents = sorted((ROOT / "services").glob("*/openapi.json"))
    assert len(documents) == 5
    return [
        (method, path, operation)
        for document in documents
        for path, item in json.loads(document.read_text("utf-8"))["paths"].items()
        if path.startswith("/v1/")
        for method, operation in item.items()
        if method in METHODS
    ]


@pytest.mark.parametrize("service", ["ingest", "extraction", "triage", "review", "escalation"])
def test_the_openapi_file_is_the_application_s(service: str) -> None:
    path = ROOT / "services" / service / "openapi.json"
    assert path.read_text("utf-8") == openapi_of(service)


def test_every_route_has_a_scope_in_openapi() -> None:
    routes = operations()
    assert len(routes) > 60
    for method, path, operation in routes:
        scopes = sufficient_scopes(method.upper(), path)
        assert operation["x-scope"] == (" or ".join(scopes) or None), path
        assert (not scopes) == (path in FREE), path


def test_read_scopes_change_nothing() -> None:
    for method, path, _ in operations():
        if method in CHANGES and path not in FREE:
            scopes = sufficient_scopes(method.upper(), path)
            assert {*scopes} <= {"documents:write", "review", "admin"}, (method, path)


def test_reviewers_can_not_read_results() -> None:
    for found in ("clauses", "presence", "findings", "signals", "narrative-flags", "history"):
        assert sufficient_scopes("GET", f"/v1/documents/d1/{found}") == ("results:read",)
    results = ("/v1/watch", "/v1/watch/findings", "/v1/reports", "/v1/costs")
    for path in (*results, "/v1/escalations/proposals"):
        assert sufficient_scopes("GET", path) == ("results:read",)
    for path in ("/v1/documents/d1/text", "/v1/documents/d1/pages/1.png"):
        assert sufficient_scopes("GET", path) == ("documents:read",)


def test_reviewers_and_uploaders_assign_and_tag_documents() -> None:
    for part in ("assignee", "tags"):
        either = sufficient_scopes("PUT", f"/v1/documents/d1/{part}")
        assert either == ("documents:write", "review")
    for method, part in (("PUT", "/kind"), ("POST", "/reprocess"), ("DELETE", "")):
        assert sufficient_scopes(method, f"/v1/documents/d1{part}") == ("documents:write",)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/nothing"), ("POST", "/v1/search"), ("GET", "/v1"), ("DELETE", "/v1/reports")],
)
def test_a_route_missing_in_the_table_is_refused(method: str, path: str) -> None:
    with pytest.raises(NoRule):
        sufficient_scopes(method, path)
    router = APIRouter()

    @router.api_route(path, methods=[method])
    def forgotten(actor: CurrentActor) -> str:
        return actor.name

    client = TestClient(create_app("review", [router], [], _Ring(ALL)))
    answer = client.request(method, path, headers={"authorization": "Bearer x"})
    assert answer.status_code == 403


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_allows_its_own_routes_only(scope: str) -> None:
    router = APIRouter()
    tried = {
        "/v1/documents": "documents:read",
        "/v1/uploads": "documents:write",
        "/v1/reports": "results:read",
        "/v1/items": "review",
        "/v1/webhooks": "admin",
    }
    for path in tried:

        @router.get(path)
        def ask(actor: CurrentActor) -> str:
            return actor.name

    client = TestClient(create_app("review", [router], [], _Ring(frozenset({scope}))))
    for path, wanted in tried.items():
        answer = client.get(path, headers={"authorization": "Bearer x"})
        assert answer.status_code == (200 if wanted == scope else 403), path
        if wanted != scope:
            assert f"`{wanted}`" in answer.json()["detail"]
            assert scope in answer.json()["detail"]


def test_scopes_use_the_routed_path() -> None:
    router = APIRouter()

    @router.delete("/v1/keys/{name}")
    def end(actor: CurrentActor, name: str) -> str:
        return actor.name + name

    client = TestClient(create_app("review", [router], [], _Ring(frozenset({"review"}))))
    for name in ("other", "se%0Alf", "se%09lf", "self%0D", "sel%66%0A", "x%2F..%2Fself"):
        answer = client.delete(f"/v1/keys/{name}", headers={"authorization": "Bearer x"})
        assert answer.status_code in (403, 404), name


def test_scopes_are_parsed_by_name() -> None:
    assert parse_scopes(None) == ALL
    assert parse_scopes(["review", "documents:read"]) == {"documents:read", "review"}
    assert sort_scopes({"review", "documents:read"}) == ["documents:read", "review"]
    for wrong in ([], ["reviews"], ["review", ""]):
        with pytest.raises(InvalidRequest):
            parse_scopes(wrong)


class _Ring:
    def __init__(self, scopes: frozenset[str]) -> None:
        self.scopes = scopes

    def check(self, secret: str) -> Actor | None:
        return Actor("default", "alice", "k1", scopes=self.scopes)
