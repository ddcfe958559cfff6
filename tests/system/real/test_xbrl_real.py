"""Every one of the real XBRL filings gives its facts, and the statements made of them agree."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.documents import read, sniff
from shared.documents.model.formats import XBRL
from shared.documents.xbrl.xbrl import Fact, facts_of, is_inline
from shared.errors import UnsupportedType
from tests.support import data_folder

pytestmark = pytest.mark.slow

KNOWN_TO_DIFFER = {
    ("0000080424-23-000103-balance_sheet", "CommonStockSharesIssued"),  # 4,009.2 million there
    ("0001805284-23-000066-cash_flow", "ProceedsFromIssuanceOfSecuredDebt"),
}
"""Cells of the data set that say something else than the page of which they were made."""


def raw(kind: str) -> dict[Path, bytes]:
    """The raw files of a kind, unpacked."""
    paths = sorted((data_folder("finance") / "raw" / kind).glob("*.gz"))
    return {path: gzip.decompress(path.read_bytes()) for path in paths}


def statements_of(kind: str) -> dict[str, list[dict[str, Any]]]:
    """The statements of the very same filing, by the name of the raw file."""
    folder = data_folder("finance")
    lines = (folder / "raw_manifest.jsonl").read_text("utf-8").splitlines()
    records = [record for record in map(json.loads, lines) if record["file"].startswith(kind)]
    wanted = {i: r["file"] for r in records for i in r["same_filing_statement_ids"]}
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with (folder / "statements.jsonl").open(encoding="utf-8") as every:
        for statement in map(json.loads, every):
            if statement["id"] in wanted:
                found[Path(wanted[statement["id"]]).name].append(statement)
    return found


def by_name_and_end(facts: tuple[Fact, ...]) -> dict[tuple[str, str], set[Decimal | None]]:
    """The numbers of each concept at each day; None for a nil."""
    found: dict[tuple[str, str], set[Decimal | None]] = defaultdict(set)
    for fact in facts:
        end = (fact.context.end or "").replace("-", "")
        found[fact.name.rpartition(":")[2], end].add(fact.number)
    return found


def disagreeing(facts: tuple[Fact, ...], statement: dict[str, Any]) -> tuple[int, list[str]]:
    """How many cells of a statement were compared, and those for which there is no such fact."""
    known = by_name_and_end(facts)
    compared, wrong = 0, []
    for row in statement["rows"]:
        values = row.get("xbrl_values") or row["values"]
        for column, value in zip(statement["columns"], values, strict=True):
            if value is None or not row.get("concept"):
                continue
            compared += 1
            found = known[row["concept"], column["end"]]
            if start := column.get("start"):  # opening balances have the day before
                day = datetime.strptime(start, "%Y%m%d") - timedelta(days=1)  # noqa: DTZ007
                found = found | known[row["concept"], f"{day:%Y%m%d}"]
            nothing = value == 0 and None in found
            differs = (statement["id"], row["concept"]) in KNOWN_TO_DIFFER
            if Decimal(str(value)) not in found and not nothing and not differs:
                wrong.append(f"{statement['id']} {row['concept']} {column}: {value}, {found}")
    return compared, wrong


def test_the_statements_of_the_same_filings_agree_with_the_facts() -> None:
    """Ten thousand cells of 44 filings: for each there is a fact of that name, day and value."""
    statements = statements_of("raw/html")
    compared, wrong = 0, []
    for path, data in raw("html").items():
        if statements.get(path.name):
            found = facts_of(data)
            assert found.inline
            assert not found.warnings, (path.name, found.warnings)
            assert all(fact.element for fact in found.facts)
            for statement in statements[path.name]:
                number, differing = disagreeing(found.facts, statement)
                compared += number
                wrong += differing
    assert compared > 9_000
    assert not wrong, "\n".join(wrong[:20])


def test_inline_xbrl_is_detected_on_every_real_page() -> None:
    """46 of the 56 pages are inline XBRL; the older ones and the texts are not."""
    pages = raw("html")
    assert len(pages) >= 50
    found = {path.name for path, data in pages.items() if is_inline(data)}
    assert len(found) == 46
    assert found == {path.name for path, data in pages.items() if b"<ix:" in data}


def test_the_real_instances_read_and_balance() -> None:
    """Eight instances: every fact is a line, and assets are liabilities and equity, every day."""
    read_at_all, balanced = 0, 0
    for path, data in raw("xbrl").items():
        try:
            media_type = sniff(data, path.name)
        except UnsupportedType:
            assert any(part in path.name for part in ("_cal", "_def", "_lab", "_pre", "xsd"))
            continue
        assert media_type == XBRL
        reading, found = read(data, name=path.name), facts_of(data)
        assert not found.warnings, (path.name, found.warnings)
        assert len(reading.text.splitlines()) == len(found.facts) + 1
        numbers = int((~np.isnan(reading.cells["value"])).sum())
        assert numbers == sum(fact.number is not None for fact in found.facts)
        read_at_all += 1
        whole = tuple(fact for fact in found.facts if not fact.context.dimensions)
        known = by_name_and_end(whole)
        for (name, day), values in known.items():
            if name == "Assets":
                assert values <= known["LiabilitiesAndStockholdersEquity", day], (path.name, day)
                balanced += 1
    assert read_at_all == 8
    assert balanced >= 14
