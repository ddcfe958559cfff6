"""Patterns learned from sound filings: parts of totals, equal lines, usual signs.

Counts over the filings of many companies, each company counting as one. A line has a name: the
concept that most companies mean by its label. Unknown labels have no name.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.triage.relations.identities import same_period
from services.triage.relations.labels import normalise
from services.triage.relations.relations import StatementView, Views
from services.triage.relations.sums import Sum, tolerance
from services.triage.statements.model import cached_by_text

LEAST_DIGITS = 100  # page units below which two amounts may be equal by chance

_ASIDE = re.compile(r"\([^)]*\)")
_NOT_LETTERS = re.compile(r"[^a-z]+")


@cached_by_text
def label_words(label: str) -> str:
    """The words of a label, without brackets, digits and punctuation."""
    return " ".join(_NOT_LETTERS.sub(" ", _ASIDE.sub(" ", normalise(label))).split())


_BEFORE = re.compile(r"^(less|plus|add|deduct)\b\W*")
_CLAUSE = re.compile(r"[,;:]| - ")


@cached_by_text
def name_keys(words: CommonWords, label: str) -> tuple[str, ...]:
    """Shortened forms of a label: its first clause, and its common words."""
    clause = label_words(_CLAUSE.split(_BEFORE.sub("", normalise(label)))[0])
    common = " ".join(word for word in label_words(label).split() if word in words)
    return tuple(f"{sign}{text}" for sign, text in (("^", clause), ("~", common)) if text)


class CommonWords(frozenset[str]):
    """Words that many companies use, hashed by identity for fast look-ups."""

    __hash__ = object.__hash__


@dataclass
class LearnedPatterns:
    """Counts by line, in companies. Read-only after learning."""

    names: dict[str, str] = field(default_factory=dict)  # `statement|label` -> name
    totals: dict[str, list[float]] = field(default_factory=dict)
    """`statement|name` -> seen below other lines, always a sum, a sum that breaks somewhere."""
    parts: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """`statement|total` -> part -> added, subtracted, present but left out."""
    lines: dict[str, list[float]] = field(default_factory=dict)
    """`statement|name` -> seen, share below 0, mean and deviation of log10 size, mean log10
    change."""
    pairs: dict[str, list[float]] = field(default_factory=dict)
    """`statement|name|statement|name` -> columns that agree, columns that differ."""
    words: Sequence[str] = ()  # words that many companies use in their labels

    def __post_init__(self) -> None:
        self._common = CommonWords(self.words)

    def name(self, kind: str, label: str) -> str:
        """The name of a label; empty if neither it nor a shortened form is known."""
        name = self.names.get(f"{kind}|{label_words(label)}")
        if name is not None:
            return name
        for text in name_keys(self._common, label):
            if (name := self.names.get(f"{kind}|{text}")) is not None:
                return name
        return ""

    def to_json(self) -> dict[str, Any]:
        """The content of the artefact, numbers rounded."""
        return {
            "names": dict(sorted(self.names.items())),
            "totals": _rounded(self.totals),
            "parts": {key: _rounded(value) for key, value in sorted(self.parts.items())},
            "lines": _rounded(self.lines),
            "pairs": _rounded(self.pairs),
            "words": sorted(self.words),
        }


def _rounded(table: Mapping[str, list[float]]) -> dict[str, list[float]]:
    return {key: [round(v, 3) for v in values] for key, values in sorted(table.items())}


def open_lines(view: StatementView) -> Iterator[tuple[int, Sum | None, list[int]]]:
    """For each line of money from the top: its sum or None, and the open lines above in order."""
    by_total = {total.total: total for total in view.sums}
    below = {part for total in view.sums for part, _ in total.parts if part > total.total}
    stack: list[int] = []
    for row in view.money:
        total = by_total.get(row)
        yield row, total, list(stack)
        if total:
            stack = total.lines_before(stack)
        if row not in below:
            stack = [] if row == view.last_of_cash else [*stack, row]


def count_holding(view: StatementView, total: Sum) -> int:
    """The number of columns in which a sum holds."""
    limit = tolerance(view.unit, len(total.parts))
    return sum(abs(gap) <= limit for gap in total.residuals.values())


def statement_size(view: StatementView) -> float:
    """The ninth decile of the largest amount of each line."""
    peaks = sorted(max(abs(v) for v in view.rows[row].values if v is not None)
                   for row in view.money)  # fmt: skip
    return float(peaks[int(0.9 * (len(peaks) - 1))]) if peaks else 1.0


def same_columns(view: StatementView, other: StatementView) -> list[tuple[int, int]]:
    """Columns of two statements with the same period."""
    pairs = []
    for a, column in enumerate(view.statement.columns):
        same = [b for b, c in enumerate(other.statement.columns) if same_period(column, c)]
        if len(same) == 1:
            pairs.append((a, same[0]))
    return pairs


def named_rows(patterns: LearnedPatterns, view: StatementView) -> dict[str, list[int]]:
    """The rows of money by name."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row in view.money:
        if name := patterns.name(view.kind, view.rows[row].label):
            rows[name].append(row)
    return rows


def listed_pairs(
    pairs: Collection[str], patterns: LearnedPatterns, views: Views
) -> Iterator[tuple[str, StatementView, int, StatementView, int]]:
    """Yield the given pairs that a filing has: key, and the row in each statement."""
    for first, second in statement_pairs(views):
        first_rows, second_rows = unique_rows(patterns, first), unique_rows(patterns, second)
        start, end = f"{first.kind}|", f"|{second.kind}|"
        for key in sorted(pairs):
            if not key.startswith(start) or end not in key:
                continue
            name, name_ = key[len(start) :].split(end)
            if name in first_rows and name_ in second_rows:
                yield key, first, first_rows[name], second, second_rows[name_]


def statement_pairs(views: Views) -> Iterator[tuple[StatementView, StatementView]]:
    """Pairs of different statements, always in the same order."""
    for first in views:
        for second in views:
            if first.kind < second.kind:
                yield first, second


def unique_rows(patterns: LearnedPatterns, view: StatementView) -> dict[str, int]:
    """Rows whose name is unique in the statement."""
    named = named_rows(patterns, view)
    return {name: rows[0] for name, rows in named.items() if len(rows) == 1}
