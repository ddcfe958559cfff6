"""What another policy would do with reports of before: by the code that routes new ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from services.triage.domain import RULES, CheckedFiling, Model
from services.triage.guarantee import FOLDED, FOREIGN, LEFT_OUT, SCANNED, WARNED
from services.triage.past.store import Filings
from services.triage.past.trying import NOTHING, UNSTATED, PastReport, past, tried
from services.triage.results import Outcome
from services.triage.risk import Judge
from services.triage.settings import Settings
from services.triage.store import Reports
from services.triage.watch.store import Watches
from shared.asking import SILENT, AskRules, read_askers
from shared.documents import Reading
from shared.documents.ocr import METHOD
from shared.documents.reading import Page
from shared.events import DocumentDeleted, DocumentRekinded
from shared.policy import KIND_UNSURE, FindingRules, RiskRules, read_risks
from shared.settings import load
from shared.storage import MissingBlob
from shared.storage.secret import draw_key
from shared.storage.watches import Drawn
from shared.trial import Tally
from shared.watch.local import SHIPPED, Local
from tests.unit.triage.filings import bent, read, record
from tests.unit.triage.house import House
from tests.unit.triage.test_dismissing import decided
from tests.unit.triage.test_guarantee import GERMAN
from tests.unit.triage.test_questions import HALF, POLICY

FINDINGS = "/v1/documents/{}/findings"
STATED = RiskRules(findings=FindingRules(max_wrong=0.2, broken=0.5), sample_share=0.0)
"""Of what is accepted one in five may be wrong, where every second filing has an error."""
LAX = (STATED, SILENT)
JUDGE = Judge.load(load(Settings).artefacts_folder)


def wrong(name: str = "wrong", **more: Any) -> dict[str, Any]:
    """A filing with an altered total, of which one finding is sure."""
    return {**bent("balance_sheet", "Total current assets", 1, 4509), "id": name, **more}


def unsure(name: str = "unsure") -> dict[str, Any]:
    """A filing with another one."""
    return {**bent("income", "Operating income", 1, 1568), "id": name}


def of_house(house: House, unsure: Collection[str] = ()) -> list[PastReport | None]:
    """Its reports, as they were checked."""
    every = past(house.service.store, house.service.blobs, "default", unsure)
    return [replace(one, filings=list(one.filings)) if one else None for one in every]


def counted(
    house: House,
    *policies: tuple[RiskRules, AskRules],
    judge: Judge | None = JUDGE,
    verdicts: dict[str, str] | None = None,
    local: Local = SHIPPED,
    decisions: Mapping[str, Drawn] = NOTHING,
    unsure: Collection[str] = (),
) -> list[Tally]:
    """What policies would do with them."""
    with house.service.store.read() as session:
        key = draw_key(session)
    known = [one for one in of_house(house, unsure) if one]
    return tried(known, policies, judge, verdicts or {}, key, local, decisions)


@pytest.mark.parametrize(
    "changed",
    [
        {"rules": ""},
        {"rules": "max_wrong = 0.2\nbroken = 0.5"},
        {"rules": "max_wrong = 0.2\nbroken = 0.5", "share": 0.5},
        {"rules": "max_wrong = 0.2\nbroken = 0.5", "share": 1.0},
        {"rules": HALF},
        {"rules": HALF, "mistake": "0.001"},
        {"rules": f"max_wrong = 0.01\n{HALF}", "trust": "measured"},
        {"rules": HALF, "mask": '"amounts"'},
    ],
    ids=str,
)
def test_the_policy_in_force_would_do_what_it_did(tmp_path: Path, changed: dict[str, Any]) -> None:
    """Route by route: what is accepted, asked and checked is told again from what is kept."""
    share = changed.pop("share", 0.0)
    values = {"leaves": '"report"', "mask": "", "mistake": "100", "trust": "person", **changed}
    policy = tmp_path / "policy.toml"
    said = POLICY.format(**values).replace("sample_share = 0.0", f"sample_share = {share}")
    policy.write_text(said, "utf-8")
    house = House(tmp_path, policy=policy)
    odd = wrong("odd")
    odd["statements"][0]["rows"][1]["values"] = ["a word", 1]
    many = [wrong(f"w{number}") for number in range(25)]
    house.say(
        house.read("doc_1", record(), wrong(), unsure()),
        house.read("doc_2", odd),
        house.read("doc_3", *many, unsure()),
        house.read("doc_4", wrong(), unsure(), kind_unsure=True),
    )
    did: Counter[str] = Counter()
    for document in ("doc_1", "doc_2", "doc_3", "doc_4"):
        items = house.client.get(FINDINGS.format(document), params={"limit": 500}).json()["items"]
        did.update(item["route"] for item in items)
    mine = read_risks(policy).of("default"), read_askers(policy).of("default")
    (tally,) = counted(house, mine, unsure={"doc_4"})
    assert tally.results == sum(did.values()) >= 28
    assert tally.accepted == did["accept"]
    assert tally.escalated == did["escalate"]
    assert tally.reviewed == did["review"] + did["escalate"]
    assert (tally.usd > 0) == (did["escalate"] > 0)
    assert (tally.sampled > 0) == (share > 0)
    house.close()


def test_two_policies_are_counted_side_by_side(house: House) -> None:
    """What people decided since says whether the accepted was right; what is expected to
    be wrong is more where fewer reports have an error.
    """
    house.say(house.read("doc_1", record(), wrong()), house.read("doc_2", wrong()))
    (first,) = house.client.get(FINDINGS.format("doc_1")).json()["items"]
    verdicts = {first["id"]: "reject", "fd_other": "accept"}
    now, new = counted(house, (RiskRules(), SILENT), LAX, verdicts=verdicts)
    assert (now.results, now.results_decided, now.accepted, now.reviewed) == (2, 1, 0, 2)
    assert now.words_reviewed == 2 * len(first["message"].split())
    assert (new.accepted, new.reviewed, new.decided, new.changed) == (2, 0, 1, 1)
    assert list(new.errors_by_category()) == [first["check"]]
    assert 0 < new.expected_errors < 0.4
    rarer = RiskRules(findings=FindingRules(max_wrong=0.9, broken=0.2), sample_share=0.0)
    (fewer,) = counted(house, (rarer, SILENT))
    assert fewer.accepted == 2
    assert fewer.expected_errors > 1.2 * new.expected_errors > 0


def test_what_people_decided_says_how_many_errors_are_expected(house: House) -> None:
    """Of two findings one was a check, and wrong; that less is accepted than was promised is said,
    with the confidence.
    """
    house.say(house.read("doc_1", record(), wrong()), house.read("doc_2", wrong()))
    (first,) = house.client.get(FINDINGS.format("doc_1")).json()["items"]
    with house.service.store.write() as session:
        Watches(session, "default").put(
            Drawn(
                *(first["id"], "doc_1", "triage-breaks", "1", first["check"], 0.99, 0.9, "", 0.05),
                sampled=True,
                wrong=True,
            )
        )
    with house.service.store.read() as session:
        decisions = Watches(session, "default").decisions()
    now, new = counted(house, (RiskRules(), SILENT), LAX, decisions=decisions)
    assert now.seen() is None
    seen = new.seen()
    assert seen is not None
    assert (seen.decided, seen.wrong, seen.share) == (1, 1, 1.0)
    assert new.errors_seen(seen) == (2.0, (0, 2))
    assert new.tightened == {}
    (tight,) = counted(house, LAX, local=Local(step=1))
    (said,) = tight.tightened
    assert "accepted is what has a confidence of" in said


def test_what_was_checked_before_that_was_kept_can_not_be_tried(house: House) -> None:
    """After an upgrade from the release before it is counted and not guessed; read again, it is."""
    house.say(house.read("doc_1", wrong()), house.read("doc_2", record()))
    house.service.store.migrate("0012")
    house.service.store.migrate()
    house.say(house.read("doc_3", record(), wrong()))
    assert [one is None for one in of_house(house)] == [True, True, False]
    house.say(house.ingested("doc_1", attempt=2), house.read("doc_1", wrong(), attempt=2))
    assert [one is None for one in of_house(house)] == [False, True, False]
    assert counted(house, LAX)[0].accepted == 2


def test_what_an_older_program_read_again_can_not_be_tried(house: House) -> None:
    """While both work, it leaves what was noted of the attempt before."""
    house.say(house.read("doc_1", wrong()))
    with house.service.store.write() as session:
        reports = Reports(session, "default")
        known = reports.get("doc_1")
        assert known is not None
        session.execute(text("UPDATE reports SET attempt = 2"))
    assert of_house(house) == [None]


def test_a_report_whose_statements_are_gone_can_not_be_tried(house: House) -> None:
    """Its questions and its language are told from them."""
    house.say(house.read("doc_1", wrong()))
    with house.service.store.read() as session:
        known = Reports(session, "default").get("doc_1")
    assert known
    assert known.statements
    house.service.blobs.delete("default", known.statements)
    with pytest.raises(MissingBlob):
        house.service.blobs.get("default", known.statements)
    assert of_house(house) == [None]


def noted(house: House, document: str) -> list[CheckedFiling]:
    """What is kept of a document's filings."""
    with house.service.store.read() as session:
        return Filings(session, "default").of(document, 1)


