"""How the commands that ask a suite with a key find it: by its data folder, or by its address."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from services.cli.commands import up
from services.cli.deployment import address, deployment_file, owner_key
from services.cli.deployment.address import Served
from services.cli.deployment.deployment_file import Deployment
from services.cli.deployment.lock import FolderLock
from services.cli.deployment.owner_key import read_owner_key
from services.cli.options import URL
from services.cli.output.lines import program
from services.ingest.keys import KeyRing
from services.ingest.store import MIGRATIONS
from shared import logs
from shared.runtime import embedded
from shared.storage import Store
from shared.web.auth import Actor
from tests.unit.cli import builders
from tests.unit.cli.builders import put_suite, refusal

HERE, OTHER = "http://127.0.0.1:8765", "http://127.0.0.1:8799"
COMMANDS = [["search", "x"], ["reports"], ["costs"], ["status"], ["upload", "FILE"]]
WITH_KEY = [command for command in COMMANDS if command != ["status"]]
Run = Callable[..., tuple[int, str]]
each_command = pytest.mark.parametrize("command", COMMANDS)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that the key is sent to, each of which refuses it."""
    addresses: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer sp_key"
        addresses.append(f"{request.url.scheme}://{request.url.netloc.decode()}")
        return refusal(401, "not_signed_in", "the key is unknown")

    put_suite(monkeypatch, refuse)
    return addresses


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, run: builders.Run, tmp_path: Path) -> Run:
    """Runs the command in this process, in an empty folder. Returns its exit code and all that it
    says.
    """
    (tmp_path / "a.txt").write_text("An agreement.")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here" / "Makefile").touch()
    monkeypatch.setattr("shared.settings.ROOT", tmp_path / "here")

    def go(*arguments: object) -> tuple[int, str]:
        code, out, err = run(*(tmp_path / "a.txt" if one == "FILE" else one for one in arguments))
        return code, out + err

    return go


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "my papers"


@pytest.fixture
def served(data: Path) -> Iterator[Path]:
    """The data folder of an embedded edition, which this process is."""
    with FolderLock(data) as lock:
        address.write_address(data, Served(HERE, lock.token))
        yield data


def ended(data: Path) -> None:
    """An embedded edition has worked on a folder."""
    with FolderLock(data) as lock:
        address.write_address(data, Served(HERE, lock.token))


@each_command
def test_a_data_folder_says_where_its_suite_is(
    command: list[str], served: Path, tmp_path: Path, run: Run, asked: list[str]
) -> None:
    assert run(*command, "--data", served)[0] == 2
    assert set(asked) == {HERE}
    assert stat.S_IMODE((served / address.NAME).stat().st_mode) == 0o600
    with FolderLock(tmp_path / "full") as lock:
        full = Deployment("kafka://127.0.0.1:8411", OTHER, lock.token)
        deployment_file.write_deployment(tmp_path / "full", full)
        asked.clear()
        assert run(*command, "--data", tmp_path / "full")[0] == 2
    assert set(asked) == {OTHER}


