"""Measure the rules of triage on the development filings and write their card.

    python -m infra.evaluate_triage [FOLDER]

FOLDER holds finance/ (default: the setting SMALLPRINT_TEST_DATA). The metric: over filings, half
untouched, half with one injected error, false alarms are flagged untouched over untouched, found
is flagged injected over injected. Intervals are Wilson's at 95%.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from services.triage.domain import Verdict
from services.triage.judgement import triage_filing
from services.triage.statements import JSON, BadFiling, Filing, read_filings
from shared.errors import SettingsError

CARD = Path(__file__).resolve().parent.parent / "models" / "triage-identities" / "CARD.md"
COMMAND = "python -m infra.evaluate_triage"
KINDS = ("balance_sheet", "income", "cash_flow")


@dataclass
class Score:
    """What was counted."""

    untouched: int = 0
    alarms: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    placed: Counter[str] = field(default_factory=Counter)
    risks: list[tuple[float, bool]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, verdict: Verdict, truth: dict[str, Any] | None, seconds: float) -> None:
        """Count one filing; without a truth it is untouched."""
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
        """Injected filings above the least risk that flags at most this share of the untouched."""
        sound = sorted((risk for risk, wrong in self.risks if not wrong), reverse=True)
        limit = sound[math.floor(share * len(sound))]
        return sum(wrong and risk > limit for risk, wrong in self.risks)


def names_the_place(verdict: Verdict, truth: dict[str, Any]) -> bool:
    """Whether one of the top three findings names statement, column and row.

    The row, or a sum that contains it. An error of a whole statement is named by its statement
    alone; a missing line, which no column has, by its statement and its section.
    """
    for finding in verdict.findings[:3]:
        if finding.statement != truth["statement"]:
            continue
        if truth["row"] is None or finding.row is None:
            if truth["row"] == finding.row:
                return True
            continue
        columns = {truth["column"]}
        if truth["type"] == "column_swap":
            columns = {0, 1, 2, 3}
        if finding.column in (*columns, None) and truth["row"] in (finding.row, *finding.rows):
            return True
    return False


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95% interval of a share."""
    if not of:
        return 0.0, 1.0
    z, share = 1.96, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def share(hits: int, of: int) -> str:
    """A share with its counts and its interval."""
    low, high = wilson(hits, of)
    return f"{hits}/{of} = {hits / max(of, 1):.1%} [{low:.1%}, {high:.1%}]"


def injected_filings(folder: Path) -> Iterator[tuple[dict[str, Any], Filing]]:
    """The development filings, with what was done to them."""
    with (folder / "dev_injected.jsonl").open("rb") as lines:
        for line in lines:
            yield json.loads(line), _read(line)


def sound_filings(folder: Path) -> Iterator[Filing]:
    """Every filing that statements.jsonl has, put together from its statements."""
    filings: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with (folder / "statements.jsonl").open("rb") as lines:
        for line in lines:
            record = json.loads(line)
            filings[record["id"].rsplit("-" + record["statement"], 1)[0]].append(record)
    for name, statements in filings.items():
        yield _read(json.dumps({"id": name, "statements": statements}).encode())


def _read(line: bytes) -> Filing:
    (filing,) = read_filings(line, JSON)
    if isinstance(filing, BadFiling):
        raise ValueError(filing.message)  # noqa: TRY004 - a damaged file, not a wrong type
    return filing


def measure(filings: Iterable[tuple[Filing, dict[str, Any] | None]]) -> Score:
    """Check filings and count."""
    score = Score()
    for filing, truth in filings:
        began = time.process_time()
        verdict = triage_filing(filing)
        score.add(verdict, truth, time.process_time() - began)
    return score


