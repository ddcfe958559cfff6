"""What is particular to the bus on a SQLite file."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from shared.bus import Message, sqlite
from shared.bus.sqlite import _ANY, _NEXT, SqliteBus, _is_gone, _place, _this_process
from shared.errors import SettingsError, Unavailable


def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Whoever comes first makes the tables; nobody fails."""
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
    assert bus.lag("g") == 8
    bus.close()


def test_a_file_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    """It is left as it is, and the error names it."""
    path = tmp_path / "bus.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(SettingsError, match="newer release"):
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
    assert bus.lag("g") == 0
    bus.close()


def test_receiving_is_quick_however_much_waits_behind_one_key(tmp_path: Path) -> None:
    """Thousands of messages behind a retried one do not slow the others down."""
    bus = SqliteBus(tmp_path / "bus.db")
    consumer = bus.consumer("g")
    bus.publish(*[Message("stuck", b"") for _ in range(20_000)])
    delivery = consumer.receive(5)
    assert delivery is not None
    consumer.retry(delivery, 3600, "not yet")
    bus.publish(*[Message(f"k{n}", b"") for n in range(20)])

    with closing(bus.connect("NORMAL")) as connection:
        plans = [
            connection.execute("EXPLAIN QUERY PLAN " + query, ("g", 0)).fetchall()
            for query in (_ANY, _NEXT)
        ]
    of_tenant = (
        "SEARCH lane USING COVERING INDEX lane_of_tenant"
        " (consumer_group=? AND tenant=? AND ready_at<?)"
    )
    assert [[step for *_, step in plan if "SUBQUERY" not in step] for plan in plans] == [
        ["SEARCH lane USING COVERING INDEX lane_ready (consumer_group=? AND ready_at<?)"],
        [of_tenant, "SEARCH turn USING COVERING INDEX turn_served (consumer_group=?)", of_tenant],
    ]
    start = time.monotonic()
    for _ in range(20):
        delivery = consumer.receive(5)
        assert delivery is not None
        consumer.ack(delivery)
    assert time.monotonic() - start < 5
    bus.close()


def test_a_process_is_gone_only_when_that_is_certain() -> None:
    """Another machine's, or one whose number lives, is not; an ended one is, and so is an
    earlier one of our own number."""
    place, number, _ = _this_process().split("|")
    assert not _is_gone(_this_process() + "|x")
    assert _is_gone(f"{place}|{number}|another|x")
    assert _is_gone(f"{_place()}|4194305|r|x")
    assert not _is_gone("elsewhere|4194305|r|x")
    assert not _is_gone(f"{place}|1|r|x")


def test_a_bus_on_the_same_file_is_heard_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the services of one process have it, each with a bus of its own: nobody waits for the
    next look, which is far off here."""
    monkeypatch.setattr(sqlite, "_POLL_SECONDS", 600.0)
    monkeypatch.setattr(sqlite, "_CALM_POLL_SECONDS", 600.0)
    with (
        closing(SqliteBus(tmp_path / "bus.db")) as one,
        closing(SqliteBus(tmp_path / "bus.db")) as two,
        closing(two.consumer("g")) as consumer,
    ):
        later = threading.Timer(0.3, one.publish, [Message(key="t/d", value=b"x")])
        later.start()
        delivery = consumer.receive(60.0)
        assert delivery is not None
        consumer.ack(delivery)
        later.join()
