"""The OpenAPI document of the whole suite."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shared.web.suite_openapi import merge
from tests.support import ROOT

FILES = sorted(ROOT.glob("services/*/openapi.json"))
DOCUMENTS = {path.parent.name: json.loads(path.read_text("utf-8")) for path in FILES}
MERGED = merge(DOCUMENTS)
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, operations in MERGED["paths"].items()
    for method, operation in operations.items()
]


def _schema(text: str) -> dict[str, Any]:
    """A service with the schemas `Row` and `Page`, which refers to it."""
    page = {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}
    answer = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Page"}}}}
    return {
        "paths": {f"/{text}": {"get": {"responses": {"200": answer}}}},
        "components": {"schemas": {"Row": {"title": text}, "Page": page, "Same": {"title": "x"}}},
    }


def _contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The bodies of the request and of the answers that are no problems."""
    yield from operation.get("requestBody", {}).get("content", {}).values()
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            yield from answer.get("content", {}).values()


def test_it_has_every_operation_once() -> None:
    every = {
        f"{method.upper()} {path}"
        for document in DOCUMENTS.values()
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert {name for name, _ in OPERATIONS} == every
    ids = [operation["operationId"] for _, operation in OPERATIONS]
    assert len(ids) == len(set(ids))


def test_it_has_the_webhooks_and_the_ways_to_sign_in() -> None:
    assert set(MERGED["webhooks"]) == set(DOCUMENTS["ingest"]["webhooks"])
    assert set(MERGED["components"]["securitySchemes"]) == {"key", "session"}


@pytest.mark.parametrize(("name", "operation"), OPERATIONS, ids=[name for name, _ in OPERATIONS])
def test_each_operation_has_a_summary_a_description_and_valid_examples(
    name: str, operation: dict[str, Any]
) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert set(operation["tags"]) <= {tag["name"] for tag in MERGED["tags"]}
    for content in _contents(operation):
        schema = {**content.get("schema", {}), "components": MERGED["components"]}
        assert content["example"] is not None
        Draft202012Validator(schema).validate(content["example"])


def test_each_reference_has_its_schema() -> None:
    text = json.dumps(MERGED)
    used = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert used <= set(MERGED["components"]["schemas"])


def test_different_schemas_of_the_same_name_get_the_name_of_their_service() -> None:
    merged = merge({"ingest": _schema("a"), "review": _schema("b")})
    schemas = merged["components"]["schemas"]
    assert set(schemas) == {"Same", "IngestRow", "IngestPage", "ReviewRow", "ReviewPage"}
    assert schemas["ReviewRow"] == {"title": "ReviewRow"}  # generated clients take the title
    assert schemas["ReviewPage"]["items"] == {"$ref": "#/components/schemas/ReviewRow"}
    answer = merged["paths"]["/b"]["get"]["responses"]["200"]["content"]["application/json"]
    assert answer["schema"] == {"$ref": "#/components/schemas/ReviewPage"}
