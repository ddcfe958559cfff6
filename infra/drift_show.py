"""A planted change in a stream of documents: when it is noticed, what is done, and false alarms.

    python -m infra.drift_show --data FOLDER [--other FILE] [--streams 200]

The stream is real: contracts of companies that the specialist had not seen, with its committed
predictions of them, and what is wrong by the labels. For each stream half of the companies are the
calibration set, and the contracts of the other half come in, in a drawn order, again and again in
other orders where more are needed. From the 201st document on they are of another kind:

* contracts of the types that the specialist errs most on, by the labels;
* the same contracts with another share of wrong ones among the accepted, drawn for each by itself;
* documents of another sort (`--other`), with what the specialist finds in them: JSON lines of `id`,
  `sort` and `clauses` (category and confidence), as `--write FILE` makes them of the corpora.

The tests are those that extraction runs. Decisions are the labels', made at once.
"""

from __future__ import annotations

import argparse
import gzip
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.corpus import read_records
from models.guarantee import read_rows
from services.extraction.pipeline import search
from services.extraction.watch.inputs import FIGURES, figures, reference
from services.extraction.watch.watching import tolerated
from shared.guarantee import NEVER, Calibration, promise, read_calibration
from shared.inference import Specialists
from shared.inference.adapters import (
    GUARANTEE_FILE,
    MANIFEST_FILE,
    newest_version,
    read_manifest,
)
from shared.watch import drift
from shared.watch.evidence import STEPS, Check, Watch, accepted_from

NAME = "contract-clauses"
LEVEL, SHARE, CALM = 0.95, 0.05, 200
"""Of the promise; of what could be accepted, that is checked; documents before the change."""
MOST = 600
"""Documents that come after the change at the most."""
SORTS = {"nda": "contractnli_dev.jsonl.gz", "terms of service": "unfair_tos_en_train.jsonl.gz"}
WORST = 4
"""Types of contracts that are planted together: those with the largest share of wrong ones."""


@dataclass(frozen=True, eq=False)
class Paper:
    """A document as the tests see it."""

    family: int
    sort: str
    clauses: tuple[tuple[str, float, float, bool], ...]
    """Category, confidence, belief, and whether it is wrong."""


@dataclass
class Run:
    """What came of one stream: documents after the change, or None where nothing was noticed."""

    errors: int | None = None
    inputs: int | None = None
    checks: int = 0
    step: int = 0
    doubted: int = 0
    wrong_before: float = 0.0
    wrong_after: float = 0.0
    early: bool = False


