"""Train an adapter that names lines on statements of two companies, and score it."""

from __future__ import annotations

import json
import re
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import library

library("torch")
library("onnx")

import torch

from models.files import read_json, write_lines
from models.line_concepts import __main__ as making
from models.line_concepts.adapter import done, predictions_by, reader_of, ship_reader
from models.line_concepts.corpus import Sheet, common, read_sheets
from models.line_concepts.lookup import Linear, Lookup
from models.line_concepts.predict import FOLDER, learned, predicted, read_predictions
from models.line_concepts.scores import (
    SCORES,
    scores,
)
from models.line_concepts.train import (
    EpochSampler,
    in_words,
    line_means,
    pages_of,
    tensors_of,
    train,
)
from models.lora.export import trained_state
from services.triage.concepts.ensemble import load_labeller
from services.triage.concepts.linear import (
    NAME,
    OWN,
    READER,
    ConceptsManifest,
    LinearLabeller,
    write,
)
from services.triage.concepts.segments import SegmentModel
from services.triage.statements.model import Statement, read_filings
from shared.inference import lazy_specialists
from shared.inference.tokeniser import CLS, SEP, Tokeniser

pytestmark = pytest.mark.training

CONFIG: dict[str, Any] = {
    "data": {"licence": "ours", "least_companies": 2},
    "windows": {"length": 62, "stride": 30},
    "adapter": {"rank": 4},
    "training": {
        "epochs": 40, "batch": 2, "learning_rate": 4e-3, "learning_rate_of_head": 4e-3,
        "sharpness": 4.0, "warmup": 0.1, "smoothing": 0.0, "decay": 0.0, "clip": 1.0, "seed": 1,
        "number_type": "float32",
    },
    "linear": {"epochs": 60, "learning_rate": 0.05, "seed": 1},
}  # fmt: skip
LINES = (
    ("things that we own", None),
    ("jazz", "Cash"),
    ("quux box", "Boxes"),
    ("sum", "Assets"),
    ("our mark", "Ours"),
)
LABELS = [OWN, "Assets", "Boxes", "Cash"]


