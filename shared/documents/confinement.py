"""Confine the process that reads documents, so that hostile code in it reaches nothing.

Four layers, none of which needs privileges. Resource limits bound memory, CPU time and files.
Landlock (linux/landlock.h) lets it read the folders that it is given and nothing else. A seccomp
filter (linux/seccomp.h) allows the system calls that reading needs, and refuses all others. And its
parent hides its own memory from it. macOS has only the limits.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import resource
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

OPEN_FILES = 64


class Confinement(NamedTuple):
    """The protections of a process, or those that this system offers."""

    landlock: int
    """Version of Landlock's interface; 0: none."""
    filter: bool
    """Whether system calls are filtered."""

    @property
    def complete(self) -> bool:
        return bool(self.landlock and self.filter)


class _Machine(NamedTuple):
    mark: int
    """Its AUDIT_ARCH value."""
    column: int
    """Its place in `_CALLS`."""
    seccomp: int
    """Its number of the call `seccomp`."""


_MACHINES = {"x86_64": _Machine(0xC000003E, 0, 317), "aarch64": _Machine(0xC00000B7, 1, 277)}

# Measured on x86-64: a trace of reading all formats. The numbers are from asm/unistd_64.h, and for
# 64-bit ARM from asm-generic/unistd.h, which lacks two of the calls.
_CALLS: dict[str, tuple[int, int | None]] = {
    "read": (0, 63), "write": (1, 64), "pread64": (17, 67), "close": (3, 57), "lseek": (8, 62),
    "openat": (257, 56), "getdents64": (217, 61), "getcwd": (79, 17), "ioctl": (16, 29),
    "stat": (4, None), "lstat": (6, None), "fstat": (5, 80), "newfstatat": (262, 79),
    "statx": (332, 291), "mmap": (9, 222), "munmap": (11, 215), "mremap": (25, 216),
    "mprotect": (10, 226), "madvise": (28, 233), "brk": (12, 214), "futex": (202, 98),
    "sendto": (44, 206), "recvfrom": (45, 207), "sched_yield": (24, 124), "getpid": (39, 172),
    "getppid": (110, 173), "gettid": (186, 178), "kill": (62, 129), "tgkill": (234, 131),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "restart_syscall": (219, 128), "prlimit64": (302, 261), "getrusage": (98, 165),
    "getrandom": (318, 278), "clock_gettime": (228, 113), "clock_nanosleep": (230, 115),
    "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
"""The allowed system calls, with their numbers on x86-64 and 64-bit ARM."""

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06  # instructions of classic BPF
_CALL, _MACHINE, _ARGUMENTS = 0, 4, 16  # offsets into `struct seccomp_data`
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_UNKNOWN = 0x00050000 | errno.ENOSYS  # as on an older kernel, so that libraries try another call
_FIONBIO = 0x5421  # of ioctl(2): blocking sockets or not
_SET_DUMPABLE, _SET_NO_NEW_PRIVILEGES = 4, 38  # of prctl(2)
_SET_FILTER, _ALL_THREADS, _GET_ACTION = 1, 1, 2  # of seccomp(2)

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # Landlock's calls, on every machine
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3  # rights of Landlock
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # number of rights by version; 16 since version 5
_NETWORK, _SCOPES = 0b11, 0b11  # TCP since version 4; abstract sockets and signals since 6

_CAPABILITIES_3, _READ_SEARCH = 0x20080522, 1 << 2  # of capset(2)

_system = ctypes.CDLL(None, use_errno=True)
_system.syscall.restype = ctypes.c_long


def offered() -> Confinement:
    """Return what this system offers to `confine`."""
    landlock = filtered = -1
    if platform.system() == "Linux":
        landlock = _call(_CREATE_RULESET, None, 0, 1)
    machine = _MACHINES.get(platform.machine())
    if machine:
        action = ctypes.c_uint32(_REFUSE & 0xFFFF0000)
        filtered = _call(machine.seccomp, _GET_ACTION, 0, ctypes.addressof(action))
    return Confinement(max(0, landlock), filtered == 0)


def hide_memory() -> None:
    """Hide this process from others of its user: memory, environment and open files.

    Until it ends, only root can trace it, and it leaves no core dump.
    """
    if platform.system() == "Linux":
        _system.prctl(_SET_DUMPABLE, *map(ctypes.c_ulong, (0, 0, 0, 0)))


def confine_files(readable: Iterable[Path]) -> int:
    """Let this process open only files below `readable`. Call it before it has other threads.

    Returns the version of Landlock's interface, 0 if the system lacks it. Raises OSError if it has
    Landlock but does not apply it.
    """
    version = offered().landlock
    if platform.system() == "Linux":
        _leave_privileges()
    if version:
        rights = (1 << _FILE_RIGHTS.get(version, 16)) - 1
        network, scopes = _NETWORK if version >= 4 else 0, _SCOPES if version >= 6 else 0
        attributes = struct.pack("=QQQ", rights, network, scopes)
        ruleset = _checked(_CREATE_RULESET, attributes, len(attributes), 0)
        for path in readable:
            with suppress(OSError):  # a folder that this system lacks
                _allow_reading(ruleset, path)
        _checked(_RESTRICT_SELF, ruleset, 0)
        os.close(ruleset)
    return version


def confine_process(memory_bytes: int) -> bool:
    """Limit resources, and allow this process only the system calls that reading needs.

    It and its threads can start no process or thread, open no socket, write no file and load no
    library. Returns False on machines other than x86-64 and 64-bit ARM, and on kernels without
    filters. Raises OSError if the system has filters but does not apply this one.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if not offered().filter:
        return False
    machine = _MACHINES[platform.machine()]
    program = _program(machine)
    code = ctypes.create_string_buffer(b"".join(program))
    filter_program = struct.pack("@HP", len(program), ctypes.addressof(code))
    if _checked(machine.seccomp, _SET_FILTER, _ALL_THREADS, filter_program) != 0:
        raise OSError(errno.EPERM, "a thread of this process refuses the filter")
    return True


def allow_seconds(seconds: float) -> None:
    """Allow `seconds` more CPU time from now on."""
    allow_processor_time(processor_seconds() + seconds)


def processor_seconds() -> float:
    """Return the CPU time that this process has used."""
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])


def allow_processor_time(until: float | None) -> None:
    """Let the kernel end this process once it has used so many CPU seconds; None: never."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (hard if until is None else int(until) + 2, hard))


def _leave_privileges() -> None:
    """Give up all that root may do, except to read. Nothing to give up is no error."""
    _system.prctl(_SET_NO_NEW_PRIVILEGES, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    header = struct.pack("=Ii", _CAPABILITIES_3, 0)
    for kept in (_READ_SEARCH, 0):  # an ordinary user has none
        if _system.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)) == 0:
            break


