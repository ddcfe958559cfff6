"""Errors that companies corrected later: which side was wrong, can it be seen, and is it found.

    python -m models.triage.corrected --data FOLDER

FOLDER holds finance/. Two filings of a company tag one fact with another sign, or a thousand or a
million times as large (revisions.jsonl). That says neither which of the two was wrong nor that the
page was: triage is given what the page shows, and most of these are signs of tags alone. Writes
`corrected.json` beside the predictions: of each pair of filings what was decided and why, and what
the installed specialist says of those that show the error, alone and beside earlier filings.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.triage.corrections import CORRECTED
from models.triage.filings import Record, read, sound
from models.triage.scores import FOLDER
from services.triage.domain import Finding, Verdict
from services.triage.history import Earlier, differences, with_history
from services.triage.judgement import triage_filing
from services.triage.raising import raised
from services.triage.relations import Cell, sheets
from services.triage.risk import Judge
from services.triage.statements import Filing
from shared.settings import CommonSettings, load

KINDS = ("scale_1000x", "sign_flip")
"""Kinds of revisions that are mostly errors which their company put right."""
NEVER_NEGATIVE = (
    "AccumulatedDepreciationDepletionAndAmortizationPropertyPlantAndEquipment",
    "AccumulatedDistributionsInExcessOfNetIncome",
    "TreasuryStockValue",
    "UnearnedESOPShares",
    "WeightedAverageNumberOfDilutedSharesOutstanding",
)
"""Concepts whose tag is positive by definition, whatever the page shows: us-gaap gives them a debit
balance, or they count."""
SHARES = (1e5, 1e11)
"""Shares that a listed company has."""
OF_UNITS = ("implied_shares", "earlier_filing_scale", "statement_scale")
"""Checks that say a whole column, statement or filing is off by a factor."""
THROUGHOUT = 8
"""Rows of one filing that are wrong by a factor, from which on the filing is off as a whole."""

SIDES = ("first", "later")


@dataclass(frozen=True)
class Revised:
    """One fact in two filings; `shown` are the cells of the wrong one that show its value."""

    row: Mapping[str, Any]
    wrong: str
    """`first` or `later`; `neither` for a restatement, `unknown`."""
    because: str
    seen: str
    """`page`: the page shows the wrong amount. `tag`: it shows the right one, and the tag alone was
    wrong. `nowhere`: its statements here lack the line. `restated`: no error."""
    cells: tuple[Cell, ...] = ()

    @property
    def filing(self) -> str:
        """The wrong filing; empty if neither is known to be."""
        return str(self.row[self.wrong]["accession"]) if self.wrong in SIDES else ""


Filings = Mapping[str, Record]


def revised(data: Path, filings: Filings) -> list[Revised]:
    """Decide about every row of revisions.jsonl of these kinds.

    Args:
        data: finance/.
        filings: those of `sound`, by id.
    """
    with (data / "revisions.jsonl").open("rb") as lines:
        rows = [row for line in lines if (row := json.loads(line))["kind"] in KINDS]
    of_company: dict[int, list[Record]] = defaultdict(list)
    for record in filings.values():
        of_company[record["cik"]].append(record)
    sides = [_side(row, of_company[row["cik"]]) for row in rows]
    known = {
        row[wrong]["accession"]
        for row, (wrong, _) in zip(rows, sides, strict=True)
        if row["kind"] == "scale_1000x" and wrong in SIDES
    }
    found = []
    for row, (wrong, because) in zip(rows, sides, strict=True):
        others = [side for side in SIDES if row[side]["accession"] in known]
        if wrong == "unknown" and len(others) == 1:
            wrong, because = others[0], "other facts of the filing are wrong by such a factor"
        found.append(Revised(row, wrong, because, *_seen(row, wrong, filings)))
    return found


def _side(row: Mapping[str, Any], company: Sequence[Record]) -> tuple[str, str]:
    """Which side is wrong, and what says so."""
    amounts = {side: row[f"value_{side}"] for side in SIDES}
    if row["kind"] == "sign_flip":
        if amounts["first"] != -amounts["later"]:
            return "neither", "the amounts differ too"
        if row["concept"] in NEVER_NEGATIVE:
            return min(SIDES, key=lambda side: amounts[side]), "the concept is never negative"
        pages = {value for one in company for value in _values(one, row) if value}
        if len({value > 0 for value in pages}) == 1:
            sign = -1 if next(iter(pages)) < 0 else 1
            return min(SIDES, key=lambda side: sign * amounts[side]), "every page shows one sign"
        return "unknown", "nothing says which"
    pair = {row[side]["accession"] for side in SIDES}
    third = {abs(v) for one in company if one["id"] not in pair for v in _values(one, row) if v}
    agreed = [side for side in SIDES if abs(amounts[side]) in third]
    if len(agreed) == 1:
        return next(side for side in SIDES if side not in agreed), "a third filing has the other"
    if row["unit"] == "shares":
        odd = [side for side in SIDES if not SHARES[0] <= abs(amounts[side]) <= SHARES[1]]
        if len(odd) == 1:
            return odd[0], "no company has so few or so many shares"
    return "unknown", "nothing says which"


def _cells(
    record: Record, row: Mapping[str, Any], any_day: bool = False
) -> Iterator[tuple[Cell, float]]:
    """The cells of a filing that show a fact. A moment stands in columns of durations too, and what
    they open with is of another day than they end: `any_day` takes these as well.
    """
    for s, statement in enumerate(record["statements"]):
        for r, line in enumerate(statement["rows"]):
            if line.get("concept") != row["concept"]:
                continue
            for c, column in enumerate(statement["columns"]):
                of_day = any_day or column.get("end") == row["end"]
                lasts = column.get("quarters") or 0
                value = line["values"][c]
                if value is not None and of_day and row["quarters"] in (0, lasts):
                    yield Cell(s, r, c), value


def _values(record: Record, row: Mapping[str, Any]) -> list[float]:
    return [value for _, value in _cells(record, row)]


def _seen(row: Mapping[str, Any], wrong: str, filings: Filings) -> tuple[str, tuple[Cell, ...]]:
    """Whether a page shows the wrong amount, and in which cells."""
    if wrong == "neither":
        return "restated", ()
    sides = (wrong,) if wrong in SIDES else SIDES
    shown = {
        side: [
            (cell, value)
            for cell, value in _cells(filings[row[side]["accession"]], row, row["quarters"] == 0)
            if abs(value) == abs(row[f"value_{side}"])
        ]
        if row[side]["accession"] in filings
        else []
        for side in SIDES
    }
    if not any(shown[side] for side in sides):
        return "nowhere", ()
    if wrong not in SIDES:
        return "tag", ()
    cells = tuple(cell for cell, _ in shown[wrong])
    if row["kind"] == "scale_1000x":
        return "page", cells
    right = next(side for side in SIDES if side != wrong)
    here, there = ({value > 0 for _, value in shown[side]} for side in (wrong, right))
    return ("page", cells) if there and not here & there else ("tag", ())


def wrong_on_the_page(data: Path, filings: Filings) -> dict[str, list[Revised]]:
    """Filings whose pages show what their company corrected, with the facts."""
    found: dict[str, list[Revised]] = defaultdict(list)
    for one in revised(data, filings):
        if one.seen == "page":
            found[one.filing].append(one)
    return dict(found)


def names(filing: Record, finding: Finding, facts: Iterable[Revised]) -> bool:
    """Whether a finding is about a wrong cell, its line or a sum with it in its column; of a filing
    that is off as a whole, whether it says so of a statement.
    """
    facts = list(facts)
    if len(facts) >= THROUGHOUT and finding.check in OF_UNITS:
        return True
    for cell in (cell for one in facts for cell in one.cells):
        same = filing["statements"][cell.statement]["statement"] == finding.statement
        lines = {finding.row, *finding.rows}
        if same and cell.row in lines and finding.column in (None, cell.column):
            return True
    return False


def _told(filing: Record, verdict: Verdict, facts: Sequence[Revised]) -> dict[str, Any]:
    named = [f for f in verdict.findings if names(filing, f, facts)]
    return {
        "risk": verdict.risk,
        "flagged": verdict.flagged,
        "checks": [finding.check for finding in verdict.findings],
        "named_by": [finding.check for finding in named],
    }


def judged(filings: Filings, wrong: Mapping[str, Sequence[Revised]], judge: Judge) -> list[Any]:
    """What is said of each filing that shows its error, alone and beside the earlier ones."""
    found = []
    for name, facts in sorted(wrong.items(), key=lambda item: filings[item[0]]["company"]):
        record = filings[name]
        filing = read(record)
        alone = triage_filing(filing, judge)
        before = sorted(
            (one for one in filings.values()
             if one["cik"] == record["cik"] and one["period"] < record["period"]),
            key=lambda one: one["period"], reverse=True,
        )  # fmt: skip
        earlier = [Earlier.of(read(one)) for one in before]
        beside = with_history(filing, alone, earlier, judge.flagged)
        cells = {cell for one in facts for cell in one.cells}
        found.append({
            "company": record["company"],
            "filing": name,
            "form": record["form"],
            "facts": len(facts),
            "throughout": len(facts) >= THROUGHOUT,
            "surest_doubt": surest(filing, cells, judge),
            "alone": _told(record, alone, facts),
            "earlier_filings": len(earlier),
            "with_earlier": _told(record, beside, facts) if earlier else None,
            "differs": any(one.cell in cells for one in differences(filing, earlier)),
        })  # fmt: skip
    return found


def surest(filing: Filing, cells: set[Cell], judge: Judge) -> list[Any] | None:
    """Kind and chance of the surest doubt about one of some cells, or a sum with it; None where
    nothing that is compared names any.
    """
    doubts = raised(sheets(filing), judge.experience, filing.whole)
    of_cells = [
        (chance, doubt.kind)
        for chance, doubt in zip(judge.chances(doubts), doubts, strict=True)
        for cell in cells
        if doubt.statement == cell.statement
        and cell.row in (doubt.row, *doubt.rows)
        and doubt.column in (None, cell.column)
    ]
    chance, kind = max(of_cells, default=(0.0, ""))
    return [kind, chance] if kind else None


def pairs(every: Iterable[Revised]) -> list[dict[str, Any]]:
    """The rows counted by pair of filings and what was decided."""
    counts: Counter[tuple[str, ...]] = Counter(
        (one.row["company"], one.row["first"]["accession"], one.row["later"]["accession"],
         one.row["kind"], one.wrong, one.because, one.seen)
        for one in every
    )  # fmt: skip
    keys = ("company", "first", "later", "kind", "wrong", "because", "seen")
    return [dict(zip(keys, key, strict=True)) | {"rows": n} for key, n in sorted(counts.items())]


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds finance/")
    data = parser.parse_args().data / "finance"
    filings = {record["id"]: record for record in sound(data)}
    judge = Judge.load(load(CommonSettings).artefacts_folder)
    result = {
        "pairs": pairs(revised(data, filings)),
        "filings": judged(filings, wrong_on_the_page(data, filings), judge),
    }
    text = json.dumps(result, indent=1) + "\n"
    (FOLDER / CORRECTED).write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
