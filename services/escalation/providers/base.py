"""What is asked of a frontier model, what it answers, and how it fails: plain data.

ProviderError
├── NotReached   no request arrived: nothing is billed
├── Refused      the provider refused the request: nothing is billed
│   ├── NotThere it has no such thing (404)
│   └── TooBusy  for now (429)
│       ├── Overloaded  with whatever it has (503, 529)
│       └── AtPace  by the limit that the operator states: it was not asked
└── Lost         a request may have been worked on, and what it cost is not known
    └── Unusable the answer is not of the protocol
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from shared.errors import SuiteError


@dataclass(frozen=True)
class Usage:
    """Tokens, as a provider counts them."""

    input: int
    output: int
    """With those that the model thought in."""


@dataclass(frozen=True)
class Pace:
    """What may be asked of a provider within any minute, by all tenants and workers together; None:
    as much as it takes.
    """

    requests: int | None = None
    tokens: int | None = None
    """In and out. A call counts with its worst case until its bill is there."""

    def __bool__(self) -> bool:
        return self.requests is not None or self.tokens is not None


@dataclass(frozen=True)
class Prompt:
    """One question to a model."""

    system: str
    """The same for many questions, so that a provider's cache of prompts serves it."""
    turns: tuple[str, ...]
    """What we said and what was answered, by turns, beginning and ending with us."""
    schema: Mapping[str, Any]
    """JSON schema of the answer."""
    shared: int = 0
    """Characters that the first turn has in common with those of many other questions, so that a
    provider's cache serves them where it has to be told."""


@dataclass(frozen=True)
class Reply:
    """What came back."""

    text: str
    usage: Usage | None
    """None if the provider does not say."""
    model: str
    refused: bool = False
    """Whether the model declined."""
    cut: bool = False
    """Whether the answer was cut off at the limit of tokens."""
    seconds: float = 0.0
    """From the question to the answer, as it was seen here."""


class ProviderError(SuiteError):
    """A provider gave no answer."""

    code = "provider"
    http_status = 503
    may_be_billed: ClassVar[bool] = False
    """Whether it may have cost something all the same."""

    def __init__(self, message: str = "", *, wait: float | None = None) -> None:
        """`wait` is in seconds, where the provider says when to come again."""
        super().__init__(message)
        self.wait = wait


class NotReached(ProviderError):
    """The provider can't be reached."""

    code = "provider_not_reached"


class Refused(ProviderError):
    """The provider refused the request."""

    code = "provider_refused"


class NotThere(Refused):
    """The provider has no such model, address, batch or file."""


class TooBusy(Refused):
    """The provider has too much to do now."""

    code = "provider_busy"


class Overloaded(TooBusy):
    """The provider, or what is in front of it, has too much to do for anybody."""


class AtPace(TooBusy):
    """As much was asked of it in the last minute as the operator allows: it was not asked."""

    code = "provider_at_pace"


class Lost(ProviderError):
    """The connection ended before there was an answer."""

    code = "provider_lost"
    may_be_billed = True


class Unusable(Lost):
    """The provider's answer is not of its protocol."""

    code = "provider_unusable"


class Dialect(Protocol):
    """How a kind of provider is spoken to."""

    origin: str
    """Where it is, unless another address is stated; empty: it has to be stated."""

    def path(self, model: str) -> str:
        """Of the request, below the origin."""

    def headers(self, key: str) -> Mapping[str, str]:
        """What shows who asks; `key` is empty where none is needed."""

    def body(self, prompt: Prompt, model: str, most: int, structured: str) -> Mapping[str, Any]:
        """The request. `most` is tokens of the answer; `structured` how the schema is enforced:
        `schema`, `json` or `none`.
        """

    def read(self, answer: Any) -> Reply:
        """The reply in an answer. Raises LookupError, TypeError or ValueError for another form."""


def usage(
    needed: tuple[object, object], more_in: Iterable[object] = (), more_out: Iterable[object] = ()
) -> Usage | None:
    """What a call cost, in and out; None unless the provider says both that are needed. Raises
    TypeError or ValueError where one is no number of tokens.

    Args:
        more_in, more_out: what providers leave out where it is nothing: of caches, of thoughts.
    """
    read, written = map(count, needed)
    read, written = read + sum(map(count, more_in)), written + sum(map(count, more_out))
    return None if None in needed else Usage(read, written)


def count(value: object) -> int:
    """A number of tokens; missing is 0. Raises TypeError or ValueError for anything else."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("not a number of tokens")
    if not 0 <= value < 1 << 53:
        raise ValueError("no number of tokens")
    return value


def words(value: object) -> str:
    """A text that may be missing, without what no database or encoding takes. Raises TypeError for
    anything else.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
