"""A child that does not start is not the document's fault."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import pytest

from shared.documents import Limits, sandbox
from shared.documents.confinement import Confinement
from shared.documents.sandbox import Reader
from shared.errors import SettingsError, Unavailable


def _asks(reader: Reader) -> list[Any]:
    return [
        lambda: reader.read(b"text", name="a.txt"),
        lambda: reader.render(b"text", 1, name="a.txt"),
        lambda: reader.decrypt(b"text", name="a.txt"),
    ]


@pytest.mark.parametrize("where", ["process", "socket"])
def test_a_system_without_room_is_unavailable(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    target: Any = subprocess if where == "process" else socket
    with Reader() as reader:
        with monkeypatch.context() as patch:
            patch.setattr(target, "Popen" if where == "process" else "socketpair", fail)
            for ask in _asks(reader):
                with pytest.raises(Unavailable, match=r"did not start .Cannot allocate memory."):
                    ask()
        assert reader.read(b"text", name="a.txt").text.strip() == "text"


def test_a_child_that_ends_at_its_start_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with Reader() as reader:
        with monkeypatch.context() as patch:
            patch.setattr(sandbox, "_START", "raise SystemExit(7)")
            for ask in _asks(reader):
                with pytest.raises(Unavailable, match=r"did not start \(status 7\)"):
                    ask()
        assert reader.read(b"text", name="a.txt").text.strip() == "text"


def test_a_child_that_is_slow_to_start_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with Reader(Limits()) as reader:
        with monkeypatch.context() as patch:
            patch.setattr(sandbox, "_START", "import time; time.sleep(60)")
            patch.setattr(sandbox, "_START_SECONDS", 0.3)
            with pytest.raises(Unavailable, match=r"not ready after 0\.3 seconds"):
                reader.read(b"text", name="a.txt")
            child = reader._idle
            assert child is not None
            assert child._process.returncode == -9
        assert reader.read(b"text", name="a.txt").text.strip() == "text"


def test_the_engines_are_imported_before_the_memory_is_limited() -> None:
    script = "import sys; from shared.documents.reader import load_engines; load_engines()\n"
    script += "assert {'pypdf', 'pypdfium2', 'PIL', 'olefile'} <= set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("offered", [Confinement(0, True), Confinement(7, False)])
def test_a_required_confinement_that_is_missing_is_a_wrong_setting(
    offered: Confinement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "offered", lambda: offered)
    Reader().close()
    with pytest.raises(SettingsError, match="SMALLPRINT_REQUIRE_CONFINEMENT"):
        Reader(required=True)
