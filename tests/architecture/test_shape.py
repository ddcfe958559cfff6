"""All services have the same files, and the name of a test says what it shows."""

import ast

import pytest

from tests.architecture.source import SERVICES, python_files
from tests.support import ROOT

FILES = ("settings", "domain", "handlers", "store", "api", "bootstrap", "__main__", "__init__")


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_files(service: str) -> None:
    folder = ROOT / "services" / service
    missing = [
        name
        for name in FILES
        if not any((folder / path).is_file() for path in (f"{name}.py", f"{name}/__init__.py"))
    ]
    assert not missing, f"services/{service} lacks {', '.join(missing)}"


def test_services_are_the_five_that_are_named() -> None:
    """The list makes the tests of all services cover a new one."""
    found = {path.parent.name for path in (ROOT / "services").glob("*/__init__.py")}
    assert found == {*SERVICES, "cli", "proxy"}


def test_only_bootstrap_builds_real_parts() -> None:
    """Handlers, domain and pages receive their parts; one file a service chooses real ones."""
    builders = {"open_bus", "open_blobs", "create_engine", "load"}
    found, wrong = 0, []
    for path in python_files("services"):
        if path.parts[1] == "cli" or path.name == "settings.py" or len(path.parts) < 3:
            continue
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in builders:
                found += 1
                if path.name not in ("bootstrap.py", "__main__.py"):
                    wrong.append(f"{path}:{node.lineno} calls {ast.unparse(node.func)}")
    assert found >= len(SERVICES)
    assert not wrong, "\n".join(wrong)


def test_public_code_is_documented() -> None:
    """Every module, and every public class and function at its top, says what it is for."""
    found, wrong = 0, []
    for path in python_files():
        if "migrations" in path.parts:
            continue
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        if tree.body and not ast.get_docstring(tree):
            wrong.append(str(path))
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                found += 1
                if not ast.get_docstring(node):
                    wrong.append(f"{path}:{node.lineno} {node.name}")
    assert found >= 50
    assert not wrong, "no docstring:\n" + "\n".join(wrong)
