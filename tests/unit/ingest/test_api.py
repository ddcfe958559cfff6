"""Routes: lists, contents, tenants, and keys over HTTP."""

from __future__ import annotations

import base64
import errno
import fcntl
import io
import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from services.ingest.page_images import PageImages
from shared.errors import NotFound
from shared.events import DocumentDeleted, DocumentIngested
from shared.web.admission import ConcurrencyLimit, RateLimit
from shared.web.auth import COOKIE, RemoteKeys, csrf_token
from tests.support.samples import mail
from tests.unit.documents.scanned import WORDS, picture, saved
from tests.unit.ingest.builders import (
    IngestService,
    InProcessReader,
    NewIngest,
    clauses_extracted,
    findings_found,
    pdf,
)

PNG = b"\x89PNG\r\n\x1a\n"
DRAWING = ConcurrencyLimit(1, "a page image")


def text(number: int) -> bytes:
    return f"This is agreement number {number} of many.".encode()


def test_a_list_continues_at_its_cursor(any_ingest: IngestService) -> None:
    ids = [any_ingest.upload_new(text(n), f"{n}.txt") for n in range(7)]
    first = any_ingest.client.get("/v1/documents", params={"limit": 3}).json()
    any_ingest.upload_new(text(100), "new.txt")
    later = any_ingest.every("/v1/documents", limit=3, cursor=first["next"])
    assert [item["id"] for item in first["items"] + later] == ids[::-1]


def test_a_list_is_filtered(any_ingest: IngestService) -> None:
    done = any_ingest.complete_new(text(1), "1.txt")
    poem = any_ingest.upload_new(text(2), "2.txt", kind="other")
    report = any_ingest.upload_new(b"{}", "3.json")
    assert any_ingest.ids(state="ended") == [poem, done]
    assert any_ingest.ids(outcome="complete") == [done]
    assert any_ingest.ids(kind="report") == [report]
    assert any_ingest.ids(state="ended", kind="contract") == [done]
    assert any_ingest.ids(state="received", kind="contract") == []


def test_a_list_by_bytes_uploader_and_time(any_ingest: IngestService) -> None:
    mine = [any_ingest.upload_new(text(n), f"{n}.txt") for n in (1, 2)]
    other = any_ingest.client_for("default", "Ännchen")
    theirs = any_ingest.upload(text(3), "3.txt", client=other).json()
    assert any_ingest.ids(sha256=any_ingest.state(mine[0])["sha256"]) == [mine[0]]
    assert any_ingest.ids(sha256="0" * 64) == []
    assert any_ingest.ids(actor="Ännchen") == [theirs["id"]]
    assert any_ingest.ids(actor="tester") == mine[::-1]
    middle = any_ingest.state(mine[1])["created"]
    assert any_ingest.ids(since=middle) == [theirs["id"], mine[1]]
    assert any_ingest.ids(before=middle) == [mine[0]]
    assert any_ingest.ids(since=middle, before=theirs["created"], actor="tester") == [mine[1]]
    first = any_ingest.client.get("/v1/documents", params={"actor": "tester", "limit": 1}).json()
    assert any_ingest.ids(actor="tester", cursor=first["next"]) == [mine[0]]


def test_a_list_by_part_of_the_name(any_ingest: IngestService) -> None:
    names = ("Porex Amendment.txt", "porex_100%.txt", "Lease.txt")
    porex, percent, lease = (any_ingest.upload_new(text(n), one) for n, one in enumerate(names))
    theirs = any_ingest.client_for("acme", "eve")
    any_ingest.upload(text(9), "porex of acme.txt", client=theirs)
    assert any_ingest.ids(name="POREX") == [percent, porex]
    assert any_ingest.ids(name="x_1") == any_ingest.ids(name="0%.") == [percent]
    assert any_ingest.ids(name="Lease.txt", state="received") == [lease]
    assert any_ingest.ids(name="acme") == []


