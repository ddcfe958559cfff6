"""Make an archive that installs the suite on a Linux laptop without a network (`make
field-bundle`).

It has wheels of the hashed run-time packages for CPython 3.11, 3.12 and 3.13, and our wheel with
pages, migrations, base and adapters. `install.sh` installs them, and `manifest.json` has the hash
of every file. The last line on standard output is the path of the archive.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from packaging.markers import Marker
from packaging.tags import Tag, cpython_tags
from packaging.utils import parse_wheel_filename

from infra.release.wheel import build_wheel
from shared.artefacts.loader import sha256
from shared.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
GLIBC = (2, 28)  # oldest C library that the wheels run on: Debian 10, RHEL 8, Ubuntu 20.04
PINS = ("run.txt", "bundle.txt")
NAME = f"smallprint-field-{VERSION}-linux-x86_64"


def main() -> int:
    """Build the archive in var/ and print its path last."""
    print(build_bundle(ROOT / "var"))
    return 0


def build_bundle(target: Path) -> Path:
    """Build the archive in a folder, and return its path."""
    archive = target / f"{NAME}.tar"
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix="bundle-") as scratch:
        folder = Path(scratch) / NAME
        wheels = folder / "wheels"
        wheels.mkdir(parents=True)
        for version in PYTHONS:
            say(f"wheels for Python {version}")
            download(version, wheels)
        say("our own wheel, with the artefacts in it")
        ours = build_wheel(wheels)
        pins = [ROOT / "requirements" / name for name in PINS]
        for path in (*pins, *(ROOT / "infra/field").iterdir(), ROOT / "LICENSE", ROOT / "NOTICE"):
            shutil.copy(path, folder)
        write_manifest(folder, ours)
        pack(folder, archive)
    size = archive.stat().st_size / 1e6
    say(f"{len(list_wheels(archive))} wheels, {size:.0f} MB")
    return archive


def say(line: str) -> None:
    """Print a line to standard error, since standard output has only the path."""
    print(line, file=sys.stderr, flush=True)


def pinned(text: str, version: str) -> list[str]:
    """The lines of a hashed requirements file that apply to Linux x86-64 and this Python.

    pip evaluates markers for its own Python, not for the target. So this function does it instead.
    """
    environment = {
        "implementation_name": "cpython",
        "implementation_version": f"{version}.0",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{version}.0",
        "python_version": version,
        "sys_platform": "linux",
        "extra": "",
    }
    kept = []
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    for line in joined.splitlines():
        requirement, *hashes = re.split(r"\s+(?=--hash=)", line.strip())
        name, _, marker = requirement.partition(";")
        if name and (not marker or Marker(marker).evaluate(environment)):
            kept.append(" ".join([name.strip(), *hashes]))
    return kept


def download(version: str, wheels: Path) -> None:
    """Fetch the wheels of one Python version, each checked against its pinned hash."""
    lines = []
    for name in PINS:
        lines += pinned((ROOT / "requirements" / name).read_text("utf-8"), version)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        command = [*pip(), "download", "--quiet", "--dest", str(wheels), "--requirement", file.name]
        command += ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
        command += ["--implementation", "cp", "--python-version", version]
        for tag in ("cp" + version.replace(".", ""), "abi3", "none"):
            command += ["--abi", tag]
        for platform in platforms():
            command += ["--platform", platform]
        subprocess.run(command, check=True, stdout=sys.stderr)


def platforms() -> list[str]:
    """The platform tags that a machine with this C library accepts, best first."""
    modern = [f"manylinux_{GLIBC[0]}_{minor}_x86_64" for minor in range(GLIBC[1], 4, -1)]
    return [*modern, *(f"manylinux{year}_x86_64" for year in ("2014", "2010", "1"))]


def pip() -> list[str]:
    """The command of a working pip: of this environment, or of its base Python."""
    for python in (sys.executable, sys._base_executable, "python3"):  # type: ignore[attr-defined]
        found = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False)
        if found.returncode == 0:
            return [python, "-m", "pip", "--disable-pip-version-check"]
    raise SystemExit("field-bundle: no pip found; install python3-pip, or run ensurepip")


def write_manifest(folder: Path, ours: Path) -> None:
    """Write the hash of every file, and of the artefacts in our wheel."""
    files = {path.relative_to(folder).as_posix(): sha256(path) for path in _files(folder)}
    with zipfile.ZipFile(ours) as wheel:
        artefacts = {
            name: hashlib.sha256(wheel.read(name)).hexdigest()
            for name in sorted(wheel.namelist())
            if name.startswith("models/artefacts/")
        }
    missing = sorted(version for version in PYTHONS if not _complete(folder / "wheels", version))
    if missing:
        raise SystemExit(f"field-bundle: wheels are missing for Python {', '.join(missing)}")
    manifest = {
        "version": VERSION,
        "platform": f"linux x86-64, glibc {'.'.join(map(str, GLIBC))} or later",
        "pythons": PYTHONS,
        "files": files,
        "artefacts": artefacts,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")


def _complete(wheels: Path, version: str) -> bool:
    """Whether each pinned package has a wheel for this Python."""
    major, minor = map(int, version.split("."))
    accepted = set(cpython_tags((major, minor), platforms=platforms()))
    accepted |= {Tag("py3", "none", p) for p in ("any", *platforms())}
    names = [parse_wheel_filename(path.name) for path in wheels.glob("*.whl")]
    there = {(str(name), str(release)) for name, release, _, tags in names if tags & accepted}
    text = (wheels.parent / "run.txt").read_text("utf-8")
    wanted = {tuple(line.split()[0].split("==")) for line in pinned(text, version)}
    return wanted <= there


def pack(folder: Path, archive: Path) -> None:
    """Write a reproducible archive. It is not compressed, since wheels are."""
    part = archive.with_suffix(".part")
    with tarfile.open(part, "w") as tar:
        for path in _files(folder):
            info = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}")
            info.size = path.stat().st_size
            info.mode = 0o755 if path.suffix == ".sh" else 0o644
            with path.open("rb") as content:
                tar.addfile(info, content)
    part.replace(archive)


def list_wheels(archive: Path) -> list[str]:
    """The wheels in an archive."""
    with tarfile.open(archive) as tar:
        return [name for name in tar.getnames() if name.endswith(".whl")]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


if __name__ == "__main__":
    sys.exit(main())
