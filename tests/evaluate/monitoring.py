"""Count the false alarms of monitoring, in streams without a change.

    python -m tests.evaluate.monitoring --data FOLDER [--streams 200] [--risk 0.1]

FOLDER holds the training data. The streams have the committed predictions of the specialists for
contracts and filings of unseen companies, and the truth. For each stream half of the companies are
the calibration set. Documents of the other half arrive in random order, repeatedly; half of the
filings have an error, as stated. The tests are those of the services. Decisions are the truth, made
at once. The only feature of a filing here is the confidence of its best finding.

The second table has streams in which companies have habits: their accepted findings are all wrong
or all right, and their filings follow one another. It shows how often an alarm is raised if each
check counts, and if one check of each company counts as in triage.
"""

from __future__ import annotations

import argparse
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from models.clauses.risk_control import read_rows
from models.files import folder_of
from models.triage_breaks.filings import FOLDER
from models.triage_breaks.guarantee import calibration_of
from models.triage_breaks.scores import of, predictions
from services.extraction.monitoring import drift_features as of_contracts
from services.extraction.monitoring.monitor import tolerated_error_rates
from services.triage.monitoring import drift_features as of_filings
from services.triage.routing import risk_control as findings
from shared.inference.adapters import GUARANTEE_FILE, AdapterManifest, newest_version
from shared.monitoring.drift import MIN_SAMPLING_SHARE, Drift, rank_of
from shared.monitoring.sequential_test import (
    FALSE_ALARMS,
    Check,
    SequentialTest,
    stake,
    unstaked_share,
)
from shared.policy.intervals import BETS, STAKES, gains
from shared.policy.risk_control import Calibration, control_risk, read_calibration

T = TypeVar("T")
NAME = "contract-clauses"
LEVEL, BROKEN, SHARE = 0.95, 0.5, 0.05
"""Of the guarantee; stated share of broken filings; checked share of accepted results."""
CONTRACTS, FILINGS = 800, 3_200  # documents of a stream


@dataclass(frozen=True)
class StreamContract:
    """A contract as the tests see it."""

    family: int
    clauses: tuple[tuple[str, float, float, bool], ...]
    """Category, confidence, belief, and whether it is wrong."""


@dataclass(frozen=True)
class StreamFiling:
    """A filing as the tests see it: its best finding, and whether that is right."""

    broken: bool
    sure: float
    right: bool


Filings = Mapping[int, Sequence[Sequence[StreamFiling]]]
"""By company: of each filing the sound one and its copies with an error."""


@dataclass(frozen=True)
class Habit:
    """Companies whose accepted findings are either all wrong or all right."""

    risk: float  # the guaranteed risk, which the stream keeps
    bad: float  # probability that a company is always wrong
    filings: int  # of each company, all with a finding that could be accepted
    share: float = 0.2  # share of accepted findings that is checked
    companies: int = 200


HABITS = (Habit(0.05, 0.03, 10), Habit(0.1, 0.05, 10), Habit(0.2, 0.1, 20), Habit(0.1, 0.1, 10))


@dataclass
class Alarms:
    """Whether checks, or inputs, raised an alarm in a stream."""

    checks: bool = False
    inputs: bool = False


