"""`smallprint backup` of a place that is at work, and `smallprint restore` to an empty one."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError

from infra.servers.kafka import Broker
from services.cli import cli
from services.cli.operations.backup import backup
from services.cli.operations.backup_manifest import BackupManifest, BadBackup, files_of
from shared.blobs import FileBlobs
from shared.blobs.protocol import PIN_MARKER
from shared.errors import Conflict, SuiteError, Unavailable
from shared.events import BlobRef
from shared.messaging import Inbox
from shared.storage import snapshot
from tests.support.postgres import Servers
from tests.support.queue import dead_letters, unfinished
from tests.system.operations.suite import NAMES, Suite, environment, place_of, under_load


def run(*arguments: object, code: int = 0) -> list[dict[str, Any]]:
    done = CliRunner().invoke(
        cli, [*map(str, arguments), "--json"], catch_exceptions=False, standalone_mode=False
    )
    assert done.return_value == code, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def empty(
    databases: dict[str, str], servers: Servers, tmp_path: Path
) -> Iterator[Callable[[], Path]]:
    """Another data folder, with new databases if the first one uses a server."""
    patch = pytest.MonkeyPatch()

    def enter() -> Path:
        if databases:
            environment(patch, {name: servers.database() for name in NAMES})
        return tmp_path / "restored"

    yield enter
    patch.undo()


def test_a_backup_under_load_is_restored_whole(
    suite: Suite, empty: Callable[[], Path], tmp_path: Path
) -> None:
    before = [suite.upload(number) for number in range(3)] + [suite.upload(50, "report")]
    suite.ended(*before)
    with under_load(suite, 6) as sure:
        (made,) = run("backup", tmp_path / "backup", "--data", suite.folder)
    assert made["blobs"] >= len(before)
    assert not list(suite.folder.glob("blobs/**/*.held"))
    assert not (suite.folder / "blobs" / PIN_MARKER).exists()

    where = empty()
    *_, counts = run("restore", tmp_path / "backup", "--data", where)
    assert counts["faults"] == 0
    assert counts["documents"] >= len(before) + 2
    with closing(Suite(where)) as restored:
        living = [one for one in sure if restored.state(one).get("id")]
        deleted = set(sure) - set(living)
        assert len(living) >= 2
        restored.ended(*before, *living)
        for document in living[:3]:
            answer: Any = restored.clients["extraction"].get(f"/v1/documents/{document}/clauses")
            assert answer.json()["items"]
        items = (
            "SELECT document_id, result_id, count(*) FROM items GROUP BY 1, 2 HAVING count(*) > 1"
        )
        with restored.store("review").read() as session:
            assert session.execute(text(items)).all() == []
        refused = pytest.raises(DatabaseError, match="cannot be changed or removed")
        with restored.store("ingest").write() as session, refused:
            session.execute(text("DELETE FROM audit"))
        with restored.store("ingest").read() as session:
            tombs = "SELECT id FROM documents WHERE deleted IS NOT NULL"
            assert deleted <= set(session.execute(text(tombs)).scalars())
    *_, counts = run("verify", "--settle", "0", "--stuck", "0", "--data", where)
    assert (counts["faults"], counts["waiting"]) == (0, 0)
    chains = run("audit", "verify", "--data", where)
    assert {"ingest", "extraction"} <= {one["service"] for one in chains}
    assert {one["problem"] for one in chains} == {None}


@pytest.mark.kafka
def test_events_of_a_broker_are_sent_once_more(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def topic(name: str) -> str:
        url = f"kafka://{broker.address}?topic={name}&partitions=2&timeout=60"
        environment(monkeypatch, {}, url)
        return url

    topic("first")
    suite = Suite(tmp_path / "data")
    first = suite.upload(1)
    suite.ended(first)
    second, third = suite.upload(2), suite.upload(3)
    relay, worker = suite.loops[0]
    while suite.state(second)["state"] == "received":
        relay.run_once()
        worker.run_once(0.1)
    relay.run_once()  # its text is announced, and no service has received that
    clauses = text("SELECT count(*) FROM clauses WHERE document_id = :id")
    with suite.store("extraction").read() as session:
        found = session.execute(clauses, {"id": first}).scalar_one()
    (made,) = run("backup", tmp_path / "backup", "--data", suite.folder)
    assert made["bus"] is None
    suite.close()
    with pytest.raises(Conflict, match="messages already"):
        run("restore", tmp_path / "backup", "--data", tmp_path / "restored")

    topic("second")
    *_, counts = run("restore", tmp_path / "backup", "--data", tmp_path / "restored")
    assert counts["faults"] == 0
    with closing(Suite(tmp_path / "restored")) as restored:
        restored.ended(first, second, third)
        restored.work(lambda: unfinished(restored.store("extraction")) == 0)
        assert {restored.state(one)["attempt"] for one in (first, second, third)} == {1}
        with restored.store("extraction").read() as session:
            assert session.execute(clauses, {"id": first}).scalar_one() == found > 0
            starts = session.execute(text("SELECT max(attempts) FROM inbox")).scalar_one()
        assert starts == 1
        assert dead_letters(restored.services[0]) == []


def test_a_place_that_is_not_empty_is_refused(suite: Suite, tmp_path: Path) -> None:
    suite.ended(suite.upload(1))
    run("backup", tmp_path / "backup", "--data", suite.folder)
    listed = sorted(tmp_path.rglob("*"))
    with pytest.raises(Conflict, match="has something in it"):
        run("backup", tmp_path / "backup", "--data", suite.folder)
    with pytest.raises(Conflict, match="has something in it"):
        run("restore", tmp_path / "backup", "--data", suite.folder)
    assert sorted(tmp_path.rglob("*")) == listed


def test_a_second_backup_to_the_same_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, target = place_of(tmp_path / "data", 1), tmp_path / "backup"
    refused: list[BaseException] = []

    def again() -> None:
        try:
            backup(place, target)
        except SuiteError as error:
            refused.append(error)

    held = FileBlobs.listed_pinned

    def while_it_copies(blobs: FileBlobs) -> Iterator[tuple[str, BlobRef]]:
        second = threading.Thread(target=again, daemon=True)
        second.start()
        second.join(10)
        return held(blobs)

    monkeypatch.setattr(FileBlobs, "listed_pinned", while_it_copies)
    backup(place, target)
    assert [one.path for one in files_of(target) if not (target / one.path).is_file()] == []
    assert [type(error) for error in refused] == [Conflict]
    assert not (tmp_path / "backup.partial").exists()


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_a_missing_blob_in_a_backup_is_reported(suite: Suite, tmp_path: Path) -> None:
    suite.ended(suite.upload(1))
    (suite.folder / "blobs").rename(tmp_path / "unmounted")
    (made,) = run("backup", tmp_path / "backup", "--data", suite.folder, code=1)
    assert made["blobs"] == 0


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_databases_with_tables_are_refused(suite: Suite, tmp_path: Path) -> None:
    suite.ended(suite.upload(1))
    run("backup", tmp_path / "backup", "--data", suite.folder)
    with pytest.raises(Conflict, match="is not empty: make a new one"):
        run("restore", tmp_path / "backup", "--data", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_a_backup_that_changed_is_refused(suite: Suite, tmp_path: Path) -> None:
    suite.ended(suite.upload(1))
    whole = tmp_path / "backup"
    run("backup", whole, "--data", suite.folder)
    manifest = BackupManifest.read(whole)
    files = [one.path for one in files_of(whole)]
    assert len(files) >= 9
    assert manifest.blobs >= 3
    blob = next(one for one in files if one.startswith("blobs/default"))
    for name in (blob, "databases/review.db", "bus.db", "files.jsonl", "manifest.json"):
        copy = tmp_path / "copy"
        shutil.copytree(whole, copy)
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(data)
        if name == "manifest.json":
            (copy / name).unlink()
        with pytest.raises(BadBackup):
            run("restore", copy, "--data", tmp_path / "restored")
        assert not (tmp_path / "restored").exists()
        assert not (tmp_path / "restored.partial").exists()
        shutil.rmtree(copy)
    run("restore", whole, "--data", tmp_path / "restored")


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_nobody_holds_anything_in_a_restored_place(suite: Suite, tmp_path: Path) -> None:
    document = suite.upload(1)
    relay, worker = suite.loops[0]
    relay.run_once()
    worker.pump.run_once(5)
    assert worker.inbox.claim("main") is not None
    run("backup", tmp_path / "backup", "--data", suite.folder)
    run("restore", tmp_path / "backup", "--data", tmp_path / "restored")
    with closing(Suite(tmp_path / "restored")) as restored:
        with restored.store("ingest").read() as session:
            assert session.execute(text("SELECT count(*) FROM relay_lease")).scalar_one() == 0
        assert Inbox(restored.services[0].store).claim("main") is not None
        assert restored.state(document)["state"] == "received"


def test_blobs_whose_holder_was_killed_are_swept(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    path = blobs._path("default", blobs.put("default", b"some words"))
    path.rename(path.with_suffix(".held"))
    (tmp_path / "blobs" / PIN_MARKER).touch()
    FileBlobs(tmp_path / "blobs").sweep(older=timedelta(hours=1))
    assert not list((tmp_path / "blobs").rglob("*.held"))


def test_snapshots_are_of_one_moment(
    databases: dict[str, str], servers: Servers, tmp_path: Path
) -> None:
    """A writer counts in one database and then in the other, so copies differ by one at most."""
    if databases:
        urls = {"a": servers.database(), "b": servers.database()}
    else:
        urls = {name: f"sqlite:///{tmp_path}/{name}.db" for name in ("a", "b")}
    engines = {name: create_engine(url) for name, url in urls.items()}
    for engine in engines.values():
        with engine.begin() as connection:
            if not databases:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            connection.exec_driver_sql("CREATE TABLE counted (n INTEGER)")
    stop = threading.Event()

    def count() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            for name in ("a", "b"):
                with engines[name].begin() as connection:
                    connection.execute(text("INSERT INTO counted VALUES (:n)"), {"n": number})

    thread = threading.Thread(target=count)
    thread.start()
    try:
        for turn in range(5):
            time.sleep(0.1)
            with snapshot.snapshots(urls) as moment:
                time.sleep(0.05)
                for one in moment:
                    one.copy(tmp_path / f"{turn}-{one.name}{one.suffix}")
    finally:
        stop.set()
        thread.join()
    last = []
    for turn in range(5):
        counts = []
        for name in ("a", "b"):
            if databases:
                url = servers.database()
                snapshot.load_dump(url, tmp_path / f"{turn}-{name}.dump", name)
            else:
                url = f"sqlite:///{tmp_path}/{turn}-{name}.db"
            with create_engine(url).connect() as connection:
                counts.append(connection.execute(text("SELECT count(*) FROM counted")).scalar_one())
        assert counts[0] - counts[1] in (0, 1), counts
        last.append(counts[1])
    assert last == sorted(last)
    assert last[0] < last[-1]


def test_a_long_lock_of_a_database_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "TRIES", 2)
    monkeypatch.setattr(snapshot, "LOCK_SECONDS", 0.05)
    for name in ("a", "b"):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection:
            connection.execute("CREATE TABLE t (n)")
    urls = {name: f"sqlite:///{tmp_path}/{name}.db" for name in ("a", "b")}
    with closing(sqlite3.connect(tmp_path / "b.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="could not be locked"), snapshot.snapshots(urls):
            pass
        with closing(sqlite3.connect(tmp_path / "a.db", timeout=0)) as other:
            other.execute("INSERT INTO t VALUES (1)")
    with (
        pytest.raises(SuiteError, match="there is no database"),
        snapshot.snapshots({"c": f"sqlite:///{tmp_path}/c.db"}),
    ):
        pass
