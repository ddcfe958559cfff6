"""Write the table of routes into docs/reference/http.md: part of `make schemas`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "reference" / "http.md"
BEGIN, END = "<!-- routes: written by `make schemas` -->\n", "<!-- end of routes -->"
METHODS = ("get", "head", "options", "post", "put", "patch", "delete")


def rendered() -> str:
    """Return the whole page, with a new table from the OpenAPI files."""
    head, _, rest = FILE.read_text("utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    tables = "".join(map(_table, sorted(ROOT.glob("services/*/openapi.json"))))
    return f"{head}{BEGIN}{tables}\n{END}{tail}"


def _table(path: Path) -> str:
    described = json.loads(path.read_text("utf-8"))
    rows = [
        f"| `{method.upper()} {route}` | {operation['summary']} | {_scope(operation)} |"
        for route, method, operation in operations(described)
        if route.startswith("/v1/")
    ]
    name = path.parent.name.capitalize()
    head = f"\n### {name}\n\n| route | meaning | scope |\n| --- | --- | --- |\n"
    return head + "\n".join(rows) + "\n"


def operations(described: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the path, the method and the description of each operation."""
    for route, operations in described["paths"].items():
        for method in METHODS:
            if method in operations:
                yield route, method, operations[method]


def _scope(operation: Mapping[str, Any]) -> str:
    """The scope that a key needs, `any key`, or `no key`."""
    if operation.get("security") == []:
        return "no key"
    scope = operation.get("x-scope")
    return " or ".join(f"`{one}`" for one in scope.split(" or ")) if scope else "any key"