def main() -> None:
    """Run the streams and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--habits", type=int, default=1000, help="streams of companies with habits")
    parser.add_argument("--risk", type=float, default=0.1)
    asked = parser.parse_args()
    streams: dict[str, Callable[[int], Alarms]] = {
        f"{CONTRACTS} contracts": partial(
            clause_alarms, *read_contracts(asked.data, asked.artefacts), asked.risk
        ),
        f"{FILINGS} filings": partial(finding_alarms, calibration_of(), read_filings(), asked.risk),
    }
    print("| stream of | alarms of checks | alarms of inputs |\n| --- | --- | --- |")
    for title, alarms_of in streams.items():
        alarms = [alarms_of(seed) for seed in range(asked.streams)]
        checks, inputs = (np.mean([getattr(a, name) for a in alarms]) for name in vars(Alarms()))
        print(f"| {title} | {checks:.1%} | {inputs:.1%} |", flush=True)
    print("\n| stated risk | companies always wrong | filings of each | checked | alarms |")
    print("| --- | --- | --- | --- | --- |")
    for habit in HABITS:
        each, one = (alarm_share(habit, asked.habits, once) for once in (False, True))
        row = f"{habit.risk:.0%} | {habit.bad:.0%} | {habit.filings} | {habit.share:.0%}"
        print(f"| {row} | {each:.1%}, one check a company: {one:.1%} |", flush=True)


def read_contracts(data: Path, artefacts: Path) -> tuple[Calibration, list[StreamContract]]:
    """The calibration set, and its contracts."""
    shipped = newest_version(artefacts, NAME)
    manifest = AdapterManifest.read(shipped)
    known = read_calibration((shipped / GUARANTEE_FILE).read_bytes())
    rows = read_rows(folder_of(NAME), data, manifest).shown(manifest.thresholds["best_f1"])
    contracts = []
    for contract in np.unique(rows.contract):
        mine = np.flatnonzero(rows.contract == contract)
        clauses = []
        for i in mine:
            category, confidence = rows.labels[rows.label[i]], float(rows.confidence[i])
            belief = known.belief_of(category, confidence)
            clauses.append((category, confidence, belief, not rows.right[i]))
        contracts.append(StreamContract(int(rows.family[mine[0]]), tuple(clauses)))
    return known, contracts


def read_filings() -> Filings:
    """The filings of the committed predictions."""
    found: dict[int, dict[str, list[StreamFiling]]] = defaultdict(lambda: defaultdict(list))
    for p in of("own", predictions(FOLDER)):
        right = bool(p["right"] and p["right"][0])
        found[p["company"]][p["id"]].append(StreamFiling(bool(p["type"]), p["risk"], right))
    return {company: list(mine.values()) for company, mine in found.items()}


def clause_alarms(
    known: Calibration, contracts: Sequence[StreamContract], risk: float, seed: int
) -> Alarms:
    """Run one stream of contracts through both tests."""
    draw = np.random.default_rng(seed)
    half = set(draw.permutation(known.families)[: known.families // 2].tolist())
    learned = _of_families(known, half)
    belief = control_risk(learned, risk, LEVEL).belief
    if belief is None:  # half of the companies don't suffice for it
        belief = control_risk(known, risk, LEVEL).belief or 1.0
    allowed = tolerated_error_rates(learned, belief, risk)
    watch = SequentialTest(risk, belief, len(known.labels), allowed)
    inputs = _Inputs(of_contracts.reference(learned), of_contracts.FIGURES, draw)
    alarms, share = Alarms(), SHARE
    others = [contract for contract in contracts if contract.family not in half]
    for contract in islice(_endless(others, draw), CONTRACTS):
        checks = [
            Check(category, believed, wrong)
            for category, _, believed, wrong in contract.clauses
            if believed >= belief and draw.random() < share
        ]
        if checks and not alarms.checks:
            watch = watch.after(checks)
            alarms.checks = bool(watch.step(0) or watch.suspended_categories())
        pairs = [(category, confidence) for category, confidence, _, _ in contract.clauses]
        if not alarms.inputs and inputs.notice(of_contracts.figures(learned, pairs)):
            alarms.inputs, share = True, max(share, MIN_SAMPLING_SHARE)
    return alarms


def finding_alarms(known: findings.Calibration, filings: Filings, risk: float, seed: int) -> Alarms:
    """Run one stream of filings through both tests."""
    draw = np.random.default_rng(seed)
    companies = sorted(filings)
    half = set(draw.permutation(companies)[: len(companies) // 2].tolist())
    mine = np.isin(known.company, list(half))
    learned = findings.Calibration(
        known.company[mine], known.broken[mine], known.right[mine], known.risk[mine]
    )
    made = findings.make_guarantee(learned, risk, LEVEL, BROKEN)
    if made.belief is None:  # half of the companies don't suffice for it
        made = findings.make_guarantee(known, risk, LEVEL, BROKEN)
    assert made.belief is not None, "all of them keep the risk"
    assert made.threshold is not None
    watch = SequentialTest(risk, made.belief, 0, most=1.0)
    inputs = _Inputs(of_filings.reference(learned, BROKEN), of_filings.FIGURES, draw)
    alarms, share = Alarms(), SHARE
    others = [filing for company in companies if company not in half for filing in filings[company]]
    incoming = (_copy(filing, draw) for filing in _endless(others, draw))
    for one in islice(filter(None, incoming), FILINGS):
        if one.sure >= made.threshold and draw.random() < share and not alarms.checks:
            wrong = not (one.broken and one.right)
            watch = watch.after([Check(findings.FINDING, made.line.belief_of(one.sure), wrong)])
            alarms.checks = bool(watch.step(0))
        if not alarms.inputs and inputs.notice({"doubt": one.sure}):
            alarms.inputs, share = True, max(share, MIN_SAMPLING_SHARE)
    return alarms


class _Inputs:
    """The test of inputs, with figures kept in memory."""

    def __init__(
        self, past: Mapping[str, Any], names: Sequence[str], draw: np.random.Generator
    ) -> None:
        self.past = {name: list(values) for name, values in past.items()}
        self.drift = Drift.none(names)
        self.draw = draw

    def notice(self, figures: Mapping[str, float]) -> bool:
        """Add a document's figures. Returns whether they raise an alarm."""
        ranks = {}
        for name, value in figures.items():
            past = self.past[name]  # rising
            below, upto = bisect_left(past, value), bisect_right(past, value)
            ranks[name] = rank_of(below, upto - below, len(past), self.draw.random())
            past.insert(below, value)
        self.drift = self.drift.after(ranks)
        return self.drift.detected


