"""Blobs: whole or not at all, under the name of their hash, apart for each tenant."""

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from shared.events import BlobRef
from shared.storage import FileBlobs, MissingBlob
from shared.storage.blobs import CHUNK
from tests.support import ROOT


class Breaks(io.RawIOBase):
    """A stream that breaks after some bytes."""

    def __init__(self, good: int) -> None:
        self.left = good

    def read(self, size: int = -1) -> bytes:
        """Bytes, then an error."""
        if self.left <= 0:
            raise OSError("the upload broke off")
        self.left -= size
        return b"x" * size


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    """An empty store."""
    return FileBlobs(tmp_path / "blobs")


def _files(blobs: FileBlobs) -> list[Path]:
    return [path for path in blobs.root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("data", [b"", b"a", b"x" * (CHUNK + 1)], ids=["empty", "one", "chunks"])
def test_what_is_put_comes_back(blobs: FileBlobs, data: bytes) -> None:
    """By bytes and by stream, the same bytes are the same blob, kept once."""
    ref = blobs.put("default", data)
    assert ref == BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    assert blobs.put_stream("default", io.BytesIO(data)) == ref
    assert blobs.get("default", ref) == data
    with blobs.open("default", ref) as stream:
        assert stream.read() == data
    assert len(_files(blobs)) == 1


def test_tenants_do_not_see_each_other(blobs: FileBlobs) -> None:
    """The same bytes of another tenant are another blob."""
    ref = blobs.put("one", b"secret")
    with pytest.raises(MissingBlob, match="of tenant two is missing"):
        blobs.get("two", ref)
    blobs.put("two", b"secret")
    blobs.delete("one", ref)
    assert blobs.get("two", ref) == b"secret"


@pytest.mark.parametrize("tenant", ["", "..", ".hidden", "a/b", "a\\b", "x" * 65, "a\0b", "ü"])
def test_a_tenant_can_not_leave_its_folder(blobs: FileBlobs, tenant: str) -> None:
    """A name that is no plain name is refused before anything is touched."""
    with pytest.raises(ValueError, match="not a tenant"):
        blobs.put(tenant, b"x")
    assert not blobs.root.exists()


def test_a_damaged_blob_is_noticed(blobs: FileBlobs) -> None:
    """Bytes that are not what they were are an error, never a result."""
    ref = blobs.put("default", b"what was signed")
    (path,) = _files(blobs)
    path.write_bytes(b"what was forged")
    with pytest.raises(MissingBlob, match="damaged"):
        blobs.get("default", ref)


def test_deleting_twice_is_harmless(blobs: FileBlobs) -> None:
    """What is gone already stays gone."""
    ref = blobs.put("default", b"x")
    blobs.delete("default", ref)
    blobs.delete("default", ref)
    with pytest.raises(MissingBlob):
        blobs.open("default", ref)


@pytest.mark.parametrize("good", [0, CHUNK, 3 * CHUNK])
def test_a_stream_that_breaks_leaves_nothing(blobs: FileBlobs, good: int) -> None:
    """Half an upload is no blob, and its file is taken away."""
    with pytest.raises(OSError, match="broke off"):
        blobs.put_stream("default", cast(BinaryIO, Breaks(good)))
    assert _files(blobs) == []


def test_a_disk_that_fails_leaves_nothing(
    blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the bytes can't be made durable there is no blob."""

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    puts: list[Callable[[], BlobRef]] = [
        lambda: blobs.put("default", b"x"),
        lambda: blobs.put_stream("default", io.BytesIO(b"x")),
    ]
    for put in puts:
        with pytest.raises(OSError, match="No space"):
            put()
    assert _files(blobs) == []


def test_a_process_killed_while_writing_leaves_no_half_blob(blobs: FileBlobs) -> None:
    """Killed just before the rename, the name of the hash does not exist; the next try succeeds."""
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from shared.storage import FileBlobs\n"
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
