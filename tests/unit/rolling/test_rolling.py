"""The checker of an upgrade sees what is lost and what is done twice, its report what clients saw,
and its gateway sends nobody to who is off the list.
"""

from __future__ import annotations

import copy
import hashlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.chaos.facts import Facts
from infra.chaos.papers import papers
from infra.chaos.receiver import Heard
from infra.ports import free_port
from infra.rolling.checker import Counted, count
from infra.rolling.edition import Replaced
from infra.rolling.gateway import Gateway
from infra.rolling.people import Answer, Told
from infra.rolling.release import NoHistoryError, taken, today
from infra.rolling.report import Report, gaps
from infra.rolling.run import left
from shared.errors import Unavailable

PAPER, REPORT = (papers(1, 3)[number] for number in (0, 2))
TAKEN = ("it_1", "accept", "first")


@dataclass
class Seen:
    """What a run has gathered."""

    told: Told
    facts: Facts
    heard: list[Heard]

    def count(self) -> Counted:
        """What the checker makes of it."""
        return count(self.told, self.facts, self.heard)


def sound() -> Seen:
    """A contract with a clause, about which somebody decided, a report with a finding, and
    everything as it should be.
    """
    told = Told()
    told.accept("doc_1", copy.deepcopy(PAPER))
    told.accept("doc_2", copy.deepcopy(REPORT))
    told.tried.add(TAKEN)
    told.decided["de_1"] = TAKEN
    sums = {name: hashlib.sha256(paper.data).hexdigest() for name, paper in told.accepted.items()}
    ended = {"state": "ended", "outcome": "complete"}
    items = [
        {"id": "it_1", "document_id": "doc_1", "result_id": "cl_1", "about": "clause"},
        {"id": "it_2", "document_id": "doc_2", "result_id": "fi_1", "about": "finding"},
    ]
    clause = {"id": "cl_1", "category": "Document Name", "start": 0, "end": 6}
    where = {"filing": "f", "statement": "balance_sheet", "row": 2, "column": None}
    finding = {"id": "fi_1", "check": "total", "message": "1 + 1 is not 3", **where}
    facts = Facts(
        documents=[{"id": name, "sha256": sha256, **ended} for name, sha256 in sums.items()],
        items=[{**items[0], "verdict": "accept"}, {**items[1], "verdict": None}],
        decisions=[{"id": "de_1", "item_id": "it_1", "verdict": "accept", "actor": "first"}],
        deliveries=[],
        costs={},
        results={"doc_1": [clause], "doc_2": [finding]},
        originals=sums,
    )
    heard = [
        Heard("wh_1", "document.ended", {"document_id": "doc_1"}),
        Heard("wh_2", "review.decided", {"document_id": "doc_1", "decision_id": "de_1"}),
        Heard("wh_3", "clauses.extracted", {"document_id": "doc_1"}),
        Heard("wh_4", "findings.found", {"document_id": "doc_2"}),
        Heard("wh_5", "document.ended", {"document_id": "doc_2"}),
    ]
    return Seen(told, facts, heard)


def test_nothing_is_found_where_all_is_kept() -> None:
    """A webhook that is sent again under its own id is the same webhook."""
    seen = sound()
    seen.heard.append(seen.heard[0])
    found = seen.count()
    assert (found.lost, found.twice) == ([], [])
    assert (found.accepted, found.complete, found.decided) == (2, 2, 1)
    assert (found.results, found.webhooks) == (2, 5)


