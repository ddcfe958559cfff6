"""Allowed URLs and addresses of webhooks."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.webhooks.addresses import AddressNotAllowed, Policy, read_networks, read_ports

PUBLIC_ONLY = Policy(ports=((80, 80), (443, 443), (1024, 65535)))

INSIDE = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255"),
    *("127.0.0.1", "127.1.2.3", "169.254.169.254", "172.16.0.1", "172.31.255.255"),
    *("192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1"),
    *("198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255"),
    *("240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd12::1"),
    *("ff02::1", "100::1", "2001:db8::1", "2001::1", "2001:10::1", "2002:7f00:1::", "3fff::1"),
    *("2002:0808:0808::1", "5f00::1", "4000::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:7f00:1"),
    *("64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::8.8.8.8"),
]
OUTSIDE = [
    *("8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1"),
    *("172.15.255.255", "172.32.0.1", "192.167.1.1", "192.0.3.1", "198.17.1.1", "223.255.255.255"),
    *("2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
]


@pytest.mark.parametrize("address", INSIDE)
def test_a_private_address_is_refused(address: str) -> None:
    with pytest.raises(AddressNotAllowed, match="not public"):
        PUBLIC_ONLY.check(address)
    if "%" not in address:
        host = f"[{address}]" if ":" in address else address
        with pytest.raises(AddressNotAllowed, match="not public"):
            PUBLIC_ONLY.target(f"https://{host}/hook")


@pytest.mark.parametrize("address", OUTSIDE)
def test_a_public_address_is_allowed(address: str) -> None:
    PUBLIC_ONLY.check(address)
    host = f"[{address}]" if ":" in address else address
    assert PUBLIC_ONLY.target(f"https://{host}/hook").port == 443


@given(st.ip_addresses())
def test_no_address_private_in_python_is_allowed(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    wraps = address in ipaddress.ip_network("64:ff9b::/96") or "::ffff:" in str(address)
    if not wraps and (not address.is_global or address.is_multicast):
        with pytest.raises(AddressNotAllowed):
            PUBLIC_ONLY.check(str(address))


@pytest.mark.parametrize(
    "host",
    [
        *(
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "017700000001",
            "127.1",
            "127.0.1",
        ),
        *("0x7f.1", "10.0x1", "1.2.3.4.5", "256.1.1.1", "00000010.0.0.1", "127.0.0.1.", "8.8.8.08"),
        *("[fe80::1%25eth0]", "[::1", "::1", "[v1.fe80]", "[]", "", "a..b", ".a", "-a.example"),
        *("localhost", "LOCALHOST", "a.localhost", "example.com.", "ex ample.com", "exämple.com"),
        *("127.0.0.1%00.example.com", "example.com%2f", "127。0。0。1", "①②⑦.0.0.1"),
        "x" * 64 + ".example",
        ".".join(["x" * 60] * 5),
    ],
)
def test_a_disguised_address_is_refused(host: str) -> None:
    with pytest.raises(AddressNotAllowed):
        PUBLIC_ONLY.target(f"https://{host}/hook")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.com/", "https"),
        ("ftp://example.com/", "https"),
        ("file:///etc/passwd", "https"),
        ("//example.com/", "https"),
        ("example.com/hook", "https"),
        ("https:///hook", "valid host"),
        ("https://user@example.com/", "user name"),
        ("https://user:pass@example.com/", "user name"),
        ("https://example.com@10.0.0.1/", "user name"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com/#", "fragment"),
        ("https://example.com:22/", "Port 22"),
        ("https://example.com:6/", "Port 6"),
        ("https://example.com:0/", "Port 0"),
        ("https://example.com:65536/", "Port 65536"),
        ("https://example.com:x/", "valid host"),
        ("https://example.com:/", "valid host"),
        ("https://example.com\\@10.0.0.1/", "characters"),
        ("https://example.com/a b", "characters"),
        ("https://example.com/\r\nhost: x", "characters"),
        (" https://example.com/", "characters"),
        ("https://example.com/\x00", "characters"),
        ("https://[::1]x/", "valid host|invalid"),
        ("https://example.com/" + "a" * 2000, "2,000"),
        ("", "characters"),
    ],
)
def test_an_invalid_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(AddressNotAllowed, match=message):
        PUBLIC_ONLY.target(url)


def test_the_operator_can_allow_networks_http_and_ports() -> None:
    policy = Policy(read_networks("10.1.0.0/16, ::1"), plain_http=True, ports=read_ports("22"))
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "::1", "8.8.8.8"):
        policy.check(address)
    for address in ("10.2.0.1", "127.0.0.1", "::2"):
        with pytest.raises(AddressNotAllowed):
            policy.check(address)
    assert policy.target("http://10.1.0.9:22/").url == "http://10.1.0.9:22/"
    with pytest.raises(AddressNotAllowed, match="Port 80"):
        policy.target("http://10.1.0.9/")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9000"])
def test_one_setting_allows_a_receiver_on_this_machine(host: str) -> None:
    ports = read_ports("80,443,9000")
    with pytest.raises(AddressNotAllowed, match=r"SMALLPRINT_INGEST_WEBHOOK_NETWORKS=127\.0"):
        Policy(ports=ports).target(f"http://{host}/hook")
    loopback = Policy(read_networks("127.0.0.0/8"), ports=ports)
    for scheme in ("http", "https"):
        assert loopback.target(f"{scheme}://{host}/hook").url == f"{scheme}://{host}/hook"
    with pytest.raises(AddressNotAllowed, match="https"):
        loopback.target("http://example.com/hook")


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("HTTPS://Example.COM", "https://example.com/"),
        ("https://example.com:443/Hook?a=B", "https://example.com/Hook?a=B"),
        ("https://example.com:8443?x", "https://example.com:8443/?x"),
        ("https://[2606:4700:4700:0:0:0:0:1111]/", "https://[2606:4700:4700::1111]/"),
        ("https://xn--exmple-cua.com/%C3%A4", "https://xn--exmple-cua.com/%C3%A4"),
        ("https://my_host.example/", "https://my_host.example/"),
    ],
)
def test_a_url_is_normalised(given: str, stored: str) -> None:
    assert PUBLIC_ONLY.target(given).url == stored


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "home", "10.0.0.0/8;::1"])
def test_invalid_networks_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_networks(text)


@pytest.mark.parametrize("text", ["", "0", "70000", "90-80", "http", "1-2-3"])
def test_invalid_ports_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_ports(text)
