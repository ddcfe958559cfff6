"""From two companies' statements to an adapter that names lines, and how that is counted."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import ROOT, library

library("torch")
library("onnx")

import torch

from models.export import trained_state
from models.lines import __main__ as making
from models.lines.adapter import EVERY, done, reader_of, said_by, ship_reader
from models.lines.card import card, text_of
from models.lines.corpus import Sheet, common, read_sheets
from models.lines.guesses import Lookup
from models.lines.predict import FOLDER, by_fold, keep, kept, learned, predicted
from models.lines.scores import (
    SCORES,
    calibration_error,
    confidence,
    fit_confidence,
    named_surely,
    reliability,
    scores,
    surely_better,
)
from models.lines.train import Course, in_words, line_means, pages_of, tensors_of, train
from models.lines.unseen import VERSION, Unseen, keep_model
from models.triage.filings import FOLDS, fold_of
from services.triage.naming import DATA_FILE, MANIFEST_FILE, NAME, OWN, READER, Namer, write
from services.triage.pieces import PieceReader
from services.triage.statements import read_filings
from services.triage.together import find_naming
from shared.artefacts import NoModel
from shared.inference import lazily
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
    """A line as the data has it."""
    if concept is None:
        return {"label": label, "values": [None], "heading": 1}
    return {"label": label, "values": [1], "concept": concept, "custom": int(concept == "Ours")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """statements.jsonl of three companies that call the same things the same."""
    where = tmp_path_factory.mktemp("finance")
    records = [
        {
            "id": f"f{cik}-balance_sheet-0",
            "cik": cik,
            "statement": "balance_sheet",
            "columns": [{"end": "20231231"}],
            "rows": [row(label, concept) for label, concept in LINES],
        }
        for cik in (1, 2, 3)
    ]
    text = "".join(json.dumps(record) + "\n" for record in records)
    (where / "statements.jsonl").write_text(text, encoding="utf-8")
    return where


@pytest.fixture(scope="module")
def sheets(folder: Path) -> list[Sheet]:
    """They as lines with concepts."""
    return list(read_sheets(folder / "statements.jsonl"))


@pytest.fixture(scope="module")
def run(folder: Path, base: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training on all of them."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("run")
    train(CONFIG, base[1], folder, "none", out)
    return out


@pytest.fixture(scope="module")
def reader(run: Path, base: tuple[Path, Path]) -> PieceReader:
    """The adapter as it would be served."""
    return reader_of(run, CONFIG, base[0])


def test_concepts_of_few_companies_are_their_own(sheets: list[Sheet]) -> None:
    """`Ours` is marked as the company's own; a concept of fewer than so many is no label."""
    assert common(sheets, 2) == LABELS
    assert common(sheets[:1], 2) == [OWN]
    assert sheets[0].concepts == (None, "Cash", "Boxes", "Assets", OWN)


def test_what_was_learned_is_served(sheets: list[Sheet], folder: Path, tmp_path: Path) -> None:
    """The linear model in numpy names the lines of the training as they were tagged."""
    linear = learned(sheets, LABELS, CONFIG["linear"])
    about: dict[str, Any] = {"labels": tuple(LABELS), "offset": 0.0, "slope": 1.0, "companies": 3}
    write(tmp_path / "line-concepts" / "1.0.0", *linear.numbers(), version="1.0.0",
          licence="ours", **about)  # fmt: skip
    (line, *_) = (folder / "statements.jsonl").read_bytes().splitlines()
    record = json.loads(line)
    for one in record["rows"]:
        one.pop("concept", None)
    (filing,) = read_filings(json.dumps({"statements": [record]}).encode(), "application/json")
    found = Namer.load(tmp_path).names(filing.statements[0])  # type: ignore[union-attr]
    assert [name and name.name for name in found] == [None, "Cash", "Boxes", "Assets", OWN]


