"""Mails and archives on the command line: one line each, with a line in it for each part."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.cli.documents import contracts
from services.cli.documents.files import files_below
from shared.documents import Attachment
from shared.documents.sandbox import Reader
from tests.support.samples import filing
from tests.unit.documents.archives import archive, layers, sharing
from tests.unit.documents.mails import attached, deep, mail, nested, text, whole
from tests.unit.ingest.builders import SENTENCE, pdf

Run = Callable[..., tuple[int, list[dict[str, Any]], str]]
LEASE = pdf(SENTENCE)
REPORT = json.dumps(filing("a")).encode()
IMAGE = attached(b"GIF89a\r\n", "scan.gif", "image/gif")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, run: Callable[..., tuple[int, str, str]]) -> Run:
    """Runs the command in this process, with a specialist that finds nothing."""
    monkeypatch.setattr(contracts.ContractReader, "_models", lambda _self: [MODEL])
    monkeypatch.setattr(contracts.ContractReader, "_clauses", lambda *_: contracts.Answer())

    def go(*arguments: object, **settings: object) -> tuple[int, list[dict[str, Any]], str]:
        code, out, err = run(*arguments, **settings)
        if "--json" not in arguments:
            return code, [{"out": out}], err
        return code, [json.loads(line) for line in out.splitlines()], err

    return go


MODEL = {"adapter": "contract-clauses", "version": "1", "base": "0" * 64, "threshold": 0.5}


def kept(tmp_path: Path, data: bytes, name: str = "m.eml") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def test_extract_prints_one_line_a_mail_with_its_parts(run: Run, tmp_path: Path) -> None:
    inner = whole([text(), attached(LEASE)], boundary="inner")
    data = whole([text(), attached(LEASE), IMAGE, attached(REPORT, "r.json"), nested(inner)])
    path = kept(tmp_path, data)
    code, [line], _ = run("extract", path, "--json")
    assert code == 0
    assert (line["source"], line["document"]["media_type"]) == (str(path), "message/rfc822")
    assert (line["document"]["pages"], line["clauses"]) == (1, [])
    lease, scan, report, mail_within = line["parts"]
    assert lease["source"] == f"{path}/lease.pdf"
    assert set(lease) == set(line) - {"parts"}
    assert lease["document"]["media_type"] == "application/pdf"
    assert (scan["source"], scan["error"]["type"]) == (f"{path}/scan.gif", "unsupported_type")
    assert (report["kind"], len(report["filings"])) == ("report", 1)
    [deepest] = mail_within["parts"]
    assert deepest["source"] == f"{path}/The lease.eml/lease.pdf"
    assert deepest["document"] == lease["document"]


def test_text_prints_what_a_mail_says_and_names_its_parts(run: Run, tmp_path: Path) -> None:
    path = kept(tmp_path, whole([text(), attached(LEASE), IMAGE]))
    code, [shown], err = run("text", path)
    out = shown["out"]
    assert code == 0
    assert out.startswith("From: Ann <ann@example.com>\n")
    assert out.endswith("\nSee what is attached.\n")
    assert "lease.pdf, scan.gif" in err
    code, [line], err = run("text", path, "--json")
    assert (code, err) == (0, "")
    assert line["text"] == out
    lease, scan = line["parts"]
    assert lease["text"].strip() == SENTENCE
    assert scan["error"]["type"] == "unsupported_type"


def test_text_as_json_is_for_every_file(run: Run, tmp_path: Path) -> None:
    code, [line], _ = run("text", kept(tmp_path, b"Plain.\r\n", "a.txt"), "--json")
    assert (code, line["text"], "parts" in line) == (0, "Plain.\r\n", False)
    code, [line], _ = run("text", kept(tmp_path, b"", "e.txt"), "--json")
    assert (code, line["error"]["type"]) == (2, "empty_document")


def test_triage_judges_what_is_attached(run: Run, tmp_path: Path) -> None:
    lines = b"".join(json.dumps(filing(name)).encode() + b"\n" for name in "bc")
    data = whole([text(), attached(REPORT, "a.json"), attached(lines, "b.jsonl")])
    path = kept(tmp_path, data)
    code, [line], _ = run("triage", path, "--json")
    assert code == 0
    assert [[f["id"] for f in part["filings"]] for part in line["parts"]] == [["a"], ["b", "c"]]
    code, [line], _ = run("triage", kept(tmp_path, whole([text(), attached(LEASE)])), "--json")
    assert (code, line["error"]["type"]) == (2, "no_part_worked")
    assert line["parts"][0]["error"]["type"] == "unreadable_document"
    _, [shown], _ = run("triage", kept(tmp_path, data))
    assert "m.eml  (2 parts)" in shown["out"]
    assert shown["out"].count("flagged") == 3


def test_a_person_sees_a_table_for_each_part(run: Run, tmp_path: Path) -> None:
    path = kept(tmp_path, whole([text(), IMAGE, attached(LEASE)]))
    code, [shown], _ = run("extract", path)
    assert code == 0
    places = [shown["out"].index(f"{path}{end}") for end in ("  (", "/scan.gif: ", "/lease.pdf")]
    assert places == sorted(places)


def test_mails_a_hundred_deep_are_one_refused_part(run: Run, tmp_path: Path) -> None:
    code, [line], _ = run("extract", kept(tmp_path, deep(100)), "--json")
    assert code == 0
    [part] = line["parts"]
    assert part["error"]["type"] == "nested_too_deep"
    assert "SMALLPRINT_INGEST_MAX_DEPTH" in part["error"]["detail"]


def test_a_file_brings_so_much_and_no_more(run: Run, tmp_path: Path) -> None:
    inner = whole([attached(b"%d\n" % n, f"{n}.txt") for n in range(3)], boundary="inner")
    path = kept(tmp_path, whole([text(), nested(inner), attached(LEASE)]))
    _, [line], _ = run("text", path, "--json", SMALLPRINT_INGEST_MAX_PARTS="3")
    inside, lease = line["parts"]
    assert ["error" in part for part in inside["parts"]] == [False, False, True]
    assert lease["error"]["type"] == "document_too_large"


def test_an_archive_is_one_line_with_its_files(run: Run, tmp_path: Path) -> None:
    path = kept(tmp_path, archive({"x/a.pdf": LEASE, "m.eml": mail("Hello.\n")}), "a.zip")
    code, [line], _ = run("extract", path, "--json")
    assert code == 0
    assert (line["document"]["pages"], line["clauses"]) == (0, [])
    assert [part["source"] for part in line["parts"]] == [f"{path}/x/a.pdf", f"{path}/m.eml"]
    assert line["parts"][0]["document"]["pages"] == 1
    _, [shown], _ = run("extract", path)
    assert f"{path}  (archive, 2 parts)" in shown["out"]
    code, _, err = run("text", path)
    assert code == 2
    assert "--json prints its parts: x/a.pdf, m.eml" in err
    code, [line], _ = run("text", path, "--json")
    assert (code, line["text"], line["parts"][0]["text"].strip()) == (0, "", SENTENCE)


def test_an_archive_of_which_nothing_works_has_failed(run: Run, tmp_path: Path) -> None:
    code, [line], _ = run("extract", kept(tmp_path, archive({"e": b""}), "e.zip"), "--json")
    assert (code, line["error"]["type"]) == (2, "no_part_worked")
    assert line["parts"][0]["error"]["type"] == "empty_document"
    assert "e, failed: it has no bytes" in line["error"]["detail"]
    code, [line], _ = run("extract", kept(tmp_path, sharing(), "b.zip"), "--json")
    assert (code, line["error"]["type"], "parts" in line) == (2, "unreadable_document", False)


def test_archives_in_archives_come_to_an_end(run: Run, tmp_path: Path) -> None:
    _, [line], _ = run(
        "text",
        kept(tmp_path, layers(3, 16, b"text "), "42.zip"),
        "--json",
        SMALLPRINT_INGEST_MAX_PARTS="40",
    )

    def count(one: dict[str, Any]) -> tuple[int, int]:
        inside = [count(part) for part in one.get("parts", [])]
        good = "error" not in one
        return good + sum(n for n, _ in inside), (not good) + sum(n for _, n in inside)

    worked, refused = count(line)
    assert worked <= 41
    assert refused > 16


def test_an_archive_that_holds_itself_is_refused_inside(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = archive({"a.txt": b"x"})
    itself = Attachment("itself.zip", "application/zip", data)
    monkeypatch.setattr(Reader, "unpack", lambda *_arguments, **_options: iter([itself]))
    code, [line], _ = run("text", kept(tmp_path, data, "q.zip"), "--json")
    assert code == 2
    assert line["parts"][0]["error"]["type"] == "contains_itself"


def test_a_batch_works_on_mails(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    kept(folder, whole([text(), attached(LEASE), attached(REPORT, "r.json")]), "m.eml")
    for before in (0, 1):
        code, [line], _ = run("batch", folder, "--json")
        assert code == 0
        lease, report = line["parts"]
        assert lease["document"]["pages"] == 1
        assert report["filings"][0]["flagged"] is True
        results = tmp_path / "in-results"
        assert json.loads((results / "summary.json").read_text())["of_these_before"] == before
        assert json.loads((results / "m.eml.json").read_text())["parts"] == line["parts"]
    kept(folder, archive({"a.pdf": LEASE, "m.eml": mail("Hello.\n")}), "a.zip")
    _, [shown], _ = run("batch", folder)
    assert (
        "2 of 2 files worked (1 already done): 1 archive with 1 mail and 1 of unsure kind, "
        "1 mail with 1 of unsure kind and 1 report\n"
    ) in shown["out"]


def test_a_maildir_is_a_folder_of_mails(run: Run, tmp_path: Path) -> None:
    box = tmp_path / "box"
    folders = ("cur", "new", "tmp", ".Sent/cur", ".Sent/new", ".Sent/tmp", ".hidden", "other")
    for number, folder in enumerate(folders):
        (box / folder).mkdir(parents=True)
        kept(box / folder, mail(f"In {folder}.\n"), f"1.{number}.host:2,S")
    kept(box, b"index", "dovecot.index")
    wanted = [box / ".Sent" / "cur", box / ".Sent" / "new", box / "cur", box / "new"]
    found = [Path(path).parent for path in files_below(str(box), tmp_path / "x")]
    assert sorted(found) == sorted(wanted)
    code, lines, _ = run("batch", box, "--json")
    assert code == 0
    assert {line["document"]["media_type"] for line in lines} == {"message/rfc822"}
    assert len(list((tmp_path / "box-results").rglob("*.json"))) == 5
    (box / "tmp").rename(box / "temporary")
    assert str(box / "dovecot.index") in files_below(str(box), tmp_path / "x")
