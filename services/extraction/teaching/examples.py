"""Read and check the examples for a taught specialist: one JSON line each.

    {"text": "…", "spans": [{"start": 120, "end": 240}], "document": "lease-17"}

`spans` are half-open ranges of code points in `text`. An empty list means that the text has no
clause of the taught type.
Examples of one `document` (or `group`) stay in one fold.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from shared.errors import SuiteError

FEWEST, MOST = 20, 500
"""Least and most number of examples."""
FEWEST_WITH = 5  # least number of documents with a span: one for each fold
MOST_CHARACTERS = 5_000_000  # of all texts; two cores encode them in minutes
MOST_BYTES = 8 * MOST_CHARACTERS  # of the file

Span = tuple[int, int]


class BadExamples(SuiteError):
    """The examples can't be learned from."""

    code = "bad_examples"


class _InvalidLine(Exception):
    """A line of the file is invalid."""


@dataclass(frozen=True)
class Example:
    """One text with the passages that are clauses of the taught type."""

    line: int  # in the file, from 1
    text: str
    spans: tuple[Span, ...]  # half-open ranges of code points, ascending, without overlaps
    document: str  # examples of one document stay together

    @property
    def answers(self) -> list[str]:
        """The texts of the marked passages: the right answers for this example."""
        return [self.text[start:end] for start, end in self.spans]


def read_examples(data: bytes, source: str) -> list[Example]:
    """Read and check a file of examples; `source` is its name in messages.

    Raises BadExamples, which names the wrong line or says what the file lacks.
    """
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadExamples(f"{source} line {line}: not UTF-8; save the file as UTF-8") from None
    examples = []
    for number, row in enumerate(content.split("\n"), 1):
        if row.strip():
            try:
                examples.append(_example(row, number))
            except _InvalidLine as error:
                raise BadExamples(f"{source} line {number}: {error}") from None
    _check_whole(examples, source)
    return examples


def _example(line: str, number: int) -> Example:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _InvalidLine(f"not JSON ({error})") from None
    if not isinstance(record, dict):
        raise _InvalidLine('not an object such as {"text": "…", "spans": []}')
    text = record.get("text")
    if not isinstance(text, str) or not text.strip():
        raise _InvalidLine("`text` must be a string with words in it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _InvalidLine(f"`text` has half a character at {error.start}") from None
    spans = _spans(record, text)
    document = record.get("document", record.get("group"))
    if document is not None and not isinstance(document, str | int):
        raise _InvalidLine("`document` must be a string or a whole number")
    return Example(number, text, spans, f"line {number}" if document is None else f"={document}")


def _spans(record: dict[str, Any], text: str) -> tuple[Span, ...]:
    found = record.get("spans")
    if not isinstance(found, list):
        raise _InvalidLine("`spans` must be a list; an empty one where there is no such clause")
    spans = sorted(_span(one, text) for one in found)
    for (start, end), (following, last) in pairwise(spans):
        if following < end:
            raise _InvalidLine(f"spans {start}-{end} and {following}-{last} overlap")
    return tuple(spans)


def _span(one: Any, text: str) -> Span:
    if not isinstance(one, dict):
        raise _InvalidLine('a span must be an object such as {"start": 0, "end": 10}')
    start, end = one.get("start"), one.get("end")
    if type(start) is not int or type(end) is not int:
        raise _InvalidLine("a span needs `start` and `end`, whole numbers of characters")
    if not 0 <= start < end <= len(text):
        raise _InvalidLine(f"span {start}-{end} is outside the text of {len(text)} characters")
    if not text[start:end].strip():
        raise _InvalidLine(f"span {start}-{end} has nothing but blanks in it")
    quoted = one.get("text")
    if quoted is not None and quoted != text[start:end]:
        raise _InvalidLine(
            f"span {start}-{end} says it is {str(quoted)[:40]!r}, the text there is "
            f"{text[start:end][:40]!r}: count in Unicode code points"
        )
    return start, end


def _check_whole(examples: Sequence[Example], source: str) -> None:
    if not examples:
        raise BadExamples(f"{source} has no examples; give {FEWEST} to {MOST}, one JSON line each")
    if not FEWEST <= len(examples) <= MOST:
        few = len(examples) < FEWEST
        raise BadExamples(
            f"{source} has {len(examples)} examples, but training needs {FEWEST} to {MOST}: "
            + (f"add {FEWEST - len(examples)}" if few else "leave out the least typical ones")
        )
    seen: dict[str, int] = {}
    for example in examples:
        if example.text in seen:
            raise BadExamples(
                f"{source} line {example.line}: the same text as line {seen[example.text]}; "
                "keep one of them"
            )
        seen[example.text] = example.line
    characters = sum(len(example.text) for example in examples)
    if characters > MOST_CHARACTERS:
        raise BadExamples(
            f"{source} has {characters:,} characters of text, but the limit is "
            f"{MOST_CHARACTERS:,}: give the pages around the clauses instead of whole documents"
        )
    having = {example.document for example in examples if example.spans}
    if not having:
        raise BadExamples(f"{source} has no example with a span, so there is nothing to learn")
    if len(having) < FEWEST_WITH:
        raise BadExamples(
            f"{source} has spans in {len(having)} document(s): at least {FEWEST_WITH} documents "
            "are needed, to train on some and to test on others"
        )
    if all(_is_covered(example) for example in examples):
        raise BadExamples(
            f"{source}: the spans cover every text completely, so there is no counterexample; "
            "give the surrounding texts, and some texts without a span"
        )


def _is_covered(example: Example) -> bool:
    uncovered, done = [], 0
    for start, end in example.spans:
        uncovered.append(example.text[done:start])
        done = end
    return not "".join([*uncovered, example.text[done:]]).strip()
