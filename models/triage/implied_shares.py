"""Measure the check of implied shares, which nothing was learned for.

    python -m models.triage.implied_shares --data FOLDER

FOLDER holds finance/. What it doubts among the filings of statements.jsonl, the development
filings and the shortened ones that were not spoiled is a false alarm, unless it is an error that
their company corrected later. Copies are put into another unit as a whole, or have the errors of
`injections.py` that are one of unit. Writes `implied_shares.json` beside the predictions.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from models.triage.abbreviated import shortened
from models.triage.corrections import IMPLIED
from models.triage.filings import Record, development, read, sound
from models.triage.finverbench import shortened_statements
from models.triage.injections import all_sums, inject
from models.triage.scores import FOLDER
from services.triage.implied_shares import findings_of, implied
from services.triage.labels import counts_shares
from services.triage.relations import sheets
from services.triage.statements import Filing

UNITS: Mapping[str, tuple[int, int]] = {
    "a thousandth": (1, 1_000),
    "a millionth": (1, 1_000_000),
    "a thousand times": (1_000, 1),
    "a million times": (1_000_000, 1),
}
"""What every amount of a copy is of what it was: multiplied by, and divided by."""
OF_UNIT = ("statement_scale", "column_scale")
"""Errors of `injections.py` that are one of unit."""
COPIES = 3
"""Of each of them in one filing."""


def main() -> None:
    """Write the figures, and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds finance/")
    text = json.dumps(measured(parser.parse_args().data / "finance"), indent=1) + "\n"
    (FOLDER / IMPLIED).write_text(text, encoding="utf-8")
    print(text, end="")


def measured(data: Path) -> dict[str, Any]:
    """What is doubted of each sort: those doubted and all, and by name the untouched ones."""
    made: Counter[str] = Counter()
    found: Counter[str] = Counter()
    doubted = []
    shown = [shares_shown(read(record)) for record in sound(data)]
    for sort, name, filing in every(data):
        if sort not in UNTOUCHED and name in doubted:
            continue
        made[sort] += 1
        if any(findings_of(sheets(filing))):
            found[sort] += 1
            if sort in UNTOUCHED:
                doubted.append(name)
    return {
        "shares_shown": [shown.count(True), len(shown) - shown.count(None)],
        "untouched": {sort: [found[sort], made[sort]] for sort in UNTOUCHED},
        "doubted": doubted,
        "spoiled": {sort: [found[sort], made[sort]] for sort in made if sort not in UNTOUCHED},
    }


UNTOUCHED = ("statements.jsonl", "their headlines", "dev_injected.jsonl", "abbreviated.jsonl")


FAR = Decimal(30)
"""Times by which the shares that a statement shows are not those implied."""


def shares_shown(filing: Filing) -> bool | None:
    """Whether in some column every number of shares that is shown is far from every implied one, as
    a check of three lines would doubt; None where nothing can be compared.
    """
    found = []
    for sheet in sheets(filing):
        if sheet.statement.statement != "income":
            continue
        lines = [row for row in sheet.rows if (row.unit or "").lower() == "shares"]
        lines += [row for row in sheet.rows if counts_shares(row.label) and not row.unit]
        for column in range(sheet.width):
            counts = [abs(v) for row in lines if (v := row.values[column])]
            made = implied(sheet, column)
            if counts and made:
                ratios = [max(a / b, b / a) for a in counts for b in made]
                found.append(min(ratios) > FAR)
    return any(found) if found else None


def every(data: Path) -> Iterator[tuple[str, str, Filing]]:
    """Yield sort, id and filing, untouched and spoiled."""
    for record in sound(data):
        yield UNTOUCHED[0], record["id"], read(record)
        if (short := shortened(record, record["id"])) is not None:
            yield UNTOUCHED[1], record["id"], read(short)
        for words, (times, by) in UNITS.items():
            if (other := in_unit(record, times, by)) is not None:
                yield f"every amount {words}", record["id"], read(other)
        known = all_sums(record)
        for error in OF_UNIT:
            for number in range(COPIES):
                spoiled = inject(record, error, f"{number} {record['id']}", known)
                if spoiled is not None:
                    where = spoiled[1]["statement"]
                    yield f"{error} of {where}", record["id"], read(spoiled[0])
    for record, truth in development(data):
        if truth is None:
            yield UNTOUCHED[2], record["id"], read(record)
    for instance in shortened_statements(data):
        if instance.truth is None:
            yield UNTOUCHED[3], instance.id, instance.filing


def in_unit(record: Record, times: int, by: int) -> Record | None:
    """A copy with every amount of money in another unit; None where that leaves no whole amounts,
    as no page is printed.
    """
    spoiled = copy.deepcopy(record)
    for sheet in sheets(read(record)):
        if sheet.unit % by:
            return None
        for row in sheet.money:
            values = spoiled["statements"][sheet.index]["rows"][row]["values"]
            values[:] = [v if v is None else v * times // by for v in values]
    return spoiled


if __name__ == "__main__":
    main()
