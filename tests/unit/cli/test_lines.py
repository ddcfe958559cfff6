"""Result lines and exit codes."""

import io
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from services.cli.output.lines import (
    MOST_WARNINGS,
    OutputClosed,
    OutputWriter,
    error_of,
    pasteable,
    plain,
    program,
    to_json,
    warnings,
    wrapped,
    write,
)
from services.cli.output.progress import Progress
from services.cli.output.tables import findings, results, watched
from services.cli.output.terminal import table
from shared.errors import EmptyDocument

GOOD: dict[str, Any] = {"source": "a.pdf"}
FLAGGED: dict[str, Any] = {"source": "c.json", "flagged": True}
BAD: dict[str, Any] = {"source": "b.pdf", "error": {"type": "empty_document", "detail": "no bytes"}}


def _table(line: Mapping[str, Any]) -> Iterable[str]:
    return [f"table of {line['source']}"]


@pytest.mark.parametrize(
    ("lines", "code"), [([GOOD], 0), ([GOOD, BAD], 1), ([BAD, GOOD], 1), ([BAD], 2), ([], 0)]
)
def test_the_exit_code_says_how_many_worked(
    lines: list[dict[str, Any]], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = OutputWriter(as_json=True, table=_table)
    for line in lines:
        printed.result(line)
    assert printed.exit_code == code


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([FLAGGED, GOOD], 3),
        ([{**GOOD, "parts": [{"filings": [FLAGGED]}]}], 3),
        ([{**FLAGGED, "flagged": False}], 0),
        ([FLAGGED, BAD], 1),
    ],
)
def test_a_flagged_report_can_change_the_exit_code(lines: list[dict[str, Any]], code: int) -> None:
    for fail_on_flagged in (True, False):
        printed = OutputWriter(as_json=True, table=_table, fail_on_flagged=fail_on_flagged)
        for line in lines:
            printed.result(line)
        assert printed.exit_code == (code if fail_on_flagged or code != 3 else 0)


def test_json_lines_are_alone_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    printed = OutputWriter(as_json=True, table=_table)
    for line in (GOOD, BAD, GOOD):
        printed.result(line)
    out, err = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [GOOD, BAD, GOOD]
    assert err == ""


def test_a_person_sees_tables_and_failures_apart(capsys: pytest.CaptureFixture[str]) -> None:
    printed = OutputWriter(as_json=False, table=_table)
    printed.result(GOOD)
    printed.result(BAD)
    assert capsys.readouterr() == ("table of a.pdf\n", "b.pdf: no bytes\n")


@pytest.mark.parametrize("known", [True, False])
def test_a_command_in_a_hint_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    own = tmp_path / "my tools" / "smallprint"
    own.parent.mkdir()
    own.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(own.with_name("python")))
    monkeypatch.setenv("PATH", str(own.parent) if known else str(tmp_path))
    program.cache_clear()
    shown = pasteable("none yet: `smallprint upload FILE` by smallprint")
    program.cache_clear()
    command = "smallprint" if known else f"'{own}'"
    assert shown == f"none yet: `{command} upload FILE` by smallprint"


def test_numbers_and_letters_pass_through_json() -> None:
    line = {"confidence": 0.1 + 0.2, "text": "§ 5 – “Term”"}
    assert json.loads(to_json(line)) == line
    assert "§ 5".encode() in to_json(line)


def test_a_file_name_that_is_not_utf_8_does_not_break_the_line() -> None:
    line = {"source": b"caf\xe9.pdf".decode("utf-8", "surrogateescape")}
    assert json.loads(to_json(line).decode("ascii")) == line


