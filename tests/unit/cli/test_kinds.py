"""Contracts and reports among the files of one command."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.ingest.classifier import DocumentClassifier
from services.ingest.domain import Classification
from tests.support.samples import report
from tests.unit.cli.builders import Run, lines
from tests.unit.extraction.builders import KeywordSpecialists

SHEET = """ACME CORP
CONSOLIDATED BALANCE SHEETS (in thousands)
                                    2023     2022
Cash                                 100       90
Inventories                          200      150
Total current assets                 300      240
Property                             700      660
Total assets                       1,000      900
Total current liabilities            400      350
Total liabilities                    400      350
Retained earnings                    600      550
Total stockholders' equity           600      550
Total liabilities and equity       1,000      900
"""
LEASE = "The Buyer may inspect the books.\nIt is governed by the laws of Utah.\n"
LETTER = "Dear Ann, the roses are in flower. Yours, Tom.\n"
KINDS = {
    SHEET: Classification("report", 0.9, unsure=False),
    LEASE: Classification("contract", 0.9, unsure=False),
    LETTER: Classification("other", 0.9, unsure=False),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A contract, a letter and two reports, of which the text of one decides."""
    monkeypatch.setattr("shared.inference.Specialists", lambda *_settings: KeywordSpecialists())
    monkeypatch.setattr(DocumentClassifier, "__call__", lambda _self, text, _type: KINDS[text])
    where = tmp_path / "in"
    where.mkdir()
    (where / "a.txt").write_text(LEASE)
    (where / "b.txt").write_text(LETTER)
    (where / "c.txt").write_text(SHEET)
    (where / "d.json").write_bytes(report("d"))
    return where


def _result(line: dict[str, Any]) -> str:
    if "error" in line:
        return str(line["error"]["type"])
    if "filings" in line:
        return "findings"
    return "clauses" if line["clauses"] else "none"


@pytest.mark.parametrize(
    ("kind", "results"),
    [
        ("auto", ["clauses", "not_our_kind", "findings", "findings"]),
        ("contract", ["clauses", "none", "none", "none"]),
        ("report", ["unreadable_document", "unreadable_document", "findings", "findings"]),
    ],
)
def test_each_file_is_read_as_its_kind(
    run: Run, folder: Path, kind: str, results: list[str]
) -> None:
    files = sorted(folder.iterdir())
    for arguments in (["extract", *files], ["batch", folder]):
        _, out, _ = run(*arguments, "--kind", kind, "--json")
        found = lines(out)
        assert [_result(line) for line in found] == results
        stated = {line.get("kind") for line in found if "error" not in line}
        assert stated == ({"contract", "report"} if kind == "auto" else {kind})


def test_one_table_has_clauses_and_findings(run: Run, folder: Path) -> None:
    (folder / "b.txt").unlink()
    code, out, _ = run("batch", folder, "--csv")
    assert code == 0
    head, *rows = out.removeprefix("\ufeff").splitlines()
    assert {"category", "check", "flagged"} <= set(head.split(","))
    assert {Path(row.split(",")[0]).name for row in rows} == {"a.txt", "c.txt", "d.json"}
    code, out, _ = run("extract", folder / "a.txt", "--csv")
    assert "flagged" not in out.splitlines()[0], "no columns of reports without a report"


def test_a_batch_counts_the_kinds_and_is_continued(run: Run, folder: Path) -> None:
    _, out, _ = run("batch", folder)
    assert "3 of 4 files worked: 1 contract, 2 reports" in out
    _, out, _ = run("batch", folder)
    assert "3 of 4 files worked (3 already done)" in out
    _, out, _ = run("batch", folder, "--kind", "contract")
    assert "4 of 4 files worked: 4 contracts" in out
    summary = json.loads((folder.parent / "in-results" / "summary.json").read_text())
    assert (summary["kinds"], summary["of_these_before"]) == ({"contract": 4}, 0)


@pytest.mark.parametrize(
    ("command", "kind"), [("extract", "contract"), ("batch", "report")], ids=["extract", "batch"]
)
def test_an_unsure_kind_is_a_warning(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, command: str, kind: str
) -> None:
    monkeypatch.setitem(KINDS, SHEET, Classification("report", 0.4, unsure=True))
    only = folder / "only"
    only.mkdir()
    (only / "c.txt").write_text(SHEET)
    _, out, _ = run(command, only if command == "batch" else only / "c.txt", "--json")
    (line,) = lines(out)
    assert (line["kind"], line["kind_unsure"], line["kind_confidence"]) == (kind, True, 0.4)
    warnings = line["warnings"] if kind == "contract" else line["filings"][0]["warnings"]
    assert f"not sure that this is a {kind}" in warnings[0]
    if command == "batch":
        _, out, _ = run(command, only)
        assert f"! {only / 'c.txt'}: {warnings[0]}\n" in out
        assert "1 of 1 file worked (1 already done): 1 of unsure kind\n" in out


def test_a_document_is_read_only_once(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.documents.sandbox import Reader

    read: list[str] = []
    before = Reader.read

    def counting(self: Reader, data: bytes, *, name: str = "", **more: Any) -> Any:
        read.append(name)
        return before(self, data, name=name, **more)

    monkeypatch.setattr(Reader, "read", counting)
    code, _, _ = run("extract", folder / "a.txt", folder / "c.txt", "--json")
    assert (code, read) == (0, ["a.txt", "c.txt"])
