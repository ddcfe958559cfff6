"""`smallprint verify`: each kind of damage is made, named, and repaired or reported as lost."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from services.cli import cli
from services.cli.deployment.stores import open_stores
from services.cli.operations import verify as looking
from shared.blobs import FileBlobs
from shared.bus import Positions
from shared.bus.sqlite import SqliteBus
from shared.events import BlobRef
from shared.settings import CommonSettings
from tests.system.operations.suite import NAMES, Suite

Found = dict[str, Any]


def verify(suite: Suite, *arguments: str, code: int) -> tuple[list[Found], Found]:
    """The faults that the command prints, and its counts."""
    command = ["verify", "--json", "--settle", "0", "--data", str(suite.folder), *arguments]
    done = CliRunner().invoke(cli, command, catch_exceptions=False, standalone_mode=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.return_value == code, lines
    return lines[:-1], lines[-1]


def kinds(faults: list[Found]) -> Counter[str]:
    return Counter(one["kind"] for one in faults)


def path_of(suite: Suite, column: str, document: str) -> Path:
    with suite.store("ingest").read() as session:
        query = text(f"SELECT {column}_sha256, {column}_size FROM documents WHERE id = :id")
        sha256, size = session.execute(query, {"id": document}).one()
    return FileBlobs(suite.folder / "blobs")._path("default", BlobRef(sha256=sha256, size=size))


def of_extraction(suite: Suite) -> tuple[list[Path], list[Path]]:
    """The blobs with lists of clauses, and the others."""
    clauses: list[Path] = []
    others: list[Path] = []
    for path in suite.folder.glob("blobs/default/extraction/*/*"):
        (clauses if path.read_bytes().startswith(b"[") else others).append(path)
    return clauses, others


def change(suite: Suite, service: str, statement: str, **values: Any) -> None:
    with suite.store(service).write() as session:
        assert session.execute(text(statement), values).rowcount


def test_a_sound_place_is_clean(suite: Suite) -> None:
    documents = [suite.upload(number) for number in range(3)]
    documents.append(suite.upload(9, "report"))
    suite.ended(*documents)
    assert suite.clients["ingest"].delete(f"/v1/documents/{documents[0]}").status_code == 204
    suite.work()
    faults, counts = verify(suite, "--stuck", "0", "--orphans", "0", code=0)
    assert faults == []
    assert counts["documents"] == 4
    assert counts["blobs"] >= 8
    command = ["verify", "--quick", "--settle", "0", "--data", str(suite.folder)]
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert "everything is consistent" in done.stdout


def test_blobs_that_follow_from_others_are_made_anew(suite: Suite) -> None:
    one, two, three, four = (
        *(suite.upload(number) for number in range(3)),
        suite.upload(5, "report"),
    )
    suite.ended(one, two, three, four)
    path_of(suite, "layout", one).unlink()
    damaged = path_of(suite, "layout", two)
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    clauses, others = of_extraction(suite)
    assert len(clauses) == 3
    clauses[0].unlink()
    others[0].unlink()
    for path in suite.folder.glob("blobs/default/triage/*/*"):
        path.write_bytes(path.read_bytes() + b" ")

    faults, _ = verify(suite, code=1)
    assert kinds(faults)["missing_blob"] == 3
    assert kinds(faults)["damaged_blob"] >= 2
    assert {one["repair"] for one in faults} == {"read_again", "announce"}
    quick, _ = verify(suite, "--quick", code=1)
    assert len(quick) < len(faults)  # bytes were changed without their number

    verify(suite, "--repair", code=0)
    suite.ended(one, two, three, four)
    faults, _ = verify(suite, code=0)
    assert faults == []
    for document in (one, two, three):
        answer: Any = suite.clients["extraction"].get(f"/v1/documents/{document}/clauses")
        assert answer.json()["items"]


def test_what_was_uploaded_can_not_be_made_anew(suite: Suite) -> None:
    one, two = suite.upload(1), suite.upload(2)
    suite.ended(one, two)
    path_of(suite, "original", one).unlink()
    damaged = path_of(suite, "original", two)
    damaged.write_bytes(b"not it")
    faults, _ = verify(suite, "--repair", code=3)
    assert kinds(faults).keys() == {"missing_blob", "damaged_blob"}
    assert {(one["repair"], one["repaired"]) for one in faults} == {(None, False)}
    assert all("restore it from a backup" in one["detail"] for one in faults)
    assert damaged.read_bytes() == b"not it"
    assert suite.state(one)["attempt"] == suite.state(two)["attempt"] == 1


def test_a_blob_that_nobody_names_is_removed_once_it_is_old(suite: Suite) -> None:
    document = suite.upload(1)
    suite.ended(document)
    before = set(suite.folder.glob("blobs/**/*"))
    young = FileBlobs(suite.folder / "blobs", "triage").put("default", b"half a work")
    old = FileBlobs(suite.folder / "blobs").put("default", b"half a work of long ago")
    path = FileBlobs(suite.folder / "blobs")._path("default", old)
    os.utime(path, (time.time() - 7200, time.time() - 7200))
    faults, _ = verify(suite, "--repair", code=0)
    assert [(one["kind"], one["blob"]) for one in faults] == [("orphan", old.sha256)]
    faults, _ = verify(suite, "--repair", "--orphans", "0", code=0)
    assert [one["blob"] for one in faults] == [young.sha256]
    assert {one for one in before if one.is_file()} == {
        one for one in suite.folder.glob("blobs/**/*") if one.is_file()
    }


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
@pytest.mark.parametrize("met", ["put again", "a row", "an event", "nobody"])
def test_a_blob_that_is_named_since_the_look_is_not_removed(suite: Suite, met: str) -> None:
    suite.ended(suite.upload(1))
    blobs = FileBlobs(suite.folder / "blobs", "extraction")
    ref = blobs.put("default", b"a list of clauses")
    os.utime(blobs._path("default", ref), (time.time() - 7200,) * 2)
    settings = CommonSettings(data=suite.folder)
    with open_stores(settings) as stores:
        place = looking.VerifiedDeployment.of(settings, stores, suite.services[0].bus)
        looked = looking.verify(place, looking.Rules())
        assert [one.blob for one in looked.faults] == [ref]
        if met == "put again":
            blobs.put("default", b"a list of clauses")
        elif met == "a row":
            named = "UPDATE extractions SET blobs = json_insert(blobs, '$[#]', json(:ref))"
            change(suite, "extraction", named, ref=ref.model_dump_json())
        elif met == "an event":
            change(
                suite,
                "ingest",
                "UPDATE outbox SET value = CAST(value || :ref AS BLOB)",
                ref=ref.sha256,
            )
        assert looking.repair(place, looked.faults) == [met == "nobody"]
        again = looking.verify(place, looking.Rules(), 0)
        assert again.faults == []
    assert blobs._path("default", ref).exists() == (met != "nobody")


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_a_damaged_blob_that_is_whole_by_now_is_not_removed(suite: Suite) -> None:
    suite.ended(suite.upload(1))
    ((path,), _) = of_extraction(suite)
    whole = path.read_bytes()
    path.write_bytes(b"x" + whole[1:])
    settings = CommonSettings(data=suite.folder)
    with open_stores(settings) as stores:
        place = looking.VerifiedDeployment.of(settings, stores, suite.services[0].bus)
        looked = looking.verify(place, looking.Rules())
        assert [one.kind for one in looked.faults] == ["damaged_blob"]
        path.write_bytes(whole)
        assert looking.repair(place, looked.faults) == [True]
    assert path.read_bytes() == whole
    assert sum(count for _, count in verify(suite, code=0)[1]["unsent"].items()) == 0


def test_a_document_that_nobody_works_on_goes_on(suite: Suite) -> None:
    one, two = suite.upload(1), suite.upload(2)
    change(suite, "ingest", "DELETE FROM outbox WHERE key = :key", key=f"default/{one}")
    relay, worker = suite.loops[0]
    relay.run_once()
    worker.run_until_idle()
    change(
        suite,
        "ingest",
        "DELETE FROM outbox WHERE sent IS NULL AND key = :key",
        key=f"default/{two}",
    )
    assert suite.state(two)["state"] == "read"
    assert suite.state(one)["state"] == "received"
    assert verify(suite, code=0)[0] == []  # nothing for so short a time is no fault
    suite.work()
    faults, _ = verify(suite, "--stuck", "0", code=1)
    assert {(f["kind"], f["document"]) for f in faults} == {("stuck", one), ("stuck", two)}
    verify(suite, "--stuck", "0", "--repair", code=0)
    assert verify(suite, "--stuck", "0", code=0)[0] == []  # it is on its way now
    suite.ended(one, two)
    assert verify(suite, "--stuck", "0", code=0)[0] == []


def test_results_and_documents_that_do_not_know_each_other(suite: Suite) -> None:
    one, two, three, four = (suite.upload(number) for number in range(4))
    suite.ended(one, two, three, four)
    begun = "UPDATE extractions SET state = :state WHERE document_id = :id"
    change(suite, "extraction", begun, state="deleted", id=four)
    ((fault,), _) = verify(suite, "--repair", code=3)
    assert (fault["kind"], fault["document"], fault["repair"]) == ("lost_result", four, None)
    change(suite, "extraction", begun, state="done", id=four)
    suite.work()
    change(suite, "extraction", "DELETE FROM extractions WHERE document_id = :id", id=one)
    change(suite, "ingest", "DELETE FROM documents WHERE id = :id", id=two)
    change(
        suite,
        "ingest",
        "UPDATE documents SET deleted = updated, deleted_by = 'ann' WHERE id = :id",
        id=three,
    )
    faults, _ = verify(suite, "--stuck", "0", code=1)
    named = {(f["kind"], f["service"], f["document"]) for f in faults}
    assert ("lost_result", "extraction", one) in named
    for document in (two, three):
        assert ("stray_result", "extraction", document) in named
        assert ("stray_result", "review", document) in named
    assert ("not_purged", "ingest", three) in named
    verify(suite, "--stuck", "0", "--repair", code=0)
    suite.ended(one)
    left, _ = verify(suite, "--stuck", "0", code=0)
    assert left == []
    with suite.store("extraction").read() as session:
        kept = session.execute(text("SELECT DISTINCT document_id FROM clauses")).scalars()
        assert set(kept) == {one, four}
    assert not path_of_is_there(suite, three)


def path_of_is_there(suite: Suite, document: str) -> bool:
    """Whether ingest still names bytes of a document."""
    with suite.store("ingest").read() as session:
        query = text("SELECT original_sha256 FROM documents WHERE id = :id")
        return session.execute(query, {"id": document}).scalar_one() is not None


def last_line(suite: Suite, *arguments: str) -> str:
    """The last line for a person."""
    command = ["verify", "--settle", "0", "--stuck", "0", "--data", str(suite.folder), *arguments]
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    return done.stdout.splitlines()[-1]


def test_what_is_on_its_way_is_no_fault(suite: Suite) -> None:
    suite.ended(suite.upload(1))
    document = suite.upload(2)
    faults, counts = verify(suite, "--stuck", "0", code=0)
    assert (faults, counts["waiting"], counts["in_progress"], counts["complete"]) == (
        [],
        1,
        1,
        True,
    )
    assert {name for name, count in counts["unsent"].items() if count} == {"ingest"}
    assert counts["notes"] == [
        "events yet to be sent: ingest 1; its relay sends them while it runs"
    ]
    assert last_line(suite).endswith("1 event about 1 document in progress: the rest agrees")
    suite.loops[0][0].run_once()
    faults, counts = verify(suite, "--stuck", "0", code=0)
    assert (faults, suite.state(document)["state"]) == ([], "received")
    assert (sum(counts["unsent"].values()), counts["unhandled"]) == (0, dict.fromkeys(NAMES, 1))
    assert (counts["waiting"], counts["in_progress"]) == (5, 1)
    assert counts["notes"][0].startswith("events yet to be handled: ingest 1, extraction 1, ")
    suite.ended(document)
    suite.work()
    assert last_line(suite).endswith("bytes), nothing in progress: everything is consistent")


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_a_broker_with_unnamed_events_is_not_called_consistent(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker counts events, but can't name their documents, so only blobs are checked."""

    def as_a_broker(bus: SqliteBus, positions: Positions) -> frozenset[str] | None:
        return None if bus.lag(positions) else frozenset()

    monkeypatch.setattr(SqliteBus, "keys", as_a_broker)
    one, two = suite.upload(1), suite.upload(2)
    suite.ended(one)
    suite.work()
    assert last_line(suite).endswith("nothing in progress: everything is consistent")
    change(suite, "extraction", "DELETE FROM extractions WHERE document_id = :id", id=one)
    suite.upload(3)
    suite.loops[0][0].run_once()
    faults, counts = verify(suite, "--stuck", "0", code=0)
    assert (faults, counts["waiting"], counts["in_progress"], counts["complete"]) == (
        [],
        5,
        None,
        False,
    )
    assert "stuck documents and lost or stray results were not checked" in counts["notes"][-1]
    last = last_line(suite)
    assert "5 events in progress: the blobs agree; stuck documents and results were not" in last

    path_of(suite, "layout", two).unlink()
    monkeypatch.setattr(looking, "time", SimpleNamespace(sleep=lambda _: suite.work()))
    last = last_line(suite, "--settle", "1")
    assert "nothing in progress: 1 fault, 0 of them repaired; stuck documents and" in last
    assert {one["kind"] for one in verify(suite, code=1)[0]} == {"missing_blob", "lost_result"}


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_a_damaged_database_is_named(suite: Suite) -> None:
    documents = [suite.upload(number) for number in range(20)]
    suite.ended(*documents)
    suite.close()
    path = suite.folder / "review.db"
    data = bytearray(path.read_bytes())
    assert len(data) > 3 * 4096
    for start in range(4096 + 8, len(data), 4096):
        data[start : start + 200] = b"\xff" * 200
    path.write_bytes(data)
    faults, counts = verify(suite, code=3)
    assert [(f["kind"], f["service"]) for f in faults] == [("broken_database", "review")]
    assert counts["notes"] == ["a database is damaged: nothing else was checked"]
    known = {"complete": False, "faults": 1, "repaired": 0, "notes": counts["notes"]}
    unknown = ("documents", "blobs", "bytes", "waiting", "unsent", "unhandled", "in_progress")
    assert counts == dict.fromkeys(unknown) | known
    assert last_line(suite) == "nothing else was checked: 1 fault, 0 of them repaired"
