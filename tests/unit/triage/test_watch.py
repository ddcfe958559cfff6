"""Checks put what is promised about findings in doubt: less is accepted, and it is said."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.triage.domain import Finding, ReportFinding
from services.triage.guarantee import Calibration, Line, promised, read_calibration
from services.triage.results import Routing
from services.triage.risk import NAME, Judge
from services.triage.watch import watching
from services.triage.watch.confidences import confidence_of
from services.triage.watch.inputs import FIGURES, Judged, reference
from services.triage.watch.store import Watches
from services.triage.watch.watching import COMPARED, note_decision, note_filings
from shared.bus import Message
from shared.events import DocumentDeleted, DocumentRekinded, ReviewDecided
from shared.metrics import exposition
from shared.policy import FindingRules, RiskRules
from shared.storage import UnitOfWork
from shared.storage.watches import Drawn, Kept
from shared.watch.local import Local
from tests.unit.triage.filings import bent
from tests.unit.triage.house import House

POLICY = """
[tenants.default]
sample_share = {share}

[tenants.default.findings]
max_wrong = 0.2
broken = 0.5
"""


def wrong(company: str = "One Corp") -> dict[str, object]:
    """A filing of a company with an altered total."""
    altered = bent("balance_sheet", "Total current assets", 1, 4509)
    return {**altered, "id": "wrong-0", "company": company}


def house_with(folder: Path, share: float = 1.0) -> House:
    """Triage that promises that at most a fifth of what it accepts is wrong."""
    policy = folder / "policy.toml"
    policy.write_text(POLICY.format(share=share))
    return House(folder, policy=policy)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """All that could be accepted is checked."""
    one = house_with(tmp_path)
    yield one
    one.close()


def read(house: House, document: str) -> str:
    """A filing of a company of its own is judged; the id of its surest finding."""
    house.say(house.read(document, wrong(document)))
    return str(house.client.get(f"/v1/documents/{document}/findings").json()["items"][0]["id"])


def decide(house: House, document: str, finding: str, verdict: str, **more: Any) -> ReviewDecided:
    """A person decides; what review says of it."""
    event = ReviewDecided(
        document_id=document,
        item_id="it_1",
        stage="triage",
        result_id=finding,
        decision_id="de_1",
        verdict=verdict,
        **more,
    )
    house.say(event)
    return event


def watched(house: House, tenant: str = "default") -> dict[str, Any]:
    """What REST says."""
    answer = house.client_of(tenant).get("/v1/watch/findings")
    assert answer.status_code == 200
    items = answer.json()["items"]
    return {**(items[0] if items else {}), "notices": answer.json()["notices"]}


def test_checks_that_are_right_leave_the_promise_as_it_is(house: House) -> None:
    """Each filing counts once its check is decided; no category has a bound of its own."""
    for number in range(3):
        finding = read(house, f"doc_{number}")
        assert watched(house)["documents"] == number
        decide(house, f"doc_{number}", finding, "accept")
    now = watched(house)
    assert (now["adapter"], now["max_wrong"], now["level"]) == (NAME, 0.2, 0.95)
    assert (now["documents"], now["checks"], now["wrong"]) == (3, 3, 0)
    assert (now["step"], now["doubted"], now["notices"]) == (0, [], [])
    assert now["evidence"] < 1
    assert now["alarm_at"] == 20
    assert now["interval"][0] == 0
    assert now["threshold"] == now["threshold_now"] == pytest.approx(0.65)


def test_rejected_checks_tighten_by_themselves_and_it_is_said(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """By REST, metric and log; what was sure enough before goes to a person, for this tenant."""
    with caplog.at_level(logging.WARNING):
        for number in range(6):
            decide(house, f"doc_{number}", read(house, f"doc_{number}"), "reject")
    now = watched(house)
    assert now["step"] == 4
    assert now["belief_now"] is None
    assert (now["threshold"], now["threshold_now"]) == (pytest.approx(0.65), None)
    (notice,) = now["notices"]
    assert (notice["kind"], notice["adapter"], notice["actor"]) == ("risk", NAME, "")
    assert "checks in 3 filings 3 were wrong" in notice["text"]
    assert "nothing is accepted any more" in notice["text"]
    assert any("3 were wrong" in record.getMessage() for record in caplog.records)
    told = exposition()
    assert b'smallprint_promise_alerts_total{adapter="triage-breaks",kind="risk"}' in told
    assert b'smallprint_promise_tightened{adapter="triage-breaks"} 1.0' in told
    last = read(house, "doc_last")
    with house.service.store.read() as session:
        drawn = Watches(session, "default").find(last)
    assert drawn is not None
    assert not drawn.sampled
    assert watched(house, "rivals") == {"notices": []}


def test_a_decision_counts_once_and_one_that_is_undone_no_more(house: House) -> None:
    """Also where an event comes twice; decided the other way it counts so."""
    finding = read(house, "doc_1")
    event = decide(house, "doc_1", finding, "reject")
    house.service.bus.publish(Message("default/doc_1", event.to_json("review")))
    house.work()
    decide(house, "doc_1", finding, "reject")
    assert (watched(house)["checks"], watched(house)["wrong"]) == (1, 1)
    decide(house, "doc_1", finding, "undo")
    assert (watched(house)["checks"], watched(house)["evidence"]) == (0, pytest.approx(1.0))
    decide(house, "doc_1", finding, "accept")
    assert (watched(house)["checks"], watched(house)["wrong"]) == (1, 0)


def test_what_a_person_looked_at_unasked_stands_for_no_others(tmp_path: Path) -> None:
    """What was accepted is in no set of decisions."""
    one = house_with(tmp_path, share=0.0)
    try:
        decide(one, "doc_1", read(one, "doc_1"), "reject")
        now = watched(one)
        assert (now["checks"], now["accepted"]) == (0, 1)
        with one.service.store.read() as session:
            version = one_version(one)
            assert Watches(session, "default").asked(NAME, version) == []
    finally:
        one.close()


def one_version(house: House) -> str:
    """Of the judge that has promised."""
    return str(watched(house)["version"])


def test_a_deletion_and_another_kind_forget_what_nobody_decided(house: House) -> None:
    """Counts stay, and have no word of the document, nor a name of the company."""
    first = read(house, "doc_1")
    with house.service.store.write() as session:
        watches = Watches(session, "default")
        asked = watches.find(first)
        assert asked
        watches.put(replace(asked, family="company"))
    decide(house, "doc_1", first, "reject")
    second, third = read(house, "doc_2"), read(house, "doc_3")
    house.say(DocumentDeleted(document_id="doc_1"), DocumentDeleted(document_id="doc_2"))
    house.say(DocumentRekinded(document_id="doc_3", kind="other", previous="report"))
    assert watched(house)["wrong"] == 1
    with house.service.store.read() as session:
        watches = Watches(session, "default")
        assert watches.find(second) is None
        assert watches.find(third) is None
        (kept,) = watches.of_document("doc_1", NAME)
        assert kept.family is None


def test_what_is_withdrawn_with_the_kind_counts_no_more(house: House) -> None:
    """A report that becomes another document, and a report again, is decided anew."""
    first = read(house, "doc_1")
    decide(house, "doc_1", first, "reject")
    decide(house, "doc_2", read(house, "doc_2"), "reject")
    assert (watched(house)["checks"], watched(house)["wrong"]) == (2, 2)
    house.say(DocumentRekinded(document_id="doc_1", kind="other", previous="report"))
    assert (watched(house)["checks"], watched(house)["wrong"]) == (1, 1)
    with house.service.store.read() as session:
        assert Watches(session, "default").find(first) is None


def test_nobody_can_tell_by_names_that_two_tenants_have_reports_of_one_company() -> None:
    """Each has another name for it, always the same."""
    ours, same, theirs = (
        watching.filer_name(b"key", tenant, "Acme") for tenant in ("ours", "ours", "theirs")
    )
    assert ours == same != theirs


def test_read_anew_a_filing_counts_once(house: House) -> None:
    """The same finding has the same id, what was decided stays so, and so do its figures."""
    decide(house, "doc_1", read(house, "doc_1"), "accept")
    seen = watched(house)["drift_documents"]
    house.say(house.ingested("doc_1", attempt=2))
    house.say(house.read("doc_1", wrong("doc_1"), attempt=2))
    assert (watched(house)["checks"], watched(house)["drift_documents"]) == (1, seen)


def test_what_is_decided_counts_for_the_judge_that_read_it_last(house: House) -> None:
    """Its version, confidence and share are the new ones; the test of the promise has it still."""
    first = read(house, "doc_1")
    decide(house, "doc_1", first, "accept")
    with house.service.store.write() as session:
        watches = Watches(session, "default")
        now = watches.find(first)
        assert now
        watches.put(replace(now, version="0.9", confidence=0.5, share=0.1))
    house.say(house.ingested("doc_1", attempt=2))
    house.say(house.read("doc_1", wrong("doc_1"), attempt=2))
    with house.service.store.read() as session:
        watches = Watches(session, "default")
        assert watches.find(first) == now
        assert watches.asked(NAME, "0.9") == []


def as_if_older(house: House, version: str, *results: str) -> None:
    """What is kept of findings was found by an older judge."""
    with house.service.store.write() as session:
        watches = Watches(session, "default")
        for result in results:
            kept = watches.find(result)
            assert kept
            watches.put(replace(kept, version=version))


def test_rejections_with_a_note_go_over_to_another_judge_like_acceptances(house: House) -> None:
    """A note dismisses, and folds the filing away when it is read anew: what would be promised of
    it otherwise is calibrated by it still, and nobody is asked about one that is not decided.
    """
    findings = {f"doc_{n}": read(house, f"doc_{n}") for n in range(6)}
    for number, (document, finding) in enumerate(findings.items()):
        if number % 2:
            decide(house, document, finding, "reject", note="as they do", actor="ada")
        else:
            decide(house, document, finding, "accept")
    as_if_older(house, "0.9", *findings.values())
    for document in findings:
        house.say(house.ingested(document, attempt=2))
        house.say(house.read(document, wrong(document), attempt=2))
    with house.service.store.read() as session:
        watches = Watches(session, "default")
        now = {one.result_id: one.wrong for one in watches.asked(NAME, one_version(house))}
        assert watches.asked(NAME, "0.9") == []
    wanted = {finding: bool(number % 2) for number, finding in enumerate(findings.values())}
    assert now == wanted
    (item,) = house.client.get("/v1/documents/doc_1/findings").json()["items"]
    assert item["dismissed"]["reason"] == "as they do"


def test_what_another_report_of_the_filer_dismisses_takes_no_decision_away(house: House) -> None:
    """Both were rejected with a note, and the latest folds both away; an open one is forgotten."""
    found = []
    for number in range(3):
        name = f"doc_{number}"
        house.say(house.read(name, wrong("Acme")))
        found.append(house.client.get(f"/v1/documents/{name}/findings").json()["items"][0]["id"])
    for number in range(2):
        decide(house, f"doc_{number}", found[number], "reject", note="as they do", actor="ada")
    as_if_older(house, "0.9", *found)
    for number in range(3):
        house.say(house.ingested(f"doc_{number}", attempt=2))
        house.say(house.read(f"doc_{number}", wrong("Acme"), attempt=2))
    with house.service.store.read() as session:
        watches = Watches(session, "default")
        now = watches.asked(NAME, one_version(house))
        assert watches.asked(NAME, "0.9") == []
    assert [(one.result_id, one.wrong) for one in now] == [(found[0], True), (found[1], True)]


@pytest.mark.parametrize(
    ("before", "after", "version", "stands"),
    [(0.2, 0.05, "9", 0.2), (0.05, 0.2, "9", 0.2), (1.0, 0.05, "9", 1.0), (1.0, 0.05, "10", 0.05)],
)
def test_read_anew_what_is_decided_stands_for_as_many_as_it_was_drawn_from(
    house: House, before: float, after: float, version: str, stands: float
) -> None:
    """One judge has asked about it by the larger share; another one draws for the first time."""
    asked = Drawn("fd_1", "doc_1", NAME, "9", "totals", 0.9, 0.9, "", before, True, wrong=False)
    with house.service.store.write() as session:
        watches = Watches(session, "default")
        watches.put(asked)
        watches.put_new(replace(asked, version=version, share=after, promise="new", wrong=None))
        assert watches.find("fd_1") == replace(asked, version=version, share=stands)


def test_filings_unlike_those_known_are_noticed_and_more_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is doubted more than any that was known: the stated share is wrong, or they are others;
    no threshold is changed by that.
    """
    doubts = {"doubt": np.linspace(0.0, 0.3, 400)}
    monkeypatch.setattr(watching, "shipped", lambda *_: doubts)
    one = house_with(tmp_path, share=0.000001)
    try:
        for number in range(20):
            one.say(one.read(f"doc_{number}", wrong()))
        now = watched(one)
        assert now["drifted"]
        assert (now["step"], now["stability_index"] > 0.25) == (0, True)
        (notice,) = now["notices"]
        assert notice["kind"] == "drift"
        assert "is not the 50% that is stated" in notice["text"]
        assert "people check 20%" in notice["text"]
        for number in range(40):
            one.say(one.read(f"wrong_{number}", wrong()))
        with one.service.store.read() as session:
            watches = Watches(session, "default")
            drawn = [d for n in range(40) for d in watches.of_document(f"wrong_{n}", NAME)]
        assert 1 <= len(drawn) <= 20
        assert {check.share for check in drawn} == {0.2}
    finally:
        one.close()


