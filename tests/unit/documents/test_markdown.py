"""Markdown is read as a page that is made from it."""

from __future__ import annotations

import pytest

from shared.documents import read
from shared.errors import EmptyDocument, NoTextLayer
from tests.unit.documents.ends import all_cells, outcome


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("**Term.** _Two_ `years`.", "Term. Two years."),
        ("See [Exhibit A](https://a.example/x) or <https://b.example>.",
         "See Exhibit A or https://b.example."),
        ("One\nparagraph.\n\nAnother.", "One paragraph.\n\nAnother."),
        ("Made by <b>Acme</b>&nbsp;Inc.<!-- no --><script>no()</script>", "Made by Acme Inc."),
        ("3. Three\n4. Four", "3. Three\n\n4. Four"),
        ("snake_case, 5 * 3, ____ and \\* stay", "snake_case, 5 * 3, ____ and * stay"),
        ("____ day of 20____, by __N/A____", "____ day of 20____, by __N/A____"),
        ("    kept  as it is", "kept  as it is"),
        ("> " * 60 + "deep", "deep"),
        ("---\r\ntitle: x\r\n---\r\nA lease", "A lease"),
        ("---\nA lease\n\n---\nof land", "A lease\n\nof land"),
        ("<meta charset=latin1>\n\nCafé", "Café"),
    ],
)  # fmt: skip
def test_marks_become_text(markup: str, text: str) -> None:
    reading = read(markup.encode(), name="a.md")
    assert (reading.text, reading.media_type) == (text, "text/markdown")
    assert [(page.start, page.end) for page in reading.pages] == [(0, len(text))]


def test_a_table_has_cells_and_struck_words_a_warning() -> None:
    reading = read(b"| Fee | Amount |\n|---|--:|\n| Rent | ~~$4~~ $5 |\n", name="a.md")
    cells = [reading.text[cell.start : cell.end] for cell in all_cells(reading)]
    assert cells == ["Fee", "Amount", "Rent", "$4 $5"]
    assert "struck through" in reading.warnings[0]


@pytest.mark.parametrize(
    ("markup", "error"),
    [("![seal](seal.png)", NoTextLayer), ("<!-- only this -->", EmptyDocument)],
)
def test_a_page_without_text_is_refused(markup: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(markup.encode(), name="a.md")


@pytest.mark.parametrize("markup", ["[" * 50_000, "> " * 3_000 + "a", "*a " * 30_000, "|" * 9_000])
def test_hostile_markup_ends(markup: str) -> None:
    assert outcome(markup.encode(), "a.md") in ("read", "refused")
