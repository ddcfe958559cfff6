"""The manifests of infra/kubernetes, rendered as `kubectl apply -k` does and held against schemas,
settings and code.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from services.cli import cli
from services.cli.deployment import stores
from services.proxy.settings import OriginSettings
from shared.policy.rules import RiskRules, read_risk_policy
from shared.runtime.main import ROLES
from shared.settings import CommonSettings
from tests.architecture.source import SERVICES
from tests.deployment.test_containers import _names
from tests.support import ROOT, require

FOLDER = ROOT / "infra" / "kubernetes"
PAGE = (FOLDER / "README.md").read_text("utf-8")
RESTORE = PAGE[PAGE.index("**Restore.**") : PAGE.index("**Locked down.**")]
RENDERERS = (("kubectl", "kustomize"), ("kustomize", "build"))
FOREIGN = {"ScaledObject", "TriggerAuthentication"}
"""Kinds that a cluster knows only with KEDA, and the schemas of Kubernetes do not."""


@cache
def manifests() -> tuple[dict[str, Any], ...]:
    return rendered(FOLDER)


def rendered(folder: Path) -> tuple[dict[str, Any], ...]:
    found = [command for command in RENDERERS if shutil.which(command[0])]
    require(found, "kustomize: install kubectl (1.21 or later) or kustomize")
    done = subprocess.run([*found[0], str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {m["metadata"]["name"]: m for m in manifests() if m["kind"] == kind}


def pods() -> dict[str, dict[str, Any]]:
    """The pod of every deployment, by its name."""
    return {n: one["spec"]["template"]["spec"] for n, one in of_kind("Deployment").items()}


def processes() -> dict[str, dict[str, Any]]:
    found = {}
    for name, pod in pods().items():
        [found[name]] = pod["containers"]
    return found


def settings_map() -> dict[str, str]:
    [(name, found)] = [
        (name, m["data"])
        for name, m in of_kind("ConfigMap").items()
        if name.startswith("smallprint-settings-")
    ]
    for container in processes().values():
        assert {"configMapRef": {"name": name}} in container["envFrom"]
    return dict(found)


def test_everything_fits_the_schemas_of_kubernetes() -> None:
    checked = [m for m in manifests() if m["kind"] not in FOREIGN]
    assert len(checked) > 30
    for manifest in checked:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_every_process_of_the_suite_is_there() -> None:
    containers = processes()
    wanted = {s if role == "api" else f"{s}-{role}": (s, role) for s in SERVICES for role in ROLES}
    for name, (service, role) in wanted.items():
        if role in ("migrate", "all"):
            continue
        container = containers.pop(name)
        assert container["command"] == ["python", "-m", f"services.{service}", role]
        env = {one["name"]: one for one in container["env"]}
        url = env[f"SMALLPRINT_{service.upper()}_DATABASE_URL"]["valueFrom"]["secretKeyRef"]
        assert url == {"name": "smallprint-databases", "key": service}
        [port] = container["ports"]
        if role == "api":
            assert port["containerPort"] == of_kind("Service")[service]["spec"]["ports"][0]["port"]
        else:
            assert env["SMALLPRINT_HEALTH_PORT"]["value"] == str(port["containerPort"])
    assert list(containers) == ["origin"]


def test_every_setting_exists_and_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings_map()
    named = {one["name"] for c in processes().values() for one in c.get("env", [])}
    ours = {name for name in named | set(given) if name.startswith("SMALLPRINT_")}
    assert len(ours) >= 15
    assert not ours - _names()
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    ports = {name: m["spec"]["ports"][0]["port"] for name, m in of_kind("Service").items()}
    for name, url in OriginSettings().services().items():
        assert url == f"http://{name}:{ports[name]}"


def test_a_worker_that_crashes_goes_on_under_the_name_of_its_pod() -> None:
    named = {}
    for name, container in processes().items():
        env = {one["name"]: one for one in container.get("env", [])}
        if "SMALLPRINT_BUS_INSTANCE" in env:
            named[name] = env["SMALLPRINT_BUS_INSTANCE"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert named == {f"{service}-worker": "metadata.name" for service in SERVICES}
    assert "instance=" not in settings_map()["SMALLPRINT_BUS_URL"]


def test_every_process_is_locked_down_and_bounded() -> None:
    [namespace] = of_kind("Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, deployment in of_kind("Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert {"requests", "limits"} == set(container["resources"])
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] == "http"
        ready = container["readinessProbe"]["httpGet"]["path"]
        assert ready == ("/livez" if name == "origin" else "/readyz"), "its /readyz asks all others"
        annotations = deployment["spec"]["template"]["metadata"].get("annotations", {})
        if name != "origin":
            port = container["ports"][0]["containerPort"]
            assert annotations["prometheus.io/port"] == str(port)


def test_an_upgrade_takes_nothing_away_before_its_successor_is_ready() -> None:
    deployments = of_kind("Deployment")
    for deployment in deployments.values():
        rolling = deployment["spec"]["strategy"]["rollingUpdate"]
        assert (rolling["maxUnavailable"], rolling["maxSurge"]) == (0, 1)
        pod = deployment["spec"]["template"]["spec"]
        stop = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
        assert stop == ["sleep", "5"], "whoever still sends it requests would find nobody"
        assert pod["terminationGracePeriodSeconds"] >= 5 + 20 + 5, "threads, and answers under way"
    for service in SERVICES:
        worker = deployments[f"{service}-worker"]
        budget = of_kind("PodDisruptionBudget")[f"{service}-worker"]["spec"]
        assert budget["selector"]["matchLabels"] == worker["spec"]["selector"]["matchLabels"]


def test_workers_are_scaled_by_the_waiting_events_of_their_service() -> None:
    """The metric is the one that the relays of the service measure."""
    scaled = of_kind("ScaledObject")
    assert set(scaled) == {f"{service}-worker" for service in SERVICES}
    for name, one in scaled.items():
        assert one["spec"]["scaleTargetRef"] == {"name": name}
        assert name in of_kind("Deployment")
        [trigger] = one["spec"]["triggers"]
        assert trigger["type"] == "prometheus"
        service = name.removesuffix("-worker")
        assert trigger["metadata"]["query"] == f'max(smallprint_bus_lag{{service="{service}"}})'
        assert int(trigger["metadata"]["threshold"]) > 0
        assert "cooldownPeriod" not in one["spec"], "it counts only where there may be none"


def test_an_upgrade_leaves_as_many_workers_as_there_are(tmp_path: Path) -> None:
    """A number of replicas in a manifest would reset scaled workers."""
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in of_kind("ScaledObject").values()}
    fixed = {n for n, one in of_kind("Deployment").items() if "replicas" in one["spec"]}
    assert scaled
    assert fixed == {"origin", "ingest"}, "which nothing scales"
    whole = shutil.copytree(FOLDER, tmp_path / "kubernetes")
    file = whole / "kustomization.yaml"
    file.write_text(file.read_text("utf-8").replace("  - scaling\n", ""))
    found = [m for m in rendered(whole) if m["metadata"]["name"] in scaled]
    deployments = [m for m in found if m["kind"] == "Deployment"]
    assert {m["spec"]["replicas"] for m in deployments} == {2}
    assert {m["kind"] for m in found} == {"Deployment", "PodDisruptionBudget", "Service"}


def jobs() -> dict[str, dict[str, Any]]:
    """The pods of every job, by its name."""
    return {n: j["spec"]["jobTemplate"]["spec"]["template"] for n, j in of_kind("CronJob").items()}


def test_jobs_see_what_every_service_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    services = processes()
    for name, job in jobs().items():
        [container] = job["spec"]["containers"]
        given = [one for one in services["ingest"]["envFrom"] if one in container["envFrom"]]
        assert given == services["ingest"]["envFrom"]
        assert container["image"] == services["ingest"]["image"]
        env = {one["name"]: one["valueFrom"] for one in container["env"]}
        assert set(env) == {f"SMALLPRINT_{service.upper()}_DATABASE_URL" for service in SERVICES}
        for service in SERVICES:
            wanted = {one["name"]: one["valueFrom"] for one in services[service]["env"]}
            assert wanted.items() <= env.items()
        for path in ("policy", "kafka"):
            [volume] = [one for one in job["spec"]["volumes"] if one["name"] == path]
            assert volume in pods()["ingest"]["volumes"]
        mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
        volumes = {one["name"]: one for one in job["spec"]["volumes"]}
        assert set(volumes) == set(mounts.values())
        kept = {path: volumes[one].get("persistentVolumeClaim") for path, one in mounts.items()}
        if name == "migrate":
            assert not any(kept.values()), "it waits for no volume"
        else:
            assert kept["/data"] == {"claimName": "ingest"}
            assert kept["/backups"] == {"claimName": "backups"}
        assert all("emptyDir" not in volumes[mounts[one]] for one in kept if kept[one])
    assert set(of_kind("PersistentVolumeClaim")) == {"ingest", "backups"}
    for name in SERVICES:
        monkeypatch.setenv(f"SMALLPRINT_{name.upper()}_DATABASE_URL", f"postgresql://there/{name}")
    monkeypatch.setenv("SMALLPRINT_DATA", settings_map()["SMALLPRINT_DATA"])
    stores.require_all(CommonSettings())


def test_jobs_run_when_somebody_says_so_and_are_locked_down() -> None:
    assert set(jobs()) == {"migrate", "backup", "upkeep"}
    for name, cron in of_kind("CronJob").items():
        assert cron["spec"]["suspend"] is True
        assert cron["spec"]["concurrencyPolicy"] == "Forbid"
        assert cron["spec"]["jobTemplate"]["spec"]["backoffLimit"] == (
            5 if name == "migrate" else 0
        )
        pod = jobs()[name]["spec"]
        process = pods()["ingest"]
        for one in ("automountServiceAccountToken", "enableServiceLinks", "securityContext"):
            assert pod[one] == process[one]
        [container] = pod["containers"]
        assert container["securityContext"] == process["containers"][0]["securityContext"]
        assert {"requests", "limits"} == set(container["resources"])
        script = " ".join(container["command"])
        for command in re.findall(r"smallprint (\w+)", script):
            assert command in cli.commands
    commands = {
        name: " ".join(one["spec"]["containers"][0]["command"]) for name, one in jobs().items()
    }
    assert commands["migrate"] == "smallprint migrate"
    assert commands["backup"] == "smallprint backup /backups --dated"


def test_tables_can_be_brought_up_to_date_before_the_processes_are_replaced() -> None:
    assert "kubectl apply -k infra/kubernetes -l upgrade=first" in PAGE
    assert "--from=cronjob/migrate" in PAGE
    first = [m for m in manifests() if m["metadata"].get("labels", {}).get("upgrade") == "first"]
    assert {m["kind"] for m in first} == {"ConfigMap", "CronJob", "PersistentVolumeClaim"}
    assert {m["metadata"]["name"] for m in first} >= {*of_kind("ConfigMap"), *of_kind("CronJob")}


def test_every_volume_that_a_job_mounts_is_applied_with_it() -> None:
    first = {
        (m["kind"], m["metadata"]["name"])
        for m in manifests()
        if m["metadata"].get("labels", {}).get("upgrade") == "first"
    }
    mounted = {
        volume["persistentVolumeClaim"]["claimName"]
        for name, job in jobs().items()
        for volume in job["spec"]["volumes"]
        if "persistentVolumeClaim" in volume and ("CronJob", name) in first
    }
    assert mounted == {"ingest", "backups"}
    assert {("PersistentVolumeClaim", one) for one in mounted} <= first


def test_the_suite_is_ended_with_and_without_keda() -> None:
    deleted = {
        kinds
        for kinds, rest in re.findall(r"kubectl -n smallprint delete ([\w,]+) (.*)", PAGE)
        if rest.startswith("--all")
    }
    assert deleted == {"scaledobjects", "deployments"}
    assert RESTORE.index("delete scaledobjects --all") < RESTORE.index("delete deployments --all")


def test_the_restore_guide_names_the_topic() -> None:
    assert "`settings.env`" in RESTORE
    assert "`smallprint-bus`" in RESTORE
    every = [*processes().values(), *(one["spec"]["containers"][0] for one in jobs().values())]
    for container in every:
        kinds = [next(iter(one)) for one in container["envFrom"] if "smallprint-bus" in str(one)]
        if kinds:
            names = [str(one) for one in container["envFrom"]]
            [secret] = [n for n, one in enumerate(names) if "smallprint-bus" in one]
            [settings] = [n for n, one in enumerate(names) if "smallprint-settings" in one]
            assert settings < secret, "what comes later counts"


def test_what_ingest_keeps_is_one_folder_for_its_api_and_workers() -> None:
    """Resumable uploads survive their pod, and workers remove the page images of an api."""
    claim = of_kind("PersistentVolumeClaim")["ingest"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    data = settings_map()["SMALLPRINT_DATA"]
    shared = set()
    for name, pod in pods().items():
        volumes = {one["name"]: one for one in pod["volumes"]}
        mounts = {one["mountPath"]: one["name"] for one in pod["containers"][0]["volumeMounts"]}
        kept = volumes[mounts[data]]
        if "persistentVolumeClaim" in kept:
            assert kept["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}
            assert "emptyDir" not in kept
            shared.add(name)
        for volume in volumes.values():
            assert volume.get("emptyDir", {"sizeLimit": "-"})["sizeLimit"], name
    assert shared == {"ingest", "ingest-worker"}
    assert "flock" in (FOLDER / "volume.yaml").read_text("utf-8")


def test_every_process_finds_the_certificates_of_kafka() -> None:
    """As files of one secret, which may be missing."""
    for name, pod in pods().items():
        if name == "origin":
            continue
        [kafka] = [one["secret"] for one in pod["volumes"] if one["name"] == "kafka"]
        assert (kafka["secretName"], kafka["optional"]) == ("smallprint-kafka", True)
        assert {one["key"] for one in kafka["items"]} == {"ca", "cert", "key"}
    assert "`smallprint-kafka`" in PAGE


def test_the_page_says_how_many_connections_full_scale_takes() -> None:
    """README's rule: (api + workers + relays) x connections + relays + 3."""
    each = CommonSettings.model_fields["database_connections"].default
    assert "SMALLPRINT_DATABASE_CONNECTIONS" not in settings_map()
    deployments = of_kind("Deployment")
    names = [name for name in deployments if name != "origin"]
    most = {name: one["spec"].get("replicas", 1) for name, one in deployments.items()}
    most |= {name: one["spec"]["maxReplicaCount"] for name, one in of_kind("ScaledObject").items()}
    processes = sum(most[name] for name in names)
    relays = sum(name.endswith("-relay") for name in names)

    def needed(processes: int, relays: int, each: int) -> int:
        return processes * each + relays + 3

    upgrading = (processes + len(names), 2 * relays)
    [section] = re.findall(r"\*\*Connections of PostgreSQL\.\*\*.*?\n\n", PAGE, re.DOTALL)
    numbers = [int(number) for number in re.findall(r"\b\d+\b", section)]
    limit = int(re.findall(r"max_connections = (\d+)", section)[0])
    assert needed(processes, relays, each) in numbers
    assert processes in numbers
    assert needed(*upgrading, each) in numbers
    assert needed(*upgrading, each) <= limit
    assert needed(*upgrading, 4) in numbers


def test_the_origin_has_no_secret() -> None:
    assert "secret" not in str(of_kind("Deployment")["origin"]).lower()


def test_secrets_are_named_and_never_here() -> None:
    assert not of_kind("Secret")
    see = [n for n, one in processes().items() if "smallprint-frontier" in str(one["envFrom"])]
    assert see == ["escalation-worker"]
    for name, value in settings_map().items():
        assert "PASSWORD" not in name
        assert "@" not in value


def test_the_network_is_shut_but_for_what_is_needed() -> None:
    policies = of_kind("NetworkPolicy")
    nothing = policies["nothing"]["spec"]
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    world = [n for n, p in policies.items() if "0.0.0.0/0" in str(p["spec"].get("egress"))]
    assert world == ["outside"]
    chosen = policies["outside"]["spec"]["podSelector"]["matchExpressions"]
    who = {one["key"]: one["values"] for one in chosen}
    assert who == {"app": ["escalation", "ingest"], "role": ["worker"]}


def test_the_policy_that_comes_along_lets_nothing_leave() -> None:
    file = FOLDER / "policy.toml"
    assert tomllib.loads(file.read_text("utf-8")) == {}
    assert read_risk_policy(file).of("default") == RiskRules()
