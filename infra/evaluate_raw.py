"""Print what triage says of raw filings that nobody touched, for a person who looks at their pages.

    python -m infra.evaluate_raw [FOLDER] [--files 20] [--seed 5] [--least 0.05] [--only TEXT]

FOLDER holds finance/ (default: the setting SMALLPRINT_TEST_DATA). Half of the files are drawn from
raw/pdf, half from raw/html, always the same for one seed. Each goes the way of `smallprint triage`:
read in a child process, judged, with signals and narrative flags. So that there is something to
look at where nothing is flagged, doubts are shown down to a chance of `--least`, marked with the
share of sound filings that would be flagged with them, and signals that are unusual without being
strong. Shares are those of the predictions beside the card, each of a company that was not learned
from. The model that ships has learned from statements.jsonl, so `learned` says whether the filing
itself, another of its company, or none of it is there.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.triage.scores import of, predictions, risk, threshold
from services.cli.filings import reported
from services.cli.reading import open_reader
from services.triage.domain import Finding
from services.triage.judgement import triage_filing
from services.triage.narrative.flags import Flag, Words, words_of
from services.triage.narrative.model import Narrative
from services.triage.places import Place
from services.triage.reading.report import NoStatements
from services.triage.risk import Judge
from services.triage.signals.peers import Peers
from services.triage.signals.signals import Signal, signals_of
from services.triage.statements import BadFiling, Filing
from shared.documents.reading import Reading
from shared.documents.sandbox import Reader
from shared.errors import SettingsError, SuiteError
from shared.settings import CommonSettings, load

ROOT = Path(__file__).resolve().parent.parent
PREDICTIONS = ROOT / "models" / "triage-breaks"
SHARES = (0.05, 0.1)
"""False alarms, beside those that the shipped threshold allows."""
SHORT = {"balance_sheet": "balance", "income": "income", "cash_flow": "cash"}


@dataclass(frozen=True)
class Looked:
    """What is said of one file. `error` says why there is nothing to check in it."""

    name: str
    learned: str
    pages: int = 0
    statements: tuple[str, ...] = ()
    """Kind, lines and columns of each that was read."""
    risk: float = 0.0
    findings: tuple[Finding, ...] = ()
    signals: tuple[Signal, ...] = ()
    """The strong ones and those that are unusual."""
    flags: tuple[Flag, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Levels:
    """Chances from which on a filing is flagged, by what that costs, the dearest last."""

    at: Mapping[str, float]
    told: float
    """Chance from which on the command tells a finding at all."""

    @classmethod
    def of(cls, judge: Judge, sound: Sequence[float]) -> Levels:
        """Those of a judge, and lower ones by the risks of sound filings."""
        risks = np.array(sound, float)
        lower = {f"{share:.0%}": threshold(risks, share) for share in SHARES}
        return cls({"as shipped": judge.flagged, **lower}, judge.shown)

    def first(self, chance: float) -> str:
        """The strictest level that flags such a chance; `no` for none."""
        return next((name for name, least in self.at.items() if chance >= least), "no")


@dataclass
class Looker:
    """Looks at files as the command does, and lower."""

    reader: Reader
    levels: Levels
    judge: Judge
    peers: Peers | None
    narrative: Narrative | None
    ciks: frozenset[int] = frozenset()
    """Companies that the shipped model has learned from."""
    entries: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Of raw_manifest.jsonl, by file."""

    @classmethod
    def over(cls, folder: Path, reader: Reader, least: float) -> Looker:
        """One for the raw files of a data folder, which shows doubts down to a chance."""
        artefacts = load(CommonSettings).artefacts_folder
        judge = Judge.load(artefacts)
        own = of("own", predictions(PREDICTIONS))
        levels = Levels.of(judge, [risk(one) for one in own if one["type"] is None])
        lower = replace(judge, shown=min(judge.shown, least))
        return cls(
            reader,
            levels,
            lower,
            Peers.found(artefacts),
            Narrative.found(artefacts),
            frozenset(one["cik"] for one in _lines(folder / "statements.jsonl")),
            {str(one["file"]): one for one in _lines(folder / "raw_manifest.jsonl")},
        )

    def learned(self, path: Path) -> str:
        """Whether the shipped model has learned from a file: `itself`, `company` or `no`."""
        entry = self.entries.get(f"raw/{path.parent.name}/{path.name}", {})
        if entry.get("same_filing_statement_ids"):
            return "itself"
        return "company" if entry.get("cik") in self.ciks else "no"

    def look(self, path: Path) -> Iterator[Looked]:
        """What is said of each filing of a file; gzip is opened first."""
        data, name = path.read_bytes(), path.name
        if name.endswith(".gz"):
            data, name = gzip.decompress(data), name.removesuffix(".gz")
        looked = Looked(name, self.learned(path))
        try:
            for found in reported(self.reader, name, data):
                if isinstance(found, BadFiling):
                    yield replace(looked, error=found.message)
                else:
                    yield self.heard(found.reading, self.judged(found.filing, looked))
        except NoStatements as error:
            yield self.heard(error.reading, replace(looked, error=error.message))
        except SuiteError as error:
            yield replace(looked, error=error.message)

    def judged(self, filing: Filing, looked: Looked) -> Looked:
        """With the verdict, the statements that it is of, and the strong signals."""
        verdict = triage_filing(filing, self.judge)
        unusual = signals_of(filing, self.peers) if self.peers else ()
        return replace(
            looked,
            statements=tuple(
                f"{SHORT.get(s.statement, s.statement)} {len(s.rows)}x{len(s.columns)}"
                for s in filing.statements
            ),
            risk=verdict.risk,
            findings=verdict.findings,
            signals=tuple(one for one in unusual if one.level != "usual"),
            warnings=verdict.warnings,
        )

    def heard(self, reading: Reading | None, looked: Looked) -> Looked:
        """With its pages, and what its sentences say of the filer."""
        if reading is None:
            return looked
        words = words_of(reading, self.narrative) if self.narrative else Words()
        return replace(
            looked,
            pages=reading.page_count,
            flags=words.flags,
            warnings=(*looked.warnings, *words.warnings),
        )


