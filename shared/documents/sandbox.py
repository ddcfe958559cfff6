"""Reading in a child process that may crash, hang or eat memory without harm to its parent.

One child serves many documents, one at a time; it is started with the first and again after its
death. It lives under limits (`confinement.py`): address space, CPU time a document, open files, no
core file, no file writing, no network; its parent adds a wall clock. What it sends back is JSON and
raw numbers, never pickles. If the child dies while it reads a page, the document is read again
without that page (a few times at most), so that one bad page never costs a document; a death
elsewhere is UnreadableDocument.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shared.documents.confinement import allow_seconds, confine
from shared.documents.early import Early, EarlyPage
from shared.documents.parts import Part, RefusedPart
from shared.documents.reader import decrypt, load_engines, read, render, unpack
from shared.documents.reading import Limits, Reading
from shared.documents.xbrl import Facts, facts_of
from shared.errors import SuiteError, Unavailable, UnreadableDocument

log = logging.getLogger(__name__)

_MAX_DEATHS = 4
_MAX_REPLY = 1 << 31
_UNPACKED_AT_ONCE = 16_000_000  # bytes of parts in one reply, one part more at the most
_DOCUMENTS_A_CHILD = 500
_GRACE = 2.0
_START_SECONDS = 120.0
_ROOT = Path(__file__).resolve().parents[2]
_SINGLE_THREADED = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Reader:
    """Reads documents in a child process; may be used by several threads, which take turns.

    Use it in a `with` block or call `close()`. If the parent is killed, the child ends itself.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._turn = threading.Lock()
        self._child: _Child | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def read(
        self,
        data: bytes,
        *,
        name: str = "",
        password: str | None = None,
        early: Early | None = None,
    ) -> Reading:
        """Like `documents.read`, in the child; its death is UnreadableDocument or a failed page.

        What `early` raises is raised here, and ends the child.
        """
        request = {"do": "read", "name": name, "password": password, "early": early is not None}
        work = _Work("reading this document", _Budget(self.limits.seconds), early)
        head, body = self._persist(request, data, work)
        text = body[: head["text_bytes"]].decode()
        return Reading.from_bytes(body[head["text_bytes"] :], text)

    def unpack(
        self, data: bytes, *, name: str = "", depth: int = 0
    ) -> Iterator[Part | RefusedPart]:
        """What lies in a mail or archive that lies in `depth` others itself, in order.

        Unpacked in the child, some megabytes at a time; its death over a part refuses that part.
        Raises UnreadableDocument, at the latest where its time is up.
        """
        work = _Work("unpacking this document", _Budget(self.limits.seconds))
        done, unpacked, total = 0, 0, None
        while total is None or done < total:
            request = {"do": "unpack", "name": name, "depth": depth}
            request |= {"first": done, "unpacked": unpacked}
            head, body = self._persist(request, data, work)
            start = 0
            for part in head["parts"]:
                size = part.pop("size")
                yield _part(part, body[start : start + size])
                start += size
            done, unpacked, total = done + len(head["parts"]), unpacked + start, head["total"]

    def _persist(
        self, request: dict[str, Any], data: bytes, work: _Work
    ) -> tuple[dict[str, Any], bytes]:
        """Ask until there is an answer, each time without the page or part that ended the child."""
        while True:
            try:
                return self._ask(request | {"skip": work.skip}, data, work.budget, work.early)
            except _Died as death:
                if death.killed and not work.killed:  # by somebody else: not the document's fault
                    work.killed = True
                    continue
                if death.page is None or death.late or len(work.skip) == _MAX_DEATHS:
                    raise UnreadableDocument(
                        f"{work.what} {death.how}", document=request["name"] or None
                    ) from death
                work.skip.append(death.page)

    def render(
        self,
        data: bytes,
        number: int,
        *,
        scale: float = 2.0,
        name: str = "",
        password: str | None = None,
    ) -> bytes:
        """Page `number` (from 1) as PNG, drawn in the child."""
        request = {"do": "render", "number": number, "scale": scale, "password": password}
        return self._simple(request, data, name, f"drawing page {number} of this document")

    def decrypt(self, data: bytes, *, name: str = "", password: str | None = None) -> bytes:
        """The same PDF without encryption, written in the child."""
        request = {"do": "decrypt", "password": password}
        return self._simple(request, data, name, "decrypting this document")

    def facts(self, data: bytes, *, name: str = "") -> Facts:
        """Like `xbrl.facts_of`, in the child: the facts of an instance or of inline XBRL."""
        request = {"do": "facts", "password": None}
        return Facts.from_bytes(
            self._simple(request, data, name, "reading the facts of this document")
        )

    @property
    def child_id(self) -> int | None:
        """The process id of the child, None before the first document."""
        return self._child.process_id if self._child else None

    def close(self) -> None:
        """End the child, at once even if it is at work."""
        self._closed = True
        child = self._child
        if child is not None:
            child.end()

    def _simple(self, request: dict[str, Any], data: bytes, name: str, doing: str) -> bytes:
        try:
            budget = _Budget(self.limits.seconds)
            return self._ask(request | {"name": name}, data, budget)[1]
        except _Died as death:
            raise UnreadableDocument(f"{doing} {death.how}", document=name or None) from death
        except SuiteError as error:
            error.document = error.document or name or None
            raise

    def _ask(
        self, request: dict[str, Any], data: bytes, budget: _Budget, early: Early | None = None
    ) -> tuple[dict[str, Any], bytes]:
        with self._turn:
            if self._closed:
                raise Unavailable("this reader is closed: the process is about to end")
            try:
                return self._fit_child().ask(request, data, budget, early)
            except _Died as death:
                if self._closed:
                    raise Unavailable("the process ended while it read a document") from death
                raise

    def _fit_child(self) -> _Child:
        """The child at hand, or a new one in the place of one that died or has served enough."""
        child = self._child
        if child is None or not child.fit():
            if child is not None:
                child.end()
            self._child = child = _Child(self.limits)
        return child