def test_warnings_about_results_are_warnings_of_the_document(any_ingest: IngestService) -> None:
    contract = any_ingest.upload_new(text(1), "a.txt")
    report = any_ingest.read_new(b'{"statements": []}', "a.json")
    any_ingest.publish(clauses_extracted(contract, warnings=("not English", "odd")))
    any_ingest.publish(clauses_extracted(contract, warnings=("odd",)))
    any_ingest.publish(findings_found(report, warnings=("no cash flow was found",)))
    assert any_ingest.state(contract)["warnings"] == ["not English", "odd"]
    assert any_ingest.state(report)["warnings"] == ["no cash flow was found"]


@pytest.mark.parametrize(
    "query",
    [
        *("cursor=nonsense", "cursor=MjAyNi0wMS0wMXxkb2M", "cursor=%C3%A4"),
        "cursor=MDAwMS0wMS0wMVQwMDowMDowMCsyMzowMHxkb2M",  # before the beginning of time in UTC
        *("limit=0", "limit=201", "state=lost", "kind=poem", "outcome=fine"),
        *("sha256=ABC", "actor=", "name=", "name=%00", "since=2026-01-02", "before=1767312000"),
    ],
)
def test_invalid_list_parameters_are_refused(ingest: IngestService, query: str) -> None:
    answer = ingest.client.get(f"/v1/documents?{query}")
    assert answer.status_code == 422
    assert query.split("=")[0] in answer.json()["detail"]


def test_the_original_is_only_ever_downloaded(ingest: IngestService) -> None:
    name = "Vertrag 'Müller' €.pdf"
    document = ingest.upload_new(pdf(), name)
    answer = ingest.client.get(f"/v1/documents/{document}/original")
    assert answer.content == pdf()
    assert answer.headers["content-length"] == str(len(pdf()))
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith('attachment; filename="Vertrag _M_ller_ _.pdf"')
    assert "filename*=UTF-8''Vertrag%20%27M%C3%BCller%27%20%E2%82%AC.pdf" in disposition
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


def test_the_text_is_exact_utf8(ingest: IngestService) -> None:
    data = "\ufeffZeile eins\r\nZeile zwei\rdrei\n\n".encode()
    document = ingest.upload_new(data, "a.txt")
    early = ingest.client.get(f"/v1/documents/{document}/text")
    assert early.status_code == 409
    assert "not read yet" in early.json()["detail"]
    ingest.run()
    answer = ingest.client.get(f"/v1/documents/{document}/text")
    assert answer.content == data
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_pages_show_method_and_confidence(ingest: IngestService) -> None:
    document = ingest.upload_new(pdf("one", "two"))
    early = ingest.client.get(f"/v1/documents/{document}/pages")
    assert early.status_code == 409
    ingest.run()
    answer = ingest.client.get(f"/v1/documents/{document}/pages").json()
    words = ingest.client.get(f"/v1/documents/{document}/text").text
    assert [words[page["start"] : page["end"]] for page in answer["items"]] == ["one", "two"]
    assert answer["next"] is None
    first = answer["items"][0]
    assert (first["page"], first["method"], first["confidence"]) == (1, "pypdfium2", None)
    assert first["width"] > 100
    assert ingest.client.get("/v1/documents/doc_none/pages").status_code in (404, 422)


def test_the_words_of_pages_have_places(ingest: IngestService) -> None:
    document = ingest.read_new(pdf("one word", "another", "third"))
    path = f"/v1/documents/{document}/words"
    text = ingest.client.get(f"/v1/documents/{document}/text").text
    first, second, _ = ingest.client.get(f"{path}?page=1").json()["items"]
    assert [text[w["start"] : w["end"]] for w in first["words"]] == ["one", "word"]
    one, word = first["words"]
    assert one["x1"] < word["x0"]
    assert one["y0"] < word["y1"]
    assert (second["page"], len(second["words"])) == (2, 1)
    assert [page["page"] for page in ingest.client.get(f"{path}?page=3").json()["items"]] == [3]
    assert ingest.client.get(f"{path}?page=4").json() == {"items": [], "next": None}
    long = ingest.read_new(pdf(*(f"page{n}" for n in range(11))))
    first_ten = ingest.client.get(f"/v1/documents/{long}/words").json()
    assert (len(first_ten["items"]), first_ten["next"]) == (10, 11)


