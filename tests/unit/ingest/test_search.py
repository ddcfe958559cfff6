"""Search, as HTTP answers it, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from services.ingest.search import store as search_store
from services.ingest.search.backlog import Backlog
from services.ingest.search.query import places, read_query
from services.ingest.search.store import passages, unindexed
from services.ingest.search.words import forms
from shared.errors import UnreadableDocument
from shared.events import BlobRef, ClausesExtracted
from shared.storage import FileBlobs
from tests.unit.documents.mails import attached, whole
from tests.unit.documents.mails import text as mail_text
from tests.unit.ingest.house import House, InProcessReader, extracted, gave_up, pdf

LEASE = ("The Tenant may assign this Lease.", "It is governed by the laws of", "Delaware alone.")


def search(house: House, q: str, client: Any = None, **filters: Any) -> dict[str, Any]:
    """What is answered."""
    answer = (client or house.client).get("/v1/search", params={"q": q, **filters})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def hits(house: House, q: str, **filters: Any) -> list[tuple[str, int, list[str]]]:
    """Name, page and highlighted words of every hit, held against the document's text."""
    found: list[tuple[str, int, list[str]]] = []
    cursor = None
    while True:
        page = search(house, q, **filters, **({"cursor": cursor} if cursor else {}))
        for item in page["items"]:
            whole = house.client.get(f"/v1/documents/{item['document_id']}/text").content.decode()
            assert whole[item["start"] : item["end"]] == item["text"]
            assert item["highlights"]
            marks = [whole[mark["start"] : mark["end"]] for mark in item["highlights"]]
            found.append((item["document"], item["page"], marks))
        cursor = page["next"]
        if cursor is None:
            return found


def kept(house: House, words: str | bytes, name: str = "a.txt", **fields: Any) -> str:
    """A document that is read."""
    data = words if isinstance(words, bytes) else words.encode()
    document = house.accepted(data, name, **fields)
    house.work()
    return document


def clauses_of(house: House, document: str, *wanted: tuple[str, str]) -> ClausesExtracted:
    """What extraction says when it found these words under these categories, on page 1."""
    whole = house.client.get(f"/v1/documents/{document}/text").content.decode()
    found: list[dict[str, Any]] = [
        {
            "id": f"cl_{number}",
            "category": category,
            "text": words,
            "start": whole.index(words),
            "end": whole.index(words) + len(words),
            "page": 1,
            "confidence": 0.9,
            "boxes": [],
            "value": None,
        }
        for number, (category, words) in enumerate(wanted)
    ]
    blobs = FileBlobs(house.service.settings.blobs, "extraction")
    ref = blobs.put("default", json.dumps(found).encode())
    attempt = house.state(document)["attempt"]
    return extracted(document, attempt).model_copy(update={"clauses": ref, "count": len(found)})


def rows(house: House) -> int:
    """How many passages are indexed."""
    with house.service.store.read() as session:
        return int(session.execute(select(func.count()).select_from(passages)).scalar_one())


def test_words_are_found_with_their_page_and_place(any_house: House) -> None:
    """All words of a query stand on one page; the hit says which, and where in the text."""
    document = kept(any_house, pdf(*LEASE), "lease.pdf")
    [hit] = search(any_house, "LEASE tenant")["items"]
    assert (hit["document_id"], hit["document"], hit["page"]) == (document, "lease.pdf", 1)
    assert (hit["kind"], hit["clause"]) == ("contract", None)
    assert hits(any_house, "lease tenant") == [("lease.pdf", 1, ["Tenant", "Lease"])]
    assert hits(any_house, "delaw*") == [("lease.pdf", 3, ["Delaware"])]
    assert hits(any_house, '"laws of Delaware"') == [("lease.pdf", 2, ["laws of\n\nDelaware"])]
    assert hits(any_house, '"Delaware laws"') == hits(any_house, "tenant delaware") == []
    assert hits(any_house, "laws delaware") == [], "each stands on a page of its own"


def test_a_clause_without_a_word_costs_nothing(any_house: House) -> None:
    """A date that is blacked out: nothing is found by it, all else is, and the document ends."""
    document = kept(any_house, "It begins on [***]. The tenant pays.")
    any_house.say(
        clauses_of(any_house, document, ("Effective Date", "[***]"), ("Parties", "The tenant"))
    )
    assert any_house.state(document)["outcome"] == "complete"
    [hit] = search(any_house, "tenant", **{"in": "clauses"})["items"]
    assert hit["text"] == "The tenant"


