"""Kafka with TLS and users, as clusters of others have it: a real broker, our own authority."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.servers.kafka import Broker, missing
from infra.servers.ports import free_port
from shared.bus import Bus, open_bus
from shared.errors import SettingsError, Unavailable
from tests.contract.bus.certificates import Authority
from tests.contract.bus.worlds import behind, message, read
from tests.support import require

pytestmark = pytest.mark.kafka

PASSWORD = "a/b@c d%é"  # every character that a URL would stumble over
IN_URL = "a%2Fb%40c%20d%25%C3%A9"
PLAIN = "plain-s3cret"

PROPERTIES = """
listeners=PLAINTEXT://127.0.0.1:{open},CONTROLLER://127.0.0.1:{controller},\
USERS://127.0.0.1:{users},CERTIFICATES://127.0.0.1:{certificates}
advertised.listeners=PLAINTEXT://127.0.0.1:{open},CONTROLLER://127.0.0.1:{controller},\
USERS://127.0.0.1:{users},CERTIFICATES://127.0.0.1:{certificates}
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,USERS:SASL_SSL,\
CERTIFICATES:SSL
inter.broker.listener.name=PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
listener.name.certificates.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.users.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \
required user_plain="{plain}";
listener.name.users.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
"""


@dataclass
class Secured:
    users: int
    certificates: int
    authority: Authority

    def url(self, user: str = "", port: int = 0, **options: object) -> str:
        known = {"topic": f"t{uuid.uuid4().hex[:8]}", "partitions": 2, "timeout": 60}
        parameters = {**known, "tls": 1, "ca": self.authority.ca, **options}
        query = "&".join(f"{name}={value}" for name, value in parameters.items() if value != "")
        return f"kafka://{user}{'@' if user else ''}127.0.0.1:{port or self.users}?{query}"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    require(find_spec("kafka"), "the bus on Kafka needs the package kafka-python")
    lacking = missing()
    require(lacking is None, lacking or "")
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder / "authority")
    _, keystore = authority.signed("broker")
    ports = {name: free_port() for name in ("open", "controller", "users", "certificates")}
    more = PROPERTIES.format(**ports, keystore=keystore, ca=authority.ca, plain=PLAIN)
    broker = Broker(folder / "data", ports["open"], more=more, users={"scram": PASSWORD})
    broker.start()
    try:
        yield Secured(ports["users"], ports["certificates"], authority)
    finally:
        broker.stop()


@contextmanager
def bus_at(url: str) -> Iterator[Bus]:
    bus = open_bus(url, lease=6.0)
    try:
        yield bus
    finally:
        bus.close()


def goes_round(url: str) -> None:
    with bus_at(url) as bus:
        reader = bus.reader("g")
        bus.publish(message("a", 1), message("a", 2))
        records = read(reader, 2)
        reader.commit(behind(records))
        assert bus.lag(behind(records)) == 0


@pytest.mark.parametrize(
    ("user", "sasl"), [(f"scram:{IN_URL}", "SCRAM-SHA-512"), (f"plain:{PLAIN}", "PLAIN")]
)
def test_a_user_with_a_password(secured: Secured, user: str, sasl: str) -> None:
    goes_round(secured.url(user, sasl=sasl))


def test_a_certificate_of_our_own(secured: Secured) -> None:
    cert, key = secured.authority.signed("worker")
    goes_round(secured.url(port=secured.certificates, cert=cert, key=key))


def _refused(url: str) -> str:
    with pytest.raises(Unavailable) as caught, bus_at(url):
        pass
    return caught.value.message


def test_a_refused_login_does_not_show_the_password(secured: Secured) -> None:
    message = _refused(secured.url("scram:wr0ng", sasl="SCRAM-SHA-512", timeout=8))
    assert "wr0ng" not in message
    assert str(secured.users) in message
    _refused(secured.url(timeout=8))
    _refused(secured.url(port=secured.certificates, timeout=8))


def test_a_broker_of_another_authority_is_not_trusted(secured: Secured, tmp_path: Path) -> None:
    other = Authority(tmp_path, "another")
    url = secured.url(f"plain:{PLAIN}", sasl="PLAIN", ca=other.ca, timeout=8)
    assert PLAIN not in _refused(url)
    system = secured.url(f"plain:{PLAIN}", sasl="PLAIN", ca="", timeout=8)
    assert PLAIN not in _refused(system)


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("me:s3cret@host:1", "needs both"),
        ("host:1?tls=1&sasl=PLAIN", "needs both"),
        ("me:s3cret@host:1?sasl=PLAIN", "add &tls=1"),
        ("me:s3cret@host:1?sasl=GSSAPI", "invalid option \\('GSSAPI'\\)"),
        ("host:1?tls=yes", "invalid option \\('yes'\\)"),
        ("host:1?ca=ca.pem", "names certificates, but not TLS"),
        ("host:1?tls=1&ca=/no/such/ca.pem", "can't be read: /no/such/ca.pem"),
        ("me:s3cret@host:1?sals=PLAIN", "invalid option \\('sals'\\)"),
    ],
)
def test_what_does_not_fit_together_is_refused_at_the_start(rest: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        open_bus(f"kafka://{rest}")
    assert "s3cret" not in caught.value.message


def test_a_url_of_no_bus_shows_no_password() -> None:
    with pytest.raises(SettingsError, match="'kafak://host:1' names an unknown bus") as caught:
        open_bus("kafak://me:s3cret@host:1")
    assert "s3cret" not in caught.value.message
