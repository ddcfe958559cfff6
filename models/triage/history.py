"""Measure what earlier filings of a company tell of slips in what is said of earlier periods.

    python -m models.triage.history --data FOLDER

FOLDER holds finance/. Every filing of statements.jsonl that has an earlier one of its company is
held against those (untouched: what is doubted is a false alarm), and every third of them gets one
slip of each kind, in a cell of an earlier period that an earlier filing has as well. Filings that
their company corrected later are left out. The judge beside it has learned from these companies:
its figures flatter.
"""

from __future__ import annotations

import argparse
import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from models.triage.filings import Record, corrections, read, sound
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
    chance, tallies = Random(5), {name: Tally() for name in SLIPS}
    untouched = alarms = told = 0
    for record, earlier in with_earlier(data):
        untouched += 1
        found = differences(read(record), earlier)
        alarms += any(one.doubted for one in found)
        told += any(not one.doubted for one in found)
        if untouched % SPOILED == 0:
            for name, slip in SLIPS.items():
                count(tallies[name], record, earlier, slip, judge, chance)
    print(f"untouched {untouched}, doubted {alarms}, with a line that is told {told}\n")
    print("| slip | made | by earlier filings | by the judge | by either |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, tally in tallies.items():
        shares = (tally.by_history, tally.by_judge, tally.by_either)
        cells = " | ".join(f"{share} ({share / tally.made:.0%})" for share in shares)
        print(f"| {name} | {tally.made} | {cells} |")


def with_earlier(data: Path) -> Iterator[tuple[Record, list[Earlier]]]:
    """Filings with the earlier ones of their company, the latest first."""
    corrected = {filing for _, filing in corrections(data)}
    companies: dict[int, list[Record]] = defaultdict(list)
    for record in sound(data):
        companies[record["cik"]].append(record)
    for records in companies.values():
        known = [(one["period"], Earlier.of(read(one))) for one in records]
        for record in sorted(records, key=lambda one: one["period"]):
            before = sorted(
                ((day, one) for day, one in known if day < record["period"]),
                key=lambda pair: pair[0],
                reverse=True,
            )
            if before and record["id"] not in corrected:
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
