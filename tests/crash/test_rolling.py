"""A short form of `python -m infra.rolling`, on a real broker and a real PostgreSQL.

`ROLLING_DOCUMENTS`, `ROLLING_SEED` and `ROLLING_FROM` make it another.
"""

import os
import subprocess
from importlib.util import find_spec

import pytest

from infra.kafka import broker
from infra.postgres import cluster
from infra.rolling.release import NoHistoryError, before_last_revision
from infra.rolling.run import upgrade
from tests.support import ROOT, require

DOCUMENTS = int(os.environ.get("ROLLING_DOCUMENTS", "6"))
SEED = int(os.environ.get("ROLLING_SEED", "1"))
PAUSE, PACE = 0.5, 0.5
"""Seconds: a cluster takes longer to withdraw an address, and people here leave time for others."""

REPEATED = ("upload", "results", "decide")
"""What the product's client tries again by itself. A claim it does not, for that might hold two;
and an older program cuts off whoever waits for a document with a 500 (decision 58)."""


def is_cut_off() -> bool:
    """Whether this is a shallow clone."""
    asked = ["git", "-C", str(ROOT), "rev-parse", "--is-shallow-repository"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() == "true"


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_upgrade_under_load_loses_nothing_and_does_nothing_twice() -> None:
    """The program before the newest revision serves; the databases move on under it, and each of
    its processes is replaced while people upload, wait and decide.
    """
    require(find_spec("kafka"), "separate processes need the package kafka-python")
    lacking = broker.missing() or cluster.missing()
    require(lacking is None, lacking or "")
    commit = os.environ.get("ROLLING_FROM", "")
    try:
        commit = commit or before_last_revision()
    except NoHistoryError as error:
        if is_cut_off():  # a clone without its history, of which `.ci/run` fetches the rest
            pytest.skip(f"an older program is taken from the history: {error}")
        require(False, f"an older program is taken from the history: {error}")
    report = upgrade(commit, SEED, DOCUMENTS, together=True, pause=PAUSE, pace=PACE)
    table = "\n".join(report.table())
    assert report.good, table
    assert report.before != report.after, "no database was migrated: the test shows nothing"
    caller = [one for one in report.during() if one.who == "seen" and one.what in REPEATED]
    assert {one.what for one in caller} >= {"upload", "results"}, table
    assert all(one.good for one in caller), table