def test_a_sheet_has_no_places(ingest: IngestService) -> None:
    document = ingest.read_new(b"a,b\n1,2\n", "a.csv")
    (page,) = ingest.client.get(f"/v1/documents/{document}/words?page=1").json()["items"]
    assert page["words"] == []


def test_a_scan_is_read_and_shown(ingest: IngestService) -> None:
    document = ingest.read_new(saved(picture(), "PNG", dpi=(150, 150)), "page.png")
    assert ingest.client.get(f"/v1/documents/{document}/text").text == "\n".join(WORDS)
    (page,) = ingest.client.get(f"/v1/documents/{document}/pages").json()["items"]
    assert page["method"] == "tesseract"
    assert 0.8 < page["confidence"] <= 1
    shown = ingest.client.get(f"/v1/documents/{document}/pages/1.png")
    assert shown.content.startswith(PNG)


def test_a_page_image_is_rendered_once(
    ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    render = InProcessReader.render

    def counting(self: InProcessReader, data: bytes, number: int, **options: Any) -> bytes:
        drawn.append(number)
        return render(self, data, number, **options)

    monkeypatch.setattr(InProcessReader, "render", counting)
    document = ingest.read_new(pdf("one", "two"))
    first = ingest.client.get(f"/v1/documents/{document}/pages/2.png")
    again = ingest.client.get(f"/v1/documents/{document}/pages/2.png")
    assert first.content == again.content
    assert first.content.startswith(PNG)
    assert first.headers["content-type"] == "image/png"
    assert first.headers["cache-control"].startswith("private")
    assert drawn == [2]
    sharp = ingest.client.get(f"/v1/documents/{document}/pages/2.png?scale=2")
    assert size_of(sharp.content) == pytest.approx(
        [2 * side for side in size_of(first.content)], abs=1
    )
    assert ingest.client.get(f"/v1/documents/{document}/pages/2.png").content == first.content
    assert ingest.client.get(f"/v1/documents/{document}/pages/2.png?scale=3").status_code == 422
    assert drawn == [2, 2]


def size_of(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        return image.size


@pytest.mark.parametrize("number", ["3", "0", "-1", "99999999999", "x"])
def test_a_page_beyond_the_last_is_not_found(ingest: IngestService, number: str) -> None:
    document = ingest.upload_new(pdf("one", "two"))
    for _ in range(2):
        answer = ingest.client.get(f"/v1/documents/{document}/pages/{number}.png")
        assert answer.status_code == (404 if number == "3" else 422)
        ingest.run()


def test_a_text_has_no_page_images(ingest: IngestService) -> None:
    document = ingest.upload_new(text(1), "a.txt")
    answer = ingest.client.get(f"/v1/documents/{document}/pages/1.png")
    assert answer.status_code == 404
    assert "PDFs" in answer.json()["detail"]


def test_page_images_are_bounded(ingest: IngestService) -> None:
    document_id = ingest.read_new(pdf("one", "two", "three", "four"))
    document = ingest.stored(document_id)
    root = ingest.service.settings.blobs
    size = len(InProcessReader().render(pdf("one"), 1))
    for keep, remaining in ((int(size * 2.5), 2), (0, 0)):
        images = PageImages(root, ingest.service.blobs, InProcessReader(), DRAWING, keep)
        images.forget("default", [document.readable])
        for number in (1, 2, 3, 4):
            assert images.get(document, number, require=lambda: None).startswith(PNG)
            images._written = 0  # look at the limit after every image
        assert len(list(root.rglob("*.png"))) == remaining


def test_an_image_of_a_document_deleted_meanwhile_is_removed(ingest: IngestService) -> None:
    document_id = ingest.upload_new(pdf())
    document = ingest.stored(document_id)
    root = ingest.service.settings.blobs
    images = PageImages(root, ingest.service.blobs, InProcessReader(), DRAWING)

    def deleted() -> None:
        raise NotFound("There is no document.")

    with pytest.raises(NotFound, match="no document"):
        images.get(document, 1, require=deleted)
    assert list(root.rglob("*.png")) == []


def test_another_tenants_document_is_not_found(any_ingest: IngestService) -> None:
    mine = any_ingest.complete_new(pdf())
    acme = any_ingest.client_for("acme")
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
            assert answer.json()["detail"] == f"There is no document {document}."
    assert acme.get("/v1/documents").json()["items"] == []
    assert any_ingest.state(mine)["outcome"] == "complete"


def test_every_route_requires_a_key(ingest: IngestService) -> None:
    stranger = TestClient(ingest.service.app)
    requested = 0
    for path, operations in ingest.service.app.openapi()["paths"].items():
        for method, operation in operations.items():
            if path.startswith("/v1/") and operation["security"]:
                address = path.replace("{number}", "1").replace("{id}", "x")
                answer = stranger.request(method, address)
                assert answer.status_code == 401, (method, path)
                requested += 1
    assert requested >= 14


def test_a_long_poll_answers_at_the_end(ingest: IngestService) -> None:
    document = ingest.read_new(pdf())
    timer = threading.Timer(0.3, lambda: ingest.publish(clauses_extracted(document)))
    timer.start()
    began = time.monotonic()
    state = ingest.client.get(f"/v1/documents/{document}?wait=20").json()
    timer.join()
    assert state["outcome"] == "complete"
    assert 0.2 < time.monotonic() - began < 15


def test_a_long_poll_answers_at_once_without_a_free_slot(new_ingest: NewIngest) -> None:
    ingest = new_ingest(ingest_waiters=0)
    document = ingest.upload_new(pdf())
    began = time.monotonic()
    assert ingest.client.get(f"/v1/documents/{document}?wait=20").json()["state"] == "received"
    assert time.monotonic() - began < 10
    assert ingest.client.get(f"/v1/documents/{document}?wait=21").status_code == 422


def test_events_follow_a_document_to_its_end(ingest: IngestService) -> None:
    document = ingest.upload_new(pdf())

    def work() -> None:
        ingest.run()
        ingest.publish(clauses_extracted(document))

    timer = threading.Timer(0.3, work)
    timer.start()
    answer = ingest.client.get(f"/v1/documents/{document}/events")
    timer.join()
    assert answer.headers["content-type"].startswith("text/event-stream")
    received = [json.loads(line[6:]) for line in answer.text.splitlines() if line[:6] == "data: "]
    assert received[0]["state"] == "received"
    assert (received[-1]["state"], received[-1]["outcome"]) == ("ended", "complete")
    assert received[-1] == ingest.state(document)


def test_a_stream_ends_with_the_deletion(ingest: IngestService) -> None:
    document = ingest.upload_new(pdf())
    timer = threading.Timer(0.3, lambda: ingest.client.delete(f"/v1/documents/{document}"))
    timer.start()
    answer = ingest.client.get(f"/v1/documents/{document}/events")
    timer.join()
    kind, number, data = answer.text.rstrip().splitlines()[-3:]
    assert (kind, data) == ("event: deleted", f'data: {{"id": "{document}"}}')
    assert number.startswith("id: ")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/keys/self", None, 200),
        ("GET", "/v1/sign-in", None, 200),
        ("GET", "/metrics", None, 200),
        ("POST", "/v1/sign-in/invitation", {"invitation": "x", "password": "x" * 12}, 401),
    ],
)
def test_routes_beside_those_of_documents_are_limited(
    ingest: IngestService, method: str, path: str, body: dict[str, str] | None, status: int
) -> None:
    ingest.service.app.state.limit = RateLimit(2, lambda: 0.0)  # time stands still
    statuses = [ingest.client.request(method, path, json=body).status_code for _ in range(3)]
    assert statuses == [status, status, 429]
    assert ingest.client.get("/v1/documents").status_code == 200, "they are counted apart"


