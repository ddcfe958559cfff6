"""Which adapters are installed, by their folders alone: nothing of them is loaded.

    <folder>/<name>/<version>/manifest.json

So a service that runs no model, and the help of a command, can name them.
"""

from __future__ import annotations

from pathlib import Path

MANIFEST_FILE = "manifest.json"


def adapter_names(*folders: Path) -> list[str]:
    """Return the names of all adapters in some folders, which need not be there."""
    found = (path for folder in folders for path in folder.glob(f"*/*/{MANIFEST_FILE}"))
    return sorted({path.parent.parent.name for path in found})
