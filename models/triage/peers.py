"""Learn what is usual among companies, and measure how often a sound filing has a strong signal.

    python -m models.triage.peers --data FOLDER [--out models/artefacts]

FOLDER holds finance/. Every filing is judged by labels and spreads that were learned without its
company's fold; from those distances the operating point is chosen, and the card is written. What
ships is learned on all companies with the same recipe. Nothing is injected: a sound filing with a
strong signal is a false alarm, however unusual its company may truly be.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.triage.filings import FOLDS, Record, development, fold_of, read, sound
from services.triage.experience import bare
from services.triage.signals.figures import STATEMENT_OF, Books
from services.triage.signals.peers import LEAST_COMPANIES, NAME, PERCENTILES, Peers, Spread, write
from services.triage.signals.ratios import M_LIKELY, RATIOS
from services.triage.signals.signals import UNUSUAL, measured, signals_of
from services.triage.statements import Filing

CARD = Path(__file__).resolve().parent.parent / "triage-signals" / "CARD.md"
COMMAND = "python -m models.triage.peers"
VERSION = "1.0.0"
FALSE_ALARMS = 0.02
"""Share of the sound filings that may have a strong signal, each judged unseen."""
LEAST_USERS = 2
"""Companies that must call a line so for the label to be known."""
LICENCE = "public (US-PD): learned from financial statements filed with the SEC"
PROVENANCE = (
    "SEC Financial Statement Data Sets 2009q3 to 2010q2 and inline XBRL filings of 2018 to 2025"
)
CONCEPTS: Mapping[str, tuple[str, ...]] = {
    "revenue": (
        "Revenues",
        "SalesRevenueNet",
        "SalesRevenueGoodsNet",
        "RevenueFromContractWithCustomerExcludingAssessedTax",
        "RevenueFromContractWithCustomerIncludingAssessedTax",
    ),
    "cost": ("CostOfGoodsSold", "CostOfGoodsAndServicesSold", "CostOfRevenue"),
    "gross_profit": ("GrossProfit",),
    "overheads": ("SellingGeneralAndAdministrativeExpense",),
    "selling": ("SellingAndMarketingExpense", "SellingExpense"),
    "administration": ("GeneralAndAdministrativeExpense",),
    "operating_income": ("OperatingIncomeLoss",),
    "net_income": ("ProfitLoss", "NetIncomeLoss"),
    "depreciation": (
        "DepreciationDepletionAndAmortization",
        "DepreciationAndAmortization",
        "DepreciationAmortizationAndAccretionNet",
        "Depreciation",
    ),
    "operating_cash": ("NetCashProvidedByUsedInOperatingActivities",),
    "assets": ("Assets",),
    "current_assets": ("AssetsCurrent",),
    "current_liabilities": ("LiabilitiesCurrent",),
    "liabilities": ("Liabilities",),
    "receivables": (
        "AccountsReceivableNetCurrent",
        "ReceivablesNetCurrent",
        "AccountsNotesAndLoansReceivableNetCurrent",
    ),
    "inventories": ("InventoryNet",),
    "property": ("PropertyPlantAndEquipmentNet",),
    "long_term_debt": (
        "LongTermDebtNoncurrent",
        "LongTermDebtAndCapitalLeaseObligations",
        "LongTermDebt",
    ),
}
FIGURE_OF = {(STATEMENT_OF[f], c): f for f, concepts in CONCEPTS.items() for c in concepts}


@dataclass(frozen=True)
class Sound:
    """One sound filing, read, with the concepts that it was filed with."""

    company: int
    record: Record
    filing: Filing

    @property
    def fold(self) -> int:
        """The fold of its company."""
        return fold_of(self.company)

    def named(self) -> Iterator[tuple[str, str]]:
        """`statement|label` of every row, and the figure that it truly is; empty for another."""
        for statement in self.record["statements"]:
            kind = statement["statement"]
            for row in statement["rows"]:
                if row.get("concept"):
                    yield (
                        f"{kind}|{bare(row['label'] or '')}",
                        FIGURE_OF.get((kind, row["concept"]), ""),
                    )


def labels_of(some: Iterable[Sound]) -> dict[str, str]:
    """What most companies mean by a label, where that is one of the figures."""
    users: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for one in some:
        for label, figure in one.named():
            users[label][figure].add(one.company)
    found = {}
    for label, figures in users.items():
        best = max(figures, key=lambda figure: (len(figures[figure]), figure))
        if best and len(figures[best]) >= LEAST_USERS:
            found[label] = best
    return found


def spreads_of(some: Sequence[Sound], labels: Mapping[str, str]) -> dict[str, Spread]:
    """How each ratio's level and change are spread over companies, each counting as one."""
    values: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for one in some:
        books = Books.of(one.filing, lambda kind, label: labels.get(f"{kind}|{label}", ""))
        for ratio in RATIOS:
            every = list(measured(ratio, books))
            if not every:
                continue
            (period, now), *_ = every
            key = f"{ratio.name}|{period.length}"
            values[f"{key}|level"].append((now.value, one.company))
            for other, then in every[1:]:
                if 340 <= (period.end - other.end).days <= 390:
                    values[f"{key}|change"].append((now.value - then.value, one.company))
    return {key: spread_of(found) for key, found in values.items()}