def row(label: str, concept: str | None) -> dict[str, Any]:
    if concept is None:
        return {"label": label, "values": [None], "heading": 1}
    return {"label": label, "values": [1], "concept": concept, "custom": int(concept == "Ours")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """statements.jsonl of three companies that call the same things the same."""
    where = tmp_path_factory.mktemp("finance")
    about = {"statement": "balance_sheet", "columns": [{"end": "20231231"}]}
    rows = [row(label, concept) for label, concept in LINES]
    records = [
        about | {"id": f"f{cik}-balance_sheet-0", "cik": cik, "rows": rows} for cik in (1, 2, 3)
    ]
    text = "".join(json.dumps(record) + "\n" for record in records)
    (where / "statements.jsonl").write_text(text, encoding="utf-8")
    return where


@pytest.fixture(scope="module")
def sheets(folder: Path) -> list[Sheet]:
    return list(read_sheets(folder / "statements.jsonl"))


@pytest.fixture(scope="module")
def linear(sheets: list[Sheet]) -> Linear:
    """The linear model of all of them."""
    return learned(sheets, LABELS, CONFIG["linear"])


@pytest.fixture(scope="module")
def statement() -> Statement:
    """The lines as triage reads them, without concepts."""
    rows = [row(label, concept) for label, concept in LINES]
    for line in rows:
        line.pop("concept", None)
    record = {"statement": "balance_sheet", "columns": [{"end": "20231231"}], "rows": rows}
    (filing,) = read_filings(json.dumps({"statements": [record]}).encode(), "application/json")
    return filing.statements[0]  # type: ignore[union-attr]


def ship(folder: Path, linear: Linear, **more: Any) -> None:
    about: dict[str, Any] = {"labels": tuple(LABELS), "offset": 0.0, "slope": 1.0, "companies": 3}
    bag, head, bias = linear.numbers()
    write(folder, bag, head, bias, version="1.0.0", licence="ours", **about | more)


@pytest.fixture(scope="module")
def run(folder: Path, base: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("run")
    train(CONFIG, base[1], folder, "none", out)
    return out


@pytest.fixture(scope="module")
def reader(run: Path, base: tuple[Path, Path]) -> SegmentModel:
    return reader_of(run, CONFIG, base[0])


def test_concepts_of_few_companies_are_their_own(sheets: list[Sheet]) -> None:
    assert common(sheets, 2) == LABELS
    assert common(sheets[:1], 2) == [OWN]
    assert sheets[0].concepts == (None, "Cash", "Boxes", "Assets", OWN)


def test_the_learned_model_is_served(linear: Linear, statement: Statement, tmp_path: Path) -> None:
    ship(tmp_path / NAME / "1.0.0", linear)
    found = LinearLabeller.load(tmp_path).names(statement)
    assert [name and name.name for name in found] == [None, "Cash", "Boxes", "Assets", OWN]


def test_the_adapter_learns_the_same(reader: SegmentModel, run: Path, sheets: list[Sheet]) -> None:
    found = list(predictions_by(reader, sheets[:1]))
    assert [one["said"][0][0] for one in found] == ["Cash", "Boxes", "Assets", OWN]
    assert done(CONFIG, run)
    assert not done({**CONFIG, "adapter": {"rank": 8}}, run)


def test_the_adapter_ships_with_the_model_and_is_served(
    run: Path, linear: Linear, statement: Statement, base: tuple[Path, Path], tmp_path: Path
) -> None:
    place = tmp_path / NAME / "1.0.0"
    place.mkdir(parents=True)
    files = ship_reader(run, {**CONFIG, "version": "1.0.0"}, base[0], place)
    ship(place, linear, reader=files, slope=0.0, both_offset=9.0)
    specialists = lazy_specialists(base[0], 1, "int8")
    naming = load_labeller(tmp_path, lambda: specialists().base)
    assert naming is not None
    found = naming.names(statement)
    assert [name and name.name for name in found] == [None, "Cash", "Boxes", "Assets", OWN]
    assert found[1] is not None
    assert found[1].confidence > 0.99
    alone = naming.fast.names(statement)
    assert alone[1] is not None
    assert alone[1].confidence == 0.5
    assert SegmentModel.load(place / READER / "1.0.0", specialists().base).labels == tuple(LABELS)


def test_an_interrupted_training_resumes_with_the_same_result(
    run: Path, folder: Path, base: tuple[Path, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("models.line_concepts.train.CHECKPOINT", 1)
    steps = read_json(run / "run.json")["steps"]
    seen = []

    def dying(lines: torch.Tensor, of: torch.Tensor, count: int) -> torch.Tensor:
        seen.append(count)
        if len(seen) == steps // 2:
            raise KeyboardInterrupt
        return line_means(lines, of, count)

    monkeypatch.setattr("models.line_concepts.train.line_means", dying)
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, base[1], folder, "none", tmp_path)
    train(CONFIG, base[1], folder, "none", tmp_path)
    assert steps // 2 < len(seen) <= steps + 1  # none but that in which it died was done twice
    whole, again = trained_state(run), trained_state(tmp_path)
    assert all(np.array_equal(whole[name], again[name]) for name in whole)


def test_an_epoch_shows_every_line_of_one_filing_a_company(
    sheets: list[Sheet], base: tuple[Path, Path]
) -> None:
    pages = pages_of([*sheets, sheets[0]], LABELS, Tokeniser(base[1] / "tokenizer.json"))
    sampler = EpochSampler(pages, 60, 1, 1)
    for number in range(3):
        shown = [s for batch in sampler.epoch(number) for s in batch]
        lines = sorted((s.page.company, n) for s in shown for n in range(s.first, s.last))
        assert lines == [(cik, n) for cik in (1, 2, 3) for n in range(len(LINES))]


def test_tensors_have_each_line_at_its_tokens(sheets: list[Sheet], base: tuple[Path, Path]) -> None:
    tokenise = Tokeniser(base[1] / "tokenizer.json")
    pages = pages_of(sheets[:1], LABELS, tokenise)
    ((stretch, *_), *_) = EpochSampler(pages, 1000, 1, 1).epoch(0)
    ids, of, targets = tensors_of([stretch])
    assert (ids[0, 0], ids[0, -1]) == (CLS, SEP)
    assert [LABELS[i] for i in targets] == ["Cash", "Boxes", "Assets", OWN]
    heading = len(tokenise("things that we own").ids) + len(tokenise("balance").ids)
    assert (of[: 1 + heading] == -1).all()
    assert of[1 + heading] == 0


def test_the_mean_of_a_line_is_over_its_own_tokens() -> None:
    hidden = torch.tensor([[9.0], [1.0], [3.0], [5.0]])
    means = line_means(hidden, torch.tensor([-1, 0, 0, 1]), 2)
    assert means.tolist() == [[2.0], [5.0]]


def test_names_of_concepts_are_words() -> None:
    assert in_words("AccountsPayableCurrent") == "accounts payable current"
    assert in_words("IncomeFromLIFOInventory2") == "income from lifo inventory 2"


def test_lookup_takes_the_concept_of_most_companies(sheets: list[Sheet]) -> None:
    lookup = Lookup.learn(sheets, LABELS)
    assert lookup.of("balance_sheet", "JAZZ (note 3)") == ("Cash", 3)
    assert lookup.of("income", "jazz") == (None, 0)


def test_the_linear_model_learns_words(linear: Linear) -> None:
    other = Sheet(9, "f", "balance_sheet", ("big box",), ("Boxes",))
    (best,) = linear([(other, 0)])
    assert best[0][0] == "Boxes"
    assert len(best) == len(LABELS)


def test_predictions_contain_no_text(sheets: list[Sheet], tmp_path: Path) -> None:
    linear = learned(sheets[:2], LABELS, CONFIG["linear"])
    lookup = Lookup.learn(sheets[:2], LABELS)
    (first, *_) = found = list(predicted(linear, lookup, sheets[2:], LABELS))
    assert [one["concept"] for one in found] == ["Cash", "Boxes", "Assets", OWN]
    assert first["said"][0][0] == "Cash"
    assert (first["lookup"], first["users"], first["line"]) == ("Cash", 2, 1)
    assert "jazz" not in json.dumps(found)
    write_lines(tmp_path / "predictions-fold3.jsonl.gz", found)
    assert read_predictions(tmp_path, "predictions") == {3: found}


def test_a_training_of_another_recipe_is_not_resumed(
    folder: Path, base: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.line_concepts.train.CHECKPOINT", 1)
    short = {**CONFIG, "training": {**CONFIG["training"], "epochs": 1}}
    train(short, base[1], folder, "none", tmp_path)
    with pytest.raises(SystemExit, match="has another recipe"):
        train(CONFIG, base[1], folder, "none", tmp_path)


# Counting


def prediction(company: int, best: str, tenths: int) -> dict[str, Any]:
    """The prediction for a line of assets that lookup does not know."""
    return {
        "company": company, "filing": f"f{company}", "statement": "income", "line": tenths,
        "concept": "Assets", "said": [[best, tenths / 10], ["Cash", 0.01]], "lookup": None,
        "users": 0,
    }  # fmt: skip


MANY = [
    prediction(company, "Assets" if company % 10 < tenths else "Cash", tenths)
    for tenths in (2, 5, 8)
    for company in range(700)
]
SOME = [r for r in MANY if r["company"] < 200]
SURE = [["Assets", 0.99], ["Cash", 0.01]]
ADAPTER = [{**r, "said": SURE if r["company"] % 2 else r["said"]} for r in SOME]
WORSE = [{**r, "said": [["Cash", 1.0]]} for r in SOME]


def test_a_recount_only_changes_the_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / NAME / "1.0.0" / ConceptsManifest.FILE
    path.parent.mkdir(parents=True)
    before = {"labels": ["own"], "offset": 9, "slope": 9, "both_offset": 9, "both_slope": 9}
    for reader in ({}, {"file": "hash"}):
        path.write_text(json.dumps(before | {"reader": reader}))
        found = scores(MANY, ADAPTER, [0])
        monkeypatch.setattr(making, "count", lambda found=found: found)
        making.recount({"version": "1.0.0"}, tmp_path)
        after = read_json(path)
        both = found["adapter"]["calibration"]
        assert {key: after[key] for key in ("offset", "slope")} == found["calibration"]
        assert after["both_offset"] == (both["offset"] if reader else 9)
        assert after["labels"] == ["own"]
    monkeypatch.setattr(making, "count", lambda: scores(MANY, WORSE, [0]))
    with pytest.raises(SystemExit, match="not significantly better"):
        making.recount({"version": "1.0.0"}, tmp_path)


def test_the_figures_are_those_of_the_committed_predictions() -> None:
    assert json.loads(json.dumps(making.counted())) == read_json(FOLDER / SCORES)


def test_committed_predictions_carry_no_label() -> None:
    names = {"company", "filing", "statement", "line", "concept", "said", "lookup", "users"}
    parts = [read_predictions(FOLDER, name) for name in ("predictions", "adapter")]
    for found in chain(*(part.values() for part in parts)):
        assert all(one.keys() <= names for one in found)
        concepts = {name for one in found for name, _ in one["said"]}
        assert all(re.fullmatch(r"\w+", name) for name in concepts)
        assert len(found) > 10_000
