"""The training and test documents of `document-kind`, each with its source.

* Contracts: CUAD (text, and its PDFs as we read them), ContractNLI, and terms of service.
* Reports: filings as HTML, PDF, CSV and workbooks, printed XBRL statements, and TAT-QA.
* Others: texts of `models.document_kind.other_documents`, short cases of misreporting, and papers
  generated from patterns (`models.document_kind.letters`), which also has contracts and reports.

Families of contracts and companies are on one side only. Everything is chosen on folds 0 to 3.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.corpus import fold_of
from models.document_kind.letters import papers
from models.files import read_json, read_lines

READS = 12_000
"""Characters at the beginning of a document that are classified."""
BEGINNING = 1_000
KINDS = ("contract", "report", "other")
DEVELOPMENT, UNSEEN = (0, 1, 2, 3), 4
SHORTEST = 150
MOST = 60
"""Documents of one corpus at most."""
NO_STATEMENTS = ("8K",)
"""Announcements (form 8-K), which may have no statements: neither trained on nor scored."""


@dataclass(frozen=True)
class Document:
    """One document as text. Documents of one `group` are similar; `source` is the corpus."""

    kind: str
    source: str
    name: str
    group: str
    fold: int
    text: str


def documents(data: Path, work: Path, others: Path) -> list[Document]:
    """Return every document, in a fixed order.

    Args:
        work: folder of the pages from `models.document_kind.read_originals`.
        others: file of `models.document_kind.other_documents`.
    """
    result = [*_contracts(data, work), *_reports(data, work), *_others(data, others), *_papers()]
    return drawn([document for document in result if len(document.text.strip()) >= SHORTEST], MOST)


def drawn(every: Sequence[Document], most: int) -> list[Document]:
    """Return at most this many documents of each corpus, chosen by the hash of their names."""
    result: dict[tuple[str, str], list[Document]] = {}
    for document in every:
        result.setdefault((document.kind, document.source), []).append(document)
    return [document for some in result.values() for document in sorted(some, key=_hashed)[:most]]


def _hashed(document: Document) -> str:
    return hashlib.sha256(f"{document.source}/{document.name}".encode()).hexdigest()


def original_pages(work: Path) -> Iterator[dict[str, Any]]:
    """Yield the pages of the original files: `file`, `type`, `pages`."""
    for path in sorted((work / "texts").glob("*.json")):
        yield read_json(path)


def _contracts(data: Path, work: Path) -> Iterator[Document]:
    legal = data / "legal"
    places: dict[str, tuple[str, int]] = {}
    for record in read_lines(legal / "cuad_train.jsonl.gz"):
        places[record["id"]] = (record["family"], record["fold"])
        yield Document("contract", "CUAD", record["title"], *places[record["id"]], record["text"])
    for record in original_pages(work):
        name = record["file"].rpartition("/")[2].removesuffix(".pdf")
        if name in places:
            text = "\n\n".join(record["pages"])
            yield Document("contract", "CUAD as PDF", name, *places[name], text)
    files = {"ContractNLI": "contractnli_dev", "terms of service": "unfair_tos_en_train"}
    for source, file in files.items():
        for record in read_lines(legal / f"{file}.jsonl.gz"):
            fold = fold_of(record["id"])
            yield Document("contract", source, record["title"], record["id"], fold, record["text"])


def _reports(data: Path, work: Path) -> Iterator[Document]:
    finance = data / "finance"
    manifest = {record["file"]: record for record in read_lines(finance / "raw_manifest.jsonl")}
    for record in original_pages(work):
        record_of = manifest.get(record["file"].removeprefix("finance/"))
        if record_of is None or announces(record["file"]):
            continue
        group = f"cik{record_of['cik']}" if record_of["cik"] else record["file"]
        source = f"filings as {record['file'].split('/')[2].upper()}"
        text = "\n\n".join(record["pages"])
        yield Document("report", source, record["file"], group, fold_of(group), text)
    for filing in _filings(finance / "statements.jsonl"):
        group, draw = f"cik{filing[0]['cik']}", random.Random(filing[0]["id"])
        as_csv = draw.random() < 0.4
        name = f"{filing[0]['id']}{'.csv' if as_csv else ''}"
        text = printed(filing, as_csv=as_csv)
        yield Document("report", "printed statements", name, group, fold_of(group), text)
    for record in read_lines(finance / "tatqa.jsonl"):
        table = "\n".join("  ".join(cell for cell in row if cell) for row in record["table"])
        text = "\n".join([table, *record["paragraphs"]])
        yield Document("report", "TAT-QA", record["id"], record["id"], fold_of(record["id"]), text)
    for record in read_lines(finance / "abbreviated.jsonl"):
        if record["label"] == "untouched":
            name, group, text = record["id"], record["company"], record["text"]
            yield Document("report", "FinVerBench", name, group, fold_of(group), text)


def announces(file: str) -> bool:
    """Return whether a file is an announcement, which may have no statements."""
    return any(mark in file for mark in NO_STATEMENTS)


def _filings(path: Path) -> Iterator[list[dict[str, Any]]]:
    """Yield the statements of the first filing of every company."""
    filings: dict[str, list[dict[str, Any]]] = {}
    for record in read_lines(path):
        filings.setdefault(record["id"].rpartition("-")[0], []).append(record)
    companies: set[str] = set()
    for filing in filings.values():
        if filing[0]["cik"] not in companies:
            companies.add(filing[0]["cik"])
            yield filing


def printed(filing: Sequence[Mapping[str, Any]], *, as_csv: bool) -> str:
    """Return the statements of a filing as text, as a table of words or as CSV."""
    between, amount = (",", "{:.0f}") if as_csv else ("  ", "{:,.0f}")
    lines = [] if as_csv else [filing[0]["company"]]
    for statement in filing:
        title = statement["statement"].replace("_", " ").title()
        lines.append(between.join([title, *(column["end"] for column in statement["columns"])]))
        unit = statement.get("presented_in") or 1
        for row in statement["rows"]:
            values = row.get("values") or ()
            shown = ["" if v is None else amount.format(v / unit) for v in values]
            lines.append(between.join([row["label"] or "", *shown]))
        lines.append("")
    return "\n".join(lines)


def _others(data: Path, others: Path) -> Iterator[Document]:
    for record in read_lines(others):
        source, name, fold = record["source"], record["name"], record["fold"]
        if source != "foreign":
            yield Document("other", source, name, f"{source} {name}", fold, record["text"])
    for record in read_lines(data / "finance/aaer_cases.jsonl"):
        text = record.get("scheme_summary") or ""
        group = f"cik{record['cik']}"
        yield Document("other", "cases told", record["case_id"], group, fold_of(group), text)


def _papers() -> Iterator[Document]:
    for pattern, number, text in papers():
        source = f"made: {pattern.name}"
        yield Document(pattern.kind, source, f"{number} {pattern.name}", source, pattern.fold, text)


def foreign(others: Path) -> Iterator[Document]:
    """Yield texts in other languages, without a kind."""
    for record in read_lines(others):
        if record["source"] == "foreign":
            language = record["name"].split()[0]
            yield Document("", language, record["name"], language, record["fold"], record["text"])


def beginning(text: str) -> str:
    """Return the first characters of a text, up to the end of a word."""
    return _cut(text, 0, BEGINNING)


def stretch(text: str, number: int) -> str:
    """Return 300 to 4,000 characters of a text, chosen by the number."""
    draw = random.Random(f"{number} {len(text)} {text[:200]}")
    length = min(round(300 * (4_000 / 300) ** draw.random()), len(text))
    return _cut(text, draw.randrange(max(len(text[:READS]) - length, 0) + 1), length)


def _cut(text: str, start: int, length: int) -> str:
    part = text[start : start + length]
    if start:
        part = part.partition(" ")[2] or part
    if start + length < len(text):
        part = part.rpartition(" ")[0] or part
    return part
