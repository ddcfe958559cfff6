"""One question to one model, within its budget: reserve, call, settle; what was answered once is
not asked again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from services.escalation.ledger import BudgetSpent, Call, Caps, Ledger, ProviderStopped
from services.escalation.providers import Prompt, Provider, ProviderError, Reply, Usage
from services.escalation.providers.provider import in_order
from shared.events import Kind
from shared.tracing import span

SLACK = timedelta(seconds=30)
"""For which a reservation outlives its call, so that slow databases do not end it too early."""


@dataclass(frozen=True)
class Account:
    """On whose money something is asked, and about what."""

    tenant: str
    document_id: str
    escalation_id: str
    kind: Kind
    caps: Caps


@dataclass(frozen=True)
class Heard:
    """An answer, new or remembered."""

    call_id: str
    provider: Provider
    reply: Reply


class TooLate(Exception):
    """It waited so long for its turn that people have it by now."""

    message = "it waited too long to be asked: people have it by now, so nothing was paid for it"


def hear(
    ledger: Ledger,
    account: Account,
    providers: Sequence[Provider],
    prompt: Prompt,
    clock: Callable[[], datetime],
    late: bool = False,
) -> Heard:
    """Ask the first provider that answers, unless an answer is remembered.

    Args:
        late: whether nothing new is to be paid for.

    Raises:
        TooLate: no answer is remembered, and it is late.
        NobodyAnswers: none does, or their budget is gone, or they are stopped.
        TooManyCalls: it was asked as often as it may be.
        AskedNow: another request asks the same just now.
    """
    known = recall(ledger, account, providers, prompt)
    if known:
        return known
    if late:
        raise TooLate
    passing = (BudgetSpent, ProviderStopped)
    return in_order(
        providers,
        lambda provider: call(ledger, account, provider, prompt, clock()),
        passing,
    )


def recall(
    ledger: Ledger, account: Account, providers: Sequence[Provider], prompt: Prompt
) -> Heard | None:
    """The answer that one of the providers gave before; None if there is none."""
    for provider in providers:
        known = ledger.recall(account.tenant, content(provider, prompt), account.escalation_id)
        if known:
            call_id, kept = known
            return Heard(call_id, provider, _read(kept))
    return None


def call(
    ledger: Ledger,
    account: Account,
    provider: Provider,
    prompt: Prompt,
    now: datetime,
    counts: datetime | None = None,
) -> Heard:
    """Reserve, call, settle. Raises what `Ledger.reserve` and `Provider.ask` do.

    Args:
        counts: the moment whose day and month the call counts for; by default when it is made.
    """
    made = replace(
        call_of(account, provider, prompt, counts or now),
        until=now + timedelta(seconds=provider.seconds) + SLACK,
    )
    ledger.reserve(made, account.caps, provider.pace)
    try:
        # The provider is told nothing of the trace: that is our own.
        told = {"smallprint.provider": provider.name, "smallprint.model": provider.model}
        with span("ask frontier", told, "client"):
            reply = provider.ask(prompt)
    except ProviderError as error:
        (ledger.assume if error.may_be_billed else ledger.release)(made.id)
        raise
    if reply.usage is None:
        ledger.assume(made.id, asdict(reply))
    else:
        ledger.settle(made.id, reply.usage, provider.price.of(reply.usage), asdict(reply))
    return Heard(made.id, provider, reply)


def call_of(account: Account, provider: Provider, prompt: Prompt, counts: datetime) -> Call:
    """What a question is in the ledger, with its worst case; it is over when it begins."""
    worst = provider.worst_case(prompt)
    return Call(
        tenant=account.tenant,
        escalation_id=account.escalation_id,
        document_id=account.document_id,
        kind=account.kind,
        provider=provider.name,
        model=provider.model,
        content=content(provider, prompt),
        worst=provider.price.of(worst),
        tokens=worst.input + worst.output,
        price_as_of=provider.price.as_of,
        until=counts,
        time=counts,
    )


def content(provider: Provider, prompt: Prompt) -> str:
    """What the ledger knows a question by."""
    return content_of(provider.name, provider.model, prompt.system, prompt.turns)


def content_of(provider: str, model: str, system: str, turns: Sequence[str]) -> str:
    """Hash of what is asked of whom, by which the ledger knows it."""
    asked = [provider, model, system, *turns]
    return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).hexdigest()


def _read(kept: dict[str, Any]) -> Reply:
    usage = kept["usage"]
    return Reply(**{**kept, "usage": Usage(**usage) if usage else None})
