"""What is known is not sent again, and nobody changes what has changed since they looked."""

from __future__ import annotations

from typing import Any

import pytest

from shared.events import DocumentDeleted, DocumentIngested
from tests.samples import mail
from tests.unit.ingest.house import House, extracted, pdf

TEXT = b"This Agreement is made between Alpha Inc. and Beta Ltd."


def etag(house: House, document: str) -> str:
    """The tag that a document has now, as header and body agree on."""
    answer = house.client.get(f"/v1/documents/{document}")
    assert answer.headers["etag"] == answer.json()["etag"]
    return str(answer.headers["etag"])


def test_a_document_that_is_known_is_not_sent_again(any_house: House) -> None:
    """304 with the tag and no body, until something has changed."""
    document = any_house.accepted(TEXT, "a.txt")
    path, first = f"/v1/documents/{document}", etag(any_house, document)
    answer = any_house.client.get(path, headers={"if-none-match": first})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", first)
    any_house.work()
    answer = any_house.client.get(path, headers={"if-none-match": first})
    assert answer.status_code == 200
    assert answer.headers["etag"] != first
    listed = any_house.client.get("/v1/documents").json()["items"]
    assert [item["etag"] for item in listed] == [answer.headers["etag"]]


def test_contents_that_are_known_are_not_sent_again(house: House) -> None:
    """Bytes and text never change, so their tags don't either, even in another attempt."""
    document = house.accepted(TEXT, "a.txt")
    house.work()
    house.say(extracted(document))
    tags = []
    for part in ("original", "text"):
        path = f"/v1/documents/{document}/{part}"
        tags.append(house.client.get(path).headers["etag"])
        known = house.client.get(path, headers={"if-none-match": tags[-1]})
        assert (known.status_code, known.content) == (304, b"")
        other = house.client.get(path, headers={"if-none-match": '"another"'})
        assert (other.status_code, other.content) == (200, TEXT)
    house.client.post(f"/v1/documents/{document}/reprocess")
    house.work()
    assert house.client.get(path).headers["etag"] == tags[-1]


@pytest.mark.parametrize(("method", "more"), [("DELETE", ""), ("POST", "/reprocess")])
def test_a_change_to_what_has_changed_is_refused(any_house: House, method: str, more: str) -> None:
    """412 with the tag of now, and nothing happens; with that tag it does."""
    document = any_house.accepted(TEXT, "a.txt")
    stale = etag(any_house, document)
    any_house.work()
    any_house.say(extracted(document))
    path = f"/v1/documents/{document}{more}"
    assert any_house.said()

    def change(tag: str) -> Any:
        return any_house.client.request(method, path, headers={"if-match": tag})

    refused = change(stale)
    assert refused.status_code == 412
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "urn:smallprint:problem:precondition_failed"
    assert refused.json()["document"] == document
    assert refused.headers["etag"] == etag(any_house, document) != stale
    assert any_house.said() == []
    assert change(refused.headers["etag"]).status_code in (202, 204)
    [event] = any_house.said()
    assert isinstance(event, DocumentDeleted if method == "DELETE" else DocumentIngested)


def test_a_part_that_comes_or_goes_changes_the_mail(any_house: House) -> None:
    """The tag is of all that is shown: also what lies in a mail, and what a part lies in."""
    post = any_house.accepted(mail("Lease", {"lease.pdf": pdf()}), "lease.eml")
    any_house.work()
    [part] = any_house.client.get("/v1/documents", params={"parent": post}).json()["items"]
    before = etag(any_house, post)
    any_house.client.delete(f"/v1/documents/{part['id']}")
    path = f"/v1/documents/{post}"
    assert any_house.client.delete(path, headers={"if-match": before}).status_code == 412
    now = etag(any_house, post)
    assert any_house.client.delete(path, headers={"if-match": f'"x", {now}'}).status_code == 204
