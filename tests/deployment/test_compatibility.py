"""Breaking changes of the HTTP interface; there are none since the last release."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.compatibility import (
    EVENTS,
    RELEASED,
    allows_breaks,
    breaks,
    broken,
    broken_events,
    event_breaks,
)
from tests.support import ROOT

SERVICES = ("escalation", "extraction", "ingest", "review", "triage")
Change = Callable[[dict[str, Any]], Any]

DOCUMENT: dict[str, Any] = {
    "info": {"version": "1.2.0"},
    "paths": {
        "/papers/{id}": {
            "get": {
                "parameters": [
                    {"in": "path", "name": "id", "required": True, "schema": {"type": "string"}},
                    {
                        "in": "query",
                        "name": "limit",
                        "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
                    },
                ],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Paper"}}
                        },
                        "headers": {"ETag": {"schema": {"type": "string"}}},
                    },
                    "404": {"content": {"application/problem+json": {"schema": {}}}},
                },
                "security": [{"key": []}, {"session": []}],
            }
        },
        "/papers": {
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Wish"}}
                    }
                },
                "responses": {"201": {}, "422": {}},
            }
        },
    },
    "webhooks": {
        "paper.ended": {
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Paper"}}
                    }
                },
                "responses": {},
            }
        }
    },
    "components": {
        "schemas": {
            "Paper": {
                "type": "object",
                "required": ["id", "state", "parts"],
                "properties": {
                    "id": {"type": "string"},
                    "state": {"type": "string", "enum": ["open", "ended"]},
                    "pages": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Paper"}},
                },
            },
            "Wish": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 100},
                    "kind": {"type": "string", "enum": ["a", "b"]},
                    "note": {"type": "string", "default": ""},
                },
            },
        }
    },
}


def paper(document: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = document["components"]["schemas"]["Paper"]
    return schema


def wish(document: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = document["components"]["schemas"]["Wish"]
    return schema


def get(document: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = document["paths"]["/papers/{id}"]["get"]
    return operation


def limit(document: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = get(document)["parameters"][1]["schema"]
    return schema


BREAKS: dict[str, tuple[Change, str]] = {
    "a path is gone": (lambda d: d["paths"].pop("/papers"), "POST /papers: is gone"),
    "a method is gone": (
        lambda d: d["paths"]["/papers/{id}"].update(put=d["paths"]["/papers/{id}"].pop("get")),
        "GET /papers/{}: is gone",
    ),
    "a parameter is gone": (lambda d: get(d)["parameters"].pop(), "limit: is gone"),
    "a parameter is new and required": (
        lambda d: get(d)["parameters"].append(
            {"in": "query", "name": "why", "required": True, "schema": {}}
        ),
        "why: is new and required",
    ),
    "a parameter is required": (
        lambda d: get(d)["parameters"][1].update(required=True),
        "limit: is required now",
    ),
    "less is taken": (lambda d: limit(d).update(maximum=100), "maximum is 100 now, 200 before"),
    "a bound is new": (lambda d: wish(d)["properties"]["name"].update(minLength=1), "minLength"),
    "a pattern is new": (lambda d: wish(d)["properties"]["name"].update(pattern="^a"), "pattern"),
    "another default": (lambda d: limit(d).update(default=20), "default is 20 now"),
    "another default in a body": (
        lambda d: wish(d)["properties"]["note"].update(default="-"),
        "note: the default",
    ),
    "a value is not taken": (
        lambda d: wish(d)["properties"]["kind"]["enum"].remove("b"),
        'kind: "b" is not taken now',
    ),
    "another type is wanted": (
        lambda d: wish(d)["properties"]["name"].update(type="integer"),
        "name: string is not taken now",
    ),
    "a property is required": (lambda d: wish(d)["required"].append("kind"), "kind: is required"),
    "a property is not taken": (lambda d: wish(d)["properties"].pop("note"), "note: is gone"),
    "a body is required": (
        lambda d: d["paths"]["/papers"]["post"]["requestBody"].update(required=True),
        "body: is required now",
    ),
    "a media type is not taken": (
        lambda d: d["paths"]["/papers"]["post"]["requestBody"].update(content={}),
        "application/json is gone",
    ),
    "a property is not answered": (lambda d: paper(d)["properties"].pop("id"), ".id: is gone"),
    "a property may be missing": (
        lambda d: paper(d)["required"].remove("id"),
        ".id: may be missing now",
    ),
    "a property may be null": (
        lambda d: paper(d)["properties"].update(id={"type": ["string", "null"]}),
        ".id: null may be answered now",
    ),
    "a property may be something else": (
        lambda d: paper(d)["properties"]["pages"]["anyOf"].append({"type": "string"}),
        '.pages: {"type": "string"} may be answered now',
    ),
    "a new value of an enumeration": (
        lambda d: paper(d)["properties"]["state"]["enum"].append("lost"),
        '.state: "lost" may be answered now',
    ),
    "any value where some were": (
        lambda d: paper(d)["properties"]["state"].pop("enum"),
        ".state: any value may be answered now",
    ),
    "a success is gone": (
        lambda d: d["paths"]["/papers"]["post"]["responses"].pop("201"),
        "answer 201: is gone",
    ),
    "an answer's media type is gone": (
        lambda d: get(d)["responses"]["200"].update(content={"text/html": {}}),
        "answer 200: application/json is gone",
    ),
    "an answer's header is gone": (
        lambda d: get(d)["responses"]["200"].pop("headers"),
        "header ETag: is gone",
    ),
    "a way to sign in is gone": (lambda d: get(d)["security"].pop(), "a way to sign in"),
    "signing in is new": (
        lambda d: d["paths"]["/papers"]["post"].update(security=[{"key": []}]),
        "POST /papers: a way to sign in (or not to) is gone",
    ),
    "a webhook is gone": (lambda d: d["webhooks"].clear(), "webhook POST paper.ended: is gone"),
}

HARMLESS: dict[str, Change] = {
    "nothing": lambda d: None,
    "a path": lambda d: d["paths"].update({"/more": {"get": {"responses": {"200": {}}}}}),
    "a path's parameter has another name": lambda d: (
        d["paths"].update({"/papers/{paper}": d["paths"].pop("/papers/{id}")}),
        d["paths"]["/papers/{paper}"]["get"]["parameters"][0].update(name="paper"),
    ),
    "an optional parameter": lambda d: get(d)["parameters"].append(
        {"in": "query", "name": "why", "schema": {"type": "string"}}
    ),
    "more is taken": lambda d: limit(d).update(maximum=1000, type="number"),
    "a bound is lifted": lambda d: wish(d)["properties"]["name"].pop("maxLength"),
    "another value is taken": lambda d: wish(d)["properties"]["kind"]["enum"].append("c"),
    "a property that may be sent": lambda d: wish(d)["properties"].update(more={"type": "string"}),
    "a property that may be left out": lambda d: wish(d)["required"].clear(),
    "a property of an answer": lambda d: paper(d)["properties"].update(size={"type": "integer"}),
    "never null": lambda d: paper(d)["properties"].update(pages={"type": "integer"}),
    "a value is never answered": lambda d: paper(d)["properties"]["state"]["enum"].remove("open"),
    "a problem": lambda d: get(d)["responses"].update({"429": {}}),
    "a description": lambda d: paper(d)["properties"]["id"].update(description="of the paper"),
    "nobody has to sign in": lambda d: get(d).update(security=[]),
    "another way to sign in": lambda d: get(d)["security"].append({"other": []}),
    "a schema has another name": lambda d: (
        d["components"]["schemas"].update(Other=copy.deepcopy(paper(d))),
        get(d)["responses"]["200"]["content"]["application/json"].update(
            schema={"$ref": "#/components/schemas/Other"}
        ),
    ),
}


def changed(change: Change) -> dict[str, Any]:
    new = copy.deepcopy(DOCUMENT)
    change(new)
    return new


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_is_found_and_named(name: str) -> None:
    change, said = BREAKS[name]
    found = breaks(DOCUMENT, changed(change))
    assert any(said in line for line in found), found


@pytest.mark.parametrize("name", HARMLESS)
def test_what_breaks_nobody_is_let_through(name: str) -> None:
    assert breaks(DOCUMENT, changed(HARMLESS[name])) == []


def test_a_break_deep_in_a_real_document_is_found() -> None:
    old = json.loads((ROOT / "services/ingest/openapi.json").read_text("utf-8"))
    new = copy.deepcopy(old)
    del new["components"]["schemas"]["FailedPageView"]["properties"]["reason"]
    found = breaks(old, new)
    assert "GET /v1/documents, answer 200.items[].failed_pages[].reason: is gone" in found
    assert breaks(old, old) == []


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        ("0.1.0", "0.1.9", False),
        ("0.1.0", "0.2.0", True),
        ("0.9.0", "1.0.0", True),
        ("1.2.0", "1.3.0", False),
        ("1.2.0", "2.0.0", True),
        ("2.0.0", "1.9.0", False),
    ],
)
def test_a_break_needs_a_new_version(old: str, new: str, allowed: bool) -> None:
    assert allows_breaks(old, new) is allowed


def test_a_release_knows_what_is_gone(tmp_path: Path) -> None:
    released, services = tmp_path / "released", tmp_path / "services"
    (services / "b").mkdir(parents=True)
    released.mkdir()
    for name in ("a", "b"):
        (released / f"{name}.json").write_text(json.dumps(DOCUMENT))
    less = changed(BREAKS["a path is gone"][0])
    (services / "b" / "openapi.json").write_text(json.dumps(less))
    assert broken(released, services) == ["a: the service is gone", "b: POST /papers: is gone"]
    less["info"]["version"] = "2.0.0"
    (services / "b" / "openapi.json").write_text(json.dumps(less))
    assert broken(released, services) == ["a: the service is gone"]


@pytest.mark.parametrize("service", SERVICES)
def test_bounds_are_written_in_the_words_of_json_schema(service: str) -> None:
    document = json.loads((ROOT / "services" / service / "openapi.json").read_text("utf-8"))
    bounds: list[str] = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if "type" in value:
                bounds.extend(value)
            value = list(value.values())
        for inner in value if isinstance(value, list) else ():
            look(inner)

    look(document)
    assert "maximum" in bounds or "maxLength" in bounds
    assert not {"ge", "le", "gt", "lt", "min_length", "max_length"} & set(bounds)


def _data(document: dict[str, Any]) -> Any:
    return document["components"]["schemas"]["document.read.v1"]


def _changed(change: Change) -> list[str]:
    old = json.loads(EVENTS.read_text("utf-8"))
    new = copy.deepcopy(old)
    change(new)
    return event_breaks(old, new)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda new: new["components"]["messages"].pop("document.read.v1"),
            "document.read.v1: is gone",
        ),
        (
            lambda new: _data(new)["properties"].pop("text"),
            "document.read.v1.data.text: is gone",
        ),
        (
            lambda new: _data(new)["required"].remove("text"),
            "document.read.v1.data.text: may be missing now",
        ),
        (
            lambda new: (
                _data(new)["properties"].update(added={"type": "string"}),
                _data(new)["required"].append("added"),
            ),
            "document.read.v1.data.added: is required now",
        ),
        (
            lambda new: _data(new)["properties"].update(text={"type": "string"}),
            "document.read.v1.data.text: string may be answered now",
        ),
    ],
    ids=["type", "field", "optional", "required", "meaning"],
)
def test_what_breaks_a_reader_of_events_is_named(change: Change, said: str) -> None:
    assert said in _changed(change)


def test_a_new_optional_field_and_a_new_type_break_no_reader() -> None:
    def grow(new: dict[str, Any]) -> None:
        _data(new)["properties"]["added"] = {"type": "string", "default": ""}
        messages = new["components"]["messages"]
        messages["document.read.v2"] = copy.deepcopy(messages["document.read.v1"])

    assert _changed(grow) == []


def test_no_reader_of_the_last_releases_events_breaks() -> None:
    assert len(json.loads(EVENTS.read_text("utf-8"))["components"]["messages"]) >= 11
    assert broken_events() == [], "see the top of infra/compatibility.py"


def test_no_client_of_the_last_release_breaks() -> None:
    assert sorted(path.stem for path in RELEASED.glob("*.json")) == list(SERVICES)
    assert broken() == [], "see the top of infra/compatibility.py"
