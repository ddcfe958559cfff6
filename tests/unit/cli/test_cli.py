"""The command as a caller sees it: standard output, standard error, exit code."""

import ast
import json
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from services import cli
from services.cli import finder, up
from shared.cli import tables
from shared.errors import SuiteError
from tests.samples import filing
from tests.support import ROOT
from tests.unit.documents.books import book, row, sheet, text
from tests.unit.documents.scanned import WORDS, need_engine, pdf_of, picture
from tests.unit.extraction_service.house import TERMS, KeywordSpecialists
from tests.unit.ingest.house import pdf
from tests.unit.triage.filings import find_row, record
from tests.unit.triage.reading import samples
from tests.unit.triage.test_history import a_year_later

OFFICE = sorted(
    path.with_suffix("")
    for path in (ROOT / "tests" / "data" / "documents" / "office").glob("agreement.*.txt")
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs the command in this process."""

    def go(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["smallprint", *map(str, arguments)])
        code = cli.main()
        out, err = capsysbinary.readouterr()
        return code, out.decode(), err.decode()

    return go


def _lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize(
    "command",
    [
        *("", "extract", "text", "triage", "statements", "batch", "watch", "teach"),
        *("up", "doctor", "keys", "keys new", "keys list"),
        *("dlq", "dlq ls", "dlq show", "dlq replay", "dlq drop"),
    ],
)
def test_help_says_what_a_command_does(run: Run, command: str) -> None:
    """Every command explains itself in a sentence and exits with 0."""
    code, out, _ = run(*command.split(), "--help")
    assert code == 0
    assert "Usage: smallprint" in out
    assert len(out.splitlines()[2].strip()) > 20


@pytest.mark.parametrize(
    "command",
    ["", "extract", "text", "triage", "statements", "batch", "watch", "teach", "up", "keys", "dlq"],
)
def test_help_shows_examples(run: Run, command: str) -> None:
    """Help has a line that can be copied."""
    _, out, _ = run(*command.split(), "--help")
    assert f"smallprint {command}".strip() in out.split("Example")[1]


def test_help_loads_nothing_heavy() -> None:
    """The command's own files import no service and no heavy library before it runs a command."""
    program = (
        "import sys; import services.cli; "
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('fastapi', 'sqlalchemy', 'numpy', 'onnxruntime', 'pydantic', 'httpx', 'uvicorn') "
        "or m.startswith('services.') "
        "and not m.startswith('services.cli.') "
        "and m not in ('services.cli', 'services.upkeep')])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ast.literal_eval(done.stdout) == [], done.stderr


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["extract"], ["triage", "--nonsense", "x"], ["up", "--port", "x"]]
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: list[str]) -> None:
    """A mistake in the call prints how it is called, on standard error."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Usage:" in err


def test_triage_prints_one_line_a_filing_in_order(run: Run, tmp_path: Path) -> None:
    """Several files, several filings: each line names its source and its id."""
    one, many = tmp_path / "one.json", tmp_path / "many.jsonl"
    one.write_text(json.dumps(filing("a")))
    many.write_text("".join(json.dumps(filing(name)) + "\n" for name in "bc"))
    code, out, err = run("triage", one, many, "--json")
    lines = _lines(out)
    assert (code, err) == (0, "")
    assert [(line["source"], line["id"]) for line in lines] == [
        (str(one), "a"),
        (str(many), "b"),
        (str(many), "c"),
    ]
    for line in lines:
        assert line["flagged"] is True
        assert line["findings"][0]["statement"] == "balance_sheet"
        assert set(line["timings"]) == {"read", "find", "total"}


def test_a_bad_line_costs_only_itself(run: Run, tmp_path: Path) -> None:
    """A line that is no filing is an error line, the next goes on, and the exit code is 1."""
    path = tmp_path / "f.jsonl"
    path.write_text(f"{json.dumps(filing('a'))}\nnot json\n{json.dumps(filing('b'))}\n")
    code, out, _ = run("triage", path, "--json")
    assert code == 1
    assert ["error" in line for line in _lines(out)] == [False, True, False]


def test_files_that_fail_are_error_lines_in_their_place(run: Run, tmp_path: Path) -> None:
    """Missing, empty, a folder, a type that is not read: each says so, and order is kept."""
    good, empty, image = tmp_path / "f.json", tmp_path / "e.json", tmp_path / "i.json"
    good.write_text(json.dumps(filing("a")))
    empty.touch()
    image.write_bytes(b"\x89PNG\r\n\x1a\n")
    code, out, _ = run("triage", "missing", tmp_path, empty, good, image, "--json")
    lines = _lines(out)
    assert code == 1
    assert [line["source"] for line in lines] == [
        "missing",
        str(tmp_path),
        str(empty),
        str(good),
        str(image),
    ]
    assert [line.get("error", {}).get("type") for line in lines][:2] == [
        "not_found",
        "unreadable_file",
    ]
    assert "error" in lines[2]
    assert "error" not in lines[3]
    assert "error" in lines[4]


def test_if_none_works_the_exit_code_is_2(run: Run) -> None:
    """All failed is told apart from some failed."""
    code, out, _ = run("triage", "missing", "also-missing", "--json")
    assert code == 2
    assert len(_lines(out)) == 2


def test_a_person_gets_a_table_and_is_told_that_it_is_no_advice(run: Run, tmp_path: Path) -> None:
    """Without --json there are sentences, and the line that lawyers and auditors must see."""
    path = tmp_path / "f.json"
    path.write_text(json.dumps(filing("acme-2023")))
    code, out, err = run("triage", path)
    assert code == 0
    assert "acme-2023  (flagged" in out
    assert "no legal or audit advice" in err


GERMAN = "Bilanz (in Tausend),2023\nUmlaufvermögen,100\nAnlagevermögen,200\nSumme Aktiva,310\n"


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("balance", "none of its statements is of a kind that is checked"),
        ("balance_sheet", "no sum and no other relation was told between its lines"),
    ],
)
def test_data_in_which_nothing_could_be_checked_is_not_called_clean(
    run: Run, tmp_path: Path, kind: str, why: str
) -> None:
    """Its line is kept, and says so in words and for programs."""
    rows = [
        {"label": label, "values": [amount]}
        for label, amount in (("Umlaufvermögen", 100), ("Anlagevermögen", 200), ("Summe", 310))
    ]
    statement = {"statement": kind, "columns": [{"end": "20231231"}], "rows": rows}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"statements": [statement]}))
    code, out, _ = run("triage", path)
    assert code == 0
    assert "a  (nothing was checked)" in out
    assert "nothing to flag" not in out
    assert f"! nothing was checked: {why}" in " ".join(out.split())
    (line,) = _lines(run("triage", path, "--json")[1])
    assert (line["flagged"], line["checked"], line["findings"]) == (False, False, [])
    assert line["warnings"][0].startswith(f"nothing was checked: {why}")


def test_a_table_without_a_statement_that_is_known_has_failed(run: Run, tmp_path: Path) -> None:
    """As any document without statements has, with the reason."""
    path = tmp_path / "german.csv"
    path.write_text(GERMAN)
    code, out, err = run("triage", path)
    assert (code, out) == (2, "")
    assert "'Bilanz (in Tausend)': not a kind of statement" in err
    assert "no balance sheet, income statement or cash flow statement" in err


def test_a_person_reads_the_warnings_too(run: Run, tmp_path: Path) -> None:
    """Those of the file, and those about earlier reports."""
    later, first = a_year_later(), tmp_path / "first.json"
    first.write_text(json.dumps(record()))
    for label, more in (("Accounts receivable, net", -137_000_000), ("Inventories", 137_000_000)):
        part, row = find_row(later, "balance_sheet", label)
        part["rows"][row]["values"][1] += more
    part["rows"][0]["values"] = ["x", None]
    path = tmp_path / "later.json"
    path.write_text(json.dumps(later))
    _, out, _ = run("triage", path, "--history", first)
    said = " ".join(out.split())
    assert "! balance_sheet row 1 column 1, " in said
    assert ": 'x' is not an amount, left out" in said
    assert "! balance_sheet (2023-12-31): 2 of 16 lines are not as in f1" in said


def test_a_finding_is_not_called_nothing() -> None:
    """What does not flag a report is there all the same."""
    finding = {"check": "income_sums", "statement": "income", "confidence": 0.86, "message": "m"}
    line = {"source": "a.pdf", "id": "a", "flagged": False, "risk": 0.86, "findings": [finding]}
    first, *rest = tables.findings(line)
    assert first == "a.pdf  a  (below what flags a report, risk 0.86; 1 finding)"
    assert rest[0].split() == ["income_sums", "income", "0.86"]
    assert next(tables.findings({**line, "findings": []})).endswith("(nothing to flag, risk 0.86)")
    assert next(tables.findings({**line, "flagged": True})).endswith("(flagged, risk 0.86)")


@pytest.mark.parametrize("content", ["plain\nline two\n", "crlf\r\nline\r", "Ünïcödé 𝒜 – no end"])
def test_text_prints_a_text_file_as_it_is(run: Run, tmp_path: Path, content: str) -> None:
    """Nothing is added, translated or taken away, so offsets count exactly this."""
    path = tmp_path / "a.txt"
    path.write_bytes(content.encode())
    code, out, err = run("text", path)
    assert (code, out, err) == (0, content, "")


@pytest.mark.parametrize("path", OFFICE, ids=lambda path: path.name)
def test_text_prints_what_a_word_processor_or_browser_shows(run: Run, path: Path) -> None:
    """The text that offsets count, character by character; that it had changes is said beside."""
    code, out, err = run("text", path)
    assert code == 0
    assert ("tracked changes (1 insertion" in err) == (path.suffix in (".docx", ".odt", ".rtf"))
    assert out.encode() == path.with_name(f"{path.name}.txt").read_bytes()


def test_text_of_nothing_is_one_sentence(run: Run, tmp_path: Path) -> None:
    """A file without text is said to be so, without a traceback."""
    path = tmp_path / "a.txt"
    path.touch()
    code, out, err = run("text", path)
    assert (code, out) == (2, "")
    assert err.startswith("smallprint: ")
    assert len(err.splitlines()) == 1


def test_without_a_model_extract_says_what_to_do(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No base is no fault of the files: one sentence, no lines, exit code 2."""
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path))
    path = tmp_path / "a.txt"
    path.write_text("This Agreement is governed by the laws of Ohio.")
    code, out, err = run("extract", path, path, "--json")
    assert (code, out) == (2, "")
    assert "SMALLPRINT_ARTEFACTS" in err


