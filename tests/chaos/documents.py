"""The documents that clients send: contracts as text, and reports with a broken sum as JSON."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.support.samples import contract, report

RECORDS = b"6. Records. Northwind shall keep records of deliveries for two years.\n"
"""With this after it, the clause on insurance is unsure, so the frontier model is asked."""
REPORTS = (2, 5, 9)
"""The last digits of the numbers of reports."""


@dataclass
class SentDocument:
    """A document to send."""

    name: str
    data: bytes
    kind: str
    id: str = ""
    """From the answer that it is accepted."""


def make_documents(seed: int, count: int) -> list[SentDocument]:
    """Make so many documents with different bytes; always the same for one seed."""
    first = random.Random(f"documents {seed}").randrange(10**5)
    return [_make(number, first + number) for number in range(count)]


def _make(number: int, content: int) -> SentDocument:
    if number % 10 in REPORTS:
        data = report(f"filing-{content}", offset=content)
        return SentDocument(f"report-{number:04d}.json", data, "report")
    return SentDocument(f"contract-{number:04d}.txt", contract(content) + RECORDS, "contract")
