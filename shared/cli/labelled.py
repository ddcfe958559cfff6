"""Documents with labels, one a line of JSON: what is right about them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.cli.files import read_file
from shared.errors import InvalidRequest

MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class LabelledDocument:
    """A text, and the passages that are clauses of a category.

    Args:
        group: what documents share that are alike: one name, one draw of the intervals.
        learned: whether a line says that it is one to learn from (`"split": "train"`).
    """

    id: str
    text: str
    group: str
    answers: Mapping[str, Sequence[str]]
    learned: bool


def read_labelled(path: str) -> list[LabelledDocument]:
    """Read JSON lines, packed or not: `{"text": …, "annotations": [{"category", "start", "end"}]}`,
    or with `text` in place of the offsets; `id`, and `family` (or `group`) where there are any. A
    text that comes again is left out.

    Raises:
        NotFound, UnreadableFile: as `read_file` does.
        InvalidRequest: a line is something else; the message names it.
    """
    data = read_file(path, MOST_BYTES)
    if Path(path).suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise InvalidRequest(f"{path} can't be unpacked: {error}", document=path) from None
    documents: dict[str, LabelledDocument] = {}
    for number, line in enumerate(data.splitlines(), start=1):
        if line.strip():
            document = _document(f"{path}, line {number}", number, line)
            documents.setdefault(document.text, document)
    if not documents:
        raise InvalidRequest(f"{path} has no line", document=path)
    return list(documents.values())


def _document(where: str, number: int, line: bytes) -> LabelledDocument:
    try:
        record = json.loads(line)
    except ValueError:
        raise InvalidRequest(f"{where} is no JSON", document=where) from None
    if not (isinstance(record, dict) and isinstance(record.get("text"), str)):
        raise InvalidRequest(f"{where} has no `text`", document=where)
    if not isinstance(record.get("annotations"), list):
        raise InvalidRequest(
            f"{where} has no `annotations`: the list of its clauses, empty if it has none",
            document=where,
        )
    answers: dict[str, list[str]] = {}
    for category, text in _annotations(where, record["text"], record["annotations"]):
        answers.setdefault(category, []).append(text)
    name = str(record.get("id") or number)
    group = str(record.get("family") or record.get("group") or name)
    return LabelledDocument(name, record["text"], group, answers, record.get("split") == "train")


def _annotations(where: str, text: str, notes: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Category and words of each, which the text has."""
    for place, note in enumerate(notes):
        known = note if isinstance(note, dict) else {}
        category, words = known.get("category"), known.get("text")
        start, end = known.get("start"), known.get("end")
        if isinstance(start, int) and isinstance(end, int):
            there = text[start:end] if 0 <= start < end <= len(text) else None
            words = there if words in (None, there) else None
        elif not (isinstance(words, str) and words and words in text):
            words = None
        if not (isinstance(category, str) and category and words):
            raise InvalidRequest(
                f"{where}, annotation {place}: it needs a `category`, and words of the text, by "
                "`start` and `end` (in code points), or as `text`",
                document=where,
            )
        yield category, words


def read_definitions(path: str) -> dict[str, str]:
    """What each category asks: one JSON object. Raises InvalidRequest for anything else."""
    try:
        found = json.loads(read_file(path, MOST_BYTES))
    except ValueError:
        found = None
    if not (isinstance(found, dict) and all(isinstance(text, str) for text in found.values())):
        raise InvalidRequest(f"{path} is not one JSON object of texts", document=path)
    return found


def chosen(labels: Sequence[str], categories: Sequence[str]) -> list[str]:
    """The categories that are asked, in the order of the labels; all where none is named.

    Raises InvalidRequest for one that is no label.
    """
    if unknown := sorted(set(categories).difference(labels)):
        raise InvalidRequest(
            f"the specialist knows no category {unknown[0]!r}: it has {', '.join(labels)}"
        )
    return [label for label in labels if label in categories or not categories]
