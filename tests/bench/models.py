"""Print what each service runs: weights, arithmetic, megabytes and milliseconds, as a table.

    SMALLPRINT_TEST_DATA=FOLDER python -m tests.bench.models [--documents 5]

Each model reads real documents of the data on one thread. Sizes and times are medians. Times are of
the processor, so they depend little on other load. The first document is read twice, since the
first time loads.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from models.files import read_lines
from services.extraction.pipeline.search import search
from services.ingest.classifier import NAME as KIND
from services.review.priority import Priority
from services.review.results import ClauseItem
from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.verdict import triage_filing
from services.triage.concepts.ensemble import load_labeller
from services.triage.narrative.flags import read_narrative
from services.triage.narrative.model import FlagModel
from services.triage.reading.document import ReadFiling, read_document
from services.triage.signals.peers import Peers
from services.triage.signals.signals import signals_of
from services.triage.statements.model import Filing
from shared import documents
from shared.artefacts.loader import newest
from shared.documents.model.formats import NDJSON
from shared.features.linear import Linear
from shared.inference import Specialist, lazy_specialists
from shared.inference.adapters import base_folder
from shared.inference.tokeniser import Tokeniser
from shared.settings import CommonSettings, load
from tests.bench.triage import filings

INT8 = "INT8, adapter merged in"
BASE = "base"
ROWS = (
    ("several", BASE, "states of tokens, one window", "INT4", "INT8"),
    ("ingest", KIND, "contract, report or other", "linear, float16", "float32"),
    (
        *("extraction", "contract-clauses", "passages of 41 categories, and their presence"),
        *("INT4 base, LoRA float32; forests float32; word model float16", INT8),
    ),
    (
        *("extraction", "unfair-terms", "unfair terms of service"),
        *("INT4 base, LoRA float32", INT8),
    ),
    (
        *("extraction", "nda-review", "passages that answer statements about an NDA"),
        *("INT4 base, LoRA float32", INT8),
    ),
    ("triage", "triage-breaks", "is a break an error?", "forest, float32", "float32"),
    (
        *("triage", "line-concepts", "us-gaap concept of each line"),
        *("linear, float16; INT4 base, LoRA float32", f"float32; {INT8}"),
    ),
    (
        *("triage", "narrative-flags", "doubts stated in sentences"),
        *("linear, float16", "float32"),
    ),
    ("triage", "triage-peers", "unusual ratios", "percentiles", "float64"),
    (
        *("review", "review-priority", "which clauses a reviewer changes"),
        *("forest, float32", "float32"),
    ),
)
"""Service, model, decision, weights and arithmetic."""
Work = Callable[[Any], object]


def size_of(document: Any) -> tuple[int, str]:
    """Return the size of a document, and what it counts."""
    match document:
        case Filing():
            return sum(len(one.rows) for one in document.statements), "lines"
        case (_, clauses):
            return len(clauses), "clauses"
        case _:
            return len(getattr(document, "text", document)), "characters"


def first_window(text: str, tokenise: Tokeniser, length: int) -> str:
    """Return the part of a text that fills one window of the base."""
    return text[: tokenise(text).offsets[: length - 2][-1][1]]


def median_time(work: Work, given: Sequence[Any]) -> float:
    """Return the median milliseconds of some work, after a first time that loads."""
    work(given[0])
    return statistics.median(milliseconds(work, one) for one in given)


def megabytes(folder: Path) -> float:
    """Return the size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def milliseconds(work: Work, given: object) -> float:
    """Return the processor time of some work."""
    begin = time.process_time()
    work(given)
    return 1000 * (time.process_time() - begin)


