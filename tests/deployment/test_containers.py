"""docker-compose.yml and the Dockerfile, held against the code that they start."""

import importlib
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from infra.servers.postgres import DATABASES
from services.cli.deployment import stores
from services.cli.options import INSIDE
from services.proxy.settings import OriginSettings
from shared.runtime.main import ROLES
from shared.settings import PREFIX, CommonSettings
from tests.architecture.source import SERVICES
from tests.support import ROOT, require

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")


@cache
def _compose() -> dict[str, Any]:
    filled = re.sub(r"\$\{POSTGRES_(\w*)PASSWORD:-\}", r"\1s3cret", COMPOSE)
    filled = re.sub(r"\$\{\w+:-([\w/]*)\}", lambda found: found[1] or '""', filled)
    parsed: dict[str, Any] = yaml.safe_load(filled)
    return parsed


def _ours() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in _compose()["services"].items() if "build" in service}


@cache
def _settings() -> tuple[type[CommonSettings], ...]:
    modules = [importlib.import_module(f"services.{name}.settings") for name in SERVICES]
    return (OriginSettings, *(module.Settings for module in modules))


def _long_running() -> dict[str, dict[str, Any]]:
    """Those of ours that `docker compose up` starts, in one edition or the other."""
    return {name: service for name, service in _ours().items() if name != "upkeep"}


def _names() -> set[str]:
    """The environment names that some settings class reads."""
    return {PREFIX + field.upper() for settings in _settings() for field in settings.model_fields}


def test_every_setting_in_the_containers_exists() -> None:
    used = {
        name
        for service in _ours().values()
        for name in service.get("environment", {})
        if name.startswith(PREFIX)
    } | set(re.findall(rf"\b({PREFIX}[A-Z_]+)=", DOCKERFILE))
    assert len(used) >= 20
    assert not used - _names()


