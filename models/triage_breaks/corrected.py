"""Errors that companies corrected later: which filing is wrong, and whether triage finds it.

    python -m models.triage_breaks.corrected --data FOLDER

FOLDER has finance/. Two filings of a company tag one fact with different signs, or with a factor of
a thousand or a million (revisions.jsonl). Neither says which filing was wrong, nor whether its page
was: triage reads the page, and most of these are signs of tags alone. Writes `corrected.json`: the
decision about each pair of filings with its reason. It also has the findings of the shipped
specialist in the wrong ones, alone and together with earlier filings. Errors that a reader found by
comparing filings (contradicted.toml) are added to the wrong ones.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.files import command, read_config, read_lines, write_json
from models.triage_breaks.corrections import CONTRADICTED, CORRECTED
from models.triage_breaks.filings import FOLDER, Record, read, sound
from services.triage.checks.classifier import BreakClassifier
from services.triage.checks.suspect_generation import find_suspects
from services.triage.checks.verdict import triage_filing
from services.triage.domain import Finding, Verdict
from services.triage.history import PriorAmount, differences, with_history
from services.triage.relations.relations import Cell, statement_views
from services.triage.statements.model import Filing
from shared.settings import CommonSettings, load

KINDS = ("scale_1000x", "sign_flip")
"""Kinds of revisions that usually correct an error."""
NEVER_NEGATIVE = (
    "AccumulatedDepreciationDepletionAndAmortizationPropertyPlantAndEquipment",
    "AccumulatedDistributionsInExcessOfNetIncome",
    "TreasuryStockValue",
    "UnearnedESOPShares",
    "WeightedAverageNumberOfDilutedSharesOutstanding",
)
"""Concepts with a positive tag by definition: us-gaap gives them a debit balance, or they count."""
SHARES = (1e5, 1e11)
"""Plausible numbers of shares of a listed company."""
OF_UNITS = ("implied_shares", "earlier_filing_scale", "statement_scale")
"""Checks that report a column, statement or filing off by a factor."""
THROUGHOUT = 8
"""Rows wrong by a factor from which the whole filing counts as wrong."""

SIDES = ("first", "later")


@dataclass(frozen=True)
class Revised:
    """One fact in two filings; `shown` are the cells of the wrong one with its value."""

    row: Mapping[str, Any]
    wrong: str
    """`first` or `later`; `neither` for a restatement, `unknown`."""
    because: str
    seen: str
    """`page`: the page shows the wrong amount. `tag`: only the tag is wrong. `nowhere`: the
    statements here lack the line. `restated`: no error.
    """
    cells: tuple[Cell, ...] = ()

    @property
    def filing(self) -> str:
        return str(self.row[self.wrong]["accession"]) if self.wrong in SIDES else ""


Filings = Mapping[str, Record]


def revised(data: Path, filings: Filings) -> list[Revised]:
    """Decide about every row of revisions.jsonl of these kinds, among the filings by id."""
    rows = [row for row in read_lines(data / "revisions.jsonl") if row["kind"] in KINDS]
    of_company: dict[int, list[Record]] = defaultdict(list)
    for record in filings.values():
        of_company[record["cik"]].append(record)
    sides = [_side(row, of_company[row["cik"]]) for row in rows]
    by_id = {
        row[wrong]["accession"]
        for row, (wrong, _) in zip(rows, sides, strict=True)
        if row["kind"] == "scale_1000x" and wrong in SIDES
    }
    result = []
    for row, (wrong, because) in zip(rows, sides, strict=True):
        others = [side for side in SIDES if row[side]["accession"] in by_id]
        if wrong == "unknown" and len(others) == 1:
            wrong, because = others[0], "other facts of the filing are wrong by such a factor"
        result.append(Revised(row, wrong, because, *_seen(row, wrong, filings)))
    return result


def _side(row: Mapping[str, Any], company: Sequence[Record]) -> tuple[str, str]:
    """Return the wrong side, and the reason."""
    amounts = {side: row[f"value_{side}"] for side in SIDES}
    if row["kind"] == "sign_flip":
        if amounts["first"] != -amounts["later"]:
            return "neither", "the amounts differ too"
        if row["concept"] in NEVER_NEGATIVE:
            return min(SIDES, key=lambda side: amounts[side]), "the concept is never negative"
        pages = {value for page in company for value in _values(page, row) if value}
        if len({value > 0 for value in pages}) == 1:
            sign = -1 if next(iter(pages)) < 0 else 1
            return min(SIDES, key=lambda side: sign * amounts[side]), "every page shows one sign"
        return "unknown", "nothing says which"
    pair = {row[side]["accession"] for side in SIDES}
    third = {abs(v) for page in company if page["id"] not in pair for v in _values(page, row) if v}
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
    """Return the cells of a filing that show a fact.

    An instant is also shown in columns of durations, whose opening balance has another day than
    their end; `any_day` includes these.
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
    """Return whether a page shows the wrong amount, and its cells."""
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
    """Return the filings whose pages show a later corrected error, with the facts."""
    result: dict[str, list[Revised]] = defaultdict(list)
    for fact in revised(data, filings):
        if fact.seen == "page":
            result[fact.filing].append(fact)
    return dict(result)


