"""Holds the ledger of escalation against the bills of stand-ins, call by call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from infra.stand_in import Bill
from services.escalation.audit import Booked
from services.escalation.hearing import content_of
from services.escalation.prompting import SYSTEM

Tokens = tuple[int, int]


def differences(
    calls: Sequence[Booked], bills: Mapping[str, Sequence[Bill]], prices: tuple[int, int]
) -> list[str]:
    """Where calls and the bills of the providers, by their names, do not agree; in words.

    A settled call has a bill for the same words with just its tokens, and counts with what these
    cost; each further bill for these words has a call that counts with its worst case. `prices`
    are millionths of a US$ for a token, in and out.
    """
    unmatched = _by_content(bills)
    wrong = []
    for call in (one for one in calls if one.state == "settled"):
        known = unmatched.get((call.provider, call.content), Counter())
        price = sum(tokens * each for tokens, each in zip(call.tokens, prices, strict=True))
        if not known[call.tokens]:
            wrong.append(f"{call.call_id}: {call.tokens} tokens are settled, but not billed")
            continue
        known[call.tokens] -= 1
        if call.micro_usd != price:
            wrong.append(f"{call.call_id}: {call.micro_usd} is settled, but {price} billed")
    assumed = Counter((one.provider, one.content) for one in calls if one.state == "assumed")
    for words, known in unmatched.items():
        if known.total() > assumed[words]:
            wrong.append(
                f"{words[0]}: {known.total()} bills without a settled call for the same words, of "
                f"which {assumed[words]} calls count in full"
            )
    return wrong


def _by_content(bills: Mapping[str, Sequence[Bill]]) -> dict[tuple[str, str], Counter[Tokens]]:
    """Bills by provider and hash of what was asked: how many there are with which tokens."""
    found: dict[tuple[str, str], Counter[Tokens]] = {}
    for provider, own in bills.items():
        for bill in own:
            content = content_of(provider, bill.model, SYSTEM, bill.turns)
            found.setdefault((provider, content), Counter())[bill.input, bill.output] += 1
    return found
