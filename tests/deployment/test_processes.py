"""The supervisor of `make run-kafka` restarts dead processes and leaves none behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.servers.supervisor import Program, Supervisor
from tests.support import ROOT

CHILD = """
import subprocess, sys, time, os
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1], "a") as file:
    print(os.getpid(), grandchild.pid, file=file, flush=True)
time.sleep(600)
"""
RUNNER = """
import sys, time
from infra.servers.supervisor import Program, Supervisor
supervisor = Supervisor(print)
supervisor.start(Program("one", [sys.executable, "-c", sys.argv[1], sys.argv[2]]))
supervisor.start(Program("two", [sys.executable, "-c", sys.argv[1], sys.argv[2]]))
while True:
    supervisor.look()
    time.sleep(0.05)
"""


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _pids(file: Path) -> list[int]:
    return [int(pid) for pid in file.read_text("utf-8").split()] if file.exists() else []


def _eventually(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return condition()


def _child_running(parent: int, words: str) -> int:
    """The living child of a process whose command has these words, or 0."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        pid = int(status.parent.name)
        try:
            if int(status.read_text("utf-8").rpartition(")")[2].split()[1]) != parent:
                continue
            command = (status.parent / "cmdline").read_text("utf-8")
        except FileNotFoundError:
            continue
        if words in command and _alive(pid):
            return pid
    return 0


def test_a_process_that_is_killed_comes_back_and_takes_its_children_along(tmp_path: Path) -> None:
    lines: list[str] = []
    supervisor = Supervisor(lines.append)
    file = tmp_path / "pids"
    supervisor.start(Program("child", [sys.executable, "-c", CHILD, str(file)]))
    try:
        assert _eventually(lambda: len(_pids(file)) == 2)
        first, grandchild = _pids(file)
        os.kill(first, signal.SIGKILL)

        def back() -> bool:
            supervisor.look()
            return len(_pids(file)) == 4

        assert _eventually(back)
        assert not _alive(first)
        assert not _alive(grandchild)
        assert [line.split()[1] for line in lines] == ["started", "was", "started"]
        assert "SIGKILL, starting again in 0.5 s" in lines[1]
    finally:
        supervisor.stop()
    assert not [pid for pid in _pids(file) if _alive(pid)]


def test_a_process_that_keeps_failing_is_tried_ever_more_rarely(tmp_path: Path) -> None:
    lines: list[str] = []
    supervisor = Supervisor(lines.append)
    log = tmp_path / "bad.log"
    supervisor.start(Program("bad", [sys.executable, "-c", "print('why'); exit(3)"], log=log))

    def failed_twice() -> bool:
        supervisor.look()
        return sum("exit code 3" in line for line in lines) == 2

    try:
        assert _eventually(failed_twice)
    finally:
        supervisor.stop()
    failures = [line for line in lines if "exit code 3" in line]
    assert failures[0].endswith(f"starting again in 0.5 s; see {log}")
    assert failures[1].endswith(f"starting again in 1 s; see {log}")
    assert log.read_text("utf-8") == "why\nwhy\n"


def test_killing_the_runner_leaves_no_orphans(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, CHILD, str(file)], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    assert _eventually(lambda: len(_pids(file)) == 4)
    assert all(_alive(pid) for pid in _pids(file))
    runner.kill()
    runner.wait()
    assert _eventually(lambda: not [pid for pid in _pids(file) if _alive(pid)])


def test_a_watchdog_that_dies_is_replaced_and_knows_all_processes(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, CHILD, str(file)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert _eventually(lambda: len(_pids(file)) == 4)
        dog = _child_running(runner.pid, "alive.discard")
        os.kill(dog, signal.SIGKILL)
        os.kill(_pids(file)[0], signal.SIGKILL)
        assert _eventually(lambda: len(_pids(file)) == 6)
        assert _eventually(lambda: _child_running(runner.pid, "alive.discard") not in (0, dog))
    finally:
        runner.kill()
        runner.wait()
    assert _eventually(lambda: not any(_alive(pid) for pid in _pids(file)))


CALM = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0) if sys.argv[2] == "calm" else None)
print("ready", file=open(sys.argv[1], "w"), flush=True)
while True:
    time.sleep(0.1)
"""


@pytest.mark.parametrize("mood", ["calm", "stubborn"])
def test_one_that_is_asked_to_end_is_waited_for_and_does_not_come_back(
    tmp_path: Path, mood: str
) -> None:
    lines: list[str] = []
    supervisor = Supervisor(lines.append)
    ready, file = tmp_path / "ready", tmp_path / "pids"
    asked = Program("asked", [sys.executable, "-c", CALM, str(ready), mood])
    supervisor.start(asked)
    supervisor.start(Program("other", [sys.executable, "-c", CHILD, str(file)]))
    try:
        assert _eventually(lambda: ready.exists() and len(_pids(file)) == 2)
        assert asked.process is not None
        pid = asked.process.pid
        os.kill(_pids(file)[0], signal.SIGKILL)
        by_itself = supervisor.end(asked, grace=10.0 if mood == "calm" else 1.5)
        assert by_itself == (mood == "calm")
        assert not _alive(pid)

        def back() -> bool:
            supervisor.look()
            return len(_pids(file)) == 4

        assert _eventually(back)
        assert [line.split()[0] for line in lines].count("asked") == 1
    finally:
        supervisor.stop()
