"""The routes: lists, contents with safe headers, tenants kept apart, keys over HTTP."""

from __future__ import annotations

import base64
import errno
import fcntl
import json
import os
import threading
import time
from pathlib import Path
from typing import cast

import httpx
import pytest
from fastapi.testclient import TestClient

from infra.schemas import openapi_of
from services.ingest.pages import PageImages
from services.ingest.store import Documents
from shared.web.auth import COOKIE, RemoteKeys, csrf_token
from tests.support import ROOT
from tests.unit.documents.scanned import WORDS, need_engine, picture, saved
from tests.unit.ingest.house import House, InProcessReader, extracted, found, pdf

PNG = b"\x89PNG\r\n\x1a\n"


def text(number: int) -> bytes:
    """A small document that no other one equals."""
    return f"Agreement number {number}.".encode()


def test_the_openapi_file_is_up_to_date() -> None:
    """`make schemas` has been run since the routes changed."""
    assert (ROOT / "services/ingest/openapi.json").read_text("utf-8") == openapi_of("ingest")


def test_a_list_is_continued_by_its_cursor(any_house: House) -> None:
    """Newest first, every document once, even if others arrive between two pages."""
    ids = [any_house.accepted(text(n), f"{n}.txt") for n in range(7)]
    seen, cursor = [], None
    while True:
        params = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = any_house.client.get("/v1/documents", params=params).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
        any_house.accepted(text(100 + len(seen)), "new.txt")
    assert seen == ids[::-1]


def test_a_list_is_filtered(any_house: House) -> None:
    """By state, kind and outcome, also together."""
    done = any_house.accepted(text(1), "1.txt")
    any_house.work()
    any_house.say(extracted(done))
    poem = any_house.accepted(text(2), "2.txt", kind="other")
    report = any_house.accepted(b"{}", "3.json")

    def ids(**params: str) -> list[str]:
        answer = any_house.client.get("/v1/documents", params=params)
        return [item["id"] for item in answer.json()["items"]]

    assert ids(state="ended") == [poem, done]
    assert ids(outcome="complete") == [done]
    assert ids(kind="report") == [report]
    assert ids(state="ended", kind="contract") == [done]
    assert ids(state="received", kind="contract") == []


def test_a_list_by_bytes_uploader_and_time(any_house: House) -> None:
    """Is this very document there, who sent what, and what came between two moments."""
    mine = [any_house.accepted(text(n), f"{n}.txt") for n in (1, 2)]
    other = any_house.client_of("default", "Ännchen")
    theirs = any_house.upload(text(3), "3.txt", client=other).json()

    def ids(**params: str) -> list[str]:
        answer = any_house.client.get("/v1/documents", params=params)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    assert ids(sha256=any_house.state(mine[0])["sha256"]) == [mine[0]]
    assert ids(sha256="0" * 64) == []
    assert ids(actor="Ännchen") == [theirs["id"]]
    assert ids(actor="tester") == mine[::-1]
    middle = any_house.state(mine[1])["created"]
    assert ids(since=middle) == [theirs["id"], mine[1]]
    assert ids(before=middle) == [mine[0]]
    assert ids(since=middle, before=theirs["created"], actor="tester") == [mine[1]]
    first = any_house.client.get("/v1/documents", params={"actor": "tester", "limit": 1}).json()
    assert ids(actor="tester", cursor=first["next"]) == [mine[0]]


def test_what_extraction_warns_of_is_the_documents_warning(any_house: House) -> None:
    """Once, however often it is said."""
    document = any_house.accepted(text(1), "a.txt")
    any_house.work()
    any_house.say(extracted(document, warnings=("not English", "odd")))
    any_house.say(extracted(document, warnings=("odd",)))
    shown = any_house.client.get(f"/v1/documents/{document}").json()["warnings"]
    assert shown == ["not English", "odd"]


def test_what_triage_did_not_read_is_the_documents_warning(any_house: House) -> None:
    """So that an end without findings is not taken for a report that was checked in all."""
    document = any_house.accepted(b'{"statements": []}', "a.json")
    any_house.work()
    any_house.say(found(document, warnings=("no cash flow was found",)))
    shown = any_house.client.get(f"/v1/documents/{document}").json()
    assert (shown["outcome"], shown["warnings"]) == ("complete", ["no cash flow was found"])


