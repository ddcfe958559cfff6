"""`smallprint policy try`: a policy on the documents of a data folder, beside the one in force."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from services.escalation.policy import note_policies
from services.escalation.policy.policy import read_policies
from services.extraction.domain import (
    CategoryResult,
    ExtractedClause,
    Extraction,
    Nearest,
    Pass,
    SearchRecord,
)
from services.extraction.store import MIGRATIONS as OF_EXTRACTION
from services.extraction.store import Extractions
from services.ingest.domain import Classification, first_progress
from services.ingest.domain import Document as Ingested
from services.ingest.keys import KeyRing
from services.ingest.store import Documents, unsure_kinds
from services.review.domain import Decision, Document
from services.review.results import ClauseItem, items_of_clauses
from services.review.store import add_decision, add_items, save_document
from services.triage.checks.classifier import BreakClassifier
from services.triage.monitoring.recalibration import refit
from services.triage.monitoring.store import MonitoringStore
from services.triage.routing.risk_control import FINDING
from shared.blobs import FileBlobs
from shared.blobs.markers import ref_of
from shared.errors import SettingsError
from shared.inference.adapters import AdapterManifest, newest_version
from shared.monitoring import recalibration
from shared.monitoring.refit import DecidedResult
from shared.monitoring.tenant_calibration import SHIPPED_CALIBRATION
from shared.policy.rules import KIND_UNSURE, FindingRules, RiskRules
from shared.storage import Store
from tests.support import ROOT, artefacts
from tests.unit.cli.builders import invoke, opened, words
from tests.unit.review.builders import reading_of
from tests.unit.triage.builders import Triage
from tests.unit.triage.filings import record, wrong

TEXT = "This Agreement is governed by the laws of Utah. Records may be audited once a year."
LAW = (TEXT.index("This"), TEXT.index(" Records"))
AUDIT = (TEXT.index("Records"), len(TEXT))
NOW = datetime(2026, 3, 1, tzinfo=UTC)
ADAPTER = "contract-clauses"
FORCED = '[tenants.default]\nalways_person = ["Audit Rights"]\n'
CAREFUL = """
[tenants.default]
max_wrong = 0.2
sample_share = 0.0
always_person = ["Audit Rights"]

[tenants.default.findings]
max_wrong = 0.2
broken = 0.5
"""


def installed() -> str:
    folder = newest_version(ROOT / "models" / "artefacts", ADAPTER)
    return AdapterManifest.read(folder).version


def found(
    document: str, category: str, span: tuple[int, int], confidence: float
) -> ExtractedClause:
    name = f"cl_{document}_{category.split()[0].lower()}"
    return ExtractedClause(name, ADAPTER, category, TEXT[slice(*span)], *span, 1, confidence)


def contract(data: Path, tenant: str, name: str) -> Document:
    """A document with TEXT, as review knows it."""
    blobs = FileBlobs(data / "blobs", "ingest")
    text = blobs.put(tenant, TEXT.encode())
    layout = blobs.put(tenant, reading_of(TEXT).to_bytes())
    return Document(tenant, name, f"{name}.txt", "contract", text=text, layout=layout)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder in which three contracts were read; people decided about one of them."""
    folder = tmp_path / "data"
    folder.mkdir()
    near = Nearest(TEXT[slice(*AUDIT)], *AUDIT, 1, 0.45)
    searched = SearchRecord(len(TEXT), 1, (), (CategoryResult("Insurance", 0.45, near),))
    passes = (Pass(ADAPTER, installed(), searched),)
    with opened(folder, "extraction") as extraction, opened(folder, "review") as review:
        for number, tenant in ((1, "default"), (2, "default"), (3, "acme")):
            name = f"doc_{number}"
            clauses = [
                found(name, "Governing Law", LAW, 0.98),
                found(name, "Audit Rights", AUDIT, 0.98),
            ]
            with extraction.write() as session:
                rows = Extractions(session, tenant)
                rows.save(Extraction(tenant, name, "contract", 1, state="done", passes=passes))
                rows.replace_clauses(name, clauses)
            with review.write() as session:
                document = contract(folder, tenant, name)
                save_document(session, document)
                if number == 1:
                    decide(session, document, clauses[0])
    reports = Triage(folder)
    reports.handle(reports.read("rep_1", record(), wrong()), reports.read("rep_2", wrong()))
    reports.close()
    return folder


