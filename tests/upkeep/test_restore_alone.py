"""Who restores is alone there: a second restore, and a suite that starts, are told who it is."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from shared.cli.lock import FolderInUse, FolderLock
from shared.errors import Conflict, SuiteError
from shared.storage import FileBlobs
from shared.storage.snapshot import is_empty
from shared.upkeep import backup as backups
from shared.upkeep.backup import Place, Put, backup, restore
from shared.upkeep.manifest import BadBackup, Manifest
from tests.contract.blobs.conftest import bucket, s3
from tests.contract.blobs.places import Place as Blobs
from tests.postgres import Servers

__all__ = ["bucket", "s3"]
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


@pytest.fixture
def from_a_server(servers: Servers, tmp_path: Path) -> Path:
    """A backup of a small place with its rows on a server."""
    url = servers.database()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE rows (id INTEGER)"))
    engine.dispose()
    FileBlobs(tmp_path / "data" / "blobs").put("default", b"some")
    backup(Place(tmp_path / "data", {"one": url}, None), tmp_path / "backup")
    return tmp_path / "backup"


@pytest.mark.parametrize(
    ("after", "blobs", "rows"),
    [("_require_same", False, False), ("_put", True, False), ("load_dump", True, True)],
)
def test_what_is_filled_is_said_to_who_was_disturbed(
    from_a_server: Path,
    servers: Servers,
    bucket: Blobs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: str,
    blobs: bool,
    rows: bool,
) -> None:
    """Somebody begins to work in the folder: nothing is filled after that, and what is by then is
    named. Who does as he is told can begin again.
    """
    data, url = tmp_path / "restored", servers.database()
    do = getattr(backups, after)

    def somebody_begins(*given: object) -> object:
        answer = do(*given)
        (data / "ingest.db").write_text("new")
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(backups, after, somebody_begins)
        with pytest.raises(Conflict, match="began to work in") as told:
            restore(from_a_server, Place(data, {"one": url}, None, bucket.url), doing(lambda: None))
    said = told.value.message
    assert (f"The blobs that are in {bucket.url} already may stay" in said) == blobs
    assert ("databases of one are filled already" in said) == rows
    assert ("name them in SMALLPRINT_ONE_DATABASE_URL" in said) == rows
    assert bool(bucket.stored()) == blobs
    assert is_empty(url) != rows
    assert (data / "ingest.db").read_text() == "new"
    again = Place(tmp_path / "another", {"one": servers.database()}, None, bucket.url)
    restore(from_a_server, again, doing(lambda: None))


def test_what_can_not_be_written_is_no_fault_of_the_backup(source: Path, tmp_path: Path) -> None:
    """Where all is gathered first something lies, or may not be written: said at once."""
    (tmp_path / "restored.partial").write_text("of somebody else")
    with pytest.raises(SuiteError, match="which can't be made") as told:
        restore(source, place(tmp_path / "restored"), doing(lambda: None))
    assert not isinstance(told.value, BadBackup)
    assert not (tmp_path / "restored").exists()


def test_a_disk_that_is_full_is_no_fault_of_the_backup(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing in it is one."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(backups, "copied", full)
        with pytest.raises(SuiteError, match="No space left on device") as told:
            restore(source, place(tmp_path / "restored"), doing(lambda: None))
    assert not isinstance(told.value, BadBackup)
    (source / "databases" / "one.db").unlink()
    with pytest.raises(BadBackup, match=r"lacks one\.db"):
        restore(source, place(tmp_path / "restored"), doing(lambda: None))


def test_a_disk_that_is_mounted_is_no_place_to_restore_to(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can take its name: that is said before anything is copied, not after all is."""
    data = tmp_path / "volume"
    data.mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda self: self == data)
    with pytest.raises(Conflict, match="name a folder in it"):
        restore(source, place(data), doing(lambda: pytest.fail("all was copied")))
    assert list(data.iterdir()) == []
    restore(source, place(data / "restored"), doing(lambda: None))
    assert (data / "restored" / "one.db").is_file()


def test_a_folder_that_is_mounted_from_the_same_disk_is_none_either(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bind mount: only the list of mounts tells, which writes some characters as numbers."""
    data = tmp_path / "my \\ vólume"
    data.mkdir()
    mounts = tmp_path / "mountinfo"
    name = str(data).replace("\\", r"\134").replace(" ", r"\040")
    mounts.write_text(
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        f"91 27 254:1 /srv/papers {name} rw,relatime shared:7 - ext4 /dev/vda1 rw\n"
    )
    monkeypatch.setattr(backups, "MOUNTS", mounts)
    with pytest.raises(Conflict, match="name a folder in it"):
        restore(source, place(data), doing(lambda: pytest.fail("all was copied")))
    assert list(data.iterdir()) == []
    restore(source, place(data / "restored"), doing(lambda: None))
    monkeypatch.setattr(backups, "MOUNTS", tmp_path / "of another system")
    restore(source, place(tmp_path / "other"), doing(lambda: None))
