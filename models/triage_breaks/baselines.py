"""Measure simple methods on the same filings: identities, a search for sums, and a plain forest.

    python -m models.triage_breaks.baselines --data FOLDER

FOLDER has finance/. The methods use no learned patterns, concepts or company names, and nothing of
the product. The filings and the injected errors are those of the committed predictions. Writes
`baselines.json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from models.evaluation.intervals import share_interval
from models.files import command, write_json
from models.triage_breaks.curve import DRAWS, Companies, figures
from models.triage_breaks.filings import FOLDER, FOLDS, Record, development, fold_of, sound
from models.triage_breaks.identities import IDENTITIES
from models.triage_breaks.injections import AS_DEVELOPMENT, all_sums, injected, is_money
from models.triage_breaks.scores import of, predictions
from models.triage_breaks.suspects import SORTS

FILE = "baselines.json"
MOST_ROWS, MOST_SIGNED = 28, 7
"""Rows above that may form a sum, at most, and at most with every pattern of signs."""
SIGNS = {n: np.array(list(product((1.0, -1.0), repeat=n - 1))) for n in range(2, MOST_SIGNED + 1)}
"""Every pattern of signs of the rows after the first, by the number of rows."""
COLUMNS = (
    "breaks", "plain_breaks", "plain", "rows", "support", "broken", "size", "relative",
    "divisible_by_9", "twice_a_row", "999_times_a_row", "statements", "width", "lines",
)  # fmt: skip
"""Features of the plain forest: broken sums, the strongest one, and the size of the filing."""
TREES, LEAST = 500, 5
"""Trees of the plain forest, and the least filings in a leaf."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Break:
    """A sum that holds in some columns of a statement and fails in this one."""

    plain: bool  # all rows added, none subtracted
    rows: int
    support: int  # columns in which it holds
    broken: int  # columns in which it fails
    by: float  # difference of the total
    total: float
    parts: tuple[float, ...] = field(repr=False)

    @property
    def strength(self) -> tuple[bool, int, int, float]:
        """Return the evidence that the sum holds by design, not by accident."""
        return self.plain, self.support, self.rows, -abs(self.by)


def amounts(statement: Record) -> Floats:
    """Return the amounts of the rows of money [rows, columns], 0 for empty cells."""
    shown = [
        [float(value or 0) for value in row["values"]] for row in statement["rows"] if is_money(row)
    ]
    return np.array(shown, float).reshape(-1, len(statement["columns"]))


def breaks(table: Floats) -> Iterator[Break]:
    """Search a statement for sums that hold in one column and fail in another.

    Rows are read from the top. Each is tried as a sum of the last rows that no sum has used: all
    added, the first less the others, and every pattern of signs for few rows. The sum that holds in
    the most columns is taken, the first of equals.

    Args:
        table: amounts [rows, columns].
    """
    stack: list[int] = []
    for row, total in enumerate(table):
        results = _best(table[stack], total) if stack and total.any() else None
        if results:
            plain, depth, off = results
            parts = table[stack[-depth:]]
            support = int(((off == 0) & (total != 0)).sum())
            wrong = np.flatnonzero((off != 0) & (total != 0))
            for column in wrong.tolist():
                yield Break(plain, depth, support, len(wrong), float(off[column]),
                            float(total[column]), tuple(parts[:, column].tolist()))  # fmt: skip
            del stack[-depth:]
        stack.append(row)


def _best(above: Floats, total: Floats) -> tuple[bool, int, Floats] | None:
    """Return the sum of the last rows that is the total in the most columns, if there is one.

    Whether it only adds, its number of rows, and the difference in each column.
    """
    best: tuple[bool, int, Floats] | None = None
    most = 0
    for depth in range(2, min(len(above), MOST_ROWS) + 1):
        parts = above[-depth:]
        remainder = parts[1:].sum(axis=0)
        tried = np.stack([parts[0] + remainder, parts[0] - remainder])
        if depth in SIGNS:
            tried = np.concatenate([tried, parts[0] + SIGNS[depth] @ parts[1:]])
        off = np.where(np.abs(total - tried) < 0.005, 0.0, total - tried)
        holds = ((off == 0) & (total != 0)).sum(axis=1)
        which = int(holds.argmax())
        if holds[which] > most:
            most, best = int(holds[which]), (which == 0, depth, off[which])
    return best


def features(filing: Record, results: Sequence[Break]) -> list[float]:
    """Return the features of the plain forest, in the order of `COLUMNS`."""
    tables = filing["statements"]
    about = [len(tables), max((len(s["columns"]) for s in tables), default=0),
             sum(len(s["rows"]) for s in tables)]  # fmt: skip
    if not results:
        return [0.0] * (len(COLUMNS) - len(about)) + [float(n) for n in about]
    entry = max(results, key=lambda b: b.strength)
    off = abs(entry.by)
    digits = int(str(int(off)).rstrip("0") or 0)
    shown = [abs(a) for a in (*entry.parts, entry.total) if a]
    return [
        len(results),
        sum(b.plain for b in results),
        entry.plain,
        entry.rows,
        entry.support,
        entry.broken,
        float(np.log10(off + 1)),
        off / max(abs(entry.total), 1.0),
        digits % 9 == 0,
        any(_same(off, 2 * a) for a in shown),
        any(_same(off, 999 * a) or _same(off, 0.999 * a) for a in shown),
        *about,
    ]


