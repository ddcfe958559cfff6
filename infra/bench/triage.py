"""Measures triage: processor time of a structured filing, and of annual reports in HTML and PDF.

    SMALLPRINT_TEST_DATA=FOLDER python -m infra.bench.triage [--filings 200] [--reports 10]

`make bench-triage` runs it. One process does all the work on one core: reading, statements
and tags, the judge, signals and sentences, as the command does. Processor seconds are printed, for
they change little when others use the machine. A page of HTML is as many characters as a page of
the PDF reports has on average. The ratios are against naming the same lines by `line-concepts`:
by its linear model, which is plain fp32, and by that and its adapter together, with the base that
extraction shares; filings are judged once before the base is loaded and once beside it. Arelle is
not used (infra/decisions/0015-xbrl.md): there is no ratio.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from services.triage.judgement import triage_filing
from services.triage.naming import Namer, Naming
from services.triage.narrative.flags import words_of
from services.triage.narrative.model import Narrative
from services.triage.reading.document import Reported, read_document
from services.triage.risk import Judge
from services.triage.signals.peers import Peers
from services.triage.signals.signals import signals_of
from services.triage.statements import NDJSON, Filing
from services.triage.together import find_naming
from shared import documents
from shared.documents import sniff
from shared.errors import SettingsError, SuiteError
from shared.inference import lazily
from shared.settings import CommonSettings, load

PAGES = 150
"""Pages of the report that the bound is about."""
HTML_BOUND, FILING_BOUND = 5.0, 0.05
"""Seconds: of such a report in HTML, and of a structured filing."""
SHARED = 20
"""Filings of which the lines are named on the base."""
SMALLEST_ANNUAL = 300_000
"""Characters from which on a report of the data is taken for an annual one."""


@dataclass(frozen=True)
class Measured:
    """One document: characters, pages if it has them, and processor seconds."""

    name: str
    characters: int
    pages: int
    seconds: float


class Triage:
    """What the command and the service do with a filing, in this process."""

    def __init__(self) -> None:
        settings = load(CommonSettings)
        artefacts = settings.artefacts_folder
        self.judge = Judge.load(artefacts)
        self.peers = Peers.found(artefacts)
        self.narrative = Narrative.found(artefacts)
        self.namer: Naming = Namer.load(artefacts)
        models = lazily(artefacts, settings.threads, settings.arithmetic, settings.adapters_folder)
        self.both = find_naming(artefacts, lambda: models().base)

    def judged(self, filing: Filing) -> None:
        """The verdict and the signals."""
        triage_filing(filing, self.judge)
        for _ in signals_of(filing, self.peers) if self.peers else ():
            pass

    def named(self, filing: Filing, naming: Naming) -> None:
        """The concept of every line."""
        for statement in filing.statements:
            naming.names(statement)

    def document(self, data: bytes, name: str) -> Measured:
        """One document from its bytes to what is said of it. Raises SuiteError."""
        began = time.process_time()
        reading = documents.read(data, name=name)
        (found,) = read_document(data, sniff(data, name), name, reading=lambda: reading)
        assert isinstance(found, Reported)
        self.judged(found.filing)
        if self.narrative:
            words_of(reading, self.narrative)
        seconds = time.process_time() - began
        return Measured(name, len(reading.text), reading.page_count, seconds)


def filings(folder: Path, most: int) -> Iterator[bytes]:
    """So many filings of the data, as lines of JSON, evenly spread."""
    lines = (folder / "statements.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    key = lambda one: (one["cik"], one["company"], one["form"], one["period"], one["source"])  # noqa: E731
    whole = [list(some) for _, some in groupby(sorted(records, key=key), key=key)]
    for some in whole[:: max(1, len(whole) // most)][:most]:
        head = {name: some[0][name] for name in ("id", "company", "form", "period")}
        yield json.dumps({**head, "statements": some}).encode()


def of_filings(
    triage: Triage, lines: Sequence[bytes], naming: Naming
) -> tuple[list[float], list[float]]:
    """Seconds of each filing: read and judged, and its lines named."""
    judged, named = [], []
    for line in lines:
        began = time.process_time()
        (found,) = read_document(line, NDJSON, "a.jsonl", reading=_none)
        assert isinstance(found, Reported)
        triage.judged(found.filing)
        between = time.process_time()
        triage.named(found.filing, naming)
        judged.append(between - began)
        named.append(time.process_time() - between)
    return judged, named


def _none() -> documents.Reading:
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


def main(arguments: list[str] | None = None) -> None:
    """Print processor time beside the bounds, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--filings", type=int, default=200)
    parser.add_argument("--reports", type=int, default=10, help="of each format")
    options = parser.parse_args(arguments)
    root = os.environ.get("SMALLPRINT_TEST_DATA")
    if not root:
        raise SettingsError("set SMALLPRINT_TEST_DATA to the folder that holds finance/")
    folder = Path(root) / "finance"
    triage = Triage()
    lines = list(filings(folder, options.filings))
    of_filings(triage, lines[:5], triage.namer)
    judged, named = of_filings(triage, lines, triage.namer)
    print(f"structured filings, {len(judged)}: {_judged(judged)}")
    print(f"their lines named in plain fp32: {_spread(named, 1000)} ms each")
    print(f"  judging takes {sum(judged) / sum(named):.2f} times as long as naming")
    few = lines[:: max(1, len(lines) // SHARED)][:SHARED]
    if triage.both is not None:
        of_filings(triage, few[:1], triage.both)
        alone, _ = of_filings(triage, lines, triage.namer)
        beside, both = of_filings(triage, few, triage.both)
        print(f"the same in a process that holds the base: {_judged(alone)}")
        print(f"{len(few)} of them with names in between: {_judged(beside)}")
        print(f"  named on the base too: {_spread(both, 1000)} ms each")
        print(f"  judging takes {sum(beside) / sum(both):.3f} times as long as that naming")
    pdfs = reports(triage, [*(folder / "raw" / "pdf").glob("*.pdf")], options.reports)
    _of_reports("PDF", pdfs, [one.pages for one in pdfs])
    page = sum(one.characters for one in pdfs) / max(1, sum(one.pages for one in pdfs))
    html = reports(triage, [*(folder / "raw" / "html").glob("*.gz")], options.reports)
    _of_reports("HTML", html, [one.characters / page for one in html])
    print(f"a page is {page:,.0f} characters; bound of {PAGES} pages of HTML: {HTML_BOUND:g} s")
    print("Arelle is not used: no ratio")


def _of_reports(kind: str, found: Sequence[Measured], pages: Sequence[float]) -> None:
    seconds = [one.seconds for one in found]
    for one, count in zip(found, pages, strict=True):
        print(f"  {one.name}: {count:,.0f} pages, {one.seconds:.2f} s")
    whole = sum(seconds) / max(1.0, sum(pages)) * PAGES
    print(
        f"{kind}, {len(found)} reports: {_spread(seconds, 1)} s each; {PAGES} pages {whole:.2f} s"
    )


def _judged(seconds: Sequence[float]) -> str:
    """Spread, and how many keep the bound."""
    kept = sum(one < FILING_BOUND for one in seconds)
    return (
        f"{_spread(seconds, 1000)} ms each, {kept} of {len(seconds)} below {FILING_BOUND * 1000:g}"
    )


def _spread(seconds: Sequence[float], times: float) -> str:
    """Median and the largest."""
    if not seconds:
        return "none"
    return f"median {statistics.median(seconds) * times:.2f}, at most {max(seconds) * times:.2f}"


if __name__ == "__main__":
    main()
