"""Fixtures: an empty blob store in a folder and on a real S3 server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.servers.s3 import Server, missing, running_server
from shared.blobs import BlobStore
from tests.contract.blobs.stores import Place
from tests.support import require

NAMES = ("files", "s3")


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    require(find_spec("boto3"), "blobs in S3 need the package boto3")
    lacking = missing()
    require(lacking is None, lacking or "")
    with running_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket(s3: Server, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    name = f"t{uuid.uuid4().hex[:12]}"
    s3.bucket(name)
    return Place(s3.objects / name / "papers" / "blobs", f"s3://{name}/papers/blobs/", s3)


@pytest.fixture(params=NAMES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "s3":
        found: Place = request.getfixturevalue("bucket")
        return found
    return Place(tmp_path / "blobs")


@pytest.fixture
def blobs(place: Place) -> BlobStore:
    return place.store()
