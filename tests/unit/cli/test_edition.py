"""How the commands of operators find the broker of the full edition: by its data folder."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services import cli
from services.cli import up
from shared import logs
from shared.bus import open_bus
from shared.bus.memory import MemoryBus
from shared.cli import edition
from shared.cli.edition import Edition, state
from shared.cli.lock import FolderLock, holder
from shared.errors import Unavailable
from shared.runtime import embedded

BUS, URL = "kafka://127.0.0.1:8411", "http://127.0.0.1:1"
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
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs of the buses that commands open; each is empty."""
    urls: list[str] = []

    def open_bus(url: str, **_: Any) -> MemoryBus:
        urls.append(url)
        return MemoryBus()

    monkeypatch.setattr(edition, "open_bus", open_bus)
    return urls


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    """The data folder of a suite with a broker, which this process has."""
    with FolderLock(tmp_path) as lock:
        state(tmp_path, Edition(BUS, URL, lock.token))
        yield tmp_path


def test_a_data_folder_says_where_its_broker_is(running: Path, run: Run, opened: list[str]) -> None:
    """Nobody has to know its port; and nobody else on the machine reads it."""
    assert run("dlq", "ls", "--data", running) == (0, "there are no dead letters\n")
    assert opened == [BUS]
    assert stat.S_IMODE((running / edition.NAME).stat().st_mode) == 0o600


