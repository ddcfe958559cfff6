"""Kill the workers of escalation again and again while they ask, then hold the books together.

    python -m infra.kill_escalations [--escalations 10000] [--workers 50] [--kills 200]
        [--database URL] [--seed 1]

Two stand-in frontiers, which are no models, answer: the first one overbills every call from some
call on, and is stopped at the first such bill; the second one goes on. Both hang, break off after
billing, say they are busy, fail, invent quotes, break their JSON and repeat answers to other
questions. Two tenants ask: `default` has budget enough, `tight`, whose every fifth escalation is,
has not, so that its cap binds in the middle of all this and what is left of its escalations ends
for want of budget. Five processes share the workers; each kill is SIGKILL to one of them, spread
evenly over the work. At the end nobody is killed any more, and what was in hand is recovered.

Prints a table and one closing line; exit code 0 if no cap was exceeded by more than was billed
beyond what is possible, that of `tight` had to refuse something, the provider that overbilled was
stopped by such a bill and asked nothing since, each settled call has a bill of just its tokens and
amount, each other bill a call that counts in full, no reservation is left, each escalation has
exactly one answer, it was killed as often as asked, and no worker died of itself. The largest spend
is that of some twenty looks a second. What the workers wrote to standard error stays in a folder
that the table names.
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
from datetime import timedelta
from functools import partial
from pathlib import Path

from infra.bills import differences
from infra.stand_in import Bill, Fault, Labels, StandIn
from infra.stand_in.protocols import Said
from services.escalation.audit import Booked, Moment, booked, moment, outcomes
from services.escalation.ledger import Stop
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
FIRST, SECOND = "stand-in-first", "stand-in-second"
AMPLE, TIGHT = "default", "tight"
TIGHT_EVERY = 5
"""Of so many escalations the first is of the tenant whose budget is not enough."""
WORST = 20_000
"""Millionths of a US$ that a call is reserved with at most."""
NEEDED, TIGHT_HAS = 3_000, 1_000
"""Millionths of a US$ for an escalation: what does for all, and what the cap of `tight` allows."""
HONEST = 4
"""The first one bills as many calls rightly as one in so many of the escalations."""
GRACE = timedelta(seconds=1)
"""Between a look at who is stopped and what is reserved after it."""
NO_BUDGET = re.compile(r"which the budget for \S+ does not have any more")
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
"""
TENANT = """
[tenants.{name}]
providers = ["stand-in-first", "stand-in-second"]
leaves = ["contract"]
day_usd = "{cap}"
month_usd = "{cap}"
"""


def tenant_of(number: int) -> str:
    """Whose an escalation is."""
    return AMPLE if number % TIGHT_EVERY else TIGHT


def shared_out(workers: int) -> list[int]:
    """How many workers each process has."""
    each, more = divmod(workers, PROCESSES)
    shares = [each + (number < more) for number in range(PROCESSES)]
    return [share for share in shares if share]


