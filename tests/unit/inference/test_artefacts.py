"""Installed artefacts are found by their folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.artefacts.loader import NoModel, newest, sha256


def test_the_newest_version_is_found(tmp_path: Path) -> None:
    for version in ("1.9.0", "1.10.0", "draft", "2.0"):
        (tmp_path / "fruit" / version).mkdir(parents=True)
        (tmp_path / "fruit" / version / "a.json").touch()
    (tmp_path / "fruit" / "3.0.0").mkdir()
    (tmp_path / "fruit" / "3.0.0" / "b.json").touch()
    assert newest(tmp_path, "fruit", "a.json").name == "1.10.0"
    with pytest.raises(NoModel, match="no model 'nuts'"):
        newest(tmp_path, "nuts", "a.json")


def test_a_file_has_its_hash(tmp_path: Path) -> None:
    """As `sha256sum` prints it."""
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a").startswith("ba7816bf8f01cfea")
