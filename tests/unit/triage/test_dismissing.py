"""Dismissals in the running service: remembered, taken back, and gone with their document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as hooks
from sqlalchemy import text

from services.triage import unfolding
from services.triage.dismissals import filer_of
from services.triage.handlers import note_decision
from services.triage.judgement import FLAGGED
from services.triage.store import MIGRATIONS
from shared.errors import Unavailable
from shared.events import DocumentDeleted, DocumentRekinded, FindingsFound, ReviewDecided
from shared.storage import Store, UnitOfWork, begin_try
from tests.killed import Killed
from tests.unit.triage.house import House
from tests.unit.triage.test_dismissals import NEW, OLD, SOUND, balance, wrong

FINDINGS = "/v1/documents/{}/findings"
WORDS = "a lawful presentation of ours"


def decided(item: dict[str, Any], verdict: Any, note: str | None, document: str) -> ReviewDecided:
    """What review says of a decision about a finding."""
    return ReviewDecided(
        document_id=document,
        actor="ada",
        item_id="it_1",
        stage="triage",
        result_id=item["id"],
        decision_id="de_1",
        verdict=verdict,
        note=note,
    )


def found(house: House, document: str) -> dict[str, Any]:
    """What triage answers."""
    body: dict[str, Any] = house.client.get(FINDINGS.format(document)).json()
    return body


def dismissed(house: House, document: str = "doc_1", note: str = WORDS) -> dict[str, Any]:
    """The only finding of a wrong report, which an analyst dismissed."""
    house.say(house.read(document, wrong(id=document)))
    item: dict[str, Any] = found(house, document)["items"][0]
    house.say(decided(item, "reject", note, document))
    return item


def folded(house: House, document: str) -> None:
    """The next report of that filer, with the same once more."""
    house.say(house.read(document, wrong(id=document)))
    body = found(house, document)
    (item,) = body["items"]
    assert item["dismissed"]["reason"] == WORDS
    assert not body["flagged"]
    assert body["risk"] < item["confidence"]


def counts_again(house: House, document: str) -> None:
    """Whether a report is flagged for it, as it is said and as it is announced."""
    body = found(house, document)
    (item,) = body["items"]
    assert (body["flagged"], body["risk"]) == (True, item["confidence"])
    assert item["dismissed"] is None
    event = [one for one in house.heard(FindingsFound) if one.document_id == document][-1]
    assert (event.flagged, event.risk, event.count) == (True, body["risk"], 1)
    listed = json.loads(house.service.blobs.get("default", event.findings))
    assert listed == body["items"]


def contents(house: House) -> list[bytes]:
    """Every blob."""
    folder = house.service.settings.blobs
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def kept_words(house: House) -> bool:
    """Whether an analyst's words are in any table of findings, or in any blob."""
    with house.service.store.read() as session:
        rows = session.execute(text("SELECT body FROM findings")).scalars().all()
        said = session.execute(text("SELECT reason FROM dismissals")).scalars().all()
    blobs = contents(house)
    return any(WORDS in one for one in (*rows, *said)) or any(WORDS.encode() in b for b in blobs)


def test_a_dismissal_is_remembered_until_it_is_undone(any_house: House) -> None:
    """With the reason, for the next report of that filer, visibly; then it counts again there."""
    house = any_house
    item = dismissed(house)
    folded(house, "doc_2")
    (*_, event) = house.heard(FindingsFound)
    assert (event.flagged, event.count) == (False, 1)
    listed = json.loads(house.service.blobs.get("default", event.findings))
    assert listed[0]["dismissed"] == {"document": "doc_1", "finding": item["id"]}

    house.say(house.read("doc_3", wrong(id="other", company="Another Corp")))
    assert found(house, "doc_3")["flagged"]
    house.say(house.read("doc_4", wrong(1200, id="far")))
    assert all(one["dismissed"] is None for one in found(house, "doc_4")["items"])

    house.say(decided(item, "undo", None, "doc_1"))
    counts_again(house, "doc_2")
    assert not kept_words(house)
    house.say(house.read("doc_5", wrong(id="fifth")))
    assert found(house, "doc_5")["flagged"]


