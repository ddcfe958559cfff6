"""`smallprint triage`: a filing a line, as it streams, in order, whatever else is in the file."""

from __future__ import annotations

import json
import os
import random
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from services.cli.documents.reports import Reports
from services.cli.output import tables
from tests.support import artefacts
from tests.support.samples import filing, report
from tests.unit.cli.builders import Run, lines, words
from tests.unit.triage.filings import bent, find_row, record, restricted, row
from tests.unit.triage.reading import samples
from tests.unit.triage.test_history import a_year_later


def filings(count: int) -> list[bytes]:
    """Lines with sound and wrong filings under new ids."""
    made = []
    for number in range(count):
        amount = 4914 + number
        one = bent("balance_sheet", "Total current assets", 0, amount) if number % 2 else record()
        made.append(json.dumps({**one, "id": f"f{number}"}).encode() + b"\n")
    return made


def without_timings(line: Any) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in ("timings", "source")}


def test_a_filing_is_judged_before_the_next_is_there(tmp_path: Path) -> None:
    pipe = tmp_path / "filings.jsonl"
    os.mkfifo(pipe)
    lines, out, late = filings(6), threading.Semaphore(1), []

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            for number, line in enumerate(lines):
                if not out.acquire(timeout=60):
                    late.append(number)
                file.write(line)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    found = []
    with Reports() as reports:
        for line in reports.file(str(pipe)):
            found.append(line["id"])
            out.release()
    writer.join(60)
    assert late == []
    assert found == [f"f{number}" for number in range(6)]


def test_a_filing_has_the_same_answer_whatever_else_is_there(tmp_path: Path) -> None:
    lines, shuffled = filings(6), filings(6)
    random.Random(1).shuffle(shuffled)
    alone = tmp_path / "alone.json"
    answers = []
    with Reports() as reports:
        for name, some in (("a.jsonl", lines), ("b.jsonl", shuffled)):
            (tmp_path / name).write_bytes(b"".join(some))
            found = {
                line["id"]: without_timings(line) for line in reports.file(str(tmp_path / name))
            }
            assert list(found) == [json.loads(line)["id"] for line in some]
            answers.append(found)
        assert answers[0] == answers[1]
        alone.write_bytes(lines[1])
        with Reports() as others:
            (line,) = others.file(str(alone))
    assert without_timings(line) == answers[0]["f1"]
    assert line["flagged"]


def test_what_was_compared_with_nothing_warns(tmp_path: Path) -> None:
    earlier, now = tmp_path / "earlier.json", tmp_path / "now.json"
    earlier.write_text(json.dumps({**record(), "company": "Another Corp"}))
    now.write_text(json.dumps(record()))
    with Reports() as reports:
        assert list(reports.learn_history(str(earlier))) == ["1 earlier filing of 1 company"]
        (line,) = reports.file(str(now))
    (why,) = line["warnings"]
    assert why.startswith("nothing was compared with earlier filings: the history has no filing of")
    assert why.endswith("'Another Corp'")


def test_each_filing_is_a_line_in_order_and_a_bad_one_costs_only_itself(
    run: Run, tmp_path: Path
) -> None:
    one, many = tmp_path / "one.json", tmp_path / "many.jsonl"
    one.write_bytes(report("a"))
    many.write_bytes(b"\n".join((report("b"), b"not json", report("c"))))
    code, out, err = run("triage", one, many, "--json")
    first, second, bad, third = lines(out)
    assert (code, err, "error" in bad) == (1, "", True)
    good = (first, second, third)
    assert [(line["source"], line["id"]) for line in good] == [
        *((str(one), "a"), (str(many), "b"), (str(many), "c"))
    ]
    for line in good:
        assert line["flagged"] is True
        assert line["findings"][0]["statement"] == "balance_sheet"
        assert set(line["timings"]) == {"read", "find", "total"}


def test_files_that_fail_are_error_lines_in_their_place(run: Run, tmp_path: Path) -> None:
    good, empty, image = tmp_path / "f.json", tmp_path / "e.json", tmp_path / "i.json"
    good.write_bytes(report("a"))
    empty.touch()
    image.write_bytes(b"\x89PNG\r\n\x1a\n")
    paths = ("missing", tmp_path, empty, good, image)
    code, out, _ = run("triage", *paths, "--json")
    found = lines(out)
    assert code == 1
    assert [line["source"] for line in found] == [str(path) for path in paths]
    assert ["error" in line for line in found] == [True, True, True, False, True]
    assert [line["error"]["type"] for line in found[:2]] == ["not_found", "unreadable_file"]
    code, out, _ = run("triage", "missing", "also-missing", "--json")
    assert (code, len(lines(out))) == (2, 2)


