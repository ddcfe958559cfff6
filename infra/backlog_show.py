"""A queue that nobody gets through: how often the checks that are decided doubt a kept promise.

    python -m infra.backlog_show [--risk 0.1] [--streams 400]

Every day documents come in, of each of which one result waits: some that are unsure, and some that
were drawn as checks of what could be accepted. People decide so many of all that waits, the most
urgent first: every unsure one, were checks less urgent, and a part of the checks. The others go on
waiting. What is accepted keeps the promise; but the less sure of it is wrong more often. So where
checks wait by their own confidence those are decided that are wrong most often, and where a check
looks like another result (`services/review/disguise.py`), any of them.

Results are drawn from the calibration sets that came with the specialists: findings of filings of
which half are broken, and clauses. Decisions are the truth. The test is that of triage and
extraction for all results together.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heappop, heappush
from pathlib import Path

import numpy as np

from infra.findings_show import BROKEN, LEVEL, ever_doubted
from services.review.disguise import Look, among_others
from services.review.domain import Item, ItemKind
from services.triage import guarantee
from services.triage.risk import NAME, Judge
from shared.guarantee import promise, read_calibration
from shared.inference.adapters import GUARANTEE_FILE, newest_version
from shared.risk import Floats
from shared.watch.evidence import FALSE_ALARMS, OF_ALL

ARTEFACTS = Path("models/artefacts")
DAYS, UNSURE = 40, 20
"""Of a stream; unsure results of a day."""
KNOWN = 40
"""Results among which a check finds one that it looks like: the last ones, half of them unsure and
half accepted."""
KEY = b"the secret of this installation."


@dataclass(frozen=True)
class Kind:
    """What comes in of one kind, as it was seen in documents that nobody had learned from."""

    name: ItemKind
    category: Sequence[str]  # [results]
    confidence: Floats  # [results]
    wrong: Floats  # [results]
    sure: Floats  # [results]: how often each comes, of those that could be accepted
    unsure: Floats  # [results]: and of the others
    most: float | None = None
    """Checks with which a document counts in the test; by default as its promise does."""
    alarms: float = FALSE_ALARMS
    """That are allowed to the test of all results together."""

    @property
    def wrong_of_sure(self) -> float:
        """The share of what could be accepted that is wrong."""
        return float(self.sure @ self.wrong / self.sure.sum())


@dataclass(frozen=True)
class Backlog:
    """What comes in a day, and how much of it is decided."""

    checks: int
    decided: float
    """The share of the checks that is, if all that is unsure comes first."""


BACKLOGS = tuple(Backlog(checks, decided) for checks in (10, 20) for decided in (1.0, 0.5, 0.3))


def main() -> None:
    """Read the command line, run the streams and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--streams", type=int, default=400)
    parser.add_argument("--risk", type=float, default=0.1)
    arguments = parser.parse_args()
    print(
        "| results | wrong of accepted | checks a day | decided of them | doubted: own confidence "
        "| as others | checks decided |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind in (findings(arguments.risk), clauses(arguments.risk)):
        for backlog in BACKLOGS:
            own, hidden = (
                [decided(kind, backlog, look, seed) for seed in range(arguments.streams)]
                for look in (False, True)
            )
            shares = " | ".join(
                f"{doubted(kind, arguments.risk, one):.1%}" for one in (own, hidden)
            )
            counts = " and ".join(
                f"{np.mean([len(one) for one in some]):.0f}" for some in (own, hidden)
            )
            print(
                f"| {kind.name} | {kind.wrong_of_sure:.1%} | {backlog.checks} | "
                f"{backlog.decided:.0%} | {shares} | {counts} |",
                flush=True,
            )


def doubted(kind: Kind, risk: float, streams: Sequence[Sequence[bool]]) -> float:
    """The share of streams in which a promise is ever doubted."""
    return ever_doubted(streams, risk, kind.most, kind.alarms)


def findings(risk: float, artefacts: Path = ARTEFACTS) -> Kind:
    """Surest findings of filings, of which half are broken; those that are shown at all."""
    judge = Judge.load(artefacts)
    assert judge.guarantee is not None, "it came with a set"
    known = guarantee.calibration(judge.guarantee)
    least = guarantee.promise(known, risk, LEVEL, BROKEN).threshold
    assert least is not None, "the risk can be shown"
    part = known.broken.mean()
    comes = np.where(known.broken, BROKEN / part, (1.0 - BROKEN) / (1.0 - part))
    sure = known.risk >= least
    return Kind(
        "finding",
        [NAME] * len(known.risk),
        known.risk,
        (~(known.broken & known.right)).astype(float),
        comes * sure,
        comes * (~sure & (known.risk >= judge.shown)),
        1.0,
    )


def clauses(risk: float, artefacts: Path = ARTEFACTS) -> Kind:
    """Clauses of contracts."""
    data = (newest_version(artefacts, "contract-clauses") / GUARANTEE_FILE).read_bytes()
    known = read_calibration(data)
    belief = promise(known, risk, LEVEL).belief
    assert belief is not None, "the risk can be shown"
    names = [known.labels[one] for one in known.label]
    confidence = [known.confidence_of(*pair) for pair in zip(names, known.belief, strict=True)]
    sure = (known.belief >= belief).astype(float)
    alarms = FALSE_ALARMS * OF_ALL
    return Kind("clause", names, np.array(confidence), known.wrong, sure, 1 - sure, None, alarms)


def decided(kind: Kind, backlog: Backlog, hidden: bool, seed: int) -> list[bool]:
    """What is found of the checks of one stream, in the order of the decisions: whether each is
    wrong.

    Args:
        kind: what comes in.
        backlog: how much of it.
        hidden: whether checks look like others, or wait by their own confidence.
        seed: of the stream.
    """
    draw = np.random.default_rng(seed)
    places = len(kind.category)
    queue: list[tuple[float, int, bool | None]] = []
    known = deque[Look](maxlen=KNOWN)
    said = list[bool]()
    for day in range(DAYS):
        new = [*draw.choice(places, UNSURE, p=kind.unsure / kind.unsure.sum())]
        new += [*draw.choice(places, backlog.checks, p=kind.sure / kind.sure.sum())]
        for place in draw.choice(places, KNOWN // 2, p=kind.sure / kind.sure.sum()):
            accepted = Look.of(_item(kind, int(place), -1, False))
            known.append(accepted._replace(route="accept"))
        for at, place in enumerate(new):
            number = day * len(new) + at
            item = _item(kind, int(place), number, at >= UNSURE)
            if not item.sampled:
                known.append(Look.of(item))
            elif hidden:
                (item,) = among_others([item], known, KEY)
            found = bool(kind.wrong[place]) if item.sampled else None
            heappush(queue, (-item.urgency, number, found))
        for _ in range(UNSURE + round(backlog.decided * backlog.checks)):
            found = heappop(queue)[-1]
            said += [] if found is None else [found]
    return said


def _item(kind: Kind, place: int, number: int, check: bool) -> Item:
    """A result that waits alone of its document."""
    return Item(
        id=f"it_{number}",
        tenant="default",
        document_id=f"doc_{number}",
        attempt=1,
        kind=kind.name,
        stage="extraction" if kind.name == "clause" else "triage",
        result_id=f"fd_{number}",
        category=kind.category[place],
        confidence=float(kind.confidence[place]),
        created=datetime(2026, 1, 1, tzinfo=UTC),
        sampled=check,
    )


if __name__ == "__main__":
    main()
