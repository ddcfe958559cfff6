"""Answers about findings, kinds and pages: from labels, or hostile.

Labels of findings are wrong amounts, each with the right one. The tables are read from the sent
text. The arithmetic is a run of lines above or below that adds up to the amount, or the same amount
elsewhere.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.fakes.provider.words import standing

Answer = dict[str, Any]
LONGEST_RUN = 12

_TABLE = re.compile(r"Table (\d+): ")
_COLUMNS = re.compile(r"(?:^Columns: |; )(\d+) = ")
_ROW = re.compile(r"Row (\d+): (.*)")


@dataclass(frozen=True)
class _Cell:
    table: int
    row: int
    column: int
    value: str

    @property
    def place(self) -> dict[str, Any]:
        """The cell in the form of an answer."""
        return dict(vars(self))

    @property
    def amount(self) -> Decimal:
        """Its amount."""
        return Decimal(self.value.replace(",", ""))


def cells_in(text: str) -> list[_Cell]:
    """All cells with an amount, from the text of tables."""
    found, table, columns = [], 0, [0]
    for line in text.split("\n"):
        if head := _TABLE.match(line):
            table = int(head[1])
        elif line.startswith("Columns: "):
            columns = [int(number) for number in _COLUMNS.findall(line)]
        elif row := _ROW.match(line):
            values = row[2].split(" | ")[1:]
            pairs = zip(columns, values, strict=True)
            found += [_Cell(table, int(row[1]), column, v) for column, v in pairs if v]
    return found


def right(question: Mapping[str, Any], errors: Mapping[str, str]) -> Answer:
    """The right answer: the right amount of an error, or the terms of a right amount."""
    cells, doubted = cells_in(question["tables"]), _Cell(**question["cell"])
    verdict = "error" if doubted.value in errors else "presentation"
    wanted = errors.get(doubted.value, doubted.value)
    for terms in _ways(cells, doubted, Decimal(wanted.replace(",", ""))):
        return _answer(verdict, doubted.place, wanted, terms, "these lines say it")
    return _answer("unsure", doubted.place, wanted, [], "nothing makes it up")


def wrong(question: Mapping[str, Any], errors: Mapping[str, str]) -> Answer:
    """An honest mistake: an error is missed, or a right amount is called wrong."""
    right_answer, doubted = right(question, errors), _Cell(**question["cell"])
    if right_answer["verdict"] != "error":
        others = [c for c in cells_in(question["tables"]) if c.value != doubted.value]
        if not others:
            return right_answer
        taken = others[0]
        terms = [{"sign": "+", **taken.place}]
        return _answer("error", doubted.place, taken.value, terms, "mistaken")
    return _answer("unsure", doubted.place, doubted.value, [], "overlooked")


def invented(question: Mapping[str, Any], chance: random.Random) -> Answer:
    """A cell that does not exist, with a sum that adds up."""
    doubted = _Cell(**question["cell"])
    amount = f"{chance.randrange(10**6, 10**9):,}"
    beyond = {"table": doubted.table, "row": chance.randrange(10**4, 10**5)}
    term = {"sign": "+", **beyond, "column": doubted.column, "value": amount}
    return _answer("error", doubted.place, amount, [term], "invented")


def altered(question: Mapping[str, Any], chance: random.Random) -> Answer:
    """An answer with a real cell but a changed amount, so that the sum adds up."""
    cells, doubted = cells_in(question["tables"]), _Cell(**question["cell"])
    others = [cell for cell in cells if cell != doubted] or cells
    taken = chance.choice(others)
    changed = f"{taken.amount + chance.randrange(1, 10**6):,f}"
    term = {"sign": "+", **taken.place, "value": changed}
    return _answer("error", doubted.place, changed, [term], "altered")


def miscounted(question: Mapping[str, Any], chance: random.Random) -> Answer:
    """Real cells with a wrong sum."""
    cells, doubted = cells_in(question["tables"]), _Cell(**question["cell"])
    others = [cell for cell in cells if cell != doubted] or cells
    terms = chance.sample(others, min(3, len(others)))
    made = sum((cell.amount for cell in terms), Decimal(0))
    claimed = f"{made + chance.choice((-1, 1)) * chance.randrange(10**8, 10**10):,f}"
    signed = [{"sign": "+", **cell.place} for cell in terms]
    return _answer("error", doubted.place, claimed, signed, "miscounted")


def sorted_(passage: str, known: Sequence[tuple[str, str]], otherwise: str) -> Answer:
    """The answer for a labelled passage, or `otherwise`."""
    for verdict, text in known:
        if own := standing(text, passage):
            return {"verdict": verdict, "quotes": [own], "why": "stand-in: labelled"}
    words = passage.split(" ")[:6]
    return {"verdict": otherwise, "quotes": [" ".join(words)], "why": "stand-in: not labelled"}


def _ways(
    cells: Sequence[_Cell], doubted: _Cell, wanted: Decimal
) -> Iterator[list[dict[str, Any]]]:
    """Signed cells that add up to an amount: a run of lines in the column, or a single cell."""
    column = [c for c in cells if (c.table, c.column) == (doubted.table, doubted.column)]
    at = next((i for i, c in enumerate(column) if c.row == doubted.row), len(column))
    for run in (column[:at][::-1], column[at + 1 :]):
        made, terms = Decimal(0), []
        for cell in run[:LONGEST_RUN]:
            made += cell.amount
            terms.append({"sign": "+", **cell.place})
            if made == wanted:
                yield terms
    for cell in cells:
        if cell.amount == wanted and cell != doubted:
            yield [{"sign": "+", **cell.place}]


def _answer(
    verdict: str,
    cell: Mapping[str, Any],
    expected: str,
    terms: Sequence[Mapping[str, Any]],
    why: str,
) -> Answer:
    return {
        "verdict": verdict,
        "cell": dict(cell),
        "expected": expected,
        "arithmetic": [dict(term) for term in terms],
        "why": f"stand-in: {why}",
    }
