"""Ports that are found free and stay so."""

import socket

from infra import ports


def test_they_are_free_and_below_those_of_connections() -> None:
    """A port that is taken is passed over; none lies where the kernel draws for connections."""
    first = ports.free_port()
    with socket.create_server(("127.0.0.1", first)):
        found = ports.free_ports(first, 3)
        assert first not in found
        assert len(set(found)) == 3
        with socket.create_connection(("127.0.0.1", first)) as connection:
            assert max(found) < connection.getsockname()[1]


def test_from_a_port_given_at_random_it_goes_below() -> None:
    """The services' own ports are below even when the first port is one of the kernel's."""
    assert max(ports.free_ports(45_000, 20)) < 32_768
