"""Two models that name the lines of a statement together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from services.triage.concepts.ensemble import (
    EnsembleLabeller,
    combine,
    load_labeller,
    load_segment_model,
)
from services.triage.concepts.linear import (
    NAME,
    ConceptLabel,
    ConceptsManifest,
    LinearLabeller,
    NamesError,
)
from services.triage.concepts.segments import SegmentModel
from shared.artefacts.loader import sha256
from shared.inference import AdapterError, BaseError
from shared.inference.adapters import AdapterManifest
from tests.unit.triage.test_linear_labeller import LABELS, statement, written

ADAPTER = "reader/1.2.3/adapter.onnx_adapter"


def no_base() -> NoReturn:
    raise BaseError("there is no base")


@pytest.fixture
def artefacts(tmp_path: Path) -> Path:
    folder = written(tmp_path) / NAME / "1.2.3"
    (folder / ADAPTER).parent.mkdir(parents=True)
    (folder / ADAPTER).write_bytes(b"numbers")
    path = folder / ConceptsManifest.FILE
    manifest = json.loads(path.read_text("utf-8"))
    more = {"reader": {ADAPTER: sha256(folder / ADAPTER)}, "both_offset": 0.0, "both_slope": 0.0}
    path.write_text(json.dumps(manifest | more), "utf-8")
    return tmp_path


def reader(label: str, labels: tuple[str, ...] = LABELS) -> SegmentModel:
    given: dict[str, Any] = {"parameters": {}, "labels": labels, "licence": "ours"}
    given |= {"window_length": 66, "window_stride": 32}
    manifest = AdapterManifest(1, "reader", "1.2.3", "0", "0", 4, **given)

    def run(_outputs: list[str], ids: Any) -> list[Any]:
        logits = np.zeros((*ids.shape, len(labels)), np.float32)
        logits[..., labels.index(label)] = 3
        return [logits]

    return SegmentModel(manifest, lambda text: np.arange(len(text)), run)


def test_both_have_a_say() -> None:
    combined = combine([("a", 0.5), ("b", 0.4), ("c", 0.1)], [("d", 0.5), ("b", 0.4), ("a", 0.1)])
    assert [label for label, _ in combined] == ["b", "a", "d", "c"]
    assert sum(chance for _, chance in combined) == pytest.approx(1)
    assert combined[0][1] / combined[1][1] == pytest.approx(0.4 / 0.05**0.5)


def test_a_label_that_one_does_not_list_has_its_last_chance() -> None:
    chances = dict(combine([("a", 0.96), ("b", 0.04)], [("c", 1.0), ("d", 0.0)]))
    assert chances["a"] / chances["b"] == pytest.approx(24**0.5)
    assert chances["c"] == pytest.approx(chances["b"] * 100)
    assert chances["d"] > 0


def test_both_models_label_every_line(artefacts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "services.triage.concepts.ensemble.load_segment_model", lambda *_: reader("Cash")
    )
    naming = load_labeller(artefacts, lambda: None)  # type: ignore[arg-type,return-value]
    assert naming is not None
    sheet = statement("THINGS", "Total", "Something")
    assert naming.names(sheet) == (None, ConceptLabel("Assets", 0.5), ConceptLabel("Cash", 0.5))
    assert [name and name.name for name in naming.fast.names(sheet)] == [None, "Assets", "own"]
    assert naming.names(statement("Total", kind="equity")) == (None,)


def test_without_a_base_the_linear_model_labels(
    artefacts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    naming = load_labeller(artefacts, no_base)
    assert isinstance(naming, EnsembleLabeller)
    sheet = statement("THINGS", "Total")
    assert naming.names(sheet) == naming.names(sheet) == LinearLabeller.load(artefacts).names(sheet)
    assert caplog.text.count("there is no base") == 1
    written(artefacts)
    assert isinstance(load_labeller(artefacts, no_base), LinearLabeller)


def test_other_labels_are_refused(artefacts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linear = LinearLabeller.load(artefacts)
    assert linear.reader == artefacts / NAME / "1.2.3" / "reader" / "1.2.3"
    other = reader("own", LABELS[::-1])
    monkeypatch.setattr(SegmentModel, "load", lambda *_: other)
    with pytest.raises(AdapterError, match="other labels"):
        load_segment_model(linear, linear.reader, None)  # type: ignore[arg-type]


def test_a_damaged_adapter_is_found_at_the_start(artefacts: Path) -> None:
    (artefacts / NAME / "1.2.3" / ADAPTER).write_bytes(b"other")
    with pytest.raises(NamesError, match="is missing or damaged"):
        load_labeller(artefacts, no_base)


def test_an_adapter_that_fails_leaves_the_names_of_the_linear_model(
    artefacts: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> NoReturn:
        raise RuntimeError("no memory is left")

    failing = reader("Cash")
    monkeypatch.setattr(failing, "logits", fails)
    sheet, linear = statement("THINGS", "Total"), LinearLabeller.load(artefacts)
    for read in (fails, lambda *_: failing):
        monkeypatch.setattr("services.triage.concepts.ensemble.load_segment_model", read)
        naming = load_labeller(artefacts, lambda: None)  # type: ignore[arg-type,return-value]
        assert naming is not None
        assert naming.names(sheet) == naming.names(sheet) == linear.names(sheet)
    assert caplog.text.count("RuntimeError: no memory is left") == 3
