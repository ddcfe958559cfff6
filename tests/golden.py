"""Record what users get from this checkout, and compare it again after a change.

    python -m tests.golden record [--folder var/golden]
    python -m tests.golden check [--folder var/golden]

Reads the documents in tests/data, and some real ones where SMALLPRINT_TEST_DATA is set. `check`
prints a diff of each output that changed and exits with 1. Timings are taken out.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from prometheus_client import REGISTRY

from shared.runtime.embedded import migrate_all
from shared.settings import load

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ROOT / "tests" / "data" / "documents"
VOLATILE = {"timings", "timing", "seconds"}
COMMANDS = ("text", "extract --json", "triage --json", "statements --json")


def main() -> int:
    """Record or check all outputs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["record", "check"])
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "golden")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    changed = 0
    for name, text in outputs():
        path = args.folder / name
        if args.action == "record":
            path.write_text(text, "utf-8")
            continue
        before = path.read_text("utf-8") if path.exists() else ""
        lines = list(
            difflib.unified_diff(before.splitlines(), text.splitlines(), name, name, "", "", 0, "")
        )
        changed += bool(lines)
        print(f"{'CHANGED' if lines else 'equal  '} {name}", flush=True)
        for line in lines[:40]:
            print(f"    {line[:240]}")
    return 1 if changed else 0


def outputs() -> Iterator[tuple[str, str]]:
    """Yield a name and the text of each output."""
    yield "help.txt", help_of_all_commands()
    yield "artefacts.txt", artefacts()
    yield "schemas.txt", committed_schemas()
    yield "databases.txt", databases()
    yield "metrics.txt", metric_names()
    small = sorted(
        p for p in DOCUMENTS.rglob("*") if p.suffix not in {".py", ".md"} and p.is_file()
    )
    for command in COMMANDS:
        yield f"{command.split()[0]}.txt", run(command, small)
    data = os.environ.get("SMALLPRINT_TEST_DATA", "")
    if data:
        contracts = sorted(Path(data, "legal", "pdf").rglob("*.pdf"))[:80:10]
        yield "extract-real.txt", run("extract --json --all", contracts)
        with tempfile.TemporaryDirectory() as folder:
            filings = Path(folder, "filings.jsonl")
            with Path(data, "finance", "dev_injected.jsonl").open("rb") as lines:
                filings.write_bytes(
                    b"".join(line for line, _ in zip(lines, range(60), strict=False))
                )
            yield "triage-real.txt", run("triage --json", [filings])


def run(command: str, paths: list[Path]) -> str:
    """Return what `smallprint COMMAND PATHS` prints, one document at a time, timings taken out."""
    printed = []
    for path in paths:
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", *command.split(), str(path)],
            cwd=ROOT,
            capture_output=True,
        )
        text = done.stdout.decode("utf-8", "backslashreplace")
        if "--json" in command:
            text = "\n".join(stable(line) for line in text.splitlines())
        printed.append(f"== {path.name}: exit {done.returncode}\n{text}")
    return "\n".join(printed) + "\n"


def stable(line: str) -> str:
    """Return one JSON line in a form that can be compared: timings and folders taken out."""

    def cleaned(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: cleaned(v) for k, v in value.items() if k not in VOLATILE}
        if isinstance(value, list):
            return [cleaned(v) for v in value]
        if isinstance(value, float):
            return float(f"{value:.6g}")
        return Path(value).name if isinstance(value, str) and value.startswith("/") else value

    try:
        return json.dumps(cleaned(json.loads(line)), ensure_ascii=False, sort_keys=True)
    except ValueError:
        return line


def help_of_all_commands() -> str:
    """Return the help of every command, in alphabetical order."""
    from services.cli import cli

    def pages(command: click.Command, name: str) -> Iterator[str]:
        context = click.Context(command, info_name=name, max_content_width=100)
        yield command.get_help(context)
        if isinstance(command, click.Group):
            for sub in sorted(command.commands):
                yield from pages(command.commands[sub], f"{name} {sub}")

    return "\n\n".join(pages(cli, "smallprint")) + "\n"


def artefacts() -> str:
    """Return the digest of each shipped artefact."""
    folder = ROOT / "models" / "artefacts"
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return "".join(
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder)}\n" for p in files
    )


def committed_schemas() -> str:
    """Return OpenAPI of each service and AsyncAPI, as the code makes them now."""
    from infra.docs.schemas import SERVICES, openapi_of
    from shared.events import asyncapi

    made = [openapi_of(p.parent.name) for p in sorted(SERVICES.glob("*/bootstrap.py"))]
    return "\n".join([*made, asyncapi.rendered()])


def databases() -> str:
    """Return the sorted schema of each SQLite database, as a service makes it at its start."""
    lines = []
    for name in ("escalation", "extraction", "ingest", "review", "triage"):
        settings = import_module(f"services.{name}.settings").Settings
        build = import_module(f"services.{name}.bootstrap").build
        with tempfile.TemporaryDirectory() as folder:
            service = build(load(settings, data=Path(folder), bus_url="memory:"))
            migrate_all([service])
            service.close()
            with contextlib.closing(sqlite3.connect(Path(folder, f"{name}.db"))) as database:
                rows = database.execute("select sql from sqlite_master where sql is not null")
                lines += sorted(f"{name}: {' '.join(sql.split())}" for (sql,) in rows)
    return "\n".join(lines) + "\n"


def metric_names() -> str:
    """Return the names and types of all metrics."""
    found = [m for m in REGISTRY.collect() if m.name.startswith("smallprint_")]
    return "".join(f"{m.name} {m.type}\n" for m in sorted(found, key=lambda m: m.name))


if __name__ == "__main__":
    raise SystemExit(main())
