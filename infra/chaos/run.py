"""One run from its beginning to its report."""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from infra.chaos.checker import check
from infra.chaos.edition import LEASE
from infra.chaos.events import Doubler
from infra.chaos.evidence import Before, Evidence, bookings
from infra.chaos.facts import gather, items
from infra.chaos.frontier import Books, cap, stand_in, write_policy
from infra.chaos.papers import Paper, papers
from infra.chaos.people import Analyst, Bookkeeper, Client, Listener, Told, Uploader, wait_until
from infra.chaos.place import Place
from infra.chaos.plan import EVERYTHING, SERVERS, plan
from infra.chaos.proxy import Proxy
from infra.chaos.receiver import Receiver
from infra.chaos.report import Report
from infra.chaos.trouble import Running, Troubles
from infra.run_kafka import SERVICES
from shared.errors import Unavailable

UPLOADERS = 2
ANALYSTS = ("ann", "bob")
DECISIONS = 0.5
"""So many a document, by all analysts together."""
STALL_SECONDS = 60.0
"""For which nothing new comes before it is given up; after that, for the next thing, less."""
STALLED_SECONDS = 15.0
IN_WORK = 20
"""Documents that have not ended: with more, the next turn waits for some to end, so that what is
killed is at work and not always just beginning. Trouble and kill of a turn stay together."""
PACE_SECONDS = 20.0
"""For which it waits at most."""
QUIET_SECONDS = 2.0
"""For which nothing may be left before it is taken for done."""
REST_SECONDS = 20.0
"""The same before all is delivered once more: what an outbox has is seen nowhere, and its relay may
wait for the lease of one that was killed (10 s), after a pause of as long."""
DOUBLES_SECONDS = 4.0
"""The same after it: a relay looks every two seconds at the least, and all of them live."""

Tell = Callable[[str], None]


