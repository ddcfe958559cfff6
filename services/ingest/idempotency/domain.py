"""What is kept of a request with a key, and what tells one from another."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import Conflict


class KeyReused(Conflict):
    """Another request was sent with this key before."""

    code = "idempotency_key_reused"


class StillAtWork(Conflict):
    """The first request with this key is being worked on."""

    code = "idempotency_in_flight"
    headers: Mapping[str, str] = {"retry-after": "1"}


class KeySpent(Conflict):
    """What this key brought is deleted, and the answer with it."""

    code = "idempotency_key_spent"


@dataclass(frozen=True)
class Answer:
    """What a request is answered; `body` is JSON, None where there is none.

    `about` are ids of what the body tells of: when one of them is deleted, the answer goes too.
    """

    status: int
    body: dict[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    about: frozenset[str] = frozenset()
    last: bool = True
    """Whether the same request may be answered nothing else later."""

    @property
    def good(self) -> bool:
        """Whether something was done."""
        return self.status < 400


def digest_of(key: str) -> str:
    """What is kept of a key itself: a client may have put words into it."""
    return hashlib.sha256(key.encode()).hexdigest()


def fingerprint(key: str, operation: str, said: object) -> str:
    """What tells a request from others with the same key.

    It is made with the key, which is kept nowhere: nobody can try out what the request may have
    said. `said` is JSON; a password in it has been through `slowly` before.
    """
    text = json.dumps([operation, said], sort_keys=True, ensure_ascii=True)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def slowly(key: str, password: str | None) -> str | None:
    """A password as a fingerprint may have it: too slow to guess, even where the key is a word."""
    if password is None:
        return None
    salt = digest_of(key).encode()
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1).hex()
