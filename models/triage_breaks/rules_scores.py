"""Measure the rules of triage alone, and write `rules.json` and the card `RULES.md`.

    python -m models.triage_breaks.rules_scores FOLDER

FOLDER has finance/. Half of the development filings have one injected error. Filings that
another filing shows to be wrong are left out. Intervals are Wilson's at 95%.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from models.evaluation.card import write_cards
from models.files import command, write_json
from models.triage_breaks.corrected import wrong_filings
from models.triage_breaks.filings import FOLDER, development, read, sound
from services.triage.checks.verdict import triage_filing
from services.triage.domain import Verdict
from services.triage.statements.model import Filing

LIMITS = (0.01, 0.02, 0.05, 0.10)
"""Shares of false alarms at which the found errors are counted."""


@dataclass
class Score:
    """Counts over filings."""

    untouched: int = 0
    alarms: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    placed: Counter[str] = field(default_factory=Counter)
    risks: list[tuple[float, bool]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, verdict: Verdict, truth: dict[str, Any] | None, seconds: float) -> None:
        """Count one filing; without a truth it is sound."""
        self.risks.append((verdict.risk, truth is not None))
        self.seconds.append(seconds)
        if truth is None:
            self.untouched += 1
            if verdict.flagged:
                self.alarms[verdict.findings[0].check] += 1
            return
        kind = truth["type"]
        self.injected[kind] += 1
        self.found[kind] += verdict.flagged
        self.placed[kind] += verdict.flagged and names_the_place(verdict, truth)

    def found_at(self, share: float) -> int:
        """Return the errors above the risk that at most this share of sound filings exceeds."""
        sound = sorted((risk for risk, wrong in self.risks if not wrong), reverse=True)
        limit = sound[math.floor(share * len(sound))]
        return sum(wrong and risk > limit for risk, wrong in self.risks)


def names_the_place(verdict: Verdict, truth: dict[str, Any]) -> bool:
    """Return whether one of the first three findings names statement, column and row.

    The row, or a sum that contains it. For an error of a whole statement the statement is enough,
    for a missing line its statement and section.
    """
    columns = {0, 1, 2, 3} if truth["type"] == "column_swap" else {truth["column"]}
    for finding in verdict.findings[:3]:
        if finding.statement != truth["statement"]:
            continue
        if truth["row"] is None or finding.row is None:
            if truth["row"] == finding.row:
                return True
        elif finding.column in (*columns, None) and truth["row"] in (finding.row, *finding.rows):
            return True
    return False


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return the 95% interval of a share."""
    if not of:
        return 0.0, 1.0
    z, share = 1.96, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def share(hits: int, of: int) -> list[float]:
    """Return a share with its counts and its interval."""
    return [hits, of, hits / max(of, 1), *wilson(hits, of)]


def measure(filings: Iterable[tuple[Filing, dict[str, Any] | None]]) -> Score:
    """Check filings and count."""
    score = Score()
    for filing, truth in filings:
        began = time.process_time()
        verdict = triage_filing(filing)
        score.add(verdict, truth, time.process_time() - began)
    return score


def figures(development: Score, sound: Score) -> dict[str, Any]:
    """Return the figures of the card; a share is [hits, of, share, lower end, upper end]."""
    return {
        "development": {
            "false_alarms": share(development.alarms.total(), development.untouched),
            "found": share(development.found.total(), development.injected.total()),
            "placed": share(development.placed.total(), development.found.total()),
            "found_at": {
                f"{limit:.0%}": share(development.found_at(limit), development.injected.total())
                for limit in LIMITS
            },
            "types": {
                kind: {
                    "found": share(development.found[kind], development.injected[kind]),
                    "placed": share(development.placed[kind], development.found[kind]),
                }
                for kind in sorted(development.injected)
            },
        },
        "sound": {
            "false_alarms": share(sound.alarms.total(), sound.untouched),
            "checks": dict(sound.alarms.most_common()),
        },
        "milliseconds": {
            "median": round(1000 * median(development.seconds)),
            "most": round(1000 * max(development.seconds)),
        },
    }


def main() -> None:
    """Read the command line, measure, and write figures and card."""
    parser = command(__doc__)
    parser.add_argument("data", type=Path, help="folder with finance/")
    folder = parser.parse_args().data / "finance"
    in_development = measure((read(record), truth) for record, truth in development(folder))
    filings = {record["id"]: record for record in sound(folder)}
    wrong = wrong_filings(folder, filings)
    of_sound = measure((read(filings[name]), None) for name in filings if name not in wrong)
    print(write_json(FOLDER / "rules.json", figures(in_development, of_sound)))
    write_cards(FOLDER)


if __name__ == "__main__":
    main()
