"""Blobs in a bucket, on a real S3 server."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from infra.servers.ports import free_port
from infra.servers.s3 import Server
from shared.blobs import FileBlobs, MissingBlob, open_blobs, s3
from shared.blobs.markers import ref_of
from shared.blobs.protocol import CHUNK
from shared.blobs.s3 import PART, STEP, S3Blobs
from shared.errors import SettingsError, Unavailable
from tests.bench.pages import pdf_of
from tests.chaos.proxy import Proxy
from tests.contract.blobs.stores import Place, bytes_of
from tests.integration.test_road import Suite, _until
from tests.support import ROOT
from tests.support.embedded import Embedded
from tests.support.samples import contract

TWO_PARTS = PART + CHUNK
RIGHTS = {
    "abort_multipart_upload": "AbortMultipartUpload",
    "complete_multipart_upload": "PutObject",
    "copy_object": "PutObject",
    "create_multipart_upload": "PutObject",
    "delete_object": "DeleteObject",
    "get_object": "GetObject",
    "head_object": "GetObject",
    "list_multipart_uploads": "ListBucketMultipartUploads",
    "list_objects_v2": "ListBucket",
    "put_object": "PutObject",
    "upload_part": "PutObject",
}
"""The action of a policy that each request needs, from Amazon's list of actions for S3."""


@pytest.fixture
def blobs(bucket: Place, monkeypatch: pytest.MonkeyPatch) -> S3Blobs:
    monkeypatch.setattr(s3, "TRIES", 2)
    return S3Blobs(bucket.url)


