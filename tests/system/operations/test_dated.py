"""Backups that are made every night: what one that breaks off leaves is the next one's."""

from __future__ import annotations

import errno
import fcntl
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from services.cli.operations import backup as backups
from services.cli.operations.backup_manifest import BackupManifest, files_of
from services.cli.operations.partial_backup import BLOBS, EARLIER, LOCK, alone, dated
from shared.errors import Conflict, SuiteError
from tests.support import ROOT
from tests.system.operations.suite import Suite
from tests.system.operations.test_backup import run

NOW = datetime(2026, 1, 31, 2, 0, tzinfo=UTC)


def nightly(folder: Path) -> list[str]:
    """The command of the Kubernetes job, with another folder instead of its volume."""
    file = ROOT / "infra/kubernetes/upkeep/jobs.yaml"
    [job] = [
        one
        for one in yaml.safe_load_all(file.read_text("utf-8"))
        if one["metadata"]["name"] == "backup"
    ]
    [container] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    program, *words = container["command"]
    assert program == "smallprint"
    return [str(folder) if word == "/backups" else word for word in words]


def written(path: Path, words: str = "words") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(words)
    return path


def files(folder: Path) -> set[str]:
    """The files below a folder, by their places in it."""
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_the_nightly_backup_goes_on_from_one_that_broke_off(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.ended(suite.upload(1))
    kept = tmp_path / "backups"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(backups, "_copy_rest", full)
        with pytest.raises(SuiteError, match="full"):
            run(*nightly(kept), "--data", suite.folder)
    [left] = kept.glob("*.partial")
    left = left.rename(kept / "2026-01-01-0200.partial")
    copied = {path.name: path.stat().st_ino for path in left.rglob("*") if path.is_file()}
    assert len(copied) >= 3

    (made,) = run(*nightly(kept), "--data", suite.folder)
    target = Path(made["backup"])
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}-\d{4}", target.name)
    assert {path.name for path in kept.iterdir()} == {target.name, LOCK}
    blobs = {path.name: path.stat().st_ino for path in (target / BLOBS).rglob("*")}
    assert {name: blobs.get(name) for name in copied} == copied
    assert all((target / one.path).is_file() for one in files_of(target))
    assert BackupManifest.read(target).blobs == made["blobs"] >= 3
    run("restore", target, "--data", tmp_path / "restored")


def test_what_several_have_left_is_brought_together(tmp_path: Path) -> None:
    written(tmp_path / "2026-01-01-0200.partial" / BLOBS / "a/one")
    written(tmp_path / "2026-01-02-0200.partial" / BLOBS / "a/two")
    written(tmp_path / "2026-01-02-0200.partial" / EARLIER / "b/three")
    written(tmp_path / "2026-01-02-0200.partial" / "databases/ingest.db")
    stays = {
        written(tmp_path / f"{name}.partial" / BLOBS / "a/four")
        for name in ("before-upgrade", "restored", "2026-01-03-0200")
    }
    with alone(tmp_path / "2026-01-03-0200.partial"), dated(tmp_path, NOW) as target:
        assert target == tmp_path / "2026-01-31-0200"
        found = files(tmp_path / "2026-01-31-0200.partial" / BLOBS)
        assert found == {"a/one", "a/two", "b/three"}
        assert {path for path in stays if path.is_file()} == stays
        assert len(list(tmp_path.glob("*.partial"))) == 1 + len(stays)


def test_one_dated_backup_is_made_at_a_time(tmp_path: Path) -> None:
    with (
        dated(tmp_path, NOW),
        pytest.raises(Conflict, match="another backup is being made in"),
        dated(tmp_path, NOW),
    ):
        pass
    with dated(tmp_path, NOW):
        pass


def test_a_second_one_of_the_same_minute_has_a_name_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "2026-01-31-0200").mkdir()
    written(tmp_path / "2026-01-31-0200-2.partial" / BLOBS / "a/one")
    with dated(tmp_path, NOW) as target:
        assert target == tmp_path / "2026-01-31-0200-2"
    target.mkdir()
    with dated(tmp_path, NOW) as another:
        assert another == tmp_path / "2026-01-31-0200-3"
        assert files(tmp_path / "2026-01-31-0200-3.partial" / BLOBS) == {"a/one"}


def test_where_there_are_no_locks_nothing_is_taken_from_anybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = written(tmp_path / "2026-01-01-0200.partial" / BLOBS / "a/one")

    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(SuiteError, match="without locks"), dated(tmp_path, NOW):
        pass
    assert left.is_file()
