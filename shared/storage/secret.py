"""The secret of one service in one installation, by which samples are drawn and names hidden.

It is in the service's own database, and so in its backups. Nobody can predict a draw without it.
"""

from __future__ import annotations

import hashlib
import hmac

from sqlalchemy import Column, LargeBinary, MetaData, String, Table, select
from sqlalchemy.orm import Session

metadata = MetaData()

secrets = Table(
    "secrets",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

DRAW = "draw"
"""The name of the secret by which audit samples are drawn and placed."""


SIGN_IN = "sign-in"
"""The name of the secret that signs the cookie of a sign-in at an OpenID provider."""


def secret_named(session: Session, name: str) -> bytes:
    """Return a secret by its name."""
    return bytes(
        session.execute(select(secrets.c.value).where(secrets.c.name == name)).scalar_one()
    )


def draw_key(session: Session) -> bytes:
    """The key of all draws."""
    return secret_named(session, DRAW)


def draw(key: bytes, purpose: str, of: str) -> float:
    """A number in [0, 1), the same for the same arguments (HMAC-SHA256, RFC 2104)."""
    digest = hmac.digest(key, f"{purpose}\0{of}".encode(), "sha256")
    return (int.from_bytes(digest[:8]) >> 11) / 2**53


def pseudonym(key: bytes, purpose: str, of: str) -> str:
    """A name of 32 letters, the same for the same arguments."""
    return hmac.new(key, f"{purpose}\0{of}".encode(), hashlib.sha256).hexdigest()[:32]
