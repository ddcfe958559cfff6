"""What is flagged in real filings: `python -m models.flags.filings --data FOLDER`.

Writes `filings.json`. Every PDF and HTML page of the data is read as the product reads it, and
judged by what was fitted without its company's fold. Of each filing and family the surest sentence
is kept, by its offsets and without its text. `judged.json` beside it says whether a reader found it
right.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from models.flags import learning
from models.flags.corpus import FOLDS, Sentence, learned, read, scored
from services.triage.narrative.flags import Flag, flags_of
from services.triage.narrative.gate import candidates, even
from services.triage.narrative.model import NAME, Narrative
from shared import documents
from shared.documents import Page, Reading
from shared.documents.reading import no_boxes

MANIFEST = "finance/raw_manifest.jsonl"
PAGES = ("pdf", "html")


class Judges:
    """The shipped judge, fitted without some folds; each is fitted once."""

    def __init__(self, every: list[Sentence], shipped: Narrative, strength: float) -> None:
        self._every, self._shipped, self._strength = every, shipped, strength
        self._fitted: dict[frozenset[int], Narrative] = {}

    def of(self, record: Mapping[str, Any], text: str) -> Narrative:
        """Return what has not learned from a filing, nor from another of its company.

        Args:
            record: of the manifest.
            text: of the filing. One without a `cik` is of the companies without one whose labelled
                sentences stand in it.
        """
        if record["cik"]:
            return self._without(frozenset({crc32(str(record["cik"]).encode()) % FOLDS}))
        said = even(text)
        own = (one for one in self._every if not one.company.isdigit() and one.text in said)
        return self._without(frozenset(one.fold for one in own))

    def _without(self, folds: frozenset[int]) -> Narrative:
        if folds not in self._fitted:
            seen = [one for one in self._every if one.fold not in folds]
            rarity = learning.rarity_in(seen)
            fits = [
                learning.fit(
                    scored(seen, name), rarity, self._strength, self._shipped.families[name].cued
                )
                for name in learned(self._every)
            ]
            weight = np.stack([weights for weights, _ in fits], 1)
            bias = np.array([bias for _, bias in fits], np.float32)
            fitted = replace(self._shipped, weight=weight, bias=bias, rarity=rarity)
            self._fitted[folds] = fitted
        return self._fitted[folds]


def readings(data: Path, work: Path) -> Iterator[tuple[Mapping[str, Any], Reading]]:
    """Every page of the data with its line of the manifest; what was read once is kept."""
    for line in (data / MANIFEST).read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        path = data / "finance" / record["file"]
        if path.parent.name not in PAGES:
            continue
        kept = work / "read" / f"{path.name}.json"
        if not kept.exists():
            content = path.read_bytes()
            content = gzip.decompress(content) if path.suffix == ".gz" else content
            found = documents.read(content, name=path.name.removesuffix(".gz"))
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps({"text": found.text, "furniture": found.furniture}))
        known = json.loads(kept.read_text())
        text, furniture = known["text"], tuple(map(tuple, known["furniture"]))
        whole = Page(1, 0, len(text), 0.0, 0.0)
        yield record, Reading(text, (whole,), no_boxes(len(text)), 1, furniture=furniture)


def surest(flags: tuple[Flag, ...]) -> dict[str, Flag]:
    """Of each family a strong flag if there is one, else the surest."""
    found: dict[str, Flag] = {}
    for flag in sorted(flags, key=lambda one: (one.level != "strong", -one.confidence)):
        found.setdefault(flag.family, flag)
    return found


def main() -> None:
    """Read the command line, and write what is flagged where."""
    parser = argparse.ArgumentParser(description="Flag the sentences of real filings.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--specialist", type=Path, default=Path("models/narrative-flags"))
    parser.add_argument("--work", type=Path, default=Path("var/flags"))
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    arguments = parser.parse_args()
    config = tomllib.loads((arguments.specialist / "config.toml").read_text(encoding="utf-8"))
    every = read(arguments.data)
    shipped = Narrative.load(arguments.artefacts)
    judges = Judges(every, shipped, config["learning"]["strength"])
    rows, filings = [], 0
    gated: dict[str, int] = dict.fromkeys(shipped.families, 0)
    for record, reading in readings(arguments.data, arguments.work):
        filings += 1
        for name in {one.family for one in candidates(reading.text, reading.furniture)}:
            gated[name] += 1
        flags = flags_of(reading, judges.of(record, reading.text))
        for name, flag in sorted(surest(flags).items()):
            own = [one for one in flags if one.family == name]
            rows.append(
                {
                    "file": Path(record["file"]).name,
                    "family": name,
                    "start": flag.start,
                    "end": flag.end,
                    "confidence": flag.confidence,
                    "strong": flag.level == "strong",
                    "flags": len(own),
                }
            )
            print(f"{rows[-1]['file']} {name} {flag.confidence} {flag.level}: {flag.text}")
    value = {
        "model": f"{NAME} {shipped.version}",
        "filings": filings,
        "gated": gated,
        "surest": rows,
    }
    text = json.dumps(value, indent=1) + "\n"
    (arguments.specialist / "filings.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
