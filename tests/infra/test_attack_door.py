"""Invented words do not get through the door, and the command that shows it can fail."""

from __future__ import annotations

import pytest

from infra import attack_door
from infra.attack_door import attack, main
from infra.stand_in.injected import FORTY, UNFENCED
from services.escalation import quotes


def test_no_hostile_answer_gets_through(capsys: pytest.CaptureFixture[str]) -> None:
    """Of every kind, alone and with others in one prompt."""
    assert main(["--answers", "40"]) == 0
    said = capsys.readouterr().out
    assert "    0  got through: none" in said
    report = attack(40, seed=2)
    assert sum(report.answers.values()) == 40
    assert set(report.answers) == set(attack_door.HOSTILE)
    assert (report.documents, report.sent) == (len(FORTY), len(UNFENCED))


def test_what_gets_through_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were quotes not looked for, nearly every answer would."""
    monkeypatch.setattr(quotes.Passage, "find", lambda _self, _quote: [(0, 5)])
    assert len(attack(12, seed=1).through) == 12 + len(UNFENCED)