@each_command
def test_options_come_before_settings_and_an_address_before_a_folder(
    command: list[str], served: Path, run: Run, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def asks(*options: object) -> set[str]:
        asked.clear()
        run(*command, *options)
        return set(asked)

    assert asks("--data", served, "--url", OTHER) == {OTHER}
    assert asks() == {URL}
    monkeypatch.setenv("SMALLPRINT_DATA", str(served))
    assert asks() == {HERE}
    monkeypatch.setenv("SMALLPRINT_URL", "http://origin:8400/")
    assert asks() == {"http://origin:8400"}
    assert asks("--data", served) == {HERE}
    assert asks("--url", OTHER) == {OTHER}


@each_command
def test_no_key_is_sent_to_another_program_on_the_usual_port(
    command: list[str], data: Path, run: Run, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALLPRINT_DATA", str(data))
    code, output = run(*command)
    assert (code, asked) == (2, [])
    assert f"no suite seems to run on {data}: name its folder with --data" in output
    assert f"--url (for containers usually {URL}, inside them http://origin:8400)" in output
    with FolderLock(data):
        code, output = run(*command)
    assert (code, asked) == (2, [])
    assert f"process {os.getpid()} uses {data}, but has not written its address" in output
    ended(data)
    with FolderLock(data):
        assert "has not written its address" in run(*command)[1]
    for options in ((), ("--data", data)):
        code, output = run(*command, *options)
        assert (code, asked) == (2, [])
        assert (
            f"no suite is running on {data}: start it ({program()} serve --data '{data}')" in output
        )


@pytest.mark.parametrize("command", WITH_KEY)
def test_without_a_key_the_message_says_how_to_make_one(
    command: list[str], served: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMALLPRINT_KEY", raising=False)
    code, output = run(*command, "--data", served)
    assert (code, f"smallprint keys new NAME --data '{served}'" in output) == (2, True)
    folder = Path("var/data").resolve()
    assert (
        f"no suite is running on {folder}: start it ({program()} serve --data {folder})"
        in (run(*command)[1])
    )
    assert (
        "run on the machine of the suite at http://a.example: smallprint keys new NAME\n"
        in run(*command, "--url", "http://a.example")[1]
    )


@pytest.mark.parametrize("command", WITH_KEY)
def test_the_key_in_a_folder_is_used_for_the_suite_of_that_folder_only(
    command: list[str], served: Path, run: Run, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMALLPRINT_KEY", raising=False)
    deployment_file.write_private(served / owner_key.NAME, "sp_key")
    assert run(*command, "--data", served)[0] == 2
    assert set(asked) == {HERE}
    asked.clear()
    monkeypatch.setenv("SMALLPRINT_DATA", str(served))
    assert "a key is needed" in run(*command, "--url", OTHER)[1]
    assert asked == []
    (served / owner_key.NAME).chmod(0o602)
    assert "owner.key can be written by other users: remove it" in run(*command)[1]
    assert asked == []


def test_what_others_may_write_is_not_believed(
    served: Path, run: Run, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (served / address.NAME).chmod(0o602)
    code, output = run("reports", "--data", served)
    assert (code, asked, "can be written by other users" in output) == (2, [], True)
    monkeypatch.setenv("SMALLPRINT_DATA", str(served))
    assert run("reports") == (code, output)
    monkeypatch.delenv("SMALLPRINT_DATA")
    Path("var").mkdir()
    Path("var/data").symlink_to(served)
    run("reports")
    assert asked == [URL]


@pytest.mark.parametrize(
    "url", ["http://suite.example:1", "http://127.0.0.1:1@suite.example:1", "http://10.0.0.1:1"]
)
def test_an_address_on_another_machine_is_refused(
    url: str, served: Path, run: Run, asked: list[str]
) -> None:
    before = (served / address.NAME).read_text()
    address.write_address(served, Served(url, "0" * 32))
    assert (served / address.NAME).read_text() == before
    (served / address.NAME).write_text(before.replace(HERE, url))
    code, output = run("reports", "--data", served)
    assert (code, asked, "leads to another machine" in output) == (2, [], True)


@pytest.mark.parametrize(
    ("host", "url"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")]
)
def test_the_embedded_edition_says_where_it_is_while_it_serves(
    host: str, url: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses: list[str] = []

    def serve(_services: object, _host: str, _port: int, started: Any, *_: object) -> None:
        started(8765)
        addresses.append(address.address(tmp_path))

    store = Store(f"sqlite:///{tmp_path / 'ingest.db'}", "ingest", MIGRATIONS)
    store.migrate()
    keys = KeyRing(store)
    service = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(keys=keys)))
    monkeypatch.setattr(embedded, "serve", serve)
    monkeypatch.setattr(embedded, "migrate_all", lambda _: None)
    monkeypatch.setattr(up, "build_services", lambda _: [service])
    monkeypatch.setattr(logs, "configure_logs", lambda *_: None)
    monkeypatch.setenv("SMALLPRINT_HOST", host)
    code, output = run("up", "--data", tmp_path)
    assert code == 0, output
    assert addresses == [f"http://{url}:8765"]
    assert f"is ready at http://{url}:8765 " in output
    assert "sp_" not in output  # it may be the log of a container
    assert f"smallprint keys link --data {tmp_path}" in output
    key = read_owner_key(tmp_path)
    assert key is not None
    assert (tmp_path / owner_key.NAME).stat().st_mode & 0o777 == 0o600
    assert keys.check(key) == Actor("default", "owner", key_id=key.split("_")[1])
    store.close()
    assert not (tmp_path / address.NAME).exists()


@pytest.mark.parametrize(
    "command",
    [
        *("status", "verify", "backup to", "migrate", "keys list", "dead-letters list"),
        *("costs --all-tenants", "calibrate try", "dismissed"),
    ],
)
def test_a_folder_without_a_suite_is_named(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.delenv("SMALLPRINT_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    code, output = run(*command.split(), "--data", "none")
    assert (code, (tmp_path / "none").exists()) == (2, False)
    assert f"{tmp_path / 'none'} is not the data folder of a suite: it has no " in output
    assert "--data" in output


def test_status_needs_no_key_for_a_data_folder(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMALLPRINT_KEY", raising=False)
    for options, reason in (
        (("--url", "http://a.example"), "run on the machine of the suite at http://a.example"),
        (("--key", "sp_key", "--tenant", "acme"), "use --tenant without a key"),
    ):
        code, output = run("status", *options)
        usage = reason == "use --tenant without a key"
        assert (code, reason in output) == (64 if usage else 2, True), output
