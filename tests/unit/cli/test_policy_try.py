"""`smallprint policy try`: a policy on the documents of a data folder, beside the one in force."""

from __future__ import annotations

import hashlib
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from services.cli import cli
from services.escalation.policy import read_policies
from services.escalation.rules import note_policies
from services.escalation.store import MIGRATIONS as OF_ESCALATION
from services.extraction.domain import Extraction, FoundClause, Looked, Nearest, Pass, Searched
from services.extraction.store import MIGRATIONS as OF_EXTRACTION
from services.extraction.store import Extractions
from services.ingest.domain import Document as Ingested
from services.ingest.domain import Guess, first_progress
from services.ingest.keys import KeyRing
from services.ingest.store import MIGRATIONS as OF_INGEST
from services.ingest.store import Documents, unsure_kinds
from services.review.domain import Clause, Decision, Document, items_of_clauses
from services.review.store import MIGRATIONS as OF_REVIEW
from services.review.store import add_decision, add_items, save_document
from services.triage.guarantee import FINDING
from services.triage.risk import Judge
from services.triage.store import MIGRATIONS as OF_TRIAGE
from services.triage.watch.calibrating import refit
from services.triage.watch.store import Watches
from shared.cli import policies
from shared.errors import SettingsError
from shared.inference.adapters import MANIFEST_FILE, newest_version, read_manifest
from shared.policy import KIND_UNSURE, FindingRules, RiskRules
from shared.storage import FileBlobs, Store
from shared.storage.deletion import ref_of
from shared.watch import calibrating
from shared.watch.local import SHIPPED
from shared.watch.refitting import Decided
from tests.support import ROOT, artefacts
from tests.unit.review.house import reading_of
from tests.unit.triage.filings import record
from tests.unit.triage.house import House
from tests.unit.triage.test_past import wrong

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
    """The version of the adapter that ships."""
    folder = newest_version(ROOT / "models" / "artefacts", ADAPTER)
    return read_manifest(folder / MANIFEST_FILE).version


def found(document: str, category: str, span: tuple[int, int], confidence: float) -> FoundClause:
    """A clause as extraction keeps it."""
    name = f"cl_{document}_{category.split()[0].lower()}"
    return FoundClause(name, ADAPTER, category, TEXT[slice(*span)], *span, 1, confidence)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder in which three contracts were read; people decided about one of them."""
    folder = tmp_path / "data"
    folder.mkdir()
    extraction = Store(f"sqlite:///{folder / 'extraction.db'}", "extraction", OF_EXTRACTION)
    review = Store(f"sqlite:///{folder / 'review.db'}", "review", OF_REVIEW)
    for store in (extraction, review):
        store.migrate()
    blobs = FileBlobs(folder / "blobs", "ingest")
    for number, tenant in ((1, "default"), (2, "default"), (3, "acme")):
        document = f"doc_{number}"
        clauses = [
            found(document, "Governing Law", LAW, 0.98),
            found(document, "Audit Rights", AUDIT, 0.98),
        ]
        known = Document(
            tenant,
            document,
            f"{document}.txt",
            "contract",
            text=blobs.put(tenant, TEXT.encode()),
            layout=blobs.put(tenant, reading_of(TEXT).to_bytes()),
        )
        near = Nearest(TEXT[slice(*AUDIT)], *AUDIT, 1, 0.45)
        searched = Searched(len(TEXT), 1, (), (Looked("Insurance", 0.45, near),))
        with extraction.write() as session:
            rows = Extractions(session, tenant)
            passes = (Pass(ADAPTER, installed(), searched),)
            rows.save(Extraction(tenant, document, "contract", 1, state="extracted", passes=passes))
            rows.replace_clauses(document, clauses)
        with review.write() as session:
            save_document(session, known)
            if number == 1:
                decide(session, known, clauses[0])
    for store in (extraction, review):
        store.close()
    reports = House(folder)
    reports.say(reports.read("rep_1", record(), wrong()), reports.read("rep_2", wrong()))
    reports.close()
    return folder


def decide(session: Any, document: Document, clause: FoundClause) -> None:
    """Somebody rejects a clause."""
    shown = Clause.model_validate(clause.to_json())
    (item,) = items_of_clauses(document, [shown], attempt=1, text=TEXT, context=100, now=NOW)
    claimed = item.claim("ada", NOW, 60)
    decided = claimed.decide("ada", NOW, "reject", "de_" + "0" * 32)
    add_items(session, [decided])
    add_decision(session, Decision.of(decided, document, "reject", actor="ada", time=NOW))


@pytest.fixture
def run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command on that folder with a policy file of this text."""
    forced = tmp_path / "forced.toml"
    forced.write_text(FORCED, "utf-8")
    monkeypatch.setenv("SMALLPRINT_POLICY", str(forced))

    def try_(text: str, *options: str, folder: Path = data) -> Any:
        policy = tmp_path / "careful.toml"
        policy.write_text(text, "utf-8")
        arguments = ["policy", "try", str(policy), "--data", str(folder), *options]
        return CliRunner().invoke(cli, arguments)

    return try_


