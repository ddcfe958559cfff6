"""The cards are made of the committed figures, and say what a reader must know."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from models.evaluation.card import TEMPLATES, cards_of, render
from models.evaluation.reliability import drawings_of
from models.files import MODELS, folder_of, read_config, read_json
from models.triage_breaks import curve
from models.triage_breaks.rules_scores import figures, measure
from services.extraction.pipeline.search import FAMILIAR
from shared.inference.adapters import AdapterManifest, newest_version
from tests.unit.triage.filings import bent, read, record

FOLDERS = sorted({path.parent for path in MODELS.rglob(TEMPLATES)})
CARDS = sorted([*MODELS.rglob("CARD.md"), *MODELS.rglob("RULES.md")])
HEADINGS = ["What it does", "How well", "For whom not", "Make it again"]
FOLDER = folder_of("contract-clauses")


def scores_of(name: str, part: str = "scores") -> dict[str, Any]:
    found: dict[str, Any] = read_json(folder_of(name) / f"{part}.json")
    return found


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_cards_and_drawings_are_those_of_the_figures(folder: Path) -> None:
    for name, text in {**cards_of(folder), **drawings_of(folder)}.items():
        assert text == (folder / name).read_text("utf-8"), "run python -m models.evaluation.card"
        if name.endswith(".svg"):
            assert any(f"({name})" in card for card in cards_of(folder).values())


@pytest.mark.parametrize("path", CARDS, ids=lambda path: f"{path.parent.name} {path.stem}")
def test_every_card_has_the_same_parts_on_two_pages(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    assert len(text.splitlines()) <= 110
    assert (
        len(re.findall(r"[^\s|:-][^\s|]*", text)) <= 950
    )  # a new version may name more categories
    if path.parent.name != "document_kind":
        assert re.search(r"It gives no\s(legal|audit)\sadvice", text)


def test_there_is_a_card_for_each_specialist() -> None:
    shipped = {path.name for path in (MODELS / "artefacts").iterdir()} - {"base-ca2dcf61453e"}
    assert {path.parent.name.replace("_", "-") for path in CARDS} == shipped


def test_a_template_takes_figures_and_repeats_lines() -> None:
    template = "{a[b]:.1%}\n| {each rows}{key} | {it[n]:,} |\n* {each list}{it}\nend {none:.2f}"
    figures = {
        "a": {"b": 0.25},
        "rows": {"x": {"n": 1000}, "y": {"n": 2}},
        "list": ["p"],
        "none": None,
    }
    assert render(template, figures) == "25.0%\n| x | 1,000 |\n| y | 2 |\n* p\nend none\n"


def test_an_unknown_figure_is_refused() -> None:
    with pytest.raises(KeyError):
        render("{scores[auc]}", {"scores": {}})


def test_quotations_are_a_few_words_with_their_source() -> None:
    text = (FOLDER / "CATEGORIES.md").read_text("utf-8")
    quotations = re.findall(r'^\* .*?: "(.*) …" \(.*`(cuad-[0-9a-f]{12})`\)$', text, re.MULTILINE)
    assert len(quotations) >= 6
    assert all(len(words.split()) <= 6 for words, _ in quotations)
    assert all(f"| {label} |" in text for label in scores_of("contract-clauses", "labels"))


def test_the_cards_claim_what_the_figures_show() -> None:
    breaks = scores_of("triage-breaks")
    value, low, _ = curve.at(breaks["curves"]["own"]["learned"], 0.02)
    assert low < 0.85 <= value
    assert value == pytest.approx(breaks["found"]["learned"]["2%"], abs=1e-4)
    unbalanced = scores_of("triage-breaks", "implied_shares")["unbalanced"]
    assert unbalanced["statements.jsonl"][0] == 0
    lost = {name: sum(counts) for name, counts in breaks["missed"].items()}
    assert max(lost, key=lost.__getitem__) == "line_dropped"
    for name in ("nda-review", "unfair-terms"):
        assert all(one["no_guarantee_reason"] for one in scores_of(name, "guarantee")["promises"])
    flags = scores_of("narrative-flags")["families"]
    assert all(one["over_tfidf"][1] <= 0 for one in flags.values())
    lines = scores_of("line-concepts")["adapter"]["more"]
    assert min(lines["both than linear"][0], lines["both than adapter"][0]) > 0


def test_the_curve_is_drawn_from_the_figures() -> None:
    folder = folder_of("triage-breaks")
    assert (folder / curve.FILE).read_text("utf-8") == curve.drawing_of(folder)
    assert f"({curve.FILE})" in (folder / "CARD.md").read_text("utf-8")


def test_the_rules_are_measured_as_their_card_has_it() -> None:
    truth = {"type": "digit_change", "statement": "balance_sheet", "row": 4, "column": 0}
    wrong = read(bent("balance_sheet", "Total current assets", 0, 4951))
    found = figures(
        measure([(read(record()), None), (wrong, truth)]), measure([(read(record()), None)])
    )
    committed = scores_of("triage-breaks", "rules")
    assert found.keys() == committed.keys()
    assert found["development"].keys() == committed["development"].keys()
    assert found["development"]["found"][:2] == found["development"]["placed"][:2] == [1, 1]
    assert found["sound"]["false_alarms"][:2] == [0, 1]


def test_the_manifest_has_calibration_and_thresholds_of_the_folds() -> None:
    shipped = newest_version(MODELS / "artefacts", FOLDER.name)
    manifest = AdapterManifest.read(shipped)
    scores = scores_of("contract-clauses")
    assert manifest.calibration == scores["calibration"]
    familiar = scores_of("contract-clauses", "presence")["familiar"]
    assert manifest.thresholds == scores["thresholds"] | {FAMILIAR: familiar}


def test_the_adapters_of_the_scored_folds_are_stored() -> None:
    config = read_config(FOLDER)
    runs = {path.parent: read_json(path) for path in (FOLDER / "runs").glob("*/run.json")}
    folds = scores_of("contract-clauses")["folds"]
    assert sorted(int(run["fold"]) for run in runs.values()) == folds
    for folder, run in runs.items():
        assert (folder / "adapter.safetensors").is_file()
        for section in ("windows", "adapter", "training"):
            assert run["config"][section] == config[section]
