"""The header `Idempotency-Key` of a route, and what it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Header, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, Field
from pydantic.json_schema import SkipJsonSchema

from services.ingest.idempotency.domain import Answer
from shared.web.openapi import RETRY_AFTER, problems

_KEY = r"[!#-\[\]-~]{1,255}"


def _bare(key: str) -> str:
    """The key without the quotes that it has as the draft writes it."""
    return key.strip('"')


IdempotencyKey = Annotated[
    Annotated[str, Field(pattern=f'^("{_KEY}"|{_KEY})$'), AfterValidator(_bare)]
    | SkipJsonSchema[None],
    Header(
        alias="Idempotency-Key",
        description="a random text of the client's, such as a UUID, the same at every try of a "
        "request: what was done is not done again, and is answered as it was; kept for 24 hours "
        "(setting SMALLPRINT_INGEST_IDEMPOTENCY_HOURS)",
    ),
]
ONCE: dict[int | str, dict[str, Any]] = {
    409: {
        "description": "Not in a state that allows this; or the key was sent with another request, "
        "or what it brought was deleted, or the first request is being worked on: then "
        "`Retry-After` says when to ask again",
        "content": problems(409)[409]["content"],
        "headers": RETRY_AFTER,
    }
}
"""For `responses=` of a route that takes the header."""


def answered(answer: Answer, more: Mapping[str, str] | None = None) -> Response:
    """The answer, as it is sent; with more headers, which are of now and not of the first time."""
    headers = {**answer.headers, **(more or {})}
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    return JSONResponse(
        answer.body, status_code=answer.status, headers=headers, media_type=answer.media_type
    )
