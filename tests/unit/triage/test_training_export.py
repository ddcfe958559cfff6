"""Dismissed findings are exported as training examples."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from services.cli import cli
from services.triage.training_export import DismissalExample, DismissalExamples
from shared.blobs.files import MARKER
from shared.errors import SettingsError
from shared.events import DocumentDeleted
from tests.unit.triage.builders import Triage
from tests.unit.triage.filings import read, record, wrong
from tests.unit.triage.test_dismissal_events import WORDS, dismissed


def lessons(triage: Triage, tenant: str = "default") -> DismissalExamples:
    return DismissalExamples(triage.service.store, triage.service.blobs, tenant)


def test_a_dismissed_finding_is_an_example(triage: Triage) -> None:
    item = dismissed(triage)
    (lesson,) = lessons(triage)
    line = json.loads(json.dumps(lesson.to_json()))
    assert "ada" not in json.dumps(line)
    (one,) = line["dismissed"]
    assert (one["reason"], one["check"]) == (WORDS, item["check"])
    assert Decimal(one["reported"]) == item["reported"]
    assert one["cells"][0]["label"] == item["cells"][0]["label"]
    assert read(line["filing"]).statements == read(wrong(id="doc_1")).statements
    again = DismissalExample.of_json(line)
    assert again.filing == lesson.filing
    assert [d.relation for d in again.dismissed] == [d.relation for d in lesson.dismissed]
    assert not list(lessons(triage, "other"))


def test_what_is_undone_or_deleted_is_no_example(triage: Triage) -> None:
    item = dismissed(triage)
    dismissed(triage, "doc_2")
    assert len(list(lessons(triage))) == 2
    triage.decide("doc_1", item["id"], "undo")
    (left,) = lessons(triage)
    assert left.filing["id"] == "doc_2"
    triage.handle(DocumentDeleted(document_id="doc_2"))
    assert not list(lessons(triage))


def test_a_finding_without_a_note_is_no_example(triage: Triage) -> None:
    triage.handle(triage.read("doc_1", wrong(id="doc_1")))
    (item,) = triage.findings()["items"]
    triage.decide("doc_1", item["id"], "reject")
    assert not list(lessons(triage))


def test_what_is_not_there_any_more_is_counted(triage: Triage) -> None:
    dismissed(triage)
    dismissed(triage, "doc_2")
    every = lessons(triage)
    assert (len(list(every)), every.left_out) == (2, 0)
    triage.handle(triage.read("doc_1", record() | {"id": "doc_1"}, attempt=2))
    assert ([one.filing["id"] for one in every], every.left_out) == (["doc_2"], 1)
    for path in triage.service.settings.blobs.rglob("*"):
        if path.is_file() and path.name != MARKER:
            path.unlink()
    assert (len(list(every)), every.left_out) == (0, 2)


@pytest.mark.parametrize(
    "line",
    [
        {},
        [],
        {"filing": {}, "dismissed": []},
        {"filing": [], "dismissed": [1]},
        {"filing": {}, "dismissed": [{"filer": "x", "relation": "y", "reason": "z"}]},
        {"filing": {}, "dismissed": [
            {"filer": "x", "relation": "y", "reason": "z", "reported": "?", "expected": None}]},
    ],
)  # fmt: skip
def test_what_is_no_example_is_refused(line: Any) -> None:
    with pytest.raises(ValueError, match="not a filing with a list of dismissals"):
        DismissalExample.of_json(line)


def test_the_command_prints_examples(tmp_path: Path, triage: Triage) -> None:
    dismissed(triage)
    data = ["dismissed", "--data", str(triage.service.settings.data)]
    done = CliRunner().invoke(cli, data, catch_exceptions=False, standalone_mode=False)
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["dismissed"][0]["reason"] == WORDS
    assert "1 dismissed finding of 1 filing" in done.stderr
    other = CliRunner().invoke(cli, [*data, "--tenant", "other"], standalone_mode=False)
    assert not other.stdout
    nowhere = ["dismissed", "--data", str(tmp_path / "nowhere")]
    with pytest.raises(SettingsError, match="not the data folder of a suite"):
        CliRunner().invoke(cli, nowhere, catch_exceptions=False, standalone_mode=False)
