"""Killed at random moments, either edition loses nothing and does nothing twice.

`CRASH_KILLS` and `CRASH_DOCUMENTS` make it longer; the full show is `python -m
tests.system.crash.kill`.
"""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.servers.kafka import missing
from tests.support import require
from tests.system.crash.kill import InOneProcess, Separate, run

KILLS = int(os.environ.get("CRASH_KILLS", "3"))
DOCUMENTS = int(os.environ.get("CRASH_DOCUMENTS", "6"))
SEED = int(os.environ.get("CRASH_SEED", "1"))


def test_every_accepted_document_ends_once_whatever_is_killed(tmp_path: Path) -> None:
    """Accepted = ended, each result once, each with one item, after kill -9 at random moments."""
    report = run(InOneProcess(tmp_path), KILLS, DOCUMENTS, SEED)
    assert len(report.kills) == KILLS
    assert report.good, "\n".join(report.table())


@pytest.mark.kafka
@pytest.mark.slow
def test_the_same_holds_for_separate_processes_on_kafka(tmp_path: Path) -> None:
    """Whichever process dies, broker and origin included, the others make up for it."""
    require(find_spec("kafka"), "separate processes need the package kafka-python")
    lacking = missing()
    require(lacking is None, lacking or "")
    report = run(Separate(tmp_path), KILLS, DOCUMENTS, SEED)
    assert report.good, "\n".join(report.table())