def test_a_wrong_setting_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that can't be is a sentence with its variable."""
    monkeypatch.setenv("SMALLPRINT_INGEST_MAX_PAGES", "many")
    code, _, err = run("text", "x")
    assert code == 2
    assert "SMALLPRINT_INGEST_MAX_PAGES" in err


def test_a_batch_of_reports_goes_on_where_it_stopped(run: Run, tmp_path: Path) -> None:
    """Results lie beside the folder, failures in the summary; the second run does what is left."""
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(filing("a")))
    (folder / "b.json").write_text("{}")
    code, out, _ = run("batch", folder)
    assert code == 1
    assert "1 worked, 1 failed" in out
    results = tmp_path / "reports-results"
    assert json.loads((results / "a.json.json").read_text())["filings"][0]["id"] == "a"
    summary = json.loads((results / "summary.json").read_text())
    assert [failure["source"] for failure in summary["failed"]] == [str(folder / "b.json")]
    (folder / "b.json").write_text(json.dumps(filing("b")))
    code, out, _ = run("batch", folder, "--json")
    assert code == 0
    assert [line["filings"][0]["id"] for line in _lines(out)] == ["a", "b"]
    assert json.loads((results / "summary.json").read_text())["of_these_before"] == 1


def test_a_batch_judges_reports_again_if_another_judge_is_installed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What rules or another version said is no receipt for the one that judges now."""
    folder, artefacts = tmp_path / "reports", tmp_path / "artefacts"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(filing("a")))
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(artefacts))

    def judged() -> tuple[str, int]:
        code, out, _ = run("batch", folder, "--json")
        (line,) = _lines(out)
        assert code == 0
        summary = json.loads((tmp_path / "reports-results" / "summary.json").read_text())
        return line["filings"][0]["model"]["name"], summary["of_these_before"]

    assert judged() == ("rules", 0)
    assert judged() == ("rules", 1)
    place = artefacts / "triage-breaks"
    shutil.copytree(ROOT / "models" / "artefacts" / "triage-breaks", place)
    assert judged() == ("triage-breaks", 0)
    (version,) = place.iterdir()
    manifest = version / "forest.json"
    text = manifest.read_text().replace(f'"version": "{version.name}"', '"version": "9.0.0"')
    manifest.write_text(text)
    version.rename(place / "9.0.0")
    assert judged() == ("triage-breaks", 0)
    assert judged() == ("triage-breaks", 1)


def test_an_empty_batch_is_said_to_be_empty(run: Run, tmp_path: Path) -> None:
    """A folder without files is a mistake, not a success."""
    code, _, err = run("batch", tmp_path)
    assert code == 2
    assert "no file" in err


def test_keys_are_made_listed_and_revoked(run: Run, tmp_path: Path) -> None:
    """A new key is shown once; lists never show a secret; a revoked one is marked."""
    data = ("--data", tmp_path)
    code, out, _ = run("keys", "new", "alice", *data)
    secret = out.strip()
    assert code == 0
    assert secret.startswith("sp_")
    _, out, _ = run("keys", "new", "bob", "--tenant", "acme", "--json", *data)
    (made,) = _lines(out)
    assert (made["name"], made["tenant"]) == ("bob", "acme")
    _, out, _ = run("keys", "list", "--json", *data)
    listed = _lines(out)
    assert [key["name"] for key in listed] == ["alice", "bob"]
    assert secret not in out
    assert run("keys", "revoke", listed[0]["id"], *data)[0] == 0
    _, out, _ = run("keys", "list", *data)
    assert "alice  revoked" in out
    code, _, err = run("keys", "revoke", "0000", *data)
    assert code == 2
    assert "0000" in err


def test_doctor_names_what_is_wrong(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a model there is something to mend: it says what and how, and exits with 1."""
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path / "nothing"))
    code, out, _ = run("doctor", "--data", tmp_path / "data", "--json")
    (found,) = _lines(out)
    assert (code, found["content"]) == (1, False)
    wrong = {check["name"]: check for check in found["checks"] if check["state"] == "wrong"}
    assert "models" in wrong
    assert "SMALLPRINT_ARTEFACTS" in wrong["models"]["mend"]
    code, out, _ = run("doctor", "--data", tmp_path / "data")
    assert "MEND  models" in out
    assert "models" in out.splitlines()[-1]
    assert out.splitlines()[-1].startswith("To be mended: ")