def test_the_next_report_folds_the_figure_itself_away_beside_a_new_break(any_house: House) -> None:
    """As its comparative, until that is undone; the new year is told."""
    house = any_house
    house.say(house.read("doc_1", balance("20231231", OLD, SOUND)))
    (item,) = found(house, "doc_1")["items"]
    house.say(decided(item, "reject", WORDS, "doc_1"))
    house.say(house.read("doc_2", balance("20241231", NEW, OLD)))
    body = found(house, "doc_2")
    words = {one["column"]: one["dismissed"] for one in body["items"]}
    assert body["flagged"]
    assert words[0] is None
    assert words[1]["reason"] == WORDS

    house.say(decided(item, "undo", None, "doc_1"))
    assert all(one["dismissed"] is None for one in found(house, "doc_2")["items"])


def listed(house: House) -> dict[str, tuple[int, int, int]]:
    """Of each listed report: findings, those folded away, and those that people decided about."""
    items = house.client.get("/v1/reports").json()["items"]
    return {i["document_id"]: (i["findings"], i["dismissed"], i["decided"]) for i in items}


def test_the_list_says_what_became_of_findings(any_house: House) -> None:
    """What is folded away is no finding to look at, and what people decided is told; both end with
    the decision.
    """
    house = any_house
    item = dismissed(house)
    house.say(house.read("doc_2", wrong(id="next")))
    house.say(house.read("doc_3", wrong(id="other", company="Another Corp")))
    assert listed(house) == {"doc_1": (1, 0, 1), "doc_2": (0, 1, 0), "doc_3": (1, 0, 0)}
    (again,) = found(house, "doc_3")["items"]
    for verdict, count in (("accept", 1), ("undo", 0), ("reject", 1), ("accept", 1)):
        house.say(decided(again, verdict, None, "doc_3"))
        assert listed(house)["doc_3"] == (1, 0, count)
    house.say(decided(item, "undo", None, "doc_1"))
    assert listed(house) == {"doc_1": (1, 0, 0), "doc_2": (1, 0, 0), "doc_3": (1, 0, 1)}


def test_what_was_decided_stays_so_while_the_report_is_one(house: House) -> None:
    """Read anew, it is still decided; as another kind, or deleted, nothing of it is kept."""
    house.say(house.read("doc_1", wrong()))
    (item,) = found(house, "doc_1")["items"]
    house.say(decided(item, "accept", None, "doc_1"))
    house.say(house.read("doc_1", wrong(), attempt=2))
    assert listed(house)["doc_1"] == (1, 0, 1)
    house.say(DocumentRekinded(document_id="doc_1", previous="report", kind="contract"))
    house.say(house.read("doc_1", wrong(), attempt=3))
    assert listed(house)["doc_1"] == (1, 0, 0)
    house.say(decided(item, "accept", None, "doc_1"))
    house.say(DocumentDeleted(document_id="doc_1"))
    house.say(decided(item, "accept", None, "doc_1"))
    assert listed(house) == {}
    with house.service.store.read() as session:
        assert session.execute(text("SELECT count(*) FROM decided")).scalar() == 0


def test_an_upgrade_knows_what_was_dismissed_as_decided(tmp_path: Path) -> None:
    """Of other decisions before that nothing was kept here."""
    store = Store(f"sqlite:///{tmp_path / 'triage.db'}", "triage", MIGRATIONS)
    store.migrate("0011")
    with store.write() as session:
        session.execute(
            text(
                "INSERT INTO dismissals (tenant, document_id, finding_id, filer, relation, reason,"
                " \"by\", time) VALUES ('t', 'doc_0', 'fd_0', 'x', 'r', 'w', 'ada', 0)"
            )
        )
    store.migrate()
    with store.read() as session:
        rows = session.execute(text("SELECT * FROM decided")).all()
    assert [tuple(row) for row in rows] == [("t", "doc_0", "fd_0")]
    store.close()


