"""Signatures and secrets by Standard Webhooks 1.0.0 (standardwebhooks.com).

The signed content is `id.timestamp.body` with HMAC-SHA256; a secret is `whsec_` and Base64 of 24 to
64 random bytes. While a secret is being replaced both sign, and a receiver accepts either.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """Return a random secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def signed_headers(
    message_id: str, time: datetime, body: bytes, keys: Sequence[str]
) -> dict[str, str]:
    """Return the three headers of one attempt; `keys` are the valid secrets, newest first."""
    timestamp = str(int(time.timestamp()))
    content = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(key, content) for key in keys),
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
