"""The set-up of a virtual environment: short output, stamps, and the reason of a failure.

A stand-in for uv notes its calls and installs two empty packages. pip is the real one.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import ROOT

UV = """#!/bin/sh
[ "$1" != --version ] || exit 0
echo "installing: $*"
[ -z "$UV_ERROR" ] || { echo "error: $UV_ERROR"; exit 2; }
mkdir -p "$SITE/click-1.0.dist-info" "$SITE/pillow-1.0.dist-info"
"""
CLOSED = "http://127.0.0.1:9/simple"


@dataclass
class Setup:
    """One environment, and the programs to make it."""

    folder: Path
    programs: Path

    @property
    def site(self) -> Path:
        """Its folder of packages."""
        version = f"python3.{sys.version_info.minor}"
        return self.folder / "lib" / version / "site-packages"

    @property
    def log(self) -> str:
        """The log of the last run."""
        return self.folder.with_name(self.folder.name + ".log").read_text("utf-8")

    def __call__(self, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run the set-up."""
        ours = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PYTHON": sys.executable,
            "SITE": str(self.site),
        }
        return subprocess.run(
            [ROOT / "infra/setup.sh", self.folder, "run"],
            env=os.environ | ours | settings,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    programs = tmp_path / "programs"
    programs.mkdir()
    uv = programs / "uv"
    uv.write_text(UV)
    uv.chmod(0o755)
    return Setup(tmp_path / "environment", programs)


def test_a_good_setup_prints_two_lines_and_the_next_one_nothing(setup: Setup) -> None:
    done = setup()
    assert done.returncode == 0, done.stderr
    start, end = done.stderr.splitlines()
    assert str(setup.folder) + ".log" in start
    assert str(setup.folder / "bin/smallprint") in end
    assert "--require-hashes" in setup.log
    assert "--reinstall" not in setup.log
    again = setup()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_a_missing_package_is_installed_again(setup: Setup) -> None:
    setup()
    (setup.site / "click-1.0.dist-info").rmdir()
    assert len(setup().stderr.splitlines()) == 2
    assert (setup.site / "click-1.0.dist-info").is_dir()


def test_after_an_interrupted_setup_everything_is_installed_again(setup: Setup) -> None:
    assert setup(UV_ERROR="cut off", PIP_NO_INDEX="1").returncode == 1
    assert setup().returncode == 0
    assert "--force-reinstall" in setup.log
    assert setup().stderr == ""


def test_an_environment_without_its_python_is_made_again(setup: Setup) -> None:
    setup()
    (setup.folder / "bin/python").unlink()
    assert setup().returncode == 0
    assert (setup.folder / "bin/python").exists()


def test_pip_installs_if_uv_fails_and_its_error_is_the_reason(setup: Setup) -> None:
    done = setup(UV_ERROR="no space", PIP_NO_INDEX="1")
    assert done.returncode == 1
    assert "No matching distribution found for packaging" in done.stderr
    assert "no space" not in done.stderr
    assert "no space" in setup.log
    assert f"{setup.folder}.log" in done.stderr


def test_an_index_out_of_reach_is_named_as_the_reason(setup: Setup) -> None:
    done = setup(NO_UV="1", PIP_INDEX_URL=CLOSED, PIP_RETRIES="1")
    assert done.returncode == 1
    assert "the package index can't be reached" in done.stderr
    assert len(done.stderr.splitlines()) <= 7
