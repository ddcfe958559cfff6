"""First pages of a document, while the others are read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.ingest import first_pages, handlers
from services.ingest.classifier import BY_TYPE
from services.ingest.store import first_pages as table
from shared.blobs.markers import ref_of
from shared.documents import PageCallback, PageRead, ParsedDocument
from shared.errors import UnreadableDocument
from shared.events import DocumentIngested, FirstPagesRead
from shared.messaging import UnitOfWork
from tests.unit.ingest.builders import IngestService, InProcessReader, NewIngest, pdf
from tests.unit.ingest.test_cancel import cancel

PAGES = ("The first page.", "The second page.", "The third page.")


class WatchedReader(InProcessReader):
    on_page: Callable[[int], object] = staticmethod(lambda page: None)
    lost = 0
    """A page that it can't read."""

    def read(
        self,
        data: bytes,
        *,
        name: str = "",
        password: str | None = None,
        on_page: PageCallback | None = None,
    ) -> ParsedDocument:
        assert on_page is not None
        reports = on_page

        def both(page: PageRead) -> None:
            if page.number == self.lost:
                page = PageRead(page.number, page.pages, code="crashed", reason="it is damaged")
            reports(page)
            self.on_page(page.number)

        return super().read(data, name=name, password=password, on_page=both)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> WatchedReader:
    monkeypatch.setattr(first_pages, "EVERY", 0.0)
    return WatchedReader()


def stored(ingest: IngestService) -> int:
    return ingest.count(table)


def test_first_pages_are_available_while_others_are_read(
    new_ingest: NewIngest, reader: WatchedReader, database_url: str
) -> None:
    ingest = new_ingest(reader, ingest_database_url=database_url, ingest_waiters=0)
    document = ingest.upload_new(pdf(*PAGES))
    assert ingest.state(document)["progress"] is None
    other = ingest.client_for("other")
    seen: list[int] = []

    def look(page: int) -> None:
        if page != 2:
            return
        state = ingest.state(document)
        assert (state["state"], state["pages"]) == ("received", None)
        assert state["progress"] == {"pages_done": 2, "pages": 3}
        ledger = ingest.client.get(f"{path}/pages").json()
        assert ledger["complete"] is False
        shown = [(one["page"], one["start"], one["end"]) for one in ledger["items"]]
        assert shown == [(1, 0, 15), (2, 17, 33)]
        assert ledger["items"][0]["method"] == "pypdfium2"
        first = ingest.client.get(f"{path}/pages/1.txt")
        assert (first.status_code, first.text) == (200, PAGES[0])
        assert first.headers["content-type"] == "text/plain; charset=utf-8"
        assert ingest.client.get(f"{path}/pages/3.txt").status_code == 409
        assert ingest.client.get(f"{path}/pages/4.txt").status_code == 404
        refused = ingest.client.get(f"{path}/text")
        assert (refused.status_code, "2 of 3 pages are" in refused.text) == (409, True)
        assert '"pages_done":2' in ingest.client.get(f"{path}/events").text
        assert other.get(f"{path}/pages/1.txt").status_code == 404
        seen.append(page)

    path = f"/v1/documents/{document}"
    reader.on_page = look
    ingest.run()
    assert seen == [2]
    state = ingest.state(document)
    assert (state["pages"], state["progress"], stored(ingest)) == (3, None, 0)
    ledger = ingest.client.get(f"{path}/pages").json()
    assert (ledger["complete"], len(ledger["items"])) == (True, 3)
    text = ingest.client.get(f"{path}/text").text
    for one, words in zip(ledger["items"], PAGES, strict=True):
        assert ingest.client.get(f"{path}/pages/{one['page']}.txt").text == words
        assert text[one["start"] : one["end"]] == words
    assert ingest.client.get(f"{path}/pages/4.txt").status_code == 404
    for wrong in ("pages/0.txt", "pages/one.txt", "pages/1000001.txt"):
        assert ingest.client.get(f"{path}/{wrong}").status_code == 422
    assert ingest.client.get("/v1/documents/doc%20x/pages/1.txt").status_code == 422


def test_progress_does_not_invalidate_if_match(
    new_ingest: NewIngest, reader: WatchedReader
) -> None:
    ingest = new_ingest(reader)
    answer = ingest.upload(pdf(*PAGES)).json()
    path, tags = f"/v1/documents/{answer['id']}", [answer["etag"]]
    stopped: list[int] = []

    def look(page: int) -> None:
        if page > 2:
            return
        known = ingest.client.get(path, headers={"if-none-match": tags[-1]})
        assert known.status_code == 200
        tags.append(known.headers["etag"])
        if page == 2:
            for tag, status in (('"another"', 412), (f"W/{tags[0]}", 412), (tags[0], 200)):
                headers = {"if-match": tag}
                stopped.append(ingest.client.post(f"{path}/cancel", headers=headers).status_code)
                assert stopped[-1] == status

    reader.on_page = look
    ingest.run()
    assert (len(set(tags)), stopped) == (3, [412, 412, 200])
    late = ingest.client.delete(path, headers={"if-match": tags[-1]})
    assert late.status_code == 412


