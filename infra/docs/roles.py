"""Write the table of roles and routes into docs/reference/roles.md: part of `make schemas`."""

from __future__ import annotations

import json
from typing import Any

from infra.docs.http_routes import ROOT, operations
from shared.web.scopes import ROLES, SCOPES, sort_scopes, sufficient_scopes

FILE = ROOT / "docs" / "reference" / "roles.md"
BEGIN, END = "<!-- roles: written by `make schemas` -->\n", "<!-- end of roles -->"


def rendered() -> str:
    """Return the whole page, with new tables from the code and the OpenAPI files."""
    head, _, rest = FILE.read_text("utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{_scopes()}\n## Routes by role\n\n{_routes()}\n{END}{tail}"


def allowed() -> dict[tuple[str, str], frozenset[str]]:
    """The roles that may use each route, by method and path; empty if a route needs no sign-in."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for path in sorted(ROOT.glob("services/*/openapi.json")):
        described: dict[str, Any] = json.loads(path.read_text("utf-8"))
        for route, method, operation in operations(described):
            if route.startswith("/v1/"):
                scopes = sufficient_scopes(method.upper(), route)
                roles = {role for role, has in ROLES.items() if not scopes or has & {*scopes}}
                open_to_all = operation.get("security") == []
                found[method.upper(), route] = frozenset() if open_to_all else frozenset(roles)
    return found


def _scopes() -> str:
    rows = [
        f"| {role} | {' '.join(f'`{scope}`' for scope in sort_scopes(has))} |"
        for role, has in ROLES.items()
    ]
    meanings = [f"| `{scope}` | {meaning} |" for scope, meaning in SCOPES.items()]
    of_roles = ["| role | scopes |", "| --- | --- |", *rows]
    return "\n".join([*of_roles, "", "| scope | what it allows |", "| --- | --- |", *meanings, ""])


def _routes() -> str:
    head = [f"| route | {' | '.join(ROLES)} |", f"| --- {'| --- ' * len(ROLES)}|"]
    rows = []
    for (method, route), roles in allowed().items():
        marks = (
            ["yes" if role in roles else "no" for role in ROLES]
            if roles
            else (["no sign-in needed", *[""] * (len(ROLES) - 1)])
        )
        rows.append(f"| `{method} {route}` | {' | '.join(marks)} |")
    return "\n".join([*head, *rows, ""])
