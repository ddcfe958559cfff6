"""Documents with labels, as JSON lines."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.cli.documents.files import read_file
from shared.errors import InvalidRequest

MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class LabelledDocument:
    """A text, and the passages that are clauses of a category.

    Args:
        group: shared by similar documents, which the bootstrap draws together.
        learned: whether the line is for training (`"split": "train"`).
    """

    id: str
    text: str
    group: str
    answers: Mapping[str, Sequence[str]]
    learned: bool


def read_labelled(path: str) -> list[LabelledDocument]:
    """Read JSON lines, with gzip or not: `{"text": …, "annotations": [{"category", "start",
    "end"}]}`, or with `text` instead of offsets. `id`, and `family` or `group`, are optional.
    Repeated texts are left out.

    Raises:
        NotFound, UnreadableFile: as `read_file` does.
        InvalidRequest: a line has another form; the message names it.
    """
    data = read_file(path, MOST_BYTES)
    if data.startswith(b"\x1f\x8b"):
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
        raise InvalidRequest(f"{where} is not JSON", document=where) from None
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
    """Category and text of each annotation. Raises InvalidRequest."""
    for number, note in enumerate(notes):
        annotation = note if isinstance(note, dict) else {}
        category, words = annotation.get("category"), annotation.get("text")
        start, end = annotation.get("start"), annotation.get("end")
        if isinstance(start, int) and isinstance(end, int):
            covered = text[start:end] if 0 <= start < end <= len(text) else None
            words = covered if words in (None, covered) else None
        elif not (isinstance(words, str) and words and words in text):
            words = None
        if not (isinstance(category, str) and category and words):
            raise InvalidRequest(
                f"{where}, annotation {number}: it needs a `category`, and words of the text, by "
                "`start` and `end` (in code points), or as `text`",
                document=where,
            )
        yield category, words


def read_definitions(path: str) -> dict[str, str]:
    """The question of each category, from a JSON object. Raises InvalidRequest."""
    try:
        definitions = json.loads(read_file(path, MOST_BYTES))
    except ValueError:
        definitions = None
    if not (
        isinstance(definitions, dict)
        and all(isinstance(text, str) for text in definitions.values())
    ):
        raise InvalidRequest(f"{path} is not one JSON object of texts", document=path)
    return definitions


def chosen_categories(labels: Sequence[str], categories: Sequence[str]) -> list[str]:
    """The chosen categories in the order of the labels; all if none is named.

    Raises InvalidRequest for an unknown one.
    """
    if unknown := sorted(set(categories).difference(labels)):
        raise InvalidRequest(
            f"the specialist has no category {unknown[0]!r}: choose from {', '.join(labels)}"
        )
    return [label for label in labels if label in categories or not categories]
