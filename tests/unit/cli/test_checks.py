"""What `doctor` looks at, and how it says what is wrong."""

import json
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from infra.ports import free_port
from shared.cli import checks
from shared.cli.checks import Check


def test_this_machine_is_good_enough_to_run_its_tests(tmp_path: Path) -> None:
    """Python, packages, the folder and the port are good where the tests run."""
    found = [checks.python(), checks.packages(), checks.data_folder(tmp_path / "data")]
    found += [checks.port(free_port())]
    assert [check.state for check in found] == ["good"] * 4, found
    assert checks.content(found)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not installed is said by name, with the way to mend it; extras do not count."""
    monkeypatch.setattr(
        "shared.cli.checks.metadata.requires",
        lambda _name: ["click>=8", "no-such-thing[x]>=1", 'torch>=2; extra == "train"'],
    )
    check = checks.packages()
    assert (check.state, check.found) == ("wrong", "missing: no-such-thing")
    assert "make setup" in check.mend


def test_an_old_python_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the least version there is a sentence, not a syntax error later on."""
    monkeypatch.setattr(checks, "LEAST_PYTHON", (99, 0))
    assert checks.python().state == "wrong"


def test_optional_parts_are_only_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Kafka a laptop is content."""
    monkeypatch.setattr(checks, "OPTIONAL", {"no-such-thing": "something rare"})
    (check,) = checks.optional_packages()
    assert check.state == "note"
    assert checks.content([check])


@pytest.mark.usefixtures("no_engine")
def test_text_recognition_is_only_noted() -> None:
    """A machine that gets no scans is fit without it; it is said what to install."""
    check = checks.recognition()
    assert check.state == "note"
    assert "apt-get install tesseract-ocr" in check.mend
    assert checks.content([check])


def test_a_system_that_can_not_keep_readers_from_the_network_is_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Documents are read all the same, so it is said, and nothing has to be mended."""
    assert checks.network().state == "good"
    monkeypatch.setattr(sys, "executable", "/bin/false")
    check = checks.network()
    assert (check.state, checks.content([check])) == ("note", True)
    assert "seccomp" in check.mend


def test_a_folder_that_can_not_be_written_is_wrong(tmp_path: Path) -> None:
    """The data folder is tried out, not only looked at, and nothing is left in it."""
    (tmp_path / "file").touch()
    assert checks.data_folder(tmp_path / "file" / "data").state == "wrong"
    assert checks.data_folder(tmp_path / ("x" * 300)).state == "wrong"
    assert "free at" in checks.disk(tmp_path / ("x" * 300)).found
    assert checks.data_folder(tmp_path).state == "good"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_folder_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    """Whoever only asks whether the machine is fit finds no folder where they asked."""
    assert checks.data_folder(tmp_path / "var" / "data").state == "good"
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little room is said before a long batch fails of it, also for a folder yet to be made."""
    assert "free at" in checks.disk(tmp_path / "yet" / "to come").found
    monkeypatch.setattr(checks, "LEAST_FREE", 10**18)
    assert checks.disk(tmp_path).state == "wrong"


class Ours(BaseHTTPRequestHandler):
    """Answers like smallprint."""

    def do_GET(self) -> None:
        """The version."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"service": "smallprint", "version": "1"}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _hang_up(server: socket.socket) -> None:
    server.accept()[0].close()


def test_a_port_is_free_or_ours_or_taken() -> None:
    """Smallprint itself on the port is good; anything else there must be mended."""
    with HTTPServer(("127.0.0.1", 0), Ours) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert "answers there already" in checks.port(server.server_port).found
        server.shutdown()
        thread.join()
    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=_hang_up, args=(other,)).start()
        check = checks.port(other.getsockname()[1])
    assert check.state == "wrong"
    assert "--port" in check.mend


def test_checks_are_shown_with_how_to_mend() -> None:
    """What is wrong stands out, and its remedy is beneath it."""
    found = [Check("python", "good", "3.11"), Check("disk", "wrong", "full", "free some")]
    rows = list(checks.shown(found))
    assert rows[0].startswith("ok")
    assert rows[1].startswith("MEND")
    assert "-> free some" in rows[2]
    assert not checks.content(found)


def test_what_to_do_fits_the_installation(tmp_path: Path) -> None:
    """A checkout has a Makefile; a laptop has the bundle that it was installed from."""
    (tmp_path / "Makefile").touch()
    assert checks.install_again("setup", tmp_path) == f"run `make setup` in {tmp_path}"
    elsewhere = checks.install_again("setup", tmp_path / "site-packages")
    assert "make" not in elsewhere
    assert f"./install.sh {sys.prefix}" in elsewhere


def test_the_last_line_says_what_is_to_be_mended() -> None:
    """Notes need nobody; what is wrong is named again below the list."""
    note = Check("psycopg", "note", "not installed")
    assert checks.ending([note, Check("python", "good", "3.11")]) == "All is well."
    wrong = [Check("disk", "wrong", "full"), note, Check("models", "wrong", "none")]
    assert checks.ending(wrong) == "To be mended: disk, models."
