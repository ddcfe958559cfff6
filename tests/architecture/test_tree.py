"""Tracked files name no path of a machine and no address of a registry."""

import re
import subprocess
from functools import cache
from pathlib import Path

from tests.support import ROOT, require

REGISTRIES = [
    re.compile(pattern)
    for pattern in (
        r"\bpypi\.(org|io)\b",
        r"pythonhosted\.org",
        r"registry\.(npmjs|yarnpkg)\.",
        r"repo1?\.maven\.",
        r"(deb|security)\.debian\.org",
        r"proxy\.golang\.org",
        r"--(extra-)?index-url",
        r"https?://[^ ]*/simple/",
    )
]
HOMES = re.compile(r"(?<![\w.])/(home|Users|root)/[\w.-]+/")
LARGEST = 100_000_000
"""Bytes. Shipped artefacts may be large, nothing else comes near."""


@cache
def _tracked() -> tuple[Path, ...]:
    require((ROOT / ".git").exists(), "a git checkout, to know what is tracked")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


@cache
def _lines() -> tuple[tuple[str, str], ...]:
    """Every line of all tracked text files except this one, as (file:line, text)."""
    found = []
    for path in _tracked():
        head = path.read_bytes()
        if path == Path(__file__) or b"\0" in head[:8000]:
            continue
        for number, line in enumerate(head.decode("utf-8", "replace").splitlines(), 1):
            found.append((f"{path.relative_to(ROOT)}:{number}", line))
    return tuple(found)


def test_no_registry_is_named() -> None:
    """The machine that installs packages chooses the registry."""
    assert len(_lines()) > 3000
    wrong = [f"{at}: {line[:120]}" for at, line in _lines() for r in REGISTRIES if r.search(line)]
    assert not wrong, "\n".join(wrong)


def test_no_path_of_a_machine_is_named() -> None:
    """No file names the folder of this checkout, or a home folder."""
    here = {f"{folder}/" for folder in (ROOT, ROOT.parent, Path.home()) if len(folder.parts) > 1}
    assert here
    wrong = [
        f"{at}: {line[:120]}"
        for at, line in _lines()
        if HOMES.search(line) or any(folder in line for folder in here)
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_generated_or_huge_is_tracked() -> None:
    tracked = _tracked()
    assert len(tracked) >= 30
    generated = ("var", "build", "dist", ".venv", "__pycache__")
    wrong = [
        str(path.relative_to(ROOT))
        for path in tracked
        if set(path.relative_to(ROOT).parts) & set(generated)
        or path.suffix in (".pyc", ".db", ".log")
        or path.stat().st_size > LARGEST
    ]
    assert not wrong, wrong


def test_the_root_holds_only_what_belongs_there() -> None:
    """Six folders of ours, and beside them what tools expect at the root."""
    allowed = {
        *("services", "shared", "models", "infra", "docs", "tests", "requirements", ".ci"),
        *("Makefile", "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "mkdocs.yml"),
        *("LICENSE", "NOTICE", ".env.example"),
        *("Dockerfile", "docker-compose.yml", ".dockerignore", ".gitignore", ".gitattributes"),
        *("pyproject.toml", "setup.py"),
    }
    found = {path.relative_to(ROOT).parts[0] for path in _tracked()}
    assert {"services", "shared", "models", "infra", "tests"} <= found
    assert found <= allowed, found - allowed
