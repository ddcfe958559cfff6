"""A restore excludes other restores and suites, which name its process."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli.deployment.lock import FolderInUse, FolderLock
from services.cli.operations import backup as backups
from services.cli.operations.backup import BackedUpDeployment, PutKeys, backup, restore
from services.cli.operations.backup_manifest import BackupManifest, BadBackup
from shared.errors import Conflict, SuiteError
from tests.system.operations.suite import place_of

ME = re.escape(f"process {os.getpid()} uses the data folder")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    backup(place_of(tmp_path / "data", 1), tmp_path / "backup")
    return tmp_path / "backup"


def place(data: Path) -> BackedUpDeployment:
    return BackedUpDeployment(data, {"one": f"sqlite:///{data / 'one.db'}"}, None)


def doing(act: Callable[[], object]) -> Callable[[Path, BackupManifest, PutKeys], object]:
    """Run something during a restore, after its files were copied."""
    return lambda *_: act()


@pytest.mark.parametrize("there", [True, False])
def test_a_second_restore_and_a_suite_that_starts_are_refused(
    source: Path, tmp_path: Path, there: bool
) -> None:
    data = tmp_path / "restored"
    if there:
        data.mkdir()
    events: list[str] = []

    def others() -> None:
        with pytest.raises(FolderInUse, match=ME):
            restore(source, place(data), doing(lambda: events.append("settled")))
        with pytest.raises(FolderInUse, match=ME), FolderLock(data):
            events.append("started")

    restore(source, place(data), doing(others))
    assert events == []
    assert (data / "one.db").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data", "restored"]
    assert not (data / "lock").exists()
    with FolderLock(data):
        pass


def test_a_folder_on_which_a_suite_works_is_not_restored_to(source: Path, tmp_path: Path) -> None:
    data = tmp_path / "restored"
    with FolderLock(data):
        with pytest.raises(FolderInUse, match=ME):
            restore(source, place(data), doing(lambda: None))
        assert (data / "lock").is_file()
    restore(source, place(data), doing(lambda: None))  # its remains do not matter
    assert (data / "one.db").is_file()


def test_who_begins_to_work_at_the_last_moment_is_not_overwritten(
    source: Path, tmp_path: Path
) -> None:
    data = tmp_path / "restored"
    with pytest.raises(SuiteError, match="stop what uses it or name another folder"):
        restore(source, place(data), doing(lambda: (data / "ingest.db").write_text("new")))
    assert (data / "ingest.db").read_text() == "new"
    assert not (tmp_path / "restored.partial").exists()


def test_a_restore_that_fails_leaves_nothing(source: Path, tmp_path: Path) -> None:
    def fail() -> None:
        raise SuiteError("no")

    with pytest.raises(SuiteError, match="no"):
        restore(source, place(tmp_path / "restored"), doing(fail))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data"]


def test_what_can_not_be_written_is_no_fault_of_the_backup(source: Path, tmp_path: Path) -> None:
    (tmp_path / "restored.partial").write_text("of somebody else")
    with pytest.raises(SuiteError, match="can't make the folder") as caught:
        restore(source, place(tmp_path / "restored"), doing(lambda: None))
    assert not isinstance(caught.value, BadBackup)
    assert not (tmp_path / "restored").exists()


def test_a_disk_that_is_full_is_no_fault_of_the_backup(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(backups, "copied", full)
        with pytest.raises(SuiteError, match="No space left on device") as caught:
            restore(source, place(tmp_path / "restored"), doing(lambda: None))
    assert not isinstance(caught.value, BadBackup)
    (source / "databases" / "one.db").unlink()
    with pytest.raises(BadBackup, match=r"lacks one\.db"):
        restore(source, place(tmp_path / "restored"), doing(lambda: None))


def test_a_disk_that_is_mounted_is_no_place_to_restore_to(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "volume"
    data.mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda self: self == data)
    with pytest.raises(Conflict, match="name a folder inside it"):
        restore(source, place(data), doing(lambda: pytest.fail("all was copied")))
    assert list(data.iterdir()) == []
    restore(source, place(data / "restored"), doing(lambda: None))
    assert (data / "restored" / "one.db").is_file()


def test_a_folder_that_is_mounted_from_the_same_disk_is_none_either(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "my \\ vólume"
    data.mkdir()
    mounts = tmp_path / "mountinfo"
    name = str(data).replace("\\", r"\134").replace(" ", r"\040")
    mounts.write_text(
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        f"91 27 254:1 /srv/papers {name} rw,relatime shared:7 - ext4 /dev/vda1 rw\n"
    )
    monkeypatch.setattr(backups, "MOUNTS", mounts)
    with pytest.raises(Conflict, match="name a folder inside it"):
        restore(source, place(data), doing(lambda: pytest.fail("all was copied")))
    assert list(data.iterdir()) == []
    restore(source, place(data / "restored"), doing(lambda: None))
    monkeypatch.setattr(backups, "MOUNTS", tmp_path / "of another system")
    restore(source, place(tmp_path / "other"), doing(lambda: None))
