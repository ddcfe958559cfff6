"""`smallprint backup` and restore with blobs in a bucket of a real server."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from services.cli.operations.backup_manifest import BackupManifest, files_of
from shared.blobs.files import FileBlobs
from shared.blobs.protocol import PIN_MARKER, PINNED_SUFFIX
from shared.blobs.s3 import S3Blobs
from shared.errors import Unavailable
from shared.events import BlobRef
from tests.contract.blobs.conftest import bucket, s3
from tests.contract.blobs.stores import Place
from tests.support.postgres import Servers
from tests.system.operations.suite import NAMES, Suite, environment, under_load
from tests.system.operations.test_backup import run

__all__ = ["bucket", "s3"]
SETTING = "SMALLPRINT_BLOBS_URL"


@pytest.fixture
def in_bucket(
    bucket: Place, databases: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Suite]:
    """All services on an empty place, with their blobs in a bucket."""
    monkeypatch.setenv(SETTING, bucket.url)
    suite = Suite(tmp_path / "data")
    yield suite
    suite.close()


def another(place: Place, name: str) -> Place:
    assert place.server is not None
    place.server.bucket(name)
    return Place(place.server.objects / name / "papers" / "blobs", f"s3://{name}/papers/blobs/")


@pytest.fixture(params=["bucket", "folder"])
def elsewhere(
    request: pytest.FixtureRequest,
    databases: dict[str, str],
    servers: Servers,
    bucket: Place,
    tmp_path: Path,
) -> Iterator[Callable[[], Path]]:
    """An empty place with its blobs in another bucket, or its folder; the first bucket is gone."""
    patch = pytest.MonkeyPatch()

    def enter() -> Path:
        if databases:
            environment(patch, {name: servers.database() for name in NAMES})
        if request.param == "bucket":
            patch.setenv(SETTING, another(bucket, f"{bucket.folder.parts[-3]}-2").url)
        else:
            patch.delenv(SETTING)
        shutil.rmtree(bucket.folder)
        return tmp_path / "restored"

    yield enter
    patch.undo()


def test_a_bucket_is_in_the_backup_that_is_made_under_load(
    in_bucket: Suite, bucket: Place, elsewhere: Callable[[], Path], tmp_path: Path
) -> None:
    before = [in_bucket.upload(number) for number in range(2)] + [in_bucket.upload(50, "report")]
    in_bucket.ended(*before)
    with under_load(in_bucket, 4) as sure:
        (made,) = run("backup", tmp_path / "backup", "--data", in_bucket.folder)
    assert (made["bucket"], made["damaged"]) == (bucket.url, [])
    copied = [one.path for one in files_of(tmp_path / "backup") if one.path.startswith("blobs/")]
    assert len(copied) == made["blobs"] >= 2 * len(before)
    assert not [key for key in bucket.stored() if key.endswith((PINNED_SUFFIX, PIN_MARKER))]

    where = elsewhere()
    *_, counts = run("restore", tmp_path / "backup", "--data", where)
    assert counts["faults"] == 0
    with closing(Suite(where)) as restored:
        living = [one for one in sure if restored.state(one).get("id")]
        restored.ended(*before, *living)
        assert len(living) >= 2
        original: Any = restored.clients["ingest"].get(f"/v1/documents/{before[0]}/original")
        assert original.status_code == 200
    *_, counts = run("verify", "--settle", "0", "--stuck", "0", "--data", where)
    assert (counts["faults"], counts["waiting"]) == (0, 0)


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_a_backup_that_broke_off_copies_no_blob_twice(
    in_bucket: Suite, bucket: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = in_bucket.upload(1), in_bucket.upload(2)
    in_bucket.ended(one, two)
    listed = len(bucket.stored())
    opened: list[str] = []
    whole = S3Blobs.open_pinned

    def counted(blobs: S3Blobs, tenant: str, ref: BlobRef) -> BinaryIO:
        opened.append(ref.sha256)
        if len(opened) == listed - 1:
            raise Unavailable("the bucket is away")
        return whole(blobs, tenant, ref)

    monkeypatch.setattr(S3Blobs, "open_pinned", counted)
    with pytest.raises(Unavailable, match="the bucket is away"):
        run("backup", tmp_path / "backup", "--data", in_bucket.folder)
    assert not (tmp_path / "backup").exists()
    partial = tmp_path / "backup.partial"
    assert [path.name for path in partial.iterdir()] == ["blobs"]
    there = [path for path in partial.rglob("*") if path.is_file()]
    assert len(there) >= 2
    there[0].write_bytes(b"half")
    (there[1].parent / ("f" * 64)).write_bytes(b"of a document that was deleted since")

    again: list[str] = []

    def noted(blobs: S3Blobs, tenant: str, ref: BlobRef) -> BinaryIO:
        again.append(ref.sha256)
        return whole(blobs, tenant, ref)

    monkeypatch.setattr(S3Blobs, "open_pinned", noted)
    (made,) = run("backup", tmp_path / "backup", "--data", in_bucket.folder)
    assert len(again) == listed - (len(there) - 1)
    assert made["blobs"] == listed
    assert not partial.exists()
    kept = [path for path in (tmp_path / "backup" / "blobs").rglob("*") if path.is_file()]
    assert len(kept) == listed


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_a_folder_moves_to_a_bucket_by_its_backup(
    suite: Suite, bucket: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = suite.upload(1)
    suite.ended(document)
    run("backup", tmp_path / "backup", "--data", suite.folder)
    [(tenant, ref, _), *rest] = list(FileBlobs(suite.folder / "blobs").listed())
    monkeypatch.setenv(SETTING, bucket.url)
    blobs = S3Blobs(bucket.url, ref.owner)
    with FileBlobs(suite.folder / "blobs").open(tenant, ref) as stream:
        blobs.put_stream(tenant, stream)
    bucket.forge(blobs._key(tenant, ref).removeprefix(blobs.prefix), b"x" * ref.size)
    theirs = S3Blobs(bucket.url).put("others", b"words of somebody else")
    *_, counts = run("restore", tmp_path / "backup", "--data", tmp_path / "restored")
    assert counts["faults"] == 0
    assert S3Blobs(bucket.url).get("others", theirs)
    assert len(list(blobs.listed())) == len(rest) + 2
    assert not list(FileBlobs(tmp_path / "restored" / "blobs").listed())
    with closing(Suite(tmp_path / "restored")) as restored:
        assert restored.state(document)["outcome"] == "complete"
        answer: Any = restored.clients["ingest"].get(f"/v1/documents/{document}/original")
        assert answer.status_code == 200


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_damage_in_the_bucket_is_reported(in_bucket: Suite, bucket: Place, tmp_path: Path) -> None:
    in_bucket.ended(in_bucket.upload(1))
    key = next(key for key in bucket.stored() if key.startswith("default/"))
    bucket.forge(key, b"other bytes")
    (made,) = run("backup", tmp_path / "backup", "--data", in_bucket.folder, code=1)
    assert made["damaged"] == [Path(key).name]
    assert BackupManifest.read(tmp_path / "backup").damaged == made["damaged"]
