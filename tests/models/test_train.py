"""From two small contracts to a served specialist: training, killing, resuming, exporting."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tests.support import library

library("torch")
library("onnx")

import torch
from safetensors.torch import load_file

from models.compare import compare, served_form, tagger_of, torch_form
from models.corpus import read_records
from models.encoder import Dropout, LoraLinear, Tagger, attention
from models.export import export, trained_state
from models.metric import matches
from models.strides import tried
from models.train import Contract, Course, Window, learning_rate, tensors_of, train
from services.extraction.pipeline import find_clauses
from shared.inference import Specialists
from shared.inference.windows import window_starts
from tests.models.conftest import CONFIG, FILLER, LAW, PAY
from tests.support import ROOT

pytestmark = pytest.mark.training

PARSED = tomllib.loads(CONFIG)


@pytest.fixture(scope="module")
def run(base: tuple[Path, Path], data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that nobody interrupted, on both contracts."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    train(PARSED, ["Law", "Pay"], base[1], data, "none", folder)
    return folder


@pytest.fixture(scope="module")
def artefacts(run: Path, base: tuple[Path, Path]) -> Path:
    """The artefacts with the trained adapter exported into them."""
    export("small", trained_state(run), ["Law", "Pay"], PARSED, {}, "1.0.0", base[0])
    return base[0]


def command(base: tuple[Path, Path], data: Path, config: Path, out: Path) -> list[str]:
    """Return the command line of the same training."""
    options = ["--base", str(base[1]), "--data", str(data), "--out", str(out), "--threads", "1"]
    return [sys.executable, "-m", "models.train", str(config), *options]


def test_a_killed_training_goes_on_to_the_same_weights(
    run: Path, base: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    """Killed twice without warning, the third start ends with exactly the uninterrupted weights."""
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "labels.json").write_text('["Law", "Pay"]', encoding="utf-8")
    out = tmp_path / "out"
    line = command(base, data, tmp_path, out)
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
    total = json.loads((run / "run.json").read_text(encoding="utf-8"))["steps"]
    assert 0 < steps[0] < steps[1] < total, "killed too late to show anything"

    subprocess.run(line, cwd=ROOT, env=environment, check=True, stderr=subprocess.DEVNULL)
    whole, resumed = (load_file(folder / "adapter.safetensors") for folder in (run, out))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def course(alarmed: int | None = None, seed: int = 3) -> Course:
    """Return a course over two contracts of 100 tokens, ten to a window, half of the empty ones.

    The first has one passage, the second none; the model may take one token for a passage.
    """
    ids = np.arange(100)
    made = Course([Contract(ids, [(0, 42, 44)]), Contract(ids, [], 100)], 10, 0.5, seed)
    if alarmed is not None:
        made.alarm[:] = 0
        made.alarm[alarmed] = 1
        made.restore({"epoch": 1, "place": 0, "begun": made.alarm.clone(), "alarm": made.alarm})
    return made


def starts(windows: list[Window]) -> list[tuple[int, int]]:
    """Return where windows lie among all tokens, in order."""
    return sorted((w.contract.place + w.start, w.contract.place) for w in windows)


def test_an_epoch_shows_every_passage_and_cuts_anew() -> None:
    """No epoch leaves a labelled window out, and the next one cuts elsewhere."""
    made = course()
    first = made.batch(len(made))
    second = made.batch(len(made))
    assert any(not w.is_empty(10) for w in first)
    assert starts(first) != starts(second)
    for windows in (first, second):
        covered = {t for w in windows if not w.is_empty(10) for t in range(w.start, w.start + 10)}
        assert {42, 43} <= covered


def test_empty_windows_are_rather_the_alarming_ones() -> None:
    """Where the model took something for a passage, an empty window is shown again."""
    shown = {150: 0, 120: 0}
    for seed in range(20):
        made = course(alarmed=150, seed=seed)
        windows = starts(made.batch(len(made)))
        for token in shown:
            shown[token] += any(start <= token < start + 10 for start, _ in windows)
    assert shown[150] == 20
    assert 3 < shown[120] < 17, "of the others about half"


def test_what_the_model_took_for_a_passage_is_remembered() -> None:
    """Noted by token, whatever the window."""
    made = course()
    batch = made.batch(1)
    logits = torch.full((1, 10, 2), -20.0)
    logits[0, 3, 1] = 20.0
    made.note(batch, logits)
    place = batch[0].contract.place + batch[0].start
    assert made.alarm[place : place + 10].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]


def test_a_course_goes_on_where_it_stood() -> None:
    """Restored in the middle of an epoch, it shows the same windows as one that never stopped."""
    one, two = course(), course()
    for _ in range(5):
        one.note(batch := one.batch(4), torch.zeros(len(batch), 10, 2))
    two.restore({k: v.clone() if hasattr(v, "clone") else v for k, v in one.state().items()})
    assert [starts(one.batch(4)) for _ in range(8)] == [starts(two.batch(4)) for _ in range(8)]


def test_targets_say_inside_first_and_last() -> None:
    """A passage that a window cuts has no end there; another's only token is both ends."""
    contract = Contract(np.arange(20), [(0, 3, 8), (1, 5, 6)])
    _, targets = tensors_of([Window(contract, 4)], content=5, labels=2)
    inside, opening, closing = targets[:, 0].numpy()
    assert inside.T.tolist() == [[1, 1, 1, 1, 0], [0, 1, 0, 0, 0]]
    assert opening.T.tolist() == [[0, 0, 0, 0, 0], [0, 1, 0, 0, 0]]
    assert closing.T.tolist() == [[0, 0, 0, 1, 0], [0, 1, 0, 0, 0]]


