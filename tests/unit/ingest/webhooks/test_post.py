"""One request to a receiver, over real sockets."""

from __future__ import annotations

import base64
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from services.ingest.webhooks.addresses import Policy, read_networks
from services.ingest.webhooks.post import EXCERPT, Poster, trust
from shared.errors import SettingsError
from tests.support.local_server import Receiver, Reply
from tests.unit.ingest.webhooks.certificates import Authority

HERE = Policy(read_networks("127.0.0.0/8"), plain_http=True, ports=((1, 65535),))
HEADERS = {"webhook-id": "msg_1", "content-type": "application/json"}
NAME = "hooks.example"


class Names:
    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.requested: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int, **_options: Any) -> list[Any]:
        self.requested.append((host, port))
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in found]


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        talk(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def test_the_request_arrives_unchanged(receiver: Receiver) -> None:
    body = '{"a":"€\\n"}'.encode()
    answer = Poster(HERE).post(receiver.url("/hook?x=%20"), HEADERS, body)
    assert (answer.status, answer.error, answer.delivered) == (204, None, True)
    (request,) = receiver.requests
    assert (request.path, request.body) == ("/hook?x=%20", body)
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["webhook-id"] == "msg_1"
    assert request.headers["accept-encoding"] == "identity"
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((200, None), (202, None), (299, None), (204, None)),
        *((301, "redirect"), (307, "redirect"), (304, "redirect")),
        *((400, "status"), (404, "status"), (410, "status"), (429, "status"), (500, "status")),
    ],
)
def test_only_2xx_is_success(receiver: Receiver, status: int, code: str | None) -> None:
    receiver.answer = lambda _: Reply(status)
    answer = Poster(HERE).post(receiver.url(), HEADERS, b"{}")
    assert answer.status == status
    assert (answer.error or "").partition(":")[0] == (code or "")
    assert str(status) in (answer.error or str(status))


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    with Receiver() as other:
        for target in (other.url("/inner"), "/elsewhere"):
            reply = Reply(307, {"location": target})
            receiver.answer = lambda _, reply=reply: reply  # type: ignore[misc]
            answer = Poster(HERE).post(receiver.url("/hook"), HEADERS, b"{}")
            assert (answer.error or "").startswith("redirect: ")
        assert other.requests == []
    assert [request.path for request in receiver.requests] == ["/hook", "/hook"]


def test_a_large_response_is_cut_off(receiver: Receiver) -> None:
    sent = 0

    def talk(connection: socket.socket) -> None:
        nonlocal sent
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n")
        while sent < 200_000_000:
            sent += connection.send(b"x" * 65536)

    with raw_server(talk) as url:
        answer = Poster(HERE).post(url, HEADERS, b"{}")
        time.sleep(0.2)
    assert answer.delivered
    assert answer.excerpt == "x" * EXCERPT
    assert answer.seconds < 2
    assert sent < 20_000_000  # the buffers of both sockets


def test_a_compressed_response_is_not_decompressed(receiver: Receiver) -> None:
    bomb = gzip.compress(b"\0" * 5_000_000)
    receiver.answer = lambda _: Reply(200, {"content-encoding": "gzip"}, bomb)
    answer = Poster(HERE).post(receiver.url(), HEADERS, b"{}")
    assert answer.delivered
    assert len(answer.excerpt) <= EXCERPT
    assert "\0" not in answer.excerpt
    assert "\x1f" not in answer.excerpt