def decide(session: Any, document: Document, clause: ExtractedClause) -> None:
    shown = ClauseItem.model_validate(clause.to_json())
    (item,) = items_of_clauses(document, [shown], text=TEXT, context=100, now=NOW)
    claimed = item.claim("ada", NOW, 60)
    decided = claimed.decide("ada", NOW, "reject", "de_" + "0" * 32)
    add_items(session, [decided])
    add_decision(session, Decision.of(decided, document, "reject", actor="ada", time=NOW))


class Tried:
    """`smallprint policy try` on a data folder, with a policy file of some text."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def __call__(self, text: str, *options: object) -> Result:
        policy = self.data.with_name("careful.toml")
        policy.write_text(text, "utf-8")
        return invoke("policy", "try", policy, "--data", self.data, *options)

    def line(self, text: str, *options: object) -> Any:
        """Its JSON line."""
        return json.loads(self(text, *options, "--json").stdout)

    def table(self, text: str) -> str:
        """Its table, without line breaks."""
        return words(self(text).stdout)


@pytest.fixture
def run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tried:
    forced = tmp_path / "forced.toml"
    forced.write_text(FORCED, "utf-8")
    monkeypatch.setenv("SMALLPRINT_POLICY", str(forced))
    return Tried(data)


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.db")
    }


ASKING = """
[providers.stand-in]
protocol = "own"
model = "stand-in"
url = "http://127.0.0.1:1"
price = { input = "3", output = "15", as_of = 2026-01-31 }

