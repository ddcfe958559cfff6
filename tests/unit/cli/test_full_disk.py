"""What an operator reads where the disk is full or a file may not be written: one line."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services import cli
from shared.bus import Message, open_bus
from shared.cli import letters
from shared.cli.lines import of_machine
from shared.errors import SuiteError
from tests.support import require

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process. Returns its exit code and what it says to people."""

    def go(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["smallprint", *map(str, arguments)])
        code = cli.main()
        return code, capsys.readouterr().err

    return go


@pytest.fixture
def given_up(tmp_path: Path) -> str:
    """The id of a dead letter in the data folder `tmp_path`."""
    bus = open_bus(f"sqlite:///{tmp_path}/bus.db")
    consumer = bus.consumer("extraction")
    bus.publish(Message("default/doc_1", b"{}"))
    delivery = consumer.receive(5)
    assert delivery is not None
    consumer.dead(delivery, "an error")
    consumer.close()
    [letter] = bus.dead_letters()
    bus.close()
    return letter.id


def _listed(folder: Path) -> list[str]:
    bus = open_bus(f"sqlite:///{folder}/bus.db")
    try:
        return [letter.id for letter in bus.dead_letters()]
    finally:
        bus.close()


def test_a_note_that_finds_no_room_leaves_nothing_of_itself(
    given_up: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk takes the beginning of a line, and then nothing. The letter stays, the error is
    one line, and the next note stands on a line of its own.
    """
    journal = tmp_path / letters.JOURNAL
    journal.write_text('{"done": "dropped"}\n')
    real = os.write

    def full(handle: int, data: bytes) -> int:
        if os.fstat(handle).st_ino != journal.stat().st_ino:
            return real(handle, data)
        if len(data) < 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, data[:-50])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        code, said = run("dlq", "drop", given_up, "--reason", "x", "--data", tmp_path)
    assert code == 2
    assert said.count("\n") == 1
    assert f"{journal} can't be written (No space left on device)" in said
    assert journal.read_text() == '{"done": "dropped"}\n'
    assert _listed(tmp_path) == [given_up]
    assert run("dlq", "drop", given_up, "--reason", "x", "--data", tmp_path)[0] == 0
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line.get("id") for line in lines] == [None, given_up]
    assert _listed(tmp_path) == []


def test_a_journal_that_is_no_file_is_one_line_too(given_up: str, tmp_path: Path, run: Run) -> None:
    """Whatever the system says, without a fault of ours on the screen."""
    (tmp_path / letters.JOURNAL).mkdir()
    code, said = run("dlq", "replay", given_up, "--data", tmp_path)
    assert (code, said.count("\n")) == (2, 1)
    assert "Is a directory" in said
    assert "not replayed without a note" in said


def test_a_device_that_is_really_full(tmp_path: Path) -> None:
    """The system's own full device refuses the line, and what it says is told."""
    require(Path("/dev/full").exists(), "/dev/full")
    (tmp_path / letters.JOURNAL).symlink_to("/dev/full")
    bus = open_bus("memory:")
    consumer = bus.consumer("extraction")
    bus.publish(Message("default/doc_1", b"{}"))
    delivery = consumer.receive(5)
    assert delivery is not None
    consumer.dead(delivery, "an error")
    [letter] = bus.dead_letters()
    with pytest.raises(SuiteError, match="No space left on device"):
        letters.Desk(bus, tmp_path, "somebody").drop(letter, "x")
    assert bus.dead_letters() == [letter]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_what_the_machine_refuses_is_one_line_of_any_command(
    number: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the file, and the exit code of a command that did nothing."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/data/ingest.db")

    monkeypatch.setattr(cli.cli, "main", refused)
    code, said = run("status")
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith("smallprint: ")
    assert "/data/ingest.db" in said


def test_any_other_error_of_the_system_may_be_a_bug(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps its traceback."""

    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(cli.cli, "main", broken)
    with pytest.raises(OSError, match="Bad file descriptor"):
        run("status")
    assert of_machine(OSError("no number")) is None
