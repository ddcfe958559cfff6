"""A gateway and the service, each with a stand-in for a provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.provider import Labels, StandIn
from tests.unit.escalation.builders import KEY, LABELS, EscalationService, Make, Rig


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Opens doorways; see `Rig.open`."""
    monkeypatch.setenv("TEST_FRONTIER_KEY", KEY)
    made: list[Rig] = []

    def build(*options: Any, **policy: Any) -> Rig:
        made.append(Rig.open(tmp_path / f"rig{len(made)}", *options, **policy))
        return made[-1]

    yield build
    for rig in made:
        rig.close()


@pytest.fixture
def escalation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EscalationService]:
    """The service with a stand-in that makes no random mistakes."""
    monkeypatch.setenv("TEST_FRONTIER_KEY", "k")
    with StandIn(Labels(LABELS), hang_seconds=30) as stand_in:
        made = EscalationService(tmp_path, stand_in)
        yield made
        made.close()
