"""Addresses of clients, and the networks such as `10.1.0.0/16` from which a key works."""

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
    found = _read(address)
    return found is not None and any(found in network for network in _parsed(networks))


def client_network(address: str | None) -> str:
    """Return the network that a client is likely to own: its address, or the /64 of IPv6."""
    found = _read(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(found), 64), strict=False))
    return str(found or address)


def are_inside(networks: tuple[str, ...], allowed: tuple[str, ...]) -> bool:
    """Return whether all networks are inside the allowed ones. Without these every one is."""
    if not allowed:
        return True
    return bool(networks) and all(
        any(inner.version == outer.version and inner.subnet_of(outer) for outer in _parsed(allowed))  # type: ignore[arg-type]
        for inner in _parsed(networks)
    )


def _read(address: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


@lru_cache(maxsize=1000)
def _parsed(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(map(ipaddress.ip_network, networks))
