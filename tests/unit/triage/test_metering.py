"""What checking a report took, as the books of costs hear of it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from services.triage.domain import RULES
from services.triage.metering import MOST_COUNTED, read_by, tokens_of
from services.triage.results import Outcome
from services.triage.settings import Settings
from shared.events import FindingsFound
from shared.inference import TokenCounter
from shared.inference.adapters import base_folder
from shared.inference.specialists import load_tokeniser
from shared.settings import load
from tests.unit.triage.filings import record
from tests.unit.triage.house import House
from tests.unit.triage.test_dismissing import decided
from tests.unit.triage.test_narrative import DOUBT, WORDS
from tests.unit.triage.test_past import wrong

ARTEFACTS = load(Settings).artefacts_folder


def words(text: str) -> int:
    """Counts words."""
    return len(text.split())


def test_a_report_says_what_judged_it_and_what_that_took(house: House) -> None:
    """Seconds by the clock, the tokens of its text once, and those of what its findings say."""
    event = house.read("doc_1", record(), wrong())
    house.say(event)
    (said,) = house.heard(FindingsFound)
    (took,) = said.adapters
    assert said.model == f"{took.name} {took.version}"
    assert 0 < took.seconds < 60
    tokeniser = load_tokeniser(base_folder(ARTEFACTS))
    text = house.service.blobs.get("default", event.text).decode()
    assert took.tokens == len(tokeniser(text).ids) > 1_000
    (item,) = house.client.get("/v1/documents/doc_1/findings").json()["items"]
    assert took.quoted == len(tokeniser(item["message"]).ids) > 20


def test_a_report_without_statements_was_read_for_its_sentences(house: House) -> None:
    """That is what its words are found by, and what a frontier model would have written."""
    house.say(house.page("doc_1", WORDS.format(DOUBT).encode(), "risks.html"))
    (said,) = house.heard(FindingsFound)
    (took,) = said.adapters
    assert said.missing
    assert took.name == "narrative-flags"
    assert 0 < (took.quoted or 0) <= (took.tokens or 0)


def test_findings_that_count_again_were_not_read_again(house: House) -> None:
    """The news of it says nothing of time: nothing is paid twice."""
    house.say(house.read("doc_1", wrong()))
    (item,) = house.client.get("/v1/documents/doc_1/findings").json()["items"]
    house.say(decided(item, "reject", "ours", "doc_1"))
    house.say(house.read("doc_2", wrong()))
    house.heard(FindingsFound)
    house.say(decided(item, "undo", None, "doc_1"))
    (again,) = house.heard(FindingsFound)
    assert (again.document_id, again.adapters) == ("doc_2", ())


@pytest.mark.parametrize(("extra", "expected"), [(0, 2), (1, 2), (MOST_COUNTED, 4)])
def test_the_tokens_of_a_very_long_text_are_those_of_its_beginning_and_so_on(
    extra: int, expected: int
) -> None:
    """To the last byte of the first million each is counted, also where a letter is cut in two."""
    half = MOST_COUNTED // 2
    text = ("a" * (half - 1) + " ") * 2 + "b" * extra
    data = text.encode()
    assert tokens_of(io.BytesIO(data), len(data), words) == expected
    cut = "\N{EURO SIGN}".encode() * (MOST_COUNTED // 3 + 2)
    assert tokens_of(io.BytesIO(cut), len(cut), words) == 1
    assert tokens_of(io.BytesIO(b""), 0, words) == 0


def test_without_a_base_nothing_is_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The report is checked all the same, and the log says why its cost is missing."""
    text = b"some words"
    took = read_by(RULES, 1.0, (io.BytesIO(text), 10), Outcome(), TokenCounter(tmp_path))
    assert took == ()
    assert "no base model" in caplog.text
    (one,) = read_by(RULES, 1.5, (io.BytesIO(text), 10), Outcome(), words)
    assert (one.name, one.seconds, one.tokens, one.quoted) == ("rules", 1.5, 2, 0)
