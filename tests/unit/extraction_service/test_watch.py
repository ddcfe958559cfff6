"""Checks put a promise in doubt: less is accepted, it is said everywhere, and only there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.extraction import pipeline
from services.extraction.domain import FoundClause, Pass
from services.extraction.store import Extractions
from services.extraction.watch.calibrating import complete
from services.extraction.watch.store import Watches
from shared.events import DocumentDeleted, ReviewDecided
from shared.guarantee import read_calibration
from shared.metrics import exposition
from shared.risk import interval
from shared.storage.watches import Drawn
from shared.watch.calibrating import loosen
from shared.watch.local import promise_name, version_and_level
from tests.unit.extraction_service.house import TERMS, House
from tests.unit.extraction_service.test_routes import calibration, of_two, policy


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """All that could be accepted is checked."""
    path = policy(tmp_path, max_wrong=0.05, sample_share=1.0)
    one = House(tmp_path, policy=path)
    one.specialists.specialist.guarantee = calibration()
    yield one
    one.close()


def read(house: House, document: str) -> list[dict[str, Any]]:
    """A document is read; its clauses."""
    house.say(house.ingested(document), house.read(document))
    answer = house.client.get(f"/v1/documents/{document}/clauses")
    return list(answer.json()["items"])


def decide(house: House, document: str, clause: str, wrong: bool | None) -> None:
    """A person decides, or takes it back."""
    verdict = "undo" if wrong is None else "reject" if wrong else "accept"
    house.say(
        ReviewDecided(
            document_id=document,
            item_id="it_1",
            stage="extraction",
            result_id=clause,
            decision_id="de_1",
            verdict=verdict,
            wrong=wrong,
        )
    )


def watched(house: House) -> dict[str, Any]:
    """What REST says of the one specialist."""
    answer = house.client.get("/v1/watch")
    assert answer.status_code == 200
    (item,) = answer.json()["items"]
    return {**item, "notices": answer.json()["notices"]}


def test_checks_that_are_right_leave_the_promise_as_it_is(house: House) -> None:
    """They count when all of a document are decided."""
    for number in range(3):
        clauses = read(house, f"doc_{number}")
        for clause in clauses:
            assert watched(house)["documents"] == number
            decide(house, f"doc_{number}", clause["id"], False)
    now = watched(house)
    assert (now["documents"], now["checks"], now["wrong"]) == (3, 6, 0)
    assert now["evidence"] < 1
    assert (now["step"], now["doubted"], now["notices"]) == (0, [], [])


def test_wrong_checks_tighten_by_themselves_and_it_is_said(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """By REST, metric and log; the next document is routed by it, with the reason."""
    with caplog.at_level(logging.WARNING):
        for number in range(8):
            for clause in read(house, f"doc_{number}"):
                decide(house, f"doc_{number}", clause["id"], True)
    now = watched(house)
    assert now["step"] > 0
    assert now["belief_now"] == pytest.approx(0.9125)
    notice = next(one for one in now["notices"] if one["kind"] == "risk")
    assert "were wrong" in notice["text"]
    assert notice["actor"] == ""
    assert any("were wrong" in record.getMessage() for record in caplog.records)
    told = exposition()
    assert b'smallprint_promise_alerts_total{adapter="contract-clauses",kind="risk"}' in told
    assert b'smallprint_promise_tightened{adapter="contract-clauses"} 1.0' in told
    read(house, "doc_last")
    (risk,) = house.client.get("/v1/documents/doc_last/clauses").json()["risks"]
    assert min(risk["thresholds"].values()) == pytest.approx(0.9125)
    assert "believed to 91.2% and not to 30.0%" in risk["tightened"][0]
    with house.service.store.read() as session:
        assert Watches(session, "default").of_document("doc_last", "contract-clauses") == []


LEFT = {
    "of the others is accepted only what is": of_two(600, 0.01, 0.02, 0.12),
    "of the others nothing is accepted any more": of_two(600, 0.01, 0.11),
}
"""What is said of a category in doubt, by what there is beside it."""


@pytest.mark.parametrize("said", LEFT)
def test_of_a_category_in_doubt_it_is_said_what_is_accepted_of_the_others(
    tmp_path: Path, said: str
) -> None:
    """By the notice, by REST and beside the clauses of the next document: without it they have to
    keep the risk by themselves. Once it is loosened, they are accepted as before.
    """
    one = House(tmp_path, policy=policy(tmp_path, max_wrong=0.05, sample_share=1.0))
    one.specialists.specialist.guarantee = LEFT[said]
    try:
        for number in range(40):
            for clause in pages_of(one, f"doc_{number}", "inspect"):
                decide(one, f"doc_{number}", clause["id"], False)
        number = 200
        while not watched(one)["doubted"]:
            for clause in pages_of(one, f"doc_{number}", "governed"):
                decide(one, f"doc_{number}", clause["id"], True)
            number += 1
        now = watched(one)
        assert (now["step"], now["doubted"]) == (0, ["Governing Law"])
        assert now["belief"] < 0.9
        (notice,) = now["notices"]
        assert (notice["kind"], notice["about"]) == ("category", "Governing Law")
        assert said in notice["text"]
        pages_of(one, "doc_last", "inspect")
        (risk,) = one.client.get("/v1/documents/doc_last/clauses").json()["risks"]
        if "nothing" in said:
            assert now["belief_now"] is None
            assert risk["thresholds"] == {}
            assert "without Governing Law" in risk["why_not"]
        else:
            assert now["belief_now"] == pytest.approx(0.88, abs=0.005)
            assert f"believed to {now['belief_now']:.1%}, no more to" in notice["text"]
            assert risk["thresholds"] == {"Audit Rights": pytest.approx(now["belief_now"])}
        assert watched(one)["belief_now"] == now["belief_now"]
        with one.service.store.write() as session:
            loosen(Watches(session, "default"), "contract-clauses", "they were right", "ann")
        assert watched(one)["belief_now"] == now["belief"]
    finally:
        one.close()


def pages_of(house: House, document: str, word: str) -> list[dict[str, Any]]:
    """A document with one clause, by its word, is read; its clauses."""
    house.say(house.ingested(document), house.read(document, f"It may be {word} here.\n"))
    answer = house.client.get(f"/v1/documents/{document}/clauses")
    return list(answer.json()["items"])


def test_a_promise_is_told_with_whose_it_is_and_how_far_its_checks_carry(house: House) -> None:
    """Its version and confidence, and the interval of so few checks."""
    for number in range(2):
        for clause in read(house, f"doc_{number}"):
            assert watched(house)["interval"] is None or number
            decide(house, f"doc_{number}", clause["id"], False)
    now = watched(house)
    assert (now["version"], now["level"], now["max_wrong"]) == ("0.0.1", 0.95, 0.05)
    assert now["interval"] == pytest.approx([0, 1 - 0.025 ** (1 / 4)])
    assert now["enough"] == 72
    assert interval(0, 72)[1] <= 0.05 < interval(0, 71)[1]
    assert now["accepted"] == 0


def test_what_the_machine_accepts_is_counted_by_tenant(tmp_path: Path) -> None:
    """Nothing is drawn here; a deletion takes its clauses from the count."""
    one = House(tmp_path, policy=policy(tmp_path, max_wrong=0.05, sample_share=0.0))
    one.specialists.specialist.guarantee = calibration()
    try:
        clauses = [*read(one, "doc_1"), *read(one, "doc_2")]
        accepted = [clause for clause in clauses if clause["route"] == "accept"]
        assert watched(one)["accepted"] == len(accepted) > 0
        with one.service.store.read() as session:
            assert Watches(session, "rivals").accepted() == {}
        one.say(DocumentDeleted(document_id="doc_1"))
        assert 0 < watched(one)["accepted"] < len(accepted)
    finally:
        one.close()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (promise_name("1.4.0+2", 0.1, 0.9, 0.87), ("1.4.0", 0.9)),
        (promise_name("1.4.0+local+0", 0.1, 0.95, 0.5), ("1.4.0+local", 0.95)),
        ("", None),
        ("what was promised", None),
    ],
)
def test_a_promise_s_name_says_whose_it_is(name: str, told: tuple[str, float] | None) -> None:
    """Also of versions with a plus; what is no name says nothing."""
    assert version_and_level(name) == told


def test_another_tenant_is_left_alone(house: House) -> None:
    """Its watch is its own, and nobody sees that of others."""
    for clause in read(house, "doc_1"):
        decide(house, "doc_1", clause["id"], True)
    assert house.client_of("rivals").get("/v1/watch").json()["items"] == []


def test_a_decision_that_is_undone_counts_no_more(house: House) -> None:
    """And decided the other way it counts so."""
    first, second = (clause["id"] for clause in read(house, "doc_1"))
    decide(house, "doc_1", first, True)
    decide(house, "doc_1", second, False)
    assert watched(house)["wrong"] == 1
    decide(house, "doc_1", first, None)
    assert (watched(house)["checks"], watched(house)["evidence"]) == (0, pytest.approx(1.0))
    decide(house, "doc_1", first, False)
    assert (watched(house)["checks"], watched(house)["wrong"]) == (2, 0)


def test_a_promise_that_is_made_again_begins_anew(house: House) -> None:
    """As after a version that was tried: what counted before is not counted with the new ones,
    nor when one of these is taken back.
    """
    expert = house.specialists.specialist
    for number, version in enumerate(("0.0.1", "0.0.2", "0.0.1")):
        expert.manifest = replace(expert.manifest, version=version)
        for clause in read(house, f"doc_{number}"):
            decide(house, f"doc_{number}", clause["id"], number == 0)
    assert (watched(house)["documents"], watched(house)["wrong"]) == (1, 0)
    decide(house, "doc_2", clause["id"], None)
    assert (watched(house)["documents"], watched(house)["wrong"]) == (0, 0)
    decide(house, "doc_2", clause["id"], False)
    assert (watched(house)["documents"], watched(house)["wrong"]) == (1, 0)


def test_what_a_person_looked_at_unasked_stands_for_no_others(tmp_path: Path) -> None:
    """Only what was drawn counts, or was asked about anyway."""
    one = House(tmp_path, policy=policy(tmp_path, max_wrong=0.05, sample_share=0.0))
    one.specialists.specialist.guarantee = calibration()
    try:
        for clause in read(one, "doc_1"):
            decide(one, "doc_1", clause["id"], True)
        assert watched(one)["checks"] == 0
        with one.service.store.read() as session:
            assert Watches(session, "default").decided("contract-clauses", "0.0.1") == []
    finally:
        one.close()


def test_a_deletion_forgets_what_nobody_decided_and_keeps_the_counts(house: House) -> None:
    """No word of a document is in either."""
    for clause in read(house, "doc_1"):
        decide(house, "doc_1", clause["id"], True)
    read(house, "doc_2")
    house.say(DocumentDeleted(document_id="doc_1"), DocumentDeleted(document_id="doc_2"))
    assert watched(house)["wrong"] == 2
    with house.service.store.read() as session:
        watches = Watches(session, "default")
        assert watches.of_document("doc_2", "contract-clauses") == []
        assert len(watches.of_document("doc_1", "contract-clauses")) == 2


def test_read_anew_a_document_counts_once(house: House) -> None:
    """The same clauses have the same ids, and what was decided stays so."""
    for clause in read(house, "doc_1"):
        decide(house, "doc_1", clause["id"], False)
    house.say(house.ingested("doc_1", attempt=2), house.read("doc_1", attempt=2))
    assert watched(house)["checks"] == 2


def read_again(house: House, document: str, version: str) -> None:
    """Another version of the specialist reads a document that was read."""
    expert = house.specialists.specialist
    expert.manifest = replace(expert.manifest, version=version)
    house.say(house.ingested(document, attempt=2), house.read(document, attempt=2))


def drawn(house: House, document: str) -> list[tuple[str, str, str]]:
    """The checks of a document: the clause, what it counts for, and the version."""
    with house.service.store.read() as session:
        found = Watches(session, "default").of_document(document, "contract-clauses")
    return [(one.result_id, one.promise, one.version) for one in found]


def test_whether_a_clause_is_checked_hangs_on_no_version(tmp_path: Path) -> None:
    """Read again the same are drawn: a pending check stays one, and no share grows."""
    one = House(tmp_path, policy=policy(tmp_path, max_wrong=0.05, sample_share=0.5))
    one.specialists.specialist.guarantee = calibration()
    names = [f"doc_{number}" for number in range(12)]
    try:
        for name in names:
            read(one, name)
        before = [[clause for clause, *_ in drawn(one, name)] for name in names]
        for name in names:
            read_again(one, name, "0.0.2")
        assert [[clause for clause, *_ in drawn(one, name)] for name in names] == before
        assert 4 < sum(map(len, before)) < 20
    finally:
        one.close()


def test_a_document_that_another_version_reads_again_counts_for_no_test(house: House) -> None:
    """Neither by what was pending nor by what was decided; one that comes in counts, and one that
    the same version reads again.
    """
    house.specialists.specialist.guarantee = calibration(by_contract=True)
    names = [f"doc_{number}" for number in range(8)]
    clauses = {name: read(house, name) for name in names}
    decide(house, names[0], clauses[names[0]][0]["id"], True)
    for name in names:
        read_again(house, name, "0.0.2")
    for name in names:
        for clause in clauses[name]:
            decide(house, name, clause["id"], True)
    now = watched(house)
    assert (now["version"], now["documents"], now["checks"]) == ("0.0.2", 0, 0)
    assert (now["step"], now["doubted"]) == (0, [])
    new = read(house, "doc_new")
    read_again(house, "doc_new", "0.0.2")
    for clause in new:
        decide(house, "doc_new", clause["id"], False)
    assert (watched(house)["documents"], watched(house)["checks"]) == (1, 2)


def test_decisions_follow_to_the_version_that_reads_the_document_again(house: House) -> None:
    """People are not asked again, so that a calibration of that one would wait for them for ever;
    what it does not find any more stays with the version that did.
    """
    for clause in read(house, "doc_1"):
        decide(house, "doc_1", clause["id"], False)
    read_again(house, "doc_1", "0.0.2")
    with house.service.store.read() as session:
        watches = Watches(session, "default")
        assert watches.decided("contract-clauses", "0.0.1") == []
        decided = watches.decided("contract-clauses", "0.0.2")
        kept = Extractions(session, "default")
        known = kept.get("doc_1")
        assert known
        every = [("doc_1", known.passes, kept.all_clauses("doc_1"))]
    found, unfinished = complete(every, decided, "contract-clauses", "0.0.2", 0.1)
    assert ([one.weight for one in found], unfinished) == ([1.0, 1.0], 0)


def test_watches_are_locked_in_the_same_order_however_specialists_are_named(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or two documents that name them differently would wait for each other for ever."""
    house.specialists.terms.guarantee = calibration()
    names = [TERMS, "contract-clauses"]
    locked: list[str] = []
    keep = Watches.kept

    def kept(self: Watches, adapter: str, *, lock: bool = False) -> Any:
        locked.extend([adapter] * lock)
        return keep(self, adapter, lock=lock)

    monkeypatch.setattr(Watches, "kept", kept)
    for number, order in enumerate((names, names[::-1])):
        event = house.read(f"doc_{number}").model_copy(update={"adapters": tuple(order)})
        house.say(house.ingested(f"doc_{number}"), event)
    assert locked == sorted(names) * 2


