"""The recorded usage of checking a report."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from services.triage.analysis import ReportAnalysis
from services.triage.domain import RULES
from services.triage.results import MOST_COUNTED, tokens_of, usage_of
from services.triage.settings import Settings
from shared.events import FindingsFound
from shared.inference import TokenCounter
from shared.inference.adapters import base_folder
from shared.inference.specialists import load_tokeniser
from shared.settings import load
from tests.unit.triage.builders import Triage
from tests.unit.triage.filings import record, wrong
from tests.unit.triage.test_narrative import DOUBT, WORDS

ARTEFACTS = load(Settings).artefacts_folder


def words(text: str) -> int:
    return len(text.split())


def test_a_report_names_its_model_and_its_cost(triage: Triage) -> None:
    event = triage.read("doc_1", record(), wrong())
    triage.handle(event)
    (found,) = triage.announced(FindingsFound)
    (took,) = found.adapters
    assert found.model == f"{took.name} {took.version}"
    assert 0 < took.seconds < 60
    tokeniser = load_tokeniser(base_folder(ARTEFACTS))
    text = triage.service.blobs.get("default", event.text).decode()
    assert took.tokens == len(tokeniser(text).ids) > 1_000
    (item,) = triage.findings("doc_1")["items"]
    assert took.quoted == len(tokeniser(item["message"]).ids) > 20


def test_a_report_without_statements_was_read_for_its_sentences(triage: Triage) -> None:
    triage.handle(triage.page("doc_1", WORDS.format(DOUBT).encode(), "risks.html"))
    (found,) = triage.announced(FindingsFound)
    (took,) = found.adapters
    assert found.missing
    assert took.name == "narrative-flags"
    assert 0 < (took.quoted or 0) <= (took.tokens or 0)


@pytest.mark.parametrize(("extra", "expected"), [(0, 2), (1, 2), (MOST_COUNTED, 4)])
def test_the_tokens_of_a_long_text_are_estimated(extra: int, expected: int) -> None:
    half = MOST_COUNTED // 2
    text = ("a" * (half - 1) + " ") * 2 + "b" * extra
    data = text.encode()
    assert tokens_of(io.BytesIO(data), len(data), words) == expected
    cut = "\N{EURO SIGN}".encode() * (MOST_COUNTED // 3 + 2)
    assert tokens_of(io.BytesIO(cut), len(cut), words) == 1
    assert tokens_of(io.BytesIO(b""), 0, words) == 0


def test_without_a_base_nothing_is_noted(
    triage: Triage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    event, blobs = triage.read("doc_1", b"some words"), triage.service.blobs
    nobody = TokenCounter(tmp_path / "none")
    assert usage_of(event, blobs, RULES, 1.0, ReportAnalysis("default", "doc_1"), nobody) == ()
    assert "no base model" in caplog.text
    (one,) = usage_of(event, blobs, RULES, 1.5, ReportAnalysis("default", "doc_1"), words)
    assert (one.name, one.seconds, one.tokens, one.quoted) == ("rules", 1.5, 2, 0)
