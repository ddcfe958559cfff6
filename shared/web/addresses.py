"""The addresses from which a key works: addresses and networks such as `10.1.0.0/16`."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from shared.errors import InvalidRequest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(texts: Iterable[str]) -> tuple[str, ...]:
    """Return networks in their usual form, each once. Raises InvalidRequest."""
    try:
        networks = [ipaddress.ip_network(text.strip()) for text in texts]
    except ValueError as error:
        raise InvalidRequest(
            f"{error}. Write an address such as 192.0.2.7, or a network such as 10.1.0.0/16."
        ) from None
    return tuple(dict.fromkeys(map(str, networks)))


def is_inside(address: str | None, networks: tuple[str, ...]) -> bool:
    """Return whether an address is in one of the networks. Without networks every one is."""
    if not networks:
        return True
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in _parsed(networks))


def are_inside(networks: tuple[str, ...], allowed: tuple[str, ...]) -> bool:
    """Return whether all networks are inside the allowed ones. Without these every one is."""
    if not allowed:
        return True
    return bool(networks) and all(
        any(inner.version == outer.version and inner.subnet_of(outer) for outer in _parsed(allowed))  # type: ignore[arg-type]
        for inner in _parsed(networks)
    )


@lru_cache(maxsize=1000)
def _parsed(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(map(ipaddress.ip_network, networks))
