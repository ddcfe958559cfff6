"""Kafka with TLS and users, as clusters of others have it: a real broker, our own authority."""

from __future__ import annotations

import os
import shlex
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest
from kafka import TopicPartition
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourceType,
    UserScramCredentialUpsertion,
)
from kafka.errors import KafkaError

from infra.servers.jars import java
from infra.servers.kafka import LIBS, Broker, missing
from infra.servers.ports import free_port
from shared.bus import Bus, open_bus
from shared.bus.kafka import KafkaBus
from shared.errors import SettingsError, Unavailable
from shared.events import Stage
from shared.events.asyncapi import document
from tests.architecture.source import SERVICES
from tests.contract.bus.certificates import Authority
from tests.contract.bus.worlds import behind, message, read
from tests.support import ROOT, require

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
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:scram;User:plain;User:CN=worker
"""
ADMIN = """
security.protocol=SASL_SSL
ssl.truststore.type=PEM
ssl.truststore.location={ca}
sasl.mechanism=PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \
required username="plain" password="{plain}";
"""
USERS = ROOT / "infra" / "kafka" / "users.sh"
PROGRAMS = {
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-configs.sh": "org.apache.kafka.tools.ConfigCommand",
}


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


@pytest.fixture(scope="module")
def users(secured: Secured, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The bus URL of a user that infra/kafka/users.sh has made."""
    folder = tmp_path_factory.mktemp("users")
    for name, java_class in PROGRAMS.items():
        command = shlex.join([*java(LIBS), java_class])
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (folder / name).chmod(0o755)
    login = folder / "admin.properties"
    login.write_text(ADMIN.format(ca=secured.authority.ca, plain=PLAIN))
    passwords = {name: f"{name}-s3cret" for name in (*SERVICES, "upkeep")}
    environment = {f"KAFKA_{name.upper()}_PASSWORD": word for name, word in passwords.items()}
    done = subprocess.run(
        [str(USERS), f"127.0.0.1:{secured.users}", str(login)],
        env={**os.environ, **environment, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    def url(user: str, **options: Any) -> str:
        login = f"{user}:{passwords[user]}"
        return secured.url(login, **{"topic": "documents", "sasl": "SCRAM-SHA-512", **options})

    return url


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


def test_every_service_has_a_user_for_the_topic_of_events(
    users: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "shared.bus.kafka")
    for service in SERVICES:
        with bus_at(users(service, instance="one", leave=1)) as bus:
            reader = bus.reader(service)
            bus.publish(message("a", service))
            records = read(reader, 1)
            reader.commit(behind(records))
            bus.lag(behind(records))
            reader.close()
    assert "was not left" not in caplog.text
    with bus_at(users("upkeep")) as bus:
        assert bus.lag({}) == len(SERVICES)


def test_the_users_are_those_of_the_events() -> None:
    described = document()
    senders = {name.split(".")[0] for name in described["operations"]} - {"any"}
    assert senders == set(SERVICES)
    [topic] = [channel["address"] for channel in described["channels"].values()]
    script = USERS.read_text("utf-8")
    assert f"${{3:-{topic}}}" in script
    assert f"for user in {' '.join(get_args(Stage))} upkeep; do" in script


@pytest.mark.parametrize("user", ["triage", "upkeep"])
def test_a_user_can_do_nothing_else(secured: Secured, users: Callable[..., str], user: str) -> None:
    other = "extraction"
    with bus_at(secured.url("scram:" + IN_URL, sasl="SCRAM-SHA-512", topic="others")):
        _refused(users(user, topic="others", timeout=4))
    with bus_at(users(user)) as bus:
        assert isinstance(bus, KafkaBus)
        with pytest.raises(Unavailable, match="GroupAuthorization"):
            read(bus.reader(other), 1)
        admin = bus._admin
        for call, about in (
            (admin.delete_topics, ["documents"]),
            (admin.create_topics, {"mine": {"num_partitions": 1, "replication_factor": 1}}),
            (admin.delete_records, {TopicPartition("documents", 0): 1}),
            (admin.delete_groups, [other]),
        ):
            with pytest.raises(KafkaError, match="Authorization"):
                call(about)
        password = UserScramCredentialUpsertion(other, "SCRAM-SHA-512", "known")
        assert "ALTER permission" in str(admin.alter_user_scram_credentials([password])[other])
        access = ACL(
            f"User:{user}",
            "*",
            ACLOperation.ALL,
            ACLPermissionType.ALLOW,
            ResourcePattern(ResourceType.GROUP, other),
        )
        assert not admin.create_acls([access])["succeeded"]


def test_upkeep_reads_and_writes_no_events(users: Callable[..., str]) -> None:
    with bus_at(users("upkeep")) as bus:
        with pytest.raises(Unavailable, match="Authorization"):
            bus.publish(message("a", 1))
        with pytest.raises(Unavailable, match="Authorization"):
            read(bus.reader("upkeep"), 1)


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