@pytest.mark.parametrize(
    "query",
    [
        *("cursor=nonsense", "cursor=MjAyNi0wMS0wMXxkb2M", "cursor=%C3%A4"),
        "cursor=MDAwMS0wMS0wMVQwMDowMDowMCsyMzowMHxkb2M",  # before the beginning of time in UTC
        *("limit=0", "limit=201", "state=lost", "kind=poem", "outcome=fine"),
        *("sha256=ABC", "actor=", "since=2026-01-02", "before=1767312000"),
    ],
)
def test_a_list_that_can_not_be(house: House, query: str) -> None:
    """A wrong cursor or filter is a problem that names it."""
    answer = house.client.get(f"/v1/documents?{query}")
    assert answer.status_code == 422
    assert query.split("=")[0] in answer.json()["detail"]


def test_the_original_is_only_ever_downloaded(house: House) -> None:
    """Its bytes come back exactly, as an attachment that no browser shows or runs on our origin."""
    name = "Vertrag 'Müller' €.pdf"
    document = house.accepted(pdf(), name)
    answer = house.client.get(f"/v1/documents/{document}/original")
    assert answer.content == pdf()
    assert answer.headers["content-length"] == str(len(pdf()))
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith('attachment; filename="Vertrag _M_ller_ _.pdf"')
    assert "filename*=UTF-8''Vertrag%20%27M%C3%BCller%27%20%E2%82%AC.pdf" in disposition
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


def test_the_text_is_plain_utf8_exactly(house: House) -> None:
    """No newline is translated and nothing is added."""
    data = "\ufeffZeile eins\r\nZeile zwei\rdrei\n\n".encode()
    document = house.accepted(data, "a.txt")
    early = house.client.get(f"/v1/documents/{document}/text")
    assert early.status_code == 409
    assert "not read yet" in early.json()["detail"]
    house.work()
    answer = house.client.get(f"/v1/documents/{document}/text")
    assert answer.content == data
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_each_page_says_how_it_was_read_and_how_sure(house: House) -> None:
    """Its place in the text, its size, the reader, and a confidence where one has guessed."""
    document = house.accepted(pdf("one", "two"))
    early = house.client.get(f"/v1/documents/{document}/pages")
    assert early.status_code == 409
    house.work()
    answer = house.client.get(f"/v1/documents/{document}/pages").json()
    words = house.client.get(f"/v1/documents/{document}/text").text
    assert [words[page["start"] : page["end"]] for page in answer["items"]] == ["one", "two"]
    assert answer["next"] is None
    first = answer["items"][0]
    assert (first["page"], first["method"], first["confidence"]) == (1, "pypdfium2", None)
    assert first["width"] > 100
    assert house.client.get("/v1/documents/doc_none/pages").status_code in (404, 422)


def test_a_scan_is_read_and_shown(house: House) -> None:
    """A photo of a page has a text, a ledger with a confidence, and a picture."""
    need_engine()
    document = house.accepted(saved(picture(), "PNG", dpi=(150, 150)), "page.png")
    house.work()
    assert house.client.get(f"/v1/documents/{document}/text").text == "\n".join(WORDS)
    (page,) = house.client.get(f"/v1/documents/{document}/pages").json()["items"]
    assert page["method"] == "tesseract"
    assert 0.8 < page["confidence"] <= 1
    shown = house.client.get(f"/v1/documents/{document}/pages/1.png")
    assert shown.content.startswith(PNG)