def _without_forest(folder: Path) -> Path:
    """A folder of artefacts in which what judges reports has lost a file."""
    shutil.copytree(ROOT / "models" / "artefacts" / "triage-breaks", folder / "triage-breaks")
    (forest,) = folder.glob("triage-breaks/*/breaks.onnx")
    forest.unlink()
    return forest


def test_reports_are_not_judged_by_a_damaged_specialist(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command ends with the file that is damaged and what to do, and prints no verdict."""
    forest = _without_forest(tmp_path / "artefacts")
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path / "artefacts"))
    (tmp_path / "f.json").write_text(json.dumps(filing("a")))
    code, out, err = run("triage", tmp_path / "f.json", "--json")
    assert (code, out) == (2, "")
    assert f"{forest} is missing or damaged; restore it from the release" in err


def test_doctor_looks_at_what_judges_reports(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good as it is shipped, wrong if it is damaged, and good to know if it isn't there."""

    def found() -> dict[str, Any]:
        (line,) = _lines(run("doctor", "--data", tmp_path / "data", "--json")[1])
        checks: list[dict[str, Any]] = line["checks"]
        return next(check for check in checks if check["name"] == "triage")

    assert found()["state"] == "good"
    forest = _without_forest(tmp_path / "artefacts")
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path / "artefacts"))
    assert found()["state"] == "wrong"
    assert str(forest) in found()["found"]
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path / "nothing"))
    assert found()["state"] == "note"
    assert "rules alone" in found()["found"]


