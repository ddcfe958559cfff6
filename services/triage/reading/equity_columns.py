"""The columns of a statement of equity: the name of each component, and whether it counts shares.

Heads stand in several lines, one word in each, with names over two columns ("Common stock" over
"Shares" and "Amount"). So a word belongs to the columns below it, however many words there are.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise
from statistics import median

from services.triage.reading.columns import Band, Layout, Line, column_of
from services.triage.reading.figures import Figure
from services.triage.reading.periods import mention
from services.triage.reading.scales import scale_in
from services.triage.reading.statement_kind import is_title
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
_PAIR = 2  # columns; a head over more of them names a group of components
_UNIT = re.compile(r"\bexcept\b|^\W*in$|\b(stated|expressed|shown)\s+in\b", re.I)
_NO_NAME = re.compile(r"\W*(\(?unaudited\)?|notes?|\d{1,2})?\W*", re.I)
_CLEAR = 0.25  # share of the narrower of a word and a column that they must have in common
_BESIDE = 0.7  # columns; words further from a column do not belong to it
_LONGEST = 120  # characters of a component's name


@dataclass(frozen=True, slots=True)
class Component:
    """A column of a statement of equity. `own` is the part of its name above it alone."""

    name: str
    shares: bool = False
    own: str = ""
    scale: Decimal | None = None  # the unit in its head

    @property
    def total(self) -> bool:
        """Whether it is the sum of other columns."""
        name = self.own or self.name
        minority = _CLASSES["noncontrolling"].search(name) and not _EQUITY.search(name)
        return not self.shares and not minority and bool(_TOTAL.search(name))

    @property
    def kind(self) -> str | None:
        """The kind of component; None for totals and unknown ones."""
        if self.total:
            return None
        for text in (self.own, self.name):
            for kind, pattern in _CLASSES.items():
                if pattern.search(text):
                    return kind
        return None


@dataclass
class _Head:
    """The words over a column, each with the number of columns it spans."""

    pieces: list[tuple[str, int]] = field(default_factory=list)
    scale: Decimal | None = None

    @property
    def last(self) -> str:
        """The lowest word."""
        return self.pieces[-1][0] if self.pieces else ""

    @property
    def name(self) -> str:
        return _joined(text for text, _ in self.pieces)

    @property
    def own(self) -> str:
        """The words over this column, or over it and one more."""
        return _joined(text for text, over in self.pieces if over <= _PAIR) or self.name


def components_of(layout: Layout) -> tuple[Component, ...]:
    """Name each column. Columns with currency signs do not count shares."""
    heads = _heads(layout.head, layout.bands)
    _share_pair_names(heads)
    names_of = [head.own for head in heads]
    money = {
        column_of(figure.cell, layout.bands)
        for line in layout.body
        for figure in line.figures
        if _CURRENCY.match(figure.cell.text)
    }
    return tuple(
        Component(
            name=head.name,
            shares=index not in money and _counts(head.own, names_of),
            own=head.own,
            scale=head.scale,
        )
        for index, head in enumerate(heads)
    )


def drop_mark_columns(layout: Layout) -> Layout:
    """Drop false columns: years that end labels, and footnote marks in separate cells."""
    heads = _heads(layout.head, layout.bands)
    shown: list[list[Figure]] = [[] for _ in layout.bands]
    doubled: set[int] = set()
    for line in layout.body:
        taken: dict[int, list[Figure]] = defaultdict(list)
        for figure in line.figures:
            index = column_of(figure.cell, layout.bands)
            shown[index].append(figure)
            taken[index].append(figure)
        doubled |= {
            id(figure)
            for both in taken.values()
            for figure in both
            if len(both) > 1 and _MARK.fullmatch(figure.cell.text.strip())
        }
    none = {
        index
        for index, figures in enumerate(shown)
        if index
        and all(piece in heads[index - 1].pieces for piece in heads[index].pieces)
        and all(_MARK.fullmatch(figure.cell.text.strip()) for figure in figures)
    }
    years = {id(figure) for figure in shown[0] if figure.like_a_date}
    if len(years) == len(shown[0]):
        none.add(0)
    else:
        years = set()
    if not none and not doubled:
        return layout
    dropped = doubled | {id(figure) for index in none for figure in shown[index]}
    body = [
        replace(
            line,
            words=(*line.words, *(f.cell for f in line.figures if id(f) in years)),
            figures=tuple(f for f in line.figures if id(f) not in dropped),
        )
        for line in layout.body
    ]
    bands = [band for index, band in enumerate(layout.bands) if index not in none]
    return Layout(layout.head, body, bands, layout.stub)


def _heads(head: Sequence[Line], bands: Sequence[Band]) -> list[_Head]:
    """The words over each column from the top, without periods, units and titles."""
    heads = [_Head() for _ in bands]
    titles = [any(is_title("equity", cell.text) for cell in line.words) for line in head]
    below = len(titles) - titles[::-1].index(True) if True in titles else 0
    for line in head[below:]:
        for cell in _cells(line, bands):
            over = _over(cell, bands)
            if len(over) == len(bands) > 1:
                continue
            for index in over:
                heads[index].scale = scale_in(cell.text) or heads[index].scale
                if _is_name(cell.text):
                    heads[index].pieces.append((cell.text, len(over)))
    return heads


def _is_name(text: str) -> bool:
    period = mention(text)
    return not (
        period.year
        or period.day
        or period.quarters
        or len(text) > _LONGEST
        or _NO_NAME.fullmatch(text)
        or is_title("equity", text)
        or _UNIT.search(text)
        or (scale_in(text) and not _CLASSES["stock"].search(text) and not _COUNTS.search(text))
    )


def _cells(line: Line, bands: Sequence[Band]) -> Iterator[TableCell]:
    """The cells over the columns; words across several are split, names of pairs are not."""
    edge = bands[0].left - _pitch(bands) / 2
    for cell in line.cells:
        over = _over(cell, bands)
        if not over or (cell.left < edge and cell.right < bands[0].right):
            continue
        if cell.position.cell or len(over) < 2 or _spans(cell.text):
            yield cell
        elif _is_name(cell.text):
            yield from _words(cell)


def _spans(text: str) -> bool:
    """Whether words name one component: "Common Stock", "Treasury stock at cost"."""
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
    """The columns below a cell, or the nearest one if it is near."""
    shared = [band.overlap(cell) for band in bands]
    wide = cell.right - cell.left
    clear = [
        index
        for index, (much, band) in enumerate(zip(shared, bands, strict=True))
        if much > _CLEAR * min(wide, band.right - band.left)
    ]
    if clear:
        return clear
    apart = [band.distance(cell) for band in bands]
    near = min(range(len(bands)), key=apart.__getitem__)
    return [near] if apart[near] < _BESIDE * _pitch(bands) else []


def _share_pair_names(heads: Sequence[_Head]) -> None:
    """Give both columns of a pair ("Shares", "Amount") the name above either of them."""
    for first, second in pairwise(heads):
        if not (_PAIRED.match(first.last) and _PAIRED.match(second.last)):
            continue
        if not _COUNTED.match(first.last) or _COUNTED.match(second.last):
            continue
        above = list(first.pieces[:-1])
        above += [piece for piece in second.pieces[:-1] if piece not in above]
        first.pieces[:-1], second.pieces[:-1] = above, above


def _joined(words: Iterable[str]) -> str:
    text = " ".join(" ".join(words).split())
    return re.sub(r"(?<=\w)- (?=\w)", "-", text)


def _counts(head: str, heads: Sequence[str]) -> bool:
    """Whether a column counts shares; "Common shares" only if another has the amount."""
    if not _COUNTS.search(head):
        return False
    match = _MAYBE.search(head)
    if not match or (match.start() > 0 and _COUNTS.search(head[: match.start()])):
        return True
    kind = match[1].lower()
    others = (other for other in heads if other != head and kind in other.lower())
    return any(map(_OF_MONEY.search, others))
