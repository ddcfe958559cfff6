"""Reads the source as data: which module imports what, and where."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support import ROOT

TOP = ("services", "shared", "models", "infra")
SERVICES = ("escalation", "extraction", "ingest", "review", "triage")


@dataclass(frozen=True)
class Import:
    """One imported name, absolute: `from shared.bus import Message` is `shared.bus.Message`."""

    file: str
    line: int
    name: str
    at_start: bool
    """Whether it happens when the module is imported, and not only for type checkers."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.name}"

    def within(self, package: str) -> bool:
        """Whether `package` or something below it is imported."""
        return self.name == package or self.name.startswith(package + ".")


def python_files(*folders: str) -> list[Path]:
    """All Python files below these folders of the project, relative to its root."""
    found = (path for folder in folders or TOP for path in (ROOT / folder).rglob("*.py"))
    return sorted(path.relative_to(ROOT) for path in found if "__pycache__" not in path.parts)


@cache
def imports(*folders: str) -> tuple[Import, ...]:
    """Every import below these folders, those inside functions and by literal name included."""
    return tuple(found for path in python_files(*folders) for found in _imports_of(path))


def _imports_of(path: Path) -> Iterator[Import]:
    tree = ast.parse((ROOT / path).read_text("utf-8"), str(path))
    late = _nodes_that_run_later(tree)
    for node in ast.walk(tree):
        for name in _names(node, path):
            yield Import(path.as_posix(), getattr(node, "lineno", 0), name, node not in late)


def _nodes_that_run_later(tree: ast.AST) -> set[ast.AST]:
    later: set[ast.AST] = set()
    for node in ast.walk(tree):
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        types_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if function or types_only:
            later.update(ast.walk(node))
    return later


def _names(node: ast.AST, path: Path) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = path.parent.parts[: len(path.parent.parts) - node.level + 1]
        base = ".".join([*(package if node.level else ()), *([node.module] if node.module else [])])
        yield from (f"{base}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        yield from (str(a.value) for a in node.args[:1] if isinstance(a, ast.Constant))
