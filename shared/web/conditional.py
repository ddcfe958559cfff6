"""Conditional requests by RFC 9110: `If-None-Match` for reads, `If-Match` for changes."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any

from fastapi import Header, Response
from pydantic.json_schema import SkipJsonSchema

from shared.errors import PreconditionFailed

_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_LONGEST = 2000

IfNoneMatch = Annotated[
    str | SkipJsonSchema[None],
    Header(max_length=_LONGEST, description="`ETag` of the known version: 304 if it is current"),
]
IfMatch = Annotated[
    str | SkipJsonSchema[None],
    Header(
        max_length=_LONGEST, description="`ETag` of the version to change: 412 if it has changed"
    ),
]
ETAG: dict[str, Any] = {
    "ETag": {"description": "version of the response", "schema": {"type": "string"}}
}
"""The header of a response in OpenAPI."""
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The version in `If-None-Match` is current", "headers": ETAG}
}
"""`responses=` of a route that takes `If-None-Match`."""


def etag_of(data: bytes, state: bytes | None = None) -> str:
    """Return the strong tag of a body, with quotes.

    Args:
        state: the part of it that a change depends on; `If-Match` compares this alone.
    """
    tag = _hash(data) if state is None else f"{_hash(state)}.{_hash(data)}"
    return f'"{tag}"'


def is_current(etag: str, if_none_match: str | None) -> bool:
    """Return whether the client has this version, by weak comparison."""
    if if_none_match is None:
        return False
    tags = _TAG.findall(if_none_match)
    return if_none_match.strip() == "*" or etag in (tag for _, tag in tags)


def require_match(etag: str, if_match: str | None, document: str | None = None) -> None:
    """Raise PreconditionFailed unless `If-Match` has this tag, by strong comparison.

    Tags with a state are compared by it alone.
    """
    if if_match is None or if_match.strip() == "*":
        return
    tags = (tag for weak, tag in _TAG.findall(if_match) if not weak)
    if _state(etag) not in map(_state, tags):
        raise PreconditionFailed(
            "It has changed since you read it (`If-Match`). Read it again before you change it.",
            etag=etag,
            document=document,
        )


def _state(tag: str) -> str:
    return tag.strip('"').partition(".")[0]


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def not_modified(etag: str) -> Response:
    """Return the response 304 with its tag."""
    return Response(status_code=304, headers={"etag": etag})
