"""Hash and check passwords with Argon2id, by the parameters of RFC 9106 for limited memory."""

from __future__ import annotations

from functools import cache
from secrets import token_hex

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared.errors import InvalidRequest

SHORTEST, LONGEST = 12, 1_000
"""Characters of a password. The shortest follows NIST SP 800-63B for passwords that people choose;
no rules about kinds of characters, as it advises."""

_HASHER = PasswordHasher()


@cache
def _of_nobody() -> str:
    """A hash for unknown users, so that their answer takes as long as that for known ones."""
    return _HASHER.hash(token_hex())


def hash_password(password: str, *, not_in: tuple[str, ...] = ()) -> str:
    """Return the hash of a new password.

    Args:
        not_in: the name and address of its owner, which others can guess.

    Raises:
        InvalidRequest: it is too short or long, or easy to guess.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidRequest(f"A password has {SHORTEST} to {LONGEST:,} characters.")
    plain = password.casefold()
    if len(set(plain)) < 5:
        raise InvalidRequest("This password is easy to guess: use five different characters.")
    if any(name.casefold() in plain for name in not_in if len(name) > 2):
        raise InvalidRequest("This password is easy to guess: your name or address is in it.")
    return _HASHER.hash(password)


def is_password(hashed: str | None, password: str) -> bool:
    """Whether a password belongs to a hash; None is no hash and takes as long."""
    try:
        return _HASHER.verify(hashed or _of_nobody(), password) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False
