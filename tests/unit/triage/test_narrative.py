"""Sentences about the filer: which are read, where they stand, and what a person is asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from models.files import folder_of
from services.cli import cli
from services.cli.documents.reports import Reports
from services.triage.narrative.features import PLACES
from services.triage.narrative.flags import (
    NarrativeResult,
    flags_for_review,
    flags_of,
    read_narrative,
)
from services.triage.narrative.keywords import BY_NAME, FAMILIES, MOST_SENTENCES, candidates
from services.triage.narrative.model import NAME, FamilyThresholds, FlagModel, FlagsError, write
from shared.blobs import MissingBlob
from shared.documents import read
from shared.events import DocumentDeleted, DocumentFailed, FindingsFound
from tests.support import ROOT
from tests.unit.triage.builders import Triage
from tests.unit.triage.filings import record

FLAGS = "/v1/documents/doc_1/narrative-flags"
DOUBT = "These factors raise substantial doubt about our ability to continue as a going concern."
WEAK = (
    "We identified a material weakness in our internal control over financial reporting as of "
    "June 30, 2023."
)
DEFINED = (
    "A material weakness is a deficiency, or a combination of deficiencies, in internal control, "
    "such that there is a reasonable possibility that a misstatement will not be prevented."
)
MIGHT = "If we fail to maintain effective controls, we may in the future have a material weakness."
OVER = (
    "We identified a material weakness in internal control in 2019, which was remediated in 2020."
)


@pytest.fixture(scope="module")
def narrative() -> FlagModel:
    return FlagModel.load(ROOT / "models" / "artefacts")


def sentences(text: str, *furniture: tuple[int, int]) -> list[tuple[str, str]]:
    return [(one.family, one.text) for one in candidates(text, furniture)]


def test_a_sentence_is_cut_from_its_page() -> None:
    text = (
        "LIQUIDITY\nThe loss of Acme Inc. in the\nU.S. market, and others, raise substantial doubt "
        "about our\nability to go on. Cash was low.\n\nNothing else."
    )
    (found,) = candidates(text)
    assert found.text == (
        "The loss of Acme Inc. in the U.S. market, and others, raise substantial doubt about our "
        "ability to go on."
    )
    assert text[found.start : found.end].split() == found.text.split()


def test_a_running_header_does_not_cut_a_sentence() -> None:
    header = "ACME 2023 FORM 10-K 17"
    text = f"These factors raise substantial\n\n{header}\n\ndoubt about our ability to go on."
    place = text.index(header)
    (found,) = candidates(text, [(place, place + len(header))])
    assert found.text == "These factors raise substantial doubt about our ability to go on."
    assert (found.start, found.end) == (0, len(text))


@pytest.mark.parametrize(
    "text",
    [
        "NOTE 2 - GOING CONCERN",
        "Receivables from related parties ................. 2 2",
        "Prepaid expenses and other assets (237) (237) Payables to related parties (150) 277",
        "Item 13. Certain Relationships and Related Party Transactions 62",
        "The foregoing concerns are not about us, nor are they about any customer of ours.",
        "Future payments on the non-related party notes payable are as follows in each year:",
        "The plaintiff sued several unrelated parties in the same court over the same matter.",
        "Our hedges were not effective in the year, and so we recorded them in net income.",
        "Standards not effective until 2024 will not change our internal controls in any way.",
        "In this assessment, there were no material weaknesses identified by our management.",
        "Our related party transactions in 2015, 2014 and 2013 were not material to us.",
        "As of year end, there were no material amounts payable to related parties of ours.",
        "Prior to joining us, she served as a lawyer in the United States Department of Justice.",
    ],
)
def test_what_is_no_sentence_about_it_is_not_read(text: str) -> None:
    assert sentences(text) == []


def test_a_long_sentence_is_cut_around_its_keyword() -> None:
    (found,) = candidates("word " * 400 + "and substantial doubt " + "about it " * 400)
    assert "substantial doubt" in found.text
    assert found.end - found.start <= 720


@pytest.mark.parametrize(
    ("text", "family"), [(DOUBT, "going_concern"), (WEAK, "material_weakness")]
)
def test_a_sentence_about_the_filer_is_flagged(
    narrative: FlagModel, text: str, family: str
) -> None:
    reading = read(f"Annual report.\n\n{text} More of it.".encode(), name="report.txt")
    (flag,) = flags_of(reading, narrative)
    assert (flag.family, flag.text, flag.level) == (family, text, "strong")
    assert reading.text[flag.start : flag.end] == text
    assert (flag.page, flag.filer) == (1, "our" if family == "going_concern" else "We")
    assert flags_for_review([flag, flag]) == (flag,)
    assert flags_of(reading, narrative) == (flag,)


@pytest.mark.parametrize("text", [DEFINED, MIGHT])
def test_a_definition_or_a_mere_risk_is_not_flagged(narrative: FlagModel, text: str) -> None:
    reading = read(text.encode(), name="report.txt")
    assert len(list(candidates(reading.text))) == 1
    assert flags_of(reading, narrative) == ()


def test_a_past_weakness_does_not_go_to_a_person(narrative: FlagModel) -> None:
    (flag,) = flags_of(read(OVER.encode(), name="report.txt"), narrative)
    assert (flag.level, flags_for_review([flag])) == ("likely", ())


def test_an_artefact_is_read_as_it_was_written(tmp_path: Path) -> None:
    weight = np.zeros((PLACES, 1), np.float32)
    reads = {"going_concern": FamilyThresholds(1.0, 0.0, 0.5, None, 0.0)}
    one = FlagModel(weight, np.ones(1, np.float32), np.ones(PLACES, np.float32), reads, "1.0.0")
    folder = tmp_path / NAME / "1.0.0"
    more = {"sentences": 1, "companies": 1, "licence": "own"}
    write(folder, one, **more)
    again = FlagModel.load(tmp_path)
    for model in (one, again):
        assert model.probability(DOUBT, "going_concern") == 0.7311
    assert again.families == reads
    (flag,) = flags_of(read(DOUBT.encode(), name="report.txt"), again)
    assert flag.level == "likely"  # a family that is not escalated
    write(folder, replace(one, families={"other": reads["going_concern"]}), **more)
    with pytest.raises(FlagsError, match="other families"):
        FlagModel.load(tmp_path)


def test_every_family_that_ships_is_known_to_the_gate(narrative: FlagModel) -> None:
    assert list(narrative.families) == [family.name for family in FAMILIES] == list(BY_NAME)
    assert narrative.families["related_party"].strong is None


def test_the_card_describes_the_shipped_artefact(narrative: FlagModel) -> None:
    card = (folder_of(NAME) / "CARD.md").read_text("utf-8")
    assert card.startswith(f"# {NAME} {narrative.version}\n")
    assert f"going_concern {narrative.families['going_concern'].strong:g}" in card


PAGE = """<html><body><h1>Balance sheets</h1><p>(in millions)</p><table>
<tr><td></td><td>December 31, 2023</td><td>December 31, 2022</td></tr>
<tr><td>Cash and cash equivalents</td><td>10</td><td>12</td></tr>
<tr><td>Inventories</td><td>30</td><td>28</td></tr>
<tr><td>Total current assets</td><td>40</td><td>40</td></tr>
<tr><td>Total assets</td><td>40</td><td>40</td></tr>
<tr><td>Accounts payable</td><td>25</td><td>25</td></tr>
<tr><td>Total liabilities</td><td>25</td><td>25</td></tr>
<tr><td>Total stockholders' equity</td><td>15</td><td>15</td></tr>
<tr><td>Total liabilities and stockholders' equity</td><td>40</td><td>40</td></tr>
</table><p>{}</p></body></html>"""


def test_flags_are_answered_and_the_strong_ones_announced(triage: Triage) -> None:
    triage.handle(triage.page("doc_1", PAGE.format(DOUBT).encode(), "report.html"))
    found = triage.answer("doc_1", "narrative-flags")
    (flag,) = found["items"]
    assert (flag["family"], flag["text"], flag["level"]) == ("going_concern", DOUBT, "strong")
    assert found["next"] is None
    (event,) = triage.announced(FindingsFound)
    assert json.loads(triage.service.blobs.get("default", event.narrative)) == [flag]
    (report,) = triage.client.get("/v1/reports").json()["items"]
    assert (report["narrative_flags"], report["flagged"]) == (1, False)


def test_flags_go_on_at_the_cursor(triage: Triage) -> None:
    page = PAGE.format(f"{WEAK} {DOUBT} {WEAK}").encode()
    triage.handle(triage.page("doc_1", page, "report.html"))
    whole = triage.answer("doc_1", "narrative-flags")["items"]
    first = triage.answer("doc_1", "narrative-flags", limit=1)
    rest = triage.answer("doc_1", "narrative-flags", cursor=first["next"])
    assert [*first["items"], *rest["items"]] == whole
    assert {flag["text"] for flag in whole} == {WEAK, DOUBT}
    assert len(whole) == 2
    assert triage.client.get(FLAGS, params={"cursor": "x"}).status_code == 422


def test_a_report_without_such_sentences_and_data_have_none(triage: Triage) -> None:
    triage.handle(triage.page("doc_1", PAGE.format("All is well with us.").encode(), "report.html"))
    triage.handle(triage.read("doc_2", record()))
    for document in ("doc_1", "doc_2"):
        found = triage.answer(document, "narrative-flags")
        assert found == {"items": [], "next": None, "warnings": []}
    assert [event.narrative for event in triage.announced(FindingsFound)] == [None, None]


GERMAN = (
    "Die Gesellschaft hat im Geschäftsjahr einen wesentlichen Verlust erlitten, der Fortbestand "
    "des Unternehmens ist nach Ansicht des Vorstands gefährdet, sofern keine neuen Mittel kommen. "
)
FRENCH = (
    "La société a subi une perte importante au cours de l'exercice et la continuité de son "
    "exploitation est compromise, selon la direction, si elle ne trouve pas de nouveaux fonds. "
)
ENGLISH = "The company made a loss in the year, and that was the end of it with our lenders. "


@pytest.mark.parametrize("sentence", [GERMAN, FRENCH])
def test_another_language_is_a_warning(triage: Triage, tmp_path: Path, sentence: str) -> None:
    page = f"<meta charset='utf-8'>{PAGE.format(sentence * 20)}".encode()
    triage.handle(triage.page("doc_1", page, "report.html"))
    found = triage.answer("doc_1", "narrative-flags")
    assert found["items"] == []
    (warning,) = found["warnings"]
    assert "does not seem to be English" in warning
    assert triage.findings("doc_1")["warnings"][0] == warning
    path = tmp_path / "report.html"
    path.write_bytes(page)
    with Reports() as reports:
        (line,) = reports.file(str(path))
    assert warning in line["warnings"]


@pytest.mark.parametrize("text", [ENGLISH * 200, "", "Bilanz 2023 " * 50])
def test_an_english_or_a_short_text_is_no_warning(narrative: FlagModel, text: str) -> None:
    assert read_narrative(read(f"x {text}".encode(), name="report.txt"), narrative).warnings == ()


def test_of_a_family_so_many_sentences_are_read(narrative: FlagModel) -> None:
    text = "The going concern of ours.\n\n" * (MOST_SENTENCES + 1) + DOUBT + "\n\n" + WEAK
    words = read_narrative(read(text.encode(), name="report.txt"), narrative)
    assert [flag.family for flag in words.flags] == ["material_weakness"]
    (warning,) = [one for one in words.warnings if "narrative flags: " in one]
    assert "only the first 2,000 sentences that may be about 'Going-concern doubt'" in warning
    assert flags_of(read(DOUBT.encode(), name="report.txt"), narrative)


WORDS = "<html><body><h1>Risk factors</h1><p>We make things.</p><p>{}</p></body></html>"


def test_words_of_a_report_without_statements_are_kept(triage: Triage) -> None:
    triage.handle(triage.page("doc_1", WORDS.format(DOUBT).encode(), "risks.html", actor="ada"))
    (flag,) = triage.answer("doc_1", "narrative-flags")["items"]
    assert (flag["family"], flag["text"], flag["level"]) == ("going_concern", DOUBT, "strong")
    (event,) = triage.announced(FindingsFound)
    assert (event.count, event.flagged, event.unreadable, event.actor) == (0, False, 1, "ada")
    assert event.missing.startswith("No financial statements found.")
    assert json.loads(triage.service.blobs.get("default", event.findings)) == []
    assert json.loads(triage.service.blobs.get("default", event.narrative)) == [flag]
    for other in ("findings", "statements", "signals", "history"):
        refused = triage.client.get(f"/v1/documents/doc_1/{other}")
        assert refused.status_code == 409
        assert "its figures were not checked" in refused.json()["detail"]
        assert "failed" not in refused.json()["detail"]
        assert "no_statements: No financial statements found" in refused.json()["detail"]
        assert "its narrative flags are available" in refused.json()["detail"]
    assert triage.client.get("/v1/reports").json()["items"] == []


INSTANCE = f"""<xbrl xmlns="http://www.xbrl.org/2003/instance" xmlns:us-gaap="http://fasb.org/us-gaap/2023">
<context id="c"><entity><identifier scheme="s">1</identifier></entity>
<period><instant>2023-12-31</instant></period></context>
<us-gaap:SubstantialDoubtTextBlock contextRef="c">{DOUBT}</us-gaap:SubstantialDoubtTextBlock>
</xbrl>"""


@pytest.mark.parametrize(
    ("name", "data"),
    [("facts.xml", INSTANCE), ("facts.csv", f"Note,2023,2022\nOther,3,4\n{DOUBT}\n")],
)
def test_data_has_no_sentences(narrative: FlagModel, name: str, data: str) -> None:
    reading = read(data.encode(), name=name)
    assert DOUBT in reading.text
    assert read_narrative(reading, narrative) == NarrativeResult()
    assert read_narrative(replace(reading, media_type="text/plain"), narrative).flags


def test_a_report_of_which_neither_figures_nor_words_say_anything_fails(triage: Triage) -> None:
    triage.handle(triage.page("doc_1", WORDS.format("All is well.").encode(), "risks.html"))
    (failed,) = triage.announced(DocumentFailed)
    assert (failed.stage, failed.code) == ("triage", "unreadable_report")
    assert triage.answer("doc_1", "narrative-flags")["items"] == []


def test_words_of_an_earlier_attempt_count_no_more(triage: Triage) -> None:
    triage.handle(triage.page("doc_1", WORDS.format(DOUBT).encode(), "risks.html"))
    (event,) = triage.announced(FindingsFound)
    triage.handle(triage.read("doc_1", b"{torn", attempt=2))
    assert triage.client.get(FLAGS).status_code == 409
    triage.handle(DocumentDeleted(document_id="doc_1"))
    assert triage.client.get(FLAGS).status_code == 404
    with pytest.raises(MissingBlob):
        triage.service.blobs.get("default", event.narrative)


def test_the_command_line_has_words_beside_the_error(tmp_path: Path) -> None:
    for name, sentence in (("risks.html", DOUBT), ("letter.html", "All is well.")):
        (tmp_path / name).write_text(WORDS.format(sentence))
    paths = [str(tmp_path / name) for name in ("risks.html", "letter.html")]
    result = CliRunner().invoke(cli, ["triage", *paths, "--json"], standalone_mode=False)
    assert result.return_value == 2
    first, second = map(json.loads, result.stdout.splitlines())
    assert first["error"]["detail"].startswith("No financial statements found")
    assert [flag["text"] for flag in first["narrative_flags"]] == [DOUBT]
    assert set(second) == {"source", "error"}
    shown = CliRunner().invoke(cli, ["triage", paths[0]], standalone_mode=False).stdout
    assert "risks.html: No financial statements found" in " ".join(shown.split())
    assert DOUBT in " ".join(shown.split())
    with Reports() as reports:
        (filing,) = reports.result(paths[0], (tmp_path / "risks.html").read_bytes())["filings"]
    assert [flag["text"] for flag in filing["narrative_flags"]] == [DOUBT]
