"""The folder of a backup that is being made, and what tries before it have left there.

A backup that breaks off leaves the blobs it has copied in `blobs`. The next try sets them aside,
and moves back what it needs: so what lies in `blobs` is what this try has, and nothing else. There
can be millions, so no list of them is kept in memory.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

BLOBS, EARLIER = "blobs", "blobs-earlier"


def keep_blobs(partial: Path) -> None:
    """Of what a backup that broke off has left, keep the blobs alone, in one place."""
    for path in partial.glob("*"):
        if path.name not in (BLOBS, EARLIER):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    earlier = partial / EARLIER
    for folder, _, names in os.walk(earlier):
        for path in (Path(folder, name) for name in names):
            where = partial / BLOBS / path.relative_to(earlier)
            if not where.exists():
                moved(path, where)
    drop_earlier(partial)


def set_aside(partial: Path) -> None:
    """Begin with no blobs, after `keep_blobs`."""
    if (partial / BLOBS).exists():
        (partial / BLOBS).rename(partial / EARLIER)


def drop_earlier(partial: Path) -> None:
    """Remove what is still aside: its documents were deleted since."""
    if (partial / EARLIER).exists():
        shutil.rmtree(partial / EARLIER)


def moved(source: Path, target: Path) -> None:
    """Move a file, over what is there. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
