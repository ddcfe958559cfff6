"""A planted change in a stream of filings: when it is noticed, what is done, and false alarms.

    python -m infra.findings_show [--risk 0.1] [--share 0.05] [--streams 200] [--changed 50]

The stream is made of the committed predictions of the judge for filings of companies that it had
not learned from: sound ones, and copies with an error that was put in. For each stream half of the
companies are the calibration set, and filings of the other half come in, in a drawn order, again
and again; half of them are broken, as the promise says. From the 201st filing on

* another share of them is broken, which nobody says, so that more of what is accepted is wrong;
* or their errors are of the kinds that the judge names wrongly most often;
* or another share of the accepted is wrong, drawn for each by itself.

In a second table a promise is kept and companies have habits: what is accepted of a company is all
wrong or all right, and its filings come one after another. How often is the promise doubted where
each check counts, and where one of each company does, as in triage?

The tests are those that triage runs. Decisions are the predictions' truth, made at once. Of the
figures of a filing the predictions have one, how sure its surest doubt is.
"""

from __future__ import annotations

import argparse
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from infra.drift_show import Run, cells
from models.triage.guarantee import calibration_of
from models.triage.scores import FOLDER, of, predictions
from services.triage.guarantee import FINDING, Calibration, promise
from services.triage.watch.inputs import FIGURES, reference
from shared.risk import BETS, STAKES, gains, largest
from shared.watch.drift import CHECKED, Drift, rank_of
from shared.watch.evidence import FALSE_ALARMS, STEPS, Check, Watch, staked, unstaked

LEVEL, BROKEN, CALM, MOST = 0.95, 0.5, 200, 3_000
"""Of the promise; the share of broken filings that it states; filings before the change, and at
most behind it."""
WORST = 3
"""Kinds of errors that are planted together: those that accepted findings name wrongly most."""


@dataclass(frozen=True)
class Seen:
    """A filing as the tests see it."""

    kind: str | None
    """Of the error that was put in; None for a sound one."""
    sure: float
    """Its surest finding."""
    right: bool
    """Whether that names the error."""


@dataclass(frozen=True)
class Change:
    """What is planted."""

    broken: float = BROKEN
    kinds: frozenset[str] | None = None
    """Of the errors; None: of all."""
    wrong: float | None = None
    """The share of the accepted that is wrong; None: as it comes."""


@dataclass(frozen=True)
class Habit:
    """What is accepted of some companies is always wrong, of the others never."""

    risk: float
    """That is promised, and kept."""
    bad: float
    """The chance that a company is always wrong."""
    filings: int
    """Of each company, all with a finding that could be accepted."""
    share: float = 0.2
    """That is checked."""
    companies: int = 200

    def row(self) -> str:
        """The cells of the table."""
        return f"{self.risk:.0%} | {self.bad:.0%} | {self.filings} | {self.share:.0%}"


HABITS = (Habit(0.05, 0.03, 10), Habit(0.1, 0.05, 10), Habit(0.2, 0.1, 20), Habit(0.1, 0.1, 10))

Filings = Mapping[int, Sequence[Sequence[Seen]]]
"""By company: of each filing the sound one and its copies."""


