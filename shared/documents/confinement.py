"""Confine the process that reads documents: resource limits, and no new network connections.

`setrlimit` bounds memory, CPU time, open files and written files. A seccomp filter
(linux/seccomp.h) refuses to open sockets, so code in a hostile document reaches no network. Neither
needs privileges. Both also apply to child processes.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import resource
import struct

OPEN_FILES = 64

_MACHINES = {"x86_64": (0xC000003E, 41, 317), "aarch64": (0xC00000B7, 198, 277)}
"""Machine name -> its AUDIT_ARCH value, and its numbers of the calls `socket` and `seccomp`."""
_IO_URING_SETUP = 425  # on every machine; it opens sockets too
_X32 = 0x40000000  # first call of the x32 table, on x86-64 only
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # instructions of classic BPF
_CALL, _MACHINE = 0, 4  # offsets into `struct seccomp_data`
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_SET_NO_NEW_PRIVILEGES = 38  # of prctl(2)
_SET_FILTER, _ALL_THREADS = 1, 1  # of seccomp(2): SECCOMP_SET_MODE_FILTER, its flag TSYNC


def confine(memory_bytes: int) -> bool:
    """Apply all limits to this process. Returns whether the network filter is active."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    return leave_network()


def allow_seconds(seconds: float) -> None:
    """Allow `seconds` more CPU time from now on."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 2, hard))


def leave_network() -> bool:
    """Refuse new sockets in this process, its threads and its children; open ones still work.

    Returns False on machines other than x86-64 and 64-bit ARM, and on kernels without filters.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    mark, socket_call, seccomp_call = machine
    program = _program(mark, [socket_call, _IO_URING_SETUP])
    code = ctypes.create_string_buffer(b"".join(program))
    filter_program = ctypes.create_string_buffer(
        struct.pack("@HP", len(program), ctypes.addressof(code))
    )
    system = ctypes.CDLL(None, use_errno=True)
    system.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    if system.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        return False
    system.syscall.argtypes = [ctypes.c_long, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p]
    refused = system.syscall(
        seccomp_call, _SET_FILTER, _ALL_THREADS, ctypes.addressof(filter_program)
    )
    return bool(refused == 0)


def _program(mark: int, refused: list[int]) -> list[bytes]:
    """Build the filter: it refuses these calls, and all calls of another architecture."""
    checks = [(_AT_LEAST, _X32), *((_EQUAL, call) for call in refused)]
    refusal = len(checks) + 4  # index of the refusal
    program = [
        _instruction(_LOAD, _MACHINE),
        _instruction(_EQUAL, mark, 0, refusal - 2),
        _instruction(_LOAD, _CALL),
    ]
    for test, call in checks:
        program.append(_instruction(test, call, refusal - len(program) - 1))
    return [*program, _instruction(_RETURN, _ALLOW), _instruction(_RETURN, _REFUSE)]


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """Return a `struct sock_filter`. Jumps count from the next instruction."""
    return struct.pack("@HBBI", code, if_true, if_false, value)