def test_a_report_that_is_read_anew_folds_away_its_own_until_that_is_undone(house: House) -> None:
    """The decision was about it, and stands until it is taken back."""
    item = dismissed(house)
    house.say(house.read("doc_1", wrong(id="doc_1"), attempt=2))
    assert not found(house, "doc_1")["flagged"]
    house.say(decided(item, "undo", None, "doc_1"))
    counts_again(house, "doc_1")


def test_a_dismissal_goes_with_its_document(any_house: House) -> None:
    """Its reason is somebody's words about what is deleted: no other report keeps them."""
    house = any_house
    dismissed(house)
    folded(house, "doc_2")
    assert kept_words(house)
    house.say(DocumentDeleted(document_id="doc_1"))
    counts_again(house, "doc_2")
    assert not kept_words(house)
    house.say(DocumentDeleted(document_id="doc_2"))
    assert not [data for data in contents(house) if b"fd_" in data]


def test_what_another_dismissal_covers_as_well_stays_folded_away(house: House) -> None:
    """With the words of that one."""
    item = dismissed(house, note="the first word")
    house.say(house.read("doc_0", wrong(id="doc_0")))
    (again,) = found(house, "doc_0")["items"]
    house.say(decided(again, "reject", WORDS, "doc_0"))
    folded(house, "doc_2")
    house.say(decided(again, "undo", None, "doc_0"))
    body = found(house, "doc_2")
    assert (body["items"][0]["dismissed"]["reason"], body["flagged"]) == ("the first word", False)
    house.say(decided(item, "undo", None, "doc_1"))
    counts_again(house, "doc_2")


def test_an_undoing_that_is_cut_off_is_done_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed right before its commit the words are gone already, and the next try does the rest."""
    item = dismissed(house)
    folded(house, "doc_2")
    undone = decided(item, "undo", None, "doc_1")
    begin_try(house.service.store, undone)
    uow = UnitOfWork(house.service.store, undone)
    monkeypatch.setattr(uow, "publish", killed)
    with pytest.raises(Killed):
        note_decision(undone, uow, house.service.blobs, FLAGGED)
    assert found(house, "doc_2")["items"][0]["dismissed"] is None
    house.say(undone)
    counts_again(house, "doc_2")


def test_of_many_reports_some_are_shown_anew_at_a_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off between two transactions, the first are announced once, and the next try does the
    rest.
    """
    monkeypatch.setattr(unfolding, "BATCH", 2)
    item = dismissed(house)
    names = [f"doc_{number}" for number in range(2, 7)]
    for name in names:
        folded(house, name)
    house.heard(FindingsFound)
    undone = decided(item, "undo", None, "doc_1")
    begin_try(house.service.store, undone)
    uow = UnitOfWork(house.service.store, undone)
    monkeypatch.setattr(uow, "publish", killed)
    with pytest.raises(Killed):
        note_decision(undone, uow, house.service.blobs, FLAGGED)
    counted = [found(house, name)["flagged"] for name in names]
    assert counted == [True] * 4 + [False]
    house.say(undone)
    assert all(found(house, name)["flagged"] for name in names)
    events = house.heard(FindingsFound)
    assert sorted(event.document_id for event in events) == names
    assert {(event.actor, event.cause, event.trace) for event in events} == {
        ("ada", undone.id, undone.trace)
    }


def killed(_event: object) -> None:
    """What happens instead of an announcement."""
    raise Killed


