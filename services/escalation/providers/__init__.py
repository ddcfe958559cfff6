"""Frontier models behind one small interface: a prompt goes out, a reply and its tokens come back.

A provider is named in the policy's file; each speaks one of three protocols. Whoever asks goes
through the ledger first.
"""

from services.escalation.providers.base import (
    AtPace,
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
from services.escalation.providers.provider import Provider, is_stand_in

__all__ = [
    "AtPace",
    "Lost",
    "NotReached",
    "NotThere",
    "Overloaded",
    "Pace",
    "Prompt",
    "Provider",
    "ProviderError",
    "Refused",
    "Reply",
    "TooBusy",
    "Unusable",
    "Usage",
    "is_stand_in",
]