def test_doctor_looks_at_what_names_lines(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good as it is shipped, and good to know if it isn't there."""

    def found() -> dict[str, Any]:
        (line,) = _lines(run("doctor", "--data", tmp_path / "data", "--json")[1])
        checks: list[dict[str, Any]] = line["checks"]
        return next(check for check in checks if check["name"] == "names")

    assert found()["state"] == "good"
    folder = tmp_path / "artefacts"
    folder.mkdir()
    for part in (ROOT / "models" / "artefacts").iterdir():
        if part.name != "line-concepts":
            (folder / part.name).symlink_to(part)
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(folder))
    assert found()["state"] == "note"


def test_doctor_looks_at_what_orders_the_queue(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good as it is shipped, wrong if it is damaged, and good to know if it isn't there."""

    def found() -> dict[str, Any]:
        (line,) = _lines(run("doctor", "--data", tmp_path / "data", "--json")[1])
        checks: list[dict[str, Any]] = line["checks"]
        return next(check for check in checks if check["name"] == "review")

    assert found()["state"] == "good"
    folder = tmp_path / "artefacts"
    shutil.copytree(ROOT / "models" / "artefacts" / "review-priority", folder / "review-priority")
    (forest,) = folder.glob("review-priority/*/priority.onnx")
    forest.write_bytes(b"another")
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(folder))
    assert found()["state"] == "wrong"
    assert str(forest) in found()["found"]
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path / "nothing"))
    assert found()["state"] == "note"
    assert "confidence alone" in found()["found"]


