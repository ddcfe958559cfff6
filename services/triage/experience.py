"""What sound filings taught: which lines add up to which, what agrees, which sign is usual.

Counts over the filings of many companies, each company counting as one, by the name of a line: what
its label is taken for. A label that nobody else uses has no name, and nothing is known of it.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.triage.identities import CHECKED, same_period
from services.triage.labels import normalise
from services.triage.relations import Sheet
from services.triage.statements import remembered
from services.triage.sums import Sum, tolerance

Key = tuple[str, ...]
LOOKS_BACK = 14
"""Open lines above a total that are said to be apart from it, if it doesn't take them."""
KNOWN_EQUAL = 0.5
"""Share of agreement from which two lines are kept as a pair."""
LEAST_DIGITS = 100
"""Units of presentation below which two amounts may be equal by chance."""

_ASIDE = re.compile(r"\([^)]*\)")
_NOT_LETTERS = re.compile(r"[^a-z]+")


@remembered
def bare(label: str) -> str:
    """The words of a label, without asides, digits and points."""
    return " ".join(_NOT_LETTERS.sub(" ", _ASIDE.sub(" ", normalise(label))).split())


_BEFORE = re.compile(r"^(less|plus|add|deduct)\b\W*")
_CLAUSE = re.compile(r"[,;:]| - ")
COMMON = 5
"""Companies that use a word in their labels, from which on it is no name of one of them."""
SURE_NAME = 0.5
"""Share of the companies that mean the same by what is left of a label, for it to be a name."""


@remembered
def shorter(words: Common, label: str) -> tuple[str, ...]:
    """What is left of a label: its first clause, and its words without those of one company."""
    clause = bare(_CLAUSE.split(_BEFORE.sub("", normalise(label)))[0])
    kept = " ".join(word for word in bare(label).split() if word in words)
    return tuple(f"{sign}{text}" for sign, text in (("^", clause), ("~", kept)) if text)


class Common(frozenset[str]):
    """Words that many companies use; the same set is the same by identity, to be looked up fast."""

    __hash__ = object.__hash__


@dataclass
class Experience:
    """Counts by line, all in companies. Read only once it is learned."""

    names: dict[str, str] = field(default_factory=dict)
    """`statement|label` -> name."""
    totals: dict[str, list[float]] = field(default_factory=dict)
    """`statement|name` -> met below other lines, a sum everywhere, a sum that breaks somewhere."""
    parts: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """`statement|total` -> part -> added, subtracted, left out though it stood there."""
    lines: dict[str, list[float]] = field(default_factory=dict)
    """`statement|name` -> met, share below 0, mean and deviation of log10 size, of log10 change."""
    pairs: dict[str, list[float]] = field(default_factory=dict)
    """`statement|name|statement|name` -> columns that agree, columns that differ."""
    words: Sequence[str] = ()
    """Words that many companies use in their labels."""

    def __post_init__(self) -> None:
        """Make the words ready to be looked up."""
        self._common = Common(self.words)

    def name(self, kind: str, label: str) -> str:
        """What a label is taken for; empty if it isn't known, not even by what is left of it."""
        known = self.names.get(f"{kind}|{bare(label)}")
        if known is not None:
            return known
        for text in shorter(self._common, label):
            if (known := self.names.get(f"{kind}|{text}")) is not None:
                return known
        return ""

    def to_json(self) -> dict[str, Any]:
        """As an artefact has it, numbers rounded."""
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


def open_lines(sheet: Sheet) -> Iterator[tuple[int, Sum | None, list[int]]]:
    """For each line of money from the top: its sum if it is one, and the lines above that no sum
    has taken, the nearest last.
    """
    by_total = {found.total: found for found in sheet.sums}
    below = {part for found in sheet.sums for part, _ in found.parts if part > found.total}
    stack: list[int] = []
    for row in sheet.money:
        found = by_total.get(row)
        yield row, found, list(stack)
        if found:
            stack = found.left_of(stack)
        if row not in below:
            stack = [] if row == sheet.last_of_cash else [*stack, row]


def holding(sheet: Sheet, found: Sum) -> int:
    """Columns in which a sum holds."""
    limit = tolerance(sheet.unit, len(found.parts))
    return sum(abs(gap) <= limit for gap in found.residuals.values())