@pytest.mark.parametrize("container", sorted(_ours()))
def test_the_settings_of_each_container_are_accepted(
    container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in _ours()[container]["environment"].items():
        monkeypatch.setenv(name, str(value))
    for settings in _settings():
        loaded = settings()
        assert str(loaded.data) == "/data"
        assert loaded.host == "0.0.0.0"


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_runs_as_three_processes(service: str) -> None:
    for role in ("api", "worker", "relay"):
        assert role in ROLES
        container = _ours()[service if role == "api" else f"{service}-{role}"]
        assert container["command"] == ["python", "-m", f"services.{service}", role]
        database = container["environment"][f"{PREFIX}{service.upper()}_DATABASE_URL"]
        assert database.endswith(f"/{service}")
        assert container["environment"][f"{PREFIX}BUS_URL"].startswith("kafka://")
    assert (ROOT / "services" / service / "__main__.py").is_file()


def test_the_server_has_a_role_with_a_password_for_each_service() -> None:
    server = _compose()["services"]["postgres"]
    mounted = dict(volume.split(":", 2)[:2] for volume in server["volumes"])
    script = mounted["./infra/postgres/databases.sh"]
    assert script.startswith("/docker-entrypoint-initdb.d/")
    loop = re.search(r"^for service in (.+); do$", DATABASES.read_text("utf-8"), re.MULTILINE)
    assert loop
    assert set(loop[1].split()) == set(SERVICES)
    for name in SERVICES:
        variable = f"POSTGRES_{name.upper()}_PASSWORD"
        assert f"\n{variable}=\n" in EXAMPLE
        password = server["environment"][variable]
        database = _ours()[name]["environment"][f"{PREFIX}{name.upper()}_DATABASE_URL"]
        assert database == f"postgresql+psycopg://{name}:{password}@postgres/{name}"


def test_the_origin_has_no_login_and_no_document() -> None:
    origin, worker = _ours()["origin"], _ours()["ingest-worker"]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", f"{PREFIX}BUS_URL"):
        assert name in worker["environment"]
        assert name not in origin["environment"]
    assert worker["volumes"] == ["blobs:/data"]
    assert origin["volumes"] == []


@pytest.mark.parametrize("container", sorted(set(_ours()) - {"upkeep"}))
def test_a_container_has_no_password_but_that_of_its_service(container: str) -> None:
    used = str(_ours()[container])
    service = container.split("-")[0]
    own = {f"{service.upper()}_s3cret"} if service in SERVICES else set()
    assert set(re.findall(r"\b\w*s3cret", used)) == own


@pytest.mark.parametrize("service", SERVICES)
def test_there_are_two_of_every_worker(service: str) -> None:
    assert _ours()[f"{service}-worker"]["deploy"] == {"replicas": 2}


@pytest.mark.parametrize("service", SERVICES)
def test_a_worker_that_crashes_goes_on_under_its_name(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = _ours()[f"{service}-worker"]
    assert "hostname" not in container
    assert container["restart"] == "unless-stopped"
    for name in ("BUS_URL", "BUS_INSTANCE"):
        monkeypatch.setenv(PREFIX + name, container["environment"][PREFIX + name])
    monkeypatch.setattr("socket.gethostname", lambda: "5f0c")
    assert CommonSettings().bus == "kafka://kafka:9092?instance=5f0c&leave=1"


POOL = CommonSettings.model_fields["database_connections"].default


def _connections(workers: int) -> int:
    """PostgreSQL connections with this number of workers: a pool for each process, one more for a
    relay, and three for the superuser.
    """
    most = 3
    for container in _long_running().values():
        environment = container.get("environment", {})
        if any(name.endswith("_DATABASE_URL") for name in environment):
            each = int(environment.get(f"{PREFIX}DATABASE_CONNECTIONS", POOL))
            listening = container["command"][-1] == "relay"
            most += (workers if "deploy" in container else 1) * each + listening
    return most


@pytest.mark.parametrize("workers", [2, 4, 5])
def test_postgres_takes_all_connections_that_there_can_be(workers: int) -> None:
    command = _compose()["services"]["postgres"]["command"]
    allowed = int(command[-1].removeprefix("max_connections="))
    most = _connections(workers)
    assert most == 10 * POOL + 5 * workers * POOL + 5 + 3
    assert most + (5 * POOL if workers < 5 else 0) <= allowed
    assert _connections(6) > allowed, "the file offers no more than it takes"
    assert "WORKERS=4" in COMPOSE
    assert "for five" in EXAMPLE


def test_the_image_has_the_programs_of_the_server_that_it_backs_up() -> None:
    """pg_dump can't read a newer server, so both come from one image."""
    server = _compose()["services"]["postgres"]["image"]
    (source,) = re.findall(r"^FROM (\S+) AS postgres$", DOCKERFILE, re.MULTILINE)
    assert source == server
    major = server.partition(":")[2].partition(".")[0]
    assert f"/usr/lib/postgresql/{major}/bin" in DOCKERFILE
    _, _, suite = DOCKERFILE.partition("AS suite\n")
    assert "COPY --from=postgres /client/ /usr/local/" in suite
    for program in ("pg_dump", "pg_restore", "psql"):
        assert re.search(rf"install -D -t /client/bin .*\b{program}\b", DOCKERFILE)
        assert f"{program} --version" in suite
    assert "libpq.so.5" in DOCKERFILE
    assert suite.index("USER root") < suite.index("ldconfig") < suite.index("USER 10001:10001")


def test_upkeep_sees_what_every_service_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    upkeep = _ours()["upkeep"]
    assert (upkeep["entrypoint"], upkeep["restart"]) == (["smallprint"], "no")
    environment = upkeep["environment"]
    for service in SERVICES:
        others = _ours()[service]["environment"]
        lacking = {one for one in others if environment.get(one) != others[one]}
        own = {one for one in lacking if "_OPENID_" in one}  # of what answers browsers
        assert lacking - own == {f"{PREFIX}BUS_INSTANCE"}, "it is nobody's consumer"
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    settings = CommonSettings()
    stores.require_all(settings)
    found = stores.urls(settings)
    assert set(found) == set(SERVICES)
    for name, url in found.items():
        assert url == f"postgresql+psycopg://{name}:{name.upper()}_s3cret@postgres/{name}"
    assert settings.bus == "kafka://kafka:9092"
    mounted = dict(one.split(":") for one in upkeep["volumes"])
    assert mounted == {"blobs": str(settings.data), "backups": "/backups"}
    assert {"blobs", "backups"} <= set(_compose()["volumes"])
    assert "install -d -o smallprint -g smallprint /backups" in DOCKERFILE


def test_upkeep_asks_the_suite_where_it_is() -> None:
    origin = _ours()["origin"]["environment"]
    at = urlsplit(_ours()["upkeep"]["environment"][f"{PREFIX}URL"])
    assert (at.scheme, at.hostname) == ("http", "origin")
    assert at.port == origin[f"{PREFIX}ORIGIN_PORT"]
    assert at.geturl() == INSIDE


def test_a_restored_place_has_the_bucket_that_comes_along() -> None:
    compose = _compose()["services"]
    assert "s3" not in compose["upkeep"]["depends_on"]
    assert compose["s3"]["profiles"]


def test_those_who_wait_for_tables_wait_long_enough() -> None:
    """A large database is migrated before its service answers."""
    for service in (*SERVICES, "core"):
        assert _ours()[service]["healthcheck"]["start_period"] == "600s"
    for name, container in _long_running().items():
        for one in container.get("depends_on", {}):
            if one in SERVICES:
                waits = container["depends_on"][one]
                assert waits == {"condition": "service_healthy"}, name


def test_the_bucket_that_comes_along_is_the_one_that_is_tested() -> None:
    bucket = _compose()["services"]["s3"]
    pom = (ROOT / "infra/servers/s3/pom.xml").read_text("utf-8")
    (version,) = re.findall(r"<s3proxy.version>(.+)</", pom)
    assert bucket["image"].partition("@")[0] == f"andrewgaul/s3proxy:{version}"
    assert bucket["environment"]["S3PROXY_ENDPOINT"].rpartition(":")[2] == "9000"
    assert "s3://smallprint and http://s3:9000" in EXAMPLE
    assert "/data/smallprint" in bucket["entrypoint"][2]
    for name in re.findall(r"\$\{(\w+):-", COMPOSE):
        assert f"\n{name}=" in EXAMPLE or name == "AWS_REGION", name


def test_addresses_in_compose_fit_together() -> None:
    containers = _ours()
    origin = OriginSettings(
        **{
            name.removeprefix(PREFIX).lower(): value
            for name, value in containers["origin"]["environment"].items()
        }
    )
    for name, url in origin.services().items():
        port = containers[name]["environment"][f"{PREFIX}{name.upper()}_PORT"]
        assert url == f"http://{name}:{port}"
        assert str(port) in containers[name]["healthcheck"]["test"]
    probes = {p for p in origin.processes() if p.endswith(":8090")}
    assert probes == {f"http://{s}-{role}:8090" for s in SERVICES for role in ("worker", "relay")}


@pytest.mark.parametrize("container", sorted(_ours()))
def test_our_containers_are_locked_down(container: str) -> None:
    service = _ours()[container]
    assert service["user"].split(":")[0].isdigit()
    assert service["user"] != "0:0"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    (temporary,) = service["tmpfs"]
    assert temporary.startswith("/tmp:")
    assert re.search(r",size=\d+g$", temporary), "it is memory of the host"
    assert service["security_opt"] == ["no-new-privileges:true"]
    if container == "upkeep":
        assert service["healthcheck"] == {"disable": True}, "it listens nowhere"
    else:
        check = ["CMD", "python", "-m", "services.proxy.healthcheck"]
        assert service["healthcheck"]["test"][:4] == check
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_lone_broker_acknowledges_what_is_on_its_disk() -> None:
    given = _compose()["services"]["kafka"]["environment"]
    assert str(given["KAFKA_LOG_FLUSH_INTERVAL_MESSAGES"]) == "1"


def test_only_what_replaces_something_or_looks_on_has_a_profile() -> None:
    with_profile = {n: s["profiles"] for n, s in _compose()["services"].items() if "profiles" in s}
    looks_on = {name: ["observe"] for name in ("prometheus", "grafana", "collector", "jaeger")}
    once = {"upkeep": ["upkeep"]}
    assert with_profile == {"core": ["core"], "s3": ["s3"], **once, **looks_on}
    assert _ours()["core"]["command"][:2] == ["smallprint", "serve"]
    assert len(_long_running()) == 3 * len(SERVICES) + 2


def test_every_image_has_a_tag_that_stays() -> None:
    images = [service["image"] for service in _compose()["services"].values()]
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE))
    outside = [base for base in bases if base not in stages]
    assert len(images) >= 18
    assert len(outside) == 2
    for image in (*images, *outside):
        _, _, tag = image.partition("@")[0].partition(":")
        assert tag
        assert tag != "latest"


