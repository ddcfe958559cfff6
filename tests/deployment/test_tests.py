"""The rules that the tests themselves live by."""

import socket

import pytest

from infra.servers.ports import free_port
from tests.support import require


def test_a_connection_that_would_leave_the_machine_is_refused() -> None:
    for address in ("192.0.2.1", "example.invalid"):
        with pytest.raises(RuntimeError, match="stay on this machine"):
            socket.create_connection((address, 80), timeout=1)


def test_loopback_stays_open() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        socket.create_connection(server.getsockname(), timeout=1).close()


def test_a_missing_requirement_skips_on_a_laptop_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require(True, "nothing")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="a broker"):
        require(False, "a broker")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI must have this: a broker"):
        require(False, "a broker")