def test_a_reader_that_leaves_ends_the_command_quietly(tmp_path: Path) -> None:
    """`smallprint … | head -1` prints no traceback."""
    path = tmp_path / "f.jsonl"
    path.write_text("".join(json.dumps(filing(f"f{n}")) + "\n" for n in range(2000)))
    command = [sys.executable, "-m", "services.cli", "triage", str(path), "--json"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == cli.CLOSED
    process.stderr.close()


def test_ctrl_c_leaves_nothing_half_done(tmp_path: Path) -> None:
    """An interrupted batch has whole results only, no traceback, and goes on later."""
    folder = tmp_path / "reports"
    folder.mkdir()
    for n in range(3000):
        (folder / f"{n:04d}.json").write_text(json.dumps(filing(f"f{n}")))
    command = [sys.executable, "-m", "services.cli", "batch", str(folder), "--json"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(5):
        assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == cli.INTERRUPTED
    assert "Traceback" not in err
    results = [path for path in (tmp_path / "reports-results").iterdir() if path.is_file()]
    assert 5 <= len(results) < 3000
    assert all(json.loads(path.read_text())["filings"] for path in results)


def test_standard_output_need_not_be_utf_8(tmp_path: Path) -> None:
    """Whatever the locale, output is UTF-8, and a file's name of other bytes is no obstacle."""
    path = os.fsencode(tmp_path) + b"/caf\xe9.json"
    Path(os.fsdecode(path)).write_text(json.dumps(filing("ä")))
    command = [sys.executable.encode(), b"-m", b"services.cli", b"triage", path, b"--json"]
    env = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert os.fsencode(json.loads(done.stdout)["source"]) == path


def test_a_report_has_the_limit_of_every_document(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON and CSV are read as a whole and bounded; JSON lines are bounded line by line."""
    monkeypatch.setenv("SMALLPRINT_INGEST_MAX_BYTES", "9000")
    body = json.dumps(filing("a"))
    (tmp_path / "a.json").write_text(body + " " * 9000)
    (tmp_path / "a.csv").write_text("x" * 9001)
    (tmp_path / "noname").write_text(body + " " * 9000)
    (tmp_path / "a.jsonl").write_text(f"{body}\n" * 9)
    names = [tmp_path / name for name in ("a.json", "a.csv", "noname", "a.jsonl")]
    code, out, _ = run("triage", *names, "--json")
    assert code == 1
    *bad, first = _lines(out)[:4]
    assert [line["error"]["type"] for line in bad] == ["document_too_large"] * 3
    assert "SMALLPRINT_INGEST_MAX_BYTES" in bad[0]["error"]["detail"]
    assert first["id"] == "a"


def test_a_contract_has_the_limit_of_extraction(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text beyond the limit is refused before a model is even loaded."""
    monkeypatch.setenv("SMALLPRINT_EXTRACTION_MAX_CHARACTERS", "10")
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path))
    (tmp_path / "a.txt").write_text("This Agreement is too long.")
    code, out, _ = run("extract", tmp_path / "a.txt", "--json")
    (line,) = _lines(out)
    assert (code, line["error"]["type"]) == (2, "document_too_large")


def test_each_page_says_how_it_was_read(run: Run, tmp_path: Path) -> None:
    """And how sure that is, where it was recognised in a picture."""
    need_engine()
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf_of(picture()))
    code, out, _ = run("text", path, "--json")
    assert code == 0
    (line,) = _lines(out)
    (page,) = line["document"]["read"]
    assert (page["page"], page["method"]) == (1, "tesseract")
    assert 0.8 < page["confidence"] <= 1
    assert line["text"] == "\n".join(WORDS)


