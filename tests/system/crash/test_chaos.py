"""Short forms of `make chaos`, on a real broker and a real PostgreSQL.

`CHAOS_DOCUMENTS`, `CHAOS_KILLS` and `CHAOS_SEED` make the first another.
"""

import os
from importlib.util import find_spec

import pytest

from infra.servers import kafka, postgres
from tests.chaos.run import prove
from tests.support import require

DOCUMENTS = int(os.environ.get("CHAOS_DOCUMENTS", "12"))
KILLS = int(os.environ.get("CHAOS_KILLS", "6"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
SEEDS_WITHOUT = (2, 3, 4)
"""For runs without a protection: in one of them nothing may happen that it would prevent."""

TWICE = "no cause the same event twice"
"""In the guarantee of the inbox. An overloaded machine may break others."""


@pytest.fixture
def servers() -> None:
    """A broker and a database that can be started."""
    require(find_spec("kafka"), "separate processes need the package kafka-python")
    lacking = kafka.missing() or postgres.missing()
    require(lacking is None, lacking or "")


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("servers")
def test_nothing_is_lost_and_nothing_done_twice_whatever_dies() -> None:
    """Every guarantee holds after kills, stops, network failures and a power failure."""
    report = prove(SEED, DOCUMENTS, KILLS)
    assert report.good, "\n".join(report.table())


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("servers")
def test_the_checker_sees_what_happens_without_the_inbox() -> None:
    """Every run delivers events twice, so a service without an inbox repeats work."""
    for seed in SEEDS_WITHOUT:
        report = prove(seed, 10, 4, "inbox", keep=False)
        print("\n".join(report.table()))
        if any(one.wrong for one in report.checks if TWICE in one.guarantee):
            break
    else:
        pytest.fail(
            "no event is repeated without the inbox: it still works, or the checker misses it"
        )
    assert not report.good
