"""Two models that name the lines of a statement together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from services.triage.naming import MANIFEST_FILE, NAME, Named, Namer, NamesError
from services.triage.pieces import PieceReader
from services.triage.together import Together, find_naming, read_with, together
from shared.artefacts import sha256
from shared.inference import AdapterError, BaseError
from shared.inference.adapters import Manifest
from tests.unit.triage.test_naming import LABELS, statement, written

ADAPTER = "reader/1.2.3/adapter.onnx_adapter"


def no_base() -> NoReturn:
    """An installation without a base."""
    raise BaseError("there is no base")


@pytest.fixture
def artefacts(tmp_path: Path) -> Path:
    """The small model of test_naming with the file of an adapter."""
    folder = written(tmp_path) / NAME / "1.2.3"
    (folder / ADAPTER).parent.mkdir(parents=True)
    (folder / ADAPTER).write_bytes(b"numbers")
    path = folder / MANIFEST_FILE
    manifest = json.loads(path.read_text("utf-8"))
    more = {"reader": {ADAPTER: sha256(folder / ADAPTER)}, "both_offset": 0.0, "both_slope": 0.0}
    path.write_text(json.dumps(manifest | more), "utf-8")
    return tmp_path


def reader(said: str, labels: tuple[str, ...] = LABELS) -> PieceReader:
    """An adapter that says one thing of every line."""
    given: dict[str, Any] = {"parameters": {}, "labels": labels, "licence": "ours"}
    manifest = Manifest(1, "reader", "1.2.3", "0", "0", 4, window_length=66, window_stride=32,
                        **given)  # fmt: skip

    def run(_outputs: list[str], ids: Any) -> list[Any]:
        logits = np.zeros((*ids.shape, len(labels)), np.float32)
        logits[..., labels.index(said)] = 3
        return [logits]

    return PieceReader(manifest, lambda text: np.arange(len(text)), run)


def test_both_have_a_say() -> None:
    """The geometric mean: what both find likely wins over what one is a little surer of."""
    said = together([("a", 0.5), ("b", 0.4), ("c", 0.1)], [("d", 0.5), ("b", 0.4), ("a", 0.1)])
    assert [label for label, _ in said] == ["b", "a", "d", "c"]
    assert sum(chance for _, chance in said) == pytest.approx(1)
    assert said[0][1] / said[1][1] == pytest.approx(0.4 / 0.05**0.5)


def test_a_label_that_one_does_not_list_has_its_last_chance() -> None:
    """And no chance is none, so that one model alone rules nothing out."""
    said = dict(together([("a", 0.96), ("b", 0.04)], [("c", 1.0), ("d", 0.0)]))
    assert said["a"] / said["b"] == pytest.approx(24**0.5)
    assert said["c"] == pytest.approx(said["b"] * 100)
    assert said["d"] > 0


def test_the_adapter_has_a_say_in_every_line(
    artefacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the linear model knows no word the adapter decides, and the confidence is of both."""
    monkeypatch.setattr("services.triage.together.read_with", lambda *_: reader("Cash"))
    naming = find_naming(artefacts, lambda: None)  # type: ignore[arg-type,return-value]
    assert naming is not None
    sheet = statement("THINGS", "Total", "Something")
    assert naming.names(sheet) == (None, Named("Assets", 0.5), Named("Cash", 0.5))
    assert [name and name.name for name in naming.quick.names(sheet)] == [None, "Assets", "own"]
    assert naming.names(statement("Total", kind="equity")) == (None,)


def test_without_a_base_the_linear_model_names_alone(
    artefacts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so, once; without an adapter no base is asked for."""
    naming = find_naming(artefacts, no_base)
    assert isinstance(naming, Together)
    sheet = statement("THINGS", "Total")
    assert naming.names(sheet) == naming.names(sheet) == Namer.load(artefacts).names(sheet)
    assert caplog.text.count("there is no base") == 1
    written(artefacts)
    assert isinstance(find_naming(artefacts, no_base), Namer)


def test_an_adapter_of_other_labels_is_refused(
    artefacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its numbers would be read as those of other concepts."""
    linear = Namer.load(artefacts)
    assert linear.reader == artefacts / NAME / "1.2.3" / "reader" / "1.2.3"
    other = reader("own", LABELS[::-1])
    monkeypatch.setattr(PieceReader, "load", lambda *_: other)
    with pytest.raises(AdapterError, match="other labels"):
        read_with(linear, linear.reader, None)  # type: ignore[arg-type]


def test_a_damaged_adapter_is_found_at_the_start(artefacts: Path) -> None:
    """Before any document comes."""
    (artefacts / NAME / "1.2.3" / ADAPTER).write_bytes(b"other")
    with pytest.raises(NamesError, match="is missing or damaged"):
        find_naming(artefacts, no_base)


def test_an_adapter_that_fails_leaves_the_names_of_the_linear_model(
    artefacts: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A report is judged whatever becomes of its names, at the load as over a statement."""

    def fails(*_: object) -> NoReturn:
        raise RuntimeError("no memory is left")

    failing = reader("Cash")
    monkeypatch.setattr(failing, "logits", fails)
    sheet, linear = statement("THINGS", "Total"), Namer.load(artefacts)
    for read in (fails, lambda *_: failing):
        monkeypatch.setattr("services.triage.together.read_with", read)
        naming = find_naming(artefacts, lambda: None)  # type: ignore[arg-type,return-value]
        assert naming is not None
        assert naming.names(sheet) == naming.names(sheet) == linear.names(sheet)
    assert caplog.text.count("RuntimeError: no memory is left") == 3
