"""Invented words do not get through the door, and the command that shows it can fail."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from services.escalation import gateway
from services.escalation.prompts import findings, questions, quote_check
from shared.events.questions import NamedCell
from tests.evaluate import injections
from tests.evaluate.injections import (
    FAULTS,
    HELD_OUT,
    Report,
    attack,
    attack_held_out,
    attack_others,
    main,
)
from tests.fakes.provider.injections import FENCED, FORTY, UNFENCED


def test_no_hostile_answer_gets_through(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--answers", "40"]) == 0
    said = capsys.readouterr().out
    assert "    0  got through: none" in said
    report = attack(40, seed=2)
    assert sum(report.answers.values()) == 40
    assert set(report.answers) == {*injections.HOSTILE, *injections.CROSSED}
    assert (report.documents, report.sent) == (len(FORTY), len(UNFENCED))
    others = injections.TOGETHER
    assert report.beside == others * len(FORTY)
    assert report.unchanged == others * len(FENCED)
    assert report.unanswered == report.denied == others * len(UNFENCED)
    assert report.halves == report.apart > 20


def test_no_hostile_answer_about_other_things_gets_through() -> None:
    report = Report()
    attack_others(35, 1, report)
    assert report.through == []
    assert report.others.keys() == set(FAULTS.values())
    assert sum(report.others.values()) == 35


def test_no_words_come_of_instructions_that_the_fence_misses() -> None:
    found = attack_held_out(1)
    missed = found.missed.total()
    assert found.known.total() + missed == len(HELD_OUT) >= 40
    assert (found.through, missed > 0) == ([], True)
    assert found.proposed == Counter(dict.fromkeys(injections.TRUE, missed))
    told = "\n".join(found.table())
    assert f"{missed:>5}  of these missed (" in told
    assert "    0  got through: none" in told


def test_what_comes_of_them_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(injections, "HELD_OUT", HELD_OUT[:3])
    monkeypatch.setattr(gateway, "speaks_to_machines", lambda _text: None)
    monkeypatch.setattr(quote_check.Passage, "find", lambda _self, _quote: [(0, 5)])
    found = attack_held_out(1)
    assert len(found.through) == 3 * len(injections.FALSE)
    assert found.missed.total() == 3


@pytest.mark.parametrize(
    ("part", "allowed", "through"),
    [
        ("_named", lambda said, _: NamedCell(
            table=said.table, row=said.row, column=said.column, statement="", label="",
            value=Decimal(said.value.replace(",", "")),
        ), 2),
        ("_amount", lambda _text, _where: Decimal(0), 0),
    ],
)  # fmt: skip
def test_figures_that_get_through_are_seen(
    monkeypatch: pytest.MonkeyPatch, part: str, allowed: Any, through: int
) -> None:
    monkeypatch.setattr(findings, part, allowed)
    report = Report()
    attack_others(7, 1, report)
    assert len(report.through) == through


def test_what_gets_through_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quote_check.Passage, "find", lambda _self, _quote: [(0, 5)])
    report = attack(12, seed=1)
    of = Counter(one.partition(" ")[0] for one in report.through)
    assert of["instruction"] == 2 * len(UNFENCED)  # alone, and with other windows
    assert of["beside"] >= report.beside - injections.TOGETHER
    assert len(report.through) - of["instruction"] - of["beside"] == 12


def test_an_instruction_that_is_sent_with_others_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the filter over all windows of a prompt, halves of an instruction are sent
    together.
    """
    monkeypatch.setattr(questions, "speaks_to_machines", lambda _text: None)
    report = attack(4, seed=1)
    assert any("in two windows of one prompt" in one for one in report.through)
    monkeypatch.setattr(gateway, "speaks_to_machines", lambda _text: None)
    report = attack(4, seed=1)
    assert report.sent == len(FORTY)
    assert report.unchanged == 0
