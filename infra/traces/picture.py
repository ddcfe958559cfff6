"""One trace as a picture: a waterfall in one HTML file with nothing from elsewhere.

Waiting takes most of the time of a trace with a person in it, so the picture shortens stretches
in which nothing was at work, and says how long each was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from infra.traces.collector import Received

COLOURS = {
    "origin": "#6b7280",
    "ingest": "#2563eb",
    "extraction": "#059669",
    "triage": "#d97706",
    "review": "#9333ea",
    "escalation": "#dc2626",
}
OTHER = "#374151"
GAP = 0.15
"""Seconds without any work from which on a stretch is left out."""
GAP_SHOWN = 0.06
"""Share of the time that is shown which each such stretch gets on paper, at the most."""
ROW, TOP, LEFT, WIDTH, RIGHT = 19, 46, 330, 860, 90
"""Pixels."""
HIDDEN = ("GET /v1/keys/self",)
"""Names of spans that are counted, not drawn: questions of services about a key."""


@dataclass(frozen=True)
class Gap:
    """A stretch in which nothing was at work, in seconds since the beginning."""

    start: float
    end: float


@dataclass(frozen=True)
class Row:
    """A span where it is drawn; times in seconds since the beginning."""

    span: Received
    depth: int
    start: float
    end: float


def picture(spans: Sequence[Received], document: str) -> str:
    """The picture of a trace as HTML. Raises ValueError for a trace without spans."""
    drawn = [one for one in spans if one.name not in HIDDEN]
    if not drawn:
        raise ValueError("a trace without spans can't be drawn")
    rows = _rows(drawn)
    gaps = _gaps(rows)
    scale = _Scale(max(row.end for row in rows), gaps)
    height = TOP + ROW * len(rows) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + RIGHT}" '
        f'height="{height}" font-family="system-ui, sans-serif" font-size="12" role="img" '
        f'aria-label="Trace of document {escape(document)}">',
        *_axis(scale, height),
        *(_gap(gap, scale, height) for gap in gaps),
    ]
    for place, row in enumerate(rows):
        parts += _bar(row, scale, TOP + ROW * place)
    parts.append("</svg>")
    hidden = len(spans) - len(drawn)
    return _page(document, spans, rows, gaps, hidden, "\n".join(parts))


def _rows(spans: Iterable[Received]) -> list[Row]:
    """Depth first, children by their beginnings; what hangs on nothing drawn begins a tree."""
    known = {one.id: one for one in spans}
    begin = min(one.start for one in known.values())
    below: dict[str, list[Received]] = {}
    for one in sorted(known.values(), key=lambda span: (span.start, span.id)):
        below.setdefault(one.parent if one.parent in known else "", []).append(one)
    rows: list[Row] = []

    def visit(one: Received, depth: int) -> None:
        rows.append(Row(one, depth, (one.start - begin) / 1e9, (one.end - begin) / 1e9))
        for child in below.get(one.id, ()):
            visit(child, depth + 1)

    for root in below.get("", ()):
        visit(root, 0)
    return rows


def _gaps(rows: Sequence[Row]) -> list[Gap]:
    found, busy_until = [], 0.0
    for row in sorted(rows, key=lambda row: row.start):
        if row.start - busy_until > GAP:
            found.append(Gap(busy_until, row.start))
        busy_until = max(busy_until, row.end)
    return found


class _Scale:
    """Where a moment is on the paper."""

    def __init__(self, seconds: float, gaps: Sequence[Gap]) -> None:
        self.gaps = gaps
        self.seconds = seconds
        work = max(seconds - sum(gap.end - gap.start for gap in gaps), 1e-6)
        self._shown = min(GAP_SHOWN, 0.5 / max(len(gaps), 1)) * work
        self._whole = work + self._shown * len(gaps)

    def x(self, moment: float) -> float:
        paper = moment
        for gap in self.gaps:
            if moment <= gap.start:
                break
            into = min(moment, gap.end) - gap.start
            paper += into * self._shown / (gap.end - gap.start) - into
        return LEFT + WIDTH * paper / self._whole


def _axis(scale: _Scale, height: int) -> Iterable[str]:
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 1e9) if scale.seconds / s <= 40)
    last = float("-inf")
    for number in range(int(scale.seconds / step) + 1):
        moment = number * step
        x = scale.x(moment)
        if x - last < 48:
            continue
        last = x
        yield (
            f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{height - 24}" stroke="#e5e7eb"/>'
            f'<text x="{x:.1f}" y="{TOP - 14}" text-anchor="middle" fill="#6b7280">{moment:g} s'
            "</text>"
        )


def _gap(gap: Gap, scale: _Scale, height: int) -> str:
    left, right = scale.x(gap.start), scale.x(gap.end)
    said = f"{gap.end - gap.start:.1f} s"
    return (
        f'<rect x="{left:.1f}" y="{TOP - 8}" width="{right - left:.1f}" '
        f'height="{height - 16 - TOP}" fill="#f3f4f6"/>'
        f'<text x="{(left + right) / 2:.1f}" y="{height - 8}" text-anchor="middle" '
        f'fill="#6b7280" font-style="italic">{said}</text>'
    )


def _bar(row: Row, scale: _Scale, y: int) -> Iterable[str]:
    span = row.span
    left, right = scale.x(row.start), scale.x(row.end)
    colour = COLOURS.get(span.service, OTHER)
    indent = 8 + 12 * min(row.depth, 9)
    name = f"{span.service}: {span.name}"
    most = (LEFT - indent - 12) // 6
    shown = name if len(name) <= most else name[: most - 1] + "…"
    told = ", ".join(f"{key} {value}" for key, value in sorted(span.attributes.items()))
    yield f"<g><title>{escape(f'{name}, {span.seconds * 1000:.0f} ms. {told}')}</title>"
    yield f'<text x="{indent}" y="{y + 13}" fill="#111827">{escape(shown)}</text>'
    mark = ' stroke="#111827" stroke-dasharray="3 2"' if span.failed else ""
    yield (
        f'<rect x="{left:.1f}" y="{y + 3}" width="{max(right - left, 2):.1f}" height="{ROW - 6}" '
        f'rx="2" fill="{colour}"{mark}/>'
    )
    yield f'<text x="{right + 4:.1f}" y="{y + 13}" fill="#6b7280">{_took(span.seconds)}</text></g>'


def _took(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _page(
    document: str,
    spans: Sequence[Received],
    rows: Sequence[Row],
    gaps: Sequence[Gap],
    hidden: int,
    drawing: str,
) -> str:
    services = [name for name in COLOURS if any(row.span.service == name for row in rows)]
    legend = " ".join(
        f'<span><i style="background:{COLOURS[name]}"></i>{escape(name)}</span>'
        for name in services
    )
    end = max(row.end for row in rows)
    idle = sum(gap.end - gap.start for gap in gaps)
    also = f" {hidden} questions about the key are not drawn." if hidden else ""
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Trace of {escape(document)}</title>
<style>
body {{ font: 14px system-ui, sans-serif; margin: 24px; color: #111827; background: #fff }}
h1 {{ font-size: 18px; margin: 0 0 4px }}
p {{ margin: 4px 0 12px; color: #374151 }}
i {{ display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 5px }}
span {{ margin-right: 16px; white-space: nowrap }}
</style>
<h1>Document {escape(document)}</h1>
<p>Trace {escape(spans[0].trace)}: {len(spans)} spans of {len(services)} services in {end:.1f} s, of
which nothing was at work for {idle:.1f} s (grey stretches, shortened).{also}</p>
<p>{legend}</p>
{drawing}
</html>
"""
