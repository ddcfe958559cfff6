"""Requests with an Idempotency-Key take effect once, and are answered as they first were."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.ingest.answers import answer_upload
from services.ingest.idempotency import commands
from services.ingest.idempotency import store as idempotency
from services.ingest.idempotency.commands import Once
from services.ingest.idempotency.domain import fingerprint, slowly
from services.ingest.resumable.store import Uploads
from services.ingest.store import Documents
from services.ingest.webhooks.store import Webhooks
from shared.errors import Unavailable
from shared.events import DocumentIngested
from tests.samples import mail
from tests.unit.ingest.house import House, encrypted, extracted, pdf

TEXT = b"This Agreement is made between Alpha Inc. and Beta Ltd."
HOOK = {"url": "https://hooks.example.com/x"}


def send(house: House, key: str, data: bytes = TEXT, name: str = "a.txt", **fields: Any) -> Any:
    """An upload with a key."""
    return house.client.post(
        "/v1/documents",
        files={"file": (name, data)},
        data=fields,
        headers={"idempotency-key": key},
    )


def code(answer: Any) -> str:
    """What a problem is searched for by."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).rpartition(":")[2]


def test_a_replay_gives_the_first_answer(any_house: House) -> None:
    """Status, body and place as they were, whatever has become of the document since."""
    first = send(any_house, "k-1")
    assert first.status_code == 202
    any_house.work()
    any_house.say(extracted(first.json()["id"]))
    again = send(any_house, "k-1")
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert send(any_house, '"k-1"').json() == first.json(), "quoted, as the draft writes it"
    assert send(any_house, "k-2").status_code == 200, "another key is another request"
    assert len(any_house.said(DocumentIngested)) == 1


def test_several_files_are_one_request(any_house: House) -> None:
    """The answer about all of them comes again, with the file that was refused."""
    files = [
        ("file", ("a.txt", TEXT)),
        ("file", ("b.gif", b"GIF89a..")),
        ("file", ("c.pdf", pdf())),
    ]

    def post(some: list[Any]) -> Any:
        headers = {"idempotency-key": "k"}
        return any_house.client.post("/v1/documents", files=some, headers=headers)

    first = post(files)
    assert (first.status_code, post(files).json()) == (202, first.json())
    assert code(post(files[:2])) == "idempotency_key_reused"
    assert code(post(files[::-1])) == "idempotency_key_reused"


@pytest.mark.parametrize(
    "other",
    [
        {"data": TEXT + b"!"},
        {"name": "b.txt"},
        {"kind": "report"},
        {"password": "open"},
    ],
)
def test_a_key_is_good_for_one_request(any_house: House, other: dict[str, Any]) -> None:
    """Other bytes, another name, kind or password: 409, and nothing is taken in."""
    first = send(any_house, "k")
    refused = send(any_house, "k", **other)
    assert refused.status_code == 409
    assert code(refused) == "idempotency_key_reused"
    assert "retry-after" not in refused.headers
    listed = any_house.client.get("/v1/documents").json()["items"]
    assert [one["id"] for one in listed] == [first.json()["id"]]
    hook = any_house.client.post("/v1/webhooks", json=HOOK, headers={"idempotency-key": "k"})
    assert code(hook) == "idempotency_key_reused"


def test_keys_are_the_tenants_own(any_house: House) -> None:
    """The same key of another tenant is another key; of a colleague, the same."""
    mine = send(any_house, "k").json()["id"]
    for tenant, same in (("acme", False), ("default", True)):
        client = any_house.client_of(tenant, "somebody else")
        answer = client.post(
            "/v1/documents", files={"file": ("a.txt", TEXT)}, headers={"idempotency-key": "k"}
        )
        assert answer.status_code == 202
        assert (answer.json()["id"] == mine) is same


