"""Reading and refusing files of examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.extraction.teaching.examples import MOST_CHARACTERS, BadExamples, read_examples
from tests.unit.extraction.teaching.made import file_of, records

Records = list[dict[str, Any]]


def test_examples_are_read_as_they_stand() -> None:
    made = records()
    data = b"\xef\xbb\xbf" + file_of(made).replace(b"\n", b"\r\n\r\n", 1)
    found = read_examples(data, "a.jsonl")
    assert [example.text for example in found] == [one["text"] for one in made]
    assert found[0].answers == [
        made[0]["text"][made[0]["spans"][0]["start"] : made[0]["spans"][0]["end"]]
    ]
    assert found[1].line == 3
    assert found[2].spans == ()


def test_offsets_are_code_points() -> None:
    made = records()
    made[0] = {"text": "\U0001f4dc Keep it secret.", "spans": [{"start": 2, "end": 16}]}
    assert read_examples(file_of(made), "a.jsonl")[0].answers == ["Keep it secret"]


def test_a_line_without_a_document_is_its_own_document() -> None:
    made = records()
    del made[0]["document"]
    made[1]["document"] = "line 1"
    made[3]["group"] = made[3].pop("document")
    found = read_examples(file_of(made), "a.jsonl")
    assert found[0].document != found[1].document
    assert found[3].document == "=d3"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "line 4: not JSON"),
        ("[]", "line 4: not an object"),
        ('{"spans": []}', "line 4: `text` must be a string"),
        ('{"text": "  ", "spans": []}', "line 4: `text` must be a string with words"),
        ('{"text": "a \\ud800", "spans": []}', "line 4: `text` has half a character at 2"),
        ('{"text": "a"}', "line 4: `spans` must be a list"),
        ('{"text": "a", "spans": [3]}', "line 4: a span must be an object"),
        ('{"text": "a", "spans": [{"start": 0}]}', "needs `start` and `end`"),
        ('{"text": "a", "spans": [{"start": false, "end": true}]}', "needs `start` and `end`"),
        ('{"text": "abc", "spans": [{"start": 1, "end": 4}]}', "span 1-4 is outside the text"),
        ('{"text": "abc", "spans": [{"start": -1, "end": 2}]}', "is outside the text of 3"),
        ('{"text": "abc", "spans": [{"start": 2, "end": 2}]}', "is outside the text"),
        ('{"text": "a  b", "spans": [{"start": 1, "end": 3}]}', "nothing but blanks"),
        (
            '{"text": "abcdef", "spans": [{"start": 2, "end": 6}, {"start": 0, "end": 3}]}',
            "spans 0-3 and 2-6 overlap",
        ),
        (
            '{"text": "abc", "spans": [{"start": 0, "end": 2, "text": "bc"}]}',
            "says it is 'bc', the text there is 'ab'",
        ),
        ('{"text": "abc", "spans": [], "document": [1]}', "`document` must be"),
    ],
)
def test_a_wrong_line_is_named(line: str, message: str) -> None:
    lines = file_of(records()).decode().split("\n")
    lines[3] = line
    with pytest.raises(BadExamples, match=r"a\.jsonl line 4") as caught:
        read_examples("\n".join(lines).encode(), "a.jsonl")
    assert message in caught.value.message


def test_bytes_that_are_not_utf_8_are_named_by_line() -> None:
    data = file_of(records()[:2]) + '{"text": "caf\xe9"}\n'.encode("latin-1")
    with pytest.raises(BadExamples, match="line 3: not UTF-8"):
        read_examples(data, "a.jsonl")


def _without_spans(made: Records) -> Records:
    return [{**one, "spans": []} for one in made]


def _of_four_documents(made: Records) -> Records:
    return [{**one, "document": f"d{i % 4}"} for i, one in enumerate(made)]


def _twice(made: Records) -> Records:
    return [*made, made[4]]


def _covered(made: Records) -> Records:
    spans = ([{"start": 0, "end": len(one["text"])}] for one in made)
    return [{**one, "spans": span} for one, span in zip(made, spans, strict=True)]


def _long(made: Records) -> Records:
    return [{**made[0], "text": made[0]["text"] + " more" * (MOST_CHARACTERS // 5)}, *made[1:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: [], "has no examples; give 20 to 500"),
        (lambda made: made[:19], "has 19 examples, but training needs 20 to 500: add 1"),
        (lambda made: made * 30, "has 720 examples"),
        (_without_spans, "no example with a span"),
        (_of_four_documents, "at least 5 documents are needed"),
        (_twice, "line 25: the same text as line 5"),
        (_covered, "cover every text completely"),
        (_long, "the limit is 5,000,000"),
    ],
)
def test_faults_of_the_whole_set_are_named(
    change: Callable[[Records], Records], message: str
) -> None:
    with pytest.raises(BadExamples) as caught:
        read_examples(file_of(change(records())), "a.jsonl")
    assert message in caught.value.message