def test_keys_are_created_listed_and_revoked_over_http(any_ingest: IngestService) -> None:
    made = any_ingest.client.post("/v1/keys", json={"name": "Ann"})
    assert made.status_code == 201
    body = made.json()
    ann = any_ingest.client_with(body["secret"])
    own = ann.get("/v1/keys/self").json()
    assert (own["id"], own["name"], own["tenant"], own["kind"]) == (
        body["id"],
        "Ann",
        "default",
        "key",
    )
    assert own["created_by"] == "tester"
    listed = any_ingest.client.get("/v1/keys").json()
    assert [key["name"] for key in listed["items"]] == ["tester", "Ann"]
    assert body["secret"] not in any_ingest.client.get("/v1/keys").text
    assert "digest" not in any_ingest.client.get("/v1/keys").text
    assert any_ingest.client_for("acme").delete(f"/v1/keys/{body['id']}").status_code == 404
    assert any_ingest.client.delete(f"/v1/keys/{body['id']}").status_code == 204
    assert ann.get("/v1/keys/self").status_code == 401
    assert any_ingest.client.post("/v1/keys", json={"name": ""}).status_code == 422
    taken = any_ingest.client.post("/v1/keys", json={"name": "tester"})
    assert taken.status_code == 409
    assert "Choose another" in taken.json()["detail"]


