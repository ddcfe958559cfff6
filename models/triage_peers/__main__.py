"""Learn the usual ranges of ratios, and measure how often a sound filing has a strong signal.

    python -m models.triage_peers.__main__ --data FOLDER [--out models/artefacts]

FOLDER has finance/. Each filing is measured by labels and distributions without its company's fold.
The distances decide the threshold of a strong signal. The shipped artefact is learned from all
companies with the same recipe. A strong signal of a sound filing counts as a false alarm.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.evaluation.card import ARTEFACTS, write_cards
from models.evaluation.intervals import share_interval
from models.files import command, folder_of, read_config, write_json
from models.triage_breaks.filings import FOLDS, Record, development, fold_of, read, sound
from services.triage.relations.learned_sums import label_words
from services.triage.signals.figures import STATEMENT_OF, FilingFigures
from services.triage.signals.peers import NAME, PERCENTILES, Distribution, Peers, write
from services.triage.signals.ratios import M_LIKELY, RATIOS
from services.triage.signals.signals import UNUSUAL, ratio_values, signals_of
from services.triage.statements.model import Filing

FOLDER = folder_of("triage-peers")
CONFIG = read_config(FOLDER)
CONCEPTS: Mapping[str, Sequence[str]] = CONFIG["concepts"]
FIGURE_OF = {(STATEMENT_OF[f], c): f for f, concepts in CONCEPTS.items() for c in concepts}


@dataclass(frozen=True)
class Sound:
    """One sound filing with its filed concepts."""

    company: int
    record: Record
    filing: Filing

    @property
    def fold(self) -> int:
        return fold_of(self.company)

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield `statement|label` of every row, and its true figure; empty for other rows."""
        for statement in self.record["statements"]:
            kind = statement["statement"]
            for row in statement["rows"]:
                if row.get("concept"):
                    yield (
                        f"{kind}|{label_words(row['label'] or '')}",
                        FIGURE_OF.get((kind, row["concept"]), ""),
                    )


def labels_of(some: Iterable[Sound]) -> dict[str, str]:
    """Return the figure that most companies mean by a label."""
    users: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for filing in some:
        for label, figure in filing.named():
            users[label][figure].add(filing.company)
    result = {}
    for label, figures in users.items():
        best = max(figures, key=lambda figure: (len(figures[figure]), figure))
        if best and len(figures[best]) >= CONFIG["data"]["least_users"]:
            result[label] = best
    return result


def spreads_of(some: Sequence[Sound], labels: Mapping[str, str]) -> dict[str, Distribution]:
    """Return the distribution of each ratio's level and change; each company counts once."""
    values: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for filing in some:
        books = FilingFigures.of(
            filing.filing, lambda kind, label: labels.get(f"{kind}|{label}", "")
        )
        for ratio in RATIOS:
            every = list(ratio_values(ratio, books))
            if not every:
                continue
            (period, now), *_ = every
            key = f"{ratio.name}|{period.length}"
            values[f"{key}|level"].append((now.value, filing.company))
            for other, then in every[1:]:
                if 340 <= (period.end - other.end).days <= 390:
                    values[f"{key}|change"].append((now.value - then.value, filing.company))
    return {key: spread_of(result) for key, result in values.items()}


def spread_of(values: Sequence[tuple[float, int]]) -> Distribution:
    """Return the percentiles of values [N]; the values of a company share one weight."""
    filings = Counter(company for _, company in values)
    order = sorted(values)
    weights = np.array([1 / filings[company] for _, company in order])
    places = (np.cumsum(weights) - weights / 2) / weights.sum() * 100
    result = np.interp(PERCENTILES, places, np.array([value for value, _ in order]))
    return Distribution(len(filings), tuple(float(value) for value in result))


def learn(some: Sequence[Sound], strong: float = math.inf) -> Peers:
    """Learn labels and distributions from sound filings."""
    labels = labels_of(some)
    return Peers(labels, spreads_of(some, labels), strong, CONFIG["version"])


# Measuring


@dataclass(frozen=True)
class MeasuredFiling:
    """One filing measured against peers of other folds."""

    company: int
    fold: int
    form: str
    distances: Mapping[str, float]
    m_score: float | None
    injected: bool = False

    @property
    def farthest(self) -> float:
        """Return the distance of its most unusual signal."""
        return max(self.distances.values(), default=0.0)


def measure(
    record: Record, filing: Filing, peers: Peers, *, injected: bool = False
) -> MeasuredFiling:
    """Measure one filing against its peers."""
    result = signals_of(filing, peers)
    company = record["cik"]
    m = next((entry.value for entry in result if entry.signal == "beneish_m"), None)
    distances = {entry.signal: entry.distance for entry in result}
    return MeasuredFiling(company, fold_of(company), record["form"] or "", distances, m, injected)


def bound(some: Iterable[MeasuredFiling]) -> float:
    """Return the least distance, to one place, that few enough filings reach."""
    order = sorted((filing.farthest for filing in some), reverse=True)
    at = int(CONFIG["operation"]["false_alarms"] * len(order))
    return math.floor(order[at] * 10 + 1) / 10


