"""The archive for the laptop: complete, checked by hash, and installable without any network."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from infra.release.field_bundle import PYTHONS, pinned, platforms
from tests.support import ROOT, require
from tests.unit.documents.scanned import picture, saved

CONTRACT = """\
SUPPLY AGREEMENT

This Supply Agreement is made as of March 3, 2014 by and between Northwind Mills, Inc. and
Contoso Grain Company.

1. Term. This Agreement shall remain in force for a period of five (5) years.

2. Governing Law. This Agreement shall be governed by and construed in accordance with the laws
of the State of New York, without regard to its conflict of laws principles.
"""
NO_NETWORK = ["unshare", "-rn"]


def _run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = _run(sys.executable, "-m", "infra.release.field_bundle", cwd=ROOT)
    require(
        built.returncode == 0, f"a package registry, to build the bundle: {built.stderr[-300:]}"
    )
    archive = Path(built.stdout.splitlines()[-1])
    target = tmp_path_factory.mktemp("bundle")
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    (folder,) = target.iterdir()
    return folder


def test_requirements_are_chosen_for_the_python_of_the_laptop() -> None:
    text = (
        "numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:aa \\\n"
        "    --hash=sha256:bb\n    # via -r requirements/run.in\n"
        "numpy==2.5.5 ; python_full_version >= '3.12' \\\n    --hash=sha256:cc\n"
        "colorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash=sha256:dd\n"
    )
    assert pinned(text, "3.11") == ["numpy==2.4.6 --hash=sha256:aa --hash=sha256:bb"]
    assert pinned(text, "3.13") == ["numpy==2.5.5 --hash=sha256:cc"]


def test_every_pinned_requirement_carries_a_hash() -> None:
    found: set[str] = set()
    for version in PYTHONS:
        lines = pinned((ROOT / "requirements/run.txt").read_text("utf-8"), version)
        assert len(lines) >= 30
        assert all(re.fullmatch(r"[\w.-]+==\S+( --hash=sha256:[0-9a-f]{64})+", x) for x in lines)
        found |= {line.split("==")[0] for line in lines}
    assert not found & {"torch", "transformers", "peft", "kafka-python", "scikit-learn", "onnx"}


def test_the_sets_agree_on_every_version() -> None:
    versions: dict[str, set[str]] = {}
    files = sorted((ROOT / "requirements").glob("*.txt"))
    assert len(files) == 10
    for path in files:
        for line in pinned(path.read_text("utf-8"), "3.11"):
            name, _, version = line.split()[0].partition("==")
            versions.setdefault(name, set()).add(version)
    assert not {name: found for name, found in versions.items() if len(found) > 1}


def test_the_oldest_laptop_is_stated() -> None:
    tags = platforms()
    assert tags[0] == "manylinux_2_28_x86_64"
    assert "manylinux_2_17_x86_64" in tags
    assert not [tag for tag in tags if tag > "manylinux_2_28" and "_2_3" in tag]


@pytest.mark.slow
def test_the_bundle_is_complete_and_says_what_is_in_it(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    there = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    assert there - {"manifest.json"} == set(manifest["files"])
    assert len([name for name in there if name.endswith(".whl")]) >= 40
    shipped = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "models/artefacts").rglob("*")
        if path.is_file()
    }
    assert shipped
    assert set(manifest["artefacts"]) == shipped


@pytest.mark.slow
def test_a_damaged_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    victim = next(copy.glob("wheels/pypdf-*.whl"))
    content = bytearray(victim.read_bytes())
    content[1000] ^= 1
    victim.write_bytes(content)
    (copy / "wheels/evil-1-py3-none-any.whl").touch()
    done = _run(copy / "install.sh", tmp_path / "suite")
    assert done.returncode == 1
    assert f"wheels/{victim.name} is damaged" in done.stderr
    assert "wheels/evil-1-py3-none-any.whl is not part of this bundle" in done.stderr
    assert not (tmp_path / "suite").exists()


@pytest.mark.slow
def test_the_bundle_installs_and_works_without_a_network(bundle: Path, tmp_path: Path) -> None:
    allowed = not subprocess.run([*NO_NETWORK, "true"], capture_output=True, check=False).returncode
    require(allowed, "network namespaces (unshare -rn)")
    suite = tmp_path / "suite"
    done = _run(*NO_NETWORK, bundle / "install.sh", suite)
    assert done.returncode == 0, done.stderr
    command = suite / "bin/smallprint"
    shown = _run(*NO_NETWORK, command, "--help")
    assert shown.returncode == 0, shown.stderr
    assert "extract" in shown.stdout

    contract = tmp_path / "supply agreement.txt"
    contract.write_text(CONTRACT, "utf-8")
    there = _run(*NO_NETWORK, command, "extract", contract, "--json", cwd=tmp_path)
    here = _run(Path(sys.executable).parent / "smallprint", "extract", contract, "--json")
    assert there.returncode == here.returncode == 0, there.stderr + here.stderr
    results = [json.loads(found.stdout) for found in (there, here)]
    assert [clause["category"] for clause in results[0]["clauses"]]
    assert results[0]["clauses"] == results[1]["clauses"]
    assert results[0]["model"] == results[1]["model"]

    page = tmp_path / "page.png"
    page.write_bytes(saved(picture(), "PNG", dpi=(150, 150)))
    scan = _run(*NO_NETWORK, "env", "PATH=", command, "text", page, cwd=tmp_path)
    assert scan.returncode == 0, scan.stderr
    assert "governed by the law of Delaware" in scan.stdout

    again = _run(*NO_NETWORK, bundle / "install.sh", suite)
    assert again.returncode == 0, again.stderr


def test_the_installer_explains_itself(tmp_path: Path) -> None:
    script = ROOT / "infra/field/install.sh"
    assert "usage: ./install.sh FOLDER" in _run(script).stderr
    done = subprocess.run(
        [script, tmp_path / "x"],
        env={"PATH": os.environ["PATH"], "PYTHON": "/nonexistent/python3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
