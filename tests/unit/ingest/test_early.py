"""A document can be looked at from its first pages on, while the others are still read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from services.ingest import handlers
from services.ingest.early import first, recording
from services.ingest.judging import BY_TYPE
from services.ingest.store import early_pages
from shared.documents import Early, EarlyPage, Reading
from shared.errors import UnreadableDocument
from shared.events import BlobRef, DocumentBegun, DocumentIngested
from shared.storage import UnitOfWork
from shared.storage.deletion import ref_of
from tests.postgres import Servers
from tests.unit.ingest.house import House, InProcessReader, pdf
from tests.unit.ingest.test_cancel import cancel

PAGES = ("The first page.", "The second page.", "The third page.")


class Looked(InProcessReader):
    """A reader that lets others look after each of its pages."""

    looks: Callable[[int], object] = staticmethod(lambda page: None)
    lost = 0
    """A page of which it says that it can't be read."""
    breaks = False

    def read(
        self,
        data: bytes,
        *,
        name: str = "",
        password: str | None = None,
        early: Early | None = None,
    ) -> Reading:
        """See DocumentReader."""
        assert early is not None
        hears = early

        def both(page: EarlyPage) -> None:
            if page.number == self.lost:
                page = EarlyPage(page.number, page.pages, code="crashed", reason="it is damaged")
            hears(page)
            self.looks(page.number)

        reading = super().read(data, name=name, password=password, early=both)
        if self.breaks:
            raise UnreadableDocument("it broke")
        return reading


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Looked:
    """Each page is noted at once, for these are read in no time."""
    monkeypatch.setattr(recording, "EVERY", 0.0)
    return Looked()


def kept(house: House) -> int:
    """How many pages lie there for whoever looks while they are read."""
    with house.service.store.read() as session:
        return int(session.execute(select(func.count()).select_from(early_pages)).scalar_one())


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_first_pages_are_there_while_the_last_is_read(
    tmp_path: Path, servers: Servers, reader: Looked, kind: str
) -> None:
    """With their text, their number and their place; then they are those of the whole document."""
    url = servers.database() if kind == "postgresql" else ""
    house = House(tmp_path, reader, ingest_database_url=url, ingest_waiters=0)
    document = house.accepted(pdf(*PAGES))
    assert house.state(document)["progress"] is None
    other = house.client_of("other")
    seen: list[int] = []

    def look(page: int) -> None:
        if page != 2:
            return
        state = house.state(document)
        assert (state["state"], state["pages"]) == ("received", None)
        assert state["progress"] == {"pages_done": 2, "pages": 3}
        ledger = house.client.get(f"{path}/pages").json()
        assert ledger["whole"] is False
        shown = [(one["page"], one["start"], one["end"]) for one in ledger["items"]]
        assert shown == [(1, 0, 15), (2, 17, 33)]
        assert ledger["items"][0]["method"] == "pypdfium2"
        first = house.client.get(f"{path}/pages/1.txt")
        assert (first.status_code, first.text) == (200, PAGES[0])
        assert first.headers["content-type"] == "text/plain; charset=utf-8"
        assert house.client.get(f"{path}/pages/3.txt").status_code == 409
        assert house.client.get(f"{path}/pages/4.txt").status_code == 404
        refused = house.client.get(f"{path}/text")
        assert (refused.status_code, "2 of 3 pages are" in refused.text) == (409, True)
        assert '"pages_done":2' in house.client.get(f"{path}/events").text
        assert other.get(f"{path}/pages/1.txt").status_code == 404
        seen.append(page)

    path = f"/v1/documents/{document}"
    reader.looks = look
    house.work()
    assert seen == [2]
    state = house.state(document)
    assert (state["pages"], state["progress"], kept(house)) == (3, None, 0)
    ledger = house.client.get(f"{path}/pages").json()
    assert (ledger["whole"], len(ledger["items"])) == (True, 3)
    text = house.client.get(f"{path}/text").text
    for one, words in zip(ledger["items"], PAGES, strict=True):
        assert house.client.get(f"{path}/pages/{one['page']}.txt").text == words
        assert text[one["start"] : one["end"]] == words
    assert house.client.get(f"{path}/pages/4.txt").status_code == 404
    for wrong in ("pages/0.txt", "pages/one.txt", "pages/1000001.txt"):
        assert house.client.get(f"{path}/{wrong}").status_code == 422
    assert house.client.get("/v1/documents/doc%20x/pages/1.txt").status_code == 422
    house.close()


