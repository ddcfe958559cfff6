"""Measure what earlier filings of a company tell of slips in what is said of earlier periods.

    python -m models.triage.history --data FOLDER

FOLDER holds finance/. Every filing of statements.jsonl that has an earlier one of its company is
held against those (untouched: what is doubted is a false alarm), and every third of them gets one
slip of each kind, in a cell of an earlier period that an earlier filing has as well; then the whole
column of a cell, its whole statement, and the whole filing is put into another unit. Filings that
show an error which their company corrected later are left out. The judge beside it has learned from
these companies: its figures flatter.
"""

from __future__ import annotations

import argparse
import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random

from models.triage.corrected import wrong_on_the_page
from models.triage.filings import Record, read, sound
from services.triage.history import Earlier, differences, places
from services.triage.judgement import triage_filing
from services.triage.relations import Cell, sheets
from services.triage.risk import Judge
from services.triage.statements import Filing
from shared.settings import CommonSettings, load

SPOILED = 3
"""Of so many filings one gets slips."""

Slip = Callable[[Sequence[int | None], int, Random], int | None]
"""The values of a line, the column, and chance -> another amount; None where there is none."""


def stale(values: Sequence[int | None], column: int, chance: Random) -> int | None:
    """The amount of another column."""
    others = [v for v in values if v and v != values[column]]
    return chance.choice(others) if others else None


def transposed(values: Sequence[int | None], column: int, chance: Random) -> int | None:
    """Two neighbouring digits exchanged."""
    value = values[column] or 0
    digits = list(str(abs(value)))
    size = len(str(abs(value)).rstrip("0"))
    pairs = [i for i in range(size - 1) if digits[i] != digits[i + 1]]
    pairs = [i for i in pairs if i or digits[1] != "0"]
    if not pairs:
        return None
    at = chance.choice(pairs)
    digits[at], digits[at + 1] = digits[at + 1], digits[at]
    return int("".join(digits)) * (1 if value > 0 else -1)


def digit(values: Sequence[int | None], column: int, chance: Random) -> int | None:
    """One digit another."""
    value = values[column] or 0
    digits = list(str(abs(value)))
    at = chance.randrange(len(str(abs(value)).rstrip("0")))
    digits[at] = chance.choice([d for d in "123456789" if d != digits[at]])
    return int("".join(digits)) * (1 if value > 0 else -1)


def scale(values: Sequence[int | None], column: int, _chance: Random) -> int | None:
    """A thousand times as much."""
    return (values[column] or 0) * 1_000


SLIPS: dict[str, Slip] = {
    "stale comparative": stale,
    "digits exchanged": transposed,
    "a thousand times": scale,
    "one digit": digit,
}


def reached(record: Record, cell: Cell, what: str) -> Iterator[Cell]:
    """The cells of money that a wrong unit reaches: of the column, the statement or the filing."""
    for sheet in sheets(read(record)):
        if what == "filing" or sheet.index == cell.statement:
            for row in sheet.money:
                for column in range(sheet.width):
                    if what != "column" or column == cell.column:
                        yield Cell(sheet.index, row, column)


UNITS: dict[str, tuple[str, int]] = {
    f"a whole {what}, {words}": (what, power)
    for what in ("column", "statement", "filing")
    for words, power in (("a thousand times", 3), ("a million times", 6), ("its unit left out", 0))
}
"""What is in another unit, and the power of ten; 0 for what the page is printed in, a million or a
thousand, divided by it."""


