"""Scopes: one table has the scopes of every route.

A key has all scopes unless it was created with fewer. `authenticate` checks them before any route
runs; a route missing in the table is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from shared.errors import InvalidRequest

Scope = Literal["documents:read", "documents:write", "results:read", "review", "admin"]
SCOPES = MappingProxyType(
    {
        "documents:read": "documents, their text, pages and statements, and search",
        "documents:write": (
            "upload, delete, cancel, reprocess, set the kind, assign and tag documents"
        ),
        "results:read": (
            "clauses, presence, values, findings, signals, flags, "
            "questions to models, costs, monitoring and error rates"
        ),
        "review": "the queue, decisions and exports; assign and tag documents",
        "admin": "users, keys, sessions, webhooks, and retention",
    }
)
"""Every scope and what it allows."""
ALL = frozenset(SCOPES)

Role = Literal["viewer", "uploader", "analyst", "lead", "admin"]
ROLES: Mapping[Role, frozenset[str]] = MappingProxyType(
    {
        "viewer": frozenset({"documents:read", "results:read"}),
        "uploader": frozenset({"documents:read", "documents:write", "results:read"}),
        "analyst": frozenset({"documents:read", "review"}),
        "lead": frozenset({"documents:read", "documents:write", "results:read", "review"}),
        "admin": ALL,
    }
)
"""The scopes of each role of a user. An analyst has no `results:read`, which would show which items
are hidden checks of accepted results."""

_DOCUMENT = r"/v1/documents/[^/]+"
_RULES: tuple[tuple[str, str, str], ...] = (
    ("*", r"/v1/keys/(self|sessions|sessions/[^/]+|links)", ""),
    ("*", r"/v1/session", ""),
    ("GET", r"/v1/items/categories", ""),
    ("*", r"/v1/(sign-in(/.*)?|users/self)", ""),
    ("*", r"/v1/(keys|users|webhooks|retention)(/.*)?", "admin"),
    ("GET", r"/v1/deletions(/.*)?", "documents:read"),
    ("GET", rf"{_DOCUMENT}/(clauses|presence|values|findings|history)", "results:read"),
    ("GET", rf"{_DOCUMENT}/(signals|narrative-flags)", "results:read"),
    ("GET", rf"{_DOCUMENT}/report", "review"),
    ("GET", r"/v1/(reports|watch|costs|policy|escalations|insights)(/.*)?", "results:read"),
    ("GET", r"/v1/documents(/.*)?", "documents:read"),
    ("GET", r"/v1/search", "documents:read"),
    ("PUT", rf"{_DOCUMENT}/(assignee|tags)", "documents:write review"),
    ("*", r"/v1/documents(/.*)?", "documents:write"),
    ("*", r"/v1/uploads(/.*)?", "documents:write"),
    ("GET", r"/v1/decisions/(error|proposal)-rates", "results:read"),
    ("*", r"/v1/(items|decisions|exports)(/.*)?", "review"),
)
"""Method (HEAD counts as GET), path, and scopes, one of which is enough (none: any valid key). The
first match applies."""


class NoRule(LookupError):
    """The table does not have a route."""


def sufficient_scopes(method: str, path: str) -> tuple[str, ...]:
    """Return the scopes of which a request needs one; none if any valid key may make it.

    Raises NoRule.
    """
    method = "GET" if method == "HEAD" else method
    for of_method, of_path, scopes in _RULES:
        if of_method in ("*", method) and re.fullmatch(of_path, path):
            return tuple(scopes.split())
    raise NoRule(f"{method} {path}")


def parse_scopes(names: Iterable[str] | None) -> frozenset[str]:
    """Return scopes by name; None means all. Raises InvalidRequest for none or unknown ones."""
    if names is None:
        return ALL
    requested = frozenset(names)
    if not requested or requested - ALL:
        wrong = ", ".join(sorted(map(repr, requested - ALL))) or "an empty list"
        raise InvalidRequest(f"Invalid scopes: {wrong}. Valid ones: {', '.join(SCOPES)}.")
    return requested


def sort_scopes(scopes: Iterable[str]) -> list[str]:
    """Return scopes in the order of the table."""
    held_scopes = frozenset(scopes)
    return [scope for scope in SCOPES if scope in held_scopes]
