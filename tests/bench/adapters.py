"""Measure the cost of several specialists on one base: part of `make bench-legal`.

    python -m tests.bench.adapters [--rounds 3] [--tokens 3000]

The same texts go through the base with one, two and eight adapters, changing for every text. The
adapters are copies of the shipped one under different names; each is verified, loaded and merged
separately. The counts alternate within a round, and medians are printed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import get_args

from shared.inference import Specialist, Specialists
from shared.inference.adapters import AdapterManifest, base_folder, newest_version
from shared.inference.engines import Arithmetic
from tests.bench.legal import NAME, made_text

COUNTS = (1, 2, 8)
TEXTS = 8  # of a round; as many as the most adapters


def copies(artefacts: Path, folder: Path, count: int) -> list[str]:
    """Put the base and copies of the shipped adapter into a folder. Returns their names."""
    base = base_folder(artefacts)
    shutil.copytree(base, folder / base.name)
    shipped = newest_version(artefacts, NAME)
    names = [f"copy-{i}" for i in range(count)]
    for name in names:
        target = folder / name / shipped.name
        shutil.copytree(shipped, target)
        manifest = json.loads((target / AdapterManifest.FILE).read_text(encoding="utf-8"))
        text = json.dumps(manifest | {"name": name})
        (target / AdapterManifest.FILE).write_text(text, encoding="utf-8")
    return names


def measured(
    artefacts: Path, arithmetic: Arithmetic, threads: int, rounds: int, tokens: int
) -> dict[int, float]:
    """Return the tokens per second with each number of adapters."""
    text = made_text(tokens)
    with tempfile.TemporaryDirectory() as scratch:
        names = copies(artefacts, Path(scratch), max(COUNTS))
        specialists = Specialists(Path(scratch), threads, arithmetic)
        loaded = [specialists.get(name) for name in names]
        for specialist in loaded:
            specialist.token_probabilities(text[:1000])
        seconds: dict[int, list[float]] = {count: [] for count in COUNTS}
        for _ in range(rounds):
            for count, taken in seconds.items():
                taken.append(mixed(loaded[:count], text))
    length = len(specialists.base.tokeniser(text).ids)
    return {count: TEXTS * length / statistics.median(taken) for count, taken in seconds.items()}


def mixed(specialists: list[Specialist], text: str) -> float:
    """Return the seconds for some texts, each read with the next adapter."""
    began = time.perf_counter()
    for i in range(TEXTS):
        specialists[i % len(specialists)].token_probabilities(text)
    return time.perf_counter() - began


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.adapters", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="of each; medians are printed")
    parser.add_argument("--tokens", type=int, default=3000, help="of each text")
    options = parser.parse_args(arguments)
    given = options.threads, options.rounds, options.tokens
    print("adapters" + "".join(f"{count:>26}" for count in COUNTS))
    for arithmetic in get_args(Arithmetic):
        speeds = measured(options.artefacts, arithmetic, *given)
        cells = (f"{speed:,.0f} tokens/s ({speed / speeds[1]:.0%})" for speed in speeds.values())
        print(f"{arithmetic:8}" + "".join(f"{cell:>26}" for cell in cells))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