def caps_of(escalations: int, workers: int, kills: int) -> dict[str, int]:
    """What each tenant may spend, in millionths of a US$: a killed process leaves a call of each of
    its threads in hand, which counts in full.
    """
    tight = -(-escalations // TIGHT_EVERY)
    left = WORST * (workers + kills * max(shared_out(workers)))
    return {AMPLE: (escalations - tight) * NEEDED + left, TIGHT: tight * TIGHT_HAS + WORST}


@dataclass
class Report:
    """What a run gave. Money is in millionths of a US$."""

    asked: int
    wanted_kills: int
    caps: Mapping[str, int]
    """Of each tenant."""
    kills: list[int] = field(default_factory=list)
    """Escalations that were finished at each kill."""
    largest: Counter[str] = field(default_factory=Counter)
    """The most that counted as spent at any moment, by tenant, but for what was billed beyond
    possibility.
    """
    largest_with_excess: int = 0
    """Of all tenants together."""
    billed: int = 0
    """By the stand-ins' own books, but for what was beyond possibility."""
    excess: int = 0
    overbills: int = 0
    counted: int = 0
    """By the ledger, but for what was beyond possibility."""
    refused: int = 0
    """Escalations that ended for want of budget."""
    states: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    stopped: list[str] = field(default_factory=list)
    wrong_stops: list[str] = field(default_factory=list)
    """What is wrong with how who overbills was stopped."""
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
        kept = all(self.largest[name] <= cap for name, cap in self.caps.items())
        money = kept and self.refused > 0 and self.billed <= self.counted
        stops_at_once = self.stopped == [FIRST] and not self.wrong_stops
        killed = len(self.kills) == self.wanted_kills
        return bool(money and stops_at_once and killed and not wrong and not lost)

    def table(self) -> Iterator[str]:
        """Lines for a person."""
        yield f"{self.asked:>12}  escalations"
        for outcome, number in self.outcomes.most_common():
            yield f"{number:>12}  {outcome}"
        for state, number in self.states.most_common():
            yield f"{number:>12}  calls {state}"
        yield from self._money()
        yield f"{self.refused:>12}  escalations ended for want of budget"
        yield f"{len(self.stopped):>12}  providers stopped: {', '.join(self.stopped)}"
        for what, names in (
            ("wrong in how they were stopped", self.wrong_stops),
            ("sums that are not the ledger's", self.wrong_sums),
            ("calls and bills that do not agree", self.wrong_bills),
            ("workers that died of themselves", self.died),
            ("escalations lost", self.unanswered),
            ("escalations answered twice", self.twice),
        ):
            yield f"{len(names):>12}  {what}{': ' if names else ''}{'; '.join(names[:5])}"
        yield f"what the workers wrote to standard error: {self.logs}"
        spent = " and ".join(
            f"{self.largest[name] / 1e6:.6f} of {cap / 1e6:.6f} ({name})"
            for name, cap in self.caps.items()
        )
        yield (
            f"{'GOOD' if self.good else 'BAD'}: {len(self.kills)} of {self.wanted_kills} kills, "
            f"{self.asked} escalations, {len(self.unanswered)} lost, {len(self.twice)} twice, "
            f"{self.states['reserved']} reservations left, US$ {spent}, {self.refused} refused for "
            f"want of budget, {self.seconds:.0f} s"
        )

    def _money(self) -> Iterator[str]:
        for name, cap in self.caps.items():
            yield f"{cap / 1e6:>12.6f}  US$ cap of {name}"
            yield (
                f"{self.largest[name] / 1e6:>12.6f}  US$ counted for it at most at any moment, "
                f"without excess: {self.largest[name] / cap:.1%} of its cap"
            )
        for usd, what in (
            (self.largest_with_excess, "counted at most for both, with excess"),
            (self.billed, "billed by the stand-ins' own books, without excess"),
            (self.counted, "counted at the end, without excess"),
            (self.excess, f"excess of {self.overbills} bills beyond possibility"),
        ):
            yield f"{usd / 1e6:>12.6f}  US$ {what}"


@dataclass
class Worker:
    """A process of workers, and the file that has what it wrote to standard error."""

    process: subprocess.Popen[bytes]
    log: Path
    threads: int = 1

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
        own = FileBlobs(self.folder / "blobs")
        text, _ = (own.put(name, "".join(passages).encode()) for name in (AMPLE, TIGHT))
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
            tenant = tenant_of(number)
            event = EscalationRequested(
                id=f"{number:032x}",
                tenant=tenant,
                document_id=f"doc_{number}",
                stage="extraction",
                result_id=f"cl_{number}",
                question=question_blobs.put(tenant, question.model_dump_json().encode()),
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
        return Worker(process, log, threads)

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
    caps = caps_of(escalations, workers, kills)
    report = Report(asked=escalations, wanted_kills=kills, caps=caps, logs=str(place.logs))
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(
                StandIn(
                    Labels([("Governing Law", LAW)]),
                    errors=0.05,
                    faults=FAULTS,
                    seed=seed + number,
                    hang_seconds=SECONDS * 3,
                    think_seconds=0.2,
                    overbilled=3,
                )
            )
            for number in range(2)
        )
        overbill(first, after=escalations // HONEST)
        tenants = [TENANT.format(name=name, cap=cap / 1e6) for name, cap in caps.items()]
        providers = POLICY.format(first=first.url, second=second.url, seconds=SECONDS)
        place.policy.write_text("".join([providers, *tenants]))
        place.ask(escalations)
        _work(place, report, workers, chance, tell)
        books = {FIRST: list(first.bills), SECOND: list(second.bills)}
    bills = list(itertools.chain.from_iterable(books.values()))
    report.overbills = sum(bill.excess > 0 for bill in bills)
    report.excess = sum(bill.excess * PRICE_OUT for bill in bills)
    report.billed = sum(
        bill.input * PRICE_IN + (bill.output - bill.excess) * PRICE_OUT for bill in bills
    )
    count(report, place, books)
    report.seconds = time.monotonic() - began
    return report


def overbill(stand_in: StandIn, after: int) -> None:
    """Let a stand-in bill every call beyond possibility, once it has had so many."""
    by_chance = stand_in.choose

    def choose(said: Said) -> Fault:
        return "overbill" if len(stand_in.said) > after else by_chance(said)

    stand_in.choose = choose


def _work(
    place: Place,
    report: Report,
    workers: int,
    chance: random.Random,
    tell: Callable[[str], None],
) -> None:
    """Let processes work, kill one of them now and then, and wait until nothing is in hand."""
    running = [place.worker(threads) for threads in shared_out(workers)]
    try:
        known, until = -1, time.monotonic() + STALL_SECONDS
        while True:
            now = place.moment()
            with suppress(Unavailable):  # others write as well, and one of them comes again
                place.relay.run_once()
            report.largest |= now.tenants  # the larger of both, for each
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
                running[victim] = place.worker(running[victim].threads)
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
            report.refused += number * bool(NO_BUDGET.search(reason))
            why = re.sub(r"\d[\d.,-]*", "#", reason.rpartition("; ")[2].partition(":")[0])
            report.outcomes[f"{state} {why}".strip()] += number
        calls, stopped = booked(session), stops(session)
        report.stopped = [stop.provider for stop in stopped]
        report.wrong_stops = wrong_stops(calls, stopped)
        report.wrong_sums = disagreements(session)
        report.wrong_bills = differences(calls, bills, (PRICE_IN, PRICE_OUT))
        told = [json.loads(row.value) for row in session.execute(outbox.select())]
    answers = Counter(event["causationid"] for event in told)
    wanted = [f"{number:032x}" for number in range(report.asked)]
    report.unanswered = [one for one in wanted if not answers[one]]
    report.twice = [one for one in wanted if answers[one] > 1]


def wrong_stops(calls: Sequence[Booked], stopped: Sequence[Stop]) -> list[str]:
    """What is wrong with how providers were stopped; in words.

    Who billed a call with more than was reserved is stopped by such a call, nobody else is, and no
    call to it was begun later than `GRACE` after that.
    """
    over: dict[str, set[str]] = {}
    for call in calls:
        if call.micro_usd > call.reserved:
            over.setdefault(call.provider, set()).add(call.call_id)
    known = {stop.provider: stop for stop in stopped}
    wrong = [f"{name} billed too much and goes on" for name in sorted(over.keys() - known.keys())]
    for name, stop in known.items():
        if stop.call_id not in over.get(name, ()):
            wrong.append(f"{name} is stopped by {stop.call_id}, which was not billed too high")
        late = [one for one in calls if one.provider == name and one.time > stop.since + GRACE]
        wrong += [f"{name} was asked {one.call_id} after it was stopped" for one in late]
    return wrong


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