def unlike(tmp_path: Path, share: float) -> dict[str, Any]:
    """What is known after thirty documents of two clauses, where all those known had one."""
    one = House(tmp_path, policy=policy(tmp_path, max_wrong=0.05, sample_share=share))
    one.specialists.specialist.guarantee = calibration(by_contract=True)
    try:
        for number in range(30):
            one.say(one.ingested(f"doc_{number}"), one.read(f"doc_{number}"))
        return watched(one)
    finally:
        one.close()


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0, "nobody checks what is accepted, as the policy states a sample_share of 0"),
        (0.000001, "people check 20% of what could be accepted"),
        (0.5, "people check 50% of what could be accepted"),
    ],
)
def test_the_notice_of_a_change_says_what_is_done(tmp_path: Path, share: float, said: str) -> None:
    """And no more than that: nobody checks where the policy wants no checks."""
    (notice,) = unlike(tmp_path, share)["notices"]
    assert said in notice["text"]


def test_documents_for_which_nothing_is_promised_do_not_count_as_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning says of each of them already that it is unlike those known."""
    monkeypatch.setattr(pipeline, "doubts", lambda *_: ("the text is in another language",))
    now = unlike(tmp_path, 1.0)
    assert (now["drifted"], now["drift_documents"], now["notices"]) == (False, 0, [])


def test_documents_unlike_those_known_are_noticed_and_more_is_checked(tmp_path: Path) -> None:
    """All have two clauses where all those known had one; a fifth is checked from then on."""
    one = House(tmp_path, policy=policy(tmp_path, max_wrong=0.05, sample_share=0.000001))
    one.specialists.specialist.guarantee = calibration(by_contract=True)
    try:
        for number in range(30):
            read(one, f"doc_{number}")
        now = watched(one)
        assert now["drifted"]
        assert now["stability_index"] > 0.25
        assert [notice["kind"] for notice in now["notices"]] == ["drift"]
        assert b'smallprint_calibration_drift{adapter="contract-clauses"}' in exposition()
        with one.service.store.read() as session:
            local = Watches(session, "default").local("contract-clauses", "0.0.1")
        assert local.drifted
        for number in range(30, 60):
            read(one, f"doc_{number}")
        with one.service.store.read() as session:
            watches = Watches(session, "default")
            drawn = [watches.of_document(f"doc_{n}", "contract-clauses") for n in range(30, 60)]
        assert 3 <= sum(map(len, drawn)) <= 30
        assert {check.share for checks in drawn for check in checks} == {0.2}
    finally:
        one.close()


def test_what_a_stated_share_of_missed_clauses_shows_more_is_no_change(tmp_path: Path) -> None:
    """The calibration set has what is usually shown: documents are compared by that alone."""
    house = House(tmp_path, policy=policy(tmp_path, max_wrong=0.05, max_missed=0.3))
    known = replace(
        read_calibration(calibration(by_contract=True)), answer_confidence=np.full(800, 0.6)
    )
    expert = house.specialists.specialist
    expert.guarantee = known.to_bytes()
    expert.manifest = replace(expert.manifest, thresholds={"best_f1": 0.95})
    try:
        found = read(house, "doc_1")
        assert [clause["confidence"] for clause in found] == pytest.approx([0.9, 0.9])
        (missed,) = house.client.get("/v1/documents/doc_1/clauses").json()["missed"]
        assert missed["above"] < 0.9
        assert watched(house)["drift_documents"] == 0
    finally:
        house.close()


def test_nothing_is_learned_of_what_is_usually_not_shown() -> None:
    """It is never accepted, and a document need not wait for decisions about it."""
    sure = FoundClause("cl_1", "contract-clauses", "Insurance", "words", 10, 15, 1, 0.9)
    more = replace(sure, id="cl_2", confidence=0.2)
    read_by = (Pass("contract-clauses", "0.0.1", None),)
    decided = [
        Drawn(one.id, "doc_1", "contract-clauses", "0.0.1", "Insurance", one.confidence, 0.0, "",
              1.0, False, wrong=False)
        for one in (sure, more)
    ]  # fmt: skip
    for known in (decided, decided[:1]):
        found, unfinished = complete(
            [("doc_1", read_by, [sure, more])], known, "contract-clauses", "0.0.1", 0.5
        )
        assert ([one.confidence for one in found], unfinished) == ([0.9], 0)


def test_what_was_decided_while_the_kind_was_unsure_stands_for_as_many_as_it_would_have(
    tmp_path: Path,
) -> None:
    """All of it went to people then; now it is accepted but for what is drawn, and what is left of
    that counts for no test, for people chose what they left.
    """
    one = House(tmp_path, policy=policy(tmp_path, max_wrong=0.05, sample_share=0.5))
    one.specialists.specialist.guarantee = calibration()
    names = [f"doc_{number}" for number in range(12)]
    try:
        for name in names:
            one.say(one.ingested(name), one.read(name, kind_unsure=True))
            first, *_ = one.client.get(f"/v1/documents/{name}/clauses").json()["items"]
            assert first["route"] == "review"
            decide(one, name, first["id"], False)
            one.say(one.ingested(name, attempt=2), one.read(name, attempt=2))
        with one.service.store.read() as session:
            watches = Watches(session, "default")
            clauses = [
                c for name in names for c in Extractions(session, "default").all_clauses(name)
            ]
            decided = watches.decisions()
            left = [watches.find(c.id) for c in clauses if c.sampled and c.id not in decided]
        shares = {c.id: 0.5 if c.sampled else 1.0 for c in clauses if c.id in decided}
        assert {key: known.share for key, known in decided.items()} == shares
        assert set(shares.values()) == {0.5, 1.0}
        assert left
        assert [known.promise for known in left if known] == [""] * len(left)
    finally:
        one.close()
