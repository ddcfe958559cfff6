"""What is a word, a query, a passage and an excerpt, without any database."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.search.finding import BEFORE, LENGTH, excerpt_of
from services.ingest.search.passages import (
    AHEAD,
    MOST_WORDS,
    BadClauses,
    FoundClause,
    Furniture,
    Passage,
    passages,
    passages_of_clauses,
    read_clauses,
)
from services.ingest.search.query import Part, Query, places, read_query
from services.ingest.search.words import LONGEST, forms, words
from shared.documents import Page, Reading
from shared.documents.reading import no_boxes


def reading(*pages: str, furniture: tuple[tuple[int, int], ...] = ()) -> Reading:
    """Pages one after the other, with a line between them."""
    ledger, start = [], 0
    for number, page in enumerate(pages, 1):
        ledger.append(Page(number, start, start + len(page), 612, 792))
        start += len(page) + 1
    text = "\n".join(pages)
    return Reading(text, tuple(ledger), no_boxes(len(text)), len(pages), furniture=furniture)


def only(*pages: str, furniture: tuple[tuple[int, int], ...] = ()) -> tuple[Passage, str]:
    """The passage of the first page, and its text as far as it reaches."""
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
def test_words_are_compared_without_case_accents_and_signs(
    text: str, expected: tuple[str, ...]
) -> None:
    """The same word is the same however it is written, and signs are none."""
    assert forms(text) == expected


@given(st.text())
def test_words_stand_where_they_say_and_no_database_can_mistake_them(text: str) -> None:
    """Words come in order and apart; their form has nothing but letters and digits."""
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
def test_a_query_is_words_phrases_and_beginnings(text: str, expected: list[Part] | None) -> None:
    """Quotes and a star mean something, and nothing else does."""
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
def test_any_text_is_a_query_and_says_the_same_when_it_is_shown(text: str) -> None:
    """Whatever is typed is understood, and what is shown of it means the same."""
    query = read_query(text)
    shown = " ".join(f'"{" ".join(p.words)}"' + "*" * p.open_end for p in query.parts)
    assert read_query(shown) == query


def test_a_phrase_is_found_across_the_end_of_a_page_and_its_furniture() -> None:
    """Footer and header don't come between; the words in them are found too."""
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


def test_a_long_page_is_cut_and_every_phrase_is_in_one_of_the_pieces() -> None:
    """Each piece has a thousand words and those that follow, so that nothing is lost at a cut."""
    numbers = [f"w{number}" for number in range(2 * MOST_WORDS + 50)]
    read = reading(" ".join(numbers))
    found = passages(read)
    assert [len(list(words(read.text, p.start, p.end))) for p in found] == [MOST_WORDS] * 2 + [50]
    assert [(p.start, p.end) for p in found[1:]] == [
        (found[0].end, found[1].end),
        (found[1].end, len(read.text)),
    ]
    for at in (0, MOST_WORDS - 1, MOST_WORDS, 2 * MOST_WORDS - AHEAD + 1):
        query = Query((Part(tuple(numbers[at : at + AHEAD])),))
        hits = [excerpt_of(p, read.text[p.start : p.reach], query) for p in found]
        assert sum(hit is not None for hit in hits) == 1, at


@given(st.lists(st.text(alphabet="a é\n😀.", max_size=30), min_size=1, max_size=4))
def test_a_passage_knows_its_bytes(pages: list[str]) -> None:
    """What lies at its bytes in UTF-8 is its text, and every word is in a passage of its page."""
    read = reading(*pages)
    data = read.text.encode()
    found = passages(read)
    for passage in found:
        cut = data[passage.first_byte : passage.first_byte + passage.bytes].decode()
        assert cut == read.text[passage.start : passage.reach]
    for word in words(read.text):
        [home] = [p for p in found if p.start <= word.start < p.end]
        assert home.page == read.page_at(word.start)


def test_an_excerpt_is_short_and_shows_where_most_of_the_query_stands() -> None:
    """Not the first word alone, but the first place where the words stand together."""
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


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "."]), min_size=1, max_size=80),
    st.text(alphabet='ab "*', min_size=1, max_size=12),
)
@settings(max_examples=100)
def test_marks_are_what_was_looked_for(tokens: list[str], asked: str) -> None:
    """There is an excerpt exactly if every part is there, and it has a mark of some part."""
    passage, seen = only(" ".join(["x", *tokens]))
    query = read_query(asked)
    if not query.parts:
        return
    there = [token for token in ["x", *tokens] if token != "."]
    expected = all(places(part, there) for part in query.parts)
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


def test_clauses_are_passages_of_their_own() -> None:
    """A clause is found by its own words alone, across the furniture in it."""
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
def test_a_list_of_clauses_that_is_none_is_refused(data: bytes) -> None:
    """The error names the document."""
    with pytest.raises(BadClauses, match="the clauses of document doc_1"):
        read_clauses(data, "doc_1")


def test_a_clause_outside_of_the_text_is_refused() -> None:
    """It belongs to another text."""
    clause = FoundClause(id="cl_1", category="x", start=3, end=9, page=1, confidence=0.5)
    with pytest.raises(BadClauses, match="clause cl_1 has 3:9 in 5 characters"):
        passages_of_clauses([clause], "abcde", Furniture([]))


@settings(max_examples=500)
@given(
    text=st.text(alphabet="aZ1 _\n.-\u00e9\u0301\u00ad\u0300\u00df\ufb01\u00b6\u2163", max_size=40),
    cuts=st.lists(st.integers(0, 40), min_size=7, max_size=7).map(sorted),
    part=st.permutations(range(7)),
)
def test_what_is_indexed_is_the_sequence_whatever_lies_where(
    text: str, cuts: list[int], part: list[int]
) -> None:
    """Words are made stretch by stretch where that can be seen to be the same."""
    cuts = [min(cut, len(text)) for cut in cuts]
    start, end, reach = (cuts[i] for i in sorted(part[:3]))
    spans = Furniture([(cuts[0], cuts[1]), (cuts[3], cuts[4])]).within(start, reach)
    passage = Passage(1, start, end, reach, 0, 0, spans)
    expected = " ".join(word.form for word in passage.sequence(text))
    assert passage.with_words(text).words == expected
