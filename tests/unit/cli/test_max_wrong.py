"""`extract --max-wrong` with the specialist that ships: what is accepted, and what not, and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.samples import report

Run = Callable[..., tuple[int, str, str]]

TEXT = """SERVICES AGREEMENT

This Services Agreement ("Agreement") is made as of March 3, 2015 by and between Alpha Corp., a
Delaware corporation ("Alpha"), and Beta LLC, a Nevada limited liability company ("Beta").

1. Term. The initial term of this Agreement is two years and renews automatically for successive
one year terms unless either party gives notice of non-renewal ninety days before its expiry.

2. Assignment. Neither party may assign this Agreement without the prior written consent of the
other party.

3. Governing Law. This Agreement shall be governed by and construed in accordance with the laws of
the State of New York.
"""


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text(TEXT, "utf-8")
    return path


def line_of(run: Run, path: Path, *options: str) -> dict[str, Any]:
    code, out, err = run("extract", path, "--json", *options)
    assert code == 0, err
    return dict(json.loads(out))


def test_a_sure_clause_is_accepted_and_the_result_says_for_which_promise(
    run: Run, contract: Path
) -> None:
    line = line_of(run, contract, "--max-wrong", "0.1")
    routes = {(one["category"], one["route"]) for one in line["clauses"]}
    assert ("Governing Law", "accept") in routes
    assert "review" in {route for _, route in routes}
    (risk,) = line["risks"]
    assert (risk["max_wrong"], risk["level"], risk["no_guarantee_reason"]) == (0.1, 0.95, "")
    for one in line["clauses"]:
        sure = one["confidence"] >= risk["thresholds"][one["category"]]
        assert one["route"] == ("accept" if sure else "review")


def test_a_smaller_risk_accepts_less_and_the_smallest_nothing_with_the_reason(
    run: Run, contract: Path
) -> None:
    wide, narrow, least = (
        line_of(run, contract, "--max-wrong", risk)["risks"][0] for risk in ("0.2", "0.05", "0.001")
    )
    assert all(narrow["thresholds"][name] > at for name, at in wide["thresholds"].items())
    assert least["thresholds"] == {}
    assert "No clause of 355 companies" in least["no_guarantee_reason"]


def test_a_specialist_that_can_promise_nothing_says_so(run: Run, contract: Path) -> None:
    options = ("--adapter", "contract-clauses", "--adapter", "unfair-terms", "--max-wrong", "0.05")
    line = line_of(run, contract, *options)
    assert [risk["adapter"] for risk in line["risks"]] == ["contract-clauses", "unfair-terms"]
    assert line["risks"][1]["no_guarantee_reason"]
    terms = [one for one in line["clauses"] if one["adapter"] == "unfair-terms"]
    assert {one["route"] for one in terms} <= {"review"}


def test_for_a_stated_share_of_missed_clauses_more_is_shown_and_nothing_of_it_accepted(
    run: Run, contract: Path
) -> None:
    usual = line_of(run, contract, "--max-wrong", "0.2")
    more = line_of(run, contract, "--max-wrong", "0.2", "--max-missed", "0.2", "--level", "0.9")
    (missed,) = more["missed"]
    assert (missed["max_missed"], missed["level"], missed["no_guarantee_reason"]) == (0.2, 0.9, "")
    assert min(one["confidence"] for one in more["clauses"]) > missed["above"]
    assert len(more["clauses"]) > len(usual["clauses"])
    known = {(one["category"], one["start"]) for one in usual["clauses"]}
    for one in more["clauses"]:
        if (one["category"], one["start"]) not in known:
            assert one["route"] == "review"
    code, out, _ = run("extract", contract, "--max-missed", "0.2")
    assert code == 0
    assert "At most 20% of the true clauses" in out


def test_a_confidence_of_nothing_is_refused(run: Run, contract: Path) -> None:
    code, _, err = run("extract", contract, "--level", "0.9")
    assert code == 64
    assert "--level needs" in err


def test_a_text_that_it_does_not_know_is_not_guaranteed(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    path.write_text("A recipe: take two eggs, a cup of flour, and stir until smooth. " * 8, "utf-8")
    line = line_of(run, path, "--max-wrong", "0.2", "--kind", "contract")
    assert "does not look like a contract" in line["warnings"][0]
    assert (
        line["risks"][0]["no_guarantee_reason"]
        == "The guarantee does not cover documents with warnings."
    )
    assert {one["route"] for one in line["clauses"]} <= {"review"}


def test_without_a_risk_there_are_no_routes(run: Run, contract: Path) -> None:
    line = line_of(run, contract)
    assert "risks" not in line
    assert not any("route" in one for one in line["clauses"])


def test_a_person_reads_what_is_accepted_and_what_that_promises(run: Run, contract: Path) -> None:
    _, out, _ = run("extract", contract, "--max-wrong", "0.1")
    assert "At most 10% of these are wrong (95% confidence" in out
    assert "contracts of 355 companies)" in out
    assert " accept " in out
    _, out, _ = run("extract", contract, "--max-wrong", "0.001")
    assert "Accepted: none of " in out
    assert "No clause of 355 companies was certain enough for a risk of 0.1%" in out


@pytest.mark.parametrize("risk", ["0", "1", "-0.1", "much"])
def test_a_risk_that_is_none_is_refused(run: Run, contract: Path, risk: str) -> None:
    code, out, err = run("extract", contract, "--max-wrong", risk)
    assert (code, out) == (64, "")
    assert "--max-wrong" in err


def test_findings_have_a_route_where_a_share_of_broken_filings_is_stated(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "acme.json"
    path.write_bytes(report("acme"))
    code, out, _ = run("triage", path, "--json", "--max-wrong", "0.05", "--broken", "0.5")
    line = json.loads(out)
    assert (code, line["risks"]["no_guarantee_reason"]) == (0, "")
    at = line["risks"]["threshold"]
    first, *others = line["findings"]
    assert first["route"] == ("accept" if first["confidence"] >= at else "review")
    assert all(one["route"] == "review" for one in others)
    for more, why in (((), "State it with --broken"), (("--broken", "0.01"), "Too many")):
        _, out, _ = run("triage", path, "--json", "--max-wrong", "0.05", *more)
        line = json.loads(out)
        assert {one["route"] for one in line["findings"]} == {"review"}
        assert why in line["risks"]["no_guarantee_reason"]
    _, out, _ = run("triage", path, "--max-wrong", "0.05")
    assert "Accepted: none. The share of reports with an error is unknown." in out
    code, _, err = run("triage", path, "--broken", "0.5")
    assert (code, "--broken needs --max-wrong" in err) == (64, True)
    _, out, _ = run("triage", path, "--json")
    assert "risks" not in json.loads(out)


def test_the_guarantee_of_findings_is_stated_once(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "three.jsonl"
    path.write_bytes(b"\n".join(report(f"acme-{number}") for number in range(3)))
    _, out, _ = run("triage", path, "--max-wrong", "0.05")
    assert out.count("Accepted") == 1
    assert out.splitlines()[-1].startswith("Accepted: none. ")
    _, json_lines, _ = run("triage", path, "--json", "--max-wrong", "0.2", "--broken", "0.5")
    lines = [json.loads(line) for line in json_lines.splitlines()]
    routes = [finding["route"] for line in lines for finding in line["findings"]]
    assert "accept" in routes
    _, out, _ = run("triage", path, "--max-wrong", "0.2", "--broken", "0.5")
    summary = out.splitlines()[-1]
    assert summary.startswith(
        f"Accepted: {routes.count('accept')} of {len(routes)} findings, from "
    )
    assert "if 50% of the reports have an error" in summary
    assert out.count("Accepted") == 1
    _, out, _ = run("triage", path)
    assert "Accepted" not in out