@contextmanager
def proxied(bucket: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[S3Blobs, Proxy]]:
    assert bucket.server is not None
    port = free_port()
    proxy = Proxy(port, bucket.server.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
    try:
        yield S3Blobs(bucket.url), proxy
    finally:
        proxy.close()


@pytest.mark.parametrize("size", [1000, TWO_PARTS], ids=["whole", "parts"])
def test_the_server_refuses_bytes_damaged_in_transit(
    bucket: Place, blobs: S3Blobs, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(s3, "_checksum", lambda _digest: "A" * 43 + "=")
    with pytest.raises(Unavailable, match=r"\(BadDigest\)"):
        blobs.put_stream("default", io.BytesIO(bytes_of(size)))
    assert bucket.stored() == {}
    assert blobs.sweep(timedelta(0)) == 0, "the parts are given up at once"


def test_a_process_killed_during_an_upload_leaves_no_blob(bucket: Place, blobs: S3Blobs) -> None:
    program = (
        "import io, os, signal, sys\n"
        "from shared.blobs.s3 import PART, S3Blobs\n"
        "blobs = S3Blobs(sys.argv[1])\n"
        "blobs._client.meta.events.register(\n"
        "    'before-call.s3.CompleteMultipartUpload',\n"
        "    lambda **_: os.kill(os.getpid(), signal.SIGKILL))\n"
        "blobs.put_stream('default', io.BytesIO(b'x' * (PART + 1)))"
    )
    done = subprocess.run([sys.executable, "-c", program, bucket.url], cwd=ROOT)
    assert done.returncode == -9
    data = b"x" * (PART + 1)
    with pytest.raises(MissingBlob, match="is missing"):
        blobs.get("default", ref_of(data))
    assert list(blobs.listed()) == []
    assert blobs.sweep(timedelta(hours=1)) == 0
    assert blobs.sweep(timedelta(0)) == 1
    assert blobs.sweep(timedelta(0)) == 0
    assert blobs.get("default", blobs.put("default", data)) == data


def test_a_sweep_ignores_other_uploads_in_the_bucket(bucket: Place, blobs: S3Blobs) -> None:
    theirs = {"Bucket": blobs.bucket, "Key": f"{blobs.prefix}backups/2026-01-31.tar"}
    ours = {"Bucket": blobs.bucket, "Key": blobs._key("default", ref_of(b"x"))}
    upload = blobs._client.create_multipart_upload(**theirs)["UploadId"]
    blobs._client.create_multipart_upload(**ours)
    assert blobs.sweep(timedelta(0)) == 1
    assert blobs._client.list_parts(**theirs, UploadId=upload)["UploadId"] == upload
    blobs._client.abort_multipart_upload(**theirs, UploadId=upload)


def test_a_broken_connection_is_retried(bucket: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes_of(3 * PART)
    with proxied(bucket, monkeypatch) as (blobs, proxy):

        @contextmanager
        def failing() -> Iterator[None]:
            proxy.delay = 0.004
            dropped: list[int] = []

            def drop() -> None:
                while sum(dropped) < 2:
                    time.sleep(0.3)
                    dropped.append(proxy.drop())
                proxy.delay = 0.0

            thread = threading.Thread(target=drop)
            thread.start()
            yield
            thread.join()

        with failing():
            ref = blobs.put_stream("default", io.BytesIO(data))
        with failing():
            assert blobs.get("default", ref) == data
    assert blobs.sweep(timedelta(0)) == 0


@pytest.mark.needs("a bucket")
def test_a_server_that_is_down_is_unavailable_until_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "TRIES", 2)
    server = Server(tmp_path, free_port())
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    server.bucket("papers")
    blobs = S3Blobs("s3://papers")
    with pytest.raises(Unavailable, match=r"[Cc]an't reach the blob store s3://papers for "):
        blobs.put("default", b"x")
    server.start()
    try:
        ref = blobs.put("default", b"x")
        server.kill()
        for touch in (blobs.get, blobs.open, blobs.delete):
            with pytest.raises(Unavailable, match=f"blob {ref.sha256} of tenant default"):
                touch("default", ref)
        with pytest.raises(Unavailable, match="the list of blobs"):
            list(blobs.listed())
        assert blobs.sweep(timedelta(0)) == 0, "a service starts all the same"
        server.start()
        assert blobs.get("default", ref) == b"x"
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("name", "value", "reported"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "SignatureDoesNotMatch.*check AWS_SECRET_ACCESS_KEY"),
        ("AWS_ACCESS_KEY_ID", "nobody", "InvalidAccessKeyId.*check AWS_ACCESS_KEY_ID"),
    ],
)
def test_a_refusal_names_the_setting_without_its_value(
    bucket: Place, monkeypatch: pytest.MonkeyPatch, name: str, value: str, reported: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Unavailable, match=reported) as caught:
        S3Blobs(bucket.url).put("default", b"x")
    assert value not in caught.value.message.replace("s3://", "")


def test_a_missing_bucket_is_unavailable(bucket: Place) -> None:
    blobs = S3Blobs("s3://no-such-bucket")
    for call in (
        lambda: blobs.put("default", b"x"),
        lambda: blobs.get("default", ref_of(b"x")),
        lambda: list(blobs.listed()),
    ):
        with pytest.raises(Unavailable, match=r"s3://no-such-bucket .*create the bucket"):
            call()


@pytest.mark.parametrize(
    "url", ["s3:", "s3://", "s3:///papers", "http://papers", "s3://me:secret@papers", "s3://a?b=c"]
)
def test_an_invalid_bucket_url_is_refused_at_start(url: str) -> None:
    with pytest.raises(SettingsError, match="SMALLPRINT_BLOBS_URL must be s3://") as caught:
        open_blobs(url, Path("unused"))
    assert "secret" not in caught.value.message


def test_without_the_client_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.blobs.find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match=r"Install requirements/s3\.txt"):
        open_blobs("s3://papers", Path("unused"))
    assert isinstance(open_blobs("", Path("unused"), "triage"), FileBlobs)


