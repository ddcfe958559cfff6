"""The errors of the client.

SmallprintError
├── ApiError          the service answered with a problem (RFC 9457)
│   ├── NotSignedIn   401: no key, or it is unknown, expired or revoked
│   ├── NotAllowed    403
│   ├── NotFound      404: nothing of that id in this tenant
│   ├── Conflict      409: not in a state that allows this, yet or any more
│   ├── PreconditionFailed 412: it has changed since it was read
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

    `code` is the name of the problem, `detail` says what happened and what to do. `document` is its
    id or name, `trace` finds it in the logs.
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
    """The key is missing, unknown, expired or revoked."""


class NotAllowed(ApiError):
    """The key may not do this."""


class NotFound(ApiError):
    """The tenant has nothing with this id."""


class Conflict(ApiError):
    """The state does not allow this, yet or any longer."""


class PreconditionFailed(ApiError):
    """It has changed since it was read: read it again and decide again."""


class Refused(ApiError):
    """The request or its document is wrong; repeating it does not help."""


class Unavailable(ApiError):
    """No useful answer after all tries."""


class WaitedTooLong(SmallprintError):
    """A document has not ended in time; work on it continues."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: Refused,
    401: NotSignedIn,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    413: Refused,
    415: Refused,
    422: Refused,
    429: Unavailable,
}


def error_of(answer: httpx.Response) -> ApiError:
    """The error of an answer of 400 or more, with problem+json or without."""
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