def test_a_report_that_is_checked_meanwhile_is_checked_again(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dismissal that goes while it is used folds nothing away."""
    house = any_house
    item = dismissed(house)
    reading = house.read("doc_2", wrong(id="doc_2"))
    put, undone = house.service.blobs.put, list[ReviewDecided]()

    def meanwhile(tenant: str, data: bytes) -> Any:
        if b"dismissed" in data and not undone:
            undone.append(decided(item, "undo", None, "doc_1"))
            begin_try(house.service.store, undone[0])
            uow = UnitOfWork(house.service.store, undone[0])
            note_decision(undone[0], uow, house.service.blobs, FLAGGED)
        return put(tenant, data)

    monkeypatch.setattr(house.service.blobs, "put", meanwhile)
    check = house.service.handlers[type(reading)]
    begin_try(house.service.store, reading)
    with pytest.raises(Unavailable, match="changed meanwhile"):
        check(reading, UnitOfWork(house.service.store, reading))
    house.say(reading)
    counts_again(house, "doc_2")


def test_a_company_may_have_a_name_without_end(any_house: House) -> None:
    """An index takes no more than some kilobytes."""
    house = any_house
    name = " ".join(f"trust{n}" for n in range(4_000))
    house.say(house.read("doc_1", wrong(company=name)))
    (item,) = found(house, "doc_1")["items"]
    house.say(decided(item, "reject", WORDS, "doc_1"))
    house.say(house.read("doc_2", wrong(company=name, id="next")))
    assert not found(house, "doc_2")["flagged"]
    house.say(house.read("doc_3", wrong(company=f"{name} two", id="next")))
    assert found(house, "doc_3")["flagged"]


def test_dismissals_are_loaded_once_for_a_filer(house: House) -> None:
    """However many of its filings a document has."""
    dismissed(house)
    asked = []

    def counted(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append("FROM dismissals" in statement)

    hooks.listen(house.service.store.engine, "before_cursor_execute", counted)
    house.say(house.read("doc_2", *(wrong(id=f"f{n}") for n in range(20))))
    hooks.remove(house.service.store.engine, "before_cursor_execute", counted)
    assert not found(house, "doc_2")["flagged"]
    assert sum(asked) <= 3


@pytest.mark.parametrize(("verdict", "note"), [("reject", None), ("reject", " "), ("accept", "so")])
def test_without_a_reason_nothing_is_dismissed(
    house: House, verdict: str, note: str | None
) -> None:
    """Nor by accepting."""
    house.say(house.read("doc_1", wrong()))
    house.say(decided(found(house, "doc_1")["items"][0], verdict, note, "doc_1"))
    house.say(house.read("doc_2", wrong(id="next")))
    assert found(house, "doc_2")["flagged"]


def test_a_report_without_a_company_dismisses_nothing(house: House) -> None:
    """Nobody's relation is everybody's."""
    house.say(house.read("doc_1", wrong(company=None)))
    house.say(decided(found(house, "doc_1")["items"][0], "reject", "so", "doc_1"))
    house.say(house.read("doc_2", wrong(company=None, id="next")))
    assert found(house, "doc_2")["flagged"]


def test_an_upgrade_takes_repeated_words_away(tmp_path: Path) -> None:
    """Who folded a finding away was not kept, so it counts again; long names are shortened."""
    store = Store(f"sqlite:///{tmp_path / 'triage.db'}", "triage", MIGRATIONS)
    store.migrate("0005")
    body = {"check": "c", "confidence": 0.7, "dismissed": {"reason": WORDS, "by": "ada"}}
    name = filer_of("trust") * 100
    with store.write() as session:
        session.execute(
            text(
                "INSERT INTO reports (tenant, document_id, kind, attempt, state, flagged, risk,"
                " filings, warnings, blobs, updated, name, found) VALUES"
                " ('t', 'doc_1', 'report', 1, 'triaged', 0, 0.1, 1, '[]', '[]', 0, '', 1)"
            )
        )
        session.execute(
            text(
                'INSERT INTO findings (tenant, document_id, position, id, filing, "check",'
                " confidence, body, filer) VALUES"
                " ('t', 'doc_1', 0, 'fd_1', 'f', 'c', 0.7, :body, 'x')"
            ),
            {"body": json.dumps(body)},
        )
        session.execute(
            text(
                "INSERT INTO dismissals (tenant, document_id, finding_id, filer, relation, reason,"
                " \"by\", time) VALUES ('t', 'doc_0', 'fd_0', :name, 'r', 'w', 'ada', 0)"
            ),
            {"name": name},
        )
    store.migrate()
    with store.read() as session:
        (kept,) = session.execute(text("SELECT body FROM findings")).scalars()
        (risk,) = session.execute(text("SELECT risk FROM reports")).scalars()
        (filer,) = session.execute(text("SELECT filer FROM dismissals")).scalars()
    assert json.loads(kept) == {**body, "dismissed": None}
    assert risk == 0.7
    assert filer == filer_of(name)
    store.close()


RULES, FIRST, SECOND = (
    {"name": name, "version": version}
    for name, version in (("rules", "0"), ("triage-breaks", "1.0.0"), ("triage-breaks", "1.1.0"))
)


def test_what_counts_again_flags_its_report_either_way(tmp_path: Path) -> None:
    """By the threshold of what judged it; a finding that was never folded away changes nothing."""
    store = Store(f"sqlite:///{tmp_path / 'triage.db'}", "triage", MIGRATIONS)
    store.migrate("0005")
    cases = [
        (None, 0.6, True),
        (RULES, 0.4, False),
        (RULES, 0.6, True),
        (FIRST, 0.85, True),
        (SECOND, 0.85, False),
        (SECOND, 0.9, True),
    ]
    body = {"check": "c", "dismissed": {"reason": WORDS, "by": "ada"}}
    kept = {"check": "c", "dismissed": None}
    with store.write() as session:
        for number, (model, confidence, _) in enumerate(cases):
            session.execute(
                text(
                    "INSERT INTO reports (tenant, document_id, kind, attempt, state, flagged, risk,"
                    " filings, warnings, blobs, updated, name, found, model) VALUES"
                    " ('t', :id, 'report', 1, 'triaged', 0, 0.1, 1, '[]', '[]', 0, '', 1, :model)"
                ),
                {"id": f"doc_{number}", "model": json.dumps(model)},
            )
            for position, (said, sure) in enumerate(((body, confidence), (kept, 0.99))):
                session.execute(
                    text(
                        'INSERT INTO findings (tenant, document_id, position, id, filing, "check",'
                        " confidence, body, filer) VALUES"
                        " ('t', :id, :position, :finding, 'f', 'c', :sure, :body, 'x')"
                    ),
                    {
                        "id": f"doc_{number}",
                        "position": position,
                        "finding": f"fd_{number}_{position}",
                        "sure": sure,
                        "body": json.dumps(said),
                    },
                )
    wanted = [(confidence, flagged) for _, confidence, flagged in cases]
    seen = "SELECT risk, flagged FROM reports ORDER BY document_id"
    store.migrate()
    with store.write() as session:
        assert [(risk, bool(flag)) for risk, flag in session.execute(text(seen))] == wanted
        session.execute(text("UPDATE reports SET risk = 0.1, flagged = 0"))
        session.execute(text("UPDATE findings SET dismissed_document = 'doc_a' WHERE position = 0"))
    store.migrate("0005")
    with store.read() as session:
        assert [(risk, bool(flag)) for risk, flag in session.execute(text(seen))] == wanted
    store.close()


def test_a_finding_of_a_newer_release_is_read(house: House) -> None:
    """Fields that this one doesn't know are passed over, wherever they are."""
    house.say(house.read("doc_1", wrong()))
    before = found(house, "doc_1")
    with house.service.store.write() as session:
        (body,) = session.execute(text("SELECT body FROM findings")).scalars()
        newer = json.loads(body)
        newer["cells"][0] |= {"certainty": 0.5, "place": {"page": 1, "corner": "left"}}
        newer["cells"][1]["certainty"] = 0.5
        newer["reason"] = {"in": "another form"}
        session.execute(text("UPDATE findings SET body = :body"), {"body": json.dumps(newer)})
    after = found(house, "doc_1")
    after["items"][0]["cells"][0]["place"] = None
    after["items"][0]["page"] = None
    assert after == before
