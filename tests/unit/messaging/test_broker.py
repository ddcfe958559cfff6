"""Starting and stopping the broker, as far as that needs no broker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.servers import kafka as module
from infra.servers.kafka import Broker, BrokerError, main


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with the command line of a broker, that long, and its number in the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)", "x" * 500, "kafka.Kafka"]
    )
    (tmp_path / "broker.pid").write_text(str(process.pid))
    yield process
    process.kill()
    process.wait()


def test_a_broker_is_found_and_killed_on_a_narrow_screen(
    tmp_path: Path, stand_in: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However wide the terminal is: `ps` cuts long lines, and a broker's is long."""
    monkeypatch.setenv("COLUMNS", "80")
    broker = Broker(tmp_path)
    assert broker.pid == stand_in.pid

    broker.kill()

    assert broker.pid is None
    assert not (tmp_path / "broker.pid").exists()


def test_a_number_that_was_used_again_is_not_ours(tmp_path: Path) -> None:
    """A process that is no broker is left alone."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (tmp_path / "broker.pid").write_text(str(other.pid))
        Broker(tmp_path).stop()
        assert other.poll() is None


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
