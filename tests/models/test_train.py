"""Train a specialist on two small contracts, kill and resume the training, export and serve it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support import library

library("torch")
library("onnx")

import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file

from models.clauses.arithmetic import (
    compare,
    served_form,
    tagger_of,
    torch_form,
    torch_probabilities,
)
from models.corpus import read_records
from models.files import read_json
from models.lora.encoder import Dropout, LoraLinear, Tagger, attention
from models.lora.export import TRAINED_FILE, export, trained_state
from models.lora.teach import probabilities, tagger_of_run
from models.lora.train import Contract, EpochSampler, Window, learning_rate, tensors_of, train
from models.lora.train import main as train_main
from services.extraction.evaluation.metric import matches
from services.extraction.pipeline.search import find_clauses
from shared.inference import Specialists
from shared.inference.tokeniser import Tokeniser
from tests.models.builders import run as run_main
from tests.models.builders import toml, write_specialist
from tests.models.conftest import CONFIG, FILLER, LABELS, LAW, SETTINGS
from tests.support import ROOT

pytestmark = pytest.mark.training

LONG = SETTINGS["training"] | {"epochs": 24.0}
TAUGHT = SETTINGS | {"training": LONG, "teacher": {"stride": 12, "weight": 1.0}}
SHORT = SETTINGS | {"training": SETTINGS["training"] | {"epochs": 0.5}}


@pytest.fixture(scope="module")
def run(base: tuple[Path, Path], data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished training on both contracts."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    train(SETTINGS, LABELS, base[1], data, "none", folder)
    return folder


@pytest.fixture(scope="module")
def artefacts(run: Path, base: tuple[Path, Path]) -> Path:
    """The artefacts with the trained adapter exported into them."""
    export("small", trained_state(run), LABELS, SETTINGS, {}, "1.0.0", base[0])
    return base[0]


def test_a_killed_training_goes_on_to_the_same_weights(
    run: Path, base: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ["--base", base[1], "--data", data, "--out", out, "--threads", "1"]
    specialist = write_specialist(tmp_path, CONFIG, LABELS)
    line = [sys.executable, "-m", "models.lora.train", str(specialist), *map(str, options)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    steps: list[int] = []
    for _ in range(2):
        process = subprocess.Popen(line, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        checkpoint, before = out / "checkpoint.pt", steps[-1] if steps else 0
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and process.poll() is None:
            if checkpoint.exists() and torch.load(checkpoint)["step"] > before + 2:
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        steps.append(torch.load(checkpoint)["step"])
    total = read_json(run / "run.json")["steps"]
    assert 0 < steps[0] < steps[1] < total, "killed too late to show anything"

    subprocess.run(line, cwd=ROOT, env=environment, check=True, stderr=subprocess.DEVNULL)
    whole, resumed = (load_file(folder / "adapter.safetensors") for folder in (run, out))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def sampler(alarmed: int | None = None, seed: int = 3) -> EpochSampler:
    """A sampler of two contracts of 100 tokens: one with a passage, one perhaps with an alarm."""
    ids = np.arange(100)
    made = EpochSampler([Contract(ids, [(0, 42, 44)]), Contract(ids, [], 100)], 10, 0.5, seed)
    if alarmed is not None:
        made.alarm[:] = 0
        made.alarm[alarmed] = 1
        made.restore({"epoch": 1, "place": 0, "begun": made.alarm.clone(), "alarm": made.alarm})
    return made


def starts(windows: list[Window]) -> list[tuple[int, int]]:
    return sorted((w.contract.place + w.start, w.contract.place) for w in windows)


def test_an_epoch_shows_every_passage_and_cuts_at_new_places() -> None:
    made = sampler()
    first = made.batch(len(made))
    second = made.batch(len(made))
    assert any(not w.is_empty(10) for w in first)
    assert starts(first) != starts(second)
    for windows in (first, second):
        covered = {t for w in windows if not w.is_empty(10) for t in range(w.start, w.start + 10)}
        assert {42, 43} <= covered


def test_empty_windows_are_rather_the_alarming_ones() -> None:
    shown = {150: 0, 120: 0}
    for seed in range(20):
        made = sampler(alarmed=150, seed=seed)
        windows = starts(made.batch(len(made)))
        for token in shown:
            shown[token] += any(start <= token < start + 10 for start, _ in windows)
    assert shown[150] == 20
    assert 3 < shown[120] < 17, "of the others about half"


def test_false_alarms_of_the_model_are_remembered() -> None:
    made = sampler()
    batch = made.batch(1)
    logits = torch.full((1, 10, 2), -20.0)
    logits[0, 3, 1] = 20.0
    made.note(batch, logits)
    place = batch[0].contract.place + batch[0].start
    assert made.alarm[place : place + 10].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]


def test_a_sampler_resumes_where_it_stopped() -> None:
    one, two = sampler(), sampler()
    for _ in range(5):
        one.note(batch := one.batch(4), torch.zeros(len(batch), 10, 2))
    two.restore({k: v.clone() if hasattr(v, "clone") else v for k, v in one.state().items()})
    assert [starts(one.batch(4)) for _ in range(8)] == [starts(two.batch(4)) for _ in range(8)]


def test_targets_say_inside_first_and_last() -> None:
    contract = Contract(np.arange(20), [(0, 3, 8), (1, 5, 6)])
    _, targets = tensors_of([Window(contract, 4)], content=5, labels=2)
    inside, opening, closing = targets[:, 0].numpy()
    assert inside.T.tolist() == [[1, 1, 1, 1, 0], [0, 1, 0, 0, 0]]
    assert opening.T.tolist() == [[0, 0, 0, 0, 0], [0, 1, 0, 0, 0]]
    assert closing.T.tolist() == [[0, 0, 0, 1, 0], [0, 1, 0, 0, 0]]


def test_training_learns_the_two_sentences(artefacts: Path, data: Path) -> None:
    specialist = Specialists(artefacts, threads=1).get("small")
    text = " ".join([FILLER] * 8 + [LAW] + [FILLER] * 8)
    best = max(find_clauses(text, specialist, all_candidates=True), key=lambda c: c.confidence)
    assert best.category == "Law"
    assert matches("Law", best.text, LAW)


def test_the_exported_adapter_answers_like_torch(
    run: Path, base: tuple[Path, Path], artefacts: Path
) -> None:
    specialist = Specialists(artefacts, threads=1, arithmetic="int4").get("small")
    text = " ".join([FILLER, LAW, *[FILLER] * 6])
    served = specialist.token_probabilities(text)

    weights = load_file(base[1] / "dequantised.safetensors")
    tagger = tagger_of(weights, trained_state(run), SETTINGS["adapter"]["rank"])
    tokens = Specialists(artefacts, threads=1).base.tokeniser(text)
    windows = SETTINGS["windows"]["length"], SETTINGS["windows"]["stride"]
    inside, opening, closing = np.split(torch_probabilities(tagger, tokens, *windows), 3, axis=1)
    pairs = (served.probabilities, inside), (served.openings, opening), (served.closings, closing)
    assert all(one is not None and np.abs(one - other).max() < 1e-3 for one, other in pairs)
    assert served.probabilities.max() > 0.3  # there is something to agree on


def test_a_student_says_what_its_teacher_says(
    run: Path, base: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    student = tmp_path / "student"
    train(TAUGHT, LABELS[::-1], base[1], data, "none", student, teacher=run)

    weights = load_file(base[1] / "dequantised.safetensors")
    text = " ".join([FILLER, LAW, *[FILLER] * 6])
    ids = Tokeniser(base[1] / "tokenizer.json")(text).ids
    one, two = (
        probabilities(tagger_of_run(folder, weights, "none"), ids, 32, 24)
        for folder in (run, student)
    )
    assert one.max() > 0.5
    assert np.corrcoef(one.ravel(), two.ravel())[0, 1] > 0.9, "the labels alone say the opposite"
    assert not (student / "soft-labels.npy").exists()


def test_a_teacher_must_not_have_seen_the_fold(
    run: Path, base: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match="it can't teach without fold 0"):
        train(TAUGHT, LABELS, base[1], data, "0", tmp_path, teacher=run)


def test_the_teacher_is_trained_first(base: tuple[Path, Path], data: Path, tmp_path: Path) -> None:
    own = {"rank": 2, "epochs": 0.5, "seed": 3, "stride": 24, "weight": 0.7}
    specialist = write_specialist(tmp_path, toml(**SHORT, teacher=own), LABELS)
    out = tmp_path / "out"
    run_main(train_main, specialist, "--base", base[1], "--data", data, "--out", out)
    ranks = [
        read_json(folder / "run.json")["config"]["adapter"]["rank"]
        for folder in (out / "teacher", out)
    ]
    assert ranks == [2, 4]

    write_specialist(tmp_path, toml(**SHORT, teacher=own | {"rank": 3}), LABELS)
    (out / "checkpoint.pt").unlink()
    with pytest.raises(SystemExit, match="teacher has another recipe"):
        run_main(train_main, specialist, "--base", base[1], "--data", data, "--out", out)


def test_lora_is_that_of_peft() -> None:
    peft = library("peft")
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(6, 8, generator=generator), torch.randn(6, generator=generator)
    ours = LoraLinear(weight, bias, rank=2)
    with torch.no_grad():
        ours.b.normal_(generator=generator)
    plain = torch.nn.Sequential(torch.nn.Linear(8, 6))
    plain[0].load_state_dict({"weight": weight, "bias": bias})
    theirs = peft.get_peft_model(
        plain, peft.LoraConfig(r=2, lora_alpha=2, lora_dropout=0.0, target_modules=["0"])
    )
    layer = theirs.base_model.model[0]
    with torch.no_grad():
        layer.lora_A["default"].weight.copy_(ours.a[0])
        layer.lora_B["default"].weight.copy_(ours.b[0])
        x = torch.randn(5, 8, generator=generator)
        assert torch.allclose(ours(x), theirs(x), atol=1e-6)


def test_the_left_out_fold_is_not_read_and_another_recipe_is_not_resumed(
    base: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    train(SHORT, LABELS, base[1], data, "0", tmp_path)
    assert read_json(tmp_path / "run.json")["contracts"] == 1
    with pytest.raises(SystemExit, match=r"checkpoint\.pt has another recipe; remove it"):
        train(SETTINGS, LABELS, base[1], data, "0", tmp_path)


def test_a_training_begins_with_another_adapter(
    run: Path, base: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    still = SHORT | {"training": SHORT["training"] | {"learning_rate": 1e-9}}
    train(still, ["One"], base[1], data, "none", tmp_path, start=run)
    theirs, ours = trained_state(run), trained_state(tmp_path)
    assert theirs.keys() == ours.keys()
    for name, value in theirs.items():
        if name.startswith("head."):
            assert ours[name].shape != value.shape
        else:
            assert np.allclose(ours[name], value, atol=1e-6)


def test_a_shipped_adapter_is_read_back_and_stored_as_it_was_trained(
    run: Path, base: tuple[Path, Path], tmp_path: Path
) -> None:
    state = trained_state(run)
    folder = export("whole", state, LABELS, SETTINGS, {}, "1.0.0", base[0])
    shipped = trained_state(folder)
    save_file(shipped, tmp_path / TRAINED_FILE)
    stored = trained_state(tmp_path)
    assert shipped.keys() == stored.keys() == state.keys()
    for name, value in state.items():
        assert np.array_equal(shipped[name], value), name
        assert np.array_equal(stored[name], value), name


def test_dropout_zeroes_its_share_and_keeps_the_mean() -> None:
    torch.manual_seed(3)
    drop = Dropout(0.25, 40_000, torch.float32)
    ones = torch.ones(100, 400)
    first, second = drop(ones), drop(ones)
    for dropped in (first, second):
        assert sorted(dropped.unique().tolist()) == pytest.approx([0.0, 4 / 3])
        assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
        assert float(dropped.mean()) == pytest.approx(1.0, abs=0.03)
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    assert torch.equal(Dropout(0.25, 40_000, torch.float32)(ones), first)


def test_dropout_is_for_training_alone(base: tuple[Path, Path]) -> None:
    weights = load_file(base[1] / "dequantised.safetensors")
    tagger = Tagger(weights, 4, 2)
    ids = torch.randint(0, len(weights["embeddings.word_embeddings.weight"]), (2, 16))
    drop = Dropout(0.1, ids.numel() * tagger.shape.width, torch.float32)
    with torch.no_grad():
        assert torch.equal(tagger(ids), tagger(ids))
        assert not torch.equal(tagger(ids, drop), tagger(ids, drop))


def test_the_learning_rate_rises_and_falls_to_zero() -> None:
    rates = [learning_rate(step, 100, 0.1, 1.0) for step in range(100)]
    assert max(rates) == rates[9] == 1.0
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] < 0.02


@pytest.mark.parametrize("parts", [1, 3])
def test_the_derivative_of_an_adapted_map_is_that_of_its_definition(parts: int) -> None:
    torch.manual_seed(5)
    layer = LoraLinear(torch.randn(6, 4), torch.randn(6), 2, parts).double()
    torch.nn.init.normal_(layer.b)
    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    low = (x @ layer.a.flatten(0, 1).t()).unflatten(1, (parts, 2))
    added = torch.einsum("npr,por->npo", low, layer.b).flatten(1)
    expected = x @ layer.weight.t() + layer.bias + added
    torch.testing.assert_close(layer(x), expected)
    weights = torch.randn_like(expected)
    inputs = (x, layer.a, layer.b)
    ours, theirs = (
        torch.autograd.grad((value * weights).sum(), inputs) for value in (layer(x), expected)
    )
    torch.testing.assert_close(ours, theirs)


def test_the_derivative_of_attention_is_that_of_its_definition() -> None:
    torch.manual_seed(6)
    qkv = torch.randn(6, 24, dtype=torch.float64, requires_grad=True)
    q, k, v = (part.reshape(2, 3, 2, 4).transpose(1, 2) for part in qkv.split(8, dim=1))
    plain = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(attention(qkv, 2, 2), plain.transpose(1, 2).reshape(6, 8))
    assert torch.autograd.gradcheck(lambda x: attention(x, 2, 2), (qkv,))


def test_the_forms_of_the_base_are_compared_on_the_same_contracts(
    run: Path, artefacts: Path, base: tuple[Path, Path], data: Path
) -> None:
    specialists = Specialists(artefacts, threads=1, arithmetic="int4")
    served = specialists.get("small")
    given = served.manifest, specialists.base.tokeniser
    state = trained_state(run)
    silent = state | {"head.bias": state["head.bias"] - 100}
    weights = load_file(base[1] / "dequantised.safetensors")
    forms = {
        name: torch_form(*given, tagger_of(weights, adapter, SETTINGS["adapter"]["rank"]))
        for name, adapter in (("torch", state), ("silent", silent))
    }
    records = list(read_records(data, SETTINGS["data"]))
    result = compare(records, *given, {"served": served_form(served), **forms})
    found = result["forms"]
    assert result["contracts"] == len(records)
    assert found["served"]["largest_difference"] == 0
    assert 0 < found["torch"]["largest_difference"] < 1e-4
    assert found["torch"]["aupr"] == pytest.approx(found["served"]["aupr"])
    assert found["served"]["best_f1"] > 0.5
    assert found["silent"]["best_f1"] == 0
    assert found["silent"]["largest_difference"] > 0.5