def texts(path: Path, most: int) -> list[str]:
    """Return evenly spread documents of a corpus of contracts."""
    found = [str(record["text"]) for record in read_lines(path)]
    return found[:: max(1, len(found) // most)][:most]


def reports(folder: Path, most: int) -> Iterator[documents.ParsedDocument]:
    """Yield reports in HTML as read documents."""
    for path in itertools.islice(sorted(folder.glob("*.gz")), most):
        yield documents.read(gzip.decompress(path.read_bytes()), name=path.stem)


def structured(folder: Path, most: int) -> Iterator[Filing]:
    """Yield structured filings."""
    for line in filings(folder, most):
        (found,) = read_document(line, NDJSON, "a.jsonl", reading=_none)
        assert isinstance(found, ReadFiling)
        yield found.filing


def _none() -> documents.ParsedDocument:
    raise AssertionError("data is read as it is")


def clauses_in(text: str, specialist: Specialist) -> tuple[str, list[ClauseItem]]:
    """Return a contract with its clauses, as review gets them."""
    found = search(text, specialist).clauses
    name = specialist.manifest.name
    clauses = [
        ClauseItem(
            id=str(number),
            category=clause.category,
            text=clause.text,
            start=clause.start,
            end=clause.end,
            confidence=clause.confidence,
            adapter=name,
        )
        for number, clause in enumerate(found)
    ]
    return text, clauses


def works(data: Path, artefacts: Path, most: int) -> dict[str, tuple[Work, Sequence[Any]]]:
    """Return the work of each model, and the documents that it reads."""
    legal, finance = data / "legal", data / "finance"
    specialists = lazy_specialists(artefacts, 1, "int8")()
    tokenise, first = specialists.base.tokeniser, specialists.get("contract-clauses")
    length = first.manifest.window_length
    classifier, flags = BreakClassifier.load(artefacts), FlagModel.load(artefacts)
    peers, priority = Peers.load(artefacts), Priority.load(artefacts)
    labeller = load_labeller(artefacts, lambda: specialists.base)

    def name_lines(filing: Filing) -> None:
        assert labeller is not None
        for statement in filing.statements:
            labeller.names(statement)

    def clauses_by(name: str) -> Work:
        specialist = specialists.get(name)
        return lambda text: search(text, specialist)

    contracts = texts(legal / "cuad_train.jsonl.gz", most)
    sound = list(structured(finance, most))
    ranked = [clauses_in(text, specialists.get(priority.adapter)) for text in contracts]
    windows = [first_window(text, tokenise, length) for text in contracts]
    return {
        BASE: (first.token_probabilities, windows),
        KIND: (Linear.load(newest(artefacts, KIND, "*.json")), contracts),
        "contract-clauses": (clauses_by("contract-clauses"), contracts),
        "unfair-terms": (
            clauses_by("unfair-terms"),
            texts(legal / "unfair_tos_en_train.jsonl.gz", most),
        ),
        "nda-review": (clauses_by("nda-review"), texts(legal / "contractnli_dev.jsonl.gz", most)),
        "triage-breaks": (lambda filing: triage_filing(filing, classifier), sound),
        "line-concepts": (name_lines, sound),
        "narrative-flags": (
            lambda read: read_narrative(read, flags),
            list(reports(finance / "raw" / "html", most)),
        ),
        "triage-peers": (lambda filing: signals_of(filing, peers), sound),
        "review-priority": (lambda pair: priority.chances(*pair), ranked),
    }


def main(arguments: list[str] | None = None) -> int:
    """Print the table. Returns 2 without data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--documents", type=int, default=5, help="of each model (%(default)s)")
    options = parser.parse_args(arguments)
    data = Path(os.environ.get("SMALLPRINT_TEST_DATA", ""))
    if not (data / "finance").is_dir():
        print("set SMALLPRINT_TEST_DATA to the folder with legal/ and finance/", file=sys.stderr)
        return 2
    artefacts = load(CommonSettings).artefacts_folder
    print("| service | model | decides | weights | arithmetic | MB | milliseconds | for |")
    print("| --- | --- | --- | --- | --- | ---: | ---: | --- |")
    measured = works(data, artefacts, options.documents)
    for cells in ROWS:
        work, given = measured[cells[1]]
        folder = (
            base_folder(artefacts) if cells[1] == BASE else newest(artefacts, cells[1], "*.json")
        )
        sizes = [size_of(one) for one in given]
        size = statistics.median(number for number, _ in sizes)
        numbers = f"{megabytes(folder):.2f} | {median_time(work, given):,.1f}"
        print(f"| {' | '.join(cells)} | {numbers} | {size:,.0f} {sizes[0][1]} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
