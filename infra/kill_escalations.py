"""Kill the workers of escalation again and again while they ask, then hold the books together.

    python -m infra.kill_escalations [--escalations 10000] [--workers 50] [--kills 200]
        [--database URL] [--seed 1]

Two stand-in frontiers, which are no models, answer: the first one overbills some day and is stopped
at that bill, the second one goes on. Both hang, break off after billing, say they are busy, fail,
invent quotes, break their JSON and repeat answers to other questions. Five processes share the
workers; each kill is SIGKILL to one of them, spread evenly over the work. At the end nobody is
killed any more, and what was in hand is recovered.

Prints a table and one closing line; exit code 0 if no cap was exceeded by more than was billed
beyond what is possible, each settled call has a bill of just its tokens and amount, each other bill
a call that counts in full, no reservation is left, each escalation has exactly one answer, it was
killed as often as asked, and no worker died of itself. What the workers wrote to standard error
stays in a folder that the table names.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from infra.bills import differences
from infra.stand_in import Bill, Fault, Labels, StandIn
from services.escalation.audit import Moment, booked, moment, outcomes
from services.escalation.ledger.store import disagreements, stops
from services.escalation.store import MIGRATIONS
from shared.bus import Message, open_bus
from shared.errors import Unavailable
from shared.events import EscalationRequested
from shared.events.questions import Question
from shared.storage import FileBlobs, Relay, Store
from shared.storage.messages import outbox

ROOT = Path(__file__).resolve().parent.parent
PROCESSES = 5
PRICE_IN, PRICE_OUT = 3, 15
SECONDS = 3.0
"""That one call may take."""
PUBLISHED_AT_ONCE = 500
STALL_SECONDS = 900.0
"""How long nothing new may come before it is given up."""
LAST_LINES = 20
"""Of what a worker wrote that died of itself."""
LAW = "This Agreement is governed by the laws of the State of Delaware."
FAULTS: dict[Fault, float] = {
    "busy": 0.03,
    "overloaded": 0.02,
    "fail": 0.02,
    "hang": 0.005,
    "drop": 0.03,
    "invent": 0.04,
    "alter": 0.03,
    "break_json": 0.03,
    "decline": 0.02,
    "no_bill": 0.02,
    "repeat": 0.03,
}
POLICY = """
# STAND-IN FRONTIERS: no model answers here. For this demonstration alone.
[providers.stand-in-first]
protocol = "anthropic"
model = "stand-in"
url = "{first}"
key_env = "KILL_ESCALATIONS_KEY"
price = {{ input = "3", output = "15", as_of = 2026-01-31 }}
seconds = {seconds}
most_tokens = 400

[providers.stand-in-second]
protocol = "own"
model = "stand-in"
url = "{second}"
price = {{ input = "3", output = "15", as_of = 2026-01-31 }}
seconds = {seconds}
most_tokens = 400

[tenants.default]
providers = ["stand-in-first", "stand-in-second"]
leaves = ["contract"]
day_usd = "{cap}"
month_usd = "{cap}"
"""


@dataclass
class Report:
    """What a run gave. Money is in millionths of a US$."""

    asked: int
    wanted_kills: int
    cap: int
    kills: list[int] = field(default_factory=list)
    """Escalations that were finished at each kill."""
    largest: int = 0
    """The most that counted as spent at any moment, but for what was billed beyond possibility."""
    largest_with_excess: int = 0
    billed: int = 0
    """By the stand-ins' own books, but for what was beyond possibility."""
    excess: int = 0
    overbills: int = 0
    counted: int = 0
    """By the ledger, but for what was beyond possibility."""
    states: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    stopped: list[str] = field(default_factory=list)
    wrong_sums: list[str] = field(default_factory=list)
    wrong_bills: list[str] = field(default_factory=list)
    """Calls and bills that do not agree."""
    died: list[str] = field(default_factory=list)
    """Workers that ended without being killed."""
    logs: str = ""
    """Folder of what the workers wrote to standard error."""
    unanswered: list[str] = field(default_factory=list)
    """Escalations without an answer."""
    twice: list[str] = field(default_factory=list)
    """Escalations with several."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether the books are right."""
        wrong = self.wrong_sums or self.wrong_bills or self.states["reserved"]
        lost = self.unanswered or self.twice or self.died
        money = self.largest <= self.cap and self.billed <= self.counted
        return money and not wrong and not lost and len(self.kills) == self.wanted_kills

    def table(self) -> Iterator[str]:
        """Lines for a person."""
        yield f"{self.asked:>12}  escalations"
        for outcome, number in self.outcomes.most_common():
            yield f"{number:>12}  {outcome}"
        for state, number in self.states.most_common():
            yield f"{number:>12}  calls {state}"
        for usd, what in (
            (self.cap, "cap"),
            (self.largest, "counted at most at any moment, without excess"),
            (self.largest_with_excess, "the same with excess"),
            (self.billed, "billed by the stand-ins' own books, without excess"),
            (self.counted, "counted at the end, without excess"),
            (self.excess, f"excess of {self.overbills} bills beyond possibility"),
        ):
            yield f"{usd / 1e6:>12.6f}  US$ {what}"
        yield f"{len(self.stopped):>12}  providers stopped: {', '.join(self.stopped)}"
        for what, names in (
            ("sums that are not the ledger's", self.wrong_sums),
            ("calls and bills that do not agree", self.wrong_bills),
            ("workers that died of themselves", self.died),
            ("escalations lost", self.unanswered),
            ("escalations answered twice", self.twice),
        ):
            yield f"{len(names):>12}  {what}{': ' if names else ''}{'; '.join(names[:5])}"
        yield f"what the workers wrote to standard error: {self.logs}"
        yield (
            f"{'GOOD' if self.good else 'BAD'}: {len(self.kills)} of {self.wanted_kills} kills, "
            f"{self.asked} escalations, {len(self.unanswered)} lost, {len(self.twice)} twice, "
            f"{self.states['reserved']} reservations left, US$ {self.largest / 1e6:.6f} of "
            f"{self.cap / 1e6:.6f}, {self.seconds:.0f} s"
        )


