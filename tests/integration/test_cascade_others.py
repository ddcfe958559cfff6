"""Questions about findings, kinds and pages over HTTP: a real suite asks a stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.provider import Labels, StandIn
from tests.integration.test_cascade import Cascade
from tests.integration.test_road import _until
from tests.support.samples import contract, report

POLICY = """
# STAND-IN FRONTIER: no model answers here.
[providers.stand-in]
protocol = "openai"
model = "stand-in"
url = "{url}"
key_env = "CASCADE_TEST_KEY"
price = {{ input = "3", output = "15", as_of = 2026-01-31 }}
seconds = 20

[tenants.default]
providers = ["stand-in"]
external_kinds = ["contract", "report", "other"]
day_usd = "20"
month_usd = "50"
mistake_usd = "100"

[tenants.default.findings]
broken = 0.005                  # so rare that a sure finding is right in about every second case
"""
WRONG, RIGHT = "1,110,368", "1,101,368"
"""Total assets of `report()`, with two digits exchanged, and without."""
FIGURES = (
    "Balance sheet. Total assets 500. Net income 30. Revenue 900. Cash flows from operations. "
)
BOTH = contract().decode() + FIGURES * 10
"""A contract with so much of a report in it that its kind is unsure."""
SHOWS = "Balance sheet. Total assets 500."


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cascade]:
    labels = Labels(errors={WRONG: RIGHT}, kinds=[("report", SHOWS)])
    with StandIn(labels) as stand_in:
        rules = POLICY.format(url=stand_in.url)
        made = Cascade(tmp_path_factory.mktemp("cascade"), stand_in, rules)
        yield made
        made.close()


def answered(cascade: Cascade, document: str, category: str) -> Any:
    """The item of a document in a category, once it has an answer."""

    def look() -> Any:
        return [one for one in cascade.items(document) if one["category"] == category]

    (item,) = _until(look, lambda found: found and found[0]["proposal"])
    return item


def asked(cascade: Cascade, part: str) -> list[dict[str, Any]]:
    sent = [json.loads(request.turns[0]) for request in cascade.stand_in.requests]
    return [one for one in sent if part in one]


def test_a_finding_is_asked_about_and_its_answer_stands_beside_it(cascade: Cascade) -> None:
    document = cascade.suite.upload("acme.json", report(), "report")
    assert cascade.suite.ended(document)["outcome"] == "complete"
    (found,) = cascade.suite.get(f"/v1/documents/{document}/findings").json()["items"]
    assert (found["reported"], found["route"]) == (1_110_368, "escalate")
    item = answered(cascade, document, found["check"])
    assert (item["result_id"], item["route"], item["state"]) == (found["id"], "escalate", "waiting")
    proposal = item["proposal"]
    assert (proposal["verdict"], proposal["stand_in"]) == ("error", True)
    assert [float(proposal[name]) for name in ("expected", "total")] == [1_101_368, 1_101_368]
    assert proposal["cell"]["row"] == found["row"]
    (sent,) = asked(cascade, "tables")
    assert f"Total assets | {WRONG} | {RIGHT}" in sent["tables"]
    assert "Acme" not in json.dumps(sent)
    metrics = cascade.suite.get("/metrics").text
    assert 'smallprint_findings_total{route="escalate"}' in metrics
    listed = cascade.suite.get("/v1/escalations/proposals").json()["items"]
    (entry,) = [one for one in listed if one["document_id"] == document]
    assert (entry["subject"], entry["total"], entry["stage"]) == ("finding", 1_101_368, "triage")
    assert entry["usd"] > 0


def test_a_report_is_in_the_books_with_what_was_paid_about_it(cascade: Cascade) -> None:
    document = cascade.suite.upload("acme-books.json", report("acme-books", offset=7), "report")
    assert cascade.suite.ended(document)["outcome"] == "complete"

    def of(by: str, key: str) -> Any:
        groups = cascade.suite.get(f"/v1/costs?by={by}").json()["groups"]
        return next((one for one in groups if one["key"] == key), None)

    mine = _until(lambda: of("document", document), lambda one: one and one["documents"])
    assert 0 < mine["seconds"] < 60
    assert mine["tokens_read"] > 200
    assert 0 < mine["machine_usd"] < mine["frontier_usd"]
    kind, adapter = of("kind", "report"), of("adapter", "triage-breaks")
    assert kind["documents"] == adapter["documents"] >= 1
    assert kind["tokens_read"] >= mine["tokens_read"]


def test_the_kind_of_a_document_is_asked_and_a_person_says_it(cascade: Cascade) -> None:
    document = cascade.suite.upload("both.txt", BOTH.encode())
    item = answered(cascade, document, "document_kind")
    assert (item["proposal"]["verdict"], item["proposal"]["subject"]) == ("report", "kind")
    assert [quote["text"] for quote in item["proposal"]["quotes"]] == [SHOWS]
    assert cascade.suite.get(f"/v1/documents/{document}").json()["kind"] == "contract"
    cascade.suite.post("/v1/items/claim", json={"item": item["id"]}).raise_for_status()
    wish = {"item": item["id"], "verdict": "correct", "correction": {"category": "report"}}
    cascade.suite.post("/v1/decisions", json=wish).raise_for_status()
    _until(
        lambda: cascade.suite.get(f"/v1/documents/{document}").json()["kind"],
        lambda kind: kind == "report",
    )
    rates = cascade.suite.get("/v1/decisions/proposal-rates").json()["items"]
    (rate,) = [one for one in rates if one["about"] == "kind"]
    assert (rate["answer"], rate["checked"], rate["wrong"]) == ("denied", 1, 0)
