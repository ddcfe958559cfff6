"""The documents that `document-kind` learns from and is held against, each with where it is from.

Contracts: CUAD (as plain text, and its PDFs as we read them), ContractNLI, and terms of service,
which are terms that one side agrees to, and which our clause specialists read. Reports: filings as
HTML, PDF, CSV and workbooks, statements printed from XBRL data, tables with their text (TAT-QA).
Others: what `models.kinds.others` gathers, cases of misreporting told in a few sentences, and
papers made from patterns (`models.kinds.letters`), with sorts of contracts that no corpus here has.

Families of contracts and companies are never on both sides. Everything is chosen on folds 0 to 3.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.corpus import fold_of
from models.kinds.letters import papers

KINDS = ("contract", "report", "other")
DEVELOPMENT, UNSEEN = (0, 1, 2, 3), 4
SHORTEST = 150
MOST, SOME = 60, 5
"""Documents of one corpus: that are taken at all, and that the encoder is shown, for it is slow."""
NO_STATEMENTS = ("8K",)
"""Announcements (form 8-K) that may or may not hold statements: neither learned from nor scored."""


@dataclass(frozen=True)
class Document:
    """One document as text. Those of one `group` are alike; `source` is the corpus."""

    kind: str
    source: str
    name: str
    group: str
    fold: int
    text: str


def documents(data: Path, work: Path, others: Path) -> list[Document]:
    """Return every document, in a lasting order.

    Args:
        data: folder with legal/ and finance/.
        work: where `models.kinds.reading` keeps the pages of the original files.
        others: the file that `models.kinds.others` wrote.
    """
    found = [
        *_contracts(data, work),
        *_reports(data, work),
        *_others(data, others),
        *_papers(),
    ]
    return drawn([one for one in found if len(one.text.strip()) >= SHORTEST], MOST)


def drawn(every: Sequence[Document], most: int) -> list[Document]:
    """Return at most so many documents of each corpus, chosen by the hash of their names."""
    found: dict[tuple[str, str], list[Document]] = {}
    for one in every:
        found.setdefault((one.kind, one.source), []).append(one)
    drawn = [sorted(some, key=_hashed)[:most] for some in found.values()]
    return [one for some in drawn for one in some]


def _hashed(one: Document) -> str:
    return hashlib.sha256(f"{one.source}/{one.name}".encode()).hexdigest()


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file of JSON Lines, gzipped or not."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def kept(work: Path) -> Iterator[dict[str, Any]]:
    """Yield the original files as they were read: `file`, `type`, `pages`."""
    for path in sorted((work / "texts").glob("*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def _contracts(data: Path, work: Path) -> Iterator[Document]:
    legal = data / "legal"
    places: dict[str, tuple[str, int]] = {}
    for record in lines_of(legal / "cuad_train.jsonl.gz"):
        places[record["id"]] = (record["family"], record["fold"])
        yield Document("contract", "CUAD", record["title"], *places[record["id"]], record["text"])
    for record in kept(work):
        name = record["file"].rpartition("/")[2].removesuffix(".pdf")
        if name in places:
            text = "\n\n".join(record["pages"])
            yield Document("contract", "CUAD as PDF", name, *places[name], text)
    for source, file in (
        ("ContractNLI", "contractnli_dev.jsonl.gz"),
        ("terms of service", "unfair_tos_en_train.jsonl.gz"),
    ):
        for record in lines_of(legal / file):
            fold = fold_of(record["id"])
            yield Document("contract", source, record["title"], record["id"], fold, record["text"])


def _reports(data: Path, work: Path) -> Iterator[Document]:
    finance = data / "finance"
    manifest = {record["file"]: record for record in lines_of(finance / "raw_manifest.jsonl")}
    for record in kept(work):
        known = manifest.get(record["file"].removeprefix("finance/"))
        if known is None or announces(record["file"]):
            continue
        group = f"cik{known['cik']}" if known["cik"] else record["file"]
        source = f"filings as {record['file'].split('/')[2].upper()}"
        text = "\n\n".join(record["pages"])
        yield Document("report", source, record["file"], group, fold_of(group), text)
    for filing in _filings(finance / "statements.jsonl"):
        group, draw = f"cik{filing[0]['cik']}", random.Random(filing[0]["id"])
        as_csv = draw.random() < 0.4
        name = f"{filing[0]['id']}{'.csv' if as_csv else ''}"
        text = printed(filing, as_csv=as_csv)
        yield Document("report", "printed statements", name, group, fold_of(group), text)
    for record in lines_of(finance / "tatqa.jsonl"):
        table = "\n".join("  ".join(cell for cell in row if cell) for row in record["table"])
        text = "\n".join([table, *record["paragraphs"]])
        yield Document("report", "TAT-QA", record["id"], record["id"], fold_of(record["id"]), text)
    for record in lines_of(finance / "abbreviated.jsonl"):
        if record["label"] == "untouched":
            group = record["company"]
            yield Document(
                "report", "FinVerBench", record["id"], group, fold_of(group), record["text"]
            )


def announces(file: str) -> bool:
    """Whether a file is an announcement, which may hold no statements."""
    return any(mark in file for mark in NO_STATEMENTS)


def _filings(path: Path) -> Iterator[list[dict[str, Any]]]:
    """Yield the statements of the first filing of every company."""
    filings: dict[str, list[dict[str, Any]]] = {}
    for record in lines_of(path):
        filings.setdefault(record["id"].rpartition("-")[0], []).append(record)
    companies: set[str] = set()
    for filing in filings.values():
        if filing[0]["cik"] not in companies:
            companies.add(filing[0]["cik"])
            yield filing


def printed(filing: Sequence[Mapping[str, Any]], *, as_csv: bool) -> str:
    """Return the statements of a filing as text, as a table of words or as CSV."""
    lines = [] if as_csv else [filing[0]["company"]]
    for statement in filing:
        title = statement["statement"].replace("_", " ").title()
        ends = [column["end"] for column in statement["columns"]]
        lines.append(",".join([title, *ends]) if as_csv else "  ".join([title, *ends]))
        unit = statement.get("presented_in") or 1
        for row in statement["rows"]:
            values = ["" if v is None else f"{v / unit:,.0f}" for v in row.get("values") or ()]
            label = row["label"] or ""
            if as_csv:
                lines.append(",".join([label, *(v.replace(",", "") for v in values)]))
            else:
                lines.append("  ".join([label, *values]))
        lines.append("")
    return "\n".join(lines)


def _others(data: Path, others: Path) -> Iterator[Document]:
    for record in lines_of(others):
        source, name = record["source"], record["name"]
        if source != "foreign":
            yield Document(
                "other", source, name, f"{source} {name}", record["fold"], record["text"]
            )
    for record in lines_of(data / "finance/aaer_cases.jsonl"):
        text = record.get("scheme_summary") or ""
        group = f"cik{record['cik']}"
        yield Document("other", "cases told", record["case_id"], group, fold_of(group), text)


def _papers() -> Iterator[Document]:
    for pattern, number, text in papers():
        source = f"made: {pattern.name}"
        name = f"{number} {pattern.name}"
        yield Document(pattern.kind, source, name, source, pattern.fold, text)


def foreign(others: Path) -> Iterator[Document]:
    """Yield texts in other languages, of no kind that could be told."""
    for record in lines_of(others):
        if record["source"] == "foreign":
            language = record["name"].split()[0]
            yield Document("", language, record["name"], language, record["fold"], record["text"])