def alarms(some: Sequence[MeasuredFiling], strong: float) -> int:
    """Count the filings with a strong signal."""
    return sum(filing.farthest >= strong for filing in some)


def nested(some: Sequence[MeasuredFiling]) -> tuple[int, int]:
    """Count alarms and filings; each fold uses the threshold of the others."""
    hits = 0
    for fold in range(FOLDS):
        mine = [filing for filing in some if filing.fold == fold]
        hits += alarms(mine, bound(filing for filing in some if filing.fold != fold))
    return hits, len(some)


def companies_alarmed(some: Sequence[MeasuredFiling], strong: float) -> tuple[int, int]:
    """Return the companies with a strong signal in any filing, and all."""
    every = {filing.company for filing in some}
    return len({filing.company for filing in some if filing.farthest >= strong}), len(every)


def interval(some: Sequence[MeasuredFiling], strong: float) -> tuple[float, float]:
    """Return the 95% interval of the share of alarms, by drawing companies."""
    counts = Counter(filing.company for filing in some)
    hits = Counter(filing.company for filing in some if filing.farthest >= strong)
    return share_interval(hits, counts, list(counts), 500)


def naming(every: Sequence[Sound], taught: Mapping[int, Peers]) -> dict[str, tuple[int, int, int]]:
    """Count rows of unseen companies by figure: named right, true, and named."""
    right: Counter[str] = Counter()
    there: Counter[str] = Counter()
    named: Counter[str] = Counter()
    for filing in every:
        labels = taught[filing.fold].labels
        for label, truth in filing.named():
            figure = labels.get(label, "")
            there[truth] += 1
            named[figure] += 1
            right[figure] += figure == truth
    return {figure: (right[figure], there[figure], named[figure]) for figure in CONCEPTS}


def scores(
    every: Sequence[Sound],
    taught: Mapping[int, Peers],
    result: Sequence[MeasuredFiling],
    apart: Sequence[MeasuredFiling],
    peers: Peers,
) -> dict[str, Any]:
    """Return the figures of the card; a share is [hits, of, share].

    Args:
        taught: peers of all folds but one, by that fold.
        result: the sound filings, measured without their fold.
    """
    strong = peers.strong
    m_scores = [filing.m_score for filing in result if filing.m_score is not None]
    return {
        "filings": len(every),
        "labels": len(peers.labels),
        "spreads": len(peers.spreads),
        "strong": strong,
        "false_alarms": {
            "strong": share(alarms(result, strong), len(result)),
            "interval": interval(result, strong),
            "strong, threshold of the other folds": share(*nested(result)),
            "companies with a strong signal": share(*companies_alarmed(result, strong)),
            "unusual": share(alarms(result, UNUSUAL), len(result)),
            "development, untouched, strong": _share([f for f in apart if not f.injected], strong),
            "development, with an error, strong": _share([f for f in apart if f.injected], strong),
        },
        "ratios": {ratio.title: _of_ratio(ratio.name, result, strong) for ratio in RATIOS},
        "m_scores": share(sum(score > M_LIKELY for score in m_scores), len(m_scores)),
        "lines": {
            figure.replace("_", " "): {"recall": share(right, there), "precision": share(right, n)}
            for figure, (right, there, n) in naming(every, taught).items()
        },
    }


def share(hits: int, of: int) -> list[float]:
    """Return a share with its counts."""
    return [hits, of, hits / max(of, 1)]


def _of_ratio(name: str, result: Sequence[MeasuredFiling], strong: float) -> dict[str, Any]:
    distances = [filing.distances[name] for filing in result if name in filing.distances]
    count = max(len(distances), 1)
    return {
        "filings": len(distances),
        "unusual": sum(d > UNUSUAL for d in distances) / count,
        "strong": sum(d >= strong for d in distances) / count,
    }


def _share(some: Sequence[MeasuredFiling], distance: float) -> list[float]:
    return share(alarms(some, distance), len(some))


def main() -> None:
    """Read the command line, learn, measure, and write the card and the artefact."""
    parser = command(__doc__, "--data")
    parser.add_argument("--out", type=Path, help="folder of the artefacts")
    arguments = parser.parse_args()
    folder = arguments.data / "finance"
    every = [Sound(record["cik"], record, read(record)) for record in sound(folder)]
    taught = {fold: learn([f for f in every if f.fold != fold]) for fold in range(FOLDS)}
    result = [measure(filing.record, filing.filing, taught[filing.fold]) for filing in every]
    apart = [
        measure(record, read(record), taught[fold_of(record["cik"])], injected=truth is not None)
        for record, truth in development(folder)
    ]
    peers = learn(every, bound(result))
    figures = scores(every, taught, result, apart, peers)
    print(write_json(FOLDER / "scores.json", figures), end="")
    if arguments.out:
        write(
            arguments.out / NAME / peers.version,
            peers,
            filings=len(every),
            companies=len({filing.company for filing in every}),
            provenance=CONFIG["data"]["provenance"],
            licence=CONFIG["data"]["licence"],
        )
    write_cards(FOLDER, arguments.out or ARTEFACTS)


if __name__ == "__main__":
    main()