def spread_of(values: Sequence[tuple[float, int]]) -> Spread:
    """Percentiles of values [N], those of a company weighing one together."""
    filings = Counter(company for _, company in values)
    order = sorted(values)
    weights = np.array([1 / filings[company] for _, company in order])
    places = (np.cumsum(weights) - weights / 2) / weights.sum() * 100
    found = np.interp(PERCENTILES, places, np.array([value for value, _ in order]))
    return Spread(len(filings), tuple(float(value) for value in found))


def learn(some: Sequence[Sound], strong: float = math.inf) -> Peers:
    """Learn labels and spreads from sound filings."""
    labels = labels_of(some)
    return Peers(labels, spreads_of(some, labels), strong, VERSION)


# Measuring


@dataclass(frozen=True)
class Judged:
    """What came of one filing that was judged by peers of other folds."""

    company: int
    fold: int
    form: str
    distances: Mapping[str, float]
    m_score: float | None
    injected: bool = False

    @property
    def farthest(self) -> float:
        """The distance of its most unusual signal."""
        return max(self.distances.values(), default=0.0)


def judged(record: Record, filing: Filing, peers: Peers, *, injected: bool = False) -> Judged:
    """Measure one filing against its peers."""
    found = signals_of(filing, peers)
    company = record["cik"]
    m = next((one.value for one in found if one.signal == "beneish_m"), None)
    distances = {one.signal: one.distance for one in found}
    return Judged(company, fold_of(company), record["form"] or "", distances, m, injected)


def bound(some: Iterable[Judged], share: float = FALSE_ALARMS) -> float:
    """The least distance, to one place, that at most this share of filings reaches."""
    order = sorted((one.farthest for one in some), reverse=True)
    return math.floor(order[int(share * len(order))] * 10 + 1) / 10


def alarms(some: Sequence[Judged], strong: float) -> int:
    """How many filings have a strong signal."""
    return sum(one.farthest >= strong for one in some)


def nested(some: Sequence[Judged]) -> tuple[int, int]:
    """Alarms where each fold is judged by the bound of the others, and filings."""
    hits = 0
    for fold in range(FOLDS):
        mine = [one for one in some if one.fold == fold]
        hits += alarms(mine, bound(one for one in some if one.fold != fold))
    return hits, len(some)


def companies_alarmed(some: Sequence[Judged], strong: float) -> tuple[int, int]:
    """Companies with at least one strong signal in any filing, and all."""
    every = {one.company for one in some}
    return len({one.company for one in some if one.farthest >= strong}), len(every)


