"""What a document is: by its text, by somebody's word, and by another word later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.ingest.judging import Judge
from shared import linear
from shared.errors import UnreadableDocument
from shared.events import (
    DocumentIngested,
    DocumentRead,
    DocumentRekinded,
    Event,
    ReviewDecided,
)
from shared.storage.deletion import is_cancelled
from tests.unit.documents.archives import archive
from tests.unit.ingest.house import House, InProcessReader, away_once, extracted, found, gave_up

KINDS = ("contract", "report", "other")
PROSE = b"The parties to this agreement agree that nothing in it is to be taken at its word. " * 4
SURE = {"contract": 0.9, "report": 0.9, "other": 0.95, "words": 40, "known": 0.75, "telling": 0.02}
Made = Callable[..., House]


def model(folder: Path, chances: tuple[float, float, float], *, met: bool = True) -> Path:
    """Artefacts with a specialist that says the same of every text; it met all words, or none."""
    manifest = {
        "name": "document-kind",
        "version": "1.0.0",
        "places": 16,
        "reads": 1000,
        "labels": KINDS,
        "licence": "ours",
        "thresholds": SURE,
        "telling": {"contract": ["landlord"]},
    }
    bits = np.full(8, 255 if met else 0, np.uint8)
    weight, bias = np.zeros((16, 3), np.float32), np.log(np.array(chances, np.float32))
    linear.write(folder / "document-kind/1.0.0", manifest, weight, bias, bits)
    return folder


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Made]:
    """Makes a house whose specialist says the same of every text."""
    houses: list[House] = []

    def made(*chances: float, met: bool = True) -> House:
        artefacts = model(tmp_path / "artefacts", chances, met=met)  # type: ignore[arg-type]
        houses.append(House(tmp_path / "data", artefacts=artefacts))
        return houses[-1]

    yield made
    for house in houses:
        house.close()


def say(house: House, document: str, kind: str, **headers: str) -> Any:
    """Somebody says of what kind a document is."""
    path = f"/v1/documents/{document}/kind"
    return house.client.put(path, json={"kind": kind}, headers=headers)


def answered(document: str, verdict: str, category: str | None = None) -> ReviewDecided:
    """A person's answer to the question of what a document is."""
    return ReviewDecided(
        document_id=document,
        item_id="it_1",
        stage="ingest",
        result_id=document,
        decision_id=f"de_{verdict}",
        verdict=verdict,
        correction={"category": category} if category else None,
    )


def unreadable(*_args: Any, **_named: Any) -> Any:
    """A reader to whom every document is damaged."""
    raise UnreadableDocument("it broke")


def heard(house: House, kind: type[Event]) -> Any:
    """Every event of a type that was said so far."""
    return house.said(kind)


def test_another_kind_is_another_attempt_at_what_was_read(any_house: House) -> None:
    """The old result is void and can't come back; nothing is read, or worked on, twice."""
    document = any_house.accepted(PROSE, "a.txt", kind="contract")
    any_house.work()
    any_house.say(extracted(document, warnings=("not English",)))
    assert any_house.state(document)["outcome"] == "complete"
    answer = say(any_house, document, "report")
    assert answer.status_code == 200
    assert answer.json()["attempt"] == 2
    any_house.work()
    any_house.say(extracted(document))
    state = any_house.state(document)
    assert (state["kind"], state["kind_source"], state["state"]) == (
        "report",
        "uploader",
        "processing",
    )
    assert (state["pages"], state["warnings"]) == (1, [])
    assert say(any_house, document, "report").json()["attempt"] == 2
    any_house.say(found(document, attempt=2))
    assert any_house.state(document)["outcome"] == "complete"
    (said,) = heard(any_house, DocumentRekinded)
    assert (said.kind, said.previous, said.attempt) == ("report", "contract", 2)
    first, second = heard(any_house, DocumentRead)
    assert (first.kind, second.kind, second.attempt) == ("contract", "report", 2)
    assert (first.text, first.layout) == (second.text, second.layout)
    assert len(heard(any_house, DocumentIngested)) == 1