def test_pages_that_are_read_are_no_reason_to_refuse_a_change(
    tmp_path: Path, reader: Looked
) -> None:
    """What is seen changes with each of them, and so does its tag; what is decided by it does not.
    When all are read, the document is another one.
    """
    house = House(tmp_path, reader)
    answer = house.upload(pdf(*PAGES)).json()
    path, tags = f"/v1/documents/{answer['id']}", [answer["etag"]]
    stopped: list[int] = []

    def look(page: int) -> None:
        if page > 2:
            return
        known = house.client.get(path, headers={"if-none-match": tags[-1]})
        assert known.status_code == 200
        tags.append(known.headers["etag"])
        if page == 2:
            for tag, status in (('"another"', 412), (f"W/{tags[0]}", 412), (tags[0], 200)):
                headers = {"if-match": tag}
                stopped.append(house.client.post(f"{path}/cancel", headers=headers).status_code)
                assert stopped[-1] == status

    reader.looks = look
    house.work()
    assert (len(set(tags)), stopped) == (3, [412, 412, 200])
    late = house.client.delete(path, headers={"if-match": tags[-1]})
    assert late.status_code == 412
    house.close()


def test_a_page_that_could_not_be_read_says_so_at_once(tmp_path: Path, reader: Looked) -> None:
    """It is among those that are done, and not among those that are read."""
    house = House(tmp_path, reader)
    document = house.accepted(pdf(*PAGES))
    path = f"/v1/documents/{document}"
    said: list[int] = []

    def look(page: int) -> None:
        if page == 2:
            assert house.state(document)["progress"] == {"pages_done": 2, "pages": 3}
            said.extend(one["page"] for one in house.client.get(f"{path}/pages").json()["items"])
            answer = house.client.get(f"{path}/pages/1.txt")
            assert (answer.status_code, "it is damaged" in answer.json()["detail"]) == (404, True)

    reader.lost, reader.looks = 1, look
    house.work()
    assert said == [2]
    house.close()


@pytest.mark.parametrize("how", ["delete", "cancel", "kind", "broken"])
def test_nothing_of_them_stays(tmp_path: Path, reader: Looked, how: str) -> None:
    """What is deleted, cancelled or said to be another kind is not read on."""
    house = House(tmp_path, reader)
    document = house.accepted(pdf(*PAGES))
    counts = []

    def look(page: int) -> None:
        counts.append(kept(house))
        if page == 1 and how == "delete":
            house.client.delete(f"/v1/documents/{document}")
        if page == 1 and how == "cancel":
            cancel(house, document)
        if page == 1 and how == "kind":
            house.client.put(f"/v1/documents/{document}/kind", json={"kind": "other"})

    reader.looks, reader.breaks = look, how == "broken"
    house.work()
    assert counts == ([1, 2, 2] if how == "broken" else [1])
    assert kept(house) == 0
    if how != "delete":
        assert house.state(document)["progress"] is None
    house.close()


