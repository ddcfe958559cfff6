"""Which troubles explain a repeated webhook."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.checker import check
from tests.chaos.evidence import Evidence
from tests.chaos.receiver import ReceivedMessage
from tests.chaos.trouble import PastTrouble
from tests.unit.programs.chaos.builders import again, sound


def _unexplained(evidence: Evidence) -> int:
    (one,) = (one for one in check(evidence) if "sent again" in one.guarantee)
    others = [other for other in check(evidence) if other.wrong and other is not one]
    assert {other.guarantee for other in others} <= {one.guarantee}
    return len(one.wrong)


@pytest.mark.parametrize(
    ("hit", "wrong"),
    [
        (PastTrouble("kill -9", "ingest-worker", 3.1, 3.1), 0),
        (PastTrouble("kill -9", "everything", 4.0, 5.0), 0),
        (PastTrouble("kill -9", "ingest-worker", 2.9, 2.9), 1),  # it had not been sent
        (PastTrouble("kill -9", "ingest-worker-2", 9.0, 9.0), 1),  # it had long been written down
        (PastTrouble("kill -9", "extraction-worker", 3.1, 3.1), 1),  # it sends none
        (PastTrouble("drop", "kafka", 3.0, 4.0), 1),
        (PastTrouble("delay", "postgres", 3.0, 4.0), 1),
        (PastTrouble("stop", "ingest-worker-2", 2.0, 12.0), 0),
        (PastTrouble("stop", "ingest-worker-2", 9.0, 19.0), 1),
        (PastTrouble("drop", "postgres", 1.0, 2.0), 0),
        (PastTrouble("kill -9", "postgres", 40.0, 40.0), 1),  # after the repeat
    ],
)
def test_only_trouble_at_that_moment_explains_a_repeat(hit: PastTrouble, wrong: int) -> None:
    evidence = sound()
    again(evidence, 16.0)
    evidence.hits = [hit]
    assert _unexplained(evidence) == wrong


def test_one_trouble_explains_one_repeat() -> None:
    evidence = sound()
    again(evidence, 3.2, 3.4, 3.6)
    evidence.hits = [PastTrouble("kill -9", "ingest-worker", 3.1, 3.1)]
    assert _unexplained(evidence) == 2
    evidence.hits = [PastTrouble("full", "postgres", 1.0, 10.0)]
    assert _unexplained(evidence) == 1


def test_the_plan_explains_no_flood_of_repeats() -> None:
    evidence = sound()
    evidence.messages = [
        ReceivedMessage(f"m{n}", "a", {"document_id": "d"}, 20.0 * n) for n in range(55)
    ]
    evidence.messages += [replace(one, at=one.at + 13.0) for one in evidence.messages]
    hits = [
        PastTrouble("kill -9", "ingest-worker", 20.0 * n + 0.1, 20.0 * n + 0.1) for n in range(5)
    ]
    evidence.hits = hits + [
        PastTrouble("kill -9", "postgres", 20.0 * n + 7.0, 20.0 * n + 7.0) for n in range(55)
    ]
    (one,) = (one for one in check(evidence) if "sent again" in one.guarantee)
    assert len(one.wrong) == 50


def test_a_try_that_failed_explains_a_repeat() -> None:
    evidence = sound()
    tries = evidence.facts.deliveries[2]["attempts"]
    again(evidence, 16.0, of=0)
    assert _unexplained(evidence) == 1
    tries.insert(0, {"error": "timeout: no answer in 2 s"})
    assert _unexplained(evidence) == 0
    evidence.messages.append(evidence.messages.pop(0))
    assert not [one for one in check(evidence) if "are in order" in one.guarantee and one.wrong]
