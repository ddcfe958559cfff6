"""Every service starts where the optional packages are missing, as on a field laptop."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from infra.servers.ports import free_port
from tests.architecture.source import SERVICES
from tests.support import ROOT

OPTIONAL = (
    *("kafka", "psycopg", "boto3", "botocore", "opentelemetry.sdk", "opentelemetry.exporter"),
    *("torch", "transformers", "peft", "onnx", "sklearn", "safetensors"),
)
BLOCK = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if any((name + ".").startswith(one + ".") for one in {OPTIONAL!r}):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""
SECONDS = 180.0
"""Far more than a quiet machine needs; a busy one is not a failure."""


@pytest.fixture
def laptop(tmp_path: Path) -> dict[str, str]:
    """The environment of a fresh interpreter in which the optional packages can't be imported."""
    (tmp_path / "sitecustomize.py").write_text(BLOCK, "utf-8")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SMALLPRINT_", "PYTHON"))}
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    return {**kept, "PYTHONPATH": path, "SMALLPRINT_DATA": str(tmp_path / "data")}


def test_the_packages_are_really_missing_there(laptop: dict[str, str]) -> None:
    """Otherwise the other tests here would show nothing."""
    for name in OPTIONAL:
        done = subprocess.run(
            [sys.executable, "-c", f"import {name}"], env=laptop, capture_output=True, check=False
        )
        assert b"ModuleNotFoundError" in done.stderr
    subprocess.run([sys.executable, "-c", "import onnxruntime, pypdf"], env=laptop, check=True)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_without_the_optional_packages(
    service: str, laptop: dict[str, str]
) -> None:
    """api, worker and relay in one process come up on SQLite and answer that they are ready."""
    port = free_port()
    env = {**laptop, f"SMALLPRINT_{service.upper()}_PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", f"services.{service}", "all"],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert _ready(f"http://127.0.0.1:{port}/readyz", process) == {"status": "ok"}
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors[-2000:]


def test_the_command_starts_without_the_optional_packages(laptop: dict[str, str]) -> None:
    """`smallprint --help` answers, and names what can be done."""
    command = "import sys; from services.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", command, "--help"],
        env=laptop,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "extract" in done.stdout


def test_no_module_that_serves_needs_an_optional_package(laptop: dict[str, str]) -> None:
    """Every module of services and shared can be imported there, but the doors to Kafka and S3."""
    program = """
import importlib, pathlib, sys
names = [".".join(p.with_suffix("").parts).removesuffix(".__init__")
         for top in ("services", "shared") for p in sorted(pathlib.Path(top).rglob("*.py"))
         if "migrations" not in p.parts and p.name != "__main__.py"]
names.remove("shared.bus.kafka")
names.remove("shared.blobs.s3")
for name in names:
    importlib.import_module(name)
print(len(names))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=laptop,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) >= 60


def _ready(url: str, process: subprocess.Popen[str]) -> object:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            answer = httpx.get(url, timeout=5)
            if answer.is_success:
                return answer.json()
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    return f"not ready; exit code {process.poll()}"