def test_the_environment_finds_the_folder_too(
    running: Path, run: Run, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SMALLPRINT_DATA is as good as --data."""
    monkeypatch.setenv("SMALLPRINT_DATA", str(running))
    assert run("dlq", "ls")[0] == 0
    assert opened == [BUS]


def test_whoever_names_a_bus_means_that_one(
    running: Path, run: Run, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option before the environment, and both before the folder."""
    monkeypatch.setenv("SMALLPRINT_BUS_URL", "kafka://elsewhere:9092")
    assert run("dlq", "ls", "--data", running)[0] == 0
    assert run("dlq", "ls", "--data", running, "--bus", "kafka://there:9092")[0] == 0
    assert opened == ["kafka://elsewhere:9092", "kafka://there:9092"]


@pytest.mark.parametrize("command", [["dlq", "ls"], ["verify"], ["backup", "TO"]])
def test_a_suite_that_has_ended_is_not_asked(
    command: list[str], tmp_path: Path, run: Run, opened: list[str]
) -> None:
    """Another may listen on its port by now: the error names what it was, and the option."""
    with FolderLock(tmp_path) as lock:
        state(tmp_path, Edition(BUS, URL, lock.token))
    assert holder(tmp_path) is None
    where = [str(tmp_path / "to") if one == "TO" else one for one in command]
    code, said = run(*where, "--data", tmp_path)
    assert code == 2
    assert "does not run" in said
    assert BUS in said
    assert "--bus" in said
    assert opened == []
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("command", [["dlq", "ls"], ["verify"], ["backup", "TO"], ["status"]])
@pytest.mark.parametrize(
    ("name", "url", "start"),
    [
        ("data-kafka", "http://127.0.0.1:8400", "make run-kafka DATA={}/data;"),
        ("data-kafka", "http://127.0.0.1:8500", "make run-kafka DATA={}/data PORT=8500;"),
        ("place", "http://127.0.0.1:8400", "python -m infra.run_kafka --data {}/place;"),
        ("a b-kafka", URL, "python -m infra.run_kafka --data '{}/a b-kafka' --port 1;"),
    ],
)
def test_who_asks_a_suite_that_has_ended_is_told_how_to_start_it(
    command: list[str], name: str, url: str, start: str, tmp_path: Path, run: Run
) -> None:
    """As it can be typed, with the folder and the port that it had."""
    data = tmp_path / name
    with FolderLock(data) as lock:
        state(data, Edition(BUS, url, lock.token))
    key = ["--key", "sp_none"] if command == ["status"] else []
    where = [str(tmp_path / "to") if one == "TO" else one for one in command]
    code, said = run(*where, *key, "--data", data)
    assert (code, start.format(tmp_path) in said) == (2, True), said


def test_a_folder_that_another_process_has_is_no_running_suite(
    tmp_path: Path, run: Run, opened: list[str]
) -> None:
    """Nor is one of the same number, as after a restart of the machine; the error says who it is,
    and does not say that nobody works there."""
    with FolderLock(tmp_path) as lock:
        state(tmp_path, Edition(BUS, URL, lock.token))
    with FolderLock(tmp_path):
        code, said = run("dlq", "ls", "--data", tmp_path)
    assert code == 2
    assert f"process {os.getpid()} works on" in said
    assert "does not run" not in said
    assert opened == []


def test_the_embedded_edition_takes_the_folder_over(
    tmp_path: Path, run: Run, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its start on the commands mean its bus, also once it has ended."""
    with FolderLock(tmp_path) as lock:
        state(tmp_path, Edition(BUS, URL, lock.token))
    asked: list[int] = []

    def serve(*_: object) -> None:
        open_bus(f"sqlite:///{tmp_path / 'bus.db'}").close()
        asked.append(run("dlq", "ls", "--data", tmp_path)[0])

    monkeypatch.setattr(embedded, "serve", serve)
    monkeypatch.setattr(up, "build_services", lambda _: [])
    monkeypatch.setattr(logs, "configure_logs", lambda *_: None)
    assert run("up", "--data", tmp_path)[0] == 0
    assert run("dlq", "ls", "--data", tmp_path)[0] == 0
    assert asked == [0]
    assert {url.partition(":")[0] for url in opened} == {"sqlite"}


def test_a_broker_that_does_not_answer_is_named_with_the_option(
    running: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it has just been killed, and comes again."""

    def away(url: str, **_: Any) -> MemoryBus:
        raise Unavailable(f"The Kafka broker at {url} fails: nobody is there")

    monkeypatch.setattr(edition, "open_bus", away)
    code, said = run("verify", "--data", running)
    assert code == 2
    assert BUS in said
    assert "--bus" in said


def test_what_cannot_be_read_is_said(running: Path, run: Run, opened: list[str]) -> None:
    """It is no reason to look at another bus."""
    for damaged in ("{", "[]", json.dumps({"bus": BUS})):
        (running / edition.NAME).write_text(damaged)
        code, said = run("dlq", "ls", "--data", running)
        assert (code, edition.NAME in said, "--bus" in said) == (2, True, True)
    assert opened == []


def _of_another_user(path: Path, patch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        patch.setattr(os, "geteuid", lambda: os.getuid() + 1)


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_what_others_may_write_is_not_believed(
    mode: int, running: Path, run: Run, opened: list[str]
) -> None:
    """They could have the key sent to themselves."""
    (running / edition.NAME).chmod(mode)
    code, said = run("status", "--key", "sp_none", "--data", running)
    assert (code, "can be written by other users" in said, "--url" in said) == (2, True, True)
    assert run("dlq", "ls", "--data", running)[0] == 2
    assert opened == []


def test_what_another_user_wrote_is_not_believed(
    running: Path, run: Run, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stands in a folder of theirs has sent them no key."""
    _of_another_user(running / edition.NAME, monkeypatch)
    code, said = run("status", "--key", "sp_none", "--data", running)
    assert (code, "belongs to another user" in said, "--url" in said) == (2, True, True)
    assert run("dlq", "ls", "--data", running)[0] == 2
    assert opened == []


def test_a_pipe_is_not_waited_for(running: Path, run: Run) -> None:
    """In the place of the file."""
    path = running / edition.NAME
    path.unlink()
    os.mkfifo(path, 0o600)
    code, said = run("status", "--key", "sp_none", "--data", running)
    assert (code, "is no file" in said, "--url" in said) == (2, True, True)


def test_a_link_to_what_a_suite_wrote_is_not_followed(running: Path, run: Run) -> None:
    """The file is one of the folder itself."""
    path = running / edition.NAME
    path.rename(running / "elsewhere.json")
    path.symlink_to(running / "elsewhere.json")
    code, said = run("status", "--key", "sp_none", "--data", running)
    assert (code, edition.NAME in said, "--url" in said) == (2, True, True)


@pytest.mark.parametrize(
    ("bus", "url"),
    [
        (BUS, "http://suite.example:1"),
        (BUS, "http://127.0.0.1:1@suite.example:1"),
        (BUS, "http://127.0.0.1.suite.example:1"),
        (BUS, "http://10.0.0.1:1"),
        ("kafka://broker.example:9092", URL),
        ("kafka://127.0.0.1:1,broker.example:9092", URL),
        ("sqlite:////elsewhere/bus.db", URL),
    ],
)
def test_nobody_is_led_to_another_machine(
    bus: str, url: str, tmp_path: Path, run: Run, opened: list[str]
) -> None:
    """A suite whose processes are found by its folder runs on this one."""
    with FolderLock(tmp_path) as lock:
        state(tmp_path, Edition(bus, url, lock.token))
        code, said = run("status", "--key", "sp_none", "--data", tmp_path)
        assert run("dlq", "ls", "--data", tmp_path)[0] == 2
    assert (code, "leads to another machine" in said) == (2, True)
    assert opened == []


def test_a_bus_may_have_options(tmp_path: Path, run: Run, opened: list[str]) -> None:
    """As that of `make chaos` has."""
    with FolderLock(tmp_path) as lock:
        state(tmp_path, Edition(f"{BUS}?partitions=6&timeout=10", URL, lock.token))
        assert run("dlq", "ls", "--data", tmp_path)[0] == 0
    assert opened == [f"{BUS}?partitions=6&timeout=10"]


def test_status_asks_the_suite_of_the_folder(running: Path, run: Run) -> None:
    """At its own address, unless another is named."""
    status = ("status", "--key", "sp_none", "--data", running)
    code, said = run(*status)
    assert code == 2
    assert f"no suite answers at {URL}:" in said
    assert "http://127.0.0.1:2:" in run(*status, "--url", "http://127.0.0.1:2")[1]
