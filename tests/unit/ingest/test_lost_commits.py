"""A commit that is lost: the row from before stands, and so do the bytes that it names."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from services.ingest.commands import Intake
from services.ingest.store import Documents
from shared.events import DocumentIngested
from shared.storage import UnitOfWork
from tests.unit.ingest.house import House, encrypted, extracted, pdf

LEASE = b"This lease is governed by the law of Ohio.\n"
WORD = "open"


@pytest.fixture(autouse=True)
def _anyones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever specialist is asked for is installed."""
    monkeypatch.setattr(Intake, "require", lambda _self, _adapters: None)


def lost(_self: UnitOfWork) -> None:
    """What a database does that goes away at the very end."""
    raise OperationalError("COMMIT", {}, Exception("server closed the connection"))


def complete(house: House, data: bytes, name: str, **fields: Any) -> str:
    """A document that has ended well."""
    document = house.accepted(data, name, **fields)
    house.work()
    house.say(extracted(document))
    assert house.state(document)["outcome"] == "complete"
    return document


def there(house: House, document_id: str) -> None:
    """All the bytes are there that its row names."""
    with house.service.store.read() as session:
        document = Documents(session, "default").get(document_id)
    assert document is not None
    for ref in document.blobs:
        assert len(house.service.blobs.get("default", ref)) == ref.size


def test_the_same_bytes_for_another_specialist(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upload is refused, and the complete document has its text; the next try takes effect, and
    leaves nothing of the attempt before it.
    """
    document = complete(any_house, LEASE, "lease.txt", adapter="cuad")
    before = any_house.blobs()
    with monkeypatch.context() as patch:
        patch.setattr(UnitOfWork, "_seal", lost)
        assert any_house.upload(LEASE, "lease.txt", adapter="other").status_code == 503
    state = any_house.state(document)
    assert (state["outcome"], state["attempt"]) == ("complete", 1)
    assert any_house.client.get(f"/v1/documents/{document}/text").text == LEASE.decode()
    there(any_house, document)
    again = any_house.upload(LEASE, "lease.txt", adapter="other")
    assert (again.status_code, again.json()["attempt"]) == (202, 2)
    assert any_house.blobs() == before
    any_house.work()
    any_house.say(extracted(document, attempt=2))
    assert any_house.blobs() == before, "the same text and layout, and nothing beside"
    any_house.client.delete(f"/v1/documents/{document}")
    any_house.work()
    assert any_house.blobs() == set()


def test_a_document_that_is_deleted_before_it_is_read_anew(any_house: House) -> None:
    """What the attempt before left goes with it."""
    document = complete(any_house, LEASE, "lease.txt", adapter="cuad")
    assert any_house.upload(LEASE, "lease.txt", adapter="other").status_code == 202
    any_house.client.delete(f"/v1/documents/{document}")
    any_house.work()
    assert any_house.blobs() == set()
    assert len(any_house.said(DocumentIngested)) == 2


def test_a_password_that_comes_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was opened before is there as long as the attempt with it is the last."""
    document = complete(house, encrypted(pdf(), WORD), "a.pdf", password=WORD)
    real = Intake.opened

    def anew(self: Intake, *arguments: Any) -> bytes | None:
        return (real(self, *arguments) or b"") + b"\n% made anew"

    monkeypatch.setattr(Intake, "opened", anew)
    path = f"/v1/documents/{document}/reprocess"
    with monkeypatch.context() as patch:
        patch.setattr(UnitOfWork, "_seal", lost)
        assert house.client.post(path, json={"password": WORD}).status_code == 503
    assert house.state(document)["outcome"] == "complete"
    assert house.client.get(f"/v1/documents/{document}/pages/1.png").status_code == 200
    assert house.client.post(path, json={"password": WORD}).json()["attempt"] == 2
    house.work()
    house.say(extracted(document, attempt=2))
    there(house, document)
    assert len(house.blobs()) == 5, "the original, what was opened last, text, layout, a page"


def test_a_cancellation(any_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The document is worked on as it was; once it is cancelled the half read text goes."""
    document = complete(any_house, LEASE, "lease.txt")
    assert any_house.client.post(f"/v1/documents/{document}/reprocess").status_code == 202
    before = any_house.blobs()
    path = f"/v1/documents/{document}/cancel"
    with monkeypatch.context() as patch:
        patch.setattr(UnitOfWork, "_seal", lost)
        assert any_house.client.post(path).status_code == 503
    there(any_house, document)
    assert any_house.blobs() == before
    assert any_house.client.post(path).json()["outcome"] == "failed"
    assert len(any_house.blobs() & before) == 1, "the original"
