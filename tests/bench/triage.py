"""Measure triage against its bounds: a structured filing, and annual reports in HTML and PDF.

    SMALLPRINT_TEST_DATA=FOLDER python -m tests.bench.triage [--filings 200] [--reports 10]

`make bench-triage` runs it. One process does all the work of the command: reading, statements and
tags, classifier, signals and narrative flags. Bounds apply to processor seconds of the slowest,
since these depend little on other load; wall seconds are printed too. A page of HTML has as many
characters as an average PDF page. Exits with 1 if a bound is broken or could not be measured.

Filings are judged once before the base is loaded and once after.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from models.files import read_lines
from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.verdict import triage_filing
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
from shared.inference import lazy_specialists
from shared.settings import CommonSettings, load

PAGES = 150  # pages of the report to which the bound applies
HTML_BOUND, FILING_BOUND = 5.0, 0.05
"""Seconds for such a report in HTML, and for a structured filing."""
SMALLEST_ANNUAL = 300_000  # characters from which a report counts as annual


@dataclass(frozen=True)
class Seconds:
    """A duration in processor seconds of all threads, and in wall seconds."""

    processor: float
    wall: float


@dataclass(frozen=True)
class Measured:
    """One document: characters, pages if it has them, and duration."""

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
        """Whether it was measured and is kept."""
        return self.slowest is not None and self.slowest < self.most

    def __str__(self) -> str:
        if self.slowest is None:
            return f"NOT MEASURED  {self.about}"
        word = "holds" if self.holds else "BROKEN"
        return f"{word:13} {self.about}: {self.slowest:.3f} s of {self.most:g} s"


def timed(work: Callable[[], object]) -> Seconds:
    """Measure some work."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.process_time() - processor, time.perf_counter() - clock)


class Triage:
    """Triage of a filing in this process, as in the command and the service."""

    def __init__(self) -> None:
        settings = load(CommonSettings)
        self.artefacts = settings.artefacts_folder
        self.classifier = BreakClassifier.load(self.artefacts)
        self.peers = Peers.load_if_installed(self.artefacts)
        self.narrative = FlagModel.load_if_installed(self.artefacts)
        self.models = lazy_specialists(
            self.artefacts, settings.threads, settings.arithmetic, settings.adapters_folder
        )

    def judged(self, filing: Filing) -> None:
        """Return the verdict and the signals."""
        triage_filing(filing, self.classifier)
        for _ in signals_of(filing, self.peers) if self.peers else ():
            pass

    def document(self, data: bytes, name: str) -> Measured:
        """Read one document from its bytes to its findings. Raises SuiteError."""
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
    """Evenly spread filings of the data, as lines of JSON."""
    records = list(read_lines(folder / "statements.jsonl"))
    key = lambda one: (one["cik"], one["company"], one["form"], one["period"], one["source"])  # noqa: E731
    whole = [list(some) for _, some in groupby(sorted(records, key=key), key=key)]
    for some in whole[:: max(1, len(whole) // most)][:most]:
        head = {name: some[0][name] for name in ("id", "company", "form", "period")}
        yield json.dumps({**head, "statements": some}).encode()


def of_filings(triage: Triage, lines: Sequence[bytes]) -> list[Seconds]:
    """Measure reading and judging of each filing."""

    def judge(line: bytes) -> None:
        (found,) = read_document(line, NDJSON, "a.jsonl", reading=_none)
        assert isinstance(found, ReadFiling)
        triage.judged(found.filing)

    return [timed(partial(judge, line)) for line in lines]


def _none() -> documents.ParsedDocument:
    raise AssertionError("data is read as it is")


def reports(triage: Triage, files: Sequence[Path], most: int) -> list[Measured]:
    """Measure annual reports, the longest files first."""
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


def main(arguments: list[str] | None = None) -> int:
    """Print times beside the bounds. Returns the exit code.

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
    print("\nBounds on the slowest of each (processor seconds):")
    for bound in bounds:
        print(f"  {bound}")
    return 0 if all(bound.holds for bound in bounds) else 1


def _bounds_of_filings(triage: Triage, folder: Path, most: int) -> list[Bound]:
    """Measure structured filings, without the base and with it."""
    lines = list(filings(folder, most))
    of_filings(triage, lines[:5])
    measured = {"a structured filing": of_filings(triage, lines)}
    triage.models()
    measured["a structured filing, base in memory"] = of_filings(triage, lines)
    for about, seconds in measured.items():
        print(f"{about}, {len(seconds)}: {_against_bound(seconds)}")
    return [
        Bound(about, FILING_BOUND, max((one.processor for one in seconds), default=None))
        for about, seconds in measured.items()
    ]


def _bound_of_reports(triage: Triage, folder: Path, most: int) -> Bound:
    """Measure annual reports. The bound is for those in HTML, scaled to `PAGES` pages."""
    pdfs = reports(triage, [*(folder / "raw" / "pdf").glob("*.pdf")], most)
    _of_reports("PDF", pdfs, [one.pages for one in pdfs])
    page = sum(one.characters for one in pdfs) / max(1, sum(one.pages for one in pdfs))
    html = reports(triage, [*(folder / "raw" / "html").glob("*.gz")], most) if page else []
    pages = [one.characters / page for one in html]
    _of_reports("HTML", html, pages)
    print(f"one page has {page:,.0f} characters on average")
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


def _against_bound(seconds: Sequence[Seconds]) -> str:
    """Spread, and how many keep the bound."""
    kept = sum(one.processor < FILING_BOUND for one in seconds)
    walls = sum(one.wall < FILING_BOUND for one in seconds)
    return (
        f"{_spread(seconds, 1000)} ms each; below {FILING_BOUND * 1000:g} ms {kept} of "
        f"{len(seconds)} (wall {walls})"
    )


def _spread(seconds: Sequence[Seconds], times: float) -> str:
    """Median and maximum of processor time, then of wall time."""
    if not seconds:
        return "none"
    both = ([one.processor for one in seconds], [one.wall for one in seconds])
    times_of = [
        f"median {statistics.median(one) * times:.2f}, at most {max(one) * times:.2f}"
        for one in both
    ]
    return f"{times_of[0]} (wall {times_of[1]})"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SettingsError as error:
        print(error.message, file=sys.stderr)
        sys.exit(2)
