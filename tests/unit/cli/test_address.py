"""How the commands that ask a suite with a key find it: by its data folder, or by its address."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import smallprint

from services import cli
from services.cli import up
from shared import logs
from shared.cli import address, edition
from shared.cli.address import Served
from shared.cli.edition import Edition
from shared.cli.lock import FolderLock
from shared.cli.options import URL
from shared.runtime import embedded
from shared.web.app import problem

HERE = "http://127.0.0.1:8765"
COMMANDS = [["search", "x"], ["reports"], ["costs"], ["status"], ["upload", "FILE"]]
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that the key is sent to, each of which refuses it."""
    addresses: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer sp_key"
        addresses.append(f"{request.url.scheme}://{request.url.netloc.decode()}")
        refusal = problem(401, "not_signed_in", "the key is unknown")
        return httpx.Response(401, content=bytes(refusal.body), headers=dict(refusal.headers))

    client = partial(smallprint.Client, transport=httpx.MockTransport(refuse))
    monkeypatch.setattr(smallprint, "Client", client)
    monkeypatch.setenv("SMALLPRINT_KEY", "sp_key")
    return addresses


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs the command in this process, in an empty folder. Returns its exit code and all that it
    says.
    """
    (tmp_path / "a.txt").write_text("An agreement.")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def go(*arguments: object) -> tuple[int, str]:
        words = [str(tmp_path / "a.txt") if one == "FILE" else str(one) for one in arguments]
        monkeypatch.setattr(sys, "argv", ["smallprint", *words])
        code = cli.main()
        said = capsys.readouterr()
        return code, said.out + said.err

    return go


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """The data folder of an embedded edition, which this process is."""
    with FolderLock(tmp_path / "data") as lock:
        address.state(tmp_path / "data", Served(HERE, lock.token))
        yield tmp_path / "data"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_data_folder_says_where_its_embedded_edition_is(
    command: list[str], served: Path, run: Run, asked: list[str]
) -> None:
    """On whatever port; and nobody else on the machine reads it."""
    assert run(*command, "--data", served)[0] == 2
    assert set(asked) == {HERE}
    assert stat.S_IMODE((served / address.NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize("command", COMMANDS)
def test_a_data_folder_says_where_its_full_edition_is(
    command: list[str], tmp_path: Path, run: Run, asked: list[str]
) -> None:
    """As it does for its bus."""
    with FolderLock(tmp_path) as lock:
        edition.state(tmp_path, Edition("kafka://127.0.0.1:8411", HERE, lock.token))
        assert run(*command, "--data", tmp_path)[0] == 2
    assert set(asked) == {HERE}


@pytest.mark.parametrize("command", COMMANDS)
def test_whoever_names_an_address_means_that_one(
    command: list[str], served: Path, run: Run, asked: list[str]
) -> None:
    """Whatever a folder says."""
    run(*command, "--data", served, "--url", "http://127.0.0.1:8799")
    assert set(asked) == {"http://127.0.0.1:8799"}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_address_of_the_settings_counts_before_their_folder(
    command: list[str], served: Path, run: Run, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in containers, whose folder says nothing; not before what is named for one command."""
    monkeypatch.setenv("SMALLPRINT_URL", "http://origin:8400/")
    monkeypatch.setenv("SMALLPRINT_DATA", str(served))
    run(*command)
    assert set(asked) == {"http://origin:8400"}
    asked.clear()
    run(*command, "--data", served)
    assert set(asked) == {HERE}
    asked.clear()
    run(*command, "--url", "http://127.0.0.1:8799")
    assert set(asked) == {"http://127.0.0.1:8799"}