def contradicted(folder: Path) -> dict[str, list[Revised]]:
    """Return the filings with errors that a reader found by comparing filings, with the facts."""
    return {
        name: [Revised({}, "unknown", "another filing", "page", (Cell(*cell),)) for cell in cells]
        for name, cells in read_config(folder / CONTRADICTED).items()
    }


def wrong_filings(data: Path, filings: Filings) -> dict[str, list[Revised]]:
    """Return the filings that another filing shows to be wrong, with the facts."""
    return wrong_on_the_page(data, filings) | contradicted(FOLDER)


def names(filing: Record, finding: Finding, facts: Iterable[Revised]) -> bool:
    """Return whether a finding names a wrong cell, its line or a sum with it in its column.

    For a filing that is wrong as a whole, whether the finding says so of a statement.
    """
    facts = list(facts)
    if len(facts) >= THROUGHOUT and finding.check in OF_UNITS:
        return True
    for cell in (cell for fact in facts for cell in fact.cells):
        same = filing["statements"][cell.statement]["statement"] == finding.statement
        lines = {finding.row, *finding.rows}
        if same and cell.row in lines and finding.column in (None, cell.column):
            return True
    return False


def _summary(filing: Record, verdict: Verdict, facts: Sequence[Revised]) -> dict[str, Any]:
    named = [f for f in verdict.findings if names(filing, f, facts)]
    return {
        "risk": verdict.risk,
        "flagged": verdict.flagged,
        "checks": [finding.check for finding in verdict.findings],
        "named_by": [finding.check for finding in named],
    }


def triage_results(
    filings: Filings, wrong: Mapping[str, Sequence[Revised]], classifier: BreakClassifier
) -> list[Any]:
    """Return the results of triage for each wrong filing, alone and together with earlier ones."""
    result = []
    for name, facts in sorted(wrong.items(), key=lambda item: filings[item[0]]["company"]):
        record = filings[name]
        filing = read(record)
        alone = triage_filing(filing, classifier)
        before = sorted(
            (other for other in filings.values()
             if other["cik"] == record["cik"] and other["period"] < record["period"]),
            key=lambda other: other["period"], reverse=True,
        )  # fmt: skip
        earlier = [PriorAmount.of(read(other)) for other in before]
        beside = with_history(filing, alone, earlier, classifier.flagged)
        cells = {cell for fact in facts for cell in fact.cells}
        result.append({
            "company": record["company"],
            "filing": name,
            "form": record["form"],
            "facts": len(facts),
            "throughout": len(facts) >= THROUGHOUT,
            "surest_doubt": surest(filing, cells, classifier),
            "alone": _summary(record, alone, facts),
            "earlier_filings": len(earlier),
            "with_earlier": _summary(record, beside, facts) if earlier else None,
            "differs": any(gap.cell in cells for gap in differences(filing, earlier)),
        })  # fmt: skip
    return result


def surest(filing: Filing, cells: set[Cell], classifier: BreakClassifier) -> list[Any] | None:
    """Return kind and probability of the likeliest suspect about one of some cells, or None."""
    doubts = find_suspects(statement_views(filing), classifier.patterns, filing.complete)
    of_cells = [
        (chance, doubt.kind)
        for chance, doubt in zip(classifier.probabilities(doubts), doubts, strict=True)
        for cell in cells
        if doubt.statement == cell.statement
        and cell.row in (doubt.row, *doubt.rows)
        and doubt.column in (None, cell.column)
    ]
    chance, kind = max(of_cells, default=(0.0, ""))
    return [kind, chance] if kind else None


def pairs(every: Iterable[Revised]) -> list[dict[str, Any]]:
    """Return the rows counted by pair of filings and decision."""
    counts: Counter[tuple[str, ...]] = Counter(
        (fact.row["company"], fact.row["first"]["accession"], fact.row["later"]["accession"],
         fact.row["kind"], fact.wrong, fact.because, fact.seen)
        for fact in every
    )  # fmt: skip
    keys = ("company", "first", "later", "kind", "wrong", "because", "seen")
    return [dict(zip(keys, key, strict=True)) | {"rows": n} for key, n in sorted(counts.items())]


def main() -> None:
    """Read the command line and write the file."""
    parser = command(__doc__, "--data")
    data = parser.parse_args().data / "finance"
    filings = {record["id"]: record for record in sound(data)}
    classifier = BreakClassifier.load(load(CommonSettings).artefacts_folder)
    wrong = wrong_filings(data, filings)
    result = {
        "pairs": pairs(revised(data, filings)),
        "filings": triage_results(filings, wrong, classifier),
    }
    print(write_json(FOLDER / CORRECTED, result), end="")


if __name__ == "__main__":
    main()
