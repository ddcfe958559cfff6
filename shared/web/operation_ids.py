"""The names of operations in OpenAPI. Generated clients take them as names of functions."""

from __future__ import annotations

import re

_VERBS = {"GET": "get", "HEAD": "head", "OPTIONS": "options", "POST": "create", "PUT": "set",
          "PATCH": "update", "DELETE": "delete"}  # fmt: skip
_ACTIONS = ("cancel", "claim", "keep", "redeliver", "release", "reprocess", "rotate", "test")
"""The last words of paths that do something instead of naming a thing."""


def operation_id(method: str, path: str) -> str:
    """Return a name such as `get_document_clauses` for `GET /v1/documents/{id}/clauses`."""
    parts = path.removeprefix("/v1").strip("/").split("/")
    words: list[str] = []
    for part in parts:
        if part.startswith("{"):
            words[-1] = words[-1].removesuffix("s") if words[-1] != "deliveries" else "delivery"
            words += re.findall(r"}\.(\w+)", part)
        else:
            words.append(part.replace("-", "_"))
    verb = _VERBS[method]
    if method == "POST" and words[-1] in _ACTIONS:
        verb = words.pop()
    return "_".join([verb, *words])