def test_the_document_that_was_read_last_comes_first_page_after_page(any_house: House) -> None:
    """The list goes on by its cursor, and nothing comes twice or is left out."""
    for number in range(3):
        kept(any_house, pdf(*[f"Term {number} of page"] * 4), f"{number}.pdf")
    expected = [(f"{number}.pdf", page) for number in (2, 1, 0) for page in (1, 2, 3, 4)]
    for limit in (1, 5, 12, 100):
        found = [(name, page) for name, page, _ in hits(any_house, "term page", limit=limit)]
        assert found == expected, limit
    pages = [search(any_house, "term", limit=5)]
    kept(any_house, pdf("Another term"), "new.pdf")
    while pages[-1]["next"]:
        pages.append(search(any_house, "term", limit=5, cursor=pages[-1]["next"]))
    assert [len(page["items"]) for page in pages] == [5, 5, 2]


def test_a_hit_of_the_page_before_is_no_hit_of_its_own(any_house: House) -> None:
    """Words that are indexed with the page before, for the sake of phrases, are found once; a page
    of the list is full all the same.
    """
    kept(any_house, pdf("Nothing here.", *["Delaware"] * 30), "a.pdf")
    assert [page for _, page, _ in hits(any_house, "delaware")] == list(range(2, 32))
    assert len(search(any_house, "delaware", limit=7)["items"]) == 7


def test_clauses_are_found_by_their_words_and_category(any_house: House) -> None:
    """A clause has its category and its span; a category alone means clauses."""
    words = "Preamble. The laws of Delaware govern. Tenant may not assign. Delaware is a state."
    document = kept(any_house, words)
    assert search(any_house, "delaware", **{"in": "clauses"})["items"] == []
    any_house.say(
        clauses_of(
            any_house,
            document,
            ("Governing Law", "The laws of Delaware govern."),
            ("Anti-Assignment", "Tenant may not assign."),
        )
    )
    assert any_house.state(document)["outcome"] == "complete"
    assert len(search(any_house, "delaware")["items"]) == 1
    [hit] = search(any_house, "delaware", **{"in": "clauses"})["items"]
    assert hit["text"] == "The laws of Delaware govern."
    assert hit["clause"] == {
        "id": "cl_0",
        "category": "Governing Law",
        "start": words.index("The laws"),
        "end": words.index(" Tenant"),
        "confidence": 0.9,
    }
    assert search(any_house, "delaware", category="Governing Law")["items"] == [hit]
    assert search(any_house, "delaware", category="Anti-Assignment")["items"] == []
    assert search(any_house, "preamble", **{"in": "clauses"})["items"] == []


def test_filters_say_which_documents_are_meant(any_house: House) -> None:
    """By kind, and by the document."""
    contract = kept(any_house, "One word of a contract")
    report = kept(any_house, "One word of a report", "b.txt", kind="report")
    for filters, expected in (
        ({}, {contract, report}),
        ({"kind": "contract"}, {contract}),
        ({"kind": "report"}, {report}),
        ({"kind": "other"}, set()),
        ({"document": report}, {report}),
        ({"document": report, "kind": "contract"}, set()),
        ({"document": "doc_unknown"}, set()),
    ):
        found = search(any_house, "word", **filters)["items"]
        assert {hit["document_id"] for hit in found} == expected, filters


def test_a_tenant_finds_its_own_alone(any_house: House) -> None:
    """Whatever is asked, by word, document or category, nothing of another tenant comes."""
    document = kept(any_house, "Quokkas belong to default. Their law is kind.")
    any_house.say(clauses_of(any_house, document, ("Governing Law", "Their law is kind.")))
    other = any_house.client_of("other")
    for filters in ({}, {"document": document}, {"in": "clauses"}, {"category": "Governing Law"}):
        for q in ("quokkas", "law", "k*", "document"):
            assert search(any_house, q, other, **filters)["items"] == []
    any_house.upload(b"Quokkas of another", "b.txt", client=other)
    any_house.work()
    assert [hit["document"] for hit in search(any_house, "quokkas", other)["items"]] == ["b.txt"]
    assert [hit["document"] for hit in search(any_house, "quokkas")["items"]] == ["a.txt"]