def card(development: Score, sound: Score) -> str:
    """The card, from what was measured."""
    injected, found = development.injected.total(), development.found.total()
    alarms = development.alarms.total()
    types = "\n".join(
        f"| {kind} | {share(development.found[kind], count)} | "
        f"{development.placed[kind]}/{development.found[kind]} |"
        for kind, count in sorted(development.injected.items())
    )
    checks = "\n".join(f"| {name} | {count} |" for name, count in sound.alarms.most_common())
    at = "\n".join(
        f"| {limit:.0%} | {share(development.found_at(limit), injected)} |"
        for limit in (0.01, 0.02, 0.05, 0.10)
    )
    return f"""# triage-identities

The rules alone; what is learned on top of them has a card of its own (`models/triage-breaks`).

**What it decides, and for whom.** Whether the balance sheet, income statement and cash flow
statement of a financial report add up among themselves, cell by cell, for an analyst who then
looks. It gives no audit advice. It matches lines by their English labels, whatever they were read
from: pages (PDF, HTML), workbooks, text, XBRL or structured data
(`infra/decisions/0019-statements.md`).

**What it is.** Arithmetic by hand-written rules (`services/triage/checks/` has a page for each):
nothing is trained, there are no weights. The rules and the confidences were chosen by looking at
the development filings below, so every figure here is optimistic for companies never seen.

**Data.** `dev_injected.jsonl` ({development.untouched} untouched filings, {injected} with one
injected error) and, for false alarms, all {sound.untouched} filings of `statements.jsonl`, which
overlap with the untouched ones: SEC filings, public domain (US-PD), mostly large US filers. Only
labels, columns, values and units are read; training columns are not.

## Development filings (seen while the rules were written)

| | |
| --- | --- |
| false alarms | {share(alarms, development.untouched)} |
| found | {share(found, injected)} |
| place right in the top three, of those found | {share(development.placed.total(), found)} |

Found at a share of false alarms, by `risk` (which has few steps, so the share is not used up):

| false alarms at most | found |
| --- | --- |
{at}

| error | found | place right |
| --- | --- | --- |
{types}

## All sound filings

False alarms: {share(sound.alarms.total(), sound.untouched)}. By the check of the first finding:

| check | filings |
| --- | --- |
{checks}

Some of these look like slips of the filings themselves (a purchase or treasury stock with the
wrong sign, in the first years of XBRL), others are convenience translations. None was held against
its page; all are counted as false.

## Speed

One structured filing takes {median(development.seconds) * 1000:.0f} ms of one processor in the
median and {max(development.seconds) * 1000:.0f} ms at the most.

## Known failures

* A line that was dropped outside the balance sheet, or where the section did not add up before.
* A part of the income statement or cash flow statement that no sum holds in any column.
* An altered earnings-per-share amount: shares are read, but not checked.
* A difference of up to three units of presentation is taken for rounding.
* A convenience translation (a column in another currency) breaks many sums; it is named as such.
* Labels in other languages than English anchor nothing.
* What a reader gets wrong on a page is not among these figures, which are of structured
  statements: it is counted in `infra/decisions/0019-statements.md`, and twenty raw filings were
  looked at by hand (`infra/decisions/0057-twenty-raw-filings.md`).

## Reproduce

`{COMMAND}` (SMALLPRINT_TEST_DATA names the folder that holds finance/).
"""


def main(arguments: list[str]) -> int:
    """Print the figures and rewrite the card. Returns the exit code."""
    given = arguments[0] if arguments else os.environ.get("SMALLPRINT_TEST_DATA", "")
    folder = Path(given) / "finance"
    if not given or not folder.is_dir():
        raise SettingsError("name the folder that holds finance/, or set SMALLPRINT_TEST_DATA")
    development = measure(
        (filing, record["truth"] if record["label"] == "injected" else None)
        for record, filing in injected_filings(folder)
    )
    sound = measure((filing, None) for filing in sound_filings(folder))
    text = card(development, sound)
    CARD.parent.mkdir(parents=True, exist_ok=True)
    CARD.write_text(text, "utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SettingsError as error:
        print(error.message, file=sys.stderr)
        sys.exit(2)
