"""A secret of one service in one installation, made with its tables and known to nobody else.

It lies in the service's own database, like the secrets of webhooks, and goes where that goes: into
backups, and to whoever may read the database. What is drawn with it can't be told by those who know
only what was drawn from.
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
"""The name of the secret by which checks are drawn and placed."""
BYTES = 32


def draw_key(session: Session) -> bytes:
    """The key of all draws, which the migration has made."""
    return bytes(
        session.execute(select(secrets.c.value).where(secrets.c.name == DRAW)).scalar_one()
    )


def draw(key: bytes, purpose: str, of: str) -> float:
    """A number from 0 to below 1 that is always the same for the same thing, and that nobody can
    tell without the key (HMAC-SHA256, RFC 2104).
    """
    digest = hmac.digest(key, f"{purpose}\0{of}".encode(), "sha256")
    return (int.from_bytes(digest[:8]) >> 11) / 2**53


def pseudonym(key: bytes, purpose: str, of: str) -> str:
    """A name of 32 letters that is always the same for the same thing, and by which nobody can tell
    it without the key.
    """
    return hmac.new(key, f"{purpose}\0{of}".encode(), hashlib.sha256).hexdigest()[:32]