def hashes(folder: Path) -> dict[str, str]:
    """What the databases hold."""
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
leaves = ["contract"]
day_usd = "1"
month_usd = "10"
"""


def test_what_would_be_asked_is_counted_and_priced(run: Any) -> None:
    """A category without a clause that comes near, in two documents; nothing is asked for it."""
    line = json.loads(run(ASKING, "--json").stdout)
    now, new = line["now"], line["tried"]
    assert (now["escalated"], now["cost_usd"]) == (0, 0)
    assert new["escalated"] == 2
    # A thousand characters of instructions, the text and a definition; an answer of 40 tokens.
    assert 2 * 0.0012 < new["cost_usd"] < 2 * 0.003
    assert new["reviewed"] == now["reviewed"] == 4


def test_it_is_said_how_much_of_what_is_asked_the_budget_allows(run: Any) -> None:
    """A question has 2,000 tokens of an answer set aside, and as many in as it has bytes."""
    said = " ".join(run(ASKING).stdout.split())
    assert "the budget a day, US$ 0.00 1.00" in said
    assert "could be asked" not in said
    assert "sets aside" not in said
    line = json.loads(run(ASKING, "--json").stdout)
    assert line["tried"]["budget_usd"] == {"day": 1, "month": 10}
    aside = line["tried"]["reserved_usd"]
    assert 0.036 < aside["least"] < aside["usual"] - 0.03 < 0.06
    assert aside["usual"] + 0.048 < aside["most"] < 0.17
    assert line["reports"]["tried"]["reserved_usd"] is None
    for day, told in (
        ("0.03", "with US$ 0.03 a day nothing is asked, and people have all 2 questions."),
        ("0.06", "with US$ 0.06 a day only shorter ones are sent; people have what the others ask"),
        ("0.06", "of these 2 questions about 1 a day could be asked; the rest would wait for"),
    ):
        text = ASKING.replace('day_usd = "1"', f'day_usd = "{day}"')
        said = " ".join(run(text).stdout.split())
        assert told in said, said
        assert "! tried, contracts: a prompt with 10,000 characters of a document" in said
    month = ASKING.replace('month_usd = "10"', 'month_usd = "0.02"')
    assert "with US$ 0.02 a month nothing is asked" in " ".join(run(month).stdout.split())


@pytest.mark.parametrize(
    ("left_out", "told"),
    [
        (['day_usd = "1"'], "no day_usd above 0 is stated"),
        (['month_usd = "10"'], "no month_usd above 0 is stated"),
        (['day_usd = "1"', 'month_usd = "10"'], "no day_usd and no month_usd above 0 is stated"),
        (['day_usd = "1"', 'providers = ["stand-in"]'], "no day_usd above 0 is stated"),
    ],
)
def test_a_budget_that_is_left_out_is_told_of(run: Any, left_out: list[str], told: str) -> None:
    """Nothing is asked for lack of it, which no row says."""
    text = ASKING
    for line in left_out:
        text = text.replace(line, "")
    said = " ".join(run(text).stdout.split())
    assert f"! tried: {told}, and left out it is 0: so nothing is asked. " in said, said


def test_whoever_asks_nobody_is_told_of_no_budget(run: Any) -> None:
    """It states none, and wants none."""
    assert "above 0 is stated" not in " ".join(run(CAREFUL).stdout.split())
    assert "above 0 is stated" not in " ".join(run(ASKING).stdout.split())


def test_a_policy_is_tried_beside_the_one_in_force(data: Path, run: Any) -> None:
    """Laws are sure enough at 20%, audits are for people; one law was rejected by somebody."""
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


def test_the_table_has_both_policies_and_says_what_is_escalated(run: Any) -> None:
    """Row by row, for a person, contracts and reports apart."""
    result = run(CAREFUL)
    assert result.exit_code == 0, result.output
    first, second = result.stdout.split("\nReports: ")
    rows = rows_of(first)
    assert rows["accepted: nobody looks"] == ["0", "2"]
    assert rows["looked at by people"] == ["4", "2"]
    assert rows["at most wrong, as stated"] == ["nothing", "stated", "20%,", "95%", "sure"]
    assert rows["found wrong by people"] == ["-", "1", "of", "1", "decided"]
    assert rows["questions to a model"] == ["0", "0"]
    nothing, low, word, high = rows["with 95% between"]
    assert (nothing, low, word) == ("-", "0", "and")
    assert high in ("1", "2")
    assert [len(digest) for digest in rows["version"]] == [12, 12]
    assert len(set(rows["version"])) == 2
    rows = rows_of(second)
    assert second.startswith("2, with 2 findings; people have decided about 0")
    assert rows["reports with an error, stated"] == ["not", "stated", "50%"]
    assert rows["from a confidence of"] == ["-", "65.0%"]
    assert rows["accepted: nobody looks"] == ["0", "2"]
    assert rows["looked at by people"] == ["2", "0"]
    assert rows["price of questions, US$"] == ["0.00", "0.00"]
    said = " ".join(result.stdout.split())
    assert "- tried, contracts: nobody would look at 2 of 4 clauses. 0.03 of these are " in said
    assert 'where the policy allows 20%; most in "Governing Law" (0.03 of 2).' in said
    assert "- tried, reports: nobody would look at 2 of 2 findings." in said
    assert 'most in "Sections of the balance sheet add up" (' in said
    assert "! tried, reports: that holds if 50% of the reports have an error" in said
    assert "in force, contracts: nobody" not in said
    assert "worth its price" in said
    assert "what another `max_missed` would show" in said
    assert (
        "! tried, contracts: people have decided about 1 of these and found 1 wrong, 100%" in said
    )
    assert "which is more than 20%; so few may be chance." in said
    assert "can't be tried" not in said
    assert "(`trust`)" not in said
    trusting = CAREFUL.replace(
        "max_wrong = 0.2\nsample", 'trust = "measured"\nmax_wrong = 0.2\nsample'
    )
    assert "(`trust`)" in " ".join(run(trusting).stdout.split())


def rows_of(shown: str) -> dict[str, list[str]]:
    """The cells of a table by the titles of its rows."""
    return {line[:32].strip(): line[32:].split() for line in shown.splitlines()}


def test_reports_are_tried_beside_contracts(data: Path, run: Any) -> None:
    """Both sure findings are accepted at 20%, and asked about where nothing is stated."""
    line = json.loads(run(CAREFUL, "--json").stdout)["reports"]
    assert (line["documents"], line["untried"], line["findings"], line["decided"]) == (2, 0, 2, 0)
    now, new = line["now"], line["tried"]
    assert (now["max_wrong"], now["broken"], now["accepted"], now["reviewed"]) == (None, None, 0, 2)
    assert (new["max_wrong"], new["broken"], new["accepted"], new["reviewed"]) == (0.2, 0.5, 2, 0)
    assert (now["threshold"], new["threshold"]) == (None, pytest.approx(0.65))
    assert 0 < new["expected_errors"] < 0.4
    ((check, mine),) = new["expected_errors_by_category"].items()
    assert check == "balance_sheet_sums"
    assert mine["title"] == "Sections of the balance sheet add up"
    rare = ASKING.replace('"contract"', '"report"') + "[tenants.default.findings]\nbroken = 0.01\n"
    asked = json.loads(run(rare.replace("day_usd", 'mistake_usd = "9"\nday_usd'), "--json").stdout)
    new = asked["reports"]["tried"]
    assert (new["escalated"], new["reviewed"]) == (2, 2)
    assert 0.001 < new["cost_usd"] < 0.02
    assert asked["tried"]["escalated"] == 0


def test_a_report_of_an_unsure_kind_is_told_of_by_that_reason(data: Path, run: Any) -> None:
    """As ingest knows it: of another one somebody has said the kind since."""
    store = Store(f"sqlite:///{data / 'ingest.db'}", "ingest", OF_INGEST)
    store.migrate()
    with store.write() as session:
        for name, by_somebody, unsure in (
            ("rep_1", True, True),
            ("rep_2", False, True),
            ("rep_3", False, False),
        ):
            ref = ref_of(name.encode())
            Documents(session, "default").add(
                Ingested(
                    *(name, "default", "a.json", "application/json", ref, ref, "ada"),
                    "uploader" if by_somebody else "type",
                    first_progress("application/json", "report"),
                    *(NOW, NOW),
                    guess=Guess("report", 0.5, unsure),
                )
            )
    with store.read() as session:
        assert unsure_kinds(session, "default") == {"rep_2"}
        assert unsure_kinds(session, "acme") == frozenset()
    store.close()
    new = json.loads(run(CAREFUL, "--json").stdout)["reports"]["tried"]
    assert (new["accepted"], new["why_not"]) == (1, {KIND_UNSURE: 1})
    said = " ".join(run(CAREFUL).stdout.split())
    assert f"tried, reports: none of the other 1 is accepted: {KIND_UNSURE}" in said


def test_no_share_of_broken_reports_counts_where_decisions_promise(data: Path, run: Any) -> None:
    """Although the policy states one still; what holds is the calibration that was made here."""
    judge = Judge.load(artefacts())
    rules = RiskRules(findings=FindingRules(max_wrong=0.2))
    right = [Decided(f"company {n}", FINDING, 0.9, False, 1.0) for n in range(400)]
    made = refit(judge, SHIPPED, rules, right, 400, 0, with_shipped=False)
    store = Store(f"sqlite:///{data / 'triage.db'}", "triage", OF_TRIAGE)
    with store.write() as session:
        calibrating.apply(Watches(session, "default"), made, "ann")
    store.close()
    new = json.loads(run(CAREFUL, "--json").stdout)["reports"]["tried"]
    assert ("broken" in new, new["calibration"], new["accepted"]) == (False, 1, 2)
    assert new["threshold"] == pytest.approx(made.confidence_after, abs=1e-4)
    said = " ".join(run(CAREFUL).stdout.split())
    assert "of the reports have an error" not in said
    assert "reports with an error, stated" not in said
    assert "- tried, reports: that is told by what people decided here (calibration 1)" in said


def test_reports_of_before_are_counted_and_not_guessed(data: Path, run: Any) -> None:
    """What was not kept of them can't be known."""
    store = Store(f"sqlite:///{data / 'triage.db'}", "triage", OF_TRIAGE)
    store.migrate("0012")
    store.migrate()
    store.close()
    line = json.loads(run(CAREFUL, "--json").stdout)["reports"]
    assert (line["documents"], line["untried"], line["findings"]) == (2, 2, 0)
    assert (line["now"]["reviewed"], line["tried"]["accepted"]) == (0, 0)
    said = " ".join(run(CAREFUL).stdout.split())
    assert "! 2 of 2 reports can't be tried and count nowhere above" in said
    assert "Have them read again (`reprocess`)" in said