@pytest.mark.parametrize("part", ["head", "body", "silence", "handshake"])
def test_a_slow_receiver_times_out(part: str) -> None:
    def talk(connection: socket.socket) -> None:
        if part != "handshake":
            connection.recv(65536)
        if part == "body":
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n")
        if part == "head":
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
        until = time.monotonic() + 8
        while time.monotonic() < until:
            if part in ("head", "body"):
                connection.sendall(b"x")
            time.sleep(0.1)

    with raw_server(talk) as url:
        if part == "handshake":
            url = url.replace("http:", "https:")
        began = time.monotonic()
        answer = Poster(HERE, seconds=1.0).post(url, HEADERS, b"{}")
    assert time.monotonic() - began < 4
    if part == "body":  # the status was there: it was taken
        assert answer.delivered
        assert set(answer.excerpt) == {"x"}
    else:
        assert (answer.error or "").startswith("timeout: ")


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (b"", "not_http"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not_http"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000, "not_http"),
        (b"HTTP/1.1 banana\r\n\r\n", "not_http"),
    ],
)
def test_an_answer_that_is_not_http_fails(response: bytes, code: str) -> None:
    def talk(connection: socket.socket) -> None:
        received = b""
        while not received.endswith(b"{}"):  # all of it: closing on unread bytes would reset
            received += connection.recv(65536)
        connection.sendall(response)

    with raw_server(talk) as url:
        answer = Poster(HERE).post(url, HEADERS, b"{}")
    assert (answer.status, (answer.error or "").partition(":")[0]) == (None, code)


def test_a_closed_port_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = Poster(HERE).post(f"http://127.0.0.1:{port}/", HEADERS, b"{}")
    assert answer.error == "connect_failed: Connection refused"


def test_an_unknown_host_fails() -> None:
    answer = Poster(HERE, resolve=Names([])).post(f"http://{NAME}:8080/", HEADERS, b"{}")
    assert (answer.error or "").startswith("name_not_found: ")