def test_keys_end_are_limited_and_rotated_over_http(any_ingest: IngestService) -> None:
    limits = {"expires": "2031-01-02T00:00:00Z", "addresses": ["192.0.2.0/24"]}
    body = any_ingest.client.post("/v1/keys", json={"name": "Ann", **limits}).json()
    assert {name: body[name] for name in limits} == limits
    path = f"/v1/keys/{body['id']}/rotate"
    rotated = any_ingest.client.post(path, json={"overlap": 60}).json()
    assert (rotated["id"], rotated["expires"]) == (body["id"], body["expires"])
    assert any_ingest.client_for("acme").post(path).status_code == 404
    for secret in (body["secret"], rotated["secret"]):
        for address, status in (("192.0.2.7", 200), ("192.0.3.7", 403), ("", 403)):
            ann = TestClient(any_ingest.service.app, client=(address, 1))
            ann.headers["authorization"] = f"Bearer {secret}"
            assert ann.get("/v1/documents").status_code == status
            assert ann.get("/v1/keys/self").json()["addresses"] == limits["addresses"]
    for wrong in (
        {"expires": "2001-01-01T00:00:00Z"},
        {"expires": "soon"},
        {"addresses": ["here"]},
        {"addresses": ["10.1.2.3/8"]},
    ):
        answer = any_ingest.client.post("/v1/keys", json={"name": "Bob", **wrong})
        assert answer.status_code == 422


def test_sessions_are_listed_and_ended_over_http(any_ingest: IngestService) -> None:
    admin = any_ingest.client
    ann = any_ingest.client_with(
        admin.post("/v1/keys", json={"name": "Ann", "scopes": ["review"]}).json()["secret"]
    )
    key = ann.get("/v1/keys/self").json()["id"]
    agent = {"user-agent": "Firefox"}
    ours, theirs = (
        who.post("/v1/keys/sessions", headers=agent).json()["id"] for who in (ann, admin)
    )
    assert [one["id"] for one in admin.get("/v1/keys/sessions").json()["items"]] == [ours, theirs]
    only = {"key": key}
    [shown] = admin.get("/v1/keys/sessions", params=only).json()["items"]
    assert (shown["id"], shown["key"], shown["name"]) == (ours, key, "Ann")
    assert (shown["address"], shown["user_agent"]) == ("testclient", "Firefox")
    assert [one["id"] for one in ann.get("/v1/keys/sessions").json()["items"]] == [ours]
    foreign = {"key": admin.get("/v1/keys/self").json()["id"]}
    assert ann.get("/v1/keys/sessions", params=foreign).json()["items"] == []
    assert ann.delete(f"/v1/keys/sessions/{theirs}").status_code == 404
    assert ann.delete(f"/v1/keys/{key}/sessions").status_code == 403
    rival = any_ingest.client_for("acme")
    assert rival.get("/v1/keys/sessions").json()["items"] == []
    assert rival.delete(f"/v1/keys/sessions/{ours}").status_code == 404
    assert rival.delete(f"/v1/keys/{key}/sessions").status_code == 404
    assert ann.delete(f"/v1/keys/sessions/{ours}").status_code == 204
    assert ann.delete(f"/v1/keys/sessions/{ours}").status_code == 404
    ann.post("/v1/keys/sessions")
    assert admin.delete(f"/v1/keys/{key}/sessions").status_code == 204
    assert ann.get("/v1/keys/sessions").json()["items"] == []


