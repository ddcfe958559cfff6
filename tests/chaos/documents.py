"""The documents that clients send: contracts as text, and reports with a broken sum as JSON."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.support.samples import contract, report

REPORTS = (2, 5, 9)
"""Of ten documents these are reports."""


@dataclass
class SentDocument:
    """A document to send."""

    name: str
    data: bytes
    kind: str
    id: str = ""
    """Told with the answer that it is accepted."""


def make_documents(seed: int, count: int) -> list[SentDocument]:
    """So many, no two of the same bytes; the same for the same seed."""
    first = random.Random(f"documents {seed}").randrange(10**5)
    return [_make(number, first + number) for number in range(count)]


def _make(number: int, content: int) -> SentDocument:
    if number % 10 in REPORTS:
        data = report(f"filing-{content}", offset=content)
        return SentDocument(f"report-{number:04d}.json", data, "report")
    return SentDocument(f"contract-{number:04d}.txt", contract(content), "contract")
