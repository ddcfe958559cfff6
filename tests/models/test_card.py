"""The card says what the evaluation found, and quotes hardly anything."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from models.card import (
    PARTS,
    card,
    chances_text,
    presence_table,
    reasons_of,
    values_table,
    worst_text,
)
from models.reliability import PRESENCE_FILE, drawn, of_presence
from services.extraction.pipeline import FAMILIAR
from shared.inference.adapters import ADAPTER_FILE, MANIFEST_FILE, newest_version, read_manifest
from tests.support import ROOT

FOLDER = ROOT / "models" / "contract-clauses"


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, object] | None]:
    """What the evaluation left behind."""
    return {
        part: json.loads((FOLDER / f"{part}.json").read_text(encoding="utf-8"))
        if (FOLDER / f"{part}.json").exists()
        else None
        for part in PARTS
    }


def test_the_card_is_the_one_that_the_figures_make(
    found: dict[str, dict[str, object] | None],
) -> None:
    """The committed card is not stale: written again, it comes out the same."""
    shipped = newest_version(ROOT / "models" / "artefacts", FOLDER.name)
    config = tomllib.loads((FOLDER / "config.toml").read_text(encoding="utf-8"))
    size = (shipped / ADAPTER_FILE).stat().st_size
    template = (FOLDER / "CARD.in.md").read_text(encoding="utf-8")
    text = card(
        template, config, read_manifest(shipped / MANIFEST_FILE), size, found, reasons_of(FOLDER)
    )
    assert text == (FOLDER / "CARD.md").read_text(encoding="utf-8"), "run python -m models.card"


def test_the_worst_categories_come_first_and_say_if_nobody_looked() -> None:
    """By area, the lowest first; one without answers is not among them."""
    areas = {"a": 0.5, "b": 0.1, "c": 0.3, "d": 0.9, "e": 0.8, "f": 0.7, "g": 0.6}
    labels = {name: {"aupr": area, "answers": 3, "contracts": 2} for name, area in areas.items()}
    labels["none"] = {"aupr": 0.0, "answers": 0, "contracts": 0}
    lines = worst_text({"labels": labels}, {"b": "hard"}).splitlines()
    assert lines[0] == "* **b** (AUPR 0.10, 3 answers in 2 contracts): hard"
    assert [line.split("**")[1] for line in lines] == ["b", "c", "a", "g", "f", "e"]
    assert lines[1].endswith(": nobody has looked at its failures yet.")


def test_absence_that_tells_hardly_anything_is_named() -> None:
    """Categories that are seen in less than half of the contracts that have them, worst first."""
    recalls = {"seen": 0.9, "half": 0.5, "rare": 0.4, "rarer": 0.1}
    seen = {name: {"present": 10, "said": 9, "recall": value} for name, value in recalls.items()}
    seen["nowhere"] = {"present": 0, "said": 0}
    found = {"contracts": 20, "calibration_error": 0.01, "pooled": seen["seen"], "labels": seen}
    *_, last = presence_table(found).splitlines()
    assert last.endswith(": rarer (seen in 10%), rare (seen in 40%).")
    known = {**found, "labels": {"seen": seen["seen"]}}
    assert presence_table(known).splitlines()[-1].startswith("| seen |")


def test_chances_of_presence_are_shown_with_their_maps() -> None:
    """A row a tenth and a row a map, and which map is best by each measure."""
    maps = {
        "none": {"error": 0.01, "brier": 0.06, "log_loss": 0.2},
        "beta, pooled": {"error": 0.02, "brier": 0.05, "log_loss": 0.19},
    }
    found = {"judged": 1200, "contracts": 30, "auc": 0.97, "error": 0.01, "maps": maps}
    text = chances_text(found | {"tenths": [[1000, 0.04, 0.05], [200, 0.95, 0.9]]})
    assert "1,200 chances, of 30 contracts" in text
    assert "| 200 | 0.950 | 0.900 |" in text
    assert "| beta, pooled | 0.0200 | 0.0500 | 0.1900 |" in text
    assert text.endswith(
        "Least error has: none; least Brier score: beta, pooled; least log loss: beta, pooled."
    )
    assert chances_text(None) == ""


@pytest.mark.parametrize("path", sorted(FOLDER.parent.glob("*/presence-calibration.json")))
def test_the_drawing_of_presence_is_the_one_that_the_figures_make(path: Path) -> None:
    """Where chances were kept the committed drawing is not stale, and the card shows it."""
    figures = json.loads(path.read_text(encoding="utf-8"))
    drawing = (path.parent / PRESENCE_FILE).read_text(encoding="utf-8")
    assert drawing == drawn(of_presence(figures)), "run python -m models.card"
    text = (path.parent / "CARD.md").read_text(encoding="utf-8")
    assert f"({PRESENCE_FILE})" in text
    assert chances_text(figures) in text


def test_the_card_states_what_a_reader_must_know() -> None:
    """Attribution, licence, the limits of advice, every category, and the command are there."""
    text = (FOLDER / "CARD.md").read_text(encoding="utf-8")
    labels = json.loads((FOLDER / "labels.json").read_text(encoding="utf-8"))
    for needed in ("The Atticus Project", "CC BY 4.0", "gives no legal advice", "make specialists"):
        assert needed in text
    assert all(f"| {label} |" in text for label in labels)


def test_quotations_are_a_few_words_with_their_source() -> None:
    """Every quotation has at most six words and the id of its contract."""
    text = (FOLDER / "CARD.md").read_text(encoding="utf-8")
    quotations = re.findall(r'^\* .*?: "(.*) …" \(.*`(cuad-[0-9a-f]{12})`\)$', text, re.MULTILINE)
    assert len(quotations) >= 6
    assert all(len(words.split()) <= 6 for words, _ in quotations)


def test_the_manifest_carries_what_was_learned_on_the_fold(
    found: dict[str, dict[str, object] | None],
) -> None:
    """Calibration and thresholds of the shipped adapter are those of the committed figures."""
    shipped = newest_version(ROOT / "models" / "artefacts", FOLDER.name)
    manifest = read_manifest(shipped / MANIFEST_FILE)
    assert found["scores"]
    assert manifest.calibration == found["scores"]["calibration"]
    assert found["presence"]
    learned = found["scores"]["thresholds"]
    assert isinstance(learned, dict)
    assert manifest.thresholds == learned | {FAMILIAR: found["presence"]["familiar"]}


def test_the_adapters_of_the_scored_folds_are_kept(
    found: dict[str, dict[str, object] | None],
) -> None:
    """Each fold that is scored has the adapter that had not seen it, of this very recipe."""
    config = tomllib.loads((FOLDER / "config.toml").read_text(encoding="utf-8"))
    assert found["scores"]
    runs = {
        path.parent: json.loads(path.read_text(encoding="utf-8"))
        for path in (FOLDER / "runs").glob("*/run.json")
    }
    assert sorted(int(run["fold"]) for run in runs.values()) == found["scores"]["folds"]
    for folder, run in runs.items():
        assert (folder / "adapter.safetensors").is_file()
        for section in ("windows", "adapter", "training"):
            assert run["config"][section] == config[section]


def test_names_of_parties_are_counted_one_by_one() -> None:
    """Below the table, for a whole set of names is seldom right; nothing is said without any."""
    counts = {"answered": 4, "exact": 0.5, "names_right": 7, "names_given": 9, "names_answered": 8}
    values = {"some": {"categories": {"Parties": counts}}, "none": {"categories": {}}}
    *_, row, _, said = values_table(values).splitlines()
    assert row == "| some | Parties | 4 | 0.500 |  |  |"
    assert said.endswith(": 7 of 9 given are right, of 8 in the answers (some).")
    assert "one by one" not in values_table({"none": {"categories": {}}})
