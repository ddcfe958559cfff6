"""Whether every process of infra/kubernetes reaches what its settings name, by the network policies
of what is applied with each optional component.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from services.ingest.settings import Settings
from services.ingest.webhooks.addresses import read_ports
from services.proxy.settings import OriginSettings
from tests.architecture.source import SERVICES
from tests.deployment.test_kubernetes import FOLDER, PAGE, rendered
from tests.support import ROOT

Labels = Mapping[str, str]
NODE, ANYWHERE = "169.254.169.254", "52.216.0.1"
"""Who a node is, with most providers; and some public address."""


@dataclass(frozen=True)
class Place:
    """A peer in a network policy: pods of its namespace, another namespace, or an address."""

    pod: Labels | None = None
    namespace: str = ""
    address: str = ""

    @classmethod
    def of(cls, host: str) -> Place:
        """`name.namespace.svc` is in the cluster; every other name is public."""
        found = re.fullmatch(r"[\w-]+\.([\w-]+)\.svc", host)
        return cls(namespace=found[1]) if found else cls(address=ANYWHERE)


class Applied:
    """Applied manifests, read for their network policies."""

    def __init__(self, manifests: Sequence[Mapping[str, Any]]) -> None:
        self.kinds: dict[str, dict[str, Any]] = {}
        for one in manifests:
            self.kinds.setdefault(one["kind"], {})[one["metadata"]["name"]] = one

    @property
    def settings(self) -> dict[str, str]:
        maps = self.kinds["ConfigMap"].items()
        [found] = [m["data"] for name, m in maps if name.startswith("smallprint-settings-")]
        return dict(found)

    def pods(self) -> dict[str, Labels]:
        """Labels of the pods of every deployment and job."""
        specs = {name: one["spec"] for name, one in self.kinds["Deployment"].items()}
        jobs = self.kinds["CronJob"].items()
        specs |= {name: one["spec"]["jobTemplate"]["spec"] for name, one in jobs}
        return {name: one["template"]["metadata"]["labels"] for name, one in specs.items()}

    def leaves(self, pod: Labels, place: Place, port: int) -> bool:
        """Whether a pod may open a connection there."""
        return any(
            _fits(rule.get("to"), place) and port in _ports(rule)
            for rule in self._rules(pod, "egress")
        )

    def lets_in(self, pod: Labels, sender: Place, port: str) -> bool:
        """Whether a pod may be spoken to at its port of that name."""
        return any(
            _fits(rule.get("from"), sender)
            and port in [one["port"] for one in rule.get("ports", [{"port": port}])]
            for rule in self._rules(pod, "ingress")
        )

    def _rules(self, pod: Labels, direction: str) -> Iterator[Mapping[str, Any]]:
        for policy in self.kinds["NetworkPolicy"].values():
            if _selects(policy["spec"]["podSelector"], pod):
                yield from policy["spec"].get(direction, ())


def _fits(peers: Sequence[Mapping[str, Any]] | None, place: Place) -> bool:
    return peers is None or any(_is(one, place) for one in peers)


def _is(peer: Mapping[str, Any], place: Place) -> bool:
    assert len(peer) == 1, "a peer of two conditions is not read here"
    if "podSelector" in peer:
        return place.pod is not None and _selects(peer["podSelector"], place.pod)
    if "namespaceSelector" in peer:
        return _selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": place.namespace})
    block = peer["ipBlock"]
    if not place.address:
        return False
    at = ipaddress.ip_address(place.address)
    inside = at in ipaddress.ip_network(block["cidr"])
    return inside and all(at not in ipaddress.ip_network(one) for one in block.get("except", ()))


def _selects(selector: Mapping[str, Any], labels: Labels) -> bool:
    exact = all(labels.get(k) == v for k, v in selector.get("matchLabels", {}).items())
    chosen = {
        "In": lambda one: labels.get(one["key"]) in one["values"],
        "NotIn": lambda one: labels.get(one["key"]) not in one["values"],
    }
    expressions = selector.get("matchExpressions", ())
    return exact and all(chosen[one["operator"]](one) for one in expressions)


def _ports(rule: Mapping[str, Any]) -> range | list[int]:
    if "ports" not in rule:
        return range(65_536)
    found: list[int] = []
    for one in rule["ports"]:
        if one.get("protocol", "TCP") == "TCP":
            found += range(one["port"], one.get("endPort", one["port"]) + 1)
    return found


@cache
def base() -> Applied:
    return Applied(rendered(FOLDER))


def with_parts(folder: Path, *components: str, **settings: str) -> Applied:
    """Manifests applied with these components and settings, as in a user's overlay."""
    own: dict[str, Any] = {
        "resources": [os.path.relpath(FOLDER, folder)],
        "components": [os.path.relpath(FOLDER / one, folder) for one in components],
        "namespace": "smallprint",
    }
    if settings:
        literals = [f"{name}={value}" for name, value in settings.items()]
        generator = {"name": "smallprint-settings", "behavior": "merge", "literals": literals}
        own["configMapGenerator"] = [generator]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(own))
    return Applied(rendered(folder))