def interval(some: Sequence[Judged], strong: float, draws: int = 500) -> tuple[float, float]:
    """The 95% interval of the share of alarms, by drawing companies anew."""
    by: dict[int, list[bool]] = defaultdict(list)
    for one in some:
        by[one.company].append(one.farthest >= strong)
    hits = np.array([sum(flags) for flags in by.values()])
    counts = np.array([len(flags) for flags in by.values()])
    drawn = np.random.default_rng(1).integers(0, len(hits), (draws, len(hits)))
    shares = hits[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(low), float(high)


def naming(every: Sequence[Sound], taught: Mapping[int, Peers]) -> dict[str, tuple[int, int, int]]:
    """Rows of unseen companies by figure: named rightly, those that are it, those named so."""
    counts: dict[str, list[int]] = {figure: [0, 0, 0] for figure in CONCEPTS}
    for one in every:
        labels = taught[one.fold].labels
        for label, truth in one.named():
            said = labels.get(label, "")
            if truth:
                counts[truth][1] += 1
            if said:
                counts[said][2] += 1
                counts[said][0] += said == truth
    return {figure: (right, there, named) for figure, (right, there, named) in counts.items()}


def card(
    every: Sequence[Sound],
    taught: Mapping[int, Peers],
    found: Sequence[Judged],
    apart: Sequence[Judged],
    strong: float,
    peers: Peers,
) -> str:
    """The card: what is measured, on what, and how often."""
    low, high = interval(found, strong)
    hits, filings = alarms(found, strong), len(found)
    nested_hits, _ = nested(found)
    some, companies = companies_alarmed(found, strong)
    scores = [one.m_score for one in found if one.m_score is not None]
    untouched = [one for one in apart if not one.injected]
    injected = [one for one in apart if one.injected]
    rows = "\n".join(_ratio_row(ratio.name, ratio.title, found, strong) for ratio in RATIOS)
    lines = "\n".join(
        f"| {figure.replace('_', ' ')} | {right}/{there} = {right / max(there, 1):.0%} "
        f"| {right}/{named} = {right / max(named, 1):.0%} |"
        for figure, (right, there, named) in naming(every, taught).items()
    )
    sure = sum(score > M_LIKELY for score in scores)
    return f"""# Signals of triage: what is unusual though it adds up

Written by `{COMMAND}`; every figure is of companies whose filings were not learned from.

**What it is.** Ratios of a report's latest period ({len(RATIOS)}, each with formula and source in
`services/triage/signals/ratios.py`), held against the same ratio in other companies and against its
own change within a year. They set no flag and no risk. A *distance* of 1 is the bound between which
19 of 20 companies lie; *unusual* is beyond it, *strong* from {strong:.1f} on. A strong one is a
review item of its own kind.

**What it is not.** No accusation: most of what is unusual is true (a merger, a bad year, a young
company). Peers are of all industries together, so a bank or a pipeline is unusual by its nature.

**Data.** {len(every)} sound filings of {companies} companies (`statements.jsonl`; {PROVENANCE}).
Licence: {LICENCE}. Shipped is `models/artefacts/{NAME}/{peers.version}`:
{len(peers.labels)} labels, {len(peers.spreads)} spreads of {len(PERCENTILES)} percentiles;
no text and no figure of a filing.
Where fewer than {LEAST_COMPANIES} companies show a ratio nothing is said of what is usual.

## False alarms on untouched filings

| what | share |
| --- | --- |
| filings with a strong signal | {hits}/{filings} = {hits / filings:.1%} [{low:.1%}, {high:.1%}] |
| the same, bounds of other folds | {nested_hits}/{filings} = {nested_hits / filings:.1%} |
| companies with one in any of their filings | {some}/{companies} = {some / companies:.1%} |
| filings with an unusual signal (shown, not queued) | {_share(found, UNUSUAL)} |
| untouched filings of the development set, strong | {_share(untouched, strong)} |
| its filings with an injected error, strong | {_share(injected, strong)} |

The interval draws companies anew. The last two rows are no test of finding errors: signals are not
made for that.

## By ratio

| ratio | filings that give it | unusual | strong |
| --- | --- | --- | --- |
{rows}

The M-score needs twelve figures in two years; {len(scores)} filings give it, {sure} of them are
above {M_LIKELY} ({sure / max(len(scores), 1):.0%}) though nobody has found them at fault.

## Which line has a figure, by its label

| figure | of its lines, named so | of those named so, right |
| --- | --- | --- |
{lines}

## Known failures

* Labels that fewer than {LEAST_USERS} companies use are not known, and the ratio is left out.
* Large companies that file with the SEC, in English; most filings are of 2009 and 2010, so what is
  usual is of the years after a crisis.
* A quarter is held against periods of one to three quarters together.
* Where the year before is restated, the change is that of the restated figures.
"""


def _ratio_row(name: str, title: str, found: Sequence[Judged], strong: float) -> str:
    mine = [one.distances[name] for one in found if name in one.distances]
    odd, far = sum(d > UNUSUAL for d in mine), sum(d >= strong for d in mine)
    share = max(len(mine), 1)
    return f"| {title} | {len(mine)} | {odd / share:.1%} | {far / share:.1%} |"


def _share(some: Sequence[Judged], distance: float) -> str:
    hits = alarms(some, distance)
    return f"{hits}/{len(some)} = {hits / max(len(some), 1):.1%}"


def main() -> None:
    """Read the command line, learn, measure, and write the card and the artefact."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds finance/")
    parser.add_argument("--out", type=Path, help="folder of the artefacts")
    arguments = parser.parse_args()
    folder = arguments.data / "finance"
    every = [Sound(record["cik"], record, read(record)) for record in sound(folder)]
    taught = {fold: learn([one for one in every if one.fold != fold]) for fold in range(FOLDS)}
    found = [judged(one.record, one.filing, taught[one.fold]) for one in every]
    strong = bound(found)
    apart = [
        judged(record, read(record), taught[fold_of(record["cik"])], injected=truth is not None)
        for record, truth in development(folder)
    ]
    peers = learn(every, strong)
    text = card(every, taught, found, apart, strong, peers)
    sys.stdout.write(text)
    CARD.parent.mkdir(exist_ok=True)
    CARD.write_text(text, encoding="utf-8")
    if arguments.out:
        companies = len({one.company for one in every})
        write(
            arguments.out / NAME / VERSION,
            peers,
            filings=len(every),
            companies=companies,
            provenance=PROVENANCE,
            licence=LICENCE,
        )


if __name__ == "__main__":
    main()
