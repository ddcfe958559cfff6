"""Specialists on the shipped base: what they return, and that they can be shared and swapped."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from shared.inference import BaseError, Specialists

NAME = "contract-clauses"

TEXT = (
    "This Supply Agreement is made as of March 3, 2015 by Acme Corp. and Bolt Ltd.\n\n"
    "This Agreement shall be governed by the laws of the State of New York.\n\n"
)


def test_every_token_has_a_place_and_a_probability(specialists: Specialists) -> None:
    specialist = specialists.get(NAME)
    scores = specialist.token_probabilities(TEXT)
    pieces = [TEXT[start:end].lower() for start, end in scores.offsets]
    assert "".join(pieces) == "".join(TEXT.lower().split())
    assert scores.probabilities.shape == (len(pieces), len(specialist.labels))
    assert ((scores.probabilities > 0) & (scores.probabilities < 1)).all()


def test_the_governing_law_is_where_it_is_written(specialists: Specialists) -> None:
    specialist = specialists.get(NAME)
    scores = specialist.token_probabilities(TEXT)
    law = scores.probabilities[:, specialist.labels.index("Governing Law")]
    inside = scores.offsets[:, 0] >= TEXT.index("This Agreement shall")
    assert law[inside].mean() > 0.5 > law[~inside].mean()


@pytest.mark.parametrize("text", ["", " \n\t ", "word"])
def test_tiny_texts_are_no_special_case(specialists: Specialists, text: str) -> None:
    scores = specialists.get(NAME).token_probabilities(text)
    assert len(scores.offsets) == len(scores.probabilities) == len(text.split())


def test_skipped_spans_leave_no_tokens(specialists: Specialists) -> None:
    specialist = specialists.get(NAME)
    header = "Page 3 of 9"
    cut = TEXT.index("shall be")
    disturbed = TEXT[:cut] + header + " " + TEXT[cut:]
    plain = specialist.token_probabilities(TEXT)
    scores = specialist.token_probabilities(disturbed, skip=[(cut, cut + len(header))])
    assert np.allclose(scores.probabilities, plain.probabilities, atol=1e-6)
    assert not ((scores.offsets[:, 0] >= cut) & (scores.offsets[:, 1] <= cut + len(header))).any()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1),
        ("one two\n" * 20, 1),
        ("one two\n" * 30, 2),
        ("one two three\n\n" * 60, 5),
        ("one two three " * 60, 5),
        ("1." * 100, 5),
    ],
)
def test_a_long_text_is_cut_into_parts(
    specialists: Specialists, monkeypatch: pytest.MonkeyPatch, text: str, parts: int
) -> None:
    monkeypatch.setattr("shared.inference.specialists.MOST_TOKENS", 40)
    specialist = specialists.get(NAME)
    spans = specialist.parts(text)
    assert len(spans) == parts
    assert "".join(text[start:end] for start, end in spans) == text
    for start, end in spans:
        assert len(specialist.token_probabilities(text[start:end]).offsets) <= 40
        assert "\n" not in text or text[:start].endswith("\n") or not start


def test_hidden_states_are_there_when_asked_for(specialists: Specialists) -> None:
    specialist = specialists.get(NAME)
    asked = specialist.token_probabilities(TEXT, with_hidden=True)
    assert asked.hidden is not None
    assert asked.hidden.shape == (len(asked.offsets), 384)
    assert specialist.token_probabilities(TEXT).hidden is None


def test_threads_share_one_specialist(specialists: Specialists) -> None:
    specialist = specialists.get(NAME)
    texts = [TEXT[i * 5 :] for i in range(8)]
    alone = [specialist.token_probabilities(text).probabilities for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda t: specialist.token_probabilities(t).probabilities, texts))
    for one, other in zip(alone, together, strict=True):
        assert np.allclose(one, other, atol=1e-5)


def test_a_new_version_is_served_without_restart(copied: Path) -> None:
    specialists = Specialists(copied.parents[1], threads=1)
    before = specialists.get(NAME)
    assert specialists.get(NAME) is before

    newer = Path(shutil.copytree(copied, copied.parent / "99.0.0"))
    manifest = newer / "manifest.json"
    values = json.loads(manifest.read_text(encoding="utf-8")) | {"version": "99.0.0"}
    manifest.write_text(json.dumps(values), encoding="utf-8")

    assert specialists.get(NAME).manifest.version == "99.0.0"
    assert before.manifest.version == copied.name


def test_reload_verifies_again(specialists: Specialists) -> None:
    before = specialists.get(NAME)
    specialists.reload()
    after = specialists.get(NAME)
    assert after is not before
    first, second = (s.token_probabilities(TEXT).probabilities for s in (before, after))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", ["base.onnx", "tokenizer.json"])
def test_a_damaged_base_is_refused(artefacts: Path, tmp_path: Path, name: str) -> None:
    folder = next(artefacts.glob("base-*"))
    shutil.copytree(folder, tmp_path / folder.name)
    with (tmp_path / folder.name / name).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BaseError, match=r"damaged.*restore it"):
        Specialists(tmp_path)


def test_typographic_quotes_are_read_as_plain_ones(specialists: Specialists) -> None:
    plain = "The \"Supplier's\" rights - and Buyer's - are governed by the laws of Utah."
    curly = "The \u201cSupplier\u2019s\u201d rights \u2013 and Buyer\u2019s \u2013"
    curly += " are governed by the laws of Utah."
    assert len(curly) == len(plain)
    first, second = (specialists.get(NAME).token_probabilities(t) for t in (plain, curly))
    assert np.array_equal(first.offsets, second.offsets)
    assert np.array_equal(first.probabilities, second.probabilities)


def test_no_base_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BaseError, match="SMALLPRINT_ARTEFACTS") as error:
        Specialists(tmp_path)
    assert str(tmp_path) in error.value.message


def test_two_bases_are_one_too_many(artefacts: Path, tmp_path: Path) -> None:
    folder = next(artefacts.glob("base-*")).resolve()
    (tmp_path / folder.name).symlink_to(folder)
    (tmp_path / "base-000000000000").symlink_to(folder)
    with pytest.raises(BaseError, match="more than one"):
        Specialists(tmp_path)