def lacking(applied: Applied, bus: str, *, bucket_asks_node: bool = False) -> set[tuple[str, str]]:
    """Who does not reach what it needs: of deployments and jobs, and what is out of reach."""
    given = applied.settings
    [database] = set(re.findall(r"--from-literal=ingest=(\S+)", PAGE))
    bucket = urlsplit(given["AWS_ENDPOINT_URL_S3"] or "https://s3.us-east-1.amazonaws.com")
    stores = {
        "bus": (Place.of(_host(bus)), urlsplit(bus).port or 9092),
        "database": (Place(namespace="postgres"), urlsplit(database).port or 5432),
        "bucket": (
            Place.of(bucket.hostname or ""),
            bucket.port or {"http": 80}.get(bucket.scheme, 443),
        ),
    }
    if bucket_asks_node:
        stores["node"] = (Place(address=NODE), 80)
    traces = urlsplit(given.get("SMALLPRINT_TRACES", ""))
    found = set()
    for name, pod in applied.pods().items():
        needed = dict(stores) if name != "origin" else {}
        if traces.hostname:
            needed["traces"] = (Place.of(traces.hostname), traces.port or 4318)
        found |= {(name, what) for what, to in needed.items() if not applied.leaves(pod, *to)}
    return found


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def test_everybody_reaches_what_the_settings_name() -> None:
    applied = base()
    assert not lacking(applied, applied.settings["SMALLPRINT_BUS_URL"])
    for pod in applied.pods().values():
        assert not applied.leaves(pod, Place(namespace="kafka"), 9093)
        assert not applied.leaves(pod, Place(namespace="monitoring"), 4318)
        assert not applied.leaves(pod, Place(address=NODE), 80)


def test_the_proxy_reaches_no_store(tmp_path: Path) -> None:
    applied = with_parts(tmp_path, "secured")
    front = applied.pods()["origin"]
    for namespace, port in (("kafka", 9092), ("kafka", 9093), ("postgres", 5432), ("bucket", 9000)):
        assert not applied.leaves(front, Place(namespace=namespace), port)


def test_a_bucket_of_a_provider_needs_its_component(tmp_path: Path) -> None:
    without = with_parts(tmp_path, AWS_ENDPOINT_URL_S3="")
    bus = without.settings["SMALLPRINT_BUS_URL"]
    assert {"ingest", "extraction", "triage-worker"} & {n for n, _ in lacking(without, bus)}
    given = with_parts(tmp_path, "bucket-outside", AWS_ENDPOINT_URL_S3="")
    assert not lacking(given, bus)
    assert not given.leaves(given.pods()["origin"], Place(address=ANYWHERE), 443)
    for private in ("10.0.0.1", "192.168.1.1", NODE):
        assert not given.leaves(given.pods()["ingest"], Place(address=private), 443)


def test_a_bucket_that_knows_the_node_needs_its_component(tmp_path: Path) -> None:
    both = ("bucket-outside", "bucket-node")
    bus = base().settings["SMALLPRINT_BUS_URL"]
    given = with_parts(tmp_path, *both, AWS_ENDPOINT_URL_S3="")
    assert not lacking(given, bus, bucket_asks_node=True)
    without = with_parts(tmp_path, both[0], AWS_ENDPOINT_URL_S3="")
    assert {what for _, what in lacking(without, bus, bucket_asks_node=True)} == {"node"}


def test_traces_reach_their_collector(tmp_path: Path) -> None:
    applied = with_parts(tmp_path, "traces")
    assert applied.settings["SMALLPRINT_TRACES"]
    assert not lacking(applied, applied.settings["SMALLPRINT_BUS_URL"])
    without = with_parts(tmp_path, SMALLPRINT_TRACES=applied.settings["SMALLPRINT_TRACES"])
    missing = lacking(without, without.settings["SMALLPRINT_BUS_URL"])
    assert {name for name, _ in missing} == set(applied.pods())


def test_kafka_with_tls_is_reached(tmp_path: Path) -> None:
    [bus] = re.findall(r"`(kafka://\S+tls=1\S+)`", PAGE)
    assert lacking(base(), bus), "the component is needed"
    applied = with_parts(tmp_path, "secured")
    assert not lacking(applied, bus)


