"""The version of a tenant's rules: what they say, whatever the file looks like."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

DIGITS = 12
"""Of the digest, in hex."""


@dataclass(frozen=True)
class Version:
    """Rules as canonical text, the first digits of its SHA-256, and how the file calls itself."""

    digest: str
    label: str
    rules: str


@dataclass(frozen=True)
class Held:
    """A version, and since when it held; it did until the next one."""

    version: Version
    since: datetime


def version_of(rules: Mapping[str, Any], label: str = "") -> Version:
    """The version of rules.

    Args:
        rules: as they were validated, with all that the file leaves to its default.
        label: of the file.

    The text is JSON with sorted keys and without spaces, amounts without ending zeros, and sets in
    order. So comments, the order of lines and the way an amount is written make no other version.
    """
    text = json.dumps(_plain(rules), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Version(hashlib.sha256(text.encode()).hexdigest()[:DIGITS], label, text)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return value.isoformat() if isinstance(value, date) else value