def test_the_adapter_learns_the_same(reader: PieceReader, run: Path, sheets: list[Sheet]) -> None:
    """It is judged as it would be served; done once, it is not done again."""
    found = list(said_by(reader, sheets[:1]))
    assert [one["said"][0][0] for one in found] == ["Cash", "Boxes", "Assets", OWN]
    assert done(CONFIG, run)
    assert not done({**CONFIG, "adapter": {"rank": 8}}, run)


def test_the_adapter_ships_with_the_model_and_is_served(
    run: Path, sheets: list[Sheet], folder: Path, base: tuple[Path, Path], tmp_path: Path
) -> None:
    """Both are read from the artefact, name the lines together, and need the same labels."""
    linear = learned(sheets, LABELS, CONFIG["linear"])
    config = {**CONFIG, "version": "1.0.0"}
    place = tmp_path / NAME / "1.0.0"
    place.mkdir(parents=True)
    more: dict[str, Any] = {"reader": ship_reader(run, config, base[0], place), "companies": 3,
                            "offset": 0.0, "slope": 0.0, "both_offset": 9.0}  # fmt: skip
    write(place, *linear.numbers(), version="1.0.0", licence="ours", labels=tuple(LABELS), **more)
    lines = (folder / "statements.jsonl").read_bytes().splitlines()
    (filing,) = read_filings(b'{"statements": [%s]}' % lines[0], "application/json")
    statement = filing.statements[0]  # type: ignore[union-attr]
    specialists = lazily(base[0], 1, "int8")
    assert specialists() is specialists()
    naming = find_naming(tmp_path, lambda: specialists().base)
    assert naming is not None
    found = naming.names(statement)
    assert [name and name.name for name in found] == [None, "Cash", "Boxes", "Assets", OWN]
    assert found[1] is not None
    assert found[1].confidence > 0.99
    alone = naming.quick.names(statement)
    assert alone[1] is not None
    assert alone[1].confidence == 0.5
    assert PieceReader.load(place / READER / "1.0.0", specialists().base).labels == tuple(LABELS)


