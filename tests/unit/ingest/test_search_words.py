"""Words, queries, passages and excerpts, without a database."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.search.passages import (
    AHEAD,
    MAX_WORDS,
    BadClauses,
    FoundClause,
    Furniture,
    Passage,
    passages,
    passages_of_clauses,
    read_clauses,
)
from services.ingest.search.query import Part, Query, find_part, read_query
from services.ingest.search.results import BEFORE, LENGTH, excerpt_of
from services.ingest.search.words import LONGEST, forms, words
from shared.documents import Page, ParsedDocument


def reading(*pages: str, furniture: tuple[tuple[int, int], ...] = ()) -> ParsedDocument:
    ledger, start = [], 0
    for number, page in enumerate(pages, 1):
        ledger.append(Page(number, start, start + len(page), 612, 792))
        start += len(page) + 1
    text = "\n".join(pages)
    return ParsedDocument(text, tuple(ledger), furniture=furniture)


def only(*pages: str, furniture: tuple[tuple[int, int], ...] = ()) -> tuple[Passage, str]:
    read = reading(*pages, furniture=furniture)
    first = passages(read)[0]
    return first, read.text[first.start : first.reach]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Term's end", ("the", "term", "s", "end")),
        ("non-compete and/or U.S.", ("non", "compete", "and", "or", "u", "s")),
        ("US$400,000 (4%)", ("us", "400", "000", "4")),
        ("a_b", ("a", "b")),
        ("Zürich ZÜRICH zu\u0308rich", ("zurich",) * 3),
        ("résumé re\u0301sume\u0301", ("resume",) * 2),
        ("Straße ﬁnal Ⅳ", ("strasse", "final", "iv")),
        ("termi\u00adnation", ("termination",)),
        ("Договор ΛΌΓΟΣ λόγος", ("договор", "λογοσ", "λογοσ")),
        ("\u0301 … ¶ “ ”", ()),
        ("x" * 5000, ("x" * LONGEST,)),
    ],
)
def test_words_ignore_case_accents_and_signs(text: str, expected: tuple[str, ...]) -> None:
    assert forms(text) == expected


@given(st.text())
def test_words_have_ordered_offsets_and_plain_forms(text: str) -> None:
    end = 0
    for word in words(text):
        assert end <= word.start < word.end <= len(text)
        assert word.form.isalnum()
        assert len(word.form) <= LONGEST
        end = word.end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("governing law", [Part(("governing",)), Part(("law",))]),
        ('"governing law" Delaware', [Part(("governing", "law")), Part(("delaware",))]),
        ("“Governing Law”", [Part(("governing", "law"))]),
        ('"governing law', [Part(("governing", "law"))]),
        ("non-compete", [Part(("non", "compete"))]),
        ("termin*", [Part(("termin",), open_end=True)]),
        ('"change of contr*"', [Part(("change", "of", "contr"), open_end=True)]),
        ('"change of contr"*', [Part(("change", "of", "contr"), open_end=True)]),
        ("a*", [Part(("a",))]),
        ("* *** ?! () -- \"\" ''", []),
        ("a AND NOT (b OR c) NEAR/3 d:e ^f", None),
        ("law LAW Law", [Part(("law",))]),
        ("", []),
    ],
)
def test_a_query_has_words_phrases_and_prefixes(text: str, expected: list[Part] | None) -> None:
    parts = read_query(text).parts
    if expected is None:
        assert [str(part) for part in parts] == [
            "a",
            "and",
            "not",
            "b",
            "or",
            "c",
            "near 3",
            "d e",
            "f",
        ]
    else:
        assert list(parts) == expected


@given(st.text(alphabet="ab*\"“” '&|!():<>-\x00\u0301é", max_size=40))
def test_a_shown_query_parses_to_the_same_query(text: str) -> None:
    query = read_query(text)
    shown = " ".join(f'"{" ".join(p.words)}"' + "*" * p.open_end for p in query.parts)
    assert read_query(shown) == query


def test_a_phrase_is_found_across_a_page_break() -> None:
    pages = ("This is governed by the laws\nPage 1 of 2", "Exhibit 10.1\nof Delaware alone")
    text = "\n".join(pages)
    spans = tuple((text.index(one), text.index(one) + len(one)) for one in ("Page 1", "Exhibit"))
    furniture = ((spans[0][0], text.index("\nExhibit")), (spans[1][0], text.index("\nof Del")))
    passage, seen = only(*pages, furniture=furniture)
    excerpt = excerpt_of(passage, seen, read_query('"laws of Delaware"'))
    assert excerpt is not None
    assert [text[start:end] for start, end in excerpt.marks] == ["laws", "of Delaware"]
    assert text[excerpt.start : excerpt.end] == excerpt.text
    assert excerpt_of(passage, seen, read_query("page")) is not None
    assert excerpt_of(passage, seen, read_query("exhibit")) is None, "that is on the next page"
    assert excerpt_of(passage, seen, read_query("delaware")) is None, "that is on the next page"
    assert excerpt_of(passage, seen, read_query('"laws page"')) is None, "they are no neighbours"
    assert excerpt_of(passage, seen, read_query('"delaware page"')) is None, "nor are these"
    assert excerpt_of(passage, seen, read_query("governed delaware")) is None


def test_a_long_page_is_split_without_losing_phrases() -> None:
    numbers = [f"w{number}" for number in range(2 * MAX_WORDS + 50)]
    read = reading(" ".join(numbers))
    found = passages(read)
    assert [len(list(words(read.text, p.start, p.end))) for p in found] == [MAX_WORDS] * 2 + [50]
    assert [(p.start, p.end) for p in found[1:]] == [
        (found[0].end, found[1].end),
        (found[1].end, len(read.text)),
    ]
    for at in (0, MAX_WORDS - 1, MAX_WORDS, 2 * MAX_WORDS - AHEAD + 1):
        query = Query((Part(tuple(numbers[at : at + AHEAD])),))
        hits = [excerpt_of(p, read.text[p.start : p.reach], query) for p in found]
        assert sum(hit is not None for hit in hits) == 1, at


@given(st.lists(st.text(alphabet="a é\n😀.", max_size=30), min_size=1, max_size=4))
def test_a_passage_knows_its_bytes(pages: list[str]) -> None:
    read = reading(*pages)
    data = read.text.encode()
    found = passages(read)
    for passage in found:
        cut = data[passage.first_byte : passage.first_byte + passage.bytes].decode()
        assert cut == read.text[passage.start : passage.reach]
    for word in words(read.text):
        [home] = [p for p in found if p.start <= word.start < p.end]
        assert home.page == read.page_at(word.start)


def test_an_excerpt_shows_most_of_the_query() -> None:
    text = "alpha. " + "filler " * 200 + "then beta comes with alpha and gamma. " + "more " * 200
    passage, seen = only(text)
    excerpt = excerpt_of(passage, seen, read_query("alpha beta"))
    assert excerpt is not None
    assert "beta comes with alpha" in excerpt.text
    assert [text[start:end] for start, end in excerpt.marks] == ["beta", "alpha"]
    assert excerpt.text == text[excerpt.start : excerpt.end] == excerpt.text.strip()
    assert text.index("beta") - excerpt.start <= BEFORE
    assert len(excerpt.text) <= LENGTH
    far = excerpt_of(passage, seen, read_query("beta more"))
    assert far is not None
    assert far.text.split()[0] in ("filler", "then"), "no word is cut"


FAR = f" {'.' * LENGTH} "


@pytest.mark.parametrize(
    ("places", "words", "shown", "more"),
    [
        (["laws of a kind. York is new.", "laws in New York, of"], "laws of New York", 1, 1),
        (["laws", "laws of York and New laws", "York"], "laws of New York", 1, 0),
        (["laws of New York", "of", "laws of New York"], "laws of New York", 0, 1),
        (["York", "York York", "York", "New"], "York", 0, 3),
        (["New England in York", "York", "new York"], "new york", 2, 1),
        (["terminations", "terminated", "termin", "terminated"], "terminat*", 0, 2),
        (["Newcastle", "York", "Newcastle"], "newcastle york", 0, 0),
    ],
)
def test_an_excerpt_shows_the_words_that_stand_closest_together(
    places: list[str], words: str, shown: int, more: int
) -> None:
    passage, seen = only(FAR.join(places))
    excerpt = excerpt_of(passage, seen, read_query(words))
    assert excerpt is not None
    assert excerpt.text.startswith(places[shown])
    assert excerpt.more == more


@pytest.mark.parametrize(
    ("before", "begin"),
    [
        ("a " * 40, "a a"),
        ("a " + "b" * 80 + " ", "York"),
        ("a." + "b" * 80 + "/", "York"),
        ("a." + "b" * 80 + "/c-", "c-York"),
        ("a" * 30 + " ", "aaa"),
    ],
)
def test_an_excerpt_begins_with_a_whole_word(before: str, begin: str) -> None:
    passage, seen = only(f"{before}York")
    excerpt = excerpt_of(passage, seen, read_query("york"))
    assert excerpt is not None
    assert excerpt.text.startswith(begin)


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "."]), min_size=1, max_size=80),
    st.text(alphabet='ab "*', min_size=1, max_size=12),
)
@settings(max_examples=100)
def test_matches_cover_every_part_of_the_query(tokens: list[str], requested: str) -> None:
    passage, seen = only(" ".join(["x", *tokens]))
    query = read_query(requested)
    if not query.parts:
        return
    there = [token for token in ["x", *tokens] if token != "."]
    expected = all(find_part(part, there) for part in query.parts)
    excerpt = excerpt_of(passage, seen, query)
    assert (excerpt is not None) == expected
    if excerpt is not None:
        assert excerpt.marks
        every = {word for part in query.parts for word in part.words}
        for start, end in excerpt.marks:
            assert excerpt.start <= start < end <= excerpt.end
            assert all(
                form in every or any(form.startswith(word) for word in every)
                for form in forms(seen[start:end])
            )


def test_clauses_are_separate_passages() -> None:
    text = "Preamble. The laws\nPage 1\nof Delaware govern. The end."
    furniture = Furniture([(text.index("Page"), text.index("\nof"))])
    start, end = text.index("The laws"), text.index(" The end")
    clause = FoundClause(
        id="cl_1", category="Governing Law", start=start, end=end, page=1, confidence=0.9
    )
    [passage] = passages_of_clauses([clause], text, furniture)
    seen = text[passage.start : passage.reach]
    excerpt = excerpt_of(passage, seen, read_query('"laws of Delaware"'))
    assert excerpt is not None
    assert [text[low:high] for low, high in excerpt.marks] == ["laws", "of Delaware"]
    assert excerpt_of(passage, seen, read_query("preamble")) is None
    assert excerpt_of(passage, seen, read_query("end")) is None


@pytest.mark.parametrize("data", [b"no JSON", b"{}", b'[{"id": "cl_1"}]'])
def test_an_invalid_list_of_clauses_is_refused(data: bytes) -> None:
    with pytest.raises(BadClauses, match="The clauses of document doc_1"):
        read_clauses(data, "doc_1")


def test_a_clause_outside_the_text_is_refused() -> None:
    clause = FoundClause(id="cl_1", category="x", start=3, end=9, page=1, confidence=0.5)
    with pytest.raises(BadClauses, match="Clause cl_1 has offsets 3:9 in 5 characters"):
        passages_of_clauses([clause], "abcde", Furniture([]))