def test_first_pages_of_what_is_cancelled_meanwhile_leave_nothing(
    tmp_path: Path, reader: Looked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the note of their blob and the blob itself."""
    monkeypatch.setattr(first, "PAGES", 2)
    house = House(tmp_path, reader)
    document = house.accepted(pdf(*FIVE), kind="contract")
    text, put = f"{PAGES[0]}\n\n{PAGES[1]}".encode(), house.service.blobs.put

    def late(tenant: str, data: bytes) -> BlobRef:
        if data == text:
            cancel(house, document)
        return put(tenant, data)

    monkeypatch.setattr(house.service.blobs, "put", late)
    house.work()
    assert house.state(document)["reasons"][0].startswith("cancelled: ")
    assert house.said(DocumentBegun) == []
    assert ref_of(text).sha256 not in house.blobs()
    house.close()


FIVE = (*PAGES, "The fourth page.", "The fifth page.")


def test_the_first_pages_are_handed_on_once(
    tmp_path: Path, reader: Looked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With their text, which goes when the whole one is there."""
    monkeypatch.setattr(first, "PAGES", 2)
    house = House(tmp_path, reader)
    document = house.accepted(pdf(*FIVE), kind="contract")
    seen: list[DocumentBegun] = []

    def look(page: int) -> None:
        if page == 4:
            [begun] = house.said(DocumentBegun)
            assert isinstance(begun, DocumentBegun)
            assert (begun.document_id, begun.pages, begun.starts) == (document, (1, 2), (0, 17))
            text = house.service.blobs.get("default", begun.text).decode()
            assert text == f"{PAGES[0]}\n\n{PAGES[1]}"
            seen.append(begun)

    reader.looks = look
    house.work()
    assert house.state(document)["pages"] == 5
    assert seen[0].text.sha256 not in house.blobs()
    house.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_first_pages_that_two_documents_share_stay_until_both_are_read(
    tmp_path: Path, servers: Servers, reader: Looked, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """As of two versions of one contract, of which the shorter one is read first."""
    monkeypatch.setattr(first, "PAGES", 2)
    url = servers.database() if kind == "postgresql" else ""
    house = House(tmp_path, reader, ingest_database_url=url)
    house.accepted(pdf(*FIVE), kind="contract")
    text = ref_of(f"{PAGES[0]}\n\n{PAGES[1]}".encode()).sha256
    seen: list[bool] = []

    def look(page: int) -> None:
        if page != 4:
            return
        reader.looks = lambda page: None
        longer = house.accepted(pdf(*FIVE, "The last page."), kind="contract")
        document = next(e for e in house.said(DocumentIngested) if e.document_id == longer)
        assert isinstance(document, DocumentIngested)
        handlers.read_document(
            document,
            UnitOfWork(house.service.store),
            house.service.blobs,
            reader,
            reader.limits,
        )
        assert house.state(longer)["pages"] == 6
        seen.append(text in house.blobs())

    reader.looks = look
    house.work()
    assert seen == [True]
    assert text not in house.blobs()
    house.close()


@pytest.mark.parametrize("why", ["a report", "too few are left", "deleted"])
def test_they_are_not_handed_on_where_nobody_gains(
    tmp_path: Path, reader: Looked, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """Nor is anything of them kept."""
    monkeypatch.setattr(first, "PAGES", 2)
    house = House(tmp_path, reader)
    pages = PAGES if why == "too few are left" else FIVE
    document = house.accepted(pdf(*pages), kind="report" if why == "a report" else "contract")
    if why == "deleted":
        path = f"/v1/documents/{document}"
        reader.looks = lambda page: house.client.delete(path) if page == 1 else None
    house.work()
    assert house.said(DocumentBegun) == []
    assert len(house.blobs()) == (0 if why == "deleted" else 3)  # bytes, text and layout
    house.close()


def test_what_is_read_in_a_moment_is_not_noted(tmp_path: Path) -> None:
    """Small documents cost no more than before."""
    reader = Looked()
    house = House(tmp_path, reader)
    document = house.accepted(pdf(*PAGES))
    counts = []
    reader.looks = lambda page: counts.append(kept(house))
    house.work()
    assert counts == [0, 0, 0]
    assert house.state(document)["pages"] == 3
    house.close()


def test_pages_that_are_read_again_are_noted_once(house: House) -> None:
    """As after the death of the process that reads them."""
    document = house.accepted(pdf(*PAGES))
    [event] = house.said()
    moment = iter(range(100))
    assert isinstance(event, DocumentIngested)
    store, blobs = house.service.store, house.service.blobs
    pages = first.FirstPages(event, store, blobs, BY_TYPE)
    recorder = recording.Recorder(event, store, pages, lambda: next(moment) / 2)
    for number in (1, 2, 1, 2, 3, 4):
        recorder(EarlyPage(number, 9, f"page {number}"))
    assert house.state(document)["progress"] == {"pages_done": 4, "pages": 9}
    assert kept(house) == 4


def test_pages_between_two_that_are_read_again_stay(house: House) -> None:
    """Who begins anew after page 5 has the others still: those in between can be looked at."""
    house.accepted(pdf(*PAGES))
    [event] = house.said()
    assert isinstance(event, DocumentIngested)
    store = house.service.store
    now = [0.0]
    pages = first.FirstPages(event, store, house.service.blobs, BY_TYPE)
    recorder = recording.Recorder(event, store, pages, lambda: now[0])
    for number, now[0] in ((1, 0), (2, 0), (3, 0), (4, 0), (5, 2), (6, 2), (1, 4)):
        recorder(EarlyPage(number, 9, f"page {number}"))
    assert kept(house) == 6