def test_what_is_worked_on_again_is_found_once(any_house: House) -> None:
    """The new reading takes the place of the old one, with its clauses, and so does the same fact
    that is told twice.
    """
    document = kept(any_house, "The laws of Delaware govern.")
    fact = clauses_of(any_house, document, ("Governing Law", "laws of Delaware"))
    any_house.say(fact, fact.model_copy(update={"id": "again"}))
    assert rows(any_house) == 2
    any_house.client.post(f"/v1/documents/{document}/reprocess")
    assert len(search(any_house, "delaware")["items"]) == 1
    assert search(any_house, "delaware", **{"in": "clauses"})["items"] == [], "withdrawn at once"
    any_house.work()
    assert rows(any_house) == 1, "the clauses of the old attempt are gone"
    any_house.say(fact.model_copy(update={"id": "late"}))
    assert rows(any_house) == 1, "what comes late changes nothing"
    any_house.say(clauses_of(any_house, document, ("Governing Law", "Delaware govern")))
    assert len(search(any_house, "delaware")["items"]) == 1
    assert [hit["text"] for hit in search(any_house, "delaware", **{"in": "clauses"})["items"]] == [
        "Delaware govern"
    ]


def test_a_document_that_fails_is_not_found(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new attempt that can't be read leaves nothing of the old text, and nothing of its clauses,
    in the index.
    """
    document = kept(any_house, "Quokkas")
    any_house.say(clauses_of(any_house, document, ("Parties", "Quokkas")))
    any_house.client.post(f"/v1/documents/{document}/reprocess")
    assert rows(any_house) == 2, "until then the text is as it was"

    def fail(*_: Any, **__: Any) -> None:
        raise UnreadableDocument("it broke")

    monkeypatch.setattr(InProcessReader, "read", fail)
    any_house.work()
    assert any_house.state(document)["outcome"] == "failed"
    assert rows(any_house) == 0


def test_a_cancelled_attempt_leaves_only_what_is_read(house: House) -> None:
    """What is read stays and is found; what comes late of its clauses is not, and another attempt
    that is cancelled before it is read takes the old text out.
    """
    document = kept(house, "The laws of Delaware govern.")
    fact = clauses_of(house, document, ("Governing Law", "laws of Delaware"))
    assert house.client.post(f"/v1/documents/{document}/cancel").is_success
    house.say(fact)
    assert rows(house) == len(search(house, "delaware")["items"]) == 1
    assert house.client.post(f"/v1/documents/{document}/reprocess").status_code == 202
    assert house.client.post(f"/v1/documents/{document}/cancel").is_success
    house.work()
    assert rows(house) == len(search(house, "delaware")["items"]) == 0


def test_another_attempt_by_upload_takes_the_old_text_out(house: House) -> None:
    """After a failure the same bytes are a new attempt, which is found once it is read."""
    document = kept(house, "Quokkas")
    house.say(gave_up(document))
    assert len(search(house, "quokkas")["items"]) == 1
    assert house.accepted(b"Quokkas", "again.txt") == document
    assert rows(house) == 0
    house.work()
    assert [hit["document_id"] for hit in search(house, "quokkas")["items"]] == [document]


def test_nothing_is_indexed_of_a_deleted_document(any_house: House) -> None:
    """It is found no more from the moment on that it is deleted, and then its rows go; those of
    others stay and are found.
    """
    document = kept(any_house, pdf("Quokkas", "and wombats"), "a.pdf")
    kept(any_house, pdf("Other quokkas", "and wombats"), "b.pdf")
    any_house.say(clauses_of(any_house, document, ("Parties", "Quokkas")))
    assert rows(any_house) == 5
    any_house.client.delete(f"/v1/documents/{document}")
    assert [hit["document"] for hit in search(any_house, "quokkas")["items"]] == ["b.pdf"]
    assert search(any_house, "quokkas", **{"in": "clauses"})["items"] == []
    any_house.work()
    assert rows(any_house) == 2
    assert [name for name, _, _ in hits(any_house, "quokkas")] == ["b.pdf"]
    any_house.say(extracted(document))
    assert rows(any_house) == 2


def test_a_text_that_is_gone_is_not_shown(house: House) -> None:
    """Between its deletion and the removal of its rows nothing breaks."""
    document = kept(house, "Quokkas")
    kept(house, "Quokkas and others", "b.txt")
    with house.service.store.read() as session:
        sha256 = session.execute(
            text("SELECT text_sha256 FROM documents WHERE id = :id"), {"id": document}
        ).scalar_one()
    blobs = FileBlobs(house.service.settings.blobs)
    blobs.delete("default", BlobRef(sha256=sha256, size=7))
    assert [hit["document"] for hit in search(house, "quokkas")["items"]] == ["b.txt"]


def test_parts_of_a_mail_are_found_each_by_itself(house: House) -> None:
    """The mail by its words, the attachment by its own."""
    kept(house, whole([mail_text("Greetings."), attached(pdf("Quokkas"))]), "m.eml")
    assert [page for _, page, _ in hits(house, "quokkas")] == [1]
    assert [name for name, _, _ in hits(house, "greetings")] == ["m.eml"]
    assert hits(house, "greetings quokkas") == []


ODD = (
    '"', '""', "*", "a*b", "'; DROP TABLE passages; --", "a:b", "a & | ! b", "(", "NEAR(a b)",
    "-a", "^a", "{a b}: c", "\x00", "%", "_", "\\", "a" * 400, "é" * 400, '"a" "b', "<->",
    "' OR 1=1", "words : a", "shelf_1", "rank", "\ufeff", "😀", "a\u0301", '*"a"*', "a " * 200,
)  # fmt: skip
WRONG: tuple[dict[str, Any], ...] = (
    {"q": ""}, {"q": "a" * 401}, {"q": "a", "cursor": "x"}, {"q": "a", "cursor": "9" * 19},
    {"q": "a", "limit": 0}, {"q": "a", "limit": 101}, {"q": "a", "kind": "x"},
    {"q": "a", "document": "\x00"}, {"q": "a", "category": "\x00"}, {"q": "a", "in": "names"}, {},
)  # fmt: skip


def test_any_text_is_a_query(any_house: House) -> None:
    """No sign of any query language reaches a database."""
    kept(any_house, "Something to find.")
    for q in ODD:
        body = search(any_house, q)
        assert body["items"] == [], q
        assert body["parts"] == [str(part) for part in read_query(q).parts], q


def test_what_is_no_search_is_refused(house: House) -> None:
    """With a problem that says why."""
    for params in WRONG:
        answer = house.client.get("/v1/search", params=params)
        assert answer.status_code == 422, params
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_databases_find_what_the_words_say(any_house: House) -> None:
    """For any texts and queries, hits are exactly the texts that have every part of the query."""
    known: dict[str, tuple[str, ...]] = {}

    @given(
        st.lists(
            st.text(alphabet="abéß -'\"1\n", min_size=1),
            max_size=2,
        ),
        st.text(alphabet="ab é-'\"*1", min_size=1, max_size=12),
    )
    @settings(
        max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
    )
    def check(texts: list[str], asked: str) -> None:
        for one in texts:
            if not one.strip():
                continue
            answer = any_house.upload(one.encode(), "a.txt")
            if answer.status_code == 202:
                known[answer.json()["id"]] = forms(one)
        any_house.work()
        query = read_query(asked)
        expected = {
            document
            for document, there in known.items()
            if query.parts and all(places(part, there) for part in query.parts)
        }
        found = list(_every(any_house, asked))
        assert len(found) == len(set(found))
        assert set(found) == expected

    check()
    assert len(known) > 3


def _every(house: House, q: str) -> Iterator[str]:
    cursor = None
    while True:
        page = search(house, q, limit=100, **({"cursor": cursor} if cursor else {}))
        yield from (hit["document_id"] for hit in page["items"])
        cursor = page["next"]
        if cursor is None:
            return


def test_an_older_database_is_indexed_after_the_upgrade(any_house: House) -> None:
    """The migration notes what was read before, the loop indexes it, and the answer says how much
    is missing until then; what was deleted meanwhile is passed over.
    """
    for number in range(3):
        kept(any_house, pdf(f"Quokka {number}", "of Delaware"), f"{number}.pdf")
    gone = kept(any_house, "Quokka of the past", "gone.txt")
    any_house.accepted(b"Not read yet", "later.txt")
    store = any_house.service.store
    expected = hits(any_house, "quokka")
    store.migrate("0009")
    store.migrate()
    assert rows(any_house) == 0
    body = search(any_house, "quokka")
    assert (body["items"], body["unindexed"]) == ([], 4)
    any_house.client.delete(f"/v1/documents/{gone}")
    backlog = Backlog(store, any_house.service.blobs)
    assert backlog.once()
    assert search(any_house, "quokka")["unindexed"] == 3
    while backlog.once():
        pass
    assert search(any_house, "quokka")["unindexed"] == 0
    assert sorted(hits(any_house, "quokka")) == sorted(e for e in expected if e[0] != "gone.txt")
    any_house.work()
    assert len(hits(any_house, "read yet")) == 1


def test_what_was_read_anew_is_not_indexed_twice(any_house: House) -> None:
    """A reading after the upgrade settles what waited; a damaged text is passed over."""
    first = kept(any_house, "Quokka one")
    kept(any_house, "Quokka two", "b.txt")
    any_house.say(extracted(first))
    store = any_house.service.store
    store.migrate("0009")
    store.migrate()
    any_house.client.post(f"/v1/documents/{first}/reprocess")
    any_house.work()
    with store.read() as session:
        assert len(session.execute(select(unindexed)).all()) == 1
        sha256 = session.execute(
            text("SELECT text_sha256 FROM documents WHERE name = 'b.txt'")
        ).scalar_one()
    FileBlobs(any_house.service.settings.blobs).delete("default", BlobRef(sha256=sha256, size=10))
    backlog = Backlog(store, any_house.service.blobs)
    while backlog.once():
        pass
    assert rows(any_house) == 1
    assert search(any_house, "quokka")["unindexed"] == 0


def test_a_search_goes_through_every_shelf(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite: a shelf that is full is followed by another, and an empty one is taken away."""
    monkeypatch.setattr(search_store, "SHELF", 20)
    documents = [kept(house, pdf(*[f"Quokka {n} of words"] * 2), f"{n}.pdf") for n in range(4)]
    assert shelves_of(house) == ["shelf_1", "shelf_2", "shelf_3", "shelf_4"]
    expected = [(f"{n}.pdf", page) for n in (3, 2, 1, 0) for page in (1, 2)]
    for limit in (1, 3, 100):
        assert [(n, p) for n, p, _ in hits(house, "quokka", limit=limit)] == expected
    house.client.delete(f"/v1/documents/{documents[3]}")
    house.client.delete(f"/v1/documents/{documents[1]}")
    house.work()
    assert shelves_of(house) == ["shelf_1", "shelf_3"]
    kept(house, "Quokka again", "new.txt")
    assert shelves_of(house) == ["shelf_1", "shelf_3", "shelf_5"], "no number is given twice"
    assert [name for name, _, _ in hits(house, "quokka")] == ["new.txt"] + [
        name for name in ("2.pdf", "0.pdf") for _ in range(2)
    ]
    house.service.store.migrate("0009")
    assert shelves_of(house) == []


def shelves_of(house: House) -> list[str]:
    """The FTS5 tables that there are."""
    with house.service.store.read() as session:
        query = text("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%' ORDER BY 1")
        return list(session.execute(query).scalars())


def test_who_may_not_read_results_is_not_told_how_sure_a_clause_is(any_house: House) -> None:
    """Beside the queue it would tell which items are checks."""
    document = kept(any_house, "The laws of Delaware govern.")
    any_house.say(clauses_of(any_house, document, ("Governing Law", "The laws of Delaware")))
    told = {}
    for name, scopes in {
        "analyst": ["documents:read", "review"],
        "reader": ["documents:read", "results:read"],
    }.items():
        secret = any_house.keys.create("default", name, scopes=scopes).secret
        client = any_house.client_with(secret)
        [hit] = search(any_house, "delaware", client, **{"in": "clauses"})["items"]
        told[name] = hit["clause"]
    assert told["reader"]["confidence"] == 0.9
    assert told["analyst"] == {**told["reader"], "confidence": None}
