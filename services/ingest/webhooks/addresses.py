"""Addresses that a webhook may call: public ones, and networks that the operator allows.

The lists follow the IANA special-purpose registries (RFC 6890 and successors). They are written out
because `ipaddress.is_private` differs between Python versions. Of IPv6 only global unicast is
public; an embedded IPv4 address decides.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from shared.errors import InvalidRequest

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL = 2_000
DEFAULT_PORTS = {"http": 80, "https": 443}

_NOT_PUBLIC_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers (CGNAT)
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, metadata services of clouds among them
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays, deprecated
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_UNICAST_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID and others
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which wraps any IPv4 address
        "3fff::/20",  # documentation
    )
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")

_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_AUTHORITY = re.compile(
    r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>\d{1,5}))?"
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


class AddressNotAllowed(InvalidRequest):
    """A webhook may not call this address."""

    code = "address_not_allowed"


@dataclass(frozen=True)
class Target:
    """A parsed URL, so that the checked address is the called one."""

    scheme: str
    host: str
    """Lower case; IPv6 without brackets."""
    port: int
    path: str
    """Path and query."""

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True)
class Policy:
    """Addresses that the operator lets webhooks call.

    Args:
        networks: allowed although they are not public.
        plain_http: whether `http` is allowed. Written addresses in `networks` may always use it.
        ports: first and last of each range.
    """

    networks: tuple[Network, ...] = ()
    plain_http: bool = False
    ports: tuple[tuple[int, int], ...] = ((443, 443),)

    def target(self, url: str) -> Target:
        """Parse and check a URL. Raises AddressNotAllowed.

        Names are not resolved here: `check` runs on the resolved address at each connection.
        """
        target = _taken_apart(url)
        addresses = _literal(target.host)
        for address in addresses:
            self.check(address)
        own = any(not _is_public(_unwrapped(ipaddress.ip_address(one))) for one in addresses)
        if target.scheme == "http" and not (self.plain_http or own):
            raise AddressNotAllowed(
                "The URL must begin with https://. The operator can allow http "
                "(setting SMALLPRINT_INGEST_WEBHOOK_HTTP)."
            )
        if not any(first <= target.port <= last for first, last in self.ports):
            raise AddressNotAllowed(
                f"Port {target.port} is not allowed (setting SMALLPRINT_INGEST_WEBHOOK_PORTS)."
            )
        return target

    def check(self, address: str) -> None:
        """Raise AddressNotAllowed unless this IP address may be called."""
        parsed = ipaddress.ip_address(address.partition("%")[0])
        wrapped = _unwrapped(parsed)
        if any(a in network for a in (parsed, wrapped) for network in self.networks):
            return
        if not _is_public(wrapped):
            raise AddressNotAllowed(
                "The address of this host is not public. To allow it, start the suite with its "
                "network, such as SMALLPRINT_INGEST_WEBHOOK_NETWORKS=127.0.0.0/8."
            )


def read_networks(text: str) -> tuple[Network, ...]:
    """Parse comma-separated networks and addresses. Raises ValueError."""
    return tuple(ipaddress.ip_network(part) for part in _parts(text))


def read_ports(text: str) -> tuple[tuple[int, int], ...]:
    """Parse comma-separated ports and ranges (`1024-65535`). Raises ValueError."""
    parsed = []
    for part in _parts(text):
        first, _, last = part.partition("-")
        parsed.append((int(first), int(last or first)))
        if not 1 <= parsed[-1][0] <= parsed[-1][1] <= 65535:
            raise ValueError(f"{part} is not a range of ports")
    if not parsed:
        raise ValueError("name at least one port")
    return tuple(parsed)


def _parts(text: str) -> Iterable[str]:
    return (part.strip() for part in text.split(",") if part.strip())


def _taken_apart(url: str) -> Target:
    if len(url) > LONGEST_URL:
        raise AddressNotAllowed(f"The URL has more than {LONGEST_URL:,} characters.")
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise AddressNotAllowed(
            "The URL has invalid characters. Percent-encode them, and write an "
            "international host as xn--…."
        )
    try:
        parts = urlsplit(url)
    except ValueError:
        raise AddressNotAllowed("The URL is invalid.") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise AddressNotAllowed("The URL must begin with https://.")
    if "@" in parts.netloc:
        raise AddressNotAllowed(
            "The URL contains a user name or password. Messages are signed instead."
        )
    if "#" in url:
        raise AddressNotAllowed("The URL contains a fragment (#…), which no server receives.")
    parsed = _AUTHORITY.fullmatch(parts.netloc.lower())
    if parsed is None:
        raise AddressNotAllowed("The URL has no valid host.")
    host = _host(parsed["v6"], parsed["name"])
    port = int(parsed["port"] or DEFAULT_PORTS[parts.scheme])
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path)


def _host(v6: str | None, name: str | None) -> str:
    try:
        if v6 is not None:
            return str(IPv6Address(v6))
        assert name is not None
        last = name.rpartition(".")[2]
        if _NUMBER.fullmatch(last):  # resolvers read 127.1, 0x7f.1, 0177.0.0.1 and 2130706433 too
            return str(IPv4Address(name))
    except ValueError:
        raise AddressNotAllowed(
            "The host is not a valid address. Write four decimal numbers, or IPv6 in brackets."
        ) from None
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise AddressNotAllowed("The host name is invalid.")
    return name


def _literal(host: str) -> tuple[str, ...]:
    if host == "localhost" or host.endswith(".localhost"):
        return ("127.0.0.1",)
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        return ()


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address inside an IPv6 one, if there is one."""
    if isinstance(address, IPv6Address) and any(address in n for n in (_MAPPED, _NAT64)):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return address in _UNICAST_6 and not any(address in network for network in _NOT_PUBLIC_6)