@dataclass
class _Budget:
    """The seconds that are left for one document: its own, not those it waits for its turn."""

    seconds: float

    @contextlib.contextmanager
    def spent(self) -> Iterator[float]:
        """Work until the deadline that is given; what it takes is taken off the budget."""
        start = time.monotonic()
        try:
            yield start + max(0.1, self.seconds)
        finally:
            self.seconds -= time.monotonic() - start


@dataclass
class _Work:
    """What is done with one document, over all tries: pages or parts in `skip` ended the child."""

    what: str
    budget: _Budget
    early: Early | None = None
    skip: list[int] = field(default_factory=list)
    killed: bool = False


@dataclass
class _Answering:
    """One question to the child: until when it may take, and who hears of pages meanwhile."""

    budget: _Budget
    deadline: float
    early: Early | None

    def prolong(self, began: float) -> None:
        """Do not count what has passed since."""
        spent = time.monotonic() - began
        self.budget.seconds += spent
        self.deadline += spent


class _Died(Exception):
    """The child ended, or was ended, in the middle of its work."""

    def __init__(
        self, how: str, page: int | None, *, late: bool = False, killed: bool = False
    ) -> None:
        super().__init__(how)
        self.how = how
        self.page = page
        self.late = late
        self.killed = killed


class _Child:
    """One child process and the socket to it."""

    def __init__(self, limits: Limits) -> None:
        """Start it. Raises Unavailable where the system has no room for one more process."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise _not_started(error.strerror or str(error)) from error
        try:
            with theirs:
                self._process = _start(limits, theirs.fileno())
        except OSError as error:
            ours.close()
            raise _not_started(error.strerror or str(error)) from error
        self._socket = ours
        self._limits = limits
        self._served = 0
        self._started = False

    @property
    def process_id(self) -> int:
        """Its process id."""
        return self._process.pid

    def fit(self) -> bool:
        """Whether it lives and has not served so many documents that a new one is due."""
        return self._process.poll() is None and self._served < _DOCUMENTS_A_CHILD

    def ask(
        self, request: dict[str, Any], data: bytes, budget: _Budget, early: Early | None = None
    ) -> tuple[dict[str, Any], bytes]:
        """Its answer; raises _Died, or the SuiteError that it met."""
        self._served += 1
        self._wait_for_its_start()
        with budget.spent() as deadline:
            limits = vars(self._limits) | {"seconds": deadline - time.monotonic()}
            course = _Answering(budget, deadline, early)
            head, body = self._answer(request | {"limits": limits}, data, course)
        if "error" in head:
            if head.get("leaves"):
                self.end()
            raise _raised(head["error"])
        return head, body

    def _wait_for_its_start(self) -> None:
        if not self._started:
            try:
                head, _ = _receive(self._socket, time.monotonic() + _START_SECONDS)
            except TimeoutError as error:
                self.end()
                raise _not_started(f"not ready after {_START_SECONDS:g} seconds") from error
            except (OSError, EOFError, ValueError) as error:
                raise _not_started(self._exit()) from error
            self._started = True
            if not head["without_network"]:
                _warn_of_the_network()

    def _answer(
        self, request: dict[str, Any], data: bytes, course: _Answering
    ) -> tuple[dict[str, Any], bytes]:
        """The first frame that is no mere progress."""
        page: int | None = None
        began, until = time.monotonic(), course.deadline
        with self._deaths(page):
            _send(self._socket, request, data, course.deadline)
        while True:
            with self._deaths(page):
                head, body = _receive(self._socket, until)
            if until != course.deadline:  # recognising a page has time of its own
                course.prolong(began)
            if "page" not in head:
                return head, body
            page, began = head["page"], time.monotonic()
            if "early" in head and course.early:
                self._tell(course.early, EarlyPage(**head["early"], text=body.decode()))
                course.prolong(began)  # so has whoever hears of it
            began, until = time.monotonic(), course.deadline
            if head.get("recognising"):
                until = max(until, began) + self._limits.page_seconds + _GRACE

    def _tell(self, early: Early, page: EarlyPage) -> None:
        try:
            early(page)
        except BaseException:
            self.end()  # it would go on with a document that nobody waits for
            raise

    @contextlib.contextmanager
    def _deaths(self, page: int | None) -> Iterator[None]:
        """What the socket says of the child's end, as _Died."""
        try:
            yield
        except TimeoutError as error:
            self.end()
            how = f"took longer than {self._limits.seconds:g} seconds"
            raise _Died(how, page, late=True) from error
        except (OSError, EOFError, ValueError) as error:
            raise self._died(page) from error

    def _died(self, page: int | None) -> _Died:
        how = self._how_it_ended()
        return _Died(how, page, killed=self._process.returncode == -signal.SIGKILL)

    def end(self) -> None:
        """Kill it with what it has started, and take it from the process table."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # it leads a session of its own
        self._process.wait()
        self._socket.close()

    def _exit(self) -> str:
        """How it ended, in two words; it is ended if it did not."""
        status = self._wait()
        return f"signal {-status}" if status < 0 else f"status {status}"

    def _wait(self) -> int:
        try:
            status = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL
        self.end()
        return status

    def _how_it_ended(self) -> str:
        status = self._wait()
        megabytes = self._limits.memory_bytes // 1_000_000
        if status == -signal.SIGXCPU:
            return f"took more than {self._limits.seconds:g} seconds of computing"
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return (
            f"ended the reader ({how}): it is damaged, or needs more than {megabytes} MB of memory"
        )


def _start(limits: Limits, descriptor: int) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-c",
        _START,
        str(_ROOT),
        str(descriptor),
        str(os.getpid()),
        str(limits.memory_bytes),
    ]
    return subprocess.Popen(
        command,
        pass_fds=(descriptor,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | dict.fromkeys(_SINGLE_THREADED, "1"),
        start_new_session=True,
    )


@cache
def _warn_of_the_network() -> None:
    """Once in the life of this process."""
    log.warning(
        "documents are read by a process that could reach the network: this system has no filter of"
        " system calls for it (seccomp, on x86-64 and 64-bit ARM); its other bounds hold"
    )


def _not_started(why: str) -> Unavailable:
    return Unavailable(
        f"the process that reads documents did not start ({why}): see to the memory and the load of"
        " this machine; the document is tried again"
    )


# ---------------------------------------------------------------- both sides: one frame a message


def _send(
    channel: socket.socket, head: dict[str, Any], body: bytes = b"", deadline: float | None = None
) -> None:
    header = json.dumps(head).encode()
    sizes = len(header).to_bytes(4, "little") + len(body).to_bytes(8, "little")
    channel.settimeout(_left(deadline))
    channel.sendall(sizes + header)
    channel.sendall(body)


def _receive(channel: socket.socket, deadline: float | None = None) -> tuple[dict[str, Any], bytes]:
    sizes = _exactly(channel, 12, deadline)
    header, body = int.from_bytes(sizes[:4], "little"), int.from_bytes(sizes[4:], "little")
    if body > _MAX_REPLY:
        raise ValueError("a reply of impossible length")
    head = dict(json.loads(_exactly(channel, header, deadline)))
    return head, bytes(_exactly(channel, body, deadline))


def _exactly(channel: socket.socket, length: int, deadline: float | None) -> bytearray:
    buffer = bytearray(length)
    view, got = memoryview(buffer), 0
    while got < length:
        channel.settimeout(_left(deadline))
        received = channel.recv_into(view[got:])
        if not received:
            raise EOFError("the other side has gone")
        got += received
    return buffer


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _part(head: dict[str, Any], data: bytes) -> Part | RefusedPart:
    return RefusedPart(**head) if "code" in head else Part(**head, data=data)


def _raised(error: dict[str, Any]) -> SuiteError:
    kinds: dict[str, type[SuiteError]] = {}
    for known in (*_all_kinds(UnreadableDocument), *_all_kinds(SuiteError)):
        kinds.setdefault(known.code, known)
    kind = kinds.get(error["code"], UnreadableDocument)
    return kind(error["message"], document=error["document"])


def _all_kinds(kind: type[SuiteError]) -> list[type[SuiteError]]:
    return [kind, *(found for sub in kind.__subclasses__() for found in _all_kinds(sub))]


# ---------------------------------------------------------------- the child's side

_START = """
import sys
sys.path.insert(0, sys.argv[1])
from shared.documents.sandbox import serve
serve(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
"""


def serve(descriptor: int, parent: int, memory_bytes: int) -> None:
    """The child's life: answer one request after the other until the parent hangs up."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    load_engines()  # before memory is short
    without_network = confine(memory_bytes)
    channel = socket.socket(fileno=descriptor)
    _send(channel, {"ready": True, "without_network": without_network})
    while True:
        try:
            request, data = _receive(channel)
        except (OSError, EOFError):
            return
        leaves = _serve_one(channel, request, data)
        if leaves:
            return


def _serve_one(channel: socket.socket, request: dict[str, Any], data: bytes) -> bool:
    """Answer one request; True if the child had better end after it."""
    limits = Limits(**request["limits"])
    allow_seconds(limits.seconds)
    try:
        head, body = _act(channel, request, data, limits)
    except SuiteError as error:
        _send(channel, _error(error.code, error.message, error.document))
        return False
    except MemoryError:
        message = f"reading this document needs more than {limits.memory_bytes // 1_000_000} MB"
        _send(channel, _error("unreadable_document", message, request["name"]) | {"leaves": True})
        return True
    except Exception as error:  # noqa: BLE001 - a defect may cost this document, no other
        message = f"reading this document failed: {type(error).__name__}: {error}"
        _send(channel, _error("unreadable_document", message, request["name"]) | {"leaves": True})
        return True
    _send(channel, head, body)
    return False


def _error(code: str, message: str, document: str | None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "document": document or None}}


