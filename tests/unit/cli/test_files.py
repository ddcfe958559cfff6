"""Files of a command, a batch that goes on, and one process at a time on a folder."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from services.cli.deployment.lock import FolderInUse, FolderLock
from services.cli.documents.batch import Batch, CannotStart, FileReader
from services.cli.documents.claims import Claims
from services.cli.documents.files import (
    Results,
    UnreadableFile,
    files_below,
    open_file,
    read_file,
    write_whole,
)
from shared.errors import DocumentTooLarge, EmptyDocument, NotFound, SuiteError
from tests.support import ROOT


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"x" * 10)
    assert read_file(str(path), 10) == b"x" * 10
    with pytest.raises(DocumentTooLarge, match="more than 9 bytes"):
        read_file(str(path), 9)
    with pytest.raises(DocumentTooLarge):
        read_file("/dev/zero", 1000)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("missing.pdf", NotFound),
        (".", UnreadableFile),
        ("a\0b", NotFound),
        ("x" * 300, UnreadableFile),
    ],
)
def test_a_path_that_is_no_file_is_reported(
    tmp_path: Path, name: str, error: type[SuiteError]
) -> None:
    with pytest.raises(error):
        read_file(f"{tmp_path}/{name}", 10)


def test_an_error_of_the_disk_while_reading_is_the_files(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    with pytest.raises(UnreadableFile, match="Input/output error"), open_file(str(path)):
        raise OSError(5, "Input/output error")


def test_files_below_a_folder_come_in_a_lasting_order(tmp_path: Path) -> None:
    for name in ("b/2.pdf", "b/1.pdf", "a.pdf", ".git/x", ".hidden", "out/a.pdf.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    os.mkfifo(tmp_path / "pipe")
    found = list(files_below(str(tmp_path), tmp_path / "out"))
    assert found == [f"{tmp_path}/{name}" for name in ("a.pdf", "b/1.pdf", "b/2.pdf")]


@pytest.mark.parametrize("given", [".", "./", "../here", "b/.."])
def test_files_are_named_as_their_folder_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    here = tmp_path / "here"
    for name in ("a.pdf", "b/1.pdf", "out/a.pdf.json"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()
    monkeypatch.chdir(here)
    found = list(files_below(given, Path("../here/out")))
    assert found == [os.path.join(given, name) for name in ("a.pdf", "b/1.pdf")]  # noqa: PTH118


def test_a_result_has_a_line_for_each_part(tmp_path: Path) -> None:
    results = Results(tmp_path / "out", tmp_path)
    result = {"source": "ä", "filings": [{"id": 1, "findings": []}, {"id": 2}], "none": []}
    results.keep(tmp_path / "f.jsonl", result, "0", "v1")
    text = results.path(tmp_path / "f.jsonl").read_text("utf-8")
    assert json.loads(text) == {**result, "batch": {"sha256": "0", "maker": "v1"}}
    assert text.splitlines()[3:5] == ['  {"id": 1, "findings": []},', '  {"id": 2}']


def test_results_are_tried_out_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SuiteError, match="--out"):
        Results(tmp_path / "file", tmp_path).require_writable()
    good = Results(tmp_path / "deep" / "good", tmp_path)
    good.require_writable()
    assert list(good.folder.iterdir()) == []


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "a.json"
    write_whole(path, b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


class Worker:
    """Makes results, or fails for bad files, and counts."""

    def __init__(self, maker: str = "v1") -> None:
        self.maker = maker
        self.worked: list[str] = []

    def result(self, path: str, data: bytes) -> Mapping[str, Any]:
        self.worked.append(Path(path).name)
        if data == b"bad":
            raise EmptyDocument("nothing in it", document=path)
        if data == b"bug":
            raise KeyError("x")
        if data == b"no model":
            raise CannotStart("there is no model")
        return {"source": path, "text": data.decode()}


def _run(folder: Path, worker: Worker, *, resume: bool = True) -> Batch:
    results = Results(folder / "out", folder)
    work = FileReader(1000, lambda _path, _data: worker.maker, worker.result)
    batch = Batch(work, results, resume)
    for path in files_below(str(folder), results.folder):
        for _line in batch.file(path):
            pass
    return batch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files, of which one is bad and one meets a bug."""
    for name, content in (("a.txt", b"one"), ("b.txt", b"bad"), ("c.txt", b"bug")):
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_a_changed_file_or_model_is_worked_on_again(folder: Path) -> None:
    _run(folder, Worker())
    (folder / "a.txt").write_bytes(b"other")
    changed = Worker()
    _run(folder, changed)
    assert "a.txt" in changed.worked
    newer = Worker("v2")
    _run(folder, newer)
    assert "a.txt" in newer.worked
    anew = Worker("v2")
    _run(folder, anew, resume=False)
    assert "a.txt" in anew.worked


