"""Small documents of our own making: contracts as text, and reports with a broken sum as JSON."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

FIRMS = ("Northwind Mills", "Contoso Bakeries", "Fabrikam Yards", "Tailspin Freight", "Litware")
STATES = ("New York", "Delaware", "Texas", "Ohio", "Oregon")
CLAUSES = (
    "Governing Law. This Agreement shall be governed by the laws of the State of {state}.",
    "Assignment. Neither party may assign this Agreement without the other's written consent.",
    "Insurance. {one} shall maintain commercial general liability insurance of $1,000,000.",
    "Audit. {two} may audit the books of {one} once a year on ten days' notice.",
)
HEAD = """SUPPLY AGREEMENT No. {number}
This Supply Agreement is made as of March {day}, 2024 by and between {one}, Inc., a corporation,
and {two} LLC.
"""
ROWS = (
    "Cash and cash equivalents",
    "Inventories",
    "Total assets",
    "Accounts payable",
    "Total liabilities",
    "Common stock",
    "Retained earnings",
    "Total stockholders' equity",
    "Total liabilities and stockholders' equity",
)


@dataclass
class SentDocument:
    """A document to send, and the answers to its sender."""

    name: str
    data: bytes
    kind: str
    id: str = ""
    """Told with the answer that it is accepted."""
    answers: list[str] = field(default_factory=list)
    """Every id that it was ever accepted under."""


def make_documents(seed: int, count: int) -> list[SentDocument]:
    """So many, no two of the same bytes; the same for the same seed. Three in ten are reports."""
    chance = random.Random(f"papers {seed}")
    return [
        _report(number, chance) if number % 10 in (2, 5, 9) else _contract(number, chance)
        for number in range(count)
    ]


def _contract(number: int, chance: random.Random) -> SentDocument:
    one, two = chance.sample(FIRMS, 2)
    said = {"one": f"{one} {number}", "two": two, "state": chance.choice(STATES)}
    text = HEAD.format(number=number, day=1 + number % 28, **said)
    for run_folder, clause in enumerate(chance.sample(CLAUSES, 2), 1):
        text += f"{run_folder}. {clause.format(**said)}\n"
    return SentDocument(f"contract-{number:04d}.txt", text.encode(), "contract")


def _report(number: int, chance: random.Random) -> SentDocument:
    cash, stock, payable, common = (chance.randrange(100_000, 900_000) for _ in range(4))
    total = cash + stock + payable
    assets, liabilities, equity = total + payable, payable, total
    first = [cash, assets - cash, assets, payable, liabilities, common, equity - common, equity]
    values = [*first, assets]
    rows: list[dict[str, Any]] = [
        {"label": label, "values": [value, value], "unit": "USD"}
        for label, value in zip(ROWS, values, strict=True)
    ]
    rows[2]["values"][0] += 9_000
    statement = {
        "statement": "balance_sheet",
        "columns": [{"end": "20231231"}, {"end": "20221231"}],
        "rows": rows,
    }
    filing = {"id": f"filing-{number}", "company": f"Company {number}", "statements": [statement]}
    return SentDocument(f"report-{number:04d}.json", json.dumps(filing).encode(), "report")
