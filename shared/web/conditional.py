"""Conditional requests by RFC 9110: an answer that is known already is not sent again, and a change
to what has changed meanwhile is refused.

`ETag` names what was answered. A reader sends it back as `If-None-Match`, and gets 304 while it is
the same; whoever changes something sends it as `If-Match`, and gets 412 if it is not the same.
"""

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
    Header(max_length=_LONGEST, description="`ETag` of what is known: 304 while it is the same"),
]
IfMatch = Annotated[
    str | SkipJsonSchema[None],
    Header(max_length=_LONGEST, description="`ETag` of what is to be changed: 412 if it has been"),
]
ETAG: dict[str, Any] = {
    "ETag": {"description": "names what is answered", "schema": {"type": "string"}}
}
"""The header of an answer, in OpenAPI."""
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "It is what `If-None-Match` names", "headers": ETAG}
}
"""For `responses=` of a route that takes `If-None-Match`."""


def etag_of(data: bytes, state: bytes | None = None) -> str:
    """The strong tag of these bytes, in its quotes.

    Args:
        data: what is answered.
        state: what of it a change depends on, where that is less: `If-Match` compares this alone.
    """
    tag = _hash(data) if state is None else f"{_hash(state)}.{_hash(data)}"
    return f'"{tag}"'


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Whether the caller has what this tag names, by the weak comparison."""
    if if_none_match is None:
        return False
    known = _TAG.findall(if_none_match)
    return if_none_match.strip() == "*" or etag in (tag for _, tag in known)


def require_match(etag: str, if_match: str | None, document: str | None = None) -> None:
    """Raise PreconditionFailed unless the caller knows what this tag names, by the strong
    comparison: a weak tag never matches. Of a tag that names a state, that has to be the same.
    """
    if if_match is None or if_match.strip() == "*":
        return
    known = (tag for weak, tag in _TAG.findall(if_match) if not weak)
    if _state(etag) not in map(_state, known):
        raise PreconditionFailed(
            "it has changed since it was read (`If-Match` names another state): read it again, and"
            " decide anew",
            etag=etag,
            document=document,
        )


def _state(tag: str) -> str:
    return tag.strip('"').partition(".")[0]


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def not_modified(etag: str) -> Response:
    """The answer to whoever has it already."""
    return Response(status_code=304, headers={"etag": etag})