def test_nan_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json({"confidence": float("nan")})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a  b\n\tc", "a b c"),
        ("\x1b]0;owned\x07x", "\ufffd]0;owned\ufffdx"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("Großbuchstaben § 5", "Großbuchstaben § 5"),
    ],
)
def test_no_document_steers_the_terminal(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_errors_have_a_type_and_a_sentence() -> None:
    assert error_of(EmptyDocument("no bytes")) == {"type": "empty_document", "detail": "no bytes"}
    assert error_of(KeyError("x")) == {"type": "internal", "detail": "KeyError: 'x'"}


class Gone(io.RawIOBase):
    """A pipe whose reader has left."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raise BrokenPipeError


def test_warnings_name_the_part_that_they_are_about() -> None:
    parts = [
        {"source": "a.zip/b.pdf", "error": {"type": "broken", "detail": "it is damaged"}},
        {"source": "a.zip/c.pdf", "filings": [{"warnings": ["no statements"]}, {"warnings": []}]},
    ]
    line = {"source": "a.zip", "warnings": list("1234"), "parts": parts}
    numbered = [f"! a.zip: {number}" for number in range(1, MOST_WARNINGS + 1)]
    of_parts = ["! a.zip/b.pdf: it is damaged", "! a.zip/c.pdf: no statements"]
    assert warnings(line) == [*numbered, *of_parts]


def test_a_reader_that_leaves_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(Gone())))
    with pytest.raises(OutputClosed):
        write(b"x\n")
    monkeypatch.undo()


class Terminal(io.StringIO):
    """Standard error on a screen."""

    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_is_a_bar_that_disappears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with Progress(3, "reading", stream) as progress:
        progress.at("[red]lease\x1b[/red].pdf")
        progress.step()
    shown = stream.getvalue()
    assert "reading" in shown
    assert "0/3" in shown
    assert "[red]lease\ufffd[/red].pdf" in shown
    assert shown.endswith("\x1b[2K")  # the line is cleared


@pytest.mark.parametrize(
    ("files", "seconds", "rows"), [(3, 1.0, 0), (25, 0.1, 3), (25, 6.0, 13), (4, 30.0, 4)]
)
def test_progress_in_a_log_is_a_line_now_and_then(files: int, seconds: float, rows: int) -> None:
    stream, now = io.StringIO(), 0.0
    with Progress(files, "reading", stream, clock=lambda: now) as progress:
        for number in range(files):
            progress.at(f"lease\x1b{number}.pdf")
            now += seconds
            progress.step()
    written = stream.getvalue().splitlines()
    assert len(written) == rows
    assert all(row.startswith("smallprint: reading ") and "\x1b" not in row for row in written)
    assert not written or f" {files}/{files}  done" in written[-1]


def test_a_terminal_cuts_the_last_column_and_prints_markup_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    rows = [("Parties", "7", "[red]x[/red]"), ("Governing Law", "12", "y" * 500)]
    first, second = table(rows, right=[1])
    assert first == "  Parties         7  [red]x[/red]"
    assert second == f"  Governing Law  12  {'y' * 18}…"
    monkeypatch.undo()
    assert table(rows)[1].endswith("y" * 500)
    assert table([("a", "", "b")]) == ["  a  b"]  # without the empty column


def test_a_terminal_breaks_a_long_first_column(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("Survival of confidentiality obligations", "y" * 500)]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    *_, last = lines = table(rows, wrapped=0)
    assert [line.split()[0] for line in lines] == ["Survival", "confidentiality", "obligations"]
    assert last.endswith(f"{'y' * 30}…")
    monkeypatch.undo()
    assert len(table(rows, wrapped=0)) == 1


@pytest.mark.parametrize(
    ("row", "lines"),
    [
        ("  the first and the second", ["  the first and the", "    second"]),
        ("see doc_7d7d985ee76942d8aa", ["see", "  doc_7d7d985ee76942d8aa"]),
        ("run `smallprint show it` first", ["run", "  `smallprint show it`", "  first"]),
        ("twenty characters ok", ["twenty characters ok"]),
    ],
)
def test_a_terminal_breaks_lines_between_words(
    row: str, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert wrapped(row, Terminal()).split("\n") == lines
    assert wrapped(row, io.StringIO()) == row


def test_a_table_of_clauses_is_for_reading() -> None:
    line: dict[str, Any] = {
        "source": "lease.pdf",
        "document": {"pages": 12, "failed_pages": [{"page": 3}]},
        "models": [{"adapter": "contract-clauses", "version": "1.0.0", "threshold": 0.5}],
        "timings": {"total": 2.34},
        "warnings": ["page 3 has no text"],
        "clauses": [
            {"category": "Parties", "page": 1, "confidence": 0.987, "text": "Acme\n\x1b[1mInc."},
            {"category": "Governing Law", "page": 11, "confidence": 0.6, "text": "x" * 500},
        ],
    }
    for clause in line["clauses"]:
        clause["adapter"] = "contract-clauses"
    rows = list(results(line))
    assert rows[0] == "lease.pdf  (12 pages, 1 of them unreadable, 2.3 s)"
    assert rows[1] == "  ! page 3 has no text"
    assert rows[2].split() == ["category", "page", "confidence", "words"]
    assert rows[3].split() == ["Parties", "1", "0.99", "Acme", "\ufffd[1mInc."]
    assert rows[4].endswith(" " + "x" * 500)  # in a pipe text is whole
    assert "2 clauses by contract-clauses 1.0.0" in rows[5]
    line["clauses"][1]["confidence"] = 0.004  # with --all
    rows = list(results(line))
    assert rows[4].split()[2:4] == ["11", "0.004"]
    assert "1 clause and 1 unlikely one by contract-clauses 1.0.0" in rows[5]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ({"clauses": [1, 2], "parts": []}, "2 clauses"),
        ({"clauses": [], "parts": [{"clauses": [1]}, {"error": {}}]}, "2 parts with 1 clause"),
        ({"filings": [{"findings": [1]}, {}]}, "1 finding"),
        ({"filings": []}, "0 findings"),
        (
            {"clauses": [], "parts": [{"parts": [{"clauses": [1]}]}, {"filings": [{}]}]},
            "2 parts with 1 clause",
        ),
    ],
)
def test_a_watched_mail_counts_the_results_of_its_parts(line: dict[str, Any], found: str) -> None:
    line |= {"source": "in/a", "moved_to": "in/done/a"}
    assert next(iter(watched(line))) == f"in/a  {found}, moved to in/done/a"


def test_a_failed_file_is_named_with_its_new_place(capsys: pytest.CaptureFixture[str]) -> None:
    lines = OutputWriter(as_json=False, table=_table)
    lines.result({**BAD, "moved_to": "in/failed/b.pdf"})
    assert capsys.readouterr().err == "b.pdf: no bytes. Moved to in/failed/b.pdf\n"


def test_a_table_of_findings_is_for_reading() -> None:
    finding = {
        "check": "balance equation",
        "statement": "balance_sheet",
        "confidence": 0.9,
        "message": "assets 10 are not liabilities and equity 9; " + "so " * 100 + "it ends.",
    }
    line = {"source": "f.json", "id": "acme", "flagged": True, "risk": 0.9, "findings": [finding]}
    rows = list(findings(line))
    assert rows[0] == "f.json  acme  (flagged, risk 0.90)"
    assert rows[1] == "  Balance sheet: balance equation (confidence 0.90)"
    assert rows[2].startswith("    assets 10 are not")
    assert max(map(len, rows)) <= 100
    assert " ".join("".join(rows[2:]).split()).endswith("so it ends.")
