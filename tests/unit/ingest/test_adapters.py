"""Which specialists are to read a document: said at the upload, or later, and told to everybody."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.events import ClausesExtracted, DocumentIngested, DocumentRead
from tests.unit.documents.archives import archive
from tests.unit.ingest.house import House, extracted, gave_up

PROSE = b"The parties to this agreement agree that nothing in it is to be taken at its word."
SHIPPED, TAUGHT = ("contract-clauses", "unfair-terms"), "data-retention"
INSTALLED = "contract-clauses, data-retention, unfair-terms"
Made = Callable[..., House]


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Made]:
    """Makes a house where two specialists are shipped and one was taught."""
    houses: list[House] = []
    for folder, names in (("artefacts", SHIPPED), ("adapters", (TAUGHT,))):
        for name in names:
            (tmp_path / folder / name / "1.0.0").mkdir(parents=True)
            (tmp_path / folder / name / "1.0.0" / "manifest.json").touch()

    def made(**settings: Any) -> House:
        folders: dict[str, Any] = {n: tmp_path / n for n in ("artefacts", "adapters")}
        houses.append(House(tmp_path / "data", **folders, **settings))
        return houses[-1]

    yield made
    for house in houses:
        house.close()


@pytest.fixture
def house(make: Made) -> House:
    """On SQLite."""
    return make()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_house(request: pytest.FixtureRequest, make: Made) -> House:
    """On SQLite, and the same test again on PostgreSQL."""
    on_server = request.param == "postgresql"
    url = request.getfixturevalue("servers").database() if on_server else ""
    return make(ingest_database_url=url)


def wishes(house: House, kind: type[DocumentIngested | DocumentRead]) -> list[tuple[str, ...]]:
    """The adapters in every event of a type since the last time."""
    return [event.adapters for event in house.said(kind) if isinstance(event, kind)]


def test_what_an_uploader_names_travels_with_the_document(any_house: House) -> None:
    """Several fields, each name once, shown with the document and told to whoever works on it."""
    names = [TAUGHT, "contract-clauses", TAUGHT, ""]
    document = any_house.accepted(PROSE, "a.txt", adapter=names)
    assert any_house.state(document)["adapters"] == [TAUGHT, "contract-clauses"]
    any_house.work()
    assert wishes(any_house, DocumentIngested) == [(TAUGHT, "contract-clauses")]
    assert wishes(any_house, DocumentRead) == [(TAUGHT, "contract-clauses")]


def test_who_names_none_leaves_it_to_the_set_up(house: House) -> None:
    """Nothing is said of adapters then."""
    document = house.accepted(PROSE, "a.txt")
    house.work()
    assert house.state(document)["adapters"] == []
    assert wishes(house, DocumentRead) == [()]


def test_an_adapter_that_is_not_installed_is_refused_by_name(house: House) -> None:
    """The problem names the installed ones; nothing is kept, of one file or of several."""
    answer = house.upload(PROSE, "a.txt", adapter=["contract-clauses", "unfair-term"])
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:smallprint:problem:unknown_adapter"
    assert problem["detail"] == (
        f"there is no adapter named 'unfair-term': {INSTALLED} can be named"
    )
    files = [("file", ("a.txt", PROSE)), ("file", ("b.txt", PROSE + b"!"))]
    several: Any = house.client.post("/v1/documents", files=files, data={"adapter": "x"})
    assert several.status_code == 422
    assert {item["error"]["title"] for item in several.json()["items"]} == {"unknown adapter"}
    assert house.client.get("/v1/documents").json()["items"] == []
    assert house.blobs() == set()


def test_a_resumable_upload_names_them_as_well(any_house: House) -> None:
    """In its metadata, comma-separated, checked before a byte is sent."""
    answer = begun(any_house, "data-retention, nobody")
    assert (answer.status_code, INSTALLED in answer.json()["detail"]) == (422, True)
    answer = begun(any_house, "data-retention, unfair-terms")
    assert answer.status_code == 201, answer.text
    headers = {
        "tus-resumable": "1.0.0",
        "content-type": "application/offset+octet-stream",
        "upload-offset": "0",
    }
    ended: Any = any_house.client.patch(answer.headers["location"], content=PROSE, headers=headers)
    document = any_house.state(ended.headers["smallprint-document"])
    assert document["adapters"] == ["data-retention", "unfair-terms"]


def begun(house: House, adapters: str) -> Any:
    """The answer to the first request of an upload in pieces."""
    said = base64.b64encode(adapters.encode()).decode()
    headers = {
        "tus-resumable": "1.0.0",
        "upload-length": str(len(PROSE)),
        "upload-metadata": f"filename YS50eHQ=,adapter {said}",
    }
    return house.client.post("/v1/uploads", headers=headers)


def test_what_lies_in_a_mail_or_archive_is_read_by_the_same(house: House) -> None:
    """As with the kind; and again by others when the archive comes with others."""
    data = archive({"a.txt": PROSE})
    house.accepted(data, "a.zip", adapter="unfair-terms")
    house.work()
    assert wishes(house, DocumentRead) == [("unfair-terms",)]
    house.accepted(data, "a.zip", adapter=TAUGHT)
    house.work()
    assert wishes(house, DocumentRead) == [(TAUGHT,)]


def test_the_same_bytes_for_other_adapters_are_read_anew(any_house: House) -> None:
    """A new attempt at the same document, which replaces what the first ones found; the same ones
    again, or none, are nothing new.
    """
    document = any_house.accepted(PROSE, "a.txt", adapter="contract-clauses")
    any_house.work()
    any_house.say(extracted(document))
    for names in ([], ["contract-clauses"]):
        answer = any_house.upload(PROSE, "a.txt", adapter=names)
        assert (answer.status_code, answer.json()["attempt"]) == (200, 1)
    answer = any_house.upload(PROSE, "a.txt", adapter=["contract-clauses", "unfair-terms"])
    assert (answer.status_code, answer.json()["id"]) == (202, document)
    assert answer.json()["attempt"] == 2
    any_house.work()
    any_house.say(extracted(document))
    assert any_house.state(document)["state"] == "processing"
    any_house.say(extracted(document, attempt=2))
    assert any_house.state(document)["outcome"] == "complete"
    answer = any_house.upload(PROSE, "a.txt", adapter=["unfair-terms", "contract-clauses"])
    assert (answer.status_code, answer.json()["attempt"]) == (200, 2)


def test_naming_who_has_read_it_by_default_is_nothing_new(any_house: House) -> None:
    """The set up specialist may be named as well as not: no new attempt; another one is one."""
    document = any_house.accepted(PROSE, "a.txt")
    any_house.work()
    any_house.say(extracted(document))
    answer = any_house.upload(PROSE, "a.txt", adapter="contract-clauses")
    assert (answer.status_code, answer.json()["attempt"]) == (200, 1)
    assert any_house.state(document)["adapters"] == []
    other = any_house.upload(PROSE, "a.txt", adapter="unfair-terms")
    assert (other.status_code, other.json()["attempt"]) == (202, 2)


def test_a_kind_and_adapters_may_be_said_together_of_what_is_known(house: House) -> None:
    """Whether or not the kind is another one, the named adapters read it."""
    for number, kind in enumerate(("contract", "report")):
        data = PROSE + bytes(str(number), "ascii")
        document = house.accepted(data, "a.txt", adapter="contract-clauses")
        house.work()
        answer = house.upload(data, "a.txt", kind=kind, adapter=TAUGHT)
        assert answer.status_code == 202
        assert (answer.json()["kind"], answer.json()["adapters"]) == (kind, [TAUGHT])
        assert (answer.json()["attempt"], answer.json()["id"]) == (2, document)


def test_a_new_attempt_may_name_others(any_house: House) -> None:
    """`reprocess` keeps what was named unless it names others, which have to be installed."""
    document = any_house.accepted(PROSE, "a.txt", adapter=TAUGHT)
    any_house.work()
    any_house.say(gave_up(document))
    path = f"/v1/documents/{document}/reprocess"
    wrong = any_house.client.post(path, json={"adapters": ["nobody"]})
    assert (wrong.status_code, wrong.json()["title"]) == (422, "unknown adapter")
    assert any_house.client.post(path).json()["adapters"] == [TAUGHT]
    any_house.work()
    any_house.say(extracted(document, attempt=2))
    again = any_house.client.post(path, json={"adapters": ["unfair-terms", "unfair-terms"]})
    assert (again.status_code, again.json()["adapters"]) == (202, ["unfair-terms"])
    any_house.work()
    assert wishes(any_house, DocumentRead)[-1] == ("unfair-terms",)


def test_a_new_attempt_is_not_begun_for_what_is_no_longer_installed(
    house: House, tmp_path: Path
) -> None:
    """`reprocess` names what is installed, and begins nothing, until it is told of others."""
    document = house.accepted(PROSE, "a.txt", adapter=TAUGHT)
    house.work()
    house.say(gave_up(document))
    shutil.rmtree(tmp_path / "adapters" / TAUGHT)
    path = f"/v1/documents/{document}/reprocess"
    refused: Any = house.client.post(path)
    assert (refused.status_code, refused.json()["title"]) == (422, "unknown adapter")
    assert ", ".join(SHIPPED) in refused.json()["detail"]
    assert house.state(document)["attempt"] == 1
    again = house.client.post(path, json={"adapters": ["unfair-terms"]})
    assert (again.status_code, again.json()["adapters"]) == (202, ["unfair-terms"])


def test_after_a_failure_an_upload_without_adapters_names_none(house: House) -> None:
    """What was named at first may be why it failed."""
    document = house.accepted(PROSE, "a.txt", adapter=TAUGHT)
    house.work()
    house.say(gave_up(document))
    again = house.upload(PROSE, "a.txt")
    assert (again.status_code, again.json()["id"]) == (202, document)
    assert (again.json()["attempt"], again.json()["adapters"]) == (2, [])
    house.work()
    assert wishes(house, DocumentRead)[-1] == ()


def test_a_key_knows_a_request_by_its_adapters(house: House) -> None:
    """The same file for other adapters is another request."""
    headers = {"idempotency-key": '"k1"'}
    answers: list[Any] = [
        house.client.post(
            "/v1/documents", files={"file": ("a.txt", PROSE)}, data=data, headers=headers
        )
        for data in ({"adapter": TAUGHT}, {"adapter": TAUGHT}, {"adapter": "unfair-terms"})
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 409]


def test_adapters_survive_another_kind(house: House) -> None:
    """Said to be a report, then a contract again: read by what was named at first."""
    document = house.accepted(PROSE, "a.txt", kind="report", adapter=TAUGHT)
    house.work()
    house.client.put(f"/v1/documents/{document}/kind", json={"kind": "contract"})
    house.work()
    assert wishes(house, DocumentRead)[-1] == (TAUGHT,)


def test_webhooks_hear_of_every_adapter(house: House) -> None:
    """Also of an event from before there could be several."""
    from services.ingest.webhooks.messages import result_found

    old = extracted("doc_1")
    assert isinstance(old, ClausesExtracted)
    (message,) = result_found(old)
    (adapter,) = message.data["adapters"]
    assert (adapter.pop("name"), adapter.pop("version")) == ("contract-clauses", "1")
    assert set(adapter.values()) == {None}, "nothing was measured then"
