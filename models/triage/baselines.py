"""What simple ways find in the same filings: identities, a search for sums, and a plain forest.

    python -m models.triage.baselines --data FOLDER

FOLDER holds finance/. Nothing here is part of the product or learned from it: no experience of
lines, no concepts, no names of companies. The sound filings are those of the committed predictions,
and the errors are put in by the same draws, so that all ways are judged on the same filings. Writes
`baselines.json` beside them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from models.triage.curve import DRAWS, FOLDER, Companies, figures
from models.triage.doubting import SORTS
from models.triage.filings import FOLDS, Record, development, fold_of, sound
from models.triage.identities import IDENTITIES
from models.triage.injections import AS_DEVELOPMENT, all_sums, injected, is_money
from models.triage.scores import of, predictions

FILE = "baselines.json"
MOST_ROWS, MOST_SIGNED = 28, 7
"""A row is tried as the sum of so many rows above at most, and of so many with every sign."""
SIGNS = {n: np.array(list(product((1.0, -1.0), repeat=n - 1))) for n in range(2, MOST_SIGNED + 1)}
"""Every pattern of signs of the rows after the first, by how many rows there are."""
COLUMNS = (
    "breaks", "plain_breaks", "plain", "rows", "support", "broken", "size", "relative",
    "divisible_by_9", "twice_a_row", "999_times_a_row", "statements", "width", "lines",
)  # fmt: skip
"""What the plain forest is told of a filing: how many sums break, how the strongest one does, and
how large the filing is."""
TREES, LEAST = 500, 5
"""Of the plain forest: its trees, and the filings in a leaf at least."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Break:
    """A sum that holds in some columns of a statement and not in this one."""

    plain: bool  # all rows added, none taken off
    rows: int
    support: int  # columns in which it holds
    broken: int  # columns in which it doesn't
    by: float  # by how much the total is off
    total: float
    parts: tuple[float, ...] = field(repr=False)

    @property
    def strength(self) -> tuple[bool, int, int, float]:
        """How little chance there is that it held by accident, the more the larger."""
        return self.plain, self.support, self.rows, -abs(self.by)


def amounts(statement: Record) -> Floats:
    """The amounts of the rows of money [rows, columns], 0 where none is shown."""
    shown = [
        [float(value or 0) for value in row["values"]] for row in statement["rows"] if is_money(row)
    ]
    return np.array(shown, float).reshape(-1, len(statement["columns"]))


def breaks(table: Floats) -> Iterator[Break]:
    """Search a statement for sums that hold in one column and fail in another.

    Rows are read from the top. Each is tried as a sum of the last rows that no sum has taken: all
    added, the first less the others, and every pattern of signs if they are few. What holds in most
    columns, but at least in one, is taken; of those alike the first tried.

    Args:
        table: amounts [rows, columns].
    """
    stack: list[int] = []
    for row, total in enumerate(table):
        found = _best(table[stack], total) if stack and total.any() else None
        if found:
            plain, depth, off = found
            parts = table[stack[-depth:]]
            support = int(((off == 0) & (total != 0)).sum())
            wrong = np.flatnonzero((off != 0) & (total != 0))
            for column in wrong.tolist():
                yield Break(plain, depth, support, len(wrong), float(off[column]),
                            float(total[column]), tuple(parts[:, column].tolist()))  # fmt: skip
            del stack[-depth:]
        stack.append(row)


def _best(above: Floats, total: Floats) -> tuple[bool, int, Floats] | None:
    """Which sum of the last rows is the total in most columns: whether it only adds, of how many
    rows it is, and by how much the total is off in each column.
    """
    best: tuple[bool, int, Floats] | None = None
    most = 0
    for depth in range(2, min(len(above), MOST_ROWS) + 1):
        parts = above[-depth:]
        rest = parts[1:].sum(axis=0)
        tried = np.stack([parts[0] + rest, parts[0] - rest])
        if depth in SIGNS:
            tried = np.concatenate([tried, parts[0] + SIGNS[depth] @ parts[1:]])
        off = np.where(np.abs(total - tried) < 0.005, 0.0, total - tried)
        held = ((off == 0) & (total != 0)).sum(axis=1)
        which = int(held.argmax())
        if held[which] > most:
            most, best = int(held[which]), (which == 0, depth, off[which])
    return best


def features(filing: Record, found: Sequence[Break]) -> list[float]:
    """What the plain forest is told of a filing, in the order of `COLUMNS`."""
    tables = filing["statements"]
    about = [len(tables), max((len(s["columns"]) for s in tables), default=0),
             sum(len(s["rows"]) for s in tables)]  # fmt: skip
    if not found:
        return [0.0] * (len(COLUMNS) - len(about)) + [float(n) for n in about]
    one = max(found, key=lambda b: b.strength)
    off = abs(one.by)
    digits = int(str(int(off)).rstrip("0") or 0)
    shown = [abs(a) for a in (*one.parts, one.total) if a]
    return [
        len(found),
        sum(b.plain for b in found),
        one.plain,
        one.rows,
        one.support,
        one.broken,
        float(np.log10(off + 1)),
        off / max(abs(one.total), 1.0),
        digits % 9 == 0,
        any(_same(off, 2 * a) for a in shown),
        any(_same(off, 999 * a) or _same(off, 0.999 * a) for a in shown),
        *about,
    ]


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-9 * max(one, other)