def test_training_learns_the_two_sentences(artefacts: Path, data: Path) -> None:
    """The served specialist finds the law in a contract that it was shown."""
    specialist = Specialists(artefacts, threads=1).get("small")
    text = " ".join([FILLER] * 8 + [LAW] + [FILLER] * 8)
    best = max(find_clauses(text, specialist, all_candidates=True), key=lambda c: c.confidence)
    assert best.category == "Law"
    assert matches("Law", best.text, LAW)


def test_the_exported_adapter_answers_like_torch(
    run: Path, base: tuple[Path, Path], artefacts: Path
) -> None:
    """Served probabilities equal torch's, window by window, to a thousandth."""
    specialist = Specialists(artefacts, threads=1, arithmetic="int4").get("small")
    text = " ".join([FILLER, LAW, *[FILLER] * 6])
    served = specialist.token_probabilities(text)

    tagger = Tagger(load_file(base[1] / "dequantised.safetensors"), rank=4, labels=6)
    tagger.load_state_dict(load_file(run / "adapter.safetensors"))
    ids = Specialists(artefacts, threads=1).base.tokeniser(text).ids
    content = PARSED["windows"]["length"] - 2
    total, weight = np.zeros((len(ids), 6)), np.zeros((len(ids), 1))
    triangle = np.minimum(np.arange(1, content + 1), np.arange(content, 0, -1))[:, None]
    for start in window_starts(len(ids), content, PARSED["windows"]["stride"]):
        window = torch.tensor([[101, *ids[start : start + content], 102]])
        with torch.no_grad():
            probabilities = tagger(window).sigmoid()[0, 1:-1].numpy()
        total[start : start + content] += triangle * probabilities
        weight[start : start + content] += triangle
    inside, opening, closing = np.split(total / weight, 3, axis=1)
    assert served.openings is not None
    assert served.closings is not None
    assert np.abs(served.probabilities - inside).max() < 1e-3
    assert np.abs(served.openings - opening).max() < 1e-3
    assert np.abs(served.closings - closing).max() < 1e-3
    assert served.probabilities.max() > 0.3  # there is something to agree on


def test_two_adapters_on_one_base_do_not_mix(run: Path, artefacts: Path) -> None:
    """A second adapter gives other answers, and the first the same as before."""
    state = trained_state(run)
    state["head.bias"] = state["head.bias"] + 1.0
    export("other", state, ["Law", "Pay"], PARSED, {}, "1.0.0", artefacts)
    specialists = Specialists(artefacts, threads=1)
    first = specialists.get("small").token_probabilities(PAY).probabilities
    other = specialists.get("other").token_probabilities(PAY).probabilities
    again = specialists.get("small").token_probabilities(PAY).probabilities
    assert (other > first).all()
    assert np.array_equal(first, again)


def test_lora_is_that_of_peft() -> None:
    """The same matrices in a `peft` layer give the same output."""
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


def test_the_left_out_fold_is_not_read(base: tuple[Path, Path], data: Path, tmp_path: Path) -> None:
    """Leaving out a fold trains on one contract of the two."""
    short = PARSED | {"training": PARSED["training"] | {"epochs": 0.5}}
    train(short, ["Law", "Pay"], base[1], data, "0", tmp_path)
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["contracts"] == 1


