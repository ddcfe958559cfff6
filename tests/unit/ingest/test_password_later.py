"""The password of an encrypted PDF, given after the upload."""

from __future__ import annotations

from typing import Any

import pytest

from services.ingest.commands import Intake
from services.ingest.store import Documents
from shared.errors import Unavailable
from tests.unit.documents.archives import archive
from tests.unit.ingest.house import SENTENCE, House, encrypted, extracted, pdf

WORD = "Zauberwort"


def again(house: House, document: str, body: Any, **headers: str) -> Any:
    """Ask for another attempt."""
    return house.client.post(f"/v1/documents/{document}/reprocess", json=body, headers=headers)


def test_a_password_opens_what_was_uploaded_without(any_house: House) -> None:
    """Also what came in an archive; a wrong one begins nothing, and it is kept nowhere."""
    secret = encrypted(pdf(), WORD)
    box = any_house.accepted(archive({"lease.pdf": secret}), "box.zip")
    any_house.work()
    [part] = any_house.state(box)["parts"]
    document = part["id"]
    before = any_house.state(document)
    assert (before["outcome"], before["attempt"]) == ("failed", 1)
    wrong = again(any_house, document, {"password": "shut"})
    assert (wrong.status_code, wrong.json()["document"]) == (422, document)
    assert wrong.json()["type"] == "urn:smallprint:problem:encrypted_document"
    assert any_house.state(document) == before
    right = again(any_house, document, {"password": WORD}, **{"idempotency-key": "k"})
    assert (right.status_code, right.json()["attempt"]) == (202, 2)
    any_house.work()
    any_house.say(extracted(document, attempt=2))
    assert any_house.state(document)["outcome"] == "complete"
    assert any_house.client.get(f"/v1/documents/{document}/text").text.strip() == SENTENCE
    assert any_house.client.get(f"/v1/documents/{document}/original").content == secret
    replayed = again(any_house, document, {"password": WORD}, **{"idempotency-key": "k"})
    assert replayed.json() == right.json()
    other = again(any_house, document, {"password": "shut"}, **{"idempotency-key": "k"})
    assert other.status_code == 409
    assert again(any_house, document, None).json()["attempt"] == 3, "without asking for it again"
    any_house.work()
    any_house.service.store.close()
    kept = [path.read_bytes() for path in any_house.folder.rglob("*") if path.is_file()]
    assert kept
    assert not any(WORD.encode() in data for data in kept)


def test_nothing_opened_stays_behind(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a crash leaves of an opened document goes with it; another attempt uses one copy."""
    document = house.accepted(encrypted(pdf(), WORD))
    house.work()
    opened: list[bytes] = []
    real = Intake.opened

    def counting(self: Intake, *arguments: Any) -> bytes | None:
        data = real(self, *arguments)
        assert data is not None
        opened.append(data + b"\n% made anew" * len(opened))
        return opened[-1]

    monkeypatch.setattr(Intake, "opened", counting)
    with monkeypatch.context() as patch:
        patch.setattr("services.ingest.commands.begin_again", crash)
        assert again(house, document, {"password": WORD}).status_code == 503
    assert len(house.blobs()) == 2, "the original, and what was opened"
    for attempt in (2, 3):
        assert again(house, document, {"password": WORD}).json()["attempt"] == attempt
        house.work()
        house.say(extracted(document, attempt=attempt))
    assert len(house.blobs()) == 4, "the original, what was opened last, text and layout"
    house.client.delete(f"/v1/documents/{document}")
    house.work()
    assert house.blobs() == set()


def crash(*_: object) -> None:
    """The database is away, after the bytes were kept."""
    raise Unavailable("no more")


@pytest.mark.parametrize("body", [None, {}, {"password": None}, {"password": ""}])
def test_without_a_password_it_is_an_attempt_like_any(house: House, body: Any) -> None:
    """A body may say nothing."""
    document = house.accepted(pdf())
    house.work()
    house.say(extracted(document))
    assert again(house, document, body).status_code == 202


@pytest.mark.parametrize("body", [{"pass": "x"}, {"password": 1}, {"password": "x" * 1001}, []])
def test_a_body_that_is_not_understood(house: House, body: Any) -> None:
    """It is refused, and nothing is begun."""
    document = house.accepted(pdf())
    house.work()
    house.say(extracted(document))
    assert again(house, document, body).status_code == 422
    with house.service.store.read() as session:
        kept = Documents(session, "default").get(document)
    assert kept is not None
    assert kept.progress.attempt == 1


def test_a_password_for_what_is_still_worked_on(house: House) -> None:
    """409, whatever the password."""
    document = house.accepted(encrypted(pdf(), WORD))
    assert again(house, document, {"password": WORD}).status_code == 409
    assert len(house.blobs()) == 1
