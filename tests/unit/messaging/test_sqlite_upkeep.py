"""How the bus on a SQLite file stays small."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shared.bus import Message, open_bus, sqlite
from shared.bus.sqlite import SqliteBus
from shared.errors import SettingsError

DAY = 86_400.0


def _execute(path: Path, statement: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def _numbers(path: Path) -> list[int]:
    return [number for (number,) in _execute(path, "SELECT number FROM message ORDER BY number")]


def test_old_messages_go_once_every_group_has_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unread and young ones stay; a new group starts at what remains."""
    monkeypatch.setattr(sqlite, "_PRUNE_EVERY", 0.0)
    path = tmp_path / "bus.db"
    bus = SqliteBus(path, days=7)
    bus.publish(*[Message(f"k{n}", str(n).encode()) for n in range(1, 6)])
    quick, slow = bus.reader("quick"), bus.reader("slow")
    quick.commit({bus.log: 6})
    slow.commit({bus.log: 4})
    slow.commit({bus.log: 2})  # from another process that is behind
    _execute(path, "UPDATE message SET time = time - ? WHERE number <> 2", 7.1 * DAY)
    bus.publish(Message("k6", b"6"))
    assert _numbers(path) == [2, 4, 5, 6]
    assert [record.offset for record in bus.reader("fresh").read(0)] == [2, 4, 5, 6]
    bus.close()


def test_nothing_goes_while_there_is_no_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unread messages are kept at any age."""
    monkeypatch.setattr(sqlite, "_PRUNE_EVERY", 0.0)
    bus = SqliteBus(tmp_path / "bus.db", days=7)
    bus.publish(Message("a", b"1"))
    _execute(tmp_path / "bus.db", "UPDATE message SET time = 0")
    bus.publish(Message("a", b"2"))
    assert bus.lag({}) == 2
    bus.close()


def test_messages_go_in_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publisher never waits for thousands of old messages to be removed."""
    monkeypatch.setattr(sqlite, "_PRUNE_BATCH", 2)
    bus = SqliteBus(tmp_path / "bus.db", days=7)
    reader = bus.reader("g")
    bus.publish(*[Message("a", b"") for _ in range(5)])
    reader.commit({bus.log: 6})
    _execute(tmp_path / "bus.db", "UPDATE message SET time = 0")
    bus._prune_at = 0.0
    left = []
    for _ in range(4):
        bus.publish(Message("b", b""))
        left.append(len(_numbers(tmp_path / "bus.db")))
    assert left == [4, 3, 3, 4]
    bus.close()


@pytest.mark.parametrize("option", ["days=0", "days=x", "days=nan", "day=7"])
def test_a_wrong_option_is_a_settings_error(tmp_path: Path, option: str) -> None:
    """It is named at start, not passed over."""
    with pytest.raises(SettingsError, match="days"):
        open_bus(f"sqlite:///{tmp_path}/bus.db?{option}")


def test_the_days_come_from_the_url(tmp_path: Path) -> None:
    """An operator sets them beside the path."""
    bus = open_bus(f"sqlite:///{tmp_path}/bus.db?days=30")
    assert isinstance(bus, SqliteBus)
    assert bus.days == 30
    bus.close()