@dataclass
class Worker:
    """A process of workers, and the file that has what it wrote to standard error."""

    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()

    def last_lines(self) -> str:
        """The end of what it wrote."""
        lines = self.log.read_text("utf-8", "replace").splitlines()[-LAST_LINES:]
        return "\n".join(lines) or "(it wrote nothing)"


class Place:
    """The folder, database and bus of one run."""

    def __init__(self, folder: Path, database: str = "", logs: Path | None = None) -> None:
        self.folder = folder
        self.logs = logs or folder / "logs"
        self.logs.mkdir(exist_ok=True)
        self._started = itertools.count(1)
        self.url = database or f"sqlite:///{folder / 'escalation.db'}"
        self.bus_url = f"sqlite:///{folder / 'bus.db'}"
        self.policy = folder / "policy.toml"
        self.store = Store(self.url, "escalation", MIGRATIONS)
        self.store.migrate()
        self.bus = open_bus(self.bus_url)
        self.relay = Relay(self.store, self.bus)

    def ask(self, count: int) -> None:
        """Request so many escalations; every tenth has the same words as the one before it."""
        question_blobs = FileBlobs(self.folder / "blobs", "extraction")
        passages = [f"{number}. Term. It lasts.\nLaw. {LAW}\nEnd.\n" for number in range(count)]
        starts = [0, *itertools.accumulate(map(len, passages))]
        text = FileBlobs(self.folder / "blobs").put("default", "".join(passages).encode())
        self.bus.consumer("escalation").close()
        messages = []
        for number in range(count):
            asked = number - 1 if number % 10 == 9 else number
            question = Question(
                kind="contract",
                text=text,
                start=starts[asked],
                end=starts[asked + 1],
                category="Governing Law",
                definition="Which state's law governs the contract?",
            )
            event = EscalationRequested(
                id=f"{number:032x}",
                document_id=f"doc_{number}",
                stage="extraction",
                result_id=f"cl_{number}",
                question=question_blobs.put("default", question.model_dump_json().encode()),
            )
            messages.append(Message(key=event.key, value=event.to_json("extraction")))
        for first in range(0, count, PUBLISHED_AT_ONCE):
            self.bus.publish(*messages[first : first + PUBLISHED_AT_ONCE])

    def worker(self, threads: int) -> Worker:
        """A process of workers, with a file of its own for what it writes to standard error."""
        settings = {
            "SMALLPRINT_DATA": str(self.folder),
            "SMALLPRINT_BUS_URL": self.bus_url,
            "SMALLPRINT_ESCALATION_DATABASE_URL": self.url,
            "SMALLPRINT_POLICY": str(self.policy),
            "SMALLPRINT_ESCALATION_RECOVERY": "1",
            "SMALLPRINT_ESCALATION_PATIENCE": "120",
            "SMALLPRINT_ESCALATION_OLDEST": "86400",  # all are requested at once
            "SMALLPRINT_ESCALATION_WORKERS": str(threads),
            "SMALLPRINT_RETRY_DELAY": "0.2",
            "SMALLPRINT_RETRY_DELAY_MOST": "2",
            "SMALLPRINT_LOG_LEVEL": "ERROR",
            "KILL_ESCALATIONS_KEY": "no-key",
        }
        log = self.logs / f"worker-{next(self._started)}.log"
        with log.open("wb") as written:
            process = subprocess.Popen(
                [sys.executable, "-m", "services.escalation", "worker"],
                cwd=ROOT,
                env={**os.environ, **settings},
                stdout=subprocess.DEVNULL,
                stderr=written,
            )
        return Worker(process, log)

    def moment(self) -> Moment:
        """What the ledger says now."""
        with self.store.read() as session:
            return moment(session)

    def close(self) -> None:
        """Give the parts back."""
        self.bus.close()
        self.store.close()


