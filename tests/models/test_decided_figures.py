"""What decisions 31 and 33 say was measured is what the committed figures and predictions say.

Figures that need no text of a contract are counted again from the calibration set that ships beside
the adapter; those that need one are held against each other, and against the prices and settings
they are made of.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import numpy as np
import pytest

from infra.evaluate_cascade import POINTS
from models import missed
from models.proof import PROMISED, bounds, proof
from services.escalation.settings import Settings
from services.extraction.guarantee import MOST_ANSWERS
from shared.guarantee import Calibration, read_calibration
from shared.inference.adapters import GUARANTEE_FILE, newest_version
from shared.settings import load
from tests.support import ROOT

MODELS = ROOT / "models"
NAME = "contract-clauses"
CALL_SECONDS = 5.0
"""Of a call, as `infra.evaluate_cascade` states it unless told otherwise."""


def decision(number: str) -> str:
    """The text of a decision, its lines joined."""
    (path,) = (ROOT / "infra" / "decisions").glob(f"{number}-*.md")
    return path.read_text(encoding="utf-8")


def figures(part: str, name: str = NAME) -> dict[str, Any]:
    """Committed figures of a specialist."""
    found: dict[str, Any] = json.loads((MODELS / name / f"{part}.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def known() -> Calibration:
    """The calibration set that ships, of out-of-fold predictions."""
    folder = newest_version(MODELS / "artefacts", NAME)
    return read_calibration((folder / GUARANTEE_FILE).read_bytes())


def said(pattern: str, number: str) -> tuple[float, ...]:
    """The numbers that a decision says, by the groups of a pattern."""
    text = " ".join(decision(number).split())
    match = re.search(pattern, text)
    assert match, f"decision {number} no longer says {pattern}"
    return tuple(float(group.replace(",", "")) for group in match.groups())


# --- decision 31 --------------------------------------------------------------------------------


def test_the_proof_is_that_of_the_set_that_ships(known: Calibration) -> None:
    """Drawn again, for the rows that need no confidence: the same to the last draw; so are the
    bounds that it is held against.
    """
    report = figures("guarantee")
    careless = "the same threshold rule without a margin"
    again = proof(known, known.belief, known.belief)
    compared = 0
    for one, line in zip(again, report["proof"], strict=True):
        assert (one["risk"], one["way"]) == (line["risk"], line["way"])
        if one["way"] in (PROMISED, careless):
            compared += 1
            for part in ("drawn", "halves"):
                assert one[part] == pytest.approx(line[part], nan_ok=True), (line["risk"], part)
    assert compared == 10
    assert bounds(known) == report["bounds"]


def test_decision_31_says_how_wrong_the_sure_ones_are() -> None:
    """Above 0.9; and how often a threshold without a margin is too lax on the other half."""
    rows = {(one["risk"], one["way"]): one for one in figures("guarantee")["proof"]}
    (wrong,) = said(r"clauses above it are wrong in ([\d.]+)% of the cases", "0031")
    over = rows[0.05, "confidence over 0.9"]
    assert over["drawn"]["risk"] == pytest.approx(wrong / 100, abs=5e-4)
    said("exceeds that risk on other companies about every second time", "0031")
    lax = [
        one["halves"]["exceeded"]
        for (risk, way), one in rows.items()
        if risk >= 0.02 and way.startswith("the same threshold rule")
    ]
    assert all(0.4 < share < 0.6 for share in lax)


def test_decision_31_says_what_other_bounds_accept() -> None:
    """At 5% nothing, and elsewhere no more than the one that ships."""
    said("Hoeffding-Bentkus and empirical Bernstein bounds hold as well and accept less", "0031")
    said("at 5% they accept nothing", "0031")
    rows = {(one["risk"], one["bound"]): one["accepted"] for one in figures("guarantee")["bounds"]}
    others = ("Hoeffding-Bentkus", "empirical Bernstein")
    assert [rows[0.05, name] for name in others] == [0, 0]
    assert rows[0.05, "betting"] > 0
    assert all(rows[risk, name] <= rows[risk, "betting"] for risk, name in rows)


def test_decision_31_says_what_is_not_attainable() -> None:
    """1 and 2% with these companies, and nothing with those of the other specialists."""
    (families,) = said(r"5% is attainable with (\d+) families", "0031")
    report = figures("guarantee")
    assert report["families"] == families
    refused = [one["max_wrong"] for one in report["promises"] if one["why_not"]]
    assert refused == [0.01, 0.02]
    said("1 and 2% are not", "0031")
    pattern = r"With the (\d+) companies of `unfair-terms`, and the (\d+) of `nda-review`, nothing"
    for name, count in zip(("unfair-terms", "nda-review"), said(pattern, "0031"), strict=True):
        other = figures("guarantee", name)
        assert other["families"] == count
        assert all(one["why_not"] for one in other["promises"])


@pytest.mark.slow
def test_decision_31_says_in_how_many_draws_more_was_missed(
    known: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By how many true clauses a company counts with at most."""
    words = said(
        r"with (\d+) the share that came out in 500 draws was larger than R in up to ([\d.]+)% of "
        r"them, with (\d+) in up to ([\d.]+)%, with (\d+) in at most ([\d.]+)%, with (\d+) in "
        r"([\d.]+)% at a higher price",
        "0031",
    )
    told = dict(zip(words[::2], words[1::2], strict=True))
    assert list(told) == [10, 30, MOST_ANSWERS, 100]
    for answers, share in told.items():
        monkeypatch.setattr(missed, "MOST_ANSWERS", answers)
        found = max(one["drawn"]["exceeded"] for one in missed.proof_of_missed(known))
        assert found == pytest.approx(share / 100, abs=5e-3 if share > 10 else 1e-9), answers
    of_each = np.bincount(known.answer_family, minlength=known.families)
    assert (of_each <= MOST_ANSWERS).mean() == pytest.approx(0.9, abs=0.02)


