"""Measure two rules that flag without the forest: implied shares, and unbalanced totals.

    python -m models.triage_breaks.implied_shares --data FOLDER

FOLDER has finance/. Sound filings are the development filings, shortened ones, and those of
statements.jsonl that no other filing shows to be wrong. A flag there counts as a false alarm. For
implied shares, copies are put into another unit as a whole or have the unit errors of
`injections.py`. Writes `implied_shares.json`.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from models.files import command, write_json
from models.triage_breaks.abbreviated import shortened
from models.triage_breaks.corrected import wrong_filings
from models.triage_breaks.corrections import IMPLIED
from models.triage_breaks.filings import FOLDER, Record, development, read, sound
from models.triage_breaks.finverbench import shortened_statements
from models.triage_breaks.injections import all_sums, inject
from services.triage.checks.implied_shares import implied_shares, unit_findings
from services.triage.relations.identities import balance_equation
from services.triage.relations.labels import counts_shares
from services.triage.relations.relations import statement_views
from services.triage.statements.model import Filing

UNITS: Mapping[str, tuple[int, int]] = {
    "a thousandth": (1, 1_000),
    "a millionth": (1, 1_000_000),
    "a thousand times": (1_000, 1),
    "a million times": (1_000_000, 1),
}
"""Factors on every amount of a copy: multiplied by, and divided by."""
OF_UNIT = ("statement_scale", "column_scale")
"""Unit errors of `injections.py`."""
COPIES = 3
"""Copies of a filing with each of these errors."""


def main() -> None:
    """Write the figures, and print them."""
    parser = command(__doc__, "--data")
    print(write_json(FOLDER / IMPLIED, measured(parser.parse_args().data / "finance")), end="")


def measured(data: Path) -> dict[str, Any]:
    """Return the flagged and all filings by sort, and the names of flagged sound ones."""
    made: Counter[str] = Counter()
    result: Counter[str] = Counter()
    unbalanced: Counter[str] = Counter()
    doubted = []
    filings = {record["id"]: record for record in sound(data)}
    wrong = wrong_filings(data, filings)
    right = [record for name, record in filings.items() if name not in wrong]
    shown = [shares_shown(read(record)) for record in right]
    for sort, name, filing in every(data, right):
        if sort not in UNTOUCHED and name in doubted:
            continue
        made[sort] += 1
        pages = statement_views(filing)
        unbalanced[sort] += not all(equation.holds for equation in balance_equation(pages))
        if any(unit_findings(pages)):
            result[sort] += 1
            if sort in UNTOUCHED:
                doubted.append(name)
    return {
        "shares_shown": [shown.count(True), len(shown) - shown.count(None)],
        "untouched": {sort: [result[sort], made[sort]] for sort in UNTOUCHED},
        "unbalanced": {sort: [unbalanced[sort], made[sort]] for sort in UNTOUCHED},
        "doubted": doubted,
        "spoiled": {sort: [result[sort], made[sort]] for sort in made if sort not in UNTOUCHED},
    }


UNTOUCHED = ("statements.jsonl", "their headlines", "dev_injected.jsonl", "abbreviated.jsonl")


FAR = Decimal(30)
"""Factor between shown and implied shares that counts as a difference."""


def shares_shown(filing: Filing) -> bool | None:
    """Return whether a column's shares are far from all implied ones; None without any."""
    result = []
    for sheet in statement_views(filing):
        if sheet.statement.statement != "income":
            continue
        lines = [row for row in sheet.rows if (row.unit or "").lower() == "shares"]
        lines += [row for row in sheet.rows if counts_shares(row.label) and not row.unit]
        for column in range(sheet.width):
            counts = [abs(v) for row in lines if (v := row.values[column])]
            made = implied_shares(sheet, column)
            if counts and made:
                ratios = [max(a / b, b / a) for a in counts for b in made]
                result.append(min(ratios) > FAR)
    return any(result) if result else None


def every(data: Path, right: Iterable[Record]) -> Iterator[tuple[str, str, Filing]]:
    """Yield sound filings, those of statements.jsonl from `right`, and spoiled ones.

    Each with its sort and id.
    """
    for record in right:
        yield UNTOUCHED[0], record["id"], read(record)
        if (short := shortened(record, record["id"])) is not None:
            yield UNTOUCHED[1], record["id"], read(short)
        for words, (times, by) in UNITS.items():
            if (other := in_unit(record, times, by)) is not None:
                yield f"every amount {words}", record["id"], read(other)
        found_sums = all_sums(record)
        for error in OF_UNIT:
            for number in range(COPIES):
                spoiled = inject(record, error, f"{number} {record['id']}", found_sums)
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
    """Return a copy with all amounts of money in another unit; None if they are not whole then."""
    spoiled = copy.deepcopy(record)
    for sheet in statement_views(read(record)):
        if sheet.unit % by:
            return None
        for row in sheet.money:
            values = spoiled["statements"][sheet.index]["rows"][row]["values"]
            values[:] = [v if v is None else v * times // by for v in values]
    return spoiled


if __name__ == "__main__":
    main()
