"""The columns of a statement of equity: what a component is called, whether it counts shares.

Heads of such columns stand in several lines, one word in each, with names over two of them
("Common stock" over "Shares" and "Amount"). So a word belongs to the columns that it stands over,
and never to as many as there happen to be words.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise
from statistics import median

from services.triage.reading.columns import Band, Layout, Line
from services.triage.reading.figures import Figure
from services.triage.reading.kinds import names
from services.triage.reading.periods import mention
from services.triage.reading.scales import scale_in
from services.triage.reading.table import TableCell

_CLASSES = {
    "paid in": re.compile(r"paid[\s-]*in|surplus|in\s+excess\s+of|contributed|^capital$", re.I),
    "comprehensive": re.compile(r"comprehensive|translation|unrealized", re.I),
    "retained": re.compile(
        r"retained|reinvested|undistributed|accumulated\W+(deficit|earnings|loss)"
        r"|^\W*(earnings|deficit)\b",
        re.I,
    ),
    "treasury": re.compile(r"treasury|held\s+in\s+trust", re.I),
    "noncontrolling": re.compile(r"non\W{0,3}controlling|^controlling\s+interest|minority", re.I),
    "partners": re.compile(r"partner|\bmembers?\b|unitholder", re.I),
    "stock": re.compile(r"common|preferred|preference|ordinary|class\s+[a-z]\b|stock\b", re.I),
}
_TOTAL = re.compile(
    r"\btotals?\b|(stock|share|unit)\W{0,2}\s?(holders?|owners?)\W{0,3}s?\W{0,2}\s*"
    r"(equity|deficit|deficiency|investment)|^(company\s+)?equity(\s*\(?deficit\)?)?$"
    r"|\bshare\s+of\s+equity$|partners\W{0,3}\s*(capital|equity)$",
    re.I,
)
_OUTSIDE = re.compile(r"(?<!non)(?<!non-)redeemable|mezzanine|temporary\s+equity", re.I)
_COUNTS = re.compile(
    r"\b(shares|units)(\s*\(?in\s+\w+\)?)?\W*$|\bshares\s+(outstanding|issued)|number\s+of\s+shares"
    r"|^\W*shares\b",
    re.I,
)
_MAYBE = re.compile(
    r"\b(common|preferred|preference|ordinary|treasury|class\s+\w|series\s+\w)\s+(shares|units)\W*$",
    re.I,
)
_OF_MONEY = re.compile(r"\b(amounts?|value|cost|dollars?|stock|capital)\b|[$€£]", re.I)
_PAIRED = re.compile(
    r"^\W*(shares?|units?|number|amounts?|par\s+value|value|cost|dollars?)\W*$", re.I
)
_COUNTED = re.compile(r"^\W*(shares?|units?|number)\b", re.I)
_EQUITY = re.compile(r"\b(equity|deficit)\b", re.I)
_CURRENCY = re.compile(r"\W*[$€£]")
_MARK = re.compile(r"\(\d\)")
_PAIR = 2
"""Columns; what stands over more is said of a group of components."""
_UNIT = re.compile(r"\bexcept\b|^\W*in$|\b(stated|expressed|shown)\s+in\b", re.I)
_NO_NAME = re.compile(r"\W*(\(?unaudited\)?|notes?|\d{1,2})?\W*", re.I)
_CLEAR = 0.25
"""Of the narrower of a word and a column; what shares less stands over another one."""
_BESIDE = 0.7
"""Columns; words further from a column are those of something else."""
_LONGEST = 120
"""Characters; more is no name of a component."""


@dataclass(frozen=True, slots=True)
class Component:
    """A column of a statement of equity; one that counts shares has no amounts.

    `own` is the part of its name that stands over it alone, without what spans several.
    """

    name: str
    shares: bool = False
    own: str = ""
    scale: Decimal | None = None
    """The unit that its head states."""

    @property
    def total(self) -> bool:
        """Whether it is a sum of others."""
        said = self.own or self.name
        minority = _CLASSES["noncontrolling"].search(said) and not _EQUITY.search(said)
        return not self.shares and not minority and bool(_TOTAL.search(said))

    @property
    def outside(self) -> bool:
        """Whether it stands outside of permanent equity, so that no total has it in it."""
        return bool(_OUTSIDE.search(self.name))

    @property
    def kind(self) -> str | None:
        """What sort of component it is; None for a total and for what is not known."""
        if self.total:
            return None
        said = (self.own, self.name)
        kinds = (kind for text in said for kind, known in _CLASSES.items() if known.search(text))
        return next(kinds, None)


@dataclass
class _Head:
    """The words over a column: each with how many columns it stands over."""

    pieces: list[tuple[str, int]] = field(default_factory=list)
    scale: Decimal | None = None

    @property
    def last(self) -> str:
        """The lowest."""
        return self.pieces[-1][0] if self.pieces else ""

    @property
    def name(self) -> str:
        """All of them."""
        return _joined(text for text, _ in self.pieces)

    @property
    def own(self) -> str:
        """Those that stand over it, or it and one more."""
        return _joined(text for text, over in self.pieces if over <= _PAIR) or self.name


def components_of(found: Layout) -> tuple[Component, ...]:
    """The name of each column, empty for one whose head has no words; shares have no currency."""
    heads = _heads(found.head, found.bands)
    _share_out(heads)
    names_of = [head.own for head in heads]
    money = {
        max(range(len(heads)), key=lambda i: found.bands[i].overlap(figure.cell))
        for line in found.body
        for figure in line.figures
        if _CURRENCY.match(figure.cell.text)
    }
    return tuple(
        Component(
            name=head.name,
            shares=place not in money and _counts(head.own, names_of),
            own=head.own,
            scale=head.scale,
        )
        for place, head in enumerate(heads)
    )


def cleared(found: Layout) -> Layout:
    """The table without columns that are none: years that end the labels, and footnote marks that
    a grid has in cells of their own.
    """
    heads = _heads(found.head, found.bands)
    shown: list[list[Figure]] = [[] for _ in found.bands]
    doubled: set[int] = set()
    for line in found.body:
        taken: dict[int, list[Figure]] = defaultdict(list)
        for figure in line.figures:
            place = max(range(len(shown)), key=lambda i: found.bands[i].overlap(figure.cell))
            shown[place].append(figure)
            taken[place].append(figure)
        doubled |= {
            id(one)
            for both in taken.values()
            for one in both
            if len(both) > 1 and _MARK.fullmatch(one.cell.text.strip())
        }
    none = {
        place
        for place, figures in enumerate(shown)
        if place
        and all(piece in heads[place - 1].pieces for piece in heads[place].pieces)
        and all(_MARK.fullmatch(figure.cell.text.strip()) for figure in figures)
    }
    years = {id(figure) for figure in shown[0] if figure.like_a_date}
    if len(years) == len(shown[0]):
        none.add(0)
    else:
        years = set()
    if not none and not doubled:
        return found
    dropped = doubled | {id(figure) for place in none for figure in shown[place]}
    body = [
        replace(
            line,
            words=(*line.words, *(f.cell for f in line.figures if id(f) in years)),
            figures=tuple(f for f in line.figures if id(f) not in dropped),
        )
        for line in found.body
    ]
    bands = [band for place, band in enumerate(found.bands) if place not in none]
    return Layout(found.head, body, bands, found.stub)


def parts_of(components: Sequence[Component]) -> tuple[int | None, tuple[int, ...]]:
    """The column of the total, None if there is none, and those that make it."""
    totals = [place for place, one in enumerate(components) if one.total]
    if not totals:
        return None, ()
    total = totals[-1]
    amounts = [
        place
        for place, one in enumerate(components)
        if not one.shares and not one.total and not one.outside
    ]
    before = [place for place in amounts if place < total]
    return total, tuple(before or amounts)


def _heads(head: Sequence[Line], bands: Sequence[Band]) -> list[_Head]:
    """The words over each column from the top, but periods, units and titles, and those of all."""
    heads = [_Head() for _ in bands]
    titles = [n for n, line in enumerate(head) if any(names("equity", c.text) for c in line.words)]
    for line in head[titles[-1] + 1 if titles else 0 :]:
        for cell in _cells(line, bands):
            over = _over(cell, bands)
            if len(over) == len(bands) > 1:
                continue
            for place in over:
                heads[place].scale = scale_in(cell.text) or heads[place].scale
                if _is_name(cell.text):
                    heads[place].pieces.append((cell.text, len(over)))
    return heads


def _is_name(text: str) -> bool:
    said = mention(text)
    return not (
        said.year
        or said.day
        or said.quarters
        or len(text) > _LONGEST
        or _NO_NAME.fullmatch(text)
        or names("equity", text)
        or _UNIT.search(text)
        or (scale_in(text) and not _CLASSES["stock"].search(text) and not _COUNTS.search(text))
    )


def _cells(line: Line, bands: Sequence[Band]) -> Iterator[TableCell]:
    """The cells over the columns; words of a page that run over several columns are taken apart,
    but for names that stand over two.
    """
    edge = bands[0].left - _pitch(bands) / 2
    for cell in line.cells:
        over = _over(cell, bands)
        if not over or (cell.left < edge and cell.right < bands[0].right):
            continue
        if cell.place.cell or len(over) < 2 or _spans(cell.text):
            yield cell
        elif _is_name(cell.text):
            yield from _words(cell)


def _spans(text: str) -> bool:
    """Whether words name one component as a whole: "Common Stock", "Treasury stock at cost"."""
    return bool(
        re.fullmatch(
            r"\W*(class\s+\w\s+|series\s+\w\s+)?(common|preferred|treasury|capital|ordinary)\s+"
            r"(stocks?|shares|units)(\W+(at\s+cost|issued|outstanding))?\W*"
            r"|.*\b(share|stock)(holders|owners)\W{0,3}s?\W*|.*\bequity\b.*|\W*total\W*",
            text,
            re.I,
        )
    )


def _words(cell: TableCell) -> Iterator[TableCell]:
    """Each word with its part of the interval."""
    width = (cell.right - cell.left) / max(1, len(cell.text))
    for word in re.finditer(r"\S+", cell.text):
        left, right = (cell.left + width * at for at in word.span())
        yield replace(cell, left=left, right=right, text=word[0])


def _pitch(bands: Sequence[Band]) -> float:
    return median(b.right - a.right for a, b in pairwise(bands)) if len(bands) > 1 else 0.0


def _over(cell: TableCell, bands: Sequence[Band]) -> list[int]:
    """The columns that a cell stands over, else the nearest if it is near."""
    shared = [band.overlap(cell) for band in bands]
    wide = cell.right - cell.left
    clear = [
        place
        for place, (much, band) in enumerate(zip(shared, bands, strict=True))
        if much > _CLEAR * min(wide, band.right - band.left)
    ]
    if clear:
        return clear
    apart = [abs(b.left + b.right - cell.left - cell.right) / 2 for b in bands]
    near = min(range(len(bands)), key=apart.__getitem__)
    return [near] if apart[near] < _BESIDE * _pitch(bands) else []


def _share_out(heads: Sequence[_Head]) -> None:
    """Give both columns of a pair ("Shares", "Amount") the name that stands over one or between."""
    for first, second in pairwise(heads):
        if not (_PAIRED.match(first.last) and _PAIRED.match(second.last)):
            continue
        if not _COUNTED.match(first.last) or _COUNTED.match(second.last):
            continue
        above = list(first.pieces[:-1])
        above += [one for one in second.pieces[:-1] if one not in above]
        first.pieces[:-1], second.pieces[:-1] = above, above


def _joined(words: Iterable[str]) -> str:
    text = " ".join(" ".join(words).split())
    return re.sub(r"(?<=\w)- (?=\w)", "-", text)


def _counts(head: str, heads: Sequence[str]) -> bool:
    """Whether a column counts shares: "Common shares" alone may be either, and does where another
    column has the amount.
    """
    if not _COUNTS.search(head):
        return False
    found = _MAYBE.search(head)
    if not found or (found.start() > 0 and _COUNTS.search(head[: found.start()])):
        return True
    kind = found[1].lower()
    return any(
        other != head and kind in other.lower() and _OF_MONEY.search(other) for other in heads
    )
