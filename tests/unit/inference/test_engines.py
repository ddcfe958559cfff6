"""INT8 arithmetic from INT4 weights: near to INT4, the same however it is run, two at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from shared.artefacts.loader import sha256
from shared.inference import AdapterError, BaseError, Specialists, session, specialists
from shared.inference.adapters import load_adapter
from shared.inference.engines import Int8
from shared.inference.integer import LARGEST, merged_weights, narrowed, unpacked, widened
from shared.inference.session import write_adapter
from shared.inference.weights import read_weights

NAME = "contract-clauses"
TEXT = (
    "This Supply Agreement is made as of March 3, 2015 by Acme Corp. and Bolt Ltd.\n\n"
    "This Agreement shall be governed by the laws of the State of New York.\n\n"
    "Neither party may assign this Agreement without the prior written consent of the other.\n\n"
) * 12


def probabilities(artefacts: Path, **chosen: object) -> np.ndarray:
    specialist = Specialists(artefacts, **({"arithmetic": "int8"} | chosen)).get(NAME)  # type: ignore[arg-type]
    return specialist.token_probabilities(TEXT).probabilities


def another(copied: Path, name: str) -> None:
    """Add a second adapter: the same, but with its labels reversed."""
    folder = Path(shutil.copytree(copied, copied.parents[1] / name / copied.name))
    values = json.loads((folder / "manifest.json").read_text("utf-8"))
    base = next(copied.parents[1].glob("base-*"))
    _, adapter = load_adapter(copied, values["base_sha256"], Int8(base, threads=1).adapter_inputs)
    parameters = {name: value.copy() for name, value in adapter.parameters().items()}
    for part in ("head.weight", "head.bias"):
        views = np.split(parameters[part], len(values["views"]), axis=-1)
        parameters[part] = np.concatenate([view[..., ::-1] for view in views], axis=-1)
    write_adapter(folder / "adapter.onnx_adapter", parameters, version=1)
    values |= {"name": name, "adapter_sha256": sha256(folder / "adapter.onnx_adapter")}
    (folder / "manifest.json").write_text(json.dumps(values), "utf-8")


def test_int8_says_what_int4_says(artefacts: Path) -> None:
    int8 = probabilities(artefacts, arithmetic="int8")
    int4 = probabilities(artefacts, arithmetic="int4")
    difference = np.abs(int8 - int4)
    found = (int8 > 0.1) | (int4 > 0.1)
    assert found.any()
    assert 0 < difference.mean() < 0.002
    assert difference[found].mean() < 0.05
    assert difference.max() < 0.3


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_no_bit_moves_with_threads_or_batch(
    artefacts: Path, monkeypatch: pytest.MonkeyPatch, threads: int, batch: int
) -> None:
    expected = probabilities(artefacts, threads=1)
    monkeypatch.setattr(specialists, "BATCH", batch)
    assert np.array_equal(probabilities(artefacts, threads=threads), expected)


def test_two_adapters_have_weights_of_their_own(copied: Path) -> None:
    another(copied, "reversed")
    both = Specialists(copied.parents[1], threads=2, arithmetic="int8")
    first = both.get(NAME)
    before = first.token_probabilities(TEXT).probabilities
    second = both.get("reversed").token_probabilities(TEXT).probabilities
    assert np.array_equal(second, before[:, ::-1])
    assert np.array_equal(first.token_probabilities(TEXT).probabilities, before)


def base_copy(artefacts: Path, folder: Path) -> Path:
    base = next(artefacts.glob("base-*"))
    shutil.copytree(artefacts / NAME, folder / NAME)
    return Path(shutil.copytree(base, folder / base.name))


def test_a_damaged_int8_graph_is_refused(artefacts: Path, tmp_path: Path) -> None:
    with (base_copy(artefacts, tmp_path) / "int8.onnx").open("ab") as graph:
        graph.write(b"\0")
    with pytest.raises(BaseError, match=r"int8\.onnx is missing or damaged"):
        Specialists(tmp_path, arithmetic="int8")


def test_without_the_int8_graph_int4_still_works(artefacts: Path, tmp_path: Path) -> None:
    (base_copy(artefacts, tmp_path) / "int8.onnx").unlink()
    with pytest.raises(BaseError, match=r"models\.base\.build --int8 .*SMALLPRINT_ARITHMETIC"):
        Specialists(tmp_path, arithmetic="int8")
    Specialists(tmp_path, arithmetic="int4").get(NAME)


def test_both_arithmetics_leave_the_same_open(artefacts: Path) -> None:
    int8, int4 = (Specialists(artefacts, arithmetic=a) for a in ("int8", "int4"))
    assert dict(int8.base.engine.adapter_inputs) == dict(int4.base.engine.adapter_inputs)


def test_a_foreign_adapter_is_refused_in_int8(copied: Path) -> None:
    path = copied / "manifest.json"
    values = json.loads(path.read_text("utf-8"))
    values["parameters"]["layers.0.inner.A"] = [1, 1]
    path.write_text(json.dumps(values), "utf-8")
    with pytest.raises(AdapterError, match=r"layers\.0\.inner\.A has shape"):
        Specialists(copied.parents[1], arithmetic="int8").get(NAME)


def test_half_a_file_is_no_base(artefacts: Path, tmp_path: Path) -> None:
    data = next(artefacts.glob("base-*/base.onnx")).read_bytes()
    for name, content in (("cut", data[: len(data) // 2]), ("noise", b"\x07" * 99)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BaseError, match="can't be read as the base model"):
            read_weights(tmp_path / name)


def test_nibbles_come_apart_in_order() -> None:
    assert unpacked(np.array([[0x21, 0x43]], np.uint8)).tolist() == [[1, 2, 3, 4]]


def test_narrowed_weights_lose_half_a_step_at_most() -> None:
    matrix = np.random.default_rng(0).normal(0, 1, (32, 64)).astype(np.float32)
    matrix[3] = 0
    codes, scales = narrowed(matrix)
    assert codes.shape == (64, 32)
    assert int(np.abs(codes).max()) == LARGEST
    restored = codes.T * scales[:, None]
    assert (np.abs(restored - matrix) <= 0.501 * scales[:, None]).all()
    assert not restored[3].any()


def test_an_adapter_is_added_before_quantising(artefacts: Path) -> None:
    stored = read_weights(next(artefacts.glob("base-*/base.onnx")))
    draw = np.random.default_rng(1)
    a = draw.normal(0, 0.1, (384, 4)).astype(np.float32)
    b = draw.normal(0, 0.1, (4, 384)).astype(np.float32)
    merged = merged_weights(stored, {"layers.1.key.A": a, "layers.1.key.B": b})
    rows = widened(stored, "layers.1.qkv")
    for part, expected in (("query", rows[:384]), ("key", rows[384:768] + (a @ b).T)):
        codes, scales = merged[f"layers.1.{part}.codes"], merged[f"layers.1.{part}.scales"]
        error = np.abs(codes.T * scales[:, None] - expected)
        assert (error <= 0.501 * scales[:, None]).all()


@pytest.mark.parametrize("overflow", [True, False])
def test_processors_that_overflow_get_the_same_answer(
    artefacts: Path, monkeypatch: pytest.MonkeyPatch, overflow: bool
) -> None:
    """The way round the overflow finds the same integers, to the last bits of the fp32 parts.

    On a processor that does overflow, the straight way is wrong: that is why there is another.
    """
    right = overflow or not session.overflows()
    expected = probabilities(artefacts)
    monkeypatch.setattr(session, "overflows", lambda: overflow)
    assert np.allclose(probabilities(artefacts), expected, atol=1e-6) == right