def test_what_can_not_be_promised_is_said_in_a_sentence(run: Any) -> None:
    """How many clauses are not accepted, and why."""
    told = run(CAREFUL.replace("0.2", "0.0001")).stdout
    said = " ".join(told.split())
    assert "tried, contracts: none of 4 clauses is accepted: not attainable" in said
    assert "tried, contracts: nobody would look" not in said


def test_where_some_are_accepted_it_is_the_others_that_are_not(run: Any) -> None:
    """All of these for one reason, or as many of them as have it."""
    line = json.loads(run(CAREFUL, "--json").stdout)
    block = line["reports"]
    block["findings"], block["tried"]["accepted"] = 7, 1
    for count, told in ((6, "none of the other 6 is"), (5, "none of 5 other findings is")):
        block["tried"]["why_not"] = {"not attainable": count}
        said = " ".join(" ".join(policies.shown(line)).split())
        assert f"tried, reports: {told} accepted: not attainable." in said


def test_both_policies_are_named_by_their_versions(run: Any) -> None:
    """Digest and label; the policy in force has the version that the door says."""
    line = json.loads(run(f'version = "spring"\n{CAREFUL}', "--json").stdout)
    forced = Path(os.environ["SMALLPRINT_POLICY"])
    digest = read_policies(forced).version("default").digest
    assert line["now"]["version"] == {"digest": digest, "label": ""}
    assert line["tried"]["version"]["label"] == "spring"
    assert line["tried"]["version"]["digest"] != digest
    assert json.loads(run(FORCED, "--json").stdout)["tried"]["version"]["digest"] == digest


