"""The picture of a trace: everything in it, nothing from elsewhere, and stretches of waiting."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from infra.traces.collector import Received
from infra.traces.picture import picture

SECOND = 1_000_000_000
ROOT = Received(
    trace="a" * 32,
    id="1" * 16,
    parent="",
    service="ingest",
    name="POST /v1/documents",
    kind=2,
    start=0,
    end=SECOND,
    attributes={"smallprint.document": "doc_1"},
    failed=False,
)
READ = replace(
    ROOT, id="2" * 16, parent=ROOT.id, name="document.ingested.v1", start=SECOND, end=3 * SECOND
)
DECIDED = replace(
    ROOT,
    id="3" * 16,
    parent=READ.id,
    service="review",
    name="decide <x>",
    start=100 * SECOND,
    end=101 * SECOND,
    failed=True,
)
KEYS = replace(ROOT, id="4" * 16, parent=DECIDED.id, name="GET /v1/keys/self")


def _svg(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])


def _bars(html: str) -> list[tuple[str, float, float]]:
    """What is drawn: title, left end and width of each bar."""
    space = "{http://www.w3.org/2000/svg}"
    found = []
    for group in _svg(html).iter(f"{space}g"):
        title, bar = group.find(f"{space}title"), group.find(f"{space}rect")
        assert title is not None
        assert bar is not None
        found.append((title.text or "", float(bar.attrib["x"]), float(bar.attrib["width"])))
    return found


def test_every_span_is_a_bar_below_what_caused_it() -> None:
    """In the order of cause, at its time, and with its attributes in the title."""
    bars = _bars(picture([DECIDED, ROOT, READ, KEYS], "doc_1"))
    assert [title.split(",")[0] for title, _, _ in bars] == [
        "ingest: POST /v1/documents",
        "ingest: document.ingested.v1",
        "review: decide <x>",
    ]
    assert "smallprint.document doc_1" in bars[0][0]
    (_, root, long), (_, read, longer), (_, decided, _) = bars
    assert root < read < decided
    assert longer == pytest.approx(2 * long, rel=0.01)


def test_a_stretch_without_work_is_shortened_and_says_how_long_it_was() -> None:
    """97 seconds in which somebody thought take less room than one of work."""
    html = picture([ROOT, READ, DECIDED], "doc_1")
    (_, read, width), (_, decided, work) = _bars(html)[1:]
    assert decided - (read + width) < work
    assert "97.0 s" in html


def test_the_picture_needs_nothing_from_elsewhere() -> None:
    """No script, no font, no picture of others; names are escaped."""
    html = picture([ROOT, READ, DECIDED, KEYS], "doc_<1>")
    for mark in ("<script", "<link", "<img", "url(", "@import", "https://", "doc_<1>", "decide <"):
        assert mark not in html
    assert "1 questions about the key are not drawn" in html


def test_a_trace_without_spans_is_refused() -> None:
    """Rather than drawn as an empty page."""
    with pytest.raises(ValueError, match="without spans"):
        picture([], "doc_1")
