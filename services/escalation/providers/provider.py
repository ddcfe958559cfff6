"""One provider of the policy's file: its protocol, its key, its breaker."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, Self, TypeVar

from services.escalation.providers.anthropic import WRITING, Anthropic
from services.escalation.providers.base import (
    AtPace,
    Dialect,
    Lost,
    NotReached,
    NotThere,
    Overloaded,
    Pace,
    Prompt,
    ProviderError,
    Refused,
    Reply,
    TooBusy,
    Unusable,
    Usage,
)
from services.escalation.providers.batches import (
    SHARE,
    AnthropicBatches,
    BatchDialect,
    Line,
    OpenAIBatches,
    Remote,
    Wanted,
    pages,
)
from services.escalation.providers.breaker import Breaker
from services.escalation.providers.gemini import Gemini
from services.escalation.providers.openai import OpenAI, OwnOpenAI
from services.escalation.providers.post import Post, Posted
from shared.errors import SuiteError
from shared.prices import Price

log = logging.getLogger(__name__)

ProtocolName = Literal["anthropic", "gemini", "openai", "own"]
DIALECTS: Mapping[ProtocolName, Dialect] = {
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    "openai": OpenAI(),
    "own": OwnOpenAI(),
}
BATCHES: Mapping[ProtocolName, BatchDialect] = {
    "anthropic": AnthropicBatches(),
    "openai": OpenAIBatches(DIALECTS["openai"].path("")),
}
"""Those that are spoken here."""
BATCH_SECONDS = 300.0
"""For handing a batch in, or fetching what came of it."""
PAGES_MOST = 50
"""Of a list of batches."""
STAND_IN = "stand-in"
"""What the name of a provider begins with that is none, but answers like one for tests."""
STAND_IN_HEADER = "x-smallprint-stand-in"
UNSEEN_TOKENS = 2_000
"""Tokens that a provider may add of its own: roles, and what makes a model keep to a schema."""

T = TypeVar("T")


def is_stand_in(name: str) -> bool:
    """Whether a provider of that name only plays one: any other that says so in its answers is
    refused.
    """
    return name.startswith(STAND_IN)


@dataclass(frozen=True)
class Provider:
    """Asks one model. Threads may share one.

    Args:
        key: gives the key, and is asked at each call, so that a changed one counts at once.
        seconds: for the whole of one call.
        most: tokens of an answer, thoughts included.
        structured: how the schema is enforced: `schema`, `json` or `none`.
        inside: whether what it is sent stays in the house.
        pace: what may be asked of it in a minute; the ledger, which all workers share, counts.
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
        """Whether it only plays a provider."""
        return is_stand_in(self.name)

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

    @property
    def takes_batches(self) -> bool:
        """Whether its batch interface is spoken here."""
        return self.protocol in BATCHES

    @property
    def marks_batches(self) -> bool:
        """Whether its batches carry a mark of ours."""
        return BATCHES[self.protocol].marks

    @property
    def deletes_batches(self) -> bool:
        """Whether its batches themselves can be deleted, and are not there any more then."""
        return BATCHES[self.protocol].deletes

    def at_batch_price(self) -> Self:
        """The same at the price of its batch interface."""
        return replace(self, price=self.price.times(SHARE))

    def hand_in(self, prompts: Mapping[str, Prompt], mark: str) -> Remote:
        """Hand in a batch of questions, by ids of ours.

        Args:
            mark: what it is called at the provider, where it can be called anything.

        Raises ProviderError; only where that may be billed, there may be a batch. Where it is not,
        the file of a batch that was not taken is deleted, if that can be done at once.
        """
        dialect, answer = BATCHES[self.protocol], None
        requests = {id_: self._request(prompt) for id_, prompt in prompts.items()}
        if wanted := dialect.upload(requests, mark):
            try:
                answer = self._exchange(wanted, BATCH_SECONDS).answer
            except Lost as error:  # a file alone costs nothing
                raise NotReached(error.message, wait=error.wait) from None
        try:
            return self._batch(lambda: dialect.create(requests, mark, answer), BATCH_SECONDS)
        except Overloaded as error:  # said in front of the provider, it may have the batch
            raise Lost(error.message, wait=error.wait) from None
        except ProviderError as error:
            if wanted and not error.may_be_billed:
                self._take_back(dialect.unload(answer))
            raise

    def _take_back(self, uploaded: Wanted) -> None:
        """Delete what was uploaded for a batch that was not taken."""
        try:
            self._delete([uploaded])
        except ProviderError as error:
            told = {"provider": self.name, "reason": error.message}
            log.warning("the questions of a batch that was not taken stay there", extra=told)

    def look(self, remote: str) -> Remote:
        """How a batch is. Raises ProviderError."""
        return self._batch(lambda: BATCHES[self.protocol].look(remote), self.seconds)

    def cancel(self, remote: str) -> Remote:
        """Stop a batch, as far as it is not done. Raises ProviderError."""
        return self._batch(lambda: BATCHES[self.protocol].cancel(remote), self.seconds)

    def lines(self, remote: Remote) -> Iterator[Line]:
        """What became of the requests of a batch that has ended, in any order; what can't be read
        is left out. Raises ProviderError, at any line.
        """
        speaks = BATCHES[self.protocol]
        for path in remote.results:
            url = self.origin.rstrip("/") + path
            headers = DIALECTS[self.protocol].headers(self.key())
            for posted in self.post.lines(self.name, url, headers, BATCH_SECONDS):
                self._refuse_stand_in(posted)
                try:
                    yield speaks.line(posted.answer, DIALECTS[self.protocol])
                except (LookupError, TypeError, ValueError, AttributeError):
                    continue

    def listed(self, since: datetime) -> list[Remote]:
        """The batches that were made since a moment, whoever made them. Raises ProviderError."""
        found: list[Remote] = []
        after = ""
        for _ in range(PAGES_MOST):
            wanted = BATCHES[self.protocol].listed(after)
            answer = self._exchange(wanted, self.seconds).answer
            try:
                listed, after = pages(answer)
                page = [BATCHES[self.protocol].read(one) for one in listed]
            except (LookupError, TypeError, ValueError, AttributeError):
                raise Unusable(f"the list of {self.name} is not of its protocol") from None
            found += [one for one in page if one.created >= since]
            if not after or len(page) > sum(one.created >= since for one in page):
                return found
        raise Unusable(f"the list of {self.name} does not end")

    def forget(self, remote: Remote) -> None:
        """Delete the words of a batch at the provider; twice is as good as once. Raises
        ProviderError: something is left.
        """
        self._delete(BATCHES[self.protocol].forget(remote))

    def _delete(self, wanted: Iterable[Wanted]) -> None:
        """Try each, and raise the first ProviderError; what is not there is deleted, and told."""
        errors: list[ProviderError] = []
        for one in wanted:
            try:
                self._exchange(one, self.seconds)
            except NotThere as error:
                told = {"provider": self.name, "path": one.path, "reason": error.message}
                log.warning("what was to be deleted was not there", extra=told)
            except ProviderError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _batch(self, wanted: Callable[[], Wanted], seconds: float) -> Remote:
        """A batch, in the answer to a request."""
        try:
            request = wanted()
            answer = self._exchange(request, seconds).answer
            return BATCHES[self.protocol].read(answer)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise Unusable(f"the answer of {self.name} is not of its protocol") from None

    def _ask(self, prompt: Prompt) -> Reply:
        dialect = DIALECTS[self.protocol]
        wanted = Wanted("POST", dialect.path(self.model), self._body(prompt))
        posted = self._exchange(wanted, self.seconds)
        try:
            return dialect.read(posted.answer)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise Unusable(f"the answer of {self.name} is not of its protocol") from None

    def _exchange(self, wanted: Wanted, seconds: float) -> Posted:
        url = self.origin.rstrip("/") + wanted.path
        headers = {**DIALECTS[self.protocol].headers(self.key()), **(wanted.headers or {})}
        posted = self.post(self.name, url, headers, wanted.body, seconds, wanted.method)
        self._refuse_stand_in(posted)
        return posted

    def _refuse_stand_in(self, posted: Posted) -> None:
        if STAND_IN_HEADER in posted.headers and not self.stand_in:
            raise Refused(
                f"{self.name} is a stand-in for tests: its answers count only under a name that "
                f"begins with {STAND_IN}"
            )

    def _request(self, prompt: Prompt) -> Mapping[str, Any]:
        return DIALECTS[self.protocol].body(prompt, self.model, self.most, self.structured)

    def _body(self, prompt: Prompt) -> bytes:
        return json.dumps(self._request(prompt), ensure_ascii=False).encode("utf-8", "replace")


class NobodyAnswers(ProviderError):
    """No provider that may be asked gives an answer now."""

    code = "nobody_answers"

    def __init__(
        self, message: str = "", *, wait: float | None = None, at_pace: bool = False
    ) -> None:
        """`at_pace` is whether one was not asked for the limit that the operator states."""
        super().__init__(message, wait=wait)
        self.at_pace = at_pace


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
    reasons, waits, at_pace = [], [], False
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
            if isinstance(error, AtPace):
                at_pace = True
                waits.append(error.wait or 0.0)
            elif isinstance(error, TooBusy) or not isinstance(error, Refused):
                waits.append(provider.breaker.wait())
    raise NobodyAnswers(
        "; ".join(reasons) or "there is no provider to ask",
        wait=min(waits, default=None),
        at_pace=at_pace,
    )
