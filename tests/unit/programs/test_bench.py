"""The measures of the benches."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.extraction.pipeline.search import ClauseSpan
from shared.documents import read
from shared.inference.adapters import TOKENISER_FILE, base_folder
from shared.inference.tokeniser import Tokeniser
from tests import support
from tests.bench import steady
from tests.bench import triage as of_triage
from tests.bench.legal import contract, made_text
from tests.bench.pages import LINES, pdf_of
from tests.bench.triage import Bound, Seconds, Triage, filings, of_filings
from tests.unit.triage.filings import record
from tests.unit.triage.reading import samples as triage_samples


def test_a_made_pdf_reads_as_its_text() -> None:
    text = made_text(3000) + "\n\nA (very) odd \\ line."
    reading = read(pdf_of(text))
    assert reading.text.split() == text.split()
    assert reading.page_count == len(reading.pages) > 2
    assert not reading.failed
    assert read(pdf_of("one\n" * (LINES - 1))).page_count == 1
    assert read(pdf_of("one\n" * LINES)).page_count == 2


def clause(start: int, confidence: float) -> ClauseSpan:
    """One word of a text, as a clause."""
    return ClauseSpan("Parties", "Alpha", start, start + 5, confidence)


def test_a_passage_that_moves_is_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steady, "texts", lambda count: ["Alpha, Alpha, Alpha"] * count)
    moved = iter([[clause(0, 0.5), clause(7, 0.9)], [clause(0, 0.75), clause(14, 0.9)]])
    monkeypatch.setattr(steady, "clauses", lambda *_, **__: iter([next(moved)]))
    monkeypatch.setattr(steady, "WAYS", (("upside down", {}),))
    assert steady.main(["--documents", "1"]) == 1
    assert "upside down          2 passages, 2 others; confidences differ by 0.25" in (
        capsys.readouterr().out
    )


def test_no_passage_moves_in_a_short_text() -> None:
    figures = steady.compared(support.artefacts(), [made_text(300)])
    assert figures.keys() == {name for name, _ in steady.WAYS}
    assert {row["others"] for row in figures.values()} == {0}
    assert all(row["passages"] > 1 and row["largest_difference"] < 1e-3 for row in figures.values())


def test_a_contract_is_taken_that_is_about_as_long_as_asked(tmp_path: Path) -> None:
    (tmp_path / "legal").mkdir()
    texts = ["word " * 30, "caf\u00e9 " * 100, "word " * 500]
    with gzip.open(tmp_path / "legal/cuad_train.jsonl.gz", "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    tokenise = Tokeniser(base_folder(support.artefacts()) / TOKENISER_FILE)
    assert contract(tmp_path, 100, tokenise) == "caf? " * 100


def test_a_filing_of_the_data_is_its_statements_and_a_report_is_measured_whole(
    tmp_path: Path,
) -> None:
    about = {"cik": "1", "company": "A", "form": "10-K", "source": "s", "id": "a"}
    parts = [
        {**about, "period": period, **statement}
        for period in ("2022", "2023")
        for statement in record()["statements"]
    ]
    (tmp_path / "statements.jsonl").write_text("".join(json.dumps(one) + "\n" for one in parts))
    lines = list(filings(tmp_path, 5))
    assert [len(json.loads(line)["statements"]) for line in lines] == [3, 3]
    triage = Triage()
    judged = of_filings(triage, lines)
    assert len(judged) == 2
    assert min(min(one.processor, one.wall) for one in judged) > 0
    one = triage.document(triage_samples.html(), "a.html")
    assert (one.name, one.pages) == ("a.html", 1)
    assert one.took.processor > 0
    assert one.characters > 200


def made_data(folder: Path) -> Path:
    """A filing, and an annual report in PDF and in HTML that are as long as one."""
    about = {"cik": "1", "company": "A", "form": "10-K", "source": "s", "id": "a", "period": "2022"}
    raw = folder / "finance" / "raw"
    for kind in ("pdf", "html"):
        (raw / kind).mkdir(parents=True)
    parts = (json.dumps({**about, **one}) + "\n" for one in record()["statements"])
    (folder / "finance" / "statements.jsonl").write_text("".join(parts))
    (raw / "pdf" / "a.pdf").write_bytes(triage_samples.pdf())
    (raw / "html" / "a.html.gz").write_bytes(gzip.compress(triage_samples.html()))
    return folder


def test_each_bound_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMALLPRINT_TEST_DATA", str(made_data(tmp_path)))
    monkeypatch.setattr(of_triage, "SMALLEST_ANNUAL", 100)
    monkeypatch.setattr(of_triage, "HTML_BOUND", 3_600.0)  # whatever else the machine does
    for bound, code, word in ((60.0, 0, "holds"), (1e-9, 1, "BROKEN")):
        monkeypatch.setattr(of_triage, "FILING_BOUND", bound)
        assert of_triage.main(["--filings", "1", "--reports", "1"]) == code
        said = capsys.readouterr().out
        assert f"{word:13} a structured filing: " in said
        assert "holds         150 pages of HTML: " in said
        assert "wall" in said
    (tmp_path / "finance" / "raw" / "html" / "a.html.gz").unlink()
    monkeypatch.setattr(of_triage, "FILING_BOUND", 60.0)
    assert of_triage.main(["--filings", "1", "--reports", "1"]) == 1
    assert "NOT MEASURED  150 pages of HTML" in capsys.readouterr().out


def test_a_bound_is_about_the_slowest() -> None:
    assert Bound("x", 1.0, 0.5).holds
    assert not Bound("x", 1.0, 1.0).holds
    assert not Bound("x", 1.0, None).holds
    some = [Seconds(0.01, 0.2), Seconds(0.06, 0.3)]
    said = of_triage._against_bound(some)
    assert "at most 60.00 (wall" in said
    assert "below 50 ms 1 of 2 (wall 0)" in said


def test_without_data_the_bench_of_triage_says_what_to_name(tmp_path: Path) -> None:
    for told in ("", str(tmp_path)):
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.triage"],
            env={**os.environ, "SMALLPRINT_TEST_DATA": told},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert done.stderr.startswith("name the folder that holds finance/: make bench-triage")
        assert len(done.stderr.splitlines()) == 1