@pytest.mark.usefixtures("no_engine")
def test_failed_pages_are_named_as_in_rest(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that could not be read has `page`, `code` and `reason` on every road."""
    monkeypatch.setattr(finder.Finder, "_models", lambda _self: [{}])
    monkeypatch.setattr(finder.Finder, "_clauses", lambda _self, _reading: finder.Answer())
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf("One page with words.", ""))
    code, out, _ = run("extract", path, "--json")
    assert code == 0
    (line,) = _lines(out)
    (page,) = line["document"]["failed_pages"]
    assert set(page) == {"page", "code", "reason"}
    assert (page["page"], page["code"]) == (2, "no_text_layer")


def test_several_adapters_read_one_document(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each clause says whose it is, in the order of the text; a batch knows what read a file."""
    monkeypatch.setattr("shared.inference.Specialists", lambda *_settings: KeywordSpecialists())
    path = tmp_path / "in" / "a.txt"
    path.parent.mkdir()
    path.write_text("The Buyer may inspect the books.\nIt is governed by the laws of Utah.\n")
    both = ("--adapter", "contract-clauses", "--adapter", TERMS)
    code, out, _ = run("extract", path, "--json", *both)
    assert code == 0
    (line,) = _lines(out)
    assert [(c["adapter"], c["category"]) for c in line["clauses"]] == [
        ("contract-clauses", "Audit Rights"),
        ("contract-clauses", "Governing Law"),
        (TERMS, "Choice of law"),
    ]
    assert line["model"] == line["models"][0]
    assert [model["adapter"] for model in line["models"]] == ["contract-clauses", TERMS]
    assert {one["adapter"] for one in line["presence"]} == {"contract-clauses", TERMS}
    nearest = {one["category"]: one["nearest"] for one in line["presence"]}["Governing Law"]
    clause = line["clauses"][1]
    assert {**clause, **nearest} == clause, (
        "words, place, page and confidence of what comes nearest"
    )
    assert f"by contract-clauses 0.0.1 and {TERMS} 0.0.1" in run("extract", path, *both)[1]
    counts = []
    for names in ((), (), both):
        _, out, _ = run("batch", path.parent, "--json", *names)
        counts.append(len(_lines(out)[0]["clauses"]))
    assert counts == [2, 2, 3], "what fewer have read is read again"
    code, _, error = run("extract", path, "--adapter", "nobody")
    assert (code, "nobody" in error) == (2, True)


def test_a_batch_names_its_sources_as_they_were_given(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results, failures and the second run have the folder as it was written."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(f"{json.dumps(filing('a'))}\n" * 2)
    (tmp_path / "in" / "b.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    _, out, _ = run("batch", "in", "--json")
    assert [line["source"] for line in _lines(out)] == ["in/a.jsonl", "in/b.json"]
    assert [filing["id"] for filing in _lines(out)[0]["filings"]] == ["a", "a"]
    monkeypatch.chdir(tmp_path / "in")
    _, out, _ = run("batch", ".", "--json")
    assert [line["source"] for line in _lines(out)] == ["./a.jsonl", "./b.json"]
    summary = json.loads((tmp_path / "in-results" / "summary.json").read_text())
    assert (summary["of_these_before"], summary["failed"][0]["source"]) == (1, "./b.json")


def test_a_folder_of_results_that_can_not_be_used_is_a_sentence(run: Run, tmp_path: Path) -> None:
    """It is tried before any work is done, and nothing is printed about documents."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text(json.dumps(filing("a")))
    (tmp_path / "file").touch()
    code, out, err = run("batch", tmp_path / "in", "--out", tmp_path / "in" / "a.json" / "x")
    assert (code, out) == (2, "")
    assert err.startswith("smallprint: the folder of the results can't be used")
    assert len(err.splitlines()) == 1


def test_a_folder_of_a_newer_program_is_one_sentence(run: Run, tmp_path: Path) -> None:
    """Which database, and what to do; no traceback."""
    data = ("--data", tmp_path / "data")
    run("keys", "new", "alice", *data)
    with closing(sqlite3.connect(tmp_path / "data" / "ingest.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    code, out, err = run("keys", "list", *data)
    assert (code, out) == (2, "")
    said = err.splitlines()[-1]
    assert f"{tmp_path}/data/ingest.db is newer than this program" in said
    assert "restore the backup" in said
    assert "Traceback" not in err


def test_keys_say_whose_they_are(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard error names the data folder, and a wrong one is not filled with a new database."""
    _, out, err = run("keys", "new", "alice", "--data", tmp_path / "a")
    assert f"keys of {tmp_path / 'a'}\n" in err
    assert "this folder is new: no suite has worked in it" in err
    assert f"(smallprint up --data {tmp_path / 'a'})\n" in err
    assert out.startswith("sp_")
    _, _, err = run("keys", "new", "bob", "--data", tmp_path / "a")
    assert "is new" not in err
    for arguments in (("list",), ("revoke", "0" * 16)):
        code, out, err = run("keys", *arguments, "--data", tmp_path / "b")
        assert (code, out) == (2, "")
        assert f"the data folder {tmp_path / 'b'} has no keys" in err
        assert "--data" in err
    assert not (tmp_path / "b").exists()
    monkeypatch.setenv("SMALLPRINT_INGEST_DATABASE_URL", f"sqlite:///{tmp_path}/secret.db")
    _, _, err = run("keys", "list")
    assert "keys of the database that SMALLPRINT_INGEST_DATABASE_URL names" in err
    assert "secret" not in err


def test_keys_need_a_folder_that_can_be_used(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data folder that is a file, or holds something else, is one sentence."""
    (tmp_path / "file").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "ingest.db").write_text("something else altogether")
    for folder in (tmp_path / "file", tmp_path / "file" / "x", tmp_path / "other", "x" * 300):
        monkeypatch.setenv("SMALLPRINT_DATA", str(folder))
        for arguments in (("list",), ("new", "alice"), ("revoke", "0" * 16)):
            code, out, err = run("keys", *arguments)
            assert (code, out) == (2, ""), err
            assert err.startswith("smallprint: "), err
            assert "SMALLPRINT_DATA" in err
            assert len(err.splitlines()) == 1


def test_a_key_needs_a_name_of_its_own(run: Run, tmp_path: Path) -> None:
    """No name, one that is no text, and one that is taken are told apart in words."""
    data = ("--data", tmp_path)
    assert run("keys", "new", *data)[0] == 2
    assert run("keys", "new", "alice", *data)[0] == 0
    code, out, err = run("keys", "new", "alice", *data)
    assert (code, out) == (2, "")
    assert "choose another name, or revoke that key first" in err
    for arguments in (
        ("new", "\udcff"),
        ("new", "bob", "--tenant", "\udcff"),
        ("revoke", "\udcff"),
        ("list", "--tenant", "\udcff"),
    ):
        code, out, err = run("keys", *arguments, *data)
        assert (code, out) == (2, ""), err
        assert "smallprint: " in err


def test_a_port_that_is_taken_costs_no_first_key(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first key is made once somebody listens, for it is shown only this once."""
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = run("up", "--port", port, "--data", tmp_path / "data", "--json")
    assert (code, out) == (2, "")
    assert f"can't listen on 127.0.0.1:{port}" in err
    assert run("keys", "list", "--data", tmp_path / "data")[1] == ""


def test_a_later_start_says_how_a_key_of_its_own_folder_is_made(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One that is made in another folder opens nothing here."""
    up._announce("http://127.0.0.1:8400", None, tmp_path / "my papers", as_json=False)
    said = capfd.readouterr().out
    (command,) = re.findall(r"make one: smallprint (.*)", said)
    assert shlex.split(command) == ["keys", "new", "NAME", "--data", str(tmp_path / "my papers")]


def test_doctor_uses_the_threads_that_are_set(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe runs as the work will: with as many threads as SMALLPRINT_THREADS says."""
    seen: list[int] = []

    def specialists(_artefacts: Path, threads: int, _arithmetic: str, _taught: Path) -> None:
        seen.append(threads)
        raise SuiteError("no model is needed to see this")

    monkeypatch.setattr("shared.inference.Specialists", specialists)
    monkeypatch.setenv("SMALLPRINT_THREADS", "7")
    run("doctor", "--data", tmp_path)
    assert seen == [7]


def test_a_first_key_that_nobody_could_read_is_made_again(run: Run, tmp_path: Path) -> None:
    """If standard output is closed before the key is printed, the next start has a first key."""
    command = [sys.executable, "-m", "services.cli", "up", "--json", "--port", "0"]
    others = {k: v for k, v in os.environ.items() if not k.startswith("SMALLPRINT_")}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*command, "--data", str(tmp_path / "data")],
        cwd=ROOT,
        env={**others, "SMALLPRINT_ARTEFACTS": str(tmp_path)},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    os.close(writer)
    assert done.returncode == cli.CLOSED, done.stderr
    assert run("keys", "list", "--data", tmp_path / "data")[1] == ""


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", json.dumps(filing("a"))),
        ("a.jsonl", f"{json.dumps(filing('a'))}\n" * 2),
        ("a.csv", "Balance Sheet,2023-12-31\nTotal assets,1\n"),
    ],
)
def test_extract_refuses_data_and_triage_says_that_a_contract_has_no_statements(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: str
) -> None:
    """Before a model is loaded."""
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path))
    (tmp_path / name).write_text(data)
    code, out, _ = run("extract", tmp_path / name, "--json")
    (line,) = _lines(out)
    assert (code, line["error"]["type"]) == (2, "unsupported_type")
    assert "smallprint triage" in line["error"]["detail"]
    (tmp_path / "a.pdf").write_bytes(pdf("A contract."))
    code, out, _ = run("triage", tmp_path / "a.pdf", "--json")
    error = _lines(out)[0]["error"]
    assert (code, error["type"]) == (2, "unreadable_document")
    assert error["detail"].startswith("no balance sheet, income statement or cash flow statement")