def main() -> None:
    """Read the command line, run the streams and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--streams", type=int, default=200, help="without a change")
    parser.add_argument("--changed", type=int, default=50, help="streams for each change")
    parser.add_argument("--habits", type=int, default=1000, help="streams of companies with some")
    parser.add_argument("--risk", type=float, default=0.1)
    parser.add_argument("--share", type=float, default=0.05, help="of what could be accepted")
    arguments = parser.parse_args()
    known, filings = calibration_of(), filings_of()
    print(
        f"| after filing {CALM} | wrong of accepted | noticed by checks, after | checks | then "
        "accepted is | noticed by inputs, after |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for title, change in changes(known, filings, arguments.risk).items():
        count = arguments.changed if change else arguments.streams
        runs = [
            stream(known, filings, change, arguments.risk, arguments.share, seed)
            for seed in range(count)
        ]
        print(f"| {title} | {' | '.join(cells(runs))} |", flush=True)
    print(
        "\n| at most wrong | companies that are always wrong | filings of each | checks | doubted |"
    )
    print("| --- | --- | --- | --- | --- |")
    for habit in HABITS:
        each, one = (doubted(habit, arguments.habits, once) for once in (False, True))
        print(f"| {habit.row()} | {each:.1%}, of each company one: {one:.1%} |", flush=True)


def doubted(habit: Habit, streams: int, once: bool) -> float:
    """The share of streams of companies with habits that ever doubt a promise that is kept: the
    test of one step (`Evidence`), for all streams at once.

    Args:
        habit: of the companies.
        streams: how many.
        once: whether of each company one check counts, the first.
    """
    draw = np.random.default_rng(1)
    verdicts = []
    for _ in range(streams):
        wrong = draw.random(habit.companies) < habit.bad
        checks = draw.binomial(habit.filings, habit.share, habit.companies)
        counted = np.minimum(checks, 1) if once else checks
        verdicts.append(np.repeat(wrong, counted).tolist())
    return ever_doubted(verdicts, habit.risk)


def ever_doubted(
    verdicts: Sequence[Sequence[bool]],
    risk: float,
    most: float | None = 1.0,
    alarms: float = FALSE_ALARMS,
) -> float:
    """The share of streams that ever doubt a promise, each check being all of its unit.

    Args:
        verdicts: by stream, whether each check is wrong, in the order in which they count.
        risk: that is promised.
        most: checks with which a unit counts at most; None: as a promise about clauses does.
        alarms: the share that is allowed where the promise is kept.
    """
    most = most or largest(risk)
    gained = -gains(np.array([1, 1]), np.array([0, 1]), risk, most)
    factors = np.log1p(BETS / (risk * most) * gained[:, None])
    capital = np.full((len(verdicts), len(BETS)), -np.inf)
    ever = np.zeros(len(verdicts), bool)
    for number in range(1, max(map(len, verdicts)) + 1):
        some = np.array([len(one) >= number for one in verdicts])
        now = [int(one[number - 1]) for one in verdicts if len(one) >= number]
        capital[some] = staked(capital[some], factors[now], number)
        doubt = np.logaddexp.reduce(np.log(STAKES) + capital, axis=1)
        ever |= some & (np.logaddexp(doubt, np.log(unstaked(number))) >= -np.log(alarms))
    return float(ever.mean())


def filings_of() -> Filings:
    """Return the filings that the committed predictions are of."""
    found: dict[int, dict[str, list[Seen]]] = defaultdict(lambda: defaultdict(list))
    for p in of("own", predictions(FOLDER)):
        right = bool(p["right"] and p["right"][0])
        found[p["company"]][p["id"]].append(Seen(p["type"], p["risk"], right))
    return {company: list(mine.values()) for company, mine in found.items()}


def changes(known: Calibration, filings: Filings, risk: float) -> dict[str, Change | None]:
    """Return what is planted, by its name; None: nothing."""
    least = promise(known, risk, LEVEL, BROKEN).threshold or 1.0
    wrong: dict[str, list[bool]] = defaultdict(list)
    for mine in filings.values():
        for one in (one for copies in mine for one in copies):
            if one.kind and one.sure >= least:
                wrong[one.kind].append(not one.right)
    kinds = sorted(wrong, key=lambda kind: float(np.mean(wrong[kind])))[-WORST:]
    return {
        "no change": None,
        **{f"{share:.0%} broken": Change(share) for share in (0.2, 0.1, 0.05)},
        f"errors of the {WORST} kinds it names worst": Change(kinds=frozenset(kinds)),
        **{f"{w:.0%} of the accepted wrong (drawn)": Change(wrong=w) for w in (0.2, 0.3, 0.5)},
    }


def stream(
    known: Calibration,
    filings: Filings,
    change: Change | None,
    risk: float,
    share: float,
    seed: int,
) -> Run:
    """Let one stream run through both tests."""
    draw = np.random.default_rng(seed)
    companies = sorted(filings)
    half = set(draw.permutation(companies)[: len(companies) // 2].tolist())
    learned = _part(known, half)
    made = promise(learned, risk, LEVEL, BROKEN)
    if made.belief is None:  # half of the companies are too few for it
        made = promise(known, risk, LEVEL, BROKEN)
    assert made.belief is not None, "all of them keep the risk"
    watch = Watch(risk, made.belief, 0, most=1.0)
    inputs = _Inputs(learned, draw)
    run, step = Run(), 0
    totals = {False: [0, 0], True: [0, 0]}
    incoming = _endless([f for c in companies if c not in half for f in filings[c]], change, draw)
    for number, one in enumerate(incoming, 1):
        after = number > CALM
        least = made.at_step(step).threshold
        if least is not None and one.sure >= least:
            wrong = not (one.kind and one.right)
            if after and change and change.wrong is not None:
                wrong = bool(draw.random() < change.wrong)
            totals[after][0] += 1
            totals[after][1] += wrong
            if draw.random() < share:
                watch = watch.after([Check(FINDING, made.line.belief_of(one.sure), wrong)])
                run.checks += after and run.errors is None
                step = watch.step(step)
                if step and run.errors is None:
                    run.errors, run.step = number - CALM, step
        if inputs.notice(one) and run.inputs is None:
            run.inputs, share = number - CALM, share and max(share, CHECKED)
        seen = run.inputs is not None or (change is not None and change.wrong is not None)
        done = after and run.errors is not None and seen  # what is drawn shows in no figure
        if number >= CALM + MOST or done or step >= STEPS:
            break
    run.wrong_before, run.wrong_after = (
        wrong / max(1, accepted) for accepted, wrong in totals.values()
    )
    return run


class _Inputs:
    """The test of inputs, with figures kept in memory."""

    def __init__(self, known: Calibration, draw: np.random.Generator) -> None:
        self.draw = draw
        self.past = reference(known, BROKEN)["doubt"].tolist()
        self.drift = Drift.none(FIGURES)

    def notice(self, one: Seen) -> bool:
        """Whether filings are said to have changed, after one more."""
        below, upto = bisect_left(self.past, one.sure), bisect_right(self.past, one.sure)
        rank = rank_of(below, upto - below, len(self.past), self.draw.random())
        self.past.insert(below, one.sure)
        self.drift = self.drift.after({"doubt": rank})
        return self.drift.noticed


def _part(known: Calibration, companies: set[int]) -> Calibration:
    """The calibration set of some companies."""
    mine = np.isin(known.company, list(companies))
    return Calibration(known.company[mine], known.broken[mine], known.right[mine], known.risk[mine])


def _endless(
    filings: Sequence[Sequence[Seen]], change: Change | None, draw: np.random.Generator
) -> Iterator[Seen]:
    """Filings in drawn orders without end: of each the sound one, or one of its broken copies."""
    given = 0
    while True:
        for place in draw.permutation(len(filings)):
            given += 1
            now = change if change and given > CALM else Change()
            broken = [
                one
                for one in filings[place]
                if one.kind and (now.kinds is None or one.kind in now.kinds)
            ]
            sound = [one for one in filings[place] if one.kind is None]
            some = broken if draw.random() < now.broken else sound
            if some:
                yield some[int(draw.integers(len(some)))]


if __name__ == "__main__":
    main()
