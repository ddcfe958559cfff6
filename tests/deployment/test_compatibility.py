"""Breaking changes of interfaces and migrations; there are none since the last release."""

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
    RELEASED_MIGRATIONS,
    allows_breaks,
    breaks,
    broken,
    broken_events,
    changed_migrations,
    event_breaks,
    migrations,
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


def paper(document: dict[str, Any]) -> Any:
    return document["components"]["schemas"]["Paper"]


def wish(document: dict[str, Any]) -> Any:
    return document["components"]["schemas"]["Wish"]


def get(document: dict[str, Any]) -> Any:
    return document["paths"]["/papers/{id}"]["get"]


def post(document: dict[str, Any]) -> Any:
    return document["paths"]["/papers"]["post"]


def limit(document: dict[str, Any]) -> Any:
    return get(document)["parameters"][1]["schema"]


def answered(document: dict[str, Any], name: str) -> Any:
    return paper(document)["properties"][name]


def taken(document: dict[str, Any], name: str) -> Any:
    return wish(document)["properties"][name]


BREAKS: dict[str, Change] = {
    "POST /papers: is gone": lambda d: d["paths"].pop("/papers"),
    "GET /papers/{}: is gone": lambda d: d["paths"]["/papers/{id}"].update(
        put=d["paths"]["/papers/{id}"].pop("get")
    ),
    "limit: is gone": lambda d: get(d)["parameters"].pop(),
    "why: is new and required": lambda d: get(d)["parameters"].append(
        {"in": "query", "name": "why", "required": True, "schema": {}}
    ),
    "limit: is required now": lambda d: get(d)["parameters"][1].update(required=True),
    "maximum is 100 now, 200 before": lambda d: limit(d).update(maximum=100),
    "minLength": lambda d: taken(d, "name").update(minLength=1),
    "pattern": lambda d: taken(d, "name").update(pattern="^a"),
    "default is 20 now": lambda d: limit(d).update(default=20),
    "note: the default": lambda d: taken(d, "note").update(default="-"),
    'kind: "b" is not taken now': lambda d: taken(d, "kind")["enum"].remove("b"),
    "name: string is not taken now": lambda d: taken(d, "name").update(type="integer"),
    "kind: is required": lambda d: wish(d)["required"].append("kind"),
    "note: is gone": lambda d: wish(d)["properties"].pop("note"),
    "body: is required now": lambda d: post(d)["requestBody"].update(required=True),
    "application/json is gone": lambda d: post(d)["requestBody"].update(content={}),
    ".id: is gone": lambda d: paper(d)["properties"].pop("id"),
    ".id: may be missing now": lambda d: paper(d)["required"].remove("id"),
    ".id: null may be answered now": lambda d: paper(d)["properties"].update(
        id={"type": ["string", "null"]}
    ),
    '.pages: {"type": "string"}': lambda d: answered(d, "pages")["anyOf"].append(
        {"type": "string"}
    ),
    '.state: "lost" may be answered now': lambda d: answered(d, "state")["enum"].append("lost"),
    ".state: any value may be answered now": lambda d: answered(d, "state").pop("enum"),
    "answer 201: is gone": lambda d: post(d)["responses"].pop("201"),
    "answer 200: application/json is gone": lambda d: get(d)["responses"]["200"].update(
        content={"text/html": {}}
    ),
    "header ETag: is gone": lambda d: get(d)["responses"]["200"].pop("headers"),
    "a way to sign in": lambda d: get(d)["security"].pop(),
    "POST /papers: a way to sign in (or not to) is gone": lambda d: post(d).update(
        security=[{"key": []}]
    ),
    "webhook POST paper.ended: is gone": lambda d: d["webhooks"].clear(),
}
"""Changes, by words of the line that names the break."""

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
    "a bound is lifted": lambda d: taken(d, "name").pop("maxLength"),
    "another value is taken": lambda d: taken(d, "kind")["enum"].append("c"),
    "a property that may be sent": lambda d: wish(d)["properties"].update(more={"type": "string"}),
    "a property that may be left out": lambda d: wish(d)["required"].clear(),
    "a property of an answer": lambda d: paper(d)["properties"].update(size={"type": "integer"}),
    "never null": lambda d: paper(d)["properties"].update(pages={"type": "integer"}),
    "a value is never answered": lambda d: answered(d, "state")["enum"].remove("open"),
    "a problem": lambda d: get(d)["responses"].update({"429": {}}),
    "a description": lambda d: answered(d, "id").update(description="of the paper"),
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


@pytest.mark.parametrize("message", BREAKS)
def test_a_break_is_found_and_named(message: str) -> None:
    found = breaks(DOCUMENT, changed(BREAKS[message]))
    assert any(message in line for line in found), found


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
    less = changed(BREAKS["POST /papers: is gone"])
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
    ("change", "message"),
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
def test_what_breaks_a_reader_of_events_is_named(change: Change, message: str) -> None:
    assert message in _changed(change)


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


def test_a_released_migration_never_changes() -> None:
    old = {"a/0001.py": "aa", "a/0002.py": "bb", "b/0001.py": "cc"}
    new = {"a/0001.py": "aa", "a/0002.py": "ff", "a/0003.py": "dd"}
    lines = ["a/0002.py: has changed since its release", "b/0001.py: is gone"]
    assert changed_migrations(old, new) == lines
    released = json.loads(RELEASED_MIGRATIONS.read_text("utf-8"))
    assert len(released) >= len(SERVICES) + 1
    assert changed_migrations(released, migrations()) == [], "add a revision instead"
