"""A provider of the policy file: protocol, key and circuit breaker."""

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
    InvalidResponse,
    Pace,
    Prompt,
    ProviderError,
    RateLimited,
    Refused,
    Reply,
    TooBusy,
)
from services.escalation.providers.circuit_breaker import Breaker
from services.escalation.providers.gemini import Gemini
from services.escalation.providers.openai import OpenAI, OwnOpenAI
from services.escalation.providers.transport import Post
from shared.errors import SuiteError
from shared.policy.prices import Price, Usage

ProtocolName = Literal["anthropic", "gemini", "openai", "own"]
DIALECTS: Mapping[ProtocolName, Dialect] = {
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    "openai": OpenAI(),
    "own": OwnOpenAI(),
}
STAND_IN = "stand-in"  # the name prefix of test stand-ins
STAND_IN_HEADER = "x-smallprint-stand-in"
UNSEEN_TOKENS = 2_000  # tokens that a provider may add, such as roles and the schema

T = TypeVar("T")


def is_stand_in(name: str) -> bool:
    """Whether a provider of that name is a test stand-in."""
    return name.startswith(STAND_IN)


@dataclass(frozen=True)
class Provider:
    """Asks one model. Safe from several threads.

    Args:
        key: reads the key for each call.
        most: tokens of an answer, including reasoning.
        structured: how the schema is enforced: `schema`, `json` or `none`.
        pace: its rate limit, counted in the ledger.
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
    pace: Pace = field(default_factory=Pace)
    post: Post = field(default_factory=Post, repr=False)
    breaker: Breaker = field(default_factory=Breaker, repr=False)

    @property
    def stand_in(self) -> bool:
        """Whether it is a test stand-in."""
        return is_stand_in(self.name)

    def worst_case(self, prompt: Prompt) -> Usage:
        """Return an upper bound of the tokens of a call: one for each byte, plus cache costs."""
        sent = len(self._body(prompt)) + UNSEEN_TOKENS
        return Usage(math.ceil(sent * WRITING) if prompt.shared else sent, self.most)

    def ask(self, prompt: Prompt) -> Reply:
        """Make one call. Raises ProviderError."""
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
                f"{self.name} answered as a stand-in for tests: give it a name that begins with "
                f"{STAND_IN}, or correct its address"
            )
        try:
            return dialect.read(posted.answer)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise InvalidResponse(f"the answer of {self.name} is not of its protocol") from None

    def _body(self, prompt: Prompt) -> bytes:
        body = DIALECTS[self.protocol].body(prompt, self.model, self.most, self.structured)
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


class NobodyAnswers(ProviderError):
    """No permitted provider answers."""

    code = "nobody_answers"

    def __init__(
        self, message: str = "", *, wait: float | None = None, at_pace: bool = False
    ) -> None:
        """`at_pace`: whether a rate limit of the policy was reached."""
        super().__init__(message, wait=wait)
        self.at_pace = at_pace


def in_order(
    providers: Iterable[Provider],
    ask: Callable[[Provider], T],
    passing: tuple[type[SuiteError], ...] = (),
) -> T:
    """Ask providers in order and return the first answer. Resting ones are skipped.

    Args:
        providers: in order of preference.
        passing: further errors after which the next one is asked.

    Raises:
        NobodyAnswers: with all reasons; `wait` is None if waiting does not help.
    """
    reasons, waits, at_pace = [], [], False
    for provider in providers:
        if rest := provider.breaker.wait():
            reasons.append(f"{provider.name} pauses for {rest:.0f} seconds after failures")
            waits.append(rest)
            continue
        try:
            return ask(provider)
        except passing as error:
            reasons.append(error.message)
        except ProviderError as error:
            reasons.append(error.message)
            if isinstance(error, RateLimited):
                at_pace = True
                waits.append(error.wait or 0.0)
            elif isinstance(error, TooBusy) or not isinstance(error, Refused):
                waits.append(provider.breaker.wait())
    raise NobodyAnswers(
        "; ".join(reasons) or "there is no provider to ask",
        wait=min(waits, default=None),
        at_pace=at_pace,
    )
