"""A document seen from outside: one trace, one id in every log, and no word or secret in either.

On the embedded edition, and on separate processes over a real Kafka broker.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from infra.servers import kafka
from services.cli.output.document_status import read_metrics
from tests.architecture.source import SERVICES
from tests.fakes.trace_collector import Received
from tests.support import ROOT, artefacts, require
from tests.support.samples import report
from tests.system.tracing import FRONTIER_KEY, NAME, PASSWORD, WAY, WORDS, Traced, traced

pytestmark = pytest.mark.slow


@dataclass
class Travelled:
    suite: Traced
    document: str
    edition: str


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def travelled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Travelled]:
    artefacts()
    if request.param == "kafka":
        lacking = kafka.missing()
        require(not lacking, lacking or "")
    folder = tmp_path_factory.mktemp("traced")
    with traced(folder, kafka=request.param == "kafka") as suite:
        yield Travelled(suite, suite.travel(), request.param)


def test_upload_and_decision_and_all_between_are_one_trace(travelled: Travelled) -> None:
    suite, document = travelled.suite, travelled.document
    trace = suite.trace(document)
    assert {(one.service, one.name) for one in trace} >= set(WAY)
    assert set(SERVICES) <= {one.service for one in trace}
    about = [
        s for s in suite.collector.spans if s.attributes.get("smallprint.document") == document
    ]
    mine = {one.trace for one in about if one.name in {name for _, name in WAY}}
    assert mine == {trace[0].trace}
    known = {one.id for one in trace}
    roots = [one.name for one in trace if one.parent not in known]
    assert roots == ["POST /v1/documents" if travelled.edition == "embedded" else "proxy ingest"]
    assert not suite.collector.refused


def test_the_decision_hangs_on_the_document_and_is_linked_to_its_request(
    travelled: Travelled,
) -> None:
    trace = travelled.suite.trace(travelled.document)
    (decided,) = [one for one in trace if one.name == "decide"]
    asked = {s.trace for s in travelled.suite.collector.spans if s.name == "POST /v1/decisions"}
    assert set(decided.links) <= asked
    assert decided.links
    heard = [one for one in trace if one.name == "review.decided.v1"]
    assert heard
    assert {one.parent for one in heard} == {decided.id}


ALLOWED = re.compile(
    r"[0-9a-z]{1,8}_?[0-9a-f]{8,64}"  # ids
    r"|[a-z0-9.+-]{1,40}"  # names of our own, versions, verdicts
    r"|/[a-z0-9/{}._-]*"  # routes
    r"|GET|POST|PUT|PATCH|DELETE|HEAD|_OTHER"
)


def test_spans_have_ids_and_no_word_of_a_document(travelled: Travelled) -> None:
    sent = b"".join(travelled.suite.collector.bodies)
    key = travelled.suite.key
    for secret in (WORDS, NAME, "Northwind", "New York", key, key[-20:], FRONTIER_KEY, PASSWORD):
        assert secret.encode() not in sent, secret
    for span in travelled.suite.collector.spans:
        for name, value in span.attributes.items():
            assert not isinstance(value, str) or ALLOWED.fullmatch(value), (span.name, name, value)


def _lines(travelled: Travelled) -> list[dict[str, Any]]:
    return [json.loads(line) for line in travelled.suite.log().splitlines() if line[:1] == "{"]


def test_one_id_finds_a_document_in_the_logs_of_all_services(travelled: Travelled) -> None:
    trace = travelled.suite.trace(travelled.document)[0].trace
    mine = [line for line in _lines(travelled) if line.get("document") == travelled.document]
    if travelled.edition == "kafka":
        assert {line["service"] for line in mine} == set(SERVICES)
    of_trace = [line for line in mine if line.get("trace_id") == trace]
    heard = {line.get("type") for line in of_trace}
    assert heard >= {
        "document.ingested.v1",
        "document.read.v1",
        "clauses.extracted.v1",
        "escalation.requested.v1",
        "escalation.answered.v1",
        "review.decided.v1",
        "document.ended",
    }
    assert {line["tenant"] for line in of_trace} == {"default"}


def test_no_secret_and_no_word_of_a_document_is_in_a_log(travelled: Travelled) -> None:
    log = travelled.suite.log()
    assert travelled.document in log
    key = travelled.suite.key
    for secret in (key, key[-20:], FRONTIER_KEY, PASSWORD, WORDS, "Bearer "):
        assert secret not in log, secret
    assert not re.search(r"sp_[0-9a-f]{16}_", log)


def test_a_waiting_event_says_how_long_it_waited(travelled: Travelled) -> None:
    trace: list[Received] = travelled.suite.trace(travelled.document)
    events = [one for one in trace if one.name.endswith(".v1")]
    assert events
    assert all(one.attributes["smallprint.waited_seconds"] >= 0 for one in events)
    assert all(one.attributes["smallprint.attempt"] >= 1 for one in events)


def _status(travelled: Travelled, *arguments: str) -> str:
    client = travelled.suite.client
    command = [sys.executable, "-m", "services.cli", "status", *arguments]
    done = subprocess.run(
        [*command, "--url", str(client.base_url).rstrip("/")],
        cwd=ROOT,
        env={**os.environ, "SMALLPRINT_KEY": travelled.suite.key},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_status_says_where_a_document_is(travelled: Travelled) -> None:
    line = json.loads(_status(travelled, travelled.document, "--json"))
    assert (line["id"], line["state"], line["silent"]) == (travelled.document, "ended", [])
    assert {stage["service"] for stage in line["stages"]} == set(SERVICES)
    assert {(stage["state"], stage["attempts"]) for stage in line["stages"]} == {("done", 1)}
    assert line["waiting_for_people"] >= 1
    shown = _status(travelled, travelled.document)
    assert shown.splitlines()[0].startswith(f"{NAME}  ({travelled.document})  contract, complete")
    assert "wait for review" in shown


def test_status_says_what_is_slow(travelled: Travelled) -> None:
    line = json.loads(_status(travelled, "--json"))
    assert {queue["service"] for queue in line["queues"]} == set(SERVICES)
    assert line["silent"] == {"relays": [], "workers": [], "addresses": {}}
    stages = {(stage["service"], stage["stage"]): stage for stage in line["stages"]}
    read = stages["extraction", "document.read.v1"]
    assert read["count"] >= 1
    assert 0 < read["p50"] <= read["p95"]
    assert "95% within" in _status(travelled)


SAMPLED = {
    "documents_total": {"outcome", "kind"},
    "stage_seconds_bucket": {"service", "stage", "le"},
    "queue_age_seconds": {"service"},
    "bus_lag": {"service"},
    "events_in_work": {"service"},
    "dead_letters_total": {"service"},
    "processes": {"service", "role"},
    "tokens_total": {"adapter"},
    "clauses_total": {"route"},
    "findings_total": {"route"},
    "escalation_spend_usd_total": {"provider"},
}
"""The metrics after a contract, a report and a question, with their labels."""
AFTER_CHECKS = ("sample_error_rate", "calibration_drift", "promise_tightened")
"""Metrics with samples once people have checked accepted results, as in tests of extraction and
review."""


def test_every_metric_is_there_after_a_contract_and_a_report(travelled: Travelled) -> None:
    client = travelled.suite.client
    sent = client.post("/v1/documents", files={"file": ("filing.json", report())})
    assert sent.status_code == 202
    path = sent.headers["location"]
    end = time.monotonic() + 300
    while client.get(path).json()["state"] != "ended":
        assert time.monotonic() < end
        time.sleep(0.2)
    text = client.get("/metrics").text
    found = read_metrics(text)
    for name, labels in SAMPLED.items():
        assert found[name], name
        assert {frozenset(sample) for sample, _ in found[name]} == {frozenset(labels)}, name
    for name in ("queue_age_seconds", "bus_lag", "events_in_work", "dead_letters_total"):
        assert {sample["service"] for sample, _ in found[name]} == set(SERVICES), name
    if travelled.edition == "embedded":
        for name in AFTER_CHECKS:
            assert f"# TYPE smallprint_{name} gauge" in text
