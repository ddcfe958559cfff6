"""Backups and checks of places with very many blobs, in the memory of one job."""

from __future__ import annotations

import hashlib
import json
import re
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import BinaryIO

import pytest
from sqlalchemy import text

from services.cli.deployment.stores import open_stores
from services.cli.operations import backup as backups
from services.cli.operations import backup_manifest
from services.cli.operations import verify as looking
from services.cli.operations.backup import BackedUpDeployment, backup
from services.cli.operations.backup_manifest import BackupManifest, files_of
from services.cli.operations.partial_backup import BLOBS, EARLIER
from shared.blobs import FileBlobs
from shared.blobs.files import MARKER
from shared.errors import SuiteError
from shared.events import BlobRef
from shared.settings import CommonSettings
from shared.storage import Store
from tests.system.operations.suite import Suite, place_of

BACKUP_BYTES = 100
"""Memory that a backup may take for each blob, with the lists of two folders of 256."""


def copied_blobs(target: Path) -> set[str]:
    """The blobs of a backup, each listed once and lying there, and nothing else with them."""
    files = [one.path for one in files_of(target)]
    assert len(files) == len(set(files))
    lying = {path.relative_to(target).as_posix() for path in (target / BLOBS).rglob("*")}
    listed = {path for path in files if path.startswith(f"{BLOBS}/")}
    assert {path for path in lying if (target / path).is_file()} == listed
    assert {path.name for path in target.iterdir()} <= {
        *("databases", BLOBS, "files.jsonl", "manifest.json")
    }
    return {Path(path).name for path in listed if Path(path).name != MARKER}


def peak_of(work: Callable[[], object]) -> int:
    """The most bytes that `work` has in memory, in the best of three runs: threads that earlier
    tests left behind are counted, too.
    """
    peaks = []
    for _ in range(3):
        tracemalloc.start()
        try:
            work()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(peaks)


def backup_to(place: BackedUpDeployment, targets: Iterator[Path]) -> None:
    backup(place, next(targets))


def test_a_backup_takes_no_memory_for_each_blob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "AT_ONCE", 32)
    monkeypatch.setattr(backup_manifest, "CHUNK", 1 << 12)  # each thread may have one
    few, many = 500, 4500
    places = [place_of(tmp_path / f"{count}", count) for count in (few, many)]
    backup(places[0], tmp_path / "first")  # imports and compilation happen once
    targets = (tmp_path / f"backup-{number}" for number in count())
    peaks = [peak_of(partial(backup_to, place, targets)) for place in places]
    last = tmp_path / "backup-5"
    assert len(copied_blobs(last)) == BackupManifest.read(last).blobs == many
    assert (peaks[1] - peaks[0]) / (many - few) < BACKUP_BYTES


def test_a_blob_that_is_named_twice_is_copied_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "AT_ONCE", 8)
    place = place_of(tmp_path / "data", 20)
    held = FileBlobs.listed_pinned

    def twice(blobs: FileBlobs) -> Iterator[tuple[str, BlobRef]]:
        every = list(held(blobs))
        yield from (one for one in every for _ in range(2))
        yield from every

    monkeypatch.setattr(FileBlobs, "listed_pinned", twice)
    assert backup(place, tmp_path / "backup").blobs == 20
    assert len(copied_blobs(tmp_path / "backup")) == 20


def test_a_backup_that_broke_off_at_its_end_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_of(tmp_path / "data", 20)
    with monkeypatch.context() as patch:
        patch.setattr(backups, "_other_files", fails)
        with pytest.raises(SuiteError, match="No space left"):
            backup(place, tmp_path / "backup")
    assert [path.name for path in (tmp_path / "backup.partial").iterdir()] == [BLOBS]
    monkeypatch.setattr(FileBlobs, "open_pinned", fails)
    backup(place, tmp_path / "backup")
    assert len(copied_blobs(tmp_path / "backup")) == 20


def fails(*_: object) -> BinaryIO:
    raise OSError(28, "No space left on device")


def test_a_backup_that_was_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some blobs are in place, others still set aside; one is half written, one of a deleted
    document.
    """
    place = place_of(tmp_path / "data", 20)
    backup(place, tmp_path / "whole")
    begun = tmp_path / "backup.partial"
    begun.mkdir()
    (tmp_path / "whole" / BLOBS).rename(begun / BLOBS)
    paths = sorted(path for path in (begun / BLOBS / "default").rglob("*") if path.is_file())
    for path in paths[:10]:
        aside = begun / EARLIER / path.relative_to(begun / BLOBS)
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.rename(aside)
    half = paths[10]
    half.write_bytes(b"")
    (aside.parent / ("f" * 64)).write_bytes(b"of a document that was deleted since")
    opened: list[str] = []
    whole = FileBlobs.open_pinned

    def noted(blobs: FileBlobs, tenant: str, ref: BlobRef) -> BinaryIO:
        opened.append(ref.sha256)
        return whole(blobs, tenant, ref)

    monkeypatch.setattr(FileBlobs, "open_pinned", noted)
    backup(place, tmp_path / "backup")
    assert opened == [half.name]
    assert len(copied_blobs(tmp_path / "backup")) == 20


VERIFY_BYTES = 1000
"""Memory that `verify` may take for each blob, with its share of the document's rows."""


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_a_check_takes_little_memory_for_each_blob(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.ended(suite.upload(1))
    suite.work()
    monkeypatch.setattr(looking, "_state", lambda *_: None)
    with open_stores(CommonSettings(data=suite.folder)) as stores:
        place = looking.VerifiedDeployment.of(
            CommonSettings(data=suite.folder), stores, suite.services[0].bus
        )
        peaks, blobs = [], []
        for first, last in ((0, 1000), (1000, 3000)):
            multiply(stores["ingest"], "documents", "id", range(first, last))
            multiply(stores["extraction"], "extractions", "document_id", range(first, last))
            monkeypatch.setattr(FileBlobs, "listed", lambda _, last=last: many(4 * last))
            peaks.append(peak_of(partial(looking.verify, place, looking.Rules(stuck=1e9))))
            looked = looking.verify(place, looking.Rules(stuck=1e9))
            assert {fault.kind for fault in looked.faults} <= {"lost_result"}
            blobs.append(looked.blobs)
    assert blobs[1] - blobs[0] == 4 * 2000  # the original is the text
    assert (peaks[1] - peaks[0]) / (blobs[1] - blobs[0]) < VERIFY_BYTES


def many(blobs: int) -> Iterator[tuple[str, BlobRef, float]]:
    """So many young blobs, as they are listed."""
    for number in range(blobs):
        sha256 = hashlib.sha256(b"%d" % number).hexdigest()
        yield "default", BlobRef(sha256=sha256, size=number), 1.0


def multiply(store: Store, table: str, key: str, numbers: range) -> None:
    """Copy the existing document with new ids and blobs."""
    with store.write() as session:
        found = session.execute(text(f"SELECT * FROM {table} LIMIT 1")).mappings().one()
        row = {str(name): value for name, value in found.items()}
        names = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        encoded = json.dumps(row)
        others = []
        for number in numbers:
            mark = hashlib.sha256(b"%d" % number).hexdigest()[:32]
            other = json.loads(re.sub(r"(?<=[0-9a-f]{32})[0-9a-f]{32}(?![0-9a-f])", mark, encoded))
            others.append({**other, key: f"doc_{mark[:26]}"})
        session.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), others)
