"""Read documents in a child process, to survive crashes, hangs and excessive memory use.

One child serves many documents, one at a time, and is replaced after its death. It is confined
(`confinement.py`), and its parent adds a wall clock. It answers with JSON and raw numbers, never
pickles. If it dies while reading a page, or does not stop recognising one, the document is read
again without that page, a few times at most. A death elsewhere is UnreadableDocument.
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
from typing import Any, Self

from shared.documents.confinement import (
    Confinement,
    allow_seconds,
    confine_files,
    confine_process,
    hide_memory,
    offered,
)
from shared.documents.model.parsed_document import Limits, PageCallback, PageRead, ParsedDocument
from shared.documents.pages.tesseract import Library, engine
from shared.documents.reader import decrypt, load_engines, read, render, unpack
from shared.documents.unpacking import Attachment, RefusedPart
from shared.documents.xbrl.xbrl import Facts, facts_of
from shared.errors import SettingsError, SuiteError, Unavailable, UnreadableDocument

log = logging.getLogger(__name__)

_MAX_DEATHS = 4
_MAX_REPLY = 1 << 31
_UNPACKED_AT_ONCE = 16_000_000  # bytes of parts in one reply; the last part may exceed it
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
_FONTS = ("/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/X11/fonts")
"""Where PDFium looks for a font that a PDF lacks."""


class Reader:
    """Reads documents in a child process. Threads may share it; they take turns.

    Use it in a `with` block or call `close()`. If the parent is killed, the child ends itself. If
    confinement is `required` and this system lacks it, it raises SettingsError.
    """

    def __init__(self, limits: Limits | None = None, *, required: bool = False) -> None:
        if required and not offered().complete:
            raise SettingsError(
                "this system can't confine the process that reads documents, and"
                " SMALLPRINT_REQUIRE_CONFINEMENT is set: use Linux 5.13 or later, and allow"
                " Landlock and seccomp in containers (`smallprint doctor` says what is missing)"
            )
        self.limits = limits or Limits()
        self._turn = threading.Lock()
        self._child: _Child | None = None
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
        head, body = self._ask_until_answered(request, data, work)
        text = body[: head["text_bytes"]].decode()
        return ParsedDocument.from_bytes(body[head["text_bytes"] :], text)

    def unpack(
        self, data: bytes, *, name: str = "", depth: int = 0
    ) -> Iterator[Attachment | RefusedPart]:
        """Yield the parts of a mail or archive that is nested in `depth` others, in order.

        The child unpacks a few megabytes at a time; if it dies, the current part is refused. Raises
        UnreadableDocument, for example when the time is up.
        """
        work = _Work("unpacking this document", _Budget(self.limits.seconds))
        done, unpacked, total = 0, 0, None
        while total is None or done < total:
            request = {"do": "unpack", "name": name, "depth": depth}
            request |= {"first": done, "unpacked": unpacked}
            head, body = self._ask_until_answered(request, data, work)
            start = 0
            for part in head["parts"]:
                size = part.pop("size")
                yield _part(part, body[start : start + size])
                start += size
            done, unpacked, total = done + len(head["parts"]), unpacked + start, head["total"]

    def _ask_until_answered(
        self, request: dict[str, Any], data: bytes, work: _Work
    ) -> tuple[dict[str, Any], bytes]:
        """Ask until there is an answer, each time without the page or part that ended the child."""
        while True:
            try:
                return self._ask(request | {"skip": work.skip}, data, work.budget, work.on_page)
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
        """Draw page `number` (from 1) as PNG in the child."""
        request = {"do": "render", "number": number, "scale": scale, "password": password}
        return self._simple(request, data, name, f"drawing page {number} of this document")

    def decrypt(self, data: bytes, *, name: str = "", password: str | None = None) -> bytes:
        """Return the PDF without encryption, written in the child."""
        request = {"do": "decrypt", "password": password}
        return self._simple(request, data, name, "decrypting this document")

    def facts(self, data: bytes, *, name: str = "") -> Facts:
        """Like `xbrl.facts_of`, in the child."""
        request = {"do": "facts", "password": None}
        return Facts.from_bytes(
            self._simple(request, data, name, "reading the facts of this document")
        )

    @property
    def child_id(self) -> int | None:
        """Process id of the child, None before the first document."""
        return self._child.process_id if self._child else None

    def close(self) -> None:
        """End the child at once, even while it works."""
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
        self,
        request: dict[str, Any],
        data: bytes,
        budget: _Budget,
        on_page: PageCallback | None = None,
    ) -> tuple[dict[str, Any], bytes]:
        with self._turn:
            if self._closed:
                raise Unavailable("this reader is closed: the process is about to end")
            try:
                return self._usable_child().ask(request, data, budget, on_page)
            except _Died as death:
                if self._closed:
                    raise Unavailable("the process ended while it read a document") from death
                raise

    def _usable_child(self) -> _Child:
        """Return the current child, or a new one after a death or many documents."""
        child = self._child
        if child is None or not child.is_usable():
            if child is not None:
                child.end()
            self._child = child = _Child(self.limits)
        return child


@dataclass
class _Budget:
    """The seconds left for one document, without the time it waits for its turn."""

    seconds: float

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

    def __init__(self, limits: Limits) -> None:
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
        self._served = 0
        self._confinement: Confinement | None = None  # None: it has not started

    @property
    def process_id(self) -> int:
        return self._process.pid

    def is_usable(self) -> bool:
        """Whether it is alive and has not served its maximum of documents."""
        reads_files = self._confinement == Confinement(landlock=0, filter=True)
        most = 1 if reads_files else _DOCUMENTS_A_CHILD
        return self._process.poll() is None and self._served < most

    def ask(
        self,
        request: dict[str, Any],
        data: bytes,
        budget: _Budget,
        on_page: PageCallback | None = None,
    ) -> tuple[dict[str, Any], bytes]:
        """Return the answer. Raises _Died, or the SuiteError that the child met."""
        self._served += 1
        self._await_start()
        with budget.spent() as deadline:
            limits = vars(self._limits) | {"seconds": deadline - time.monotonic()}
            answering = _Answering(budget, deadline, on_page)
            head, body = self._answer(request | {"limits": limits}, data, answering)
        if "error" in head:
            if head.get("leaves"):
                self.end()
            raise _raised(head["error"])
        return head, body

    def _await_start(self) -> None:
        if self._confinement is None:
            try:
                head, _ = _receive(self._socket, time.monotonic() + _START_SECONDS)
            except TimeoutError as error:
                self.end()
                raise _not_started(f"not ready after {_START_SECONDS:g} seconds") from error
            except (OSError, EOFError, ValueError) as error:
                raise _not_started(self._exit()) from error
            self._confinement = Confinement(head["landlock"], head["filter"])
            if not self._confinement.complete:
                _warn_once(self._confinement)

    def _answer(
        self, request: dict[str, Any], data: bytes, answering: _Answering
    ) -> tuple[dict[str, Any], bytes]:
        """Return the first frame that is not a progress report."""
        page: int | None = None
        began, recognising = time.monotonic(), False
        with self._deaths(page):
            _send(self._socket, request, data, answering.deadline)
        while True:
            until = answering.deadline
            if recognising:
                until = max(until, began) + self._limits.page_seconds + _GRACE
            try:
                with self._deaths(page, late=not recognising):
                    head, body = _receive(self._socket, until)
            finally:
                if recognising:  # this time does not count
                    answering.prolong(began)
            if "page" not in head:
                return head, body
            page, began = head["page"], time.monotonic()
            if "page_read" in head and answering.on_page:
                self._report(answering.on_page, PageRead(**head["page_read"], text=body.decode()))
                answering.prolong(began)  # the listener's time does not count
            began, recognising = time.monotonic(), head.get("recognising", False)

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
            how = f"took longer than {self._limits.seconds:g} seconds"
            raise _Died(how, page, late=late) from error
        except (OSError, EOFError, ValueError) as error:
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
            return f"took more than {self._limits.seconds:g} seconds of computing"
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


def _send(
    channel: socket.socket, head: dict[str, Any], body: bytes = b"", deadline: float | None = None
) -> None:
    header = json.dumps(head).encode()
    sizes = len(header).to_bytes(4, "little") + len(body).to_bytes(8, "little")
    channel.settimeout(_seconds_left(deadline))
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
        channel.settimeout(_seconds_left(deadline))
        received = channel.recv_into(view[got:])
        if not received:
            raise EOFError("the other side has gone")
        got += received
    return buffer


def _seconds_left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _part(head: dict[str, Any], data: bytes) -> Attachment | RefusedPart:
    return RefusedPart(**head) if "code" in head else Attachment(**head, data=data)


def _raised(error: dict[str, Any]) -> SuiteError:
    kinds: dict[str, type[SuiteError]] = {}
    for error_type in (*_all_kinds(UnreadableDocument), *_all_kinds(SuiteError)):
        kinds.setdefault(error_type.code, error_type)
    kind = kinds.get(error["code"], UnreadableDocument)
    return kind(error["message"], document=error["document"])


def _all_kinds(kind: type[SuiteError]) -> list[type[SuiteError]]:
    return [kind, *(error_type for sub in kind.__subclasses__() for error_type in _all_kinds(sub))]


_START = """
import sys
sys.path.insert(0, sys.argv[1])
from shared.documents.sandbox import serve
serve(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
"""


def serve(descriptor: int, parent: int, memory_bytes: int) -> None:
    """Run the child: answer requests until the parent hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    load_engines()  # before memory is limited and no library can be loaded
    channel = socket.socket(fileno=descriptor)
    landlock = confine_files(_readable())
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _send(channel, {"landlock": landlock, "filter": confine_process(memory_bytes)})
    while True:
        try:
            request, data = _receive(channel)
        except (OSError, EOFError):
            return
        leaves = _serve_request(channel, request, data)
        if leaves:
            return


def _readable() -> set[Path]:
    """Return the folders of Python, its packages, our code, fonts and data for recognition.

    A checkout has the data folder in it, so of a checkout only our code is included.
    """
    installed = _ROOT.name.endswith("-packages")
    entries = {Path(entry) for entry in sys.path if installed or Path(entry) != _ROOT}
    recognition = engine()
    data = {Path(recognition.data)} if isinstance(recognition, Library) else set()
    return {_ROOT / "shared", *entries, *map(Path, _FONTS), *data}


def _serve_request(channel: socket.socket, request: dict[str, Any], data: bytes) -> bool:
    """Answer one request. Returns True if the child should end after it."""
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
    except Exception as error:  # noqa: BLE001 - a defect must cost only this document
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
    parsed = read(
        data,
        name=request["name"],
        password=password,
        limits=limits,
        skip=request["skip"],
        progress=lambda number: _send(channel, {"page": number}),
        recognising=lambda number: _recognise(channel, number, limits),
        on_page=partial(_send_page, channel) if request["pages"] else None,
    )
    text = parsed.text.encode()
    return {"text_bytes": len(text)}, text + parsed.to_bytes(compress=False)


def _send_page(channel: socket.socket, page: PageRead) -> None:
    head = {name: value for name, value in vars(page).items() if name != "text"}
    _send(channel, {"page": page.number, "page_read": head}, page.text.encode())


def _recognise(channel: socket.socket, number: int, limits: Limits) -> None:
    """Request the extra time for recognising a page, here and from the parent."""
    allow_seconds(limits.seconds + limits.page_seconds)
    _send(channel, {"page": number, "recognising": True})


def _unpack(
    channel: socket.socket, request: dict[str, Any], data: bytes, limits: Limits
) -> tuple[dict[str, Any], bytes]:
    """Return as many parts as fit in one reply, and the total number of parts."""
    contents = unpack(data, name=request["name"], limits=limits, depth=request["depth"])
    parts: list[dict[str, Any]] = []
    body = bytearray()
    for part in contents.parts(
        request["first"],
        skip=request["skip"],
        unpacked=request["unpacked"],
        progress=lambda index: _send(channel, {"page": index}),
    ):
        if isinstance(part, Attachment):
            parts.append({"name": part.name, "media_type": part.media_type, "size": len(part.data)})
            body += part.data
        else:
            parts.append({"name": part.name, "code": part.code, "reason": part.reason, "size": 0})
        if len(body) >= _UNPACKED_AT_ONCE:
            break
    return {"parts": parts, "total": len(contents.names)}, bytes(body)


def _end_with(parent: int) -> None:
    """End this process soon after its parent.

    PR_SET_PDEATHSIG would not do: it follows the thread that started the child, and such threads
    come and go.
    """
    while os.getppid() == parent:
        time.sleep(0.5)
    os.killpg(0, signal.SIGKILL)  # its children too: the group is its own