def test_fifty_at_once_with_one_key_are_one_document(any_house: House) -> None:
    """Each gets the first answer, or hears that the first one is at work and asks again."""
    answers: list[Any] = []

    def upload() -> None:
        answer = send(any_house, "k")
        while answer.status_code == 409:
            assert code(answer) == "idempotency_in_flight"
            assert answer.headers["retry-after"] == "1"
            time.sleep(0.2)
            answer = send(any_house, "k")
        answers.append(answer)

    threads = [threading.Thread(target=upload) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [202] * 50
    assert len({answer.text for answer in answers}) == 1
    assert len(any_house.said(DocumentIngested)) == 1


def held(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Uploads stop where they are accepted: one event when they are there, one lets them go on."""
    there, go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        there.set()
        assert go_on.wait(30)
        return answer_upload(*arguments)

    monkeypatch.setattr("services.ingest.api.answer_upload", slow)
    return there, go_on


def test_while_the_first_is_at_work_the_next_one_is_sent_away(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """409 with Retry-After, and then the answer; another request of the key is still refused."""
    there, go_on = held(monkeypatch)
    first: list[Any] = []
    thread = threading.Thread(target=lambda: first.append(send(any_house, "k")))
    thread.start()
    assert there.wait(30)
    second = send(any_house, "k")
    other = send(any_house, "k", TEXT + b"!")
    go_on.set()
    thread.join()
    assert (second.status_code, code(second)) == (409, "idempotency_in_flight")
    assert second.headers["retry-after"] == "1"
    assert code(other) == "idempotency_key_reused"
    assert send(any_house, "k").json() == first[0].json()


def test_a_claim_lasts_as_long_as_the_work(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is renewed meanwhile, so that nobody takes over what somebody is at."""
    there, go_on = held(monkeypatch)
    monkeypatch.setattr(idempotency, "CLAIMED", timedelta(seconds=1))
    monkeypatch.setattr(commands, "RENEWED", timedelta(seconds=0.1))
    first: list[Any] = []
    thread = threading.Thread(target=lambda: first.append(send(any_house, "k")))
    thread.start()
    assert there.wait(30)
    time.sleep(1.5)
    second = send(any_house, "k")
    go_on.set()
    thread.join()
    assert (second.status_code, code(second)) == (409, "idempotency_in_flight")
    assert first[0].status_code == 202


def test_whoever_dies_over_it_leaves_it_to_the_next(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim ends with its time; who comes back after that has not done it, and asks again."""
    there, go_on = held(monkeypatch)
    first: list[Any] = []
    thread = threading.Thread(target=lambda: first.append(send(any_house, "k")))
    monkeypatch.setattr(idempotency, "CLAIMED", timedelta(0))
    thread.start()
    assert there.wait(30)
    monkeypatch.setattr("services.ingest.api.answer_upload", answer_upload)
    second = send(any_house, "k")
    go_on.set()
    thread.join()
    assert second.status_code == 202
    assert (first[0].status_code, code(first[0])) == (409, "idempotency_in_flight")
    assert send(any_house, "k").json() == second.json()
    assert len(any_house.said(DocumentIngested)) == 1


def test_what_was_not_done_can_be_done_again(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal, or a database that was away, is no answer to keep; the key stays its request's."""
    for _ in range(2):
        assert send(any_house, "gif", b"GIF89a..").status_code == 415
    assert code(send(any_house, "gif")) == "idempotency_key_reused"

    def away(*_: object) -> None:
        raise Unavailable("the database does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Documents, "add", away)
        assert send(any_house, "k").status_code == 503
    assert send(any_house, "k").status_code == 202


def test_a_document_that_is_deleted_takes_its_answers_along(any_house: House) -> None:
    """A request that comes late does not bring it back, and nothing that it said is kept."""
    lease = mail("Lease", {"Quokka.pdf": pdf()})
    first = send(any_house, "k", lease, "Wombat.eml")
    any_house.work()
    part = any_house.client.get("/v1/documents", params={"parent": first.json()["id"]}).json()
    assert "Wombat" in send(any_house, "part", pdf(), "Quokka.pdf").text, "what it lies in"
    any_house.client.delete(first.headers["location"])
    for key, data, name in (("k", lease, "Wombat.eml"), ("part", pdf(), "Quokka.pdf")):
        late = send(any_house, key, data, name)
        assert (late.status_code, code(late)) == (409, "idempotency_key_spent")
    assert [one["id"] for one in part["items"]] == [
        one["id"] for one in any_house.client.get("/v1/documents").json()["items"]
    ]
    with any_house.service.store.read() as session:
        kept = session.execute(idempotency.keys.select()).mappings().all()
        assert session.execute(idempotency.subjects.select()).all() == []
    assert len(kept) == 2
    assert "Wombat" not in str(kept)
    assert all(row["fingerprint"] is row["body"] is row["headers"] is None for row in kept)


def test_a_document_that_is_deleted_before_its_answer_is_kept(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the answer is not kept, though it is given."""

    def deleted_at_once(*arguments: Any) -> Any:
        answer = answer_upload(*arguments)
        any_house.client.delete(answer.headers["location"])
        return answer

    monkeypatch.setattr("services.ingest.api.answer_upload", deleted_at_once)
    assert send(any_house, "k").status_code == 202
    assert code(send(any_house, "k")) == "idempotency_key_spent"


def test_keys_are_kept_for_their_hours_and_swept(tmp_path: Path) -> None:
    """What is over its time is as if it had never been, before the sweep and after it."""
    house = House(tmp_path, ingest_idempotency_hours=1e-9)
    once = Once(house.service.store, 1e-9)
    assert send(house, "k").status_code == 202
    assert send(house, "k", TEXT + b"!").status_code == 202, "the key is free again"
    send(house, "k-2", pdf())
    assert [once.sweep(), once.sweep()] == [2, 0]
    with house.service.store.read() as session:
        assert session.execute(idempotency.subjects.select()).all() == []
    house.close()
    lasting = House(tmp_path / "lasting")
    send(lasting, "k-3")
    assert Once(lasting.service.store, 24).sweep() == 0
    lasting.close()


def test_nothing_tells_what_a_request_said(house: House) -> None:
    """A key, a password and a file name are nowhere to be found in what is kept of a refusal."""
    answer = send(
        house, "Zauberschluessel", encrypted(pdf(), "open"), "a.pdf", password="Zauberwort"
    )
    assert answer.status_code == 422
    house.service.store.close()
    kept = b"".join(path.read_bytes() for path in house.folder.rglob("*") if path.is_file())
    assert b"Zauber" not in kept
    assert fingerprint("k", "POST", ["a"]) != fingerprint("l", "POST", ["a"])
    assert slowly("k", "word") != slowly("l", "word")
    assert slowly("k", None) is None


def crash(*_: object) -> None:
    """Instead of keeping an answer."""
    raise Unavailable("no more")


def test_a_webhook_is_registered_once(any_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its secret is told again to whoever did not hear it; a crash makes it and its answer, or
    neither.
    """

    def post(path: str = "/v1/webhooks", key: str = "k", **wish: Any) -> Any:
        return any_house.client.post(path, json=wish, headers={"idempotency-key": key})

    with monkeypatch.context() as patch:
        patch.setattr(idempotency.KeyClaim, "keep", crash)
        assert post(**HOOK).status_code == 503
    assert any_house.client.get("/v1/webhooks").json()["items"] == []
    first = post(**HOOK)
    again = post(**HOOK)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert len(any_house.client.get("/v1/webhooks").json()["items"]) == 1
    rotate = f"{first.headers['location']}/rotate"
    second = post(rotate, "r", overlap=60)
    assert second.json()["secret"] != first.json()["secret"]
    assert post(rotate, "r", overlap=60).json() == second.json()
    with any_house.service.store.read() as session:
        webhook = Webhooks(session, "default").get(first.json()["id"])
    assert webhook is not None
    assert webhook.old_secret == first.json()["secret"], "it was rotated once"
    other = any_house.client_of("default", "colleague")
    asked = other.post("/v1/webhooks", json=HOOK, headers={"idempotency-key": "k"})
    assert code(asked) == "idempotency_key_reused", "secrets are told to the key that made them"
    any_house.client.delete(first.headers["location"])
    assert code(post(**HOOK)) == "idempotency_key_spent"


def test_an_attempt_is_begun_once(any_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second answer to the same wish to reprocess is no third attempt."""
    document = any_house.accepted(TEXT, "a.txt")
    path = f"/v1/documents/{document}/reprocess"

    def again(key: str) -> Any:
        return any_house.client.post(path, headers={"idempotency-key": key})

    any_house.work()
    assert again("early").status_code == 409, "it has not ended"
    any_house.say(extracted(document))
    with monkeypatch.context() as patch:
        patch.setattr(idempotency.KeyClaim, "keep", crash)
        assert again("k").status_code == 503
    assert any_house.state(document)["attempt"] == 1, "the attempt and its answer, or neither"
    first = again("k")
    any_house.work()
    any_house.say(extracted(document, attempt=2))
    assert again("k").json() == first.json()
    assert any_house.state(document)["attempt"] == 2
    assert again("early").json()["attempt"] == 3, "nothing was done with it before"


def test_an_upload_in_pieces_is_begun_once(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same place comes again, until the upload is thrown away."""
    tus = {"tus-resumable": "1.0.0", "upload-length": "1000", "idempotency-key": "k"}

    def begin(**more: str) -> Any:
        return any_house.client.post("/v1/uploads", headers={**tus, **more})

    with monkeypatch.context() as patch:
        patch.setattr(idempotency.KeyClaim, "keep", crash)
        assert begin().status_code == 503
    with any_house.service.store.read() as session:
        assert Uploads(session, "default").open() == (0, 0), "upload and answer, or neither"
    first, again = begin(), begin()
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["tus-resumable"] == "1.0.0"
    assert code(begin(**{"upload-length": "1001"})) == "idempotency_key_reused"
    any_house.client.delete(first.headers["location"], headers=tus)
    assert code(begin()) == "idempotency_key_spent"


@pytest.mark.parametrize("key", ["", " ", "two words", '"half', "ä", "x" * 256, '"'])
def test_a_key_that_can_not_be(house: House, key: str) -> None:
    """It is refused as such, and nothing is done."""
    answer = send(house, key.encode("latin-1"))  # type: ignore[arg-type]
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["detail"]
    assert house.client.get("/v1/documents").json()["items"] == []