def test_a_page_is_drawn_once_and_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look costs no drawing; the browser may keep it, a proxy may not."""
    drawn = []
    render = InProcessReader.render

    def counting(self: InProcessReader, data: bytes, number: int, **options: object) -> bytes:
        drawn.append(number)
        return render(self, data, number)

    monkeypatch.setattr(InProcessReader, "render", counting)
    document = house.accepted(pdf("one", "two"))
    house.work()
    first = house.client.get(f"/v1/documents/{document}/pages/2.png")
    again = house.client.get(f"/v1/documents/{document}/pages/2.png")
    assert first.content == again.content
    assert first.content.startswith(PNG)
    assert first.headers["content-type"] == "image/png"
    assert first.headers["cache-control"].startswith("private")
    assert drawn == [2]


@pytest.mark.parametrize("number", ["3", "0", "-1", "99999999999", "x"])
def test_there_is_no_page_beyond_the_last(house: House, number: str) -> None:
    """404 for a page that is not there, 422 for what is no page number."""
    document = house.accepted(pdf("one", "two"))
    for _ in range(2):
        answer = house.client.get(f"/v1/documents/{document}/pages/{number}.png")
        assert answer.status_code == (404 if number == "3" else 422)
        house.work()


def test_a_text_has_no_pictures(house: House) -> None:
    """Only a PDF has page images."""
    document = house.accepted(text(1), "a.txt")
    answer = house.client.get(f"/v1/documents/{document}/pages/1.png")
    assert answer.status_code == 404
    assert "text" in answer.json()["detail"]


def test_page_images_are_bounded(house: House) -> None:
    """Beyond the limit the images that nobody looked at for longest go."""
    document_id = house.accepted(pdf("one", "two", "three", "four"))
    house.work()
    with house.service.store.read() as session:
        document = Documents(session, "default").get(document_id)
    assert document is not None
    root = house.service.settings.blobs
    size = len(InProcessReader().render(pdf("one"), 1))
    for keep, left in ((int(size * 2.5), 2), (0, 0)):
        images = PageImages(root, house.service.blobs, InProcessReader(), keep_bytes=keep)
        images.forget("default", [document.readable])
        for number in (1, 2, 3, 4):
            assert images.get(document, number, alive=lambda: True).startswith(PNG)
            images._written = 0  # look at the limit after every image
        assert len(list(root.rglob("*.png"))) == left


def test_an_image_of_a_document_deleted_meanwhile_does_not_stay(house: House) -> None:
    """Whoever draws last looks whether the document is still there."""
    document_id = house.accepted(pdf())
    with house.service.store.read() as session:
        document = Documents(session, "default").get(document_id)
    assert document is not None
    root = house.service.settings.blobs
    images = PageImages(root, house.service.blobs, InProcessReader())
    with pytest.raises(Exception, match="no document"):
        images.get(document, 1, alive=lambda: False)
    assert list(root.rglob("*.png")) == []


def test_tenants_see_nothing_of_each_other(any_house: House) -> None:
    """Another tenant's document is as unknown as one that never was, on every route."""
    mine = any_house.accepted(pdf())
    any_house.work()
    any_house.say(extracted(mine))
    acme = any_house.client_of("acme")
    for document in (mine, "doc_" + "0" * 32):
        for method, path in (
            ("GET", ""),
            ("GET", "/text"),
            ("GET", "/events"),
            ("GET", "/original"),
            ("GET", "/pages/1.png"),
            ("POST", "/reprocess"),
            ("DELETE", ""),
        ):
            answer = acme.request(method, f"/v1/documents/{document}{path}")
            assert answer.status_code == 404, (method, path)
            assert answer.json()["detail"] == f"there is no document {document}"
    assert acme.get("/v1/documents").json()["items"] == []
    assert any_house.state(mine)["outcome"] == "complete"


def test_every_route_asks_for_a_key(house: House) -> None:
    """No route below /v1 answers a stranger."""
    stranger = TestClient(house.service.app)
    asked = 0
    for path, operations in house.service.app.openapi()["paths"].items():
        for method in operations:
            if path.startswith("/v1/"):
                address = path.replace("{number}", "1").replace("{id}", "x")
                answer = stranger.request(method, address)
                assert answer.status_code == 401, (method, path)
                asked += 1
    assert asked >= 14


def test_waiting_for_the_end(house: House) -> None:
    """A long poll answers as soon as the document has ended, and not before."""
    document = house.accepted(pdf())
    house.work()
    timer = threading.Timer(0.3, lambda: house.say(extracted(document)))
    timer.start()
    began = time.monotonic()
    state = house.client.get(f"/v1/documents/{document}?wait=20").json()
    timer.join()
    assert state["outcome"] == "complete"
    assert 0.2 < time.monotonic() - began < 15


