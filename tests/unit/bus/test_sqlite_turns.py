"""Turns of tenants on a SQLite file: shared by all members of a group, and brought to old files."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from shared.bus import Message
from shared.bus.sqlite import SqliteBus

FIRST_LAYOUT = """
    CREATE TABLE message (number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL,
        value BLOB NOT NULL, headers TEXT NOT NULL, time REAL NOT NULL);
    CREATE TABLE consumer_group (name TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE pending (consumer_group TEXT NOT NULL, key TEXT NOT NULL,
        number INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, not_before REAL NOT NULL,
        error TEXT, PRIMARY KEY (consumer_group, key, number)) WITHOUT ROWID;
    CREATE TABLE lane (consumer_group TEXT NOT NULL, key TEXT NOT NULL, number INTEGER NOT NULL,
        ready_at REAL NOT NULL, holder TEXT, PRIMARY KEY (consumer_group, key)) WITHOUT ROWID;
    CREATE INDEX lane_ready ON lane (consumer_group, ready_at, number);
    CREATE INDEX lane_holder ON lane (holder) WHERE holder IS NOT NULL;
    CREATE TABLE dead (id TEXT PRIMARY KEY, consumer_group TEXT NOT NULL, number INTEGER NOT NULL,
        error TEXT NOT NULL, attempts INTEGER NOT NULL, time REAL NOT NULL) WITHOUT ROWID;
    INSERT INTO consumer_group VALUES ('g');
    PRAGMA user_version = 1;
"""


def sent(tenant: str, count: int) -> list[Message]:
    """Messages of so many documents of a tenant."""
    return [Message(f"{tenant}/{n}", f"{tenant} {n}".encode()) for n in range(count)]


def heard(bus: SqliteBus, count: int) -> list[str]:
    """The tenants of the next deliveries, which stay in hand; a new member takes each."""
    tenants = []
    for _ in range(count):
        delivery = bus.consumer("g").receive(5)
        assert delivery is not None
        tenants.append(delivery.message.key.partition("/")[0])
    return tenants


def test_the_members_of_a_group_share_the_turns(tmp_path: Path) -> None:
    """Whoever takes the next message, in whatever process, takes the next tenant's."""
    first, second = (SqliteBus(tmp_path / "bus.db") for _ in range(2))
    first.consumer("g").close()
    first.publish(*sent("big", 20), *sent("small", 2))
    assert [heard(bus, 1)[0] for bus in (first, second, first, second, first)] == [
        *("big", "small", "big", "small"),
        "big",
    ]
    first.close()
    second.close()


def test_a_file_of_the_first_layout_goes_on_with_turns(tmp_path: Path) -> None:
    """What waited in it is delivered, and a tenant that comes now is next."""
    path = tmp_path / "bus.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(FIRST_LAYOUT)
        for number, message in enumerate(sent("big", 3), 1):
            key = message.key
            old.execute("INSERT INTO message VALUES (?, ?, ?, '{}', 0)", (number, key, b""))
            old.execute("INSERT INTO pending VALUES ('g', ?, ?, 0, 0, NULL)", (key, number))
            old.execute("INSERT INTO lane VALUES ('g', ?, ?, 0, NULL)", (key, number))
        old.commit()
    for _ in range(2):  # the second finds it as it is to be
        bus = SqliteBus(path)
        bus.close()
    bus = SqliteBus(path)
    assert heard(bus, 1) == ["big"]
    bus.publish(*sent("small", 1))
    assert heard(bus, 3) == ["small", "big", "big"]
    bus.close()