def test_a_file_that_turns_bad_loses_its_old_result(folder: Path) -> None:
    _run(folder, Worker())
    (folder / "a.txt").write_bytes(b"bad")
    _run(folder, Worker())
    receipt = json.loads((folder / "out/a.txt.json").read_text())
    assert receipt["error"]["type"] == "empty_document"
    assert "text" not in receipt


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"batch": {}}'])
def test_a_damaged_result_is_made_again(folder: Path, damage: bytes) -> None:
    _run(folder, Worker())
    (folder / "out/a.txt.json").write_bytes(damage)
    again = Worker()
    _run(folder, again)
    assert "a.txt" in again.worked


def test_batches_on_one_folder_share_the_work(folder: Path) -> None:
    results = Results(folder / "out", folder)
    first, second = Worker(), Worker()
    ours, others = (
        Batch(FileReader(1000, lambda _path, _data: "v1", worker.result), results)
        for worker in (first, second)
    )
    path = str(folder / "a.txt")
    with Claims(results.folder).claim("a.txt") as claimed:
        assert claimed
        assert list(ours.file(path)) == []
    assert ours.elsewhere == [path]
    for batch, go in ((others, others.file), (ours, ours.wait_for)):
        assert [line["text"] for line in go(path)] == ["one"]
        assert batch.summary()["worked"] == 1
    assert (first.worked, second.worked) == ([], ["a.txt"])
    assert not (folder / "out" / ".claims").exists()


def test_a_mail_that_is_opened_meanwhile_is_not_done_again(tmp_path: Path) -> None:
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "new" / "1.M2.host").write_bytes(b"mail")
    _run(tmp_path, Worker())
    (tmp_path / "new" / "1.M2.host").rename(tmp_path / "cur" / "1.M2.host:2,RS")
    again = Worker()
    batch = _run(tmp_path, again)
    assert (batch.reused, again.worked) == (1, [])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1.M2.host.json"]


def test_a_claim_is_one_process_s_until_it_dies(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from services.cli.documents.claims import Claims\n"
        "with Claims(Path(sys.argv[1])).claim('a') as ours:\n"
        "    print(ours, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    claims = Claims(tmp_path)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with claims.claim("a") as ours, claims.claim("b") as other:
            assert (ours, other) == (False, True)
        holder.kill()
    with claims.claim("a", wait=True) as ours:
        assert ours
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_locks_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_handle: int, _operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(SuiteError, match=r"No locks available.*--out"):
        _run(tmp_path, Worker())


def test_without_a_model_the_batch_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"no model")
    with pytest.raises(CannotStart, match="no model"):
        _run(tmp_path, Worker())


def test_results_never_take_each_others_place(tmp_path: Path) -> None:
    results = Results(tmp_path / "out", tmp_path)
    names = ["a.pdf", "a.txt", "b/a.pdf", "summary", "summary.json"]
    places = {results.path(tmp_path / name) for name in names}
    assert len(places | {results.folder / Results.SUMMARY}) == len(names) + 1


def test_a_folder_is_used_by_one_process_at_a_time(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(FolderInUse, match=str(os.getpid())):
        FolderLock(tmp_path).__enter__()
    with FolderLock(tmp_path):
        pass


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from services.cli.deployment.lock import FolderLock\n"
        "FolderLock(Path(sys.argv[1])).__enter__(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT)
    assert done.returncode == -9
    assert (tmp_path / "lock").exists()
    with FolderLock(tmp_path):
        pass


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SuiteError, match="can't be used"):
        FolderLock(tmp_path / "file" / "data").__enter__()
