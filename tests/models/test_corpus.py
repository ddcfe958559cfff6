"""Whatever the corpus, its documents, folds and labels come in one form."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from models.corpus import FOLDS, counts_of, fold_of, labels_of, read_labels, read_records
from models.files import write_lines

SETTINGS: dict[str, Any] = {
    "training": "corpus.jsonl.gz",
    "least": 2,
    "answers": {"dropped": ["fair"], "apart": {"no": "denied"}},
}


def note(category: str, answer: str | None = None) -> dict[str, Any]:
    return {"category": category, "start": 0, "end": 1} | ({"answer": answer} if answer else {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two documents, one with a fold and a family."""
    records: list[dict[str, Any]] = [
        {"id": "a", "text": "x", "fold": 3, "family": "f", "annotations": [note("Pay", "fair")]},
        {"id": "b", "text": "y", "annotations": [note("Law", "no"), note("Pay", "yes")]},
    ]
    write_lines(tmp_path / "corpus.jsonl.gz", records)
    return tmp_path


def test_answers_drop_passages_or_make_labels(folder: Path) -> None:
    first, second = read_records(folder, SETTINGS)
    assert first["annotations"] == []
    assert [n["category"] for n in second["annotations"]] == ["Law (denied)", "Pay"]


def test_the_parent_folder_works_and_another_one_is_refused(folder: Path, tmp_path: Path) -> None:
    parent = tmp_path / "all"
    (parent / "legal").mkdir(parents=True)
    (folder / "corpus.jsonl.gz").rename(parent / "legal" / "corpus.jsonl.gz")
    for given in (parent, parent / "legal"):
        assert [record["id"] for record in read_records(given, SETTINGS)] == ["a", "b"]
    with pytest.raises(SystemExit, match=r"has no corpus\.jsonl\.gz"):
        list(read_records(tmp_path, SETTINGS))


def test_a_document_keeps_its_fold_or_has_one_by_its_id(folder: Path) -> None:
    first, second = read_records(folder, SETTINGS)
    assert (first["fold"], first["family"]) == (3, "f")
    assert (second["fold"], second["family"]) == (fold_of("b"), "b")
    for fold in FOLDS:
        read = [record["id"] for record in read_records(folder, SETTINGS, [fold])]
        assert read == [r["id"] for r in (first, second) if r["fold"] == fold]


def test_documents_are_spread_over_the_folds() -> None:
    counts = Counter(fold_of(f"document {i}") for i in range(1000))
    assert sorted(counts) == list(FOLDS)
    assert all(150 < count < 250 for count in counts.values())


def test_a_label_needs_enough_passages_and_known_ones_keep_their_place() -> None:
    counts = {"Pay": 2, "Law": 3, "Age": 2, "Rare": 1}
    assert labels_of(counts, SETTINGS) == ["Age", "Law", "Pay"]
    assert labels_of(counts, SETTINGS, ["Pay", "Law", "Rare"]) == ["Pay", "Law", "Age"]


def test_labels_left_out_are_neither_read_nor_learned(folder: Path) -> None:
    settings = SETTINGS | {"leave_out": ["Pay"]}
    assert counts_of(read_records(folder, settings)) == {"Law (denied)": 1}
    (folder / "labels.json").write_text('["Pay", "Law (denied)"]', encoding="utf-8")
    assert read_labels(folder, settings) == ["Law (denied)"]