def test_each_service_has_its_own_user_of_kafka(tmp_path: Path) -> None:
    with_parts(tmp_path, "secured")
    script = (ROOT / "infra/kafka/users.sh").read_text("utf-8")
    [users] = re.findall(r"^for user in (.+); do$", script, re.MULTILINE)
    seen = set()
    for one in rendered(tmp_path):
        if one["kind"] not in ("Deployment", "CronJob"):
            continue
        spec = one["spec"].get("jobTemplate", one)["spec"]["template"]["spec"]
        [container] = spec["containers"]
        chosen = [env for env in container["env"] if env["name"] == "SMALLPRINT_BUS_URL"]
        app = one["spec"].get("selector", {}).get("matchLabels", {}).get("app", "upkeep")
        keys = [env["valueFrom"]["secretKeyRef"]["key"] for env in chosen]
        assert keys == ([] if app == "origin" else [app]), one["metadata"]["name"]
        seen |= set(keys)
    assert seen == set(users.split())


def test_no_webhook_is_accepted_that_could_not_be_called(monkeypatch: pytest.MonkeyPatch) -> None:
    applied = base()
    for name, value in applied.settings.items():
        monkeypatch.setenv(name, value)
    sender = applied.pods()["ingest-worker"]
    accepted = read_ports(Settings().ingest_webhook_ports)
    assert accepted
    for first, last in accepted:
        for port in {first, (first + last) // 2, last}:
            assert applied.leaves(sender, Place(address=ANYWHERE), port), port
    assert "SMALLPRINT_INGEST_WEBHOOK_PORTS" in PAGE


def test_the_origin_asks_every_worker_and_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name is a headless Service with an address for every pod, ready or not."""
    applied = base()
    [origin] = applied.kinds["Deployment"]["origin"]["spec"]["template"]["spec"]["containers"]
    given = {one["name"]: one["value"] for one in origin["env"] if "value" in one}
    for name, value in (applied.settings | given).items():
        monkeypatch.setenv(name, value)
    settings = OriginSettings()
    asked = {urlsplit(one) for one in settings.processes()} - {
        urlsplit(one) for one in settings.services().values()
    }
    wanted = {f"{service}-{role}" for service in SERVICES for role in ("worker", "relay")}
    assert {one.hostname for one in asked} == wanted
    pods, front = applied.pods(), applied.pods()["origin"]
    for one in asked:
        assert one.hostname
        assert one.port
        service = applied.kinds["Service"][one.hostname]["spec"]
        assert service["clusterIP"] == "None"
        assert service["publishNotReadyAddresses"] is True
        chosen = [name for name, pod in pods.items() if _selects_all(service["selector"], pod)]
        assert chosen == [one.hostname]
        pod = pods[one.hostname]
        template = applied.kinds["Deployment"][one.hostname]["spec"]["template"]["spec"]
        [port] = template["containers"][0]["ports"]
        assert (one.port, port["containerPort"]) == (service["ports"][0]["port"],) * 2
        assert port["name"] == service["ports"][0]["targetPort"]
        assert applied.leaves(front, Place(pod=pod), one.port)
        assert applied.lets_in(pod, Place(pod=front), port["name"])
        assert not applied.lets_in(pod, Place(pod=pods["review"]), port["name"])


def test_commands_in_a_pod_of_upkeep_ask_the_suite() -> None:
    """Most runbooks begin with `smallprint status`."""
    applied = base()
    at = urlsplit(applied.settings["SMALLPRINT_URL"])
    assert at.hostname
    service = applied.kinds["Service"][at.hostname]["spec"]
    [port] = service["ports"]
    assert (at.port or 80) == port["port"]
    pods = applied.pods()
    front, upkeep = pods["origin"], pods["upkeep"]
    assert _selects_all(service["selector"], front)
    pod = applied.kinds["Deployment"]["origin"]["spec"]["template"]["spec"]
    [listens] = pod["containers"][0]["ports"]
    assert port["targetPort"] == listens["name"]
    assert applied.leaves(upkeep, Place(pod=front), listens["containerPort"])
    assert applied.lets_in(front, Place(pod=upkeep), listens["name"])
    for name in ("extraction", "ingest-worker", "review-relay"):
        assert not applied.lets_in(front, Place(pod=pods[name]), listens["name"])
    assert not applied.leaves(upkeep, Place(pod=pods["ingest-worker"]), 8090)


def _selects_all(selector: Labels, labels: Labels) -> bool:
    return _selects({"matchLabels": selector}, labels)


def test_the_page_says_when_each_component_is_needed() -> None:
    offered = (FOLDER / "kustomization.yaml").read_text("utf-8")
    components = [
        file.parent.name
        for file in FOLDER.glob("*/kustomization.yaml")
        if yaml.safe_load(file.read_text("utf-8"))["kind"] == "Component"
    ]
    assert len(components) >= 5
    for name in components:
        assert f"`{name}`" in PAGE or f"`{name}/`" in PAGE, name
        assert re.search(rf"^  (# )?- {name}\b", offered, re.MULTILINE), name