def size_of(sheet: Sheet) -> float:
    """The size of a statement: the 9th decile of its lines' largest amounts."""
    peaks = sorted(max(abs(v) for v in sheet.rows[row].values if v is not None)
                   for row in sheet.money)  # fmt: skip
    return float(peaks[int(0.9 * (len(peaks) - 1))]) if peaks else 1.0


def same_columns(one: Sheet, other: Sheet) -> list[tuple[int, int]]:
    """Columns of two statements that are about the same period."""
    found = []
    for a, column in enumerate(one.statement.columns):
        same = [b for b, c in enumerate(other.statement.columns) if same_period(column, c)]
        if len(same) == 1:
            found.append((a, same[0]))
    return found


# Learning


def learn(
    filings: Iterable[tuple[int, Sequence[Sheet], Sequence[Sequence[str]]]], least: int = 2
) -> Experience:
    """Count over sound filings.

    Args:
        filings: the company, the statements, and the concept of each of their rows.
        least: companies that must have used a label for it to have a name.
    """
    filings = list(filings)
    shares: dict[int, float] = defaultdict(float)
    for company, *_ in filings:
        shares[company] += 1.0
    words = _common_words(filings)
    result = Experience(names=_names(filings, least, Common(words)), words=words)
    counts = _Counts(result)
    for company, sheets, _ in filings:
        counts.add(sheets, 1 / shares[company], company)
    for company, sheets, _ in filings:
        counts.agree(sheets, 1 / shares[company], least)
    counts.finish(least)
    return result


Seen = tuple[int, Sequence[Sheet], Sequence[Sequence[str]]]


def _lines_of(filings: Iterable[Seen]) -> Iterator[tuple[int, str, str, str]]:
    """Company, statement, label and concept of each line."""
    for company, sheets, concepts in filings:
        for sheet, of_rows in zip(sheets, concepts, strict=True):
            kind = sheet.statement.statement
            for row, concept in zip(sheet.rows, of_rows, strict=True):
                if kind in CHECKED and any(v is not None for v in row.values):
                    yield company, kind, row.label, concept


def _common_words(filings: Iterable[Seen]) -> list[str]:
    users: dict[str, set[int]] = defaultdict(set)
    for company, _, label, _ in _lines_of(filings):
        for word in bare(label).split():
            users[word].add(company)
    return sorted(word for word, who in users.items() if len(who) >= COMMON)


def _names(filings: Iterable[Seen], least: int, words: Common) -> dict[str, str]:
    """Names by whole labels, and by what is left of labels where most mean the same by it."""
    votes: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for company, kind, label, concept in _lines_of(filings):
        for text in (bare(label), *shorter(words, label)):
            votes[f"{kind}|{text}"][concept].add(company)
    names = {}
    for text, users in votes.items():
        everyone = len(set().union(*users.values()))
        name = max(sorted(users), key=lambda concept: len(users[concept]))
        whole = text.split("|", 1)[1][:1] not in ("^", "~")
        if everyone >= least and (whole or len(users[name]) > SURE_NAME * everyone):
            names[text] = name
    return names