def test_a_failed_page_is_reported_at_once(new_ingest: NewIngest, reader: WatchedReader) -> None:
    ingest = new_ingest(reader)
    document = ingest.upload_new(pdf(*PAGES))
    path = f"/v1/documents/{document}"
    published: list[int] = []

    def look(page: int) -> None:
        if page == 2:
            assert ingest.state(document)["progress"] == {"pages_done": 2, "pages": 3}
            published.extend(
                one["page"] for one in ingest.client.get(f"{path}/pages").json()["items"]
            )
            answer = ingest.client.get(f"{path}/pages/1.txt")
            assert (answer.status_code, "it is damaged" in answer.json()["detail"]) == (404, True)

    reader.lost, reader.on_page = 1, look
    ingest.run()
    assert published == [2]


@pytest.mark.parametrize("how", ["delete", "cancel", "kind", "broken"])
def test_first_pages_of_a_void_attempt_are_removed(
    new_ingest: NewIngest, reader: WatchedReader, how: str
) -> None:
    ingest = new_ingest(reader)
    document = ingest.upload_new(pdf(*PAGES))
    counts = []

    def look(page: int) -> None:
        counts.append(stored(ingest))
        if page == 1 and how == "delete":
            ingest.client.delete(f"/v1/documents/{document}")
        if page == 1 and how == "cancel":
            cancel(ingest, document)
        if page == 1 and how == "kind":
            ingest.client.put(f"/v1/documents/{document}/kind", json={"kind": "other"})

    def broken() -> None:
        raise UnreadableDocument("it broke")

    reader.on_page, reader.after = look, broken if how == "broken" else None
    ingest.run()
    assert counts == ([1, 2, 2] if how == "broken" else [1])
    assert stored(ingest) == 0
    if how != "delete":
        assert ingest.state(document)["progress"] is None


FIVE = (*PAGES, "The fourth page.", "The fifth page.")


def test_first_pages_are_announced_once(
    new_ingest: NewIngest, reader: WatchedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_pages, "PAGES", 2)
    ingest = new_ingest(reader)
    document = ingest.upload_new(pdf(*FIVE), kind="contract")
    seen: list[FirstPagesRead] = []

    def look(page: int) -> None:
        if page == 4:
            [started] = ingest.published(FirstPagesRead)
            assert (started.document_id, started.pages, started.starts) == (
                document,
                (1, 2),
                (0, 17),
            )
            text = ingest.service.blobs.get("default", started.text).decode()
            assert text == f"{PAGES[0]}\n\n{PAGES[1]}"
            seen.append(started)

    reader.on_page = look
    ingest.run()
    assert ingest.state(document)["pages"] == 5
    assert seen[0].text.sha256 not in ingest.blob_names()


@pytest.mark.parametrize("why", ["a report", "too few are left", "deleted"])
def test_first_pages_are_not_announced_without_benefit(
    new_ingest: NewIngest, reader: WatchedReader, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(first_pages, "PAGES", 2)
    ingest = new_ingest(reader)
    pages = PAGES if why == "too few are left" else FIVE
    document = ingest.upload_new(pdf(*pages), kind="report" if why == "a report" else "contract")
    if why == "deleted":
        path = f"/v1/documents/{document}"
        reader.on_page = lambda page: ingest.client.delete(path) if page == 1 else None
    ingest.run()
    assert ingest.published(FirstPagesRead) == []
    assert len(ingest.blob_names()) == (0 if why == "deleted" else 3)  # bytes, text and layout


def test_quickly_read_pages_are_not_recorded(new_ingest: NewIngest) -> None:
    reader = WatchedReader()
    ingest = new_ingest(reader)
    document = ingest.upload_new(pdf(*PAGES))
    counts = []
    reader.on_page = lambda page: counts.append(stored(ingest))
    ingest.run()
    assert counts == [0, 0, 0]
    assert ingest.state(document)["pages"] == 3


def test_pages_read_again_are_recorded_once(ingest: IngestService) -> None:
    document = ingest.upload_new(pdf(*PAGES))
    [event] = ingest.published(DocumentIngested)
    moment = iter(range(100))
    store, blobs = ingest.service.store, ingest.service.blobs
    recorder = first_pages.Recorder(event, store, blobs, BY_TYPE, lambda: next(moment) / 2)
    for number in (1, 2, 1, 2, 3, 4):
        recorder(PageRead(number, 9, f"page {number}"))
    assert ingest.state(document)["progress"] == {"pages_done": 4, "pages": 9}
    assert stored(ingest) == 4


def test_shared_first_pages_stay_until_both_documents_are_read(
    new_ingest: NewIngest,
    reader: WatchedReader,
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
) -> None:
    monkeypatch.setattr(first_pages, "PAGES", 2)
    ingest = new_ingest(reader, ingest_database_url=database_url)
    ingest.upload_new(pdf(*FIVE), kind="contract")
    text = ref_of(f"{PAGES[0]}\n\n{PAGES[1]}".encode()).sha256
    seen: list[bool] = []

    def look(page: int) -> None:
        if page != 4:
            return
        reader.on_page = lambda page: None
        longer = ingest.upload_new(pdf(*FIVE, "The last page."), kind="contract")
        document = next(e for e in ingest.published(DocumentIngested) if e.document_id == longer)
        assert isinstance(document, DocumentIngested)
        handlers.read_document(
            document,
            UnitOfWork(ingest.service.store),
            ingest.service.blobs,
            reader,
            reader.limits,
        )
        assert ingest.state(longer)["pages"] == 6
        seen.append(text in ingest.blob_names())

    reader.on_page = look
    ingest.run()
    assert seen == [True]
    assert text not in ingest.blob_names()
