"""Kill the suite at random moments while it reads documents, then count the results over REST.

    python -m tests.system.crash.kill                          the embedded edition, 30 kills
    python -m tests.system.crash.kill --edition kafka          separate processes on a real broker
    python -m tests.system.crash.kill --kills 5 --documents 10 --seed 7

Each kill is a SIGKILL of the whole embedded process, or of one of the separate processes (also
broker and origin). Uploads are repeated until they are accepted, as a client would.

At the end every accepted document has ended and is listed once. Each clause and finding is there
once, with one item for review. Prints a table and one closing line; the exit code is 0 if all of
this holds.
"""

from __future__ import annotations

import argparse
import os
import queue
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from infra.servers.ports import free_port
from tests.support import artefacts
from tests.support.embedded import Embedded
from tests.support.patient_client import GivenUpError, PatientClient
from tests.support.samples import contract, mail, report
from tests.support.suite_process import NotStartedError, SuiteProcess

END_SECONDS = 600.0


class Edition(Protocol):
    """A suite that runs in other processes."""

    url: str

    def start(self) -> str:
        """Start it. Returns its first key, once it is ready."""

    def kill(self, chance: random.Random) -> str:
        """Kill something with SIGKILL, and see that it is started again. Returns what it was."""

    def stop(self) -> int:
        """End it calmly. Returns its exit code."""


class InOneProcess:
    """The embedded edition."""

    def __init__(self, folder: Path) -> None:
        self._suite = Embedded(folder)
        self.url = self._suite.url

    def start(self) -> str:
        """See `Edition.start`."""
        return str(self._suite.start()["key"])

    def kill(self, chance: random.Random) -> str:
        """See `Edition.kill`; one time in four it dies again while it starts."""
        self._suite.end(signal.SIGKILL)
        self._suite.launch()
        what = "all"
        if chance.random() < 0.25:
            time.sleep(chance.uniform(0.0, 3.0))
            self._suite.end(signal.SIGKILL)
            self._suite.launch()
            what = "all, and at its start"
        self._suite.first_line()
        return what

    def stop(self) -> int:
        """See `Edition.stop`."""
        return self._suite.end()