def _allow_reading(ruleset: int, path: Path) -> None:
    rights = _READ_FILE | _READ_FOLDER if path.is_dir() else _READ_FILE
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        _checked(_ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, opened), 0)
    finally:
        os.close(opened)


def _program(machine: _Machine) -> list[bytes]:
    """Build the filter: all calls that are not in `_CALLS` are unknown."""
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
    # Call -> its argument, a test of it, and whether passing the test allows the call.
    tested = {
        "openat": (2, _ANY_BIT, writing, False),
        "mmap": (2, _ANY_BIT, mmap.PROT_EXEC, False),
        "mprotect": (2, _ANY_BIT, mmap.PROT_EXEC, False),
        "ioctl": (1, _EQUAL, _FIONBIO, True),
        "kill": (0, _EQUAL, 0, True),  # its own group
        "tgkill": (0, _EQUAL, os.getpid(), True),
        "prlimit64": (0, _EQUAL, 0, True),
    }
    program = [
        _instruction(_LOAD, _MACHINE),
        _instruction(_EQUAL, machine.mark, 1, 0),
        _instruction(_RETURN, _REFUSE),
        _instruction(_LOAD, _CALL),
    ]
    for name, numbers in _CALLS.items():
        number = numbers[machine.column]
        if number is None:
            continue
        if name not in tested:
            program += [_instruction(_EQUAL, number, 0, 1), _instruction(_RETURN, _ALLOW)]
            continue
        argument, test, value, allows = tested[name]
        program += [
            _instruction(_EQUAL, number, 0, 4),
            _instruction(_LOAD, _ARGUMENTS + 8 * argument),  # its lower half
            _instruction(test, value, int(not allows), int(allows)),
            _instruction(_RETURN, _ALLOW),
            _instruction(_RETURN, _REFUSE),
        ]
    return [*program, _instruction(_RETURN, _UNKNOWN)]


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """Return a `struct sock_filter`. Jumps count from the next instruction."""
    return struct.pack("@HBBI", code, if_true, if_false, value)


def _call(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call by its number: -1 for an error."""
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return int(_system.syscall(ctypes.c_long(number), *converted))


def _checked(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call by its number. Raises OSError."""
    result = _call(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
