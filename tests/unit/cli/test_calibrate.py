"""`smallprint calibrate`: what people decided makes a calibration, which can be taken back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.cli import cli
from services.escalation.policy import read_policies
from services.escalation.rules import note_policies
from services.escalation.store import MIGRATIONS as OF_ESCALATION
from services.extraction.domain import Extraction, FoundClause, Pass
from services.extraction.store import MIGRATIONS, Extractions
from services.extraction.watch.store import Watches
from shared.errors import Conflict, InvalidRequest
from shared.storage import Store
from shared.storage.watches import Drawn, Kept
from shared.watch.drift import Drift
from tests.unit.cli.test_policy_try import ADAPTER, installed

LAW, TERM = "Governing Law", "Renewal Term"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hundred and fifty documents of one check and one doubtful clause each, all decided; another
    is begun.
    """
    store = Store(f"sqlite:///{tmp_path / 'extraction.db'}", "extraction", MIGRATIONS)
    store.migrate()
    version = installed()
    with store.write() as session:
        extractions, watches = Extractions(session, "default"), Watches(session, "default")
        for number in range(151):
            name = f"doc_{number:03}"
            sure = FoundClause(f"cl_{name}a", ADAPTER, LAW, "law", 0, 3, 1, 0.97, sampled=True)
            unsure = FoundClause(f"cl_{name}b", ADAPTER, TERM, "term", 5, 9, 1, 0.6)
            passes = (Pass(ADAPTER, version, None),)
            extractions.save(
                Extraction("default", name, "contract", 1, state="extracted", passes=passes)
            )
            extractions.replace_clauses(name, [sure, unsure])
            for clause, share in ((sure, 0.25), (unsure, 1.0)):
                if number < 150 or clause is sure:
                    watches.put(
                        Drawn(
                            clause.id,
                            name,
                            ADAPTER,
                            version,
                            clause.category,
                            clause.confidence,
                            0.95,
                            "",
                            share,
                            clause.sampled,
                            wrong=clause is unsure and number % 2 == 0,
                        )
                    )
        kept = watches.kept(ADAPTER, lock=True)
        watches.save(Kept(ADAPTER, step=2, doubted=(LAW,), drifted=True, reference=kept.reference))
    store.close()
    (tmp_path / "policy.toml").write_text("[tenants.default]\nmax_wrong = 0.1\n", "utf-8")
    monkeypatch.setenv("SMALLPRINT_POLICY", str(tmp_path / "policy.toml"))
    return tmp_path


def run(data: Path, *options: str) -> dict[str, Any]:
    """What the command prints as JSON."""
    arguments = ["calibrate", "--data", str(data), "--json", *options]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(line)
    return found


def state(data: Path) -> Iterator[Any]:
    """The watch as it is kept, and the number of the calibration that holds."""
    store = Store(f"sqlite:///{data / 'extraction.db'}", "extraction", MIGRATIONS)
    with store.read() as session:
        watches = Watches(session, "default")
        kept, holds = watches.kept(ADAPTER), watches.calibration(ADAPTER)
        yield kept.step, kept.doubted, kept.drifted
        yield holds and holds.number
        yield [(one.kind, one.actor) for one in watches.told(10)]
    store.close()


@contextmanager
def opened(data: Path) -> Iterator[Session]:
    """A transaction in the database of extraction."""
    store = Store(f"sqlite:///{data / 'extraction.db'}", "extraction", MIGRATIONS)
    with store.write() as session:
        yield session
    store.close()


def everything(data: Path) -> list[Any]:
    """All rows of all that is watched."""
    with opened(data) as session:
        return [
            [tuple(row) for row in session.execute(select(table))]
            for table in vars(Watches.tables).values()
        ]


def test_it_shows_before_and_after_and_changes_nothing(data: Path) -> None:
    """A check stands for four; of what was tightened nothing was accepted before."""
    line = run(data, "--max-wrong", "0.1")
    assert (line["documents"], line["unfinished"], line["decided"]) == (150, 1, 300)
    assert line["before"]["shown"] == line["after"]["shown"] == 150 * 4 + 150
    assert line["before"]["accepted"] == 0
    assert 600 <= line["after"]["accepted"] < 700
    low, high = line["after"]["interval"]
    assert low <= line["after"]["rate"] <= high < 0.1
    assert list(state(data)) == [(2, (LAW,), True), None, []]


