"""A poison event to its end: it dies, is listed, its cause is mended, it is replayed, and its
document ends. With real ingest and extraction, on every bus; by the command line where a bus
outlives its process.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from services.cli import cli
from services.extraction import bootstrap as extraction
from services.extraction.settings import Settings as ExtractionSettings
from services.ingest import bootstrap as ingest
from services.ingest.settings import Settings as IngestSettings
from shared.bus import Bus, Message
from shared.cli import letters
from shared.errors import InvalidRequest, NotFound
from shared.runtime import Worker
from shared.settings import load
from shared.storage import Relay
from tests.contract.bus.worlds import PATIENCE, World, outliving
from tests.unit.extraction_service.house import KeywordSpecialists
from tests.unit.ingest.house import InProcessReader, pdf

CONTRACT = "This Agreement shall be governed by the laws of the State of Utah."


class Road:
    """Ingest and extraction on one bus, worked by hand."""

    def __init__(self, folder: Path, bus: Bus) -> None:
        specialists = KeywordSpecialists()
        self.bus = bus
        first = ingest.build(load(IngestSettings, data=folder), reader=InProcessReader(), bus=bus)
        second = extraction.build(
            load(ExtractionSettings, data=folder, bus_url="memory:"),
            keys=first.app.state.keys,
            specialists=lambda: specialists,
        )
        self.services = (first, replace(second, bus=bus))
        for service in self.services:
            service.store.migrate()
        secret = first.app.state.keys.create("default", "tester").secret
        headers = {"authorization": f"Bearer {secret}"}
        self.ingest, self.extraction = (TestClient(s.app, headers=headers) for s in self.services)
        self.loops = [
            (Relay(s.store, s.bus), Worker(s.name, s.store, s.bus, s.handlers, s.settings))
            for s in self.services
        ]

    def work_until(self, true: Callable[[], bool]) -> None:
        """Let everybody work until something is true."""
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, "worked in vain"
            for relay, worker in self.loops:
                relay.run_once()
                worker.run_once(0.05)

    def state(self, document: str) -> dict[str, Any]:
        """The document as ingest shows it."""
        answer: dict[str, Any] = self.ingest.get(f"/v1/documents/{document}").json()
        return answer

    def poisoned(self, folder: Path) -> tuple[str, Path, Path]:
        """A contract whose text is gone when extraction wants it: its id, where the text belongs,
        and where it lies now.
        """
        answer: Any = self.ingest.post(
            "/v1/documents",
            files={"file": ("a.pdf", pdf(CONTRACT))},
            data={"kind": "contract"},
        )
        document = str(answer.json()["id"])
        reading, _ = self.loops[0]
        while self.state(document)["state"] == "received":
            reading.run_once()
            self.loops[0][1].run_once(0.05)
        text = self.ingest.get(f"/v1/documents/{document}/text").content
        (path,) = (
            one
            for one in folder.glob("blobs/default/*/*")
            if one.is_file() and one.read_bytes() == text
        )
        aside = folder / "aside"
        path.rename(aside)
        self.work_until(lambda: self.state(document)["state"] == "ended")
        self.work_until(lambda: bool(self.bus.dead_letters()))
        return document, path, aside

    def close(self) -> None:
        """Give everything back."""
        for service in self.services:
            service.close_parts()
            service.store.close()


@pytest.fixture
def road(world: World, tmp_path: Path) -> Iterator[Road]:
    """The two services on a fresh bus."""
    road = Road(tmp_path / "data", world.open())
    yield road
    road.close()


def test_a_poison_event_is_listed_mended_and_replayed(road: Road, tmp_path: Path) -> None:
    """The document ends as failed, and after the replay complete; a second replay finds nothing."""
    document, path, aside = road.poisoned(tmp_path / "data")
    state = road.state(document)
    assert (state["outcome"], state["reasons"][0].split(":")[0]) == ("failed", "missing_blob")

    (line,) = letters.listed(road.bus, "extraction", document)
    assert (line["type"], line["attempts"], line["tenant"]) == ("document.read.v1", 1, "default")
    assert "is missing: restore it from a backup" in line["error"]
    assert letters.listed(road.bus, "review") == letters.listed(road.bus, document="doc_x") == []
    letter = letters.find(road.bus, line["id"][:6])
    whole = letters.whole(letter)
    assert whole["message"]["value"]["data"]["kind"] == "contract"
    assert whole["trace"][-1] == "shared.storage.blobs.MissingBlob"
    assert any("extraction/handlers.py" in row for row in whole["trace"])

    aside.rename(path)
    desk = letters.Desk(road.bus, tmp_path, "ann")
    desk.replay(letter, "the disk is back")
    road.work_until(lambda: road.state(document)["outcome"] == "complete")
    clauses: Any = road.extraction.get(f"/v1/documents/{document}/clauses").json()["items"]
    assert [one["category"] for one in clauses] == ["Governing Law"]
    assert road.bus.dead_letters() == []
    with pytest.raises(NotFound):
        letters.find(road.bus, line["id"])
    (noted,) = (tmp_path / letters.JOURNAL).read_text().splitlines()
    said = json.loads(noted)
    assert (said["done"], said["by"], said["id"]) == ("replayed", "ann", line["id"])


def test_a_replay_before_the_mend_dies_again(road: Road, tmp_path: Path) -> None:
    """It is a dead letter of another id, with its error; nothing else has changed."""
    document, *_ = road.poisoned(tmp_path / "data")
    (before,) = letters.listed(road.bus)
    letters.Desk(road.bus, tmp_path, "ann").replay(letters.find(road.bus, before["id"]))

    def again() -> bool:
        return [one["id"] for one in letters.listed(road.bus)] not in ([], [before["id"]])

    road.work_until(again)
    (after,) = letters.listed(road.bus)
    assert after["event"] == before["event"]
    assert road.state(document)["outcome"] == "failed"


def test_a_dropped_letter_is_gone_and_noted(bus: Bus, tmp_path: Path) -> None:
    """Its note has who, why and which; what is no event of ours can be dropped as well."""
    consumer = bus.consumer("extraction")
    for number in range(2):
        bus.publish(Message(f"acme/doc_{number}", b"nonsense \xff"))
        delivery = consumer.receive(PATIENCE)
        assert delivery is not None
        consumer.dead(delivery, "not an event\n\nplaces")
    consumer.close()
    first, second = letters.listed(bus)
    assert (first["type"], first["document"], first["error"]) == (None, "doc_0", "not an event")
    assert "nonsense" in letters.whole(letters.find(bus, first["id"]))["message"]["value"]
    letters.Desk(bus, tmp_path, "ann").drop(letters.find(bus, first["id"]), "a test of ours")
    assert [one["id"] for one in letters.listed(bus)] == [second["id"]]
    note = json.loads((tmp_path / letters.JOURNAL).read_text())
    assert (note["done"], note["by"], note["reason"]) == ("dropped", "ann", "a test of ours")
    with pytest.raises(InvalidRequest):
        letters.find(bus, "")


@outliving
def test_the_commands_do_the_same(road: Road, world: World, tmp_path: Path) -> None:
    """`dlq ls`, `show`, `replay` and `drop` on the URL of the bus, beside the services at work."""
    document, path, aside = road.poisoned(tmp_path / "data")
    place = ["--data", str(tmp_path / "data"), "--bus", world.url]

    def run(*arguments: str) -> Any:
        done = CliRunner().invoke(cli, ["dlq", *arguments, *place], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    line = json.loads(run("ls", "--json"))
    assert line["document"] == document
    assert document in run("ls")
    assert "MissingBlob" in run("show", line["id"])
    assert json.loads(run("show", line["id"], "--json"))["id"] == line["id"]
    aside.rename(path)
    assert "replayed" in run("replay", "--all", "--service", "extraction", "--by", "ann")
    road.work_until(lambda: road.state(document)["outcome"] == "complete")
    assert run("ls") == ""

    road.bus.publish(Message("acme/doc_1", b"nonsense"))
    road.work_until(lambda: len(road.bus.dead_letters()) == 2)  # of both services
    ids = [json.loads(one)["id"] for one in run("ls", "--json").splitlines()]
    assert run("drop", *ids, "--reason", "a test", "--by", "ann").count("dropped") == 2
    assert run("ls") == ""
    notes = (tmp_path / "data" / letters.JOURNAL).read_text().splitlines()
    assert [json.loads(one)["done"] for one in notes] == ["replayed", "dropped", "dropped"]
