"""Ports that are found free and stay so."""

import socket

from infra.servers import ports


def test_they_are_free_and_below_those_of_connections() -> None:
    first = ports.free_port()
    with socket.create_server(("127.0.0.1", first)):
        found = ports.free_ports(first, 3)
        assert first not in found
        assert len(set(found)) == 3
        with socket.create_connection(("127.0.0.1", first)) as connection:
            assert max(found) < connection.getsockname()[1]


def test_from_a_port_given_at_random_it_goes_below() -> None:
    assert max(ports.free_ports(45_000, 20)) < 32_768