[tenants.default]
providers = ["stand-in"]
external_kinds = ["contract"]
day_usd = "1"
month_usd = "10"
"""


def test_what_would_be_asked_is_counted_and_priced(run: Tried) -> None:
    line = run.line(ASKING)
    now, new = line["now"], line["tried"]
    assert (now["escalated"], now["cost_usd"]) == (0, 0)
    assert new["escalated"] == 2
    # A thousand characters of instructions, the text and a definition; an answer of 40 tokens.
    assert 2 * 0.0012 < new["cost_usd"] < 2 * 0.003
    assert new["reviewed"] == now["reviewed"] == 4


def test_the_table_says_how_many_questions_the_budget_allows(run: Tried) -> None:
    output = run.table(ASKING)
    assert "the budget a day, US$ 0.00 1.00" in output
    assert "could be asked" not in output
    assert "sets aside" not in output
    line = run.line(ASKING)
    assert line["tried"]["budget_usd"] == {"day": 1, "month": 10}
    aside = line["tried"]["reserved_usd"]
    assert 0.036 < aside["least"] < aside["usual"] - 0.03 < 0.06
    assert aside["usual"] + 0.048 < aside["most"] < 0.17
    assert line["reports"]["tried"]["reserved_usd"] is None
    day = run.table(ASKING.replace('day_usd = "1"', 'day_usd = "0.06"'))
    assert "! tried, contracts: a prompt with 10,000 characters of a document" in day
    assert "with US$ 0.06 a day only shorter ones are sent; people get the other" in day
    month = ASKING.replace('month_usd = "10"', 'month_usd = "0.02"')
    assert "with US$ 0.02 a month no model is asked" in run.table(month)


@pytest.mark.parametrize(
    ("left_out", "reason"),
    [
        (['day_usd = "1"'], "no day_usd above 0"),
        (['month_usd = "10"'], "no month_usd above 0"),
        (['day_usd = "1"', 'month_usd = "10"'], "no day_usd and no month_usd above 0"),
        (['day_usd = "1"', 'providers = ["stand-in"]'], "no day_usd above 0"),
    ],
)
def test_a_missing_budget_is_reported(run: Tried, left_out: list[str], reason: str) -> None:
    text = ASKING
    for line in left_out:
        text = text.replace(line, "")
    output = run.table(text)
    assert f"! tried: {reason}, so no model is asked. " in output, output
    assert "above 0, so no model" not in run.table(CAREFUL)


def test_a_policy_is_tried_beside_the_one_in_force(data: Path, run: Tried) -> None:
    before = hashes(data)
    result = run(CAREFUL, "--json")
    assert result.exit_code == 0, result.output
    line = json.loads(result.stdout)
    assert (line["documents"], line["clauses"], line["decided"]) == (2, 4, 1)
    now, new = line["now"], line["tried"]
    assert (now["max_wrong"], now["accepted"], now["reviewed"]) == (None, 0, 4)
    assert (new["max_wrong"], new["accepted"], new["reviewed"]) == (0.2, 2, 2)
    assert (new["escalated"], new["cost_usd"]) == (0, 0)
    assert 0 < new["expected_errors"] < 0.4
    assert list(new["expected_errors_by_category"]) == ["Governing Law"]
    mine = new["expected_errors_by_category"]["Governing Law"]
    assert mine == {"expected_errors": pytest.approx(new["expected_errors"]), "accepted": 2}
    assert new["expected_errors_interval"][0] == 0 < new["expected_errors_interval"][1] <= 2
    assert now["expected_errors_interval"] == [0, 0]
    assert (new["accepted_and_decided"], new["changed"]) == (1, 1)
    # Two audits of seven words: 10 s each, and 14 words at 238 a minute.
    assert new["review_hours"] * 3600 == pytest.approx(20 + 14 / 238 * 60)
    assert hashes(data) == before


def test_the_table_has_both_policies_and_says_what_is_expected_of_them(run: Tried) -> None:
    result = run(CAREFUL)
    assert result.exit_code == 0, result.output
    first, second = result.stdout.split("\nReports: ")
    rows = rows_of(first)
    assert rows["accepted without review"] == ["0", "2"]
    assert rows["at most wrong, as stated"] == ["nothing", "stated", "20%,", "95%", "sure"]
    assert rows["found wrong by people"] == ["-", "1", "of", "1", "decided"]
    assert [len(digest) for digest in set(rows["version"])] == [12, 12]
    rows = rows_of(second)
    assert second.startswith("2, with 2 findings; people have decided about 0")
    assert rows["reports with an error, stated"] == ["not", "stated", "50%"]
    assert rows["from a confidence of"] == ["-", "60.0%"]
    output = words(result.stdout)
    assert "- tried, contracts: no review of 2 of 4 clauses. 0.02 of these are " in output
    assert "! tried, reports: this assumes that 50% of the reports have an error" in output
    assert "1 of these and found 1 wrong, 100%, which is more than 20%" in output
    assert "in force, contracts: no review of" not in output
    trusting = CAREFUL.replace("max_wrong", 'trust = "measured"\nmax_wrong', 1)
    assert ("(`trust`)" in output, "(`trust`)" in run.table(trusting)) == (False, True)


def rows_of(shown: str) -> dict[str, list[str]]:
    """The cells of a table by the titles of its rows."""
    return {line[:32].strip(): line[32:].split() for line in shown.splitlines()}


def test_reports_are_tried_beside_contracts(data: Path, run: Tried) -> None:
    line = run.line(CAREFUL)["reports"]
    assert (line["documents"], line["untried"], line["findings"], line["decided"]) == (2, 0, 2, 0)
    now, new = line["now"], line["tried"]
    assert (now["max_wrong"], now["broken"], now["accepted"], now["reviewed"]) == (None, None, 0, 2)
    assert (new["max_wrong"], new["broken"], new["accepted"], new["reviewed"]) == (0.2, 0.5, 2, 0)
    assert (now["threshold"], new["threshold"]) == (None, pytest.approx(0.6))
    assert 0 < new["expected_errors"] < 0.4
    ((check, mine),) = new["expected_errors_by_category"].items()
    assert check == "balance_sheet_sums"
    assert mine["title"] == "Sections of the balance sheet add up"
    rare = ASKING.replace('"contract"', '"report"') + "[tenants.default.findings]\nbroken = 0.005\n"
    asked = run.line(rare.replace("day_usd", 'mistake_usd = "9"\nday_usd'))
    new = asked["reports"]["tried"]
    assert (new["escalated"], new["reviewed"]) == (2, 2)
    assert 0.001 < new["cost_usd"] < 0.02
    assert asked["tried"]["escalated"] == 0


def test_a_report_of_an_unsure_kind_is_listed_with_that_reason(data: Path, run: Tried) -> None:
    with opened(data, "ingest") as store, store.write() as session:
        for name, by_somebody, unsure in (
            *(("rep_1", True, True), ("rep_2", False, True), ("rep_3", False, False)),
        ):
            ref = ref_of(name.encode())
            Documents(session, "default").add(
                Ingested(
                    *(name, "default", "a.json", "application/json", ref, ref, "ada"),
                    "uploader" if by_somebody else "type",
                    first_progress("application/json", "report"),
                    *(NOW, NOW),
                    classification=Classification("report", 0.5, unsure),
                )
            )
        assert unsure_kinds(session, "default") == {"rep_2"}
        assert unsure_kinds(session, "acme") == frozenset()
    new = run.line(CAREFUL)["reports"]["tried"]
    assert (new["accepted"], new["no_guarantee_reason"]) == (1, {KIND_UNSURE: 1})
    output = run.table(CAREFUL)
    assert f"tried, reports: none of the other 1 is accepted. {KIND_UNSURE}" in output


def test_no_share_of_broken_reports_counts_where_decisions_promise(data: Path, run: Tried) -> None:
    classifier = BreakClassifier.load(artefacts())
    rules = RiskRules(findings=FindingRules(max_wrong=0.2))
    right = [DecidedResult(f"company {n}", FINDING, 0.9, False, 1.0) for n in range(400)]
    made = refit(classifier, SHIPPED_CALIBRATION, rules, right, 400, 0, with_shipped=False)
    with opened(data, "triage") as store, store.write() as session:
        recalibration.apply_calibration(MonitoringStore(session, "default"), made, "ann")
    new = run.line(CAREFUL)["reports"]["tried"]
    assert ("broken" in new, new["calibration"], new["accepted"]) == (False, 1, 2)
    assert new["threshold"] == pytest.approx(made.confidence_after, abs=1e-4)
    output = run.table(CAREFUL)
    assert "of the reports have an error" not in output
    assert "reports with an error, stated" not in output
    assert "- tried, reports: this is based on decisions made here (calibration 1)" in output


def test_reports_that_can_not_be_tried_are_counted(data: Path, run: Tried) -> None:
    shutil.rmtree(data / "blobs" / "default" / "triage")
    line = run.line(CAREFUL)["reports"]
    assert (line["documents"], line["untried"], line["findings"]) == (2, 2, 0)
    assert (line["now"]["reviewed"], line["tried"]["accepted"]) == (0, 0)
    output = run.table(CAREFUL)
    assert "! 2 of 2 reports can't be tried and are not included" in output
    assert "Read them again (`reprocess`)" in output


def test_an_unattainable_risk_is_reported_in_a_sentence(run: Tried) -> None:
    stdout = run(CAREFUL.replace("0.2", "0.0001")).stdout
    output = words(stdout)
    assert "tried, contracts: none of 4 clauses is accepted. " in output
    assert "tried, contracts: nobody would look" not in output


def test_both_policies_are_named_by_their_versions(run: Tried) -> None:
    line = run.line(f'version = "spring"\n{CAREFUL}')
    forced = Path(os.environ["SMALLPRINT_POLICY"])
    digest = read_policies(forced).version("default").digest
    assert line["now"]["version"] == {"digest": digest, "label": ""}
    assert line["tried"]["version"]["label"] == "spring"
    assert line["tried"]["version"]["digest"] != digest
    assert run.line(FORCED)["tried"]["version"]["digest"] == digest


def note(data: Path, text: str, tmp_path: Path) -> str:
    """A suite has started with a policy; returns its digest for the default tenant."""
    file = tmp_path / "of_the_suite.toml"
    file.write_text(text, "utf-8")
    policies = read_policies(file)
    with opened(data, "escalation") as store:
        note_policies(store, policies.versions, policies.version, NOW)
    return policies.version("default").digest


def test_in_force_is_what_the_suite_has_whatever_the_shell_names(
    data: Path, run: Tried, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = note(data, f'version = "one"\n{ASKING}max_wrong = 0.2\nsample_share = 0.0\n', tmp_path)
    line = run.line(FORCED)
    now = line["now"]
    assert now["version"] == {"digest": digest, "label": "one"}
    assert (now["max_wrong"], now["accepted"], now["escalated"]) == (0.2, 4, 2)
    assert now["cost_usd"] > 0
    assert (now["known_by"], line["reports"]["now"]["known_by"]) == ("suite", "suite")
    (warning,) = line["warnings"]
    assert f"differs from the policy of the suite ({digest}, since 2026-03-01 00:00 UTC)" in warning
    assert "! the file in SMALLPRINT_POLICY (" in run(FORCED).stdout
    monkeypatch.setenv("SMALLPRINT_POLICY", str(tmp_path / "gone.toml"))
    stale = run.line(FORCED)
    assert stale["now"] == now
    assert f"the policy of the suite applies ({digest}, " in stale["warnings"][0]
    monkeypatch.delenv("SMALLPRINT_POLICY")
    alone = run.line(FORCED)
    assert alone["warnings"] == []
    assert alone["now"] == now
    rivals = run.line(FORCED, "--tenant", "acme")
    assert (rivals["now"]["known_by"], rivals["warnings"]) == ("suite", [])
    monkeypatch.setenv("SMALLPRINT_POLICY", str(tmp_path / "rivals.toml"))
    (tmp_path / "rivals.toml").write_text("[tenants.acme]\nmax_wrong = 0.3\n", "utf-8")
    rivals = run.line(FORCED, "--tenant", "acme")
    assert (rivals["now"]["max_wrong"], rivals["now"]["known_by"]) == (None, "suite")
    assert "whose file does not name acme" in rivals["warnings"][0]


def test_unknown_rules_are_not_reported_as_missing(
    run: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMALLPRINT_POLICY")
    shown = run(CAREFUL).stdout
    assert "nothing stated" not in shown
    rows = rows_of(shown.split("\nReports: ")[0])
    for title in ("version", "at most wrong, as stated"):
        assert rows[title][:3] == ["none", "on", "record"]
    assert "! no policy is known here: " in shown
    assert run.line(CAREFUL)["now"]["known_by"] == "nothing"


def test_a_suite_that_has_noted_no_policy_is_named(data: Path, run: Tried, tmp_path: Path) -> None:
    note(data, "", tmp_path)
    line = run.line(CAREFUL)
    assert line["now"]["known_by"] == "file"
    assert line["warnings"][0].startswith("the suite has stored no policy, ")


def test_another_tenant_has_other_documents_and_rules(run: Tried) -> None:
    line = run.line(CAREFUL, "--tenant", "acme")
    assert (line["tenant"], line["documents"], line["clauses"]) == ("acme", 1, 2)
    assert line["tried"]["accepted"] == 0
    assert line["tried"]["max_wrong"] is None


@pytest.mark.slow
def test_an_unknown_tenant_is_reported(data: Path, run: Tried) -> None:
    text = CAREFUL.replace("default", "defualt") + "[tenants.acme]\n[tenants.zzz]\n"
    line = run.line(text)
    assert line["tenants"] == {"named": ["acme", "defualt", "zzz"], "unknown": None}
    assert "- tried: the file names these tenants: acme, defualt, zzz." in run(text).stdout
    with opened(data, "ingest") as store:
        for tenant in ("default", "acme"):
            KeyRing(store).create(tenant, "first")
    line = run.line(text)
    assert line["tenants"]["unknown"] == [
        {"tenant": "defualt", "like": "default"},
        {"tenant": "zzz", "like": None},
    ]
    shown = run(text).stdout
    assert "! tried: the suite has no key of the tenant defualt: did you mean default?" in shown
    assert "! tried: the suite has no key of the tenant zzz." in shown
    assert "of the tenant acme" not in shown
    assert "the file names" not in run(CAREFUL).stdout


def test_a_policy_from_standard_input_is_the_same(data: Path, run: Tried) -> None:
    options = ("--data", data, "--json")
    done = json.loads(invoke("policy", "try", "-", *options, stdin=CAREFUL.encode()).stdout)
    assert {**run.line(CAREFUL), "source": "-"} == done


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tenants.default]\nmax_wrng = 0.2", "default.max_wrng: .* did you mean max_wrong[?]"),
        ("[tenants.default]\nmax_wrong = 2", "max_wrong"),
        ('[tenants.default]\nmax_wrong = 0.1\nalways_person = ["Audit Right"]', "Audit Right"),
        ('[tenants.default]\nproviders = ["claude"]', "claude"),
    ],
)
def test_a_policy_that_would_stop_the_start_is_refused(run: Tried, text: str, message: str) -> None:
    result = run(text)
    assert isinstance(result.exception, SettingsError)
    assert re.search(message, result.exception.message)


def test_a_folder_without_a_suite_or_of_an_older_version_is_refused(tmp_path: Path) -> None:
    empty = Tried(tmp_path / "empty")
    empty.data.mkdir()
    assert "no extraction.db" in str(empty(CAREFUL).exception)
    assert list(empty.data.iterdir()) == []
    store = Store(f"sqlite:///{empty.data / 'extraction.db'}", "extraction", OF_EXTRACTION)
    store.ready()
    store.close()
    assert "Start the suite once" in str(empty(CAREFUL).exception)
