"""The experiments with training techniques, on small contracts of our own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.builders import note, run, toml, write_specialist
from tests.models.conftest import FILLER, LABELS, LAW, PAY, SETTINGS
from tests.support import library

library("torch")

import torch

from models.files import write_lines
from models.lora.train import Contract, Window
from models.techniques import __main__ as program
from models.techniques import bench as benches
from models.techniques import corrections, distillation, qlora, report, synthetic
from models.techniques.bench import Arm, Bench
from services.extraction.evaluation.metric import count

pytestmark = pytest.mark.training

CONFIG = SETTINGS | {
    "training": SETTINGS["training"] | {"dropout": 0.0, "checkpoint_every": 600},
    "teacher": {"rank": 4, "epochs": 0.2, "seed": 1, "stride": 24, "weight": 0.7},
}
FAMILIES = 12


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Contracts of twelve families to learn from and of two to predict, and unlabelled texts."""
    folder = tmp_path_factory.mktemp("legal")
    records = []
    for i in range(FAMILIES + 2):
        filler = " ".join([FILLER] * (6 + i % 3))
        text = f"Firm{i} {filler} {LAW} {filler} {PAY} {filler}"
        notes = [note("Law", text, LAW), note("Pay", text, PAY), note("Parties", text, f"Firm{i}")]
        record = {"id": f"c{i}", "fold": int(i < FAMILIES), "family": f"f{i}", "text": text}
        records.append(record | {"annotations": notes})
    write_lines(folder / "contracts.jsonl.gz", records)
    plain = [{"text": f"{'new words of no contract at all ' * 10}{i}\n"} for i in range(20)]
    for source in distillation.SOURCES:
        write_lines(folder / f"{source}.jsonl.gz", plain)
    return folder


@pytest.fixture
def bench(base: tuple[Path, Path], data: Path, tmp_path: Path) -> Bench:
    """A bench with one seed."""
    specialist = write_specialist(tmp_path / "specialist", toml(**CONFIG), LABELS)
    made = Bench.of(specialist, data, base[1], tmp_path / "work")
    torch.set_num_threads(1)
    return replace(made, seeds=(1,))