def _act(
    channel: socket.socket, request: dict[str, Any], data: bytes, limits: Limits
) -> tuple[dict[str, Any], bytes]:
    if request["do"] == "unpack":
        return _unpack(channel, request, data, limits)
    password = request["password"]
    if request["do"] == "render":
        return {}, render(data, request["number"], scale=request["scale"], password=password)
    if request["do"] == "decrypt":
        return {}, decrypt(data, password=password)
    if request["do"] == "facts":
        return {}, facts_of(data).to_bytes()
    reading = read(
        data,
        name=request["name"],
        password=password,
        limits=limits,
        skip=request["skip"],
        progress=lambda number: _send(channel, {"page": number}),
        recognising=lambda number: _recognise(channel, number, limits),
        early=partial(_tell_early, channel) if request.get("early") else None,
    )
    text = reading.text.encode()
    return {"text_bytes": len(text)}, text + reading.to_bytes(compress=False)


def _tell_early(channel: socket.socket, page: EarlyPage) -> None:
    head = {name: value for name, value in vars(page).items() if name != "text"}
    _send(channel, {"page": page.number, "early": head}, page.text.encode())


def _recognise(channel: socket.socket, number: int, limits: Limits) -> None:
    """Ask for the time that recognising a page has of its own, and for that of this process."""
    allow_seconds(limits.seconds)
    _send(channel, {"page": number, "recognising": True})


