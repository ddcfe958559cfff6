"""The wheel has everything that smallprint reads, and works alone, without a network."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.release.field_bundle import pip
from tests.support import ROOT, require

NO_NETWORK = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
"""Runs a command that can reach only its own machine."""

SERVE = """
import json, subprocess, sys, urllib.request
import smallprint

command = [sys.argv[1], "serve", "--port", "0", "--json"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as suite:
    try:
        served = json.loads(suite.stdout.readline())
        page = urllib.request.urlopen(served["url"]).read().decode()
        with smallprint.Client(served["url"], served["key"]) as client:
            document = client.wait(client.upload(sys.argv[2]).id)
            found = [clause.category for clause in client.clauses(document.id)]
    finally:
        suite.terminate()
print(json.dumps({"page": page, "outcome": document.outcome, "clauses": found}))
"""


@dataclass
class Installation:
    """An environment with only smallprint in it, and the home of its user."""

    environment: Path
    home: Path

    def run(self, *command: str | Path) -> Any:
        """Run one of its programs in the user's home, without a network. Return its JSON."""
        program, *rest = command
        done = subprocess.run(
            [*NO_NETWORK, self.environment / "bin" / program, *rest],
            cwd=self.home,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def wheel() -> Path:
    command = [sys.executable, "-m", "infra.release.wheel"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return Path(built.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    allowed = not subprocess.run([*NO_NETWORK, "true"], capture_output=True, check=False).returncode
    require(allowed, "network namespaces (unshare -rn, ip)")
    folder = tmp_path_factory.mktemp("wheel")
    environment, home = folder / "environment", folder / "home"
    home.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    command = [*pip(), "--python", str(environment), "install", "--quiet", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    require(done.returncode == 0, f"a package registry, to install the wheel: {done.stderr[-300:]}")
    return Installation(environment, home)


def _example(installed: Installation, name: str) -> Path:
    return Path(shutil.copy(ROOT / "docs/tutorials/examples" / name, installed.home))


def test_the_wheel_has_every_file_that_the_suite_may_read(wheel: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "services", "shared", "models/artefacts"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    assert len(tracked) > 500
    assert not set(tracked) - packed
    assert {name.partition("/")[0] for name in packed if ".dist-info" not in name} == {
        *("services", "shared", "models", "smallprint")
    }


def test_the_commands_work_without_checkout_and_network(installed: Installation) -> None:
    contract = _example(installed, "supply-agreement.txt")
    report = _example(installed, "balance-sheet.csv")
    checks = {
        check["name"]: check for check in installed.run("smallprint", "doctor", "--json")["checks"]
    }
    assert {checks[name]["state"] for name in ("packages", "base", "adapter", "probe")} == {"good"}
    extracted = installed.run("smallprint", "extract", contract, "--json")
    assert "Governing Law" in {clause["category"] for clause in extracted["clauses"]}
    assert installed.run("smallprint", "triage", report, "--json")["flagged"]


def test_the_suite_reads_an_upload_and_keeps_its_data_with_the_user(
    installed: Installation,
) -> None:
    contract = _example(installed, "supply-agreement.txt")
    script = installed.home / "serve.py"
    script.write_text(SERVE, "utf-8")

    served = installed.run("python", script, installed.environment / "bin/smallprint", contract)
    assert "<html" in served["page"]
    assert served["outcome"] == "complete"
    assert "Governing Law" in served["clauses"]
    assert (installed.home / ".local/share/smallprint/ingest.db").is_file()
    assert not (installed.home / "var").exists()
