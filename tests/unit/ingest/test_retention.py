"""How long documents are kept, and what is left of those that are gone."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from services.ingest.domain import now_utc
from services.ingest.retention.commands import DAY, STALE, HalfBlobs, Keeper
from services.ingest.retention.domain import Rules
from services.ingest.store import documents
from shared.events import DocumentDeleted
from tests.unit.documents.mails import attached, text, whole
from tests.unit.ingest.house import House, extracted, found


def kept(house: House, *rules: tuple[str | None, int], client: Any = None) -> None:
    """Set the rules of a tenant."""
    body = {"items": [{"kind": kind, "days": days} for kind, days in rules]}
    answer = (client or house.client).put("/v1/retention", json=body)
    assert answer.status_code == 200, answer.text


def aged(house: House, document: str, days: float) -> None:
    """Make as if a document had been uploaded so long ago."""
    then = now_utc() - timedelta(days=days)
    with house.service.store.write() as session:
        session.execute(update(documents).where(documents.c.id == document).values(created=then))


def ended(house: House, words: str, kind: str = "contract", days: float = 0) -> str:
    """A document of a kind that has ended."""
    document = house.accepted(words.encode(), "a.txt", kind=kind)
    house.work()
    if kind != "other":
        house.say(extracted(document) if kind == "contract" else found(document))
    aged(house, document, days)
    return document


def there(house: House, document: str) -> bool:
    """Whether it is still there."""
    return bool(house.client.get(f"/v1/documents/{document}").status_code == 200)


def keeper(house: House) -> Keeper:
    """The loop, turned by hand."""
    return Keeper(house.service.store)


def test_each_kind_is_kept_for_its_days(any_house: House) -> None:
    """The rule of a kind outweighs the one for all; what is too young or has no rule stays."""
    old_contract = ended(any_house, "old contract", days=31)
    young_contract = ended(any_house, "young contract", days=29)
    report = ended(any_house, "a report", "report", days=31)
    other = ended(any_house, "something else", "other", days=8)
    assert keeper(any_house).round() == 0, "without rules nothing is deleted"
    kept(any_house, ("contract", 30), (None, 7), ("report", 365))
    assert keeper(any_house).round() == 2
    gone = [
        one for one in (old_contract, young_contract, report, other) if not there(any_house, one)
    ]
    assert gone == [old_contract, other]
    assert keeper(any_house).round() == 0
    listed = any_house.client.get("/v1/retention").json()
    assert listed == {
        "items": [
            {"kind": None, "days": 7},
            {"kind": "contract", "days": 30},
            {"kind": "report", "days": 365},
        ],
        "next": None,
    }
    kept(any_house)
    assert any_house.client.get("/v1/retention").json()["items"] == []


def test_the_tombstone_says_who_and_when(any_house: House) -> None:
    """A key by its name, a rule as `retention`; and when nothing was left of it."""
    before = now_utc()
    by_hand, by_rule = ended(any_house, "one"), ended(any_house, "two", days=2)
    assert any_house.client.get(f"/v1/deletions/{by_hand}").status_code == 404
    any_house.client.delete(f"/v1/documents/{by_hand}")
    kept(any_house, (None, 1))
    keeper(any_house).round()
    stone = any_house.client.get(f"/v1/deletions/{by_hand}").json()
    assert stone["removed"] is None
    assert stone["deleted_by"] == "tester"
    assert before <= datetime.fromisoformat(stone["deleted"]) <= now_utc()
    any_house.work()
    listed = any_house.client.get("/v1/deletions").json()
    assert [(s["id"], s["deleted_by"]) for s in listed["items"]] == [
        (by_rule, "retention"),
        (by_hand, "tester"),
    ]
    assert all(stone["removed"] for stone in listed["items"])
    first = any_house.client.get("/v1/deletions?limit=1").json()
    rest = any_house.client.get(f"/v1/deletions?limit=1&cursor={first['next']}").json()
    assert [s["id"] for s in first["items"] + rest["items"]] == [by_rule, by_hand]
    assert rest["next"] is None
    assert any_house.blobs() == set()
    told = {event.document_id: event.actor for event in any_house.said(DocumentDeleted)}
    assert told == {by_hand: "tester", by_rule: "retention"}


def test_rules_and_tombstones_are_a_tenant_s_own(any_house: House) -> None:
    """One tenant's rule deletes nothing of another's, and nobody sees another's tombstones."""
    mine = ended(any_house, "mine", days=100)
    acme = any_house.client_of("acme")
    kept(any_house, (None, 1), client=acme)
    assert keeper(any_house).round() == 0
    any_house.client.delete(f"/v1/documents/{mine}")
    assert acme.get("/v1/deletions").json()["items"] == []
    assert acme.get(f"/v1/deletions/{mine}").status_code == 404
    assert any_house.client.get("/v1/retention").json()["items"] == []


