"""Killed at random moments, the embedded edition loses nothing and does nothing twice.

`CRASH_KILLS` and `CRASH_DOCUMENTS` make it longer; the full show is `python -m tests.crash.kill`.
"""

import os
from pathlib import Path

from tests.crash.kill import InOneProcess, run

KILLS = int(os.environ.get("CRASH_KILLS", "3"))
DOCUMENTS = int(os.environ.get("CRASH_DOCUMENTS", "6"))
SEED = int(os.environ.get("CRASH_SEED", "1"))


def test_every_accepted_document_ends_once_whatever_is_killed(tmp_path: Path) -> None:
    """Accepted = ended, each result once, each with one item, after kill -9 at random moments."""
    report = run(InOneProcess(tmp_path), KILLS, DOCUMENTS, SEED)
    assert len(report.kills) == KILLS
    assert report.good, "\n".join(report.table())
