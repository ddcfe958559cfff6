"""One run from its beginning to its report."""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from infra.run_kafka import SERVICES
from shared.errors import Unavailable
from shared.messaging import Inbox
from shared.messaging.inbox import QUEUES
from shared.storage import Store
from tests.chaos.checker import check
from tests.chaos.documents import SentDocument, make_documents
from tests.chaos.edition import LEASE
from tests.chaos.events import Doubler
from tests.chaos.evidence import Evidence, StateAtRest, bookings
from tests.chaos.facts import gather, items
from tests.chaos.frontier import Bills, cap, stand_in, write_policy
from tests.chaos.people import (
    Analyst,
    Bookkeeper,
    Client,
    ClientRecord,
    Listener,
    Uploader,
    wait_until,
)
from tests.chaos.plan import EVERYTHING, SERVERS, plan
from tests.chaos.proxy import Proxy
from tests.chaos.receiver import SlowReceiver
from tests.chaos.report import Report
from tests.chaos.run_folder import RunFolder
from tests.chaos.trouble import Troubles
from tests.support.suite_process import SuiteProcess

UPLOADERS = 2
ANALYSTS = ("ann", "bob")
DECISIONS = 0.5
"""Decisions for each document, by all analysts together."""
STALL_SECONDS = 60.0
"""Seconds without progress after which a wait ends; later waits are shorter."""
STALLED_SECONDS = 15.0
IN_WORK = 20
"""Most documents in work before the next turn. So kills hit documents in every stage."""
PACE_SECONDS = 20.0
"""Longest wait for this, in seconds."""
QUIET_SECONDS = 2.0
"""Seconds at rest after which a run counts as finished."""
REST_SECONDS = 20.0
"""The same before everything is delivered again. Outboxes are invisible, and a relay may wait 10 s
for the lease of a killed one after a pause of the same length.
"""
DOUBLES_SECONDS = 4.0
"""The same after it: each relay polls at least every two seconds, and none is dead."""

Progress = Callable[[str], None]


