"""The typed client against a network that is a function: retries, errors, lists, uploads."""

from __future__ import annotations

import base64
import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import httpx
import pytest
import smallprint
from smallprint import results

from services.extraction.api import (
    ClauseOut,
    DocumentValueOut,
    FoundValueOut,
    PresenceOut,
    ValueOut,
)
from services.ingest.retention.api import TombstoneView
from services.ingest.schemas import DocumentView, KeyView, ProgressView
from services.ingest.search.api import HitClauseView, HitView, MarkView
from services.ingest.webhooks.schemas import AttemptView, DeliveryView, WebhookView
from services.review.api import DecisionOut, ErrorRateOut, ItemOut
from services.review.insights import AgeOut, CategoryVerdictsOut, DayVerdictsOut, InsightsOut
from services.triage.api.findings import (
    BoxOut,
    CellOut,
    ColumnOut,
    ConceptOut,
    CoverageOut,
    DismissedOut,
    FilingOut,
    FindingOut,
    ModelOut,
    OpenRelationOut,
    PositionOut,
    RowOut,
    StatementOut,
)
from services.triage.api.history import ComparedOut, DifferenceOut, HistoryOut
from services.triage.api.reports import ReportOut
from services.triage.api.signals import FlagOut, InputOut, PeerRangeOut, PriorRatioOut, SignalOut
from shared.monitoring.api import MonitorOut, MonitorsOut, NoticeOut
from shared.web.app import problem
from tests.support import ROOT
from tests.support.samples import document_json

DOCUMENT = document_json(
    outcome="partial",
    reasons=["page 2: no_text_layer: an image"],
    failed_pages=[{"page": 2, "code": "no_text_layer", "reason": "an image"}],
    a_field_of_a_newer_service=True,
)
DECISION: dict[str, Any] = {
    "id": "de_1",
    "item_id": "it_1",
    "document_id": "doc_1",
    "result_id": "cl_1",
    "verdict": "accept",
    "actor": "ann",
    "time": "2026-01-02T03:04:05Z",
}
Answer = httpx.Response | Exception


