"""The people outside, who go on while everything is replaced, and what they are told.

Half of them ask once and take every answer as it comes: what they see is what a client without
retries sees. The others use the product's own client. Each does the next thing as soon as the one
before is answered.
"""

from __future__ import annotations

import base64
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import httpx

from infra.chaos.papers import Paper
from shared.client.client import Client
from shared.client.errors import SmallprintError

SECONDS = 30.0
"""For which an answer is waited for by who asks once; above a long poll."""
LONG_POLL = 5.0
OFTEN = 0.2
"""Seconds between two requests of who looks whether each service answers, and between two items of
who decides."""
PATIENCE = 900.0
"""For which a document may be in work before who waits for it goes on to the next."""
LOOKS = {
    "ingest": "/v1/documents?limit=1",
    "extraction": "/v1/watch",
    "triage": "/v1/reports?limit=1",
    "review": "/v1/items?limit=1",
    "escalation": "/v1/costs",
}
"""What is asked of each service to see whether it answers."""
UPLOADERS, ANALYSTS = 2, 1
"""So many of each kind."""
NAMES = ("first", "second")
"""Of the keys of the two who decide, which is how the audit calls them."""
Who = Literal["once", "client", "looking", "seen"]
Decided = tuple[str, str, str]
"""Item, verdict and the name of who decided."""


@dataclass(frozen=True)
class Answer:
    """One request as its sender saw it: when it was sent and answered, by the monotonic clock.

    `who`: `once` without retries; `client` for each try of the product's own; `seen` for what that
    gave back to its caller; `looking` for those who look whether a service answers.
    """

    who: Who
    what: str
    said: str
    begun: float
    ended: float

    @property
    def good(self) -> bool:
        """Whether it is what was asked for, nothing at all, or that somebody else is at it."""
        return self.said in ("200", "201", "202", "204", "409")


@dataclass
class Told:
    """What all of them were told."""

    answers: list[Answer] = field(default_factory=list)
    accepted: dict[str, Paper] = field(default_factory=dict)
    """Documents by id."""
    tried: set[Decided] = field(default_factory=set)
    """Decisions that were sent, answered or not."""
    decided: dict[str, Decided] = field(default_factory=dict)
    """Those that were answered, by the decision's id."""

    def note(self, who: Who, what: str, said: str, begun: float) -> None:
        """Remember an answer."""
        self.answers.append(Answer(who, what, said, begun, time.monotonic()))

    def accept(self, document: str, paper: Paper) -> None:
        """Remember that a document was accepted."""
        paper.answers.append(document)
        self.accepted[document] = paper


class Counting(httpx.BaseTransport):
    """Notes every try of a client, those too that it repeats."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self._inner = httpx.HTTPTransport(trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, and remember what came."""
        begun, what = time.monotonic(), f"{request.method} {_kind(request.url.path)}"
        try:
            answer = self._inner.handle_request(request)
        except httpx.TransportError as error:
            self.told.note("client", what, type(error).__name__, begun)
            raise
        self.told.note("client", what, str(answer.status_code), begun)
        return answer

    def close(self) -> None:
        """Give the connections back."""
        self._inner.close()


def _kind(path: str) -> str:
    """A path without what differs from document to document."""
    return "/".join(
        "{}" if any(c.isdigit() for c in part[2:]) else part for part in path.split("/")
    )


class Once:
    """Asks once, whatever comes."""

    def __init__(self, url: str, key: str, told: Told, who: Who = "once") -> None:
        self.told, self.who = told, who
        headers = {"authorization": f"Bearer {key}"}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=SECONDS, trust_env=False)

    def ask(self, method: str, path: str, **content: object) -> httpx.Response | None:
        """The answer, or None where none came."""
        begun, what = time.monotonic(), f"{method} {_kind(path.partition('?')[0])}"
        try:
            answer = self.http.request(method, path, **content)  # type: ignore[arg-type]
        except httpx.TransportError as error:
            self.told.note(self.who, what, type(error).__name__, begun)
            return None
        self.told.note(self.who, what, str(answer.status_code), begun)
        return answer


