"""Build a wheel that has the models, for `pipx install` (`make wheel`).

It needs no network after installation. Its requirements are the ranges of requirements/run.in. The
last line on standard output is the path of the wheel.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "dist"
SOURCES = (
    *("services", "shared", "models/__init__.py", "models/artefacts", "requirements"),
    *("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE"),
)
"""What setup.py puts into the wheel, and reads."""


def main() -> int:
    """Build the wheel in build/dist and print its path last."""
    wheel = build_wheel(FOLDER)
    print(f"{wheel.stat().st_size / 1e6:.0f} MB", file=sys.stderr)
    print(wheel)
    return 0


def build_wheel(folder: Path) -> Path:
    """Build the wheel into a folder, from a copy of the sources, so that it has no stale files."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="source-") as scratch:
        source = Path(scratch)
        ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")
        for name in SOURCES:
            path = ROOT / name
            if path.is_dir():
                shutil.copytree(path, source / name, ignore=ignore)
            else:
                (source / name).parent.mkdir(exist_ok=True)
                shutil.copy(path, source / name)
        build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
        done = subprocess.run(
            [sys.executable, "-c", build, "dist"],
            cwd=source,
            env={**os.environ, "SOURCE_DATE_EPOCH": "315532800"},  # 1980 is the first year in a zip
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"wheel: setuptools failed:\n{done.stderr}")
        (built,) = (source / "dist").glob("smallprint-*.whl")
        return built.replace(folder / built.name)


if __name__ == "__main__":
    sys.exit(main())
