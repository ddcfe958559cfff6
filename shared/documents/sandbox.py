"""Read documents in a child process, to survive crashes, hangs and excessive memory use.

A child serves many documents of one tenant, one at a time, and is replaced after its death. It is
confined (`confinement.py`), its answers are checked (`replies.py`), and its parent adds a wall
clock. If it dies while reading a page, or does not stop recognising one, the document is read again
without that page, a few times at most. A death elsewhere is UnreadableDocument.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Self, TypeAlias, TypeVar

from shared.documents import replies
from shared.documents.channel import receive, send
from shared.documents.confinement import Confinement, hide_memory, offered
from shared.documents.model.parsed_document import Limits, PageCallback, PageRead, ParsedDocument
from shared.documents.unpacking import Attachment, RefusedPart
from shared.documents.xbrl.xbrl import Facts
from shared.errors import SettingsError, SuiteError, Unavailable, UnreadableDocument
from shared.tenancy import current_tenant

T = TypeVar("T")
_Parse: TypeAlias = Callable[[replies.Head, bytes], T]

log = logging.getLogger(__name__)

_MAX_DEATHS = 4
_DOCUMENTS_A_CHILD = 500  # one, if it could read the files of others
_GRACE = 2.0
_START_SECONDS = 120.0
_ROOT = Path(__file__).resolve().parents[2]
_SINGLE_THREADED = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OMP_THREAD_LIMIT",
    "MKL_NUM_THREADS",
)
_ENVIRONMENT = ("PYTHONPATH", "LD_LIBRARY_PATH", "TESSDATA_PREFIX")
"""The variables that a child gets from its parent."""


class Reader:
    """Reads documents in child processes. Threads may share it; they wait for a free child.

    Use it in a `with` block or call `close()`. If the parent is killed, the children end.

    Args:
        required: whether to raise SettingsError on a system without confinement.
        children: most children at the same time. Without work, only one of them stays.
    """

    def __init__(
        self, limits: Limits | None = None, *, required: bool = False, children: int = 1
    ) -> None:
        if required and not offered().complete:
            raise SettingsError(
                "this system can't confine the process that reads documents, and"
                " SMALLPRINT_REQUIRE_CONFINEMENT is set: use Linux 5.13 or later, and allow"
                " Landlock and seccomp in containers (`smallprint doctor` says what is missing)"
            )
        self.limits = limits or Limits()
        self._free = threading.BoundedSemaphore(children)
        self._lock = threading.Lock()
        self._working: list[_Child] = []
        self._idle: _Child | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(
        self,
        data: bytes,
        *,
        name: str = "",
        password: str | None = None,
        on_page: PageCallback | None = None,
    ) -> ParsedDocument:
        """Like `documents.read`, in the child. Its death fails a page or the document.

        An exception from `on_page` ends the child and is raised here.
        """
        request = {"do": "read", "name": name, "password": password, "pages": on_page is not None}
        work = _Work("reading this document", _Budget(self.limits.seconds), on_page)
        return self._ask_until_answered(request, data, work, replies.document_of)

    def unpack(
        self, data: bytes, *, name: str = "", depth: int = 0
    ) -> Iterator[Attachment | RefusedPart]:
        """Yield the parts of a mail or archive that is nested in `depth` others, in order.

        The child unpacks a few megabytes at a time; if it dies, the current part is refused. Raises
        UnreadableDocument, for example when the time is up.
        """
        work = _Work("unpacking this document", _Budget(self.limits.seconds))
        done, unpacked, total = 0, 0, 1
        while done < total:
            request = {"do": "unpack", "name": name, "depth": depth}
            request |= {"first": done, "unpacked": unpacked}
            parse = partial(replies.parts_of, done=done, limits=self.limits)
            parts, total = self._ask_until_answered(request, data, work, parse)
            yield from parts
            done += len(parts)
            unpacked += sum(len(part.data) for part in parts if isinstance(part, Attachment))

    def _ask_until_answered(
        self, request: dict[str, Any], data: bytes, work: _Work, parse: _Parse[T]
    ) -> T:
        """Ask until there is an answer, each time without the page or part that ended the child."""
        while True:
            try:
                asked = request | {"skip": work.skip}
                return self._ask(asked, data, work.budget, parse, work.on_page)
            except _Died as death:
                if death.killed and not work.killed:  # by another process: not the document's fault
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
        """Draw page `number` (from 1) as PNG in the child, within `Limits.draw_seconds`."""
        request = {"do": "render", "number": number, "scale": scale, "password": password}
        doing = f"drawing page {number} of this document"
        seconds = min(self.limits.seconds, self.limits.draw_seconds)
        return self._simple(request, data, name, doing, _body, seconds)

    def decrypt(self, data: bytes, *, name: str = "", password: str | None = None) -> bytes:
        """Return the PDF without encryption, written in the child."""
        request = {"do": "decrypt", "password": password}
        return self._simple(request, data, name, "decrypting this document", _body)

    def facts(self, data: bytes, *, name: str = "") -> Facts:
        """Like `xbrl.facts_of`, in the child."""
        request = {"do": "facts", "password": None}
        doing = "reading the facts of this document"
        return self._simple(request, data, name, doing, replies.facts_of)

    @property
    def child_id(self) -> int | None:
        """Process id of the child that works or has worked last; None before the first document."""
        child = next(iter(self._working), self._idle)
        return child.process_id if child else None

    def close(self) -> None:
        """End the children at once, even while they work."""
        with self._lock:
            self._closed = True
            children = [*self._working, *([self._idle] if self._idle else [])]
        for child in children:
            child.end()

    def _simple(
        self,
        request: dict[str, Any],
        data: bytes,
        name: str,
        doing: str,
        parse: _Parse[T],
        seconds: float | None = None,
    ) -> T:
        try:
            budget = _Budget(seconds or self.limits.seconds)
            return self._ask(request | {"name": name}, data, budget, parse)
        except _Died as death:
            raise UnreadableDocument(f"{doing} {death.how}", document=name or None) from death
        except SuiteError as error:
            error.document = error.document or name or None
            raise

    def _ask(
        self,
        request: dict[str, Any],
        data: bytes,
        budget: _Budget,
        parse: _Parse[T],
        on_page: PageCallback | None = None,
    ) -> T:
        with self._free, self._usable_child() as child:
            try:
                return child.ask(request, data, budget, parse, on_page)
            except _Died as death:
                if self._closed:
                    raise Unavailable("the process ended while it read a document") from death
                raise

    @contextlib.contextmanager
    def _usable_child(self) -> Iterator[_Child]:
        """Yield the idle child, or a new one after a death, many documents, or for another tenant.

        Code that took over a child must not see the documents of others.
        """
        tenant = current_tenant()
        with self._lock:
            if self._closed:
                raise Unavailable("this reader is closed: the process is about to end")
            child, self._idle = self._idle, None
            if child is None or not child.is_usable(tenant):
                if child is not None:
                    child.end()
                child = _Child(self.limits, tenant)
            self._working.append(child)
        try:
            yield child
        finally:
            with self._lock:
                self._working.remove(child)
                before, self._idle = self._idle, child
            if before is not None:
                before.end()


@dataclass
class _Budget:
    """The seconds left for one document, without the time it waits for its turn."""

    seconds: float
    limit: float = field(init=False)

    def __post_init__(self) -> None:
        self.limit = self.seconds

    @contextlib.contextmanager
    def spent(self) -> Iterator[float]:
        """Yield the deadline, and subtract the time used from the budget."""
        start = time.monotonic()
        try:
            yield start + max(0.1, self.seconds)
        finally:
            self.seconds -= time.monotonic() - start


@dataclass
class _Work:
    """The work on one document over all attempts. Pages or parts in `skip` ended the child."""

    what: str
    budget: _Budget
    on_page: PageCallback | None = None
    skip: list[int] = field(default_factory=list)
    killed: bool = False


@dataclass
class _Answering:
    """One request to the child: its deadline, and the listener for pages."""

    budget: _Budget
    deadline: float
    on_page: PageCallback | None

    def prolong(self, began: float) -> None:
        """Exclude the time since `began` from the budget."""
        spent = time.monotonic() - began
        self.budget.seconds += spent
        self.deadline += spent


class _Died(Exception):
    """The child ended during its work."""

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

    def __init__(self, limits: Limits, tenant: str | None) -> None:
        """Start the child. Raises Unavailable if the system can't start a process."""
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
        self._tenant = tenant
        self._served = 0
        self._seconds = limits.seconds  # for the current request
        self._confinement: Confinement | None = None  # None: it has not started

    @property
    def process_id(self) -> int:
        return self._process.pid

    def is_usable(self, tenant: str | None) -> bool:
        """Whether it is alive, of this tenant, and has not served its maximum of documents."""
        reads_files = self._confinement == Confinement(landlock=0, filter=True)
        most = 1 if reads_files else _DOCUMENTS_A_CHILD
        alive = self._process.poll() is None
        return alive and self._tenant == tenant and self._served < most

    def ask(
        self,
        request: dict[str, Any],
        data: bytes,
        budget: _Budget,
        parse: _Parse[T],
        on_page: PageCallback | None = None,
    ) -> T:
        """Return the answer. Raises _Died, or the SuiteError that the child met."""
        self._served += 1
        self._seconds = budget.limit
        self._await_start()
        with budget.spent() as deadline:
            limits = vars(self._limits) | {"seconds": deadline - time.monotonic()}
            answering = _Answering(budget, deadline, on_page)
            head, body = self._answer(request | {"limits": limits}, data, answering)
        if head.error is None:
            with self._deaths(None):
                return parse(head, body)
        if head.leaves:
            self.end()
        raise replies.error_of(head.error)

    def _await_start(self) -> None:
        if self._confinement is None:
            try:
                head, _ = self._receive(time.monotonic() + _START_SECONDS)
            except TimeoutError as error:
                self.end()
                raise _not_started(f"not ready after {_START_SECONDS:g} seconds") from error
            except (OSError, EOFError, ValueError) as error:
                raise _not_started(self._exit()) from error
            self._confinement = Confinement(head.landlock, head.filter)
            if not self._confinement.complete:
                _warn_once(self._confinement)

    def _receive(self, deadline: float) -> tuple[replies.Head, bytes]:
        head, body = receive(self._socket, deadline, replies.most_bytes(self._limits))
        return replies.head_of(head), body

    def _answer(
        self, request: dict[str, Any], data: bytes, answering: _Answering
    ) -> tuple[replies.Head, bytes]:
        """Return the first message that is not a progress report."""
        page: int | None = None
        last, recognised = 0, 0.0  # the last page read, and seconds of recognition
        began, recognising = time.monotonic(), False
        with self._deaths(page):
            send(self._socket, request, data, answering.deadline)
        while True:
            until = answering.deadline
            if recognising:
                until = max(until, began) + self._limits.page_seconds + _GRACE
            try:
                with self._deaths(page, late=not recognising):
                    head, body = self._receive(until)
            finally:
                if recognising:  # this time does not count
                    answering.prolong(began)
                    recognised += time.monotonic() - began
            if head.page is None:
                return head, body
            page, began = head.page, time.monotonic()
            if head.page_read and answering.on_page:
                with self._deaths(page):
                    page_read = replies.page_of(head, body, last, self._limits)
                last = page_read.number
                self._report(answering.on_page, page_read)
                answering.prolong(began)  # the listener's time does not count
            recognising = head.recognising and recognised < self._limits.scan_seconds
            began = time.monotonic()

    def _report(self, on_page: PageCallback, page: PageRead) -> None:
        try:
            on_page(page)
        except BaseException:
            self.end()  # the document is not needed any more
            raise

    @contextlib.contextmanager
    def _deaths(self, page: int | None, *, late: bool = True) -> Iterator[None]:
        """Turn socket errors into _Died. After a timeout it is `late`: the document fails."""
        try:
            yield
        except TimeoutError as error:
            self.end()
            how = f"took longer than {self._seconds:g} seconds"
            raise _Died(how, page, late=late) from error
        except (ValueError, RecursionError) as error:
            self.end()
            raise _Died("ended with an invalid answer", page, late=True) from error
        except (OSError, EOFError) as error:
            how = self._cause_of_end()
            killed = self._process.returncode == -signal.SIGKILL
            raise _Died(how, page, killed=killed) from error

    def end(self) -> None:
        """Kill the child with its own children, and reap it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # it leads its own session
        self._process.wait()
        self._socket.close()

    def _exit(self) -> str:
        """Describe how it ended, in two words. Kills it if necessary."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        self.end()
        status = self._process.returncode
        return f"signal {-status}" if status < 0 else f"status {status}"

    def _cause_of_end(self) -> str:
        how = self._exit()
        megabytes = self._limits.memory_bytes // 1_000_000
        if self._process.returncode == -signal.SIGXCPU:
            return f"took more than {self._seconds:g} seconds of computing"
        return f"crashed the reader ({how}): it is damaged, or needs over {megabytes} MB of memory"


