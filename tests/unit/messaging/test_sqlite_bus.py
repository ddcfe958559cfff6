"""Tests only for the bus on a SQLite file."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from shared.bus import Message, sqlite
from shared.bus.sqlite import SqliteBus
from shared.errors import SettingsError, Unavailable


def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    """The first to open it makes the tables, and the others do not fail."""
    failed: list[BaseException] = []
    gate = threading.Barrier(8)

    def publish() -> None:
        try:
            gate.wait()
            bus = SqliteBus(tmp_path / "bus.db")
            bus.publish(Message("a", b"1"))
            bus.close()
        except BaseException as error:  # noqa: BLE001 - looked at below
            failed.append(error)

    threads = [threading.Thread(target=publish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    bus = SqliteBus(tmp_path / "bus.db")
    assert bus.lag({}) == 8
    bus.close()


def test_a_file_of_another_release_is_refused(tmp_path: Path) -> None:
    """It is left as it is, and the error names it."""
    path = tmp_path / "bus.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(SettingsError, match="another release"):
        SqliteBus(path)


def test_a_file_that_is_no_bus_is_unavailable(tmp_path: Path) -> None:
    """The error names the file."""
    path = tmp_path / "bus.db"
    path.write_bytes(b"this is no database, whatever its name may say" * 100)
    with pytest.raises(Unavailable, match=r"bus\.db"):
        SqliteBus(path)


def test_a_folder_that_can_not_be_made_is_unavailable(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(Unavailable, match="taken"):
        SqliteBus(tmp_path / "taken" / "bus.db")


def test_a_batch_is_published_whole_or_not_at_all(tmp_path: Path) -> None:
    """If one message can't be written, none is."""
    bus = SqliteBus(tmp_path / "bus.db")
    with pytest.raises(Unavailable):
        bus.publish(Message("a", b"1"), Message(None, b"2"))  # type: ignore[arg-type]
    assert bus.lag({}) == 0
    bus.close()


def test_a_message_of_another_bus_on_the_file_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The services of one process have a bus each. A reader does not wait for the next poll, here
    ten minutes away.
    """
    monkeypatch.setattr(sqlite, "_POLL_SECONDS", 600.0)
    monkeypatch.setattr(sqlite, "_CALM_POLL_SECONDS", 600.0)
    with (
        closing(SqliteBus(tmp_path / "bus.db")) as one,
        closing(SqliteBus(tmp_path / "bus.db")) as two,
        closing(two.reader("g")) as reader,
    ):
        later = threading.Timer(0.3, one.publish, [Message(key="t/d", value=b"x")])
        later.start()
        assert len(reader.read(60.0)) == 1
        later.join()
