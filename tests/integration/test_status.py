"""`smallprint status` on the data folder of a suite says what the suite says to a key."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import smallprint

from services.cli.deployment import address
from tests.support import ROOT
from tests.support.embedded import Embedded

Status = subprocess.CompletedProcess[str]
BALANCE = """\
Balance Sheet (in millions),2023-12-31,2022-12-31
Total assets,1210,1100
Total liabilities,700,650
Total stockholders' equity,501,450
Total liabilities and stockholders' equity,1201,1100
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path_factory.mktemp("suite"))
    try:
        yield embedded
    finally:
        embedded.end()


def _smallprint(suite: Embedded, *words: str, key: str = "") -> Status:
    env = {"SMALLPRINT_KEY": key} if key else {}
    return _with(env, *words, "--data", str(suite.data))


def _with(env: dict[str, str], *words: str) -> Status:
    others = {k: v for k, v in os.environ.items() if not k.startswith("SMALLPRINT_")}
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *words],
        cwd=ROOT,
        env={**others, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def _line(done: Status) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.slow
def test_a_data_folder_says_what_its_suite_says(suite: Embedded) -> None:
    key = suite.start()["key"]
    with smallprint.Client(suite.url, key) as client:
        sent = client.upload(BALANCE.encode(), name="balance.csv", kind="report")
        document = client.wait(sent.id).id
        with_key, of_folder = (
            _line(_smallprint(suite, "status", document, "--json", key=one)) for one in (key, "")
        )
        assert with_key == of_folder
        assert of_folder["outcome"] == "complete"
        assert {one["service"] for one in of_folder["stages"]} >= {"ingest", "triage", "review"}
        assert of_folder["waiting_for_people"] == sum(1 for _ in client.items(document=document))
        assert of_folder["waiting_for_people"] > 0
    now, mine = (_line(_smallprint(suite, "status", "--json", key=one)) for one in (key, ""))
    assert {one["stage"] for one in now["stages"]} == {one["stage"] for one in mine["stages"]}
    assert mine["stages"]
    assert mine["slowest"] == []
    acme = ("--tenant", "acme")
    other = _smallprint(suite, "status", document, *acme)
    assert (other.returncode, other.stdout) == (2, "")
    assert f"There is no document {document}" in other.stderr
    assert _smallprint(suite, "status", *acme, key=key).returncode == 64
    assert (suite.data / address.NAME).is_file()
    (suite.data / address.NAME).unlink()  # as in the containers, whose folder says nothing
    upkeep = {"SMALLPRINT_DATA": str(suite.data)}
    assert "has not written its address there" in _with(upkeep, "status").stderr
    there = _line(_with({**upkeep, "SMALLPRINT_URL": suite.url}, "status", "--json"))
    assert there["stages"] == mine["stages"]

    assert suite.end() == 0
    assert not (suite.data / address.NAME).exists()
    assert _line(_smallprint(suite, "status", document, "--json")) == of_folder
    stopped = _smallprint(suite, "status")
    assert stopped.returncode == 2
    assert re.search(
        r"no suite is running on \S+: start it \(\S*smallprint serve --data ", stopped.stderr
    )