@dataclass
class Tally:
    """Slips of one kind."""

    made: int = 0
    by_history: int = 0
    by_judge: int = 0
    by_either: int = 0


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds finance/")
    data = parser.parse_args().data / "finance"
    judge = Judge.load(load(CommonSettings).artefacts_folder)
    chance, units, tallies = Random(5), Random(6), {name: Tally() for name in (*SLIPS, *UNITS)}
    untouched = alarms = told = 0
    for record, earlier in with_earlier(data):
        untouched += 1
        found = differences(read(record), earlier)
        alarms += any(one.doubted for one in found)
        told += any(not one.doubted for one in found)
        if untouched % SPOILED == 0:
            for name, slip in SLIPS.items():
                count(tallies[name], record, earlier, slip, judge, chance)
            for name, (what, power) in UNITS.items():
                count_unit(tallies[name], record, earlier, what, power, judge, units)
    print(f"untouched {untouched}, doubted {alarms}, with a line that is told {told}\n")
    print("| slip | made | by earlier filings | by the judge | by either |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, tally in tallies.items():
        shares = (tally.by_history, tally.by_judge, tally.by_either)
        cells = " | ".join(f"{share} ({share / max(tally.made, 1):.0%})" for share in shares)
        print(f"| {name} | {tally.made} | {cells} |")


def with_earlier(data: Path) -> Iterator[tuple[Record, list[Earlier]]]:
    """Filings with the earlier ones of their company, the latest first."""
    filings = {record["id"]: record for record in sound(data)}
    wrong = wrong_on_the_page(data, filings)
    companies: dict[int, list[Record]] = defaultdict(list)
    for record in filings.values():
        companies[record["cik"]].append(record)
    for records in companies.values():
        known = [(one["period"], Earlier.of(read(one))) for one in records]
        for record in sorted(records, key=lambda one: one["period"]):
            before = sorted(
                ((day, one) for day, one in known if day < record["period"]),
                key=lambda pair: pair[0],
                reverse=True,
            )
            if before and record["id"] not in wrong:
                yield record, [one for _, one in before]


def count(
    tally: Tally,
    record: Record,
    earlier: Sequence[Earlier],
    slip: Slip,
    judge: Judge,
    chance: Random,
) -> None:
    """Make one slip in a filing, and see who finds it."""
    cells = comparable(read(record), earlier)
    if not cells:
        return
    cell = chance.choice(cells)
    spoiled = copy.deepcopy(record)
    values = spoiled["statements"][cell.statement]["rows"][cell.row]["values"]
    if values[cell.column] != int(values[cell.column]):
        return
    after = slip([v if v is None else int(v) for v in values], cell.column, chance)
    if after is None:
        return
    values[cell.column] = after
    filing = read(spoiled)
    found = any(d.doubted and d.cell == cell for d in differences(filing, earlier))
    flagged = triage_filing(filing, judge).flagged
    tally.made += 1
    tally.by_history += found
    tally.by_judge += flagged
    tally.by_either += found or flagged


def count_unit(
    tally: Tally,
    record: Record,
    earlier: Sequence[Earlier],
    what: str,
    power: int,
    judge: Judge,
    chance: Random,
) -> None:
    """Put a column, a statement or the whole of a filing into another unit, and see who finds it:
    history if it says so of a column that was reached.
    """
    cells = comparable(read(record), earlier)
    if not cells:
        return
    cell = chance.choice(cells)
    unit = sheets(read(record))[cell.statement].unit
    left_out = next((by for by in (1_000_000, 1_000) if unit % by == 0), None)
    if not power and left_out is None:
        return
    spoiled, off = copy.deepcopy(record), set(reached(record, cell, what))
    for one in off:
        values = spoiled["statements"][one.statement]["rows"][one.row]["values"]
        if values[one.column] is not None:
            exact = Decimal(str(values[one.column]))
            after = exact * 10**power if power else exact / Decimal(left_out or 1)
            values[one.column] = int(after) if after == int(after) else float(after)
    filing = read(spoiled)
    found = any(d.factor is not None and d.cell in off for d in differences(filing, earlier))
    flagged = triage_filing(filing, judge).flagged
    tally.made += 1
    tally.by_history += found
    tally.by_judge += flagged
    tally.by_either += found or flagged


def comparable(filing: Filing, earlier: Sequence[Earlier]) -> list[Cell]:
    """Cells that an earlier filing has as well, with the same amount."""
    own, pages = Earlier.of(filing).shown, sheets(filing)
    same = {
        (key, label)
        for key, shown in own.items()
        for label, value in shown.items()
        if value and any(one.shown.get(key, {}).get(label) == value for one in earlier)
    }
    return [cell for key, label, cell in places(pages) if (key, label) in same]


if __name__ == "__main__":
    main()