LOST: dict[str, Callable[[Seen], object]] = {
    "is not there": lambda seen: seen.facts.documents.clear(),
    "is processing": lambda seen: seen.facts.documents[0].update(state="processing"),
    "failed": lambda seen: seen.facts.documents[0].update(outcome="failed"),
    "has other bytes": lambda seen: seen.facts.originals.update(doc_1="0"),
    "without results": lambda seen: seen.facts.results["doc_1"].clear(),
    "nobody is asked about cl_1": lambda seen: seen.facts.items.clear(),
    "decision de_1 about it_1": lambda seen: seen.facts.decisions.clear(),
    "kept as [('it_1', 'reject', 'first')]": lambda seen: seen.facts.decisions[0].update(
        verdict="reject"
    ),
    "kept as [('it_1', 'accept', 'second')]": lambda seen: seen.facts.decisions[0].update(
        actor="second"
    ),
    "kept as [('it_2', 'accept', 'first')]": lambda seen: seen.facts.decisions[0].update(
        item_id="it_2"
    ),
    "it_1, decided as accept, says None": lambda seen: seen.facts.items[0].update(verdict=None),
    "no webhook document.ended of doc_1": lambda seen: seen.heard.pop(0),
    "no webhook review.decided of de_1": lambda seen: seen.heard.pop(1),
    "no webhook clauses.extracted of doc_1": lambda seen: seen.heard.pop(2),
    "no webhook findings.found of doc_2": lambda seen: seen.heard.pop(3),
}
TWICE: dict[str, Callable[[Seen], object]] = {
    "documents with the bytes": lambda seen: seen.facts.documents.append(
        {**seen.facts.documents[0], "id": "doc_3"}
    ),
    "was accepted as": lambda seen: seen.told.accepted["doc_1"].answers.append("doc_2"),
    "doc_1: results cl_1": lambda seen: seen.facts.results["doc_1"].append(
        {**seen.facts.results["doc_1"][0], "start": 9}
    ),
    "doc_1: the same": lambda seen: seen.facts.results["doc_1"].append(
        {**seen.facts.results["doc_1"][0], "id": "cl_2"}
    ),
    "doc_2: the same": lambda seen: seen.facts.results["doc_2"].append(
        {**seen.facts.results["doc_2"][0], "id": "fi_2"}
    ),
    "items for": lambda seen: seen.facts.items.append({**seen.facts.items[0], "id": "it_2"}),
    "decisions about it_1": lambda seen: seen.facts.decisions.append(
        {**seen.facts.decisions[0], "id": "de_2"}
    ),
    "nobody took decision de_2": lambda seen: seen.facts.decisions.append(
        {**seen.facts.decisions[0], "id": "de_2", "item_id": "it_2"}
    ),
    "webhooks ('findings.found', 'doc_2')": lambda seen: seen.heard.append(
        Heard("wh_6", "findings.found", {"document_id": "doc_2"})
    ),
    "webhooks ('document.ended', 'doc_1')": lambda seen: seen.heard.append(
        Heard("wh_6", "document.ended", {"document_id": "doc_1"})
    ),
}


@pytest.mark.parametrize("said", LOST)
def test_what_is_lost_is_seen(said: str) -> None:
    """Each by its own words."""
    seen = sound()
    LOST[said](seen)
    assert any(said in line for line in seen.count().lost)


@pytest.mark.parametrize("said", TWICE)
def test_what_is_done_twice_is_seen(said: str) -> None:
    """Each by its own words."""
    seen = sound()
    TWICE[said](seen)
    assert any(said in line for line in seen.count().twice)


def report(seen: Seen, replaced: list[Replaced], died: list[str]) -> Report:
    """Of a run of ten seconds."""
    return Report(
        seed=1,
        release="0123abc",
        before={"ingest": "0016", "review": "0009"},
        after={"ingest": "0017", "review": "0009"},
        begun=0.0,
        migrated=2.0,
        upgraded=10.0,
        replaced=replaced,
        died=died,
        told=seen.told,
        counted=seen.count(),
        upload_ended=True,
        seconds=10.0,
    )


CALM = [Replaced("ingest", 3.0, 0.5, by_itself=True)]


def test_a_run_is_good_only_if_nothing_is_lost_and_all_went_calmly() -> None:
    """A process that was killed, or ended unasked, or a document too few, is not."""
    assert report(sound(), CALM, []).good
    assert not report(sound(), [], []).good
    assert not report(sound(), CALM, ["ingest ended with exit code 1"]).good
    assert not report(sound(), [Replaced("ingest", 3.0, 55.0, by_itself=False)], []).good
    seen = sound()
    seen.facts.documents.clear()
    assert not report(seen, CALM, []).good
    assert (
        "* ingest was killed"
        in report(sound(), [Replaced("ingest", 3.0, 55.0, by_itself=False)], []).table()
    )


