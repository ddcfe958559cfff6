"""`smallprint doctor`: its checks and their messages."""

import shutil
import socket
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from infra.servers.ports import free_port
from services.cli import doctor_checks
from services.cli.doctor_checks import Check
from shared.documents.confinement import Confinement
from shared.errors import SuiteError
from shared.settings import CommonSettings
from tests.support import ROOT
from tests.support.local_server import Receiver, Reply
from tests.unit.cli.builders import Run, lines


def test_this_machine_is_good_enough_to_run_its_tests(tmp_path: Path) -> None:
    found = [
        doctor_checks.python(),
        doctor_checks.packages(),
        doctor_checks.data_folder(tmp_path / "data"),
    ]
    found += [doctor_checks.port(free_port())]
    assert [check.state for check in found] == ["good"] * 4, found
    assert doctor_checks.content(found)


def test_missing_triggers_of_the_audit_trail_are_wrong(run: Run, tmp_path: Path) -> None:
    settings = CommonSettings(data=tmp_path)
    assert list(doctor_checks.audit_triggers(settings)) == []
    run("keys", "new", "ann", "--data", tmp_path)
    assert [one.state for one in doctor_checks.audit_triggers(settings)] == ["good"]
    with closing(sqlite3.connect(tmp_path / "ingest.db")) as database:
        database.execute("DROP TRIGGER audit_delete")
    (check,) = doctor_checks.audit_triggers(settings)
    assert (check.state, "audit_delete of ingest" in check.found) == ("wrong", True)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "services.cli.doctor_checks.metadata.requires",
        lambda _name: ["click>=8", "no-such-thing[x]>=1", 'torch>=2; extra == "train"'],
    )
    check = doctor_checks.packages()
    assert (check.state, check.found) == ("wrong", "missing: no-such-thing")
    assert "make setup" in check.mend


def test_an_old_python_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks, "LEAST_PYTHON", (99, 0))
    assert doctor_checks.python().state == "wrong"


def test_optional_parts_are_only_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks, "OPTIONAL", {"no-such-thing": "something rare"})
    (check,) = doctor_checks.optional_packages()
    assert check.state == "note"
    assert doctor_checks.content([check])


@pytest.mark.usefixtures("no_engine")
def test_text_recognition_is_only_noted() -> None:
    check = doctor_checks.recognition()
    assert check.state == "note"
    assert "apt-get install tesseract-ocr" in check.mend
    assert doctor_checks.content([check])


@pytest.mark.parametrize(
    ("offered", "required", "states"),
    [
        (Confinement(7, True), True, ["good", "good"]),
        (Confinement(0, True), False, ["good", "note"]),
        (Confinement(0, False), False, ["note", "note"]),
        (Confinement(0, True), True, ["good", "wrong"]),
        (Confinement(0, False), True, ["wrong", "wrong"]),
    ],
)
def test_a_system_that_can_not_confine_readers_is_noted(
    offered: Confinement, required: bool, states: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_checks, "offered", lambda: offered)
    checks = list(doctor_checks.confinement(required=required))
    assert [check.name for check in checks] == ["network", "files"]
    assert [check.state for check in checks] == states
    assert all(bool(check.mend) == (check.state != "good") for check in checks)


@pytest.mark.usefixtures("no_library")
def test_a_program_that_a_confined_reader_can_not_run_is_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: "/usr/bin/tesseract")
    for filtered, state in ((True, "note"), (False, "good")):
        monkeypatch.setattr(doctor_checks, "offered", lambda it=filtered: Confinement(0, it))
        assert doctor_checks.recognition().state == state


def test_a_folder_that_can_not_be_written_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert doctor_checks.data_folder(tmp_path / "file" / "data").state == "wrong"
    assert doctor_checks.data_folder(tmp_path / ("x" * 300)).state == "wrong"
    assert "free at" in doctor_checks.disk(tmp_path / ("x" * 300)).found
    assert doctor_checks.data_folder(tmp_path).state == "good"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_folder_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    assert doctor_checks.data_folder(tmp_path / "var" / "data").state == "good"
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "free at" in doctor_checks.disk(tmp_path / "yet" / "to come").found
    monkeypatch.setattr(doctor_checks, "LEAST_FREE", 10**18)
    assert doctor_checks.disk(tmp_path).state == "wrong"