def test_the_folder_of_the_settings_says_it_too(
    served: Path, run: Run, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever started it with SMALLPRINT_DATA need not name it again."""
    monkeypatch.setenv("SMALLPRINT_DATA", str(served))
    run("reports")
    assert asked == [HERE]


def test_without_a_word_of_a_folder_it_is_the_usual_address(run: Run, asked: list[str]) -> None:
    """As for containers, whose data no folder here has."""
    run("reports")
    assert asked == [URL]


def test_a_suite_that_has_ended_is_not_asked(
    tmp_path: Path, run: Run, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever names its folder is told how to start it; another may listen there by now."""
    data = tmp_path / "my papers"
    with FolderLock(data) as lock:
        address.state(data, Served(HERE, lock.token))
    code, said = run("reports", "--data", data)
    assert (code, asked) == (2, [])
    assert f"smallprint up --data '{data}'" in said
    assert "--url" in said
    monkeypatch.setenv("SMALLPRINT_DATA", str(data))
    assert run("reports") == (code, said)
    assert asked == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_the_settings_name_is_named(
    command: list[str],
    tmp_path: Path,
    run: Run,
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No key and no document go to whoever listens at the usual address, and it is said what to
    do: where none has worked, where it is stopped, and where that can't be seen.
    """
    data = tmp_path / "data"
    monkeypatch.setenv("SMALLPRINT_DATA", str(data))
    code, said = run(*command)
    assert (code, asked) == (2, [])
    assert f"nothing in {data} says that a suite runs there: name its folder with --data" in said
    assert f"--url (of containers usually {URL}, and inside of them http://origin:8400)" in said
    with FolderLock(data):
        code, said = run(*command)
    assert (code, asked) == (2, [])
    assert f"works on {data}, and does not say where it answers" in said
    code, said = run(*command)
    assert (code, asked) == (2, [])
    assert f"no suite runs on {data}: start it (smallprint up --data {data})" in said
    monkeypatch.setattr(os, "access", lambda _path, how: how == os.F_OK)
    code, said = run(*command)
    assert (code, asked) == (2, [])
    assert f"{data / 'lock'} can't be read: name its address with --url" in said


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != ["status"]])
def test_all_that_is_lacking_is_said_at_once(
    command: list[str], tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has neither a key nor a suite that runs is not told of one after the other."""
    monkeypatch.delenv("SMALLPRINT_KEY", raising=False)
    data = tmp_path / "data"
    with FolderLock(data) as lock:
        address.state(data, Served(HERE, lock.token))
        assert "no suite runs" not in run(*command, "--data", data)[1]
    lacking = (
        f"no suite runs on {data}: start it (smallprint up --data {data}), or name another with "
        "--url. Besides, a key is needed"
    )
    code, said = run(*command, "--data", data)
    assert (code, lacking in said, f"keys new NAME --data {data}\n" in said) == (2, True, True)
    monkeypatch.setenv("SMALLPRINT_DATA", str(data))
    assert lacking in run(*command)[1]
    monkeypatch.setenv("SMALLPRINT_DATA", str(tmp_path / "none"))
    said = run(*command)[1]
    assert "says that a suite runs there" in said
    assert ". Besides, a key is needed" in said
    monkeypatch.delenv("SMALLPRINT_DATA")  # perhaps it runs in containers
    assert "says that a suite runs" not in run(*command)[1]


def test_so_is_where_the_full_edition_is_stopped(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that starts that one."""
    monkeypatch.delenv("SMALLPRINT_KEY", raising=False)
    with FolderLock(tmp_path) as lock:
        edition.state(tmp_path, Edition("kafka://127.0.0.1:8411", HERE, lock.token))
    code, said = run("costs", "--data", tmp_path)
    assert code == 2
    assert f"the suite of {tmp_path} does not run" in said
    assert "infra.run_kafka" in said
    assert ". Besides, a key is needed, which says whose documents you may see: " in said


def test_another_holder_of_the_folder_is_not_asked(
    tmp_path: Path, run: Run, asked: list[str]
) -> None:
    """What was said before does not hold for it."""
    with FolderLock(tmp_path) as lock:
        address.state(tmp_path, Served(HERE, lock.token))
    with FolderLock(tmp_path):
        code, said = run("reports", "--data", tmp_path)
    assert (code, asked) == (2, [])
    assert f"process {os.getpid()} works on" in said


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_what_others_may_write_is_not_believed(
    mode: int, served: Path, run: Run, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They could have the key sent to themselves; the usual folder, unnamed, counts for nothing."""
    (served / address.NAME).chmod(mode)
    code, said = run("reports", "--data", served)
    assert (code, asked, "can be written by other users" in said) == (2, [], True)
    monkeypatch.setenv("SMALLPRINT_DATA", str(served))
    assert run("reports") == (code, said)
    assert asked == []
    monkeypatch.delenv("SMALLPRINT_DATA")
    Path("var").mkdir()
    Path("var/data").symlink_to(served)
    run("reports")
    assert asked == [URL]


@pytest.mark.parametrize(
    "url", ["http://suite.example:1", "http://127.0.0.1:1@suite.example:1", "http://10.0.0.1:1"]
)
def test_nobody_is_led_to_another_machine(
    url: str, served: Path, run: Run, asked: list[str]
) -> None:
    """By whatever wrote it; and a suite says nothing of an address that is not of this machine."""
    before = (served / address.NAME).read_text()
    address.state(served, Served(url, "0" * 32))
    assert (served / address.NAME).read_text() == before
    (served / address.NAME).write_text(before.replace(HERE, url))
    code, said = run("reports", "--data", served)
    assert (code, asked, "leads to another machine" in said) == (2, [], True)


@pytest.mark.parametrize(
    ("host", "url"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")]
)
def test_the_embedded_edition_says_where_it_is_while_it_serves(
    host: str, url: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From before it prints its address to its end."""
    told: list[str] = []

    def serve(_services: object, _host: str, _port: int, started: Any, *_: object) -> None:
        started(8765)
        told.append(address.address(tmp_path))

    keys = SimpleNamespace(first_key=lambda: None)
    service = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(keys=keys)))
    monkeypatch.setattr(embedded, "serve", serve)
    monkeypatch.setattr(embedded, "migrate_all", lambda _: None)
    monkeypatch.setattr(up, "build_services", lambda _: [service])
    monkeypatch.setattr(logs, "configure_logs", lambda *_: None)
    monkeypatch.setenv("SMALLPRINT_HOST", host)
    code, said = run("up", "--data", tmp_path)
    assert code == 0, said
    assert told == [f"http://{url}:8765"]
    assert f"serves at http://{url}:8765 " in said
    assert not (tmp_path / address.NAME).exists()


def test_status_wants_no_key_where_a_folder_has_what_it_says(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it is said how a key is made; and a key has a tenant."""
    monkeypatch.delenv("SMALLPRINT_KEY", raising=False)
    code, said = run("status", "--data", tmp_path / "none")
    assert (code, f"no suite has worked in {tmp_path / 'none'}: name its data" in said) == (2, True)
    assert "`smallprint keys new NAME`" in said
    code, said = run("status", "--url", "http://a.example")
    assert (code, "where the suite at http://a.example has its data" in said) == (2, True)
    code, said = run("status", "--key", "sp_key", "--tenant", "acme")
    assert (code, "--tenant goes without one" in said) == (2, True)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != ["status"]])
def test_without_a_key_it_is_said_how_one_is_made(
    command: list[str], tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the folder that it opens, as it can be typed."""
    monkeypatch.delenv("SMALLPRINT_KEY", raising=False)
    code, said = run(*command, "--data", tmp_path / "my papers")
    assert code == 2
    assert f"smallprint keys new NAME --data '{tmp_path / 'my papers'}'" in said
    assert "smallprint keys new NAME --data var/data" in run(*command)[1]
    assert (
        "where the suite at http://a.example has its data: smallprint keys new NAME\n"
        in (run(*command, "--url", "http://a.example")[1])
    )
