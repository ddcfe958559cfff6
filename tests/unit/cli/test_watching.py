"""A folder that documents come into: whole ones alone, once, whatever dies in between."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from watchdog.events import FileClosedEvent, FileMovedEvent

from services.cli.documents.batch import CannotStart, FileReader
from services.cli.documents.claims import Claims
from services.cli.documents.file_events import Notices
from services.cli.documents.files import Results
from services.cli.documents.folder_watch import (
    EMPTY_SECONDS,
    REST_SECONDS,
    UNFINISHED,
    FolderWatcher,
    Leases,
)
from shared.errors import EmptyDocument
from tests.support import ROOT, require
from tests.support.killed import Killed
from tests.support.samples import report


class Clock:
    """Time that passes when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class House:
    """A watched folder with its watcher."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.messages: list[str] = []
        self.worked: list[str] = []
        self.meanwhile: Callable[[], object] = int

    def watcher(self) -> FolderWatcher:
        results = Results(self.folder / "results", self.folder)
        work = FileReader(20, lambda _path, _data: "v1", self._result)
        return FolderWatcher(
            self.folder, work, results, tell=self.messages.append, clock=self.clock
        )

    def _result(self, path: str, data: bytes) -> Mapping[str, Any]:
        self.worked.append(Path(path).name)
        self.meanwhile()
        if data == b"no model":
            raise CannotStart("there is no model")
        if data.startswith(b"bad"):
            raise EmptyDocument("nothing in it", document=path)
        return {"source": path, "text": data.decode()}

    def put(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def round(self, watcher: FolderWatcher) -> list[Mapping[str, Any]]:
        """Look twice with the time of settling between, and work on what is whole."""
        watcher.complete_files()
        self.clock.now += watcher.settle
        return [line for path in watcher.complete_files() for line in watcher.file(path)]

    def receipt(self, name: str) -> Any:
        return json.loads((self.folder / "results" / f"{name}.json").read_text("utf-8"))

    def files(self) -> set[str]:
        """All files by path, without receipts."""
        paths = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return {str(path) for path in paths if path.parts[0] != "results"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_what_worked_and_what_did_not_are_moved_apart(house: House) -> None:
    house.put("lease.pdf", b"one")
    house.put("acme/b.txt", b"bad")
    house.put("acme/large.txt", b"x" * 21)
    watcher = house.watcher()
    lines = house.round(watcher)
    assert house.files() == {"done/lease.pdf", "failed/acme/b.txt", "failed/acme/large.txt"}
    assert house.receipt("lease.pdf")["text"] == "one"
    assert house.receipt("acme/b.txt")["error"]["type"] == "empty_document"
    assert house.receipt("acme/large.txt")["error"]["type"] == "document_too_large"
    assert {line["moved_to"] for line in lines} == {str(house.folder / p) for p in house.files()}
    assert (watcher.done, watcher.failed) == (1, 2)
    assert house.round(watcher) == []


def test_a_file_is_taken_once_it_no_longer_changes(house: House) -> None:
    watcher = house.watcher()
    path = house.put("a.txt", b"o")
    empty = house.put("empty.txt", b"")
    assert watcher.complete_files() == []
    assert watcher.next_look(60) == watcher.settle
    house.clock.now += watcher.settle - 0.1
    with path.open("ab") as file:
        file.write(b"ne")
    assert watcher.complete_files() == []
    house.clock.now += watcher.settle - 0.1
    assert watcher.complete_files() == []
    house.clock.now += 0.2
    assert watcher.complete_files() == [str(path)]
    assert [message.partition(":")[0] for message in house.messages] == [str(empty)]
    house.clock.now += EMPTY_SECONDS
    assert watcher.complete_files() == [str(path), str(empty)]
    assert watcher.next_look(60) == 60


def test_a_file_that_somebody_writes_is_not_whole(house: House) -> None:
    house.put("probe", b"x")
    leases = Leases(house.folder)
    with (house.folder / "probe").open("ab"):
        require(leases.written(house.folder / "probe"), "a file system with leases")
    (house.folder / "probe").unlink()
    watcher = house.watcher()
    with (house.folder / "a.txt").open("wb") as file:
        file.write(b"one")
        file.flush()
        assert house.round(watcher) == []
        house.clock.now += 3600
        assert watcher.complete_files() == []
    assert watcher.complete_files() == [str(house.folder / "a.txt")]
    assert {path.name for path in house.folder.iterdir()} == {"a.txt", "results"}


@pytest.mark.parametrize("name", [f"lease.pdf{end}" for end in UNFINISHED] + ["~$lease.docx"])
def test_what_is_yet_to_get_its_name_is_left_alone(house: House, name: str) -> None:
    house.put(name, b"one")
    watcher = house.watcher()
    assert house.round(watcher) == []
    (house.folder / name).rename(house.folder / "lease.pdf")
    assert [line["text"] for line in house.round(watcher)] == ["one"]


def test_a_file_that_changes_during_work_is_read_again(house: House) -> None:
    watcher = house.watcher()
    house.put("a.txt", b"hal")
    house.meanwhile = lambda: house.put("a.txt", b"half")
    assert house.round(watcher) == []
    assert house.files() == {"a.txt"}
    house.meanwhile = int
    assert [line["text"] for line in house.round(watcher)] == ["half"]
    assert (house.worked, house.files()) == (["a.txt", "a.txt"], {"done/a.txt"})


@pytest.mark.parametrize("data", [b"one", b"bad", b"x" * 21])
def test_killed_between_receipt_and_move_it_is_moved_and_not_done_again(
    house: House, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    house.put("a.txt", data)

    def killed(_from: Path, _to: Path) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(Killed):
            house.round(house.watcher())
    before = house.receipt("a.txt")
    assert house.files() == {"a.txt"}
    (line,) = house.round(house.watcher())
    assert house.receipt("a.txt") == before
    where = "done" if "text" in line else "failed"
    assert house.files() == {f"{where}/a.txt"}
    assert house.worked.count("a.txt") == {b"one": 1, b"bad": 2}.get(data, 0)
    assert [path.name for path in (house.folder / "results").iterdir()] == ["a.txt.json"]


def test_nothing_is_written_over(house: House) -> None:
    watcher = house.watcher()
    for data in (b"one", b"two", b"one", b"bad"):
        house.put("a.txt", data)
        house.round(watcher)
    assert house.files() == {"done/a.txt", "done/a-2.txt", "done/a-3.txt", "failed/a-4.txt"}
    assert [house.receipt(f"a{n}.txt").get("text") for n in ("", "-2", "-3", "-4")] == [
        *("one", "two", "one", None)
    ]
    assert house.worked == ["a.txt"] * 3
    for data in (b"five", b"six"):
        (house.folder / "done" / "a.txt").unlink(missing_ok=True)  # taken away by its owner
        house.put("a.txt", data)
        house.round(watcher)
    assert house.receipt("a.txt")["text"] == "one"
    assert house.receipt("a-6.txt")["text"] == "six"


def test_a_failed_file_that_is_moved_back_is_tried_again(house: House) -> None:
    watcher = house.watcher()
    house.put("a.txt", b"bad")
    house.round(watcher)
    (house.folder / "failed" / "a.txt").rename(house.folder / "a.txt")
    assert len(house.round(watcher)) == 1
    assert house.worked == ["a.txt", "a.txt"]
    assert house.files() == {"failed/a.txt"}


def test_what_another_watcher_has_in_hand_is_left_to_it(house: House) -> None:
    watcher = house.watcher()
    path = house.put("a.txt", b"one")
    with Claims(house.folder / "results").claim("a.txt"):
        assert house.round(watcher) == []
        assert watcher.next_look(60) == 60
    assert house.worked == []
    other = house.watcher()
    assert len(house.round(other)) == 1
    assert list(watcher.file(str(path))) == []
    assert house.worked == ["a.txt"]


def test_without_a_model_everything_stays_where_it_is(house: House) -> None:
    house.put("a.txt", b"no model")
    with pytest.raises(CannotStart):
        house.round(house.watcher())
    assert house.files() == {"a.txt"}


def test_a_fault_of_the_file_system_is_not_the_documents(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.put("a.txt", b"one")
    watcher = house.watcher()

    def full(_from: Path, _to: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        assert house.round(watcher) == []
        assert house.round(watcher) == []
        house.clock.now += REST_SECONDS
        assert house.round(watcher) == []
    assert house.messages == [f"{house.folder}/a.txt: left where it is: No space left on device"]
    house.clock.now += REST_SECONDS
    assert len(house.round(watcher)) == 1
    assert house.worked == ["a.txt"] * 1


def test_mails_of_a_maildir_go_to_folders_of_it(house: House) -> None:
    for name in ("new", "cur", "tmp"):
        (house.folder / "box" / name).mkdir(parents=True)
    house.put("box/new/1.M1.host", b"one")
    house.put("box/cur/2.M2.host:2,RS", b"bad")
    house.put("box/tmp/3.M3.host", b"half")
    watcher = house.watcher()
    lines = [line for path in watcher.complete_files() for line in watcher.file(path)]
    assert len(lines) == 2
    assert house.files() == {
        "box/tmp/3.M3.host",
        "box/.done/cur/1.M1.host:2,",
        "box/.done/maildirfolder",
        "box/.failed/cur/2.M2.host:2,RS",
        "box/.failed/maildirfolder",
    }
    assert (house.folder / "box/.done/new").is_dir()
    assert house.receipt("box/1.M1.host")["text"] == "one"
    assert watcher.complete_files() == []


def test_others_who_may_enter_the_folder_find_what_they_sent(house: House) -> None:
    house.folder.chmod(0o755)
    house.put("a.txt", b"one").chmod(0o644)
    before = os.umask(0o077)
    try:
        house.round(house.watcher())
    finally:
        os.umask(before)
    assert (house.folder / "done").stat().st_mode & 0o777 == 0o755
    assert (house.folder / "done" / "a.txt").stat().st_mode & 0o777 == 0o644
    assert (house.folder / "results" / "a.txt.json").stat().st_mode & 0o077 == 0


def test_a_change_ends_the_wait(tmp_path: Path) -> None:
    messages: list[str] = []
    own = tmp_path / "done"
    with Notices(tmp_path, own, tell=messages.append) as notices:
        notices.on_any_event(FileClosedEvent(str(own / "a.txt")))
        notices.on_any_event(FileMovedEvent(str(own / "a.txt"), str(own / "b.txt")))
        assert not notices._changed.is_set()
        (tmp_path / "acme").mkdir()
        notices.wait(600, lambda: False)
        (tmp_path / "acme" / "a.txt").write_bytes(b"one")
        notices.wait(600, lambda: False)
        notices.wait(600, lambda: True)
    assert messages == []


def test_where_nothing_can_be_noticed_time_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("services.cli.documents.file_events.Observer.schedule", none)
    messages: list[str] = []
    with Notices(tmp_path, tell=messages.append) as notices:
        notices.wait(0.01, lambda: False)
    assert messages == [
        f"{tmp_path} is only checked from time to time: inotify watch limit reached"
    ]


# The command


class Watching:
    """`smallprint watch` as processes on one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []
        self.lines: list[dict[str, Any]] = []

    def start(self, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "services.cli", "watch", str(self.folder), "--json"]
        process = subprocess.Popen(
            [*command, "--settle", "0", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def put(self, name: str, data: bytes) -> None:
        part = self.folder / f".{name}"
        part.write_bytes(data)
        part.rename(self.folder / name)

    def read(self, process: subprocess.Popen[str], number: int) -> None:
        """Wait for so many lines of one of them."""
        assert process.stdout is not None
        for _ in range(number):
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            self.lines.append(json.loads(line))

    def receipts(self) -> list[dict[str, Any]]:
        paths = (self.folder / "results").glob("*.json")
        return [json.loads(path.read_text()) for path in paths]


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Watching]:
    """Processes that are gone at the end of the test."""
    watching = Watching(tmp_path)
    yield watching
    for process in watching.processes:
        process.kill()
        process.communicate()


def test_the_command_waits_for_documents_until_it_is_stopped(watching: Watching) -> None:
    watching.put("a.json", report("a"))
    process = watching.start("--poll", "86400")
    watching.read(process, 1)
    watching.put("b.json", report("b"))
    watching.read(process, 1)
    watching.put("c.json", b"{}")
    watching.read(process, 1)
    for name in "defg":
        watching.put(f"{name}.json", report(name))
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "finishing the current document" in err
    assert "worked, 1 failed" in err
    assert [line["moved_to"] for line in watching.lines] == [
        str(watching.folder / place) for place in ("done/a.json", "done/b.json", "failed/c.json")
    ]
    assert len(watching.receipts()) == 3 + len(out.splitlines())


def test_two_watchers_share_a_folder_and_one_is_killed(watching: Watching) -> None:
    first, second = watching.start("--poll", "0.1"), watching.start("--poll", "0.1")
    for n in range(60):
        watching.put(f"{n:02d}.json", b"{}" if n % 20 == 7 else report(f"f{n}"))
    watching.read(first, 5)
    first.kill()
    rest, _ = first.communicate()
    watching.lines += [json.loads(line) for line in rest.splitlines(keepends=True) if "\n" in line]
    for n in range(60, 70):
        watching.put(f"{n:02d}.json", report(f"f{n}"))
    while any(watching.folder.glob("*.json")):
        watching.read(second, 1)
    second.send_signal(signal.SIGINT)
    rest, err = second.communicate(timeout=60)
    assert "Traceback" not in err, err
    assert second.returncode == 0
    watching.lines += [json.loads(line) for line in rest.splitlines()]
    counts = Counter(line["source"] for line in watching.lines)
    assert set(counts.values()) == {1}
    assert len(counts) >= 69  # a killed one may have moved a file without a line
    receipts = watching.receipts()
    assert len({receipt["source"] for receipt in receipts}) == len(receipts) == 70
    assert len(list((watching.folder / "done").iterdir())) == 67
    failed = {path.name for path in (watching.folder / "failed").iterdir()}
    assert failed == {"07.json", "27.json", "47.json"}
