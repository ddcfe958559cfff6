"""Tests only for blobs in a folder: disks, folders, locks."""

import hashlib
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.blobs import FileBlobs, MissingBlob
from shared.blobs.files import MARKER
from shared.errors import Unavailable
from shared.events import BlobRef
from tests.support import ROOT


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


def _files(blobs: FileBlobs) -> list[Path]:
    found = (path for path in blobs.root.rglob("*") if path.is_file())
    return [path for path in found if path.name != MARKER]


def test_a_disk_that_fails_leaves_nothing(
    blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    blobs.put("default", b"the first")
    kept = _files(blobs)
    monkeypatch.setattr(os, "fsync", full)
    puts: list[Callable[[], BlobRef]] = [
        lambda: blobs.put("default", b"x"),
        lambda: blobs.put_stream("default", io.BytesIO(b"x")),
    ]
    for put in puts:
        with pytest.raises(Unavailable, match=r"of tenant default \(No space"):
            put()
    assert _files(blobs) == kept


def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path) -> None:
    program = (
        "import io, resource, signal, sys; from pathlib import Path\n"
        "from shared.errors import Unavailable\n"
        "from shared.blobs import FileBlobs\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "blobs, data = FileBlobs(Path(sys.argv[1])), b'x' * 100_001\n"
        "for put in (lambda: blobs.put('default', data),\n"
        "            lambda: blobs.put_stream('default', io.BytesIO(data))):\n"
        "    try: put()\n"
        "    except Unavailable as error: print(error.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "blobs")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("(File too large). Check the disk") == 2, done.stderr
    assert _files(FileBlobs(tmp_path / "blobs")) == []


def test_a_disk_that_can_not_be_read_is_unavailable(
    blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = blobs.put("default", b"x")

    def fail(*_args: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    monkeypatch.setattr(Path, "unlink", fail)
    for touch in (blobs.get, blobs.open, blobs.delete):
        with pytest.raises(Unavailable, match=f"{ref.sha256} of tenant default .Input/output"):
            touch("default", ref)


def test_new_folders_are_made_durable_up_to_the_root(
    blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    sync = os.fsync

    def note(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        sync(handle)

    monkeypatch.setattr(os, "fsync", note)
    ref = FileBlobs(blobs.root, "extraction").put("default", b"x")
    tenant = blobs.root / "default"
    way = [blobs.root.parent, blobs.root, tenant, tenant / "extraction"]
    assert {*way, tenant / "extraction" / ref.sha256[:2]} <= set(synced)
    assert synced[-1] == tenant / "extraction" / ref.sha256[:2]


def test_a_folder_that_is_not_mounted_loses_nothing(blobs: FileBlobs) -> None:
    ref = blobs.put("default", b"x")
    away = blobs.root.rename(blobs.root.parent / "away")
    later = FileBlobs(blobs.root)
    for empty in (False, True):
        if empty:
            blobs.root.mkdir()  # the place where the disk is mounted
        for store in (blobs, later):
            with pytest.raises(Unavailable, match="Mount its disk"):
                store.get("default", ref)
        with pytest.raises(Unavailable, match="Mount its disk"):
            blobs.put("default", b"y")
    assert list(blobs.root.iterdir()) == []
    blobs.root.rmdir()
    away.rename(blobs.root)
    assert blobs.get("default", ref) == later.get("default", ref) == b"x"
    (blobs.root / "default" / ref.sha256[:2] / ref.sha256).unlink()
    with pytest.raises(MissingBlob):
        later.get("default", ref)


def test_many_may_use_it_first(blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    exists = Path.exists

    def look_slowly(path: Path) -> bool:
        there = exists(path)
        time.sleep(0.05)
        return there

    monkeypatch.setattr(Path, "exists", look_slowly)
    errors: list[Exception] = []

    def put(number: int) -> None:
        try:
            blobs.put("default", str(number).encode())
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=put, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(_files(blobs)) == 8


def test_a_folder_of_an_earlier_release_is_taken_over(blobs: FileBlobs) -> None:
    ref = blobs.put("default", b"x")
    (blobs.root / MARKER).unlink()
    later = FileBlobs(blobs.root)
    assert later.get("default", ref) == b"x"
    with pytest.raises(MissingBlob):
        later.get("default", BlobRef(sha256="0" * 64, size=1))
    later.put("default", b"y")
    assert (blobs.root / MARKER).exists()


@pytest.mark.parametrize("owner", ["..", "a/b", "ab", "Extraction", "x" * 33])
def test_an_owner_can_not_leave_the_tenant(owner: str) -> None:
    with pytest.raises(ValidationError, match="owner"):
        BlobRef(sha256="0" * 64, size=1, owner=owner)


def test_a_process_killed_while_writing_leaves_no_half_blob(blobs: FileBlobs) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from shared.blobs import FileBlobs\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "FileBlobs(Path(sys.argv[1])).put('default', b'x' * 100_000)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(blobs.root)], cwd=ROOT)
    assert done.returncode == -9
    data = b"x" * 100_000
    ref = BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    with pytest.raises(MissingBlob):
        blobs.get("default", ref)
    assert blobs.put("default", data) == ref
    assert blobs.get("default", ref) == data