class Run:
    """The people, the trouble and the end of one run in a place.

    Args:
        tell: hears what happens, a line at a time.
    """

    def __init__(self, place: Place, seed: int, documents: int, kills: int, tell: Tell) -> None:
        self.place = place
        self.seed = seed
        self.kills = kills
        self.tell = tell
        self.patience = STALL_SECONDS
        self.told = Told()
        self.papers = papers(seed, documents)
        self.receiver = Receiver()
        self.proxies = {
            "kafka": Proxy(place.broker_proxy, place.broker),
            "postgres": Proxy(place.database_proxy, place.database),
        }
        self._stack = ExitStack()
        self._waiting: queue.SimpleQueue[Paper | None] = queue.SimpleQueue()

    def run(self) -> Report:
        """Do all of it. Raises NotStartedError, GivenUpError."""
        began = time.monotonic()
        with self._stack:
            self._stack.callback(self.receiver.close)
            for proxy in self.proxies.values():
                self._stack.callback(proxy.close)
            self.provider = self._stack.enter_context(stand_in(self.seed))
            write_policy(self.place.policy, self.provider.url, len(self.papers))
            running = Running(self.place)
            self._stack.callback(running.stop)
            self._begin(running.key())
            self.tell(f"ready after {time.monotonic() - began:.0f} s")
            troubles = Troubles(running, self.proxies)
            self._make_trouble(troubles)
            ended = self._ended()
            self._recover(troubles)
            evidence = self._count(troubles)
        return Report(
            seed=self.seed,
            broken=self.place.broken,
            wanted_kills=self.kills,
            documents=len(self.told.papers),
            wanted=len(self.papers),
            ended_meanwhile=ended,
            made=troubles.made,
            doubled=self.doubler.doubled,
            emptied=troubles.emptied,
            refused=Counter({name: self.place.refusals(name) for name in self.place.small}),
            answers=self.told.answers,
            checks=check(evidence),
            money=_money(evidence),
            seconds=time.monotonic() - began,
        )

    def _begin(self, key: str) -> None:
        """Have the people come, each with a key of his own."""
        url = f"http://127.0.0.1:{self.place.origin}"
        self.client = Client(url, key, self.told)
        hook = self.client.ask("POST", "/v1/webhooks", json={"url": self.receiver.url})
        self.webhook = hook.json()["id"]
        self.doubler = Doubler(self.place.bus_url, LEASE, self.seed)
        self._stack.callback(self.doubler.close)
        self.listener = Listener(Client(url, key, self.told))
        self.bookkeeper = Bookkeeper(Client(url, key, self.told))
        self.uploaders = [
            Uploader(Client(url, key, self.told), self._waiting) for _ in range(UPLOADERS)
        ]
        share = round(len(self.papers) * DECISIONS / len(ANALYSTS))
        self.analysts = []
        for name in ANALYSTS:
            own = self.client.ask("POST", "/v1/keys", json={"name": name}).json()["secret"]
            self.analysts.append(Analyst(Client(url, own, self.told), name, share, self.seed))
        for one in (self.doubler, self.listener, self.bookkeeper, *self.uploaders, *self.analysts):
            one.start()

    def _make_trouble(self, troubles: Troubles) -> None:
        """Send documents while all that the plan has goes wrong."""
        names = sorted(troubles.running.pids)
        turns = list(plan(self.seed, len(self.papers), self.kills, names, self.place.small))
        for number, turn in enumerate(turns, 1):
            for paper in self.papers[turn.documents.start : turn.documents.stop]:
                self._waiting.put(paper)
            wait_until(partial(self._keeps_pace, turn.documents.stop), PACE_SECONDS)
            time.sleep(turn.before)
            if turn.trouble:
                hit = troubles.make(turn.trouble)
                missed = "" if hit else ": it is down"
                self.tell(f"{turn.trouble.kind} {turn.trouble.target}{missed}")
            time.sleep(turn.pause)
            did = "killed" if troubles.kill(turn.kill) else "could not kill"
            self.tell(f"{number} of {len(turns)}: {did} {turn.kill}; {self._progress()}")
            if turn.kill == EVERYTHING:
                self._wait_until_ready()
        for _ in self.uploaders:
            self._waiting.put(None)

    def _progress(self) -> str:
        """How far it is, by what clients were told."""
        accepted, decided = len(self.told.papers), len(self.told.decisions)
        return f"{accepted} documents accepted, {self._ended()} ended, {decided} decisions"

    def _keeps_pace(self, sent: int) -> bool:
        """Whether hardly any of so many documents are in work."""
        return sent - self._ended() <= IN_WORK

    def _ended(self) -> int:
        return sum("ended" in {state for _, state in one} for one in self._states())

    def _states(self) -> list[list[tuple[int, str]]]:
        return [list(states) for states in list(self.told.states.values())]

    def _wait_until_ready(self) -> None:
        """After the plug was pulled: nothing can be killed that does not run."""
        if not wait_until(self._is_ready, STALL_SECONDS * 4):
            self.tell("not ready again, and it goes on")

    def _is_ready(self) -> bool:
        return self.client.ask_once("/readyz")

    def _recover(self, troubles: Troubles) -> None:
        """End the trouble, and wait until everything that was asked for is done."""
        troubles.settle()
        self._wait_until_ready()
        self._until_it_stalls("uploads", self._unsent)
        self._until_it_stalls("documents", self._left)
        self._until_it_stalls("decisions", self._undecided)
        for analyst in self.analysts:
            analyst.over.set()
            analyst.join()
        self._until_it_stalls("all else", self._left, REST_SECONDS)

    def _at_rest(self) -> Before:
        """What there is once nothing is left to do."""
        return Before(
            items={item["id"] for item in items(self.client)},
            ended={one["id"] for one in self.client.all("/v1/documents?limit=200&state=ended")},
            webhooks={one.id for one in list(self.receiver.heard)},
            booked=bookings(self.client.get("/v1/costs?by=document")),
            events=set(self.doubler.seen),
        )

    def _count(self, troubles: Troubles) -> Evidence:
        """Deliver everything once more, and read what there is."""
        before = self._at_rest()
        self.tell(f"{self.doubler.again()} events are delivered once more")
        self._until_it_stalls("doubles", self._left, DOUBLES_SECONDS)
        self.listener.over.set()
        self.bookkeeper.over.set()
        self.tell("counting")
        return Evidence(
            told=self.told,
            facts=gather(self.client, self.webhook),
            heard=self.receiver.heard,
            seen=self.doubler.seen,
            hits=troubles.hits,
            before=before,
            billed=Books.of(self.provider.bills),
            cap=cap(len(self.papers)),
            short={analyst.name: analyst.short for analyst in self.analysts},
        )

    def _until_it_stalls(
        self, what: str, left: Callable[[], tuple[int, ...]], quiet: float = QUIET_SECONDS
    ) -> None:
        """Wait until nothing was left for some seconds, or until nothing has changed for long."""
        known: tuple[int, ...] = ()
        since, until = None, time.monotonic() + self.patience
        while since is None or time.monotonic() - since < quiet:
            now = left()
            since = None if any(now) else since or time.monotonic()
            if now != known or not any(now):
                known, until = now, time.monotonic() + self.patience
            if time.monotonic() > until:
                self.tell(f"{what}: nothing new for {self.patience:.0f} s at {known}")
                self.patience = STALLED_SECONDS  # what is lost does not come by more waiting
                return
            time.sleep(1.0)

    def _unsent(self) -> tuple[int, ...]:
        """Documents that are yet to be accepted, and uploaders that are at it."""
        sending = sum(one.is_alive() for one in self.uploaders)
        return len(self.papers) - len(self.told.papers), sending

    def _left(self) -> tuple[int, ...]:
        """Documents that have not ended, events that somebody has yet to work on, webhooks that
        have yet to be sent, money that is set aside, documents whose end was not streamed yet.
        """
        states = ("received", "read", "processing")
        path = "/v1/documents?limit=200&state="
        documents = sum(len(list(self.client.all(path + state))) for state in states)
        pending = f"/v1/webhooks/{self.webhook}/deliveries?limit=100&state=pending"
        webhooks = len(list(self.client.all(pending)))
        try:
            lag = sum(map(self.doubler.lag, (*SERVICES, "chaos")))
        except Unavailable:
            lag = -1
        unheard = len(self.told.papers) - self._ended()
        return documents, lag, webhooks, self._set_aside(), unheard

    def _undecided(self) -> tuple[int, ...]:
        """Decisions that analysts are short of while there is something for them to decide."""
        waits = self.client.get("/v1/items?state=waiting&limit=1")["items"]
        return (sum(one.short for one in self.analysts) if waits else 0,)

    def _set_aside(self) -> int:
        """Millionths of a US$ that are set aside for calls in hand, or whose caller died."""
        aside: float = sum(one["reserved_usd"] for one in self.client.get("/v1/costs")["items"])
        return round(aside * 1e6)