class Network:
    """Gives the chosen answers in order, and records requests and pauses."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.bodies: list[bytes] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.bodies.append(request.read())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, retries: int = 4, patience: float = 3600.0) -> smallprint.Client:
        """A client that has no other network, and does not really sleep."""
        client = smallprint.Client(
            "http://origin",
            "sp_key",
            retries=retries,
            patience=patience,
            transport=httpx.MockTransport(self),
        )
        client.sleep = self.pauses.append
        return client


def ok(body: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=body)


def bad(status: int, code: str = "trouble", **headers: str) -> httpx.Response:
    """A problem, exactly as our applications write it."""
    answer = problem(status, code, "what happened", document="doc_1", headers=headers)
    return httpx.Response(status, content=bytes(answer.body), headers=dict(answer.headers))


def test_a_document_is_typed() -> None:
    network = Network(ok(DOCUMENT))
    document = network.client().document("doc_1")
    assert document.created.isoformat() == "2026-01-02T03:04:05+00:00"
    assert document.failed_pages == (smallprint.FailedPage(2, "no_text_layer", "an image"),)
    assert document.reasons == ("page 2: no_text_layer: an image",)
    [request] = network.requests
    assert request.headers["authorization"] == "Bearer sp_key"
    assert request.url.path == "/v1/documents/doc_1"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (results.Document, DocumentView),
        (results.Progress, ProgressView),
        (results.Key, KeyView),
        (results.Webhook, WebhookView),
        (results.Delivery, DeliveryView),
        (results.DeliveryAttempt, AttemptView),
        (results.Item, ItemOut),
        (results.Decision, DecisionOut),
        (results.Clause, ClauseOut),
        (results.Value, FoundValueOut),
        (results.ClauseValue, ValueOut),
        (results.DocumentValue, DocumentValueOut),
        (results.Presence, PresenceOut),
        (results.Finding, FindingOut),
        (results.FoundCell, CellOut),
        (results.Position, PositionOut),
        (results.Filing, FilingOut),
        (results.Statement, StatementOut),
        (results.StatementColumn, ColumnOut),
        (results.StatementRow, RowOut),
        (results.Concept, ConceptOut),
        (results.Box, BoxOut),
        (results.Dismissed, DismissedOut),
        (results.TriageModel, ModelOut),
        (results.Coverage, CoverageOut),
        (results.OpenRelation, OpenRelationOut),
        (results.Signal, SignalOut),
        (results.SignalInput, InputOut),
        (results.PriorAmount, PriorRatioOut),
        (results.PeerRange, PeerRangeOut),
        (results.NarrativeFlag, FlagOut),
        (results.Report, ReportOut),
        (results.History, HistoryOut),
        (results.Compared, ComparedOut),
        (results.Difference, DifferenceOut),
        (results.Tombstone, TombstoneView),
        (results.Hit, HitView),
        (results.HitClause, HitClauseView),
        (results.Mark, MarkView),
        (results.Monitor, MonitorOut),
        (results.Notice, NoticeOut),
        (results.Monitors, MonitorsOut),
        (results.ErrorRate, ErrorRateOut),
        (results.Insights, InsightsOut),
        (results.Age, AgeOut),
        (results.DayVerdicts, DayVerdictsOut),
        (results.CategoryVerdicts, CategoryVerdictsOut),
    ],
)
def test_the_client_knows_only_fields_that_exist(ours: Any, theirs: Any) -> None:
    names = {field.name for field in dataclasses.fields(ours)} - {"secret"}
    assert names
    assert names <= set(theirs.model_fields)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, smallprint.Refused),
        (401, smallprint.NotSignedIn),
        (403, smallprint.NotAllowed),
        (404, smallprint.NotFound),
        (409, smallprint.Conflict),
        (412, smallprint.PreconditionFailed),
        (413, smallprint.Refused),
        (415, smallprint.Refused),
        (422, smallprint.Refused),
        (500, smallprint.Unavailable),
        (418, smallprint.ApiError),
    ],
)
def test_each_problem_has_an_exception(status: int, kind: type[Exception]) -> None:
    network = Network(bad(status, "some_code"))
    with pytest.raises(kind, match=r"what happened \(some_code") as caught:
        network.client().document("doc_1")
    error = caught.value
    assert isinstance(error, smallprint.ApiError)
    assert (error.status, error.code, error.document) == (status, "some_code", "doc_1")
    assert len(network.requests) == 1


def test_an_answer_that_is_no_problem_json_is_still_an_error() -> None:
    for answer in (
        httpx.Response(404, html="<h1>Not here</h1>"),
        httpx.Response(404, content=b"{", headers={"content-type": "application/json"}),
        httpx.Response(404, json=["x"]),
    ):
        with pytest.raises(smallprint.NotFound, match="answered 404"):
            Network(answer).client().document("doc_1")
    with pytest.raises(smallprint.ApiError):
        Network(httpx.Response(302, headers={"location": "/"})).client().document("doc_1")


@pytest.mark.parametrize(
    "trouble",
    [
        lambda: bad(503),
        lambda: bad(429),
        lambda: httpx.Response(502),
        lambda: httpx.ConnectError("refused"),
        lambda: httpx.ReadTimeout("slow"),
        lambda: httpx.RemoteProtocolError("cut off"),
    ],
)
def test_what_may_pass_is_tried_again(trouble: Callable[[], Answer]) -> None:
    network = Network(trouble(), trouble(), trouble(), ok(DOCUMENT))
    assert network.client().document("doc_1").id == "doc_1"
    assert len(network.pauses) == 3
    assert 0.12 <= network.pauses[0] <= 0.25
    assert 0.5 <= network.pauses[2] <= 1.0


def test_the_service_says_how_long_to_wait() -> None:
    headers = {"retry-after": "7"}
    network = Network(bad(429, **headers), bad(503, **{"retry-after": "9999"}), ok(DOCUMENT))
    network.client().document("doc_1")
    assert network.pauses == [7.0, 30.0]


def test_an_upload_waits_while_the_queue_is_full(caplog: pytest.LogCaptureFixture) -> None:
    full = [bad(429, "queue_full", **{"retry-after": "10"}) for _ in range(9)]
    network = Network(*full, ok(DOCUMENT))
    assert network.client(retries=2).upload(b"words", name="a.txt").id == "doc_1"
    assert network.pauses == [10.0] * 9
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "what happened: waiting until there is room"
    ]
    network = Network(*full, bad(429, "queue_full", **{"retry-after": "0"}), ok(DOCUMENT))
    network.client().upload(b"words", name="a.txt")
    assert network.pauses == [10.0] * 9 + [1.0]
    network = Network(*full)
    with pytest.raises(smallprint.Unavailable, match="queue_full"):
        network.client(retries=1, patience=0).upload(b"words", name="a.txt")
    assert network.pauses == [10.0]


def test_after_all_tries_it_is_unavailable() -> None:
    network = Network(*[httpx.ConnectError("refused")] * 3)
    with pytest.raises(smallprint.Unavailable, match="refused"):
        network.client(retries=2).document("doc_1")
    network = Network(bad(503), bad(503, "last"))
    with pytest.raises(smallprint.Unavailable, match="last"):
        network.client(retries=1).document("doc_1")


def test_an_upload_is_repeated_whole(tmp_path: Path) -> None:
    path = tmp_path / "Vertrag.pdf"
    path.write_bytes(b"%PDF-1.7 and so on")
    network = Network(httpx.WriteError("broken"), bad(503), ok(DOCUMENT, 202))
    document = network.client().upload(path, kind="contract", password="open")
    assert document.id == "doc_1"
    assert len(network.bodies) == 3
    [key] = {request.headers["idempotency-key"] for request in network.requests}
    assert len(key) >= 34
    for body in network.bodies:
        assert body.count(b"%PDF-1.7 and so on") == 1
        assert b'filename="Vertrag.pdf"' in body
        assert b"contract" in body
        assert b"open" in body


@pytest.mark.parametrize(("status", "new"), [(202, True), (200, False)])
def test_an_upload_says_whether_the_document_is_new(status: int, new: bool) -> None:
    assert Network(ok(DOCUMENT, status)).client().upload(b"data").new is new


def test_adapters_are_named_at_the_upload_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(
        ok({**DOCUMENT, "adapters": ["a", "b"]}, 202),
        ok(DOCUMENT, 202),
        ok({"items": [], "next": None}),
        httpx.Response(201, headers={"location": "/v1/uploads/up_1"}),
        tus(204, 8, smallprint_document="doc_1"),
        ok(DOCUMENT),
    )
    client = network.client()
    assert client.upload(b"data", adapters=["a", "b"]).adapters == ("a", "b")
    assert network.bodies[0].count(b'name="adapter"') == 2
    client.reprocess("doc_1", adapters=["b"])
    assert json.loads(network.bodies[1]) == {"adapters": ["b"]}
    client.clauses("doc_1", adapter="b")
    assert network.requests[2].url.params["adapter"] == "b"
    monkeypatch.setattr("smallprint.client.PIECE", 4)
    client.upload(b"01234567", name="a.pdf", adapters=["a", "b"])
    metadata = dict(
        pair.split(" ") for pair in network.requests[3].headers["upload-metadata"].split(",")
    )
    assert base64.b64decode(metadata["adapter"]) == b"a,b"


def test_each_upload_has_a_new_key() -> None:
    network = Network(*(ok(DOCUMENT, 202) for _ in range(4)))
    client = network.client()
    client.upload(b"data")
    client.upload(b"data")
    client.upload(b"data", idempotency_key="mine-1")
    client.upload(b"data", idempotency_key="mine-1")
    first, second, third, fourth = (r.headers["idempotency-key"] for r in network.requests)
    assert first != second
    assert third == fourth == '"mine-1"'


def test_while_the_first_try_is_at_work_the_next_one_waits() -> None:
    busy = bad(409, "idempotency_in_flight", **{"retry-after": "1"})
    network = Network(httpx.ReadTimeout("slow"), busy, ok(DOCUMENT, 202))
    assert network.client().upload(b"data").id == "doc_1"
    assert network.pauses[1] == 1
    with pytest.raises(smallprint.Conflict, match="idempotency_key_reused"):
        Network(bad(409, "idempotency_key_reused")).client().upload(b"data")


def test_a_first_try_that_was_cut_off_is_waited_for() -> None:
    busy = bad(409, "idempotency_in_flight", **{"retry-after": "1"})
    network = Network(httpx.ReadError("lost"), *[busy] * 16, ok(DOCUMENT, 202))
    assert network.client(retries=1).upload(b"data").id == "doc_1"
    with pytest.raises(smallprint.Conflict, match="idempotency_in_flight"):
        Network(*[busy] * 40).client().upload(b"data")


@pytest.mark.parametrize(
    "make",
    [
        lambda client: client.create_webhook("https://example.com/"),
        lambda client: client.rotate_webhook_secret("wh_1"),
        lambda client: client.reprocess("doc_1"),
    ],
)
def test_what_makes_something_is_repeated_under_one_key(make: Callable[[Any], Any]) -> None:
    webhook: dict[str, Any] = {
        "id": "wh_1",
        "url": "https://example.com/",
        "types": [],
        "description": "",
    }
    webhook |= {"created_by": "ann", "enabled": True, "secret": "whsec_x"}
    both = {**DOCUMENT, **webhook}
    network = Network(httpx.ReadError("lost"), ok(both, 201))
    make(network.client())
    first, second = (request.headers["idempotency-key"] for request in network.requests)
    assert first == second


def test_bytes_are_uploaded_under_a_name() -> None:
    network = Network(ok(DOCUMENT, 202), ok(DOCUMENT, 200))
    client = network.client()
    client.upload(b"data", name="x.txt")
    client.upload(b"data")
    assert b'filename="x.txt"' in network.bodies[0]
    assert b'filename="document"' in network.bodies[1]
    assert b'name="kind"' not in network.bodies[1]


def test_waiting_asks_until_the_end() -> None:
    going = {**DOCUMENT, "state": "processing", "outcome": None}
    network = Network(ok(going), httpx.ReadTimeout("slow"), ok(going), ok(DOCUMENT))
    assert network.client().wait("doc_1").outcome == "partial"
    assert all(request.url.params["wait"] == "20.0" for request in network.requests)


def test_waiting_ends_in_time() -> None:
    network = Network(ok({**DOCUMENT, "state": "read", "outcome": None}))
    with pytest.raises(smallprint.WaitedTooLong, match="doc_1 is still read"):
        network.client().wait("doc_1", timeout=0)


def test_waiting_pauses_no_longer_than_is_left() -> None:
    network = Network(*[ok({**DOCUMENT, "state": "read", "outcome": None})] * 5)
    client, pauses = network.client(), list[float]()

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        time.sleep(seconds)

    client.sleep = sleep
    with pytest.raises(smallprint.WaitedTooLong):
        client.wait("doc_1", timeout=0.05)
    assert sum(pauses) <= 0.05


def test_lists_are_fetched_as_they_are_asked_for() -> None:
    first = ok({"items": [DOCUMENT, DOCUMENT], "next": "abc"})
    network = Network(first, ok({"items": [DOCUMENT], "next": None}))
    documents: Iterator[smallprint.Document] = network.client().documents(state="ended")
    next(documents)
    assert len(network.requests) == 1
    assert len(list(documents)) == 2
    assert dict(network.requests[1].url.params) == {"state": "ended", "cursor": "abc"}


def test_insights_and_error_rates_are_those_of_a_period() -> None:
    examples = json.loads((ROOT / "services/review/examples.json").read_bytes())
    paths = "/v1/insights", "/v1/decisions/error-rates"
    network = Network(*(ok(examples[f"GET {path}"]["answer"]) for path in paths))
    start = datetime(2026, 11, 1, tzinfo=UTC)
    seen = network.client().insights(since=start)
    assert (seen.waiting, seen.ages[-1].to_days, seen.days[0].reject) == (51, None, 9)
    (rate,) = network.client().error_rates(until=start)
    assert rate.interval == (0.002, 0.0589)
    asked = [dict(request.url.params) for request in network.requests]
    assert asked == [{"since": start.isoformat()}, {"until": start.isoformat()}]


def test_hits_are_fetched_as_they_are_asked_for() -> None:
    hit = {
        "document_id": "doc_1",
        "document": "a.pdf",
        "kind": "contract",
        "page": 2,
        "start": 100,
        "end": 117,
        "text": "the 😀 law of Delaware"[:17],
        "highlights": [{"start": 104, "end": 105}, {"start": 106, "end": 109}],
        "clause": None,
    }
    clause = {"id": "cl_1", "category": "Governing Law", "start": 9, "end": 30, "confidence": 0.5}
    network = Network(
        ok({"items": [hit], "next": "7", "parts": ["law"]}),
        ok({"items": [{**hit, "clause": clause}], "next": None, "parts": ["law"]}),
    )
    found = network.client().search('"😀 law"', kind="contract", category="Governing Law")
    first = next(found)
    assert (first.page, first.clause) == (2, None)
    assert first.pieces == (
        ("the ", False), ("😀", True), (" ", False), ("law", True), (" of Dela", False)
    )  # fmt: skip
    [second] = found
    assert second.clause == smallprint.HitClause("cl_1", "Governing Law", 9, 30, 0.5)
    asked = [dict(request.url.params) for request in network.requests]
    common = {"q": '"😀 law"', "in": "text", "category": "Governing Law", "kind": "contract"}
    assert asked == [common, {**common, "cursor": "7"}]


def test_a_list_is_asked_for_by_what_is_known() -> None:
    network = Network(ok({"items": [], "next": None}))
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    assert list(network.client().documents(name="lease", sha256="0" * 64, since=moment)) == []
    assert dict(network.requests[0].url.params) == {
        "name": "lease",
        "sha256": "0" * 64,
        "since": "2026-01-02T00:00:00+00:00",
    }


def sample(hint: Any) -> Any:
    """The JSON of a value of a type, with something in every field."""
    arguments = [part for part in get_args(hint) if part is not NoneType]
    if get_origin(hint) is tuple:
        return [sample(one) for one in arguments if one is not ...]
    if get_origin(hint) is Literal:
        return arguments[0]
    if get_origin(hint) is dict:
        return {"a": 1}
    if arguments:
        return sample(arguments[0])
    if dataclasses.is_dataclass(hint):
        return {name: sample(one) for name, one in get_type_hints(hint).items()}
    plain = {str: "a", int: 1, float: 0.5, bool: True, datetime: "2026-01-02T03:04:05Z"}
    return plain[hint]


def assert_typed(value: Any, hint: Any) -> None:
    arguments = [part for part in get_args(hint) if part is not NoneType]
    if get_origin(hint) is tuple:
        assert isinstance(value, tuple)
        for one in value:
            assert_typed(one, arguments[0])
    elif get_origin(hint) is UnionType:
        assert_typed(value, arguments[0])
    elif dataclasses.is_dataclass(hint):
        assert type(value) is hint
        for name, one in get_type_hints(hint).items():
            assert_typed(getattr(value, name), one)
    elif not arguments:
        assert type(value) is hint


DOC = "/v1/documents/doc_1"


@pytest.mark.parametrize(
    ("call", "path", "kind"),
    [
        (lambda c: c.documents(), "/v1/documents", results.Document),
        (lambda c: c.deletions(), "/v1/deletions", results.Tombstone),
        (lambda c: c.pages("doc_1"), f"{DOC}/pages", results.Page),
        (lambda c: c.clauses("doc_1"), f"{DOC}/clauses", results.Clause),
        (lambda c: c.presence("doc_1"), f"{DOC}/presence", results.Presence),
        (lambda c: c.values("doc_1"), f"{DOC}/values", results.DocumentValue),
        (lambda c: c.findings("doc_1").items, f"{DOC}/findings", results.Finding),
        (lambda c: c.signals("doc_1"), f"{DOC}/signals", results.Signal),
        (lambda c: c.narrative_flags("doc_1"), f"{DOC}/narrative-flags", results.NarrativeFlag),
        (lambda c: c.history("doc_1"), f"{DOC}/history", results.History),
        (lambda c: c.statements("doc_1"), f"{DOC}/statements", results.Filing),
        (lambda c: c.reports(), "/v1/reports", results.Report),
        (lambda c: c.items(), "/v1/items", results.Item),
        (lambda c: c.decisions(), "/v1/decisions", results.Decision),
        (lambda c: c.keys(), "/v1/keys", results.Key),
        (lambda c: c.escalations(), "/v1/escalations", results.Escalation),
        (lambda c: c.proposals(), "/v1/escalations/proposals", results.Proposal),
        (lambda c: c.webhooks(), "/v1/webhooks", results.Webhook),
        (lambda c: c.deliveries("wh_1"), "/v1/webhooks/wh_1/deliveries", results.Delivery),
    ],
)
def test_every_list_is_typed_and_read_to_its_end(
    call: Callable[[Any], Iterable[Any]], path: str, kind: Any
) -> None:
    body = sample(kind)
    head = {"flagged": True, "risk": 0.5}
    network = Network(
        ok({"items": [body], "next": "1", **head}), ok({"items": [body], "next": None, **head})
    )
    found = list(call(network.client()))
    assert len(found) == 2
    for one in found:
        assert_typed(one, kind)
    assert {request.url.path for request in network.requests} == {path}
    assert network.requests[1].url.params["cursor"] == "1"


def test_what_is_null_or_missing_is_none_or_empty() -> None:
    row = {"label": "Cash", "values": [1, None], "places": [{"page": 1, "cell": "B7"}, None]}
    found = results.StatementRow.of({**row, "notes": None})
    assert found.values == (1, None)
    assert found.places == (smallprint.Position(1, cell="B7"), None)
    assert (found.notes, found.period) == ((), None)


def test_findings_have_a_verdict_and_reports_are_filtered() -> None:
    head = {"flagged": True, "risk": 0.9, "filings": 1, "warnings": ["page 4 is missing"]}
    head |= {"model": {"name": "triage-breaks", "version": "1.0.0"}}
    network = Network(ok({"items": [], "next": None, **head}), ok({"items": [], "next": None}))
    client = network.client()
    findings = client.findings("doc_1")
    assert (findings.flagged, findings.risk, findings.filings) == (True, 0.9, 1)
    assert findings.warnings == ("page 4 is missing",)
    assert findings.model == smallprint.TriageModel("triage-breaks", "1.0.0")
    assert list(client.reports(flagged=True, min_risk=0.5)) == []
    sent = dict(network.requests[1].url.params)
    assert sent == {"flagged": "true", "min_risk": "0.5", "order": "-risk"}


def test_clauses_of_first_pages_say_so() -> None:
    clause = {"id": "cl_1", "category": "Parties", "text": "x", "start": 1, "end": 2, "page": 1}
    clause |= {"confidence": 0.5, "boxes": []}
    head = {"provisional": True, "pages": 20}
    network = Network(
        ok({"items": [clause], "next": "1", **head}),
        ok({"items": [clause], "next": None, **head}),
        ok({"items": [], "next": None, **head}),
        ok({"items": [clause], "next": None, "provisional": False, "pages": None}),
        ok({"items": [clause], "next": None}),
    )
    client = network.client()
    early = client.clauses("doc_1", provisional=True)
    assert (early.provisional, early.pages, len(early)) == (True, 20, 2)
    for request in network.requests:
        assert request.url.params["provisional"] == "true"
    nothing = client.clauses("doc_1", provisional=True)
    assert (nothing.provisional, nothing.pages, nothing) == (True, 20, [])
    for _ in ("final", "older"):
        found = client.clauses("doc_1", provisional=True)
        assert (found.provisional, found.pages, len(found)) == (False, None, 1)


def test_a_decision_is_tried_again_under_the_same_id() -> None:
    network = Network(httpx.ReadError("lost"), ok({"decision": DECISION, "item": {}}))
    decision = network.client().decide("it_1", "correct", correction={"category": "Parties"})
    assert decision.id == "de_1"
    first, second = (json.loads(body) for body in network.bodies)
    assert first == second
    assert first["id"].startswith("de_")
    assert first["correction"] == {"category": "Parties"}


def test_an_added_clause_and_a_confirmed_absence_are_tried_again_under_the_same_id() -> None:
    answer = ok({"decision": DECISION, "item": {}})
    network = Network(httpx.ReadError("lost"), answer, answer)
    client = network.client()
    assert client.add_clause("doc_1", "Parties", 3, 9, text="Seller").id == "de_1"
    client.confirm_absence("doc_1", "Insurance", note="none")
    first, second, third = (json.loads(body) for body in network.bodies)
    assert first == second
    span = {"start": 3, "end": 9, "text": "Seller"}
    wanted = {"document": "doc_1", "category": "Parties", "note": "", "id": first["id"], **span}
    assert first == wanted
    assert third == {**ABSENCE, "id": third["id"]}
    assert first["id"].startswith("de_")
    assert first["id"] != third["id"]
    assert {request.url.path for request in network.requests} == {"/v1/items"}


ABSENCE = {"document": "doc_1", "category": "Insurance", "note": "none", "absent": True}


def test_a_claim_is_not_repeated_blindly() -> None:
    network = Network(httpx.ReadError("lost"), httpx.Response(204))
    client = network.client()
    with pytest.raises(smallprint.Unavailable):
        client.claim()
    assert len(network.requests) == 1
    assert client.claim(kind="clause") is None
    assert json.loads(network.bodies[1]) == {"kind": "clause"}


def test_a_deletion_whose_answer_was_lost_has_happened() -> None:
    network = Network(httpx.ReadError("lost"), bad(404))
    network.client().delete("doc_1")
    with pytest.raises(smallprint.NotFound):
        Network(bad(404)).client().delete("doc_1")


def test_a_change_can_be_of_what_is_known_alone() -> None:
    known = {**DOCUMENT, "etag": '"abc"'}
    network = Network(ok(known), ok(known, 202), httpx.Response(204), httpx.Response(204))
    client = network.client()
    document = client.document("doc_1")
    client.reprocess(document.id, if_match=document.etag)
    client.delete(document.id, if_match=document.etag)
    client.delete(document.id)
    sent = [request.headers.get("if-match") for request in network.requests]
    assert sent == [None, '"abc"', '"abc"', None]


def test_setting_a_kind_is_retried() -> None:
    network = Network(bad(503), ok({**DOCUMENT, "kind": "report", "kind_source": "uploader"}))
    document = network.client().say_kind("doc_1", "report", if_match='"abc"')
    assert (document.kind, document.kind_unsure, document.kind_confidence) == (
        "report",
        False,
        None,
    )
    for request in network.requests:
        assert (request.method, request.url.path) == ("PUT", "/v1/documents/doc_1/kind")
        assert json.loads(request.content) == {"kind": "report"}
        assert request.headers["if-match"] == '"abc"'


def test_a_document_is_tagged_and_assigned() -> None:
    changed = {
        **DOCUMENT,
        "tags": ["q3"],
        "assignee": "ada",
        "title": "Lease",
        "parties": ["Array"],
    }
    network = Network(bad(503), ok(changed), ok(changed))
    client = network.client()
    tagged = client.set_tags("doc_1", ["q3"])
    assert (tagged.tags, tagged.title, tagged.parties) == (("q3",), "Lease", ("Array",))
    assert client.assign("doc_1", "ada", if_match='"abc"').assignee == "ada"
    sent = [(one.url.path, json.loads(one.content)) for one in network.requests]
    assert sent == [
        *[("/v1/documents/doc_1/tags", {"tags": ["q3"]})] * 2,
        ("/v1/documents/doc_1/assignee", {"assignee": "ada"}),
    ]
    assert network.requests[-1].headers["if-match"] == '"abc"'


def test_documents_are_searched_and_sorted() -> None:
    network = Network(ok({"items": [DOCUMENT], "next": None}))
    list(network.client().documents(words="array ono", tag="q3", assignee="me", sort="name"))
    [request] = network.requests
    wanted = {"q": "array ono", "tag": "q3", "assignee": "me", "sort": "name"}
    assert wanted.items() <= dict(request.url.params).items()


def test_a_new_key_is_shown_but_not_printed() -> None:
    body: dict[str, Any] = {"id": "1", "name": "Ann", "tenant": "default", "kind": "key"}
    body |= {"secret": "sp_1_x"}
    body |= {"created": "2026-01-02T03:04:05Z", "expires": None, "revoked": None}
    key = Network(ok(body, 201)).client().create_key("Ann")
    assert key.secret == "sp_1_x"
    assert "sp_1_x" not in repr(key)


def stream(*blocks: str) -> httpx.Response:
    return httpx.Response(
        200, content="".join(blocks).encode(), headers={"content-type": "text/event-stream"}
    )


def test_changes_go_on_where_the_connection_ended() -> None:
    state = f"event: state\nid: 8\ndata: {json.dumps(DOCUMENT)}\n\n"
    deleted = 'event: deleted\nid: 9\ndata: {"id": "doc_2"}\n\n'
    network = Network(
        stream("retry: 3000\nid: 7\n\n", ": still here\n\n", state),
        httpx.ReadError("lost"),
        bad(503),
        stream("retry: 3000\nid: 8\n\n", deleted),
    )
    changes = network.client().changes()
    first, second = next(changes), next(changes)
    assert first == smallprint.Change(8, "doc_1", smallprint.Document.of(DOCUMENT))
    assert second == smallprint.Change(9, "doc_2", None)
    assert [request.url.params.get("after") for request in network.requests] == [
        None,
        "8",
        "8",
        "8",
    ]
    assert network.pauses[0] == 1
    assert len(network.pauses) == 3


def test_changes_end_without_an_answer_or_with_a_bad_key() -> None:
    network = Network(*[httpx.ConnectError("no")] * 3)
    with pytest.raises(smallprint.Unavailable):
        next(network.client(retries=2).changes(0))
    with pytest.raises(smallprint.NotSignedIn):
        next(Network(bad(401)).client().changes())


def tus(status: int, offset: int, **headers: str) -> httpx.Response:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers={"upload-offset": str(offset), **more})


@pytest.mark.parametrize("as_path", [True, False])
def test_a_large_upload_goes_on_where_it_broke_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, as_path: bool
) -> None:
    monkeypatch.setattr("smallprint.client.PIECE", 4)
    data = b"0123456789"
    path = tmp_path / "large é.pdf"
    path.write_bytes(data)
    network = Network(
        httpx.Response(201, headers={"location": "/v1/uploads/up_1"}),
        tus(204, 4),
        httpx.WriteError("broken off"),
        tus(200, 6),
        bad(460),
        tus(200, 6),
        tus(204, 10, smallprint_document="doc_1"),
        ok(DOCUMENT),
    )
    document = network.client().upload(path if as_path else data, name="large é.pdf", kind="report")
    assert (document.id, document.new) == ("doc_1", None)
    assert [request.method for request in network.requests] == [
        *("POST", "PATCH", "PATCH", "HEAD", "PATCH", "HEAD", "PATCH", "GET"),
    ]
    assert [body for body in network.bodies if body] == [b"0123", b"4567", b"6789", b"6789"]
    first = network.requests[0].headers
    assert first["upload-length"] == "10"
    assert first["upload-metadata"] == "filename bGFyZ2Ugw6kucGRm,kind cmVwb3J0"
    assert network.requests[-2].headers["upload-checksum"].startswith("sha256 ")


def test_a_large_upload_that_is_refused_or_never_gets_on_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("smallprint.client.PIECE", 4)
    start = httpx.Response(201, headers={"location": "/v1/uploads/up_1"})
    with pytest.raises(smallprint.Refused):
        Network(start, tus(204, 4), bad(415)).client().upload(b"01234567")
    stuck: list[Answer] = [httpx.WriteError("no"), tus(200, 0)] * 3
    with pytest.raises(smallprint.Unavailable, match="stays at byte 0"):
        Network(start, *stuck).client(retries=2).upload(b"01234567")


def test_a_large_upload_with_a_password_is_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smallprint.client.PIECE", 4)
    network = Network(ok(DOCUMENT, 202))
    network.client().upload(b"0123456789", name="a.pdf", password="secret")
    assert [request.url.path for request in network.requests] == ["/v1/documents"]


def test_rules_and_tombstones() -> None:
    stone: dict[str, Any] = {"id": "doc_1", "deleted_by": "ann", "removed": None}
    stone |= {"deleted": "2026-01-02T03:04:05Z"}
    rules = [{"kind": None, "days": 7}, {"kind": "report", "days": 90}]
    network = Network(
        ok({"items": [stone], "next": None}),
        ok({**stone, "removed": "2026-01-02T03:04:06Z"}),
        ok({"items": rules, "next": None}),
        bad(503),
        ok({"items": rules, "next": None}),
    )
    client = network.client()
    [listed] = client.deletions()
    assert (listed.deleted_by, listed.removed) == ("ann", None)
    removed = client.deletion("doc_1").removed
    assert removed is not None
    assert removed - listed.deleted == timedelta(seconds=1)
    assert client.retention() == {None: 7, "report": 90}
    client.set_retention({None: 7, "report": 90})
    assert json.loads(network.bodies[-1]) == {"items": rules}
    assert [request.method for request in network.requests[-2:]] == ["PUT", "PUT"]