def test_what_is_worked_on_stays(house: House) -> None:
    """A rule waits for the end of a document, however old it is."""
    document = house.accepted(b"still being worked on", "a.txt")
    house.work()
    aged(house, document, 100)
    kept(house, (None, 1))
    assert keeper(house).round() == 0
    house.say(extracted(document))
    assert keeper(house).round() == 1


def test_a_mail_stays_as_long_as_what_lies_in_it(house: House) -> None:
    """What would go with it goes by its own rule too; it all goes together then."""
    table = b"Balance Sheet,2023-12-31\nTotal assets,1\n"
    data = whole([text(), attached(table, "report.csv", "text/csv")])
    letter = house.accepted(data, "letter.eml")
    house.work()
    [part] = house.client.get(f"/v1/documents?parent={letter}").json()["items"]
    assert part["kind"] == "report"
    house.say(extracted(letter), found(part["id"]))
    for document in (letter, part["id"]):
        aged(house, document, 50)
    kept(house, ("contract", 10), ("report", 100))
    assert keeper(house).round() == 0
    kept(house, ("contract", 10), ("report", 40))
    assert keeper(house).round() == 1
    assert not there(house, letter)
    assert not there(house, part["id"])


@pytest.mark.parametrize(
    "items",
    [
        [{"kind": "contract", "days": 0}],
        [{"kind": "contract", "days": "30"}],
        [{"kind": "contract", "days": True}],
        [{"kind": "novel", "days": 30}],
        [{"days": 30}],
        [{"kind": None, "days": 30}, {"kind": None, "days": 40}],
    ],
)
def test_rules_that_can_not_be_meant(house: House, items: list[dict[str, Any]]) -> None:
    """A rule deletes, so nothing is guessed."""
    assert house.client.put("/v1/retention", json={"items": items}).status_code == 422


def test_the_loop_goes_round_and_stops(house: House) -> None:
    """It deletes without being asked, and ends soon after it is told to."""
    document = ended(house, "old", days=5)
    kept(house, (None, 1))
    stop = threading.Event()
    thread = threading.Thread(target=Keeper(house.service.store, 0.05).run, args=(stop,))
    thread.start()
    until = time.monotonic() + 30
    while there(house, document) and time.monotonic() < until:
        time.sleep(0.05)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert not there(house, document)


def test_a_rule_for_all_leaves_each_kind_its_own() -> None:
    """Days by kind, with the rule for every other one filled in."""
    assert Rules({None: 7, "report": 9}).each_kind() == {"contract": 7, "report": 9, "other": 7}
    assert Rules({"report": 9}).each_kind() == {"report": 9}
    assert Rules().each_kind() == {}


def test_what_was_never_written_to_its_end_goes_every_day(house: House) -> None:
    """A worker that runs for months removes it too, and not its start alone."""
    made = [make(None) for make in house.service.jobs]
    [job] = [one for one in made if isinstance(one, HalfBlobs)]
    assert (job.interval, DAY) == (86_400.0, STALE.total_seconds())
    job.interval = 0.01
    house.service.blobs.put("default", b"whole")
    folder = house.folder / "blobs" / "default" / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    thread = threading.Thread(target=job.run, args=(stop,))
    thread.start()
    try:
        for half in (folder / "first", folder / "second"):
            half.write_bytes(b"ha")
            end = time.monotonic() + 30
            while half.exists() and time.monotonic() < end:
                time.sleep(0.01)
            assert not half.exists()
    finally:
        stop.set()
        thread.join()
    assert len(list(house.service.blobs.listed())) == 1
