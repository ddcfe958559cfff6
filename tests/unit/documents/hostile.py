"""Hostile code in the place of a document's reader: it tries to reach what is not its own.

It answers with a text: for each attempt what it got, or the error. The document is JSON: what the
attempts aim at.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import platform
import resource
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.documents import sandbox
from shared.documents.confinement import Confinement
from shared.documents.model.parsed_document import ParsedDocument

ATTACK = """
from shared.documents import child
from tests.unit.documents.hostile import attack
child.read = attack
"""


def start(first: str = "", offered: Confinement | None = None) -> str:
    """Return a program for the child: it does something first, on a system that offers less."""
    if offered is not None:
        first += "from shared.documents import confinement\n"
        first += f"confinement.offered = lambda: confinement.{offered}\n"
    served = "from shared.documents.child import serve"
    assert served in sandbox._START
    return sandbox._START.replace(served, first + served)


_SYSTEM = ctypes.CDLL(None, use_errno=True)
_ARM = platform.machine() == "aarch64"
_ATTACH, _NEW_NETWORK = 0x4206, 0x40000000
_NEW_MAP = struct.pack("=4I", 2, 4, 4, 1) + bytes(104)


def attack(data: bytes, **_arguments: object) -> ParsedDocument:
    """Try everything, in the place of `read`."""
    return ParsedDocument(json.dumps({name: _result(name, data) for name in ATTEMPTS}))


def _result(name: str, data: bytes) -> str:
    try:
        got = ATTEMPTS[name](json.loads(data))
    except Exception as error:  # noqa: BLE001 - whatever stops it
        return f"refused: {type(error).__name__}: {error}"[:90]
    return f"GOT {got!r}"[:90]


def _libc(name: str, *arguments: Any) -> int:
    function = getattr(_SYSTEM, name)
    function.restype = ctypes.c_long
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(function(*converted))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _pidfd_getfd(aims: dict[str, Any]) -> str:
    process = _libc("syscall", 434, os.getppid(), 0)
    got = _libc("syscall", 438, process, aims["descriptor"], 0)
    return str(Path(f"/proc/self/fd/{got}").readlink())


def _process_vm_readv(aims: dict[str, Any]) -> bytes:
    class Piece(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    buffer = ctypes.create_string_buffer(20)
    ours = Piece(ctypes.addressof(buffer), 20)
    theirs = Piece(aims["address"], 20)
    pieces = ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0
    _libc("process_vm_readv", os.getppid(), *pieces)
    return buffer.raw


def _memory_file(aims: dict[str, Any]) -> bytes:
    with open(f"/proc/{os.getppid()}/mem", "rb", buffering=0) as file:  # noqa: PTH123
        file.seek(aims["address"])
        return file.read(20)


def _by_mmap(aims: dict[str, Any]) -> str:
    handle = os.open(aims["blob"], os.O_RDWR)
    with mmap.mmap(handle, 0) as view:
        view[0:1] = b"!"
    return "changed"


def _connect(family: int, kind: int, address: Any) -> str:
    with socket.socket(family, kind) as channel:
        channel.connect(address)
    return "connected"


def _fork(_aims: dict[str, Any]) -> str:
    process = os.fork()
    if not process:
        os._exit(0)
    os.waitpid(process, 0)
    return "a process"


def _thread(_aims: dict[str, Any]) -> str:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    return "a thread"


def _inherited(_aims: dict[str, Any]) -> list[str]:
    links = []
    for handle in range(64):
        try:
            name = str(Path(f"/proc/self/fd/{handle}").readlink())
        except FileNotFoundError:
            continue
        if name.startswith("/") and not name.startswith(("/dev/", "/proc/")):
            os.write(handle, b"x")
            links.append(name)
    if not links:
        raise LookupError("nothing inherited")
    return links


def _more_memory(_aims: dict[str, Any]) -> str:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return "no limit"


def _parents_limits(_aims: dict[str, Any]) -> str:
    limits = resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)
    resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, limits)
    return "set"


ATTEMPTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "read a blob of another tenant": lambda a: Path(a["blob"]).read_bytes()[:20],
    "read a database": lambda a: Path(a["database"]).read_bytes()[:15],
    "read owner.key": lambda a: Path(a["key"]).read_text()[:9],
    "list the data folder": lambda a: os.listdir(a["folder"]),  # noqa: PTH208
    "read /etc/passwd": lambda _a: Path("/etc/passwd").read_text()[:9],
    "environment of the parent": lambda _a: Path(f"/proc/{os.getppid()}/environ").read_bytes()[:9],
    "memory of the parent, by its file": _memory_file,
    "memory of the parent, by process_vm_readv": _process_vm_readv,
    "its own environment": lambda _a: os.environ["SMALLPRINT_FRONTIER_KEY"],
    "a descriptor of the parent": _pidfd_getfd,
    "an inherited descriptor": _inherited,
    "signal the parent": lambda _a: os.kill(os.getppid(), signal.SIGWINCH),
    "limits of the parent": _parents_limits,
    "write a file": lambda a: os.open(a["blob"], os.O_RDWR),
    "change a file by mmap": _by_mmap,
    "truncate a file": lambda a: os.truncate(a["empty"], 0),
    "create a file": lambda a: os.open(f"{a['folder']}/new", os.O_WRONLY | os.O_CREAT),
    "rename a file": lambda a: os.rename(a["empty"], a["empty"]),  # noqa: PTH104
    "delete a file": lambda a: os.unlink(a["empty"]),  # noqa: PTH108
    "change the rights of a file": lambda a: os.chmod(a["blob"], 0o600),  # noqa: PTH101
    "TCP": lambda a: _connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", a["port"])),
    "UDP": lambda _a: _connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 9)),
    "a UNIX socket": lambda a: _connect(socket.AF_UNIX, socket.SOCK_STREAM, a["socket"]),
    "an abstract UNIX socket": lambda a: _connect(
        socket.AF_UNIX, socket.SOCK_STREAM, "\0" + a["abstract"]
    ),
    "io_uring": lambda _a: _libc("syscall", 425, 1, ctypes.create_string_buffer(120)),
    "run /bin/sh": lambda _a: subprocess.run(["/bin/sh", "-c", "true"], check=True).returncode,
    "start a process": _fork,
    "start a thread": _thread,
    "executable memory": lambda _a: len(mmap.mmap(-1, 4096, prot=mmap.PROT_EXEC)),
    "keyrings": lambda _a: _libc("syscall", 219 if _ARM else 250, 0, -3, 0, 0, 0),
    "userfaultfd": lambda _a: _libc("syscall", 282 if _ARM else 323, 1),
    "bpf": lambda _a: _libc("syscall", 280 if _ARM else 321, 0, _NEW_MAP, len(_NEW_MAP)),
    "a namespace of its own": lambda _a: _libc("unshare", _NEW_NETWORK),
    "shared memory": lambda _a: _libc("memfd_create", b"x", 0),
    "more memory": _more_memory,
    "trace the parent": lambda _a: _libc("ptrace", _ATTACH, os.getppid(), 0, 0),
}  # fmt: skip
"""By their names. The last one stops at the parent's next signal, until the child ends."""