def test_a_host_with_a_private_address_is_refused(receiver: Receiver) -> None:
    names = Names(["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["::ffff:127.0.0.1"], ["::1"])
    public = Policy(plain_http=True, ports=((1, 65535),))
    poster = Poster(public, resolve=names)
    for _ in range(5):
        answer = poster.post(receiver.url(host=NAME), HEADERS, b"{}")
        assert (answer.error or "").startswith("address_not_allowed: ")
        assert "127.0.0.1" not in (answer.error or "")
        assert "10.0.0.1" not in (answer.error or "")
    assert receiver.requests == []


def test_dns_rebinding_has_no_effect(receiver: Receiver) -> None:
    only_first = Policy(read_networks("127.0.0.1"), plain_http=True, ports=((1, 65535),))
    with Receiver(host="127.0.0.2", port=receiver.port) as inner:
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        poster = Poster(only_first, resolve=names)
        assert poster.post(receiver.url(host=NAME), HEADERS, b"{}").delivered
        assert names.requested == [(NAME, receiver.port)]
        refused = poster.post(receiver.url(host=NAME), HEADERS, b"{}")
        assert (refused.error or "").startswith("address_not_allowed: ")
        assert inner.requests == []
    assert len(receiver.requests) == 1
    assert receiver.requests[0].headers["host"] == f"{NAME}:{receiver.port}"


def test_of_several_addresses_the_allowed_ones_are_tried(receiver: Receiver) -> None:
    policy = Policy(read_networks("127.0.0.1,127.0.0.3"), plain_http=True, ports=((1, 65535),))
    with Receiver(host="127.0.0.2", port=receiver.port) as inner:
        names = Names(["127.0.0.2", "127.0.0.3", "127.0.0.1"])
        assert Poster(policy, resolve=names).post(receiver.url(host=NAME), HEADERS, b"{}").delivered
        assert inner.requests == []
    assert len(receiver.requests) == 1


def test_proxies_of_the_environment_are_ignored(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        assert Poster(HERE).post(receiver.url(), HEADERS, b"{}").delivered
        assert proxy.requests == []


def test_the_url_is_checked_at_every_try(receiver: Receiver) -> None:
    strict = Policy(ports=((1, 65535),))
    answer = Poster(strict).post(receiver.url(), HEADERS, b"{}")
    assert (answer.error or "").startswith("address_not_allowed: ")
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1" * 30, None),
        ("Wed, 32 Jan 2026 00:00:00 GMT", None),
        ("Wed, 01 Jan 99999999999 00:00:00 GMT", None),
        (f"Wed, 01 Jan {'9' * 5000} 00:00:00 GMT", None),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_parsed(receiver: Receiver, value: str, seconds: float | None) -> None:
    receiver.answer = lambda _: Reply(503, {"retry-after": value})
    assert Poster(HERE).post(receiver.url(), HEADERS, b"{}").retry_after == seconds


def test_retry_after_as_a_date(receiver: Receiver) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=600)
    receiver.answer = lambda _: Reply(429, {"retry-after": format_datetime(moment, usegmt=True)})
    wanted = Poster(HERE).post(receiver.url(), HEADERS, b"{}").retry_after
    assert wanted is not None
    assert 590 < wanted <= 600


# TLS


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_tls_uses_the_name_and_the_checked_address(authority: Authority) -> None:
    with Receiver(tls=authority.server(NAME)) as receiver:
        poster = Poster(HERE, tls=trust(authority.file), resolve=Names(["127.0.0.1"]))
        answer = poster.post(receiver.url("/hook", host=NAME), HEADERS, b"{}")
        assert answer.delivered, answer.error
        assert receiver.server_names == [NAME]
        assert receiver.requests[0].headers["host"] == f"{NAME}:{receiver.port}"


def test_a_certificate_of_another_name_is_refused(authority: Authority) -> None:
    with Receiver(tls=authority.server("other.example")) as receiver:
        poster = Poster(HERE, tls=trust(authority.file), resolve=Names(["127.0.0.1"]))
        answer = poster.post(receiver.url(host=NAME), HEADERS, b"{}")
        assert (answer.error or "").startswith("tls_failed: ")
        assert NAME in (answer.error or "")
        assert receiver.requests == []


def test_a_certificate_of_an_unknown_authority_is_refused(authority: Authority) -> None:
    with Receiver(tls=authority.server(NAME)) as receiver:
        poster = Poster(HERE, resolve=Names(["127.0.0.1"]))
        answer = poster.post(receiver.url(host=NAME), HEADERS, b"{}")
        assert (answer.error or "").startswith("tls_failed: ")
        assert receiver.requests == []


def test_plain_http_behind_an_https_url_fails(receiver: Receiver) -> None:
    answer = Poster(HERE).post(receiver.url().replace("http:", "https:"), HEADERS, b"{}")
    assert (answer.error or "").startswith("tls_failed: ")
    assert receiver.requests == []


# A proxy that is set


class Proxy:
    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.requested: list[bytes] = []

    def talk(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        self.requested.append(head)
        with socket.create_connection(("127.0.0.1", self.upstream_port)) as upstream:
            if head.startswith(b"CONNECT "):
                connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                upstream.sendall(head)
            back = threading.Thread(target=_pass_on, args=(upstream, connection), daemon=True)
            back.start()
            _pass_on(connection, upstream)
            back.join(5)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def test_the_configured_proxy_is_used_for_https(authority: Authority) -> None:
    with Receiver(tls=authority.server(NAME)) as receiver:
        proxy = Proxy(receiver.port)
        with raw_server(proxy.talk) as url:
            address = url.replace("http://", "http://us:p%40ss@").rstrip("/")
            poster = Poster(HERE, tls=trust(authority.file), proxy=address, resolve=Names([]))
            answer = poster.post(f"https://{NAME}/hook", HEADERS, b'{"a":1}')
            assert answer.delivered, answer.error
        assert proxy.requested[0].startswith(f"CONNECT {NAME}:443 HTTP/1.1\r\n".encode())
        assert base64.b64encode(b"us:p@ss") in proxy.requested[0]
        assert receiver.server_names == [NAME]
        assert receiver.requests[0].body == b'{"a":1}'
        assert "proxy-authorization" not in receiver.requests[0].headers


def test_a_proxy_does_not_bypass_address_checks() -> None:
    strict = Policy(plain_http=True, ports=((1, 65535),))
    poster = Poster(strict, proxy="http://127.0.0.1:9", resolve=Names([]))
    answer = poster.post("http://10.0.0.1/", HEADERS, b"{}")
    assert (answer.error or "").startswith("address_not_allowed: ")


@pytest.mark.parametrize("proxy", ["proxy:3128", "socks5://proxy:1080", "http://:s3cret@"])
def test_an_invalid_proxy_is_refused(proxy: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Poster(HERE, proxy=proxy)
    assert "s3cret" not in caught.value.message
