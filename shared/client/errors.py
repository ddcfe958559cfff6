"""What can go wrong, as the caller sees it.

SmallprintError
├── ApiError          the service answered with a problem (RFC 9457)
│   ├── NotSignedIn   401: no key, or it is unknown, expired or revoked
│   ├── NotAllowed    403
│   ├── NotFound      404: nothing of that id in this tenant
│   ├── Conflict      409: not in a state that allows this, yet or any more
│   ├── Stale         412: it has changed since it was read
│   ├── Refused       400, 413, 415, 422: the request or the document is at fault
│   └── Unavailable   429, 5xx, or no answer at all, after all tries
└── WaitedTooLong     the document has not ended in time
"""

from __future__ import annotations

from typing import Any

import httpx


class SmallprintError(Exception):
    """Something went wrong."""


class ApiError(SmallprintError):
    """The service answered with a problem.

    `code` is what to search for, `detail` what happened and what to do, `document` the id or name
    of the document where there is one, `trace` what finds it in the logs.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        document: str | None = None,
        trace: str | None = None,
    ) -> None:
        super().__init__(f"{detail} ({code}, {status})")
        self.status = status
        self.code = code
        self.detail = detail
        self.document = document
        self.trace = trace


class NotSignedIn(ApiError):
    """No key, or one that is unknown, expired or revoked."""


class NotAllowed(ApiError):
    """This key may not do that."""


class NotFound(ApiError):
    """There is nothing of that id in this tenant."""


class Conflict(ApiError):
    """It is not in a state that allows this, yet or any more."""


class Stale(ApiError):
    """It has changed since it was read: read it again, and decide anew."""


class Refused(ApiError):
    """The request, or the document in it, is at fault; the same again gets the same answer."""


class Unavailable(ApiError):
    """No answer, or none that helps, after all tries."""


class WaitedTooLong(SmallprintError):
    """A document has not ended in time; it is still being worked on."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: Refused,
    401: NotSignedIn,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: Stale,
    413: Refused,
    415: Refused,
    422: Refused,
    429: Unavailable,
}


def error_of(answer: httpx.Response) -> ApiError:
    """The error that an answer of 400 or more stands for, whether it is problem+json or not."""
    fallback = Unavailable if answer.status_code >= 500 else ApiError
    kind = _BY_STATUS.get(answer.status_code, fallback)
    problem = _problem(answer)
    code = str(problem.get("type", "")).rpartition(":")[2] or "http_error"
    detail = str(problem.get("detail") or f"the service answered {answer.status_code}")
    return kind(answer.status_code, code, detail, problem.get("document"), problem.get("trace"))


def _problem(answer: httpx.Response) -> dict[str, Any]:
    if "json" not in answer.headers.get("content-type", ""):
        return {}
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
