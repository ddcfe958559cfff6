"""Make the files of a release in build/release (`make release`).

They are the wheel, the field bundle, the bill of materials, the licences, the changes of this
version, and `SHA256SUMS` with the hash of each. Then `infra/released/` is brought up to date:
OpenAPI, events and migrations must stay compatible with it. The last line on standard output is the
path of the folder.

A release needs a dated section of its version in CHANGELOG.md. The version is in shared/version.py.
"""

from __future__ import annotations

import re
import shutil
import sys
from datetime import UTC, date, datetime
from pathlib import Path

from infra import compatibility
from infra.release import field_bundle, sbom
from infra.release.wheel import build_wheel
from shared.artefacts.loader import sha256
from shared.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "release" / f"smallprint-{VERSION}"


def main() -> int:
    """Make the release of this version. Returns the exit code."""
    try:
        changes = changes_of(VERSION, (ROOT / "CHANGELOG.md").read_text("utf-8"), _today())
    except ValueError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    if compatibility.main():
        return 1
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    (FOLDER / "CHANGES.md").write_text(changes, "utf-8")
    if sbom.main(["--out", str(FOLDER)]):
        return 1
    build_wheel(FOLDER)
    field_bundle.build_bundle(FOLDER)
    write_sums(FOLDER)
    compatibility.keep_as_released()
    _say(f"to publish it, commit infra/released, and tag the commit v{VERSION}")
    print(FOLDER)
    return 0


def changes_of(version: str, changelog: str, today: date) -> str:
    """The section of a version in the changelog, without its heading.

    Raises ValueError unless the newest section is of this version, with a date until today.
    """
    _, *sections = re.split(r"^## ", changelog, flags=re.MULTILINE)
    heading, _, text = (sections[0] if sections else "").partition("\n")
    name, _, when = heading.partition(" - ")
    if name != version:
        raise ValueError(
            f"the newest section of CHANGELOG.md is {heading or 'missing'}: head it"
            f" `## {version} - {today}`, or change VERSION in shared/version.py"
        )
    try:
        dated = date.fromisoformat(when)
    except ValueError:
        raise ValueError(f"CHANGELOG.md has no date for {version}: write `- {today}`") from None
    if dated > today:
        raise ValueError(f"CHANGELOG.md dates {version} {dated}, after today ({today})")
    return text.strip() + "\n"


def write_sums(folder: Path) -> None:
    """Write the hash of each file into SHA256SUMS, for `sha256sum --check`."""
    lines = [f"{sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(lines), "utf-8")


def _today() -> date:
    return datetime.now(UTC).date()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
