"""The embedded edition keeps one base for contracts and reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.cli.commands import up
from services.extraction import bootstrap as extraction
from services.triage import bootstrap as triage


def test_extraction_and_triage_are_given_the_same_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def listening(build: Any) -> Any:
        def listened(*settings: Any, specialists: Any, **more: Any) -> Any:
            given.append(specialists)
            return build(*settings, specialists=specialists, **more)

        return listened

    for module in (extraction, triage):
        monkeypatch.setattr(module, "build", listening(module.build))
    services = up.build_services(tmp_path)
    assert [service.name for service in services][1:3] == ["extraction", "triage"]
    one, other = given
    assert one is other
    assert one() is other()
    for service in services:
        service.close()
