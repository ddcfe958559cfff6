"""Measure triage against its bounds: a structured filing, and annual reports in HTML and PDF.

    SMALLPRINT_TEST_DATA=FOLDER python -m tests.bench.triage [--filings 200] [--reports 10]

`make bench-triage` runs it. One process does all the work of the command: reading, statements and
tags, classifier, signals and narrative flags. Bounds apply to processor seconds of the slowest,
since these depend little on other load; wall seconds are printed too. A page of HTML has as many
characters as an average PDF page. Exits with 1 if a bound is broken or could not be measured.

The time is also compared with naming the same lines by `line-concepts`: by its linear model (plain
fp32), with its adapter on the shared base, and, if torch is installed (`make setup-train`), with
both in plain fp32. Filings are judged once before the base is loaded and once after.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from models.files import read_lines
from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.verdict import triage_filing
from services.triage.concepts.ensemble import load_labeller
from services.triage.concepts.linear import ConceptLabeller, LinearLabeller
from services.triage.narrative.flags import read_narrative
from services.triage.narrative.model import FlagModel
from services.triage.reading.document import ReadFiling, read_document
from services.triage.signals.peers import Peers
from services.triage.signals.signals import signals_of
from services.triage.statements.model import Filing
from shared import documents
from shared.documents import sniff
from shared.documents.model.formats import NDJSON
from shared.errors import SettingsError, SuiteError
from shared.inference import Base, lazy_specialists
from shared.inference.adapters import base_folder
from shared.inference.engines import Run
from shared.inference.session import Adapter, Session
from shared.settings import CommonSettings, load

PAGES = 150  # pages of the report that the bound is about
HTML_BOUND, FILING_BOUND = 5.0, 0.05
"""Seconds: of such a report in HTML, and of a structured filing."""
SHARED = 20  # filings of which the lines are named on the base
SMALLEST_ANNUAL = 300_000  # characters from which a report counts as annual
NO_TORCH = (
    "against the base with the adapter in plain fp32: not printed, for torch, which exports it, is "
    "not here (make setup-train; then run this by var/venv-train/bin/python)"
)


@dataclass(frozen=True)
class Seconds:
    """How long something took: of the processor, all threads together, and by the clock."""

    processor: float
    wall: float


@dataclass(frozen=True)
class Measured:
    """One document: characters, pages if it has them, and how long it took."""

    name: str
    characters: int
    pages: int
    took: Seconds


@dataclass(frozen=True)
class Bound:
    """A bound in seconds, and the slowest measurement; None without one."""

    about: str
    most: float
    slowest: float | None

    @property
    def holds(self) -> bool:
        """Whether it was measured, and is below."""
        return self.slowest is not None and self.slowest < self.most

    def __str__(self) -> str:
        if self.slowest is None:
            return f"NOT MEASURED  {self.about}"
        word = "holds" if self.holds else "BROKEN"
        return f"{word:13} {self.about}: {self.slowest:.3f} s of {self.most:g} s"


def timed(work: Callable[[], object]) -> Seconds:
    """How long it takes."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.process_time() - processor, time.perf_counter() - clock)


class Triage:
    """Triage of a filing in this process, as in the command and the service."""

    def __init__(self) -> None:
        settings = load(CommonSettings)
        self.artefacts, self.threads = settings.artefacts_folder, settings.threads
        self.classifier = BreakClassifier.load(self.artefacts)
        self.peers = Peers.load_if_installed(self.artefacts)
        self.narrative = FlagModel.load_if_installed(self.artefacts)
        self.namer: ConceptLabeller = LinearLabeller.load(self.artefacts)
        models = lazy_specialists(
            self.artefacts, settings.threads, settings.arithmetic, settings.adapters_folder
        )
        self.base: Callable[[], Base] = lambda: models().base
        self.both = load_labeller(self.artefacts, self.base)

    def judged(self, filing: Filing) -> None:
        """The verdict and the signals."""
        triage_filing(filing, self.classifier)
        for _ in signals_of(filing, self.peers) if self.peers else ():
            pass

    def named(self, filing: Filing, naming: ConceptLabeller) -> None:
        """The concept of every line."""
        for statement in filing.statements:
            naming.names(statement)

    def document(self, data: bytes, name: str) -> Measured:
        """One document from its bytes to its findings. Raises SuiteError."""
        reading: documents.ParsedDocument | None = None

        def work() -> None:
            nonlocal reading
            reading = read = documents.read(data, name=name)
            (found,) = read_document(data, sniff(data, name), name, reading=lambda: read)
            assert isinstance(found, ReadFiling)
            self.judged(found.filing)
            if self.narrative:
                read_narrative(read, self.narrative)

        took = timed(work)
        assert reading is not None
        return Measured(name, len(reading.text), reading.page_count, took)