def _hang_up(server: socket.socket) -> None:
    server.accept()[0].close()


def test_a_port_is_free_or_ours_or_taken() -> None:
    ours = Reply(200, body=b'{"service": "smallprint", "version": "1"}')
    with Receiver(lambda _request: ours) as server:
        assert "answers there already" in doctor_checks.port(server.port).found
    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=_hang_up, args=(other,)).start()
        check = doctor_checks.port(other.getsockname()[1])
    assert check.state == "wrong"
    assert "--port" in check.mend


def test_checks_are_shown_with_how_to_mend() -> None:
    found = [Check("python", "good", "3.11"), Check("disk", "wrong", "full", "free some")]
    rows = list(doctor_checks.check_rows(found))
    assert rows[0].startswith("ok")
    assert rows[1].startswith("MEND")
    assert "-> free some" in rows[2]
    assert rows[3] == "To fix: disk."
    assert not doctor_checks.content(found)
    note = Check("psycopg", "note", "not installed")
    assert list(doctor_checks.check_rows([note]))[-1] == "All is well."


def test_what_to_do_fits_the_installation(tmp_path: Path) -> None:
    (tmp_path / "Makefile").touch()
    assert doctor_checks.install_again("setup", tmp_path) == f"run `make setup` in {tmp_path}"
    elsewhere = doctor_checks.install_again("setup", tmp_path / "site-packages")
    assert "make" not in elsewhere
    assert f"./install.sh {sys.prefix}" in elsewhere


ARTEFACTS = ROOT / "models" / "artefacts"


def checks(run: Run, folder: Path) -> dict[str, dict[str, Any]]:
    """The checks of the command by name."""
    (line,) = lines(run("doctor", "--data", folder / "data", "--json")[1])
    return {check["name"]: check for check in line["checks"]}


@pytest.mark.slow
def test_the_models_are_checked(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("triage", "review", "signals", "sentences", "names")
    found = checks(run, tmp_path)
    assert {found[name]["state"] for name in ("adapter", "base", "probe", *names)} == {"good"}
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path / "nothing"))
    found = checks(run, tmp_path)
    assert [found[name]["state"] for name in ("models", *names)] == ["wrong", *["note"] * 5]
    assert "SMALLPRINT_ARTEFACTS" in found["models"]["mend"]
    assert "rules alone" in found["triage"]["found"]
    assert "confidence alone" in found["review"]["found"]
    code, out, _ = run("doctor", "--data", tmp_path / "data")
    assert (code, "MEND  models" in out) == (1, True)
    assert "models" in out.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "file", "check"),
    [
        ("triage-breaks", "breaks.onnx", "triage"),
        ("review-priority", "priority.onnx", "review"),
        ("triage-peers", "peers.json", "signals"),
    ],
)
def test_a_damaged_model_is_wrong(
    name: str, file: str, check: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ARTEFACTS / name, tmp_path / "artefacts" / name)
    (damaged,) = (tmp_path / "artefacts").glob(f"{name}/*/{file}")
    damaged.write_bytes(b"{}")
    monkeypatch.setenv("SMALLPRINT_ARTEFACTS", str(tmp_path / "artefacts"))
    found = checks(run, tmp_path)[check]
    assert (found["state"], name in found["found"]) == ("wrong", True)


def test_the_threads_of_the_settings_are_used(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def specialists(_artefacts: Path, threads: int, _arithmetic: str, _taught: Path) -> None:
        seen.append(threads)
        raise SuiteError("no model is needed to see this")

    monkeypatch.setattr("shared.inference.Specialists", specialists)
    monkeypatch.setenv("SMALLPRINT_THREADS", "7")
    run("doctor", "--data", tmp_path)
    assert seen == [7]
