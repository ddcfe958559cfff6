"""OpenAPI as it is: problems as problem+json, and the key or session that a route asks for.

Each service keeps what it answers beside itself, in `services/<name>/openapi.json`. `make schemas`
writes these files, and a test in each service holds its file against its application.
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from shared.web.auth import COOKIE
from shared.web.scopes import needed

_PROBLEM_CONTENT = {
    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
}
RETRY_AFTER = {
    "Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 0}}
}
_SAID = {
    400: "The request can't be understood",
    401: "No key, or one that is unknown, expired or revoked",
    403: "This key may not do that, or the CSRF token is missing",
    404: "There is nothing of that name in this tenant",
    409: "It is not in a state that allows this",
    412: "It has changed since it was read (`If-Match`), or the protocol has another version",
    413: "More than the limit allows",
    415: "A type that is not read",
    422: "The request, or the document in it, is at fault",
    429: "The key has asked too often: `Retry-After` says in how many seconds it may again",
    503: "Something does not answer now: try again",
}


class Problem(BaseModel):
    """An error by RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`urn:smallprint:problem:` and the code to search for")
    title: str
    status: int
    detail: str = Field(description="what happened, to what, and what to do")
    document: str | None = Field(None, description="id or name of the document it happened to")
    trace: str | None = Field(None, description="W3C traceparent, as it stands in the logs")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a route: the problems it may answer with, beside 401, 403, 422 and
    429.
    """
    return {
        status: {
            "description": _SAID[status],
            "content": _PROBLEM_CONTENT,
            **({"headers": RETRY_AFTER} if status in (429, 503) else {}),
        }
        for status in sorted({401, 403, 422, 429, *statuses})
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of an application; `create_app` sees to it that it is the one served."""
    document = FastAPI.openapi(app)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "application/json" in operation.get("requestBody", {}).get("content", {}):
                operation["responses"].setdefault("400", problems(400)[400])  # no JSON at all
            if path.startswith("/v1/"):
                operation.setdefault("security", [{"key": []}, {"session": []}])
                operation["x-scope"] = needed(method.upper(), path)
            answer = operation["responses"].get("422")
            if answer and "HTTPValidationError" in json.dumps(answer):
                operation["responses"]["422"] = {
                    "description": _SAID[422],
                    "content": _PROBLEM_CONTENT,
                }
    for operations in document.get("webhooks", {}).values():
        for operation in operations.values():
            operation["responses"].pop("422", None)  # a receiver of ours answers as it likes
    return document


def openapi_document(app: FastAPI) -> str:
    """The OpenAPI document as the text of its file: sorted and indented, so that it compares."""
    return json.dumps(app.openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
