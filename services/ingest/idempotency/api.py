"""The header `Idempotency-Key` and the stored answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Header, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, Field
from pydantic.json_schema import SkipJsonSchema

from services.ingest.idempotency.store import Answer
from shared.web.openapi import RETRY_AFTER, problems

_KEY = r"[!#-\[\]-~]{1,255}"


IdempotencyKey = Annotated[
    Annotated[
        str, Field(pattern=f'^("{_KEY}"|{_KEY})$'), AfterValidator(lambda key: key.strip('"'))
    ]
    | SkipJsonSchema[None],
    Header(
        alias="Idempotency-Key",
        description="random text chosen by the client, such as a UUID, the same for "
        "every try of a request. A repeated request gets the stored "
        "answer and has no further effect, for 24 hours (setting "
        "SMALLPRINT_INGEST_IDEMPOTENCY_HOURS)",
    ),
]
ONCE: dict[int | str, dict[str, Any]] = {
    409: {
        "description": (
            "The state does not allow this. Or the key belongs to another "
            "request, its result was deleted, or the first request is in "
            "progress: then retry after `Retry-After`"
        ),
        "content": problems(409)[409]["content"],
        "headers": RETRY_AFTER,
    }
}
"""`responses=` of a route that takes the header."""


def to_response(answer: Answer, more: Mapping[str, str] | None = None) -> Response:
    """Build the response of an answer; `more` are headers of this response alone."""
    headers = {**answer.headers, **(more or {})}
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    return JSONResponse(
        answer.body, status_code=answer.status, headers=headers, media_type=answer.media_type
    )
