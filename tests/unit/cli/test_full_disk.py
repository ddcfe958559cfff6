"""A full disk or a forbidden file is one line on standard error."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from services import cli
from services.cli.deployment.stores import SERVICES
from services.cli.operations import dead_letters
from services.cli.output.lines import machine_error
from shared.messaging import Inbox
from shared.messaging.inbox import NewEntry
from tests.unit.cli import builders
from tests.unit.cli.builders import opened

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(run: builders.Run) -> Run:
    """Runs the command in this process. Returns its exit code and standard error."""
    return lambda *arguments: run(*arguments)[::2]


@pytest.fixture
def given_up(tmp_path: Path) -> str:
    """The id of a dead letter in the data folder `tmp_path`."""
    for name in SERVICES:
        with opened(tmp_path, name) as store:
            if name == "extraction":
                entry = NewEntry("e1", "main", "default/doc_1", "t.v1", b"{}", error="an error")
                Inbox(store).insert([entry])
    (found,) = _listed(tmp_path)
    return found


def _listed(folder: Path) -> list[str]:
    with opened(folder, "extraction") as store:
        return [letter.id for letter in Inbox(store).dead_letters()]


def test_a_note_that_finds_no_room_leaves_nothing_of_itself(
    given_up: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk takes the beginning of a line, and then nothing."""
    journal = tmp_path / dead_letters.LOG_FILE
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
        code, message = run("dead-letters", "drop", given_up, "--reason", "x", "--data", tmp_path)
    assert code == 2
    assert message.count("\n") == 1
    assert f"{journal} can't be written (No space left on device)" in message
    assert journal.read_text() == '{"done": "dropped"}\n'
    assert _listed(tmp_path) == [given_up]
    assert run("dead-letters", "drop", given_up, "--reason", "x", "--data", tmp_path)[0] == 0
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line.get("id") for line in lines] == [None, given_up]
    assert _listed(tmp_path) == []


def test_a_journal_that_is_no_file_is_one_line_too(given_up: str, tmp_path: Path, run: Run) -> None:
    (tmp_path / dead_letters.LOG_FILE).mkdir()
    code, message = run("dead-letters", "replay", given_up, "--data", tmp_path)
    assert (code, message.count("\n")) == (2, 1)
    assert "Is a directory" in message
    assert "nothing is replayed without a log entry" in message


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_what_the_machine_refuses_is_one_line_of_any_command(
    number: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/data/ingest.db")

    monkeypatch.setattr(cli.cli, "main", refused)
    code, message = run("status")
    assert (code, message.count("\n")) == (2, 1)
    assert message.startswith("smallprint: ")
    assert "/data/ingest.db" in message


def test_any_other_error_of_the_system_may_be_a_bug(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(cli.cli, "main", broken)
    with pytest.raises(OSError, match="Bad file descriptor"):
        run("status")
    assert machine_error(OSError("no number")) is None