def test_waiting_in_vain_and_in_a_crowd(tmp_path: Path) -> None:
    """When the time is up, or too many wait already, the answer is what is known now."""
    house = House(tmp_path, ingest_waiters=0)
    document = house.accepted(pdf())
    began = time.monotonic()
    assert house.client.get(f"/v1/documents/{document}?wait=20").json()["state"] == "received"
    assert time.monotonic() - began < 10
    assert house.client.get(f"/v1/documents/{document}?wait=21").status_code == 422
    house.close()


def test_events_follow_a_document_to_its_end(house: House) -> None:
    """A listener hears where the document stands now, every change, and then the stream ends."""
    document = house.accepted(pdf())

    def work() -> None:
        house.work()
        house.say(extracted(document))

    timer = threading.Timer(0.3, work)
    timer.start()
    answer = house.client.get(f"/v1/documents/{document}/events")
    timer.join()
    assert answer.headers["content-type"].startswith("text/event-stream")
    heard = [json.loads(line[6:]) for line in answer.text.splitlines() if line[:6] == "data: "]
    assert heard[0]["state"] == "received"
    assert (heard[-1]["state"], heard[-1]["outcome"]) == ("ended", "complete")
    assert heard[-1] == house.state(document)


def test_events_of_a_document_that_is_deleted(house: House) -> None:
    """A listener is told, and does not wait for ever."""
    document = house.accepted(pdf())
    timer = threading.Timer(0.3, lambda: house.client.delete(f"/v1/documents/{document}"))
    timer.start()
    answer = house.client.get(f"/v1/documents/{document}/events")
    timer.join()
    kind, number, data = answer.text.rstrip().splitlines()[-3:]
    assert (kind, data) == ("event: deleted", f'data: {{"id": "{document}"}}')
    assert number.startswith("id: ")


def test_listeners_are_bounded(tmp_path: Path) -> None:
    """With too many listening, one event is all, and the browser comes again by itself."""
    house = House(tmp_path, ingest_waiters=0)
    document = house.accepted(pdf())
    answer = house.client.get(f"/v1/documents/{document}/events")
    assert answer.text.startswith("retry: 3000\nid: 0\n\nevent: state\nid: 1\n")
    assert answer.text.count("event:") == 1
    house.close()


def test_keys_over_http(any_house: House) -> None:
    """A key is shown once, listed without its secret, works, and is revoked."""
    made = any_house.client.post("/v1/keys", json={"name": "Ann"})
    assert made.status_code == 201
    body = made.json()
    ann = any_house.client_with(body["secret"])
    own = ann.get("/v1/keys/self").json()
    assert (own["id"], own["name"], own["tenant"], own["kind"]) == (
        body["id"],
        "Ann",
        "default",
        "key",
    )
    assert own["created_by"] == "tester"
    listed = any_house.client.get("/v1/keys").json()
    assert [key["name"] for key in listed["items"]] == ["tester", "Ann"]
    assert body["secret"] not in any_house.client.get("/v1/keys").text
    assert "digest" not in any_house.client.get("/v1/keys").text
    assert any_house.client_of("acme").delete(f"/v1/keys/{body['id']}").status_code == 404
    assert any_house.client.delete(f"/v1/keys/{body['id']}").status_code == 204
    assert ann.get("/v1/keys/self").status_code == 401
    assert any_house.client.post("/v1/keys", json={"name": ""}).status_code == 422
    taken = any_house.client.post("/v1/keys", json={"name": "tester"})
    assert taken.status_code == 409
    assert "choose another name" in taken.json()["detail"]