def test_errors_are_counted_by_who_saw_them_while_the_upgrade_went_on() -> None:
    """What was answered before it began does not count, what was under way then does."""
    seen = sound()
    post = "POST /v1/documents"
    seen.told.answers = [
        Answer("once", post, "503", -5.0, -4.0),
        Answer("once", post, "ReadError", -1.0, 1.0),
        Answer("once", post, "202", 3.0, 3.1),
        Answer("client", post, "503", 4.0, 4.1),
        Answer("client", post, "202", 4.5, 4.6),
        Answer("seen", "upload", "200", 4.0, 4.6),
    ]
    table = list(report(seen, CALM, []).table())
    assert "| a client without retries | 2 | 1 | 1 ReadError to POST /v1/documents |" in table
    assert "| the product's client, each try | 2 | 1 | 1 503 to POST /v1/documents |" in table
    assert "| the product's client, what its caller sees | 1 | 0 | none |" in table
    assert table[0] == "From 0123abc, seed 1: ingest 0016 to 0017."


def test_the_longest_time_without_an_answer_is_between_two_good_ones() -> None:
    """Errors are no answers, and the ends of the upgrade count."""
    answers = [
        Answer("looking", "GET /v1/costs", "200", 0.0, 1.0),
        Answer("looking", "GET /v1/costs", "503", 3.0, 3.1),
        Answer("looking", "GET /v1/costs", "200", 4.5, 5.0),
        Answer("looking", "GET /v1/items", "200", 3.0, 3.1),
        Answer("once", "GET /v1/costs", "200", 2.0, 2.1),
    ]
    assert gaps(answers, "/v1/costs", 0.0, 6.0) == (4.0, 1.0)
    assert gaps(answers, "/v1/costs", 0.0, 12.0) == (7.0, 1.0)
    assert gaps([], "/v1/costs", 0.0, 6.0) == (6.0, 0.0)


class Ended:
    """A suite whose documents have ended, and whose webhooks are sent."""

    def all(self, _path: str) -> list[object]:
        """Nothing is left of what a path lists."""
        return []


def test_what_a_service_has_yet_to_hear_is_waited_for() -> None:
    """A document has ended once its results are there, and review asks about them a little later:
    who counts before that finds questions missing that nobody has lost.
    """

    def away(_service: str) -> int:
        raise Unavailable("the broker is away")

    reader: Any = Ended()
    assert not any(left(reader, "wh", lambda _: 0))
    assert any(left(reader, "wh", lambda service: 2 * (service == "review")))
    assert any(left(reader, "wh", away))


class Says:
    """A server that answers each connection with one byte of its own, after it has heard one."""

    def __init__(self, word: bytes) -> None:
        self.word = word
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with peer:
            while peer.recv(1):
                peer.sendall(self.word)


def test_a_gateway_sends_new_connections_to_who_is_on_its_list() -> None:
    """By turns; a connection that is open stays where it is; with nobody there it is cut off."""
    one, two = Says(b"1"), Says(b"2")
    gateway = Gateway(free_port())

    def asked(peer: socket.socket) -> bytes:
        peer.sendall(b"?")
        return peer.recv(1)

    def connected() -> socket.socket:
        return socket.create_connection(("127.0.0.1", gateway.port), timeout=10)

    try:
        gateway.add(one.port)
        with connected() as stays:
            assert asked(stays) == b"1"
            gateway.add(two.port)
            with connected() as first, connected() as second:
                assert {asked(first), asked(second)} == {b"1", b"2"}
            gateway.remove(one.port)
            assert asked(stays) == b"1"
            for _ in range(3):
                with connected() as peer:
                    assert asked(peer) == b"2"
        gateway.remove(two.port)
        with connected() as peer:
            assert peer.recv(1) == b""
    finally:
        gateway.close()
        one.listener.close()
        two.listener.close()


def test_a_commit_that_is_not_there_is_said(tmp_path: Path) -> None:
    """In one line; the program of this checkout needs no history."""
    with pytest.raises(NoHistoryError, match="git"):
        taken("no-such-commit", tmp_path / "program")
    assert (today().folder / "infra" / "rolling" / "release.py").is_file()