def _lines(path: Path) -> Iterator[Any]:
    with path.open("rb") as lines:
        for line in lines:
            yield json.loads(line)


def drawn(folder: Path, files: int, seed: int) -> list[Path]:
    """So many raw files, half of them PDF and half HTML, by name; the same for the same seed."""
    draw = random.Random(seed)
    kinds = (("pdf", files // 2), ("html", files - files // 2))
    found: list[Path] = []
    for kind, most in kinds:
        some = [
            path
            for path in sorted((folder / "raw" / kind).iterdir())
            if path.name.removesuffix(".gz").endswith((".pdf", ".htm", ".html"))
        ]
        found += sorted(draw.sample(some, min(most, len(some))))
    return found


def where(place: Place | None) -> str:
    """Where a person finds a value: the page, and the cell or the box on it."""
    if place is None:
        return "no place"
    said = f"page {place.page}"
    if place.cell:
        said += f", {place.cell}"
    if place.box:
        said += f", box {place.box.x0:.0f},{place.box.y0:.0f}-{place.box.x1:.0f},{place.box.y1:.0f}"
    return said


def table(found: Sequence[Looked], levels: Levels) -> str:
    """One line a file."""
    lines = [
        "| file | learned | pages | statements: lines x columns | risk | flagged | findings told "
        "| signals: strong, unusual | narrative flags: strong, likely |",
        "| --- | --- | ---: | --- | ---: | --- | ---: | --- | --- |",
    ]
    for one in found:
        told = sum(finding.confidence >= levels.told for finding in one.findings)
        signals = Counter(signal.level for signal in one.signals)
        flags = Counter(flag.level for flag in one.flags)
        read = ", ".join(one.statements) or f"none: {one.error}"
        lines.append(
            f"| {one.name} | {one.learned} | {one.pages} | {read} | {one.risk:.4f} "
            f"| {levels.first(one.risk)} | {told} "
            f"| {signals['strong']}, {signals['unusual']} "
            f"| {flags['strong']}, {flags['likely']} |"
        )
    return "\n".join(lines)


def details(one: Looked, levels: Levels) -> Iterator[str]:
    """What is said of a file, a line each; nothing for one of which nothing is said."""
    for warning in one.warnings:
        yield f"warning: {warning}"
    for finding in one.findings:
        told = "" if finding.confidence >= levels.told else ", not told"
        place = finding.cells[0].place if finding.cells else None
        yield (
            f"finding {finding.confidence:.4f} (flagged {levels.first(finding.confidence)}{told}) "
            f"{finding.check} {finding.statement} {where(place)}: {finding.message}"
        )
    for signal in one.signals:
        places = "; ".join(
            f"{each.figure} {each.value:,} ({each.cell.statement}, {where(each.cell.place)})"
            for each in signal.inputs
        )
        yield (
            f"signal {signal.signal} {signal.level} {signal.distance:.2f}: {signal.message} "
            f"[{places}]"
        )
    for flag in one.flags:
        yield (
            f"narrative {flag.family} {flag.level} {flag.confidence:.2f} page {flag.page} "
            f"({flag.filer or 'nobody named'}): {flag.text}"
        )


def main(arguments: list[str]) -> int:
    """Print the table and what is behind it. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.evaluate_raw", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", nargs="?", default=os.environ.get("SMALLPRINT_TEST_DATA", ""))
    parser.add_argument("--files", type=int, default=20, help="half PDF, half HTML (%(default)s)")
    parser.add_argument("--seed", type=int, default=5, help="of the draw (%(default)s)")
    parser.add_argument("--least", type=float, default=0.05, help="chance of a doubt (%(default)s)")
    parser.add_argument("--only", default="", help="part of a name")
    asked = parser.parse_args(arguments)
    folder = Path(asked.folder) / "finance"
    if not asked.folder or not folder.is_dir():
        raise SettingsError("name the folder that holds finance/, or set SMALLPRINT_TEST_DATA")
    with open_reader() as reader:
        looker = Looker.over(folder, reader, asked.least)
        paths = [path for path in drawn(folder, asked.files, asked.seed) if asked.only in path.name]
        found = [looked for path in paths for looked in looker.look(path)]
    levels = looker.levels
    print(f"flagged from {', '.join(f'{at} ({name})' for name, at in levels.at.items())}; ", end="")
    print(f"findings are told from {levels.told}\n\n{table(found, levels)}")
    for one in found:
        said = list(details(one, levels))
        if said:
            print(f"\n{one.name}")
        for line in said:
            print(f"  {line}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SettingsError as error:
        print(error.message, file=sys.stderr)
        sys.exit(2)
