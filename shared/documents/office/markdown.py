"""Markdown as text: what a page shows that is made from it.

The only module that imports markdown_it, an implementation of CommonMark. Tables and struck
passages are read as GitHub does.
"""

from __future__ import annotations

import re
from dataclasses import replace

from markdown_it import MarkdownIt

from shared.documents.model.formats import MARKDOWN
from shared.documents.model.parsed_document import Limits, ParsedDocument
from shared.documents.model.text import decode
from shared.documents.office.html import read_html

_FRONT_MATTER = re.compile(
    r"\A---[ \t]*\r?\n(?=[\w-]+:).*?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.S
)
"""Fields of a program, such as a title, between two lines of dashes."""
_BLANK = re.compile(r"(?<!\\)_{3,}")
"""A blank of a form, such as `20____`, which would mark letters as bold."""
_DEEPEST = 100  # levels of lists and quotations


def read_markdown(data: bytes, limits: Limits) -> ParsedDocument:
    """Return the text of a Markdown document with cells and warnings, without boxes.

    Raises UnreadableDocument for bytes that are not text, EmptyDocument or NoTextLayer.
    """
    text, warnings = decode(data)
    text = text.removeprefix("\ufeff")
    parser = MarkdownIt("commonmark", {"maxNesting": _DEEPEST})
    source = _BLANK.sub(lambda blank: r"\_" * len(blank[0]), _FRONT_MATTER.sub("", text))
    html = parser.enable(["table", "strikethrough"]).render(source)
    # The mark says that it is UTF-8, whatever its own markup declares.
    reading = read_html(f"\ufeff{html}".encode(), limits)
    return replace(reading, media_type=MARKDOWN, warnings=(*warnings, *reading.warnings))