def test_what_is_noted_goes_with_its_document(house: House) -> None:
    """With a deletion, and with a kind that is not ours."""
    for number in (1, 2):
        house.say(house.read(f"doc_{number}", record(), wrong()))
    kept = [CheckedFiling(1, True, False, 0), CheckedFiling(2, True, False, 0)]
    assert noted(house, "doc_1") == noted(house, "doc_2") == kept
    house.say(DocumentDeleted(document_id="doc_1"))
    house.say(DocumentRekinded(document_id="doc_2", kind="contract", previous="report"))
    with house.service.store.read() as session:
        assert session.execute(text("SELECT count(*) FROM filings")).scalar() == 0


def why(house: House, policy: tuple[RiskRules, AskRules] = LAX, **more: Any) -> str:
    """The one reason why nothing is accepted."""
    (tally,) = counted(house, policy, **more)
    assert (tally.accepted, tally.reviewed) == (0, tally.results)
    ((reason, count),) = tally.why_not.items()
    assert count == tally.results > 0
    return reason


def test_a_filing_that_was_not_read_as_a_whole_promises_nothing(house: House) -> None:
    """A word where an amount belongs is a warning about its own filing, and no other."""
    odd = wrong("odd")
    odd["statements"][0]["rows"][1]["values"] = ["a word", 1]
    house.say(house.read("doc_1", odd))
    assert why(house) == WARNED
    house.say(house.read("doc_1", odd, wrong("other"), attempt=2))
    (tally,) = counted(house, LAX)
    assert (tally.accepted, list(tally.why_not)) == (1, [WARNED])