def test_a_session_over_http(house: House) -> None:
    """A key opens a session for a cookie; the cookie changes something only with its CSRF token."""
    opened = house.client.post("/v1/keys/sessions")
    assert opened.status_code == 201
    secret = opened.json()["secret"]
    browser = TestClient(house.service.app, cookies={COOKIE: secret})
    own = house.client.get("/v1/keys/self").json()
    shown = browser.get("/v1/keys/self").json()
    assert (shown["kind"], shown["id"], shown["parent"]) == (
        "session",
        opened.json()["id"],
        own["id"],
    )
    assert (own["kind"], own["parent"]) == ("key", None)
    assert browser.delete("/v1/keys/sessions").status_code == 403
    headers = {"x-csrf-token": csrf_token(secret)}
    assert browser.post("/v1/keys", json={"name": "Eve"}, headers=headers).status_code == 403
    assert browser.delete("/v1/keys/sessions", headers=headers).status_code == 204
    assert browser.get("/v1/keys/self").status_code == 401
    assert house.client.delete("/v1/keys/sessions").status_code == 403


def test_other_services_can_ask_about_keys(house: House) -> None:
    """What RemoteKeys asks over HTTP is what ingest answers."""
    new = house.keys.create("acme", "Ann")
    remote = RemoteKeys("", 0, client=cast("httpx.Client", TestClient(house.service.app)))
    actor = remote.check(new.secret)
    assert actor is not None
    assert (actor.tenant, actor.name, actor.key_id) == ("acme", "Ann", new.key.id)
    session = house.keys.open_session(actor)
    browser = remote.check(session.secret)
    assert browser == house.keys.check(session.secret)
    assert browser is not None
    assert (browser.key_id, browser.session_id) == (new.key.id, session.key.id)
    house.keys.revoke(new.key.id)
    assert remote.check(new.secret) is None


def test_what_killed_processes_left_is_cleaned(tmp_path: Path) -> None:
    """A half-written blob is removed at start, unless somebody writes it still, however long."""
    folder = tmp_path / "blobs" / "acme" / "incoming"
    folder.mkdir(parents=True)
    for name in ("left", "written"):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - 4000,) * 2)
    with (folder / "written").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        House(tmp_path).close()
    assert [path.name for path in folder.iterdir()] == ["written"]


@pytest.mark.parametrize(("age", "left"), [(100_000, 0), (4000, 1)])
def test_where_there_are_no_locks_age_tells_what_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float, left: int
) -> None:
    """A half-written blob of yesterday is removed at start; one of an hour ago is left."""

    def refused(_file: object, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    folder = tmp_path / "blobs" / "acme" / "incoming"
    folder.mkdir(parents=True)
    (folder / "half").write_bytes(b"half")
    os.utime(folder / "half", (time.time() - age,) * 2)
    monkeypatch.setattr("shared.storage.blobs.fcntl.flock", refused)
    house = House(tmp_path)
    assert len(list(folder.iterdir())) == left
    monkeypatch.undo()
    house.close()


def test_the_schema_goes_up_and_down(any_house: House) -> None:
    """The first revision can be undone and done again."""
    any_house.service.store.migrate("base")
    any_house.service.store.migrate()
    assert any_house.keys.first_key() is not None


@pytest.mark.parametrize(
    "odd", ["%00", "doc_%00", "%F0%9F%98%80", "a" * 65, "doc%20x", "%ED%A0%80"]
)
def test_an_id_that_is_none_is_refused_before_any_database(any_house: House, odd: str) -> None:
    """A NUL or any other odd character in an id is the caller's mistake on every database."""
    paths = ["", "/text", "/original", "/events", "/pages/1.png"]
    answers = [any_house.client.get(f"/v1/documents/{odd}{path}") for path in paths]
    answers += [
        any_house.client.delete(f"/v1/documents/{odd}"),
        any_house.client.post(f"/v1/documents/{odd}/reprocess"),
        any_house.client.delete(f"/v1/keys/{odd}"),
    ]
    for answer in answers:
        assert answer.status_code in (404, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_cursor_with_an_odd_id_in_it_is_refused(any_house: House) -> None:
    """What a cursor holds is checked like an id of a path."""
    forged = base64.urlsafe_b64encode(b"2026-01-01T00:00:00+00:00|doc_\0").decode()
    answer = any_house.client.get("/v1/documents", params={"cursor": forged})
    assert answer.status_code == 422
    assert "cursor" in answer.json()["detail"]
