"""Compare the files of this folder with manifest.json. Exit code 0 if all are unchanged.

Runs on any Python 3.11 or later before anything is installed.
"""

import hashlib
import json
import sys
from pathlib import Path


def problems(folder: Path) -> list[str]:
    """Damaged, missing and unknown files, one per line."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    wrong = []
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        else:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                    wrong.append(f"{name} is damaged")
    known = {*manifest["files"], "manifest.json"}
    strange = (p.relative_to(folder).as_posix() for p in (folder / "wheels").iterdir())
    return wrong + [
        f"{name} is not part of this bundle" for name in sorted(strange) if name not in known
    ]


if __name__ == "__main__":
    found = problems(Path(sys.argv[1]))
    for line in found:
        print(f"install: {line}", file=sys.stderr)
    if found:
        print("install: copy the archive again and unpack it into a new folder", file=sys.stderr)
    sys.exit(bool(found))
