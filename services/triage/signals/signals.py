"""From ratios to signals: how unusual each is, and how that is said."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from services.triage.domain import NamedCell, box_json, number
from services.triage.signals.figures import Books, Figure, Period
from services.triage.signals.peers import Peers, Spread
from services.triage.signals.ratios import M_LIKELY, RATIOS, Measured, Ratio, Unit
from services.triage.statements import Filing
from shared.documents.reading import Box

Level = Literal["usual", "unusual", "strong"]
UNUSUAL, LIKELY = 1.0, 1.01
"""Distance from which on a signal is unusual: beyond 19 of 20 companies. An M-score that its
authors take for likely is unusual too, and no more than that by itself."""


@dataclass(frozen=True)
class Input:
    """A figure of a ratio, with the cell that has it."""

    figure: str
    value: int | float
    cell: NamedCell

    def to_json(self) -> dict[str, Any]:
        """The input as the command line and REST have it."""
        return {"figure": self.figure, "value": self.value, **self.cell.to_json()}


@dataclass(frozen=True)
class Beside:
    """What a number is held against: companies whose filings were learned from."""

    companies: int
    low: float
    median: float
    high: float
    distance: float

    @classmethod
    def of(cls, spread: Spread, value: float) -> Beside:
        """A number among its peers."""
        distance = round(spread.distance(value), 3)
        return cls(spread.companies, spread.low, spread.median, spread.high, distance)

    def to_json(self) -> dict[str, Any]:
        """As the command line and REST have it."""
        return {
            "companies": self.companies,
            "low": self.low,
            "median": self.median,
            "high": self.high,
            "distance": self.distance,
        }


@dataclass(frozen=True)
class Signal:
    """One ratio of a filing's latest period, and how unusual it is. It flags nothing."""

    signal: str
    title: str
    value: float
    unit: Unit
    level: Level
    distance: float
    end: str
    quarters: int
    formula: str
    source: str
    message: str
    inputs: tuple[Input, ...]
    history: tuple[tuple[str, float], ...]
    """Earlier periods of the same length that the filing shows, and the ratio in them."""
    peers: Beside | None
    """Its level among companies."""
    change: Beside | None
    """Its change within a year among companies."""

    @property
    def page(self) -> int | None:
        """Where the first of its inputs is shown."""
        places = (one.cell.place for one in self.inputs)
        return next((place.page for place in places if place), None)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Where its inputs stand on pages."""
        places = (one.cell.place for one in self.inputs)
        return tuple(dict.fromkeys(place.box for place in places if place and place.box))

    def to_json(self) -> dict[str, Any]:
        """The signal as the command line, REST and events have it."""
        return {
            "signal": self.signal,
            "title": self.title,
            "level": self.level,
            "distance": self.distance,
            "value": self.value,
            "unit": self.unit,
            "end": self.end,
            "quarters": self.quarters,
            "message": self.message,
            "formula": self.formula,
            "source": self.source,
            "inputs": [one.to_json() for one in self.inputs],
            "history": [{"end": end, "value": value} for end, value in self.history],
            "peers": self.peers and self.peers.to_json(),
            "change": self.change and self.change.to_json(),
            "page": self.page,
            "boxes": [box_json(box) for box in self.boxes],
        }


def signals_of(filing: Filing, peers: Peers) -> tuple[Signal, ...]:
    """Every ratio that the latest period of a filing gives, the most unusual first.

    The same filing always gives the same signals.
    """
    books = Books.of(filing, peers.figure)
    found = (_signal(ratio, books, peers) for ratio in RATIOS)
    return tuple(sorted((one for one in found if one), key=lambda one: -one.distance))


def measured(ratio: Ratio, books: Books) -> Iterator[tuple[Period, Measured]]:
    """A ratio in the latest period that gives it, and in those of the same length before."""
    first: Period | None = None
    for period in books.periods:
        if first and period.quarters != first.quarters:
            continue
        if found := ratio.of(books, period):
            first = first or period
            yield period, found


def _signal(ratio: Ratio, books: Books, peers: Peers) -> Signal | None:
    every = list(measured(ratio, books))
    if not every:
        return None
    (period, now), *earlier = every
    level = peers.spread(ratio.name, period.length, "level")
    before = _year_before(period, earlier)
    moved = peers.spread(ratio.name, period.length, "change") if before else None
    among = Beside.of(level, now.value) if level else None
    change = Beside.of(moved, now.value - before[1]) if moved and before else None
    distance = max((one.distance for one in (among, change) if one), default=0.0)
    likely = ratio.name == "beneish_m" and now.value > M_LIKELY
    return Signal(
        signal=ratio.name,
        title=ratio.title,
        value=round(now.value, 6),
        unit=ratio.unit,
        level=_level(max(distance, LIKELY * likely), peers.strong),
        distance=distance,
        end=f"{period.end:%Y%m%d}",
        quarters=period.quarters,
        formula=ratio.formula,
        source=ratio.source,
        message=_message(ratio, period, now, before, among, change),
        inputs=tuple(_input(books, figure) for figure in now.inputs),
        history=tuple((f"{other.end:%Y%m%d}", round(then.value, 6)) for other, then in earlier),
        peers=among,
        change=change,
    )


def _year_before(
    period: Period, earlier: Sequence[tuple[Period, Measured]]
) -> tuple[date, float] | None:
    return next(
        ((p.end, m.value) for p, m in earlier if 340 <= (period.end - p.end).days <= 390), None
    )


def _level(distance: float, strong: float) -> Level:
    if distance >= strong:
        return "strong"
    return "unusual" if distance > UNUSUAL else "usual"


def _input(books: Books, figure: Figure) -> Input:
    page, cell = books.pages[figure.cell.statement], figure.cell
    row = page.rows[cell.row]
    named = NamedCell(
        page.statement.statement, cell.row, cell.column, row.label, row.place(cell.column)
    )
    value = number(figure.value)
    assert value is not None, "a figure has a value"
    return Input(figure.name, value, named)


def _message(
    ratio: Ratio,
    period: Period,
    now: Measured,
    before: tuple[date, float] | None,
    level: Beside | None,
    change: Beside | None,
) -> str:
    """The ratio, what it was, and between what it lies in 19 of 20 companies."""
    said = [f"{ratio.title} {_shown(now.value, ratio.unit)} ({_named(period)})."]
    if before:
        said.append(f"A year before {_shown(before[1], ratio.unit)}.")
    if level:
        said.append(
            f"19 in 20 of {level.companies} companies lie between "
            f"{_shown(level.low, ratio.unit)} and {_shown(level.high, ratio.unit)}."
        )
    if change and change.distance > UNUSUAL:
        said.append(
            f"Within a year it moves by {_shown(change.low, ratio.unit)} to "
            f"{_shown(change.high, ratio.unit)} in 19 in 20 of {change.companies}."
        )
    if ratio.name == "beneish_m":
        above = now.value > M_LIKELY
        said.append(
            f"{'Above' if above else 'Not above'} {M_LIKELY}, from which on its authors take a "
            "company for a likely manipulator; many honest ones are above."
        )
    return " ".join(said)


def _named(period: Period) -> str:
    months = period.quarters * 3
    return f"{'year' if months == 12 else f'{months} months'} to {period.end.isoformat()}"


def _shown(value: float, unit: Unit) -> str:
    if unit == "share":
        return f"{value:,.1%}"
    if unit == "days":
        return f"{value:,.0f} days"
    return f"{value:,.2f}"


def signal_id(tenant: str, document_id: str, filing: str, signal: Signal) -> str:
    """The same signal about the same document always has the same id."""
    parts = (tenant, document_id, filing, signal.signal, signal.end, str(signal.quarters))
    return "sg_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