class _Counts:
    def __init__(self, result: Experience) -> None:
        self.result = result
        self.lines: dict[str, list[tuple[float, float, float, float | None]]] = defaultdict(list)
        self.met: dict[str, set[int]] = defaultdict(set)
        self.pairs: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])

    def add(self, sheets: Sequence[Sheet], weight: float, company: int) -> None:
        for sheet in sheets:
            if sheet.statement.statement in CHECKED:
                self._sums(sheet, weight)
                self._lines(sheet, weight, company)
        for key in equal_pairs(self.result, sheets):
            self.met[key].add(company)

    def agree(self, sheets: Sequence[Sheet], weight: float, least: int) -> None:
        """Count how often those lines agree that agreed in some companies."""
        some = {key for key, seen in self.met.items() if key.count("|") > 1 and len(seen) >= least}
        for key, one, row, other, row_ in known_pairs(some, self.result, sheets):
            for c, d in same_columns(one, other):
                value, amount = one.value(row, c), other.value(row_, d)
                if value and amount and abs(value) >= LEAST_DIGITS * one.unit:
                    self.pairs[key][0 if abs(value) == abs(amount) else 1] += weight

    def _sums(self, sheet: Sheet, weight: float) -> None:
        kind = sheet.statement.statement
        for row, found, above in open_lines(sheet):
            name = self.result.name(kind, sheet.rows[row].label)
            if not name or not above:
                continue
            total = self.result.totals.setdefault(f"{kind}|{name}", [0.0, 0.0, 0.0])
            total[0] += weight
            if not found:
                continue
            whole = holding(sheet, found) == len(found.residuals)
            total[1 if whole else 2] += weight
            if whole:
                self._parts(sheet, f"{kind}|{name}", found, above, weight)

    def _parts(self, sheet: Sheet, key: str, found: Sum, above: list[int], weight: float) -> None:
        signs = dict(found.parts)
        table = self.result.parts.setdefault(key, {})
        for line in above[-max(LOOKS_BACK, len(signs)) :]:
            part = self.result.name(sheet.statement.statement, sheet.rows[line].label)
            if part:
                place = {1: 0, -1: 1}.get(signs.get(line, 0), 2)
                table.setdefault(part, [0.0, 0.0, 0.0])[place] += weight

    def _lines(self, sheet: Sheet, weight: float, company: int) -> None:
        kind, size = sheet.statement.statement, size_of(sheet)
        for row in sheet.money:
            name = self.result.name(kind, sheet.rows[row].label)
            values = [float(v) for v in sheet.rows[row].values if v]
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
            whole = sum(w for w, *_ in seen)
            below = sum(w * b for w, b, *_ in seen) / whole
            mean = sum(w * s for w, _, s, _ in seen) / whole
            spread = math.sqrt(sum(w * (s - mean) ** 2 for w, _, s, _ in seen) / whole)
            changes = [(w, c) for w, *_, c in seen if c is not None]
            change = sum(w * c for w, c in changes) / (sum(w for w, _ in changes) or 1)
            self.result.lines[key] = [whole, below, mean, spread, change]
        for key, (same, other) in self.pairs.items():
            if same / (same + other) >= KNOWN_EQUAL:
                self.result.pairs[key] = [same, other]


def named_rows(experience: Experience, sheet: Sheet) -> dict[str, list[int]]:
    """The rows of money by name."""
    found: dict[str, list[int]] = defaultdict(list)
    for row in sheet.money:
        if name := experience.name(sheet.statement.statement, sheet.rows[row].label):
            found[name].append(row)
    return found


def equal_pairs(experience: Experience, sheets: Sequence[Sheet]) -> Iterator[str]:
    """Yield the pairs of lines of two statements that agree in a period that both have.

    A name that several lines have is passed over.
    """
    for one, other in two_of(sheets):
        first, second = only_rows(experience, one), only_rows(experience, other)
        for c, d in same_columns(one, other):
            by_amount = defaultdict(list)
            for name, row in second.items():
                if amount := other.value(row, d):
                    by_amount[abs(amount)].append(name)
            for name, row in first.items():
                value = one.value(row, c)
                if value and abs(value) >= LEAST_DIGITS * one.unit:
                    for name_ in by_amount[abs(value)]:
                        yield pair_key(one, name, other, name_)


def known_pairs(
    pairs: Collection[str], experience: Experience, sheets: Sequence[Sheet]
) -> Iterator[tuple[str, Sheet, int, Sheet, int]]:
    """Yield those pairs of lines of two statements that are among some: key, and where each is."""
    for one, other in two_of(sheets):
        first, second = only_rows(experience, one), only_rows(experience, other)
        start, end = f"{one.statement.statement}|", f"|{other.statement.statement}|"
        for key in sorted(pairs):
            if not key.startswith(start) or end not in key:
                continue
            name, name_ = key[len(start) :].split(end)
            if name in first and name_ in second:
                yield key, one, first[name], other, second[name_]


def two_of(sheets: Sequence[Sheet]) -> Iterator[tuple[Sheet, Sheet]]:
    """Two different statements each, always the same way round."""
    for one in sheets:
        for other in sheets:
            if one.statement.statement < other.statement.statement:
                yield one, other


def only_rows(experience: Experience, sheet: Sheet) -> dict[str, int]:
    """The rows whose name no other row of the statement has."""
    named = named_rows(experience, sheet)
    return {name: rows[0] for name, rows in named.items() if len(rows) == 1}


def pair_key(one: Sheet, name: str, other: Sheet, name_: str) -> str:
    """How a pair of lines is called in `Experience.pairs`."""
    return f"{one.statement.statement}|{name}|{other.statement.statement}|{name_}"