class Run:
    """The clients, the trouble and the checks of one run.

    Args:
        progress: is called with each line of progress.
    """

    def __init__(
        self, run_folder: RunFolder, seed: int, documents: int, kills: int, progress: Progress
    ) -> None:
        self.run_folder = run_folder
        self.seed = seed
        self.kills = kills
        self.progress = progress
        self.patience = STALL_SECONDS
        self.record = ClientRecord()
        self.sent = make_documents(seed, documents)
        self.receiver = SlowReceiver()
        self.proxies = {
            "kafka": Proxy(run_folder.broker_proxy, run_folder.broker),
            "postgres": Proxy(run_folder.database_proxy, run_folder.postgres.port),
        }
        self._stack = ExitStack()
        databases = [Store(run_folder.postgres.url(name), name, Path()) for name in SERVICES]
        self.inboxes = [Inbox(store) for store in databases]
        for store in databases:
            self._stack.callback(store.close)
        self._waiting: queue.SimpleQueue[SentDocument | None] = queue.SimpleQueue()

    def run(self) -> Report:
        """Do the whole run. Raises NotStartedError, GivenUpError."""
        began = time.monotonic()
        with self._stack:
            self._stack.enter_context(self.receiver)
            for proxy in self.proxies.values():
                self._stack.callback(proxy.close)
            self.provider = self._stack.enter_context(stand_in(self.seed))
            write_policy(self.run_folder.policy, self.provider.url, len(self.sent))
            edition = ["tests.chaos.edition", str(self.run_folder.data)]
            running = SuiteProcess(self.run_folder.data / "edition.log", edition, {})
            self._stack.callback(running.stop)
            self._begin(running.key())
            self.progress(f"ready after {time.monotonic() - began:.0f} s")
            troubles = Troubles(running, self.run_folder, self.proxies)
            self._make_trouble(troubles)
            ended = self._ended()
            self._recover(troubles)
            evidence = self._count(troubles)
        return Report(
            seed=self.seed,
            broken=self.run_folder.broken,
            wanted_kills=self.kills,
            documents=len(self.record.sent),
            wanted=len(self.sent),
            ended_meanwhile=ended,
            made=troubles.made,
            doubled=self.doubler.doubled,
            emptied=troubles.emptied,
            refused=Counter(
                {name: self.run_folder.refusals(name) for name in self.run_folder.small}
            ),
            answers=self.record.answers,
            checks=check(evidence),
            money=_money(evidence),
            seconds=time.monotonic() - began,
        )

    def _begin(self, key: str) -> None:
        """Start the clients, each with its own key."""
        url = f"http://127.0.0.1:{self.run_folder.origin}"
        self.client = Client(url, key, self.record)
        hook = self.client.ask("POST", "/v1/webhooks", json={"url": self.receiver.url("/hook")})
        self.webhook = hook.json()["id"]
        self.doubler = Doubler(self.run_folder.bus_url, LEASE, self.seed)
        self._stack.callback(self.doubler.close)
        self.listener = Listener(Client(url, key, self.record))
        self.bookkeeper = Bookkeeper(Client(url, key, self.record))
        self.uploaders = [
            Uploader(Client(url, key, self.record), self._waiting) for _ in range(UPLOADERS)
        ]
        share = round(len(self.sent) * DECISIONS / len(ANALYSTS))
        self.analysts = []
        for name in ANALYSTS:
            own = self.client.ask("POST", "/v1/keys", json={"name": name}).json()["secret"]
            self.analysts.append(Analyst(Client(url, own, self.record), name, share, self.seed))
        for one in (self.doubler, self.listener, self.bookkeeper, *self.uploaders, *self.analysts):
            one.start()

    def _make_trouble(self, troubles: Troubles) -> None:
        """Send documents while the planned trouble happens."""
        names = sorted(troubles.running.pids)
        turns = list(plan(self.seed, len(self.sent), self.kills, names, self.run_folder.small))
        for number, turn in enumerate(turns, 1):
            for paper in self.sent[turn.documents.start : turn.documents.stop]:
                self._waiting.put(paper)
            wait_until(partial(self._keeps_pace, turn.documents.stop), PACE_SECONDS)
            time.sleep(turn.before)
            if turn.trouble:
                hit = troubles.make(turn.trouble)
                missed = "" if hit else ", but it is down"
                self.progress(f"{turn.trouble.kind} {turn.trouble.target}{missed}")
            time.sleep(turn.pause)
            did = "killed" if troubles.kill(turn.kill) else "could not kill"
            self.progress(f"{number} of {len(turns)}: {did} {turn.kill}; {self._counts()}")
            if turn.kill == EVERYTHING:
                self._wait_until_ready()
        for _ in self.uploaders:
            self._waiting.put(None)

    def _counts(self) -> str:
        """The progress in numbers, from the answers to clients."""
        accepted, decided = len(self.record.sent), len(self.record.decisions)
        return f"{accepted} documents accepted, {self._ended()} ended, {decided} decisions"

    def _keeps_pace(self, sent: int) -> bool:
        """Whether few of the sent documents are still in work."""
        return sent - self._ended() <= IN_WORK

    def _ended(self) -> int:
        return sum("ended" in {state for _, state in one} for one in self._states())

    def _states(self) -> list[list[tuple[int, str]]]:
        return [list(states) for states in list(self.record.states.values())]

    def _wait_until_ready(self) -> None:
        """Wait until the suite runs again, because a stopped process can't be killed."""
        if not wait_until(self._is_ready, STALL_SECONDS * 4):
            self.progress("not ready again; continuing")

    def _is_ready(self) -> bool:
        return self.client.ask_once("/readyz")

    def _recover(self, troubles: Troubles) -> None:
        """End the trouble, and wait until all work is done."""
        troubles.settle()
        self._wait_until_ready()
        self._until_it_stalls("uploads", self._unsent)
        self._until_it_stalls("documents", self._left)
        self._until_it_stalls("decisions", self._undecided)
        for analyst in self.analysts:
            analyst.over.set()
            analyst.join()
        self._until_it_stalls("everything else", self._left, REST_SECONDS)

    def _at_rest(self) -> StateAtRest:
        """The state at rest."""
        return StateAtRest(
            items={item["id"] for item in items(self.client)},
            ended={one["id"] for one in self.client.all("/v1/documents?limit=200&state=ended")},
            webhooks={one.id for one in list(self.receiver.messages)},
            booked=bookings(self.client.get("/v1/costs?by=document")),
            events=set(self.doubler.seen),
        )

    def _count(self, troubles: Troubles) -> Evidence:
        """Deliver every event once more, and collect the evidence."""
        before = self._at_rest()
        self.progress(f"{self.doubler.again()} events delivered once more")
        self._until_it_stalls("repeated events", self._left, DOUBLES_SECONDS)
        self.listener.over.set()
        self.bookkeeper.over.set()
        self.progress("collecting the evidence")
        return Evidence(
            record=self.record,
            facts=gather(self.client, self.webhook),
            messages=self.receiver.messages,
            seen=self.doubler.seen,
            hits=troubles.hits,
            before=before,
            billed=Bills.of(self.provider.bills),
            cap=cap(len(self.sent)),
            short={analyst.name: analyst.short for analyst in self.analysts},
        )

    def _until_it_stalls(
        self, what: str, left: Callable[[], tuple[int, ...]], quiet: float = QUIET_SECONDS
    ) -> None:
        """Wait until nothing has been left for `quiet` seconds, or nothing changes any more."""
        known: tuple[int, ...] = ()
        since, until = None, time.monotonic() + self.patience
        while since is None or time.monotonic() - since < quiet:
            now = left()
            since = None if any(now) else since or time.monotonic()
            if now != known or not any(now):
                known, until = now, time.monotonic() + self.patience
            if time.monotonic() > until:
                self.progress(f"{what}: no progress for {self.patience:.0f} s, unfinished: {known}")
                self.patience = STALLED_SECONDS  # waiting longer does not restore lost data
                return
            time.sleep(1.0)

    def _unsent(self) -> tuple[int, ...]:
        """Documents that are not accepted yet, and uploaders that still run."""
        sending = sum(one.is_alive() for one in self.uploaders)
        return len(self.sent) - len(self.record.sent), sending

    def _left(self) -> tuple[int, ...]:
        """Unfinished documents, events, webhooks, reserved money, and document ends that were not
        streamed.
        """
        states = ("received", "read", "processing")
        path = "/v1/documents?limit=200&state="
        documents = sum(len(list(self.client.all(path + state))) for state in states)
        pending = f"/v1/webhooks/{self.webhook}/deliveries?limit=100&state=pending"
        webhooks = len(list(self.client.all(pending)))
        try:
            lag = self.doubler.lag(self.doubler.positions)
            lag += sum(self.doubler.lag(one.positions()) for one in self.inboxes)
            lag += sum(one.unfinished(QUEUES) for one in self.inboxes)
        except Unavailable:
            lag = -1
        unheard = len(self.record.sent) - self._ended()
        return documents, lag, webhooks, self._set_aside(), unheard

    def _undecided(self) -> tuple[int, ...]:
        """Decisions that analysts still have to make, if an item waits."""
        waits = self.client.get("/v1/items?state=waiting&limit=1")["items"]
        return (sum(one.short for one in self.analysts) if waits else 0,)

    def _set_aside(self) -> int:
        """Millionths of a US$ reserved for running calls and for calls of dead processes."""
        aside: float = sum(one["reserved_usd"] for one in self.client.get("/v1/costs")["items"])
        return round(aside * 1e6)


