"""What was dismissed is told as examples: the filing as it was read, and which break of it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from services.cli import cli
from services.triage.lessons import Lesson, Lessons
from shared.errors import SettingsError
from shared.events import DocumentDeleted
from shared.storage.blobs import MARKER
from tests.unit.triage.filings import read, record
from tests.unit.triage.house import House
from tests.unit.triage.test_dismissals import wrong
from tests.unit.triage.test_dismissing import WORDS, decided, dismissed, found


def lessons(house: House, tenant: str = "default") -> Lessons:
    """Those of a tenant."""
    return Lessons(house.service.store, house.service.blobs, tenant)


def test_a_dismissed_finding_is_an_example(house: House) -> None:
    """With the filing, which reads as it did, the relation, the amounts and the reason; who said so
    is not in it, and another tenant has none.
    """
    item = dismissed(house)
    (lesson,) = lessons(house)
    line = json.loads(json.dumps(lesson.to_json()))
    assert "ada" not in json.dumps(line)
    (one,) = line["dismissed"]
    assert (one["reason"], one["check"]) == (WORDS, item["check"])
    assert Decimal(one["reported"]) == item["reported"]
    assert one["cells"][0]["label"] == item["cells"][0]["label"]
    assert read(line["filing"]).statements == read(wrong(id="doc_1")).statements
    again = Lesson.of_json(line)
    assert again.filing == lesson.filing
    assert [d.relation for d in again.dismissed] == [d.relation for d in lesson.dismissed]
    assert not list(lessons(house, "other"))


def test_what_is_undone_or_deleted_is_no_example(house: House) -> None:
    """A decision that is taken back teaches nothing, nor does one about a document that is gone."""
    item = dismissed(house)
    dismissed(house, "doc_2")
    assert len(list(lessons(house))) == 2
    house.say(decided(item, "undo", None, "doc_1"))
    (left,) = lessons(house)
    assert left.filing["id"] == "doc_2"
    house.say(DocumentDeleted(document_id="doc_2"))
    assert not list(lessons(house))


def test_a_finding_without_a_note_is_no_example(house: House) -> None:
    """Rejected alone it is not dismissed."""
    house.say(house.read("doc_1", wrong(id="doc_1")))
    (item,) = found(house, "doc_1")["items"]
    house.say(decided(item, "reject", None, "doc_1"))
    assert not list(lessons(house))


def test_what_is_not_there_any_more_is_counted(house: House) -> None:
    """The report was read anew and has no such finding, or its statements are away: no example."""
    dismissed(house)
    dismissed(house, "doc_2")
    every = lessons(house)
    assert (len(list(every)), every.left_out) == (2, 0)
    house.say(house.read("doc_1", record() | {"id": "doc_1"}, attempt=2))
    assert ([one.filing["id"] for one in every], every.left_out) == (["doc_2"], 1)
    for path in house.service.settings.blobs.rglob("*"):
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
    """In words."""
    with pytest.raises(ValueError, match="no filing with what was dismissed"):
        Lesson.of_json(line)


def test_the_command_prints_examples(tmp_path: Path, house: House) -> None:
    """A filing a line, also beside a running suite; how many there are goes to standard error."""
    dismissed(house)
    data = ["dismissed", "--data", str(house.service.settings.data)]
    done = CliRunner().invoke(cli, data, catch_exceptions=False, standalone_mode=False)
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["dismissed"][0]["reason"] == WORDS
    assert "1 dismissed finding of 1 filing" in done.stderr
    other = CliRunner().invoke(cli, [*data, "--tenant", "other"], standalone_mode=False)
    assert not other.stdout
    nowhere = ["dismissed", "--data", str(tmp_path / "nowhere")]
    with pytest.raises(SettingsError, match="no suite has worked"):
        CliRunner().invoke(cli, nowhere, catch_exceptions=False, standalone_mode=False)