def test_a_copied_folder_is_a_valid_bucket(bucket: Place, blobs: S3Blobs, tmp_path: Path) -> None:
    files = FileBlobs(tmp_path / "blobs")
    owned = FileBlobs(tmp_path / "blobs", "triage")
    refs = [files.put("default", bytes_of(1000)), owned.put("other", b"[]")]
    shutil.copytree(files.root, bucket.folder, dirs_exist_ok=True)
    assert blobs.get("default", refs[0]) == bytes_of(1000)
    stored = set(zip(("default", "other"), refs, strict=True))
    for store in (blobs, files):
        assert {(tenant, ref) for tenant, ref, _ in store.listed()} == stored


def test_memory_is_bounded_by_parts(bucket: Place, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        for _ in range(10):
            file.write(bytes_of(PART))
    program = (
        "import sys, tracemalloc\n"
        "from shared.blobs.s3 import S3Blobs\n"
        "blobs = S3Blobs(sys.argv[1])\n"
        "blobs.put('default', b'x')\n"
        "tracemalloc.start()\n"
        "with open(sys.argv[2], 'rb') as file: ref = blobs.put_stream('default', file)\n"
        "print(tracemalloc.get_traced_memory()[1]); tracemalloc.reset_peak()\n"
        "read = 0\n"
        "with blobs.open('default', ref) as stream:\n"
        "    while piece := stream.read(65536): read += len(piece)\n"
        "assert read == ref.size\n"
        "print(tracemalloc.get_traced_memory()[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, bucket.url, str(tmp_path / "large")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    sent, read = map(int, done.stdout.split())
    assert PART < sent < 3 * PART
    assert STEP < read < 3 * STEP


@pytest.mark.slow
def test_the_suite_runs_with_blobs_in_a_bucket(bucket: Place, tmp_path: Path) -> None:
    process = Embedded(tmp_path, SMALLPRINT_BLOBS_URL=bucket.url)
    try:
        line = process.start()
        with Suite(process.url, line["key"]) as suite:
            data = pdf_of(contract(1).decode())
            document = suite.upload("services.pdf", data, "contract")
            assert suite.ended(document)["outcome"] == "complete"
            assert "agree" in suite.get(f"/v1/documents/{document}/text").text.lower()
            assert suite.get(f"/v1/documents/{document}/original").content == data
            page = suite.get(f"/v1/documents/{document}/pages/1.png")
            assert page.content.startswith(b"\x89PNG"), page.text
            assert suite.items(document, 1)
            stored = bucket.stored()
            assert len(stored) >= 3
            assert any("/extraction/" in key for key in stored)
            assert not list((process.data / "blobs").rglob("[0-9a-f]" * 64 + "*.txt"))
            suite.delete(f"/v1/documents/{document}")
            _until(
                lambda: [len(path.read_bytes()) for path in bucket.stored().values()],
                lambda sizes: all(size < 200 for size in sizes),
            )
        assert process.end() == 0, process.tail()
    finally:
        process.end()
    assert not [ref for _, ref, _ in FileBlobs(process.data / "blobs").listed()]


def test_the_documented_permissions_are_the_used_ones() -> None:
    source = (ROOT / "shared/blobs/s3.py").read_text("utf-8")
    called = r"(?:_client\)?|_marker)\.([a-z]\w+)\("
    used = set(re.findall(called, source)) - {"get_paginator"}
    used |= set(re.findall(r'get_paginator\("(\w+)"\)', source))
    assert len(used) >= 8
    wanted = {RIGHTS[one] for one in used}
    assert set(re.findall(r"\bs3:([A-Z]\w+)", source)) == wanted


def test_a_stream_that_changes_while_it_is_read_is_refused(bucket: Place, blobs: S3Blobs) -> None:
    class Changing(io.BytesIO):
        rewound = 0

        def seek(self, offset: int, whence: int = 0, /) -> int:
            self.rewound += 1
            if self.rewound == 1:
                self.getbuffer()[5] ^= 1
            return super().seek(offset, whence)

    with pytest.raises(Unavailable, match="changed while it was read"):
        blobs.put_stream("default", Changing(bytes_of(TWO_PARTS)))
    assert bucket.stored() == {}