class Crowd:
    """Everybody at once, until it is over.

    Args:
        keys: of the two who decide, called as in `NAMES`; the others use the first.
        papers: what is sent, without end.
        pace: seconds between two things that anybody does, if that is longer than usual.
    """

    def __init__(
        self,
        url: str,
        keys: tuple[str, str],
        papers: Iterator[Paper],
        seed: int,
        pace: float = 0.0,
    ) -> None:
        self.url, self.keys, self.seed, self.pace = url, keys, seed, pace
        self.told = Told()
        self.over = threading.Event()
        self._papers = papers
        self._guard = threading.Lock()
        self._again: list[Paper] = []
        self._begun = Once(url, keys[0], self.told)
        self._upload: tuple[str, Paper] | None = None
        roles: list[tuple[Callable[[], None], int]] = [
            (self._send_once, UPLOADERS),
            (self._send_by_client, UPLOADERS),
            (self._decide_once, ANALYSTS),
            (self._decide_by_client, ANALYSTS),
        ]
        self._threads = [
            threading.Thread(target=role, daemon=True)
            for role, count in roles
            for _ in range(count)
        ]
        self._lookers = [
            threading.Thread(target=self._look, args=(path,), daemon=True)
            for path in LOOKS.values()
        ]

    def start(self) -> None:
        """Everybody begins; one upload in pieces is begun, and left half sent."""
        self._begin_upload()
        for thread in (*self._threads, *self._lookers):
            thread.start()

    def end(self) -> None:
        """Everybody ends what is at hand; the upload that was begun is sent to its end."""
        self.over.set()
        self._end_upload()
        for thread in (*self._threads, *self._lookers):
            thread.join()

    def _next(self) -> Paper:
        with self._guard:
            return self._again.pop() if self._again else next(self._papers)

    # ------------------------------------------------------------- without retries

    def _send_once(self) -> None:
        once = Once(self.url, self.keys[0], self.told)
        while not self.over.wait(self.pace):
            paper = self._next()
            answer = once.ask(
                "POST",
                "/v1/documents",
                files={"file": (paper.name, paper.data)},
                data={"kind": paper.kind},
            )
            if answer is None or answer.status_code not in (200, 202):
                with self._guard:
                    self._again.append(paper)  # somebody sends it again later
                self.over.wait(0.5)
                continue
            document = str(answer.json()["id"])
            self.told.accept(document, paper)
            self._wait_once(once, document)

    def _wait_once(self, once: Once, document: str) -> None:
        """Until it has ended, or nobody waits for it any more."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and not self.over.is_set():
            answer = once.ask("GET", f"/v1/documents/{document}?wait={LONG_POLL:g}")
            if answer is None or answer.is_error:
                self.over.wait(0.5)
            elif answer.json()["state"] == "ended":
                return

    def _decide_once(self) -> None:
        once = Once(self.url, self.keys[0], self.told)
        chance = random.Random(f"once {self.seed}")
        while not self.over.wait(max(OFTEN, self.pace)):
            answer = once.ask("POST", "/v1/items/claim", json={})
            if answer is None or answer.status_code != 200:
                continue
            item, verdict = str(answer.json()["id"]), chance.choice(("accept", "reject"))
            wish = item, verdict, NAMES[0]
            self.told.tried.add(wish)
            answer = once.ask("POST", "/v1/decisions", json={"item": item, "verdict": verdict})
            if answer is not None and answer.is_success:
                self.told.decided[str(answer.json()["decision"]["id"])] = wish

    # ------------------------------------------------------------- by the product's client

    def _client(self, which: int = 0) -> Client:
        return Client(self.url, self.keys[which], transport=Counting(self.told))

    @contextmanager
    def _seen(self, what: str) -> Iterator[None]:
        """What the client's caller sees: that it worked, or an error after all tries."""
        begun = time.monotonic()
        try:
            yield
            self.told.note("seen", what, "200", begun)
        except SmallprintError as error:
            self.told.note("seen", what, f"{type(error).__name__} {error}", begun)

    def _send_by_client(self) -> None:
        with self._client() as client:
            while not self.over.wait(self.pace):
                paper, document = self._next(), ""
                with self._seen("upload"):
                    document = client.upload(paper.data, name=paper.name, kind=_of(paper)).id
                if not document:
                    with self._guard:
                        self._again.append(paper)
                    continue
                self.told.accept(document, paper)
                with self._seen("wait"):
                    client.wait(document, PATIENCE)
                with self._seen("results"):
                    self._read(client, document, paper)

    def _read(self, client: Client, document: str, paper: Paper) -> None:
        if paper.kind == "contract":
            client.clauses(document)
        else:
            client.findings(document)

    def _decide_by_client(self) -> None:
        chance = random.Random(f"client {self.seed}")
        with self._client(1) as client:
            while not self.over.wait(max(OFTEN, self.pace)):
                item = None
                with self._seen("claim"):
                    item = client.claim()
                if item is not None:
                    with self._seen("decide"):
                        verdict: Literal["accept", "reject"] = chance.choice(("accept", "reject"))
                        wish = item.id, verdict, NAMES[1]
                        self.told.tried.add(wish)
                        self.told.decided[client.decide(item.id, verdict).id] = wish

    # ------------------------------------------------------------- others

    def _look(self, path: str) -> None:
        """Whether a service answers, again and again."""
        once = Once(self.url, self.keys[0], self.told, "looking")
        while not self.over.wait(max(OFTEN, self.pace)):
            once.ask("GET", path)

    def _begin_upload(self) -> None:
        """By the tus protocol: the first half."""
        paper = self._next()
        name = base64.b64encode(paper.name.encode()).decode()
        kind = base64.b64encode(paper.kind.encode()).decode()
        headers = {
            "tus-resumable": "1.0.0",
            "upload-length": str(len(paper.data)),
            "upload-metadata": f"filename {name},kind {kind}",
        }
        answer = self._begun.ask("POST", "/v1/uploads", headers=headers)
        if answer is not None and answer.is_success:
            self._upload = (answer.headers["location"], paper)
            self._piece(0, len(paper.data) // 2)

    def _end_upload(self) -> None:
        """The other half, which is taken from where the service says that it is."""
        if self._upload is None:
            return
        address, paper = self._upload
        answer = self._begun.ask("HEAD", address, headers={"tus-resumable": "1.0.0"})
        if answer is None or answer.is_error:
            return
        document = self._piece(int(answer.headers["upload-offset"]), len(paper.data))
        if document:
            self.told.accept(document, paper)

    def _piece(self, start: int, end: int) -> str:
        """Send a piece. Returns the document's id once all of it is there."""
        assert self._upload is not None
        address, paper = self._upload
        headers = {
            "tus-resumable": "1.0.0",
            "content-type": "application/offset+octet-stream",
            "upload-offset": str(start),
        }
        piece = paper.data[start:end]
        answer = self._begun.ask("PATCH", address, content=piece, headers=headers)
        return answer.headers.get("smallprint-document", "") if answer is not None else ""

    @property
    def upload_ended(self) -> bool:
        """Whether the upload that was begun before the upgrade became a document after it."""
        return self._upload is not None and bool(self._upload[1].answers)


def _of(paper: Paper) -> Literal["contract", "report"]:
    return "contract" if paper.kind == "contract" else "report"