def test_triage_reads_pages_and_names_the_place_of_each_cell(run: Run, tmp_path: Path) -> None:
    """A PDF and a workbook beside JSON: one line each, as over HTTP."""
    (tmp_path / "a.pdf").write_bytes(samples.pdf(samples.bent()))
    (tmp_path / "b.xlsx").write_bytes(samples.workbook(samples.bent()))
    (tmp_path / "c.json").write_text(json.dumps(filing("c")))

    code, out, _ = run("triage", *(tmp_path / n for n in ("a.pdf", "b.xlsx", "c.json")), "--json")

    lines = _lines(out)
    assert code == 0
    sums = {"income_sums", "balance_equation", "balance_sheet_sums"}
    first = [
        next(found["cells"][0] for found in line["findings"] if found["check"] in sums)
        for line in lines
    ]
    assert [line["id"] for line in lines] == ["a", "b", "c"]
    assert [cell["label"] for cell in first[:2]] == ["Total revenue"] * 2
    assert len(first[0]["place"]["box"]) == 4
    assert first[1]["place"]["cell"] == "'S1'!B6"
    assert first[2]["place"] is None


def test_a_workbook_is_what_its_owner_says(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`extract` reads it for clauses; a batch takes it for a report."""
    monkeypatch.setenv("SMALLPRINT_EXTRACTION_MAX_CHARACTERS", "10")
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path))
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.xlsx").write_bytes(book(sheet(row(1, text("A1", "This Agreement is too long.")))))
    code, out, _ = run("extract", folder / "a.xlsx", "--json")
    assert (code, _lines(out)[0]["error"]["type"]) == (2, "document_too_large")
    code, out, _ = run("batch", folder, "--json")
    error = _lines(out)[0]["error"]
    assert (code, error["type"]) == (2, "unreadable_document")
    assert error["detail"].startswith("no balance sheet")


def test_a_long_batch_says_where_it_is_without_a_terminal(run: Run, tmp_path: Path) -> None:
    """A line each ten files on standard error; standard output has the results alone."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(25):
        (folder / f"{number:02d}.json").write_text(json.dumps(filing(f"f{number}")))
    code, out, err = run("batch", folder, "--json")
    assert (code, len(_lines(out))) == (0, 25)
    rows = err.splitlines()
    assert len(rows) >= 2
    assert all(row.startswith("smallprint: ") and "/25" in row for row in rows)


def test_nobody_else_can_read_what_a_command_writes(run: Run, tmp_path: Path) -> None:
    """Keys and their database, results of a batch and the folders of both are the owner's alone."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text(json.dumps(filing("a")))
    before = os.umask(0o022)
    try:
        assert run("batch", tmp_path / "in")[0] == 0
        assert run("keys", "new", "alice", "--data", tmp_path / "data")[0] == 0
    finally:
        os.umask(before)
    folders = [tmp_path / "in-results", tmp_path / "data"]
    files = [path for folder in folders for path in folder.rglob("*")]
    assert {path.name for path in files} >= {"a.json.json", "summary.json", "ingest.db"}
    for path in (*folders, *files):
        assert path.stat().st_mode & 0o077 == 0, path


def test_earlier_reports_are_held_beside_those_that_are_given(run: Run, tmp_path: Path) -> None:
    """From a folder or a file; what can't be read of them is said in a line, and the others count;
    what is hidden doesn't.
    """
    later = a_year_later()
    part, row = find_row(later, "balance_sheet", "Accounts receivable, net")
    part["rows"][row]["values"][1] = 2_791_000_000
    folder, report = tmp_path / "earlier", tmp_path / "later.json"
    folder.mkdir()
    report.write_text(json.dumps(later))
    (folder / "a.jsonl").write_text(json.dumps(record()) + "\n")
    (folder / ".old.jsonl").write_text(json.dumps({**record(), "company": "Hidden Corp"}) + "\n")
    for name in "bcde":
        (folder / f"{name}.json").write_text("{torn")
    (folder / "f.json").write_text(json.dumps({**record(), "company": None}))
    code, out, err = run("triage", report, "--history", folder, "--json")
    assert code == 0, err
    (unread,) = [line for line in err.splitlines() if ".json: " in line and "can't be read" in line]
    assert unread.startswith("4 of the earlier reports can't be read, and are left out: ")
    assert "b.json: " in unread
    assert unread.endswith("; and 1 more")
    assert "1 of the earlier filings name no company or no day, and are left out: " in err
    assert "1 earlier filing of 1 company" in err
    found = json.loads(out)
    assert found["flagged"]
    assert any("the earlier filing f1 has" in one["message"] for one in found["findings"])
