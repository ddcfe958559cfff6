"""A short form of `make chaos`, on a real broker and a real PostgreSQL.

`CHAOS_DOCUMENTS`, `CHAOS_KILLS` and `CHAOS_SEED` make it another.
"""

import os
from importlib.util import find_spec

import pytest

from infra.chaos.run import prove
from infra.kafka import broker
from infra.postgres import cluster
from tests.support import require

DOCUMENTS = int(os.environ.get("CHAOS_DOCUMENTS", "12"))
KILLS = int(os.environ.get("CHAOS_KILLS", "6"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_is_lost_and_nothing_done_twice_whatever_dies() -> None:
    """Every promise holds after kills, stops, a network that fails and a plug that is pulled."""
    require(find_spec("kafka"), "separate processes need the package kafka-python")
    lacking = broker.missing() or cluster.missing()
    require(lacking is None, lacking or "")
    report = prove(SEED, DOCUMENTS, KILLS)
    assert report.good, "\n".join(report.table())