def _of_families(known: Calibration, families: set[int]) -> Calibration:
    """The calibration set of some families."""
    mine = np.array([int(family) in families for family in known.family])
    numbers = {family: number for number, family in enumerate(sorted(families))}
    document = known.document if known.document is not None else known.family
    return replace(
        known,
        families=len(families),
        family=np.array([numbers[int(f)] for f in known.family[mine]], np.int64),
        label=known.label[mine],
        belief=known.belief[mine],
        wrong=known.wrong[mine],
        answer_family=np.zeros(0, np.int64),
        answer_confidence=np.zeros(0),
        document=np.unique(document[mine], return_inverse=True)[1],
    )


def _endless(documents: Sequence[T], draw: np.random.Generator) -> Iterator[T]:
    """Documents in random order, repeated without end."""
    orders = (draw.permutation(len(documents)) for _ in repeat(None))
    return (documents[place] for place in chain.from_iterable(orders))


def _copy(filing: Sequence[StreamFiling], draw: np.random.Generator) -> StreamFiling | None:
    """The sound filing, or one of its broken copies; None if there is none."""
    broken = draw.random() < BROKEN
    some = [one for one in filing if one.broken == broken]
    return some[int(draw.integers(len(some)))] if some else None


def alarm_share(habit: Habit, streams: int, once: bool) -> float:
    """The share of streams of companies with habits that raise an alarm.

    Args:
        habit: of the companies.
        streams: number of streams.
        once: count only the first check of each company.
    """
    draw = np.random.default_rng(1)
    verdicts = []
    for _ in range(streams):
        wrong = draw.random(habit.companies) < habit.bad
        checks = draw.binomial(habit.filings, habit.share, habit.companies)
        verdicts.append(np.repeat(wrong, np.minimum(checks, 1) if once else checks))
    gained = -gains(np.array([1, 1]), np.array([0, 1]), habit.risk, 1.0)
    factors = np.log1p(BETS / habit.risk * gained[:, None])
    capital = np.full((streams, len(BETS)), -np.inf)
    ever = np.zeros(streams, bool)
    for number in range(1, max(map(len, verdicts)) + 1):
        some = np.array([len(one) >= number for one in verdicts])
        now = [int(one[number - 1]) for one in verdicts if len(one) >= number]
        capital[some] = stake(capital[some], factors[now], number)
        doubt = np.logaddexp.reduce(np.log(STAKES) + capital, axis=1)
        alarm = np.logaddexp(doubt, np.log(unstaked_share(number))) >= -np.log(FALSE_ALARMS)
        ever |= some & alarm
    return float(ever.mean())


if __name__ == "__main__":
    main()
