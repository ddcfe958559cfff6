"""What a key may do: one table says for every route which scope it asks for.

A key has all scopes unless it was made with fewer. `known_actor` looks here before any route runs,
so that no route can forget it, and a route that the table does not name is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import MappingProxyType
from typing import Literal

from shared.errors import InvalidRequest

Scope = Literal["documents:read", "documents:write", "results:read", "review", "admin"]
SCOPES = MappingProxyType(
    {
        "documents:read": "documents, their text, pages and statements, and search",
        "documents:write": "upload, delete, cancel, give another kind, have read again",
        "results:read": "clauses, presence, values, findings, signals, flags, what was asked and "
        "spent, and whether stated risks are kept",
        "review": "the queue, decisions and exports",
        "admin": "keys, webhooks, and how long documents are kept",
    }
)
"""Every scope, and what it opens."""
ALL = frozenset(SCOPES)

_DOCUMENT = r"/v1/documents/[^/]+"
_RULES: tuple[tuple[str, str, str | None], ...] = (
    ("*", r"/v1/keys/(self|sessions)", None),
    ("*", r"/v1/session", None),
    ("*", r"/v1/(keys|webhooks|retention)(/.*)?", "admin"),
    ("GET", r"/v1/deletions(/.*)?", "documents:read"),
    ("GET", rf"{_DOCUMENT}/(clauses|presence|values|findings|history)", "results:read"),
    ("GET", rf"{_DOCUMENT}/(signals|narrative-flags)", "results:read"),
    ("GET", r"/v1/(reports|watch|costs|policy|escalations)(/.*)?", "results:read"),
    ("GET", r"/v1/documents(/.*)?", "documents:read"),
    ("GET", r"/v1/search", "documents:read"),
    ("*", r"/v1/documents(/.*)?", "documents:write"),
    ("*", r"/v1/uploads(/.*)?", "documents:write"),
    ("*", r"/v1/(items|decisions|exports)(/.*)?", "review"),
)
"""Method (HEAD counts as GET), path, scope (None: any good key). The first that fits holds."""


class NoRule(LookupError):
    """The table names no scope for a route: it has to before anybody may use it."""


def needed(method: str, path: str) -> str | None:
    """The scope that a request asks for; None where every good key may. Raises NoRule."""
    method = "GET" if method == "HEAD" else method
    for of_method, of_path, scope in _RULES:
        if of_method in ("*", method) and re.fullmatch(of_path, path):
            return scope
    raise NoRule(f"{method} {path}")


def chosen(names: Iterable[str] | None) -> frozenset[str]:
    """Scopes by name; None means all. Raises InvalidRequest for none, and for unknown ones."""
    if names is None:
        return ALL
    wanted = frozenset(names)
    if not wanted or wanted - ALL:
        wrong = ", ".join(sorted(map(repr, wanted - ALL))) or "an empty list"
        raise InvalidRequest(f"{wrong} can't be scopes of a key; there are {', '.join(SCOPES)}")
    return wanted


def ordered(scopes: Iterable[str]) -> list[str]:
    """Scopes in the order of the table."""
    have = frozenset(scopes)
    return [scope for scope in SCOPES if scope in have]
