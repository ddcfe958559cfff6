"""Cancelling: a document that has not ended does so at once, and nothing late changes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.ingest.domain import Progress, advance
from shared.documents import Early, Reading
from shared.errors import Unavailable, UnreadableDocument
from shared.events import DocumentDeleted, DocumentFailed, DocumentIngested, DocumentRead
from shared.storage.deletion import cancellation_mark, is_cancelled
from tests.samples import mail
from tests.unit.documents.archives import archive
from tests.unit.ingest.house import (
    House,
    InProcessReader,
    announced,
    away_once,
    extracted,
    found,
    gave_up,
    pdf,
)

TEXT = b"This Agreement is made between Alpha Inc. and Beta Ltd."
WHY = "cancelled: tester stopped the work on it: reprocess it, or upload it again, to begin anew"


def cancel(house: House, document: str, **headers: str) -> Any:
    """Ask to stop the work on a document."""
    return house.client.post(f"/v1/documents/{document}/cancel", headers=headers)


def over(state: dict[str, Any]) -> tuple[Any, ...]:
    """Where a document stands, and why."""
    return state["state"], state["outcome"], tuple(state["reasons"])


@pytest.mark.parametrize("read", [False, True], ids=["received", "processing"])
def test_a_cancelled_document_ends_at_once_and_stays_so(any_house: House, read: bool) -> None:
    """It fails with that reason, everybody hears it once, and late news changes nothing."""
    document = any_house.accepted(TEXT, "a.txt")
    if read:
        any_house.work()
    any_house.said()
    answer = cancel(any_house, document)
    assert answer.status_code == 200
    assert over(answer.json()) == ("ended", "failed", (WHY,))
    assert cancel(any_house, document).json() == answer.json(), "again is as good as once"
    late = (announced(document), extracted(document), found(document), gave_up(document))
    for event in late:
        any_house.say(event)
    assert any_house.state(document) == answer.json()
    [failed] = [e for e in any_house.said() if isinstance(e, DocumentFailed) and e.cancels]
    assert (failed.actor, failed.attempt, failed.stage) == ("tester", 1, "ingest")
    assert any_house.client.get(f"/v1/documents/{document}/text").status_code == (
        200 if read else 409
    )


def test_no_order_of_late_facts_makes_a_difference() -> None:
    """The state machine passes them over; those of another attempt it does not."""
    stopped = Progress("contract", attempt=2, cancelled="ann")
    for fact in (announced("d", 2), extracted("d", 2), gave_up("d", attempt=2), extracted("d", 1)):
        assert advance(stopped, fact) is stopped
    assert advance(stopped, extracted("d", 3)).outcome == "complete"


class Between(InProcessReader):
    """A reader during whose work something else happens."""

    happens: Callable[[], object] = staticmethod(lambda: None)
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
        reading = super().read(data, name=name, password=password, early=early)
        self.happens()
        if self.breaks:
            raise UnreadableDocument("it broke")
        return reading


@pytest.mark.parametrize("breaks", [False, True])
def test_what_is_cancelled_while_it_is_read(tmp_path: Path, breaks: bool) -> None:
    """The reading is thrown away, whatever comes of it: no text stays, nobody is told of one."""
    reader = Between()
    reader.breaks = breaks
    house = House(tmp_path, reader)
    document = house.accepted(mail("Lease", {"lease.pdf": pdf()}), "lease.eml")
    original = house.blobs()
    reader.happens = lambda: cancel(house, document)
    house.work()
    assert over(house.state(document)) == ("ended", "failed", (WHY,))
    assert house.said(DocumentRead) == []
    mark = cancellation_mark("default", document, 1)
    assert house.blobs() == original | {mark.sha256}
    assert len(house.client.get("/v1/documents").json()["items"]) == 1
    house.close()


@pytest.mark.parametrize("how", ["reprocess", "upload"])
def test_a_cancelled_document_can_be_begun_anew(any_house: House, how: str) -> None:
    """As after any failure, by asking or by the same bytes; the old attempt stays void."""
    document = any_house.accepted(TEXT, "a.txt")
    cancel(any_house, document)
    any_house.work()
    assert over(any_house.state(document)) == ("ended", "failed", (WHY,)), "it is not read any more"
    if how == "reprocess":
        path = f"/v1/documents/{document}/reprocess"
        assert any_house.client.post(path).json()["attempt"] == 2
    else:
        assert any_house.upload(TEXT, "a.txt").json()["attempt"] == 2
    any_house.work()
    any_house.say(extracted(document, attempt=1))
    assert over(any_house.state(document)) == ("processing", None, ())
    any_house.say(extracted(document, attempt=2))
    assert over(any_house.state(document)) == ("ended", "complete", ())


def test_what_has_ended_is_not_cancelled(any_house: House) -> None:
    """A result is not thrown away by somebody who was too late: 409, and nothing is said."""
    document = any_house.accepted(TEXT, "a.txt")
    any_house.work()
    any_house.say(extracted(document))
    any_house.said()
    answer = cancel(any_house, document)
    assert answer.status_code == 409
    assert "ended (complete)" in answer.json()["detail"]
    assert any_house.state(document)["outcome"] == "complete"
    assert any_house.said() == []


def test_what_has_changed_is_not_cancelled(any_house: House) -> None:
    """`If-Match` goes with a cancellation, too."""
    document = any_house.accepted(TEXT, "a.txt")
    before = any_house.state(document)["etag"]
    any_house.work()
    assert cancel(any_house, document, **{"if-match": before}).status_code == 412
    now = any_house.state(document)["etag"]
    assert cancel(any_house, document, **{"if-match": now}).status_code == 200


def test_what_came_in_it_is_cancelled_with_it(any_house: House) -> None:
    """Of an archive that has ended, what is worked on; not what was sent by itself or has ended."""
    done, mine = b"Agreement one.", b"Agreement two."
    data = archive({"done.txt": done, "mine.txt": mine, "open.txt": TEXT})
    alone = any_house.accepted(mine, "mine.txt")
    box = any_house.accepted(data, "box.zip")
    any_house.work()
    parts = {part["name"]: part["id"] for part in any_house.state(box)["parts"]}
    any_house.say(extracted(parts["done.txt"]))
    assert over(cancel(any_house, box).json()) == ("ended", "complete", ())
    outcomes = {name: any_house.state(one)["outcome"] for name, one in parts.items()}
    assert outcomes == {"done.txt": "complete", "mine.txt": None, "open.txt": "failed"}
    assert parts["mine.txt"] == alone
    assert cancel(any_house, box).status_code == 409, "nothing is left to stop"


def test_the_mark_of_a_cancellation_goes_with_it(any_house: House) -> None:
    """It is there for whoever has a long queue before it, also once another attempt is read, and
    goes with the document.
    """
    blobs = any_house.service.blobs
    kept = [any_house.accepted(text, "a.txt") for text in (TEXT, b"Another agreement.")]
    for document in kept:
        cancel(any_house, document)
        assert is_cancelled(blobs, "default", document, 1)
        assert not is_cancelled(blobs, "default", document, 2)
        assert not is_cancelled(blobs, "acme", document, 1)
    any_house.client.post(f"/v1/documents/{kept[0]}/reprocess")
    any_house.client.delete(f"/v1/documents/{kept[1]}")
    any_house.work()
    assert [is_cancelled(blobs, "default", document, 1) for document in kept] == [True, False]
    assert any_house.said(DocumentDeleted)
    assert len(any_house.said(DocumentIngested)) == 3


def test_a_cancellation_is_marked_also_where_the_blob_store_was_away(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is committed, and is answered so; the mark follows by its event. What failed by itself has
    none.
    """
    document = any_house.accepted(TEXT, "a.txt")
    broken = any_house.accepted(TEXT + b" It broke.", "b.txt")
    any_house.work()
    refused = away_once(any_house, monkeypatch)
    assert cancel(any_house, document).status_code == 200
    any_house.say(gave_up(broken))
    assert len(refused) == 1
    assert any_house.state(broken)["outcome"] == "failed"
    blobs = any_house.service.blobs
    assert [is_cancelled(blobs, "default", one, 1) for one in (document, broken)] == [True, False]


def test_a_cancellation_is_answered_also_where_nothing_can_be_removed(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blob store is away for all; what was read goes with the document then."""
    document = any_house.accepted(TEXT, "a.txt")

    def gone(*_: Any) -> Any:
        raise Unavailable("the bucket is away")

    with monkeypatch.context() as patch:
        patch.setattr(any_house.service.blobs, "put", gone)
        patch.setattr(any_house.service.blobs, "delete", gone)
        any_house.relay.run_once()
        any_house.worker.run_until_idle()
        assert any_house.state(document)["state"] == "received"
        assert cancel(any_house, document).status_code == 200
    assert any_house.state(document)["outcome"] == "failed"
    any_house.client.delete(f"/v1/documents/{document}")
    until = time.monotonic() + 60
    while any_house.blobs() and time.monotonic() < until:  # its first event is tried again first
        any_house.work()
        time.sleep(0.1)
    assert any_house.blobs() == set()
