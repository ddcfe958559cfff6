"""Flag real filings: `python -m models.narrative_flags.filings --data FOLDER`.

Writes `filings.json`. Every PDF and HTML filing of the data is read as the product reads it, and
scored by a model without its company's fold. Of each filing and family the most certain sentence is
stored by its offsets, without text. `judged.json` says whether a reader found it right.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

from models.files import command, read_config, read_lines, write_json
from models.narrative_flags import learning
from models.narrative_flags.corpus import FOLDER, FOLDS, Sentence, learned, read
from services.triage.narrative.flags import Flag, flags_of
from services.triage.narrative.keywords import candidates, single_spaced
from services.triage.narrative.model import NAME, FlagModel
from shared import documents
from shared.documents import Page, ParsedDocument

MANIFEST = "finance/raw_manifest.jsonl"
PAGES = ("pdf", "html")


class Judges:
    """The shipped model, fitted without some folds; each is fitted once."""

    def __init__(self, every: list[Sentence], shipped: FlagModel, strength: float) -> None:
        self._every, self._shipped, self._strength = every, shipped, strength
        self._fitted: dict[frozenset[int], FlagModel] = {}

    def of(self, record: Mapping[str, Any], text: str) -> FlagModel:
        """Return a model that has not seen a filing, nor another of its company.

        Without a `cik`, labelled sentences in the text identify the company.
        """
        if record["cik"]:
            return self._without(frozenset({crc32(str(record["cik"]).encode()) % FOLDS}))
        words = single_spaced(text)
        own = (s.fold for s in self._every if not s.company.isdigit() and s.text in words)
        return self._without(frozenset(own))

    def _without(self, folds: frozenset[int]) -> FlagModel:
        if folds not in self._fitted:
            seen = [sentence for sentence in self._every if sentence.fold not in folds]
            cued = {name: self._shipped.families[name].cued for name in learned(self._every)}
            numbers = learning.fit_families(seen, self._strength, cued)
            self._fitted[folds] = replace(self._shipped, **numbers)
        return self._fitted[folds]


def readings(data: Path, work: Path) -> Iterator[tuple[Mapping[str, Any], ParsedDocument]]:
    """Yield every filing of the data with its line of the manifest; texts are read once."""
    for record in read_lines(data / MANIFEST):
        path = data / "finance" / record["file"]
        if path.parent.name not in PAGES:
            continue
        target = work / "read" / f"{path.name}.json"
        if not target.exists():
            content = path.read_bytes()
            content = gzip.decompress(content) if path.suffix == ".gz" else content
            result = documents.read(content, name=path.name.removesuffix(".gz"))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps({"text": result.text, "furniture": result.furniture}))
        stored = json.loads(target.read_text())
        text, furniture = stored["text"], tuple(map(tuple, stored["furniture"]))
        yield record, ParsedDocument(text, (Page(1, 0, len(text)),), furniture=furniture)


def surest(flags: tuple[Flag, ...]) -> dict[str, Flag]:
    """Return a strong flag of each family, or else the most certain one."""
    result: dict[str, Flag] = {}
    for flag in sorted(flags, key=lambda flag: (flag.level != "strong", -flag.confidence)):
        result.setdefault(flag.family, flag)
    return result


def main() -> None:
    """Read the command line, and write the flags."""
    parser = command(__doc__, "--data", "--artefacts")

    parser.add_argument("--work", type=Path, default=Path("var/flags"))
    arguments = parser.parse_args()
    config = read_config(FOLDER)
    every = read(arguments.data)
    shipped = FlagModel.load(arguments.artefacts)
    judges = Judges(every, shipped, config["learning"]["strength"])
    rows, filings = [], 0
    gated: dict[str, int] = dict.fromkeys(shipped.families, 0)
    for record, reading in readings(arguments.data, arguments.work):
        filings += 1
        for name in {sentence.family for sentence in candidates(reading.text, reading.furniture)}:
            gated[name] += 1
        flags = flags_of(reading, judges.of(record, reading.text))
        for name, flag in sorted(surest(flags).items()):
            rows.append(
                {
                    "file": Path(record["file"]).name,
                    "family": name,
                    "start": flag.start,
                    "end": flag.end,
                    "confidence": flag.confidence,
                    "strong": flag.level == "strong",
                    "flags": sum(other.family == name for other in flags),
                }
            )
            print(f"{rows[-1]['file']} {name} {flag.confidence} {flag.level}: {flag.text}")
    value = {
        "model": f"{NAME} {shipped.version}",
        "filings": filings,
        "gated": gated,
        "surest": rows,
    }
    write_json(FOLDER / "filings.json", value)


if __name__ == "__main__":
    main()
