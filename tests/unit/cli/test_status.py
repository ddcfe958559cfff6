"""The output of `smallprint status`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.cli.output.document_status import (
    BEGINS,
    Pace,
    Queue,
    SilentProcesses,
    document_line,
    document_table,
    overview_line,
    overview_table,
    paces,
    queues,
    read_metrics,
    silent_processes,
    stages,
)
from services.cli.output.event_names import NAMES, event_name
from shared.client import Document, Journal
from shared.events import TYPES, DocumentIngested
from tests.support.samples import document_json

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def _ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


def _work(service: str, handles: list[str], announced: list[Any], received: list[Any]) -> Journal:
    return Journal.of(
        {"service": service, "handles": handles, "announced": announced, "received": received}
    )


def _announced(event: str, kind: str, created: float, sent: float | None) -> dict[str, Any]:
    sent_at = _ago(sent) if sent is not None else None
    return {"event": event, "type": kind, "created": _ago(created), "sent": sent_at}


def _received(event: str, kind: str, state: str, since: float, **more: Any) -> dict[str, Any]:
    first = {"event": event, "type": kind, "state": state, "worker": "host/7"}
    times = {"first_seen": _ago(since), "since": _ago(since), "attempts": 1, "failures": 0}
    return {**first, **times, "error": None, "next_try": None, **more}


INGESTED, READ, FOUND = "document.ingested.v1", "document.read.v1", "clauses.extracted.v1"
WORKS = [
    _work(
        "ingest",
        [INGESTED, FOUND],
        [_announced("e1", INGESTED, 300, 299), _announced("e2", READ, 200, 199)],
        [_received("e1", INGESTED, "done", 200, first_seen=_ago(260))],
    ),
    _work(
        "extraction",
        [READ],
        [_announced("e3", FOUND, 50, None)],
        [
            _received(
                "e2",
                READ,
                "retrying",
                150,
                attempts=3,
                failures=2,
                error="the model is away",
                next_try=(NOW + timedelta(seconds=40)).isoformat(),
            )
        ],
    ),
    _work("triage", [READ], [], []),
]
DOCUMENT = Document.of(
    document_json(
        name="lease\x1b[31m.pdf",
        state="processing",
        outcome=None,
        created=_ago(300),
        updated=_ago(200),
        ended=None,
        warnings=["page 2 is a scan"],
    )
)


def test_each_event_stands_somewhere_with_each_service_that_works_on_it() -> None:
    found = [(one.service, one.type, one.state) for one in stages(WORKS)]
    assert found == [
        ("ingest", INGESTED, "done"),
        ("extraction", READ, "retrying"),
        ("triage", READ, "on_the_bus"),
        ("extraction", FOUND, "unsent"),
    ]
    assert [one.is_open for one in stages(WORKS)] == [False, True, True, True]


def test_a_person_reads_who_has_it_and_what_went_wrong() -> None:
    shown = list(document_table(DOCUMENT, stages(WORKS), 2, ["review"], NOW))
    text = "\n".join(shown)
    assert shown[0].startswith("lease\N{REPLACEMENT CHARACTER}[31m.pdf  (doc_1)  contract")
    assert "3 tries, next try in 40 s" in text
    assert "    the model is away" in shown
    assert shown[1] == "  uploaded 2026-03-04 11:55:00 UTC by ann, processing for 3 min"
    assert "  ! page 2 is a scan" in shown
    assert re.search(r"done +2026-03-04 11:56:40 +took 60 s", text)
    assert re.search(r"on the bus +2026-03-04 11:56:41 +for 3 min", text)
    assert "2 items wait for review" in text
    assert "review does not answer" in text
    line = document_line(DOCUMENT, stages(WORKS), 2, ["review"])
    assert [one["state"] for one in line["stages"]][1:3] == ["retrying", "on_the_bus"]
    assert line["stages"][1]["next_try"] == (NOW + timedelta(seconds=40)).isoformat()


def test_a_restarted_document_is_read_by_its_heads() -> None:
    events = [("e1", INGESTED, 300), ("e2", READ, 290), ("e8", INGESTED, 90), ("e9", READ, 80)]
    announced = [_announced(event, kind, ago, ago) for event, kind, ago in events]
    heard = [_received(event, kind, "done", ago) for event, kind, ago in events]
    works = [
        _work("ingest", [INGESTED], announced, heard[::2]),
        _work("triage", [INGESTED, READ], [], heard),
    ]
    rows = list(document_table(DOCUMENT, stages(works), 0, [], NOW))[3:]
    assert rows[0].split() == ["service", "event", "state", "since", "(UTC)"]
    assert [row.split()[0] for row in rows[1:]] == [
        *("ingest", "triage", "triage"),
        *("new", "ingest", "triage", "triage"),
    ]
    assert rows[4] == "  new attempt"
    assert rows[0].index("state") == rows[1].index("done")
    assert rows[0].index("since") == rows[1].index("2026")
    assert DocumentIngested.type == BEGINS
    assert len(list(document_table(DOCUMENT, [], 0, [], NOW))) == 3


def test_a_person_reads_when_who_has_it_was_last_seen() -> None:
    has = _received("e1", INGESTED, "working", 90, seen=_ago(6))
    older = _received("e2", READ, "working", 90)
    works = [_work("ingest", [INGESTED], [], [has]), _work("triage", [READ], [], [older])]
    shown = list(document_table(DOCUMENT, stages(works), 0, [], NOW))
    assert [row.split("  ")[-1] for row in shown[4:]] == ["host/7, last seen 6 s ago", "host/7"]
    line = document_line(DOCUMENT, stages(works), 0, [])
    assert [one["seen"] for one in line["stages"]] == [_ago(6), None]


METRICS = """\
# TYPE smallprint_bus_lag gauge
smallprint_bus_lag{service="review"} 3.0
smallprint_bus_lag{service="ingest"} 0.0
smallprint_events_in_work{service="ingest"} 1.0
smallprint_events_in_work{service="triage"} 0.0
smallprint_queue_age_seconds{service="ingest"} 12.5
smallprint_dead_letters_total{service="triage"} 2.0
smallprint_stage_seconds_bucket{le="1.0",service="ingest",stage="a"} 5.0
smallprint_stage_seconds_bucket{le="2.0",service="ingest",stage="a"} 10.0
smallprint_stage_seconds_bucket{le="+Inf",service="ingest",stage="a"} 10.0
smallprint_stage_seconds_bucket{le="+Inf",service="ingest",stage="never"} 0.0
python_info{version="3"} 1.0
"""


def test_what_is_slow_is_read_from_metrics() -> None:
    samples = read_metrics(METRICS)
    assert [(one.service, one.lag) for one in queues(samples)] == [
        ("review", 3),
        ("ingest", 0),
        ("triage", None),
    ]
    (pace,) = paces(samples)
    assert (pace.stage, pace.count, pace.p50, pace.p95) == ("a", 10, 1.0, 1.9)
    silent = silent_processes(samples)
    shown = "\n".join(overview_table(queues(samples), [pace], [DOCUMENT], NOW, silent))
    assert "12 s" in shown
    assert re.search(r"ingest +0 +1 +12 s +0", shown)
    assert re.search(r"review +3 +\? +\? +0", shown)
    assert re.search(r"triage +\? +0 +\? +2", shown)
    assert "doc_1  processing  for 5 min" in shown
    assert "smallprint dead-letters list" in shown
    empty = [Queue("ingest", 0, 0, None, 0)]
    shown = "\n".join(overview_table(empty, [], [], NOW, SilentProcesses()))
    assert ("all are empty" in shown, "ingest" in shown) == (True, False)
    assert "no documents in progress" in "\n".join(overview_table([], [], [], NOW, silent))


def test_every_event_has_a_plain_name() -> None:
    assert set(NAMES) == set(TYPES)
    assert event_name("other.thing.v2") == "other.thing.v2"


def test_a_relay_that_can_not_count_what_waits_is_named() -> None:
    waiting = queues(read_metrics(METRICS))
    text = "! the queue of triage is unknown: its relay can't reach its database or the broker"
    assert text in "\n".join(overview_table(waiting, [], [], NOW, SilentProcesses()))
    silent = SilentProcesses(relays=("triage",))
    assert "can't reach" not in "\n".join(overview_table(waiting, [], [], NOW, silent))


PROCESSES = """\
smallprint_processes{role="relay",service="ingest"} 1.0
smallprint_processes{role="relay",service="extraction"} 1.0
smallprint_processes{role="worker",service="ingest"} 2.0
smallprint_silent_processes{address="http://triage-worker:8090"} 2
smallprint_silent_processes{address="http://triage-relay:8090"} 1
"""


def test_silent_processes_are_named_instead_of_empty_queues() -> None:
    silent = silent_processes(read_metrics(PROCESSES))
    assert silent.relays == ("triage", "review", "escalation")
    assert silent.workers == ("extraction", "triage", "review", "escalation")
    shown = list(overview_table([], [], [], NOW, silent))
    assert "  ! no relay answers of triage, review, escalation: their queues are unknown" in (shown)
    assert any(row.startswith("  ! no worker answers of extraction, triage") for row in shown)
    assert "  ! http://triage-worker:8090 does not answer (2 processes)" in shown
    assert "  ! http://triage-relay:8090 does not answer" in shown
    line = overview_line([], [], [], NOW, silent)
    assert line["silent"]["addresses"] == {
        "http://triage-worker:8090": 2,
        "http://triage-relay:8090": 1,
    }
    services = ("ingest", "extraction", "triage", "review", "escalation")
    every = "".join(
        f'smallprint_processes{{role="{role}",service="{service}"}} 1.0\n'
        for role in ("relay", "worker")
        for service in services
    )
    whole = list(overview_table([], [], [], NOW, silent_processes(read_metrics(every))))
    assert not [row for row in whole if "!" in row]


def _timed(counts: dict[str, int], total: float) -> list[Pace]:
    """The pace of a stage with these cumulative counts by bound, and this total time."""
    rows = [
        f'smallprint_stage_seconds_bucket{{le="{bound}",service="ingest",stage="a"}} {count}.0\n'
        for bound, count in counts.items()
    ]
    of_all = f'smallprint_stage_seconds_sum{{service="ingest",stage="a"}} {total}\n'
    return paces(read_metrics("".join([*rows, of_all])))


@pytest.mark.parametrize(
    ("counts", "total", "cells"),
    [
        ({"1.0": 0, "2.0": 1, "+Inf": 1}, 1.25, "1 +it took 1.2 s"),
        ({"1.0": 0, "2.0": 0, "+Inf": 1}, 400.0, "1 +it took 7 min"),
        ({"1.0": 0, "2.0": 1, "5.0": 4, "+Inf": 4}, 9.0, "4 +1 s to 5 s"),
        ({"1.0": 2, "2.0": 2, "+Inf": 2}, 0.4, "2 +0 s to 1 s"),
        ({"1.0": 0, "2.0": 0, "+Inf": 2}, 9.0, "2 +above 2 s"),
        ({"1.0": 1, "2.0": 1, "+Inf": 2}, 8.4, "2 +4.2 s on average"),
        ({"1.0": 0, "2.0": 5, "+Inf": 5}, 6.0, "5 +1.5 s +1.9 s"),
    ],
)
def test_few_times_have_no_median(counts: dict[str, int], total: float, cells: str) -> None:
    shown = overview_table([], _timed(counts, total), [], NOW, SilentProcesses())
    (row,) = (row for row in shown if " a " in row)
    assert re.fullmatch(rf" +ingest +a +{cells}", row)
