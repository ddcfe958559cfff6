"""One provider of the policy's file: its protocol, its key, its breaker."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from services.escalation.providers.anthropic import WRITING, Anthropic
from services.escalation.providers.base import (
    Dialect,
    Prompt,
    ProviderError,
    Refused,
    Reply,
    TooBusy,
    Unusable,
    Usage,
)
from services.escalation.providers.breaker import Breaker
from services.escalation.providers.gemini import Gemini
from services.escalation.providers.openai import OpenAI, OwnOpenAI
from services.escalation.providers.post import Post
from shared.errors import SuiteError
from shared.prices import Price

ProtocolName = Literal["anthropic", "gemini", "openai", "own"]
DIALECTS: Mapping[ProtocolName, Dialect] = {
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    "openai": OpenAI(),
    "own": OwnOpenAI(),
}
STAND_IN = "stand-in"
"""What the name of a provider begins with that is none, but answers like one for tests."""
STAND_IN_HEADER = "x-smallprint-stand-in"
UNSEEN_TOKENS = 2_000
"""Tokens that a provider may add of its own: roles, and what makes a model keep to a schema."""

T = TypeVar("T")


@dataclass(frozen=True)
class Provider:
    """Asks one model. Threads may share one.

    Args:
        key: gives the key, and is asked at each call, so that a changed one counts at once.
        seconds: for the whole of one call.
        most: tokens of an answer, thoughts included.
        structured: how the schema is enforced: `schema`, `json` or `none`.
        inside: whether what it is sent stays in the house.
    """

    name: str
    protocol: ProtocolName
    model: str
    origin: str
    price: Price
    key: Callable[[], str] = field(repr=False)
    seconds: float = 60.0
    most: int = 2_000
    structured: str = "schema"
    inside: bool = False
    post: Post = field(default_factory=Post, repr=False)
    breaker: Breaker = field(default_factory=Breaker, repr=False)

    @property
    def stand_in(self) -> bool:
        """Whether it only plays a provider."""
        return self.name.startswith(STAND_IN)

    def worst_case(self, prompt: Prompt) -> Usage:
        """Tokens that a call can't exceed: a token has at least one byte, in every alphabet, and
        counts with what writing it into a cache costs.
        """
        sent = len(self._body(prompt)) + UNSEEN_TOKENS
        return Usage(math.ceil(sent * WRITING) if prompt.shared else sent, self.most)

    def ask(self, prompt: Prompt) -> Reply:
        """One call. Raises ProviderError, of the kinds that `base` has."""
        began = time.monotonic()
        try:
            reply = self._ask(prompt)
        except ProviderError as error:
            self.breaker.failed(error.wait)
            raise
        self.breaker.succeeded()
        return replace(reply, seconds=time.monotonic() - began)

    def _ask(self, prompt: Prompt) -> Reply:
        dialect = DIALECTS[self.protocol]
        url = self.origin.rstrip("/") + dialect.path(self.model)
        headers = dialect.headers(self.key())
        posted = self.post(self.name, url, headers, self._body(prompt), self.seconds)
        if STAND_IN_HEADER in posted.headers and not self.stand_in:
            raise Refused(
                f"{self.name} is a stand-in for tests: its answers count only under a name that "
                f"begins with {STAND_IN}"
            )
        try:
            return dialect.read(posted.answer)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise Unusable(f"the answer of {self.name} is not of its protocol") from None

    def _body(self, prompt: Prompt) -> bytes:
        body = DIALECTS[self.protocol].body(prompt, self.model, self.most, self.structured)
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


class NobodyAnswers(ProviderError):
    """No provider that may be asked gives an answer now."""

    code = "nobody_answers"


def in_order(
    providers: Iterable[Provider],
    ask: Callable[[Provider], T],
    passing: tuple[type[SuiteError], ...] = (),
) -> T:
    """What the first provider that answers says; one that rests is passed over.

    Args:
        passing: further errors after which the next one is asked; waiting does not mend them.

    Raises:
        NobodyAnswers: with all reasons; `wait` is None where waiting does not help.
    """
    reasons, waits = [], []
    for provider in providers:
        if rest := provider.breaker.wait():
            reasons.append(f"{provider.name} rests for {rest:.0f} seconds after failures")
            waits.append(rest)
            continue
        try:
            return ask(provider)
        except passing as error:
            reasons.append(error.message)
        except ProviderError as error:
            reasons.append(error.message)
            if isinstance(error, TooBusy) or not isinstance(error, Refused):
                waits.append(provider.breaker.wait())
    raise NobodyAnswers(
        "; ".join(reasons) or "there is no provider to ask", wait=min(waits, default=None)
    )
