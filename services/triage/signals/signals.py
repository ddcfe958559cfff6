"""From ratios to signals: how unusual each is, in numbers and words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from services.triage.domain import box_json
from services.triage.signals.figures import YEAR, Figure, FilingFigures, Period
from services.triage.signals.peers import Distribution, Peers
from services.triage.signals.ratios import M_LIKELY, RATIOS, Ratio, RatioValue, Unit
from services.triage.statements.model import Filing, number
from services.triage.statements.named_cells import NamedCell
from shared.documents.model.parsed_document import Box

Level = Literal["usual", "unusual", "strong"]
UNUSUAL, LIKELY = 1.0, 1.01
"""Distance from which a signal is unusual: outside the usual range. An M-score of a likely
manipulator is unusual too, but not strong."""


@dataclass(frozen=True)
class Input:
    """A figure of a ratio, with its cell."""

    figure: str
    value: int | float
    cell: NamedCell

    def to_json(self) -> dict[str, Any]:
        return {"figure": self.figure, "value": self.value, **self.cell.to_json()}


@dataclass(frozen=True)
class PeerRange:
    """A number compared with its usual range among companies."""

    companies: int
    low: float
    median: float
    high: float
    distance: float

    @classmethod
    def of(cls, spread: Distribution, value: float) -> PeerRange:
        distance = round(spread.distance(value), 3)
        return cls(spread.companies, spread.low, spread.median, spread.high, distance)


@dataclass(frozen=True)
class Signal:
    """One ratio of a filing's latest period, and how unusual it is. It never flags the filing."""

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
    history: tuple[tuple[str, float], ...]  # earlier periods of the same length
    peers: PeerRange | None  # its level among companies
    change: PeerRange | None  # its yearly change among companies

    @property
    def page(self) -> int | None:
        """The page of its first input."""
        positions = (item.cell.position for item in self.inputs)
        return next((position.page for position in positions if position), None)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The positions of its inputs on pages."""
        positions = (item.cell.position for item in self.inputs)
        return tuple(dict.fromkeys(p.box for p in positions if p and p.box))

    def to_json(self) -> dict[str, Any]:
        return {
            **vars(self),
            "inputs": [item.to_json() for item in self.inputs],
            "history": [{"end": end, "value": value} for end, value in self.history],
            "peers": self.peers and asdict(self.peers),
            "change": self.change and asdict(self.change),
            "page": self.page,
            "boxes": [box_json(box) for box in self.boxes],
        }


def signals_of(filing: Filing, peers: Peers) -> tuple[Signal, ...]:
    """Every ratio of a filing's latest period, the most unusual first; always the same."""
    books = FilingFigures.of(filing, peers.figure)
    signals = (_signal(ratio, books, peers) for ratio in RATIOS)
    return tuple(sorted(filter(None, signals), key=lambda signal: -signal.distance))


def ratio_values(ratio: Ratio, books: FilingFigures) -> Iterator[tuple[Period, RatioValue]]:
    """A ratio in the latest period that has it, and in earlier ones of the same length."""
    first: Period | None = None
    for period in books.periods:
        if first and period.quarters != first.quarters:
            continue
        if value := ratio.of(books, period):
            first = first or period
            yield period, value


def _signal(ratio: Ratio, books: FilingFigures, peers: Peers) -> Signal | None:
    every = list(ratio_values(ratio, books))
    if not every:
        return None
    (period, now), *earlier = every
    level = peers.spread(ratio.name, period.length, "level")
    before = _year_before(period, earlier)
    moved = peers.spread(ratio.name, period.length, "change") if before else None
    among = PeerRange.of(level, now.value) if level else None
    change = PeerRange.of(moved, now.value - before[1]) if moved and before else None
    distance = max((spread.distance for spread in (among, change) if spread), default=0.0)
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
    period: Period, earlier: Sequence[tuple[Period, RatioValue]]
) -> tuple[date, float] | None:
    return next(((p.end, m.value) for p, m in earlier if (period.end - p.end).days in YEAR), None)


def _level(distance: float, strong: float) -> Level:
    if distance >= strong:
        return "strong"
    return "unusual" if distance > UNUSUAL else "usual"


def _input(books: FilingFigures, figure: Figure) -> Input:
    view, cell = books.views[figure.cell.statement], figure.cell
    named = NamedCell.at(view.statement, cell.row, cell.column)
    return Input(figure.name, number(figure.value), named)


def _message(
    ratio: Ratio,
    period: Period,
    now: RatioValue,
    before: tuple[date, float] | None,
    level: PeerRange | None,
    change: PeerRange | None,
) -> str:
    """The ratio, its value a year before, and its usual range."""
    sentences = [f"{ratio.title} {_shown(now.value, ratio.unit)} ({_named(period)})."]
    if before:
        sentences.append(f"A year before {_shown(before[1], ratio.unit)}.")
    if level:
        sentences.append(
            f"19 of 20 among {level.companies} companies are between "
            f"{_shown(level.low, ratio.unit)} and {_shown(level.high, ratio.unit)}."
        )
    if change and change.distance > UNUSUAL:
        sentences.append(
            f"It changes by {_shown(change.low, ratio.unit)} to "
            f"{_shown(change.high, ratio.unit)} a year in 19 of 20 among {change.companies}."
        )
    if ratio.name == "beneish_m":
        above = now.value > M_LIKELY
        sentences.append(
            f"{'Above' if above else 'Not above'} {M_LIKELY}, its authors' threshold for likely "
            "manipulators. Many honest companies are above it."
        )
    return " ".join(sentences)


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
    """A stable id: the same signal of the same document always has the same."""
    parts = (tenant, document_id, filing, signal.signal, signal.end, str(signal.quarters))
    return "sg_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
