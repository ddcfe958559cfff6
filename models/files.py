"""Files, folders, command lines and messages that the training programs share."""

from __future__ import annotations

import gzip
import json
import sys
import time
import tomllib
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

MODELS = Path(__file__).resolve().parent
RUN_FILE = "run.json"
"""Facts of a finished training, in its folder."""
WEIGHTS_FILE = "dequantised.safetensors"
"""Weights of a base for training."""
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "specialist": {"type": Path, "help": "folder with config.toml and the results"},
    "--data": {"type": Path, "required": True, "help": "folder with legal/ and finance/"},
    "--artefacts": {"type": Path, "default": Path("models/artefacts")},
    "--base": {"type": Path, "required": True, "help": "training weights of the base"},
}
"""Arguments that several programs have."""


def command(doc: str | None, *names: str) -> ArgumentParser:
    """Return a parser with some of ARGUMENTS, described by the first line of a docstring."""
    parser = ArgumentParser(description=(doc or "").partition("\n")[0])
    for name in names:
        parser.add_argument(name, **ARGUMENTS[name])
    return parser


def folder_of(name: str) -> Path:
    """Return the folder of a specialist by the name of its artefact, such as `document-kind`."""
    clauses = MODELS / "clauses" / name
    return clauses if clauses.is_dir() else MODELS / name.replace("-", "_")


def name_of(folder: Path) -> str:
    """Return the name of a specialist's artefact, from its folder."""
    return folder.name.replace("_", "-")


def read_config(path: Path) -> dict[str, Any]:
    """Read a config: a file, or `config.toml` in the folder of a specialist."""
    file = path / "config.toml" if path.is_dir() else path
    return tomllib.loads(file.read_text(encoding="utf-8"))


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: object, indent: int = 1) -> str:
    """Write indented JSON, and return its text."""
    text = json.dumps(value, indent=indent) + "\n"
    path.write_text(text, encoding="utf-8")
    return text


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file of JSON Lines, gzipped or not."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        yield from map(json.loads, lines)


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write gzipped JSON Lines without a time stamp, as a whole file or not at all."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as out:
        for record in records:
            out.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
    partial.replace(path)


def say(message: str) -> None:
    """Print a message with the time on standard error."""
    print(time.strftime("%H:%M:%S"), message, file=sys.stderr, flush=True)
