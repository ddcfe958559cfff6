"""The bound of the answers to assistants, and their cursors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from smallprint import Document, Filing, Page

from services.cli.assistants.answers import (
    MOST_CHARACTERS,
    TEXT_CHARACTERS,
    DocumentItem,
    HitItem,
    StatementItem,
    TextItem,
    WrongCursor,
    bounded,
)
from tests.support.samples import document_json
from tests.unit.cli.builders import Run


def _hit(characters: int) -> HitItem:
    return HitItem(
        document_id="doc_1",
        document="a",
        kind="other",
        page=1,
        start=0,
        untrusted_text="x" * characters,
    )


@pytest.mark.parametrize(
    "sizes", [[], [10], [4_000] * 9, [1, 30_000, 1], [30_000, 30_000], [19_000, 2_000, 19_000]]
)
def test_answers_are_bounded_and_their_cursors_give_each_item_once(sizes: list[int]) -> None:
    items = [_hit(size) for size in sizes]
    answers: list[list[HitItem]] = []
    cursor = None
    while cursor is not None or not answers:
        taken, cursor = bounded(iter(items), cursor)
        answers.append(taken)
    assert [one for answer in answers for one in answer] == items
    assert all(len(answer) == 1 or _characters(answer) <= MOST_CHARACTERS for answer in answers)
    if sum(sizes) > MOST_CHARACTERS:
        assert len(answers) > 1


def _characters(items: list[HitItem]) -> int:
    return sum(len(one.model_dump_json(exclude_none=True)) for one in items)


@pytest.mark.parametrize("cursor", ["", "-1", "1.5", "next", "٣", "9" * 12])
def test_a_wrong_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(WrongCursor):
        bounded(iter([_hit(1)]), cursor)


def test_pages_come_in_pieces_of_their_text() -> None:
    text = "Ä" * 3 + "b" * (TEXT_CHARACTERS + 2)
    pages = [
        Page(page=number, start=start, end=end, width=0, height=0, method="text")
        for number, start, end in ((1, 0, 3), (2, 3, len(text)))
    ]
    pieces = list(TextItem.all_of(pages, text))
    assert [(one.page, one.start, one.end) for one in pieces] == [
        (1, 0, 3),
        (2, 3, TEXT_CHARACTERS + 3),
        (2, TEXT_CHARACTERS + 3, len(text)),
    ]
    assert "".join(one.untrusted_text for one in pieces) == text
    for offset in (0, 2, 3, 1_000, len(text)):
        begun = TextItem.all_of(pages, text, offset)
        assert "".join(one.untrusted_text for one in begun) == text[offset:]


def test_a_long_statement_comes_in_parts_with_its_columns() -> None:
    rows = [{"label": f"Line {number}", "values": [number, None]} for number in range(45)]
    sheet = {
        "statement": "balance_sheet",
        "columns": [{"end": "20241231", "quarters": 0}, {"component": "Retained earnings"}],
        "rows": rows,
    }
    body = {"id": "a", "company": None, "form": None, "period": None}
    filing = Filing.of({**body, "statements": [sheet, {**sheet, "statement": "income"}]})
    parts = list(StatementItem.all_of([filing], "balance_sheet"))
    assert [row.label for part in parts for row in part.rows] == [row["label"] for row in rows]
    assert [row.row for part in parts for row in part.rows] == list(range(45))
    for part in parts:
        when, component = part.columns
        assert (str(when.end), component.component) == ("2024-12-31", "Retained earnings")
    assert len(list(StatementItem.all_of([filing], None))) == 2 * len(parts)


def test_long_names_and_lists_are_cut() -> None:
    body = document_json(name="n" * 5_000, reasons=["r" * 5_000] * 50, warnings=["w"] * 50)
    item = DocumentItem.of(Document.of(body))
    assert len(item.model_dump_json()) < 6_000


@pytest.mark.parametrize(
    ("options", "args", "needs_key"),
    [
        (["--data", "there"], ["--data", "THERE"], False),
        (
            ["--data", "there", "--allow-upload", "."],
            ["--data", "THERE", "--allow-upload", "."],
            False,
        ),
        (["--url", "https://papers.example"], ["--url", "https://papers.example"], True),
    ],
)
def test_on_a_terminal_the_settings_for_an_assistant_are_printed(
    options: list[str],
    args: list[str],
    needs_key: bool,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    code, out, _ = run("mcp", *options)
    server = json.loads(out)["mcpServers"]["smallprint"]
    absolute = {"THERE": str(tmp_path / "there"), ".": str(tmp_path)}
    assert (code, server["args"]) == (0, ["mcp", *(absolute.get(one, one) for one in args)])
    assert Path(server["command"]).is_file()
    assert ("env" in server) == needs_key
