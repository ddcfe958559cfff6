"""Fixtures for tests of the command."""

from __future__ import annotations

import sys

import pytest

from services import cli
from tests.unit.cli.builders import Run


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs the command in this process, with these settings from here on. Returns exit code,
    standard output and standard error.
    """

    def go(*arguments: object, **settings: object) -> tuple[int, str, str]:
        for name, value in settings.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr(sys, "argv", ["smallprint", *map(str, arguments)])
        code = cli.main()
        out, err = capsysbinary.readouterr()
        return code, out.decode(), err.decode()

    return go
