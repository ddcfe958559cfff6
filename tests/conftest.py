"""Rules that hold for every test: no network beyond this machine, no settings from outside."""

import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.needs import Needs
from tests.support.postgres import Servers
from tests.support.tenant_marks import let_tests_look

# A shell that starts us in the background has us, and all that we start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

KEPT = {"SMALLPRINT_TEST_DATA", "SMALLPRINT_TEST_ARTEFACTS", "SMALLPRINT_TEST_EXAMPLES"}


def pytest_configure(config: pytest.Config) -> None:
    """Mark tests by what they need, and count those that are left out."""
    config.pluginmanager.register(Needs())


class NetworkTouchedError(RuntimeError):
    """A test tried to reach something that is not on this machine."""


def _is_local(family: int, address: Any) -> bool:
    if family == socket.AF_UNIX:
        return True
    host = address[0] if isinstance(address, tuple) else address
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Refuse every connection and name look-up that would leave the loopback interface."""
    connect, connect_ex, resolve = (
        socket.socket.connect,
        socket.socket.connect_ex,
        socket.getaddrinfo,
    )

    def guard(address: Any, family: int) -> None:
        if not _is_local(family, address):
            raise NetworkTouchedError(f"tests stay on this machine, but this one wants {address!r}")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        guard(address, self.family)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        guard(address, self.family)
        return connect_ex(self, address)

    def guarded_resolve(host: Any, *rest: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and name != socket.gethostname():
            guard((name,), socket.AF_INET)
        return resolve(host, *rest, **options)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    patch.setattr(socket, "getaddrinfo", guarded_resolve)
    yield
    patch.undo()


@pytest.fixture(autouse=True, scope="session")
def _tests_look_at_all_rows() -> Iterator[None]:
    """A test may look at the rows of all tenants, and change them."""
    patch = pytest.MonkeyPatch()
    let_tests_look(patch)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The PostgreSQL server, started once for all tests that need it."""
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of each kind; empty for SQLite in the data folder."""
    if request.param == "sqlite":
        return ""
    servers: Servers = request.getfixturevalue("servers")
    return servers.database()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write half characters that a test logged as escapes: they can't go to another process."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode("utf-8"))
        for name, text in report.sections
    ]
    return report


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A machine whose `tesserocr` has no engine, here and in processes started by us."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "tesserocr.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.setitem(sys.modules, "tesserocr", None)


@pytest.fixture
def no_program(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A machine without the program `tesseract`, here and in processes started by us."""
    folders = []
    for folder in os.get_exec_path():
        if Path(folder, "tesseract").exists():
            others = tmp_path_factory.mktemp("bin")
            for program in Path(folder).iterdir():
                if program.name != "tesseract":
                    (others / program.name).symlink_to(program)
            folders.append(str(others))
        else:
            folders.append(folder)
    monkeypatch.setenv("PATH", os.pathsep.join(folders))


@pytest.fixture
def no_engine(no_library: None, no_program: None) -> None:
    """A machine that can't recognise text, here and in processes started by us."""


@pytest.fixture(autouse=True)
def _settings_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's own SMALLPRINT_* settings, so that a test sets what it means."""
    for name in os.environ:
        if name.startswith("SMALLPRINT_") and name not in KEPT:
            monkeypatch.delenv(name)
