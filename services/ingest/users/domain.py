"""Users, their e-mail addresses, and their identity at a provider."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from shared.errors import InvalidRequest
from shared.web.scopes import Role

_EMAIL = re.compile(r"[^\s@<>\"',;]{1,100}@[^\s@<>\"',;]{1,150}")


@dataclass(frozen=True)
class User:
    """A person of one tenant. `id` is also the id of their key, which only sessions use."""

    id: str
    tenant: str
    name: str
    email: str
    role: Role
    created: datetime
    created_by: str | None = None
    disabled: datetime | None = None
    last_used: datetime | None = None
    password: str | None = field(default=None, repr=False)
    """The Argon2id hash; None before the person chose a password."""
    subject: str | None = None
    """Issuer and subject of the OpenID provider, joined by a space, from the first sign-in on."""


@dataclass(frozen=True)
class Resource:
    """A key, user or webhook that a user created or changed."""

    kind: Literal["key", "user", "webhook"]
    id: str
    name: str
    """The address of a webhook."""


@dataclass(frozen=True)
class Identity:
    """Who the provider says has signed in."""

    issuer: str
    subject: str
    email: str | None
    """Only an address that the provider has verified."""


def read_email(text: str) -> str:
    """Return an address as it is stored: NFC, without spaces around it, in small letters.

    Raises InvalidRequest.
    """
    email = unicodedata.normalize("NFC", text).strip().casefold()
    if not _EMAIL.fullmatch(email):
        raise InvalidRequest(f"{text!r} is not an e-mail address.")
    return email