@pytest.mark.parametrize("how", ["said", "uploaded", "answered"])
def test_what_waits_under_the_old_kind_is_void_at_once(make: Made, how: str) -> None:
    """Whoever has a long queue before it knows it without having heard of it: no question about a
    report goes out as one about a contract. The mark goes with the document.
    """
    house = make(0.5, 0.1, 0.4)
    document = house.accepted(PROSE, "a.txt")
    house.work()
    blobs = house.service.blobs
    assert not is_cancelled(blobs, "default", document, 1)
    if how == "said":
        say(house, document, "report")
    elif how == "uploaded":
        house.upload(PROSE, "a.txt", kind="report")
    else:
        house.say(answered(document, "correct", "report"))
    assert house.state(document)["attempt"] == 2
    assert is_cancelled(blobs, "default", document, 1)
    assert not is_cancelled(blobs, "default", document, 2)
    house.client.delete(f"/v1/documents/{document}")
    house.work()
    assert not is_cancelled(blobs, "default", document, 1)


@pytest.mark.parametrize("how", ["said", "uploaded", "in an archive", "answered"])
def test_it_is_void_also_where_the_blob_store_was_away(
    make: Made, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """What is committed counts, and is answered so; its mark follows by the event of it."""
    house = make(0.5, 0.1, 0.4)
    document = house.accepted(PROSE, "a.txt")
    house.work()
    refused = away_once(house, monkeypatch)
    if how == "said":
        assert say(house, document, "report").status_code == 200
    elif how == "uploaded":
        assert house.upload(PROSE, "a.txt", kind="report").status_code == 202
    elif how == "answered":
        house.say(answered(document, "correct", "report"))
    else:
        house.accepted(archive({"a.txt": PROSE}), "a.zip", kind="report")
    house.work()
    assert len(refused) == 1
    assert house.state(document)["attempt"] == 2
    marked = [is_cancelled(house.service.blobs, "default", document, n) for n in (1, 2)]
    assert marked == [True, False]


def test_a_mark_is_made_of_no_document_that_is_deleted(house: House) -> None:
    """The event of another kind comes twice, the second time after everything is removed."""
    document = house.accepted(PROSE, "a.txt")
    house.work()
    say(house, document, "report")
    house.client.delete(f"/v1/documents/{document}")
    house.work()
    late = DocumentRekinded(document_id=document, kind="report", previous="contract", attempt=2)
    house.say(late)
    assert house.blobs() == set()


def test_the_same_kind_said_again_voids_nothing(house: House) -> None:
    """What is in hand goes on."""
    document = house.accepted(PROSE, "a.txt")
    house.work()
    assert say(house, document, "contract").json()["attempt"] == 1
    house.work()
    assert len(heard(house, DocumentRekinded)) == 1
    assert not is_cancelled(house.service.blobs, "default", document, 1)


def test_what_was_never_read_is_read_under_its_new_kind(house: House) -> None:
    """What was sent as none of ours was not opened."""
    document = house.accepted(PROSE, "a.txt", kind="other")
    house.work()
    assert house.state(document)["outcome"] == "rejected"
    assert say(house, document, "contract").json()["state"] == "received"
    house.work()
    (read,) = heard(house, DocumentRead)
    assert (read.kind, read.attempt) == ("contract", 2)


def test_a_document_that_is_none_of_ours_is_rejected_and_can_come_back(house: House) -> None:
    """Rejected at once when somebody says so, and worked on when somebody says otherwise."""
    document = house.accepted(PROSE, "a.txt")
    house.work()
    assert say(house, document, "other").json()["outcome"] == "rejected"
    assert house.client.get(f"/v1/documents/{document}/text").content == PROSE
    assert house.client.post(f"/v1/documents/{document}/reprocess").status_code == 409
    house.work()
    assert say(house, document, "contract").json()["state"] == "read"
    house.work()
    house.say(extracted(document, attempt=3))
    assert house.state(document)["outcome"] == "complete"


def test_a_kind_can_not_be_said_of_everything(house: House) -> None:
    """Of nothing that is there, of an archive, of what has changed, or as what there is not."""
    assert say(house, "doc_0", "report").status_code == 404
    whole = house.accepted(archive({"a.txt": PROSE}), "a.zip")
    house.work()
    assert say(house, whole, "contract").status_code == 409
    document = house.accepted(PROSE + b".", "b.txt")
    assert (
        house.client_of("acme")
        .put(f"/v1/documents/{document}/kind", json={"kind": "report"})
        .status_code
        == 404
    )
    assert say(house, document, "report", **{"if-match": '"old"'}).status_code == 412
    assert say(house, document, "poem").status_code == 422
    assert house.state(document)["attempt"] == 1


def test_an_uploaders_word_about_a_known_document_counts(house: House) -> None:
    """Nobody had said what it is; once somebody has, another upload does not change that."""
    document = house.accepted(PROSE, "a.txt")
    house.work()
    again = house.upload(PROSE, "a.txt", kind="contract")
    assert (again.status_code, again.json()["attempt"]) == (200, 1)
    assert again.json()["kind_source"] == "uploader"
    assert house.upload(PROSE, "a.txt", kind="report").json()["kind"] == "contract"
    other = house.accepted(PROSE + b".", "b.txt")
    house.work()
    told = house.upload(PROSE + b".", "b.txt", kind="report")
    assert (told.status_code, told.json()["attempt"], told.json()["kind"]) == (202, 2, "report")
    assert told.json()["id"] == other
    assert document != other


def test_a_sure_kind_is_taken(make: Made) -> None:
    """A text that is a report's goes to triage, as what its type would not say."""
    house = make(0.02, 0.95, 0.03)
    document = house.accepted(PROSE, "a.txt")
    house.work()
    (read,) = heard(house, DocumentRead)
    assert (read.kind, read.kind_unsure) == ("report", False)
    assert read.kind_confidence == pytest.approx(0.95)
    state = house.state(document)
    assert (state["kind"], state["kind_source"], state["kind_unsure"]) == ("report", "type", False)
    assert state["kind_confidence"] == pytest.approx(0.95)


def test_what_is_surely_none_of_ours_is_not_worked_on(make: Made) -> None:
    """It is kept and can be looked at, and it says how to have it worked on."""
    house = make(0.01, 0.01, 0.98)
    document = house.accepted(PROSE, "a.txt")
    house.work()
    state = house.state(document)
    assert (state["kind"], state["outcome"]) == ("other", "rejected")
    assert "say its kind" in state["reasons"][0]
    assert house.client.get(f"/v1/documents/{document}/text").content == PROSE


@pytest.mark.parametrize(
    ("chances", "met"),
    [((0.5, 0.1, 0.4), True), ((0.3, 0.1, 0.6), True), ((0.05, 0.9, 0.05), False)],
)
def test_an_unsure_kind_is_asked_for_and_worked_on_meanwhile(
    make: Made, chances: tuple[float, ...], met: bool
) -> None:
    """As the likelier of what we work on; of words that it never met it believes the type."""
    house = make(*chances, met=met)
    document = house.accepted(PROSE, "a.txt")
    house.work()
    (read,) = heard(house, DocumentRead)
    assert (read.kind, read.kind_unsure) == ("contract", True)
    assert house.state(document)["kind_unsure"]


def test_what_has_words_of_a_contract_is_not_put_aside_unasked(make: Made) -> None:
    """It seems to be neither, and might be a sort of contract that nobody has seen."""
    house = make(0.01, 0.01, 0.98)
    document = house.accepted(PROSE.replace(b"nothing", b"the landlord"), "a.txt")
    house.work()
    state = house.state(document)
    assert (state["kind"], state["kind_unsure"], state["outcome"]) == ("contract", True, None)


def test_a_persons_answer_settles_the_kind_until_it_is_taken_back(make: Made) -> None:
    """It is worked on anew then, also as the same: what is accepted hangs on whether it is sure. An
    undo brings the question back.
    """
    house = make(0.5, 0.1, 0.4)
    document = house.accepted(PROSE, "a.txt")
    house.work()
    house.say(answered(document, "correct", "report"))
    state = house.state(document)
    assert (state["kind"], state["kind_source"], state["attempt"]) == ("report", "uploader", 2)
    assert not state["kind_unsure"]
    house.say(answered(document, "undo"))
    state = house.state(document)
    assert (state["kind"], state["kind_unsure"], state["attempt"]) == ("contract", True, 3)
    assert heard(house, DocumentRead)[-1].kind_unsure
    house.say(answered(document, "accept"))
    state = house.state(document)
    assert (state["kind"], state["kind_source"], state["attempt"]) == ("contract", "uploader", 4)
    rekinded, read = heard(house, DocumentRekinded)[-1], heard(house, DocumentRead)[-1]
    assert (rekinded.previous, rekinded.attempt) == ("contract", 4)
    assert (read.kind, read.kind_unsure, read.attempt) == ("contract", False, 4)
    house.say(answered(document, "undo"))
    read = heard(house, DocumentRead)[-1]
    assert (house.state(document)["kind_unsure"], read.kind_unsure, read.attempt) == (True, True, 5)


def test_an_answer_that_comes_after_another_word_changes_nothing(make: Made) -> None:
    """The newest word counts: neither an older answer nor its undo outweighs it."""
    house = make(0.5, 0.1, 0.4)
    document = house.accepted(PROSE, "a.txt")
    house.work()
    assert say(house, document, "other").status_code == 200
    house.say(answered(document, "accept"), answered(document, "undo"))
    assert house.state(document)["kind"] == "other"
    assert len(heard(house, DocumentRekinded)) == 1


@pytest.mark.parametrize(
    ("name", "data", "fields"),
    [
        ("said.txt", PROSE, {"kind": "contract"}),
        ("short.txt", b"Short, and not sweet.", {}),
        ("data.json", b'{"id": "a", "statements": []}', {}),
        ("mail.eml", b"From: a@b.example\r\nSubject: x\r\n\r\n" + PROSE, {}),
    ],
)
def test_what_is_not_judged(make: Made, name: str, data: bytes, fields: dict[str, str]) -> None:
    """What somebody said, a text too short to tell, and types that are of a kind themselves."""
    house = make(0.01, 0.01, 0.98)
    document = house.accepted(data, name, **fields)
    house.work()
    state = house.state(document)
    assert state["kind"] == ("report" if name == "data.json" else "contract")
    assert (state["kind_confidence"], state["kind_unsure"]) == (None, False)


def test_without_a_specialist_the_type_decides(tmp_path: Path) -> None:
    """Artefacts of an older release have none."""
    assert Judge.load(tmp_path)(PROSE.decode(), "text/plain") is None


def test_a_damaged_specialist_is_refused(tmp_path: Path) -> None:
    """Nobody is judged by half a model."""
    folder = model(tmp_path, (0.5, 0.1, 0.4)) / "document-kind/1.0.0"
    with (folder / linear.DATA_FILE).open("ab") as file:
        file.write(b"x")
    with pytest.raises(linear.LinearError, match="damaged"):
        Judge.load(tmp_path)


@pytest.mark.parametrize("then", ["cancelled", "read anew", "failed anew"])
def test_what_is_void_stays_so(make: Made, monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    """Whatever becomes of the next attempts: what waits to be asked may wait for a day."""
    house = make(0.5, 0.1, 0.4)
    document = house.accepted(PROSE, "a.txt")
    house.work()
    say(house, document, "report")
    house.work()
    if then == "cancelled":
        assert house.client.post(f"/v1/documents/{document}/cancel").status_code == 200
    else:
        house.say(gave_up(document, "triage", attempt=2))
        if then == "failed anew":
            monkeypatch.setattr(InProcessReader, "read", unreadable)
        assert house.client.post(f"/v1/documents/{document}/reprocess").status_code == 202
    house.work()
    assert house.state(document)["attempt"] == (2 if then == "cancelled" else 3)
    assert is_cancelled(house.service.blobs, "default", document, 1)
    house.client.delete(f"/v1/documents/{document}")
    house.work()
    assert house.blobs() == set()