def _money(evidence: Evidence) -> str:
    """What was asked of the frontier, and what it cost, in words."""
    answers = [one for one in evidence.seen.values() if one.type == "escalation.answered.v1"]
    short = sum("budget" in (one.data.get("reason") or "") for one in answers)
    most, of = max(evidence.told.spent.values(), default=0.0), evidence.cap / 1e6
    return (
        f"frontier (a stand-in, no model): {len(answers)} questions, {short} not asked because the"
        f" budget was short; {evidence.billed.calls} bills of US$"
        f" {evidence.billed.micro_usd / 1e6:.6f}, in the ledger"
        f" {evidence.facts.costs['usd']:.6f}, at most {most:.6f} counted of {of:.6f}"
    )


def prove(
    seed: int,
    documents: int,
    kills: int,
    broken: str = "",
    tell: Tell = partial(print, flush=True),
    *,
    keep: bool = True,
) -> Report:
    """One run in a new place, of which nothing is left if all was good.

    Args:
        keep: whether it stays for a look if not.

    Raises:
        ClusterError, NotStartedError, GivenUpError, VolumeError: it could not be run to its end.
    """
    place = Place.make(broken)
    tell(f"seed {seed}, in {place.data}")
    if spared := ", ".join(name for name in SERVERS if name not in place.small):
        tell(f"no file system can be mounted here (root can): never full is the disk of {spared}")
    try:
        report = Run(place, seed, documents, kills, tell).run()
    except BaseException:
        _tell_what_is_left(place, tell)
        raise
    if report.good or not keep:
        place.remove()
    else:
        _tell_what_is_left(place, tell)
    return report


def _tell_what_is_left(place: Place, tell: Tell) -> None:
    if place.small:
        folders = " ".join(str(one.folder) for one in place.volumes.values())
        tell(f"what the servers wrote is in memory until: umount {folders}")
