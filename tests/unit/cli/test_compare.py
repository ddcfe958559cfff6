"""`smallprint compare`: a stand-in and a specialist on the same labelled documents."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

from services.cli.documents.labelled import chosen_categories, read_definitions, read_labelled
from services.extraction.pipeline import search
from services.extraction.pipeline.search import ClauseSpan
from shared.errors import InvalidRequest, SuiteError
from tests.fakes.provider import Labels, StandIn
from tests.unit.cli.builders import invoke

LAW = "This Agreement is governed by the laws of Delaware."
POLICY = """
[providers.stand-in]
protocol = "own"
model = "stand-in"
url = "{url}"
price = {{ input = "3", output = "15", as_of = 2026-01-31 }}

[tenants.default]
providers = ["stand-in"]
external_kinds = ["contract"]
"""


def line(number: int, **more: Any) -> dict[str, Any]:
    text = f"{number}. {LAW} {number}. Other."
    start = text.index(LAW)
    note = {"category": "Governing Law", "start": start, "end": start + len(LAW)}
    return {"id": f"c{number}", "text": text, "annotations": [note], **more}


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    path = tmp_path / "four.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(json.dumps(line(n)).encode() for n in range(4))))
    return path


@pytest.fixture(autouse=True)
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A stand-in that the policy names, and a specialist that finds every second law."""

    def find(text: str, *_: Any, **__: Any) -> list[ClauseSpan]:
        start = text.index(LAW)
        sure = 0.9 if int(text[0]) % 2 else 0.2
        return [ClauseSpan("Governing Law", LAW, start, start + len(LAW), sure)]

    manifest = SimpleNamespace(
        name="contract-clauses", version="9.9.9", thresholds={"best_f1": 0.31}
    )
    specialist = SimpleNamespace(labels=("Governing Law", "Parties"), manifest=manifest)
    monkeypatch.setattr(
        "services.cli.commands.compare.load_specialists", lambda _names: [specialist]
    )
    monkeypatch.setattr(search, "find_clauses", find)
    with StandIn(Labels([("Governing Law", LAW)])) as server:
        policy = tmp_path / "policy.toml"
        policy.write_text(POLICY.format(url=server.url))
        monkeypatch.setenv("SMALLPRINT_POLICY", str(policy))
        yield server


def run(labelled: Path, *options: str, budget: str = "5") -> Result:
    command = ["compare", "--provider", "stand-in", "--budget", budget, str(labelled), *options]
    return invoke(*command)