def main() -> None:
    """Read the command line, run the streams and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the training data")
    parser.add_argument("--artefacts", type=Path, default=Path("models/artefacts"))
    parser.add_argument("--other", type=Path, help="what the specialist finds in other documents")
    parser.add_argument("--write", type=Path, help="let it read those, and write this file")
    parser.add_argument("--streams", type=int, default=200, help="without a change")
    parser.add_argument("--changed", type=int, default=50, help="streams for each change")
    parser.add_argument("--risk", type=float, default=0.1)
    arguments = parser.parse_args()
    if arguments.write:
        write_others(arguments.data, arguments.artefacts, arguments.write)
        return
    known, papers = contracts(arguments.data, arguments.artefacts)
    others = list(read_others(arguments.other, known)) if arguments.other else []
    print(
        "| after document 200 | wrong of accepted | noticed by checks, after | checks | then "
        "accepted is | noticed by inputs, after |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for title, change in changes(known, papers, others, arguments.risk).items():
        count = arguments.streams if change is None else arguments.changed
        runs = [stream(known, papers, change, arguments.risk, seed) for seed in range(count)]
        print(f"| {title} | {' | '.join(cells(runs))} |", flush=True)


def contracts(data: Path, artefacts: Path) -> tuple[Calibration, list[Paper]]:
    """Return the calibration set, and the contracts that it is made of."""
    folder = Path("models") / NAME
    shipped = newest_version(artefacts, NAME)
    manifest = read_manifest(shipped / MANIFEST_FILE)
    known = read_calibration((shipped / GUARANTEE_FILE).read_bytes())
    rows = read_rows(folder, data, manifest).shown(manifest.thresholds["best_f1"])
    records = read_records(data, {"training": "cuad_train.jsonl.gz"})
    sorts = [record["contract_type"] for record in records]
    papers = []
    for contract in np.unique(rows.contract):
        mine = np.flatnonzero(rows.contract == contract)
        clauses = tuple(
            _clause(known, rows.labels[rows.label[i]], float(rows.confidence[i]), not rows.right[i])
            for i in mine
        )
        papers.append(Paper(int(rows.family[mine[0]]), sorts[contract], clauses))
    return known, papers


def _clause(
    known: Calibration, category: str, confidence: float, wrong: bool
) -> tuple[str, float, float, bool]:
    return category, confidence, known.belief_of(category, confidence), wrong


def changes(
    known: Calibration, papers: Sequence[Paper], others: Sequence[Paper], risk: float
) -> Mapping[str, Any]:
    """Return what is planted, by its name: papers, a share of wrong ones, or nothing."""
    sorts = sorted({paper.sort for paper in papers})
    belief = promise(known, risk, LEVEL).belief or 1.0

    def wrong(sort: str) -> float:
        mine = [c for p in papers if p.sort == sort for c in p.clauses]
        taken = [is_wrong for _, _, believed, is_wrong in mine if believed >= belief]
        return sum(taken) / max(1, len(taken))

    worst = set(sorted(sorts, key=wrong)[-WORST:])
    found: dict[str, Any] = {"no change": None}
    found[f"the {WORST} types it errs most on"] = [p for p in papers if p.sort in worst]
    for share in (0.2, 0.3, 0.5):
        found[f"{share:.0%} of the accepted wrong (drawn)"] = share
    for sort in sorted({paper.sort for paper in others}):
        found[sort] = [paper for paper in others if paper.sort == sort]
    return found


def stream(known: Calibration, papers: Sequence[Paper], change: Any, risk: float, seed: int) -> Run:
    """Let one stream run through both tests."""
    draw = np.random.default_rng(seed)
    half = set(draw.permutation(known.families)[: known.families // 2].tolist())
    mine = np.array([int(family) in half for family in known.family])
    learned = _part(known, mine, half)
    made = promise(learned, risk, LEVEL)
    belief = made.belief if made.belief is not None else promise(known, risk, LEVEL).belief or 1.0
    watch = Watch(risk, belief, len(known.labels), tolerated(learned, belief, risk))
    inputs = _Inputs(learned, draw)
    calm = [paper for paper in papers if paper.family not in half]
    planted = calm if change is None or isinstance(change, float) else list(change)
    if planted and planted[0].family in {p.family for p in papers}:
        planted = [p for p in planted if p.family not in half]
    run, step, doubted, share = Run(), 0, set[str](), SHARE
    least: float | None = belief
    totals = {False: [0, 0], True: [0, 0]}
    for number, paper in enumerate(_endless(calm, planted, draw), 1):
        changed = number > CALM
        drawn = isinstance(change, float) and changed
        checks = []
        for category, _, believed, is_wrong in paper.clauses:
            if least is None or believed < least or category in doubted:
                continue
            wrong = bool(draw.random() < change) if drawn else is_wrong
            after = totals[changed]
            after[0], after[1] = after[0] + 1, after[1] + wrong
            if draw.random() < share:
                checks.append(Check(category, believed, wrong))
        if checks and paper.family >= 0:
            watch = watch.after(checks)
            run.checks += len(checks) if changed and run.errors is None else 0
            before = step, len(doubted)
            step = watch.step(step)
            doubted |= set(watch.doubted())
            if before != (step, len(doubted)):
                least = accepted_from(belief, step, _left(learned, risk, doubted))
            if (step or doubted) and run.errors is None:
                run.errors, run.step, run.doubted = number - CALM, step, len(doubted)
        if inputs.notice(paper) and run.inputs is None:
            run.inputs, share = number - CALM, max(share, drift.CHECKED)
        if number >= CALM + MOST or (changed and run.errors is not None and run.inputs is not None):
            break
    run.wrong_before, run.wrong_after = (
        wrong / max(1, accepted) for accepted, wrong in totals.values()
    )
    return run


def _left(known: Calibration, risk: float, doubted: set[str]) -> float:
    """From which belief on is accepted without the categories in doubt (`accepted_from`)."""
    if not doubted:
        return 0.0
    belief = promise(known, risk, LEVEL, doubted).belief
    return NEVER if belief is None else belief


class _Inputs:
    """The test of inputs, with figures kept in memory."""

    def __init__(self, known: Calibration, draw: np.random.Generator) -> None:
        self.known, self.draw = known, draw
        self.past = {name: list(values) for name, values in reference(known).items()}
        self.drift = drift.Drift.none(FIGURES)
        self.figures: dict[Paper, dict[str, float]] = {}

    def notice(self, paper: Paper) -> bool:
        """Whether documents are said to have changed, after one more."""
        ranks = {}
        if paper not in self.figures:
            pairs = [(category, confidence) for category, confidence, _, _ in paper.clauses]
            self.figures[paper] = figures(self.known, pairs)
        for name, value in self.figures[paper].items():
            past = self.past[name]  # rising
            below, upto = bisect_left(past, value), bisect_right(past, value)
            ranks[name] = drift.rank_of(below, upto - below, len(past), self.draw.random())
            past.insert(below, value)
        self.drift = self.drift.after(ranks)
        return self.drift.noticed


def _part(known: Calibration, mine: Any, families: set[int]) -> Calibration:
    """The calibration set of some families."""
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


def _endless(
    calm: Sequence[Paper], planted: Sequence[Paper], draw: np.random.Generator
) -> Iterator[Paper]:
    """Calm documents in a drawn order until the change, then planted ones."""
    given = 0
    while given < CALM:
        for place in draw.permutation(len(calm))[: CALM - given]:
            given += 1
            yield calm[place]
    while planted:
        for place in draw.permutation(len(planted)):
            yield planted[place]


def cells(runs: Sequence[Run]) -> Iterator[str]:
    """The columns of one change; of no streams that it was not run."""
    if not runs:
        yield from ("not run", "", "", "", "")
        return
    labelled = any(run.wrong_after for run in runs)
    yield f"{np.mean([run.wrong_after for run in runs]):.1%}" if labelled else "no labels"
    yield _delay([run.errors for run in runs])
    noticed = [run for run in runs if run.errors is not None and run.errors > 0]
    yield f"{np.median([run.checks for run in noticed]):.0f}" if noticed else ""
    nothing = sum(run.step >= STEPS for run in noticed)
    stricter = sum(0 < run.step < STEPS for run in noticed)
    only = len(noticed) - nothing - stricter
    yield f"stricter {stricter}, nothing {nothing}, without a category {only}" if noticed else ""
    yield _delay([run.inputs for run in runs])


def _delay(delays: Sequence[int | None]) -> str:
    """How many documents it took, and how often it was early or never."""
    late = [delay for delay in delays if delay is not None and delay > 0]
    early = sum(delay is not None and delay <= 0 for delay in delays)
    said = f"{len(late)} of {len(delays)}"
    if late:
        low, middle, high = np.quantile(late, (0.1, 0.5, 0.9))
        said += f", after {middle:.0f} ({low:.0f} to {high:.0f})"
    return f"{said}; before it {early}"


def read_others(path: Path, known: Calibration) -> Iterator[Paper]:
    """Yield the documents in a file that `--write` made; whether they are right nobody knows."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            one = json.loads(line)
            clauses = tuple(_clause(known, name, float(c), False) for name, c in one["clauses"])
            yield Paper(-1, one["sort"], clauses)


def write_others(data: Path, artefacts: Path, path: Path) -> None:
    """Let the specialist read the documents of the other corpora, and keep what it finds."""
    expert = Specialists(artefacts, 1).get(NAME)
    with path.open("w", encoding="utf-8") as out:
        for sort, name in SORTS.items():
            with gzip.open(data / name, "rt", encoding="utf-8") as lines:
                for record in map(json.loads, lines):
                    found = search(record["text"], expert).clauses
                    clauses = [[one.category, one.confidence] for one in found]
                    line = {"id": record["id"], "sort": sort, "clauses": clauses}
                    out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