def _start(limits: Limits, descriptor: int) -> subprocess.Popen[bytes]:
    hide_memory()
    command = [
        sys.executable,
        "-P",
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
        env=_environment(),
        start_new_session=True,
    )


def _environment() -> dict[str, str]:
    """Return the variables that the child needs. It finds no programs where it can't run any."""
    inherited = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    path = "" if offered().filter else os.environ.get("PATH", "")
    return inherited | {"PATH": path} | dict.fromkeys(_SINGLE_THREADED, "1")


@cache
def _warn_once(confinement: Confinement) -> None:
    """Log the warning once in this process."""
    if not confinement.filter:
        log.warning(
            "the process that reads documents can open network connections: this system has no"
            " filter for system calls (seccomp on x86-64 and 64-bit ARM). Its other limits apply"
        )
    if not confinement.landlock:
        log.warning(
            "the process that reads documents can read the files of this user: this system has no"
            " Landlock (Linux 5.13 or later, allowed in containers). Its other limits apply"
        )


def _not_started(why: str) -> Unavailable:
    return Unavailable(
        f"the process that reads documents did not start ({why}): check the memory and load of"
        " this machine; reading is retried"
    )


def _body(_head: replies.Head, body: bytes) -> bytes:
    return body


_START = """
import sys
sys.path.insert(0, sys.argv[1])
from shared.documents.child import serve
serve(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
"""