def test_a_person_gets_a_table_which_says_that_it_is_no_advice(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_bytes(report("acme-2023"))
    code, out, err = run("triage", path)
    assert code == 0
    assert out.startswith("Acme, 10-K  (flagged, risk 1.00)  ")
    assert f"{path}  acme-2023\n" in out
    assert "no legal or audit advice" in err


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("balance", "it has no statement of a supported kind"),
        ("balance_sheet", "no relation between its lines was recognised"),
    ],
)
def test_data_in_which_nothing_could_be_checked_is_not_called_clean(
    run: Run, tmp_path: Path, kind: str, why: str
) -> None:
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
    assert "no findings" not in out
    assert "; 0 relations checked." in words(out)
    assert f"! nothing was checked: {why}" in words(out)
    (line,) = lines(run("triage", path, "--json")[1])
    assert (line["flagged"], line["checked"], line["findings"]) == (False, False, [])
    assert line["warnings"][0].startswith(f"nothing was checked: {why}")


def test_a_table_without_a_statement_that_is_known_has_failed(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "german.csv"
    path.write_text("Bilanz (in Tausend),2023\nUmlaufvermögen,100\nSumme Aktiva,310\n")
    code, out, err = run("triage", path)
    assert (code, out) == (2, "")
    assert "'Bilanz (in Tausend)': unknown kind of statement" in err
    assert "No financial statements found." in err


def test_a_person_reads_the_warnings_too(run: Run, tmp_path: Path) -> None:
    later, first = a_year_later(), tmp_path / "first.json"
    first.write_text(json.dumps(record()))
    for label, more in (("Accounts receivable, net", -137_000_000), ("Inventories", 137_000_000)):
        part, row = find_row(later, "balance_sheet", label)
        part["rows"][row]["values"][1] += more
    part["rows"][0]["values"] = ["x", None]
    path = tmp_path / "later.json"
    path.write_text(json.dumps(later))
    _, out, _ = run("triage", path, "--history", first)
    output = words(out)
    assert "! balance_sheet row 1 column 1, " in output
    assert ": 'x' is not an amount, left out" in output
    assert "! balance_sheet (2023-12-31): 2 of 16 lines differ from f1" in output


def test_a_finding_is_not_called_nothing() -> None:
    finding = {"check": "income_sums", "statement": "income", "confidence": 0.86, "message": "m"}
    line = {"source": "a.pdf", "id": "a", "flagged": False, "risk": 0.86, "findings": [finding]}
    first, *rest = tables.findings(line)
    assert first == "a.pdf  a  (not flagged, risk 0.86; 1 finding)"
    assert rest[0] == "  The results of the income statement add up (confidence 0.86)"
    assert next(tables.findings({**line, "findings": []})).endswith(
        "(not flagged, risk 0.86; no findings: a suspicion is too weak for one)"
    )
    assert next(tables.findings({**line, "flagged": True})).endswith("(flagged, risk 0.86)")


def test_what_does_not_close_is_listed_with_its_reason(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text(json.dumps(restricted()))
    _, out, _ = run("triage", path)
    output = words(out)
    assert "relations checked, 3 do not close." in output
    assert output.count("does not close: Cash agrees between statements") == 1
    assert "a difference of 10,000,000. May be lawful: The cash flow statement" in output
    (line,) = lines(run("triage", path, "--json")[1])
    assert (line["flagged"], line["findings"], line["coverage"]["not_closing"]) == (False, [], 3)
    alone = tmp_path / "alone.json"
    alone.write_text(json.dumps({**record(), "statements": record()["statements"][1:2]}))
    output = words(run("triage", alone)[1])
    assert "Income statement only; 12 relations checked, none broken." in output
    assert "Balance sheet and cash flow statement: not found." in output
    assert "holds:" not in output


def test_relations_that_hold_are_listed_if_few_were_checked(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "short.json"
    short: dict[str, Any] = {"statement": "income", "columns": [{"end": "20231231", "quarters": 4}]}
    short["rows"] = [row("Net sales", 11), row("Cost of goods sold", 7), row("Gross profit", 4)]
    path.write_text(json.dumps({"id": "short", "statements": [short]}))
    held = "holds: Gross profit 4,000,000 = Net sales 11,000,000 - Cost of goods sold 7,000,000"
    assert f"{held} (2023-12-31)" in words(run("triage", path)[1])


def test_reports_are_not_judged_by_a_damaged_specialist(run: Run, tmp_path: Path) -> None:
    shutil.copytree(artefacts() / "triage-breaks", tmp_path / "artefacts" / "triage-breaks")
    (forest,) = tmp_path.glob("artefacts/triage-breaks/*/breaks.onnx")
    forest.unlink()
    (tmp_path / "f.json").write_bytes(report("a"))
    code, out, err = run(
        "triage", tmp_path / "f.json", "--json", SMALLPRINT_ARTEFACTS=tmp_path / "artefacts"
    )
    assert (code, out) == (2, "")
    assert f"{forest} is missing or damaged; restore it from the release" in err


def test_a_report_has_the_limit_of_every_document(run: Run, tmp_path: Path) -> None:
    body = json.dumps(filing("a"))
    (tmp_path / "a.json").write_text(body + " " * 9000)
    (tmp_path / "a.csv").write_text("x" * 9001)
    (tmp_path / "noname").write_text(body + " " * 9000)
    (tmp_path / "a.jsonl").write_text(f"{body}\n" * 9)
    names = [tmp_path / name for name in ("a.json", "a.csv", "noname", "a.jsonl")]
    code, out, _ = run("triage", *names, "--json", SMALLPRINT_INGEST_MAX_BYTES="9000")
    assert code == 1
    *bad, first = lines(out)[:4]
    assert [line["error"]["type"] for line in bad] == ["document_too_large"] * 3
    assert "SMALLPRINT_INGEST_MAX_BYTES" in bad[0]["error"]["detail"]
    assert first["id"] == "a"


def test_triage_reads_pages_and_names_the_place_of_each_cell(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(samples.pdf(samples.bent()))
    (tmp_path / "b.xlsx").write_bytes(samples.workbook(samples.bent()))
    (tmp_path / "c.json").write_text(json.dumps(filing("c")))

    code, out, _ = run("triage", *(tmp_path / n for n in ("a.pdf", "b.xlsx", "c.json")), "--json")

    found = lines(out)
    assert code == 0
    sums = {"income_sums", "balance_equation", "balance_sheet_sums"}
    first = [
        next(one["cells"][0] for one in line["findings"] if one["check"] in sums) for line in found
    ]
    assert [line["id"] for line in found] == ["a", "b", "c"]
    assert [cell["label"] for cell in first[:2]] == ["Total revenue"] * 2
    assert len(first[0]["place"]["box"]) == 4
    assert first[1]["place"]["cell"] == "'S1'!B6"
    assert first[2]["place"] is None


def test_earlier_reports_are_held_beside_those_that_are_given(run: Run, tmp_path: Path) -> None:
    later = a_year_later()
    part, row = find_row(later, "balance_sheet", "Accounts receivable, net")
    part["rows"][row]["values"][1] = 2_791_000_000
    folder, path = tmp_path / "earlier", tmp_path / "later.json"
    folder.mkdir()
    path.write_text(json.dumps(later))
    (folder / "a.jsonl").write_text(json.dumps(record()) + "\n")
    (folder / ".old.jsonl").write_text(json.dumps({**record(), "company": "Hidden Corp"}) + "\n")
    for name in "bcde":
        (folder / f"{name}.json").write_text("{torn")
    (folder / "f.json").write_text(json.dumps({**record(), "company": None}))
    code, out, err = run("triage", path, "--history", folder, "--json")
    assert code == 0, err
    (unread,) = [line for line in err.splitlines() if ".json: " in line and "can't be read" in line]
    assert unread.startswith("left out: 4 earlier reports which can't be read: ")
    assert "b.json: " in unread
    assert unread.endswith("; and 1 more")
    assert "left out: 1 earlier report without a company name or a date: " in err
    assert "1 earlier filing of 1 company" in err
    found = json.loads(out)
    assert found["flagged"]
    assert any("the earlier filing f1 has" in one["message"] for one in found["findings"])


def test_signals_stand_beside_findings(run: Run, tmp_path: Path) -> None:
    odd = {**bent("income", "Net sales", 1, 12), "id": "odd"}
    path = tmp_path / "filings.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in (record(), odd)))
    sound, strange = lines(run("triage", path, "--json")[1])
    assert sound["signals"]
    assert all(one["level"] != "strong" for one in sound["signals"])
    (growth,) = [one for one in strange["signals"] if one["signal"] == "sales_growth"]
    assert (growth["level"], growth["inputs"][0]["label"]) == ("strong", "Net sales")
    assert growth["formula"]
    assert growth["source"]
    text = words(run("triage", path)[1])
    assert "~ strong: Growth of sales" in text
    assert "~ usual" not in text