def _unpack(
    channel: socket.socket, request: dict[str, Any], data: bytes, limits: Limits
) -> tuple[dict[str, Any], bytes]:
    """As many parts as one reply takes, and how many there are altogether."""
    contents = unpack(data, name=request["name"], limits=limits, depth=request["depth"])
    found: list[dict[str, Any]] = []
    body = bytearray()
    for part in contents.parts(
        request["first"],
        skip=request["skip"],
        unpacked=request["unpacked"],
        progress=lambda index: _send(channel, {"page": index}),
    ):
        if isinstance(part, Part):
            found.append({"name": part.name, "media_type": part.media_type, "size": len(part.data)})
            body += part.data
        else:
            found.append({"name": part.name, "code": part.code, "reason": part.reason, "size": 0})
        if len(body) >= _UNPACKED_AT_ONCE:
            break
    return {"parts": found, "total": len(contents.names)}, bytes(body)


def _end_with(parent: int) -> None:
    """End this process soon after its parent, whatever it is at.

    A death signal (PR_SET_PDEATHSIG) would not do: it follows the thread that started the child,
    and readers are started from threads that come and go.
    """
    while os.getppid() == parent:
        time.sleep(0.5)
    os.killpg(0, signal.SIGKILL)  # and what this process has started, which is its own session
