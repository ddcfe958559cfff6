"""Frontier models behind one interface: a prompt in, a reply with its tokens out.

Providers are named in the policy file and use one of three protocols. Calls go through the ledger.
"""

from services.escalation.providers.base import (
    InvalidResponse,
    Lost,
    NotReached,
    Pace,
    Prompt,
    ProviderError,
    RateLimited,
    Refused,
    Reply,
    TooBusy,
)
from services.escalation.providers.provider import Provider, is_stand_in

__all__ = [
    "InvalidResponse",
    "Lost",
    "NotReached",
    "Pace",
    "Prompt",
    "Provider",
    "ProviderError",
    "RateLimited",
    "Refused",
    "Reply",
    "TooBusy",
    "is_stand_in",
]