@dataclass(frozen=True)
class Judged:
    """A filing as every way sees it."""

    company: int
    type: str | None
    broken: Mapping[str, bool]  # by identity
    sums: bool  # whether one breaks
    features: Sequence[float]


def judged(record: Record, which: str | None) -> Judged:
    """Look at a filing in every way; `which` error it has is kept, and not looked at."""
    found = [one for s in record["statements"] for one in breaks(amounts(s))]
    return Judged(
        record["cik"],
        which,
        {name: identity(record["statements"]) for name, identity in IDENTITIES.items()},
        bool(found),
        features(record, found),
    )


def own(data: Path, counted: frozenset[str], many: int) -> Iterator[Judged]:
    """The sound filings of these names, and copies with the very errors of the predictions."""
    (_, weights, seed), *_ = SORTS
    for record in sound(data):
        if record["id"] not in counted:
            continue
        yield judged(record, None)
        known = all_sums(record)
        for spoiled, truth in injected(record, many, weights, seed + record["id"], known):
            yield judged(spoiled, truth["type"])


def chances(taught: Sequence[Judged], unseen: Sequence[Judged]) -> Floats:
    """What a plain forest says of each filing [N], learned from those of other folds."""
    found = np.zeros(len(unseen))
    for fold in range(FOLDS):
        here = [i for i, one in enumerate(unseen) if fold_of(one.company) == fold]
        others = [one for one in taught if fold_of(one.company) != fold]
        if not here:
            continue
        forest = RandomForestClassifier(TREES, min_samples_leaf=LEAST, random_state=1)
        forest.fit([one.features for one in others], [one.type is not None for one in others])
        found[here] = forest.predict_proba([unseen[i].features for i in here])[:, 1]
    return found


def rates(some: Sequence[Judged], flags: Callable[[Judged], bool]) -> dict[str, list[float]]:
    """Of the untouched and of those with an error: flagged, all, and the interval of the share,
    drawing companies.
    """
    names = sorted({one.company for one in some})
    counts = {
        key: np.array([
            [sum(flags(o) for o in group), len(group)]
            for name in names
            for group in [[o for o in some if o.company == name and (o.type is not None) is wrong]]
        ])
        for key, wrong in (("untouched", False), ("with an error", True))
    }  # fmt: skip
    draw = np.random.default_rng(1)
    chosen = draw.integers(len(names), size=(DRAWS, len(names)))
    found = {}
    for key, by_company in counts.items():
        drawn = by_company[chosen].sum(axis=1)
        low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
        hits, of = by_company.sum(axis=0).tolist()
        found[key] = [hits, of, round(float(low), 4), round(float(high), 4)]
    return found


def curve(some: Sequence[Judged], said: Floats) -> dict[str, Any]:
    """The curve of a plain forest."""
    told = [
        {"company": one.company, "type": one.type, "risk": round(float(chance), 6)}
        for one, chance in zip(some, said, strict=True)
    ]
    return figures(Companies.of(told, lambda p: float(p["risk"]), AS_DEVELOPMENT))


def result(mine: Sequence[Judged], others: Sequence[Judged]) -> dict[str, Any]:
    """All figures, of our own errors and of the development filings."""
    parts = {"own": mine, "development": others}
    ways: Mapping[str, Callable[[Judged], bool]] = {
        "identities alone": lambda one: any(one.broken.values()),
        **{f"of them: {name}": _broken(name) for name in IDENTITIES},
        "a search for sums": lambda one: one.sums,
    }
    found: dict[str, Any] = {
        name: {part: rates(some, flags) for part, some in parts.items()}
        for name, flags in ways.items()
    }
    found["a plain forest"] = {
        part: {"curve": curve(some, chances(mine, some))} for part, some in parts.items()
    }
    found["a plain forest, learned from the development filings alone"] = {
        "development": {"curve": curve(others, chances(others, others))}
    }
    return found


def _broken(name: str) -> Callable[[Judged], bool]:
    return lambda one: one.broken[name]


def main() -> None:
    """Read the command line, look at all filings, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds finance/")
    arguments = parser.parse_args()
    data = arguments.data / "finance"
    known = of("own", predictions(FOLDER))
    counted = frozenset(p["id"] for p in known if p["type"] is None)
    errors = sum(p["type"] in AS_DEVELOPMENT for p in known)
    mine = list(own(data, counted, errors // len(counted)))
    if sum(one.type is not None for one in mine) != errors:
        raise SystemExit("the data makes other errors than the predictions are of")
    others = [
        judged(record, truth["type"] if truth else None) for record, truth in development(data)
    ]
    text = json.dumps(result(mine, others), indent=1) + "\n"
    (FOLDER / FILE).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
