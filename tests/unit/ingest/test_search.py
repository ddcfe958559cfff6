"""Search over HTTP, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import MetaData, String, cast, create_engine, select, text

from services.ingest.search import store as search_store
from services.ingest.search.query import find_part, read_query
from services.ingest.search.store import passages
from services.ingest.search.words import forms
from shared.blobs import FileBlobs
from shared.errors import UnreadableDocument
from shared.events import BlobRef, ClausesExtracted
from tests.support.postgres import Servers
from tests.unit.documents.mails import attached, whole
from tests.unit.documents.mails import text as mail_text
from tests.unit.ingest.builders import (
    IngestService,
    InProcessReader,
    clauses_extracted,
    document_failed,
    pdf,
)

LEASE = ("The Tenant may assign this Lease.", "It is governed by the laws of", "Delaware alone.")


def search(
    ingest: IngestService, q: str | None, client: Any = None, **filters: Any
) -> dict[str, Any]:
    words = {} if q is None else {"q": q}
    answer = (client or ingest.client).get("/v1/search", params={**words, **filters})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def hits(ingest: IngestService, q: str, **filters: Any) -> list[tuple[str, int, list[str]]]:
    found: list[tuple[str, int, list[str]]] = []
    for item in ingest.every("/v1/search", q=q, **filters):
        whole = ingest.client.get(f"/v1/documents/{item['document_id']}/text").content.decode()
        assert whole[item["start"] : item["end"]] == item["text"]
        assert item["highlights"]
        marks = [whole[mark["start"] : mark["end"]] for mark in item["highlights"]]
        found.append((item["document"], item["page"], marks))
    return found


def stored(ingest: IngestService, words: str, name: str = "a.txt", **fields: Any) -> str:
    return ingest.read_new(words.encode(), name, **fields)


def clauses_of(ingest: IngestService, document: str, *wanted: tuple[str, str]) -> ClausesExtracted:
    whole = ingest.client.get(f"/v1/documents/{document}/text").content.decode()
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
    blobs = FileBlobs(ingest.service.settings.blobs, "extraction")
    ref = blobs.put("default", json.dumps(found).encode())
    attempt = ingest.state(document)["attempt"]
    return clauses_extracted(document, attempt).model_copy(
        update={"clauses": ref, "count": len(found)}
    )


def rows(ingest: IngestService) -> int:
    return ingest.count(passages)


def test_hits_have_page_and_offsets(any_ingest: IngestService) -> None:
    document = any_ingest.read_new(pdf(*LEASE), "lease.pdf")
    [hit] = search(any_ingest, "LEASE tenant")["items"]
    assert (hit["document_id"], hit["document"], hit["page"]) == (document, "lease.pdf", 1)
    assert (hit["kind"], hit["clause"]) == ("contract", None)
    assert hits(any_ingest, "lease tenant") == [("lease.pdf", 1, ["Tenant", "Lease"])]
    assert hits(any_ingest, "delaw*") == [("lease.pdf", 3, ["Delaware"])]
    assert hits(any_ingest, '"laws of Delaware"') == [("lease.pdf", 2, ["laws of\n\nDelaware"])]
    assert hits(any_ingest, '"Delaware laws"') == hits(any_ingest, "tenant delaware") == []
    assert hits(any_ingest, "laws delaware") == [], "each stands on a page of its own"


def test_a_clause_without_words_is_not_indexed(any_ingest: IngestService) -> None:
    document = stored(any_ingest, "It begins on [***]. The tenant pays.")
    any_ingest.publish(
        clauses_of(any_ingest, document, ("Effective Date", "[***]"), ("Parties", "The tenant"))
    )
    assert any_ingest.state(document)["outcome"] == "complete"
    [hit] = search(any_ingest, "tenant", **{"in": "clauses"})["items"]
    assert hit["text"] == "The tenant"


def test_the_newest_document_comes_first(any_ingest: IngestService) -> None:
    for number in range(3):
        any_ingest.read_new(pdf(*[f"Term {number} of page"] * 4), f"{number}.pdf")
    expected = [(f"{number}.pdf", page) for number in (2, 1, 0) for page in (1, 2, 3, 4)]
    for limit in (1, 5, 12, 100):
        found = [(name, page) for name, page, _ in hits(any_ingest, "term page", limit=limit)]
        assert found == expected, limit
    pages = [search(any_ingest, "term", limit=5)]
    any_ingest.read_new(pdf("Another term"), "new.pdf")
    while pages[-1]["next"]:
        pages.append(search(any_ingest, "term", limit=5, cursor=pages[-1]["next"]))
    assert [len(page["items"]) for page in pages] == [5, 5, 2]


def test_words_indexed_with_two_pages_are_one_hit(any_ingest: IngestService) -> None:
    any_ingest.read_new(pdf("Nothing here.", *["Delaware"] * 30), "a.pdf")
    assert [page for _, page, _ in hits(any_ingest, "delaware")] == list(range(2, 32))
    assert len(search(any_ingest, "delaware", limit=7)["items"]) == 7


def test_clauses_are_found_by_words_and_category(any_ingest: IngestService) -> None:
    words = "Preamble. The laws of Delaware govern. Tenant may not assign. Delaware is a state."
    document = stored(any_ingest, words)
    assert search(any_ingest, "delaware", **{"in": "clauses"})["items"] == []
    any_ingest.publish(
        clauses_of(
            any_ingest,
            document,
            ("Governing Law", "The laws of Delaware govern."),
            ("Anti-Assignment", "Tenant may not assign."),
        )
    )
    assert any_ingest.state(document)["outcome"] == "complete"
    assert len(search(any_ingest, "delaware")["items"]) == 1
    [hit] = search(any_ingest, "delaware", **{"in": "clauses"})["items"]
    assert hit["text"] == "The laws of Delaware govern."
    assert hit["clause"] == {
        "id": "cl_0",
        "category": "Governing Law",
        "start": words.index("The laws"),
        "end": words.index(" Tenant"),
        "confidence": 0.9,
    }
    assert search(any_ingest, "delaware", category="Governing Law")["items"] == [hit]
    assert search(any_ingest, "delaware", category="governing law")["items"] == [hit]
    assert search(any_ingest, "delaware", category="Anti-Assignment")["items"] == []
    several = {"category": ["Anti-Assignment", "Governing Law"]}
    assert search(any_ingest, "delaware", **several)["items"] == [hit]
    assert search(any_ingest, "§", category="Governing Law")["items"] == []
    first = search(any_ingest, None, limit=1, **several)
    rest = search(any_ingest, None, limit=1, cursor=first["next"], **several)
    assert first["items"] == [{**hit, "highlights": []}]
    assert [one["text"] for one in rest["items"]] == ["Tenant may not assign."]
    assert (rest["next"], rest["parts"]) == (None, [])
    assert search(any_ingest, "preamble", **{"in": "clauses"})["items"] == []


def test_words_of_several_types_are_one_hit(any_ingest: IngestService) -> None:
    document = stored(any_ingest, "The fee is due in May. The fee ends in June.")
    due, ends = "The fee is due in May.", "The fee ends in June."
    wanted = [
        ("Parties", due),
        ("Renewal Term", ends),
        ("Effective Date", due),
        ("Audit Rights", due),
    ]
    any_ingest.publish(clauses_of(any_ingest, document, *wanted))
    where = {"in": "clauses", "limit": 1}
    first = search(any_ingest, "fee", **where)
    second = search(any_ingest, "fee", cursor=first["next"], **where)
    [one], [other] = first["items"], second["items"]
    assert (one["text"], one["clause"]["category"]) == (due, "Audit Rights")
    assert one["categories"] == ["Audit Rights", "Effective Date", "Parties"]
    assert (other["text"], other["categories"], second["next"]) == (ends, ["Renewal Term"], None)


def test_hits_are_filtered_by_kind_and_document(any_ingest: IngestService) -> None:
    contract = stored(any_ingest, "One word of a contract")
    report = stored(any_ingest, "One word of a report", "b.txt", kind="report")
    for filters, expected in (
        ({}, {contract, report}),
        ({"kind": "contract"}, {contract}),
        ({"kind": "report"}, {report}),
        ({"kind": "other"}, set()),
        ({"document": report}, {report}),
        ({"document": report, "kind": "contract"}, set()),
        ({"document": "doc_unknown"}, set()),
    ):
        found = search(any_ingest, "word", **filters)["items"]
        assert {hit["document_id"] for hit in found} == expected, filters


def test_hits_are_separate_for_each_tenant(any_ingest: IngestService) -> None:
    document = stored(any_ingest, "Quokkas belong to default. Their law is kind.")
    any_ingest.publish(clauses_of(any_ingest, document, ("Governing Law", "Their law is kind.")))
    other = any_ingest.client_for("other")
    for filters in ({}, {"document": document}, {"in": "clauses"}, {"category": "Governing Law"}):
        for q in ("quokkas", "law", "k*", "document", *([None] if "category" in filters else [])):
            assert search(any_ingest, q, other, **filters)["items"] == []
    any_ingest.upload(b"Quokkas of another", "b.txt", client=other)
    any_ingest.run()
    assert [hit["document"] for hit in search(any_ingest, "quokkas", other)["items"]] == ["b.txt"]
    assert [hit["document"] for hit in search(any_ingest, "quokkas")["items"]] == ["a.txt"]


def test_a_reprocessed_document_is_found_once(any_ingest: IngestService) -> None:
    document = stored(any_ingest, "The laws of Delaware govern.")
    fact = clauses_of(any_ingest, document, ("Governing Law", "laws of Delaware"))
    any_ingest.publish(fact, fact.model_copy(update={"id": "again"}))
    assert rows(any_ingest) == 2
    any_ingest.client.post(f"/v1/documents/{document}/reprocess")
    assert len(search(any_ingest, "delaware")["items"]) == 1
    assert search(any_ingest, "delaware", **{"in": "clauses"})["items"] == [], "withdrawn at once"
    any_ingest.run()
    assert rows(any_ingest) == 1, "the clauses of the old attempt are gone"
    any_ingest.publish(fact.model_copy(update={"id": "late"}))
    assert rows(any_ingest) == 1, "what comes late changes nothing"
    any_ingest.publish(clauses_of(any_ingest, document, ("Governing Law", "Delaware govern")))
    assert len(search(any_ingest, "delaware")["items"]) == 1
    assert [
        hit["text"] for hit in search(any_ingest, "delaware", **{"in": "clauses"})["items"]
    ] == ["Delaware govern"]


def test_a_document_that_fails_is_not_found(
    any_ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = stored(any_ingest, "Quokkas", kind="contract")
    any_ingest.publish(clauses_of(any_ingest, document, ("Parties", "Quokkas")))
    any_ingest.client.post(f"/v1/documents/{document}/reprocess")
    assert rows(any_ingest) == 2, "until then the text is as it was"

    def fail(*_: Any, **__: Any) -> None:
        raise UnreadableDocument("it broke")

    monkeypatch.setattr(InProcessReader, "read", fail)
    any_ingest.run()
    assert any_ingest.state(document)["outcome"] == "failed"
    assert rows(any_ingest) == 0


def test_a_cancelled_attempt_leaves_only_complete_text(ingest: IngestService) -> None:
    document = stored(ingest, "The laws of Delaware govern.")
    fact = clauses_of(ingest, document, ("Governing Law", "laws of Delaware"))
    assert ingest.client.post(f"/v1/documents/{document}/cancel").is_success
    ingest.publish(fact)
    assert rows(ingest) == len(search(ingest, "delaware")["items"]) == 1
    assert ingest.client.post(f"/v1/documents/{document}/reprocess").status_code == 202
    assert ingest.client.post(f"/v1/documents/{document}/cancel").is_success
    ingest.run()
    assert rows(ingest) == len(search(ingest, "delaware")["items"]) == 0


def test_another_upload_after_a_failure_removes_the_old_text(ingest: IngestService) -> None:
    document = stored(ingest, "Quokkas", kind="contract")
    ingest.publish(document_failed(document))
    assert len(search(ingest, "quokkas")["items"]) == 1
    assert ingest.upload_new(b"Quokkas", "again.txt") == document
    assert rows(ingest) == 0
    ingest.run()
    assert [hit["document_id"] for hit in search(ingest, "quokkas")["items"]] == [document]


def test_a_deleted_document_is_not_indexed(any_ingest: IngestService) -> None:
    document = any_ingest.read_new(pdf("Quokkas", "and wombats"), "a.pdf")
    any_ingest.read_new(pdf("Other quokkas", "and wombats"), "b.pdf")
    any_ingest.publish(clauses_of(any_ingest, document, ("Parties", "Quokkas")))
    assert rows(any_ingest) == 5
    any_ingest.client.delete(f"/v1/documents/{document}")
    assert [hit["document"] for hit in search(any_ingest, "quokkas")["items"]] == ["b.pdf"]
    assert search(any_ingest, "quokkas", **{"in": "clauses"})["items"] == []
    any_ingest.run()
    assert rows(any_ingest) == 2
    assert [name for name, _, _ in hits(any_ingest, "quokkas")] == ["b.pdf"]
    any_ingest.publish(clauses_extracted(document))
    assert rows(any_ingest) == 2


def test_a_removed_text_is_not_shown(ingest: IngestService) -> None:
    document = stored(ingest, "Quokkas", kind="contract")
    stored(ingest, "Quokkas and others", "b.txt")
    with ingest.service.store.read() as session:
        sha256 = session.execute(
            text("SELECT text_sha256 FROM documents WHERE id = :id"), {"id": document}
        ).scalar_one()
    blobs = FileBlobs(ingest.service.settings.blobs)
    blobs.delete("default", BlobRef(sha256=sha256, size=7))
    assert [hit["document"] for hit in search(ingest, "quokkas")["items"]] == ["b.txt"]


def test_parts_of_a_mail_are_found_separately(ingest: IngestService) -> None:
    ingest.read_new(whole([mail_text("Greetings."), attached(pdf("Quokkas"))]), "m.eml")
    assert [page for _, page, _ in hits(ingest, "quokkas")] == [1]
    assert [name for name, _, _ in hits(ingest, "greetings")] == ["m.eml"]
    assert hits(ingest, "greetings quokkas") == []


ODD = (
    '"', '""', "*", "a*b", "'; DROP TABLE passages; --", "a:b", "a & | ! b", "(", "NEAR(a b)",
    "-a", "^a", "{a b}: c", "\x00", "%", "_", "\\", "a" * 400, "é" * 400, '"a" "b', "<->",
    "' OR 1=1", "words : a", "fulltext_1", "rank", "\ufeff", "😀", "a\u0301", '*"a"*', "a " * 200,
)  # fmt: skip
WRONG: tuple[dict[str, Any], ...] = (
    {"q": ""}, {"q": "a" * 401}, {"q": "a", "cursor": "x"}, {"q": "a", "cursor": "9" * 19},
    {"q": "a", "limit": 0}, {"q": "a", "limit": 101}, {"q": "a", "kind": "x"},
    {"q": "a", "document": "\x00"}, {"q": "a", "category": "\x00"}, {"q": "a", "category": "laws"},
    {"q": "a", "in": "names"}, {},
    {"in": "clauses"}, {"q": "", "category": "Parties"},
)  # fmt: skip


def test_any_text_is_a_query(any_ingest: IngestService) -> None:
    stored(any_ingest, "Something to find.")
    for q in ODD:
        body = search(any_ingest, q)
        assert body["items"] == [], q
        assert body["parts"] == [str(part) for part in read_query(q).parts], q


def test_an_invalid_search_is_refused(ingest: IngestService) -> None:
    for params in WRONG:
        answer = ingest.client.get("/v1/search", params=params)
        assert answer.status_code == 422, params
        assert answer.headers["content-type"] == "application/problem+json"


def test_hits_are_the_texts_with_every_part_of_the_query(any_ingest: IngestService) -> None:
    known: dict[str, tuple[str, ...]] = {}

    @given(
        st.lists(st.text(alphabet="abéß -'\"1\n", min_size=1), max_size=2),
        st.text(alphabet="ab é-'\"*1", min_size=1, max_size=12),
    )
    @settings(
        max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
    )
    def check(texts: list[str], requested: str) -> None:
        for one in texts:
            if not one.strip():
                continue
            answer = any_ingest.upload(one.encode(), "a.txt")
            if answer.status_code == 202:
                known[answer.json()["id"]] = forms(one)
        any_ingest.run()
        query = read_query(requested)
        expected = {
            document
            for document, there in known.items()
            if query.parts and all(find_part(part, there) for part in query.parts)
        }
        hits = any_ingest.every("/v1/search", q=requested, limit=100)
        found = [hit["document_id"] for hit in hits]
        assert len(found) == len(set(found))
        assert set(found) == expected

    check()
    assert len(known) > 3


def test_a_search_covers_every_fulltext_table(
    ingest: IngestService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_store, "TABLE_SIZE", 20)
    documents = [ingest.read_new(pdf(*[f"Quokka {n} of words"] * 2), f"{n}.pdf") for n in range(4)]
    assert tables_of(ingest) == ["fulltext_1", "fulltext_2", "fulltext_3", "fulltext_4"]
    expected = [(f"{n}.pdf", page) for n in (3, 2, 1, 0) for page in (1, 2)]
    for limit in (1, 3, 100):
        assert [(n, p) for n, p, _ in hits(ingest, "quokka", limit=limit)] == expected
    ingest.client.delete(f"/v1/documents/{documents[3]}")
    ingest.delete(documents[1])
    assert tables_of(ingest) == ["fulltext_1", "fulltext_3"]
    stored(ingest, "Quokka again", "new.txt")
    assert tables_of(ingest) == ["fulltext_1", "fulltext_3", "fulltext_5"], (
        "no number is given twice"
    )
    assert [name for name, _, _ in hits(ingest, "quokka")] == ["new.txt"] + [
        name for name in ("2.pdf", "0.pdf") for _ in range(2)
    ]


def tables_of(ingest: IngestService) -> list[str]:
    with ingest.service.store.read() as session:
        query = text("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%' ORDER BY 1")
        return list(session.execute(query).scalars())


def test_confidence_needs_the_scope_results_read(any_ingest: IngestService) -> None:
    document = stored(any_ingest, "The laws of Delaware govern.")
    any_ingest.publish(clauses_of(any_ingest, document, ("Governing Law", "The laws of Delaware")))
    reported = {}
    for name, scopes in {
        "analyst": ["documents:read", "review"],
        "reader": ["documents:read", "results:read"],
    }.items():
        secret = any_ingest.keys.create("default", name, scopes=scopes).secret
        client = any_ingest.client_with(secret)
        [hit] = search(any_ingest, "delaware", client, **{"in": "clauses"})["items"]
        reported[name] = hit["clause"]
    assert reported["reader"]["confidence"] == 0.9
    assert reported["analyst"] == {**reported["reader"], "confidence": None}


# Deleted documents leave nothing in the index or its files

MARKER = "xylonquokka"
TAIL = "lonquokka"
"""FTS5 writes of a word only what it has not in common with the word before it."""


def found(ingest: IngestService, q: str) -> list[str]:
    answer = ingest.client.get("/v1/search", params={"q": q})
    return [hit["document"] for hit in answer.json()["items"]]


def with_marker(ingest: IngestService) -> str:
    for number in range(5):
        ingest.upload_new(pdf(f"Words {number} that stay", "xylograph"), f"{number}.pdf")
        ingest.run()
    document = ingest.read_new(pdf("Words that go", f"xylograph {MARKER} xylophone"), "gone.pdf")
    for number in range(5, 10):
        ingest.upload_new(pdf(f"Words {number} that stay", "xylophone"), f"{number}.pdf")
        ingest.run()
    assert found(ingest, MARKER) == ["gone.pdf"]
    return document


def in_files(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and TAIL.encode() in path.read_bytes().lower()
    )


def test_sqlite_files_contain_no_word_of_a_deleted_document(tmp_path: Path) -> None:
    ingest = IngestService(tmp_path)
    document = with_marker(ingest)
    assert {"ingest.db", "ingest.db-wal"} & set(in_files(tmp_path))
    ingest.delete(document)
    assert found(ingest, MARKER) == []
    assert len(found(ingest, "stay")) == 10
    assert len(found(ingest, "xylograph")) == len(found(ingest, "xylophone")) == 5
    ingest.close()
    assert in_files(tmp_path) == []


def test_postgresql_contains_no_word_of_a_deleted_document(
    servers: Servers, tmp_path: Path
) -> None:
    url = servers.database()
    ingest = IngestService(tmp_path, ingest_database_url=url)
    document = with_marker(ingest)
    assert {"vectors"} <= in_rows(url)
    ingest.delete(document)
    ingest.relay.run_once()
    assert in_rows(url) == set()
    assert len(found(ingest, "stay")) == 10
    ingest.close()
    engine = create_engine(servers.as_administrator(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("VACUUM FULL"))
        connection.execute(text("CHECKPOINT"))
        where = connection.execute(text("SELECT pg_relation_filepath('vectors')")).scalar_one()
    engine.dispose()
    tables = (servers.folder / "data" / where).parent
    assert (servers.folder / "data" / where).is_file()
    assert in_files(tables) == []


def in_rows(url: str) -> set[str]:
    engine = create_engine(url)
    known = MetaData()
    known.reflect(engine)
    holders = set()
    with engine.connect() as connection:
        for table in known.tables.values():
            for column in table.columns:
                query = select(table).where(cast(column, String).ilike(f"%{MARKER}%"))
                if connection.execute(query.limit(1)).first() is not None:
                    holders.add(table.name)
    engine.dispose()
    assert len(known.tables) > 8
    return holders
