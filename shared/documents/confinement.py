"""What the process that reads documents may not do, for the rest of its life, nor what it starts.

Bounds of the system (setrlimit) on memory, processor time, open files and files written; and a
filter of system calls (seccomp, linux/seccomp.h) without sockets, so that a document that takes the
process over reaches no network, not even of this machine. It needs no rights and no namespaces.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import resource
import struct

OPEN_FILES = 64

_MACHINES = {"x86_64": (0xC000003E, 41, 317), "aarch64": (0xC00000B7, 198, 277)}
"""By name of the machine: its mark (AUDIT_ARCH), and the numbers of `socket` and `seccomp` among
its calls.
"""
_IO_URING_SETUP = 425  # on every machine; by it sockets are opened as well
_X32 = 0x40000000  # calls from here on are those of another table, on x86-64 alone
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # instructions of classic BPF
_CALL, _MACHINE = 0, 4  # offsets into `struct seccomp_data`
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_SET_NO_NEW_PRIVILEGES = 38  # of prctl(2)
_SET_FILTER, _ALL_THREADS = 1, 1  # of seccomp(2): SECCOMP_SET_MODE_FILTER, its flag TSYNC


def confine(memory_bytes: int) -> bool:
    """Bound what this process may take and reach. Returns whether it has left the network."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    return leave_network()


def allow_seconds(seconds: float) -> None:
    """Set the limit of processor time to what has been used so far and `seconds` more."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 2, hard))


def leave_network() -> bool:
    """Let this process, all its threads, and what it starts open no socket any more; those it has
    still work.

    Returns whether the system does so: not on other machines than x86-64 and 64-bit ARM, nor with
    a kernel that has no filters.
    """
    known = _MACHINES.get(platform.machine())
    if known is None:
        return False
    mark, socket_call, seccomp_call = known
    program = _program(mark, [socket_call, _IO_URING_SETUP])
    code = ctypes.create_string_buffer(b"".join(program))
    whole = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    system = ctypes.CDLL(None, use_errno=True)
    system.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    if system.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        return False
    system.syscall.argtypes = [ctypes.c_long, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p]
    refused = system.syscall(seccomp_call, _SET_FILTER, _ALL_THREADS, ctypes.addressof(whole))
    return bool(refused == 0)


def _program(mark: int, refused: list[int]) -> list[bytes]:
    """The filter: these calls are refused, and all that are made by another machine's numbers."""
    checks = [(_AT_LEAST, _X32), *((_EQUAL, call) for call in refused)]
    refusal = len(checks) + 4  # where the refusal stands
    program = [
        _instruction(_LOAD, _MACHINE),
        _instruction(_EQUAL, mark, 0, refusal - 2),
        _instruction(_LOAD, _CALL),
    ]
    for test, call in checks:
        program.append(_instruction(test, call, refusal - len(program) - 1))
    return [*program, _instruction(_RETURN, _ALLOW), _instruction(_RETURN, _REFUSE)]


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """`struct sock_filter`; jumps count from the instruction behind."""
    return struct.pack("@HBBI", code, if_true, if_false, value)
