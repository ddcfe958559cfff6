"""Settings, filings and command lines that several tests of the training share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.triage.filings import CONCEPTS, record

Record = dict[str, Any]
FOREST: Record = {
    "threads": 1,
    "leaves": 8,
    "learning_rate": 0.2,
    "least_rows": 5,
    "share_of_columns": 0.8,
    "share_of_rows": 0.8,
    "ridge": 1.0,
    "bins": 63,
}
"""Settings of small forests."""


def toml(**entries: Any) -> str:
    """A config: plain entries first, then a table for each mapping."""
    tables = [(name, value) for name, value in entries.items() if isinstance(value, dict)]
    parts = [("", {n: v for n, v in entries.items() if not isinstance(v, dict)}), *tables]
    lines = []
    for name, values in parts:
        lines += [f"[{name}]"] if name else []
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def run(main: Callable[[], object], *arguments: object) -> None:
    """Run a program with a command line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["program", *map(str, arguments)])
        main()


def write_specialist(folder: Path, config: str, labels: list[str]) -> Path:
    """A folder with config and labels."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(config, encoding="utf-8")
    (folder / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
    return folder


def note(category: str, text: str, span: str) -> Record:
    """The annotation of the first place of some words in a text."""
    start = text.index(span)
    return {"category": category, "start": start, "end": start + len(span), "text": span}


def tagged(**about: Any) -> Record:
    """The sound filing with the training columns, by default of company 1."""
    filing = record() | {"cik": 1} | about
    for statement in filing["statements"]:
        statement["presented_in"] = 1_000_000
        for row in statement["rows"]:
            row["concept"] = CONCEPTS.get(row["label"], row["label"])
    return filing
