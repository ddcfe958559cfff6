"""The forms of a bus URL."""

from __future__ import annotations

import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest

from shared.bus import open_bus
from shared.bus.memory import MemoryBus
from shared.bus.sqlite import SqliteBus
from shared.errors import SettingsError, Unavailable
from tests.support import require

ROOT = Path(__file__).resolve().parents[3]


def needs_kafka_python(url: str) -> None:
    if url.startswith("kafka:"):
        require(find_spec("kafka"), "the bus on Kafka needs the package kafka-python")


def test_the_scheme_chooses_the_bus(tmp_path: Path) -> None:
    """memory: and sqlite:/// open what they name."""
    assert isinstance(open_bus("memory:"), MemoryBus)
    bus = open_bus(f"sqlite:///{tmp_path}/new%20folder/bus.db")
    assert isinstance(bus, SqliteBus)
    assert bus.path == tmp_path / "new folder" / "bus.db"
    assert bus.path.exists()
    bus.close()


@pytest.mark.parametrize(
    "url",
    ["", "bus.db", "redis://x", "sqlite://host/bus.db", "sqlite:///", "kafka://"],
)
def test_a_wrong_url_is_a_settings_error(url: str) -> None:
    """The message tells what is wrong."""
    needs_kafka_python(url)
    with pytest.raises(SettingsError, match="bus URL"):
        open_bus(url)


@pytest.mark.parametrize("option", ["partitions=many", "colour=red"])
def test_a_wrong_kafka_option_is_a_settings_error(option: str) -> None:
    """An option that is unknown or no number is refused before anything is connected."""
    needs_kafka_python("kafka:")
    with pytest.raises(SettingsError, match="invalid option"):
        open_bus(f"kafka://127.0.0.1:1?{option}")


def test_without_kafka_python_the_error_says_what_to_install() -> None:
    """The package is optional: the other buses open without it, and kafka:// says what lacks."""
    program = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "kafka" else found(name, *rest)
sys.modules["kafka"] = None
from shared.bus import open_bus
open_bus("memory:").close()
try:
    open_bus("kafka://127.0.0.1:1")
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.startswith("SettingsError")
    assert "kafka-python" in done.stdout


def test_a_broker_that_is_not_there_is_unavailable() -> None:
    """Opening gives up after its timeout, with the address in the message, and leaves no thread."""
    needs_kafka_python("kafka:")
    before = set(threading.enumerate())
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 "):
        open_bus("kafka://127.0.0.1:1?timeout=1")
    assert set(threading.enumerate()) <= before