def test_what_may_be_no_report_is_counted_by_that_reason(house: House) -> None:
    """And not as one that was not read as a whole, although it has one more warning."""
    house.say(
        house.read("doc_1", wrong(), unsure("more"), kind_unsure=True), house.read("doc_2", wrong())
    )
    (tally,) = counted(house, LAX, unsure={"doc_1"})
    assert (tally.results, tally.accepted, tally.why_not) == (3, 1, {KIND_UNSURE: 2})


def test_lines_in_another_language_promise_nothing(house: House) -> None:
    """As is told from the statements that are kept."""
    one = wrong()
    for statement in one["statements"]:
        for line in statement["rows"]:
            total = line["label"].startswith("Total") or "Net " in line["label"]
            line["label"] = line["label"] if total else GERMAN.get(line["label"], "Sonstiges Ding")
    house.say(house.read("doc_1", one))
    assert why(house) == FOREIGN


def test_recognised_pages_and_filings_that_are_not_whole_promise_nothing(house: House) -> None:
    """Both are kept, for neither stands in the statements."""
    house.say(house.read("doc_1", wrong()))
    for column, reason in (("recognised", SCANNED), ("whole", LEFT_OUT)):
        with house.service.store.write() as session:
            session.execute(text(f"UPDATE filings SET {column} = NOT {column}"))
        assert why(house) == reason


