"""A release has the changes of its version, and hashes of its files."""

import re
import subprocess
from datetime import date
from pathlib import Path

import pytest

from infra.release.__main__ import ROOT, changes_of, write_sums
from shared.version import VERSION

TODAY = date(2026, 12, 1)
OLDER = "\n## 0.1.0 - 2026-11-01\n\n* Started.\n"


def test_the_changes_are_those_of_the_version() -> None:
    changelog = f"# Changelog\n\nAbout.\n\n## 0.2.0 - 2026-12-01\n\n### Added\n\n* A fox.\n{OLDER}"
    assert changes_of("0.2.0", changelog, TODAY) == "### Added\n\n* A fox.\n"


@pytest.mark.parametrize(
    ("heading", "problem"),
    [
        ("## Unreleased", "newest section of CHANGELOG.md is Unreleased"),
        ("", "newest section of CHANGELOG.md is 0.1.0 - 2026-11-01"),
        ("## 0.2.0", "no date for 0.2.0"),
        ("## 0.2.0 - soon", "no date for 0.2.0"),
        ("## 0.2.0 - 2026-12-02", "after today"),
    ],
)
def test_a_release_needs_a_dated_section(heading: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        changes_of("0.2.0", f"# Changelog\n\n{heading}\n\n* A fox.\n{OLDER}", TODAY)


def test_the_hashes_are_those_that_sha256sum_checks(tmp_path: Path) -> None:
    for name in ("smallprint-0.1.0-py3-none-any.whl", "CHANGES.md"):
        (tmp_path / name).write_text(name)
    write_sums(tmp_path)
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(check, cwd=tmp_path, check=True)
    (tmp_path / "CHANGES.md").write_text("another")
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 1


@pytest.mark.parametrize(
    ("path", "tag"),
    [
        ("docker-compose.yml", r"image: smallprint-\w+:(\S+)"),
        ("infra/kubernetes/kustomization.yaml", r"newTag: (\S+)"),
    ],
)
def test_images_have_the_version_of_the_suite(path: str, tag: str) -> None:
    assert set(re.findall(tag, (ROOT / path).read_text("utf-8"))) == {VERSION}
