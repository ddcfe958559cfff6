"""How the bus on a SQLite file stays small, and what a clock that is set back does to it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
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


def _wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_old_messages_go_once_every_group_has_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pending ones, dead letters and young ones stay; a new group starts at what remains."""
    monkeypatch.setattr(sqlite, "_PRUNE_EVERY", 0.0)
    path = tmp_path / "bus.db"
    bus = SqliteBus(path, days=7)
    bus.publish(*[Message(f"k{n}", str(n).encode()) for n in range(5)])
    quick, slow = bus.consumer("quick"), bus.consumer("slow")
    for _ in range(5):
        delivery = quick.receive(5)
        assert delivery is not None
        if delivery.message.key == "k0":
            quick.dead(delivery, "damaged")
        else:
            quick.ack(delivery)
    for _ in range(3):
        delivery = slow.receive(5)
        assert delivery is not None
        slow.ack(delivery)
    _execute(path, "UPDATE message SET time = time - ? WHERE number <> 3", 7.1 * DAY)
    bus.publish(Message("k9", b"9"))

    assert _numbers(path) == [1, 3, 4, 5, 6]  # dead, young, and what slow has yet to do
    fresh = bus.consumer("fresh")
    seen = []
    while delivery := fresh.receive(0):
        seen.append(delivery.message.value)
        fresh.ack(delivery)
    assert seen == [b"0", b"2", b"3", b"4", b"9"]
    bus.replay(bus.dead_letters("quick")[0].id)
    again = quick.receive(5)
    assert again is not None
    assert again.message.value in (b"0", b"9")
    bus.close()


def test_nothing_goes_while_there_is_no_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody has heard yet is kept, however old it is."""
    monkeypatch.setattr(sqlite, "_PRUNE_EVERY", 0.0)
    bus = SqliteBus(tmp_path / "bus.db", days=7)
    bus.publish(Message("a", b"1"))
    _execute(tmp_path / "bus.db", "UPDATE message SET time = 0")
    bus.publish(Message("a", b"2"))
    assert bus.lag("g") == 2
    bus.close()


def test_messages_go_in_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publisher never waits for thousands of old messages to be removed."""
    monkeypatch.setattr(sqlite, "_PRUNE_BATCH", 2)
    bus = SqliteBus(tmp_path / "bus.db", days=7)
    consumer = bus.consumer("g")
    bus._prune_at = 0.0
    bus.publish(*[Message("a", b"") for _ in range(5)])
    while delivery := consumer.receive(0):
        consumer.ack(delivery)
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


def test_a_clock_that_is_set_back_keeps_no_dead_lease(tmp_path: Path) -> None:
    """What somebody held who is gone is free after a lease, not after the hours set back."""
    path = tmp_path / "bus.db"
    bus = SqliteBus(path, lease=0.6)
    bus.publish(Message("a", b"1"))
    consumer = bus.consumer("g")
    gone = bus.consumer("g")
    assert gone.receive(5) is not None
    _execute(path, "UPDATE lane SET ready_at = ready_at + ?, holder = 'elsewhere|1|x|y'", DAY)
    found = consumer.receive(10)
    assert found is not None
    assert found.attempt == 2
    bus.close()


def test_a_clock_that_is_set_back_robs_nobody_who_lives(tmp_path: Path) -> None:
    """Who is at work goes on renewing, and nobody else is given the same."""
    path = tmp_path / "bus.db"
    bus = SqliteBus(path, lease=0.6)
    bus.publish(Message("a", b"1"))
    worker, other = bus.consumer("g"), bus.consumer("g")
    delivery = worker.receive(5)
    assert delivery is not None
    _execute(path, "UPDATE lane SET ready_at = ready_at + ?", DAY)
    _wait_until(lambda: _execute(path, "SELECT ready_at FROM lane")[0][0] < time.time() + DAY / 2)
    assert other.receive(1.0) is None
    worker.ack(delivery)
    assert bus.lag("g") == 0
    bus.close()
