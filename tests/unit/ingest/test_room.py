"""So many documents may be in work; beyond it an upload is to come again, and nothing is kept."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.ingest.commands import Intake, Upload, reprocess
from services.ingest.room import QueueFull, Room
from tests.postgres import Servers
from tests.unit.documents.mails import attached, text, whole
from tests.unit.ingest.house import House, actor, encrypted, extracted, gave_up, pdf

MAIL = whole([text(), attached(b"A.", "a.txt"), attached(b"B.", "b.txt")])
Make = Callable[..., House]


@pytest.fixture(params=["sqlite", "postgresql"])
def made(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Make]:
    """Makes an ingest with settings of its own, on SQLite and on PostgreSQL."""
    houses = []

    def make(**settings: Any) -> House:
        url = servers.database() if request.param == "postgresql" else ""
        house = House(tmp_path, ingest_database_url=url, **settings)
        houses.append(house)
        return house

    yield make
    for house in houses:
        house.close()


def refused(answer: Any) -> dict[str, Any]:
    """The problem of an upload that has to come again."""
    assert answer.status_code == 429, answer.text
    assert answer.headers["retry-after"] == "10"
    problem: dict[str, Any] = answer.json()
    return problem


def intake_of(house: House) -> Intake:
    """What takes documents in behind its routes."""
    intake = house.service.app.state.resumables.intake
    assert isinstance(intake, Intake)
    return intake


def end(house: House, document_id: str) -> None:
    """Its work is done."""
    house.work()
    house.say(extracted(document_id))
    assert house.state(document_id)["state"] == "ended"


def test_one_more_than_may_be_in_work_is_asked_to_come_again(made: Make) -> None:
    """429 with when, and what to set; no row, no bytes; known bytes are answered as ever."""
    house = made(ingest_max_in_work=2)
    first = house.accepted(pdf("One."))
    house.accepted(pdf("Two."))
    before = house.blobs()
    problem = refused(house.upload(pdf("Three."), "three.pdf"))
    assert problem["type"].endswith(":queue_full")
    assert problem["document"] == "three.pdf"
    assert "SMALLPRINT_INGEST_MAX_IN_WORK" in problem["detail"]
    assert house.blobs() == before
    assert len(house.client.get("/v1/documents").json()["items"]) == 2
    known = house.upload(pdf("One."))
    assert (known.status_code, known.json()["id"]) == (200, first)


def test_a_document_that_ends_makes_room(made: Make) -> None:
    """The same upload with the same key is accepted then: a refusal is no answer to keep."""
    house = made(ingest_max_in_work=1)
    first = house.accepted(pdf("One."))
    files = {"file": ("two.pdf", pdf("Two."))}
    headers = {"idempotency-key": '"k1"'}
    refused(house.client.post("/v1/documents", files=files, headers=headers))
    end(house, first)
    assert house.client.post("/v1/documents", files=files, headers=headers).status_code == 202


def test_another_tenant_has_room_of_its_own_up_to_that_of_all(made: Make) -> None:
    """One tenant's queue is not another's, but the house is no larger than it is."""
    house = made(ingest_max_in_work=2, ingest_max_in_work_together=3)
    other = house.client_of("other")
    house.accepted(pdf("One."))
    house.accepted(pdf("Two."))
    refused(house.upload(pdf("Three.")))
    assert house.upload(pdf("Three."), client=other).status_code == 202
    problem = refused(house.upload(pdf("Four."), client=other))
    assert "SMALLPRINT_INGEST_MAX_IN_WORK_TOGETHER" in problem["detail"]


def test_uploads_at_the_same_moment_do_not_exceed_it(made: Make) -> None:
    """Twelve at once where three have room: three are accepted, and nine leave no bytes."""
    house = made(ingest_max_in_work=3)
    start = threading.Barrier(12)
    statuses = []

    def send(number: int) -> None:
        start.wait()
        statuses.append(house.upload(pdf(f"Number {number}.")).status_code)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [202] * 3 + [429] * 9
    assert len(house.blobs()) == 3


def test_what_comes_between_look_and_row_is_refused_without_bytes(made: Make) -> None:
    """Room that was there at the look and is taken at the row: the bytes go again."""
    house = made(ingest_max_in_work=1)
    intake = intake_of(house)
    look = intake.require_room

    def look_and_lose(tenant: str) -> None:
        look(tenant)
        intake.require_room = look  # type: ignore[method-assign]
        house.accepted(pdf("Quicker."))

    intake.require_room = look_and_lose  # type: ignore[method-assign]
    slower = pdf("Slower.")
    with pytest.raises(QueueFull):
        intake.accept(actor(), Upload(io.BytesIO(slower), len(slower), "slow.pdf"))
    assert len(house.blobs()) == 1


def test_of_several_files_those_that_have_room_are_accepted(made: Make) -> None:
    """Each is answered for itself; where none had room, the whole says when to come again."""
    house = made(ingest_max_in_work=1)
    some = house.client.post(
        "/v1/documents", files=[("file", ("1.pdf", pdf("1"))), ("file", ("2.pdf", pdf("2")))]
    )
    assert some.status_code == 202
    assert [item.get("error", {}).get("status") for item in some.json()["items"]] == [None, 429]
    assert some.headers["retry-after"] == "10"
    none = house.client.post(
        "/v1/documents", files=[("file", ("3.pdf", pdf("3"))), ("file", ("4.pdf", pdf("4")))]
    )
    refused(none)


def test_several_files_with_one_key_are_answered_anew_when_there_is_room(made: Make) -> None:
    """What was accepted is known by then; the file that had no room is taken in."""
    house = made(ingest_max_in_work=1)
    headers = {"idempotency-key": '"k2"'}

    def send() -> list[dict[str, Any]]:
        files = [("file", ("1.pdf", pdf("1"))), ("file", ("2.pdf", pdf("2")))]
        answer = house.client.post("/v1/documents", files=files, headers=headers)
        assert answer.status_code == 202, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    first, refused_one = send()
    assert refused_one["error"]["type"].endswith(":queue_full")
    end(house, first["id"])
    again, taken = send()
    assert (again["id"], taken["state"]) == (first["id"], "received")


def test_another_attempt_that_is_refused_leaves_what_was_read(made: Make) -> None:
    """A document that failed keeps its text while its bytes, sent again, have no room."""
    house = made(ingest_max_in_work=1)
    failed = house.accepted(pdf("Failed."))
    house.work()
    house.say(gave_up(failed))
    assert house.state(failed)["outcome"] == "failed"
    house.accepted(pdf("In work."))
    before, words = house.blobs(), house.client.get(f"/v1/documents/{failed}/text").text
    refused(house.upload(pdf("Failed.")))
    assert house.blobs() == before
    assert house.client.get(f"/v1/documents/{failed}/text").text == words
    assert "Failed." in words


def test_a_kind_said_of_what_is_in_work_needs_no_room(made: Make) -> None:
    """It is no document more."""
    house = made(ingest_max_in_work=1)
    document = house.accepted(b"Words of a kind that nobody said.", "a.txt")
    intake_of(house).room = Room(0, 0)
    answer = house.upload(b"Words of a kind that nobody said.", "a.txt", kind="report")
    assert (answer.status_code, answer.json()["id"]) == (202, document)
    assert house.state(document)["kind"] == "report"


def test_a_password_that_comes_while_there_is_no_room_is_not_used(made: Make) -> None:
    """Nothing is opened or kept, however often it is tried."""
    house = made(ingest_max_in_work=1)
    locked = house.accepted(encrypted(pdf("Locked."), "secret"))
    house.work()
    assert house.state(locked)["state"] == "ended"
    house.accepted(pdf("In work."))
    before = house.blobs()
    for _ in range(3):
        refused(house.client.post(f"/v1/documents/{locked}/reprocess", json={"password": "secret"}))
    assert house.blobs() == before


def test_a_resumable_upload_is_refused_at_its_beginning_never_at_its_end(made: Make) -> None:
    """Whoever was let in may send for hours: what came is kept, whatever was accepted meanwhile."""
    house = made(ingest_max_in_work=1)
    data = pdf("In pieces.")
    tus = {"tus-resumable": "1.0.0", "upload-length": str(len(data))}
    begun = house.client.post("/v1/uploads", headers=tus)
    assert begun.status_code == 201, begun.text
    house.accepted(pdf("Meanwhile."))
    refused(house.client.post("/v1/uploads", headers=tus))
    piece = {"upload-offset": "0", "content-type": "application/offset+octet-stream"}
    done = house.client.patch(begun.headers["location"], content=data, headers={**tus, **piece})
    assert done.status_code == 204, done.text
    assert house.state(done.headers["smallprint-document"])["state"] == "received"


def test_parts_of_an_accepted_mail_are_never_refused(made: Make) -> None:
    """They count: the next upload waits until they have ended."""
    house = made(ingest_max_in_work=1)
    parent = house.accepted(MAIL, "mail.eml")
    house.work()
    parts = [str(part["id"]) for part in house.state(parent)["parts"]]
    assert len(parts) == 2
    refused(house.upload(pdf("After.")))
    for part in (parent, *parts):
        end(house, part)
    assert house.upload(pdf("After.")).status_code == 202


def test_another_attempt_needs_room_as_well(made: Make) -> None:
    """It stays as it ended, and can be begun again later."""
    house = made(ingest_max_in_work=1)
    first = house.accepted(pdf("One."))
    end(house, first)
    second = house.accepted(pdf("Two."))
    answer = house.client.post(f"/v1/documents/{first}/reprocess")
    refused(answer)
    assert house.state(first)["state"] == "ended"
    end(house, second)
    assert reprocess(intake_of(house), actor(), first).progress.attempt == 2
