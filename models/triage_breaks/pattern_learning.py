"""Learn the patterns of sound filings that triage uses: names, parts of totals, equal lines."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from services.triage.relations.learned_sums import (
    LEAST_DIGITS,
    CommonWords,
    LearnedPatterns,
    count_holding,
    label_words,
    listed_pairs,
    name_keys,
    open_lines,
    same_columns,
    statement_pairs,
    statement_size,
    unique_rows,
)
from services.triage.relations.relations import StatementView
from services.triage.relations.sums import Sum
from services.triage.statements.model import CHECKED

LOOKS_BACK = 14
"""Open lines above a total that count as left out of it."""
KNOWN_EQUAL = 0.5
"""Share of agreement from which two lines are stored as a pair."""
COMMON = 5
"""Companies that must use a word; rarer words may be company names."""
SURE_NAME = 0.5
"""Share of companies that must mean the same by a shortened label."""


def learn(
    filings: Iterable[tuple[int, Sequence[StatementView], Sequence[Sequence[str]]]], least: int = 2
) -> LearnedPatterns:
    """Count patterns over sound filings.

    Args:
        filings: the company, the statements, and the concept of each row.
        least: companies that must use a label before it has a name.
    """
    filings = list(filings)
    shares: dict[int, float] = defaultdict(float)
    for company, *_ in filings:
        shares[company] += 1.0
    words = _common_words(filings)
    result = LearnedPatterns(names=_names(filings, least, CommonWords(words)), words=words)
    counts = _Counts(result)
    for company, views, _ in filings:
        counts.add(views, 1 / shares[company], company)
    for company, views, _ in filings:
        counts.agree(views, 1 / shares[company], least)
    counts.finish(least)
    return result


LabelledFiling = tuple[int, Sequence[StatementView], Sequence[Sequence[str]]]


def _lines_of(filings: Iterable[LabelledFiling]) -> Iterator[tuple[int, str, str, str]]:
    """Yield company, statement, label and concept of each line."""
    for company, views, concepts in filings:
        for view, of_rows in zip(views, concepts, strict=True):
            kind = view.statement.statement
            for row, concept in zip(view.rows, of_rows, strict=True):
                if kind in CHECKED and any(v is not None for v in row.values):
                    yield company, kind, row.label, concept


def _common_words(filings: Iterable[LabelledFiling]) -> list[str]:
    users: dict[str, set[int]] = defaultdict(set)
    for company, _, label, _ in _lines_of(filings):
        for word in label_words(label).split():
            users[word].add(company)
    return sorted(word for word, who in users.items() if len(who) >= COMMON)


def _names(filings: Iterable[LabelledFiling], least: int, words: CommonWords) -> dict[str, str]:
    """The concept of each full label, and of each shortened label if most companies agree on it."""
    votes: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for company, kind, label, concept in _lines_of(filings):
        for text in (label_words(label), *name_keys(words, label)):
            votes[f"{kind}|{text}"][concept].add(company)
    names = {}
    for text, users in votes.items():
        everyone = len(set().union(*users.values()))
        name = max(sorted(users), key=lambda concept: len(users[concept]))
        full = text.split("|", 1)[1][:1] not in ("^", "~")
        if everyone >= least and (full or len(users[name]) > SURE_NAME * everyone):
            names[text] = name
    return names


class _Counts:
    def __init__(self, result: LearnedPatterns) -> None:
        self.result = result
        self.lines: dict[str, list[tuple[float, float, float, float | None]]] = defaultdict(list)
        self.met: dict[str, set[int]] = defaultdict(set)
        self.pairs: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])

    def add(self, views: Sequence[StatementView], weight: float, company: int) -> None:
        for view in views:
            if view.statement.statement in CHECKED:
                self._sums(view, weight)
                self._lines(view, weight, company)
        for key in equal_pairs(self.result, views):
            self.met[key].add(company)

    def agree(self, views: Sequence[StatementView], weight: float, least: int) -> None:
        """Count how often two lines agree that agreed in several companies."""
        some = {key for key, seen in self.met.items() if key.count("|") > 1 and len(seen) >= least}
        for key, first, row, second, row_ in listed_pairs(some, self.result, views):
            for c, d in same_columns(first, second):
                value, amount = first.value(row, c), second.value(row_, d)
                if value and amount and abs(value) >= LEAST_DIGITS * first.unit:
                    self.pairs[key][0 if abs(value) == abs(amount) else 1] += weight

    def _sums(self, view: StatementView, weight: float) -> None:
        kind = view.statement.statement
        for row, as_sum, above in open_lines(view):
            name = self.result.name(kind, view.rows[row].label)
            if not name or not above:
                continue
            total = self.result.totals.setdefault(f"{kind}|{name}", [0.0, 0.0, 0.0])
            total[0] += weight
            if not as_sum:
                continue
            holds = count_holding(view, as_sum) == len(as_sum.residuals)
            total[1 if holds else 2] += weight
            if holds:
                self._parts(view, f"{kind}|{name}", as_sum, above, weight)

    def _parts(
        self, view: StatementView, key: str, as_sum: Sum, above: list[int], weight: float
    ) -> None:
        signs = dict(as_sum.parts)
        table = self.result.parts.setdefault(key, {})
        for line in above[-max(LOOKS_BACK, len(signs)) :]:
            part = self.result.name(view.statement.statement, view.rows[line].label)
            if part:
                index = {1: 0, -1: 1}.get(signs.get(line, 0), 2)
                table.setdefault(part, [0.0, 0.0, 0.0])[index] += weight

    def _lines(self, view: StatementView, weight: float, company: int) -> None:
        kind, size = view.statement.statement, statement_size(view)
        for row in view.money:
            name = self.result.name(kind, view.rows[row].label)
            values = [float(v) for v in view.rows[row].values if v]
            if not name or not values:
                continue
            key = f"{kind}|{name}"
            self.met[key].add(company)
            below = sum(v < 0 for v in values) / len(values)
            sizes = [math.log10(abs(v) / size) for v in values]
            change = abs(sizes[0] - sizes[1]) if len(sizes) > 1 else None
            self.lines[key].append((weight, below, sum(sizes) / len(sizes), change))

    def finish(self, least: int) -> None:
        totals = self.result.totals
        self.result.totals = {key: met for key, met in totals.items() if met[1] or met[2]}
        for key, seen in self.lines.items():
            if len(self.met[key]) < least:
                continue
            total = sum(w for w, *_ in seen)
            below = sum(w * b for w, b, *_ in seen) / total
            mean = sum(w * s for w, _, s, _ in seen) / total
            spread = math.sqrt(sum(w * (s - mean) ** 2 for w, _, s, _ in seen) / total)
            changes = [(w, c) for w, *_, c in seen if c is not None]
            change = sum(w * c for w, c in changes) / (sum(w for w, _ in changes) or 1)
            self.result.lines[key] = [total, below, mean, spread, change]
        for key, (same, other) in self.pairs.items():
            if same / (same + other) >= KNOWN_EQUAL:
                self.result.pairs[key] = [same, other]


def equal_pairs(patterns: LearnedPatterns, views: Sequence[StatementView]) -> Iterator[str]:
    """Yield pairs of uniquely named lines of two statements that agree in a shared period."""
    for first, second in statement_pairs(views):
        first_rows, second_rows = unique_rows(patterns, first), unique_rows(patterns, second)
        for c, d in same_columns(first, second):
            by_amount = defaultdict(list)
            for name, row in second_rows.items():
                if amount := second.value(row, d):
                    by_amount[abs(amount)].append(name)
            for name, row in first_rows.items():
                value = first.value(row, c)
                if value and abs(value) >= LEAST_DIGITS * first.unit:
                    for name_ in by_amount[abs(value)]:
                        yield pair_key(first, name, second, name_)


def pair_key(first: StatementView, name: str, second: StatementView, name_: str) -> str:
    """The key of a pair in `LearnedPatterns.pairs`."""
    return f"{first.statement.statement}|{name}|{second.statement.statement}|{name_}"
