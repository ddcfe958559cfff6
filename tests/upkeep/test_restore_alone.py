"""Who restores is alone there: a second restore, and a suite that starts, are told who it is."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from shared.cli.lock import FolderInUse, FolderLock
from shared.errors import Conflict, SuiteError
from shared.storage import FileBlobs
from shared.upkeep.backup import Place, Put, backup, restore
from shared.upkeep.manifest import Manifest

ME = re.escape(f"process {os.getpid()} works on the data folder")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A backup of a small place."""
    data = tmp_path / "data"
    FileBlobs(data / "blobs").put("default", b"some")
    with closing(sqlite3.connect(data / "one.db")) as made:
        made.execute("CREATE TABLE rows (id INTEGER)")
    backup(place(data), tmp_path / "backup")
    return tmp_path / "backup"


def place(data: Path) -> Place:
    """A place with one database."""
    return Place(data, {"one": f"sqlite:///{data / 'one.db'}"}, None)


def doing(act: Callable[[], object]) -> Callable[[Path, Manifest, Put], object]:
    """What is done while a place is restored, once its files are there."""
    return lambda *_: act()


@pytest.mark.parametrize("there", [True, False])
def test_a_second_restore_and_a_suite_that_starts_are_refused(
    source: Path, tmp_path: Path, there: bool
) -> None:
    """They are told which process it is, and the first one ends whole; then it may be worked on."""
    data = tmp_path / "restored"
    if there:
        data.mkdir()
    told: list[str] = []

    def others() -> None:
        with pytest.raises(FolderInUse, match=ME):
            restore(source, place(data), doing(lambda: told.append("settled")))
        with pytest.raises(FolderInUse, match=ME), FolderLock(data):
            told.append("started")

    restore(source, place(data), doing(others))
    assert told == []
    assert (data / "one.db").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data", "restored"]
    assert not (data / "lock").exists()
    with FolderLock(data):
        pass


def test_a_folder_on_which_a_suite_works_is_not_restored_to(source: Path, tmp_path: Path) -> None:
    """Although it has nothing in it yet; what it is working on stays."""
    data = tmp_path / "restored"
    with FolderLock(data):
        with pytest.raises(FolderInUse, match=ME):
            restore(source, place(data), doing(lambda: None))
        assert (data / "lock").is_file()
    restore(source, place(data), doing(lambda: None))  # what is left of it is no hindrance
    assert (data / "one.db").is_file()


def test_who_begins_to_work_at_the_last_moment_is_not_overwritten(
    source: Path, tmp_path: Path
) -> None:
    """Without the lock, by hand: the restore fails, and says why."""
    data = tmp_path / "restored"
    with pytest.raises(Conflict, match="began to work in"):
        restore(source, place(data), doing(lambda: (data / "ingest.db").write_text("new")))
    assert (data / "ingest.db").read_text() == "new"
    assert not (tmp_path / "restored.partial").exists()


def test_a_restore_that_fails_leaves_nothing(source: Path, tmp_path: Path) -> None:
    """No lock either, nor a folder that was not there."""

    def fail() -> None:
        raise SuiteError("no")

    with pytest.raises(SuiteError, match="no"):
        restore(source, place(tmp_path / "restored"), doing(fail))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data"]