class Separate:
    """Every service in its own processes, on a real Kafka broker (`make run-kafka`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> str:
        """See `Edition.start`."""
        command = ["infra.run_kafka", "--port", str(self.port), "--data", str(self.folder / "data")]
        settings = {"SMALLPRINT_ARTEFACTS": str(artefacts())}
        self._suite = SuiteProcess(self.folder / "log", command, settings)
        return self._suite.key()

    def kill(self, chance: random.Random) -> str:
        """See `Edition.kill`; the supervisor starts it again."""
        name, pid = chance.choice(sorted(self._suite.pids.items()))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return name

    def stop(self) -> int:
        """See `Edition.stop`."""
        return self._suite.stop()


# Documents


@dataclass
class Document:
    """One document that goes through, and what became of it."""

    name: str
    data: bytes
    kind: str
    id: str = ""
    outcome: str = ""
    results: int = 0
    wrong: list[str] = field(default_factory=list)
    parts: tuple[Document, ...] = ()
    """The attachments of a mail. Each becomes a document."""


def documents(number: int) -> Iterator[Document]:
    """Contracts as text, reports with a broken sum, and mails with one of each attached, in turn;
    no two of the same bytes.
    """
    for n in range(number):
        if n % 3 == 2:
            yield _report(n)
        elif n % 3 == 1:
            attached = (_contract(1000 + n), _report(1000 + n))
            data = mail(f"Mail {n}", {one.name: one.data for one in attached})
            yield Document(f"mail-{n:02d}.eml", data, "", parts=attached)
        else:
            yield _contract(n)


def _contract(n: int) -> Document:
    return Document(f"contract-{n:02d}.txt", contract(n), "contract")


def _report(n: int) -> Document:
    return Document(f"report-{n:02d}.json", report(f"filing-{n}", offset=n), "report")


# The client's side


def upload(client: PatientClient, document: Document) -> None:
    """Send a document until it is accepted."""
    files = {"file": (document.name, document.data)}
    fields = {"kind": document.kind} if document.kind else {}
    answer = client.ask("POST", "/v1/documents", files=files, data=fields)
    if answer.status_code not in (200, 202):
        raise SystemExit(f"{document.name} was refused: {answer.text}")
    document.id = answer.json()["id"]


def settle(client: PatientClient, sent: Sequence[Document], seconds: float) -> None:
    """Wait until every document has ended and its items are there, or for so long."""
    end = time.monotonic() + seconds
    for document in sent:
        while time.monotonic() < end:
            check(client, document)
            if not document.wrong:
                break
            time.sleep(0.5)


def check(client: PatientClient, document: Document) -> None:
    """Ask for everything about one document, and note what is wrong."""
    document.wrong = []
    state = client.get(f"/v1/documents/{document.id}")
    document.outcome = state["outcome"] or state["state"]
    if state["state"] != "ended":
        document.wrong.append(f"has not ended: {state['state']}")
        return
    if state["outcome"] != "complete":
        document.wrong.append(f"{state['outcome']}: {'; '.join(state['reasons'])}")
        return
    check_parts(client, document, state)
    if document.parts:  # its own few words need hold no clause
        return
    what = "clauses" if document.kind == "contract" else "findings"
    results = list(client.all(f"/v1/documents/{document.id}/{what}"))
    items = list(client.all(f"/v1/items?document={document.id}&state=all&limit=500"))
    document.results = len(results)
    ids = Counter(result["id"] for result in results)
    queued = Counter(item["result_id"] for item in items)
    if what == "clauses":
        places = Counter((r["category"], r["start"], r["end"]) for r in results)
        document.wrong += [f"twice: {place}" for place, count in places.items() if count > 1]
    if not results:
        document.wrong.append(f"has no {what}")
    document.wrong += [f"result twice: {name}" for name, count in ids.items() if count > 1]
    document.wrong += [f"item twice: {name}" for name, count in queued.items() if count > 1]
    if missing := ids.keys() - queued.keys():
        document.wrong.append(f"{len(missing)} results without an item")
    if extra := queued.keys() - ids.keys():
        document.wrong.append(f"{len(extra)} items without a result")


def check_parts(client: PatientClient, mail: Document, state: dict[str, Any]) -> None:
    """Ask for everything that is attached to a mail, and note what is wrong."""
    ids = {part["name"]: part["id"] for part in state["parts"]}
    within = [item["id"] for item in client.all(f"/v1/documents?parent={mail.id}")]
    if list(ids) != [part.name for part in mail.parts] or len(state["parts"]) != len(ids):
        mail.wrong.append(f"has other parts: {state['parts']}")
    elif sorted(within) != sorted(ids.values()):
        mail.wrong.append(f"part lost or twice: {within}")
    else:
        for part in mail.parts:
            part.id = ids[part.name]
            check(client, part)
            mail.wrong += [f"{part.name}: {wrong}" for wrong in part.wrong]


# The run


@dataclass
class Report:
    """The result of a run."""

    kills: list[str]
    documents: list[Document]
    listed: int
    seconds: float

    @property
    def good(self) -> bool:
        """Whether everything that was accepted has ended, once."""
        return self.listed == self.expected and not any(d.wrong for d in self.documents)

    @property
    def expected(self) -> int:
        """The expected number of documents: the sent ones, and those attached to mails."""
        return sum(1 + len(document.parts) for document in self.documents)

    def table(self) -> Iterator[str]:
        """One row a document, then what was killed, and the closing line."""
        yield f"{'document':<18}  {'outcome':<10}  {'results':>7}  wrong"
        for d in self.documents:
            yield f"{d.name:<18}  {d.outcome:<10}  {d.results:>7}  {'; '.join(d.wrong) or '-'}"
        for what, times in sorted(Counter(self.kills).items()):
            yield f"killed {times:>2} times: {what}"
        ended = Counter(d.outcome for d in self.documents)
        outcomes = ", ".join(f"{count} {name}" for name, count in sorted(ended.items()))
        twice = sum("twice" in wrong for d in self.documents for wrong in d.wrong)
        verdict = "GOOD" if self.good else "BAD"
        yield (
            f"{verdict}: {len(self.kills)} kills, {len(self.documents)} accepted, "
            f"{self.listed} of {self.expected} listed, {outcomes}, {twice} twice, "
            f"{self.seconds:.0f} s"
        )


def run(
    edition: Edition, kills: int, number: int, seed: int, report: Callable[[str], None] = print
) -> Report:
    """Send documents while the suite is killed, then count."""
    chance = random.Random(seed)
    began = time.monotonic()
    key = edition.start()
    client = PatientClient(edition.url, key)
    sent = list(documents(number))
    waiting: queue.SimpleQueue[Document | None] = queue.SimpleQueue()

    def send() -> None:
        while (document := waiting.get()) is not None:
            upload(client, document)

    uploader = threading.Thread(target=send, daemon=True)
    uploader.start()
    killed = []
    try:
        for turn in range(kills):
            first, last = turn * number // kills, (turn + 1) * number // kills
            for document in sent[first:last]:
                waiting.put(document)
            pause = chance.uniform(0.0, 3.0)
            time.sleep(pause)
            killed.append(edition.kill(chance))
            report(f"{turn + 1}/{kills} after {pause:.2f} s: killed {killed[-1]}")
        waiting.put(None)
        uploader.join(END_SECONDS)
        settle(client, sent, END_SECONDS)
        listed = len(list(client.all("/v1/documents?limit=100")))
    finally:
        edition.stop()
    return Report(killed, sent, listed, time.monotonic() - began)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--edition", choices=["embedded", "kafka"], default="embedded")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--documents", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="smallprint-kill-") as name:
        folder = Path(name)
        edition = InOneProcess(folder) if options.edition == "embedded" else Separate(folder)
        try:
            report = run(edition, options.kills, options.documents, options.seed)
        except (NotStartedError, GivenUpError) as error:
            sys.exit(str(error))
        if not report.good:
            print("\n".join((folder / "log").read_text("utf-8", "replace").splitlines()[-20:]))
    print("\n".join(report.table()))
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
