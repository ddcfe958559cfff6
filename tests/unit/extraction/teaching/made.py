"""Synthetic examples about the retention of customer data."""

import json
import random
from collections.abc import Sequence
from typing import Any

WHO = ("Supplier", "Licensor", "Vendor", "the Company", "Contractor", "Distributor", "Provider")
LONG = ("two", "three", "five", "seven")
CLAUSES = (
    "{} shall retain all customer data for {} years and then destroy it.",
    "{} shall keep records of personal data for no longer than {} months.",
    "{} must erase customer data within {} days of termination.",
    "{} may store personal data of customers for at most {} years.",
)
OTHERS = (
    "This Agreement shall be governed by the laws of the State of Ohio.",
    "All notices shall be in writing.",
    "Payment is due within thirty days of the invoice.",
    "Neither party may assign this Agreement without consent.",
    "The term of this Agreement is two years.",
    "Headings are for convenience only.",
)
NAME = "data-retention"


def clause(draw: random.Random) -> str:
    return draw.choice(CLAUSES).format(draw.choice(WHO), draw.choice(LONG))


def records(count: int = 24) -> list[dict[str, Any]]:
    draw = random.Random(5)
    made: list[dict[str, Any]] = []
    for number in range(count):
        first, second, third = draw.sample(OTHERS, 3)
        if number % 3 == 2:
            made.append({"text": f"{number}. {first} {second} {third}", "spans": []})
            continue
        words = clause(draw)
        text = f"{number}. {first} {words} {second}"
        start = text.index(words)
        span = {"start": start, "end": start + len(words)}
        made.append({"text": text, "spans": [span], "document": f"d{number}"})
    return made


def file_of(made: Sequence[Any]) -> bytes:
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in made).encode()
