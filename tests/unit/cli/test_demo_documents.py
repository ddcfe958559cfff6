"""The documents of `smallprint demo`: written by their program, and good examples."""

from __future__ import annotations

from pathlib import Path

import pytest
from pypdf import PdfReader

from infra.docs.demo_documents import PLANTED, WRITERS
from services.cli.demo import documents
from services.ingest.classifier import DocumentClassifier
from shared.documents import Attachment, read, sniff, unpack
from tests.support import artefacts
from tests.unit.cli.builders import Run, lines

REPORT, DISTRIBUTION, LICENCE, SCAN, MAIL = documents()
LARGEST = 400_000  # bytes of all together: they are in every package


def parts(path: Path, data: bytes) -> list[Attachment]:
    """A document as a list of one, and the mail as its body and its attachment."""
    whole = Attachment(path.name, sniff(data, path.name), data)
    attached = unpack(data, name=path.name).parts() if path == MAIL else ()
    return [whole, *(part for part in attached if isinstance(part, Attachment))]


def texts(path: Path, data: bytes) -> list[str]:
    return [read(part.data, name=part.name).text for part in parts(path, data)]


def test_the_documents_are_those_of_the_program() -> None:
    assert list(WRITERS) == [path.name for path in documents()]
    assert sum(path.stat().st_size for path in documents()) < LARGEST
    for path in (REPORT, DISTRIBUTION, LICENCE, MAIL):
        assert texts(path, path.read_bytes()) == texts(path, WRITERS[path.name]()), path.name


@pytest.mark.parametrize("name", WRITERS)
def test_each_run_writes_the_same_bytes(name: str) -> None:
    assert WRITERS[name]() == WRITERS[name]()


def test_the_scan_is_one_picture_without_text() -> None:
    (page,) = PdfReader(SCAN).pages
    assert (len(page.images), page.extract_text()) == (1, "")


def test_the_only_finding_in_the_report_is_the_planted_error(run: Run) -> None:
    code, out, _ = run("triage", REPORT, "--json")
    (line,) = lines(out)
    (finding,) = line["findings"]
    label, right, wrong = PLANTED
    cell = finding["cells"][0]["place"]
    assert (code, line["warnings"], line["narrative_flags"]) == (0, [], [])
    assert {signal["level"] for signal in line["signals"]} == {"usual"}
    assert line["flagged"]
    assert line["risk"] > 0.9
    assert finding["label"] == label
    assert f"{finding['reported'] // 1000:,}" == wrong
    assert f"{finding['expected'] // 1000:,}" == right
    assert "Likeliest cause: two neighbouring digits are swapped" in finding["message"]
    assert read(REPORT.read_bytes()).text[cell["start"] : cell["end"]] == wrong


@pytest.mark.parametrize(
    ("path", "kind"),
    [(REPORT, "report"), (DISTRIBUTION, "contract"), (LICENCE, "contract"), (MAIL, "contract")],
    ids=["report", "distribution", "licence", "mail"],
)
def test_the_kind_of_each_is_sure(path: Path, kind: str) -> None:
    *_, document = parts(path, path.read_bytes())
    found = DocumentClassifier.load(artefacts())(read(document.data).text, document.media_type)
    assert found is not None
    assert (found.kind, found.unsure) == (kind, False)


def test_each_contract_has_many_clauses(run: Run) -> None:
    artefacts()
    code, out, _ = run("extract", DISTRIBUTION, LICENCE, MAIL, "--json")
    distribution, licence, mail = lines(out)
    (nda,) = mail["parts"]
    assert code == 0
    for contract in (distribution, licence, nda):
        assert len({clause["category"] for clause in contract["clauses"]}) >= 8
