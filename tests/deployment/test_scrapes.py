"""Prometheus scrapes every process, in containers and in a cluster, with the names in alerts."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from infra.servers.ports import free_port
from tests.architecture.source import SERVICES
from tests.deployment.test_kubernetes import of_kind
from tests.support import ROOT, require

PROMETHEUS = ROOT / "infra" / "prometheus"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
PROCESSES = sorted(name for one in SERVICES for name in (one, f"{one}-relay", f"{one}-worker"))


def _scrape(file: str) -> dict[str, Any]:
    """The only thing that is scraped, as a file of ours has it."""
    config = yaml.safe_load((PROMETHEUS / file).read_text("utf-8"))
    assert config["rule_files"] == ["alerts.yml"]
    (scrape,) = config["scrape_configs"]
    assert scrape["job_name"] == "smallprint", "alerts ask for this job"
    return dict(scrape)


def test_every_container_is_scraped_on_the_port_that_it_listens_on() -> None:
    services = COMPOSE["services"]
    scrape = _scrape("prometheus.yml")
    always = [tuple(one.split(":")) for one in scrape["static_configs"][0]["targets"]]
    (looked_up,) = scrape["dns_sd_configs"]
    several = [(name, str(looked_up["port"])) for name in looked_up["names"]]
    ours = {name for name, one in services.items() if "build" in one} - {"origin", "core"}
    assert set(PROCESSES) <= ours
    assert sorted(name for name, _ in [*always, *several]) == PROCESSES
    for name, port in [*always, *several]:
        assert port in services[name]["healthcheck"]["test"], name
    assert {name for name, _ in several} == {name for name in ours if "deploy" in services[name]}


@contextmanager
def _prometheus(scrape: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """The URL of a real Prometheus with this configuration; its targets do not answer."""
    found = shutil.which("prometheus")
    require(found, "prometheus (Debian: apt install prometheus)")
    config, port = folder / "prometheus.json", free_port()  # JSON is YAML
    config.write_text(json.dumps({"scrape_configs": [scrape]}), "utf-8")
    command = [
        str(found),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'kept'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _labelled(scrape: Mapping[str, Any], folder: Path) -> list[dict[str, str]]:
    """The labels of every target that is left, with its `address`."""
    with _prometheus(scrape, folder) as url, httpx.Client(trust_env=False, timeout=5) as client:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.2)
            try:
                targets = client.get(f"{url}/api/v1/targets").json()["data"]["activeTargets"]
            except (httpx.TransportError, ValueError):
                continue
            if targets:
                addresses = [one["scrapeUrl"].split("/")[2] for one in targets]
                pairs = zip(targets, addresses, strict=True)
                return [{**one["labels"], "address": address} for one, address in pairs]
    raise AssertionError((folder / "log").read_text("utf-8"))


def _static(found: Sequence[tuple[str, Mapping[str, str]]]) -> list[dict[str, Any]]:
    """Targets with the labels of their discovery."""
    return [{"targets": [address], "labels": dict(labels)} for address, labels in found]


def test_a_container_goes_by_its_name_and_not_by_its_address(tmp_path: Path) -> None:
    scrape = _scrape("prometheus.yml")
    names = scrape.pop("dns_sd_configs")[0]["names"]
    found = [
        (f"172.18.{number}.{which}:8090", {"__meta_dns_name": name})
        for number, name in enumerate(names)
        for which in (2, 3)
    ]
    scrape["static_configs"] += _static(found)
    targets = _labelled(scrape, tmp_path)
    assert len(targets) == 10 + 2 * 5
    assert sorted({one["process"] for one in targets}) == PROCESSES
    for one in targets:
        assert one["job"] == "smallprint"
        assert one["instance"] == one["address"]
        if one["address"].startswith("172."):
            number = int(one["address"].split(".")[2])
            assert one["process"] == names[number]
        else:
            assert one["process"] == one["address"].split(":")[0]


def _pods() -> list[tuple[str, dict[str, str]]]:
    """The discovery of two pods of each deployment, an ended pod, and a foreign pod."""
    found = []
    for number, (name, deployment) in enumerate(of_kind("Deployment").items()):
        about = deployment["spec"]["template"]["metadata"]
        annotations = about.get("annotations", {})
        for which, phase in enumerate(("Running", "Pending", "Succeeded"), start=2):
            ip = f"10.1.{number}.{which}"
            meta = {
                "pod_ip": ip,
                "pod_name": f"{name}-{which}",
                "pod_phase": phase,
                "pod_label_app": about["labels"]["app"],
                "pod_label_role": about["labels"].get("role", ""),
                "pod_annotation_prometheus_io_scrape": annotations.get("prometheus.io/scrape", ""),
                "pod_annotation_prometheus_io_port": annotations.get("prometheus.io/port", ""),
            }
            labels = {f"__meta_kubernetes_{key}": value for key, value in meta.items()}
            found.append((f"{ip}:9999", labels))
    stranger = {"pod_ip": "10.1.99.2", "pod_name": "other", "pod_phase": "Running"}
    labels = {f"__meta_kubernetes_{key}": value for key, value in stranger.items()}
    return [*found, ("10.1.99.2:80", labels)]


def test_in_a_cluster_the_same_processes_have_the_same_names(tmp_path: Path) -> None:
    scrape = _scrape("kubernetes.yml")
    (looked_up,) = scrape.pop("kubernetes_sd_configs")
    (namespace,) = of_kind("Namespace")
    assert looked_up == {"role": "pod", "namespaces": {"names": [namespace]}}
    scrape["static_configs"] = _static(_pods())
    targets = _labelled(scrape, tmp_path)
    assert sorted(one["process"] for one in targets) == sorted(PROCESSES * 2)
    ports = {name: one["spec"]["ports"][0]["port"] for name, one in of_kind("Service").items()}
    for one in targets:
        port = ports.get(one["process"], 8090)
        assert one["address"].endswith(f":{port}"), one
        assert one["job"] == "smallprint"
        assert one["pod"] == one["instance"]
        assert one["pod"].rpartition("-")[0] == one["process"]


@pytest.mark.parametrize("file", ["prometheus.yml", "kubernetes.yml"])
def test_promtool_takes_it(file: str, tmp_path: Path) -> None:
    """Debian's build has no Kubernetes discovery, so that part is left out."""
    promtool = shutil.which("promtool")
    require(promtool, "promtool (Debian: apt install prometheus)")
    config = yaml.safe_load((PROMETHEUS / file).read_text("utf-8"))
    config["scrape_configs"][0].pop("kubernetes_sd_configs", None)
    (tmp_path / file).write_text(yaml.safe_dump(config), "utf-8")
    shutil.copy(PROMETHEUS / "alerts.yml", tmp_path)
    subprocess.run([str(promtool), "check", "config", tmp_path / file], check=True)
