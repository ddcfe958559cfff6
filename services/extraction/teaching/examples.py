"""The examples that a specialist is taught by: one JSON line each, checked to the last offset.

    {"text": "…", "spans": [{"start": 120, "end": 240}], "document": "lease-17"}

`spans` are code points of `text`, half open; an empty list says that the text has no such clause.
Examples of one `document` (or `group`) are never learned from and judged by at once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from shared.errors import SuiteError

FEWEST, MOST = 20, 500
"""Examples that a specialist can be taught by."""
FEWEST_WITH = 5
"""Documents that must have such a clause, one for each fold at least."""
MOST_CHARACTERS = 5_000_000
"""Of all texts together: what two processors read in minutes."""
MOST_BYTES = 8 * MOST_CHARACTERS
"""Of the file."""

Span = tuple[int, int]


class BadExamples(SuiteError):
    """The examples can't be learned from."""

    code = "bad_examples"


class _Wrong(Exception):
    """What is wrong with a line."""


@dataclass(frozen=True)
class Example:
    """One text with the passages in it that are such a clause."""

    line: int  # in the file, from 1
    text: str
    spans: tuple[Span, ...]  # code points, half open, in order, apart from each other
    document: str  # examples of one document stay together

    @property
    def answers(self) -> list[str]:
        """The passages' words."""
        return [self.text[start:end] for start, end in self.spans]


def read_examples(data: bytes, source: str) -> list[Example]:
    """Read and check a file of examples.

    Args:
        data: its bytes, UTF-8, one JSON object a line; blank lines are passed over.
        source: its name, for messages.

    Raises:
        BadExamples: with the line that is at fault, or what the whole lacks.
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
            except _Wrong as error:
                raise BadExamples(f"{source} line {number}: {error}") from None
    _check_whole(examples, source)
    return examples


def _example(line: str, number: int) -> Example:
    """Read one line. Raises _Wrong with what is wrong with it."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _Wrong(f"not JSON ({error})") from None
    if not isinstance(record, dict):
        raise _Wrong('not an object such as {"text": "…", "spans": []}')
    text = record.get("text")
    if not isinstance(text, str) or not text.strip():
        raise _Wrong("`text` must be a string with words in it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _Wrong(f"`text` has half a character at {error.start}") from None
    spans = _spans(record, text)
    document = record.get("document", record.get("group"))
    if document is not None and not isinstance(document, str | int):
        raise _Wrong("`document` must be a string or a whole number")
    return Example(number, text, spans, f"line {number}" if document is None else f"={document}")


def _spans(record: dict[str, Any], text: str) -> tuple[Span, ...]:
    found = record.get("spans")
    if not isinstance(found, list):
        raise _Wrong("`spans` must be a list; an empty one where there is no such clause")
    spans = sorted(_span(one, text) for one in found)
    for (start, end), (following, last) in pairwise(spans):
        if following < end:
            raise _Wrong(f"spans {start}-{end} and {following}-{last} overlap")
    return tuple(spans)


def _span(one: Any, text: str) -> Span:
    if not isinstance(one, dict):
        raise _Wrong('a span must be an object such as {"start": 0, "end": 10}')
    start, end = one.get("start"), one.get("end")
    if type(start) is not int or type(end) is not int:
        raise _Wrong("a span needs `start` and `end`, whole numbers of characters")
    if not 0 <= start < end <= len(text):
        raise _Wrong(f"span {start}-{end} does not lie in the text of {len(text)} characters")
    if not text[start:end].strip():
        raise _Wrong(f"span {start}-{end} has nothing but blanks in it")
    said = one.get("text")
    if said is not None and said != text[start:end]:
        raise _Wrong(
            f"span {start}-{end} says it is {str(said)[:40]!r}, the text there is "
            f"{text[start:end][:40]!r}: count in Unicode code points"
        )
    return start, end


def _check_whole(examples: Sequence[Example], source: str) -> None:
    """See that all examples together can be learned from and judged by."""
    if not examples:
        raise BadExamples(f"{source} has no examples; give {FEWEST} to {MOST}, one JSON line each")
    if not FEWEST <= len(examples) <= MOST:
        few = len(examples) < FEWEST
        raise BadExamples(
            f"{source} has {len(examples)} examples, {FEWEST} to {MOST} can be learned from; "
            + (f"add {FEWEST - len(examples)}" if few else "leave the least typical ones out")
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
            f"{source} has {characters:,} characters of text, at most {MOST_CHARACTERS:,} can be "
            "learned from; give the pages around the clauses instead of whole documents"
        )
    having = {example.document for example in examples if example.spans}
    if not having:
        raise BadExamples(f"{source} has no example with a span, so there is nothing to learn")
    if len(having) < FEWEST_WITH:
        raise BadExamples(
            f"{source} has spans in {len(having)} document(s), at least {FEWEST_WITH} are needed "
            "to learn from some and judge by others"
        )
    if all(_is_covered(example) for example in examples):
        raise BadExamples(
            f"{source}: the spans cover every text whole, so nothing shows what is no such "
            "clause; give the texts around them, and some without any"
        )


def _is_covered(example: Example) -> bool:
    rest, done = [], 0
    for start, end in example.spans:
        rest.append(example.text[done:start])
        done = end
    return not "".join([*rest, example.text[done:]]).strip()
