"""Measure the speed of `smallprint extract` on this machine: `make bench`.

    python -m tests.bench [-n 20]

Runs `smallprint extract FILES --json` on PDFs spread evenly over those in SMALLPRINT_TEST_DATA, or
on a generated contract. Prints seconds a document, tokens a second, memory, and start time. Also
checks every clause against its offsets in the output of `smallprint text`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from shared.inference.adapters import base_folder
from shared.inference.tokeniser import Tokeniser
from shared.settings import CommonSettings, load
from tests.bench.legal import made_text

COMMAND = Path(sys.executable).parent / "smallprint"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print. Exit code 1 if a document failed or a clause differs from its offsets."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("-n", type=int, default=20, help="documents (%(default)s)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(_documents(options.n, Path(scratch)))
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):34} {value}")
    return int(figures["failed"] > 0 or figures["clauses_with_wrong_offsets"] > 0)


def measure(documents: list[Path]) -> dict[str, Any]:
    """The figures of one run over these documents."""
    started = time.monotonic()
    subprocess.run([COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)
    start = time.monotonic() - started

    began = time.monotonic()
    done = subprocess.run(
        [COMMAND, "extract", *documents, "--json"], stdout=subprocess.PIPE, text=True, check=False
    )
    wall = time.monotonic() - began
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    good = [line for line in lines if "error" not in line]
    texts = {line["source"]: _text(line["source"]) for line in good}
    clauses = [(texts[line["source"]], clause) for line in good for clause in line["clauses"]]
    wrong = [c for text, c in clauses if text[c["start"] : c["end"]] != c["text"]]
    seconds = [line["timings"]["total"] for line in good] or [0.0]
    finding = sum(line["timings"]["find"] for line in good) or 1.0
    tokens = _tokens(list(texts.values()))
    return {
        "documents": len(lines),
        "failed": len(lines) - len(good),
        "pages": sum(line["document"]["pages"] for line in good),
        "clauses": len(clauses),
        "clauses_with_wrong_offsets": len(wrong),
        "seconds_a_document_median": round(statistics.median(seconds), 2),
        "seconds_a_document_most": round(max(seconds), 2),
        "seconds_in_all": round(wall, 1),
        "tokens": tokens,
        "tokens_a_second": round(tokens / finding),
        "resident_memory_most_mb": round(memory),
        "seconds_until_help": round(start, 2),
        "processors": len(os.sched_getaffinity(0)),
    }


def _documents(count: int, scratch: Path) -> list[Path]:
    data = os.environ.get("SMALLPRINT_TEST_DATA", "")
    found = sorted(Path(data).rglob("legal/pdf/**/*.pdf")) if data else []
    if found:
        step = max(1, len(found) // count)
        return found[::step][:count]
    print("SMALLPRINT_TEST_DATA is not set: measuring on a made contract", file=sys.stderr)
    made = scratch / "made.txt"
    made.write_text(made_text(20_000), "utf-8")
    return [made] * min(count, 3)


def _text(source: str) -> str:
    done = subprocess.run([COMMAND, "text", source], check=True, stdout=subprocess.PIPE)
    return done.stdout.decode("utf-8")


def _tokens(texts: list[str]) -> int:
    tokenise = Tokeniser(base_folder(load(CommonSettings).artefacts_folder) / "tokenizer.json")
    return sum(len(tokenise(text).ids) for text in texts)


if __name__ == "__main__":
    sys.exit(main())
