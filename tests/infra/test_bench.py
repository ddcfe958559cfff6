"""What the benches measure with is what it says."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from infra.bench import batch, formats, steady, written
from infra.bench import triage as of_triage
from infra.bench.large import long_pdf, scan, table
from infra.bench.legal import contract, made_text
from infra.bench.pages import LINES, pdf_of
from infra.bench.reading import own_text, pdfium_text
from infra.bench.same_clauses import same
from infra.bench.triage import Bound, Seconds, Triage, filings, of_filings
from services.extraction.pipeline import Clause
from shared.documents import Page, read
from shared.documents.pdfium import PdfiumDocument
from shared.inference.adapters import TOKENISER_FILE, base_folder
from shared.inference.tokeniser import Tokeniser
from tests import support
from tests.unit.triage.filings import record
from tests.unit.triage.reading import samples as triage_samples


def test_a_made_pdf_reads_as_its_text() -> None:
    """Word for word, over as many pages as its lines take, signs of the format included."""
    text = made_text(3000) + "\n\nA (very) odd \\ line."
    reading = read(pdf_of(text))
    assert reading.text.split() == text.split()
    assert reading.page_count == len(reading.pages) > 2
    assert not reading.failed
    assert read(pdf_of("one\n" * (LINES - 1))).page_count == 1
    assert read(pdf_of("one\n" * LINES)).page_count == 2


def test_what_each_engine_says_itself_is_the_page_s_text() -> None:
    """So that its pages a second are those of reading, and not of finding nothing."""
    data = pdf_of("one two\n" * LINES)
    for engine in (own_text, pdfium_text):
        reading = engine(data)
        assert reading.page_count == 2
        assert reading.text.split() == ["one", "two"] * LINES


def test_large_documents_are_as_large_as_asked() -> None:
    """About so many pages, bytes and lines."""
    assert read(long_pdf(10)).page_count in (9, 10, 11)
    data = scan(4, 2)
    assert 3_000_000 < len(data) < 5_000_000
    with PdfiumDocument(data) as document:
        assert document.page_count == 2
    assert read(table(10)).text.count("\n") == 11


@pytest.mark.usefixtures("no_engine")
def test_a_format_is_read_and_its_damaged_copies_end() -> None:
    """Whole files are counted, and every damaged copy ends as read, partial or refused."""
    row = formats.measure("application/pdf", [("a.pdf", pdf_of("one two\n" * LINES))])
    assert (row.files, row.pages, row.ends, row.wrong) == (1, 2, {"read": 1}, [])
    assert row.damaged.total() == 22
    assert row.damaged["refused"] > 0
    assert row.cells_of_table()[3] == "2"
    assert formats.type_of(b"GIF89a", "a.gif") == "refused: this is a GIF image"


def test_a_ledger_that_does_not_add_up_is_seen() -> None:
    """A page that is missing, and text that stands on none."""
    sound = read(pdf_of("one two"))
    assert formats.complaint(sound) is None
    elsewhere = replace(sound.pages[0], number=2)
    assert "ledger" in str(formats.complaint(replace(sound, pages=(elsewhere,))))
    short = Page(1, 0, 3, 0.0, 0.0)
    assert formats.complaint(replace(sound, pages=(short,))) == "text that stands on no page"


def test_what_is_written_by_others_is_named_where_they_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop without them runs all the same."""
    monkeypatch.setenv("PATH", str(tmp_path))
    lines = list(written.all_of(tmp_path / "a.txt", tmp_path / "a.csv", tmp_path / "out"))
    assert [line.partition(" ")[0] for line in lines] == ["soffice", "pdftoppm", "mpack", "zip"]


def test_the_same_clause_is_known_in_other_letters() -> None:
    """Broken lines, a few words more, words that were recognised a little wrong; not another."""
    clause = ("Governing Law", "This Agreement is governed by the laws of Delaware.")
    assert same(clause, ("Governing Law", "is governed by\nthe laws of Dela-ware"))
    assert same(clause, ("Governing Law", "This Agreement is govemed by the laws of Delaware"))
    assert not same(clause, ("Parties", clause[1]))
    assert not same(clause, ("Governing Law", "Either party may terminate this Agreement."))