def test_a_training_that_was_cut_off_goes_on_and_ends_alike(
    run: Path, folder: Path, base: tuple[Path, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A checkpoint after every step, and the process dies in the middle."""
    monkeypatch.setattr("models.lines.train.CHECKPOINT", 1)
    steps = json.loads((run / "run.json").read_text(encoding="utf-8"))["steps"]
    seen = []

    def dying(lines: torch.Tensor, of: torch.Tensor, count: int) -> torch.Tensor:
        seen.append(count)
        if len(seen) == steps // 2:
            raise KeyboardInterrupt
        return line_means(lines, of, count)

    monkeypatch.setattr("models.lines.train.line_means", dying)
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, base[1], folder, "none", tmp_path)
    train(CONFIG, base[1], folder, "none", tmp_path)
    assert steps // 2 < len(seen) <= steps + 1  # none but that in which it died was done twice
    whole, again = trained_state(run), trained_state(tmp_path)
    assert all(np.array_equal(whole[name], again[name]) for name in whole)


def test_an_epoch_shows_every_line_of_one_filing_a_company(
    sheets: list[Sheet], base: tuple[Path, Path]
) -> None:
    """Cut anywhere between lines, and in another order every time."""
    pages = pages_of([*sheets, sheets[0]], LABELS, Tokeniser(base[1] / "tokenizer.json"))
    course = Course(pages, 60, 1, 1)
    for number in range(3):
        shown = [s for batch in course.epoch(number) for s in batch]
        lines = sorted((s.page.company, n) for s in shown for n in range(s.first, s.last))
        assert lines == [(cik, n) for cik in (1, 2, 3) for n in range(len(LINES))]


def test_tensors_have_each_line_at_its_tokens(sheets: list[Sheet], base: tuple[Path, Path]) -> None:
    """Between the ends of the window; tokens of headings belong to no line that is learned."""
    tokenise = Tokeniser(base[1] / "tokenizer.json")
    pages = pages_of(sheets[:1], LABELS, tokenise)
    ((stretch, *_), *_) = Course(pages, 1000, 1, 1).epoch(0)
    ids, of, targets = tensors_of([stretch])
    assert (ids[0, 0], ids[0, -1]) == (CLS, SEP)
    assert [LABELS[i] for i in targets] == ["Cash", "Boxes", "Assets", OWN]
    heading = len(tokenise("things that we own").ids) + len(tokenise("balance").ids)
    assert (of[: 1 + heading] == -1).all()
    assert of[1 + heading] == 0


def test_the_mean_of_a_line_is_over_its_own_tokens() -> None:
    """Tokens of no line count nowhere."""
    hidden = torch.tensor([[9.0], [1.0], [3.0], [5.0]])
    means = line_means(hidden, torch.tensor([-1, 0, 0, 1]), 2)
    assert means.tolist() == [[2.0], [5.0]]


def test_names_of_concepts_are_words() -> None:
    """Capitals that stand together are one word."""
    assert in_words("AccountsPayableCurrent") == "accounts payable current"
    assert in_words("IncomeFromLIFOInventory2") == "income from lifo inventory 2"


def test_lookup_takes_what_most_companies_mean(sheets: list[Sheet]) -> None:
    """Asides and digits of a label don't count, and a label that nobody has is not guessed."""
    lookup = Lookup.learn(sheets, LABELS)
    assert lookup.of("balance_sheet", "JAZZ (note 3)") == ("Cash", 3)
    assert lookup.of("income", "jazz") == (None, 0)


def test_the_linear_model_learns_words(sheets: list[Sheet]) -> None:
    """So it names a label that it has not seen by a word that it has."""
    linear = learned(sheets, LABELS, CONFIG["linear"])
    other = Sheet(9, "f", "balance_sheet", ("big box",), ("Boxes",))
    (best,) = linear([(other, 0)])
    assert best[0][0] == "Boxes"
    assert len(best) == len(LABELS)


def test_what_is_predicted_says_nothing_of_the_text(sheets: list[Sheet], tmp_path: Path) -> None:
    """Concepts, chances and places are kept, and come back as they were."""
    linear = learned(sheets[:2], LABELS, CONFIG["linear"])
    lookup = Lookup.learn(sheets[:2], LABELS)
    (first, *_) = found = list(predicted(linear, lookup, sheets[2:], LABELS))
    assert [one["concept"] for one in found] == ["Cash", "Boxes", "Assets", OWN]
    assert first["said"][0][0] == "Cash"
    assert (first["lookup"], first["users"], first["line"]) == ("Cash", 2, 1)
    assert "jazz" not in json.dumps(found)
    keep(tmp_path / "predictions-fold3.jsonl.gz", found)
    ((fold, path),) = by_fold(tmp_path, "predictions").items()
    assert fold == 3
    assert list(kept(path)) == found


def test_a_company_is_named_by_the_model_that_has_not_seen_it(
    sheets: list[Sheet], folder: Path, tmp_path: Path
) -> None:
    """Models of the folds that call the line differently are told apart by the company."""
    for fold in range(FOLDS):
        named = [OWN, f"Fold{fold}", "Other"]
        taught = [replace(s, concepts=(None, *[f"Fold{fold}"] * 4)) for s in sheets]
        linear = learned(taught, named, CONFIG["linear"])
        keep_model(tmp_path, fold, linear, len(sheets), named, "ours")
    unseen = Unseen(tmp_path)
    (line, *_) = (folder / "statements.jsonl").read_bytes().splitlines()
    (filing,) = read_filings(b'{"statements": [%s]}' % line, "application/json")
    for cik in range(20):
        (heading, name, *_) = unseen.names(cik, filing.statements[0])  # type: ignore[union-attr]
        assert heading is None
        assert name is not None
        assert name.name == f"Fold{fold_of(cik)}"
    (tmp_path / "fold4" / NAME / VERSION / MANIFEST_FILE).unlink()
    with pytest.raises(NoModel):
        Unseen(tmp_path)


def test_a_training_of_another_recipe_is_not_gone_on_with(
    folder: Path, base: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checkpoint is named, so that somebody removes it."""
    monkeypatch.setattr("models.lines.train.CHECKPOINT", 1)
    short = {**CONFIG, "training": {**CONFIG["training"], "epochs": 1}}
    train(short, base[1], folder, "none", tmp_path)
    with pytest.raises(SystemExit, match="is of another recipe"):
        train(CONFIG, base[1], folder, "none", tmp_path)


# Counting


def prediction(company: int, concept: str, said: str, chance: float, line: int) -> dict[str, Any]:
    """One that lookup does not know."""
    return {
        "company": company, "filing": f"f{company}", "statement": "income", "line": line,
        "concept": concept, "said": [[said, chance], ["Cash", 0.01]], "lookup": None, "users": 0,
    }  # fmt: skip


MANY = [
    prediction(
        company, "Assets", "Assets" if company % 10 < tenths else "Cash", tenths / 10, tenths
    )
    for tenths in (2, 5, 8)
    for company in range(700)
]


def test_figures_are_of_pairs_of_companies() -> None:
    """Half of these are right, none by lookup, and the card says so."""
    found = scores(MANY, [], [0])
    every = found["parts"]["all"]
    assert every["linear model"]["right"] == 0.5
    low, high = every["linear model"]["interval"]
    assert low < 0.5 < high
    assert every["exact lookup"]["right"] == 0
    assert every["top three"] == 0.5
    assert found["confusions"] == [["Assets", "Cash", 1050]]
    assert not surely_better(found)


def test_an_adapter_is_counted_on_the_pairs_that_both_name(artefact: Path) -> None:
    """It is right where the linear model is, and half as often where that is not."""
    some = [r for r in MANY if r["company"] < 200]
    sure = [["Assets", 0.99], ["Cash", 0.01]]
    adapter = [{**r, "said": sure if r["company"] % 2 else r["said"]} for r in some]
    found = scores(MANY, adapter, [0])
    beside = found["adapter"]
    every = beside["parts"]["all"]
    assert (beside["companies"], every["pairs"]) == (200, 600)
    assert every["linear model"]["right"] == 0.5
    assert every["adapter"]["right"] == every["both"]["right"] > 0.7
    assert beside["more"]["both than linear"][0] > 0
    assert beside["more"]["both than adapter"] == (0, 0)
    assert surely_better(found)
    worse = [{**r, "said": [["Cash", 1.0]]} for r in some]
    assert not surely_better(scores(MANY, worse, [0]))

    config = {**CONFIG, "version": "1.0.0"}
    run = {"config": config, "steps": 1, "seconds": 2, "number_type": "float32"}
    runs = {fold: {**run, "fold": fold} for fold in map(str, range(5))}
    text = card(found, config, {**runs, EVERY: {**run, "fold": EVERY}}, 4, artefact)
    assert "| all | 2,100 | 50.0%" in text
    assert "Both ship, for documents" in text
    assert "of the companies of fold 0" in text
    assert "`python -m models.lines --data FOLDER --folds 0`" in text
    alone = card(scores(MANY, worse, [0]), config, runs, 4, artefact)
    assert "so the linear model ships alone" in alone
    assert "still to be trained" in card(found, config, runs, 4, artefact)
    ways = {"first": 900, "median": 300, "slowest": 700}
    pace = {"filings": 9, "lines": 99, "base": 500, "linear model": ways, "both": ways}
    costly = card(found, config, runs, 4, artefact, pace)
    assert "Naming the 99 lines" in costly
    assert "600 for the adapter" in costly
    assert "No adapter was measured" in card(
        scores(MANY, [], [0, 1, 2, 3, 4]), config, {}, 4, artefact
    )


def test_what_is_counted_again_is_the_maps_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of what is kept are put into the artefact, unless both would not ship any more."""
    some = [r for r in MANY if r["company"] < 200]
    sure = [["Assets", 0.99], ["Cash", 0.01]]
    adapter = [{**r, "said": sure if r["company"] % 2 else r["said"]} for r in some]
    path = tmp_path / NAME / "1.0.0" / MANIFEST_FILE
    path.parent.mkdir(parents=True)
    before = {"labels": ["own"], "offset": 9, "slope": 9, "both_offset": 9, "both_slope": 9}
    for reader in ({}, {"file": "hash"}):
        path.write_text(json.dumps(before | {"reader": reader}))
        found = scores(MANY, adapter, [0])
        monkeypatch.setattr(making, "count", lambda found=found: found)
        making.recount({"version": "1.0.0"}, tmp_path)
        after = json.loads(path.read_text())
        both = found["adapter"]["calibration"]
        assert {key: after[key] for key in ("offset", "slope")} == found["calibration"]
        assert after["both_offset"] == (both["offset"] if reader else 9)
        assert after["labels"] == ["own"]
    worse = [{**r, "said": [["Cash", 1.0]]} for r in some]
    monkeypatch.setattr(making, "count", lambda: scores(MANY, worse, [0]))
    with pytest.raises(SystemExit, match="not surely better"):
        making.recount({"version": "1.0.0"}, tmp_path)


def test_the_card_names_the_commands_that_made_it() -> None:
    """Written again of the kept figures, it comes out the same."""
    text = (FOLDER / "CARD.md").read_text("utf-8")
    assert text_of(ROOT / "models" / "artefacts") == text


def test_the_figures_are_of_the_predictions_that_are_kept() -> None:
    """Counted again they come out the same."""
    records = [r for path in by_fold(FOLDER, "predictions").values() for r in kept(path)]
    read = [r for path in by_fold(FOLDER, "adapter").values() for r in kept(path)]
    known = json.loads((FOLDER / SCORES).read_text("utf-8"))
    found = scores(records, read, known["folds"])
    assert json.loads(json.dumps(found)) == known


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    """The folder of an artefact, for its size."""
    (tmp_path / DATA_FILE).write_bytes(bytes(1_000_000))
    return tmp_path


def test_confidence_is_the_share_that_is_right() -> None:
    """Chances that are what they say stay so; those that are too sure are drawn down."""
    sure = [{**r, "said": [[r["said"][0][0], 1 - (1 - r["said"][0][1]) / 4]]} for r in MANY]
    weights = fit_confidence(sure)
    said = np.array([r["said"][0][1] for r in sure])
    right = np.array([r["said"][0][0] == r["concept"] for r in sure], float)
    assert calibration_error(said, right) > 0.2
    assert calibration_error(confidence(said, weights), right) < 0.05


def test_reliability_and_what_is_named_surely() -> None:
    """Two tenths, and from 0.95 on all are right."""
    confident = np.array([0.95, 0.95, 0.15, 0.15])
    right = np.array([1.0, 1.0, 0.0, 1.0])
    assert reliability(confident, right) == [(0.15, 0.5, 2), (0.95, 1.0, 2)]
    assert named_surely(confident, right, 0.98) == (0.95, 0.5)
    assert named_surely(confident, np.zeros(4), 0.98) is None


def test_committed_predictions_carry_no_label() -> None:
    """Where a line stands and which concepts were said of it, and no word of a filing."""
    names = {"company", "filing", "statement", "line", "concept", "said", "lookup", "users"}
    paths = [*by_fold(FOLDER, "predictions").values(), *by_fold(FOLDER, "adapter").values()]
    for path in paths:
        found = list(kept(path))
        assert all(one.keys() <= names for one in found)
        concepts = {name for one in found for name, _ in one["said"]}
        assert all(re.fullmatch(r"\w+", name) for name in concepts)
        assert len(found) > 10_000
