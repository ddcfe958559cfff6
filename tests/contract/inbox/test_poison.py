"""A poison event to its end: it dies, is listed, its cause is mended, it is replayed, and its
document ends. With real ingest and extraction.
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

from services.cli import cli
from services.cli.deployment.stores import migrations
from services.cli.operations import dead_letters
from services.extraction import bootstrap as extraction
from services.extraction.settings import Settings as ExtractionSettings
from services.ingest import bootstrap as ingest
from services.ingest.settings import Settings as IngestSettings
from shared.bus import Bus, Message
from shared.bus.memory import MemoryBus
from shared.errors import InvalidRequest, NotFound
from shared.settings import CommonSettings, load
from shared.storage import Store
from tests.support.builders import Chain
from tests.support.queue import HandWorker
from tests.unit.extraction.builders import KeywordSpecialists
from tests.unit.ingest.builders import InProcessReader, pdf

PATIENCE = 90.0
"""Seconds."""
CONTRACT = "This Agreement shall be governed by the laws of the State of Utah."


class PoisonedChain(Chain):
    """Ingest and extraction on one bus."""

    def __init__(self, folder: Path, bus: Bus) -> None:
        specialists = KeywordSpecialists()
        self.bus = bus
        first = ingest.build(load(IngestSettings, data=folder), reader=InProcessReader(), bus=bus)
        second = extraction.build(
            load(ExtractionSettings, data=folder, bus_url="memory:"),
            keys=first.app.state.keys,
            specialists=lambda: specialists,
        )
        super().__init__(first, replace(second, bus=bus))
        self.stores: dict[str, Store] = {service.name: service.store for service in self.services}

    def work_until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, "worked in vain"
            for relay, worker in self.loops:
                relay.run_once()
                worker.run_once(0.05)

    def poisoned(self, folder: Path) -> tuple[str, Path, Path]:
        """A contract whose text is missing when extraction needs it.

        Returns its id, the path of the text, and the path to which the text was moved.
        """
        document = self.upload("a.pdf", pdf(CONTRACT), kind="contract")
        relay, worker = self.loops[0]
        while self.document(document)["state"] == "received":
            relay.run_once()
            worker.run_once(0.05)
        text = self.clients["ingest"].get(f"/v1/documents/{document}/text").content
        (path,) = (
            one
            for one in folder.glob("blobs/default/*/*")
            if one.is_file() and one.read_bytes() == text
        )
        aside = folder / "aside"
        path.rename(aside)
        self.work_until(lambda: self.document(document)["state"] == "ended")
        self.work_until(lambda: bool(dead_letters.all_of(self.stores)))
        return document, path, aside

    def close(self) -> None:
        for service in self.services:
            service.close_parts()
            service.store.close()


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[PoisonedChain]:
    chain = PoisonedChain(tmp_path / "data", MemoryBus())
    yield chain
    chain.close()


def test_a_poison_event_is_listed_mended_and_replayed(chain: PoisonedChain, tmp_path: Path) -> None:
    document, path, aside = chain.poisoned(tmp_path / "data")
    state = chain.document(document)
    assert (state["outcome"], state["reasons"][0].split(":")[0]) == ("failed", "missing_blob")

    (line,) = dead_letters.listed(chain.stores, "extraction", document)
    assert (line["type"], line["attempts"], line["tenant"]) == ("document.read.v1", 1, "default")
    assert "is missing: restore it from a backup" in line["error"]
    assert (
        dead_letters.listed(chain.stores, "review")
        == dead_letters.listed(chain.stores, document="doc_x")
        == []
    )
    letter = dead_letters.find(chain.stores, line["id"][:6])
    whole = dead_letters.details(letter)
    assert whole["message"]["value"]["data"]["kind"] == "contract"
    assert whole["trace"][-1] == "shared.blobs.protocol.MissingBlob"
    assert any("extraction/handlers.py" in row for row in whole["trace"])

    aside.rename(path)
    desk = dead_letters.DeadLetterCommands(chain.stores, tmp_path, "ann")
    desk.replay(letter, "the disk is back")
    chain.work_until(lambda: chain.document(document)["outcome"] == "complete")
    clauses: Any = (
        chain.clients["extraction"].get(f"/v1/documents/{document}/clauses").json()["items"]
    )
    assert [one["category"] for one in clauses] == ["Governing Law"]
    assert dead_letters.all_of(chain.stores) == []
    with pytest.raises(NotFound):
        dead_letters.find(chain.stores, line["id"])
    (noted,) = (tmp_path / dead_letters.LOG_FILE).read_text().splitlines()
    entry = json.loads(noted)
    assert (entry["done"], entry["by"], entry["id"]) == ("replayed", "ann", line["id"])


def test_a_dropped_letter_is_gone_and_noted(store: Store, tmp_path: Path) -> None:
    bus, stores = MemoryBus(), {"extraction": store}
    bus.publish(*(Message(f"acme/doc_{number}", b"nonsense \xff") for number in range(2)))
    HandWorker("extraction", store, bus, {}, CommonSettings()).run_until_idle()
    first, second = dead_letters.listed(stores)
    assert (first["type"], first["document"], first["error"][:13]) == (
        None,
        "doc_0",
        "invalid event",
    )
    assert (
        "nonsense"
        in dead_letters.details(dead_letters.find(stores, first["id"]))["message"]["value"]
    )
    dead_letters.DeadLetterCommands(stores, tmp_path, "ann").drop(
        dead_letters.find(stores, first["id"]), "a test of ours"
    )
    assert [one["id"] for one in dead_letters.listed(stores)] == [second["id"]]
    note = json.loads((tmp_path / dead_letters.LOG_FILE).read_text())
    assert (note["done"], note["by"], note["reason"]) == ("dropped", "ann", "a test of ours")
    with pytest.raises(InvalidRequest):
        dead_letters.find(stores, "")


def test_the_commands_do_the_same(chain: PoisonedChain, tmp_path: Path) -> None:
    document, path, aside = chain.poisoned(tmp_path / "data")
    place = ["--data", str(tmp_path / "data")]
    for name, folder in migrations().items():
        store = Store(f"sqlite:///{tmp_path / 'data' / name}.db", name, folder)
        store.migrate()
        store.close()

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
    chain.work_until(lambda: chain.document(document)["outcome"] == "complete")
    assert run("ls") == ""

    chain.bus.publish(Message("acme/doc_1", b"nonsense"))
    chain.work_until(lambda: len(dead_letters.all_of(chain.stores)) == 2)  # of both services
    ids = [json.loads(one)["id"] for one in run("ls", "--json").splitlines()]
    assert run("drop", *ids, "--reason", "a test", "--by", "ann").count("dropped") == 2
    assert run("ls") == ""
    notes = (tmp_path / "data" / dead_letters.LOG_FILE).read_text().splitlines()
    assert [json.loads(one)["done"] for one in notes] == ["replayed", "dropped", "dropped"]