def test_it_is_applied_and_undone_with_what_was_tightened(data: Path) -> None:
    """Who did it is kept."""
    applied = run(data, "--max-wrong", "0.1", "--apply", "--by", "ann")
    assert applied["done"] == "applied"
    assert list(state(data)) == [(0, (), False), 1, [("calibrated", "ann")]]
    undone = run(data, "--undo", "--by", "ben")
    assert undone["done"] == "undone"
    assert list(state(data)) == [
        (2, (LAW,), True),
        None,
        [("undone", "ben"), ("calibrated", "ann")],
    ]
    with pytest.raises(Conflict, match="nothing to undo"):
        run(data, "--undo")


def test_what_promises_nothing_is_not_applied(data: Path) -> None:
    """A hundred and fifty documents can't show one in a thousand."""
    line = run(data, "--max-wrong", "0.001")
    assert "not attainable" in line["why_not"]
    (data / "policy.toml").write_text("[tenants.default]\nmax_wrong = 0.001\n", "utf-8")
    with pytest.raises(Conflict, match="nothing to apply"):
        run(data, "--apply")
    said = "nothing was changed: there is nothing that --apply could let hold"
    assert run(data)["said"] == said


def test_only_the_risk_of_the_policy_is_applied(data: Path) -> None:
    """Another can be tried; announced as what holds, it would be none."""
    with pytest.raises(InvalidRequest, match=r"states max_wrong 0\.1 for tenant default.* 0\.2"):
        run(data, "--max-wrong", "0.2", "--apply")
    with pytest.raises(InvalidRequest, match=r"states no max_wrong for tenant rivals"):
        run(data, "--max-wrong", "0.1", "--apply", "--tenant", "rivals")
    assert list(state(data))[1:] == [None, []]
    line = run(data, "--max-wrong", "0.2", "--with-shipped")
    assert line["said"] == (
        "nothing was changed: --apply holds to the policy's max_wrong, which is 0.1: state 0.2 "
        "there first"
    )
    assert run(data, "--max-wrong", "0.1")["said"].endswith("--apply lets it hold")
    assert run(data, "--apply")["done"] == "applied"
    (data / "policy.toml").write_text("[tenants.default]\n", "utf-8")
    said = run(data, "--max-wrong", "0.1")["said"]
    assert said.endswith("which is none: state 0.1 there first")


def test_a_person_loosens_with_a_reason(data: Path) -> None:
    """Without a calibration."""
    run(data, "--loosen", "the checks were decided by mistake", "--by", "ann")
    assert list(state(data)) == [(0, (), False), None, [("loosened", "ann")]]


@pytest.mark.parametrize("more", [[], ["--apply"]])
def test_a_reason_that_is_empty_neither_loosens_nor_applies(data: Path, more: list[str]) -> None:
    """A variable of the shell that is not set is no reason, and no trial either."""
    before = everything(data)
    told = CliRunner().invoke(cli, ["calibrate", "--data", str(data), "--loosen", "", *more])
    assert told.exit_code == 2
    assert "--loosen" in told.output
    assert everything(data) == before


def test_nothing_changes_where_nothing_is_tightened(data: Path) -> None:
    """What documents and checks have said so far stays; a second time there is nothing either."""
    run(data, "--loosen", "by mistake", "--by", "ann")
    with opened(data) as session:
        watches = Watches(session, "default")
        kept = watches.kept(ADAPTER, lock=True)
        drift = Drift.none(["size"]).after({"size": 0.5}).to_json()
        watches.save(replace(kept, drift=drift, documents=22))
    before = everything(data)
    with pytest.raises(Conflict, match="nothing of contract-clauses is tightened here"):
        run(data, "--loosen", "by mistake")
    assert everything(data) == before