def test_standard_input_is_read(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ("compare", "--provider", "stand-in", "--budget", "5", "-", "--json")
    done = json.loads(invoke(*command, stdin=labelled.read_bytes()).stdout)
    assert (done["source"], done["documents"]["read"]) == ("-", 4)
    assert Path("stdin-compare").is_dir()


def test_both_stand_beside_each_other(labelled: Path, stand_in: StandIn) -> None:
    first = json.loads(run(labelled, "--json").stdout)
    counts = {"given": 4, "read": 4, "left": 0, "learned": 0}
    assert first["documents"] == {**counts, "refused": []}
    ours, theirs = first["specialist"], first["frontier"]
    assert (ours["recall"]["value"], theirs["recall"]["value"]) == (0.5, 1.0)
    assert (ours["precision"]["value"], theirs["precision"]["value"]) == (1.0, 1.0)
    assert first["at_their_recall"]["value"] == 1.0
    assert theirs["stand_in"] is True
    bills = stand_in.billed()
    assert (theirs["tokens_in"], theirs["tokens_out"]) == (bills["input"], bills["output"])
    assert theirs["usd"] == pytest.approx((3 * bills["input"] + 15 * bills["output"]) / 1e6)
    assert ours["usd"] == pytest.approx(ours["seconds"] * 0.10 / 3600)
    again = json.loads(run(labelled, "--json").stdout)
    assert stand_in.billed() == bills
    assert again["frontier"] == theirs


def test_the_table_says_what_it_is(labelled: Path) -> None:
    output = run(labelled).stdout
    assert "4 of 4 documents read, US$ 0." in output
    assert "a stand-in answered, no model" in output
    assert "recall" in output
    assert "no significant difference on these documents" in output


def test_a_spent_budget_is_reported_with_the_documents_read(labelled: Path) -> None:
    result = run(labelled, "--json", budget="0.0001")
    report = json.loads(result.stdout)
    assert report["documents"]["left"] == 4
    assert "the budget of US$" in report["stopped"]
    assert report["spent_usd"] == 0
    assert result.return_value == 2


def test_an_estimate_says_that_a_budget_has_no_room_for_one_call(
    labelled: Path, stand_in: StandIn
) -> None:
    """8,000 tokens of an answer at US$ 15 a million cost 0.12."""
    estimated = json.loads(run(labelled, "--estimate", "--json", budget="0.10").stdout)["budget"]
    least = estimated["least_usd"]
    assert 0.12 < estimated["call_usd"] <= least < estimated["call_usd"] + 0.01
    minimum = f"it must be at least US$ {least:.2f}"
    for output in (
        run(labelled, "--estimate", budget="0.10").stdout,
        run(labelled, budget=f"{least - 0.01:.2f}").stderr,
    ):
        assert "too small for the worst case of another call" in output
        assert minimum in output
    assert stand_in.requests == []
    estimate = run(labelled, "--estimate", budget=f"{least:.2f}").stdout
    assert "no room" not in estimate
    assert "are reserved for one call" in estimate
    assert "4 of 4 documents read" in run(labelled, budget=f"{least:.2f}").stdout


def test_an_estimate_counts_what_is_spent_and_what_is_still_to_be_asked(labelled: Path) -> None:
    run(labelled, "--first", "2")
    known = json.loads(run(labelled, "--estimate", "--first", "2", "--json", budget="0.01").stdout)
    assert known["budget"]["missing"] is None
    left = json.loads(run(labelled, "--estimate", "--json", budget="0.01").stdout)["budget"]
    assert left["least_usd"] >= left["call_usd"] + known["budget"]["spent_usd"] > left["call_usd"]
    assert "are spent" in left["missing"]


def test_an_estimate_calls_no_provider(labelled: Path, stand_in: StandIn) -> None:
    estimate = json.loads(run(labelled, "--estimate", "--json").stdout)
    assert estimate["expected"]["calls"] == 4
    assert estimate["expected"]["usd"] > 0
    assert "about 4 calls" in run(labelled, "--estimate").stdout
    assert stand_in.requests == []


def test_documents_to_learn_from_are_named(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(line(1, split="train")))
    assert "1 of them are marked as training documents" in run(path).stdout


def test_an_unknown_provider_or_category_is_refused(labelled: Path) -> None:
    result = run(labelled, "--provider", "other")
    assert isinstance(result.exception, SuiteError)
    assert "Allowed: stand-in" in result.exception.message
    result = run(labelled, "--category", "Weather")
    assert isinstance(result.exception, InvalidRequest)
    assert "Governing Law, Parties" in result.exception.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no line"),
        ("{", "line 1 is not JSON"),
        ('{"text": 3}', "line 1 has no `text`"),
        ('{"text": "a"}', "line 1 has no `annotations`"),
        ('{"text": "a", "annotations": [{"category": "C"}]}', "annotation 0"),
        ('{"text": "a", "annotations": [{"category": "C", "text": "b"}]}', "annotation 0"),
        ('{"text": "a", "annotations": [{"category": "C", "start": 0, "end": 9}]}', "annotation 0"),
        (
            '{"text": "ab", "annotations": [{"category": "C", "start": 0, "end": 1, "text": "b"}]}',
            "annotation 0",
        ),
    ],
)
def test_what_is_no_label_is_named_by_its_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    with pytest.raises(InvalidRequest, match=message):
        read_labelled(str(path))


def test_labels_are_read_by_offsets_or_words(tmp_path: Path) -> None:
    path = tmp_path / "good.jsonl"
    words = {"text": "a b", "annotations": [{"category": "C", "text": "b"}], "family": "f"}
    path.write_text("\n\n".join(map(json.dumps, [words, words, line(2)])))
    first, second = read_labelled(str(path))
    assert (first.id, first.group, first.answers) == ("1", "f", {"C": ["b"]})
    assert (second.id, second.group) == ("c2", "c2")
    assert second.answers == {"Governing Law": [LAW]}
    assert chosen_categories(["a", "b"], ["b"]) == ["b"]
    path.write_text('{"C": "What is it?"}')
    assert read_definitions(str(path)) == {"C": "What is it?"}
    path.write_text('{"C": 1}')
    with pytest.raises(InvalidRequest, match="one JSON object"):
        read_definitions(str(path))