def note(data: Path, text: str, tmp_path: Path) -> str:
    """A suite has started with a policy; returns its digest for the default tenant."""
    file = tmp_path / "of_the_suite.toml"
    file.write_text(text, "utf-8")
    policies = read_policies(file)
    store = Store(f"sqlite:///{data / 'escalation.db'}", "escalation", OF_ESCALATION)
    store.migrate()
    note_policies(store, policies.versions, policies.version, NOW)
    store.close()
    return policies.version("default").digest


def test_in_force_is_what_the_suite_has_whatever_the_shell_names(
    data: Path, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules, whom it may ask and version are those that it noted; another file is told of."""
    digest = note(data, f'version = "one"\n{ASKING}max_wrong = 0.2\nsample_share = 0.0\n', tmp_path)
    line = json.loads(run(FORCED, "--json").stdout)
    now = line["now"]
    assert now["version"] == {"digest": digest, "label": "one"}
    assert (now["max_wrong"], now["accepted"], now["escalated"]) == (0.2, 4, 2)
    assert now["cost_usd"] > 0
    assert (now["known_by"], line["reports"]["now"]["known_by"]) == ("suite", "suite")
    (warning,) = line["warnings"]
    assert f"than the suite has ({digest}, since 2026-03-01 00:00 UTC)" in warning
    assert "! SMALLPRINT_POLICY names here a file with other rules" in run(FORCED).stdout
    monkeypatch.setenv("SMALLPRINT_POLICY", str(tmp_path / "gone.toml"))
    stale = json.loads(run(FORCED, "--json").stdout)
    assert stale["now"] == now
    assert f"the rules that the suite has ({digest}, " in stale["warnings"][0]
    monkeypatch.delenv("SMALLPRINT_POLICY")
    alone = json.loads(run(FORCED, "--json").stdout)
    assert alone["warnings"] == []
    assert alone["now"] == now
    rivals = json.loads(run(FORCED, "--json", "--tenant", "acme").stdout)
    assert (rivals["now"]["known_by"], rivals["warnings"]) == ("suite", [])
    monkeypatch.setenv("SMALLPRINT_POLICY", str(tmp_path / "rivals.toml"))
    (tmp_path / "rivals.toml").write_text("[tenants.acme]\nmax_wrong = 0.3\n", "utf-8")
    rivals = json.loads(run(FORCED, "--json", "--tenant", "acme").stdout)
    assert (rivals["now"]["max_wrong"], rivals["now"]["known_by"]) == (None, "suite")
    assert "whose file says nothing of acme" in rivals["warnings"][0]


def test_it_does_not_say_that_nothing_is_stated_where_nothing_is_known(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither has the suite noted a policy, nor is there one in the shell."""
    monkeypatch.delenv("SMALLPRINT_POLICY")
    shown = run(CAREFUL).stdout
    assert "nothing stated" not in shown
    rows = rows_of(shown.split("\nReports: ")[0])
    for title in ("version", "at most wrong, as stated"):
        assert rows[title][:3] == ["none", "on", "record"]
    assert "not known" not in shown
    assert "! no policy is known here: " in shown
    told = " ".join(shown.split())
    assert (
        "a suite that starts with a policy file writes its policy down in the data folder" in told
    )
    assert "none is written down in this one. Most likely the suite works without one." in told
    assert '"none on record" stands where a policy would state something.' in told
    assert json.loads(run(CAREFUL, "--json").stdout)["now"]["known_by"] == "nothing"


def test_a_suite_that_has_noted_no_policy_is_named(data: Path, run: Any, tmp_path: Path) -> None:
    """In force is taken to be what the shell names."""
    note(data, "", tmp_path)
    line = json.loads(run(CAREFUL, "--json").stdout)
    assert line["now"]["known_by"] == "file"
    assert line["warnings"][0].startswith("the suite has noted no policy: ")


def test_another_tenant_has_documents_and_rules_of_its_own(run: Any) -> None:
    """The file says nothing of it, so people look at everything, now and then."""
    line = json.loads(run(CAREFUL, "--json", "--tenant", "acme").stdout)
    assert (line["tenant"], line["documents"], line["clauses"]) == ("acme", 1, 2)
    assert line["tried"]["accepted"] == 0
    assert line["tried"]["max_wrong"] is None


def test_a_tenant_that_the_suite_does_not_know_is_told_of(data: Path, run: Any) -> None:
    """By its keys; where there are none, all that the file names are listed."""
    text = CAREFUL.replace("default", "defualt") + "[tenants.acme]\n[tenants.zzz]\n"
    line = json.loads(run(text, "--json").stdout)
    assert line["tenants"] == {"named": ["acme", "defualt", "zzz"], "unknown": None}
    assert "- tried: the file names these tenants: acme, defualt, zzz." in run(text).stdout
    store = Store(f"sqlite:///{data / 'ingest.db'}", "ingest", OF_INGEST)
    store.migrate()
    ring = KeyRing(store)
    for tenant in ("default", "acme"):
        ring.create(tenant, "first")
    store.close()
    line = json.loads(run(text, "--json").stdout)
    assert line["tenants"]["unknown"] == [
        {"tenant": "defualt", "like": "default"},
        {"tenant": "zzz", "like": None},
    ]
    shown = run(text).stdout
    assert "! tried: the suite has no key of the tenant defualt: did you mean default?" in shown
    assert "! tried: the suite has no key of the tenant zzz." in shown
    assert "of the tenant acme" not in shown
    assert "the file names" not in run(CAREFUL).stdout


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[tenants.default]\nmax_wrng = 0.2", "default.max_wrng: .* did you mean max_wrong[?]"),
        ("[tenants.default]\nmax_wrong = 2", "max_wrong"),
        ('[tenants.default]\nmax_wrong = 0.1\nalways_person = ["Audit Right"]', "Audit Right"),
        ('[tenants.default]\nproviders = ["claude"]', "claude"),
    ],
)
def test_a_policy_that_would_stop_the_start_is_refused(run: Any, text: str, told: str) -> None:
    """Nothing is tried, and the message is the one that the start would give."""
    result = run(text)
    assert isinstance(result.exception, SettingsError)
    assert re.search(told, result.exception.message)


def test_a_folder_without_a_suite_or_of_an_older_version_is_refused(
    run: Any, tmp_path: Path
) -> None:
    """It says what to do, and makes no database."""
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run(CAREFUL, folder=empty)
    assert "no extraction.db" in result.exception.message
    assert list(empty.iterdir()) == []
    store = Store(f"sqlite:///{empty / 'extraction.db'}", "extraction", OF_EXTRACTION)
    store.migrate("0001")
    store.close()
    result = run(CAREFUL, folder=empty)
    assert "Start the suite once" in result.exception.message