def test_a_session_cannot_change_retention(ingest: IngestService) -> None:
    session = ingest.client_with(ingest.client.post("/v1/keys/sessions").json()["secret"])
    rules = {"items": [{"kind": None, "days": 30}]}
    assert session.get("/v1/retention").status_code == 200
    assert session.put("/v1/retention", json=rules).status_code == 403
    assert ingest.client.get("/v1/retention").json()["items"] == []
    assert ingest.client.put("/v1/retention", json=rules).status_code == 200


def test_a_session_cookie_needs_its_csrf_token(ingest: IngestService) -> None:
    decrypt = ingest.client.post("/v1/keys/sessions")
    assert decrypt.status_code == 201
    secret = decrypt.json()["secret"]
    browser = TestClient(ingest.service.app, cookies={COOKIE: secret})
    own = ingest.client.get("/v1/keys/self").json()
    shown = browser.get("/v1/keys/self").json()
    assert (shown["kind"], shown["id"], shown["parent"]) == (
        "session",
        decrypt.json()["id"],
        own["id"],
    )
    assert (own["kind"], own["parent"]) == ("key", None)
    assert browser.delete("/v1/keys/sessions").status_code == 403
    headers = {"x-csrf-token": csrf_token(secret)}
    assert browser.put("/v1/retention", json={"items": []}, headers=headers).status_code == 403
    assert browser.delete("/v1/keys/sessions", headers=headers).status_code == 204
    assert browser.get("/v1/keys/self").status_code == 401
    assert ingest.client.delete("/v1/keys/sessions").status_code == 403


def test_remote_keys_understands_the_route(ingest: IngestService) -> None:
    new = ingest.keys.create("acme", "Ann")
    remote = RemoteKeys("", 0, client=cast("httpx.Client", TestClient(ingest.service.app)))
    actor = remote.check(new.secret)
    assert actor is not None
    assert (actor.tenant, actor.name, actor.key_id) == ("acme", "Ann", new.key.id)
    session = ingest.keys.open_session(actor)
    browser = remote.check(session.secret)
    assert browser is not None
    opened = session.key.created  # only ingest knows it
    assert replace(browser, signed_in=opened) == ingest.keys.check(session.secret)
    assert (browser.key_id, browser.session_id) == (new.key.id, session.key.id)
    ingest.keys.revoke(new.key.id)
    assert remote.check(new.secret) is None


def test_incomplete_blobs_are_removed_at_start(tmp_path: Path) -> None:
    folder = tmp_path / "blobs" / "acme" / "incoming"
    folder.mkdir(parents=True)
    for name in ("left", "written"):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - 4000,) * 2)
    with (folder / "written").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        IngestService(tmp_path).close()
    assert [path.name for path in folder.iterdir()] == ["written"]