def run(
    place: Place,
    escalations: int,
    workers: int,
    kills: int,
    seed: int,
    tell: Callable[[str], None] = partial(print, flush=True),
) -> Report:
    """Ask, kill, recover, and count."""
    began = time.monotonic()
    chance = random.Random(seed)
    cap = escalations * 3_000 + workers * 25_000
    report = Report(asked=escalations, wanted_kills=kills, cap=cap, logs=str(place.logs))
    own: list[dict[Fault, float]] = [{"overbill": 4 / escalations}, {}]
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(
                StandIn(
                    Labels([("Governing Law", LAW)]),
                    errors=0.05,
                    faults={**FAULTS, **more},
                    seed=seed + number,
                    hang_seconds=SECONDS * 3,
                    think_seconds=0.2,
                    overbilled=3,
                )
            )
            for number, more in enumerate(own)
        )
        place.policy.write_text(
            POLICY.format(first=first.url, second=second.url, seconds=SECONDS, cap=cap / 1e6)
        )
        place.ask(escalations)
        _work(place, report, workers, chance, tell)
        books = {"stand-in-first": list(first.bills), "stand-in-second": list(second.bills)}
    bills = list(itertools.chain.from_iterable(books.values()))
    report.overbills = sum(bill.excess > 0 for bill in bills)
    report.excess = sum(bill.excess * PRICE_OUT for bill in bills)
    report.billed = sum(
        bill.input * PRICE_IN + (bill.output - bill.excess) * PRICE_OUT for bill in bills
    )
    count(report, place, books)
    report.seconds = time.monotonic() - began
    return report


def _work(
    place: Place,
    report: Report,
    workers: int,
    chance: random.Random,
    tell: Callable[[str], None],
) -> None:
    """Let processes work, kill one of them now and then, and wait until nothing is in hand."""
    processes = min(PROCESSES, workers)
    threads = -(-workers // processes)
    running = [place.worker(threads) for _ in range(processes)]
    try:
        known, until = -1, time.monotonic() + STALL_SECONDS
        while True:
            now = place.moment()
            with suppress(Unavailable):  # others write as well, and one of them comes again
                place.relay.run_once()
            report.largest = max(report.largest, now.counted)
            report.largest_with_excess = max(report.largest_with_excess, now.counted + now.excess)
            if now.finished != known:
                known, until = now.finished, time.monotonic() + STALL_SECONDS
            elif time.monotonic() > until:
                raise SystemExit(f"nothing new for {STALL_SECONDS:.0f} s at {known} escalations")
            if now.finished >= report.asked and not now.calls["reserved"]:
                return
            turn = len(report.kills) + 1
            due = turn * report.asked // (report.wanted_kills + 1)
            note_dead(running, report, tell)
            if turn <= report.wanted_kills and now.calls["reserved"] and now.finished >= due:
                victim = chance.randrange(len(running))
                running[victim].kill()
                running[victim] = place.worker(threads)
                report.kills.append(now.finished)
                tell(f"killed {turn} of {report.wanted_kills} times, {now.finished} finished")
            time.sleep(0.05)
    finally:
        for worker in running:
            worker.kill()


def note_dead(running: list[Worker], report: Report, tell: Callable[[str], None]) -> None:
    """Note the workers that died of themselves, and show their last words.

    Raises SystemExit once none is left.
    """
    for worker in [one for one in running if one.process.poll() is not None]:
        running.remove(worker)
        report.died.append(f"{worker.log.name}, exit code {worker.process.returncode}")
        tell(f"a worker died of itself: {report.died[-1]}; its last lines:\n{worker.last_lines()}")
    if not running:
        raise SystemExit(f"every worker died of itself; what they wrote is in {report.logs}")


def count(report: Report, place: Place, bills: Mapping[str, Sequence[Bill]]) -> None:
    """Hold ledger, answers and the bills of each provider against each other."""
    while place.relay.run_once():
        pass
    with place.store.read() as session:
        now = moment(session)
        report.counted, report.states = now.counted, now.calls
        for (state, reason), number in outcomes(session).items():
            why = re.sub(r"\d[\d.,-]*", "#", reason.rpartition("; ")[2].partition(":")[0])
            report.outcomes[f"{state} {why}".strip()] += number
        report.stopped = [stop.provider for stop in stops(session)]
        report.wrong_sums = disagreements(session)
        report.wrong_bills = differences(booked(session), bills, (PRICE_IN, PRICE_OUT))
        told = [json.loads(row.value) for row in session.execute(outbox.select())]
    answers = Counter(event["causationid"] for event in told)
    wanted = [f"{number:032x}" for number in range(report.asked)]
    report.unanswered = [one for one in wanted if not answers[one]]
    report.twice = [one for one in wanted if answers[one] > 1]


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.kill_escalations", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--escalations", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--database", default="", help="URL of an empty one; else SQLite")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    logs = Path(tempfile.mkdtemp(prefix="smallprint-kill-escalations-logs-"))
    with tempfile.TemporaryDirectory(prefix="smallprint-kill-escalations-") as name:
        place = Place(Path(name), asked.database, logs)
        try:
            report = run(place, asked.escalations, asked.workers, asked.kills, asked.seed)
        finally:
            place.close()
    print("\n".join(report.table()))
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
