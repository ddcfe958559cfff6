"""Java servers from jars, which Maven fetches once into a folder below var/."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path


class JarsError(Exception):
    """The jars can't be fetched; the message says why, in one line."""


def missing(what: str, libs: Path) -> str | None:
    """A message about a missing requirement, or None."""
    if shutil.which("java") is None:
        return f"{what} needs Java 17 or newer: there is no `java` on the PATH"
    if not any(libs.glob("*.jar")) and shutil.which("mvn") is None:
        return f"{what}'s jars are fetched by Maven: there is no `mvn` on the PATH"
    return None


def fetch(what: str, pom: Path, libs: Path) -> None:
    """Have Maven copy the jars of `pom` to `libs`, unless they exist. Raises JarsError. Processes
    wait for each other.
    """
    if lacking := missing(what, libs):
        raise JarsError(lacking)
    libs.parent.mkdir(parents=True, exist_ok=True)
    with (libs.parent / "fetching.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        _fetch(what, pom, libs)


def _fetch(what: str, pom: Path, libs: Path) -> None:
    stamp = libs / "pom.xml"
    if stamp.exists() and stamp.read_bytes() == pom.read_bytes():
        return
    shutil.rmtree(libs, ignore_errors=True)
    done = subprocess.run(
        ["mvn", "-q", "-B", "-f", str(pom), "package"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise JarsError(f"Maven can't fetch the jars of {what}: {last_line(done.stdout)}")
    shutil.copy(pom, stamp)


def java(libs: Path, *options: str) -> list[str]:
    """The first part of a Java command with these jars, for a small server."""
    small = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    return ["java", *small, *options, "-cp", f"{libs}/*"]


def last_line(text: str) -> str:
    """The last line of a program's output that looks like an error."""
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line or "Exception" in line]
    return (errors or lines or ["it says nothing"])[0].strip()