def test_every_experiment_fills_its_part_of_the_page_and_trains_once(
    bench: Bench,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(benches, "SEEDS", bench.seeds)
    monkeypatch.setattr(qlora, "model_folder", lambda: model)
    monkeypatch.setattr(benches, "RARE", FAMILIES + 4)
    monkeypatch.setattr(synthetic, "RARE", FAMILIES + 4)
    monkeypatch.setattr(synthetic, "AROUND", 150)
    monkeypatch.setattr(distillation, "PAGE", 300)
    monkeypatch.setattr(distillation, "PAGES", (2, 5))
    monkeypatch.setattr(report, "RESAMPLES", 20)
    monkeypatch.setattr(corrections, "HELD", 2)
    for module in (benches, corrections):
        monkeypatch.setattr(module, "UPDATE", 2)
    for module in (distillation, synthetic):
        monkeypatch.setattr(module, "SHORT", 0.1)
    page = tmp_path / "TECHNIQUES.md"
    (tmp_path / "techniques").mkdir()
    page.write_text(report.PAGE.read_text("utf-8"), encoding="utf-8")
    given = (bench.specialist, "--data", bench.data, "--base", bench.base, "--work", bench.work)
    run(program.main, *given, "--page", page, "--threads", 1)
    first, text = capsys.readouterr(), page.read_text("utf-8")
    assert "Not measured yet." not in text
    for name, experiment in program.EXPERIMENTS.items():
        assert f"\n<!-- {name} -->\n|  | steps | AUPR |" in text
        assert f"# {experiment.TITLE}\n" in text
        picture = (tmp_path / "techniques" / f"{name}.svg").read_text("utf-8")
        part = text.split(f"<!-- {name} -->")[1].split("<!--")[0]
        assert picture.count("<circle") == 2 * (part.count("\n| ") - 2), "a point for each value"
    run(program.main, *given, "--page", page, "--threads", 1)
    again = capsys.readouterr()
    assert again.out == first.out
    assert page.read_text("utf-8") == text
    assert "step" in first.err
    assert "step" not in again.err
    assert "predicting" not in again.err


def test_a_finished_training_of_another_recipe_is_refused(bench: Bench) -> None:
    (done,) = bench.by_labels(1)
    assert bench.by_labels(1) == [done]
    other = replace(bench, config=bench.config | {"adapter": {"rank": 2}})
    with pytest.raises(SystemExit, match="seed1 has another recipe"):
        other.by_labels(1)


def test_shares_are_of_families_and_nested_and_exclude_fold_0(bench: Bench) -> None:
    names = [{r["family"] for r in bench.records(0, share)} for share in (0.25, 0.5, 1.0)]
    assert names[0] < names[1] < names[2]
    assert len(names[2]) == FAMILIES
    later = {record["family"] for record in bench.records(0.25)}
    assert later == names[2] - names[0]
    assert not names[2] & {record["family"] for record in bench.tests}


def scored(confidence: float, wrong: float) -> Any:
    """Counts of two contracts with an answer of the first label: one right passage, one wrong."""
    one = count("Law", [("the laws of Utah", confidence), ("x", wrong)], ["the laws of Utah"])
    return np.stack([np.stack([one, np.zeros_like(one)])] * 2)


def test_figures_are_means_over_seeds_and_rare_ones_need_answers() -> None:
    good, bad = scored(0.9, 0.4), scored(0.4, 0.9)
    answers, weights = np.array([[1, 0], [1, 0]]), np.array([1, 1])
    assert report.areas(good, answers, weights, [0, 1]) == pytest.approx([1.0, 1.0])
    assert report.areas(bad, answers, weights, [0, 1]) == pytest.approx([0.5, 0.5])
    assert np.isnan(report.areas(bad, answers, weights, [1])[1])


def test_families_and_seeds_are_resampled_in_pairs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESAMPLES", 20)
    good, bad = scored(0.9, 0.4), scored(0.4, 0.9)
    first, second = report.rows(bench, [Arm("a", 1, [bad, bad]), Arm("b", 2, [good, bad])])
    assert first.values[0] == pytest.approx([0.25] * 3), "half of the answers are not found"
    assert second.values[0] == pytest.approx([0.375, 0.25, 0.5]), "the seeds differ"
    assert second.gains[0] == pytest.approx([0.125, 0.0, 0.25])
    assert "| b | 2 | 0.375 [0.250, 0.500] | +0.125 [+0.000, +0.250] |" in report.table(
        [first, second]
    )


# --- distillation -------------------------------------------------------------------------------


def test_unlabelled_pages_share_little_with_the_contracts(bench: Bench, data: Path) -> None:
    copied = bench.records()[0]["text"]
    fresh = "An entirely other text about ships and their captains on nine seas.\n" * 60
    known = set(distillation.sequences(copied))
    assert distillation.common(copied, known) == 1.0
    assert distillation.common(fresh, known) == 0.0
    pages = list(distillation.pages_of([fresh, fresh[:100]]))
    assert len(pages) == 1
    assert pages[0] in fresh + fresh


def test_pages_have_no_loss_against_labels(bench: Bench) -> None:
    ids = np.arange(8)
    windows = [Window(Contract(ids, []), 0), Window(Contract(ids, [], 8), 0)]
    loss = distillation.taught_loss(bench, np.full((16, 6), 0.4, np.float16), labelled=8)
    logits = torch.zeros(2, 8, 6, requires_grad=True)
    targets = torch.zeros(3, 2, 8, 2)
    changed = [targets.clone(), targets.clone()]
    changed[0][:, 0], changed[1][:, 1] = 1.0, 1.0
    plain, labelled, page = (loss(windows, logits, one).item() for one in (targets, *changed))
    assert page == pytest.approx(plain)
    assert labelled > plain
    loss(windows[1:], logits[1:], targets[:, 1:]).backward()
    assert (logits.grad[1] > 0).all(), "the teacher's 0.4 is below the student's 0.5"
    assert (logits.grad[0] == 0).all()


# --- synthetic data -----------------------------------------------------------------------------


def test_a_spliced_sentence_keeps_its_label_and_takes_names_and_amounts() -> None:
    clause = "Acme pays $500 and 5% to Bolt Inc, the Seller."
    source_text = f"Acme and Bolt Inc, the Seller, agree. Then more. {clause} And so on."
    source = {"family": "a", "text": source_text}
    names = [note("Parties", source_text, name) for name in ("Acme", "Bolt Inc", "Seller")]
    own = note("Pay", source_text, clause)
    source["annotations"] = [*names, own]  # type: ignore[assignment]
    other_text = "Zeta Corp buys for $9,000. " + "Nothing of note is said here. " * 200
    other = {"family": "b", "text": other_text}
    other["annotations"] = [note("Parties", other_text, "Zeta Corp")]  # type: ignore[assignment]
    draw = np.random.default_rng(0)
    made = synthetic.spliced(source, own, [source, other], {"Seller"}, draw)
    (label,) = made["annotations"]
    words = made["text"][label["start"] : label["end"]]
    assert words == "Zeta Corp pays $9,000 and 5% to Zeta, the Seller."
    assert label["category"] == "Pay"
    before, after = made["text"].split(words)
    assert len(before) > 500 < len(after)
    assert before[:50] in other_text
    assert after[-50:] in other_text


def test_a_name_in_several_contracts_is_a_role() -> None:
    records = [
        {"text": text, "annotations": [note("Parties", text, name) for name in (text, "Seller")]}
        for text in ("Acme Seller", "Bolt Seller", "Zeta Seller")
    ]
    assert synthetic.roles_in(records) == {"Seller"}


def test_rare_categories_are_filled_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "RARE", FAMILIES + 5)
    labels = [given["category"] for _, given in synthetic.needed(bench)]
    assert labels == ["Law"] * 5 + ["Pay"] * 5


# --- corrections --------------------------------------------------------------------------------


def test_held_out_families_are_not_learned(bench: Bench) -> None:
    learned, held = corrections.split(bench.records())
    assert len(learned) + len(held) == FAMILIES
    assert len(held) == 3
    assert not {r["family"] for r in learned} & {r["family"] for r in held}


def test_an_update_learns_as_many_old_contracts(bench: Bench, tmp_path: Path) -> None:
    (start,) = bench.by_labels(1, 0.25)
    corrected = bench.records(0.25)[:2]
    assert len(corrections.lesson(bench, corrected, start, 1).contracts) == 4


def test_only_better_categories_take_the_update(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The update is better for the second category only, and the third has no answer."""
    good, bad = scored(0.9, 0.4)[:, 0], scored(0.4, 0.9)[:, 0]
    old = np.stack([good, bad, bad], 1)
    new = np.stack([bad, good, good], 1)
    answers = np.array([[1, 1, 0]] * 2)
    assert corrections.is_better(old, new, answers).tolist() == [False, True, False]
    monkeypatch.setattr(Bench, "counts", lambda self, run, *_: old if run.name == "old" else new)
    monkeypatch.setattr(Bench, "answers", lambda self, records: answers)
    mixed = corrections.with_gates(bench, Path("old"), Path("new"), [], 0.1)
    assert np.array_equal(mixed, np.stack([good, good, bad], 1))
