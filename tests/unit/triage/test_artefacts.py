"""Missing and damaged artefacts of the models of triage."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.triage.bootstrap import build
from services.triage.checks.classifier import BreakClassifier, BreaksManifest, RiskError
from services.triage.concepts.linear import ConceptsManifest, LinearLabeller
from services.triage.narrative.model import FlagModel, FlagsManifest
from services.triage.signals.peers import Peers, PeersManifest
from shared.artefacts.loader import Manifest, NoModel, OptionalModel
from shared.runtime.main import main
from tests.support import artefacts
from tests.unit.triage.builders import Triage


@dataclass(frozen=True)
class Installed:
    model: type[OptionalModel]
    manifest: type[Manifest]
    folder: Path

    @property
    def place(self) -> Path:
        return self.folder.parents[1]

    def load(self) -> Any:
        return self.model.load_if_installed(self.place)


def copy_of(model: type[OptionalModel], manifest: type[Manifest], to: Path) -> Installed:
    (shipped,) = (artefacts() / model.NAME).iterdir()
    return Installed(model, manifest, shutil.copytree(shipped, to / model.NAME / shipped.name))


@pytest.fixture(
    params=[
        (BreakClassifier, BreaksManifest),
        (LinearLabeller, ConceptsManifest),
        (FlagModel, FlagsManifest),
        (Peers, PeersManifest),
    ],
    ids=lambda pair: pair[0].NAME,
)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Installed:
    model, manifest = request.param
    return copy_of(model, manifest, tmp_path)


def test_a_missing_model_is_logged_and_one_without_a_version_is_refused(
    installed: Installed, caplog: pytest.LogCaptureFixture
) -> None:
    assert installed.load() is not None
    shutil.rmtree(installed.folder)
    with pytest.raises(NoModel, match="there is no model"):
        installed.load()
    installed.folder.parent.rmdir()
    assert installed.load() is None
    assert installed.model.FALLBACK in caplog.text


def test_a_damaged_or_missing_file_is_refused_by_name(installed: Installed) -> None:
    for name in installed.manifest.read(installed.folder).digests:
        path = installed.folder / name
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        with pytest.raises(installed.manifest.ERROR, match=f"{name} is missing or damaged"):
            installed.load()
        path.unlink()
        with pytest.raises(installed.manifest.ERROR, match=f"{name} is missing or damaged"):
            installed.load()
        path.write_bytes(content)
    assert installed.load() is not None


@pytest.mark.parametrize("change", [{"format": 9}, {"unknown": 1}])
def test_another_format_is_refused(installed: Installed, change: dict[str, Any]) -> None:
    path = installed.folder / installed.manifest.FILE
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(installed.manifest.ERROR):
        installed.load()


def test_the_service_does_not_start_with_a_damaged_model_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed = copy_of(BreakClassifier, BreaksManifest, tmp_path)
    (installed.folder / "breaks.onnx").write_bytes(b"torn")
    with pytest.raises(RiskError):
        Triage(tmp_path / "data", artefacts=tmp_path)
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path))
    monkeypatch.setenv("SMALLPRINT_DATA", str(tmp_path / "data"))
    assert main(build, ["all"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("triage_model: ")
    assert "breaks.onnx is missing or damaged; restore it from the release" in error