def test_a_scanned_report_is_noted_as_recognised(house: House) -> None:
    """From how its pages were read; data has none."""
    words = json.dumps(wrong())
    boxes = np.full((len(words), 4), np.nan, np.float32)
    scan = Page(1, 0, len(words), 612.0, 792.0, method=METHOD)
    reading = Reading(words, (scan,), boxes, 1)
    outcome = Outcome()
    outcome.add("default", "doc_1", read(wrong()), reading)
    outcome.add("default", "doc_1", read(wrong()), None)
    assert [one.recognised for one in outcome.filings] == [True, False]


def test_a_finding_that_is_folded_away_counts_nowhere_and_nothing_is_promised_beside_it(
    house: House,
) -> None:
    """Until the dismissal is taken back."""
    house.say(house.read("doc_1", wrong()))
    (item,) = house.client.get(FINDINGS.format("doc_1")).json()["items"]
    house.say(decided(item, "reject", "ours", "doc_1"))
    house.say(house.read("doc_2", wrong("second")))
    (tally,) = counted(house, LAX)
    assert (tally.results, tally.accepted) == (1, 1)
    both = bent("balance_sheet", "Total current assets", 1, 4509)
    lines = next(s for s in both["statements"] if s["statement"] == "income")["rows"]
    next(line for line in lines if line["label"] == "Operating income")["values"][1] = 1_568_000_000
    house.say(house.read("doc_3", {**both, "id": "third"}))
    (tally,) = counted(house, LAX)
    assert (tally.results, tally.accepted, tally.why_not) == (2, 1, {FOLDED: 1})
    house.say(decided(item, "undo", None, "doc_1"))
    (tally,) = counted(house, LAX)
    assert (tally.accepted, tally.why_not) == (3, {})


def test_filings_of_one_name_are_told_apart(house: House) -> None:
    """Two of one id: the first sound, the others with an error, of which one has a warning."""
    odd = wrong("same")
    odd["statements"][0]["rows"][1]["values"] = ["a word", 1]
    house.say(house.read("doc_1", {**record(), "id": "same"}, wrong("same"), odd))
    (report,) = of_house(house)
    assert report
    assert [len(one.filing.warnings) for one in report.filings] == [0, 1]
    (tally,) = counted(house, LAX)
    assert (tally.accepted, tally.why_not) == (1, {WARNED: tally.results - 1})


def test_what_another_version_judged_promises_nothing(house: House) -> None:
    """Neither what judges now, nor its calibration set, says anything about it."""
    house.say(house.read("doc_1", wrong()))
    assert "rules" in why(house, judge=None) or "calibration" in why(house, judge=None)
    with house.service.store.write() as session:
        session.execute(text('UPDATE reports SET model = \'{"name": "rules", "version": "1"}\''))
    reason = why(house)
    assert reason.startswith("not guaranteed: rules 1 judged it, and triage-breaks ")
    assert reason.endswith("is installed: have it read again")
    assert Model("rules", "1") != RULES


def test_a_share_that_is_not_stated_is_named_as_the_policy_has_it(house: House) -> None:
    """And not as the command line of `triage` does."""
    house.say(house.read("doc_1", wrong()))
    unstated = RiskRules(findings=FindingRules(max_wrong=0.2), sample_share=0.0)
    assert why(house, (unstated, SILENT)) == UNSTATED
    assert "--broken" not in UNSTATED


def test_what_checks_have_tightened_holds_for_what_is_tried(house: House) -> None:
    """A policy that would accept accepts nothing where too many checks were wrong."""
    house.say(house.read("doc_1", wrong()))
    with house.service.store.read() as session:
        key = draw_key(session)
    known = [one for one in of_house(house) if one]
    (tally,) = tried(known, [LAX], JUDGE, {}, key, Local(step=4))
    assert (tally.accepted, tally.reviewed) == (0, 1)
    assert any("too many checks were wrong" in why for why in tally.why_not)
