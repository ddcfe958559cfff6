"""The command as a caller sees it: standard output, standard error, exit code."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services import cli
from services.cli.documents import contracts
from tests.support import ROOT
from tests.support.samples import report
from tests.unit.cli.builders import Run, lines
from tests.unit.documents.books import book, row, sheet, text
from tests.unit.documents.scanned import WORDS, pdf_of, picture
from tests.unit.extraction.builders import TERMS, KeywordSpecialists
from tests.unit.ingest.builders import pdf

OFFICE = sorted(
    path.with_suffix("")
    for path in (ROOT / "tests" / "data" / "documents" / "office").glob("agreement.*.txt")
)


def reports(tmp_path: Path, *names: str) -> Path:
    """A folder with a report for each name."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in names:
        (folder / f"{name}.json").write_bytes(report(name))
    return folder


def summary_of(folder: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((Path(f"{folder}-results") / "summary.json").read_text())
    return summary


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["extract"], ["triage", "--nonsense", "x"], ["up", "--port", "x"]]
)
def test_wrong_usage_has_its_own_exit_code(run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (64, "")
    assert "Usage:" in err


@pytest.mark.parametrize("content", ["plain\nline two\n", "crlf\r\nline\r", "Ünïcödé 𝒜 – no end"])
def test_text_prints_a_text_file_as_it_is(run: Run, tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content.encode())
    code, out, err = run("text", path)
    assert (code, out, err) == (0, content, "")


def test_a_dash_reads_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    report = (
        '{"id": "x", "statements": [{"statement": "balance_sheet",'
        ' "columns": [{"end": "20231231"}], "rows": [{"label": "Total assets", "values": [1210]},'
        ' {"label": "Total liabilities and equity", "values": [1201]}]}]}\n'
    )
    for command, content, shown in (
        ("text", "An agreement.", "An agreement."),
        ("statements", report, "1,201"),
        ("triage", report * 2, "1,201"),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
        code, out, err = run(command, "-")
        assert (code, shown in out) == (0, True), err


@pytest.mark.parametrize("path", OFFICE, ids=lambda path: path.name)
def test_text_prints_what_a_word_processor_or_browser_shows(run: Run, path: Path) -> None:
    code, out, err = run("text", path)
    assert code == 0
    assert ("tracked changes (1 insertion" in err) == (path.suffix in (".docx", ".odt", ".rtf"))
    assert out.encode() == path.with_name(f"{path.name}.txt").read_bytes()


def test_without_a_model_extract_says_what_to_do(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("This Agreement is governed by the laws of Ohio.")
    code, out, err = run("extract", path, path, "--json", SMALLPRINT_ARTEFACTS=tmp_path)
    assert (code, out) == (2, "")
    assert "SMALLPRINT_ARTEFACTS" in err


def test_a_wrong_setting_is_named(run: Run) -> None:
    code, _, err = run("text", "x", SMALLPRINT_INGEST_MAX_PAGES="many")
    assert code == 2
    assert "SMALLPRINT_INGEST_MAX_PAGES" in err


def test_a_batch_of_reports_goes_on_where_it_stopped(run: Run, tmp_path: Path) -> None:
    folder = reports(tmp_path, "a")
    (folder / "b.json").write_text("{}")
    code, out, _ = run("batch", folder)
    assert (code, "1 of 2 files worked" in out) == (1, True)
    receipt = json.loads((tmp_path / "in-results" / "a.json.json").read_text())
    assert receipt["filings"][0]["id"] == "a"
    assert [one["source"] for one in summary_of(folder)["failed"]] == [str(folder / "b.json")]
    (folder / "b.json").write_bytes(report("b"))
    code, out, _ = run("batch", folder, "--json")
    assert code == 0
    assert [line["filings"][0]["id"] for line in lines(out)] == ["a", "b"]
    assert summary_of(folder)["of_these_before"] == 1


def test_a_batch_judges_reports_again_if_another_judge_is_installed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, artefacts = reports(tmp_path, "a"), tmp_path / "artefacts"
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(artefacts))

    def judged() -> tuple[str, int]:
        code, out, _ = run("batch", folder, "--json")
        (line,) = lines(out)
        assert code == 0
        return line["filings"][0]["model"]["name"], summary_of(folder)["of_these_before"]

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


def test_an_empty_batch_is_reported(run: Run, tmp_path: Path) -> None:
    code, _, err = run("batch", tmp_path)
    assert code == 2
    assert "no file" in err


def test_a_reader_that_leaves_ends_the_command_quietly(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(b"".join(report(f"f{n}") + b"\n" for n in range(2000)))
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
    folder = reports(tmp_path, *(f"{n:04d}" for n in range(3000)))
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
    results = [path for path in (tmp_path / "in-results").iterdir() if path.is_file()]
    assert 5 <= len(results) < 3000
    assert all(json.loads(path.read_text())["filings"] for path in results)


def test_standard_output_need_not_be_utf_8(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.json"
    Path(os.fsdecode(path)).write_bytes(report("ä"))
    command = [sys.executable.encode(), b"-m", b"services.cli", b"triage", path, b"--json"]
    env = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert os.fsencode(json.loads(done.stdout)["source"]) == path


def test_each_page_says_how_it_was_read(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf_of(picture()))
    code, out, _ = run("text", path, "--json")
    assert code == 0
    (line,) = lines(out)
    (page,) = line["document"]["read"]
    assert (page["page"], page["method"]) == (1, "tesseract")
    assert 0.8 < page["confidence"] <= 1
    assert line["text"] == "\n".join(WORDS)


@pytest.mark.usefixtures("no_engine")
def test_failed_pages_are_named_as_in_rest(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contracts.ContractReader, "_models", lambda _self: [{}])
    monkeypatch.setattr(contracts.ContractReader, "_clauses", lambda *_: contracts.Answer())
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf("One page with words.", ""))
    code, out, _ = run("extract", path, "--json")
    assert code == 0
    (line,) = lines(out)
    (page,) = line["document"]["failed_pages"]
    assert set(page) == {"page", "code", "reason"}
    assert (page["page"], page["code"]) == (2, "no_text_layer")


def test_several_adapters_read_one_document(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.inference.Specialists", lambda *_settings: KeywordSpecialists())
    path = tmp_path / "in" / "a.txt"
    path.parent.mkdir()
    path.write_text("The Buyer may inspect the books.\nIt is governed by the laws of Utah.\n")
    both = ("--adapter", "contract-clauses", "--adapter", TERMS)
    code, out, _ = run("extract", path, "--json", *both)
    assert code == 0
    (line,) = lines(out)
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
        counts.append(len(lines(out)[0]["clauses"]))
    assert counts == [2, 2, 3], "what fewer have read is read again"
    code, _, error = run("extract", path, "--adapter", "nobody")
    assert (code, "nobody" in error) == (2, True)


def test_a_batch_names_its_sources_as_they_weregiven(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = reports(tmp_path)
    (folder / "a.jsonl").write_bytes((report("a") + b"\n") * 2)
    (folder / "b.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    _, out, _ = run("batch", "in", "--json")
    assert [line["source"] for line in lines(out)] == ["in/a.jsonl", "in/b.json"]
    assert [filing["id"] for filing in lines(out)[0]["filings"]] == ["a", "a"]
    monkeypatch.chdir(folder)
    _, out, _ = run("batch", ".", "--json")
    assert [line["source"] for line in lines(out)] == ["./a.jsonl", "./b.json"]
    summary = summary_of(folder)
    assert (summary["of_these_before"], summary["failed"][0]["source"]) == (1, "./b.json")


def test_a_folder_of_results_that_can_not_be_used_is_a_sentence(run: Run, tmp_path: Path) -> None:
    folder = reports(tmp_path, "a")
    code, out, err = run("batch", folder, "--out", folder / "a.json" / "x")
    assert (code, out) == (2, "")
    assert err.startswith("smallprint: the folder of results can't be used")
    assert len(err.splitlines()) == 1


def test_a_port_that_is_taken_costs_no_first_key(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = run("up", "--port", port, "--data", tmp_path / "data", "--json")
    assert (code, out) == (2, "")
    assert f"can't listen on 127.0.0.1:{port}" in err
    assert run("keys", "list", "--data", tmp_path / "data")[1] == ""


def test_triage_says_that_a_contract_has_no_statements(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("A contract."))
    code, out, _ = run("triage", tmp_path / "a.pdf", "--json")
    error = lines(out)[0]["error"]
    assert (code, error["type"]) == (2, "unreadable_document")
    assert error["detail"].startswith("No financial statements found.")


def test_a_workbook_is_what_its_owner_says(run: Run, tmp_path: Path) -> None:
    folder = reports(tmp_path)
    (folder / "a.xlsx").write_bytes(book(sheet(row(1, text("A1", "This Agreement is too long.")))))
    settings = {"SMALLPRINT_EXTRACTION_MAX_CHARACTERS": "10", "SMALLPRINT_ARTEFACTS": tmp_path}
    for command, path, kind, error in (
        ("extract", folder / "a.xlsx", "contract", "document_too_large"),
        ("extract", folder / "a.xlsx", "report", "unreadable_document"),
        ("batch", folder, "report", "unreadable_document"),
    ):
        code, out, _ = run(command, path, "--json", "--kind", kind, **settings)
        assert (code, lines(out)[0]["error"]["type"]) == (2, error)


def test_a_long_batch_says_where_it_is_without_a_terminal(run: Run, tmp_path: Path) -> None:
    folder = reports(tmp_path, *(f"{n:02d}" for n in range(25)))
    code, out, err = run("batch", folder, "--json")
    assert (code, len(lines(out))) == (0, 25)
    rows = err.splitlines()
    assert len(rows) >= 2
    assert all(row.startswith("smallprint: ") and "/25" in row for row in rows)


def test_files_of_a_command_are_private(run: Run, tmp_path: Path) -> None:
    folder = reports(tmp_path, "a")
    before = os.umask(0o022)
    try:
        assert run("batch", folder)[0] == 0
        assert run("keys", "new", "alice", "--data", tmp_path / "data")[0] == 0
    finally:
        os.umask(before)
    folders = [tmp_path / "in-results", tmp_path / "data"]
    files = [path for folder in folders for path in folder.rglob("*")]
    assert {path.name for path in files} >= {"a.json.json", "summary.json", "ingest.db"}
    for path in (*folders, *files):
        assert path.stat().st_mode & 0o077 == 0, path
