"""Records in the audit trail what a key or session reads, and what it is refused.

Commands record changes themselves, in their transaction. A request without such a line gets one
here, before its answer leaves: at most one in five minutes for each key or session, operation and
object.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.audit import Action, record
from shared.errors import SuiteError, Unavailable
from shared.storage import Store
from shared.tenancy import work_of
from shared.web.admission import ThreadBudget
from shared.web.auth import ACTOR_KEY, Actor
from shared.web.current_request import CurrentRequest, request_from
from shared.web.parameters import ID

AGAIN_SECONDS = 300.0
"""Seconds until the same request gets another line."""
MOST_RECENT = 10_000
"""Remembered requests; beyond that some get another line sooner."""
THREADS = 16
"""Lines that share one commit."""

_DOCUMENT = r"/v1/documents/[^/]+"
_RULES: tuple[tuple[str, str, Action | None], ...] = (
    ("*", r"/v1/(keys/self|session)", None),
    ("GET|HEAD|OPTIONS", r"/v1/uploads.*", None),
    ("*", r"/v1/uploads.*", "document.upload"),
    ("GET", rf"{_DOCUMENT}/(original|text|pages.*)", "document.read"),
    ("GET", r"/v1/search", "search"),
    ("GET", rf"/v1/exports|{_DOCUMENT}/report", "export"),
    ("GET", r"/v1/documents(/events|/[^/]+(/events|/journal/.*)?)?", "list"),
    ("GET", rf"{_DOCUMENT}/.*", "result.read"),
    ("GET", r"/v1/items/{item_id}.*", "item.open"),
    ("GET", r"/v1/.*", "list"),
    ("*", r"/v1/.*", "change"),
)
"""Method, path of the route, action (None: no line). The first match applies."""

_IDS = ("id", "document_id", "item_id", "document")
"""Parameters with the id of the object: of the path, and `document` of the query."""


class Line(NamedTuple):
    """A line for the trail."""

    actor: Actor
    action: Action
    subject: str
    """Id of the object."""
    operation: str
    document: str = ""
    """Id of the document, if the object is an item of it."""


def action_of(method: str, path: str) -> Action | None:
    """Return the action of a request that no command recorded, by the path of its route."""
    for methods, pattern, action in _RULES:
        if (methods == "*" or method in methods.split("|")) and re.fullmatch(pattern, path):
            return action
    return None


@dataclass
class _Waiting:
    """A line that is not committed yet."""

    line: Line
    address: str
    done: bool = False
    error: SuiteError | None = None


class LineWriter:
    """Commits lines. Those that come during a commit share the next one, so few wait for the disk.

    Args:
        store: database of the trail.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._waiting: list[_Waiting] = []
        self._adding = threading.Lock()
        self._writing = threading.Lock()

    def write(self, line: Line, address: str) -> None:
        """Return once the line is committed. Raises Unavailable."""
        mine = _Waiting(line, address)
        with self._adding:
            self._waiting.append(mine)
        with self._writing:
            if not mine.done:
                self._write_all()
        if mine.error is not None:
            raise mine.error

    def _write_all(self) -> None:
        with self._adding:
            batch, self._waiting = self._waiting, []
        error: SuiteError | None = Unavailable("the audit trail could not be written")
        try:
            with work_of(), self.store.write() as session:  # the lines may be of several tenants
                for one in batch:
                    actor, action, subject, operation, document = one.line
                    details = {"document": document} if document else {}
                    details["operation"] = operation
                    record(session, actor, action, subject, address=one.address, **details)
            error = None
        except SuiteError as failed:
            error = failed
        finally:
            for one in batch:
                one.done, one.error = True, error


class AuditMiddleware:
    """Adds a line for each answer to a known key that has none.

    Without its line no answer leaves: the client gets the error of the database.

    Args:
        store: database of the trail; None for an application without one.
        problem: builds the answer to an error.
    """

    def __init__(
        self, app: ASGIApp, store: Store | None, problem: Callable[[SuiteError], ASGIApp]
    ) -> None:
        self.app = app
        self.writer = LineWriter(store) if store else None
        self.problem = problem
        self._threads = ThreadBudget(THREADS)
        self._recent: dict[Line, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI, so that streams pass unchanged."""
        if scope["type"] != "http" or self.writer is None:
            await self.app(scope, receive, send)
            return
        failure: SuiteError | None = None
        client = scope.get("client")
        with request_from(client[0] if client else "") as request:

            async def send_recorded(message: Message) -> None:
                nonlocal failure
                if message["type"] == "http.response.start":
                    line = _line(scope, message["status"], request)
                    try:
                        await self._record(line, request.address)
                    except SuiteError as error:
                        failure = error
                        raise
                await send(message)

            try:
                await self.app(scope, receive, send_recorded)
            except Exception:
                if failure is None:
                    raise
            if failure is not None:
                await self.problem(failure)(scope, receive, send)

    async def _record(self, line: Line | None, address: str) -> None:
        if self.writer is None or line is None:
            return
        now, same = time.monotonic(), line
        if line.action == "refuse":  # the rate limit does not count refused requests
            same = line._replace(subject="", document="")
        if now < self._recent.get(same, 0.0):
            return
        await self._threads.run(partial(self.writer.write, line, address))
        if len(self._recent) >= MOST_RECENT:
            self._recent = {one: until for one, until in self._recent.items() if now < until}
            if len(self._recent) >= MOST_RECENT:
                self._recent.clear()
        self._recent[same] = now + AGAIN_SECONDS


def _line(scope: Scope, status: int, request: CurrentRequest) -> Line | None:
    """Return the line of an answer; None if it needs none."""
    actor: Actor | None = scope["state"].get(ACTOR_KEY)
    path = getattr(scope.get("route"), "path", "")
    refused = status == 403
    recorded = request.recorded or status >= 400
    if actor is None or not path or (recorded and not refused):
        return None
    action = "refuse" if refused else action_of(scope["method"], path)
    if action is None:
        return None
    query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
    ids = {"document": query.get("document", ""), **scope.get("path_params", {})}
    subject = next((str(ids[name]) for name in _IDS if name in ids), "")
    return Line(
        actor,
        action,
        subject if re.fullmatch(ID, subject) else "",
        f"{scope['method']} {path}",
        request.document,
    )