def found(number: int, route: str, sampled: bool = False) -> ReportFinding:
    """A finding with a route."""
    finding = Finding(
        "totals", "high", 0.97, "balance_sheet", 0, 1, (1,), "Total", None, None, "it is off"
    )
    return ReportFinding(f"fd_{number}", "f", finding, "acme", route, sampled)  # type: ignore[arg-type]


def judged(number: int, filer: str = "") -> Judged:
    """A filing with a finding that people are asked about."""
    figures = {"doubt": 0.97, "lines": 60.0, "words": 0.9}
    return Judged(f"fi_{number}", filer, found(number, "review"), figures)


def calibration() -> bytes:
    """A thousand companies, of which every finding is right."""
    broken = np.arange(2000) % 2 == 1
    risk = np.where(broken, 0.995, 0.1)
    return Calibration(np.arange(2000) // 2, broken, broken, risk).to_bytes()


def test_of_a_file_with_many_filings_few_are_compared_and_no_two_of_one_company(
    house: House,
) -> None:
    """They are alike, and no sign of a change; what people are asked about is kept of all."""
    rules = RiskRules(findings=FindingRules(max_wrong=0.05, broken=0.5))
    routing = Routing(rules, calibration(), b"key")
    mine = [judged(n, f"company {n % 5}") for n in range(50)]
    with UnitOfWork(house.service.store) as uow:
        watches = Watches(uow.session, "default")
        assert note_filings(watches, "doc_1", mine, routing, "9") == []
        note_filings(watches, "doc_2", [judged(n) for n in range(100, 150)], routing, "9")
        (kept,) = watches.all()
        assert max(kept.changes.documents.values()) == 5 + COMPARED
        asked = watches.asked(NAME, "9")
    assert len(asked) == 100
    assert len({one.family for one in asked if one.document_id == "doc_1"}) == 5
    assert not any("company" in (one.family or "") for one in asked)
    assert {one.family for one in asked if one.document_id == "doc_2"} == {None}


def test_another_stated_share_ends_the_alarm_so_that_the_next_one_is_heard(house: House) -> None:
    """What a person states anew is the answer to what was noticed; another judge is none."""
    with UnitOfWork(house.service.store) as uow:
        watches = Watches(uow.session, "default")

        def drifted(document: int, broken: float, version: str = "9") -> bool:
            rules = RiskRules(findings=FindingRules(max_wrong=0.05, broken=broken))
            routing = Routing(rules, calibration(), b"key")
            note_filings(watches, f"doc_{document}", [judged(document)], routing, version)
            return watches.kept(NAME).drifted

        assert not drifted(1, 0.5)
        watches.save(replace(watches.kept(NAME, lock=True), drifted=True))
        assert drifted(2, 0.5)
        assert drifted(3, 0.5, "10")
        assert not drifted(4, 0.6, "11")


def like(number: int, doubt: float = 0.97, lines: float = 60.0) -> Judged:
    """A filing with such figures."""
    return replace(judged(number), figures={"doubt": doubt, "lines": lines, "words": 0.9})


def comes(
    watches: Watches, one: Judged, broken: float, data: bytes | None = None, risk: float = 0.05
) -> Kept:
    """A filing of a document of its own comes in, where a share is stated; the watch after it."""
    rules = RiskRules(findings=FindingRules(max_wrong=risk, broken=broken))
    routing = Routing(rules, data or calibration(), b"key")
    note_filings(watches, f"doc_{one.id}", [one], routing, "9")
    return watches.kept(NAME)


def test_another_stated_share_is_no_answer_to_an_alarm_of_other_figures(house: House) -> None:
    """Filings are three times as long as before; nothing that is stated of them says how long they
    are. That filings are doubted less is another thing, and what is stated anew ends that alarm.
    """
    with UnitOfWork(house.service.store) as uow:
        watches = Watches(uow.session, "default")
        for number in range(40):
            assert not comes(watches, like(number, lines=60.0 + number % 7), 0.5).drifted
        for number in range(40, 80):
            kept = comes(watches, like(number, lines=200.0 + number % 7), 0.5)
        assert kept.drifted
        after = comes(watches, like(80, lines=203.0), 0.4)
        assert after.drifted
        assert after.changes.documents == {"doubt": 1, "lines": 81, "words": 81}
    with UnitOfWork(house.service.store) as uow:
        watches = Watches(uow.session, "rivals")
        for number in range(40):
            kept = comes(watches, like(number, doubt=0.05), 0.5)
        assert kept.drifted
        assert not comes(watches, like(40, doubt=0.05), 0.4).drifted


def test_a_stated_share_at_which_nothing_can_be_promised_ends_the_alarm_too(house: House) -> None:
    """Of sound filings one in ten is doubted surely: where most are sound, too much is wrong. Back
    at the share before, what raised the alarm is forgotten, and raises it again.
    """
    broken = np.arange(2000) % 2 == 1
    sure = broken | (np.arange(2000) % 20 == 0)
    risk = np.where(sure, 0.995, 0.1)
    data = Calibration(np.arange(2000) // 2, broken, broken, risk).to_bytes()
    few, half = (
        promised(data, FindingRules(max_wrong=0.2, broken=share), 0.95) for share in (0.1, 0.5)
    )
    assert few
    assert half
    assert (few.belief, half.belief is None) == (None, False)
    with UnitOfWork(house.service.store) as uow:
        watches = Watches(uow.session, "default")
        for number in range(40):
            kept = comes(watches, like(number, doubt=0.05), 0.5, data, 0.2)
        assert kept.drifted
        assert not comes(watches, like(40, doubt=0.05), 0.1, data, 0.2).drifted
        assert not comes(watches, like(41, doubt=0.05), 0.5, data, 0.2).drifted
        for number in range(42, 80):
            kept = comes(watches, like(number, doubt=0.05), 0.5, data, 0.2)
        assert kept.drifted


def test_longer_filings_are_noticed_also_where_another_share_is_stated_meanwhile(
    house: House,
) -> None:
    """They are compared with those before, whatever was stated then."""
    with UnitOfWork(house.service.store) as uow:
        watches = Watches(uow.session, "default")
        for number in range(40):
            comes(watches, like(number, lines=60.0 + number % 7), 0.5)
        for number in range(40, 80):
            kept = comes(watches, like(number, lines=200.0 + number % 7), 0.4)
        assert kept.drifted
        assert comes(watches, like(80, lines=203.0), 0.3).drifted


def test_of_a_company_one_check_counts_for_a_promise_the_first_that_was_drawn(house: House) -> None:
    """Whatever is decided first; of filers that are not named each counts, and what people said of
    the others is kept for a calibration.
    """
    rules = RiskRules(findings=FindingRules(max_wrong=0.05, broken=0.5))
    routing = Routing(rules, calibration(), b"key")
    figures = {"doubt": 0.97, "lines": 60.0, "words": 0.9}
    with UnitOfWork(house.service.store) as uow:
        watches = Watches(uow.session, "default")
        for number, filer in enumerate(("acme", "acme", "rival", "", "", "acme")):
            one = Judged(f"fi_{number}", filer, found(number, "review", sampled=True), figures)
            note_filings(watches, f"doc_{number}", [one], routing, "9")
        for number in (5, 1, 0, 2, 3, 4):
            note_decision(watches, f"fd_{number}", "accept")
        (kept,) = watches.all()
        decided = watches.decided(NAME, "9")
    assert [one.result_id for one in decided if one.place] == ["fd_0", "fd_2", "fd_3", "fd_4"]
    assert kept.documents == 4
    assert len(decided) == 6
    assert all(one.sampled for one in decided)


def test_a_notice_says_from_which_confidence_on_findings_are_accepted(house: House) -> None:
    """Which they carry, not how much they are believed; nor where another judge has promised it."""
    rules = RiskRules(findings=FindingRules(max_wrong=0.05, broken=0.6))
    routing = Routing(rules, calibration(), b"key")
    judge = Judge(None, None, 0.5, 0.2, version="9", guarantee=calibration())  # type: ignore[arg-type]
    told = []
    with UnitOfWork(house.service.store) as uow:
        watches = Watches(uow.session, "default")
        for number in range(5):
            unsure = found(number, "review", sampled=True)
            unsure = replace(unsure, finding=replace(unsure.finding, confidence=0.6))
            one = Judged(f"fi_{number}", "", unsure, dict.fromkeys(FIGURES, 0.5))
            note_filings(watches, f"doc_{number}", [one], routing, "9")
            told += note_decision(watches, f"fd_{number}", "reject", judge)
        kept = watches.kept(NAME)
        known = confidence_of(watches, kept, judge)
        assert confidence_of(watches, kept, replace(judge, version="8")) is None
    (notice,) = told
    assert notice.text.endswith("a confidence of 72.7% or more, where 50.0% was enough")
    assert kept.watch
    assert known
    assert known(kept.watch.belief) == pytest.approx(0.5)


def test_the_reference_has_as_many_broken_filings_as_are_stated() -> None:
    """Drawn from a set with four of five, the same at every time."""
    broken = np.arange(1000) % 5 > 0
    known = Calibration(np.arange(1000), broken, broken, np.where(broken, 0.9, 0.1))
    for share, size in ((0.5, 400), (0.05, 211), (0.9, 889)):
        values = reference(known, share)["doubt"]
        assert len(values) == size
        assert (values > 0.5).mean() == pytest.approx(share, abs=0.005)
        assert (values == reference(known, share)["doubt"]).all()


def test_each_step_accepts_what_is_half_as_likely_to_be_wrong() -> None:
    """By beliefs, which hang on the stated share; behind the last one nothing is accepted."""
    rules = FindingRules(max_wrong=0.05, broken=0.5)
    made = [promised(calibration(), rules, 0.95, Local(step=step)) for step in range(5)]
    known = read_calibration(calibration())
    line = Line.shipped(known, 0.5)
    doubts = [1 - line.belief_of(one.threshold) for one in made[:4] if one and one.threshold]
    assert doubts == pytest.approx([doubts[0] / 2**step for step in range(4)])
    assert made[4] is not None
    assert (made[4].threshold, "too many checks were wrong" in made[4].why_not) == (None, True)