def filings(folder: Path, most: int) -> Iterator[bytes]:
    """So many filings of the data, as lines of JSON, evenly spread."""
    records = list(read_lines(folder / "statements.jsonl"))
    key = lambda one: (one["cik"], one["company"], one["form"], one["period"], one["source"])  # noqa: E731
    whole = [list(some) for _, some in groupby(sorted(records, key=key), key=key)]
    for some in whole[:: max(1, len(whole) // most)][:most]:
        head = {name: some[0][name] for name in ("id", "company", "form", "period")}
        yield json.dumps({**head, "statements": some}).encode()


def of_filings(
    triage: Triage, lines: Sequence[bytes], naming: ConceptLabeller
) -> tuple[list[Seconds], list[Seconds]]:
    """How long each filing takes: read and judged, and its lines named."""
    judged, named = [], []
    for line in lines:
        kept: list[Filing] = []

        def work(line: bytes = line, kept: list[Filing] = kept) -> None:
            (found,) = read_document(line, NDJSON, "a.jsonl", reading=_none)
            assert isinstance(found, ReadFiling)
            triage.judged(found.filing)
            kept.append(found.filing)

        judged.append(timed(work))
        named.append(timed(lambda kept=kept: triage.named(kept[0], naming)))  # type: ignore[misc]
    return judged, named


def _none() -> documents.ParsedDocument:
    raise AssertionError("data is read as it is")


def reports(triage: Triage, files: Sequence[Path], most: int) -> list[Measured]:
    """Annual reports, the longest files first."""
    found: list[Measured] = []
    for path in sorted(files, key=lambda one: -one.stat().st_size):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        try:
            one = triage.document(data, path.name.removesuffix(".gz"))
        except SuiteError:
            continue
        if one.characters >= SMALLEST_ANNUAL:
            found.append(one)
        if len(found) == most:
            break
    return found


class PlainEngine:
    """The base in plain fp32, exported with each adapter."""

    def __init__(
        self, folder: Path, threads: int, adapter_inputs: Mapping[str, tuple[int | str, ...]]
    ):
        self.adapter_inputs = adapter_inputs
        self._folder, self._threads = folder, threads

    def specialise(self, adapter: Adapter) -> Run:
        """See shared.inference.engines.Engine. Raises ImportError without torch."""
        from models.base.fp32 import export_with

        with tempfile.TemporaryDirectory() as scratch:
            graph = Path(scratch) / "fp32.onnx"
            export_with(self._folder, adapter.parameters(), graph)
            return Session(graph, self._threads).run


def plain(triage: Triage) -> ConceptLabeller | None:
    """Both models with the base and its adapter in plain fp32; None without torch or adapter."""
    try:
        import models.base.fp32  # noqa: F401 - whether torch is here
    except ImportError:
        return None
    base = triage.base()
    engine = PlainEngine(base_folder(triage.artefacts), triage.threads, base.engine.adapter_inputs)
    return load_labeller(triage.artefacts, lambda: replace(base, engine=engine))


def main(arguments: list[str] | None = None) -> int:
    """Print times beside the bounds, and the ratios. Returns the exit code.

    Raises SettingsError without data.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--filings", type=int, default=200)
    parser.add_argument("--reports", type=int, default=10, help="of each format")
    options = parser.parse_args(arguments)
    root = os.environ.get("SMALLPRINT_TEST_DATA", "")
    folder = Path(root) / "finance"
    if not root or not folder.is_dir():
        raise SettingsError(
            "name the folder that holds finance/: make bench-triage SOURCES=FOLDER, or set "
            "SMALLPRINT_TEST_DATA"
        )
    triage = Triage()
    bounds = [
        *_bounds_of_filings(triage, folder, options.filings),
        _bound_of_reports(triage, folder, options.reports),
    ]
    print("\nBounds, the slowest of each, in seconds of the processor:")
    for bound in bounds:
        print(f"  {bound}")
    return 0 if all(bound.holds for bound in bounds) else 1


def _bounds_of_filings(triage: Triage, folder: Path, most: int) -> list[Bound]:
    """Measure structured filings: alone, beside the base, and with names in between."""
    lines = list(filings(folder, most))
    of_filings(triage, lines[:5], triage.namer)
    judged, named = of_filings(triage, lines, triage.namer)
    measured = {"a structured filing": judged}
    print(f"structured filings, {len(judged)}: {_judged(judged)}")
    print(f"their lines named by the linear model, plain fp32: {_spread(named, 1000)} ms each")
    print(f"  judging takes {_ratio(judged, named):.2f} times as long as naming")
    few = lines[:: max(1, len(lines) // SHARED)][:SHARED]
    if triage.both is not None:
        of_filings(triage, few[:1], triage.both)
        alone, _ = of_filings(triage, lines, triage.namer)
        beside, both = of_filings(triage, few, triage.both)
        print(f"the same in a process that holds the base: {_judged(alone)}")
        print(f"{len(few)} of them with names in between: {_judged(beside)}")
        print(f"  named on the base too, as it ships: {_spread(both, 1000)} ms each")
        print(f"  judging takes {_ratio(beside, both):.3f} times as long as that naming")
        _against_plain(triage, few)
        measured |= {"the same beside the base": alone, "with names in between": beside}
    return [
        Bound(about, FILING_BOUND, max((one.processor for one in seconds), default=None))
        for about, seconds in measured.items()
    ]


def _against_plain(triage: Triage, lines: Sequence[bytes]) -> None:
    """Print the ratio against base and adapter in plain fp32, or why there is none."""
    naming = plain(triage)
    if naming is None:
        print(f"  {NO_TORCH}")
        return
    of_filings(triage, lines[:1], naming)
    judged, named = of_filings(triage, lines, naming)
    print(f"  named with the base and the adapter in plain fp32: {_spread(named, 1000)} ms each")
    print(f"  judging takes {_ratio(judged, named):.3f} times as long as that naming")


def _bound_of_reports(triage: Triage, folder: Path, most: int) -> Bound:
    """Measure annual reports; the bound is about those in HTML, each as if of so many pages."""
    pdfs = reports(triage, [*(folder / "raw" / "pdf").glob("*.pdf")], most)
    _of_reports("PDF", pdfs, [one.pages for one in pdfs])
    page = sum(one.characters for one in pdfs) / max(1, sum(one.pages for one in pdfs))
    html = reports(triage, [*(folder / "raw" / "html").glob("*.gz")], most) if page else []
    pages = [one.characters / page for one in html]
    _of_reports("HTML", html, pages)
    print(f"a page is {page:,.0f} characters")
    paces = (one.took.processor / count for one, count in zip(html, pages, strict=True))
    slowest = max(paces, default=None)
    return Bound(
        f"{PAGES} pages of HTML",
        HTML_BOUND,
        None if slowest is None else slowest * PAGES,
    )


def _of_reports(kind: str, found: Sequence[Measured], pages: Sequence[float]) -> None:
    for one, count in zip(found, pages, strict=True):
        took = one.took
        print(f"  {one.name}: {count:,.0f} pages, {took.processor:.2f} s (wall {took.wall:.2f})")
    seconds = [one.took for one in found]
    whole = sum(one.processor for one in seconds) / max(1.0, sum(pages)) * PAGES
    print(
        f"{kind}, {len(found)} reports: {_spread(seconds, 1)} s each; "
        f"{PAGES} pages {whole:.2f} s on average"
    )


def _judged(seconds: Sequence[Seconds]) -> str:
    """Spread, and how many keep the bound."""
    kept = sum(one.processor < FILING_BOUND for one in seconds)
    walls = sum(one.wall < FILING_BOUND for one in seconds)
    return (
        f"{_spread(seconds, 1000)} ms each; below {FILING_BOUND * 1000:g} ms {kept} of "
        f"{len(seconds)} (wall {walls})"
    )


def _ratio(some: Sequence[Seconds], others: Sequence[Seconds]) -> float:
    """Processor time of some over that of others."""
    return sum(one.processor for one in some) / sum(one.processor for one in others)


def _spread(seconds: Sequence[Seconds], times: float) -> str:
    """Median and the largest, and the same by the clock."""
    if not seconds:
        return "none"
    both = ([one.processor for one in seconds], [one.wall for one in seconds])
    said = [
        f"median {statistics.median(one) * times:.2f}, at most {max(one) * times:.2f}"
        for one in both
    ]
    return f"{said[0]} (wall {said[1]})"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SettingsError as error:
        print(error.message, file=sys.stderr)
        sys.exit(2)