def test_a_specialist_that_was_never_watched_stays_so(data: Path) -> None:
    """No watch is begun by asking."""
    before = everything(data)
    with pytest.raises(Conflict, match="nothing of another is tightened"):
        CliRunner().invoke(
            cli,
            ["calibrate", "another", "--data", str(data), "--loosen", "why"],
            catch_exceptions=False,
            standalone_mode=False,
        )
    assert everything(data) == before


def test_without_a_stated_risk_it_says_what_is_missing(data: Path) -> None:
    """The policy states none, and no option does."""
    (data / "policy.toml").write_text("", "utf-8")
    with pytest.raises(InvalidRequest, match="--max-wrong"):
        run(data)


def test_the_risk_is_that_of_the_suite(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the shell names; where neither says one, it says so."""
    monkeypatch.delenv("SMALLPRINT_POLICY")
    with pytest.raises(InvalidRequest, match=r"no policy is known here: .* or say --max-wrong"):
        run(data)
    with pytest.raises(InvalidRequest, match="no policy is known here: "):
        run(data, "--max-wrong", "0.1", "--apply")
    line = run(data, "--max-wrong", "0.2")
    assert line["max_wrong"] == 0.2
    assert "--apply holds to the policy's max_wrong, and no policy is known here" in line["said"]
    policies = read_policies(data / "policy.toml")
    store = Store(f"sqlite:///{data / 'escalation.db'}", "escalation", OF_ESCALATION)
    store.migrate()
    note_policies(store, policies.versions, policies.version, datetime.now(UTC))
    store.close()
    assert run(data)["max_wrong"] == 0.1
    assert run(data, "--apply")["done"] == "applied"


def test_a_person_reads_a_table(data: Path) -> None:
    """In force and refitted, side by side."""
    arguments = ["calibrate", "--data", str(data), "--max-wrong", "0.1"]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)
    row = next(line for line in done.stdout.splitlines() if line.startswith("accepted  "))
    assert row.split("about ")[1].endswith(" of 750")
    decided = next(
        line for line in done.stdout.splitlines() if line.startswith("  of these decide")
    )
    assert decided.endswith("181, 19 wrong")  # 600 stand for others, 31 for themselves
    assert "in force" in done.stdout
    assert "nothing was changed" in done.stdout


def test_categories_of_which_nothing_is_accepted_are_named(data: Path) -> None:
    """What checks doubt in force, and what falls refitted: with what follows for people."""
    with opened(data) as session:
        watches = Watches(session, "default")
        for known in watches.decisions().values():
            if known.category == TERM:
                watches.put(replace(known, confidence=0.9 if known.wrong else 0.5))
    line = run(data, "--max-wrong", "0.1")
    assert (line["never_before"], line["never_after"]) == ([LAW], [TERM])
    arguments = ["calibrate", "--data", str(data), "--max-wrong", "0.1"]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)
    rows = done.stdout.splitlines()
    row = next(row for row in rows if row.startswith("categories never accepted"))
    assert row.split()[-6:] == ["1", "of", "41", "1", "of", "41"]
    before, after = (next(r for r in rows if r.startswith(s)) for s in ("in force: ", "refitted: "))
    assert f'none of "{LAW}" is accepted, however sure. They go to a person until' in before
    assert f'none of "{TERM}" is accepted, however sure, for by what was decided' in after
    assert "or, where it is checks that doubt them, until somebody loosens (--loosen)" in before


def test_where_nothing_can_be_promised_no_category_is_accepted(data: Path) -> None:
    """The row of categories says what the row above it does."""
    arguments = ["calibrate", "--data", str(data), "--max-wrong", "0.02"]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)
    rows = {row[:24].strip(): row.split()[-2:] for row in done.stdout.splitlines()}
    assert rows["categories never accepted"[:24]] == ["all", "41"]


def test_how_many_more_documents_would_do_is_a_range(data: Path) -> None:
    """It is drawn to how often the specialist was wrong where it comes from."""
    why = run(data, "--max-wrong", "0.02")["why_not"]
    assert re.search(r"About [\d,]+ (to [\d,]+ )?further documents like these would do", why)
    assert " to " in why.split("About")[1] or why.endswith(", or many more")
