"""The curve of errors found against false alarms: its points, intervals and drawing."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from models.triage_breaks.curve import (
    GRID,
    Companies,
    at,
    drawn,
    figures,
)
from tests.models.test_triage_scores import some

HERE = "{http://www.w3.org/2000/svg}"
KINDS = ("sign_flip",)


def risk(p: Any) -> float:
    return float(p["risk"])


def test_a_point_counts_errors_above_the_share_of_sound_filings() -> None:
    """Of a hundred sound ones two may lie above 0.97; those with an error from 0.975 on do."""
    curve = figures(Companies.of(some(), risk, KINDS))
    assert (curve["sound"], curve["wrong"], curve["companies"]) == (100, 100, 7)
    assert [p[0] for p in curve["points"]] == list(GRID)
    value, low, high = at(curve, 0.02)
    assert value == pytest.approx(0.03)
    assert low <= value <= high
    with pytest.raises(ValueError, match="unpack"):
        at(curve, 0.033)


def test_kinds_that_are_not_counted_change_nothing() -> None:
    others = [p | {"type": "duplicate_row", "risk": 1.0} for p in some()]
    first = figures(Companies.of(some(), risk, KINDS))
    assert figures(Companies.of([*some(), *others], risk, KINDS)) == first


def test_an_interval_is_of_companies() -> None:
    alike = [{"company": c, "type": t, "risk": r} for c in range(9)
             for t, r in ((None, 0.1), ("sign_flip", 0.9))]  # fmt: skip
    assert Companies.of(alike, risk, KINDS).interval([0.1]).tolist() == [[1.0, 1.0]]
    one = [p | {"risk": 0.0} if p["type"] and p["company"] else p for p in alike]
    ((low, high),) = Companies.of(one, risk, KINDS).interval([0.1]).tolist()
    assert low == 0
    assert high > 0.2


def test_a_curve_is_drawn_at_its_points() -> None:
    """From the left to the right edge, upwards what is found; the cross is at 2% and 85%."""
    flat = {"points": [[share, 0.5, 0.25, 1.0] for share in GRID]}
    drawing = ElementTree.fromstring(drawn({"a <b": [("ours", flat), ("plain", flat)]}))
    _, frame = drawing.findall(f"{HERE}rect")
    left, top, wide, high = (float(frame.attrib[k]) for k in ("x", "y", "width", "height"))
    first, second = drawing.findall(f"{HERE}polyline")
    points = [tuple(map(float, p.split(","))) for p in first.attrib["points"].split()]
    assert points[0] == (left, top + high / 2)
    assert points[-1] == (left + wide, top + high / 2)
    assert first.attrib["stroke"] != second.attrib["stroke"]
    (band,) = drawing.findall(f"{HERE}polygon")
    heights = {float(p.split(",")[1]) for p in band.attrib["points"].split()}
    assert heights == {top, top + high * 0.75}
    cross = next(p for p in drawing.findall(f"{HERE}path") if list(p))
    assert cross.attrib["d"].startswith(f"M{left + wide / 5 - 5:g} {top + high * 0.15:g}H")
    assert {"a <b", "ours", "plain"} <= {text.text for text in drawing.iter(f"{HERE}text")}