def _same(filing: float, other: float) -> bool:
    return abs(filing - other) <= 1e-9 * max(filing, other)


@dataclass(frozen=True)
class FilingResult:
    """The results of all methods for one filing."""

    company: int
    type: str | None
    broken: Mapping[str, bool]  # by identity
    sums: bool  # whether one breaks
    features: Sequence[float]


def result_of(record: Record, which: str | None) -> FilingResult:
    """Apply all methods to a filing with the error `which`."""
    results = [filing for s in record["statements"] for filing in breaks(amounts(s))]
    return FilingResult(
        record["cik"],
        which,
        {name: identity(record["statements"]) for name, identity in IDENTITIES.items()},
        bool(results),
        features(record, results),
    )


def own(data: Path, counted: frozenset[str], many: int) -> Iterator[FilingResult]:
    """Yield the sound filings of these names, and copies with the errors of the predictions."""
    (_, weights, seed), *_ = SORTS
    for record in sound(data):
        if record["id"] not in counted:
            continue
        yield result_of(record, None)
        found_sums = all_sums(record)
        for spoiled, truth in injected(record, many, weights, seed + record["id"], found_sums):
            yield result_of(spoiled, truth["type"])


def chances(taught: Sequence[FilingResult], unseen: Sequence[FilingResult]) -> Floats:
    """Return the probability of each filing [N], by a plain forest of other folds."""
    results = np.zeros(len(unseen))
    for fold in range(FOLDS):
        here = [i for i, filing in enumerate(unseen) if fold_of(filing.company) == fold]
        training = [filing for filing in taught if fold_of(filing.company) != fold]
        if not here:
            continue
        forest = RandomForestClassifier(TREES, min_samples_leaf=LEAST, random_state=1)
        forest.fit(
            [filing.features for filing in training],
            [filing.type is not None for filing in training],
        )
        results[here] = forest.predict_proba([unseen[i].features for i in here])[:, 1]
    return results


def rates(
    some: Sequence[FilingResult], flags: Callable[[FilingResult], bool]
) -> dict[str, list[float]]:
    """Return flagged and all filings, without and with an error, with intervals of the share."""
    names = sorted({filing.company for filing in some})
    results = {}
    for key, wrong in (("untouched", False), ("with an error", True)):
        counted = [filing for filing in some if (filing.type is not None) is wrong]
        counts = Counter(filing.company for filing in counted)
        hits = Counter(filing.company for filing in counted if flags(filing))
        low, high = share_interval(hits, counts, names, DRAWS)
        results[key] = [hits.total(), counts.total(), round(low, 4), round(high, 4)]
    return results


def curve(some: Sequence[FilingResult], probabilities: Floats) -> dict[str, Any]:
    """Return the curve of a plain forest."""
    predictions = [
        {"company": filing.company, "type": filing.type, "risk": round(float(chance), 6)}
        for filing, chance in zip(some, probabilities, strict=True)
    ]
    return figures(Companies.of(predictions, lambda p: float(p["risk"]), AS_DEVELOPMENT))


def result(
    own_filings: Sequence[FilingResult], development: Sequence[FilingResult]
) -> dict[str, Any]:
    """Return all figures, of our own errors and of the development filings."""
    parts = {"own": own_filings, "development": development}
    methods: Mapping[str, Callable[[FilingResult], bool]] = {
        "identities alone": lambda filing: any(filing.broken.values()),
        **{f"of them: {n}": lambda filing, n=n: filing.broken[n] for n in IDENTITIES},  # type: ignore[misc]
        "a search for sums": lambda filing: filing.sums,
    }
    results: dict[str, Any] = {
        name: {part: rates(some, flags) for part, some in parts.items()}
        for name, flags in methods.items()
    }
    results["a plain forest"] = {
        part: {"curve": curve(some, chances(own_filings, some))} for part, some in parts.items()
    }
    results["a plain forest, learned from the development filings alone"] = {
        "development": {"curve": curve(development, chances(development, development))}
    }
    return results


def main() -> None:
    """Read the command line, apply the methods to all filings, and write the figures."""
    data = command(__doc__, "--data").parse_args().data / "finance"
    predicted = of("own", predictions(FOLDER))
    counted = frozenset(p["id"] for p in predicted if p["type"] is None)
    errors = sum(p["type"] in AS_DEVELOPMENT for p in predicted)
    mine = list(own(data, counted, errors // len(counted)))
    if sum(filing.type is not None for filing in mine) != errors:
        raise SystemExit("the data and the predictions have different errors")
    theirs = [result_of(record, t["type"] if t else None) for record, t in development(data)]
    write_json(FOLDER / FILE, result(mine, theirs))


if __name__ == "__main__":
    main()