def test_the_command_works_on_every_file_of_a_made_folder() -> None:
    """So that the memory that is told is that of a batch, to its end."""
    told = batch.measure(3)
    assert (told["files"], told["worked"], told["receipts"]) == (3, 3, 3)
    assert 10 < told["megabytes"] < 200


def clause(start: int, confidence: float) -> Clause:
    """One word of a text, as a clause."""
    return Clause("Parties", "Alpha", start, start + 5, confidence)


def test_a_passage_that_moves_is_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is gone, one that is new, and how far the confidence of another is."""
    monkeypatch.setattr(steady, "texts", lambda count: ["Alpha, Alpha, Alpha"] * count)
    moved = iter([[clause(0, 0.5), clause(7, 0.9)], [clause(0, 0.75), clause(14, 0.9)]])
    monkeypatch.setattr(steady, "clauses", lambda *_, **__: iter([next(moved)]))
    monkeypatch.setattr(steady, "WAYS", (("upside down", {}),))
    assert steady.main(["--documents", "1"]) == 1
    assert "upside down          2 passages, 2 others; confidences differ by 0.25" in (
        capsys.readouterr().out
    )


def test_no_passage_moves_in_a_short_text() -> None:
    """Each way is taken: threads, windows one by one, and the way round without VNNI."""
    figures = steady.compared(support.artefacts(), [made_text(300)])
    assert figures.keys() == {name for name, _ in steady.WAYS}
    assert {row["others"] for row in figures.values()} == {0}
    assert all(row["passages"] > 1 and row["largest_difference"] < 1e-3 for row in figures.values())


def test_a_contract_is_taken_that_is_about_as_long_as_asked(tmp_path: Path) -> None:
    """By its tokens; what is not ASCII is replaced, so that it can be set as a PDF."""
    (tmp_path / "legal").mkdir()
    texts = ["word " * 30, "caf\u00e9 " * 100, "word " * 500]
    with gzip.open(tmp_path / "legal/cuad_train.jsonl.gz", "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    tokenise = Tokeniser(base_folder(support.artefacts()) / TOKENISER_FILE)
    assert contract(tmp_path, 100, tokenise) == "caf? " * 100


def test_a_filing_of_the_data_is_its_statements_and_a_report_is_measured_whole(
    tmp_path: Path,
) -> None:
    """Statements of one filing are one line, judged and named; a page is read and judged."""
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
    for naming in (triage.namer, triage.both):
        assert naming is not None
        judged, named = of_filings(triage, lines, naming)
        assert len(judged) == len(named) == 2
        took = [*judged, *named]
        assert min(min(one.processor, one.wall) for one in took) > 0
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


def test_each_bound_is_said_to_hold_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken one, and one of which nothing was measured, are the exit code's too."""
    monkeypatch.setenv("SMALLPRINT_TEST_DATA", str(made_data(tmp_path)))
    monkeypatch.setattr(of_triage, "SMALLEST_ANNUAL", 100)
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
    """As slow as the bound is too slow."""
    assert Bound("x", 1.0, 0.5).holds
    assert not Bound("x", 1.0, 1.0).holds
    assert not Bound("x", 1.0, None).holds
    some = [Seconds(0.01, 0.2), Seconds(0.06, 0.3)]
    said = of_triage._judged(some)
    assert "at most 60.00 (wall" in said
    assert "below 50 ms 1 of 2 (wall 0)" in said


def test_without_data_the_bench_of_triage_says_what_to_name(tmp_path: Path) -> None:
    """In one sentence; a folder without finance/ is no data."""
    for told in ("", str(tmp_path)):
        done = subprocess.run(
            [sys.executable, "-m", "infra.bench.triage"],
            env={**os.environ, "SMALLPRINT_TEST_DATA": told},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert done.stderr.startswith("name the folder that holds finance/: make bench-triage")
        assert len(done.stderr.splitlines()) == 1
