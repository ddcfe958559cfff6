"""How the commands of operators find the broker of the full edition: by its data folder."""

from __future__ import annotations

import json
import os
import shlex
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.cli.commands import up
from services.cli.deployment import deployment_file
from services.cli.deployment.deployment_file import Deployment, write_deployment
from services.cli.deployment.lock import FolderLock
from services.cli.deployment.stores import SERVICES
from shared import logs
from shared.bus import open_bus
from shared.bus.memory import MemoryBus
from shared.errors import SuiteError, Unavailable
from shared.runtime import embedded
from tests.unit.cli import builders

BUS, URL = "kafka://127.0.0.1:8411", "http://127.0.0.1:1"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(run: builders.Run) -> Run:
    """Runs the command in this process. Returns its exit code and standard error."""
    return lambda *arguments: run(*arguments)[::2]


def ask(data: Path | None = None, bus: str | None = None) -> str:
    """Open the bus of a folder. Returns the error, or nothing."""
    try:
        with deployment_file.deployment_bus(data, bus):
            return ""
    except SuiteError as error:
        return error.message


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs of the buses that commands open; each is empty."""
    urls: list[str] = []

    def open_bus(url: str, **_: Any) -> MemoryBus:
        urls.append(url)
        return MemoryBus()

    monkeypatch.setattr(deployment_file, "open_bus", open_bus)
    return urls


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    """The data folder of a suite with a broker, which this process has."""
    with FolderLock(tmp_path) as lock:
        write_deployment(tmp_path, Deployment(BUS, URL, lock.token))
        yield tmp_path


@pytest.fixture
def ended(tmp_path: Path) -> Path:
    """The data folder of such a suite that has ended."""
    data = tmp_path / "a b"
    with FolderLock(data) as lock:
        write_deployment(data, Deployment(BUS, URL, lock.token))
    return data


def test_a_data_folder_says_where_its_broker_is_unless_a_bus_is_named(
    running: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(running) == ""
    assert stat.S_IMODE((running / deployment_file.NAME).stat().st_mode) == 0o600
    monkeypatch.setenv("SMALLPRINT_DATA", str(running))
    assert ask() == ""
    monkeypatch.setenv("SMALLPRINT_BUS_URL", "kafka://elsewhere:9092")
    assert ask(running) == ""
    assert ask(running, "kafka://there:9092") == ""
    assert opened == [BUS, BUS, "kafka://elsewhere:9092", "kafka://there:9092"]


@pytest.mark.parametrize(
    ("command", "option"),
    [(["verify"], "--bus"), (["backup", "TO"], "--bus"), (["status", "--key", "k"], "--url")],
)
def test_a_suite_that_has_ended_is_not_asked_and_the_message_says_how_to_start_it(
    command: list[str], option: str, ended: Path, run: Run, opened: list[str]
) -> None:
    target = ended.with_name("to")
    code, message = run(*(target if one == "TO" else one for one in command), "--data", ended)
    assert (code, opened) == (2, [])
    for part in ("is not running", BUS, option):
        assert part in message
    assert f"infra.run_kafka --data {shlex.quote(str(ended))} --port 1)" in message
    assert not target.exists()


def test_a_folder_that_another_process_has_is_no_running_suite(
    ended: Path, opened: list[str]
) -> None:
    """A process id may be reused after a restart of the machine."""
    with FolderLock(ended):
        message = ask(ended)
    assert f"process {os.getpid()} uses" in message
    assert "is not running" not in message
    assert opened == []


def test_the_embedded_edition_takes_the_folder_over(
    ended: Path, run: Run, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def serve(*_: object) -> None:
        open_bus(f"sqlite:///{ended / 'bus.db'}").close()
        asked.append(ask(ended))

    monkeypatch.setattr(embedded, "serve", serve)
    monkeypatch.setattr(up, "build_services", lambda _: [])
    monkeypatch.setattr(logs, "configure_logs", lambda *_: None)
    assert run("up", "--data", ended)[0] == 0
    assert [*asked, ask(ended)] == ["", ""]
    assert {url.partition(":")[0] for url in opened} == {"sqlite"}


def test_a_broker_that_does_not_answer_is_named_with_the_option(
    running: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(url: str, **_: Any) -> MemoryBus:
        raise Unavailable(f"The Kafka broker at {url} failed: nobody is there")

    monkeypatch.setattr(deployment_file, "open_bus", away)
    for service in SERVICES:
        (running / f"{service}.db").touch()
    code, message = run("verify", "--data", running)
    assert (code, BUS in message, "--bus" in message) == (2, True, True)


def _of_another_user(path: Path, patch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        patch.setattr(os, "geteuid", lambda: os.getuid() + 1)


def _pipe(path: Path, _patch: pytest.MonkeyPatch) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _link(path: Path, _patch: pytest.MonkeyPatch) -> None:
    path.rename(path.with_name("elsewhere.json"))
    path.symlink_to(path.with_name("elsewhere.json"))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        *((lambda path, _, text=text: path.write_text(text), "can't be read") for text in "{[1"),
        (lambda path, _: path.write_text(json.dumps({"bus": BUS})), "can't be read"),
        (lambda path, _: path.chmod(0o620), "can be written by other users"),
        (lambda path, _: path.chmod(0o602), "can be written by other users"),
        (_of_another_user, "belongs to another user"),
        (_pipe, "is not a file"),
        (_link, "can't be read"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_named(
    damage: Callable[[Path, pytest.MonkeyPatch], object],
    reason: str,
    running: Path,
    run: Run,
    opened: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = running / deployment_file.NAME
    damage(path, monkeypatch)
    code, message = run("status", "--key", "sp_none", "--data", running)
    assert (code, str(path) in message, reason in message, "--url" in message) == (
        2,
        True,
        True,
        True,
    )
    message = ask(running)
    assert (reason in message, "--bus" in message, opened) == (True, True, [])


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
def test_an_address_on_another_machine_is_refused(
    bus: str, url: str, tmp_path: Path, run: Run, opened: list[str]
) -> None:
    with FolderLock(tmp_path) as lock:
        write_deployment(tmp_path, Deployment(bus, url, lock.token))
        code, message = run("status", "--key", "sp_none", "--data", tmp_path)
        assert ask(tmp_path)
    assert (code, "leads to another machine" in message, opened) == (2, True, [])


def test_a_bus_may_have_options(tmp_path: Path, opened: list[str]) -> None:
    bus = f"{BUS}?partitions=6&timeout=10"
    with FolderLock(tmp_path) as lock:
        write_deployment(tmp_path, Deployment(bus, URL, lock.token))
        assert ask(tmp_path) == ""
    assert opened == [bus]


def test_status_asks_the_suite_of_the_folder(running: Path, run: Run) -> None:
    status = ("status", "--key", "sp_none", "--data", running)
    code, message = run(*status)
    assert (code, f"no suite answers at {URL}:" in message) == (2, True)
    assert "http://127.0.0.1:2:" in run(*status, "--url", "http://127.0.0.1:2")[1]


@pytest.mark.parametrize(
    ("environment", "limit"),
    [
        ({}, 0),
        ({"HOST": "::1"}, 0),
        ({"HOST": "0.0.0.0"}, 600),
        ({"HOST": "papers.example"}, 600),
        ({"HOST": "0.0.0.0", "RATE_REQUESTS": "0"}, 0),
        ({"RATE_REQUESTS": "7"}, 7),
    ],
)
def test_keys_are_limited_if_others_can_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], limit: int
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"SMALLPRINT_{name}", value)
    services = up.build_services(tmp_path)
    assert {service.app.state.limit.limit for service in services} == {limit}
    for service in services:
        service.close()