@pytest.mark.parametrize(("age", "remaining"), [(100_000, 0), (4000, 1)])
def test_without_locks_old_incomplete_blobs_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float, remaining: int
) -> None:
    def refused(_file: object, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    folder = tmp_path / "blobs" / "acme" / "incoming"
    folder.mkdir(parents=True)
    (folder / "half").write_bytes(b"half")
    os.utime(folder / "half", (time.time() - age,) * 2)
    monkeypatch.setattr("shared.blobs.files.fcntl.flock", refused)
    ingest = IngestService(tmp_path)
    assert len(list(folder.iterdir())) == remaining
    monkeypatch.undo()
    ingest.close()


@pytest.mark.parametrize(
    "odd", ["%00", "doc_%00", "%F0%9F%98%80", "a" * 65, "doc%20x", "%ED%A0%80"]
)
def test_an_invalid_id_is_refused_before_the_database(any_ingest: IngestService, odd: str) -> None:
    paths = ["", "/text", "/original", "/events", "/pages/1.png"]
    answers = [any_ingest.client.get(f"/v1/documents/{odd}{path}") for path in paths]
    answers += [
        any_ingest.client.delete(f"/v1/documents/{odd}"),
        any_ingest.client.post(f"/v1/documents/{odd}/reprocess"),
        any_ingest.client.delete(f"/v1/keys/{odd}"),
    ]
    for answer in answers:
        assert answer.status_code in (404, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_cursor_with_an_invalid_id_is_refused(any_ingest: IngestService) -> None:
    forged = base64.urlsafe_b64encode(b"2026-01-01T00:00:00+00:00|doc_\0").decode()
    answer = any_ingest.client.get("/v1/documents", params={"cursor": forged})
    assert answer.status_code == 422
    assert "cursor" in answer.json()["detail"]


# Conditional requests

TEXT = b"This Agreement is made between Alpha Inc. and Beta Ltd."


def etag(ingest: IngestService, document: str) -> str:
    answer = ingest.client.get(f"/v1/documents/{document}")
    assert answer.headers["etag"] == answer.json()["etag"]
    return str(answer.headers["etag"])


def test_a_current_document_answers_304(any_ingest: IngestService) -> None:
    document = any_ingest.upload_new(TEXT, "a.txt")
    path, first = f"/v1/documents/{document}", etag(any_ingest, document)
    answer = any_ingest.client.get(path, headers={"if-none-match": first})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", first)
    any_ingest.run()
    answer = any_ingest.client.get(path, headers={"if-none-match": first})
    assert answer.status_code == 200
    assert answer.headers["etag"] != first
    listed = any_ingest.client.get("/v1/documents").json()["items"]
    assert [item["etag"] for item in listed] == [answer.headers["etag"]]


def test_current_contents_answer_304(ingest: IngestService) -> None:
    document = ingest.complete_new(TEXT, "a.txt")
    tags = []
    for part in ("original", "text"):
        path = f"/v1/documents/{document}/{part}"
        tags.append(ingest.client.get(path).headers["etag"])
        known = ingest.client.get(path, headers={"if-none-match": tags[-1]})
        assert (known.status_code, known.content) == (304, b"")
        other = ingest.client.get(path, headers={"if-none-match": '"another"'})
        assert (other.status_code, other.content) == (200, TEXT)
    ingest.client.post(f"/v1/documents/{document}/reprocess")
    ingest.run()
    assert ingest.client.get(path).headers["etag"] == tags[-1]


@pytest.mark.parametrize(("method", "more"), [("DELETE", ""), ("POST", "/reprocess")])
def test_a_change_with_an_old_tag_is_refused(
    any_ingest: IngestService, method: str, more: str
) -> None:
    document = any_ingest.upload_new(TEXT, "a.txt")
    stale = etag(any_ingest, document)
    any_ingest.run()
    any_ingest.publish(clauses_extracted(document))
    path = f"/v1/documents/{document}{more}"
    assert any_ingest.published()

    def change(tag: str) -> Any:
        return any_ingest.client.request(method, path, headers={"if-match": tag})

    refused = change(stale)
    assert refused.status_code == 412
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "urn:smallprint:problem:precondition_failed"
    assert refused.json()["document"] == document
    assert refused.headers["etag"] == etag(any_ingest, document) != stale
    assert any_ingest.published() == []
    assert change(refused.headers["etag"]).status_code in (202, 204)
    [event] = any_ingest.published()
    assert isinstance(event, DocumentDeleted if method == "DELETE" else DocumentIngested)


def test_a_new_or_deleted_part_changes_the_tag_of_the_mail(any_ingest: IngestService) -> None:
    post = any_ingest.read_new(mail("Lease", {"lease.pdf": pdf()}), "lease.eml")
    [part] = any_ingest.client.get("/v1/documents", params={"parent": post}).json()["items"]
    before = etag(any_ingest, post)
    any_ingest.client.delete(f"/v1/documents/{part['id']}")
    path = f"/v1/documents/{post}"
    assert any_ingest.client.delete(path, headers={"if-match": before}).status_code == 412
    now = etag(any_ingest, post)
    assert any_ingest.client.delete(path, headers={"if-match": f'"x", {now}'}).status_code == 204
