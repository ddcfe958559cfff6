"""OpenAPI documents with problem+json, security and scopes.

Each service has its document in `services/<name>/openapi.json`, written by `make schemas`; a test
compares it with the application.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from shared.web.auth import COOKIE
from shared.web.operation_ids import operation_id
from shared.web.scopes import sufficient_scopes

_PROBLEM_CONTENT = {
    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
}
RETRY_AFTER = {
    "Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 0}}
}
_DESCRIPTIONS = {
    400: "The request is invalid",
    401: "The key is missing, unknown, expired or revoked",
    403: "The key lacks the scope, or the CSRF token is missing",
    404: "It does not exist in this tenant",
    409: "Its state does not allow this",
    412: "It has changed since you read it (`If-Match`), or the protocol version differs",
    413: "The limit is exceeded",
    415: "The type is not supported",
    422: "The request or its document is invalid",
    429: "Too many requests: retry after `Retry-After` seconds",
    503: "A dependency is down: retry",
}


class Problem(BaseModel):
    """An error by RFC 9457."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "type": "urn:smallprint:problem:not_found",
                "title": "not found",
                "status": 404,
                "detail": "There is no document doc_nope.",
                "document": "doc_nope",
                "trace": "00-fc1ca800a136a28b0fa5136a68798ebf-565519669bf87ea8-01",
            }
        },
    )

    type: str = Field(description="`urn:smallprint:problem:` and the code")
    title: str
    status: int
    detail: str = Field(description="the problem and what to do")
    document: str | None = Field(None, description="id or name of the document")
    trace: str | None = Field(None, description="W3C traceparent, as in the logs")


def problem_body(status: int, code: str, detail: str) -> dict[str, object]:
    """Return the members of every problem."""
    kind = f"urn:smallprint:problem:{code}"
    return {"type": kind, "title": code.replace("_", " "), "status": status, "detail": detail}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return `responses=` for these statuses, and 401, 403, 422 and 429."""
    return {
        status: {
            "description": _DESCRIPTIONS[status],
            "content": _PROBLEM_CONTENT,
            **({"headers": RETRY_AFTER} if status in (429, 503) else {}),
        }
        for status in sorted({401, 403, 422, 429, *statuses})
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an application, as `create_app` serves it."""
    document = FastAPI.openapi(app)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "a key: `Authorization: Bearer KEY`",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": COOKIE,
            "description": "the cookie of a signed-in browser, which sends it without a value "
            "here; a request that changes something needs the header `X-CSRF-Token`, too",
        },
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation["operationId"] = operation_id(method.upper(), path)
            if "application/json" in operation.get("requestBody", {}).get("content", {}):
                operation["responses"].setdefault("400", problems(400)[400])  # invalid JSON
            if path.startswith("/v1/"):
                operation.setdefault("security", [{"key": []}, {"session": []}])
                operation["x-scope"] = " or ".join(sufficient_scopes(method.upper(), path)) or None
            answer = operation["responses"].get("422")
            if answer and "HTTPValidationError" in json.dumps(answer):
                operation["responses"]["422"] = {
                    "description": _DESCRIPTIONS[422],
                    "content": _PROBLEM_CONTENT,
                }
    if app.state.examples is not None:
        _add_examples(document, json.loads(app.state.examples.read_text("utf-8")))
    for operations in document.get("webhooks", {}).values():
        for operation in operations.values():
            operation["responses"].pop("422", None)  # receivers choose their own answers
    return document


def _add_examples(document: dict[str, Any], examples: Mapping[str, Any]) -> None:
    """Add the examples of a service to its document.

    Args:
        examples: `request` and `answer` by operation, such as `GET /v1/documents`.
    """
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            example = examples.get(f"{method.upper()} {path}", {})
            if "request" in example:
                _set_example(operation["requestBody"], example["request"])
            for status, answer in operation["responses"].items():
                if "answer" in example and status.startswith("2"):
                    _set_example(answer, example["answer"])


def _set_example(body: Mapping[str, Any], example: Any) -> None:
    for content in body.get("content", {}).values():
        content["example"] = example


def openapi_document(app: FastAPI) -> str:
    """Return the text of the document's file, sorted and indented."""
    return json.dumps(app.openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
