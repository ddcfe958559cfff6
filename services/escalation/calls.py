"""Paid calls within a budget: reserve, call, settle. Answers are remembered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from services.escalation.ledger import BudgetSpent, Call, Caps, Ledger, ProviderStopped
from services.escalation.providers import Prompt, Provider, ProviderError, Reply
from services.escalation.providers.provider import in_order
from shared.events import Kind
from shared.policy.prices import Usage
from shared.tracing import span

SLACK = timedelta(seconds=30)  # extra time of a reservation, for slow databases


@dataclass(frozen=True)
class Account:
    """The payer and the subject of a call."""

    tenant: str
    document_id: str
    escalation_id: str
    kind: Kind
    caps: Caps


@dataclass(frozen=True)
class ProviderCall:
    """An answer, new or remembered."""

    call_id: str
    provider: Provider
    reply: Reply


class TooLate(Exception):
    """The question is too old to be paid for."""

    message = "it waited too long, so it was not asked"


def ask_or_recall(
    ledger: Ledger,
    account: Account,
    providers: Sequence[Provider],
    prompt: Prompt,
    clock: Callable[[], datetime],
    late: bool = False,
) -> ProviderCall:
    """Return a remembered answer, or ask the first provider that answers.

    Args:
        providers: in order of preference.
        late: whether new costs are excluded.

    Raises:
        TooLate: no answer is remembered, and it is late.
        NobodyAnswers: no provider answers within its budget.
        TooManyCalls: the question was asked too often.
        AskedNow: another request asks the same now.
    """
    if known := recall(ledger, account, providers, prompt):
        return known
    if late:
        raise TooLate

    def ask(provider: Provider) -> ProviderCall:
        return call(ledger, account, provider, prompt, clock())

    return in_order(providers, ask, passing=(BudgetSpent, ProviderStopped))


def recall(
    ledger: Ledger, account: Account, providers: Sequence[Provider], prompt: Prompt
) -> ProviderCall | None:
    """Return a remembered answer of one of the providers, if there is one."""
    for provider in providers:
        asked = content_key(provider, prompt)
        if known := ledger.recall(account.tenant, asked, account.escalation_id):
            call_id, stored = known
            usage = Usage(**stored["usage"]) if stored["usage"] else None
            return ProviderCall(call_id, provider, Reply(**{**stored, "usage": usage}))
    return None


def call(
    ledger: Ledger,
    account: Account,
    provider: Provider,
    prompt: Prompt,
    now: datetime,
    counts: datetime | None = None,
) -> ProviderCall:
    """Reserve, call, settle. Raises the errors of `Ledger.reserve` and `Provider.ask`.

    Args:
        counts: the call counts for the day and month of this time; default `now`.
    """
    worst = provider.worst_case(prompt)
    made = Call(
        tenant=account.tenant,
        escalation_id=account.escalation_id,
        document_id=account.document_id,
        kind=account.kind,
        provider=provider.name,
        model=provider.model,
        content=content_key(provider, prompt),
        worst=provider.price.of(worst),
        tokens=worst.input + worst.output,
        price_as_of=provider.price.as_of,
        until=now + timedelta(seconds=provider.seconds) + SLACK,
        time=counts or now,
    )
    ledger.reserve(made, account.caps, provider.pace)
    try:
        # The trace is not sent to the provider.
        attributes = {"smallprint.provider": provider.name, "smallprint.model": provider.model}
        with span("ask frontier", attributes, "client"):
            reply = provider.ask(prompt)
    except ProviderError as error:
        (ledger.assume if error.may_be_billed else ledger.release)(made.id)
        raise
    if reply.usage is None:
        ledger.assume(made.id, asdict(reply))
    else:
        ledger.settle(made.id, reply.usage, provider.price.of(reply.usage), asdict(reply))
    return ProviderCall(made.id, provider, reply)


def content_key(provider: Provider, prompt: Prompt) -> str:
    """The key of a question in the ledger: a hash of it and its model."""
    asked = [provider.name, provider.model, prompt.system, *prompt.turns]
    return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).hexdigest()
