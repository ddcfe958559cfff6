"""Starting and stopping the broker, as far as that needs no broker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from infra.servers import kafka as module
from infra.servers.kafka import Broker, BrokerError, main


def test_a_second_broker_on_a_folder_is_refused_until_the_first_has_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first is a program in place of Java, which lives longer than it takes to start it."""
    (tmp_path / "java").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(module, "fetch_jars", lambda: None)
    monkeypatch.setattr(module, "_answers", lambda _port: True)
    (tmp_path / "data" / "log").mkdir(parents=True)
    (tmp_path / "data" / "log" / "meta.properties").touch()
    first = Broker(tmp_path / "data")
    first.start()

    assert main(["--data", str(tmp_path / "data")]) == 1
    assert capsys.readouterr().err == f"a broker already works on {first.data}\n"

    first.kill()
    first.start()
    first.stop()


def test_without_java_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the same line for a person, a program and a skipped test."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert main(["--data", str(tmp_path)]) == 1

    line = capsys.readouterr().err
    assert "Java 17" in line
    assert line.count("\n") == 1
    with pytest.raises(BrokerError, match="Java 17"):
        Broker(tmp_path).start()


def test_without_maven_only_the_first_start_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maven fetches the jars; once they are there it is not needed."""
    (tmp_path / "java").write_text("#!/bin/sh\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "LIBS", tmp_path / "libs")
    assert "Maven" in (module.missing() or "")

    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "kafka_2.13-4.4.0.jar").write_bytes(b"")
    assert module.missing() is None
