"""The program of an earlier commit, taken from the history of this repository."""

from __future__ import annotations

import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REVISIONS = "services/*/migrations/versions/*.py"


class NoHistoryError(Exception):
    """The commit is not there; the message says why."""


@dataclass(frozen=True)
class Release:
    """A program: where its source lies, and what it is called."""

    folder: Path
    name: str

    @property
    def environment(self) -> dict[str, str]:
        """What makes Python run it, and nothing of the folder in which it is started."""
        return {"PYTHONPATH": str(self.folder), "PYTHONSAFEPATH": "1"}

    def heads(self) -> dict[str, str]:
        """The last revision of each service's database, as the names of its files have it."""
        found: dict[str, str] = {}
        for path in sorted(self.folder.glob(REVISIONS)):
            found[path.relative_to(self.folder).parts[1]] = path.stem.partition("_")[0]
        return found


def today() -> Release:
    """The program of this checkout."""
    return Release(ROOT, "this checkout")


def before_last_revision() -> str:
    """The commit before the one that made the newest revision of a database. Raises NoHistoryError
    where there is no history.
    """
    newest = _git("log", "-1", "--diff-filter=A", "--format=%H", "--", REVISIONS).decode().strip()
    if not newest:
        raise NoHistoryError("no commit here has made a revision: name one with --from")
    return _git("rev-parse", "--short", f"{newest}^").decode().strip()


def taken(commit: str, folder: Path) -> Release:
    """The program of a commit, unpacked into a new folder. Raises NoHistoryError."""
    name = _git("rev-parse", "--short", f"{commit}^{{commit}}").decode().strip()
    folder.mkdir()
    archive = folder.with_suffix(".tar")
    archive.write_bytes(_git("archive", "--format=tar", name))
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    archive.unlink()
    return Release(folder, name)


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, check=False
        )
    except FileNotFoundError:
        raise NoHistoryError("git is not installed") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise NoHistoryError(f"git {arguments[0]}: {said}")
    return done.stdout