def test_no_secret_has_a_default() -> None:
    uses = re.findall(r"\$\{POSTGRES_\w*PASSWORD([^}]*)\}", COMPOSE)
    assert len(uses) >= 11
    assert set(uses) == {":-"}
    assert "HOST_AUTH_METHOD" not in COMPOSE
    assert "\nPOSTGRES_PASSWORD=\n" in EXAMPLE


def test_the_image_is_built_in_stages_and_runs_as_a_user() -> None:
    stages = re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE)
    assert {"build", "core", "suite"} <= set(stages)
    for target in ("runtime", "suite"):
        stage = DOCKERFILE.partition(f"AS {target}\n")[2].partition("\nFROM")[0]
        assert re.findall(r"^USER (\S+)$", stage, re.MULTILINE)[-1] == "10001:10001"
    assert "HEALTHCHECK" in DOCKERFILE
    assert DOCKERFILE.count("--require-hashes") == 2
    ignore = (ROOT / ".dockerignore").read_text("utf-8").split()
    copied = _copied()
    assert len(copied) >= 8
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(f"!{part}" in ignore for part in (source, source.split("/")[0])), source


def _copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_containers_run_no_module_of_infra() -> None:
    manifests = [ROOT / "docker-compose.yml", *(ROOT / "infra/kubernetes").rglob("*.yaml")]
    texts = [DOCKERFILE, *(path.read_text("utf-8") for path in manifests)]
    assert not re.findall(r"-m\W+infra\.\w+", "\n".join(texts))


def test_compose_itself_accepts_the_file(tmp_path: Path) -> None:
    command = next(
        (
            words
            for words in (["docker", "compose"], ["docker-compose"])
            if shutil.which(words[0])
            and not subprocess.run([*words, "version"], capture_output=True).returncode
        ),
        [],
    )
    require(command, "docker compose (Debian: apt install docker-compose)")
    nothing = tmp_path / "env"
    nothing.touch()
    check = [*command, "--env-file", str(nothing), "-f", str(ROOT / "docker-compose.yml")]
    bare = {k: v for k, v in os.environ.items() if k != "POSTGRES_PASSWORD"}
    for env in (bare, {**bare, "POSTGRES_PASSWORD": "s3cret"}):
        done = subprocess.run(
            [*check, "config", "-q"], env=env, capture_output=True, text=True, cwd=ROOT / "tests"
        )
        assert done.returncode == 0, done.stderr