def test_a_checkpoint_of_another_recipe_is_refused(
    base: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    """A changed setting doesn't go on from weights that were trained with the old one."""
    short = PARSED | {"training": PARSED["training"] | {"epochs": 0.5}}
    train(short, ["Law", "Pay"], base[1], data, "0", tmp_path)
    with pytest.raises(SystemExit, match=r"checkpoint\.pt is of another recipe; remove it"):
        train(PARSED, ["Law", "Pay"], base[1], data, "0", tmp_path)


def test_a_training_begins_with_another_adapter(
    run: Path, base: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    """Hardly trained, the adapter is still the other one's, and the head isn't."""
    still = PARSED | {"training": PARSED["training"] | {"epochs": 0.5, "learning_rate": 1e-9}}
    train(still, ["One"], base[1], data, "none", tmp_path, start=run)
    theirs, ours = trained_state(run), trained_state(tmp_path)
    assert theirs.keys() == ours.keys()
    for name, value in theirs.items():
        if name.startswith("head."):
            assert ours[name].shape != value.shape
        else:
            assert np.allclose(ours[name], value, atol=1e-6)


def test_a_shipped_adapter_is_read_back_as_it_was_trained(
    run: Path, base: tuple[Path, Path]
) -> None:
    """Another training can begin with it, where the run it came from is gone."""
    state = trained_state(run)
    folder = export("whole", state, ["Law", "Pay"], PARSED, {}, "1.0.0", base[0])
    shipped = trained_state(folder)
    assert shipped.keys() == state.keys()
    for name, value in state.items():
        assert np.array_equal(shipped[name], value), name


def test_dropout_zeroes_its_share_and_keeps_the_mean() -> None:
    """Another stretch of the mask each time, and the same ones after the same seed."""
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
    """Without it the encoder answers the same each time, with it another each time."""
    weights = load_file(base[1] / "dequantised.safetensors")
    tagger = Tagger(weights, 4, 2)
    ids = torch.randint(0, len(weights["embeddings.word_embeddings.weight"]), (2, 16))
    drop = Dropout(0.1, ids.numel() * tagger.shape.width, torch.float32)
    with torch.no_grad():
        assert torch.equal(tagger(ids), tagger(ids))
        assert not torch.equal(tagger(ids, drop), tagger(ids, drop))


def test_the_learning_rate_rises_and_falls_to_zero() -> None:
    """It peaks after the warm-up and is nearly zero in the last step."""
    rates = [learning_rate(step, 100, 0.1, 1.0) for step in range(100)]
    assert max(rates) == rates[9] == 1.0
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] < 0.02


@pytest.mark.parametrize("parts", [1, 3])
def test_the_derivative_of_an_adapted_map_is_that_of_its_definition(parts: int) -> None:
    """W x + b + B (A x): value and derivatives, each in numbers of 64 bits."""
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
    ours = torch.autograd.grad((layer(x) * weights).sum(), inputs)
    for mine, theirs in zip(
        ours, torch.autograd.grad((expected * weights).sum(), inputs), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_the_derivative_of_attention_is_that_of_its_definition() -> None:
    """Two windows of three tokens, two heads of four: value and derivative against torch's own."""
    torch.manual_seed(6)
    qkv = torch.randn(6, 24, dtype=torch.float64, requires_grad=True)
    q, k, v = (
        part.reshape(2, 3, 2, 4).transpose(1, 2) for part in qkv.split(8, dim=1)
    )  # each [windows, heads, length, width of a head]
    plain = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(attention(qkv, 2, 2), plain.transpose(1, 2).reshape(6, 8))
    assert torch.autograd.gradcheck(lambda x: attention(x, 2, 2), (qkv,))


def test_the_forms_of_the_base_are_compared_on_the_same_contracts(
    run: Path, artefacts: Path, base: tuple[Path, Path], data: Path
) -> None:
    """INT4 equals torch with the same numbers; another head finds another share of the answers."""
    specialists = Specialists(artefacts, threads=1, arithmetic="int4")
    served = specialists.get("small")
    given = served.manifest, specialists.base.tokeniser
    state = trained_state(run)
    silent = state | {"head.bias": state["head.bias"] - 100}
    weights = load_file(base[1] / "dequantised.safetensors")
    forms = {
        name: torch_form(*given, tagger_of(weights, adapter, PARSED["adapter"]["rank"]))
        for name, adapter in (("torch", state), ("silent", silent))
    }
    records = list(read_records(data, PARSED["data"]))
    result = compare(records, *given, {"served": served_form(served), **forms})
    found = result["forms"]
    assert result["contracts"] == len(records)
    assert found["served"]["largest_difference"] == 0
    assert 0 < found["torch"]["largest_difference"] < 1e-4
    assert found["torch"]["aupr"] == pytest.approx(found["served"]["aupr"])
    assert found["served"]["best_f1"] > 0.5
    assert found["silent"]["best_f1"] == 0
    assert found["silent"]["largest_difference"] > 0.5


def test_strides_are_tried_on_the_served_path(artefacts: Path, data: Path) -> None:
    """Where windows do not overlap, each token is read about once; more is read with less."""
    specialist = Specialists(artefacts, threads=1).get("small")
    before = specialist.manifest
    records = list(read_records(data, PARSED["data"]))
    found = tried(specialist, records, [8, 32])
    assert specialist.manifest is before
    often, once = (float(name.split()[2]) for name in found)
    assert once < 1.1
    assert 3.5 < often < 4.2
    assert [name.split(",")[0] for name in found] == ["stride 8", "stride 32"]
    for predictions in found.values():
        assert {"Law", "Pay"} <= {specialist.labels[c.label] for c in predictions["c0"]}
    first, second = found.values()
    assert first != second