def test_the_calibration_set_is_as_small_as_decision_31_says() -> None:
    """In megabytes."""
    (most,) = said(r"below ([\d.]+) MB, no words, no names", "0031")
    folder = newest_version(MODELS / "artefacts", NAME)
    assert (folder / GUARANTEE_FILE).stat().st_size < most * 1e6


# --- decision 33 --------------------------------------------------------------------------------

COLUMNS = ("asked", "calls", "usd", "machine", "seconds", "wrong", "missed", "errors")
Row = dict[str, Any]


def table_of_ways() -> dict[str, Row]:
    """The table of decision 33, by way."""
    found: dict[str, Row] = {}
    for line in decision("0033").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 11 and cells[0] not in ("way", "---"):
            numbers = [float(cell.replace(",", "")) for cell in cells[1:9]]
            accepted = [
                tuple(int(part.replace(",", "")) for part in re.findall(r"[\d,]+", cell))
                for cell in cells[9:]
            ]
            found[cells[0]] = dict(zip(COLUMNS, numbers, strict=True)) | {"accepted": accepted}
    assert len(found) == 7
    return found


@pytest.fixture(scope="module")
def ways() -> dict[str, Row]:
    """The same, read once."""
    return table_of_ways()


def test_the_specialist_in_decision_33_is_the_one_that_ships(
    ways: dict[str, Row], known: Calibration
) -> None:
    """What it shows is wrong and misses as often; what is likelier right than wrong, too; and as
    many are accepted at each risk.
    """
    version = tomllib.loads((MODELS / NAME / "config.toml").read_text("utf-8"))["version"]
    assert f"{NAME} {version}, on the {figures('scores')['contracts']} contracts" in decision(
        "0033"
    )
    shown, likely = (ways[f"specialist alone, {how}"] for how in (
        "as it is shown", "likelier right than wrong"
    ))  # fmt: skip
    usual = figures("missed")["usual"]
    assert shown["wrong"] == known.wrong.sum()
    assert shown["missed"] == (known.answer_confidence <= usual).sum()
    assert likely["wrong"] == known.wrong[known.belief > 0.5].sum()
    (answers,) = said(r"answers that are missed, of ([\d,]+)\.", "0033")
    assert answers == len(known.answer_confidence)
    promises = {one["max_wrong"]: one for one in figures("guarantee")["promises"]}
    for way in (shown, likely):
        assert way["accepted"] == [
            (promises[risk]["accepted"], promises[risk]["wrong"]) for risk in (0.05, 0.1)
        ]


def test_errors_in_decision_33_are_what_is_wrong_and_what_is_missed(ways: dict[str, Row]) -> None:
    """But for rounding; the more is asked, the fewer."""
    for name, way in ways.items():
        assert way["errors"] == pytest.approx(way["wrong"] + way["missed"], abs=1), name
    asking = [way["errors"] for name, way in ways.items() if "cascade" in name]
    assert asking == sorted(asking, reverse=True)
    least = ways["specialist alone, likelier right than wrong"]["errors"]
    most = ways["cascade, all that is worth it"]
    shown = ways["specialist alone, as it is shown"]["errors"]
    told = said(
        r"removes (\d+)% of the errors \((\d+)% of those of what is shown\) for (\d+)%", "0033"
    )
    shares = (1 - most["errors"] / least, 1 - most["errors"] / shown)
    assert told[:2] == tuple(round(100 * share) for share in shares)
    assert told[2] == round(100 * most["usd"] / ways["frontier alone"]["usd"])


def test_seconds_and_money_in_decision_33_follow_from_each_other(ways: dict[str, Row]) -> None:
    """A call takes what is stated, an hour costs what is set by default, no budget is passed."""
    own = ways["specialist alone, as it is shown"]["seconds"]
    hour = float(load(Settings).escalation_machine_hour)
    for name, way in ways.items():
        machine = 0.0 if name.startswith("frontier") else own
        assert way["seconds"] == pytest.approx(machine + way["calls"] * CALL_SECONDS, abs=1), name
        assert way["machine"] == pytest.approx(machine * hour / 3600, abs=0.005), name
        budget = re.search(r"US\$ (\d+)", name)
        assert not budget or way["usd"] <= float(budget[1])


def test_the_frontier_in_decision_33_errs_as_it_was_published(ways: dict[str, Row]) -> None:
    """At its best F1, on as many answers."""
    precision, recall = said(r"precision ([\d.]+) at recall ([\d.]+)\)", "0033")
    assert (recall, precision) == POINTS["Claude Opus 4.8"]
    (answers,) = said(r"answers that are missed, of ([\d,]+)\.", "0033")
    alone = ways["frontier alone"]
    assert alone["missed"] == pytest.approx(answers * (1 - recall), abs=1)
    assert alone["wrong"] == pytest.approx(answers * recall * (1 / precision - 1), abs=1)