def _money(evidence: Evidence) -> str:
    """Questions to the frontier model and their cost, in words."""
    answers = [one for one in evidence.seen.values() if one.type == "escalation.answered.v1"]
    short = sum("budget" in (one.data.get("reason") or "") for one in answers)
    most, of = max(evidence.record.spent.values(), default=0.0), evidence.cap / 1e6
    return (
        f"frontier (a stand-in, no model): {len(answers)} questions, {short} not asked because the"
        f" budget was used up; {evidence.billed.calls} bills of US$"
        f" {evidence.billed.micro_usd / 1e6:.6f}, in the ledger"
        f" {evidence.facts.costs['usd']:.6f}, at most {most:.6f} counted of {of:.6f}"
    )


def prove(
    seed: int,
    documents: int,
    kills: int,
    broken: str = "",
    progress: Progress = partial(print, flush=True),
    *,
    keep: bool = True,
) -> Report:
    """One run in a new folder, which is removed after success.

    Args:
        keep: whether to keep the folder after a failure.

    Raises:
        ClusterError, NotStartedError, GivenUpError, VolumeError: the run could not be finished.
    """
    run_folder = RunFolder.make(broken)
    progress(f"seed {seed}, in {run_folder.data}")
    if spared := ", ".join(name for name in SERVERS if name not in run_folder.small):
        progress(f"no full disk for {spared}: mounting a file system needs root")
    try:
        report = Run(run_folder, seed, documents, kills, progress).run()
    except BaseException:
        _print_remaining(run_folder, progress)
        raise
    if report.good or not keep:
        run_folder.remove()
    else:
        _print_remaining(run_folder, progress)
    return report


def _print_remaining(run_folder: RunFolder, progress: Progress) -> None:
    if run_folder.small:
        folders = " ".join(str(one.folder) for one in run_folder.volumes.values())
        progress(f"the servers' data stays in memory; to free it: umount {folders}")
