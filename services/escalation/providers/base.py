"""Prompts, replies and errors of frontier models as plain data.

ProviderError
├── NotReached           no request arrived: not billed
├── Refused              the request was refused: not billed
│   └── TooBusy          for now (429, 503, 529)
│       └── RateLimited  by the limit of the policy: not asked
└── Lost                 the request may be billed
    └── InvalidResponse  the response has the wrong form
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from shared.errors import SuiteError
from shared.policy.prices import Usage


@dataclass(frozen=True)
class Pace:
    """The rate limit of a provider for any minute, over all tenants; None: no limit."""

    requests: int | None = None
    tokens: int | None = None
    """In and out. A call counts with its worst case until it is billed."""

    def __bool__(self) -> bool:
        return self.requests is not None or self.tokens is not None


@dataclass(frozen=True)
class Prompt:
    """One question to a model."""

    system: str  # the same for many questions, so that the provider can cache it
    turns: tuple[str, ...]  # alternating turns, beginning and ending with ours
    schema: Mapping[str, Any]  # JSON schema of the answer
    shared: int = 0
    """Characters of the first turn that many questions share, for the provider's cache."""


@dataclass(frozen=True)
class Reply:
    """The reply of a model."""

    text: str
    usage: Usage | None  # None: unknown
    model: str
    refused: bool = False  # whether the model declined
    cut: bool = False  # whether the answer was cut off at the limit of tokens
    seconds: float = 0.0  # duration of the call


class ProviderError(SuiteError):
    """A provider gave no answer."""

    code = "provider"
    http_status = 503
    may_be_billed: ClassVar[bool] = False  # whether the call may be billed

    def __init__(self, message: str = "", *, wait: float | None = None) -> None:
        """`wait`: seconds until a retry, if known."""
        super().__init__(message)
        self.wait = wait


class NotReached(ProviderError):
    """The provider can't be reached."""

    code = "provider_not_reached"


class Refused(ProviderError):
    """The provider refused the request."""

    code = "provider_refused"


class TooBusy(Refused):
    """The provider is overloaded."""

    code = "provider_busy"


class RateLimited(TooBusy):
    """The rate limit of the policy is reached."""

    code = "provider_at_pace"


class Lost(ProviderError):
    """The connection ended before there was an answer."""

    code = "provider_lost"
    may_be_billed = True


class InvalidResponse(Lost):
    """The response has the wrong form."""

    code = "provider_unusable"


class Dialect(Protocol):
    """The protocol of a provider."""

    origin: str  # the default URL; empty: required in the policy

    def path(self, model: str) -> str:
        """The path of the request."""

    def headers(self, key: str) -> Mapping[str, str]:
        """The headers with the key, if there is one."""

    def body(self, prompt: Prompt, model: str, most: int, structured: str) -> Mapping[str, Any]:
        """The body of the request.

        Args:
            most: tokens of the answer at most.
            structured: how the schema is enforced: `schema`, `json` or `none`.
        """

    def read(self, answer: Any) -> Reply:
        """Parse a response. Raises LookupError, TypeError or ValueError for a wrong form."""


def usage(
    needed: tuple[object, object], more_in: Iterable[object] = (), more_out: Iterable[object] = ()
) -> Usage | None:
    """Return the tokens of a call; None if a needed number is missing.

    Raises TypeError or ValueError for an invalid number.

    Args:
        needed: tokens in and out.
        more_in: optional further tokens in, such as cached ones.
        more_out: optional further tokens out, such as reasoning.
    """
    read, written = map(count, needed)
    read, written = read + sum(map(count, more_in)), written + sum(map(count, more_out))
    return None if None in needed else Usage(read, written)


def count(value: object) -> int:
    """Parse a number of tokens; missing is 0. Raises TypeError or ValueError."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("not a number of tokens")
    if not 0 <= value < 1 << 53:
        raise ValueError("no number of tokens")
    return value


def words(value: object) -> str:
    """Parse an optional text, without characters that can't be stored. Raises TypeError."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
